//! Requests that are wrong in one known way each: the doctor names that fault, and no other.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use forebay::event::{Incoming, Millis};
use forebay::secret::Key;
use forebay::validate::doctor::{Case, Finding, Known, diagnose};
use forebay::validate::{Algorithm, Encoding, Options, Source, Validator, Verdict};
use http::{HeaderName, HeaderValue};
use ring::hmac;

use crate::request::{NOW, ORIGIN, hex, key, options, post, validator};

const SECRET: &str = "canary-secret-of-the-topic";
const WHSEC: &str = "whsec_Y2FuYXJ5LXNlY3JldC1vZi10aGUtdG9waWM=";
const BODY: &str = "{\"action\":\"opened\",\"n\":[1,2.50]}";
const TARGET: &str = "/api/events/http/here";

fn mac(algorithm: hmac::Algorithm, secret: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(algorithm, secret), text).as_ref().to_vec()
}

fn sha256(secret: &[u8], text: &[u8]) -> Vec<u8> {
    mac(hmac::HMAC_SHA256, secret, text)
}

/// GitHub's signature header.
fn hub(secret: impl AsRef<[u8]>, text: impl AsRef<[u8]>) -> String {
    format!("sha256={}", hex(&sha256(secret.as_ref(), text.as_ref())))
}

fn json(more: &[(&str, &str)], body: impl AsRef<[u8]>) -> Incoming {
    let headers = [&[("host", "hooks.example.com"), ("content-type", "application/json")], more].concat();
    post(TARGET, &headers, body.as_ref())
}

/// A request to a GitHub topic with that signature.
fn github(signature: &str, body: impl AsRef<[u8]>) -> Incoming {
    json(&[("x-hub-signature-256", signature), ("x-github-event", "push")], body)
}

fn elsewhere() -> Validator {
    let keys = vec![key("theirs", b"canary-secret-of-another-topic")];
    Validator::build("github", options("github"), keys).expect("built")
}

/// All that is found out, among the topics `here` and `there`.
fn findings(here: &Validator, request: &Incoming) -> Vec<Finding> {
    let there = elsewhere();
    let topics = [Known { topic: "here", validator: here }, Known { topic: "there", validator: &there }];
    let found = diagnose(Case { topics: &topics, validator: here, request, whole: true, now: NOW });
    for finding in &found {
        let text = format!("{finding:?}");
        for canary in ["canary-secret", SECRET, WHSEC, &STANDARD_NO_PAD.encode(SECRET), &hex(SECRET.as_bytes())] {
            assert!(!text.contains(canary), "{text}");
        }
        assert!(!finding.found.is_empty() && !finding.change.is_empty() && !text.contains("  "), "{text}");
    }
    found
}

fn faults(here: &Validator, request: &Incoming) -> Vec<&'static str> {
    findings(here, request).iter().map(|finding| finding.fault).collect()
}

#[track_caller]
fn expect(here: &Validator, request: &Incoming, want: &[&str]) {
    assert_eq!(faults(here, request), want, "{:#?}", findings(here, request));
}

fn built(kind: &str, keys: Vec<Key>) -> Validator {
    Validator::build(kind, options(kind), keys).expect("built")
}

fn refused(here: &Validator, request: &Incoming) {
    let copy = Incoming {
        method: request.method.clone(),
        target: request.target.clone(),
        headers: request.headers.clone(),
        body: request.body.clone(),
        time: request.time,
        client: request.client,
    };
    assert!(matches!(here.check(copy, NOW), Verdict::Refused(..)), "{request:?}");
}

#[test]
fn a_right_request_has_no_fault() {
    expect(&validator("github", SECRET), &github(&hub(SECRET, BODY), BODY), &["genuine-now"]);
}

