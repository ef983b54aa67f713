//! What is wrong or unwise in a configuration, with its place, its key and what to do about it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;

use xxhash_rust::xxh3::xxh3_128;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The daemon does not start with it.
    Error,
    /// It works, but is unwise.
    Warning,
}

/// One problem of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub level: Level,
    /// The bytes of the file it is about; `None`: the file as a whole.
    pub span: Option<Range<usize>>,
    /// The key in words, such as `topics.github.validator.secret`; empty where there is none.
    pub key: String,
    /// What is wrong. Holds no secret.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// It is about something that is not there. Such a problem is not believed of a file with syntax errors, since
    /// what is missing may stand where the parser lost its way.
    pub absence: bool,
}

/// Problems as they are found, and the places of the file that must not be shown. Shared by all who read a tree.
#[derive(Debug, Default)]
pub struct Problems {
    found: RefCell<Vec<Problem>>,
    masked: RefCell<Vec<Range<usize>>>,
    marks: RefCell<BTreeMap<String, u128>>,
}

impl Problems {
    /// Notes a problem.
    pub fn push(&self, problem: Problem) {
        self.found.borrow_mut().push(problem);
    }

    /// Notes that these bytes of the file are, or may be, a secret.
    pub fn mask(&self, span: Range<usize>) {
        self.masked.borrow_mut().push(span);
    }

    /// Notes what was read from elsewhere for a key, as a mark that tells only whether it is the same.
    pub fn mark(&self, key: &str, content: &[u8]) {
        *self.marks.borrow_mut().entry(key.to_owned()).or_default() ^= xxh3_128(content);
    }

    /// What was read from elsewhere, by key; and the places that must not be shown.
    #[must_use]
    pub fn marks(&self) -> (BTreeMap<String, u128>, Vec<Range<usize>>) {
        (self.marks.borrow().clone(), self.masked.borrow().clone())
    }

    /// How many errors there are so far.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.found.borrow().iter().filter(|problem| problem.level == Level::Error).count()
    }

    /// Whether there is an error about a key, or about something under it.
    #[must_use]
    pub fn has_error(&self, key: &str) -> bool {
        self.found.borrow().iter().any(|problem| {
            let rest = problem.key.strip_prefix(key);
            problem.level == Level::Error && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// What was found, and what must not be shown.
    #[must_use]
    pub fn into_parts(self) -> (Vec<Problem>, Vec<Range<usize>>) {
        (self.found.into_inner(), self.masked.into_inner())
    }
}
