//! The figures are true: what clients saw, what receivers saw and what is on the disk is what `/metrics` says.

#[path = "../exposition/mod.rs"]
mod exposition;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use exposition::{Exposition, Sample};
use socket2::SockRef;

use crate::client::{PATIENCE, eventually, github_signature};
use crate::daemon::{Daemon, Home};
use crate::receiver::{Receiver, Reply, nobody};
use crate::wire::{answers, rest};

const OLD: &str = "old secret, soon to be gone";
const NEW: &str = "new secret, from now on";

const TOPICS: &str = r#"
[topics.github]
validator = { type = "github", secrets = [
  { id = 'the "new" \ one', env = "NEW" },
  { id = "old", env = "OLD", not_after = 2100-01-01T00:00:00Z },
] }
max_body = "1 KiB"
[topics.legacy]
validator = { type = "gitlab", secret = { env = "NEW" } }
[topics.open]
validator = { type = "none" }
accept = ["*/*"]
[topics.walled]
validator = { type = "none" }
allow_from = ["10.0.0.0/8"]
"#;

/// The type of a request whose body does not come.
const SLOW: &str = "slow";

/// What clients were told, by topic and status, and what became of what was taken, by topic and type.
#[derive(Debug, Default)]
struct Seen {
    answers: BTreeMap<(&'static str, u16), u64>,
    recorded: BTreeMap<(&'static str, &'static str), u64>,
    duplicates: BTreeMap<&'static str, u64>,
}

impl Seen {
    fn recorded(&self, topic: &str, kind: &str) -> u64 {
        let fits = |(of, is): &(&str, &str)| (topic == "*" || *of == topic) && (kind == "*" || *is == kind);
        self.recorded.iter().filter(|(key, _)| fits(key)).map(|(_, count)| count).sum()
    }

    fn with(&self, status: u16, topic: &str) -> u64 {
        self.answers.iter().filter(|((of, code), _)| *of == topic && *code == status).map(|(_, count)| count).sum()
    }

