//! What goes wrong with webhook signatures elsewhere, one table a trap.

use std::time::Duration;

use forebay::event::Millis;
use forebay::secret::Key;
use forebay::validate::{Algorithm, Encoding, Options, Source, Validator, Verdict, kinds};
use http::HeaderName;
use ring::signature::{Ed25519KeyPair, KeyPair};

use crate::request::{NOW, ORIGIN, hex, key, options, post, secret, validator, verdict};

/// The headers as the provider would send them.
fn headers(validator: &Validator, body: &str) -> Vec<(String, String)> {
    let signed = validator.sign(ORIGIN, body.as_bytes(), Some("push"), NOW).expect("signed");
    signed.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
}

fn ask(validator: &Validator, headers: &[(String, String)], body: &str) -> &'static str {
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    verdict(validator, post("", &headers, body))
}

/// Every type that this side can sign for, with a body that suits it.
fn signing() -> impl Iterator<Item = (&'static str, &'static str)> {
    kinds().iter().filter(|kind| !matches!(**kind, "none" | "discord")).map(|kind| match *kind {
        "linear" => (*kind, r#"{"webhookTimestamp":1767225600000}"#),
        "twilio" => (*kind, "a=1&b=2"),
        _ => (*kind, "{}"),
    })
}

#[test]
fn a_repeated_header_is_refused_even_when_both_are_right() {
    let mut seen = 0;
    for (kind, body) in signing() {
        let validator = validator(kind, secret(kind));
        let good = headers(&validator, body);
        assert_eq!(ask(&validator, &good, body), "genuine", "{kind}");
        let mut twice = good.clone();
        twice.push(good[0].clone());
        assert_eq!(ask(&validator, &twice, body), "repeated", "{kind}");
        seen += 1;
    }
    assert!(seen > 30);
    for (kind, also) in [("slack", "x-slack-request-timestamp"), ("svix", "svix-id"), ("svix", "svix-timestamp")] {
        let validator = validator(kind, secret(kind));
        let mut twice = headers(&validator, "{}");
        let one = twice.iter().find(|(name, _)| name == also).expect("there").clone();
        twice.push(one);
        assert_eq!(ask(&validator, &twice, "{}"), "repeated", "{kind} {also}");
    }
}

#[test]
fn nothing_and_next_to_nothing_is_refused() {
    for (kind, body) in signing() {
        let validator = validator(kind, secret(kind));
        let good = headers(&validator, body);
        assert_eq!(ask(&validator, &good[1..], body), "missing", "{kind}");
        for value in ["", " ", "=", ",", "sha256=", "v1=", "v1,", "v0=", "Basic", "Bearer ", "a", "\u{e9}"] {
            let mut bad = good.clone();
            value.clone_into(&mut bad[0].1);
            let label = ask(&validator, &bad, body);
            assert!(matches!(label, "empty" | "malformed" | "mismatch"), "{kind} {value:?}: {label}");
            if value.is_empty() {
                assert_eq!(label, "empty", "{kind}");
            }
        }
    }
}

#[test]
fn a_digest_of_another_length_is_refused() {
    for (kind, body) in signing() {
        let validator = validator(kind, secret(kind));
        if validator.is_token() {
            continue;
        }
        let good = headers(&validator, body);
        for cut in 0..good[0].1.len() {
            let mut short = good.clone();
            short[0].1.truncate(cut);
            assert_ne!(ask(&validator, &short, body), "genuine", "{kind} cut at {cut}");
        }
        for more in ["0", "00", "=", "A", "AAAA"] {
            let mut long = good.clone();
            long[0].1.push_str(more);
            assert_ne!(ask(&validator, &long, body), "genuine", "{kind} with {more}");
        }
    }
}

/// The topic pins the scheme: a request that is right for one is wrong for all that do not share its headers.
#[test]
fn what_one_provider_signs_is_nothing_to_another() {
    let secret = "a-secret-of-some-length";
    let pairs = [
        ("github", "bitbucket-cloud", "missing"),
        ("github", "gitea", "missing"),
        ("bitbucket-cloud", "github", "missing"),
        ("intercom", "bitbucket-cloud", "malformed"),
        ("jira", "intercom", "malformed"),
        ("convoy-advanced", "convoy", "malformed"),
        ("convoy", "convoy-advanced", "malformed"),
        ("gitlab", "github", "missing"),
        ("stripe", "circleci", "missing"),
    ];
    for (from, to, want) in pairs {
        let sent = headers(&validator(from, secret), "{}");
        assert_eq!(ask(&validator(to, secret), &sent, "{}"), want, "{from} to {to}");
    }
}

#[test]
fn the_same_prefix_means_two_keys() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let time = NOW.seconds();
    let literal = validator("stripe", secret).sign("", b"{}", None, NOW).expect("signed");
    let as_user = Options {
        header: Some(HeaderName::from_static("x-mine")),
        signed: Some("{timestamp}.{body}".to_owned()),
        timestamp: Some(Source::Header(HeaderName::from_static("x-time"))),
        ..Options::default()
    };
    let own = Validator::build("hmac", as_user, vec![key("k", secret.as_bytes())]).expect("built");
    let digest = own.sign("", b"{}", None, NOW).expect("signed")[0].1.clone();
    assert_eq!(literal[0].1, format!("t={time},v1={digest}"));
}

