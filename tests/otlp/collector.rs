//! A collector that listens on a real socket, and reads what comes by the numbers of the published protocol.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::client::eventually;
use crate::receiver::read_request;

/// A span, and the name of the service it is of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Span {
    pub(crate) service: String,
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty if there is none.
    pub(crate) parent: String,
    pub(crate) state: String,
    pub(crate) name: String,
    /// 2: server; 3: client.
    pub(crate) kind: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) flags: u64,
    /// 0: nothing is said; 2: it failed.
    pub(crate) status: u64,
    pub(crate) message: String,
    pub(crate) attributes: BTreeMap<String, String>,
}

impl Span {
    pub(crate) fn says(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }
}

/// What the collector does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Takes all but so many spans of it.
    Take(u64),
    /// Answers with a status.
    Status(u16),
    /// Answers nothing, and keeps the connection.
    Hang,
}

#[derive(Debug, Default)]
struct Seen {
    spans: Vec<Span>,
    /// Path and headers of each request.
    requests: Vec<(String, Vec<(String, String)>)>,
    replies: Vec<Reply>,
}

pub(crate) struct Collector {
    address: String,
    seen: Arc<Mutex<Seen>>,
}

impl Collector {
    /// Answers one request after the other like this, and all that follow like the last.
    pub(crate) fn start(replies: &[Reply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let seen = Arc::new(Mutex::new(Seen { replies: replies.to_vec(), ..Seen::default() }));
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let seen = Arc::clone(&shared);
                // How a connection ends is not what is tested.
                std::thread::spawn(move || drop(serve(stream, &seen)));
            }
        });
        Self { address, seen }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The spans that were taken.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.seen.lock().expect("not poisoned").spans.clone()
    }

    pub(crate) fn requests(&self) -> Vec<(String, Vec<(String, String)>)> {
        self.seen.lock().expect("not poisoned").requests.clone()
    }

    pub(crate) fn wait_for(&self, spans: usize) -> Vec<Span> {
        eventually(&format!("{spans} spans arrive"), || Some(self.spans()).filter(|there| there.len() >= spans))
    }
}

fn serve(stream: TcpStream, seen: &Mutex<Seen>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        // The line is looked at, and left for whoever reads the request.
        let line = String::from_utf8_lossy(stream.fill_buf()?).lines().next().unwrap_or_default().to_owned();
        let Some((headers, body)) = read_request(&mut stream)? else { return Ok(()) };
        let reply = {
            let mut seen = seen.lock().expect("not poisoned");
            seen.requests.push((line, headers));
            let reply = if seen.replies.len() > 1 { seen.replies.remove(0) } else { seen.replies[0] };
            if let Reply::Take(_) = reply {
                seen.spans.extend(spans(&body));
            }
            reply
        };
        let (status, body) = match reply {
            Reply::Take(0) => (200, Vec::new()),
            // partial_success { rejected_spans }
            Reply::Take(refused) => (200, vec![0x0a, 2, 0x08, u8::try_from(refused).expect("a small number")]),
            Reply::Status(status) => (status, Vec::new()),
            Reply::Hang => return stream.read_until(0, &mut Vec::new()).map(drop),
        };
        write!(stream.get_mut(), "HTTP/1.1 {status} Whatever\r\ncontent-length: {}\r\n\r\n", body.len())?;
        stream.get_mut().write_all(&body)?;
    }
}

/// A field of a message: its number and what it holds.
enum Field<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

impl<'b> Field<'b> {
    fn number(&self) -> u64 {
        let Self::Number(number) = self else { panic!("a number was wanted") };
        *number
    }

    fn bytes(&self) -> &'b [u8] {
        let Self::Bytes(bytes) = self else { panic!("bytes were wanted") };
        bytes
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes().to_vec()).expect("UTF-8")
    }

    fn hex(&self) -> String {
        let mut text = String::new();
        for byte in self.bytes() {
            std::fmt::Write::write_fmt(&mut text, format_args!("{byte:02x}")).expect("memory takes every write");
        }
        text
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().expect("a number has an end");
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return value;
        }
    }
    panic!("a number that does not end")
}

fn fields(mut message: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut all = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message);
        let mut take = |length: usize| {
            let (taken, rest) = message.split_at(length);
            message = rest;
            taken
        };
        let field = match tag & 7 {
            1 => Field::Number(u64::from_le_bytes(take(8).try_into().expect("eight"))),
            5 => Field::Number(u32::from_le_bytes(take(4).try_into().expect("four")).into()),
            0 => Field::Number(varint(&mut message)),
            2 => {
                let length = usize::try_from(varint(&mut message)).expect("a length");
                let (taken, rest) = message.split_at(length);
                message = rest;
                Field::Bytes(taken)
            }
            other => panic!("a kind of field that nobody writes: {other}"),
        };
        all.push((tag >> 3, field));
    }
    all
}

/// Each message under that number.
fn below(message: &[u8], number: u64) -> impl Iterator<Item = &[u8]> {
    fields(message).into_iter().filter(move |(n, _)| *n == number).map(|(_, field)| field.bytes())
}

fn attributes(message: &[u8], number: u64) -> BTreeMap<String, String> {
    let pair = |pair: &[u8]| {
        let (mut key, mut value) = (String::new(), String::new());
        for (number, field) in fields(pair) {
            match number {
                1 => key = field.text(),
                2 => {
                    let any = fields(field.bytes());
                    let [(kind, any)] = &any[..] else { panic!("one value") };
                    value = match kind {
                        1 => any.text(),
                        2 => (any.number() != 0).to_string(),
                        3 => any.number().to_string(),
                        other => panic!("a value of kind {other}"),
                    };
                }
                other => panic!("a pair has no field {other}"),
            }
        }
        (key, value)
    };
    below(message, number).map(pair).collect()
}

fn spans(request: &[u8]) -> Vec<Span> {
    let mut all = Vec::new();
    for of_resource in below(request, 1) {
        let resource = below(of_resource, 1).next().expect("a resource");
        let service = attributes(resource, 1).remove("service.name").expect("a name");
        for of_scope in below(of_resource, 2) {
            let scope = fields(below(of_scope, 1).next().expect("a scope"));
            assert_eq!((scope[0].0, scope[0].1.text()), (1, "forebay".to_owned()));
            all.extend(below(of_scope, 2).map(|bytes| span(bytes, &service)));
        }
    }
    all
}

fn span(bytes: &[u8], service: &str) -> Span {
    let mut span = Span { service: service.to_owned(), attributes: attributes(bytes, 9), ..Span::default() };
    for (number, field) in fields(bytes) {
        match number {
            1 => span.trace = field.hex(),
            2 => span.id = field.hex(),
            3 => span.state = field.text(),
            4 => span.parent = field.hex(),
            5 => span.name = field.text(),
            6 => span.kind = field.number(),
            7 => span.start = field.number(),
            8 => span.end = field.number(),
            9 => {}
            15 => {
                for (number, field) in fields(field.bytes()) {
                    match number {
                        2 => span.message = field.text(),
                        3 => span.status = field.number(),
                        other => panic!("a status has no field {other}"),
                    }
                }
            }
            16 => span.flags = field.number(),
            other => panic!("a span has no field {other}"),
        }
    }
    assert_eq!((span.trace.len(), span.id.len()), (32, 16), "{span:?}");
    span
}
