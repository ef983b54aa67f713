//! Resident memory: idle, with a thousand connections, and with more uploads than there is body memory for.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use crate::answer;
use crate::daemon::{Daemon, Site};
use crate::request::{PUSH, Request, padded_push};

const CONNECTIONS: usize = 1000;
const UPLOADS: usize = 64;
/// How long a sender or the daemon may stand still.
const LIMIT: Duration = Duration::from_secs(60);
const UPLOAD_BYTES: usize = 20 << 20;
/// The default of `max_body_memory`, which the configuration of this case leaves as it is.
pub(crate) const BODY_MEMORY: u64 = 256 << 20;
/// Between what was done to the daemon and looking at it, so that it has put things away.
const SETTLE: Duration = Duration::from_millis(500);

/// Bytes.
pub(crate) struct Memory {
    pub(crate) idle: u64,
    /// With connections that never sent anything.
    pub(crate) silent: u64,
    /// With the same connections after a request of 8 KiB on each.
    pub(crate) kept_alive: u64,
    /// The peak, with the uploads.
    pub(crate) uploads: u64,
    /// How many of the uploads were accepted; the rest was refused for want of room.
    pub(crate) accepted: usize,
}

/// # Errors
/// When a request is answered wrongly.
pub(crate) fn measure(site: &Site) -> io::Result<Memory> {
    let daemon = Daemon::start(site, "idle", "", "")?;
    thread::sleep(SETTLE);
    let idle = daemon.process.memory()?.now;

    let connect = |_| TcpStream::connect(daemon.ingress);
    let mut streams = (0..CONNECTIONS).map(connect).collect::<io::Result<Vec<_>>>()?;
    thread::sleep(SETTLE);
    let silent = daemon.process.memory()?.now;
    let mut request = Request::new(PUSH);
    for stream in &mut streams {
        stream.write_all(request.next())?;
        let status = read_status(stream)?;
        if status != 202 {
            return Err(io::Error::other(format!("status {status} on one of {CONNECTIONS} connections")));
        }
    }
    thread::sleep(SETTLE);
    let kept_alive = daemon.process.memory()?.now;
    drop((streams, daemon));

    let daemon = Daemon::start(site, "uploads", "", "")?;
    let accepted = upload(daemon.ingress)?;
    let uploads = daemon.process.memory()?.peak;
    Ok(Memory { idle, silent, kept_alive, uploads, accepted })
}

/// Sends the first half of every upload, and the rest only when all have come so far: they are in flight together.
fn upload(addr: SocketAddr) -> io::Result<usize> {
    let mut request = Request::new(&padded_push(UPLOAD_BYTES));
    let uploads: Vec<Vec<u8>> = (0..UPLOADS).map(|_| request.next().to_vec()).collect();
    let barrier = Barrier::new(UPLOADS);
    let statuses: Vec<Option<u16>> = thread::scope(|scope| {
        let senders: Vec<_> = uploads
            .iter()
            .map(|bytes| {
                scope.spawn(|| -> io::Result<Option<u16>> {
                    let stream = TcpStream::connect(addr);
                    let (first, rest) = bytes.split_at(bytes.len() / 2);
                    let sent = stream.as_ref().map_or(Ok(()), |mut stream| {
                        stream.set_read_timeout(Some(LIMIT))?;
                        stream.set_write_timeout(Some(LIMIT))?;
                        stream.write_all(first)
                    });
                    // Whatever came of it: the others wait here.
                    barrier.wait();
                    let mut stream = stream?;
                    // A refusal comes before the body is through; then writing fails, and the answer may be lost with it.
                    let sent = sent.and_then(|()| stream.write_all(rest));
                    match read_status(&mut stream) {
                        Ok(status) => Ok(Some(status)),
                        Err(_) if sent.is_err() => Ok(None),
                        Err(error) => Err(error),
                    }
                })
            })
            .collect();
        senders
            .into_iter()
            .map(|sender| sender.join().map_err(|_| io::Error::other("a sender panicked"))?)
            .collect::<io::Result<_>>()
    })?;
    match statuses.iter().flatten().find(|status| !matches!(status, 202 | 503)) {
        Some(status) => Err(io::Error::other(format!("status {status} for an upload"))),
        None => Ok(statuses.iter().filter(|status| **status == Some(202)).count()),
    }
}

fn read_status(stream: &mut TcpStream) -> io::Result<u16> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut buffer)?;
        bytes.extend_from_slice(&buffer[..count]);
        match answer::parse(&bytes).map_err(io::Error::other)? {
            Some(answer) => return Ok(answer.status),
            None if count == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            None => {}
        }
    }
}