#[test]
fn the_wrong_secret_is_recognised() {
    let timely = |id: &str, secret: &str, from: Option<i64>, until: Option<i64>| Key {
        not_before: from.map(|hours| Millis(NOW.0 + hours * 3_600_000)),
        not_after: until.map(|hours| Millis(NOW.0 + hours * 3_600_000)),
        ..key(id, secret.as_bytes())
    };
    let github_topic = built(
        "github",
        vec![
            timely("new", SECRET, None, None),
            timely("old", "canary-secret-that-was", None, Some(-24)),
            timely("next", "canary-secret-to-come", Some(24), None),
        ],
    );
    let table: [(&[u8], &str); 12] = [
        (b"canary-secret-of-another-topic", "another-topics-secret"),
        (b"canary-secret-that-was", "retired-secret"),
        (b"canary-secret-to-come", "early-secret"),
        (b"canary-secret-of-the-topic\n", "secret-newline"),
        (b"canary-secret-of-the-topic\r\n", "secret-newline"),
        (b"\"canary-secret-of-the-topic\"", "secret-quotes"),
        (b"'canary-secret-of-the-topic'", "secret-quotes"),
        (b"Y2FuYXJ5LXNlY3JldC1vZi10aGUtdG9waWM=", "secret-encoded"),
        (b"63616e6172792d7365637265742d6f662d7468652d746f706963", "secret-encoded"),
        (b"", "empty-secret"),
        (b"undefined", "secret-placeholder"),
        (b"a-secret-nobody-knows", "no-match"),
    ];
    for (secret, want) in table {
        let request = github(&hub(secret, BODY), BODY);
        refused(&github_topic, &request);
        expect(&github_topic, &request, &[want]);
    }
    let found = findings(&github_topic, &github(&hub("canary-secret-that-was", BODY), BODY));
    assert!(found[0].found.contains("`old`") && found[0].found.contains("2025-12-31T00:00:00.000Z"), "{found:?}");
    let found = findings(&github_topic, &github(&hub("canary-secret-of-another-topic", BODY), BODY));
    assert!(found[0].found.contains("`theirs`") && found[0].found.contains("`there`"), "{found:?}");
    let named = built("github", vec![key("GITHUB_SECRET", SECRET.as_bytes())]);
    expect(&named, &github(&hub("${GITHUB_SECRET}", BODY), BODY), &["secret-placeholder"]);
    for (here, theirs, want) in [
        (format!("{SECRET}\n"), SECRET, "secret-whitespace"),
        (format!(" {SECRET}"), SECRET, "secret-whitespace"),
        (format!("\"{SECRET}\""), SECRET, "secret-quotes"),
        (STANDARD.encode(SECRET), SECRET, "secret-decoded"),
        (hex(SECRET.as_bytes()), SECRET, "secret-decoded"),
        (WHSEC.to_owned(), SECRET, "secret-decoded"),
        (WHSEC.to_owned(), &WHSEC[6..], "secret-prefix"),
    ] {
        expect(&validator("github", &here), &github(&hub(theirs, BODY), BODY), &[want]);
    }
}

/// Standard Webhooks' headers, with that key.
fn standard(secret: &[u8], time: i64, body: &str) -> Vec<(&'static str, String)> {
    let text = format!("m1.{time}.{body}");
    vec![
        ("webhook-signature", format!("v1,{}", STANDARD.encode(sha256(secret, text.as_bytes())))),
        ("webhook-timestamp", time.to_string()),
        ("webhook-id", "m1".to_owned()),
    ]
}

