//! Signatures as providers publish them, and as their documentation says they are made, good ones and bad ones: every
//! vector of `fixtures/signatures.json` through a validator that is built as the configuration would.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use forebay::event::{Incoming, Millis};
use forebay::secret::{Key, Secret};
use forebay::validate::doctor::{Case, Known, diagnose};
use forebay::validate::{Options, Validator, Verdict, kinds};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

/// So many vectors there are; a lost one would otherwise be noticed by nobody.
const COUNT: usize = 93;

/// Types for which somebody else's computation exists; the others' vectors are derived from the documentation.
const PUBLISHED: [&str; 10] = [
    "bitbucket-cloud",
    "circleci",
    "convoy",
    "convoy-advanced",
    "github",
    "jira",
    "slack",
    "square",
    "standard-webhooks",
    "svix",
];

fn vectors() -> Vec<Value> {
    let all: Vec<Value> = serde_json::from_str(include_str!("fixtures/signatures.json")).expect("a list of vectors");
    assert_eq!(all.len(), COUNT);
    all
}

fn text<'v>(vector: &'v Value, key: &str) -> Option<&'v str> {
    vector.get(key).and_then(Value::as_str)
}

fn keys(vector: &Value) -> Vec<Key> {
    let extra = vector.get("extra_secrets").and_then(Value::as_array).into_iter().flatten();
    std::iter::once(&vector["secret"])
        .chain(extra)
        .enumerate()
        .map(|(at, secret)| Key {
            id: format!("k{at}"),
            secret: Secret::new(secret.as_str().expect("a secret").into()).expect("not empty"),
            not_before: None,
            not_after: None,
        })
        .collect()
}

fn headers(vector: &Value) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in vector["headers"].as_object().expect("headers") {
        let name: HeaderName = name.parse().expect("a header name");
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        for value in values {
            let value = HeaderValue::from_str(value.as_str().expect("a value")).expect("a header value");
            headers.append(name.clone(), value);
        }
    }
    headers
}

fn request(vector: &Value) -> (Validator, Incoming, Millis) {
    let url = text(vector, "url").unwrap_or("https://hooks.example.com/api/events/http/x");
    let path = url.find("://").and_then(|at| url[at + 3..].find('/').map(|path| at + 3 + path)).expect("a path");
    let options = Options { public_url: Some(url[..path].to_owned()), ..Options::default() };
    let kind = text(vector, "validator").expect("a type");
    let validator = Validator::build(kind, options, keys(vector)).expect("built");
    let body = match (text(vector, "body"), text(vector, "body_base64")) {
        (Some(body), None) => Bytes::copy_from_slice(body.as_bytes()),
        (None, Some(encoded)) => STANDARD.decode(encoded).expect("base64").into(),
        other => panic!("{other:?}"),
    };
    let now = Millis(vector.get("now").map_or(1_700_000_000, |now| now.as_i64().expect("seconds")) * 1000);
    let incoming = Incoming {
        method: http::Method::POST,
        target: url[path..].to_owned(),
        headers: headers(vector),
        body,
        time: now,
        client: None,
    };
    (validator, incoming, now)
}

#[test]
fn every_vector_is_judged_right() {
    for vector in vectors() {
        let id = text(&vector, "id").expect("an id");
        let valid = vector["valid"].as_bool().expect("a verdict");
        let (validator, incoming, now) = request(&vector);
        let body = incoming.body.clone();
        match (validator.check(incoming, now), id) {
            (Verdict::Handshake(reply), "bitbucket-dc-neg-ping-unsigned") => assert_eq!(reply.status, 200),
            (Verdict::Handshake(reply), "discord-ok") => assert_eq!(&*reply.body, b"{\"type\":1}"),
            (Verdict::Genuine(verified), _) => {
                assert!(valid, "{id} was taken");
                assert_eq!(verified.incoming().body, body, "{id}");
                let key = if vector.get("extra_secrets").is_some() { "k1" } else { "k0" };
                assert_eq!(verified.key(), Some(key), "{id}");
            }
            (Verdict::Refused(rejection, _), _) => {
                assert!(!valid, "{id} was refused: {rejection:?}");
                let secret = text(&vector, "secret").expect("a secret");
                assert!(secret == "secret" || !rejection.reason.contains(secret), "{id}: {rejection:?}");
            }
            (other, _) => panic!("{id}: {other:?}"),
        }
    }
}

