//! Tables for people: aligned by what characters take up on a terminal, and cut to its width there, never in a pipe.

use unicode_width::UnicodeWidthStr;

use super::screen::{Screen, Style};
use crate::sink::readable::printable;

/// What stands between two columns.
const GAP: usize = 2;

/// One column.
#[derive(Debug)]
pub(super) struct Column {
    title: &'static str,
    right: bool,
    /// How narrow it may become on a narrow terminal; none: as wide as its widest cell.
    least: Option<usize>,
}

impl Column {
    /// A column of words, which are never cut.
    pub(super) fn new(title: &'static str) -> Self {
        Self { title, right: false, least: None }
    }

    /// A column of numbers.
    pub(super) fn right(title: &'static str) -> Self {
        Self { title, right: true, least: None }
    }

    /// A column of texts that may be cut down to so many characters.
    pub(super) fn flexible(title: &'static str, least: usize) -> Self {
        Self { title, right: false, least: Some(least.max(title.len())) }
    }
}

/// One cell. Its text is printable, whatever it was made from.
#[derive(Debug)]
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A text in a colour.
    pub(super) fn styled(text: &str, style: Style) -> Self {
        Self { text: printable(text), style }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::styled(text, Style::Plain)
    }
}

impl From<&String> for Cell {
    fn from(text: &String) -> Self {
        Self::styled(text, Style::Plain)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::styled(&text, Style::Plain)
    }
}

/// `-` where there is nothing.
impl From<Option<&str>> for Cell {
    fn from(text: Option<&str>) -> Self {
        text.map_or_else(|| Self::styled("-", Style::Faint), Self::from)
    }
}

/// Columns with their rows.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub(super) fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self { columns: columns.into(), rows: Vec::new() }
    }

    /// Adds a row, a cell a column.
    pub(super) fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        self.rows.push(cells.into());
    }

    /// All of it as lines, titles first.
    pub(super) fn lines(&self, screen: &Screen) -> String {
        let widths = self.widths(screen.width);
        let mut out = String::new();
        let titles: Vec<Cell> = self.columns.iter().map(|column| Cell::styled(column.title, Style::Strong)).collect();
        for row in std::iter::once(&titles).chain(&self.rows) {
            let mut line = String::new();
            for ((cell, column), width) in row.iter().zip(&self.columns).zip(&widths) {
                let text = cut(&cell.text, *width);
                let room = " ".repeat(width.saturating_sub(text.width()));
                let painted = screen.paint(cell.style, &text);
                line.push_str(&if column.right { room + &painted } else { painted + &room });
                line.push_str(&" ".repeat(GAP));
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }

    fn widths(&self, limit: Option<usize>) -> Vec<usize> {
        let widest = |(at, column): (usize, &Column)| {
            let cells = self.rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.text.width());
            cells.max().unwrap_or(0).max(column.title.width())
        };
        let mut widths: Vec<usize> = self.columns.iter().enumerate().map(widest).collect();
        let Some(limit) = limit else { return widths };
        let gaps = GAP * widths.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > limit {
            // The widest gives way first, so that short texts stay whole as long as there are long ones.
            let flexible = self
                .columns
                .iter()
                .enumerate()
                .filter(|(at, column)| column.least.is_some_and(|least| widths[*at] > least));
            let Some((at, _)) = flexible.max_by_key(|(at, _)| widths[*at]) else { break };
            widths[at] -= 1;
        }
        widths
    }
}

/// The text, or its beginning and `…`, in so many columns.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        // By the whole and not by the sum: a character can change the width of the one before it.
        if kept.width() >= width {
            kept.pop();
            break;
        }
    }
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Millis;

    fn screen(width: Option<usize>, color: bool) -> Screen {
        Screen { terminal: width.is_some(), color, width, now: Millis(0) }
    }

    fn table() -> Table {
        let mut table = Table::new([Column::new("NAME"), Column::right("COUNT"), Column::flexible("REASON", 8)]);
        table.row(["a".into(), "12,345".into(), "a reason that is long".into()]);
        table.row(["größe".into(), "1".into(), None.into()]);
        table.row(["日本".into(), Cell::styled("7", Style::Bad), "\u{1b}[2J\u{202e}".into()]);
        table
    }

    #[test]
    fn columns_stand_under_each_other() {
        let want = "\
NAME    COUNT  REASON
a      12,345  a reason that is long
größe       1  -
日本        7  \\u001b[2J\\u202e
";
        assert_eq!(table().lines(&screen(None, false)), want);
    }

    #[test]
    fn a_terminal_is_not_overrun() {
        let want = "\
NAME    COUNT  REASON
a      12,345  a reason…
größe       1  -
日本        7  \\u001b[2…
";
        assert_eq!(table().lines(&screen(Some(24), false)), want);
        // What cannot be cut is not.
        let narrow = table().lines(&screen(Some(3), false));
        assert!(narrow.contains("a      12,345  a reaso…\n"), "{narrow}");
    }

    #[test]
    fn colours_take_no_room() {
        let colored = table().lines(&screen(None, true));
        assert!(colored.contains("日本        \x1b[31m7\x1b[0m  \\u001b[2J"), "{colored:?}");
        let plain =
            colored.replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[31m", "").replace("\x1b[0m", "");
        assert_eq!(plain, table().lines(&screen(None, false)));
    }

    #[test]
    fn a_cut_text_fits() {
        for (text, width, want) in [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("日本語", 5, "日本…"), ("日本語", 4, "日…")]
        {
            assert_eq!(cut(text, width), want, "{text} {width}");
            assert!(cut(text, width).width() <= width);
        }
    }
}