fn with<'h>(headers: &'h [(&'static str, String)]) -> Vec<(&'static str, &'h str)> {
    headers.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[test]
fn a_decoded_secret_is_told_from_its_text() {
    let here = validator("standard-webhooks", WHSEC);
    let now = NOW.seconds();
    for (secret, want) in [
        (SECRET.as_bytes(), "genuine-now"),
        (WHSEC.as_bytes(), "secret-as-text"),
        (&WHSEC.as_bytes()[6..], "secret-as-text"),
        (b"canary-secret-of-another-topic", "another-topics-secret"),
        (b"a-secret-nobody-knows", "no-match"),
    ] {
        expect(&here, &json(&with(&standard(secret, now, BODY)), BODY), &[want]);
    }
}

#[test]
fn a_body_that_was_signed_otherwise_is_recognised() {
    let here = validator("github", SECRET);
    let accents = "{\"b\":\"é/<\",\"a\":1}";
    let table: [(&[u8], &[u8], &str, &str); 24] = [
        (b"{}\n", b"{}", "body-newline", "--data-binary"),
        (b"{}\r\n", b"{}", "body-newline", "line break"),
        (b"{}", b"{}\n", "body-newline", "without"),
        (b"{}", b" {}\n", "body-newline", "without"),
        (b"{\n}\n", b"{\r\n}\r\n", "body-line-ends", "CR LF"),
        (b"{\r\n}\r\n", b"{\n}\n", "body-line-ends", "CR LF"),
        (b"{}", b"\xef\xbb\xbf{}", "body-bom", "without"),
        (b"\xef\xbb\xbf{}", b"{}", "body-bom", "with"),
        (b"{\"b\":1,\"a\":[2]}", b"{\"b\": 1, \"a\": [2]}", "body-reserialised", "JSON.stringify"),
        (b"{\"b\": 1, \"a\": [2]}", b"{\"b\":1,\"a\":[2]}", "body-reserialised", "json.dumps"),
        (b"{\n  \"b\": 1\n}", b"{\"b\":1}", "body-reserialised", "2 spaces"),
        (b"{\n    \"b\": 1\n}", b"{    \"b\": 1}", "body-reserialised", "4 spaces"),
        (b"{\n  \"b\": 1\n}\n", b"{  \"b\": 1}", "body-reserialised", "line break"),
        (b"{\n\t\"b\": 1\n}", b"{\"b\":1}", "body-reserialised", "tabs"),
        (b"{\"a\":1,\"b\":2}", b"{\"b\":2,\"a\":1}", "body-reserialised", "sorted"),
        (b"{\"b\":\"\\u00e9/<\",\"a\":1}", accents.as_bytes(), "body-reserialised", "\\u00e9"),
        (b"{\"b\": \"\\u00e9/<\", \"a\": 1}", accents.as_bytes(), "body-reserialised", "json.dumps"),
        (b"{\"b\":\"\\u00e9\\/<\",\"a\":1}", accents.as_bytes(), "body-reserialised", "PHP"),
        (b"{\"a\":1,\"b\":\"\xc3\xa9/\\u003c\"}", accents.as_bytes(), "body-reserialised", "Go"),
        (accents.as_bytes(), b"{\"b\":\"\\u00e9\\/\\u003c\",\"a\":1}", "body-reserialised", "rather than"),
        (b"{\"b\":\"\xe9\"}", "{\"b\":\"é\"}".as_bytes(), "body-charset", "ISO 8859-1"),
        (b"{\"a\":1}", b"\"{\\\"a\\\":1}\"", "body-encoded", "twice"),
        (b"{\"a\":1}", b"eyJhIjoxfQ==", "body-encoded", "base64"),
        (b"", b"{\"a\":1}", "empty-body-signed", "empty"),
    ];
    for (signed, came, want, word) in table {
        let request = github(&hub(SECRET, signed), came);
        let found = findings(&here, &request);
        let faults: Vec<_> = found.iter().map(|finding| finding.fault).collect();
        assert_eq!(faults, [want], "{} as {}", String::from_utf8_lossy(signed), String::from_utf8_lossy(came));
        assert!(format!("{} {}", found[0].found, found[0].change).contains(word), "{found:?}");
    }
    let changed = github(&hub(SECRET, "{\"a\":1}"), "{\"a\":2}");
    expect(&here, &changed, &["no-match"]);
    let digest = STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, b"{\"a\":1}"));
    let mut digested = changed;
    digested.headers.insert("content-digest", HeaderValue::try_from(format!("sha-256=:{digest}:")).expect("a value"));
    expect(&here, &digested, &["body-changed"]);
}

