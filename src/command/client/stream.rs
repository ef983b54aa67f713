//! Server-sent events, as WHATWG's HTML writes them down: fields in lines, an empty line behind each event.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

/// A stream that is silent for this long is dead: the daemon sends a comment every 15 seconds.
const SILENCE: Duration = Duration::from_secs(45);

/// The most bytes of one event.
const MAX_EVENT: usize = 1 << 20;

/// An answer that goes on.
#[derive(Debug)]
pub(in crate::command) struct Stream {
    body: Incoming,
    events: Events,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::command) struct Message {
    /// Its place, to go on behind it; none: it says nothing of it.
    pub(in crate::command) id: Option<String>,
    /// Its data; none: it only says where the stream is.
    pub(in crate::command) data: Option<String>,
}

impl Stream {
    pub(super) fn new(body: Incoming) -> Self {
        Self { body, events: Events::default() }
    }

    /// The next event. May be dropped at any time.
    ///
    /// # Errors
    /// Why there is none any more, in words.
    pub(in crate::command) async fn next(&mut self) -> Result<Message, String> {
        loop {
            if let Some(message) = self.events.next()? {
                return Ok(message);
            }
            match timeout(SILENCE, self.body.frame()).await {
                Err(_) => return Err(format!("nothing came for {} s", SILENCE.as_secs())),
                Ok(None) => return Err("the daemon ended it".into()),
                Ok(Some(Err(error))) => return Err(super::connect::why(&error)),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.events.push(&data);
                    }
                }
            }
        }
    }
}

/// The lines of a stream, as far as they have come.
#[derive(Debug, Default)]
struct Events {
    buffer: Vec<u8>,
    message: Message,
}

impl Events {
    fn push(&mut self, bytes: &Bytes) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next event that is whole.
    fn next(&mut self) -> Result<Option<Message>, String> {
        while let Some(end) = memchr::memchr(b'\n', &self.buffer) {
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            if line.is_empty() {
                let message = std::mem::take(&mut self.message);
                if message != Message::default() {
                    return Ok(Some(message));
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "data" => {
                    let data = match self.message.data.take() {
                        Some(before) => before + "\n" + value,
                        None => value.to_owned(),
                    };
                    self.message.data = Some(data);
                }
                "id" => self.message.id = Some(value.to_owned()),
                // Comments, and what is of no interest.
                _ => {}
            }
        }
        if self.buffer.len() + self.message.data.as_ref().map_or(0, String::len) > MAX_EVENT {
            return Err("an event is too long".into());
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_taken_from_whatever_pieces_they_come_in() {
        let text = "id: 7\nretry: 1000\n\n: hello\n\nid: 1\nevent: event\ndata: {\"a\":1}\n\r\n:\n\nid:2\ndata:x\ndata: y\r\n\ndata\n\ndata: cut";
        let text_of = |text: Option<&str>| text.map(str::to_owned);
        let message = |id, data| Message { id: text_of(id), data: text_of(data) };
        let want = [
            message(Some("7"), None),
            message(Some("1"), Some("{\"a\":1}")),
            message(Some("2"), Some("x\ny")),
            message(None, Some("")),
        ];
        for size in [1, 3, 7, text.len()] {
            let (mut events, mut found) = (Events::default(), Vec::new());
            for piece in text.as_bytes().chunks(size) {
                events.push(&Bytes::copy_from_slice(piece));
                while let Some(message) = events.next().expect("short") {
                    found.push(message);
                }
            }
            assert_eq!(found, want, "{size}");
        }
    }

    #[test]
    fn an_endless_line_is_not_kept() {
        let mut events = Events::default();
        events.push(&Bytes::from(vec![b'x'; MAX_EVENT]));
        assert_eq!(events.next(), Ok(None));
        events.push(&Bytes::from_static(b"x"));
        assert!(events.next().is_err());
    }
}
