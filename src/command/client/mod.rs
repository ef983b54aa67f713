//! What the commands have of a running daemon: its admin API, one request a connection.
//!
//! - here: requests and answers, and what the wrong ones mean;
//! - `address`, `target`: where it is, and with which token; `connect`: getting there;
//! - `pages`: lists longer than a page; `stream`: server-sent events.

mod address;
mod connect;
mod pages;
mod stream;
mod target;

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use self::address::Address;
pub(super) use self::pages::List;
pub(super) use self::stream::Stream;
use self::target::Target;
use super::failure::Failure;
use crate::api;
use crate::cli::DEFAULT_CONFIG;
use crate::cli::operate::Remote;
use crate::sink::readable::printable;

/// For the head of an answer, and for each piece of its body. GitHub waits as long for ours.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same where the daemon looks through what it has recorded, or writes a lot.
pub(super) const LONG_PATIENCE: Duration = Duration::from_secs(120);

/// The most bytes of an answer that is looked at as a whole.
const MAX_ANSWER: usize = 256 << 20;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("forebay/", env!("CARGO_PKG_VERSION")));

/// The admin API of one daemon.
#[derive(Debug)]
pub(super) struct Client {
    target: Target,
    /// What has to be written behind `forebay` to reach the same daemon again.
    options: String,
}

/// One request.
struct Asked<'a> {
    method: Method,
    /// Behind `/api/v1/`, with its query.
    path: &'a str,
    body: Option<Vec<u8>>,
    accept: &'static str,
    /// The last event of a stream that came.
    last: Option<&'a str>,
    patience: Duration,
}

impl<'a> Asked<'a> {
    fn get(path: &'a str) -> Self {
        Self { method: Method::GET, path, body: None, accept: "*/*", last: None, patience: PATIENCE }
    }
}

/// An answer as it came.
#[derive(Debug)]
pub(super) struct Answer {
    bytes: Bytes,
    /// Who answered.
    from: String,
}

impl Client {
    /// Finds the daemon; `note` is told what is odd about the configuration. Does not connect yet.
    ///
    /// # Errors
    /// When nothing says where it is, or what says it is wrong.
    pub(super) fn new(remote: &Remote, config: &Path, note: impl Fn(&str)) -> Result<Self, Failure> {
        let target = target::find(remote, config, note)?;
        let options = match &remote.admin {
            Some(_) => format!(" --admin {}", target.address),
            None if config == Path::new(DEFAULT_CONFIG) => String::new(),
            None => format!(" -c {}", config.display()),
        };
        Ok(Self { target, options })
    }

    /// A command line that asks the same daemon: `forebay replay list`.
    pub(super) fn line(&self, command: &str) -> String {
        format!("`forebay{} {command}`", self.options)
    }

    /// Asks for something. `query` has what is there to be sent.
    pub(super) async fn get(&self, path: &str, query: &[(&str, Option<&str>)]) -> Result<Answer, Failure> {
        self.whole(self.exchange(&Asked::get(&target(path, query))).await?, PATIENCE).await
    }

    /// Has something done.
    pub(super) async fn post(&self, path: &str, body: Option<&impl Serialize>) -> Result<Answer, Failure> {
        self.post_within(path, body, PATIENCE).await
    }

    /// Has something done that takes its time.
    pub(super) async fn post_within(
        &self,
        path: &str,
        body: Option<&impl Serialize>,
        patience: Duration,
    ) -> Result<Answer, Failure> {
        let body = body.map(serde_json::to_vec).transpose();
        let body = body.map_err(|error| Failure::Failed(format!("cannot write the request: {error}")))?;
        let asked = Asked { method: Method::POST, body, patience, ..Asked::get(path) };
        self.whole(self.exchange(&asked).await?, patience).await
    }