#[test]
fn a_form_is_told_from_its_json() {
    let form = "payload=%7B%22a%22%3A%22x+y%22%7D";
    let payload = "{\"a\":\"x y\"}";
    let as_form = |header: &str, signature: &str, body: &str| {
        post(TARGET, &[("content-type", "application/x-www-form-urlencoded"), (header, signature)], body)
    };
    let here = validator("github", SECRET);
    expect(&here, &as_form("x-hub-signature-256", &hub(SECRET, payload), form), &["form-payload-signed"]);
    expect(&here, &github(&hub(SECRET, form), payload), &["form-signed"]);
    let signature = hex(&sha256(SECRET.as_bytes(), form.as_bytes()));
    expect(&validator("gitea", SECRET), &as_form("x-gitea-signature", &signature, form), &["signed-text"]);
}

#[test]
fn a_signature_in_another_form_is_read() {
    let here = validator("github", SECRET);
    let digest = sha256(SECRET.as_bytes(), BODY.as_bytes());
    let (sixteen, sixty_four) = (hex(&digest), STANDARD.encode(&digest));
    let long = mac(hmac::HMAC_SHA512, SECRET.as_bytes(), BODY.as_bytes());
    let short = mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET.as_bytes(), BODY.as_bytes());
    let table: [(String, &[&str]); 12] = [
        (sixteen.clone(), &["signature-prefix"]),
        (format!("SHA256={sixteen}"), &["signature-prefix"]),
        (format!("v1={sixteen}"), &["signature-prefix"]),
        (format!("sha256={}", sixteen.to_uppercase()), &["genuine-now"]),
        (format!("sha256={sixty_four}"), &["signature-encoding"]),
        (format!("sha256={}", sixty_four.trim_end_matches('=')), &["signature-encoding"]),
        (format!("sha256=\"{sixteen}\""), &["signature-encoding"]),
        (sixty_four.clone(), &["signature-prefix", "signature-encoding"]),
        (format!("sha1={}", hex(&short)), &["wrong-algorithm"]),
        (format!("sha512={}", hex(&long)), &["wrong-algorithm"]),
        (format!("sha256={}", &sixteen[1..]), &["unreadable"]),
        (hub("a-secret-nobody-knows", BODY)[7..].to_owned(), &["unreadable"]),
    ];
    for (signature, want) in table {
        expect(&here, &github(&signature, BODY), want);
    }
    let shopify = |signature: &str| json(&[("x-shopify-hmac-sha256", signature)], BODY);
    let here = validator("shopify", SECRET);
    expect(&here, &shopify(&sixteen), &["signature-encoding"]);
    expect(&here, &shopify(&format!("sha256={sixty_four}")), &["signature-prefix"]);
    // Two faults at once are both named.
    let newline = hex(&sha256(format!("{SECRET}\n").as_bytes(), BODY.as_bytes()));
    expect(&validator("github", SECRET), &github(&newline, BODY), &["signature-prefix", "secret-newline"]);
    let both = hub("canary-secret-of-another-topic", format!("{BODY}\n"));
    expect(&validator("github", SECRET), &github(&both, BODY), &["body-newline", "another-topics-secret"]);
}

/// A scheme of the user's own.
fn own(options: Options) -> Validator {
    let header = Some(HeaderName::from_static("x-mine"));
    Validator::build("hmac", Options { header, ..options }, vec![key("k", SECRET.as_bytes())]).expect("built")
}

