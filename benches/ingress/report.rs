//! The tables: every goal with what was measured, and below it every case.

use std::fmt::Write as _;

use crate::baseline::Runtime;
use crate::memory::{BODY_MEMORY, Memory};
use crate::sample::{Case, Sample, Samples};
use crate::single::Singles;
use crate::start::{Backlog, Starts};
use crate::stats::{Spread, mebibytes};

/// What was measured; what was not stays empty and is left out.
#[derive(Default)]
pub(crate) struct Results {
    pub(crate) machine: String,
    pub(crate) rounds: u32,
    pub(crate) seconds: f64,
    pub(crate) runtimes: Vec<(usize, Runtime, Sample)>,
    /// The runtime the ratios are over, for each number of connections.
    pub(crate) floors: Vec<(usize, Runtime)>,
    pub(crate) samples: Samples,
    pub(crate) singles: Singles,
    pub(crate) memory: Option<Memory>,
    pub(crate) starts: Option<Starts>,
    pub(crate) backlog: Option<Backlog>,
    pub(crate) binary: Option<u64>,
    /// Events a second that are replayed while the ingress has nothing to do, and how many were beside the load.
    pub(crate) replay_alone: Option<f64>,
    pub(crate) replayed: u64,
}

enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

struct Goals(String);

impl Goals {
    fn line(&mut self, measure: &str, limit: &Limit, unit: &str, value: Option<Spread>) {
        let Some(value) = value else { return };
        let (sign, limit, met) = match *limit {
            Limit::AtLeast(limit) => ("≥", limit, value.median >= limit),
            Limit::AtMost(limit) => ("≤", limit, value.median <= limit),
        };
        let measured = if value.min < value.max { format!("{value:.2}") } else { format!("{:.2}", value.median) };
        let verdict = if met { "met" } else { "**not met**" };
        let _ = writeln!(self.0, "| {measure} | {sign} {limit}{unit} | {measured}{unit} | {verdict} |");
    }
}

