//! The two listeners, and the addresses they take.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::{Surroundings, defaults, secret};
use crate::config::{Table, Value};
use crate::http::rejections::Keep;
use crate::http::{Admin, Ingress, Listen};

/// The longest path a unix socket can have on Linux, `sun_path` without its final zero.
const MAX_SOCKET_PATH: usize = 107;

const HOW: &str = "an address is `\"127.0.0.1:8080\"`, `\"[::1]:8080\"` or `\"unix:/run/forebay/ingress.sock\"`";

/// An address with the value that names it; none if it is the default.
pub(super) type Named<'t> = (Listen, Option<Value<'t>>);

/// The ingress, and what topics need to know of it.
pub(super) struct Way<'t> {
    pub(super) settings: Ingress,
    pub(super) listen: Vec<Named<'t>>,
    /// `max_body`, for topics that say nothing.
    pub(super) max_body: u64,
}

/// Reads `[ingress]`.
pub(super) fn ingress<'t>(file: &Table<'t>, around: &Surroundings<'_>) -> Way<'t> {
    let table =
        file.get("ingress").and_then(|value| value.table("write `[ingress]`")).map(|table| table.only("ingress"));
    let get = |key: &str| table.as_ref().and_then(|table| table.get(key));
    let listen = addresses(get("listen"), defaults::INGRESS_LISTEN, around);
    if listen.is_empty()
        && let Some(value) = get("listen").filter(Value::is_list)
    {
        value.error("the ingress listens nowhere", HOW);
    }
    clashes(&[], &listen);
    let max_body_memory = get("max_body_memory")
        .map_or(Some(defaults::MAX_BODY_MEMORY), |value| value.size(defaults::MAX_BODY_MEMORY_RANGE));
    let max_body = get("max_body").map_or(Some(defaults::MAX_BODY), |value| value.size(defaults::MAX_BODY_RANGE));
    if let (Some(body), Some(memory)) = (max_body, max_body_memory)
        && body > memory
        && let Some(value) = get("max_body").or_else(|| get("max_body_memory"))
    {
        value.error("one body may be larger than all bodies together", "`max_body` must not exceed `max_body_memory`");
    }
    let timeout = |key, default| {
        let Some(value) = get(key) else { return default };
        let read = value.duration(defaults::TIMEOUT_RANGE);
        if read.is_some_and(|read| read > defaults::LONG_TIMEOUT) {
            value.warn("clients can hold connections open this long", "seconds are usual");
        }
        read.unwrap_or(default)
    };
    let settings = Ingress {
        listen: listen.iter().map(|(listen, _)| listen.clone()).collect(),
        base_path: get("base_path")
            .map_or_else(|| Some(defaults::BASE_PATH.into()), |v| base_path(&v))
            .unwrap_or_default(),
        public_url: get("public_url").and_then(|value| public_url(&value)),
        max_body_memory: max_body_memory.unwrap_or(defaults::MAX_BODY_MEMORY),
        header_timeout: timeout("header_timeout", defaults::HEADER_TIMEOUT),
        body_timeout: timeout("body_timeout", defaults::BODY_TIMEOUT),
        max_connections: get("max_connections")
            .map_or(Some(defaults::MAX_CONNECTIONS), |value| value.number(defaults::MAX_CONNECTIONS_RANGE))
            .and_then(|number| usize::try_from(number).ok())
            .unwrap_or_default(),
        trusted_proxies: get("trusted_proxies").map(|value| proxies(&value)).unwrap_or_default(),
        drain_timeout: get("drain_timeout")
            .and_then(|value| value.duration(defaults::TIMEOUT_RANGE))
            .unwrap_or(defaults::DRAIN_TIMEOUT),
    };
    Way { settings, listen, max_body: max_body.unwrap_or(defaults::MAX_BODY) }
}

