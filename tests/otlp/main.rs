//! Traces, seen by a collector that listens: which spans there are, whose they are part of, and that a collector that is slow,
//! away or unwilling changes nothing else.

#[path = "../service/client.rs"]
#[expect(dead_code, reason = "the tests of the service use the rest")]
#[allow(unreachable_pub, reason = "it is written for a test binary of its own")]
mod client;
mod collector;
#[path = "../service/daemon.rs"]
#[expect(dead_code, reason = "the tests of the service use the rest")]
#[allow(unreachable_pub, reason = "it is written for a test binary of its own")]
mod daemon;
#[path = "../service/receiver.rs"]
#[expect(dead_code, reason = "the tests of the service use the rest")]
mod receiver;

use std::time::{SystemTime, UNIX_EPOCH};

use client::{eventually, github_signature};
use collector::{Collector, Reply, Span};
use daemon::{Daemon, Home};
use receiver::Receiver;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

const TOPICS: &str = r#"
[topics.github]
validator = { type = "github", secret = "It's a Secret to Everybody" }
[topics.open]
validator = { type = "none" }
accept = ["*/*"]
"#;

/// A folder with two topics, a webhook that sends to the receiver, and `more` in the table of the collector.
fn home(collector: &str, more: &str, receiver: &Receiver) -> Home {
    let hook = format!(
        "[subscribers.hook]\ntopics = [\"*\"]\nsink = {{ type = \"webhook\", url = \"{}\" }}\n\
         retry = {{ first = \"1ms\", max = \"2ms\", attempts = 3 }}\n",
        receiver.url()
    );
    let mut home = Home::new("", &format!("[otlp]\nendpoint = \"{collector}\"\n{more}\n{TOPICS}{hook}"));
    home.env = vec![("OTLP_TOKEN".into(), "Bearer of-the-collector".into())];
    home
}

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{CALLER}-{flags}")
}

fn post(daemon: &Daemon, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let answer = daemon.post("open", headers, body.as_bytes());
    (answer.status, answer.header("forebay-event-id").unwrap_or_default().to_owned())
}

fn counted(daemon: &Daemon, result: &str) -> u64 {
    let value = daemon.metric(&format!("forebay_otlp_spans_total{{result=\"{result}\"}}")).expect("a metric");
    format!("{value}").parse().expect("a count")
}

fn of_kind(spans: &[Span], kind: u64) -> Vec<&Span> {
    spans.iter().filter(|span| span.kind == kind).collect()
}

#[test]
fn a_request_and_its_deliveries_are_one_trace() {
    let collector = Collector::start(&[Reply::Take(0)]);
    let receiver = Receiver::start(|request| receiver::Reply::Status(if request.attempt() == 1 { 503 } else { 204 }));
    let more = "service_name = \"hooks\"\nheaders = { authorization = { env = \"OTLP_TOKEN\" } }";
    let home = home(&collector.url(), more, &receiver);
    let daemon = home.start();
    let before = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
    let (status, id) = post(&daemon, &[("traceparent", &traceparent("01")), ("tracestate", "rojo=1")], "hello");
    assert_eq!(status, 202);
    let spans = collector.wait_for(3);
    let after = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();

    let [server] = of_kind(&spans, 2)[..] else { panic!("{spans:?}") };
    assert_eq!((server.trace.as_str(), server.parent.as_str(), server.state.as_str()), (TRACE, CALLER, "rojo=1"));
    assert_eq!((server.name.as_str(), server.flags, server.status), ("POST /api/events/http/open", 1, 0));
    for (key, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/api/events/http/open"),
        ("http.response.status_code", "202"),
        ("http.request.body.size", "5"),
        ("forebay.topic", "open"),
        ("forebay.event.id", &id),
        ("forebay.duplicate", "false"),
    ] {
        assert_eq!(server.says(key), value, "{key}");
    }
    let mut attempts = of_kind(&spans, 3);
    attempts.sort_by_key(|span| span.says("forebay.attempt").to_owned());
    let requests = receiver.wait_for(2);
    assert_eq!(attempts.len(), 2);
    for (n, (attempt, (outcome, http, status))) in
        attempts.iter().zip([("retry", "503", 2), ("delivered", "204", 0)]).enumerate()
    {
        assert_eq!((attempt.trace.as_str(), attempt.parent.as_str()), (TRACE, server.id.as_str()), "{attempt:?}");
        assert_eq!((attempt.name.as_str(), attempt.status, attempt.flags), ("deliver hook", status, 1));
        assert_eq!((attempt.says("forebay.outcome"), attempt.says("http.response.status_code")), (outcome, http));
        assert_eq!((attempt.says("forebay.subscriber"), attempt.says("forebay.event.id")), ("hook", id.as_str()));
        assert_eq!(attempt.says("forebay.attempt"), (n + 1).to_string());
        // Whoever got the request is part of the attempt, not of what came before it.
        assert_eq!(requests[n].header("traceparent"), format!("00-{TRACE}-{}-01", attempt.id));
        assert_eq!(requests[n].header("tracestate"), "rojo=1");
    }
    assert_eq!((attempts[0].says("error.type"), attempts[1].says("error.type")), ("http_status", ""));
    assert!(attempts[0].message.contains("503"), "{:?}", attempts[0]);
    for span in &spans {
        assert_eq!(span.service, "hooks");
        assert!(
            u128::from(span.start) >= before && span.start <= span.end && u128::from(span.end) <= after,
            "{span:?}"
        );
    }
    for (line, headers) in collector.requests() {
        assert_eq!(line, "POST /v1/traces HTTP/1.1");
        for header in [("content-type", "application/x-protobuf"), ("authorization", "Bearer of-the-collector")] {
            assert!(headers.contains(&(header.0.to_owned(), header.1.to_owned())), "{headers:?}");
        }
    }
    eventually("what the collector has is counted", || (counted(&daemon, "sent") == 3).then_some(()));
    assert!(daemon.stop().2.iter().all(|line| !line.contains("of-the-collector")), "a secret in the log");
}

