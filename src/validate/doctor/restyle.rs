//! The same JSON in the other ways programs write it: layout, order of keys, and escapes.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::json;

/// How tokens are set apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Nothing between tokens: `JSON.stringify`, and most others.
    Compact,
    /// A space behind `,` and `:`: Python's `json.dumps`.
    Spaced,
    /// One entry a line, indented by so many spaces, eight at most; `{}` and `[]` stay as they are.
    Indented(usize),
    /// One entry a line, indented by tabs.
    Tabs,
}

/// What is written as `\uXXXX`, beside what has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escapes {
    /// As it came.
    Kept,
    /// Nothing: `JSON.stringify`.
    None,
    /// All that is not ASCII, in lower case: Python's `json.dumps`.
    Ascii,
    /// That, in upper case: Jackson, .NET.
    AsciiUpper,
    /// That in lower case, and `\/`: PHP's `json_encode`.
    Php,
    /// `<`, `>`, `&`, U+2028 and U+2029, in lower case: Go's `encoding/json`.
    Html,
}

/// One way to write JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) layout: Layout,
    pub(super) sorted: bool,
    pub(super) escapes: Escapes,
}

/// Every style there is, the usual ones first.
pub(super) fn all() -> impl Iterator<Item = Style> {
    use Escapes::{Ascii, AsciiUpper, Html, Kept, None, Php};
    use Layout::{Compact, Indented, Spaced, Tabs};
    let sorts = [false, true];
    let layouts = [Compact, Spaced, Indented(2), Indented(4), Tabs];
    let escapes = [Kept, None, Ascii, AsciiUpper, Php, Html];
    sorts.into_iter().flat_map(move |sorted| {
        escapes
            .into_iter()
            .flat_map(move |escapes| layouts.into_iter().map(move |layout| Style { layout, sorted, escapes }))
    })
}

impl Style {
    /// The style in words, behind "written".
    pub(super) fn name(self) -> String {
        let layout = match self.layout {
            Layout::Compact => "compactly, as by `JSON.stringify`".to_owned(),
            Layout::Spaced => "with a space behind `,` and `:`, as by Python's `json.dumps`".to_owned(),
            Layout::Indented(spaces) => format!("indented by {spaces} spaces"),
            Layout::Tabs => "indented by tabs".to_owned(),
        };
        let sorted = if self.sorted { ", with sorted keys" } else { "" };
        let escapes = match self.escapes {
            Escapes::Kept => "",
            Escapes::None => ", with `é` rather than `\\u00e9`",
            Escapes::Ascii => ", with `\\u00e9` rather than `é`",
            Escapes::AsciiUpper => ", with `\\u00E9` rather than `é`",
            Escapes::Php => ", with `\\u00e9` rather than `é` and `\\/` rather than `/`, as by PHP's `json_encode`",
            Escapes::Html => ", with `\\u003c` rather than `<`, as by Go's `encoding/json`",
        };
        format!("{layout}{sorted}{escapes}")
    }
}

/// A JSON text taken apart; numbers and words as they stand there, strings between their quotes.
#[derive(Debug)]
pub(super) struct Tree<'t>(Node<'t>);

#[derive(Debug)]
enum Node<'t> {
    Plain(&'t str),
    Text(Text<'t>),
    Array(Vec<Node<'t>>),
    Object(Vec<(Text<'t>, Node<'t>)>),
}

/// A string between its quotes, as it stands there and what it means. What cannot be decoded, half of a surrogate pair, stays
/// as it is.
#[derive(Debug)]
struct Text<'t> {
    raw: &'t str,
    meant: Option<Cow<'t, str>>,
}

impl<'t> Text<'t> {
    fn new(raw: &'t str) -> Self {
        let meant = if raw.contains('\\') {
            serde_json::from_str(&format!("\"{raw}\"")).ok().map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(raw))
        };
        Self { raw, meant }
    }

    fn write(&self, escapes: Escapes, out: &mut String) {
        out.push('"');
        match &self.meant {
            Some(meant) if escapes != Escapes::Kept => meant.chars().for_each(|c| character(c, escapes, out)),
            _ => out.push_str(self.raw),
        }
        out.push('"');
    }
}

impl<'t> Tree<'t> {
    /// None where it is not well-formed.
    pub(super) fn read(body: &'t [u8]) -> Option<Self> {
        json::check(body).ok()?;
        let mut rest = Reader(std::str::from_utf8(body).ok()?);
        rest.node().map(Self)
    }

