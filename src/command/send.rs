//! `send`: sign a body as a topic's provider would, post it, and show the answer.

use std::fmt::Write as _;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use uuid::Uuid;

use super::sample::sample;
use crate::cli::SendArgs;
use crate::config::suggest;
use crate::event::Millis;
use crate::http::Listen;
use crate::plan::Plan;
use crate::sink::readable::printable;
use crate::sink::webhook::{self, Answered};
use crate::topic::Topic;
use crate::validate::Source;

/// For the whole exchange, from the look-up of the name to the end of the answer. GitHub waits as long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends, and exits with 0 if the answer is a success.
#[must_use]
pub fn run(args: &SendArgs, plan: &Plan) -> ExitCode {
    let Some(topic) = plan.topics.iter().find(|topic| topic.name.as_str() == args.topic) else {
        return super::misused(&unknown(&args.topic, plan));
    };
    let to = match args.to.as_ref().map_or_else(|| own_url(plan, topic), |to| Ok(to.clone())).and_then(|to| url(&to)) {
        Ok(to) => to,
        Err(why) => return super::misused(&why),
    };
    let request = match Request::new(args, plan, topic, &to) {
        Ok(request) => request,
        Err(why) => return super::fail(&why),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return super::fail(&error),
    };
    let place = place(&to);
    let kind = request.kind.as_deref().map(|kind| format!("{}, ", printable(kind))).unwrap_or_default();
    super::say(&format!("POST {place} ({kind}{} bytes)", request.body.len()));
    let answer = runtime.block_on(webhook::post(&to, request.headers.clone(), request.body.clone(), PATIENCE));
    // A name look-up that takes too long is not waited for.
    runtime.shutdown_background();
    match answer {
        Ok(answer) => {
            super::say(&show(&answer, &request, topic));
            if answer.status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => super::fail(&format!("cannot post to `{place}`: {why}")),
    }
}

fn unknown(name: &str, plan: &Plan) -> String {
    let names: Vec<&str> = plan.topics.iter().map(|topic| topic.name.as_str()).collect();
    let nearest = suggest::nearest(name, names.iter().copied());
    let guess = nearest.map(|nearest| format!("; did you mean `{nearest}`?")).unwrap_or_default();
    let list = match names.as_slice() {
        [] => "no topic is configured".to_owned(),
        names => format!("configured topics: {}", suggest::listed(names)),
    };
    format!("there is no topic `{}`{guess}\n{list}", printable(name))
}

/// The topic's URL, as far as it can be posted to from here.
fn own_url(plan: &Plan, topic: &Topic) -> Result<String, String> {
    if plan.ingress.public_url.is_some() {
        return Ok(plan.topic_url(&topic.name));
    }
    let address = plan.ingress.listen.iter().find_map(|listen| match listen {
        Listen::Tcp(address) => Some(address),
        Listen::Unix(_) => None,
    });
    let Some(address) = address else {
        return Err("the ingress listens on a unix socket only: name an `http` or `https` URL with `--to`".into());
    };
    if address.ends_with(":0") {
        return Err("the configured port is 0, any that was free: name the daemon's URL with `--to`".into());
    }
    let address = match address.parse::<SocketAddr>() {
        Ok(socket) => super::reachable(socket).to_string(),
        Err(_) => address.clone(),
    };
    Ok(format!("http://{address}{}/http/{}", plan.ingress.base_path, topic.name))
}

fn url(text: &str) -> Result<Uri, String> {
    // The text is not said again: a wrong one may hold a password.
    let wrong = |why: &str| format!("the URL to post to {why}; write `http://HOST:PORT/PATH` or `https://HOST/PATH`");
    let uri: Uri = text.parse().map_err(|_| wrong("is not a URL"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong("begins neither with `http://` nor with `https://`"));
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(wrong("holds a user or password"));
    }
    if uri.host().is_none_or(str::is_empty) { Err(wrong("names no host")) } else { Ok(uri) }
}

/// A URL without its query, in which tokens are carried.
fn place(url: &Uri) -> String {
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let more = if url.query().is_some() { "?..." } else { "" };
    format!("{}://{authority}{}{more}", url.scheme_str().unwrap_or_default(), url.path())
}

/// What is posted.
struct Request {
    kind: Option<String>,
    headers: HeaderMap,
    body: Bytes,
}

impl Request {
    fn new(args: &SendArgs, plan: &Plan, topic: &Topic, to: &Uri) -> Result<Self, String> {
        let now = Millis::now();
        let id = Uuid::new_v4().hyphenated().to_string();
        let by_body = !matches!(topic.event_type.first(), Some(Source::Header(_)));
        let (kind, body) = if let Some(data) = &args.data {
            if by_body && args.kind.is_some() {
                eprint("note: `--type` may change nothing: events of this topic say their type in the body");
            }
            (args.kind.clone(), read(data)?)
        } else {
            let sample = sample(topic.validator.kind(), args.kind.as_deref(), &id, now);
            if by_body && args.kind.is_some() && !sample.says_kind {
                eprint(
                    "note: `--type` may change nothing: events of this topic say their type elsewhere, or have none",
                );
            }
            (sample.kind, sample.body.into_bytes())
        };
        let target = to.path_and_query().map_or("/", |target| target.as_str());
        let url = plan.ingress.public_url.as_ref().map_or_else(|| to.to_string(), |url| format!("{url}{target}"));
        let signed = topic
            .validator
            .sign(&url, &body, kind.as_deref(), now)
            .map_err(|why| format!("cannot sign for the topic `{}` ({}): {why}", topic.name, topic.validator.kind()))?;

        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, text) in signed {
            insert(&mut headers, name, &text)?;
        }
        // The topic may look elsewhere than its provider's events usually do.
        for (sources, value) in [(&topic.event_type, kind.as_deref()), (&topic.delivery_id, Some(id.as_str()))] {
            let header = sources.iter().find_map(|source| match source {
                Source::Header(name) => Some(name),
                Source::Body(_) => None,
            });
            if let (Some(name), Some(value)) = (header, value)
                && !headers.contains_key(name)
            {
                insert(&mut headers, name.clone(), value)?;
            }
        }
        Ok(Self { kind, headers, body: body.into() })
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, text: &str) -> Result<(), String> {
    let unfit = |_| format!("the value of the header `{name}` cannot be sent in a header");
    let mut value = HeaderValue::from_str(text).map_err(unfit)?;
    // Some are the secret itself.
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

fn read(data: &Path) -> Result<Vec<u8>, String> {
    if data == Path::new("-") {
        let mut body = Vec::new();
        std::io::stdin().read_to_end(&mut body).map_err(|error| format!("cannot read standard input: {error}"))?;
        return Ok(body);
    }
    std::fs::read(data).map_err(|error| format!("cannot read `{}`: {error}", data.display()))
}

/// The answer in words: status, event id, body.
fn show(answer: &Answered, request: &Request, topic: &Topic) -> String {
    let mut text = format!("{} {}", answer.status.as_u16(), answer.status.canonical_reason().unwrap_or_default());
    let header =
        |name: &str| answer.headers.get(name).map(|value| printable(&String::from_utf8_lossy(value.as_bytes())));
    if let Some(id) = header("forebay-event-id") {
        let again = if header("forebay-duplicate").is_some() { ", recorded before" } else { "" };
        let _ = write!(text, "\nevent {id}{again}");
    }
    if tells(&answer.body, request, topic) {
        text.push_str("\n[the answer holds the secret of the topic: not shown]");
    } else {
        for line in String::from_utf8_lossy(&answer.body).lines() {
            let _ = write!(text, "\n{}", printable(line));
        }
    }
    text
}

/// Whether an answer repeats the secret, as a server does that shows what it was sent.
fn tells(body: &[u8], request: &Request, topic: &Topic) -> bool {
    let credential = |value: &HeaderValue| memchr::memmem::find(body, value.as_bytes()).is_some();
    let shown = topic.validator.is_token()
        && topic.validator.secret_headers().iter().filter_map(|name| request.headers.get(name)).any(credential);
    shown || topic.validator.shows_secret(body)
}

fn eprint(note: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{note}");
}
