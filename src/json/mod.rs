//! JSON as bytes: is it well-formed, what stands at a pointer, and the same text on one line.
//!
//! [`check`] runs over every body that comes in, and builds nothing; only [`tree`](fn@tree) does. Strictness is that of RFC 8259 and of
//! `JSON.parse`: UTF-8 without a byte order mark, one value, no trailing commas, no leading zeros, no raw control
//! characters in strings. An escaped lone surrogate (`"\ud800"`) is accepted, as `JSON.parse` does. Numbers may be of
//! any size. Of a key that comes twice, the last counts.

mod pointer;
mod run;
mod scan;
mod text;
mod tree;

use std::fmt;

pub use pointer::{InvalidPointer, Pointer, find};
pub use text::text;
pub use tree::{NoTree, Object, Tree, tree};

/// How deeply arrays and objects may be nested; `[]` is one deep. RFC 8259 section 9 lets a reader set a limit.
pub const MAX_DEPTH: usize = 128;

/// Where and why a text is not JSON. Says nothing of what the text holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Error {
    /// The offset in bytes at which it went wrong.
    pub offset: usize,
    /// What is wrong there, such as ``expected `:` ``.
    pub what: &'static str,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.offset)
    }
}

impl std::error::Error for Error {}

/// Whether the body is one well-formed JSON text.
///
/// # Errors
/// The first thing that is wrong; bytes that are not UTF-8 come before anything else.
pub fn check(body: &[u8]) -> Result<(), Error> {
    utf8(body)?;
    scan::walk(body, &mut scan::Unseen)
}

/// Adds a well-formed JSON text to `out` without the line breaks between its tokens, and otherwise byte for byte.
///
/// In well-formed JSON no string holds a raw line break, so every one of them stands between tokens. In anything else
/// they are removed too.
pub fn one_line(body: &[u8], out: &mut Vec<u8>) {
    // Without an early exit inside a block this is vectorised; most bodies come on one line.
    let broken = |block: &[u8]| block.iter().fold(0, |seen, &b| seen | u8::from(is_break(b))) != 0;
    out.reserve(body.len());
    if body.chunks(256).any(broken) {
        body.split(|&b| is_break(b)).for_each(|part| out.extend_from_slice(part));
    } else {
        out.extend_from_slice(body);
    }
}

fn is_break(b: u8) -> bool {
    b == b'\n' || b == b'\r'
}

fn utf8(body: &[u8]) -> Result<(), Error> {
    if simdutf8::basic::from_utf8(body).is_ok() {
        return Ok(());
    }
    // The fast check does not say where.
    let offset = std::str::from_utf8(body).map_or_else(|e| e.valid_up_to(), str::len);
    Err(Error { offset, what: "not UTF-8" })
}

#[cfg(test)]
mod tests;
