//! forebay takes webhooks in, proves who sent them, keeps them on disk, and passes them on.

// In reading order: a module imports only from above.

pub mod event;
pub mod json;
pub mod metrics;
pub mod name;
pub mod secret;
pub mod signature;

pub mod config;

pub mod topic;
pub mod validate;

pub mod journal;

pub mod deliver;
pub mod route;
pub mod sink;

pub mod http;

pub mod app;
pub mod plan;

pub mod cli;
pub mod command;
pub mod logging;
