//! Filters: expressions in CEL, the Common Expression Language, that say of one event whether a subscriber wants it. Pure.
//!
//! - `lexer` and `parser` make a `tree` of the text; `check` knows names, types and functions, and makes a `program` of it;
//! - `eval` runs one, with `value`, `arithmetic`, `functions` and `moment` for what there is to calculate with;
//! - [`body`] is an event's body as filters see it, and [`bodies`] has each parsed once for all of them.
//!
//! The language is that of <https://github.com/google/cel-spec/blob/master/doc/langdef.md>, with its macros `has`, `all`,
//! `exists`, `exists_one`, `map` and `filter` and its standard functions, without bytes, messages and optional values.
//! It is made here rather than taken from a crate because what comes in must not decide how much work it makes: a loop
//! over a hostile body ends after [`MAX_STEPS`], memory is counted as well, and nothing in it can panic, which would end
//! the process. `tests/filters.rs` holds it to the crate `cel`.
//!
//! | variable | type | what |
//! | --- | --- | --- |
//! | `topic`, `id` | string | of the event |
//! | `type` | string | of the event; `""` where it has none, so that it can be compared without asking |
//! | `time` | timestamp | when the event was received |
//! | `headers` | map | lower-case names to strings; values of a repeated header joined with `, ` |
//! | `body` | any | the JSON of the body, or of the field `payload` of a form; `null` where it is no JSON |
//!
//! Whole numbers of JSON are `int`, those beyond it `uint`, and everything else `double`, which loses digits; numbers of
//! different types compare by what they are. `has(body.a.b)` asks for the last member alone: where `body.a` is absent,
//! it fails, as any other use of it would.

mod arithmetic;
pub mod bodies;
pub mod body;
mod check;
mod eval;
mod functions;
mod lexer;
mod moment;
mod parser;
mod program;
mod tree;
mod value;

use std::fmt;
use std::ops::Range;

pub use body::Parsed;
use program::Node;

use crate::event::Event;

/// The longest expression, in bytes.
pub const MAX_LENGTH: usize = 4096;

/// How deeply an expression may be nested.
pub const MAX_DEPTH: usize = 64;

/// How much work one event may make: a part of an expression looked at, a member of a list or some bytes of text gone
/// through are a step. So many take some tens of milliseconds.
pub const MAX_STEPS: u64 = 1_000_000;

/// An expression that was found good.
pub struct Filter {
    text: String,
    program: Node,
    reads_body: bool,
}

/// What is wrong with an expression, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    /// The bytes of the expression that it is about.
    pub range: Range<usize>,
    /// What is wrong with them.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl FilterError {
    fn new(range: Range<usize>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { range, message: message.into(), hint: hint.into() }
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}; {}", self.message, self.range.start, self.hint)
    }
}

impl std::error::Error for FilterError {}

/// What a filter says of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The subscriber wants it.
    Yes,
    /// It does not.
    No,
    /// The expression could not be calculated, which counts as no.
    Failed(Failure),
}

/// Why an expression could not be calculated. Holds nothing of the event but names that are in the expression as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Where in the expression, in bytes.
    pub offset: usize,
    /// Why.
    pub reason: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Filter {
    /// Reads an expression.
    ///
    /// # Errors
    /// The first thing that is wrong with it: what is not CEL, a variable or function there is not, types that do not go
    /// together as far as they are known, a result that is not true or false, or that it is too long or too deep.
    pub fn compile(text: &str) -> Result<Self, FilterError> {
        if text.len() > MAX_LENGTH {
            let message = format!("a filter has at most {MAX_LENGTH} bytes");
            return Err(FilterError::new(
                MAX_LENGTH..text.len(),
                message,
                "split the subscriber in two, or look for less",
            ));
        }
        let tree = parser::parse(text)?;
        let (program, reads_body) = check::check(text, &tree)?;
        Ok(Self { text: text.to_owned(), program, reads_body })
    }

    /// The expression as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it looks at the body, which must be parsed then.
    #[must_use]
    pub fn reads_body(&self) -> bool {
        self.reads_body
    }

    /// What it says of an event, whose body is given as `parsed`.
    #[must_use]
    pub fn matches(&self, event: &Event, parsed: &Parsed) -> Verdict {
        eval::run(&self.program, event, parsed)
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filter").field(&self.text).finish()
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Filter {}

#[cfg(test)]
pub(crate) mod tests;