    /// Sends bytes on a connection of their own, closes this half unless the type is [`SLOW`], and takes down every answer.
    fn send(seen: &Mutex<Self>, address: &str, topic: &'static str, kind: &'static str, bytes: &[u8]) {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        // Who is refused early cannot always send all, and is answered all the same.
        let _ = stream.write_all(bytes);
        if kind != SLOW {
            let _ = stream.shutdown(Shutdown::Write);
        }
        let mut seen = seen.lock().expect("not poisoned");
        for answer in answers(&rest(&mut stream)) {
            *seen.answers.entry((topic, answer.status)).or_default() += 1;
            if answer.status == 202 && answer.header("forebay-duplicate").is_none() {
                *seen.recorded.entry((topic, kind)).or_default() += 1;
            } else if answer.status == 202 {
                *seen.duplicates.entry(topic).or_default() += 1;
            }
        }
    }
}

fn request(line: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("{line} HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n", body.len());
    headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
    (text + "\r\n" + body).into_bytes()
}

const JSON: (&str, &str) = ("content-type", "application/json");

/// A request as GitHub sends it, with its answer's topic and its type.
fn signed(secret: &str, kind: &'static str, delivery: &str, body: &str) -> (&'static str, &'static str, Vec<u8>) {
    let signature = github_signature(secret, body.as_bytes());
    let headers =
        [JSON, ("x-hub-signature-256", &signature), ("x-github-event", kind), ("x-github-delivery", delivery)];
    ("github", kind, request("POST /api/events/http/github", &headers, body))
}

/// One of each kind of request there is. `unique`: so that what is no duplicate is none.
fn traffic(unique: &str) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let id = |name: &str| format!("{name}-{unique}");
    let (push, open) = (format!("{{\"n\":\"{unique}\"}}"), "POST /api/events/http/open");
    let wrong = github_signature("not the secret", b"{}");
    let mut all = vec![
        signed(NEW, "push", &id("a"), &push),
        signed(NEW, "push", &id("a"), &push),
        signed(OLD, "push", &id("b"), &push),
        signed(NEW, "ping", &id("c"), "{}"),
        signed(NEW, "issues", &id("d"), "{}"),
        // Verified, and then found not to be what it says.
        signed(NEW, "push", &id("e"), "{"),
        signed("not the secret", "push", &id("f"), "{}"),
        signed(NEW, "push", &id("g"), &format!("\"{}\"", "x".repeat(2000))),
        ("github", "", request("POST /api/events/http/github", &[JSON], "{}")),
        ("github", "", request("POST /api/events/http/github", &[JSON, ("x-hub-signature-256", &wrong)], "{}")),
        ("github", "", request("POST /api/events/http/github", &[("content-type", "text/plain")], "{}")),
        ("github", "", request("GET /api/events/http/github", &[], "")),
        ("legacy", "", request("POST /api/events/http/legacy", &[JSON, ("x-gitlab-token", "guess")], "{}")),
        ("walled", "", request("POST /api/events/http/walled", &[JSON], "{}")),
        ("", "", request("POST /api/events/http/nowhere", &[JSON], "{}")),
        ("", "", request("POST /", &[JSON], "{}")),
        // What cannot be read has no topic.
        ("", "", request(open, &[("x-large", &"x".repeat(200_000))], "{}")),
        // Both depend on how much comes at a time: the address alone is too long, or the head.
        ("", "", request(&format!("POST /{}", "x".repeat(65_600)), &[], "")),
        ("", "", request(&format!("POST /{}", "x".repeat(70_000)), &[], "")),
        ("", "", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec()),
        ("", "", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("", "", request(open, &[("content-length", "100")], "{}")),
        // A body that does not come whole.
        ("open", "", b"POST /api/events/http/open HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\nabc".to_vec()),
    ];
    all.extend((0..3).map(|_| ("open", "", request(open, &[], unique))));
    // Two on one connection, and one that is not finished behind them.
    let (one, two) = (request(open, &[], "1"), request(open, &[], "2"));
    all.push(("open", "", [&one[..], &two[..], b"POST /api"].concat()));
    all
}

/// A subscriber with a webhook.
fn hook(name: &str, topics: &str, url: &str, more: &str) -> String {
    format!(
        "[subscribers.{name}]\ntopics = [{topics}]\nsink = {{ type = \"webhook\", url = \"{url}\", concurrency = 2 }}\n{more}\n"
    )
}

/// A subscriber with a filter and a file.
fn filtered(name: &str, filter: &str) -> String {
    let sink = format!("sink = {{ type = \"file\", path = \"out/{name}.ndjson\" }}");
    format!("[subscribers.{name}]\ntopics = [\"github\"]\nfilter = '{filter}'\n{sink}\n")
}

const SUBSCRIBERS: [(&str, &str, &str); 8] = [
    ("archive", "*", "*"),
    ("pushes", "github", "push"),
    ("flaky", "open", "*"),
    ("dying", "github", "*"),
    ("refused", "github", "ping"),
    ("unreachable", "open", "*"),
    // Those with a filter take pings, and nothing.
    ("picky", "github", "*"),
    ("wrong", "github", "*"),
];

fn home(receivers: &[Receiver; 4]) -> Home {
    let quick = "retry = { first = \"1ms\", max = \"2ms\", attempts = 3 }";
    let subscribers = [
        "[subscribers.archive]\ntopics = [\"*\"]\nsink = { type = \"file\", path = \"out/{topic}.ndjson\" }\n"
            .to_owned(),
        hook("pushes", "\"github.push\"", &receivers[0].url(), ""),
        hook("flaky", "\"open\"", &receivers[1].url(), quick),
        hook("dying", "\"github\"", &receivers[2].url(), quick),
        hook("refused", "\"github.ping\"", &receivers[3].url(), quick),
        hook(
            "unreachable",
            "\"open\"",
            &format!("http://{}/", nobody()),
            "order = \"strict\"\nretry = { first = \"1h\" }",
        ),
        filtered("picky", r#"type == "ping""#),
        filtered("wrong", "body.no.such.member == 1"),
    ];
    let mut home = Home::new("body_timeout = \"1s\"", &(TOPICS.to_owned() + &subscribers.concat()));
    home.env = vec![("NEW".into(), NEW.into()), ("OLD".into(), OLD.into())];
    home
}

impl Exposition {
    /// All samples of that name.
    fn samples<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.families.iter().flat_map(|family| &family.samples).filter(move |sample| sample.name == name)
    }

    /// The sum of the samples of that name that have these labels among theirs.
    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has =
            |sample: &&Sample| labels.iter().all(|(name, value)| sample.labels.get(*name).is_some_and(|v| v == value));
        self.samples(name).filter(has).fold(0.0, |sum, sample| sum + sample.value)
    }

