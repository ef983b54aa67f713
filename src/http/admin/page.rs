//! The page for people, embedded: its files, and what browsers are told about them.

use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Response};

use crate::http::answer::Body;
use crate::http::reply::Answer;

/// One file of the page.
#[derive(Debug, Clone, Copy)]
pub(super) struct File {
    path: &'static str,
    media_type: &'static str,
    text: &'static str,
}

const FILES: &[File] =
    &[File { path: "/", media_type: "text/html; charset=utf-8", text: include_str!("page/index.html") }];

/// Nothing is loaded but from here, nothing is inline, and nobody may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The file at a path.
pub(super) fn find(path: &str) -> Option<File> {
    FILES.iter().find(|file| file.path == path).copied()
}

impl File {
    pub(super) fn answer(self, _: &HeaderMap) -> Answer {
        let mut answer = Response::new(Body::from(self.text));
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.media_type));
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
        answer
    }
}
