//! Addresses that are never dialled, in every notation a URL can have for them.

use std::time::Duration;

use forebay::sink::webhook::Settings;

use crate::{open, refused, settings, small};

#[tokio::test]
async fn no_notation_gets_past_the_policy() {
    let hosts = [
        // Metadata as it is usually written, and the rest of link-local.
        "169.254.169.254",
        "169.254.169.254:8080",
        "169.254.170.2",
        "169.254.0.1",
        "169.254.255.255",
        // The same in the other notations of inet_aton(3), which resolvers still take.
        "2852039166",
        "0xa9fea9fe",
        "0xA9FEA9FE",
        "025177524776",
        "0xa9.0xfe.0xa9.0xfe",
        "0251.0376.0251.0376",
        "0251.254.0xa9.254",
        "169.254.43518",
        "169.16689662",
        "169.0xfea9fe",
        "0xa9.254.43518",
        "00000251.0376.000251.0376",
        // Metadata elsewhere.
        "100.100.100.200",
        "1684301000",
        "0x646464c8",
        "192.0.0.192",
        "168.63.129.16",
        "[fd00:ec2::254]",
        "[fd00:0ec2:0:0:0:0:0:254]",
        "[FD00:EC2::23]",
        "[fd20:ce::254]",
        // Addresses of nobody or of many.
        "0.0.0.0",
        "0",
        "0x0",
        "000.000",
        "0.0.0.1",
        "224.0.0.1",
        "239.255.255.250",
        "255.255.255.255",
        "0xffffffff",
        "4294967295",
        "[::]",
        "[0:0:0:0:0:0:0:0]",
        "[ff02::1]",
        "[fe80::1]",
        "[fe80:0:0:0:a9fe:a9fe::]",
        "[febf::1]",
        // IPv4 inside IPv6.
        "[::ffff:169.254.169.254]",
        "[::ffff:a9fe:a9fe]",
        "[0:0:0:0:0:ffff:a9fe:a9fe]",
        "[::FFFF:100.100.100.200]",
        "[::ffff:0.0.0.0]",
        "[::169.254.169.254]",
        "[::a9fe:a9fe]",
        "[::ffff:0:169.254.169.254]",
        "[64:ff9b::169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::169.254.169.254]",
        "[2002:a9fe:a9fe::]",
        "[2002:a9fe:a9fe::1]:8443",
        "[2001:0:a9fe:a9fe::]",
        "[2001::5601:5601]",
    ];
    assert!(hosts.len() >= 50);
    for host in hosts {
        let settings = Settings { timeout: Duration::from_secs(5), ..settings(&format!("http://{host}/latest")) };
        let refusal = refused(&open(&settings), small()).await;
        assert_eq!(refusal.label, "blocked", "{host}: {}", refusal.reason);
        assert!(!refusal.give_up && refusal.reason.contains("never dialled"), "{host}: {}", refusal.reason);
    }
}

#[tokio::test]
async fn a_url_that_is_mistaken_for_another_host_is_not_opened() {
    for url in ["http://example.com@169.254.169.254/", "http://169.254.169.254:80@example.com/"] {
        assert!(forebay::sink::webhook::Webhook::open(&settings(url)).is_err(), "{url}");
    }
}
