//! What is wrong with a refused request: what can be told by path, address, media type and length; the rest is the
//! validator's to say.

use std::net::IpAddr;

use super::super::client;
use super::Rejected;
use crate::json;
use crate::topic::{MediaType, Topic};
use crate::validate::Rejection;
use crate::validate::doctor::{Case, Finding, Known, diagnose};

/// What of the configuration in force a diagnosis needs.
#[derive(Debug)]
pub(in crate::http) struct Place<'a> {
    pub(in crate::http) topics: Vec<&'a Topic>,
    /// What stands before the name of a topic in a path.
    pub(in crate::http) prefix: &'a str,
    pub(in crate::http) trusted_proxies: &'a [ipnet::IpNet],
}

/// All that is wrong, most likely first. May take a second.
pub(in crate::http) fn findings(rejected: &Rejected, place: &Place<'_>) -> Vec<Finding> {
    let topic = place.topics.iter().find(|topic| topic.name.as_str() == &*rejected.topic);
    let Some(topic) = topic else {
        return vec![if rejected.topic.is_empty() {
            nowhere(&rejected.target, place)
        } else {
            Finding::new(
                "topic-gone",
                format!("the topic `{}` is not configured any more", rejected.topic),
                "configure it again, or have the sender stop",
            )
        }];
    };
    match rejected.label {
        "method" => vec![method(rejected, topic)],
        "address" => vec![address(rejected, topic, place)],
        "encoding" => vec![encoding(rejected)],
        "media_type" => vec![media_type(rejected, topic)],
        "too_large" => vec![too_large(rejected, topic)],
        "body" => vec![body(rejected, topic)],
        "not_recorded" => vec![not_recorded(rejected)],
        label if Rejection::LABELS.contains(&label) => {
            let topics: Vec<Known<'_>> = place
                .topics
                .iter()
                .map(|topic| Known { topic: topic.name.as_str(), validator: &topic.validator })
                .collect();
            let request = rejected.request();
            diagnose(Case {
                topics: &topics,
                validator: &topic.validator,
                request: &request,
                whole: rejected.is_whole(),
                now: rejected.time,
            })
        }
        _ => Vec::new(),
    }
}

/// There is no such path.
fn nowhere(target: &str, place: &Place<'_>) -> Finding {
    let path = target.split('?').next().unwrap_or_default();
    let asked = path.strip_prefix(place.prefix);
    let segments = || path.split('/').filter(|segment| !segment.is_empty());
    let name = |topic: &&&Topic| segments().any(|segment| segment == topic.name.as_str());
    let named = place.topics.iter().find(name).map(|topic| topic.name.as_str());
    // Of names that are merely alike, the last word of the path is the likeliest to be meant for one.
    let last = segments().next_back().unwrap_or_default();
    let alike =
        |topic: &&Topic| strsim::jaro_winkler(&last.to_ascii_lowercase(), &topic.name.as_str().to_ascii_lowercase());
    let near = place
        .topics
        .iter()
        .map(|topic| (alike(topic), topic.name.as_str()))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name);
    let (fault, found) = match asked {
        Some(_) => ("unknown-topic", "there is no topic of this name".to_owned()),
        None => ("wrong-path", format!("topics are below `{}`, and this path is not", place.prefix)),
    };
    let change = match named.or(near) {
        Some(name) => {
            format!("did you mean `{}{name}`? Names are case-sensitive, and nothing follows them", place.prefix)
        }
        None => "configure the topic, or give the sender the URL of one that is configured".to_owned(),
    };
    Finding::new(fault, found, change)
}

fn method(rejected: &Rejected, topic: &Topic) -> Finding {
    let kind = topic.validator.kind();
    if rejected.target.contains("hub.verify_token=") && kind == "meta" {
        return Finding::new(
            "handshake-refused",
            "the provider asks for its challenge with a token that is not this topic's",
            "enter the `verify_token` of the topic's `validator` at the provider; without one, its secret",
        );
    }
    Finding::new(
        "method",
        format!("a {} came, and events are posted", rejected.method),
        "nothing, if somebody looked with a browser; a sender whose URL is redirected turns POST into GET, so give it the last one",
    )
}

