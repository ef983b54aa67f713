//! Any request at all: no validator panics, and none takes what was not signed. `FOREBAY_FUZZ_CASES` says how many
//! requests are made up (for every type each), 300 without it.

use std::sync::LazyLock;

use forebay::event::{Incoming, Millis};
use forebay::validate::doctor::{Case, Known, diagnose};
use forebay::validate::{Source, Validator, Verdict, kinds};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;

use crate::request::{NOW, secret, validator};

static VALIDATORS: LazyLock<Vec<Validator>> =
    LazyLock::new(|| kinds().iter().map(|kind| validator(kind, secret(kind))).collect());

/// Every header that any validator looks at.
static NAMES: LazyLock<Vec<HeaderName>> = LazyLock::new(|| {
    let mut names: Vec<HeaderName> =
        ["content-type", "authorization", "x-hook-secret", "x-signature-ed25519", "x-signature-timestamp"]
            .map(HeaderName::from_static)
            .into();
    let linear = format!("{{\"webhookTimestamp\":{}}}", NOW.0);
    for validator in VALIDATORS.iter() {
        let signed = validator.sign("", linear.as_bytes(), None, NOW).unwrap_or_default();
        names.extend(signed.into_iter().map(|(name, _)| name));
        names.extend(validator.event_type().iter().chain(validator.delivery_id()).filter_map(|source| match source {
            Source::Header(name) => Some(name.clone()),
            Source::Body(_) => None,
        }));
    }
    names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    names.dedup();
    assert!(names.len() > 40);
    names
});

fn value() -> impl Strategy<Value = Vec<u8>> {
    let digest = "(sha256=|sha1=|v0=|v1=|v1,|v1a,|Basic |Bearer |signature=|)[0-9a-f]{0,130}";
    let base64 = "(v1,|v1a,|Basic |)[A-Za-z0-9+/]{0,90}={0,2}";
    let list = "((t=|timestamp=)[0-9]{0,16}[, ])?((v1=|v1,|v0=|v1a,)[0-9a-zA-Z+/=]{0,70}[, ]){0,20}";
    let plain = "[0-9]{1,20}|-?[0-9.]{1,12}|diagnostics:ping|application/(json|x-www-form-urlencoded)|Infinity";
    prop_oneof![
        digest.prop_map(String::into_bytes),
        base64.prop_map(String::into_bytes),
        list.prop_map(String::into_bytes),
        plain.prop_map(String::into_bytes),
        proptest::collection::vec(prop_oneof![32_u8..127, 128_u8..=255], 0..200),
    ]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let json = r#"\{("(type|webhookTimestamp|challenge|event)":("url_verification"|[0-9]{1,16}|-1|1\.5|\{"type":"x"\}|null|\[\])){0,1}\}"#;
    let form = "((payload|[a-z%+]{0,4})(=[a-zA-Z0-9%+]{0,20})?&){0,6}";
    prop_oneof![
        json.prop_map(String::into_bytes),
        form.prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..400),
    ]
}

fn target() -> impl Strategy<Value = String> {
    "(/[a-z%0-9A-F]{0,10}){0,3}(\\?((bodySHA256|x)=[0-9a-f%]{0,66}&){0,3})?|\\PC{0,30}"
}

fn incoming() -> impl Strategy<Value = Incoming> {
    let name = proptest::sample::select(NAMES.clone());
    // Most often each header once, so that the values are read and not refused for being several.
    let headers = proptest::collection::vec((name, value(), prop::bool::weighted(0.1)), 0..60);
    (headers, body(), target()).prop_map(|(headers, body, target)| {
        let mut map = HeaderMap::new();
        for (name, value, again) in headers {
            let Ok(value) = HeaderValue::from_bytes(&value) else { continue };
            if again {
                map.append(name, value);
            } else {
                map.insert(name, value);
            }
        }
        Incoming { method: Method::POST, target, headers: map, body: body.into(), time: NOW, client: None }
    })
}

fn copy(incoming: &Incoming) -> Incoming {
    Incoming {
        method: incoming.method.clone(),
        target: incoming.target.clone(),
        headers: incoming.headers.clone(),
        body: incoming.body.clone(),
        time: incoming.time,
        client: incoming.client,
    }
}

fn cases() -> u32 {
    std::env::var("FOREBAY_FUZZ_CASES").map_or(300, |text| text.parse().expect("a number of cases"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_request_gets_a_verdict(incoming in incoming(), now in prop_oneof![Just(NOW.0), any::<i64>()], query in "\\PC{0,60}") {
        for validator in VALIDATORS.iter() {
            let genuine = matches!(validator.check(copy(&incoming), Millis(now)), Verdict::Genuine(_));
            prop_assert_eq!(genuine, validator.kind() == "none", "{}", validator.kind());
            let _ = validator.challenge(&query);
        }
    }

    #[test]
    fn anything_can_be_signed_or_not(body in body(), url in target(), kind in proptest::option::of("\\PC{0,20}"), now in any::<i64>()) {
        for validator in VALIDATORS.iter() {
            let _ = validator.sign(&url, &body, kind.as_deref(), Millis(now));
        }
    }

    #[test]
    fn any_refusal_has_findings(incoming in incoming(), which in any::<prop::sample::Index>(), whole in any::<bool>()) {
        let topics: Vec<_> = VALIDATORS.iter().map(|validator| Known { topic: validator.kind(), validator }).collect();
        let validator = topics[which.index(topics.len())].validator;
        let found = diagnose(Case { topics: &topics, validator, request: &incoming, whole, now: NOW });
        let kind = validator.kind();
        prop_assert!(!found.is_empty() && !format!("{found:?}").contains(secret(kind)), "{kind}: {found:?}");
        let genuine = found[0].fault == "genuine-now";
        let taken = !matches!(validator.check(copy(&incoming), NOW), Verdict::Refused(..));
        prop_assert_eq!(genuine, taken, "{}: {:?}", kind, found);
    }

    /// A signed request with its headers and body put together anew: deeper than what no signature lets through.
    #[test]
    fn a_signed_request_taken_apart(incoming in incoming(), swap in any::<prop::sample::Index>()) {
        for validator in VALIDATORS.iter() {
            let Ok(signed) = validator.sign(&format!("{}{}", crate::request::ORIGIN, incoming.target), &incoming.body, None, NOW) else { continue };
            let mut own = copy(&incoming);
            let left_out = swap.index(signed.len() + 1);
            for (at, (name, value)) in signed.into_iter().enumerate() {
                if at != left_out {
                    own.headers.insert(name, value.parse().expect("a header value"));
                }
            }
            let _ = validator.check(own, NOW);
        }
    }
}
