//! What a validator's table may say, and what is said about one that is wrong.

use std::time::Duration;

use forebay::json::Pointer;
use forebay::secret::Secret;
use forebay::validate::{Algorithm, BuildError, Encoding, Options, Source, Validator, kinds};
use http::HeaderName;

use crate::request::{key, options, secret};

const CANARY: &str = "canary:in_the_coal_mine!";

fn errors(kind: &str, options: Options, secrets: &[&str]) -> Vec<BuildError> {
    let keys = secrets.iter().map(|secret| key("k", secret.as_bytes())).collect();
    Validator::build(kind, options, keys).err().unwrap_or_default()
}

fn about(kind: &str, options: Options, secrets: &[&str]) -> Vec<&'static str> {
    errors(kind, options, secrets).into_iter().map(|error| error.key).collect()
}

fn header(name: &'static str) -> Source {
    Source::Header(HeaderName::from_static(name))
}

fn body(pointer: &str) -> Source {
    Source::Body(Pointer::parse(pointer).expect("a pointer"))
}

#[test]
fn every_type_builds_from_the_least_there_is_to_say() {
    assert!(kinds().len() > 30);
    for kind in kinds() {
        let secrets = [secret(kind)];
        let secrets: &[&str] = if *kind == "none" { &[] } else { &secrets };
        assert_eq!(errors(kind, options(kind), secrets), [], "{kind}");
    }
}

#[test]
fn every_type_but_none_needs_a_secret() {
    for kind in kinds() {
        let want: &[&str] = if *kind == "none" { &[] } else { &["secret"] };
        assert_eq!(about(kind, options(kind), &[]), want, "{kind}");
    }
    assert_eq!(about("none", Options::default(), &["x"]), ["secret"]);
}

#[test]
fn a_wrong_type_gets_a_suggestion() {
    for (kind, hint) in [("githb", "`github`"), ("bitbucket", "`bitbucket-"), ("hmac256", "`hmac`"), ("xyz", "one of")]
    {
        let errors = errors(kind, Options::default(), &["x"]);
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].key, "type");
        assert!(errors[0].hint.as_deref().is_some_and(|text| text.contains(hint)), "{errors:?}");
    }
}

#[test]
fn what_a_preset_does_not_take_is_refused_by_name() {
    let all = || Options {
        header: Some(HeaderName::from_static("x-mine")),
        algorithm: Some(Algorithm::Sha1),
        encoding: Some(Encoding::Base64),
        prefix: Some(String::new()),
        signed: Some("{body}".to_owned()),
        timestamp: Some(header("x-time")),
        id: Some(header("x-id")),
        tolerance: Some(Duration::from_secs(1)),
        user: Some("u".to_owned()),
        verify_token: Some(Secret::new(b"v".to_vec()).expect("not empty")),
        public_url: None,
    };
    let most =
        ["header", "algorithm", "encoding", "prefix", "signed", "timestamp", "id", "tolerance", "user", "verify_token"];
    let table: [(&str, &[&str]); 5] = [
        ("github", &[]),
        ("stripe", &["tolerance"]),
        ("meta", &["verify_token"]),
        ("convoy", &["header", "algorithm", "encoding"]),
        ("gerrit", &["header"]),
    ];
    for (kind, takes) in table {
        let mut want = most.to_vec();
        want.retain(|key| !takes.contains(key));
        assert_eq!(about(kind, all(), &["x"]), want, "{kind}");
    }
}

#[test]
fn a_url_that_is_signed_has_to_be_known() {
    for kind in ["twilio", "square", "hubspot"] {
        let built = errors(kind, Options::default(), &["x"]);
        assert_eq!(built.len(), 1, "{kind}: {built:?}");
        assert_eq!(built[0].key, "public_url");
        assert!(built[0].hint.is_some());
        for bad in ["hooks.example.com", "https://", "https://h/path", "ftp://h", "https://h?x"] {
            let options = Options { public_url: Some(bad.to_owned()), ..Options::default() };
            assert_eq!(about(kind, options, &["x"]), ["public_url"], "{kind} {bad}");
        }
    }
}

