//! One request, for the questions that are asked beside the load.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The status and the body of a `GET`.
///
/// # Errors
/// When there is no answer within ten seconds.
pub(crate) fn get(addr: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    ask(addr, "GET", path, "")
}

/// The status and the body of any request; `body` is JSON.
///
/// # Errors
/// As [`get`].
pub(crate) fn ask(addr: SocketAddr, method: &str, path: &str, body: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.get(9..12).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    status.zip(body).ok_or_else(|| io::Error::other("not an HTTP answer"))
}
