//! What was asked: the words of the path, the query, the JSON of the body; and what is answered.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming as Body;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::desk::Trouble;
use crate::api::{DEFAULT_LIMIT, MAX_LIMIT, MAX_REQUEST};
use crate::http::answer::Body as AnswerBody;
use crate::http::reply::Answer;
use crate::signature::form;
use crate::topic::is_json;

/// How long the body of a request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// One request on the API.
#[derive(Debug)]
pub(super) struct Asked {
    /// What stands in the path where the route has a name in braces.
    words: Vec<String>,
    query: Vec<(String, String)>,
    /// All headers.
    pub(super) headers: HeaderMap,
    body: Bytes,
}

impl Asked {
    /// Reads a request to its end.
    pub(super) async fn read(request: Request<Body>, words: Vec<String>) -> Result<Self, Trouble> {
        let (head, body) = request.into_parts();
        let query = pairs(head.uri.query().unwrap_or_default())?;
        let read = tokio::time::timeout(PATIENCE, Limited::new(body, MAX_REQUEST).collect()).await;
        let body = match read {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(_)) => return Err(Trouble::Input(format!("the body broke off or is over {MAX_REQUEST} bytes"))),
            Err(_) => return Err(Trouble::Input("the body took too long".into())),
        };
        if !body.is_empty() && !head.headers.get(CONTENT_TYPE).is_some_and(|value| value.to_str().is_ok_and(is_json)) {
            // A form of another origin cannot say this without asking first.
            return Err(Trouble::Input("the body must come as `content-type: application/json`".into()));
        }
        Ok(Self { words, query, headers: head.headers, body })
    }

    /// The nth name of the path.
    pub(super) fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", String::as_str)
    }

    /// Refuses keys of the query that are not known, and those that stand twice: a misspelt filter must not mean "all".
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Trouble> {
        for (at, (key, _)) in self.query.iter().enumerate() {
            if !known.contains(&key.as_str()) {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(Trouble::Input(format!("unknown parameter `{}`; known here: {known}", shown(key))));
            }
            if self.query[..at].iter().any(|(other, _)| other == key) {
                return Err(Trouble::Input(format!("the parameter `{key}` stands twice")));
            }
        }
        Ok(())
    }

    /// A value of the query; an empty one counts as absent.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(name, value)| name == key && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// How many entries are wanted.
    pub(super) fn limit(&self) -> Result<u32, Trouble> {
        let Some(text) = self.get("limit") else { return Ok(DEFAULT_LIMIT) };
        match text.parse() {
            Ok(limit) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
            _ => Err(Trouble::Input(format!("`limit` is a number from 1 to {MAX_LIMIT}"))),
        }
    }

    /// The body; an empty one counts as an empty object.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Trouble> {
        let body: &[u8] = if self.body.is_empty() { b"{}" } else { &self.body };
        if !body.trim_ascii_start().starts_with(b"{") {
            // An array would be taken for the values in their order.
            return Err(Trouble::Input("the body must be a JSON object".into()));
        }
        serde_json::from_slice(body).map_err(|error| Trouble::Input(format!("the body: {error}")))
    }
}

/// What came from outside, short and without control characters.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(64).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The pairs of a query, by the rules of forms: `+` is a blank.
fn pairs(query: &str) -> Result<Vec<(String, String)>, Trouble> {
    let text = |bytes| {
        let text = form::decode(bytes).and_then(|bytes| String::from_utf8(bytes.into_owned()).ok());
        text.ok_or_else(|| Trouble::Input("the query is not well percent-encoded".into()))
    };
    form::fields(query.as_bytes()).map(|(key, value)| Ok((text(key)?, text(value)?))).collect()
}

/// A word of a path, percent-decoded, if that is UTF-8.
pub(in crate::http) fn percent(word: &str) -> Option<String> {
    form::percent(word.as_bytes()).and_then(|bytes| String::from_utf8(bytes.into_owned()).ok())
}

/// An answer in JSON.
pub(super) fn json<T: Serialize>(value: &T) -> Result<Answer, Trouble> {
    let text = serde_json::to_string(value).map_err(|error| Trouble::Failed(error.to_string()))?;
    let mut answer = Response::new(AnswerBody::from(text));
    *answer.status_mut() = StatusCode::OK;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        let got = pairs("a=1&b=x+y%2B&c&d=%C3%A9&&").expect("well-formed");
        let want = [("a", "1"), ("b", "x y+"), ("c", ""), ("d", "é")];
        assert_eq!(got, want.map(|(key, value)| (key.to_owned(), value.to_owned())));
        for bad in ["a=%", "a=%4", "a=%zz", "a=%+1", "a=%ff", "%80=1"] {
            assert!(pairs(bad).is_err(), "{bad}");
        }
    }
}