#[test]
fn a_secret_in_the_wrong_form_is_not_quoted() {
    let table = [
        ("standard-webhooks", CANARY),
        ("svix", "whsec_canary!"),
        ("svix", "whsec_"),
        ("gitlab-signed", "whsec_canary"),
        ("gitlab-signed", "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="),
        ("standard-webhooks", "whpk_Y2FuYXJ5"),
        ("standard-webhooks", "whsk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="),
        ("discord", "canary"),
        ("discord", "zz5a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
        ("basic", "canary"),
        ("azure-devops", "canary"),
    ];
    for (kind, secret) in table {
        let errors = errors(kind, Options::default(), &[secret]);
        assert_eq!(errors.len(), 1, "{kind} {secret}: {errors:?}");
        assert_eq!(errors[0].key, "secret");
        assert!(errors[0].message.contains("`k`") && errors[0].hint.is_some(), "{errors:?}");
        assert!(!format!("{errors:?}").contains("canary"), "{errors:?}");
    }
}

#[test]
fn nothing_printed_holds_the_secret() {
    for kind in kinds().iter().filter(|kind| **kind != "none") {
        let built = Validator::build(kind, options(kind), vec![key("k", secret(kind).as_bytes())]).expect("built");
        let text = format!("{built:?}");
        let tail = &secret(kind)[secret(kind).len() - 8..];
        assert!(!text.contains(tail), "{kind}: {text}");
    }
}

#[test]
fn a_scheme_of_ones_own_has_to_make_sense() {
    let full = || Options {
        header: Some(HeaderName::from_static("x-erp-signature")),
        prefix: Some("v1=".to_owned()),
        signed: Some("{id}.{timestamp}.{body}".to_owned()),
        timestamp: Some(header("x-erp-time")),
        id: Some(header("x-erp-id")),
        tolerance: Some(Duration::from_secs(60)),
        ..Options::default()
    };
    assert_eq!(errors("hmac", full(), &["x"]), []);
    let built = Validator::build("hmac", full(), vec![key("k", b"x")]).expect("built");
    assert_eq!(built.delivery_id(), [header("x-erp-id")]);

    let signed = |text: &str| Options { signed: Some(text.to_owned()), ..full() };
    let table: [(Options, &[&str]); 12] = [
        (Options { header: None, ..full() }, &["header"]),
        (signed("{timestamp}.{body}"), &["id"]),
        (signed("{id}.{body}"), &["timestamp"]),
        (signed("{id}.{timestamp}"), &["signed"]),
        (signed("{id}.{time}.{body}"), &["signed"]),
        (signed("{id}.{timestamp}.{url}{body}"), &["public_url"]),
        (Options { timestamp: None, ..full() }, &["tolerance", "timestamp"]),
        (Options { id: None, ..full() }, &["id"]),
        (Options { id: Some(body("/id")), ..full() }, &["id"]),
        (Options { timestamp: Some(body("/t")), ..full() }, &["timestamp"]),
        (Options { tolerance: Some(Duration::ZERO), ..full() }, &["tolerance"]),
        (
            Options { header: None, tolerance: Some(Duration::ZERO), ..signed("{body") },
            &["header", "tolerance", "signed"],
        ),
    ];
    for (options, want) in table {
        let said = format!("{options:?}");
        assert_eq!(about("hmac", options, &["x"]), want, "{said}");
    }
    let in_body = Options { signed: None, id: None, timestamp: Some(body("/t")), ..full() };
    assert_eq!(errors("hmac", in_body, &["x"]), []);
}

#[test]
fn tokens_of_ones_own() {
    assert_eq!(about("token", Options::default(), &["x"]), ["header"]);
    let user = |user: &str| Options { user: Some(user.to_owned()), ..Options::default() };
    assert_eq!(about("basic", user("u"), &["x"]), [""; 0]);
    assert_eq!(about("basic", user("u:v"), &["x"]), ["user"]);
    let both = Options { header: Some(HeaderName::from_static("x-mine")), ..user("u") };
    assert_eq!(about("azure-devops", both, &["x"]), ["user"]);
}
