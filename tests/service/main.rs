//! The real binary, in a folder of its own, over real sockets and under real signals.

#![expect(unreachable_pub, reason = "nothing is outside a test binary; `pub` is what its modules share")]
#![expect(clippy::float_cmp, reason = "figures that count things are whole numbers")]
#![expect(
    clippy::items_after_statements,
    clippy::type_complexity,
    clippy::needless_for_each,
    reason = "a table and its shape stand where they are used"
)]

mod admin;
mod bus;
mod client;
mod crash;
mod daemon;
mod delivery;
mod filters;
mod hostile;
mod ingress;
mod lifecycle;
mod log;
mod metrics;
mod operate;
mod readme;
mod receiver;
mod sandbox;
mod secrets;
mod wire;
