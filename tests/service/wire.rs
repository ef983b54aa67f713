//! Bytes as they are on the wire: requests that no proper client sends, all that comes back, and what is left on the disk.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use crate::client::{Answer, PATIENCE};

/// Sends bytes on a connection of their own, and gives all that comes back until the other side closes it.
pub(crate) fn exchange(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    // Who is refused early cannot always send all, and is answered all the same.
    let _ = stream.write_all(bytes);
    rest(&mut stream)
}

/// All that comes until the other side closes.
pub(crate) fn rest(stream: &mut impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    let mut part = [0; 4096];
    loop {
        match stream.read(&mut part) {
            Ok(0) => return all,
            Ok(length) => all.extend_from_slice(&part[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return all,
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&all)),
        }
    }
}

/// The answers in a stream of them, none of them to `HEAD`.
pub(crate) fn answers(mut bytes: &[u8]) -> Vec<Answer> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("the end of a head") + 4;
        let head = std::str::from_utf8(&bytes[..end]).expect("a head is text");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
        let pair =
            |line: &str| line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
        let headers = head.lines().skip(1).filter_map(pair).collect();
        let mut answer = Answer { status, headers, body: Vec::new() };
        // An interim answer has no body and no length.
        let length = answer.header("content-length").map_or(0, |length| length.parse().expect("a length"));
        answer.body = bytes[end..end + length].to_vec();
        bytes = &bytes[end + length..];
        all.push(answer);
    }
    all
}

/// The files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// A line of `/proc/PID/status` in KiB, such as `VmRSS` or `VmHWM`.
pub(crate) fn memory(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).expect("such a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
