//! `forebay check`: says what a configuration means, and what is unwise about it.
//!
//! - `event`: what it makes of one event.

pub(super) mod event;

use std::fmt::{self, Display, Write};

use crate::config::{duration, size};
use crate::deliver::{Order, Start, Subscriber};
use crate::http::Listen;
use crate::journal::Sync;
use crate::plan::{Loaded, LogFormat, Plan};
use crate::secret::KeyLabel;
use crate::sink::{Address, LineFormat, Settings, file, webhook};
use crate::topic::Topic;

/// The whole answer of `check` to a good configuration. The last line says that it is one.
#[must_use]
pub fn text(loaded: &Loaded, color: bool) -> String {
    let mut text = describe(&loaded.plan);
    text.push('\n');
    let warnings = loaded.warnings.problems().len();
    if warnings > 0 {
        text.push_str(&loaded.warnings.render(color));
        text.push('\n');
    }
    let note = match warnings {
        0 => String::new(),
        1 => " (1 warning)".into(),
        many => format!(" ({many} warnings)"),
    };
    let _ = writeln!(text, "configuration is valid{note}");
    text
}

/// What a plan means, in words. Holds no secret.
#[must_use]
pub fn describe(plan: &Plan) -> String {
    let mut out = String::new();
    // Writing into a string does not fail.
    let _ = write(&mut out, plan);
    out
}

fn write(out: &mut String, plan: &Plan) -> fmt::Result {
    let ingress = &plan.ingress;
    writeln!(out, "ingress")?;
    line(out, "listen", addresses(&ingress.listen))?;
    line(out, "path", format_args!("{}/http/TOPIC", ingress.base_path))?;
    let memory = size::show(ingress.max_body_memory);
    line(out, "limits", format_args!("{memory} of bodies and {} connections at once", ingress.max_connections))?;
    line(
        out,
        "patience",
        format_args!(
            "{} for headers, {} for a body, {} for open requests at a stop",
            duration::show(ingress.header_timeout),
            duration::show(ingress.body_timeout),
            duration::show(ingress.drain_timeout)
        ),
    )?;
    let proxies = ingress.trusted_proxies.iter();
    line(out, "proxies", if ingress.trusted_proxies.is_empty() { "none trusted".into() } else { list(proxies) })?;

    writeln!(out, "\nadmin")?;
    line(out, "listen", addresses(&plan.admin.listen))?;
    line(out, "token", if plan.admin.token.is_some() { "required" } else { "none" })?;

    let journal = &plan.journal;
    writeln!(out, "\njournal")?;
    line(out, "path", journal.path.display())?;
    line(
        out,
        "sync",
        match journal.sync {
            Sync::Always => "always: 202 means on disk",
            Sync::Never => "never: 202 means handed to the kernel; lost if the machine goes down",
        },
    )?;
    let (age, bytes) = (duration::show(journal.retain_age), size::show(journal.retain_size));
    line(out, "retain", format_args!("{age} or {bytes} of what every subscriber is done with"))?;
    line(out, "min_free", format_args!("503 below {} of free space", size::show(journal.min_free)))?;

    writeln!(out, "\nlog")?;
    let format = match plan.log.format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    };
    line(out, "level", format_args!("{} and above, as {format}", plan.log.level))?;

    if let Some(otlp) = &plan.otlp {
        writeln!(out, "\notlp")?;
        line(out, "endpoint", Address(&otlp.endpoint))?;
        if !otlp.headers.is_empty() {
            line(out, "headers", list(otlp.headers.iter().map(|(name, _)| name)))?;
        }
        let (sample, rate) = (otlp.sample * 100.0, otlp.rate);
        line(out, "traces", format_args!("{sample} % of what begins here, at most {rate} a second"))?;
        line(out, "as", &otlp.service_name)?;
    }

    plan.topics.iter().try_for_each(|topic| topic_lines(out, plan, topic))?;
    plan.subscribers.iter().try_for_each(|subscriber| subscriber_lines(out, plan, subscriber))
}

fn topic_lines(out: &mut String, plan: &Plan, topic: &Topic) -> fmt::Result {
    writeln!(out, "\ntopic {}", topic.name)?;
    line(out, "url", plan.topic_url(&topic.name))?;
    line(out, "validator", topic.validator.kind())?;
    for key in plan.keys.get(&topic.name).into_iter().flatten() {
        line(out, "secret", Validity(key))?;
    }
    let accept = list(topic.accept.iter().map(|kind| &kind.0));
    line(out, "accept", format_args!("{accept}; up to {}", size::show(topic.max_body)))?;
    line(out, "from", if topic.allow_from.is_empty() { "anywhere".into() } else { list(topic.allow_from.iter()) })?;
    line(out, "dedupe", topic.dedupe.map_or_else(|| "off".into(), duration::show))
}

