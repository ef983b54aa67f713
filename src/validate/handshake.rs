//! The handshakes of providers: the reply each wants, and nothing recorded. Nothing here makes a request genuine.

use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue};

use super::Reply;
use crate::event::Incoming;
use crate::json::Pointer;
use crate::secret::Secret;
use crate::signature::{fields, in_body, unescape};

/// Which handshake a provider has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handshake {
    /// None.
    None,
    /// Bitbucket Data Center: "Test connection" posts `diagnostics:ping` without a signature.
    BitbucketPing,
    /// Slack (Events API, `url_verification`): a signed request asks for its challenge back.
    Slack,
    /// Meta (Webhooks, "Verification requests"): a GET with a token of the receiver's choice asks for its challenge back.
    Meta,
    /// Dropbox (Webhooks, "The verification request"): a GET asks for its challenge back.
    Dropbox,
    /// Asana (Webhooks, "The webhook handshake"): a POST without a signature asks for its `X-Hook-Secret` back.
    Asana,
    /// Discord: a signed ping, of an interaction (type 1, wants `{"type":1}`) or a webhook event (type 0, wants 204).
    Discord,
}

static TYPE: LazyLock<Pointer> = LazyLock::new(|| pointer("/type"));
static CHALLENGE: LazyLock<Pointer> = LazyLock::new(|| pointer("/challenge"));
static EVENT_TYPE: LazyLock<Pointer> = LazyLock::new(|| pointer("/event/type"));

fn pointer(text: &str) -> Pointer {
    Pointer::parse(text).expect("a constant that is one")
}

const HOOK_SECRET: &str = "x-hook-secret";

/// Slack's type of what is no event.
const ASKS: &str = "url_verification";

/// Handshakes are small; a larger body is an event, and not parsed here.
const MAX_BODY: usize = 16 * 1024;

/// Challenges go back out as they are, so they have to look like one.
const MAX_CHALLENGE: usize = 1024;

impl Handshake {
    /// The reply to an unsigned handshake. Looked at only when the request has no signature at all.
    pub(super) fn unsigned(self, incoming: &Incoming) -> Option<Reply> {
        let one = |name: &str| {
            let mut values = incoming.headers.get_all(name).iter();
            values.next().filter(|_| values.next().is_none())
        };
        match self {
            Self::BitbucketPing => one("x-event-key").filter(|key| *key == "diagnostics:ping").map(|_| empty(200)),
            Self::Asana => {
                let secret = one(HOOK_SECRET).filter(|secret| plausible(secret))?;
                let echo = (HeaderName::from_static(HOOK_SECRET), Bytes::copy_from_slice(secret.as_bytes()));
                Some(Reply { status: 200, headers: vec![echo], body: Bytes::new() })
            }
            _ => None,
        }
    }

    /// The reply to a handshake whose signature was good.
    pub(super) fn verified(self, incoming: &Incoming) -> Option<Reply> {
        let body = &*incoming.body;
        match self {
            Self::BitbucketPing => self.unsigned(incoming),
            Self::Slack if body.len() <= MAX_BODY => {
                // Found in a glance or not at all: events need not be parsed for it.
                memchr::memmem::find(body, ASKS.as_bytes())?;
                let [kind, challenge] = in_body(body, [&TYPE, &CHALLENGE]);
                (kind? == ASKS).then(|| text(&challenge.unwrap_or_default()))
            }
            Self::Discord if body.len() <= MAX_BODY => match in_body(body, [&TYPE, &EVENT_TYPE]) {
                [Some(kind), _] if kind == "0" => Some(empty(204)),
                [Some(kind), None] if kind == "1" => Some(json("{\"type\":1}")),
                _ => None,
            },
            _ => None,
        }
    }

    /// The reply to a GET. Meta's carries a token, which has to be one of `tokens`.
    pub(super) fn challenge<'t>(self, query: &str, mut tokens: impl Iterator<Item = &'t Secret>) -> Option<Reply> {
        let field = |name: &str| {
            let mut found = fields(query.as_bytes()).filter(|(n, _)| *n == name.as_bytes());
            let (_, value) = found.next().filter(|_| found.next().is_none())?;
            unescape(value)
        };
        let challenge = match self {
            Self::Dropbox => field("challenge")?,
            Self::Meta => {
                let token = field("hub.verify_token")?;
                let right = field("hub.mode")?.as_ref() == b"subscribe" && tokens.any(|known| known.equals(&token));
                field("hub.challenge").filter(|_| right)?
            }
            _ => return None,
        };
        let short = (1..=MAX_CHALLENGE).contains(&challenge.len());
        let plain = challenge.iter().all(|byte| matches!(byte, b' '..=b'~'));
        (short && plain).then(|| text(&String::from_utf8_lossy(&challenge)))
    }
}

fn plausible(secret: &HeaderValue) -> bool {
    (1..=256).contains(&secret.len()) && secret.as_bytes().iter().all(u8::is_ascii_graphic)
}

fn empty(status: u16) -> Reply {
    Reply { status, headers: Vec::new(), body: Bytes::new() }
}

fn text(body: &str) -> Reply {
    // The text is the caller's: no browser may take it for a page.
    let headers = vec![
        (CONTENT_TYPE, Bytes::from_static(b"text/plain; charset=utf-8")),
        (X_CONTENT_TYPE_OPTIONS, Bytes::from_static(b"nosniff")),
    ];
    Reply { status: 200, headers, body: Bytes::copy_from_slice(body.as_bytes()) }
}

fn json(body: &'static str) -> Reply {
    let headers = vec![(CONTENT_TYPE, Bytes::from_static(b"application/json"))];
    Reply { status: 200, headers, body: Bytes::from_static(body.as_bytes()) }
}
