//! What stands at a JSON pointer (RFC 6901), found while the text is checked.

use std::fmt;
use std::ops::Range;

use super::{Error, scan, text, utf8};

/// A JSON pointer, taken apart. Shown as it was written.
#[derive(Clone, PartialEq, Eq)]
pub struct Pointer {
    text: Box<str>,
    tokens: Box<[Token]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    key: String,
    /// What it means in an array: digits without a leading zero. `-`, the element after the last, never exists.
    index: Option<usize>,
}

/// Why a text is not a JSON pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidPointer(&'static str);

impl fmt::Display for InvalidPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for InvalidPointer {}

impl Pointer {
    /// Reads a pointer such as `/event/type` or `/commits/0/id`. The empty one is the whole text. `~1` stands for `/`
    /// and `~0` for `~`.
    ///
    /// # Errors
    /// When it is neither empty nor begins with `/`, or a `~` is followed by anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidPointer> {
        let mut parts = text.split('/');
        // What stands before the first `/`.
        if parts.next() != Some("") {
            return Err(InvalidPointer("a JSON pointer is empty or begins with `/`"));
        }
        Ok(Self { text: text.into(), tokens: parts.map(Token::parse).collect::<Result<_, _>>()? })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl Token {
    fn parse(escaped: &str) -> Result<Self, InvalidPointer> {
        let mut parts = escaped.split('~');
        let mut key = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (stands_for, rest) = match part.as_bytes().first() {
                Some(b'0') => ('~', &part[1..]),
                Some(b'1') => ('/', &part[1..]),
                _ => return Err(InvalidPointer("in a JSON pointer `~` is written `~0` and `/` in a key `~1`")),
            };
            key.push(stands_for);
            key.push_str(rest);
        }
        let digits = key.bytes().all(|b| b.is_ascii_digit()) && (key.len() == 1 || !key.starts_with('0'));
        let index = if digits { key.parse().ok() } else { None };
        Ok(Self { key, index })
    }
}

/// Checks the body as [`super::check`] does, and gives the raw text of the value each pointer leads to, in the order
/// of the pointers; `None` where there is none.
///
/// # Errors
/// Those of [`super::check`].
pub fn find<'b, 'p>(
    body: &'b [u8],
    pointers: impl IntoIterator<Item = &'p Pointer>,
) -> Result<Vec<Option<&'b [u8]>>, Error> {
    utf8(body)?;
    let mut search = Search { trails: pointers.into_iter().map(Trail::new).collect(), reach: 1 };
    scan::walk(body, &mut search)?;
    Ok(search.trails.into_iter().map(|trail| trail.found.map(|range| &body[range])).collect())
}

struct Search<'p> {
    trails: Vec<Trail<'p>>,
    /// One more than the most tokens any pointer has matched: deeper than this nothing can match.
    reach: usize,
}

/// How far one pointer has come.
struct Trail<'p> {
    tokens: &'p [Token],
    /// How many of its tokens lead to where the walk is.
    matched: usize,
    /// How many elements of the innermost array on the trail have begun; `None` once the right one has.
    elements: Option<usize>,
    start: usize,
    found: Option<Range<usize>>,
}

impl<'p> Trail<'p> {
    fn new(pointer: &'p Pointer) -> Self {
        Self { tokens: &pointer.tokens, matched: 0, elements: None, start: 0, found: None }
    }

    /// The token that would lead on from the array or object that is open, if that lies on the trail.
    fn next(&self, depth: usize) -> Option<&'p Token> {
        if self.matched + 1 == depth { self.tokens.get(self.matched) } else { None }
    }

    fn advance(&mut self) {
        self.matched += 1;
        // A key that comes again takes the place of the first, with all that was in it.
        self.found = None;
    }
}

impl scan::Visit for Search<'_> {
    #[inline]
    fn begin(&mut self, depth: usize, at: usize) {
        if depth < self.reach {
            for trail in &mut self.trails {
                if trail.matched == depth {
                    trail.start = at;
                }
            }
        }
    }

    #[inline]
    fn end(&mut self, depth: usize, at: usize) {
        if depth < self.reach {
            for trail in &mut self.trails {
                if trail.matched == depth {
                    if trail.tokens.len() == depth {
                        trail.found = Some(trail.start..at);
                    }
                    trail.matched = depth.saturating_sub(1);
                    trail.elements = None;
                }
            }
            self.reach = 1 + self.trails.iter().map(|trail| trail.matched).max().unwrap_or(0);
        }
    }

    #[inline]
    fn array(&mut self, depth: usize) {
        if depth <= self.reach {
            for trail in &mut self.trails {
                if trail.next(depth).is_some() {
                    trail.elements = Some(0);
                }
            }
        }
    }

    #[inline]
    fn element(&mut self, depth: usize) {
        if depth <= self.reach {
            for trail in &mut self.trails {
                if let (Some(token), Some(elements)) = (trail.next(depth), trail.elements) {
                    if token.index == Some(elements) {
                        trail.advance();
                        trail.elements = None;
                        self.reach = self.reach.max(depth + 1);
                    } else {
                        trail.elements = Some(elements + 1);
                    }
                }
            }
        }
    }

    #[inline]
    fn key(&mut self, depth: usize, raw: &[u8]) {
        if depth <= self.reach {
            for trail in &mut self.trails {
                if trail.next(depth).is_some_and(|token| same(raw, &token.key)) {
                    trail.advance();
                    self.reach = self.reach.max(depth + 1);
                }
            }
        }
    }
}

/// Whether a key, as it stands between its quotes, is this one.
fn same(raw: &[u8], key: &str) -> bool {
    // A key that holds a backslash never stands as it is.
    raw == key.as_bytes() && !key.contains('\\')
        || raw.contains(&b'\\') && text::unescape(raw).is_some_and(|decoded| decoded == key)
}
