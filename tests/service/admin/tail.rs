//! Following the journal.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use serde_json::Value;

use super::events::{TOPICS, post};
use crate::client::{PATIENCE, eventually};
use crate::daemon::{Daemon, Home};

/// One who follows.
struct Tail {
    stream: BufReader<Box<dyn Read>>,
    status: u16,
    head: String,
    /// What came of the stream and was not taken yet.
    text: String,
}

impl Tail {
    /// `seen`: the last number that was seen before.
    fn open(daemon: &Daemon, query: &str, seen: Option<u64>) -> Self {
        let stream = TcpStream::connect(&daemon.admin).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let seen = seen.map_or(String::new(), |seen| format!("\r\nlast-event-id: {seen}"));
        Self::over(stream, &format!("{query} HTTP/1.1\r\nhost: localhost{seen}"))
    }

    /// `rest`: the request behind its path.
    fn over(mut stream: impl Read + Write + 'static, rest: &str) -> Self {
        write!(stream, "GET /api/v1/events/tail{rest}\r\n\r\n").expect("sent");
        let stream: Box<dyn Read> = Box::new(stream);
        let (mut stream, mut head) = (BufReader::new(stream), String::new());
        while !head.ends_with("\r\n\r\n") {
            assert!(stream.read_line(&mut head).expect("a line") > 0, "{head}");
        }
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        let mut tail = Self { stream, status, head, text: String::new() };
        if status == 200 {
            // It follows from here on, and says behind which event that is.
            let first = tail.block().expect("it goes on");
            let place = first.strip_prefix("id: ").and_then(|rest| rest.strip_suffix("\nretry: 1000"));
            assert!(place.is_some_and(|place| place.parse::<u64>().is_ok()), "{first}");
        }
        tail
    }

    /// The next block of lines; none at the end.
    fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let mut line = String::new();
            self.stream.read_line(&mut line).expect("the length of a chunk");
            let length = usize::from_str_radix(line.trim(), 16).expect("a length");
            let mut chunk = vec![0; length + 2];
            self.stream.read_exact(&mut chunk).expect("a chunk");
            if length == 0 {
                return None;
            }
            self.text.push_str(std::str::from_utf8(&chunk[..length]).expect("text"));
        }
    }

    /// The next event, and its number.
    fn event(&mut self) -> (u64, Value) {
        let block = self.block().expect("it goes on");
        let lines: Vec<&str> = block.lines().collect();
        let [id, kind, data] = lines[..] else { panic!("{block}") };
        assert_eq!(kind, "event: event");
        let id = id.strip_prefix("id: ").expect("an id").parse().expect("a number");
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").expect("data")).expect("JSON");
        assert_eq!(data["seq"], id);
        (id, data)
    }
}

#[test]
fn a_tail_sees_what_comes_and_goes_on_where_it_was() {
    let home = Home::new("", TOPICS);
    let daemon = home.start();
    let mut client = daemon.client();
    post(&mut client, &[], b"before");
    let mut tail = Tail::open(&daemon, "", None);
    assert!(tail.head.contains("content-type: text/event-stream\r\n"), "{}", tail.head);
    assert!(tail.head.contains("cache-control: no-store\r\n"), "{}", tail.head);
    let ids: Vec<String> = (0..3_u32).map(|n| post(&mut client, &[], &n.to_be_bytes())).collect();
    for (seq, id) in (2..).zip(&ids) {
        let (number, event) = tail.event();
        assert_eq!((number, &event["id"]), (seq, &id.as_str().into()));
        let shown = daemon.api(&format!("/events?q={id}"))["events"][0].clone();
        assert_eq!(event, shown, "the same as in a list");
    }
    drop(tail);
    (0..200_u32).for_each(|n| drop(post(&mut client, &[], &n.to_be_bytes())));
    let mut again = Tail::open(&daemon, "", Some(3));
    for seq in 4..=204 {
        assert_eq!(again.event().0, seq);
    }
    post(&mut client, &[], b"live");
    assert_eq!(again.event().0, 205);
    let mut ahead = Tail::open(&daemon, "", Some(1_000_000));
    post(&mut client, &[], b"more");
    assert_eq!(ahead.event().0, 206, "a number that is not there yet is of another journal");
    let mut whole = Tail::open(&daemon, "", Some(0));
    assert_eq!(whole.event().0, 1);
}