    /// The same for what counts whole things.
    fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let sum = self.sum(name, labels);
        format!("{sum}").parse().unwrap_or_else(|_| panic!("`{name}` is no count: {sum}"))
    }
}

fn scrape(daemon: &Daemon) -> Exposition {
    let answer = daemon.admin("/metrics");
    let format = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!((answer.status, answer.header("content-type")), (200, Some(format)));
    Exposition::read(&answer.text())
}

/// Waits until nothing is under way: all subscribers but the unreachable one are done, and that one has tried `tried` times.
fn at_rest(daemon: &Daemon, tried: u64, matched: impl Fn(&str) -> u64) -> Exposition {
    eventually("everything is at rest", || {
        let shown = scrape(daemon);
        let is_done = |name: &str| {
            let of = [("subscriber", name)];
            let ended = shown.count("forebay_deliveries_total", &of) + shown.count("forebay_filtered_total", &of);
            ended == matched(name) && shown.count("forebay_backlog_events", &of) == 0
        };
        let tried = shown.count("forebay_attempts_total", &[("subscriber", "unreachable")]) == tried;
        let idle = shown.count("forebay_ingress_connections", &[]) == 0;
        let done = SUBSCRIBERS.iter().all(|(name, ..)| *name == "unreachable" || is_done(name));
        (done && tried && idle).then_some(shown)
    })
}

/// What must be so of any answer at rest. `attempts`: what receivers saw of this process; `owed`: what the unreachable one was
/// owed when it started.
fn adds_up(shown: &Exposition, seen: &Seen, attempts: [usize; 4], owed: u64) {
    for topic in ["", "github", "legacy", "open", "walled"] {
        let of = [("topic", topic)];
        for sample in shown.samples("forebay_requests_total").filter(|sample| sample.labels["topic"] == topic) {
            let code = sample.labels["code"].parse().expect("a status");
            let count = shown.count("forebay_requests_total", &[("topic", topic), ("code", &sample.labels["code"])]);
            assert_eq!(count, seen.with(code, topic), "{sample:?}");
        }
        let all: u64 = seen.answers.iter().filter(|((of, _), _)| *of == topic).map(|(_, count)| count).sum();
        assert_eq!(shown.count("forebay_requests_total", &of), all, "requests on `{topic}`");
        assert_eq!(shown.count("forebay_request_duration_seconds_count", &of), all, "request durations of `{topic}`");
        let duplicates = seen.duplicates.get(topic).copied().unwrap_or_default();
        assert_eq!(shown.count("forebay_duplicates_total", &of), duplicates, "duplicates on `{topic}`");
        let recorded = seen.with(202, topic) - duplicates;
        assert_eq!(shown.count("forebay_events_total", &of), recorded, "events on `{topic}`");
        assert_eq!(recorded, seen.recorded(topic, "*"));
        // What is verified is answered 202, or 400 for what is in it.
        let broken = if topic == "github" { seen.with(400, topic) } else { 0 };
        let good = shown.count("forebay_verified_total", &[("topic", topic), ("result", "ok")]);
        assert_eq!(good, seen.with(202, topic) + broken, "verified on `{topic}`");
        let refused = if topic == "walled" { 0 } else { seen.with(403, topic) };
        assert_eq!(shown.count("forebay_verified_total", &of) - good, refused, "not verified on `{topic}`");
    }
    let all = seen.recorded("*", "*");
    assert_eq!(shown.count("forebay_journal_commit_events_sum", &[]), all, "events in batches");
    let batches = shown.count("forebay_journal_commit_events_count", &[]);
    assert_eq!(shown.count("forebay_journal_commit_seconds_count", &[]), batches);
    assert!(batches > 0 && batches <= all);

    for (name, topic, kind) in SUBSCRIBERS {
        let of = [("subscriber", name)];
        let count = |name: &str, label: &str, value: &str| shown.count(name, &[of[0], (label, value)]);
        let (delivered, dead) = (
            count("forebay_deliveries_total", "outcome", "delivered"),
            count("forebay_deliveries_total", "outcome", "dead"),
        );
        let backlog = shown.count("forebay_backlog_events", &of);
        let before = if name == "unreachable" { owed } else { 0 };
        let filtered = shown.count("forebay_filtered_total", &of);
        let all = before + seen.recorded(topic, kind);
        assert_eq!(filtered + delivered + dead + backlog, all, "what `{name}` is owed");
        let (refused, failed) = match name {
            "picky" => (all - seen.recorded("github", "ping"), 0),
            "wrong" => (all, all),
            _ => (0, 0),
        };
        assert_eq!(
            (filtered, shown.count("forebay_filter_errors_total", &of)),
            (refused, failed),
            "filter of `{name}`"
        );
        assert_eq!(shown.count("forebay_deliveries_total", &of), delivered + dead, "outcomes of `{name}`");
        let (all, good) = (shown.count("forebay_attempts_total", &of), count("forebay_attempts_total", "result", "ok"));
        assert_eq!(good, delivered, "each delivery of `{name}` took one good attempt");
        assert_eq!(shown.count("forebay_attempt_duration_seconds_count", &of), all, "attempt durations of `{name}`");
        let oldest = shown.sum("forebay_oldest_owed_seconds", &of);
        assert_eq!(oldest > 0.0, backlog > 0, "`{name}` owes {backlog}, the oldest for {oldest} s");
        let receiver = ["pushes", "flaky", "dying", "refused"].iter().position(|at| *at == name);
        match receiver {
            Some(at) => assert_eq!(all, attempts[at] as u64, "what the receiver of `{name}` saw"),
            None if name != "unreachable" => assert_eq!((all, backlog), (good, 0)),
            None => assert_eq!((good, count("forebay_attempts_total", "result", "connect")), (0, all)),
        }
    }
    assert!(shown.count("forebay_attempts_total", &[("subscriber", "flaky"), ("result", "http_status")]) > 0);
    assert_eq!(shown.count("forebay_ready", &[]), 1, "it is ready");
}

