//! Handshakes: answered as the provider wants, and never a way to get an event recorded unsigned.

use forebay::secret::Secret;
use forebay::validate::{Options, Reply, Validator, Verdict, kinds};

use crate::request::{NOW, key, options, post, secret, validator, verdict};

fn reply(validator: &Validator, incoming: forebay::event::Incoming) -> Reply {
    match validator.check(incoming, NOW) {
        Verdict::Handshake(reply) => reply,
        other => panic!("{other:?}"),
    }
}

fn header<'r>(reply: &'r Reply, name: &str) -> Option<&'r [u8]> {
    reply.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
}

fn signed(validator: &Validator, more: &[(&str, &str)], body: &str) -> forebay::event::Incoming {
    let own = validator.sign("", body.as_bytes(), None, NOW).expect("signed");
    let mut headers: Vec<(&str, &str)> = own.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    headers.extend(more);
    post("/", &headers, body)
}

#[test]
fn bitbucket_pings_unsigned() {
    let server = validator("bitbucket-server", "secret-1");
    let ping = ("x-event-key", "diagnostics:ping");
    assert_eq!(reply(&server, post("/", &[ping], "{\"test\":true}")).status, 200);
    assert_eq!(verdict(&server, signed(&server, &[ping], "{}")), "handshake");
    let wrong = format!("sha256={}", "0".repeat(64));
    assert_eq!(verdict(&server, post("/", &[ping, ("x-hub-signature", &wrong)], "{}")), "mismatch");
    assert_eq!(verdict(&server, post("/", &[("x-event-key", "repo:push")], "{}")), "missing");
    assert_eq!(verdict(&server, post("/", &[ping, ("x-event-key", "repo:push")], "{}")), "missing");
    assert_eq!(verdict(&validator("bitbucket-cloud", "secret-1"), post("/", &[ping], "{}")), "missing");
}

#[test]
fn slack_gets_its_challenge_only_when_it_signed() {
    let slack = validator("slack", "secret-1");
    let body = r#"{"token":"t","challenge":"3eZbrw1aB","type":"url_verification"}"#;
    let answer = reply(&slack, signed(&slack, &[], body));
    assert_eq!((answer.status, &*answer.body), (200, &b"3eZbrw1aB"[..]));
    assert_eq!(header(&answer, "x-content-type-options"), Some(&b"nosniff"[..]));
    assert_eq!(verdict(&slack, post("/", &[], body)), "missing");
    let event = r#"{"type":"event_callback","event":{"type":"message","text":"url_verification"}}"#;
    assert_eq!(verdict(&slack, signed(&slack, &[], event)), "genuine");
}

#[test]
fn asana_gets_its_secret_back() {
    let asana = validator("asana", "secret-1");
    let hook = ("x-hook-secret", "b537207f20cbfa02357cf448134da559");
    let answer = reply(&asana, post("/", &[hook], "{}"));
    assert_eq!(header(&answer, hook.0), Some(hook.1.as_bytes()));
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(verdict(&asana, post("/", &[("x-hook-signature", "00"), hook], "{}")), "malformed");
    assert_eq!(verdict(&asana, signed(&asana, &[hook], "{\"events\":[]}")), "genuine");
    for bad in ["", "a b", &"x".repeat(257)] {
        assert_eq!(verdict(&asana, post("/", &[("x-hook-secret", bad)], "{}")), "missing", "{bad:?}");
    }
    assert_eq!(verdict(&asana, post("/", &[hook, hook], "{}")), "missing");
}