    /// Written in that style; none where that takes more than `limit` bytes, as deep nesting indented does.
    pub(super) fn write(&self, style: Style, limit: usize) -> Option<String> {
        let mut out = String::new();
        self.0.write(style, 0, limit, &mut out);
        (out.len() <= limit).then_some(out)
    }
}

/// What is left of a text that is known to be well-formed, and so not nested more deeply than [`json::MAX_DEPTH`].
struct Reader<'t>(&'t str);

impl<'t> Reader<'t> {
    fn next(&mut self) -> Option<u8> {
        self.0 = self.0.trim_start_matches([' ', '\n', '\r', '\t']);
        self.0.bytes().next()
    }

    fn take(&mut self, length: usize) -> Option<&'t str> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// What stands between the quotes.
    fn text(&mut self) -> Option<&'t str> {
        self.take(1)?;
        let mut escaped = false;
        let end = self.0.bytes().position(|byte| match byte {
            b'"' if !escaped => true,
            _ => {
                escaped = byte == b'\\' && !escaped;
                false
            }
        })?;
        let text = self.take(end)?;
        self.take(1)?;
        Some(text)
    }

    fn node(&mut self) -> Option<Node<'t>> {
        Some(match self.next()? {
            b'"' => Node::Text(Text::new(self.text()?)),
            b'[' => Node::Array(self.members(b']', Self::node)?),
            b'{' => Node::Object(self.members(b'}', |reader| {
                reader.next()?;
                let key = Text::new(reader.text()?);
                reader.next()?;
                reader.take(1)?;
                Some((key, reader.node()?))
            })?),
            _ => {
                let end = self.0.find([',', ']', '}', ' ', '\n', '\r', '\t']).unwrap_or(self.0.len());
                Node::Plain(self.take(end)?)
            }
        })
    }

    fn members<T>(&mut self, end: u8, one: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut members = Vec::new();
        self.take(1)?;
        while self.next()? != end {
            members.push(one(self)?);
            if self.next()? == b',' {
                self.take(1)?;
            }
        }
        self.take(1)?;
        Some(members)
    }
}

impl Node<'_> {
    fn write(&self, style: Style, depth: usize, limit: usize, out: &mut String) {
        if out.len() > limit {
            return;
        }
        match self {
            Self::Plain(text) => out.push_str(text),
            Self::Text(text) => text.write(style.escapes, out),
            Self::Array(members) => {
                around(style.layout, depth, limit, ('[', ']'), members.iter(), out, |member, out| {
                    member.write(style, depth + 1, limit, out);
                });
            }
            Self::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                if style.sorted {
                    members.sort_by_key(|(key, _)| key.raw);
                }
                around(style.layout, depth, limit, ('{', '}'), members.into_iter(), out, |(key, value), out| {
                    key.write(style.escapes, out);
                    out.push_str(if style.layout == Layout::Compact { ":" } else { ": " });
                    value.write(style, depth + 1, limit, out);
                });
            }
        }
    }
}

fn around<T>(
    layout: Layout,
    depth: usize,
    limit: usize,
    (open, close): (char, char),
    members: impl ExactSizeIterator<Item = T>,
    out: &mut String,
    one: impl Fn(T, &mut String),
) {
    let line = |depth: usize, out: &mut String| match layout {
        Layout::Indented(spaces) => {
            out.push('\n');
            (0..depth).for_each(|_| out.push_str(&"        "[..spaces]));
        }
        Layout::Tabs => {
            out.push('\n');
            (0..depth).for_each(|_| out.push('\t'));
        }
        Layout::Compact | Layout::Spaced => {}
    };
    let any = members.len() > 0;
    out.push(open);
    for (at, member) in members.enumerate() {
        if out.len() > limit {
            return;
        }
        if at > 0 {
            out.push_str(if layout == Layout::Spaced { ", " } else { "," });
        }
        line(depth + 1, out);
        one(member, out);
    }
    if any {
        line(depth, out);
    }
    out.push(close);
}