    /// Asks for bytes, and hands them on piece by piece.
    pub(super) async fn bytes(
        &self,
        path: &str,
        mut each: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut body = self.exchange(&Asked::get(path)).await?.into_body();
        while let Some(piece) = self.piece(&mut body, PATIENCE).await? {
            each(&piece)?;
        }
        Ok(())
    }

    /// Asks for server-sent events, from the one after `last` on.
    pub(super) async fn stream(
        &self,
        path: &str,
        query: &[(&str, Option<&str>)],
        last: Option<&str>,
    ) -> Result<Stream, Failure> {
        let target = target(path, query);
        let asked = Asked { accept: "text/event-stream", last, ..Asked::get(&target) };
        Ok(Stream::new(self.exchange(&asked).await?.into_body()))
    }

    /// One request on a connection of its own; an answer that is a success, or what is wrong.
    async fn exchange(&self, asked: &Asked<'_>) -> Result<Response<Incoming>, Failure> {
        let request = self.request(asked)?;
        let asking = async {
            let io = connect::connect(&self.target.address).await.map_err(|why| self.unreachable(&why))?;
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(io).await.map_err(|error| self.silent(&error))?;
            // It ends with the answer, or with the process.
            tokio::spawn(connection);
            sender.send_request(request).await.map_err(|error| self.silent(&error))
        };
        let response = timeout(asked.patience, asking).await.map_err(|_| self.late(asked.patience))??;
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(response, asked.patience).await) }
    }

    fn request(&self, asked: &Asked<'_>) -> Result<Request<Full<Bytes>>, Failure> {
        let (host, base) = match &self.target.address {
            Address::Http { authority, base, .. } => (authority.as_str(), base.as_str()),
            Address::Unix(_) => ("localhost", ""),
        };
        let mut request = Request::builder()
            .method(asked.method.clone())
            .uri(format!("{base}/api/v1/{}", asked.path).parse::<Uri>().map_err(|_| too_long())?)
            .header(HOST, host)
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, asked.accept);
        if let Some(token) = &self.target.token {
            request = request.header(AUTHORIZATION, token);
        }
        if let Some(last) = asked.last {
            request = request.header("last-event-id", last);
        }
        if asked.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        request.body(Full::from(asked.body.clone().unwrap_or_default())).map_err(|_| too_long())
    }

    async fn piece(&self, body: &mut Incoming, patience: Duration) -> Result<Option<Bytes>, Failure> {
        loop {
            let frame = timeout(patience, body.frame()).await.map_err(|_| self.late(patience))?;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(self.silent(&error)),
                // Trailers are of no interest.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    async fn whole(&self, response: Response<Incoming>, patience: Duration) -> Result<Answer, Failure> {
        let mut body = response.into_body();
        let mut bytes = Vec::new();
        while let Some(piece) = self.piece(&mut body, patience).await? {
            if bytes.len() + piece.len() > MAX_ANSWER {
                return Err(Failure::Failed(format!("the answer of {} is too long", self.target.address)));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Answer { bytes: bytes.into(), from: self.target.address.to_string() })
    }

    /// What an answer that is no success means.
    async fn refusal(&self, response: Response<Incoming>, patience: Duration) -> Failure {
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED {
            return Failure::Failed(self.target.refused());
        }
        let said = match self.whole(response, patience).await {
            Ok(answer) => serde_json::from_slice::<api::Failure>(&answer.bytes).ok(),
            Err(failure) => return failure,
        };
        match said {
            Some(said) => Failure::Refused { status: status.as_u16(), message: lines(&said.error.message) },
            None => Failure::Failed(stranger(&self.target.address.to_string(), &format!("it answers {status}"))),
        }
    }

    fn unreachable(&self, why: &str) -> Failure {
        Failure::Unreachable(format!(
            "cannot reach the admin API at {}: {}; is the daemon running? (`forebay serve`), or name it with `--admin`",
            self.target.address,
            printable(why)
        ))
    }

    fn late(&self, patience: Duration) -> Failure {
        let limit = patience.as_secs();
        Failure::Unreachable(format!("the admin API at {} did not answer within {limit} s", self.target.address))
    }

    /// What an error of the protocol means.
    fn silent(&self, error: &hyper::Error) -> Failure {
        let from = self.target.address.to_string();
        if error.is_parse() {
            return Failure::Failed(stranger(&from, "it does not speak HTTP"));
        }
        Failure::Unreachable(format!("the admin API at {from} broke off: {}", printable(&connect::why(error))))
    }
}

impl Answer {
    /// The answer as what it should be.
    ///
    /// # Errors
    /// When it is something else.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.bytes).map_err(|error| unfit(&self.from, &error))
    }

    /// The JSON in one line, as it came but for what a terminal would obey, which is written as `\u009b`: the same JSON.
    ///
    /// # Errors
    /// When it is not JSON.
    pub(super) fn json(&self) -> Result<String, Failure> {
        let _: serde::de::IgnoredAny = self.read()?;
        // A line break can only stand between tokens.
        let text = String::from_utf8_lossy(&self.bytes).replace(['\n', '\r', '\t'], " ");
        Ok(printable(text.trim()))
    }
}

