//! Signing and checking are one scheme: what is signed is genuine, and one bit of difference is not.

use forebay::secret::Key;
use forebay::validate::{Source, Validator, Verdict, kinds};
use http::HeaderValue;
use proptest::prelude::*;

use crate::request::{NOW, ORIGIN, key, options, post, verdict};

const TARGET: &str = "/api/events/http/t?x=1";

fn url() -> String {
    format!("{ORIGIN}{TARGET}")
}

fn body(kind: &'static str) -> BoxedStrategy<Vec<u8>> {
    match kind {
        "linear" => {
            "[a-z]{0,40}".prop_map(|text| format!("{{\"webhookTimestamp\":{},\"x\":\"{text}\"}}", NOW.0).into()).boxed()
        }
        "twilio" => "[a-z]{1,9}=[a-z0-9]{1,9}(&[a-z]{1,9}=[a-z0-9]{1,9}){0,5}".prop_map(Into::into).boxed(),
        _ => proptest::collection::vec(any::<u8>(), 1..300).boxed(),
    }
}

fn secret(kind: &'static str) -> BoxedStrategy<String> {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    match kind {
        "standard-webhooks" | "svix" | "gitlab-signed" => {
            (any::<bool>(), proptest::collection::vec(any::<u8>(), 24..65))
                .prop_map(|(named, bytes)| format!("{}{}", if named { "whsec_" } else { "" }, STANDARD.encode(bytes)))
                .boxed()
        }
        "basic" | "azure-devops" => "[!-9;-~]{1,20}:[!-~]{1,80}".boxed(),
        _ => "[!-~]{1,150}".boxed(),
    }
}

fn case() -> impl Strategy<Value = (&'static str, String, Vec<u8>)> {
    let able: Vec<&'static str> = kinds().iter().copied().filter(|kind| !matches!(*kind, "none" | "discord")).collect();
    assert!(able.len() > 30);
    proptest::sample::select(able).prop_flat_map(|kind| (Just(kind), secret(kind), body(kind)))
}

fn build(kind: &str, secret: &[u8]) -> Option<Validator> {
    Validator::build(kind, options(kind), vec![key("k", secret)]).ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_signed_is_genuine_and_nothing_near_it((kind, secret, body) in case(), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let validator = build(kind, secret.as_bytes()).expect("built");
        let sent = validator.sign(&url(), &body, Some("push"), NOW).expect("signed");
        let headers: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        match validator.check(post(TARGET, &headers, body.clone()), NOW) {
            Verdict::Genuine(verified) => prop_assert_eq!(verified.key(), Some("k")),
            other => prop_assert!(false, "{} {:?}", kind, other),
        }

        if !validator.is_token() {
            let mut flipped = body.clone();
            flipped[at.index(body.len())] ^= 1 << bit;
            prop_assert_ne!(verdict(&validator, post(TARGET, &headers, flipped)), "genuine", "{} body", kind);
        }

        // Bit 5 is the case of a letter, which means nothing in hexadecimal and in the name of an HTTP scheme.
        if bit != 5 {
            let mut value = sent[0].1.clone().into_bytes();
            let place = at.index(value.len());
            value[place] ^= 1 << bit;
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                let mut incoming = post(TARGET, &headers, body.clone());
                incoming.headers.insert(&sent[0].0, value);
                prop_assert_ne!(verdict(&validator, incoming), "genuine", "{} signature", kind);
            }
        }

        let mut other = secret.clone().into_bytes();
        other[at.index(secret.len())] ^= 1 << bit;
        if let Some(other) = build(kind, &other) {
            prop_assert_ne!(verdict(&other, post(TARGET, &headers, body)), "genuine", "{} key", kind);
        }
    }
}

/// What a provider says in headers beside its signature is said when signing for it.
#[test]
fn type_and_delivery_id_are_sent_where_the_provider_does() {
    let mut typed = 0;
    for kind in kinds().iter().filter(|kind| !matches!(**kind, "discord" | "linear")) {
        let secret = crate::request::secret(kind);
        let validator = crate::request::validator(kind, secret);
        let sent = |at: i64| validator.sign(&url(), b"", Some("push"), forebay::event::Millis(at)).expect("signed");
        let (one, two) = (sent(NOW.0), sent(NOW.0));
        for (sources, fresh) in [(validator.event_type(), false), (validator.delivery_id(), true)] {
            let Some(name) = sources.iter().find_map(|source| match source {
                Source::Header(name) => Some(name),
                Source::Body(_) => None,
            }) else {
                continue;
            };
            let value = |sent: &[(http::HeaderName, String)]| {
                let mut found = sent.iter().filter(|(known, _)| known == name);
                let value = found.next().map(|(_, value)| value.clone());
                assert!(found.next().is_none(), "{kind} {name}");
                value.unwrap_or_else(|| panic!("{kind} {name}"))
            };
            if fresh {
                assert_ne!(value(&one), value(&two), "{kind}");
            } else {
                assert_eq!(value(&one), "push", "{kind}");
                typed += 1;
            }
        }
    }
    assert!(typed > 8);
}

#[test]
fn linear_wants_its_timestamp_in_the_body() {
    let linear = crate::request::validator("linear", "x");
    let error = linear.sign("", b"{}", None, NOW).expect_err("nothing to sign");
    assert!(error.contains("/webhookTimestamp"), "{error}");
}

/// While secrets overlap, a receiver that knows either takes it; where the header has room for one, it is the first's.
#[test]
fn every_valid_secret_signs_where_there_is_room() {
    let secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAA"];
    for (kind, several) in [("standard-webhooks", true), ("stripe", true), ("circleci", true), ("github", false)] {
        let one =
            |secret: &str| Validator::build(kind, options(kind), vec![key("k", secret.as_bytes())]).expect("built");
        let expired = Key { not_after: Some(NOW), ..key("old", b"whsec_BBBB") };
        let both = secrets.iter().map(|secret| key("k", secret.as_bytes()));
        let both = Validator::build(kind, options(kind), [expired].into_iter().chain(both).collect()).expect("built");
        let sent = both.sign(&url(), b"{}", None, NOW).expect("signed");
        let headers: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let takes = |secret| verdict(&one(secret), post(TARGET, &headers, b"{}")) == "genuine";
        assert_eq!((takes(secrets[0]), takes(secrets[1])), (true, several), "{kind} {}", headers[0].1);
        assert!(!takes("whsec_BBBB"), "{kind}");
    }
}