#[test]
fn what_a_caller_says_decides_and_else_a_trace_begins_here() {
    let collector = Collector::start(&[Reply::Take(0)]);
    let receiver = Receiver::always(200);
    let home = home(&collector.url(), "", &receiver);
    let daemon = home.start();
    // A caller that does not record: the context goes on as it came.
    let (_, unsampled) = post(&daemon, &[("traceparent", &traceparent("00"))], "{}");
    let (_, own) = post(&daemon, &[], "{}");
    let (_, after_nonsense) = post(&daemon, &[("traceparent", "nonsense"), ("tracestate", "rojo=1")], "{}");
    let signature = github_signature("another secret", b"{}");
    let headers = [("content-type", "application/json"), ("x-hub-signature-256", signature.as_str())];
    assert_eq!(daemon.post("github", &headers, b"{}").status, 403);
    assert_eq!(daemon.post("nowhere", &[], b"{}").status, 404);
    let spans = collector.wait_for(5);
    assert!(spans.iter().all(|span| span.says("forebay.event.id") != unsampled && span.trace != TRACE), "{spans:?}");
    let requests = receiver.wait_for(3);
    let sent = |id: &str| requests.iter().find(|request| request.header("forebay-event-id") == id).expect("delivered");
    assert_eq!(sent(&unsampled).header("traceparent"), traceparent("00"));
    for id in [&own, &after_nonsense] {
        let of: Vec<_> = spans.iter().filter(|span| span.says("forebay.event.id") == id).collect();
        let [server] = of.iter().filter(|span| span.kind == 2).collect::<Vec<_>>()[..] else { panic!("{of:?}") };
        let [attempt] = of.iter().filter(|span| span.kind == 3).collect::<Vec<_>>()[..] else { panic!("{of:?}") };
        assert_eq!((server.parent.as_str(), server.state.as_str()), ("", ""));
        assert_eq!((&attempt.trace, &attempt.parent), (&server.trace, &server.id));
        assert_eq!(sent(id).header("traceparent"), format!("00-{}-{}-03", server.trace, attempt.id));
        assert_eq!(sent(id).header("tracestate"), "");
    }
    let refused: Vec<_> = spans.iter().filter(|span| span.says("forebay.topic") == "github").collect();
    let [refused] = refused[..] else { panic!("{spans:?}") };
    assert_eq!(
        (refused.says("http.response.status_code"), refused.says("forebay.event.id"), refused.status),
        ("403", "", 0)
    );
    assert_eq!(collector.spans().len(), 5, "nothing of a topic that is not there");
}

