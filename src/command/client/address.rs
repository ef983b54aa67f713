//! Where an admin API is: as it is named with `--admin`, and whether that is where the configuration says.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use http::Uri;
use http::uri::{Authority, Scheme};

use crate::http::Listen;

/// Where an admin API is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// Over TCP.
    Http {
        /// `http` or `https`.
        scheme: Scheme,
        /// Host and port.
        authority: Authority,
        /// What a proxy has before `/api/v1`: begins with `/`, or is empty.
        base: String,
    },
    /// A unix socket.
    Unix(PathBuf),
}

impl Address {
    /// Reads what is named with `--admin`.
    ///
    /// # Errors
    /// What is wrong with it. The text is not repeated: a wrong one may hold a password.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        const HOW: &str = "write `http://HOST:PORT`, `https://HOST` or `unix:PATH`";
        if let Some(path) = text.strip_prefix("unix:") {
            if path.is_empty() || path.contains('\0') {
                return Err(format!("`--admin` names no socket: {HOW}"));
            }
            return Ok(Self::Unix(path.into()));
        }
        // The configuration names addresses without a scheme.
        let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let wrong = |why: &str| format!("`--admin` {why}: {HOW}");
        let uri: Uri = whole.parse().map_err(|_| wrong("is not a URL"))?;
        let query = uri.query().is_some();
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(wrong("is not a URL"));
        };
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(wrong("begins neither with `http://` nor with `https://`"));
        }
        if authority.as_str().contains('@') {
            return Err(wrong("holds a user or password; the token is taken from `$FOREBAY_ADMIN_TOKEN`"));
        }
        if authority.host().is_empty() {
            return Err(wrong("names no host"));
        }
        if query {
            return Err(wrong("has a query"));
        }
        let base = parts.path_and_query.map(|path| path.path().trim_end_matches('/').to_owned()).unwrap_or_default();
        Ok(Self::Http { scheme, authority, base })
    }

    /// Where a listener of the configuration is reached from this machine.
    ///
    /// # Errors
    /// When its port is only known to the daemon.
    pub(super) fn of(listen: &Listen) -> Result<Self, String> {
        let text = match listen {
            Listen::Unix(path) => return Ok(Self::Unix(path.clone())),
            Listen::Tcp(text) => text,
        };
        if text.ends_with(":0") {
            return Err("the configured port of the admin listener is 0, any that was free: name the daemon's with \
                        `--admin`"
                .into());
        }
        match text.parse::<SocketAddr>() {
            Ok(socket) => Self::parse(&super::super::reachable(socket).to_string()),
            Err(_) => Self::parse(text),
        }
    }

    /// Whether this is a listener of the configuration, so that its token may be shown here.
    pub(super) fn is(&self, listen: &Listen) -> bool {
        match (self, listen) {
            (Self::Unix(path), Listen::Unix(other)) => {
                path == other
                    || std::fs::canonicalize(path)
                        .is_ok_and(|path| Ok(path) == std::fs::canonicalize(other).map_err(|_| ()))
            }
            (Self::Http { scheme, authority, .. }, Listen::Tcp(text)) if *scheme == Scheme::HTTP => {
                let Ok(configured) = text.parse::<SocketAddr>() else {
                    return authority.as_str().eq_ignore_ascii_case(text);
                };
                authority.port_u16().unwrap_or(80) == configured.port() && same_host(authority.host(), configured.ip())
            }
            _ => false,
        }
    }
}

/// Whether a host of a URL is that address of this machine. A name is believed only where it says "this machine".
fn same_host(host: &str, configured: IpAddr) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(ip) => ip == configured || (configured.is_unspecified() && ip.is_loopback()),
        Err(_) => bare.eq_ignore_ascii_case("localhost") && (configured.is_unspecified() || configured.is_loopback()),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { scheme, authority, base } => write!(f, "{scheme}://{authority}{base}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, want) in [
            ("http://127.0.0.1:8081", "http://127.0.0.1:8081"),
            ("http://127.0.0.1:8081/", "http://127.0.0.1:8081"),
            ("https://ops.example.com/forebay/", "https://ops.example.com/forebay"),
            ("127.0.0.1:8081", "http://127.0.0.1:8081"),
            ("[::1]:8081", "http://[::1]:8081"),
            ("localhost:1", "http://localhost:1"),
            ("unix:/run/forebay/admin.sock", "unix:/run/forebay/admin.sock"),
            ("unix:admin.sock", "unix:admin.sock"),
        ] {
            assert_eq!(Address::parse(text).map(|address| address.to_string()), Ok(want.into()), "{text}");
        }
        for bad in
            ["", "unix:", "ftp://h", "http://", "http://u:opensesame@h", "http://h?token=opensesame", "a b", "/run/x"]
        {
            let why = Address::parse(bad).expect_err(bad);
            assert!(why.contains("`unix:PATH`") && !why.contains("opensesame"), "{bad}: {why}");
        }
    }

    #[test]
    fn a_token_belongs_to_where_the_daemon_listens() {
        let tcp = |text: &str| Listen::Tcp(text.into());
        for (address, listen, want) in [
            ("http://127.0.0.1:8081", tcp("127.0.0.1:8081"), true),
            ("http://localhost:8081", tcp("127.0.0.1:8081"), true),
            ("http://localhost:8081", tcp("[::1]:8081"), true),
            ("http://127.0.0.1:8081", tcp("0.0.0.0:8081"), true),
            ("http://[::1]:8081", tcp("[::]:8081"), true),
            ("http://127.0.0.1", tcp("127.0.0.1:80"), true),
            ("http://Admin.internal:8081", tcp("admin.internal:8081"), true),
            ("http://127.0.0.1:8082", tcp("127.0.0.1:8081"), false),
            ("http://10.0.0.1:8081", tcp("0.0.0.0:8081"), false),
            ("http://10.0.0.1:8081", tcp("127.0.0.1:8081"), false),
            ("http://localhost:8081", tcp("10.0.0.1:8081"), false),
            ("http://localhost.example.com:8081", tcp("127.0.0.1:8081"), false),
            ("https://127.0.0.1:8081", tcp("127.0.0.1:8081"), false),
            ("unix:/a/b", Listen::Unix("/a/b".into()), true),
            ("unix:/a/c", Listen::Unix("/a/b".into()), false),
            ("http://127.0.0.1:8081", Listen::Unix("127.0.0.1:8081".into()), false),
        ] {
            let is = Address::parse(address).expect("an address").is(&listen);
            assert_eq!(is, want, "{address} {listen}");
        }
    }

    #[test]
    fn a_listener_is_reached_from_here() {
        for (listen, want) in [("0.0.0.0:1", "http://127.0.0.1:1"), ("[::]:1", "http://[::1]:1"), ("h:1", "http://h:1")]
        {
            assert_eq!(Address::of(&Listen::Tcp(listen.into())).map(|a| a.to_string()), Ok(want.into()));
        }
        assert!(Address::of(&Listen::Tcp("127.0.0.1:0".into())).is_err_and(|why| why.contains("`--admin`")));
    }
}
