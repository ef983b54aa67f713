//! The grammar of RFC 8259 as one loop over bytes, without recursion.

use super::{Error, MAX_DEPTH, run};

/// Who looks on while a text is walked. `depth` counts the arrays and objects that are open around the place.
pub(super) trait Visit {
    /// A value begins.
    fn begin(&mut self, depth: usize, at: usize);
    /// It has ended, just before `at`.
    fn end(&mut self, depth: usize, at: usize);
    /// An array was opened; `depth` counts it.
    fn array(&mut self, depth: usize);
    /// An element of the innermost array is next.
    fn element(&mut self, depth: usize);
    /// A member of the innermost object is next; its key as it stands between the quotes.
    fn key(&mut self, depth: usize, raw: &[u8]);
}

/// Looks away: for when only the verdict matters.
pub(super) struct Unseen;

impl Visit for Unseen {
    #[inline]
    fn begin(&mut self, _: usize, _: usize) {}
    #[inline]
    fn end(&mut self, _: usize, _: usize) {}
    #[inline]
    fn array(&mut self, _: usize) {}
    #[inline]
    fn element(&mut self, _: usize) {}
    #[inline]
    fn key(&mut self, _: usize, _: &[u8]) {}
}

/// One bit for each open array or object, the innermost lowest.
type Kinds = u128;
const _: () = assert!(MAX_DEPTH <= Kinds::BITS as usize, "a bit for each level");

/// Walks over a text that is known to be UTF-8.
pub(super) fn walk<V: Visit>(body: &[u8], visit: &mut V) -> Result<(), Error> {
    let mut depth = 0;
    let mut kinds: Kinds = 0;
    let mut at = blank(body, 0);
    loop {
        visit.begin(depth, at);
        match body.get(at) {
            Some(b'"') => at = string(body, at + 1)?,
            Some(&open @ (b'{' | b'[')) => {
                if depth == MAX_DEPTH {
                    return Err(Error { offset: at, what: "nested too deeply" });
                }
                depth += 1;
                let object = open == b'{';
                kinds = kinds << 1 | Kinds::from(object);
                at = blank(body, at + 1);
                if object {
                    if body.get(at) != Some(&b'}') {
                        at = key(body, at, depth, visit)?;
                        continue;
                    }
                } else {
                    visit.array(depth);
                    if body.get(at) != Some(&b']') {
                        visit.element(depth);
                        continue;
                    }
                }
                at += 1;
                depth -= 1;
                kinds >>= 1;
            }
            Some(b'-' | b'0'..=b'9') => at = number(body, at)?,
            Some(b't') => at = word(body, at, b"true")?,
            Some(b'f') => at = word(body, at, b"false")?,
            Some(b'n') => at = word(body, at, b"null")?,
            _ => return Err(Error { offset: at, what: "expected a value" }),
        }
        loop {
            visit.end(depth, at);
            at = blank(body, at);
            if depth == 0 {
                return if at == body.len() { Ok(()) } else { Err(Error { offset: at, what: "text after the value" }) };
            }
            let object = kinds & 1 == 1;
            match body.get(at) {
                Some(b',') if object => {
                    at = key(body, blank(body, at + 1), depth, visit)?;
                    break;
                }
                Some(b',') => {
                    at = blank(body, at + 1);
                    visit.element(depth);
                    break;
                }
                Some(b'}') if object => {}
                Some(b']') if !object => {}
                _ if object => return Err(Error { offset: at, what: "expected `,` or `}`" }),
                _ => return Err(Error { offset: at, what: "expected `,` or `]`" }),
            }
            at += 1;
            depth -= 1;
            kinds >>= 1;
        }
    }
}

/// From the quote of a key to its value.
#[inline]
fn key<V: Visit>(body: &[u8], at: usize, depth: usize, visit: &mut V) -> Result<usize, Error> {
    if body.get(at) != Some(&b'"') {
        return Err(Error { offset: at, what: "expected a key" });
    }
    let end = string(body, at + 1)?;
    visit.key(depth, &body[at + 1..end - 1]);
    let colon = blank(body, end);
    if body.get(colon) != Some(&b':') {
        return Err(Error { offset: colon, what: "expected `:`" });
    }
    Ok(blank(body, colon + 1))
}

/// Past white space.
#[inline]
fn blank(body: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = body.get(at) {
        at += 1;
    }
    at
}

/// From behind the opening quote to behind the closing one.
#[inline]
fn string(body: &[u8], from: usize) -> Result<usize, Error> {
    let mut at = from;
    loop {
        at = run::end(body, at);
        match body.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at = escape(body, at)?,
            Some(_) => return Err(Error { offset: at, what: "control character in a string" }),
            None => return Err(Error { offset: from - 1, what: "string without an end" }),
        }
    }
}

/// From a backslash to behind its escape.
#[inline]
fn escape(body: &[u8], at: usize) -> Result<usize, Error> {
    match body.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') if body.get(at + 2..at + 6).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) => Ok(at + 6),
        _ => Err(Error { offset: at, what: "wrong escape" }),
    }
}

/// From the first byte of a number to behind its last.
#[inline]
fn number(body: &[u8], from: usize) -> Result<usize, Error> {
    let wrong = |at| Error { offset: at, what: "wrong number" };
    let mut at = from;
    if body.get(at) == Some(&b'-') {
        at += 1;
    }
    at = match body.get(at) {
        Some(b'0') => at + 1,
        _ => digits(body, at).ok_or_else(|| wrong(at))?,
    };
    if body.get(at) == Some(&b'.') {
        at = digits(body, at + 1).ok_or_else(|| wrong(at + 1))?;
    }
    if let Some(b'e' | b'E') = body.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = body.get(at) {
            at += 1;
        }
        at = digits(body, at).ok_or_else(|| wrong(at))?;
    }
    Ok(at)
}

/// Past one digit or more.
#[inline]
fn digits(body: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while body.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    (at > from).then_some(at)
}

#[inline]
fn word(body: &[u8], at: usize, word: &[u8]) -> Result<usize, Error> {
    if body[at..].starts_with(word) { Ok(at + word.len()) } else { Err(Error { offset: at, what: "expected a value" }) }
}
