//! What may be shown of a refused request: nothing that is, or may be, a secret.

use std::collections::BTreeMap;

use http::header::{AUTHORIZATION, HeaderName, PROXY_AUTHORIZATION};

use super::Rejected;
use crate::topic::Topic;
use crate::validate::{Readings, is_readable_signature, shows_token};

/// What stands for a secret.
const MASK: &str = "***";

/// Parts of the names of headers that carry credentials.
const NAMES: [&str; 16] = [
    "authorization",
    "cookie",
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "credential",
    "session",
    "api-key",
    "apikey",
    "access-key",
    "private-key",
    "auth-key",
    "x-auth",
    "jwt",
];

/// Parts of the names of headers that carry signatures.
const SIGNATURES: [&str; 3] = ["signature", "hmac", "x-sign"];

/// Names of authentication schemes, which tell nothing.
const SCHEMES: [&str; 5] = ["basic", "bearer", "digest", "token", "negotiate"];

/// Knows the secrets of all topics.
#[derive(Debug)]
pub(in crate::http) struct Redactor<'a> {
    topics: Vec<&'a Topic>,
}

impl<'a> Redactor<'a> {
    pub(in crate::http) fn new(topics: impl Iterator<Item = &'a Topic>) -> Self {
        Self { topics: topics.collect() }
    }

    fn hides(&self, text: &[u8]) -> bool {
        let readings = Readings::of(text);
        self.topics.iter().any(|topic| topic.validator.is_secret_in(&readings))
    }

    /// Text of this program that may repeat something from the request.
    pub(in crate::http) fn text(&self, text: &str) -> String {
        if self.hides(text.as_bytes()) { MASK.to_owned() } else { text.to_owned() }
    }

