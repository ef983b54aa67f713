//! Signing what goes out: Standard Webhooks 1.0, symmetric signatures.
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>: HMAC-SHA256 over
//! `{id}.{timestamp}.{body}` with the bytes that the base64 after `whsec_` stands for; `v1,` and base64; the
//! signatures of several keys separated by a space, so that a receiver may know any of them.

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::hmac;

use crate::event::Millis;
use crate::secret::{Key, Secret};

/// Padding is optional: some generators of secrets leave it out.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What one secret is made into once.
struct Prepared {
    key: Key,
    schedule: hmac::Key,
}

/// The keys of a sink.
pub(super) struct Signer(Vec<Prepared>);

impl Signer {
    /// Prepares the keys. The error is the id of a key whose secret is not base64, with or without `whsec_`.
    pub(super) fn new(keys: &[Key]) -> Result<Self, String> {
        keys.iter()
            .map(|key| {
                let schedule = schedule(&key.secret).ok_or_else(|| key.id.clone())?;
                Ok(Prepared { key: key.clone(), schedule })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether nothing is signed.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of `webhook-signature`; `None` when no key is valid at that moment.
    pub(super) fn sign(&self, id: &str, now: Millis, body: &[u8]) -> Option<String> {
        let timestamp = now.seconds().to_string();
        let mut all = String::new();
        for prepared in self.0.iter().filter(|prepared| prepared.key.valid_at(now)) {
            let mut context = hmac::Context::with_key(&prepared.schedule);
            for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
                context.update(part);
            }
            all.push_str(if all.is_empty() { "v1," } else { " v1," });
            STANDARD.encode_string(context.sign(), &mut all);
        }
        (!all.is_empty()).then_some(all)
    }
}

fn schedule(secret: &Secret) -> Option<hmac::Key> {
    let text = secret.expose();
    let text = text.strip_prefix(b"whsec_").unwrap_or(text);
    let bytes = zeroize::Zeroizing::new(LENIENT.decode(text).ok()?);
    (!bytes.is_empty()).then(|| hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str, not_after: Option<i64>) -> Key {
        Key {
            id: "k".into(),
            secret: Secret::new(text.into()).expect("a secret"),
            not_before: None,
            not_after: not_after.map(Millis),
        }
    }

    /// The example of the standard's own libraries.
    #[test]
    fn the_published_example() {
        let signer = Signer::new(&[key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", None)]).expect("a key");
        let signature =
            signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", Millis(1_614_265_330_000), br#"{"test": 2432232314}"#);
        assert_eq!(signature.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    }

    #[test]
    fn every_valid_key_signs() {
        let signer = Signer::new(&[key("whsec_AAAA", Some(1_000)), key("BBBB", None)]).expect("two keys");
        let at = |now| signer.sign("id", Millis(now), b"x").expect("a signature");
        let both = at(0);
        let (old, new) = both.split_once(' ').expect("two");
        assert!(old.starts_with("v1,") && new.starts_with("v1,") && old != new);
        assert_eq!(at(999), both, "the same second");
        assert!(!at(1_000).contains(' '));
        let expired = Signer::new(&[key("AAAA", Some(5))]).expect("a key");
        assert_eq!(expired.sign("id", Millis(5), b"x"), None);
    }

    #[test]
    fn a_secret_that_is_not_base64_is_named_by_its_id() {
        for bad in ["whsec_", "whsec_!!!!", "not base64"] {
            assert_eq!(Signer::new(&[key(bad, None)]).err().as_deref(), Some("k"), "{bad}");
        }
        assert!(Signer::new(&[key("whsec_YWJjZA", None)]).is_ok(), "padding is optional");
    }
}
