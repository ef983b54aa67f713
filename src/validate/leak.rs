//! Does a text hold a secret? Asked before anything of a refused request is shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::HeaderName;
use memchr::memmem;

use super::Validator;
use super::doctor::{from_hex, hex, unbase64};
use super::presets::{PRESETS, Way};
use crate::signature::unescape;

/// A shorter secret is found in anything, and protects nothing; it is recognised where it stands alone.
const SHORT: usize = 8;

impl Validator {
    /// Whether the text holds one of the topic's secrets: as it is, in base64 or hexadecimal, or behind the escapes of JSON or
    /// of forms. Takes a while: for what is shown to people, not for what comes in.
    #[must_use]
    pub fn is_secret_in(&self, text: &[u8]) -> bool {
        let mut forms = vec![text.to_vec()];
        if text.contains(&b'\\') {
            forms.push(without_backslashes(text));
        }
        forms.extend(unescape(text).map(std::borrow::Cow::into_owned));
        // What is decoded may be a part of a longer word, such as a password behind its user.
        let word = |byte: &u8| !(byte.is_ascii_alphanumeric() || b"+/-_".contains(byte));
        for word in text.split(word).filter(|word| word.len() >= SHORT) {
            forms.extend(unbase64(word));
            forms.extend(from_hex(word));
        }
        self.secrets.iter().any(|secret| {
            let secret = secret.expose();
            let bare = secret.strip_prefix(b"whsec_").unwrap_or(secret);
            let password = secret.splitn(2, |byte| *byte == b':').nth(1);
            [Some(secret), Some(bare), password].into_iter().flatten().any(|secret| {
                if secret.len() < SHORT {
                    return !secret.is_empty() && forms.iter().any(|form| form.trim_ascii() == secret);
                }
                let encoded = STANDARD_NO_PAD.encode(secret);
                // The last characters of base64 depend on what follows.
                let encoded = &encoded.as_bytes()[..encoded.len() - 2];
                let digits = hex(secret);
                forms.iter().any(|form| memmem::find(form, secret).is_some())
                    || memmem::find(text, encoded).is_some()
                    || memmem::find(&text.to_ascii_lowercase(), digits.as_bytes()).is_some()
            })
        })
    }
}

fn without_backslashes(text: &[u8]) -> Vec<u8> {
    let mut bytes = text.iter();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.extend(if *byte == b'\\' { bytes.next() } else { Some(byte) });
    }
    out
}

/// Whether some provider sends its token in a header of that name.
#[must_use]
pub fn shows_token(name: &HeaderName) -> bool {
    PRESETS.iter().any(|preset| {
        matches!(preset.way, Way::Raw(Some(header)) if header == name.as_str())
            || preset.carries.contains(&name.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{Key, Secret};
    use crate::validate::Options;

    fn validator(kind: &str, secret: &str) -> Validator {
        let secret = Secret::new(secret.into()).expect("not empty");
        let key = Key { id: "k".into(), secret, not_before: None, not_after: None };
        Validator::build(kind, Options::default(), vec![key]).expect("built")
    }

    #[test]
    fn a_secret_is_found_in_every_form() {
        let github = validator("github", "canary\"s/ecret");
        for shown in [
            "canary\"s/ecret",
            "x=canary\"s/ecret.",
            r#"{"a":"canary\"s\/ecret"}"#,
            "a=canary%22s%2Fecret",
            "Y2FuYXJ5InMvZWNyZXQ=",
            "Basic dXNlcjpjYW5hcnkicy9lY3JldA==",
            "63616E6172792273 63616e6172792273 63616e61727922732f6563726574",
        ] {
            assert!(github.is_secret_in(shown.as_bytes()), "{shown}");
        }
        for other in ["", "canary", "canary\"s/ecre", "Y2FuYXJ5", "%", "\\"] {
            assert!(!github.is_secret_in(other.as_bytes()), "{other}");
        }
        let basic = validator("basic", "user:password-of-it");
        assert!(basic.is_secret_in(b"{\"p\":\"password-of-it\"}") && !basic.is_secret_in(b"user"));
        let standard = validator("standard-webhooks", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        assert!(standard.is_secret_in(b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
        let short = validator("github", "abc");
        assert!(short.is_secret_in(b" abc ") && !short.is_secret_in(b"abcd"));
    }
}
