//! The thread that sends spans. The batch that is under way and the queue behind it are all the memory it takes.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Uri};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use uuid::Uuid;

use super::{Settings, encode};
use crate::metrics::{Metrics, SpanMetrics};
use crate::sink::webhook::{HeaderText, post};
use crate::trace::span::{Span, Value};
use crate::trace::{Rules, Tracer};

/// Spans that wait. A few MiB.
const QUEUE: usize = 4096;

/// The most spans in a request.
const BATCH: usize = 512;

/// How long a span waits for others.
const GATHER: Duration = Duration::from_secs(1);

/// For one request.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a batch is tried before it is dropped.
const ATTEMPTS: u32 = 5;

/// Between the first two attempts; it doubles from then on.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest that a collector may ask to be left alone.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Sends spans for as long as it is there.
#[derive(Debug)]
pub struct Exporter(Option<Thread>);

#[derive(Debug)]
struct Thread {
    stop: oneshot::Sender<Duration>,
    ended: oneshot::Receiver<()>,
}

impl Exporter {
    /// Starts the thread where it is configured, and has `metrics` make spans for it.
    ///
    /// # Errors
    /// When the thread or its runtime cannot be started.
    pub fn start(settings: Option<Settings>, metrics: &mut Metrics) -> io::Result<Self> {
        let Some(settings) = settings else { return Ok(Self(None)) };
        let counters = metrics.spans();
        let (queue, spans) = mpsc::channel(QUEUE);
        let rules = Rules { sample: settings.sample, rate: settings.rate };
        metrics.trace_with(&Tracer::new(queue, rules, counters.dropped.clone(), counters.capped.clone()));
        let ((stop, stopped), (ending, ended)) = (oneshot::channel(), oneshot::channel());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("otlp".into()).spawn(move || {
            runtime.block_on(Sending::new(settings, counters).run(spans, stopped));
            // A look-up of a name may hang for long.
            runtime.shutdown_background();
            // Whoever stops it may have run out of patience.
            let _ = ending.send(());
        })?;
        Ok(Self(Some(Thread { stop, ended })))
    }

    /// Sends what is queued, as far as `patience` goes, and ends.
    pub async fn stop(self, patience: Duration) {
        let Some(Thread { stop, ended }) = self.0 else { return };
        if stop.send(patience).is_ok() {
            // Its own patience ends first, unless something holds up the thread itself.
            let _ = timeout(patience + Duration::from_millis(100), ended).await;
        }
    }
}

/// What came of a request.
enum Answer {
    Done,
    /// It may be different later, after so long at the earliest.
    Later(Option<Duration>, String),
    /// It never will be.
    Never(String),
}

struct Sending {
    endpoint: Uri,
    headers: HeaderMap,
    resource: Vec<(&'static str, Value)>,
    counters: SpanMetrics,
    /// The last request failed, and the log says so.
    failing: bool,
}

impl Sending {
    fn new(settings: Settings, counters: SpanMetrics) -> Self {
        let mut headers = HeaderMap::new();
        for (name, text) in settings.headers {
            let (bytes, secret) = match &text {
                HeaderText::Plain(text) => (text.as_bytes(), false),
                HeaderText::Secret(secret) => (secret.expose(), true),
            };
            // What cannot be sent was refused with the configuration.
            if let Ok(mut value) = HeaderValue::from_bytes(bytes) {
                value.set_sensitive(secret);
                headers.insert(name, value);
            }
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let text = |text: &str| Value::Text(text.to_owned());
        let resource = vec![
            ("service.name", text(&settings.service_name)),
            ("service.version", text(env!("CARGO_PKG_VERSION"))),
            ("service.instance.id", Value::Text(Uuid::new_v4().to_string())),
        ];
        Self { endpoint: settings.endpoint, headers, resource, counters, failing: false }
    }

    async fn run(mut self, mut spans: mpsc::Receiver<Span>, mut stopped: oneshot::Receiver<Duration>) {
        let mut batch = Vec::new();
        let patience = loop {
            tokio::select! {
                biased;
                // Gone without a word, it is a daemon that could not start.
                patience = &mut stopped => break patience.unwrap_or_default(),
                () = gather(&mut spans, &mut batch) => {}
            }
            tokio::select! {
                biased;
                patience = &mut stopped => break patience.unwrap_or_default(),
                () = self.send(&mut batch) => {}
            }
        };
        spans.close();
        let all = async {
            loop {
                if !batch.is_empty() && !matches!(self.try_once(&mut batch).await, Answer::Done) {
                    break;
                }
                if spans.recv_many(&mut batch, BATCH).await == 0 {
                    break;
                }
            }
        };
        // Dropped in the middle, it leaves what it has not sent.
        let _ = timeout(patience, all).await;
        let mut left = batch.len() as u64;
        while spans.try_recv().is_ok() {
            left += 1;
        }
        self.counters.dropped.inc_by(left);
    }

    /// Sends a batch, and empties it.
    async fn send(&mut self, batch: &mut Vec<Span>) {
        let mut pause = PAUSE;
        for attempt in 1.. {
            let (asked, why) = match self.try_once(batch).await {
                Answer::Done => return,
                Answer::Later(asked, why) => (asked, why),
                Answer::Never(why) => {
                    self.fails(&why);
                    self.counters.refused.inc_by(batch.len() as u64);
                    break;
                }
            };
            self.fails(&why);
            if attempt >= ATTEMPTS {
                self.counters.dropped.inc_by(batch.len() as u64);
                break;
            }
            sleep(asked.unwrap_or(pause).clamp(pause, LONGEST_PAUSE)).await;
            pause *= 2;
        }
        batch.clear();
    }

    /// Sends a batch once, and empties it if the collector has it.
    async fn try_once(&mut self, batch: &mut Vec<Span>) -> Answer {
        let body = Bytes::from(encode::request(batch, &self.resource));
        let answered = match post(&self.endpoint, self.headers.clone(), body, PATIENCE).await {
            Ok(answered) => answered,
            Err(why) => return Answer::Later(None, why),
        };
        let status = answered.status;
        if status.is_success() {
            let refused = encode::rejected(&answered.body).min(batch.len() as u64);
            self.counters.refused.inc_by(refused);
            self.counters.sent.inc_by(batch.len() as u64 - refused);
            batch.clear();
            if std::mem::take(&mut self.failing) {
                tracing::warn!("spans can be sent again");
            }
            return Answer::Done;
        }
        let why = format!("the collector answered {}", status.as_u16());
        // OTLP 1, "failures": these and no others are to be tried again.
        if matches!(status.as_u16(), 429 | 502 | 503 | 504) {
            let asked = answered.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
            return Answer::Later(asked.map(Duration::from_secs), why);
        }
        Answer::Never(why)
    }

    fn fails(&mut self, why: &str) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(
                reason = why,
                "cannot send spans; further failures are not logged until one request succeeds"
            );
        }
    }
}

/// Waits for spans, and for a while for more of them.
async fn gather(spans: &mut mpsc::Receiver<Span>, batch: &mut Vec<Span>) {
    if batch.is_empty() && spans.recv_many(batch, BATCH).await == 0 {
        // Nobody is left who could make spans: only the stop is waited for.
        return std::future::pending().await;
    }
    let until = Instant::now() + GATHER;
    while batch.len() < BATCH
        && let Ok(more) = timeout_at(until, spans.recv_many(batch, BATCH - batch.len())).await
        && more > 0
    {}
}