/// Reads `[admin]`.
pub(super) fn admin(file: &Table<'_>, around: &Surroundings<'_>, ingress: &[Named<'_>]) -> Admin {
    let table = file.get("admin").and_then(|value| value.table("write `[admin]`")).map(|table| table.only("admin"));
    let get = |key: &str| table.as_ref().and_then(|table| table.get(key));
    let listen = addresses(get("listen"), defaults::ADMIN_LISTEN, around);
    clashes(ingress, &listen);
    let token = get("token");
    for (address, value) in &listen {
        let Some(value) = value else { continue };
        if is_local(address) {
            continue;
        }
        if token.is_none() {
            value.error(
                format!("`{address}` can be reached from outside, and there is no `admin.token`"),
                "set `token = { file = \"admin.token\" }`, or listen on `127.0.0.1` or a unix socket",
            );
        } else {
            value.warn(
                format!("`{address}` can be reached from outside, and the token travels in the clear"),
                "listen on `127.0.0.1` and put a proxy with TLS in front",
            );
        }
    }
    let token = token.and_then(|value| secret::one(&value, around)).map(|(secret, _)| secret);
    let hosts = get("hosts").map(|value| hosts(&value)).unwrap_or_default();
    let rejections = rejections(get("rejections"));
    Admin { listen: listen.into_iter().map(|(listen, _)| listen).collect(), token, hosts, rejections }
}

fn rejections(value: Option<Value<'_>>) -> Keep {
    let table = value
        .and_then(|value| value.table("write `rejections = { keep = 100, bodies = \"64 KiB\" }`"))
        .map(|table| table.only("admin.rejections"));
    let get = |key: &str| table.as_ref().and_then(|table| table.get(key));
    let keep = get("keep").and_then(|value| value.number(defaults::REJECTIONS_RANGE)).unwrap_or(defaults::REJECTIONS);
    let bodies =
        get("bodies").and_then(|value| value.size(defaults::REJECTED_BODY_RANGE)).unwrap_or(defaults::REJECTED_BODY);
    let number = |number| usize::try_from(number).unwrap_or_default();
    Keep { requests: number(keep), bodies: number(bodies) }
}

fn hosts(value: &Value<'_>) -> Vec<String> {
    const HOW: &str = "write `hosts = [\"forebay.internal\"]`, names without scheme and port";
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let mut hosts = Vec::new();
    for entry in value.list(HOW).unwrap_or_default() {
        match entry.string(HOW) {
            Some(text) if !text.is_empty() && text.chars().all(good) => hosts.push(text.to_ascii_lowercase()),
            Some(text) => entry.error(format!("`{text}` is not a host name"), HOW),
            None => {}
        }
    }
    hosts
}

fn addresses<'t>(value: Option<Value<'t>>, default: &str, around: &Surroundings<'_>) -> Vec<Named<'t>> {
    let Some(value) = value else {
        return vec![(Listen::Tcp(default.to_owned()), None)];
    };
    value.one_or_more().into_iter().filter_map(|value| Some((address(&value, around)?, Some(value)))).collect()
}

fn address(value: &Value<'_>, around: &Surroundings<'_>) -> Option<Listen> {
    let text = value.string(HOW)?;
    if let Some(path) = text.strip_prefix("unix:") {
        return socket(value, path, around);
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        let hint = match text.parse::<u16>() {
            Ok(port) => format!("did you mean `127.0.0.1:{port}`?"),
            Err(_) => HOW.to_owned(),
        };
        value.error(format!("`{text}` has no port"), hint);
        return None;
    };
    if port.parse::<u16>().is_err() {
        value.error(format!("`{port}` is not a port"), "a port is a number from 0 (any that is free) to 65535");
        return None;
    }
    if text.parse::<SocketAddr>().is_ok() {
        return Some(Listen::Tcp(text.to_owned()));
    }
    if host.is_empty() {
        value.error("the host before the port is missing", format!("write `0.0.0.0:{port}` for every interface"));
        return None;
    }
    let label = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let number = host.chars().all(|c| c.is_ascii_digit() || c == '.');
    if number || !host.chars().all(label) {
        let hint = if host.contains(':') { format!("did you mean `[{host}]:{port}`?") } else { HOW.to_owned() };
        value.error(format!("`{host}` is neither an address nor a host name"), hint);
        return None;
    }
    Some(Listen::Tcp(text.to_owned()))
}

fn socket(value: &Value<'_>, path: &str, around: &Surroundings<'_>) -> Option<Listen> {
    if path.is_empty() || path.ends_with('/') {
        value.error("the path of the socket is missing", HOW);
        return None;
    }
    let path = around.path(path);
    if path.as_os_str().len() > MAX_SOCKET_PATH {
        let message = format!("the path of a unix socket has at most {MAX_SOCKET_PATH} bytes");
        value.error(message, "choose a shorter one, such as `unix:/run/forebay/ingress.sock`");
        return None;
    }
    Some(Listen::Unix(path))
}

/// Reports every address of `these` that is taken by one of `before` or by an earlier one of `these`.
fn clashes(before: &[Named<'_>], these: &[Named<'_>]) {
    for (at, (address, value)) in these.iter().enumerate() {
        let taken = before.iter().chain(&these[..at]).find(|(other, _)| same(address, other));
        let Some((other, named)) = taken else { continue };
        // A default can clash with what was written; then what was written is to be changed.
        let Some(value) = value.as_ref().or(named.as_ref()) else { continue };
        let message = if address == other {
            format!("`{address}` is listened on twice")
        } else {
            format!("`{address}` and `{other}` take the same port")
        };
        value.error(message, "give each listener an address of its own");
    }
}

/// Whether both cannot be bound at once.
fn same(one: &Listen, other: &Listen) -> bool {
    match (one, other) {
        (Listen::Unix(one), Listen::Unix(other)) => one == other,
        (Listen::Tcp(one), Listen::Tcp(other)) => match (one.parse::<SocketAddr>(), other.parse::<SocketAddr>()) {
            (Ok(one), Ok(other)) => {
                let all = one.ip().is_unspecified() || other.ip().is_unspecified();
                one.port() != 0
                    && one.port() == other.port()
                    && one.is_ipv4() == other.is_ipv4()
                    && (one.ip() == other.ip() || all)
            }
            _ => one == other && !one.ends_with(":0"),
        },
        _ => false,
    }
}

/// Whether only this machine can reach the address.
pub(super) fn is_local(listen: &Listen) -> bool {
    match listen {
        Listen::Unix(_) => true,
        Listen::Tcp(text) => match text.parse::<SocketAddr>() {
            Ok(address) => address.ip().is_loopback(),
            Err(_) => text.starts_with("localhost:"),
        },
    }
}

fn base_path(value: &Value<'_>) -> Option<String> {
    const HINT: &str = "a base path is written as `\"/api/events\"`, or `\"/\"` for none";
    let text = value.string(HINT)?;
    if text.is_empty() || text == "/" {
        return Some(String::new());
    }
    let good = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()+,;=:@".contains(c);
    let segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.chars().all(good);
    let wrong = if !text.starts_with('/') {
        "it must begin with `/`"
    } else if text.ends_with('/') {
        "it must not end with `/`"
    } else if text[1..].split('/').all(segment) {
        return Some(text.to_owned());
    } else {
        "it has an empty segment, or a character a path cannot have as it is"
    };
    value.error(format!("`{text}` is not a base path: {wrong}"), HINT);
    None
}

fn public_url(value: &Value<'_>) -> Option<String> {
    const HINT: &str = "write scheme and host as senders see them: `\"https://hooks.example.com\"`";
    let text = value.string(HINT)?;
    if text.contains('@') {
        value.mask();
        value.error("the URL must not hold a user or password", HINT);
        return None;
    }
    let uri = text.parse::<http::Uri>().ok().filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
    let Some(uri) = uri.filter(|uri| uri.host().is_some_and(|host| !host.is_empty())) else {
        value.error(format!("`{text}` is not an `http` or `https` URL"), HINT);
        return None;
    };
    if uri.path() != "/" || uri.query().is_some() || text.contains('#') {
        value.error("the URL has a path", "leave it out: the path of a topic is `base_path` and `/http/NAME`");
        return None;
    }
    Some(text.trim_end_matches('/').to_owned())
}

fn proxies(value: &Value<'_>) -> Vec<IpNet> {
    let nets = networks(value);
    for (net, value) in &nets {
        if net.prefix_len() == 0 {
            value.warn("every client is believed whatever address it claims", "name the addresses of your proxies");
        }
    }
    nets.into_iter().map(|(net, _)| net).collect()
}

/// Reads a list of networks, each with the value that names it.
pub(super) fn networks<'t>(value: &Value<'t>) -> Vec<(IpNet, Value<'t>)> {
    const HINT: &str = "a network is written as `\"10.0.0.0/8\"` or `\"2001:db8::/32\"`, one address without the `/`";
    let mut nets = Vec::new();
    for value in value.list(HINT).unwrap_or_default() {
        let Some(text) = value.string(HINT) else { continue };
        let Some(net) = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from)) else {
            value.error(format!("`{text}` is not a network"), HINT);
            continue;
        };
        if net.trunc() != net {
            value.warn(format!("`{net}` stands for the whole network"), format!("write `{}`", net.trunc()));
        }
        nets.push((net.trunc(), value));
    }
    nets
}