#[test]
fn a_tail_shows_only_what_is_asked_for() {
    let home = Home::new("", &(TOPICS.to_owned() + "[topics.other]\nvalidator = { type = \"none\" }\n"));
    let daemon = home.start();
    let mut open = Tail::open(&daemon, "?topic=open", None);
    let mut other = Tail::open(&daemon, "?topic=o*r", None);
    let mut typed = Tail::open(&daemon, "?type=push", None);
    let json = [("content-type", "application/json")];
    for topic in ["open", "other", "other", "open"] {
        assert_eq!(daemon.post(topic, &json, b"{}").status, 202);
    }
    assert_eq!([open.event().0, open.event().0], [1, 4]);
    assert_eq!([other.event().0, other.event().0], [2, 3]);
    drop((open, other));
    // What never matches holds up nothing.
    let (status, ..) = daemon.stop();
    assert_eq!(status.code(), Some(0));
    assert_eq!(typed.block(), None);
}

#[test]
fn a_stop_ends_tails_in_order_and_at_once() {
    let home = Home::new("", TOPICS);
    let daemon = home.start();
    let mut tails: Vec<Tail> = (0..5).map(|_| Tail::open(&daemon, "", None)).collect();
    post(&mut daemon.client(), &[], b"x");
    tails.iter_mut().for_each(|tail| assert_eq!(tail.event().0, 1));
    let (status, _, log) = daemon.stop();
    assert_eq!(status.code(), Some(0));
    assert!(!log.iter().any(|line| line.contains("did not end in time")), "{log:?}");
    tails.iter_mut().for_each(|tail| assert_eq!(tail.block(), None, "it ends as it should"));
}

#[test]
fn a_tail_with_nothing_to_say_shows_that_it_is_there() {
    let home = Home::new("", TOPICS);
    let daemon = home.start();
    let mut tail = Tail::open(&daemon, "?type=never", None);
    post(&mut daemon.client(), &[], b"x");
    assert_eq!(tail.block().as_deref(), Some(":"));
}

#[test]
fn there_are_only_so_many_and_those_that_are_gone_make_room() {
    let home = Home::new("", TOPICS);
    let daemon = home.start();
    let tails: Vec<Tail> = (0..64).map(|_| Tail::open(&daemon, "", None)).collect();
    assert!(tails.iter().all(|tail| tail.status == 200));
    assert_eq!(Tail::open(&daemon, "", None).status, 503);
    drop(tails);
    let mut client = daemon.client();
    eventually("there is room again", || {
        // What cannot be sent shows that nobody is there.
        post(&mut client, &[], b"x");
        (Tail::open(&daemon, "", None).status == 200).then_some(())
    });
}

#[test]
fn a_tail_that_is_read_late_misses_nothing() {
    let topic = "[topics.wordy]\nvalidator = { type = \"none\" }\ndelivery_id = { header = \"x-delivery\" }\n";
    let home = Home::new("", topic);
    // Between two ends of a unix socket there is room for 200 KiB; TCP takes megabytes.
    let text = std::fs::read_to_string(home.path("forebay.toml")).expect("written");
    home.configure(&text.replace("[admin]\nlisten = \"127.0.0.1:0\"", "[admin]\nlisten = \"unix:admin.sock\""));
    let daemon = home.start();
    let stream = UnixStream::connect(home.path("admin.sock")).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut tail = Tail::over(stream, " HTTP/1.1\r\nhost: localhost");
    // Several times what fits in between.
    let (clients, each) = (4, 1000);
    std::thread::scope(|scope| {
        for n in 0..clients {
            let mut client = daemon.client();
            scope.spawn(move || {
                for m in 0..each {
                    let delivery = format!("{}-{n}-{m}", "d".repeat(480));
                    let headers = [("content-type", "application/json"), ("x-delivery", delivery.as_str())];
                    let answer = client.post("/api/events/http/wordy", &headers, b"{}").expect("an answer");
                    assert_eq!(answer.status, 202);
                }
            });
        }
    });
    for seq in 1..=clients * each {
        assert_eq!(tail.event().0, seq);
    }
}
