//! The doors: the ingress and the admin listener.

pub mod admin;
pub mod answer;
mod body;
pub mod bus;
mod client;
pub mod front;
pub mod ingest;
pub mod listener;
pub mod matches;
mod pace;
mod quiet;
pub mod rejections;
pub mod reply;
pub mod server;
mod stream;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::secret::Secret;

/// Where a listener listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// `host:port`.
    Tcp(String),
    /// A unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What is configured of the ingress.
#[derive(Debug, Clone)]
pub struct Ingress {
    /// Where it listens.
    pub listen: Vec<Listen>,
    /// Before `/http/{topic}`: begins with `/` and does not end with one, or is empty.
    pub base_path: String,
    /// What senders were given as scheme and authority, such as `https://hooks.example.com`; no path.
    pub public_url: Option<String>,
    /// All bodies in flight together, in bytes; beyond it 503.
    pub max_body_memory: u64,
    /// From the first byte of a request (or the accept) to the end of its headers.
    pub header_timeout: Duration,
    /// From the end of the headers to the end of the body.
    pub body_timeout: Duration,
    /// Open connections.
    pub max_connections: usize,
    /// Proxies whose `X-Forwarded-For` and `Forwarded` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How long a stop waits for open requests and attempts.
    pub drain_timeout: Duration,
}

/// What is configured of the admin listener.
#[derive(Debug, Clone)]
pub struct Admin {
    /// Where it listens; empty: nowhere.
    pub listen: Vec<Listen>,
    /// What a caller must show as bearer token.
    pub token: Option<Secret>,
    /// Names by which browsers may reach it beside those of `listen`, in lower case and without port.
    pub hosts: Vec<String>,
    /// How much is kept of refused requests.
    pub rejections: rejections::Keep,
}
