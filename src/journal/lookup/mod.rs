//! Looking into the journal by the indexes of its segments: one event by its id, and pages of those that are looked for.

mod query;

pub use query::{BadTerms, MAX_TEXT, Query, Terms};