fn address(rejected: &Rejected, topic: &Topic, place: &Place<'_>) -> Finding {
    let name = |address: Option<IpAddr>| {
        address.map_or_else(|| "a unix socket".to_owned(), |address| format!("`{}`", address.to_canonical()))
    };
    let (client, peer) = (name(rejected.client), name(rejected.peer));
    let headers = rejected.request().headers;
    // Who would it be if whoever connected, or was named last, were a trusted proxy? One on a unix socket is trusted where
    // any is.
    let net = |address: Option<IpAddr>| {
        ipnet::IpNet::from(address.map_or_else(|| IpAddr::from([127, 0, 0, 1]), |address| address.to_canonical()))
    };
    let proxy = net(rejected.client.or(rejected.peer));
    let trusted: Vec<_> = place.trusted_proxies.iter().copied().chain([net(rejected.peer), proxy]).collect();
    let behind = client::address(&headers, rejected.peer, &trusted);
    if behind != rejected.client && topic.client_allowed(behind) {
        return Finding::new(
            "untrusted-proxy",
            format!(
                "the request came through {client}, which is not a trusted proxy; behind it is {}, which may send",
                name(behind)
            ),
            format!("if that is your proxy, add \"{}\" to `trusted_proxies` under `[ingress]`", proxy.addr()),
        );
    }
    let found = if rejected.client == rejected.peer {
        format!("the client is {client}, which is not in `allow_from`")
    } else {
        format!("the client is {client}, by the word of the proxy {peer}, and not in `allow_from`")
    };
    Finding::new(
        "address-not-allowed",
        found,
        "if it is the sender's, add it to the topic's `allow_from`: providers change their addresses, and publish them",
    )
}

fn encoding(rejected: &Rejected) -> Finding {
    let value = |name: &str| rejected.headers.get(name).map(String::from_utf8_lossy);
    match value("content-encoding").filter(|value| !value.is_empty()) {
        Some(_) => Finding::new(
            "content-encoding",
            "the body is compressed",
            "have the sender, or the proxy in front, send it uncompressed: what was signed must come as it is",
        ),
        None => Finding::new(
            "transfer-encoding",
            "the body has a transfer coding other than `chunked`",
            "have the proxy in front send a `content-length`, or `chunked` alone",
        ),
    }
}

fn media_type(rejected: &Rejected, topic: &Topic) -> Finding {
    let accepted: Vec<_> = topic.accept.iter().map(|MediaType(text)| format!("`{text}`")).collect();
    let accepted = accepted.join(", ");
    let came = rejected.headers.get("content-type").map(String::from_utf8_lossy);
    let (found, change) = match &came {
        None => (
            format!("there is no `content-type`, and this topic takes {accepted}"),
            "have the sender say what it sends; or set `accept = [\"*/*\"]` for the topic".to_owned(),
        ),
        Some(came) => {
            let plain = MediaType::parse(came.split(';').next().unwrap_or_default().trim()).map(|MediaType(text)| text);
            let plain = plain.unwrap_or_else(|| "*/*".to_owned());
            (
                format!("the media type is `{plain}`, and this topic takes {accepted}"),
                format!(
                    "have the sender send one of these, for most a setting of the webhook; or add \"{plain}\" to the topic's `accept`"
                ),
            )
        }
    };
    Finding::new("media-type", found, change)
}

fn too_large(rejected: &Rejected, topic: &Topic) -> Finding {
    let length = rejected.length.map_or_else(|| "more".to_owned(), |length| format!("{length} bytes"));
    Finding::new(
        "too-large",
        format!("the body has {length}, and this topic takes {}", topic.max_body),
        "set a larger `max_body` for the topic, or under `[ingress]`",
    )
}

fn body(rejected: &Rejected, topic: &Topic) -> Finding {
    match rejected.status {
        408 => Finding::new(
            "body-slow",
            "the body did not come within `body_timeout`",
            "see what is slow between the sender and here; a `content-length` larger than the body waits for the rest as well",
        ),
        413 => too_large(rejected, topic),
        503 => Finding::new(
            "no-memory",
            "all bodies in memory together had reached `max_body_memory`",
            "set a larger `max_body_memory` under `[ingress]`, or have fewer large bodies sent at once",
        ),
        _ => Finding::new(
            "body-broken",
            "the connection ended within the body",
            "see what breaks it off between the sender and here: a time limit of the sender, or a proxy",
        ),
    }
}

fn not_recorded(rejected: &Rejected) -> Finding {
    if rejected.status == 400 {
        let place = json::check(&rejected.body).err().filter(|_| rejected.is_whole());
        let found = place.map_or_else(
            || "the sender is genuine, and the body is not well-formed JSON, though it says so".to_owned(),
            |error| format!("the sender is genuine, and the body is not well-formed JSON: {error}"),
        );
        return Finding::new("not-json", found, "have the sender send JSON, or the `content-type` of what it sends");
    }
    if rejected.status == 413 {
        return Finding::new(
            "too-large",
            "headers and body together are more than a record can hold",
            "have less sent",
        );
    }
    Finding::new(
        "no-room",
        "the request was genuine, and the journal took no events at that moment",
        "look at `/readyz` and the log: the disk may be full or slow",
    )
}