#[test]
fn an_own_scheme_is_told_its_settings() {
    let digest = |text: &str| hex(&sha256(SECRET.as_bytes(), text.as_bytes()));
    let plain = own(Options::default());
    let found = findings(&plain, &json(&[("x-mine", &format!("v9={}", digest(BODY)))], BODY));
    assert_eq!(found[0].fault, "signature-prefix");
    assert!(found[0].change.contains("`prefix = \"v9=\"`"), "{found:?}");
    let base64 = own(Options { encoding: Some(Encoding::Base64), ..Options::default() });
    let found = findings(&base64, &json(&[("x-mine", &digest(BODY))], BODY));
    assert!(found.len() == 1 && found[0].change.contains("`encoding = \"hex\"`"), "{found:?}");
    let sha512 = own(Options { algorithm: Some(Algorithm::Sha512), ..Options::default() });
    let found = findings(&sha512, &json(&[("x-mine", &digest(BODY))], BODY));
    assert!(found.len() == 1 && found[0].change.contains("`algorithm = \"sha256\"`"), "{found:?}");
    let now = NOW.seconds();
    for signed in ["TIME.BODY", "TIMEBODY", "v0:TIME:BODY", "BODYTIME"] {
        let text = signed.replace("TIME", &now.to_string()).replace("BODY", BODY);
        let request = json(&[("x-mine", &digest(&text)), ("x-sent-at", &now.to_string())], BODY);
        let found = findings(&plain, &request);
        let template = signed.replace("TIME", "{timestamp}").replace("BODY", "{body}");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].fault == "signed-text" && found[0].change.contains(&format!("`signed = \"{template}\"`")));
        assert!(found[0].change.contains("`timestamp = { header = \"x-sent-at\" }`"), "{found:?}");
    }
    let stamped = own(Options {
        signed: Some("{timestamp}.{body}".to_owned()),
        timestamp: Some(Source::Header(HeaderName::from_static("x-time"))),
        ..Options::default()
    });
    let time = now.to_string();
    expect(&stamped, &json(&[("x-mine", &digest(BODY)), ("x-time", &time)], BODY), &["signed-text"]);
    expect(&stamped, &json(&[("x-mine", &digest(BODY))], BODY), &["signed-text"]);
    expect(&stamped, &json(&[("x-mine", &digest("x"))], BODY), &["missing-header"]);
    expect(
        &stamped,
        &json(&[("x-other", &digest(&format!("{time}.{BODY}"))), ("x-time", &time)], BODY),
        &["wrong-header"],
    );
}

#[test]
fn another_provider_is_recognised() {
    let gitlab = |token: &str| json(&[("x-gitlab-token", token), ("x-gitlab-event", "Push Hook")], BODY);
    let here = validator("github", SECRET);
    let found = findings(&here, &gitlab(SECRET));
    assert!(
        found.len() == 1 && found[0].fault == "token-shown" && found[0].change.contains("`type = \"gitlab\"`"),
        "{found:?}"
    );
    expect(&here, &gitlab("something"), &["looks-like-another", "missing-signature"]);
    for (kind, secret) in
        [("gitea", SECRET), ("shopify", SECRET), ("stripe", SECRET), ("slack", SECRET), ("gitlab-signed", WHSEC)]
    {
        let signed = validator(kind, secret).sign(ORIGIN, BODY.as_bytes(), Some("push"), NOW).expect("signed");
        let headers: Vec<_> = signed.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let here = validator("github", secret);
        let found = findings(&here, &json(&headers, BODY));
        assert_eq!(found.len(), 1, "{kind}: {found:?}");
        assert!(found[0].fault == "another-scheme", "{kind}: {found:?}");
        assert!(found[0].change.contains(&format!("`type = \"{kind}\"`")), "{kind}: {found:?}");
    }
    // The signing token of GitLab on a topic for its secret token.
    let signed = validator("gitlab-signed", WHSEC).sign(ORIGIN, BODY.as_bytes(), None, NOW).expect("signed");
    let mut headers: Vec<_> = signed.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    headers.push(("x-gitlab-event", "Push Hook"));
    expect(&validator("gitlab", WHSEC), &json(&headers, BODY), &["another-scheme"]);
    let bearer = format!("Bearer {SECRET}");
    let found = findings(&here, &json(&[("authorization", &bearer)], BODY));
    assert!(found[0].fault == "token-shown" && found[0].change.contains("`type = \"bearer\"`"), "{found:?}");
    // The secret itself where its signature belongs.
    expect(&here, &github(SECRET, BODY), &["token-shown"]);
}

