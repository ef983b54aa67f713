//! The page for people, embedded: its files, and what browsers are told about them.
//!
//! The files are served as they lie here, but for the indentation and the lines that are only a comment: a sixth of them, on a
//! page that may be opened over a poor connection in the middle of the night.

use std::hash::Hasher;
use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, Response, StatusCode};
use xxhash_rust::xxh3::Xxh3;

use crate::http::answer::Body;
use crate::http::reply::Answer;

/// One file of the page.
#[derive(Debug)]
pub(super) struct File {
    path: &'static str,
    media_type: &'static str,
    text: Bytes,
    /// Changes whenever the text does.
    tag: HeaderValue,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Path, media type and text, as it lies here.
const SOURCES: &[(&str, &str, &str)] = &[
    ("/", HTML, include_str!("page/index.html")),
    ("/page.css", CSS, include_str!("page/page.css")),
    ("/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
    ("/page.js", SCRIPT, include_str!("page/page.js")),
    ("/dom.js", SCRIPT, include_str!("page/dom.js")),
    ("/route.js", SCRIPT, include_str!("page/route.js")),
    ("/api.js", SCRIPT, include_str!("page/api.js")),
    ("/daemon.js", SCRIPT, include_str!("page/daemon.js")),
    ("/actions.js", SCRIPT, include_str!("page/actions.js")),
    ("/dialogs.js", SCRIPT, include_str!("page/dialogs.js")),
    ("/fields.js", SCRIPT, include_str!("page/fields.js")),
    ("/live.js", SCRIPT, include_str!("page/live.js")),
    ("/event.js", SCRIPT, include_str!("page/event.js")),
    ("/body.js", SCRIPT, include_str!("page/body.js")),
    ("/subscribers.js", SCRIPT, include_str!("page/subscribers.js")),
    ("/dead.js", SCRIPT, include_str!("page/dead.js")),
    ("/replay.js", SCRIPT, include_str!("page/replay.js")),
    ("/topics.js", SCRIPT, include_str!("page/topics.js")),
    ("/rejections.js", SCRIPT, include_str!("page/rejections.js")),
];

static FILES: LazyLock<Vec<File>> = LazyLock::new(|| SOURCES.iter().map(File::new).collect());

/// Nothing is loaded but from here, nothing is inline, nobody may frame it, and no text may become markup or code.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const HEADERS: [(HeaderName, &str); 6] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    // Asked for again each time, and answered 304: a new version of the daemon never works with parts of an old page.
    (CACHE_CONTROL, "no-cache"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The file at a path.
pub(super) fn find(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

impl File {
    fn new(&(path, media_type, source): &(&'static str, &'static str, &'static str)) -> Self {
        let text = lean(source);
        let mut hash = Xxh3::new();
        hash.write(text.as_bytes());
        let tag = HeaderValue::from_str(&format!("\"{:016x}\"", hash.finish())).expect("hexadecimal digits in quotes");
        Self { path, media_type, text: text.into(), tag }
    }

    pub(super) fn answer(&self, asked: &HeaderMap) -> Answer {
        let known = asked.get_all(IF_NONE_MATCH).iter().any(|tags| self.is_among(tags));
        let mut answer = Response::new(Body::from(if known { Bytes::new() } else { self.text.clone() }));
        let headers = answer.headers_mut();
        if !known {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.media_type));
        }
        headers.insert(ETAG, self.tag.clone());
        headers.extend(HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
        if known {
            *answer.status_mut() = StatusCode::NOT_MODIFIED;
        }
        answer
    }

    /// RFC 9110 section 13.1.2: weak comparison, and `*` is any.
    fn is_among(&self, tags: &HeaderValue) -> bool {
        let tags = tags.to_str().unwrap_or_default().split(',').map(str::trim);
        tags.map(|tag| tag.strip_prefix("W/").unwrap_or(tag))
            .any(|tag| tag == "*" || tag.as_bytes() == self.tag.as_bytes())
    }
}

/// A text without indentation and without lines that are only a comment. No text in these files goes over several lines, so
/// nothing else can look like either.
fn lean(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut inside = false;
    for line in source.lines().map(str::trim_start) {
        inside |= line.starts_with("/*");
        let comment = inside || line.starts_with("//");
        inside &= !line.ends_with("*/");
        if !comment && !line.is_empty() {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/admin/page");
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
            let path = if name == "index.html" { "/".to_owned() } else { format!("/{name}") };
            assert!(find(&path).is_some(), "`{name}` is not served");
        }
        assert!(find("/nothing.js").is_none());
    }

    #[test]
    fn the_page_is_small_and_asks_nobody_else() {
        let size: usize = FILES.iter().map(|file| file.text.len()).sum();
        assert!(size < 60 * 1024, "{size} bytes");
        for (path, _, source) in SOURCES {
            let foreign = source.replace("http://www.w3.org/2000/svg", "");
            assert!(!foreign.contains("://"), "`{path}` names another place");
            for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "style="] {
                assert!(!source.contains(word), "`{path}` has `{word}`");
            }
        }
    }

    #[test]
    fn what_is_left_out_is_no_code() {
        let source = "// why\nlet a = 1; // kept\n\n  /** one line */\n  /* two\n   lines */\n  b('//');\n";
        assert_eq!(lean(source), "let a = 1; // kept\nb('//');\n");
        for (path, _, source) in SOURCES {
            for line in source.lines() {
                assert_eq!(line.matches('`').count() % 2, 0, "`{path}`: a text goes over several lines: {line}");
                assert!(!line.contains("/*") || line.trim_start().starts_with("/*"), "`{path}`: {line}");
            }
        }
    }

    #[test]
    fn a_file_that_is_known_is_not_sent_again() {
        let file = find("/page.js").expect("it is there");
        let tag = file.tag.to_str().expect("text");
        let ask = |tags: &str| {
            let asked = [(IF_NONE_MATCH, HeaderValue::from_str(tags).expect("a value"))].into_iter().collect();
            file.answer(&asked).status()
        };
        for tags in [tag.to_owned(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".into()] {
            assert_eq!(ask(&tags), StatusCode::NOT_MODIFIED, "{tags}");
        }
        assert_eq!(ask("\"x\""), StatusCode::OK);
        assert_eq!(file.answer(&HeaderMap::new()).headers()[ETAG], tag);
    }
}
