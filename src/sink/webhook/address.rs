//! Which addresses a webhook may be posted to: not those by which a machine on the inside gives away its secrets.
//!
//! The URL of a sink is written by the operator, so loopback and private ranges are allowed: a receiver next door is
//! what most sinks have. Refused is what no receiver of webhooks ever is: link-local addresses (where cloud metadata
//! lives), the metadata addresses outside that range, and addresses that name no single machine. The check is on the
//! address that is dialled, so it makes no difference how the host was written or what the name resolved to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Metadata services with addresses outside the link-local range: Alibaba, Oracle, Azure's `WireServer`.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192), Ipv4Addr::new(168, 63, 129, 16)];

/// Why this address must not be dialled; `None` when it may.
pub(super) fn denied(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => denied_v4(v4),
        IpAddr::V6(v6) => denied_v6(v6),
    }
}

fn denied_v4(address: Ipv4Addr) -> Option<&'static str> {
    if METADATA_V4.contains(&address) {
        Some("a cloud metadata address")
    } else if address.is_link_local() {
        Some("a link-local address")
    } else if address.octets()[0] == 0 {
        // RFC 1122 3.2.1.3: "this host on this network"; Linux takes 0.0.0.0 for loopback.
        Some("an unspecified address")
    } else if address.is_multicast() {
        Some("a multicast address")
    } else if address.is_broadcast() {
        Some("the broadcast address")
    } else {
        None
    }
}

fn denied_v6(address: Ipv6Addr) -> Option<&'static str> {
    if address == Ipv6Addr::LOCALHOST {
        return None;
    }
    let segments = address.segments();
    if matches!(segments, [0xfd00, 0x0ec2, ..]) || segments == [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254] {
        // Amazon's range for its instance services, and Google's metadata server.
        return Some("a cloud metadata address");
    }
    if address.is_unicast_link_local() {
        return Some("a link-local address");
    }
    if address.is_unspecified() {
        return Some("an unspecified address");
    }
    if address.is_multicast() {
        return Some("a multicast address");
    }
    embedded(segments).into_iter().flatten().find_map(denied_v4)
}

/// The IPv4 addresses that an IPv6 address may stand for, on a host or behind a translator.
fn embedded(segments: [u16; 8]) -> [Option<Ipv4Addr>; 2] {
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // IPv4-compatible (RFC 4291 2.5.5.1), IPv4-mapped (2.5.5.2), IPv4-translated (RFC 7915),
        // NAT64's well-known prefix (RFC 6052), 6to4 (RFC 3056).
        [0, 0, 0, 0, 0 | 0xffff, 0, high, low]
        | [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => [v4(high, low), None],
        // NAT64's local-use prefix (RFC 8215): at the end, or around the octet that a /48 leaves out (RFC 6052 2.2).
        // The form that is not used leaves zeros where the address would be.
        [0x64, 0xff9b, 1, s3, s4, s5, high, low] => {
            [v4(high, low), v4(s3, s4 << 8 | s5 >> 8)].map(|found| found.filter(|address| !address.is_unspecified()))
        }
        // Teredo (RFC 4380): the server, and the client with its bits flipped.
        [0x2001, 0, high, low, _, _, client_high, client_low] => [v4(high, low), v4(!client_high, !client_low)],
        _ => [None, None],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused() {
        let refused = [
            ("169.254.0.0", "a link-local address"),
            ("169.254.169.254", "a link-local address"),
            ("169.254.170.2", "a link-local address"),
            ("169.254.255.255", "a link-local address"),
            ("100.100.100.200", "a cloud metadata address"),
            ("192.0.0.192", "a cloud metadata address"),
            ("168.63.129.16", "a cloud metadata address"),
            ("0.0.0.0", "an unspecified address"),
            ("0.1.2.3", "an unspecified address"),
            ("224.0.0.1", "a multicast address"),
            ("239.255.255.255", "a multicast address"),
            ("255.255.255.255", "the broadcast address"),
            ("::", "an unspecified address"),
            ("fe80::1", "a link-local address"),
            ("febf:ffff::1", "a link-local address"),
            ("fd00:ec2::254", "a cloud metadata address"),
            ("fd00:ec2::23", "a cloud metadata address"),
            ("fd20:ce::254", "a cloud metadata address"),
            ("ff02::1", "a multicast address"),
            ("::ffff:169.254.169.254", "a link-local address"),
            ("::ffff:a9fe:a9fe", "a link-local address"),
            ("::ffff:100.100.100.200", "a cloud metadata address"),
            ("::ffff:0.0.0.0", "an unspecified address"),
            ("::169.254.169.254", "a link-local address"),
            ("::ffff:0:169.254.169.254", "a link-local address"),
            ("64:ff9b::169.254.169.254", "a link-local address"),
            ("64:ff9b::100.100.100.200", "a cloud metadata address"),
            ("64:ff9b:1::169.254.169.254", "a link-local address"),
            ("64:ff9b:1:a9fe:a9:fe00::", "a link-local address"),
            ("2002:a9fe:a9fe::1", "a link-local address"),
            ("2002:6464:64c8::", "a cloud metadata address"),
            ("2001:0:a9fe:a9fe::", "a link-local address"),
            ("2001:0:102:304::5601:5601", "a link-local address"),
        ];
        for (text, why) in refused {
            assert_eq!(denied(text.parse().expect(text)), Some(why), "{text}");
        }
    }

    #[test]
    fn what_is_allowed() {
        for text in [
            "127.0.0.1",
            "127.255.255.254",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "100.100.100.201",
            "169.253.255.255",
            "169.255.0.0",
            "93.184.216.34",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::93.184.216.34",
            "2002:5db8:d822::1",
            "2001:db8::1",
            "2606:4700::1",
            "fc00::1",
            "fd12:3456::1",
            "fec0::1",
        ] {
            assert_eq!(denied(text.parse().expect(text)), None, "{text}");
        }
    }
}