#[test]
fn a_missing_or_repeated_signature_is_told_of() {
    let here = validator("github", SECRET);
    let found = findings(&here, &json(&[("x-github-event", "push")], BODY));
    assert!(found.len() == 1 && found[0].fault == "missing-signature", "{found:?}");
    assert!(found[0].found.contains("`x-github-event`") && found[0].change.contains("proxy"), "{found:?}");
    expect(&here, &json(&[], BODY), &["missing-signature"]);
    expect(&here, &github("", BODY), &["missing-signature"]);
    let good = hub(SECRET, BODY);
    let found = findings(&here, &json(&[("x-renamed", &good), ("x-github-event", "push")], BODY));
    assert!(
        found.len() == 1 && found[0].fault == "wrong-header" && found[0].found.contains("`x-renamed`"),
        "{found:?}"
    );
    let legacy = format!("sha1={}", hex(&mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET.as_bytes(), BODY.as_bytes())));
    let request = json(&[("x-hub-signature", &legacy), ("x-github-event", "push")], BODY);
    expect(&here, &request, &["wrong-header", "wrong-algorithm"]);
    for (first, second, word) in [
        (&good, &good, "right"),
        (&good, &hub("x", BODY), "one of which is right"),
        (&hub("x", BODY), &hub("y", BODY), "different"),
    ] {
        let found = findings(&here, &json(&[("x-hub-signature-256", first), ("x-hub-signature-256", second)], BODY));
        assert!(found.len() == 1 && found[0].fault == "repeated-header" && found[0].found.contains(word), "{found:?}");
    }
    let standard_here = validator("standard-webhooks", WHSEC);
    let signed = standard(SECRET.as_bytes(), NOW.seconds(), BODY);
    for without in ["webhook-timestamp", "webhook-id"] {
        let headers: Vec<_> = with(&signed).into_iter().filter(|(name, _)| *name != without).collect();
        let found = findings(&standard_here, &json(&headers, BODY));
        assert!(found[0].fault == "missing-header" && found[0].found.contains(without), "{found:?}");
    }
}

#[test]
fn a_clock_that_is_off_is_measured() {
    let here = validator("standard-webhooks", WHSEC);
    let table: [(i64, &[&str], &str); 6] = [
        (NOW.seconds() - 301, &["stale-timestamp"], "301 s old; 300 s are allowed"),
        (NOW.seconds() + 4000, &["future-timestamp"], "4000 s in the future"),
        (NOW.0, &["timestamp-unit"], "milliseconds instead of seconds"),
        (NOW.seconds() - 300, &["genuine-now"], ""),
        (-5, &["timestamp-form"], "not a whole number"),
        (0, &["stale-timestamp"], "old"),
    ];
    for (time, want, word) in table {
        let found = findings(&here, &json(&with(&standard(SECRET.as_bytes(), time, BODY)), BODY));
        let faults: Vec<_> = found.iter().map(|finding| finding.fault).collect();
        assert_eq!(faults, want, "{time}");
        assert!(found[0].found.contains(word), "{found:?}");
    }
    // The secret of another topic, and late as well.
    let late = standard(b"canary-secret-of-another-topic", NOW.seconds() - 999, BODY);
    expect(&here, &json(&with(&late), BODY), &["another-topics-secret", "stale-timestamp"]);
    let seconds = format!("{{\"webhookTimestamp\":{}}}", NOW.seconds());
    let linear = validator("linear", SECRET);
    let sign = |body: &str| hex(&sha256(SECRET.as_bytes(), body.as_bytes()));
    expect(&linear, &json(&[("linear-signature", &sign(&seconds))], &seconds), &["timestamp-unit"]);
    let late = format!("{{\"webhookTimestamp\":{}}}", NOW.0 - 61_000);
    expect(&linear, &json(&[("linear-signature", &sign(&late))], &late), &["stale-timestamp"]);
    expect(&linear, &json(&[("linear-signature", &sign("{}"))], "{}"), &["timestamp-form"]);
    let stripe = validator("stripe", SECRET);
    let value = |time: i64| {
        let digest = sha256(SECRET.as_bytes(), format!("{time}.{BODY}").as_bytes());
        format!("t={time},v1={}", hex(&digest))
    };
    expect(&stripe, &json(&[("stripe-signature", &value(NOW.seconds() - 999))], BODY), &["stale-timestamp"]);
    let tight = Options { tolerance: Some(Duration::from_secs(10)), ..options("stripe") };
    let tight = Validator::build("stripe", tight, vec![key("k", SECRET.as_bytes())]).expect("built");
    let found = findings(&tight, &json(&[("stripe-signature", &value(NOW.seconds() - 20))], BODY));
    assert!(found[0].found.contains("20 s old; 10 s are allowed"), "{found:?}");
}

