//! Who may ask: whoever knows the token, where there is one; and no page or script of another origin, token or not.
//!
//! A browser sends requests for any page to any address, and a name of the page's own may lead to this listener (DNS
//! rebinding). So without a token the name in `Host` must be one that is ours, and in any case a request that a browser
//! says comes from elsewhere (`Origin`, and `Sec-Fetch-Site`, <https://www.w3.org/TR/fetch-metadata/>) is refused.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, HOST, HeaderValue, ORIGIN, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, StatusCode};

use crate::http::Listen;
use crate::http::reply::{self, Answer};
use crate::secret::Secret;

/// See the module.
#[derive(Debug)]
pub struct Guard {
    token: arc_swap::ArcSwapOption<Secret>,
    /// Names in `Host` that are ours, in lower case and without port.
    hosts: arc_swap::ArcSwap<Vec<String>>,
}

impl Guard {
    /// Lets in who knows the token, if there is one, and who calls the listener by an address, `localhost`, a name it listens
    /// on, or one of `hosts`.
    #[must_use]
    pub fn new(token: Option<Secret>, listen: &[Listen], hosts: &[String]) -> Self {
        let guard = Self { token: arc_swap::ArcSwapOption::empty(), hosts: arc_swap::ArcSwap::default() };
        guard.change(token, listen, hosts);
        guard
    }

    /// The same for what is asked from now on.
    pub fn change(&self, token: Option<Secret>, listen: &[Listen], hosts: &[String]) {
        let listened = listen.iter().filter_map(|listen| match listen {
            Listen::Tcp(address) => Some(host_of(address).to_ascii_lowercase()),
            Listen::Unix(_) => None,
        });
        self.hosts.store(listened.chain(hosts.iter().cloned()).collect::<Vec<_>>().into());
        self.token.store(token.map(Into::into));
    }

    /// Refuses what a page of another origin has sent. `peer`: none on a unix socket, which no browser reaches.
    pub(super) fn admits(&self, method: &Method, headers: &HeaderMap, peer: Option<IpAddr>) -> Result<(), Answer> {
        let refused = |message: &str| Err(reply::error_json(StatusCode::FORBIDDEN, "NotAllowedError", message));
        let text = |value: &HeaderValue| value.to_str().unwrap_or("\u{fffd}").to_ascii_lowercase();
        let host = headers.get(HOST).map(text);
        if let (Some(host), true, true) = (&host, peer.is_some(), self.token.load().is_none())
            && !self.is_ours(host_of(host))
        {
            return refused(
                "the name in `host` is not known here: add it to `admin.hosts`, or configure `admin.token`",
            );
        }
        let elsewhere = "a page of another origin cannot use this";
        if let Some(origin) = headers.get(ORIGIN).map(text) {
            let of = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            if of.is_none() || of != host.as_deref() {
                return refused(elsewhere);
            }
        }
        let site = headers.get("sec-fetch-site").map(text);
        let follows_a_link = *method == Method::GET
            && headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate")
            && headers.get("sec-fetch-dest").is_some_and(|dest| dest == "document");
        if site.is_some_and(|site| site != "same-origin" && site != "none") && !follows_a_link {
            return refused(elsewhere);
        }
        Ok(())
    }

    fn is_ours(&self, host: &str) -> bool {
        let address = host.trim_start_matches('[').trim_end_matches(']');
        address.parse::<IpAddr>().is_ok() || host == "localhost" || self.hosts.load().iter().any(|ours| ours == host)
    }

    /// Refuses who does not know the token.
    pub(super) fn knows(&self, headers: &HeaderMap) -> Result<(), Answer> {
        let token = self.token.load();
        let Some(token) = token.as_deref() else { return Ok(()) };
        let mut shown = headers.get_all(AUTHORIZATION).iter();
        if let (Some(value), None) = (shown.next(), shown.next())
            // RFC 9110 section 11.1: the scheme's name is case-insensitive.
            && let Some((scheme, shown)) = value.as_bytes().split_at_checked(7)
            && scheme.eq_ignore_ascii_case(b"bearer ")
            && token.equals(shown)
        {
            return Ok(());
        }
        let mut answer =
            reply::error_json(StatusCode::UNAUTHORIZED, "AuthenticationError", "the admin token is needed");
        answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        Err(answer)
    }
}

