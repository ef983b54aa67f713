//! Too many, too slow, too large.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{OPEN, events};
use crate::client::{Client, eventually};
use crate::daemon::{Daemon, Home};
use crate::wire::{answers, memory, rest};

const POST: &str = "/api/events/http/open";

fn connect(daemon: &Daemon) -> TcpStream {
    let stream = TcpStream::connect(&daemon.ingress).expect("it listens");
    stream.set_read_timeout(Some(crate::client::PATIENCE)).expect("a timeout");
    stream
}

/// The median of so many posts, each on a connection of its own.
fn honest(daemon: &Daemon, count: usize) -> Duration {
    let mut took: Vec<Duration> = (0..count)
        .map(|_| {
            let began = Instant::now();
            assert_eq!(daemon.client().post(POST, &[], b"{}").expect("an answer").status, 202);
            began.elapsed()
        })
        .collect();
    took.sort();
    took[count / 2]
}

#[test]
fn a_thousand_slow_clients_are_sent_away_and_nobody_notices() {
    let home = Home::new("header_timeout = \"1s\"\nbody_timeout = \"1s\"", OPEN);
    let daemon = home.start();
    let before = honest(&daemon, 50);
    let (size, began) = (memory(daemon.pid(), "VmRSS"), Instant::now());
    let head = b"POST /api/events/http/open HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n";
    let mut crowd: Vec<TcpStream> = (0..1000).map(|_| connect(&daemon)).collect();
    for stream in crowd.iter_mut().skip(700) {
        stream.write_all(&head[..10]).expect("sent");
    }
    for stream in crowd.iter_mut().skip(850) {
        stream.write_all(&head[10..]).expect("sent");
    }
    std::thread::scope(|scope| {
        let dribblers: Vec<TcpStream> = crowd[700..].iter().map(|s| s.try_clone().expect("a clone")).collect();
        scope.spawn(move || {
            let mut left = dribblers;
            while !left.is_empty() {
                // A byte now and then, until the other side has had enough.
                left.retain_mut(|stream| stream.write_all(b"x").is_ok());
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let during = honest(&daemon, 50);
        assert!(during < before * 20 + Duration::from_millis(50), "{before:?}, and {during:?} in the crowd");
        let more = memory(daemon.pid(), "VmRSS").saturating_sub(size);
        assert!(more < 64 << 10, "{more} KiB more");
        for (number, stream) in crowd.iter_mut().enumerate() {
            let all = rest(stream);
            assert_eq!(all.is_empty(), number < 850, "{number}: {:?}", String::from_utf8_lossy(&all));
            assert!(all.is_empty() || answers(&all)[0].status == 408);
        }
        // The limit, a quarter of it because it is not looked at all the time, and room for a busy machine.
        assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    });
    drop(crowd);
    eventually("all are closed", || (daemon.metric("forebay_ingress_connections")? == 0.0).then_some(()));
}

/// Without subscribers: what a delivery holds in memory is bounded by other limits.
#[test]
fn bodies_beyond_the_memory_for_all_are_refused() {
    const MIB: usize = 1 << 20;
    let home = Home::new(
        "max_body = \"8 MiB\"\nmax_body_memory = \"32 MiB\"\nbody_timeout = \"20s\"",
        "[topics.open]\nvalidator = { type = \"none\" }\naccept = [\"*/*\"]\n",
    );
    let daemon = home.start();
    let (idle, body) = (memory(daemon.pid(), "VmRSS"), vec![b'x'; 8 * MIB]);
    let head = |framing: &str| format!("POST {POST} HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n");
    let (length, chunked) = (format!("Content-Length: {}", body.len()), "Transfer-Encoding: chunked");
    // All but the last byte: whoever is let in stays.
    let mut taken: Vec<(TcpStream, &str)> = (0..4)
        .map(|number| {
            let mut stream = connect(&daemon);
            let (head, end) = if number % 2 == 0 {
                (head(&length), "x")
            } else {
                (format!("{}{:x}\r\n", head(chunked), body.len()), "x\r\n0\r\n\r\n")
            };
            stream.write_all(head.as_bytes()).expect("sent");
            stream.write_all(&body[1..]).expect("sent");
            (stream, end)
        })
        .collect();
    let full = 32.0 * 1024.0 * 1024.0;
    let used = || daemon.metric("forebay_ingress_body_bytes");
    eventually("all room is taken", || (used()? >= full - 2.0).then_some(()));
    for number in 0..8 {
        let mut stream = connect(&daemon);
        // One without a length takes its place as it grows, and finds none.
        let head = if number % 2 == 0 { head(&length) } else { format!("{}{:x}\r\n", head(chunked), body.len()) };
        stream.write_all(head.as_bytes()).expect("sent");
        // Who is refused cannot always send all.
        let _ = stream.write_all(&body[1..]);
        assert!(used().expect("a metric") <= full);
        let answer = &answers(&rest(&mut stream))[0];
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    }
    for (stream, end) in &mut taken {
        stream.write_all(end.as_bytes()).expect("sent");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer[9..], b"202");
    }
    let peak = memory(daemon.pid(), "VmHWM") - idle;
    assert!(peak < (32 + 64) << 10, "{peak} KiB at the most");
    eventually("all is given back", || (used()? == 0.0).then_some(()));
    assert_eq!(events(&daemon, "open"), 4);
}

#[test]
fn the_limit_on_a_body_holds_with_and_without_its_length() {
    let home = Home::new("max_body = \"64 KiB\"\nmax_body_memory = \"1 MiB\"", OPEN);
    let daemon = home.start();
    let sizes = [(0, 202), (1, 202), (65_535, 202), (65_536, 202), (65_537, 413), (1 << 20, 413), (5 << 20, 413)];
    for (size, status) in sizes {
        let body = vec![b'x'; size];
        assert_eq!(daemon.post("open", &[], &body).status, status, "{size} with its length");
        for chunk in [7_000, 100_000] {
            let mut bytes =
                format!("POST {POST} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
            for part in body.chunks(chunk) {
                bytes.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                bytes.extend_from_slice(part);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
            let mut client = daemon.client();
            client.send(&bytes).expect("what is too much is read and thrown away");
            assert_eq!(client.answer().expect("an answer").status, status, "{size} in chunks of {chunk}");
        }
    }
    let lines = eventually("all are printed", || Some(daemon.out()).filter(|lines| lines.len() >= 12));
    assert_eq!(lines.len(), 12);
    assert_eq!(daemon.metric("forebay_ingress_body_bytes"), Some(0.0));
}

#[test]
fn when_all_places_are_taken_the_next_wait_and_the_idle_make_room() {
    let home = Home::new("max_connections = 4\nheader_timeout = \"10s\"", OPEN);
    let daemon = home.start();
    let mut idle: Vec<Client> = (0..2).map(|_| daemon.client()).collect();
    for client in &mut idle {
        assert_eq!(client.post(POST, &[], b"{}").expect("an answer").status, 202);
    }
    let mut open: Vec<TcpStream> = (0..2).map(|_| connect(&daemon)).collect();
    for stream in &mut open {
        stream.write_all(b"POST ").expect("sent");
    }
    // Two are idle and two owe the rest of their request. Those who come now wait, and the idle ones go.
    let began = Instant::now();
    let mut late: Vec<TcpStream> = (0..2).map(|_| connect(&daemon)).collect();
    for stream in &mut late {
        write!(stream, "POST {POST} HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}")
            .expect("sent");
    }
    for stream in &mut late {
        assert_eq!(answers(&rest(stream))[0].status, 202);
    }
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}: before the others were too slow", began.elapsed());
    assert!(idle[0].post(POST, &[], b"{}").is_err(), "an idle connection made room");
    // Those that were in the middle of something still are.
    for stream in &mut open {
        let rest = "/api/events/http/open HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
        stream.write_all(rest.as_bytes()).expect("sent");
        assert_eq!(answers(&crate::wire::rest(stream))[0].status, 202);
    }
    assert_eq!(events(&daemon, "open"), 6);
}

#[test]
fn who_does_not_read_answers_is_not_waited_for() {
    let home = Home::new("header_timeout = \"1s\"\nbody_timeout = \"1s\"", OPEN);
    let daemon = home.start();
    let request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".repeat(1000);
    let mut deaf: Vec<TcpStream> = (0..20).map(|_| connect(&daemon)).collect();
    for stream in &mut deaf {
        stream.set_write_timeout(Some(Duration::from_millis(50))).expect("a timeout");
        // Until the way back is full, and then the way there.
        for _ in 0..200 {
            if stream.write_all(&request).is_err() {
                break;
            }
        }
    }
    let size = memory(daemon.pid(), "VmRSS");
    assert!(size < 128 << 10, "{size} KiB");
    assert!(honest(&daemon, 20) < Duration::from_secs(1));
    drop(deaf);
    eventually("all are closed", || (daemon.metric("forebay_ingress_connections")? == 0.0).then_some(()));
    assert_eq!(daemon.stop().0.code(), Some(0));
}