#[test]
fn challenges_of_a_get() {
    let meta = validator("meta", "secret-1");
    let dropbox = validator("dropbox", "secret-1");
    let right = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=secret-1";
    let answer = meta.challenge(right).expect("an answer");
    assert_eq!((answer.status, &*answer.body), (200, &b"1158201444"[..]));
    assert_eq!(header(&answer, "content-type"), Some(&b"text/plain; charset=utf-8"[..]));
    assert_eq!(header(&answer, "x-content-type-options"), Some(&b"nosniff"[..]));
    for wrong in [
        "",
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=secret-2",
        "hub.mode=subscribe&hub.challenge=1",
        "hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=secret-1",
        "hub.mode=subscribe&hub.challenge=&hub.verify_token=secret-1",
        "hub.mode=subscribe&hub.challenge=%00&hub.verify_token=secret-1",
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=x&hub.verify_token=secret-1",
        "challenge=1",
    ] {
        assert_eq!(meta.challenge(wrong), None, "{wrong}");
    }
    let answer = dropbox.challenge("challenge=abc%20d").expect("an answer");
    assert_eq!(&*answer.body, b"abc d");
    for wrong in ["", "challenge=", "challenge=%0d%0a", "challenge=a&challenge=b", "challenge=%zz"] {
        assert_eq!(dropbox.challenge(wrong), None, "{wrong}");
    }
    assert_eq!(dropbox.challenge(&format!("challenge={}", "x".repeat(1025))), None);
    for kind in kinds().iter().filter(|kind| !matches!(**kind, "meta" | "dropbox")) {
        assert_eq!(validator(kind, secret(kind)).challenge(&format!("{right}&challenge=1")), None, "{kind}");
    }
}

#[test]
fn a_verify_token_of_its_own_takes_the_place_of_the_secrets() {
    let token = Secret::new(b"mine".to_vec()).expect("not empty");
    let options = Options { verify_token: Some(token), ..options("meta") };
    let meta = Validator::build("meta", options, vec![key("k", b"app-secret")]).expect("built");
    let query = |token: &str| format!("hub.mode=subscribe&hub.challenge=1&hub.verify_token={token}");
    assert!(meta.challenge(&query("mine")).is_some());
    assert_eq!(meta.challenge(&query("app-secret")), None);
}

/// What opens a handshake at one provider opens nothing at the others, and nowhere makes an event.
#[test]
fn no_handshake_makes_an_event() {
    let headers = [("x-event-key", "diagnostics:ping"), ("x-hook-secret", "b537207f20cb"), ("x-gitlab-event", "x")];
    let bodies = [r#"{"type":"url_verification","challenge":"x"}"#, r#"{"type":1}"#, r#"{"type":0}"#, "{}", ""];
    for kind in kinds().iter().filter(|kind| **kind != "none") {
        let validator = validator(kind, secret(kind));
        for body in bodies {
            let found = verdict(&validator, post("/?challenge=1", &headers, body));
            let want = if matches!(*kind, "bitbucket-server" | "asana") { "handshake" } else { "missing" };
            assert_eq!(found, want, "{kind} {body}");
        }
    }
}

#[test]
fn discord_pings_in_two_ways() {
    use ring::signature::{Ed25519KeyPair, KeyPair};
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a pair");
    let discord = validator("discord", &crate::request::hex(pair.public_key().as_ref()));
    let time = NOW.seconds().to_string();
    let sent = |body: &str| {
        let signature = crate::request::hex(pair.sign(format!("{time}{body}").as_bytes()).as_ref());
        let headers = [("x-signature-ed25519", &*signature), ("x-signature-timestamp", &*time)];
        post("/", &headers, body)
    };
    let answer = reply(&discord, sent(r#"{"type":1,"id":"1"}"#));
    assert_eq!((answer.status, &*answer.body), (200, &b"{\"type\":1}"[..]));
    assert_eq!(header(&answer, "content-type"), Some(&b"application/json"[..]));
    let answer = reply(&discord, sent(r#"{"version":1,"type":0}"#));
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    let event = r#"{"version":1,"type":1,"event":{"type":"APPLICATION_AUTHORIZED"}}"#;
    assert_eq!(verdict(&discord, sent(event)), "genuine");
    assert_eq!(verdict(&discord, sent(r#"{"type":2}"#)), "genuine");
}