#[test]
fn every_refusal_is_refused_for_its_reason() {
    let labels = [
        ("github-neg-tampered", "mismatch"),
        ("github-neg-missing-header", "missing"),
        ("github-neg-prefix-only", "empty"),
        ("github-neg-sha1-prefix-sha256-digest", "malformed"),
        ("github-neg-sha1-only", "missing"),
        ("github-neg-truncated", "malformed"),
        ("github-neg-extended", "malformed"),
        ("github-neg-nul-digest", "mismatch"),
        ("gitlab-token-neg-empty", "empty"),
        ("gitlab-token-neg-suffix", "mismatch"),
        ("stdwh-neg-stale", "stale"),
        ("stdwh-neg-v2-only", "malformed"),
        ("stdwh-neg-id-swapped", "mismatch"),
        ("stdwh-neg-secret-as-utf8", "mismatch"),
        ("stdwh-ed25519-neg-tampered", "mismatch"),
        ("slack-neg-stale", "stale"),
        ("stripe-neg-no-t", "malformed"),
        ("stripe-neg-base64-key", "mismatch"),
        ("linear-neg-stale", "stale"),
        ("azuredevops-neg-missing", "missing"),
    ];
    let vectors = vectors();
    for (id, want) in labels {
        let vector = vectors.iter().find(|vector| text(vector, "id") == Some(id)).expect(id);
        let (validator, incoming, now) = request(vector);
        let Verdict::Refused(rejection, _) = validator.check(incoming, now) else { panic!("{id} was taken") };
        assert_eq!(rejection.label, want, "{id}: {rejection:?}");
    }
}

#[test]
fn every_refusal_has_its_fault_named() {
    let faults = [
        ("github-neg-tampered", "no-match"),
        ("github-neg-missing-header", "missing-signature"),
        ("github-neg-sha1-prefix-sha256-digest", "signature-prefix"),
        ("github-neg-form-json-signed", "form-payload-signed"),
        ("github-neg-base64", "signature-encoding"),
        ("bitbucket-cloud-neg-bare-hex", "signature-prefix"),
        ("stdwh-neg-stale", "stale-timestamp"),
        ("stdwh-neg-secret-as-utf8", "secret-as-text"),
        ("stdwh-ed25519-neg-stale", "stale-timestamp"),
        ("gitea-neg-prefixed", "signature-prefix"),
        ("azuredevops-neg-missing", "missing-token"),
        ("slack-neg-stale", "stale-timestamp"),
        ("stripe-neg-stale", "stale-timestamp"),
        ("shopify-neg-hex", "signature-encoding"),
        ("shopify-neg-unpadded", "unreadable"),
        ("linear-neg-stale", "stale-timestamp"),
        ("convoy-advanced-neg-expired", "stale-timestamp"),
    ];
    for vector in vectors() {
        let id = text(&vector, "id").expect("an id");
        let (validator, request, now) = request(&vector);
        let topics = [Known { topic: "x", validator: &validator }];
        let found = diagnose(Case { topics: &topics, validator: &validator, request: &request, whole: true, now });
        let first = found.first().unwrap_or_else(|| panic!("{id}: nothing is said")).fault;
        let taken = vector["valid"].as_bool() == Some(true) || id == "bitbucket-dc-neg-ping-unsigned";
        assert_eq!(taken, first == "genuine-now", "{id}: {found:?}");
        if let Some((_, want)) = faults.iter().find(|(known, _)| *known == id) {
            assert_eq!(found.iter().map(|finding| finding.fault).collect::<Vec<_>>(), [*want], "{id}: {found:?}");
        }
        let secret = text(&vector, "secret").expect("a secret");
        assert!(secret.len() < 8 || !format!("{found:?}").contains(secret), "{id}: {found:?}");
    }
}

#[test]
fn every_type_with_a_vector_is_a_type() {
    let all: BTreeSet<String> =
        vectors().iter().map(|vector| text(vector, "validator").expect("a type").to_owned()).collect();
    assert!(all.iter().all(|kind| kinds().contains(&kind.as_str())), "{all:?}");
    let published: BTreeSet<String> = vectors()
        .iter()
        .filter(|vector| vector["published"] == true)
        .map(|vector| text(vector, "validator").expect("a type").to_owned())
        .collect();
    let want: BTreeSet<String> = PUBLISHED.iter().chain(&["twilio"]).map(|kind| (*kind).to_owned()).collect();
    assert_eq!(published, want);
}
