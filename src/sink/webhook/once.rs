//! One request outside of any delivery, over the same client: its TLS, its rule on addresses, its limits.

use std::time::Duration;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};

use super::{Format, Settings, answer, check_url, client, request};

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The beginning of the body, 1 KiB at most.
    pub body: Bytes,
}

/// Posts a body once, and waits for the answer no longer than `timeout` in all. Must be called within a runtime.
///
/// # Errors
/// In words, when there is no whole answer: the URL is none, nobody listens, TLS fails, the time is over.
pub async fn post(url: &Uri, mut headers: HeaderMap, body: Bytes, timeout: Duration) -> Result<Answered, String> {
    headers.insert(USER_AGENT, request::AGENT);
    let client = client(url, timeout)?;
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = url.clone();
    *request.headers_mut() = headers;
    let exchange = async {
        let (head, body) = client.request(request).await.map_err(|error| client::refusal(&error).reason)?.into_parts();
        let body = answer::read(body).await.map_err(|error| client::refusal(&error).reason)?;
        Ok(Answered { status: head.status, headers: head.headers, body })
    };
    tokio::time::timeout(timeout, exchange).await.unwrap_or_else(|_| Err(format!("no answer within {timeout:?}")))
}

/// Gets what is at a URL, at most `limit` bytes, and waits no longer than `timeout` in all. Must be called within a runtime.
///
/// # Errors
/// As [`post`], and when there are more bytes.
pub async fn get(url: &Uri, timeout: Duration, limit: usize) -> Result<(StatusCode, Bytes), String> {
    let client = client(url, timeout)?;
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.uri_mut() = url.clone();
    request.headers_mut().insert(USER_AGENT, request::AGENT);
    let exchange = async {
        let (head, body) = client.request(request).await.map_err(|error| client::refusal(&error).reason)?.into_parts();
        let body = Limited::new(body, limit).collect().await.map_err(|error| error.to_string())?;
        Ok((head.status, body.to_bytes()))
    };
    tokio::time::timeout(timeout, exchange).await.unwrap_or_else(|_| Err(format!("no answer within {timeout:?}")))
}

fn client(url: &Uri, timeout: Duration) -> Result<client::Client, String> {
    check_url(url).map_err(|error| error.to_string())?;
    let settings = Settings {
        url: url.clone(),
        timeout,
        concurrency: 1,
        headers: Vec::new(),
        sign: Vec::new(),
        format: Format::Original,
        give_up_on: Vec::new(),
        ca: None,
        client_cert: None,
    };
    client::open(&settings).map_err(|error| error.to_string())
}