impl Results {
    /// The whole, as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let floors: Vec<String> =
            self.floors.iter().map(|(connections, runtime)| format!("{} at {connections}", runtime.name())).collect();
        let mut text = format!(
            "Measured {}. {} rounds of {} s a case; medians (lowest–highest). Ratios are taken inside a round and are over \
             *bare + HMAC* in its faster runtime ({}).\n\n",
            self.machine,
            self.rounds,
            self.seconds,
            floors.join(", "),
        );
        text += &self.goals();
        text += &self.cases();
        text += &self.runtimes();
        text
    }

    fn goals(&self) -> String {
        let mut goals = Goals(String::new());
        let samples = &self.samples;
        let over_floor = |case, connections, figure: fn(&Sample) -> f64| {
            samples.ratio((case, connections), (Case::Hmac, connections), figure)
        };
        for (connections, least) in [(64, 0.55), (256, 0.60)] {
            let measure = format!("202 after sync, throughput over bare + HMAC, {connections} connections");
            goals.line(&measure, &Limit::AtLeast(least), "", over_floor(Case::Ingest, connections, |s| s.rate));
        }
        for connections in [64, 256] {
            let measure = format!("the same with a webhook and a file subscriber, {connections} connections");
            goals.line(&measure, &Limit::AtLeast(0.30), "", over_floor(Case::Subscribers, connections, |s| s.rate));
        }
        for connections in [64, 256] {
            let measure = format!("p99 over that of bare + HMAC, {connections} connections");
            goals.line(&measure, &Limit::AtMost(2.0), "", over_floor(Case::Ingest, connections, |s| s.p99));
        }
        for connections in [64, 256] {
            let measure = format!("server processor time a request over bare + HMAC, {connections} connections");
            goals.line(&measure, &Limit::AtMost(1.9), "", over_floor(Case::Ingest, connections, |s| s.server_cpu));
        }
        for count in [4, 8] {
            let slowdown = samples.ratio((Case::Quiet(0), 64), (Case::Quiet(count), 64), |s| s.rate);
            let each = |ratio: f64| (ratio - 1.0) / f64::from(count) * 100.0;
            let cost = slowdown.map(|it| Spread { median: each(it.median), min: each(it.min), max: each(it.max) });
            let measure = format!("each further subscriber that matches nothing, of {count}: throughput lost");
            goals.line(&measure, &Limit::AtMost(2.0), " %", cost);
        }
        let beside = samples.ratio((Case::Replay(true), 64), (Case::Replay(false), 64), |s| s.rate);
        goals.line("throughput beside a replay, over that without", &Limit::AtLeast(0.9), "", beside);
        let batch = samples.events_per_sync((Case::Ingest, 256));
        goals.line("events per sync at 256 connections", &Limit::AtLeast(20.0), "", batch);
        let ratio = self.singles.spreads().map(|(_, _, ratio)| ratio);
        goals.line("one request at a time: latency over one raw `fdatasync`", &Limit::AtMost(2.0), "", ratio);
        let one = |value: f64| Spread::of([value]);
        if let Some(memory) = &self.memory {
            goals.line("idle memory", &Limit::AtMost(15.0), " MiB", one(mebibytes(memory.idle)));
            let kept_alive = one(mebibytes(memory.kept_alive.max(memory.silent)));
            goals.line("memory with 1,000 idle connections", &Limit::AtMost(30.0), " MiB", kept_alive);
            let limit = Limit::AtMost(mebibytes(BODY_MEMORY) + 64.0);
            goals.line("peak memory, 64 × 20 MiB uploads", &limit, " MiB", one(mebibytes(memory.uploads)));
        }
        if let Some(starts) = &self.starts {
            goals.line("start to ready, empty", &Limit::AtMost(50.0), " ms", Some(starts.first));
        }
        if let Some(backlog) = &self.backlog {
            let measure = format!("start to ready, {} events owed", backlog.events);
            goals.line(&measure, &Limit::AtMost(2.0), " s", one(backlog.ready.as_secs_f64()));
        }
        if let Some(bytes) = self.binary {
            goals.line("release binary", &Limit::AtMost(15.0), " MiB", one(mebibytes(bytes)));
        }
        if goals.0.is_empty() {
            return goals.0;
        }
        format!("| measure | goal | measured | |\n| --- | --- | --- | --- |\n{}\n", goals.0)
    }

    fn cases(&self) -> String {
        let mut text = String::new();
        for step @ (case, connections) in self.samples.steps() {
            let spread = |digits: usize, figure: fn(&Sample) -> f64| {
                self.samples.spread(step, figure).map_or_else(String::new, |spread| format!("{spread:.digits$}"))
            };
            let _ = writeln!(
                text,
                "| {} | {connections} | {} | {} | {} | {} | {} |",
                case.name(),
                spread(1, |s| s.rate / 1e3),
                spread(2, |s| s.p50 / 1e3),
                spread(2, |s| s.p99 / 1e3),
                spread(1, |s| s.server_cpu),
                spread(1, |s| s.client_cpu),
            );
        }
        if !text.is_empty() {
            text = format!(
                "| case | connections | thousand requests/s | p50 ms | p99 ms | server µs/request | client µs/request |\n\
                 | --- | --- | --- | --- | --- | --- | --- |\n{text}\n"
            );
        }
        if let Some((raw, forebay, _)) = self.singles.spreads() {
            let _ =
                writeln!(text, "One request at a time: {forebay:.0} µs; one raw write and `fdatasync`: {raw:.0} µs.\n");
        }
        if let Some(Memory { silent, accepted, .. }) = &self.memory {
            let _ = writeln!(
                text,
                "With 1,000 connections that never sent anything: {:.1} MiB. Of the uploads {accepted} were accepted, the \
                 rest refused for want of room.\n",
                mebibytes(*silent)
            );
        }
        if let Some(rate) = self.replay_alone {
            let _ = writeln!(
                text,
                "A replay alone: {rate:.0} events/s; beside the load {} were replayed in all rounds.\n",
                self.replayed
            );
        }
        if let Some(Starts { again, .. }) = &self.starts {
            let _ = writeln!(text, "Start to ready again on the same empty journal, after a kill: {again:.1} ms.\n");
        }
        if let Some(Backlog { accepting, memory, .. }) = &self.backlog {
            let _ = writeln!(
                text,
                "With the backlog, the first 202 came {:.2} s after the start; resident then: {:.0} MiB.\n",
                accepting.as_secs_f64(),
                mebibytes(*memory)
            );
        }
        text
    }

    /// What the choice of the floor rests on.
    fn runtimes(&self) -> String {
        let mut text = String::new();
        for (connections, _) in &self.floors {
            for runtime in Runtime::ALL {
                let of = |figure: fn(&Sample) -> f64| {
                    let samples = self.runtimes.iter().filter(|(at, of, _)| (at, *of) == (connections, runtime));
                    Spread::of(samples.map(|(_, _, sample)| figure(sample)))
                };
                if let (Some(rate), Some(p99), Some(cpu)) =
                    (of(|s| s.rate / 1e3), of(|s| s.p99 / 1e3), of(|s| s.server_cpu))
                {
                    let name = runtime.name();
                    let _ = writeln!(text, "| {name} | {connections} | {rate:.1} | {p99:.2} | {cpu:.1} |");
                }
            }
        }
        if text.is_empty() {
            return text;
        }
        format!(
            "*bare + HMAC* in both runtimes:\n\n| runtime | connections | thousand requests/s | p99 ms | server µs/request |\n\
             | --- | --- | --- | --- | --- |\n{text}\n"
        )
    }
}