fn character(c: char, escapes: Escapes, out: &mut String) {
    let fixed = match c {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\u{8}' => "\\b",
        '\u{c}' => "\\f",
        '/' if escapes == Escapes::Php => "\\/",
        _ => "",
    };
    if !fixed.is_empty() {
        return out.push_str(fixed);
    }
    let hidden = match escapes {
        Escapes::Ascii | Escapes::AsciiUpper | Escapes::Php => !c.is_ascii() || c.is_ascii_control(),
        Escapes::Html => c.is_ascii_control() || matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}'),
        Escapes::Kept | Escapes::None => c.is_ascii_control() && c != '\u{7f}',
    };
    if !hidden {
        return out.push(c);
    }
    for unit in c.encode_utf16(&mut [0; 2]) {
        let written = match escapes {
            Escapes::AsciiUpper => write!(out, "\\u{unit:04X}"),
            _ => write!(out, "\\u{unit:04x}"),
        };
        written.expect("a string takes everything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restyled(text: &str, layout: Layout, sorted: bool, escapes: Escapes) -> String {
        Tree::read(text.as_bytes()).expect("well-formed").write(Style { layout, sorted, escapes }, 1000).expect("short")
    }

    #[test]
    fn json_is_written_in_other_layouts() {
        let text = "{ \"b\" : [1, 2.50, {}, []],\n\"a\":{\"x\":null,\"\":\"a\\\"]b\"} }\n";
        let table = [
            (Layout::Compact, false, r#"{"b":[1,2.50,{},[]],"a":{"x":null,"":"a\"]b"}}"#),
            (Layout::Spaced, true, r#"{"a": {"": "a\"]b", "x": null}, "b": [1, 2.50, {}, []]}"#),
            (
                Layout::Indented(2),
                false,
                "{\n  \"b\": [\n    1,\n    2.50,\n    {},\n    []\n  ],\n  \"a\": {\n    \"x\": null,\n    \"\": \"a\\\"]b\"\n  }\n}",
            ),
        ];
        for (layout, sorted, want) in table {
            assert_eq!(restyled(text, layout, sorted, Escapes::Kept), want);
        }
        assert_eq!(restyled("[[1]]", Layout::Tabs, false, Escapes::Kept), "[\n\t[\n\t\t1\n\t]\n]");
        for plain in ["1e5", "-0", "true", "\"\"", "[]", "{}"] {
            assert_eq!(restyled(&format!(" {plain} "), Layout::Compact, true, Escapes::Kept), plain);
        }
        assert!(Tree::read(b"{\"a\":}").is_none());
        let deep = format!("{}{}{}", "[".repeat(100), "1,".repeat(1000) + "1", "]".repeat(100));
        let indented = Style { layout: Layout::Indented(4), sorted: false, escapes: Escapes::Kept };
        assert!(Tree::read(deep.as_bytes()).expect("well-formed").write(indented, 10_000).is_none());
    }

    #[test]
    fn json_is_written_with_other_escapes() {
        let text = r#"["é\u00e9 \u2028</a>&\n\"\\ 😀\u0001"]"#;
        let table = [
            (Escapes::Kept, text.to_owned()),
            (Escapes::None, "[\"éé \u{2028}</a>&\\n\\\"\\\\ 😀\\u0001\"]".to_owned()),
            (Escapes::Ascii, r#"["\u00e9\u00e9 \u2028</a>&\n\"\\ \ud83d\ude00\u0001"]"#.to_owned()),
            (Escapes::AsciiUpper, r#"["\u00E9\u00E9 \u2028</a>&\n\"\\ \uD83D\uDE00\u0001"]"#.to_owned()),
            (Escapes::Php, r#"["\u00e9\u00e9 \u2028<\/a>&\n\"\\ \ud83d\ude00\u0001"]"#.to_owned()),
            (Escapes::Html, r#"["éé \u2028\u003c/a\u003e\u0026\n\"\\ 😀\u0001"]"#.to_owned()),
        ];
        for (escapes, want) in table {
            assert_eq!(restyled(text, Layout::Compact, false, escapes), want, "{escapes:?}");
        }
        assert_eq!(restyled(r#"["\ud800"]"#, Layout::Compact, false, Escapes::None), r#"["\ud800"]"#);
    }

    proptest::proptest! {
        #[test]
        fn every_style_means_the_same(text in "[\\[\\]{}\",:a-c0-2 \\\\u]{0,40}") {
            let value: Option<serde_json::Value> = serde_json::from_str(&text).ok();
            if let Some(tree) = Tree::read(text.as_bytes()) {
                for style in all() {
                    let again: Option<serde_json::Value> = serde_json::from_str(&tree.write(style, 10_000).expect("short")).ok();
                    proptest::prop_assert_eq!(&again, &value);
                }
            }
        }
    }
}