/// Labels have only values that stand in the configuration or in the program.
fn labels_are_ours(shown: &Exposition) {
    let words: &[(&str, &[&str])] = &[
        ("topic", &["", "github", "legacy", "open", "walled"]),
        ("code", &["202", "400", "403", "404", "405", "408", "413", "414", "415", "431"]),
        ("secret", &["", "the \"new\" \\ one", "old", "NEW"]),
        ("subscriber", &["archive", "pushes", "flaky", "dying", "refused", "unreachable", "picky", "wrong"]),
        ("outcome", &["delivered", "dead", "dropped"]),
    ];
    for sample in shown.families.iter().flat_map(|family| &family.samples) {
        for (label, value) in &sample.labels {
            let known = words.iter().find(|(name, _)| name == label);
            let is_word = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            let fits = known.map_or(
                label == "le" || label == "version" || matches!(label.as_str(), "result" | "sync") && is_word,
                |(_, values)| values.contains(&value.as_str()),
            );
            assert!(fits, "`{label}` is not one of ours: {sample:?}");
        }
    }
}

#[test]
fn what_is_counted_is_what_was_seen() {
    let receivers = [
        Receiver::always(200),
        Receiver::start(|request| Reply::Status(if request.attempt() == 1 { 503 } else { 204 })),
        Receiver::always(500),
        Receiver::always(410),
    ];
    let home = home(&receivers);
    let daemon = home.start();
    let post_all = |daemon: &Daemon, name: &str, rounds: usize| {
        let seen = Mutex::new(Seen::default());
        std::thread::scope(|scope| {
            for client in 0..4 {
                let seen = &seen;
                scope.spawn(move || {
                    let slow = b"POST /api/events/http/open HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\nabc";
                    Seen::send(seen, &daemon.ingress, "open", SLOW, slow);
                    for round in 0..rounds {
                        for (topic, kind, bytes) in traffic(&format!("{name}-{client}-{round}")) {
                            Seen::send(seen, &daemon.ingress, topic, kind, &bytes);
                        }
                    }
                });
            }
        });
        seen.into_inner().expect("not poisoned")
    };
    let matched = |seen: &Seen, name: &str| {
        let (_, topic, kind) = SUBSCRIBERS.iter().find(|(of, ..)| *of == name).expect("one of them");
        seen.recorded(topic, kind)
    };
    let counts = || [0, 1, 2, 3].map(|at: usize| receivers[at].count());

    let seen = post_all(&daemon, "first", 5);
    let shown = at_rest(&daemon, 1, |name| matched(&seen, name));
    let codes = [202, 400, 403, 404, 405, 408, 413, 414, 415, 431];
    assert!(codes.iter().all(|code| seen.answers.keys().any(|(_, seen)| seen == code)), "{:?}", seen.answers);
    adds_up(&shown, &seen, counts(), 0);
    labels_are_ours(&shown);
    let of = |secret: &str| shown.count("forebay_verified_total", &[("secret", secret), ("result", "ok")]);
    assert_eq!((of("the \"new\" \\ one"), of("old")), (5 * 4 * 5, 5 * 4), "which secret matched");
    let end = shown.sum("forebay_secret_expiry_timestamp_seconds", &[("secret", "old")]);
    assert_eq!((end, shown.samples("forebay_secret_expiry_timestamp_seconds").count()), (4_102_444_800.0, 3));
    let dead = |shown: &Exposition, name: &str| shown.count("forebay_dead_letters", &[("subscriber", name)]);
    let letters = [dead(&shown, "dying"), dead(&shown, "refused"), dead(&shown, "flaky")];
    assert_eq!(letters, [matched(&seen, "dying"), matched(&seen, "refused"), 0]);
    assert_eq!(daemon.stop().0.code(), Some(0));

    // What was owed and what is dead is remembered; what is counted begins anew.
    let before = counts();
    let daemon = home.start();
    let owed = matched(&seen, "unreachable");
    let shown = eventually("what was there at the start is counted", || {
        let shown = at_rest(&daemon, 0, |_| 0);
        (shown.count("forebay_backlog_events", &[("subscriber", "unreachable")]) == owed).then_some(shown)
    });
    assert_eq!([dead(&shown, "dying"), dead(&shown, "refused"), dead(&shown, "flaky")], letters);
    assert_eq!((shown.count("forebay_requests_total", &[]), counts()), (0, before), "nothing is counted or sent twice");
    let more = post_all(&daemon, "second", 2);
    let shown = at_rest(&daemon, 0, |name| matched(&more, name));
    let now = counts();
    adds_up(&shown, &more, [0, 1, 2, 3].map(|at| now[at] - before[at]), owed);
    assert_eq!(dead(&shown, "dying"), letters[0] + matched(&more, "dying"));
}

