//! An event as a few lines for whoever looks on: what it is, and the beginning of its body, laid out.
//!
//! Nothing that was sent reaches the terminal as a command: control characters, and those that turn the direction of
//! writing, are shown as `\u009b`.

use std::fmt::Write as _;

use super::line::{header, put};
use crate::event::Event;
use crate::json;
use crate::signature::{form_payload, is_form};

/// The most lines of a body that are shown.
const LINES: usize = 40;

/// The most characters of such a line that are shown.
const WIDTH: usize = 110;

/// Adds the event: a line of time, topic, type, size and id, and its body under it. Ends with a line break.
pub(super) fn write(event: &Event, color: bool, out: &mut Vec<u8>) {
    let (bold, dim, plain) = if color { ("\x1b[1m", "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
    let (time, topic, id) = (event.time, &*event.topic, event.id);
    let kind = event.kind.as_deref().map_or_else(|| "-".into(), printable);
    let size = event.body.len();
    put(out, format_args!("{dim}{time}{plain}  {bold}{topic}  {kind}{plain}  {size} B  {dim}{id}{plain}\n"));
    let content_type = header(event, "content-type");
    let (lines, more) = lay_out(content_type.as_deref(), &event.body, LINES, WIDTH);
    for line in &lines {
        put(out, format_args!("  {line}\n"));
    }
    if more {
        put(out, format_args!("  {dim}... shortened{plain}\n"));
    }
}

/// The text in one line that a terminal shows and does not obey.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    text.chars().for_each(|c| push(c, &mut shown));
    shown
}

fn push(c: char, out: &mut String) {
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if turns || c.is_control() {
        let _ = write!(out, "\\u{:04x}", u32::from(c));
    } else {
        out.push(c);
    }
}

/// The beginning of a body as lines that a terminal shows and does not obey: at most so many lines, and of each so many
/// characters; and whether there is more. JSON is laid out, also that in the `payload` of a form.
#[must_use]
pub fn lay_out(content_type: Option<&str>, body: &[u8], lines: usize, width: usize) -> (Vec<String>, bool) {
    let mut page = Page { most: (lines, width), ..Page::default() };
    let form = content_type.filter(|kind| is_form(kind)).and_then(|_| form_payload(body));
    let body = form.as_deref().unwrap_or(body);
    match std::str::from_utf8(body) {
        Ok(text) if json::check(body).is_ok() => page.json(text),
        Ok(text) => page.text(text),
        Err(_) => page.text("(not text)"),
    }
    (page.lines, page.more)
}

/// The beginning of a body.
#[derive(Default)]
struct Page {
    /// The most lines, and the most characters of each.
    most: (usize, usize),
    lines: Vec<String>,
    line: String,
    /// The characters of `line`, those that are not shown among them.
    width: usize,
    /// There is more than is shown.
    more: bool,
}

impl Page {
    fn put(&mut self, c: char) {
        self.width += 1;
        if self.width <= self.most.1 {
            push(c, &mut self.line);
        }
    }

    fn end(&mut self) {
        if self.width > self.most.1 {
            self.line.push_str("...");
        }
        self.lines.push(std::mem::take(&mut self.line));
        self.width = 0;
    }

    fn next(&mut self, depth: usize) {
        self.end();
        for _ in 0..depth * 2 {
            self.put(' ');
        }
    }

    /// Whether no line is left; then there is more to show.
    fn is_full(&mut self) -> bool {
        self.more |= self.lines.len() == self.most.0;
        self.more
    }

    fn text(&mut self, text: &str) {
        for line in text.lines() {
            if self.is_full() {
                return;
            }
            line.chars().for_each(|c| self.put(if c == '\t' { ' ' } else { c }));
            self.end();
        }
    }

    /// Lays out well-formed JSON: its own tokens in their order, each member and element on a line.
    fn json(&mut self, text: &str) {
        let is_space = |c: &char| matches!(c, ' ' | '\t' | '\n' | '\r');
        let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
        let mut chars = text.trim_matches(|c| is_space(&c)).chars().peekable();
        while let Some(c) = chars.next() {
            if self.is_full() {
                return;
            }
            if in_string {
                self.put(c);
                in_string = escaped || c != '"';
                escaped = c == '\\' && !escaped;
                continue;
            }
            match c {
                '{' | '[' => {
                    self.put(c);
                    while chars.next_if(is_space).is_some() {}
                    if let Some(end) = chars.next_if(|c| matches!(c, '}' | ']')) {
                        self.put(end);
                    } else {
                        depth += 1;
                        self.next(depth);
                    }
                }
                '}' | ']' => {
                    depth = depth.saturating_sub(1);
                    self.next(depth);
                    self.put(c);
                }
                ',' => {
                    self.put(c);
                    self.next(depth);
                }
                ':' => {
                    self.put(c);
                    self.put(' ');
                }
                c if is_space(&c) => {}
                c => {
                    self.put(c);
                    in_string = c == '"';
                }
            }
        }
        if !self.is_full() {
            self.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::tests::event;
    use super::*;

    fn body(content_type: &str, body: &[u8]) -> Vec<String> {
        let mut out = Vec::new();
        write(&event(Some("push"), &[("content-type", content_type.as_bytes())], body), false, &mut out);
        let text = String::from_utf8(out).expect("UTF-8");
        let (first, rest) = text.split_once('\n').expect("a line");
        let size = body.len();
        let want = format!("2026-11-23T08:00:00.123Z  github  push  {size} B  01935a3c-7a00-7000-8000-000000000001");
        assert_eq!(first, want);
        rest.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_body_is_laid_out() {
        let json = "application/json";
        let cases: [(&str, &[u8], &[&str]); 10] = [
            (
                json,
                br#"{"b": [1.50,{}, [ ]],"a":"x, {\"y\\"}"#,
                &["{", "  \"b\": [", "    1.50,", "    {},", "    []", "  ],", "  \"a\": \"x, {\\\"y\\\\\"", "}"],
            ),
            (json, b" 1 ", &["1"]),
            (json, br#""a b""#, &["\"a b\""]),
            (json, "\"\u{9b}31m\u{202e}\"".as_bytes(), &["\"\\u009b31m\\u202e\""]),
            ("application/x-www-form-urlencoded", b"payload=%7B%22a%22%3A1%7D", &["{", "  \"a\": 1", "}"]),
            ("application/x-www-form-urlencoded", b"a=1&b=2", &["a=1&b=2"]),
            ("text/plain", b"one\n\ttwo\x1b[2J\r\n", &["one", " two\\u001b[2J"]),
            ("text/plain", b"\xff", &["(not text)"]),
            (json, b"{not json}", &["{not json}"]),
            (json, b"", &[]),
        ];
        for (content_type, sent, want) in cases {
            let want: Vec<String> = want.iter().map(|line| format!("  {line}")).collect();
            assert_eq!(body(content_type, sent), want, "{}", String::from_utf8_lossy(sent));
        }
    }

    #[test]
    fn a_long_body_is_shortened() {
        let lines = |count: usize| format!("[{}]", vec!["1"; count].join(","));
        assert_eq!(body("application/json", lines(LINES - 2).as_bytes()).len(), LINES);
        let shown = body("application/json", lines(LINES - 1).as_bytes());
        assert_eq!(shown.len(), LINES + 1);
        assert_eq!(shown[LINES], "  ... shortened");
        assert_eq!(body("text/plain", "a\n".repeat(LINES).as_bytes()).len(), LINES);
        assert_eq!(body("text/plain", "a\n".repeat(LINES + 1).as_bytes())[LINES], "  ... shortened");

        let wide = body("text/plain", "ä".repeat(WIDTH + 1).as_bytes());
        assert_eq!(wide, [format!("  {}...", "ä".repeat(WIDTH))]);
        assert_eq!(body("text/plain", "a".repeat(WIDTH).as_bytes()), [format!("  {}", "a".repeat(WIDTH))]);
    }

    #[test]
    fn colours_are_for_terminals_and_a_type_is_never_one() {
        let mut out = Vec::new();
        write(&event(Some("\x1b[31m"), &[], b"1"), true, &mut out);
        let text = String::from_utf8(out).expect("UTF-8");
        assert!(text.starts_with("\x1b[2m2026-") && text.contains("\\u001b[31m"), "{text:?}");
        assert!(!text.contains("\x1b[31m"), "{text:?}");
    }
}
