//! A topic: a named ingress with its validator and limits, and where the event's type and delivery id are.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::name::TopicName;
pub use crate::signature::{form_payload, is_form};
use crate::validate::{Source, Validator};

/// A media type as `type/subtype`; `*` stands for anything in either part, and `*+json` for any subtype that ends so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType(pub String);

impl MediaType {
    /// Reads `type/subtype`, in lower case from here on. `None` when it is not that, or has parameters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, subtype) = text.split_once('/')?;
        let subtype_end = subtype.strip_prefix('*').filter(|end| end.is_empty() || end.starts_with('+'));
        let good = (kind == "*" || is_token(kind))
            && subtype_end.map_or_else(|| is_token(subtype), |end| end.is_empty() || is_token(&end[1..]));
        good.then(|| Self(text.to_ascii_lowercase()))
    }

    /// What a topic takes that says nothing about it: JSON of any kind, and forms.
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        ["application/json", "*/*+json", "application/x-www-form-urlencoded"].map(|text| Self(text.to_owned())).into()
    }

    /// Whether a content type, with its parameters or without, is of this media type.
    #[must_use]
    pub fn matches(&self, content_type: &str) -> bool {
        let Some((kind, subtype)) = essence(content_type).split_once('/') else { return false };
        let Some((want_kind, want_subtype)) = self.0.split_once('/') else { return false };
        let same_subtype = match want_subtype.strip_prefix('*') {
            Some(end) => {
                let cut = subtype.len().saturating_sub(end.len());
                subtype.as_bytes()[cut..].eq_ignore_ascii_case(end.as_bytes())
            }
            None => subtype.eq_ignore_ascii_case(want_subtype),
        };
        same_subtype && (want_kind == "*" || kind.eq_ignore_ascii_case(want_kind))
    }
}

/// Whether a content type says that the body is JSON: `application/json`, or a subtype that ends in `+json`.
#[must_use]
pub fn is_json(content_type: &str) -> bool {
    essence(content_type).split_once('/').is_some_and(|(kind, subtype)| {
        let json = kind.eq_ignore_ascii_case("application") && subtype.eq_ignore_ascii_case("json");
        json || subtype.rsplit_once('+').is_some_and(|(_, end)| end.eq_ignore_ascii_case("json"))
    })
}

/// A content type without its parameters.
fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// A token of RFC 9110 section 5.6.2, without `*`, which is a wildcard here.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&byte))
}

/// A configured topic, ready for requests.
#[derive(Debug)]
pub struct Topic {
    /// Its name.
    pub name: TopicName,
    /// What decides whether a request is genuine.
    pub validator: Validator,
    /// The largest body, in bytes.
    pub max_body: u64,
    /// Client addresses that may send; empty: any.
    pub allow_from: Vec<IpNet>,
    /// How long a delivery id is remembered; `None`: not at all.
    pub dedupe: Option<Duration>,
    /// The media types that are taken.
    pub accept: Vec<MediaType>,
    /// Where the event's type is; the first that is there counts.
    pub event_type: Vec<Source>,
    /// Where the delivery id is; the first that is there counts.
    pub delivery_id: Vec<Source>,
}

impl Topic {
    /// Whether a client at that address may send. An unknown address may where any may.
    #[must_use]
    pub fn client_allowed(&self, client: Option<IpAddr>) -> bool {
        // A listener for both families sees IPv4 clients as `::ffff:a.b.c.d`.
        let within = |address: IpAddr| self.allow_from.iter().any(|net| net.contains(&address.to_canonical()));
        self.allow_from.is_empty() || client.is_some_and(within)
    }

    /// Whether a body of this content type is taken. One without is bytes, taken where `*/*` is.
    #[must_use]
    pub fn accepts(&self, content_type: Option<&str>) -> bool {
        match content_type {
            Some(content_type) => self.accept.iter().any(|media_type| media_type.matches(content_type)),
            None => self.accept.iter().any(|media_type| media_type.0 == "*/*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::Options;

    #[test]
    fn media_types_are_read() {
        for good in ["application/json", "*/*", "text/*", "application/*+json", "*/*+json", "application/vnd.a+json"] {
            assert_eq!(MediaType::parse(good), Some(MediaType(good.to_owned())), "{good}");
        }
        assert_eq!(MediaType::parse("Application/JSON"), Some(MediaType("application/json".to_owned())));
        for bad in ["", "json", "/", "a/", "/b", "a/b/c", "a b/c", "a/b; q=1", "*a/b", "a/*b", "a/b*", "a/*+", "**/b"] {
            assert_eq!(MediaType::parse(bad), None, "{bad}");
        }
        for default in MediaType::defaults() {
            assert_eq!(MediaType::parse(&default.0), Some(default));
        }
    }

    #[test]
    fn media_types_match() {
        let table = [
            ("application/json", "application/json", true),
            ("application/json", "Application/JSON; charset=utf-8", true),
            ("application/json", " application/json ;x", true),
            ("application/json", "application/jsonx", false),
            ("application/json", "application/vnd.a+json", false),
            ("application/*", "application/xml", true),
            ("application/*", "text/xml", false),
            ("application/*+json", "application/cloudevents+JSON", true),
            ("application/*+json", "application/json", false),
            ("application/*+json", "application/n", false),
            ("*/*", "x/y", true),
            ("*/*", "", false),
            ("*/*", "json", false),
            ("*/*+json", "application/é", false),
        ];
        for (media_type, content_type, want) in table {
            let media_type = MediaType::parse(media_type).expect(media_type);
            assert_eq!(media_type.matches(content_type), want, "{media_type:?} {content_type:?}");
        }
        for yes in
            ["application/json", "application/JSON;charset=utf-8", "application/cloudevents+json", "model/gltf+json"]
        {
            assert!(is_json(yes), "{yes}");
        }
        for no in ["", "json", "text/json", "application/xml", "application/jsonlines", "application/json+xml"] {
            assert!(!is_json(no), "{no}");
        }
    }

    fn topic(allow_from: &[&str], accept: &[&str]) -> Topic {
        Topic {
            name: TopicName::parse("t").expect("a name"),
            validator: Validator::build("none", Options::default(), Vec::new()).expect("built"),
            max_body: 1,
            allow_from: allow_from.iter().map(|net| net.parse().expect("a network")).collect(),
            dedupe: None,
            accept: accept.iter().map(|text| MediaType::parse(text).expect("a media type")).collect(),
            event_type: Vec::new(),
            delivery_id: Vec::new(),
        }
    }

    #[test]
    fn clients_are_held_to_the_list() {
        let some = topic(&["104.192.136.0/21", "2001:db8::/32"], &[]);
        let table = [
            ("104.192.136.1", true),
            ("104.192.143.255", true),
            ("104.192.144.0", false),
            ("::ffff:104.192.136.1", true),
            ("::ffff:10.0.0.1", false),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
        ];
        for (client, want) in table {
            assert_eq!(some.client_allowed(Some(client.parse().expect("an address"))), want, "{client}");
        }
        assert!(!some.client_allowed(None));
        assert!(topic(&[], &[]).client_allowed(None));
    }

    #[test]
    fn no_content_type_is_bytes() {
        assert!(topic(&[], &["application/json", "*/*"]).accepts(None));
        let json = topic(&[], &["application/json"]);
        assert!(json.accepts(Some("application/json")) && !json.accepts(None) && !json.accepts(Some("text/plain")));
    }
}
