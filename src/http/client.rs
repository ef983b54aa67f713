//! Who sent a request, seen past the trusted proxies.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::FORWARDED;
use ipnet::IpNet;

/// The address of the client: the peer's, or, as long as that is a trusted proxy, the one the proxy names.
///
/// Of `X-Forwarded-For` or `Forwarded` (RFC 7239), the rightmost address that is not a
/// trusted proxy wins: what stands to its left was written by somebody nobody trusts. Where the two headers name different
/// clients, the peer counts. A peer on a unix socket is a proxy
/// on this machine, and trusted where any is.
pub(super) fn address(headers: &HeaderMap, peer: Option<IpAddr>, trusted: &[IpNet]) -> Option<IpAddr> {
    let peer = peer.map(|address| address.to_canonical());
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    if trusted.is_empty() || peer.as_ref().is_some_and(|peer| !is_trusted(peer)) {
        return peer;
    }
    let by_list = || through(headers, "x-forwarded-for", parse, peer, &is_trusted);
    let by_standard = || through(headers, FORWARDED.as_str(), parse_forwarded, peer, &is_trusted);
    match (headers.contains_key("x-forwarded-for"), headers.contains_key(FORWARDED)) {
        // A proxy writes one of them; the other may be the client's own, and there is no telling which.
        (true, true) if by_list() != by_standard() => peer,
        (true, _) => by_list(),
        (false, _) => by_standard(),
    }
}

/// The client by one header; the peer where it names none.
fn through(
    headers: &HeaderMap,
    name: &str,
    parse: fn(&str) -> Option<IpAddr>,
    peer: Option<IpAddr>,
    is_trusted: &dyn Fn(&IpAddr) -> bool,
) -> Option<IpAddr> {
    let named: Vec<_> = headers.get_all(name).iter().flat_map(|value| split(value.as_bytes(), parse)).collect();
    let mut client = peer;
    for hop in named.into_iter().rev() {
        // A hop that is no address hides who is behind it.
        let Some(address) = hop else { break };
        client = Some(address);
        if !is_trusted(&address) {
            break;
        }
    }
    client
}

fn split(value: &[u8], parse: fn(&str) -> Option<IpAddr>) -> Vec<Option<IpAddr>> {
    let text = std::str::from_utf8(value).unwrap_or_default();
    text.split(',').map(|hop| parse(hop.trim())).collect()
}

/// An address with or without a port, IPv6 with or without brackets.
fn parse(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(inside, _)| inside);
    let address = bare.unwrap_or(hop).parse().ok();
    address
        .or_else(|| hop.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip()))
        .map(|a: IpAddr| a.to_canonical())
}

/// The `for` of an element of `Forwarded`.
fn parse_forwarded(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case("for").then(|| parse(value.trim_matches('"')))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rightmost_untrusted_wins() {
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "::1/128"].map(|net| net.parse().expect(net)).into();
        // Peer, header, value, the client.
        let cases = [
            ("10.0.0.1", "x-forwarded-for", "203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "x-forwarded-for", "1.1.1.1, 203.0.113.9, 10.2.2.2", "203.0.113.9"),
            ("10.0.0.1", "x-forwarded-for", "1.1.1.1, junk, 10.2.2.2", "10.2.2.2"),
            ("10.0.0.1", "x-forwarded-for", "203.0.113.9:4711", "203.0.113.9"),
            ("10.0.0.1", "x-forwarded-for", "[2001:db8::1]:80", "2001:db8::1"),
            ("10.0.0.1", "x-forwarded-for", "2001:db8::1", "2001:db8::1"),
            ("10.0.0.1", "x-forwarded-for", "::ffff:203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "forwarded", "for=1.1.1.1, For=\"[2001:db8::1]:80\";proto=https", "2001:db8::1"),
            ("10.0.0.1", "forwarded", "for=_hidden", "10.0.0.1"),
            ("10.0.0.1", "x-other", "1.1.1.1", "10.0.0.1"),
            ("198.51.100.1", "x-forwarded-for", "1.1.1.1", "198.51.100.1"),
            ("::ffff:10.0.0.1", "x-forwarded-for", "203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "x-forwarded-for", "10.1.1.1, 10.2.2.2", "10.1.1.1"),
        ];
        for (peer, name, value, want) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().expect(value));
            let client = address(&headers, Some(peer.parse().expect(peer)), &trusted);
            assert_eq!(client, Some(want.parse().expect(want)), "{peer} {name}: {value}");
        }
        for (list, want) in [("203.0.113.9", "203.0.113.9"), ("1.1.1.1", "10.0.0.1")] {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", list.parse().expect("a value"));
            headers.insert("forwarded", "for=203.0.113.9".parse().expect("a value"));
            let client = address(&headers, Some("10.0.0.1".parse().expect("an address")), &trusted);
            assert_eq!(client, Some(want.parse().expect(want)), "beside another in `forwarded`: {list}");
        }
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "1.1.1.1".parse().expect("a value"));
        headers.append("x-forwarded-for", "203.0.113.9".parse().expect("a value"));
        assert_eq!(address(&headers, None, &trusted), Some("203.0.113.9".parse().expect("an address")));
        assert_eq!(address(&headers, None, &[]), None, "nobody is trusted");
    }
}