    /// The path, and the query with its values hidden: tokens travel in them.
    pub(in crate::http) fn target(&self, target: &str) -> String {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let path: Vec<String> = path.split('/').map(|segment| self.text(segment)).collect();
        let path = self.text(&path.join("/"));
        let Some(query) = query else { return path };
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, value)) if !value.is_empty() => format!("{}={MASK}", self.text(name)),
            Some((name, _)) => format!("{}=", self.text(name)),
            // Without a name it may be a value.
            None if pair.is_empty() => String::new(),
            None => MASK.to_owned(),
        });
        format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
    }

    /// The headers; several of one name are joined.
    pub(in crate::http) fn headers(&self, rejected: &Rejected) -> BTreeMap<String, String> {
        let mut shown: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in rejected.headers.iter() {
            let value = self.header(name, value);
            shown.entry(self.text(name)).and_modify(|all| *all = format!("{all}, {value}")).or_insert(value);
        }
        shown
    }

    fn header(&self, name: &str, value: &[u8]) -> String {
        let text = String::from_utf8_lossy(value);
        let named = NAMES.iter().any(|part| name.contains(part)) && !name.contains("idempotency");
        let carries = HeaderName::try_from(name).is_ok_and(|name| {
            shows_token(&name) || self.topics.iter().any(|topic| topic.validator.secret_headers().contains(&name))
        });
        // What is no signature where one belongs may be the secret it should have been made with.
        let misplaced = SIGNATURES.iter().any(|part| name.contains(part)) && !is_readable_signature(&text);
        if named || carries || misplaced || self.hides(value) {
            let scheme = if [AUTHORIZATION, PROXY_AUTHORIZATION].iter().any(|known| known == name) {
                text.split_once(' ').map(|(scheme, _)| scheme)
            } else {
                None
            };
            let known = scheme.filter(|scheme| SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)));
            let length = known.map_or(value.len(), |scheme| value.len() - scheme.len() - 1);
            let before = known.map(|scheme| format!("{scheme} ")).unwrap_or_default();
            return format!("{before}{MASK} ({length} bytes)");
        }
        if name == "referer" || text.contains("://") { self.target(&text) } else { text.into_owned() }
    }

    /// The body as text, where it is text and holds no secret.
    pub(in crate::http) fn body(&self, rejected: &Rejected) -> Option<String> {
        let body = &rejected.body;
        if body.is_empty() || self.hides(body) {
            return None;
        }
        let text = match std::str::from_utf8(body) {
            Ok(text) => text,
            // The end may have been cut off within a character.
            Err(error) if !rejected.is_whole() && error.error_len().is_none() => {
                std::str::from_utf8(&body[..error.valid_up_to()]).ok()?
            }
            Err(_) => return None,
        };
        Some(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cause, Keep, Rejections, Seen};
    use super::*;
    use crate::name::TopicName;
    use crate::secret::{Key, Secret};
    use crate::validate::{Options, Validator};
    use http::{HeaderMap, HeaderValue, Method};

    const SECRET: &str = "canary/secret\"of-the-topic";

    fn topic(kind: &str, header: Option<&'static str>) -> Topic {
        let secret = Secret::new(SECRET.into()).expect("not empty");
        let key = Key { id: "k".into(), secret, not_before: None, not_after: None };
        let options = Options { header: header.map(HeaderName::from_static), ..Options::default() };
        Topic {
            name: TopicName::parse("t").expect("a name"),
            validator: Validator::build(kind, options, vec![key]).expect("built"),
            max_body: 1,
            allow_from: Vec::new(),
            dedupe: None,
            accept: Vec::new(),
            event_type: Vec::new(),
            delivery_id: Vec::new(),
        }
    }

    #[test]
    fn credentials_are_not_shown() {
        let topics = [topic("github", None), topic("token", Some("x-mine"))];
        let redactor = Redactor::new(topics.iter());
        let digest = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let table = [
            ("authorization", "Bearer abc", "Bearer *** (3 bytes)"),
            ("authorization", "abc def", "*** (7 bytes)"),
            ("cookie", "a=b", "*** (3 bytes)"),
            ("x-gitlab-token", "abc", "*** (3 bytes)"),
            ("x-hook-secret", "abc", "*** (3 bytes)"),
            ("x-api-key", "abc", "*** (3 bytes)"),
            ("x-mine", "anything", "*** (8 bytes)"),
            ("x-hub-signature-256", digest, digest),
            ("x-hub-signature-256", "sha256=a-wrong-secret", "*** (21 bytes)"),
            ("x-other", SECRET, "*** (26 bytes)"),
            ("x-other", "Y2FuYXJ5L3NlY3JldCJvZi10aGUtdG9waWM=", "*** (36 bytes)"),
            ("x-other", "a harmless value", "a harmless value"),
            ("referer", "https://h/?token=abc", "https://h/?token=***"),
            ("x-github-event", "push", "push"),
            ("i-twilio-idempotency-token", "abc", "abc"),
        ];
        for (name, value, want) in table {
            assert_eq!(redactor.header(name, value.as_bytes()), want, "{name}: {value}");
        }
    }

    #[test]
    fn values_of_a_query_are_not_shown() {
        let topics = [topic("github", None)];
        let redactor = Redactor::new(topics.iter());
        for (target, want) in [
            ("/a/b", "/a/b"),
            ("/a?token=x&y=&z", "/a?token=***&y=&***"),
            ("/a?", "/a?"),
            ("/a/canary%2Fsecret%22of-the-topic", "/a/***"),
        ] {
            assert_eq!(redactor.target(target), want);
        }
    }

    #[test]
    fn a_body_with_a_secret_is_not_shown() {
        let topics = [topic("github", None)];
        let redactor = Redactor::new(topics.iter());
        let table: [(&[u8], Option<&str>); 7] = [
            (b"{\"a\":1}", Some("{\"a\":1}")),
            (b"", None),
            (b"\xff", None),
            (b"x canary/secret\"of-the-topic x", None),
            (b"{\"a\":\"canary\\/secret\\\"of-the-topic\"}", None),
            (b"a=canary%2Fsecret%22of-the-topic", None),
            (b"Y2FuYXJ5L3NlY3JldCJvZi10aGUtdG9waWM", None),
        ];
        let headers = HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_static("h"))]);
        for (body, want) in table {
            let ring = Rejections::new(Keep { requests: 1, bodies: 100 });
            let seen = Seen {
                method: &Method::POST,
                target: "/",
                headers: &headers,
                peer: None,
                client: None,
                body: Some(body),
            };
            ring.record(&seen, Cause { topic: "t", status: 403, label: "mismatch", reason: "no".into() });
            assert_eq!(
                redactor.body(&ring.list(None, u64::MAX, 1)[0]).as_deref(),
                want,
                "{}",
                String::from_utf8_lossy(body)
            );
        }
    }
}
