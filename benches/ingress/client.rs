//! The load: one thread, one epoll, every connection with one request in flight. It does as little as it can beside the
//! system calls, so that on a machine of few cores it leaves them to the server.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::answer;
use crate::histogram::Histogram;
use crate::process::{Process, thread_cpu};
use crate::request::Request;

/// After so many requests that went wrong a case is given up.
const MAX_FAULTS: u64 = 1000;
/// How long the last answers may take once no more requests are sent.
const GRACE: Duration = Duration::from_secs(30);

/// What is asked of a server.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    /// Before the measuring begins.
    pub(crate) warm: Duration,
    pub(crate) measure: Duration,
}

/// What came of it.
pub(crate) struct Outcome {
    /// Latencies of the requests that were answered while it was measured.
    pub(crate) latency: Histogram,
    /// How long was measured.
    pub(crate) window: Duration,
    /// The server's and the client's processor time meanwhile.
    pub(crate) server_cpu: Duration,
    pub(crate) client_cpu: Duration,
    /// Every 202, those before and after the measuring included.
    pub(crate) accepted: u64,
    /// What was not a 202, by what it was.
    pub(crate) faults: BTreeMap<String, u64>,
}

/// Posts to `target`, which `server` serves, as fast as the answers come.
///
/// # Errors
/// When it cannot be reached, or leaves requests unanswered.
pub(crate) fn drive(target: SocketAddr, server: &Process, request: &mut Request, load: Load) -> io::Result<Outcome> {
    let mut client = Client {
        target,
        request,
        epoll: epoll::create(CreateFlags::CLOEXEC)?,
        connections: Vec::with_capacity(load.connections),
        buffer: vec![0; 64 * 1024],
        stopping: false,
        waiting: 0,
        latency: Histogram::new(),
        accepted: 0,
        faults: BTreeMap::new(),
        fault_count: 0,
    };
    for index in 0..load.connections {
        let stream = client.connect(index)?;
        client.connections.push(Connection { stream, sent: Instant::now(), unsent: Vec::new(), answer: Vec::new() });
    }
    let begin = Instant::now() + load.warm;
    for index in 0..load.connections {
        client.waiting += 1;
        client.send(index, Instant::now());
    }
    client.run_until(begin)?;
    client.latency = Histogram::new();
    let (server_before, client_before, started) = (server.cpu()?, thread_cpu()?, Instant::now());
    client.run_until(started + load.measure)?;
    let window = started.elapsed();
    let client_cpu = thread_cpu()?.saturating_sub(client_before);
    let server_cpu = server.cpu()?.saturating_sub(server_before);
    let latency = std::mem::replace(&mut client.latency, Histogram::new());
    client.finish()?;
    Ok(Outcome { latency, window, server_cpu, client_cpu, accepted: client.accepted, faults: client.faults })
}

struct Client<'a> {
    target: SocketAddr,
    request: &'a mut Request,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
    stopping: bool,
    waiting: usize,
    latency: Histogram,
    accepted: u64,
    faults: BTreeMap<String, u64>,
    fault_count: u64,
}

struct Connection {
    stream: TcpStream,
    sent: Instant,
    /// What the socket did not take of the request at once; almost always nothing.
    unsent: Vec<u8>,
    /// The first part of an answer that came in pieces; almost always nothing.
    answer: Vec<u8>,
}

impl Client<'_> {
    fn connect(&self, index: usize) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.target)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let interest = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
        epoll::add(&self.epoll, &stream, EventData::new_u64(index as u64), interest)?;
        Ok(stream)
    }

    fn run_until(&mut self, end: Instant) -> io::Result<()> {
        let mut events: Vec<Event> = Vec::with_capacity(256);
        loop {
            let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                return Ok(());
            };
            if self.waiting == 0 {
                return Ok(());
            }
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&left)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            for event in events.drain(..) {
                let index = usize::try_from(event.data.u64()).map_err(io::Error::other)?;
                self.ready(index)?;
            }
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.stopping = true;
        self.run_until(Instant::now() + GRACE)?;
        match self.waiting {
            0 => Ok(()),
            left => Err(io::Error::other(format!("{left} requests had no answer within {} s", GRACE.as_secs()))),
        }
    }

    fn send(&mut self, index: usize, now: Instant) {
        let connection = &mut self.connections[index];
        connection.sent = now;
        let bytes = self.request.next();
        match connection.stream.write(bytes) {
            Ok(taken) => connection.unsent.extend_from_slice(&bytes[taken..]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => connection.unsent.extend_from_slice(bytes),
            // The reading that follows finds the connection broken, and says so.
            Err(_) => {}
        }
    }

    fn ready(&mut self, index: usize) -> io::Result<()> {
        let connection = &mut self.connections[index];
        if !connection.unsent.is_empty()
            && let Ok(taken) = connection.stream.write(&connection.unsent)
        {
            connection.unsent.drain(..taken);
        }
        let count = match connection.stream.read(&mut self.buffer) {
            Ok(0) => return self.broken(index, "closed without an answer"),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Ok(());
            }
            Err(error) => return self.broken(index, &error.kind().to_string()),
        };
        let now = Instant::now();
        let parsed = if connection.answer.is_empty() {
            answer::parse(&self.buffer[..count])
        } else {
            connection.answer.extend_from_slice(&self.buffer[..count]);
            answer::parse(&connection.answer)
        };
        let answer = match parsed {
            Ok(Some(answer)) => answer,
            Ok(None) => {
                if connection.answer.is_empty() {
                    connection.answer.extend_from_slice(&self.buffer[..count]);
                }
                return Ok(());
            }
            Err(reason) => return self.broken(index, &reason),
        };
        let read = if connection.answer.is_empty() { count } else { connection.answer.len() };
        connection.answer.clear();
        self.latency.record(now - connection.sent);
        if answer.status == 202 {
            self.accepted += 1;
        } else {
            self.fault(&format!("status {}", answer.status))?;
        }
        if read > answer.len {
            return self.broken(index, "more bytes than one answer");
        }
        self.next(index, answer.closes, now)
    }

    /// An answer that will never come.
    fn broken(&mut self, index: usize, what: &str) -> io::Result<()> {
        self.fault(what)?;
        self.next(index, true, Instant::now())
    }

    fn fault(&mut self, what: &str) -> io::Result<()> {
        *self.faults.entry(what.to_owned()).or_default() += 1;
        self.fault_count += 1;
        if self.fault_count < MAX_FAULTS {
            return Ok(());
        }
        Err(io::Error::other(format!("given up after {MAX_FAULTS} requests that went wrong: {:?}", self.faults)))
    }

    fn next(&mut self, index: usize, reconnect: bool, now: Instant) -> io::Result<()> {
        if self.stopping {
            self.waiting -= 1;
            // Whatever the server does with the connection from now on is not a fault.
            return Ok(epoll::delete(&self.epoll, &self.connections[index].stream)?);
        }
        if !reconnect {
            self.send(index, now);
            return Ok(());
        }
        let stream = self.connect(index)?;
        let connection = &mut self.connections[index];
        connection.stream = stream;
        connection.unsent.clear();
        connection.answer.clear();
        self.send(index, Instant::now());
        Ok(())
    }
}