/// What is wrong with an answer that is not what it should be.
fn unfit(from: &str, error: &serde_json::Error) -> Failure {
    if error.is_data() {
        let why = printable(&error.to_string());
        return Failure::Failed(format!("{from} answers in words of another version of forebay: {why}"));
    }
    Failure::Failed(stranger(from, "its answer is not JSON"))
}

fn stranger(from: &str, why: &str) -> String {
    format!("what listens at {from} is not the admin API of a forebay: {why}")
}

fn too_long() -> Failure {
    Failure::Usage("what is asked for is too long".into())
}

/// The text as it may be printed, its lines kept apart.
pub(super) fn lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

/// A path and its query.
fn target(path: &str, query: &[(&str, Option<&str>)]) -> String {
    let mut text = path.to_owned();
    for (name, value) in query.iter().filter_map(|(name, value)| Some((name, (*value)?))) {
        text.push(if text.len() == path.len() { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        text.push_str(&encoded(value));
    }
    text
}

/// A text as part of a path or of a query, whatever it holds (RFC 3986 section 2.1).
pub(super) fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => out.push(char::from(byte)),
            // A point is encoded as well, so that no name becomes a step in the path.
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_encoded() {
        let query = [("topic", Some("a&b=c")), ("type", None), ("q", Some("é ..")), ("limit", Some("5"))];
        assert_eq!(target("events", &query), "events?topic=a%26b%3Dc&q=%C3%A9%20%2E%2E&limit=5");
        assert_eq!(target("events", &[("q", None)]), "events");
        assert_eq!(encoded("../backstage:1"), "%2E%2E%2Fbackstage%3A1");
    }

    #[test]
    fn json_is_printed_as_it_came() {
        let answer = |text: &str| Answer { bytes: Bytes::copy_from_slice(text.as_bytes()), from: "here".into() };
        assert_eq!(answer(r#"{"b":1.50,"a":["x"]}"#).json().expect("JSON"), r#"{"b":1.50,"a":["x"]}"#);
        assert_eq!(answer("[\"\u{9b}2J\u{7f}\u{202e}\"]").json().expect("JSON"), r#"["\u009b2J\u007f\u202e"]"#);
        for (text, want) in [("<html>", "not the admin API of a forebay"), ("", "not the admin API of a forebay")] {
            let why = answer(text).json().expect_err(text).to_string();
            assert!(why.contains(want), "{why}");
        }
        let why = answer("{\"count\":\"\u{1b}\"}").read::<api::Count>().expect_err("a raw escape").to_string();
        assert!(why.contains("not the admin API"), "{why}");
        let why = answer(r#"{"count":"x"}"#).read::<api::Count>().expect_err("a text").to_string();
        assert!(why.contains("another version"), "{why}");
    }
}
