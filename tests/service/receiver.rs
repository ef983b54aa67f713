//! A webhook receiver that does what a test wants.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::client::eventually;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// When it was complete.
    pub(crate) at: Instant,
    /// Names in lower case.
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The one value of a header; empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut values = self.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let first = values.next().unwrap_or_default();
        assert_eq!(values.next(), None, "`{name}` should be there once");
        first
    }

    pub(crate) fn attempt(&self) -> u32 {
        self.header("forebay-attempt").parse().expect("a number")
    }

    pub(crate) fn seq(&self) -> u64 {
        self.header("forebay-seq").parse().expect("a number")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What the receiver does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Answers with a status.
    Status(u16),
    /// Answers with a status and a `retry-after`.
    RetryAfter(u16, u32),
    /// Answers with a status after a while.
    Late(Duration, u16),
    /// Answers nothing, and keeps the connection.
    Hang,
}

type Answer = Arc<Mutex<Arc<dyn Fn(&Request) -> Reply + Send + Sync>>>;

/// Listens as long as the test runs.
pub(crate) struct Receiver {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
    answer: Answer,
}

impl Receiver {
    pub(crate) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0", answer)
    }

    /// Answers every request with that status.
    pub(crate) fn always(status: u16) -> Self {
        Self::start(move |_| Reply::Status(status))
    }

    /// At an address that a receiver was at before, or that nothing was at.
    pub(crate) fn at(address: &str, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let requests = Arc::default();
        let answer: Answer = Arc::new(Mutex::new(Arc::new(answer)));
        let receiver = Self { address, requests: Arc::clone(&requests), answer: Arc::clone(&answer) };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (requests, answer) = (Arc::clone(&requests), Arc::clone(&answer));
                // How a connection ends is the business of the tests.
                std::thread::spawn(move || drop(serve(stream, &requests, &answer)));
            }
        });
        receiver
    }

    /// From now on it does this instead.
    pub(crate) fn answer(&self, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        *self.answer.lock().expect("not poisoned") = Arc::new(answer);
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Everything that arrived so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("not poisoned").clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.requests.lock().expect("not poisoned").len()
    }

    /// Waits until so many requests arrived, and answers all of them.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Request> {
        eventually(&format!("{count} requests arrive"), || (self.count() >= count).then(|| self.requests()))
    }
}

/// An address at which nothing listens.
pub(crate) fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}

fn serve(stream: TcpStream, requests: &Mutex<Vec<Request>>, answer: &Answer) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some((headers, body)) = read_request(&mut stream)? {
        let request = Request { at: Instant::now(), headers, body };
        requests.lock().expect("not poisoned").push(request.clone());
        let act = Arc::clone(&answer.lock().expect("not poisoned"));
        let (status, retry_after) = match act(&request) {
            Reply::Status(status) => (status, None),
            Reply::RetryAfter(status, seconds) => (status, Some(seconds)),
            Reply::Late(wait, status) => {
                std::thread::sleep(wait);
                (status, None)
            }
            // Until the other side goes away.
            Reply::Hang => return stream.read_to_end(&mut Vec::new()).map(drop),
        };
        let extra = retry_after.map(|seconds| format!("retry-after: {seconds}\r\n")).unwrap_or_default();
        write!(stream.get_mut(), "HTTP/1.1 {status} Whatever\r\ncontent-length: 2\r\n{extra}\r\nok")?;
    }
    Ok(())
}

type Headers = Vec<(String, String)>;

/// Reads one request with a `content-length`; nothing if the connection ends before it begins.
pub(crate) fn read_request(stream: &mut BufReader<TcpStream>) -> io::Result<Option<(Headers, Vec<u8>)>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut headers = Headers::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body)?;
    Ok(Some((headers, body)))
}