/// The host of `host:port`.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.is_empty() => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs = &'static [(&'static str, &'static str)];

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| ((*name).parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn other_origins_are_kept_out() {
        let listen = [Listen::Tcp("ops.internal:8081".into()), Listen::Unix("/run/a.sock".into())];
        let open = Guard::new(None, &listen, &["forebay.example".into()]);
        let token = Secret::new(b"sesame-open".to_vec()).expect("a secret");
        let closed = Guard::new(Some(token), &listen, &[]);
        let peer = Some(IpAddr::from([127, 0, 0, 1]));
        // (headers, without a token, with one)
        let table: &[(Pairs, bool, bool)] = &[
            (&[("host", "127.0.0.1:8081")], true, true),
            (&[("host", "[::1]:8081")], true, true),
            (&[("host", "LOCALHOST:8081")], true, true),
            (&[("host", "ops.internal:9")], true, true),
            (&[("host", "forebay.example")], true, true),
            (&[("host", "evil.example:8081")], false, true),
            (&[("host", "localhost.evil.example")], false, true),
            (&[("host", "localhost:8081"), ("origin", "http://localhost:8081")], true, true),
            (&[("host", "localhost:8081"), ("origin", "http://localhost:9999")], false, false),
            (&[("host", "localhost:8081"), ("origin", "null")], false, false),
            (&[("host", "localhost"), ("origin", "https://evil.example")], false, false),
            (&[("host", "localhost"), ("sec-fetch-site", "same-origin")], true, true),
            (&[("host", "localhost"), ("sec-fetch-site", "none")], true, true),
            (&[("host", "localhost"), ("sec-fetch-site", "cross-site")], false, false),
            (&[("host", "localhost"), ("sec-fetch-site", "same-site")], false, false),
            (
                &[
                    ("host", "localhost"),
                    ("sec-fetch-site", "cross-site"),
                    ("sec-fetch-mode", "navigate"),
                    ("sec-fetch-dest", "document"),
                ],
                true,
                true,
            ),
            (
                &[
                    ("host", "localhost"),
                    ("sec-fetch-site", "cross-site"),
                    ("sec-fetch-mode", "navigate"),
                    ("sec-fetch-dest", "iframe"),
                ],
                false,
                false,
            ),
            (&[], true, true),
        ];
        for (pairs, without, with) in table {
            let headers = headers(pairs);
            assert_eq!(open.admits(&Method::GET, &headers, peer).is_ok(), *without, "{pairs:?}");
            assert_eq!(closed.admits(&Method::GET, &headers, peer).is_ok(), *with, "{pairs:?}");
        }
        let odd = headers(&[("host", "anything")]);
        assert!(open.admits(&Method::GET, &odd, None).is_ok(), "no browser reaches a unix socket");
    }

    #[test]
    fn the_token_opens() {
        let token = Secret::new(b"sesame-open".to_vec()).expect("a secret");
        let guard = Guard::new(Some(token), &[], &[]);
        for (value, want) in [
            ("Bearer sesame-open", true),
            ("bEARER sesame-open", true),
            ("Bearer sesame", false),
            ("sesame-open", false),
        ] {
            assert_eq!(guard.knows(&headers(&[("authorization", value)])).is_ok(), want, "{value}");
        }
        assert!(guard.knows(&HeaderMap::new()).is_err());
        let twice = headers(&[("authorization", "Bearer sesame-open")]);
        let mut twice = twice;
        twice.append("authorization", HeaderValue::from_static("Bearer sesame-open"));
        assert!(guard.knows(&twice).is_err(), "shown twice");
        guard.change(None, &[], &[]);
        assert!(guard.knows(&HeaderMap::new()).is_ok());
    }
}
