//! From secrets to keys, made once when the validator is built.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, general_purpose};
use ring::signature::{ED25519, UnparsedPublicKey};
use zeroize::Zeroizing;

use super::{BuildError, KeyForm, Scheme};
use crate::secret::Key;

/// Secrets come with their padding and without.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    general_purpose::NO_PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A secret with what it stands for.
#[derive(Debug)]
pub(super) struct Held {
    /// Kept for its time window.
    pub(super) key: Key,
    pub(super) id: Arc<str>,
    pub(super) material: Material,
}

/// What checks: an HMAC key with its two inner states already computed, or a public key. Never one as the other.
pub(super) enum Material {
    Hmac(ring::hmac::Key),
    Ed25519(UnparsedPublicKey<[u8; 32]>),
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hmac(_) => "[hmac key]",
            Self::Ed25519(_) => "[ed25519 key]",
        })
    }
}

impl Held {
    pub(super) fn new(scheme: &Scheme<'_>, key: Key) -> Result<Self, BuildError> {
        let material = material(scheme, &key).map_err(|(message, hint)| {
            BuildError::new("secret", format!("the secret `{}` {message}", key.id)).hint(hint)
        })?;
        Ok(Self { id: key.id.as_str().into(), material, key })
    }
}

/// How many bytes the HMAC key has that a secret of Standard Webhooks stands for: base64, with or without `whsec_` before
/// it. `None` where it is not that, or no byte.
#[must_use]
pub fn key_length(secret: &[u8]) -> Option<usize> {
    symmetric(secret).ok().map(|key| key.len())
}

fn symmetric(secret: &[u8]) -> Result<Zeroizing<Vec<u8>>, Problem> {
    decoded(secret.strip_prefix(b"whsec_").unwrap_or(secret))
}

/// The problem and what to do about it, neither with a byte of the secret.
type Problem = (&'static str, &'static str);

fn material(scheme: &Scheme<'_>, key: &Key) -> Result<Material, Problem> {
    let secret = key.secret.expose();
    let hmac = |bytes: &[u8]| Material::Hmac(ring::hmac::Key::new(scheme.algorithm.hmac(), bytes));
    match scheme.key {
        KeyForm::Bytes => Ok(hmac(secret)),
        KeyForm::Base64 if secret.starts_with(b"whsk_") => {
            Err(("is a private signing key", "here the public key belongs, which begins with `whpk_`"))
        }
        KeyForm::Base64 => match secret.strip_prefix(b"whpk_") {
            Some(_) if scheme.list.is_none_or(|list| list.ed25519.is_none()) => {
                Err(("is a public key, which this provider does not use", "take the secret that begins with `whsec_`"))
            }
            Some(encoded) => ed25519(&decoded(encoded)?),
            None => Ok(hmac(&symmetric(secret)?)),
        },
        KeyForm::HexPublic => {
            let mut bytes = [0; 32];
            if unhex(secret, &mut bytes) {
                ed25519(&bytes)
            } else {
                Err(("is not 64 hexadecimal digits", "take the application's public key"))
            }
        }
    }
}

fn decoded(text: &[u8]) -> Result<Zeroizing<Vec<u8>>, Problem> {
    match LENIENT.decode(text) {
        Ok(bytes) if bytes.is_empty() => {
            Err(("is empty after its prefix", "take the whole secret, as the provider shows it"))
        }
        Ok(bytes) => Ok(Zeroizing::new(bytes)),
        Err(_) => Err(("is not base64", "take the whole secret as the provider shows it, such as `whsec_...`")),
    }
}

fn ed25519(bytes: &[u8]) -> Result<Material, Problem> {
    let bytes = bytes.try_into().map_err(|_| ("is not an Ed25519 public key", "it has 32 bytes"))?;
    Ok(Material::Ed25519(UnparsedPublicKey::new(&ED25519, bytes)))
}

/// Reads exactly as many bytes as `out` has from hexadecimal text of either case.
pub(crate) fn unhex(text: &[u8], out: &mut [u8]) -> bool {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    };
    text.len() == out.len() * 2
        && text.chunks_exact(2).zip(out).all(|(pair, byte)| match (nibble(pair[0]), nibble(pair[1])) {
            (Some(high), Some(low)) => {
                *byte = high << 4 | low;
                true
            }
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_is_read_exactly() {
        let mut out = [0; 3];
        assert!(unhex(b"00fFa9", &mut out));
        assert_eq!(out, [0x00, 0xff, 0xa9]);
        for bad in ["", "00", "00ff", "00ffa", "00ffa900", "00ffag", "00 ffa", "+0ffa9", "0x00ff"] {
            assert!(!unhex(bad.as_bytes(), &mut out), "{bad:?}");
        }
    }
}
