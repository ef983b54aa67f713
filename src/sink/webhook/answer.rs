//! What the receiver answered, and what that means.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use crate::event::Millis;

/// The most of an answer that is read, in bytes; of a longer one the rest is left and the connection closed.
const READ: usize = 64 * 1024;

/// The most of an answer that is kept, in bytes.
const KEPT: usize = 1024;

/// The longest that a receiver may ask to be left alone. Longer is taken for this.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Reads an answer's body to its end or its limit, and keeps the beginning.
pub(super) async fn read(mut body: Incoming) -> Result<Bytes, hyper::Error> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let mut kept = BytesMut::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            length += data.len();
            kept.extend_from_slice(&data[..data.len().min(KEPT - kept.len())]);
        }
        if length >= READ {
            break;
        }
    }
    Ok(kept.freeze())
}

/// What the status says, for a person.
pub(super) fn words(status: StatusCode) -> String {
    let name = status.canonical_reason().map(|name| format!(" {name}")).unwrap_or_default();
    let more = if status.is_redirection() { "; redirects are not followed" } else { "" };
    format!("the receiver answered {}{name}{more}", status.as_u16())
}

/// How long the receiver asks to be left alone (RFC 9110 10.2.3: seconds or a date). A date gone by is now.
pub(super) fn retry_after(headers: &HeaderMap, now: Millis) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit is still a long time.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let date = jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok()?;
        Duration::from_millis(u64::try_from(date.as_millisecond() - now.0).unwrap_or(0))
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_in_both_forms() {
        // 2026-11-23T08:00:00Z
        let now = Millis(1_795_420_800_000);
        let day = LONGEST_RETRY_AFTER.as_secs();
        for (text, want) in [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("86401", Some(day)),
            ("99999999999999999999999999", Some(day)),
            ("Mon, 23 Nov 2026 08:02:00 GMT", Some(120)),
            ("Mon, 23 Nov 2026 07:59:00 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
            ("Mon, 23 Nov 2099 08:02:00 GMT", Some(day)),
            ("Tue, 24 Nov 2026 08:00:01 GMT", Some(day)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().expect("a header"));
            assert_eq!(retry_after(&headers, now), want.map(Duration::from_secs), "{text:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn words_for_known_and_unknown_statuses() {
        assert_eq!(words(StatusCode::SERVICE_UNAVAILABLE), "the receiver answered 503 Service Unavailable");
        assert_eq!(words(StatusCode::from_u16(599).expect("a status")), "the receiver answered 599");
        assert!(words(StatusCode::FOUND).contains("not followed"));
    }
}
