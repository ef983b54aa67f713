//! The URLs a sender might have been given, for schemes that sign it.

use http::HeaderMap;

use super::{Finding, one};
use crate::event::Incoming;

/// A URL that might have been signed, and what is wrong if it was.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) origin: String,
    pub(super) target: String,
    pub(super) findings: Vec<Finding>,
}

/// The most that are tried.
const MAX: usize = 400;

/// Every URL that headers and habit suggest, those that differ in one thing first.
pub(super) fn given(origin: &str, request: &Incoming) -> Vec<Given> {
    let origins = origins(origin, &request.headers);
    let targets = targets(&request.target, &request.headers);
    let here = [(origin.to_owned(), None)];
    let came = [(request.target.clone(), None)];
    let mut found = Vec::new();
    let both =
        |origins: &[(String, Option<Finding>)], targets: &[(String, Option<Finding>)], found: &mut Vec<Given>| {
            for (origin, one) in origins {
                for (target, other) in targets {
                    let findings = one.iter().chain(other).cloned().collect();
                    found.push(Given { origin: origin.clone(), target: target.clone(), findings });
                }
            }
        };
    both(&origins, &came, &mut found);
    both(&here, &targets, &mut found);
    both(&origins, &targets, &mut found);
    found.truncate(MAX);
    found
}

/// Schemes, hosts and ports.
fn origins(configured: &str, headers: &HeaderMap) -> Vec<(String, Option<Finding>)> {
    let authority = configured.split_once("://").map_or(configured, |(_, authority)| authority);
    let mut hosts = vec![authority.to_owned()];
    for name in ["host", "x-forwarded-host", "x-original-host", "x-forwarded-server"] {
        let value = one(headers, name).and_then(|value| value.split(',').next()).map(str::trim);
        hosts.extend(value.filter(|host| is_host(host)).map(str::to_owned));
    }
    if let Some(forwarded) = one(headers, "forwarded") {
        let pairs = forwarded.split([',', ';']).filter_map(|pair| pair.trim().split_once('='));
        let host =
            pairs.filter(|(name, _)| name.eq_ignore_ascii_case("host")).map(|(_, value)| value.trim_matches('"'));
        hosts.extend(host.filter(|host| is_host(host)).map(str::to_owned));
    }
    let port = one(headers, "x-forwarded-port").filter(|port| port.parse::<u16>().is_ok());
    let mut found: Vec<(String, Option<Finding>)> = Vec::new();
    for host in &hosts {
        let bare = without_port(host);
        let ported = port.map(|port| format!("{bare}:{port}"));
        let variants = [Some(host.clone()), Some(bare.to_owned()), ported, Some(bare.to_ascii_lowercase())];
        for authority in variants.into_iter().flatten() {
            for (scheme, default) in [("https", "443"), ("http", "80")] {
                for origin in [format!("{scheme}://{authority}"), format!("{scheme}://{authority}:{default}")] {
                    if origin != configured && !found.iter().any(|(known, _)| *known == origin) {
                        let finding = Finding::new(
                            "public-url",
                            format!(
                                "the sender signs a URL that begins with `{origin}`, and `{configured}` is configured"
                            ),
                            format!(
                                "set `public_url = \"{origin}\"` under `[ingress]`, or give the sender the URL with `{configured}`"
                            ),
                        );
                        found.push((origin, Some(finding)));
                    }
                }
            }
        }
    }
    found
}

/// A host with or without a port, such as can stand in a URL.
fn is_host(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    (1..=255).contains(&text.len()) && text.bytes().all(good)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((bare, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !bare.is_empty() => bare,
        _ => host,
    }
}

/// Paths and queries. What is said of them shows no value of a query.
fn targets(came: &str, headers: &HeaderMap) -> Vec<(String, Option<Finding>)> {
    let (path, query) = came.split_once('?').map_or((came, None), |(path, query)| (path, Some(query)));
    let with = |path: &str| query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let changed = |signed: &str| {
        let signed = signed.split('?').next().unwrap_or_default();
        Finding::new(
            "url-path",
            format!("the sender signs the path `{signed}`, and `{path}` came"),
            "give the sender the path as it arrives here, or have the proxy pass the path on unchanged",
        )
    };
    let queried = |how: &str| {
        Finding::new(
            "url-query",
            format!("the sender signs the URL {how}"),
            "have the proxy pass the query on unchanged, or give the sender the URL as it arrives here",
        )
    };
    let mut found = Vec::new();
    for name in ["x-original-uri", "x-original-url", "x-envoy-original-path", "x-rewrite-url", "x-forwarded-uri"] {
        if let Some(original) = one(headers, name).filter(|value| value.starts_with('/')) {
            found.push((original.to_owned(), Some(changed(original))));
        }
    }
    if let Some(prefix) = one(headers, "x-forwarded-prefix").filter(|value| value.starts_with('/')) {
        let path = format!("{}{path}", prefix.trim_end_matches('/'));
        found.push((with(&path), Some(changed(&path))));
    }
    let slashed = match path.strip_suffix('/') {
        Some(bare) => bare.to_owned(),
        None => format!("{path}/"),
    };
    found.push((with(&slashed), Some(changed(&slashed))));
    if query.is_some() {
        found.push((path.to_owned(), Some(queried("without its query"))));
        let decoded =
            crate::signature::unescape(came.as_bytes()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        found.extend(decoded.map(|decoded| (decoded, Some(queried("with its query decoded")))));
    }
    found
}