#[test]
fn as_many_as_configured_and_no_more() {
    let collector = Collector::start(&[Reply::Take(0)]);
    let receiver = Receiver::always(200);
    let home = home(&collector.url(), "sample = 0.0\nrate = 4", &receiver);
    let daemon = home.start();
    for _ in 0..20 {
        assert_eq!(post(&daemon, &[], "{}").0, 202);
    }
    for _ in 0..100 {
        assert_eq!(post(&daemon, &[("traceparent", &traceparent("01"))], "{}").0, 202);
    }
    receiver.wait_for(120);
    // Each of the hundred has a request and an attempt.
    let known = || counted(&daemon, "sent") + counted(&daemon, "capped");
    eventually("all are sent or too many", || (known() == 200).then_some(()));
    let spans = collector.spans();
    assert_eq!(spans.len() as u64, counted(&daemon, "sent"));
    assert!(spans.iter().all(|span| span.trace == TRACE) && spans.len() >= 8, "{spans:?}");
    assert_eq!((counted(&daemon, "refused"), counted(&daemon, "dropped")), (0, 0));
}

/// Posts so many from several clients at once.
fn flood(daemon: &Daemon, count: usize) {
    let clients = 4;
    std::thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut client = daemon.client();
                for _ in 0..count / clients {
                    assert_eq!(client.post("/api/events/http/open", &[], b"{}").expect("an answer").status, 202);
                }
            });
        }
    });
}

#[test]
fn a_collector_that_hangs_costs_spans_and_nothing_else() {
    let collector = Collector::start(&[Reply::Hang]);
    let receiver = Receiver::always(200);
    let home = home(&collector.url(), "rate = 1000000", &receiver);
    let daemon = home.start();
    // Two spans each: more than there is room for.
    flood(&daemon, 4000);
    eventually("all are delivered", || {
        let delivered = daemon.metric("forebay_deliveries_total{subscriber=\"hook\",outcome=\"delivered\"}")?;
        (delivered >= 4000.0).then_some(())
    });
    assert!(counted(&daemon, "dropped") >= 8000 - 4096 - 2 * 512, "{} dropped", counted(&daemon, "dropped"));
    assert_eq!((counted(&daemon, "sent"), counted(&daemon, "capped")), (0, 0));
    assert_eq!(daemon.stop().0.code(), Some(0), "and it stops");
}

#[test]
fn a_collector_that_is_away_costs_spans_and_nothing_else() {
    let receiver = Receiver::always(200);
    let home = home(&format!("http://{}", receiver::nobody()), "", &receiver);
    let daemon = home.start();
    flood(&daemon, 40);
    receiver.wait_for(40);
    let said = || daemon.log().iter().filter(|line| line.contains("cannot send spans")).count();
    eventually("it is said", || (said() > 0).then_some(()));
    assert_eq!(daemon.admin("/readyz").status, 200);
    let (status, _, log) = daemon.stop();
    assert_eq!(status.code(), Some(0));
    assert_eq!(log.iter().filter(|line| line.contains("cannot send spans")).count(), 1, "once: {log:?}");
}

#[test]
fn what_is_to_be_tried_again_is_and_what_is_not_wanted_is_not() {
    let collector = Collector::start(&[Reply::Status(503), Reply::Take(0)]);
    let receiver = Receiver::always(200);
    let home = home(&collector.url(), "", &receiver);
    let daemon = home.start();
    assert_eq!(post(&daemon, &[], "{}").0, 202);
    collector.wait_for(2);
    eventually("both are counted", || (counted(&daemon, "sent") == 2).then_some(()));
    eventually("it is said", || daemon.log().iter().any(|line| line.contains("spans can be sent again")).then_some(()));
    assert_eq!(counted(&daemon, "dropped") + counted(&daemon, "refused"), 0);
    drop(daemon);

    let unwilling = Collector::start(&[Reply::Status(400), Reply::Take(1)]);
    let home = self::home(&unwilling.url(), "", &receiver);
    let daemon = home.start();
    assert_eq!(post(&daemon, &[], "{}").0, 202);
    eventually("they are not wanted", || (counted(&daemon, "refused") == 2).then_some(()));
    assert_eq!(unwilling.requests().len(), 1, "and not sent again");
    // Of these two, one.
    assert_eq!(post(&daemon, &[], "{}").0, 202);
    eventually("one is not wanted", || (counted(&daemon, "refused") == 3).then_some(()));
    assert_eq!(counted(&daemon, "sent"), 1);
}

#[test]
fn a_stop_sends_what_is_left() {
    let collector = Collector::start(&[Reply::Take(0)]);
    let receiver = Receiver::always(200);
    let home = home(&collector.url(), "", &receiver);
    let daemon = home.start();
    assert_eq!(post(&daemon, &[], "{}").0, 202);
    assert_eq!(daemon.stop().0.code(), Some(0));
    let spans = collector.spans();
    assert_eq!((of_kind(&spans, 2).len(), of_kind(&spans, 3).len()), (1, 1), "{spans:?}");
}