/// A secret by its id, and when it counts.
struct Validity<'a>(&'a KeyLabel);

impl Display for Validity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KeyLabel { id, not_before, not_after } = self.0;
        match (not_before, not_after) {
            (None, None) => write!(f, "{id}, always valid"),
            (Some(from), None) => write!(f, "{id}, valid from {from}"),
            (None, Some(until)) => write!(f, "{id}, valid until {until}"),
            (Some(from), Some(until)) => write!(f, "{id}, valid from {from} until {until}"),
        }
    }
}

fn subscriber_lines(out: &mut String, plan: &Plan, subscriber: &Subscriber) -> fmt::Result {
    writeln!(out, "\nsubscriber {}", subscriber.name)?;
    for pattern in &subscriber.route.patterns {
        let topics = plan.topics.iter().map(|topic| &topic.name).filter(|name| pattern.may_match_topic(name.as_str()));
        let kind = pattern.as_str().split_once('.').map(|(_, kind)| format!(", type {kind}"));
        line(out, "topics", format_args!("{} -> {}{}", pattern.as_str(), list(topics), kind.unwrap_or_default()))?;
    }
    if let Some(filter) = &subscriber.route.filter {
        // On one line, however it was written.
        line(out, "filter", filter.text().lines().map(str::trim).collect::<Vec<_>>().join(" "))?;
    }
    match &subscriber.sink {
        Settings::Stdout(stdout) => line(out, "sink", format_args!("stdout, {}", line_format(stdout.format)))?,
        Settings::File(file) => file_lines(out, file)?,
        Settings::Webhook(webhook) => webhook_lines(out, webhook)?,
    }
    line(
        out,
        "start",
        match subscriber.start {
            Start::Now => "now: when it is new, with the next event",
            Start::Earliest => "earliest: when it is new, with the oldest event there is",
        },
    )?;
    let retry = &subscriber.retry;
    line(
        out,
        "retry",
        format_args!(
            "after {}, doubling up to {}, at most {} attempts, not beyond {}; then a dead letter",
            duration::show(retry.first),
            duration::show(retry.max),
            retry.attempts,
            duration::show(retry.max_age)
        ),
    )?;
    line(
        out,
        "order",
        match subscriber.order {
            Order::Parallel => "parallel: later events overtake a refused one",
            Order::Strict => "strict: one at a time, a refused one holds the line",
        },
    )
}

fn file_lines(out: &mut String, file: &file::Settings) -> fmt::Result {
    line(out, "sink", format_args!("file {}, {}", file.path, line_format(file.format)))?;
    match &file.rotate {
        Some(rotate) => line(out, "rotate", format_args!("at {}, {} kept", size::show(rotate.size), rotate.keep)),
        None => line(out, "rotate", "never"),
    }
}

fn webhook_lines(out: &mut String, webhook: &webhook::Settings) -> fmt::Result {
    let format = match webhook.format {
        webhook::Format::Forward => "forward",
        webhook::Format::Original => "original",
        webhook::Format::CloudEvents => "cloudevents",
        webhook::Format::CloudEventsBinary => "cloudevents-binary",
    };
    line(out, "sink", format_args!("webhook {}, {format}", Address(&webhook.url)))?;
    let timeout = duration::show(webhook.timeout);
    line(out, "attempts", format_args!("{} at once, {timeout} each", webhook.concurrency))?;
    line(out, "give up on", list(webhook.give_up_on.iter()))?;
    if !webhook.headers.is_empty() {
        line(out, "headers", list(webhook.headers.iter().map(|(name, _)| name)))?;
    }
    for key in &webhook.sign {
        line(out, "sign with", Validity(&key.label()))?;
    }
    if let Some(path) = &webhook.ca {
        line(out, "trust", path.display())?;
    }
    if let Some((cert, _)) = &webhook.client_cert {
        line(out, "show", cert.display())?;
    }
    Ok(())
}

fn line(out: &mut String, name: &str, value: impl Display) -> fmt::Result {
    writeln!(out, "  {name:<10} {value}")
}

fn addresses(listen: &[Listen]) -> String {
    if listen.is_empty() { "nowhere".into() } else { list(listen.iter()) }
}

fn list(items: impl Iterator<Item = impl Display>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

fn line_format(format: LineFormat) -> &'static str {
    match format {
        LineFormat::Envelope => "envelope",
        LineFormat::CloudEvents => "cloudevents",
        LineFormat::Raw => "raw",
        LineFormat::Readable { .. } => "readable",
    }
}