/// Who resets the connection while the journal syncs has sent a request all the same: what is recorded is counted.
#[test]
fn what_is_recorded_for_nobody_is_counted() {
    let topic = "[topics.open]\nvalidator = { type = \"none\" }\naccept = [\"*/*\"]\n";
    let console = "[subscribers.console]\ntopics = [\"*\"]\nsink = { type = \"stdout\" }\n";
    let home = Home::new("", &format!("{topic}{console}"));
    let ours = home.command();
    let mut command = Command::new("strace");
    // Syncs take so long that all requests wait for one when their connections end.
    command.args([
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=fdatasync",
        "-e",
        "inject=fdatasync:delay_enter=100000",
    ]);
    command.arg(ours.get_program()).args(ours.get_args()).arg("serve");
    let daemon = Daemon::spawn(command);
    for round in 0..100 {
        let mut stream = TcpStream::connect(&daemon.ingress).expect("it listens");
        stream.write_all(&request("POST /api/events/http/open", &[], &round.to_string())).expect("sent");
        eventually("a request waits", || (scrape(&daemon).sum("forebay_ingress_body_bytes", &[]) > 0.0).then_some(()));
        // It ends with a reset.
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("set");
    }
    assert_eq!(daemon.post("open", &[], b"last").status, 202);
    let shown = eventually("all connections are closed and all events delivered", || {
        let shown = scrape(&daemon);
        let idle = shown.count("forebay_ingress_connections", &[]) == 0;
        (idle && shown.count("forebay_backlog_events", &[]) == 0).then_some(shown)
    });
    let events = shown.count("forebay_events_total", &[]);
    assert!(events > 1, "some of them were read before the reset");
    assert_eq!(shown.count("forebay_deliveries_total", &[("outcome", "delivered")]), events);
    assert_eq!(shown.count("forebay_journal_commit_events_sum", &[]), events);
}
