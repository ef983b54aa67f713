//! Where events go, in a few words and without secrets.

use std::fmt;

use super::Settings;

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout(_) => f.write_str("stdout"),
            Self::File(file) => write!(f, "file {}", file.path),
            Self::Webhook(webhook) => write!(f, "webhook {}", Address(&webhook.url)),
        }
    }
}

/// A URL without its query and the end of its path, in which tokens are carried.
#[derive(Debug)]
pub struct Address<'a>(pub &'a http::Uri);

impl fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.0.authority().map_or("", |authority| authority.as_str());
        write!(f, "{}://{authority}", self.0.scheme_str().unwrap_or_default())?;
        let path = self.0.path();
        // Chat services put the token into the path, behind its first parts.
        let shown = path.match_indices('/').nth(2).map_or(path, |(end, _)| &path[..end]);
        f.write_str(shown)?;
        if shown.len() < path.len() || self.0.query().is_some() { f.write_str("/...") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_show_no_tokens() {
        for (url, want) in [
            ("https://ci.internal", "https://ci.internal/"),
            ("https://ci.internal/hooks/a", "https://ci.internal/hooks/a"),
            ("https://chat.example/services/T0/B0/canary", "https://chat.example/services/T0/..."),
            ("https://ci.internal/hooks?token=canary", "https://ci.internal/hooks/..."),
        ] {
            assert_eq!(Address(&url.parse().expect("a URL")).to_string(), want);
        }
    }
}