#[test]
fn timestamps_are_whole_numbers_and_signed() {
    let slack = validator("slack", "secret-1");
    let good = headers(&slack, "{}");
    for bad in ["Infinity", "NaN", "-1", "+1767225600", "1767225600.0", "1.7e9", "0x1", "", " ", "99999999999999999999"]
    {
        let mut headers = good.clone();
        bad.clone_into(&mut headers[1].1);
        assert_ne!(ask(&slack, &headers, "{}"), "genuine", "{bad}");
        // Signed all the same, so that it is the number that is refused.
        let own = own_scheme();
        let signed = own.sign("", format!("v0:{bad}:{{}}").as_bytes(), None, NOW).expect("signed");
        let value = format!("v0={}", signed[0].1);
        let request = [("x-slack-signature", &*value), ("x-slack-request-timestamp", bad)];
        assert_eq!(verdict(&slack, post("", &request, "{}")), "malformed", "{bad}");
    }
    let request = [("x-slack-signature", &*good[0].1)];
    assert_eq!(verdict(&slack, post("", &request, "{}")), "missing");
}

/// An HMAC over the body alone with the secret `secret-1`, to sign any text at all with.
fn own_scheme() -> Validator {
    let options = Options { header: Some(HeaderName::from_static("x-mine")), ..Options::default() };
    Validator::build("hmac", options, vec![key("k", b"secret-1")]).expect("built")
}

