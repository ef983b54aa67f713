//! Backstage's plugin tokens: a JSON Web Token (RFC 7519, RFC 7515) signed with ES256 by the plugin that calls, for the plugin
//! that is called.
//!
//! Checked is what Backstage's own `PluginTokenHandler` checks: the type `vnd.backstage.plugin`, the algorithm, the key by its
//! `kid`, the audience, that `iat` and `exp` are there and the time is not over, the form of `sub`; and that the token
//! does not speak for a user (`obo`). Nothing in the token chooses how it is checked: the algorithm is fixed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::Value;

use super::Verified;
use crate::event::{Incoming, Millis};

/// The longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 8 * 1024;

/// The most keys of one plugin: it rotates them about hourly and publishes a few.
const MAX_KEYS: usize = 64;

/// Whom events on the bus are for: the plugin id of Backstage's events service.
const AUDIENCE: &str = "events";

/// Who calls the bus. Only this module and a comparison with a static token make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal(String);

impl Principal {
    /// Whoever holds a static token, by its place in the configuration.
    #[must_use]
    pub fn of_static_token(number: usize) -> Self {
        Self(format!("external:token-{number}"))
    }

    /// As Backstage writes it: `plugin:catalog`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Vouches for a request that this principal has sent.
    #[must_use]
    pub fn vouch(&self, incoming: Incoming) -> Verified {
        Verified { incoming, key: Some(self.0.as_str().into()) }
    }
}

/// Why a token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    /// It is no plugin token at all.
    Illegal,
    /// It is one of a user, or speaks for one.
    User,
    /// It is a plugin token, and not a good one; why, for the log.
    Failed(&'static str),
    /// It names a key that is not among those of the plugin.
    UnknownKey,
}

/// A plugin's public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginKey {
    kid: String,
    /// Uncompressed, as SEC 1 section 2.3.3 writes a point.
    point: [u8; 65],
}

/// Reads a JSON Web Key Set (RFC 7517). Keys of other kinds are left out.
///
/// # Errors
/// In words, when it is none.
pub fn keys(json: &[u8]) -> Result<Vec<PluginKey>, &'static str> {
    let set: Value = serde_json::from_slice(json).map_err(|_| "the key set is no JSON")?;
    let all = set.get("keys").and_then(Value::as_array).ok_or("the key set has no `keys`")?;
    let text = |key: &Value, name: &str| key.get(name).and_then(Value::as_str).map(str::to_owned);
    let one = |key: &Value| {
        let is = |name: &str, wanted: &str| text(key, name).is_some_and(|value| value == wanted);
        if !is("kty", "EC") || !is("crv", "P-256") || text(key, "alg").is_some_and(|alg| alg != "ES256") {
            return None;
        }
        let mut point = [4; 65];
        for (name, at) in [("x", 1), ("y", 33)] {
            point[at..at + 32].copy_from_slice(&decode(&text(key, name)?).filter(|bytes| bytes.len() == 32)?);
        }
        Some(PluginKey { kid: text(key, "kid")?, point })
    };
    Ok(all.iter().filter_map(one).take(MAX_KEYS).collect())
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// What a token says of itself, before it is known to be true.
#[derive(Debug)]
pub struct Claimed<'t> {
    signed: &'t str,
    signature: Vec<u8>,
    kid: String,
    claims: Value,
    plugin: String,
}

