//! forebay takes webhooks in, proves who sent them, keeps them on disk, and passes them on.
//!
//! Two halves and one hinge. The way in ([`http`], [`validate`], [`topic`]) and the way out ([`deliver`], [`route`],
//! [`sink`]) do not know each other; they meet in the [`journal`], to which one appends and from which the other reads.
//!
//! Read in this order:
//!
//! - the words: [`event`] has what travels (`Incoming`, `Event`); [`name`] and [`secret`] are what a configuration gives
//!   names and keys; [`signature`] is the one HMAC scheme; [`filter`] is the language that chooses events; [`json`],
//!   [`trace`] and [`metrics`] are what they say; [`api`] is how the admin API speaks;
//! - the outside shape: [`config`] is the TOML file exactly as written;
//! - the way in: [`validate`] turns `Incoming` into `Verified`, or refuses; [`topic`] is a named ingress;
//! - the hinge: [`journal`] puts a record on disk, and tells who waits for it;
//! - the way out: [`route`] decides who wants an event, [`sink`] has the places events go to, [`deliver`] is one worker a
//!   subscriber; [`bus`] has the subscribers that read for themselves, as Backstage's do;
//! - the doors: [`mod@http`] listens, and turns outcomes into statuses;
//! - the whole: [`plan`] is a configuration as meant, [`app`] opens it, runs it and stops it;
//! - the hand: [`cli`], [`command`] and [`logging`].
//!
//! `ARCHITECTURE.md` has one request's walk, the rules and their reasons.

// Each group imports only from those above it, and within a group few from each other: `tests/architecture.rs`.

pub mod api;
pub mod event;
pub mod filter;
pub mod json;
pub mod metrics;
pub mod name;
pub mod secret;
pub mod signature;
pub mod trace;

pub mod config;

pub mod topic;
pub mod validate;

pub mod journal;

pub mod bus;
pub mod deliver;
pub mod route;
pub mod sink;

pub mod http;

pub mod app;
pub mod otlp;
pub mod plan;

pub mod cli;
pub mod command;
pub mod logging;
