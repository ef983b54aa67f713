//! Does this subscriber want this event? Pure.

use crate::name::Pattern;

/// Whether any of the patterns matches. An event is wanted once, however many do.
#[must_use]
pub fn wants(patterns: &[Pattern], topic: &str, kind: Option<&str>) -> bool {
    patterns.iter().any(|pattern| pattern.matches(topic, kind))
}