#[test]
#[expect(clippy::type_complexity, reason = "the table says what its columns are")]
fn a_url_that_a_proxy_changed_is_found() {
    let here = validator("square", SECRET);
    let sign = |url: &str| STANDARD.encode(sha256(SECRET.as_bytes(), format!("{url}{BODY}").as_bytes()));
    let ask = |url: &str, target: &str, more: &[(&str, &str)]| {
        let signature = sign(url);
        let headers = [&[("x-square-hmacsha256-signature", signature.as_str())], more].concat();
        post(target, &headers, BODY)
    };
    let table: [(&str, &str, &[(&str, &str)], &str, &str); 11] = [
        ("http://hooks.example.comHERE", TARGET, &[], "public-url", "`public_url = \"http://hooks.example.com\"`"),
        ("https://hooks.example.com:443HERE", TARGET, &[], "public-url", "com:443\""),
        (
            "https://other.example.comHERE",
            TARGET,
            &[("host", "other.example.com")],
            "public-url",
            "//other.example.com\"",
        ),
        (
            "https://in.example.com:8443HERE",
            TARGET,
            &[("host", "in.example.com:8443")],
            "public-url",
            "//in.example.com:8443\"",
        ),
        (
            "https://fwd.example.comHERE",
            TARGET,
            &[("x-forwarded-host", "fwd.example.com, x")],
            "public-url",
            "//fwd.example.com\"",
        ),
        (
            "https://std.example.comHERE",
            TARGET,
            &[("forwarded", "for=1.2.3.4;host=std.example.com")],
            "public-url",
            "//std.example.com\"",
        ),
        ("https://hooks.example.comHERE", "/api/events/http/here/", &[], "url-path", "unchanged"),
        ("https://hooks.example.com/hooksHERE", TARGET, &[("x-forwarded-prefix", "/hooks")], "url-path", "unchanged"),
        ("https://hooks.example.com/a?x=1&y=2", "/b?x=1", &[("x-original-uri", "/a?x=1&y=2")], "url-path", "unchanged"),
        ("https://hooks.example.comHERE", "/api/events/http/here?token=canary-secret", &[], "url-query", "query"),
        ("https://elsewhere.example.comHERE", TARGET, &[], "no-match", "SHA-256"),
    ];
    for (given, target, more, want, word) in table {
        let url = given.replace("HERE", TARGET);
        let found = findings(&here, &ask(&url, target, more));
        assert_eq!(found.iter().map(|finding| finding.fault).collect::<Vec<_>>(), [want], "{url}: {found:?}");
        assert!(found[0].change.contains(word), "{found:?}");
    }
}

