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

/// A text in all the forms in which a secret may stand in it.
#[derive(Debug)]
pub struct Readings {
    /// The text, without the escapes of JSON and of forms, and what its words stand for in base64 and hexadecimal; with a zero
    /// byte between them.
    all: Vec<u8>,
    /// The text in lower case.
    lower: Vec<u8>,
}

impl Readings {
    /// Reads it once, for any number of validators. Takes a while: for what is shown to people, not for what comes in.
    #[must_use]
    pub fn of(text: &[u8]) -> Self {
        let mut all = text.to_vec();
        let mut add = |form: &[u8]| {
            all.push(0);
            all.extend_from_slice(form);
        };
        if text.contains(&b'\\') {
            add(&without_backslashes(text));
        }
        if let Some(plain) = unescape(text) {
            add(&plain);
        }
        // What is decoded may be a part of a longer word, such as a password behind its user.
        let word = |byte: &u8| !(byte.is_ascii_alphanumeric() || b"+/-_".contains(byte));
        for word in text.split(word).filter(|word| word.len() >= SHORT) {
            for form in [unbase64(word), from_hex(word)].into_iter().flatten() {
                add(&form);
            }
        }
        Self { all, lower: text.to_ascii_lowercase() }
    }

    fn hold(&self, secret: &[u8]) -> bool {
        if secret.len() < SHORT {
            return !secret.is_empty() && self.all.split(|byte| *byte == 0).any(|form| form.trim_ascii() == secret);
        }
        let encoded = STANDARD_NO_PAD.encode(secret);
        // The last characters of base64 depend on what follows.
        let encoded = &encoded.as_bytes()[..encoded.len() - 2];
        memmem::find(&self.all, secret).is_some()
            || memmem::find(&self.all, encoded).is_some()
            || memmem::find(&self.lower, hex(secret).as_bytes()).is_some()
    }
}

impl Validator {
    /// Whether one of the topic's secrets is in a text: as it is, in base64 or hexadecimal, or behind the escapes of JSON or of
    /// forms.
    #[must_use]
    pub fn is_secret_in(&self, text: &Readings) -> bool {
        self.secrets.iter().any(|secret| {
            let secret = secret.expose();
            let bare = secret.strip_prefix(b"whsec_");
            let password = secret.splitn(2, |byte| *byte == b':').nth(1);
            [Some(secret), bare, password].into_iter().flatten().any(|secret| text.hold(secret))
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
        let is_in = |validator: &Validator, text: &str| validator.is_secret_in(&Readings::of(text.as_bytes()));
        for shown in [
            "canary\"s/ecret",
            "x=canary\"s/ecret.",
            r#"{"a":"canary\"s\/ecret"}"#,
            "a=canary%22s%2Fecret",
            "Y2FuYXJ5InMvZWNyZXQ=",
            "Basic dXNlcjpjYW5hcnkicy9lY3JldA==",
            "63616E6172792273 63616e6172792273 63616e61727922732f6563726574",
        ] {
            assert!(is_in(&github, shown), "{shown}");
        }
        for other in ["", "canary", "canary\"s/ecre", "Y2FuYXJ5", "%", "\\"] {
            assert!(!is_in(&github, other), "{other}");
        }
        let basic = validator("basic", "user:password-of-it");
        assert!(is_in(&basic, "{\"p\":\"password-of-it\"}") && !is_in(&basic, "user"));
        let standard = validator("standard-webhooks", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        assert!(is_in(&standard, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
        let short = validator("github", "abc");
        assert!(is_in(&short, " abc ") && !is_in(&short, "abcd"));
    }
}