impl<'t> Claimed<'t> {
    /// Reads a token as far as it takes to know whose keys to look for.
    ///
    /// # Errors
    /// When it is no plugin token.
    pub fn read(token: &'t str) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN {
            return Err(TokenError::Illegal);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Illegal)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Illegal)?;
        let json = |part: &str| {
            let value: Option<Value> = decode(part).and_then(|bytes| serde_json::from_slice(&bytes).ok());
            value.filter(Value::is_object).ok_or(TokenError::Illegal)
        };
        let (header, claims) = (json(header)?, json(claims)?);
        match header.get("typ").and_then(Value::as_str) {
            Some("vnd.backstage.plugin") => {}
            Some("vnd.backstage.user" | "vnd.backstage.limited-user") => return Err(TokenError::User),
            _ => return Err(TokenError::Illegal),
        }
        if header.get("alg").and_then(Value::as_str) != Some("ES256") {
            return Err(TokenError::Failed("the algorithm is not ES256"));
        }
        if header.get("crit").is_some() {
            return Err(TokenError::Failed("it has critical extensions"));
        }
        let kid = header.get("kid").and_then(Value::as_str).ok_or(TokenError::Failed("it names no key"))?.to_owned();
        let plugin = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
        let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if plugin.is_empty() || plugin.len() > 128 || !plugin.chars().all(good) {
            return Err(TokenError::Failed("the subject is no plugin id"));
        }
        let signature = decode(signature).ok_or(TokenError::Illegal)?;
        Ok(Self { signed, signature, kid, plugin: plugin.to_owned(), claims })
    }

    /// The plugin that says it has signed it.
    #[must_use]
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// Whether it is what it says, by the keys of [`Claimed::plugin`].
    ///
    /// # Errors
    /// When it is not.
    pub fn check(&self, keys: &[PluginKey], now: Millis) -> Result<Principal, TokenError> {
        let key = keys.iter().find(|key| key.kid == self.kid).ok_or(TokenError::UnknownKey)?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.point)
            .verify(self.signed.as_bytes(), &self.signature)
            .map_err(|_| TokenError::Failed("the signature is wrong"))?;
        let audience = match self.claims.get("aud") {
            Some(Value::String(one)) => one == AUDIENCE,
            Some(Value::Array(all)) => all.iter().any(|one| one == AUDIENCE),
            _ => false,
        };
        if !audience {
            return Err(TokenError::Failed("it is for another plugin"));
        }
        let seconds = |name: &str| self.claims.get(name).and_then(Value::as_f64);
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a date fit")]
        let now = now.0 as f64 / 1000.0;
        if seconds("iat").is_none() {
            return Err(TokenError::Failed("it does not say when it was issued"));
        }
        if seconds("exp").is_none_or(|until| until <= now) {
            return Err(TokenError::Failed("it has expired, or never does"));
        }
        if self.claims.get("nbf").is_some() && seconds("nbf").is_none_or(|from| from > now) {
            return Err(TokenError::Failed("it is not valid yet"));
        }
        if self.claims.get("obo").is_some_and(|user| !user.is_null()) {
            return Err(TokenError::User);
        }
        Ok(Principal(format!("plugin:{}", self.plugin)))
    }
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    use serde_json::json;

    use super::*;

    const NOW: Millis = Millis(1_800_000_000_000);

    struct Plugin {
        pair: EcdsaKeyPair,
        random: SystemRandom,
    }

    impl Plugin {
        fn new() -> Self {
            let random = SystemRandom::new();
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random);
            Self { pair: pair.expect("a key"), random }
        }

        fn set(&self, kid: &str) -> Vec<PluginKey> {
            let point = self.pair.public_key().as_ref();
            let [x, y] = [&point[1..33], &point[33..65]].map(|part| URL_SAFE_NO_PAD.encode(part));
            let other = json!({ "kty": "RSA", "kid": kid, "n": "AQAB", "e": "AQAB" });
            let set =
                json!({ "keys": [other, { "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid, "alg": "ES256" }] });
            keys(set.to_string().as_bytes()).expect("a key set")
        }

        fn sign(&self, header: &Value, claims: &Value) -> String {
            let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
            let signature = self.pair.sign(&self.random, signed.as_bytes()).expect("signed");
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
        }
    }

    fn header() -> Value {
        json!({ "typ": "vnd.backstage.plugin", "alg": "ES256", "kid": "one" })
    }

    fn claims() -> Value {
        json!({ "sub": "catalog", "aud": "events", "iat": 1_799_999_990, "exp": 1_800_003_600 })
    }

    fn with(mut value: Value, name: &str, to: Value) -> Value {
        if to.is_null() {
            value.as_object_mut().expect("an object").remove(name);
        } else {
            value[name] = to;
        }
        value
    }

    fn check(token: &str, keys: &[PluginKey]) -> Result<Principal, TokenError> {
        Claimed::read(token)?.check(keys, NOW)
    }

    #[test]
    fn a_good_token_is_believed_and_nothing_else() {
        let (plugin, other) = (Plugin::new(), Plugin::new());
        let keys = plugin.set("one");
        assert_eq!(keys.len(), 1);
        let good = plugin.sign(&header(), &claims());
        assert_eq!(check(&good, &keys).map(|who| who.0), Ok("plugin:catalog".to_owned()));
        let many = plugin.sign(&header(), &with(claims(), "aud", json!(["search", "events"])));
        assert!(check(&many, &keys).is_ok());
        let failed: [(Value, Value); 15] = [
            (header(), with(claims(), "aud", json!("catalog"))),
            (header(), with(claims(), "aud", json!(["search"]))),
            (header(), with(claims(), "aud", Value::Null)),
            (header(), with(claims(), "exp", json!(1_800_000_000))),
            (header(), with(claims(), "exp", Value::Null)),
            (header(), with(claims(), "exp", json!("never"))),
            (header(), with(claims(), "iat", Value::Null)),
            (header(), with(claims(), "nbf", json!(1_800_000_001))),
            (header(), with(claims(), "sub", json!("../admin"))),
            (header(), with(claims(), "sub", json!(""))),
            (header(), with(claims(), "sub", Value::Null)),
            (with(header(), "alg", json!("none")), claims()),
            (with(header(), "alg", json!("HS256")), claims()),
            (with(header(), "kid", Value::Null), claims()),
            (with(header(), "crit", json!(["b64"])), claims()),
        ];
        for (header, claims) in failed {
            let got = check(&plugin.sign(&header, &claims), &keys);
            assert!(matches!(got, Err(TokenError::Failed(_))), "{header} {claims}: {got:?}");
        }
        let forged = other.sign(&header(), &claims());
        assert_eq!(check(&forged, &keys), Err(TokenError::Failed("the signature is wrong")));
        let unknown = plugin.sign(&with(header(), "kid", json!("two")), &claims());
        assert_eq!(check(&unknown, &keys), Err(TokenError::UnknownKey));
        let user = plugin.sign(&header(), &with(claims(), "obo", json!("a-user-token")));
        assert_eq!(check(&user, &keys), Err(TokenError::User));
        let user = plugin.sign(&with(header(), "typ", json!("vnd.backstage.user")), &claims());
        assert_eq!(check(&user, &keys), Err(TokenError::User));
        for typ in [json!("JWT"), Value::Null, json!(1)] {
            let token = plugin.sign(&with(header(), "typ", typ), &claims());
            assert_eq!(check(&token, &keys), Err(TokenError::Illegal));
        }
    }

    #[test]
    fn a_changed_token_is_not_believed() {
        let plugin = Plugin::new();
        let keys = plugin.set("one");
        let good = plugin.sign(&header(), &claims());
        for at in 0..good.len() {
            let mut bad = good.clone().into_bytes();
            bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
            let bad = String::from_utf8(bad).expect("ASCII");
            assert!(check(&bad, &keys).is_err(), "changed at {at}");
            assert!(check(&good[..at], &keys).is_err(), "cut at {at}");
        }
        for odd in ["", ".", "..", "a.b.c", "a.b.c.d", &"x".repeat(MAX_TOKEN + 1)] {
            assert_eq!(check(odd, &keys), Err(TokenError::Illegal));
        }
        for bad in ["", "{}", "[]", r#"{"keys":1}"#] {
            assert!(super::keys(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(super::keys(br#"{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA","kid":"a"},1]}"#), Ok(vec![]));
    }
}