#[test]
fn a_token_in_another_place_or_form_is_found() {
    let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
    let gitlab = validator("gitlab", SECRET);
    let bearer = validator("bearer", SECRET);
    let partner = Options { user: Some("partner".to_owned()), ..options("basic") };
    let partner = Validator::build("basic", partner, vec![key("k", SECRET.as_bytes())]).expect("built");
    let table: [(&Validator, &str, String, &[&str]); 19] = [
        (&gitlab, "x-gitlab-token", SECRET.to_owned(), &["genuine-now"]),
        (&gitlab, "x-gitlab-token", "another-token".to_owned(), &["no-match"]),
        (&gitlab, "x-gitlab-token", String::new(), &["missing-token"]),
        (&gitlab, "x-gitlab-event", "Push Hook".to_owned(), &["missing-token"]),
        (&gitlab, "x-gitlab-token", "canary-secret-of-another-topic".to_owned(), &["another-topics-secret"]),
        (&gitlab, "x-gitlab-token", format!("\"{SECRET}\""), &["secret-quotes"]),
        (&gitlab, "x-gitlab-token", format!("Bearer {SECRET}"), &["token-form"]),
        (&gitlab, "x-gitlab-token", SECRET.to_uppercase(), &["secret-case"]),
        (&gitlab, "x-gitlab-token", SECRET[..20].to_owned(), &["token-cut"]),
        (&gitlab, "x-gitlab-token", format!("{SECRET}x"), &["token-cut"]),
        (&gitlab, "x-token", SECRET.to_owned(), &["wrong-header"]),
        (&gitlab, "authorization", format!("Bearer {SECRET}"), &["wrong-header", "token-form"]),
        (&bearer, "authorization", SECRET.to_owned(), &["token-form"]),
        (&bearer, "authorization", format!("Token {SECRET}"), &["token-form"]),
        (&bearer, "authorization", basic(SECRET), &["token-form"]),
        (&bearer, "authorization", basic("a:b"), &["unreadable"]),
        (&partner, "authorization", basic(&format!("other:{SECRET}")), &["wrong-user"]),
        (&partner, "authorization", basic("partner:wrong"), &["no-match"]),
        (&partner, "authorization", format!("Basic partner:{SECRET}"), &["token-form"]),
    ];
    for (here, name, value, want) in &table {
        expect(here, &json(&[(*name, value)], BODY), want);
    }
    let twice = json(&[("x-gitlab-token", SECRET), ("x-gitlab-token", SECRET)], BODY);
    expect(&gitlab, &twice, &["repeated-header"]);
    let target = format!("{TARGET}?x=1&token={SECRET}");
    expect(&gitlab, &post(&target, &[("x-gitlab-event", "Push Hook")], BODY), &["token-in-query"]);
    let spaced = validator("gitlab", &format!("{SECRET}\n"));
    expect(&spaced, &json(&[("x-gitlab-token", SECRET)], BODY), &["secret-whitespace"]);
    let retired = Key { not_after: Some(Millis(0)), ..key("old", b"canary-secret-that-was") };
    let rotated = built("gitlab", vec![key("new", SECRET.as_bytes()), retired]);
    expect(&rotated, &json(&[("x-gitlab-token", "canary-secret-that-was")], BODY), &["retired-secret"]);
}

#[test]
fn a_part_of_a_body_proves_nothing() {
    let here = validator("github", SECRET);
    let topics = [Known { topic: "here", validator: &here }];
    let request = github(&hub(SECRET, BODY), &BODY[..10]);
    let case = Case { topics: &topics, validator: &here, request: &request, whole: false, now: NOW };
    assert_eq!(diagnose(case).iter().map(|finding| finding.fault).collect::<Vec<_>>(), ["body-not-kept"]);
    let unsigned = json(&[("x-github-event", "push")], "");
    let found = diagnose(Case { request: &unsigned, ..case });
    assert_eq!(found.iter().map(|finding| finding.fault).collect::<Vec<_>>(), ["missing-signature"]);
}
