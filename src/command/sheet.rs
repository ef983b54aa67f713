//! One thing told at length: headings, names with their values, lines.

use unicode_width::UnicodeWidthStr;

use super::screen::{Screen, Style};
use crate::sink::readable::printable;

/// Text that grows. Whatever is put in is printable when it comes out.
#[derive(Debug)]
pub(super) struct Sheet<'a> {
    screen: &'a Screen,
    out: String,
}

impl<'a> Sheet<'a> {
    /// An empty one.
    pub(super) fn new(screen: &'a Screen) -> Self {
        Self { screen, out: String::new() }
    }

    /// A heading, an empty line before it where something is there already.
    pub(super) fn heading(&mut self, text: &str) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.push(&self.screen.paint(Style::Strong, &printable(text)));
    }

    /// A line, so far from the margin.
    pub(super) fn line(&mut self, indent: usize, text: &str, style: Style) {
        let text = self.screen.paint(style, &printable(text));
        self.push(&format!("{:indent$}{text}", ""));
    }

    /// A line of several parts, each in a colour.
    pub(super) fn parts(&mut self, indent: usize, parts: &[(&str, Style)]) {
        let painted: String = parts.iter().map(|(text, style)| self.screen.paint(*style, &printable(text))).collect();
        self.push(&format!("{:indent$}{painted}", ""));
    }

    /// Names with their values, under each other.
    pub(super) fn fields<N: AsRef<str>, V: AsRef<str>>(&mut self, fields: &[(N, V)]) {
        let names: Vec<String> = fields.iter().map(|(name, _)| printable(name.as_ref())).collect();
        let widest = names.iter().map(|name| name.width()).max().unwrap_or(0);
        for (name, (_, value)) in names.iter().zip(fields) {
            let room = " ".repeat(widest - name.width());
            let name = self.screen.paint(Style::Faint, name);
            self.push(&format!("  {name}{room}  {}", printable(value.as_ref())));
        }
    }

    /// The text.
    pub(super) fn done(self) -> String {
        self.out
    }

    fn push(&mut self, line: &str) {
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }
}