#[test]
fn both_sides_of_the_clock_unless_the_provider_says_otherwise() {
    let minute = 60_000;
    let table = [
        ("slack", 5 * minute, "stale", "stale"),
        ("stripe", 5 * minute, "stale", "genuine"),
        ("svix", 5 * minute, "stale", "stale"),
        ("standard-webhooks", 5 * minute, "stale", "stale"),
        ("gitlab-signed", 5 * minute, "stale", "stale"),
        ("linear", minute, "stale", "stale"),
        ("hubspot", 5 * minute, "stale", "stale"),
        ("zendesk", 5 * minute, "stale", "stale"),
        ("buildkite", 5 * minute, "stale", "stale"),
        ("convoy-advanced", 5 * minute, "stale", "stale"),
        ("github", 5 * minute, "genuine", "genuine"),
    ];
    for (kind, tolerance, old, ahead) in table {
        let validator = validator(kind, secret(kind));
        let body = if kind == "linear" { r#"{"webhookTimestamp":1767225600000}"# } else { "{}" };
        let sent = validator.sign(ORIGIN, body.as_bytes(), None, NOW).expect("signed");
        let sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        for (off, want) in
            [(tolerance, "genuine"), (tolerance + 1000, old), (-tolerance, "genuine"), (-tolerance - 1000, ahead)]
        {
            let label = match validator.check(post("", &sent, body), Millis(NOW.0 + off)) {
                Verdict::Genuine(_) => "genuine",
                Verdict::Refused(rejection, _) => rejection.label,
                Verdict::Handshake(_) => "handshake",
            };
            assert_eq!(label, want, "{kind} off by {off} ms");
        }
    }
}

#[test]
fn tolerance_is_the_topics_own() {
    let options = Options { tolerance: Some(Duration::from_secs(10)), ..Options::default() };
    let slack = Validator::build("slack", options, vec![key("k", b"x")]).expect("built");
    let sent = slack.sign("", b"{}", None, Millis(NOW.0 - 11_000)).expect("signed");
    let sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(verdict(&slack, post("", &sent, "{}")), "stale");
}

#[test]
fn any_secret_in_its_time_and_no_other() {
    let dated = |id: &str, secret: &str, from: Option<i64>, until: Option<i64>| Key {
        not_before: from.map(Millis),
        not_after: until.map(Millis),
        ..key(id, secret.as_bytes())
    };
    for kind in ["github", "token", "svix"] {
        let secrets = ["bmV3LXNlY3JldC0wMDE=", "b2xkLXNlY3JldC0wMDE=", "bGF0ZS1zZWNyZXQtMDE="];
        let keys = vec![
            dated("new", secrets[0], Some(0), None),
            dated("old", secrets[1], None, Some(NOW.0)),
            dated("late", secrets[2], Some(NOW.0 + 1), None),
        ];
        let several = Validator::build(kind, options(kind), keys.clone()).expect("built");
        for (secret, id, now, want) in [
            (secrets[0], "new", NOW.0, Ok("new")),
            (secrets[1], "old", NOW.0 - 1, Ok("old")),
            (secrets[1], "old", NOW.0, Err("mismatch")),
            (secrets[2], "late", NOW.0, Err("mismatch")),
            (secrets[2], "late", NOW.0 + 1, Ok("late")),
        ] {
            let sent = validator(kind, secret).sign("", b"{}", None, NOW).expect("signed");
            let sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            match (several.check(post("", &sent, "{}"), Millis(now)), want) {
                (Verdict::Genuine(verified), Ok(id)) => assert_eq!(verified.key(), Some(id), "{kind}"),
                (Verdict::Refused(rejection, _), Err(label)) => assert_eq!(rejection.label, label, "{kind} {id}"),
                (verdict, want) => panic!("{kind} {id} at {now}: {verdict:?}, not {want:?}"),
            }
        }
        let over = Validator::build(kind, options(kind), vec![keys[1].clone()]).expect("built");
        let sent = validator(kind, secrets[1]).sign("", b"{}", None, NOW).expect("signed");
        let sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(verdict(&over, post("", &sent, "{}")), "no_valid_secret", "{kind}");
        assert!(over.sign("", b"{}", None, NOW).is_err(), "{kind}");
    }
}

#[test]
fn lists_are_read_item_by_item() {
    let stripe = validator("stripe", "secret-1");
    let good = headers(&stripe, "{}")[0].1.clone();
    let (time, digest) = good.split_once(",v1=").expect("a list");
    let zeros = "0".repeat(64);
    for (value, want) in [
        (format!("{time},v1={zeros},v1={digest}"), "genuine"),
        (format!("v1={digest}, {time}"), "genuine"),
        (format!("{time},v0={digest}"), "malformed"),
        (format!("{time},v1={zeros}"), "mismatch"),
        (format!("{time},{time},v1={digest}"), "malformed"),
        (format!("v1={digest}"), "malformed"),
        (format!("{time},{},v1={digest}", vec![format!("v1={zeros}"); 16].join(",")), "mismatch"),
    ] {
        assert_eq!(verdict(&stripe, post("", &[("stripe-signature", &value)], "{}")), want, "{value}");
    }
    let circle = validator("circleci", "secret-1");
    let digest = headers(&circle, "{}")[0].1.replace("v1=", "v2=");
    assert_eq!(verdict(&circle, post("", &[("circleci-signature", &digest)], "{}")), "malformed");
}

#[test]
fn a_form_is_signed_raw_or_by_its_payload() {
    let form = "payload=%7B%22a%22%3A1%7D";
    let json = r#"{"a":1}"#;
    let content_type = ("content-type", "application/x-www-form-urlencoded");
    for (kind, raw, inner) in [("github", "genuine", "mismatch"), ("gitea", "mismatch", "genuine")] {
        let validator = validator(kind, "secret-1");
        for (over, want) in [(form, raw), (json, inner)] {
            let sent = headers(&validator, over);
            let request = [(&*sent[0].0, &*sent[0].1), content_type];
            assert_eq!(verdict(&validator, post("", &request, form)), want, "{kind} {over}");
        }
    }
    let gitea = validator("gitea", "secret-1");
    let sent = headers(&gitea, json);
    for unsigned in ["&x=1", "&payload=%7B%7D"] {
        let request = [(&*sent[0].0, &*sent[0].1), content_type];
        assert_eq!(verdict(&gitea, post("", &request, format!("{form}{unsigned}"))), "malformed", "{unsigned}");
    }
}

#[test]
fn the_url_is_the_one_the_sender_was_given() {
    for (kind, body) in [("square", "{}"), ("hubspot", "{}"), ("twilio", "a=1")] {
        let validator = validator(kind, "secret-1");
        let url = format!("{ORIGIN}/api/events/http/t?x=%2F");
        let sent = validator.sign(&url, body.as_bytes(), None, NOW).expect("signed");
        let sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(verdict(&validator, post("/api/events/http/t?x=%2F", &sent, body)), "genuine", "{kind}");
        for target in ["/api/events/http/t", "/api/events/http/t?x=%2F&y", "/api/events/http/u?x=%2F"] {
            assert_eq!(verdict(&validator, post(target, &sent, body)), "mismatch", "{kind} {target}");
        }
    }
}

#[test]
fn twilio_json_is_bound_by_its_digest() {
    let twilio = validator("twilio", "secret-1");
    let target = "/t?bodySHA256=44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let sent = twilio.sign(&format!("{ORIGIN}{target}"), b"{}", None, NOW).expect("signed");
    let sent = [(sent[0].0.as_str(), sent[0].1.as_str()), ("content-type", "application/json")];
    assert_eq!(verdict(&twilio, post(target, &sent, "{}")), "genuine");
    assert_eq!(verdict(&twilio, post(target, &sent, "{ }")), "mismatch");
    let plain = twilio.sign(&format!("{ORIGIN}/t"), b"", None, NOW).expect("signed");
    let plain = [(plain[0].0.as_str(), plain[0].1.as_str()), ("content-type", "application/json")];
    assert_eq!(verdict(&twilio, post("/t", &plain, "{}")), "malformed");
}

#[test]
fn a_public_key_checks_and_is_never_a_secret() {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a pair");
    let encoded = STANDARD.encode(pair.public_key().as_ref());
    let public = format!("whpk_{encoded}");
    let time = NOW.seconds().to_string();
    let body = "{}";
    let text = format!("m1.{time}.{body}");
    let asymmetric = validator("standard-webhooks", &public);
    assert!(asymmetric.sign("", b"{}", None, NOW).is_err());

    let signature = format!("v1a,{}", STANDARD.encode(pair.sign(text.as_bytes()).as_ref()));
    let sent = |signature: &str, body: &str| {
        let headers = [("webhook-signature", signature), ("webhook-id", "m1"), ("webhook-timestamp", &*time)];
        verdict(&asymmetric, post("", &headers, body))
    };
    assert_eq!(sent(&signature, body), "genuine");
    assert_eq!(sent(&signature, "{ }"), "mismatch");
    assert_eq!(sent(&signature.replace("v1a,", "v1,"), body), "malformed");

    let forged =
        validator("standard-webhooks", &format!("whsec_{encoded}")).sign("", b"{}", None, NOW).expect("signed");
    let forged: Vec<(&str, &str)> = forged.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(verdict(&asymmetric, post("", &forged, body)), "malformed");

    let public = hex(pair.public_key().as_ref());
    let discord = validator("discord", &public);
    assert!(discord.sign("", b"{}", None, NOW).is_err());
    let signature = pair.sign(format!("{time}{body}").as_bytes());
    let signature = hex(signature.as_ref());
    let sent = [("x-signature-ed25519", &*signature), ("x-signature-timestamp", &*time)];
    assert_eq!(verdict(&discord, post("", &sent, body)), "genuine");
    assert_eq!(verdict(&discord, post("", &sent, "{ }")), "mismatch");
}

#[test]
fn http_authentication_is_read_as_its_rfc_says() {
    let user = Options { user: Some("hook".to_owned()), ..Options::default() };
    let split = Validator::build("basic", user, vec![key("k", b"p4ss:word")]).expect("built");
    let whole = validator("basic", "hook:p4ss:word");
    for value in ["Basic aG9vazpwNHNzOndvcmQ=", "basic aG9vazpwNHNzOndvcmQ=", "BASIC  aG9vazpwNHNzOndvcmQ="] {
        assert_eq!(verdict(&split, post("", &[("authorization", value)], "")), "genuine", "{value}");
        assert_eq!(verdict(&whole, post("", &[("authorization", value)], "")), "genuine", "{value}");
    }
    let bearer = validator("bearer", "t0ken");
    for (value, want) in [
        ("Bearer t0ken", "genuine"),
        ("bearer t0ken", "genuine"),
        ("Bearer t0ke", "mismatch"),
        ("Bearer t0ken2", "mismatch"),
        ("Bearer T0KEN", "mismatch"),
        ("Bearer", "malformed"),
        ("Bearer ", "empty"),
        ("t0ken", "malformed"),
        ("Basic t0ken", "malformed"),
    ] {
        assert_eq!(verdict(&bearer, post("", &[("authorization", value)], "")), want, "{value}");
    }
    assert_eq!(bearer.secret_headers(), [http::header::AUTHORIZATION]);
    assert!(bearer.is_token() && !validator("github", "x").is_token());
    assert_eq!(validator("gitlab", "x").secret_headers(), ["x-gitlab-token"]);
}

#[test]
fn a_static_header_takes_the_place_of_authorization() {
    for kind in ["azure-devops", "gerrit"] {
        let options = Options { header: Some(HeaderName::from_static("x-mine")), ..Options::default() };
        let built = Validator::build(kind, options, vec![key("k", b"t0ken")]).expect("built");
        assert_eq!(verdict(&built, post("", &[("x-mine", "t0ken")], "")), "genuine", "{kind}");
        assert_eq!(verdict(&built, post("", &[("x-mine", "t0kex")], "")), "mismatch", "{kind}");
        assert_eq!(verdict(&built, post("", &[("authorization", "t0ken")], "")), "missing", "{kind}");
        assert_eq!(built.secret_headers(), ["x-mine"]);
    }
}

#[test]
fn convoy_is_as_its_owner_set_it_up() {
    let options = Options {
        header: Some(HeaderName::from_static("x-mine")),
        algorithm: Some(Algorithm::Sha512),
        encoding: Some(Encoding::Base64),
        ..Options::default()
    };
    let convoy = Validator::build("convoy", options, vec![key("k", b"x")]).expect("built");
    let sent = convoy.sign("", b"{}", None, NOW).expect("signed");
    assert_eq!((sent[0].0.as_str(), sent[0].1.len()), ("x-mine", 88));
    assert_eq!(verdict(&convoy, post("", &[("x-mine", &sent[0].1)], "{}")), "genuine");
}

#[test]
fn a_missing_signature_is_told_from_one_of_another_scheme() {
    let github = validator("github", "x");
    let incoming = post("", &[("x-hub-signature", "sha1=00"), ("x-gitlab-token", "canary")], "{}");
    let Verdict::Refused(rejection, _) = github.check(incoming, NOW) else { panic!("taken") };
    assert_eq!(rejection.label, "missing");
    assert_eq!(rejection.reason, "`x-hub-signature-256` is missing; there is `x-gitlab-token`, `x-hub-signature`");
}
