//! Subscribers that come, leave and change while events flow: nothing is lost, and nobody delivers beside his successor.

mod letters;
#[path = "../offered_events/mod.rs"]
mod offered_events;
mod replace;
mod stage;
