//! Shows a line of the file without the secrets in it.

use std::ops::Range;

/// What stands for a secret.
const STARS: &str = "***";

/// One line as it may be shown.
#[derive(Debug, PartialEq, Eq)]
pub struct Shown {
    /// The text, without its line break.
    pub text: String,
    /// What the asked-for bytes have become in it, at least one character wide where the line has one.
    pub span: Range<usize>,
}

/// Shows the line that begins at byte `start` of `source`, with every masked range as `***`, and says where the part
/// `span` of the source is in it. Ranges may overlap, reach over several lines, and cut what they like but characters.
#[must_use]
pub fn line(source: &str, start: usize, span: &Range<usize>, masked: &[Range<usize>]) -> Shown {
    let line = source[start..].lines().next().unwrap_or_default();
    let end = start + line.len();
    let mut hidden: Vec<Range<usize>> = masked
        .iter()
        .filter(|range| range.start < end && range.end > start)
        .map(|range| range.start.max(start)..range.end.min(end))
        .collect();
    hidden.sort_by_key(|range| (range.start, range.end));
    let mut text = String::new();
    let mut at = start;
    let (mut from, mut until) = (None, None);
    for range in hidden {
        if range.end <= at {
            continue;
        }
        let begin = range.start.max(at);
        place(&mut from, span.start, at, begin, text.len());
        place(&mut until, span.end, at, begin, text.len());
        text.push_str(&source[at..begin]);
        let quote = ["\"", "'"].into_iter().find(|quote| source[begin..].starts_with(quote)).unwrap_or("");
        // An offset inside what is hidden is at its beginning, or at its end when it ends the span.
        if from.is_none() && span.start < range.end {
            from = Some(text.len());
        }
        text.extend([quote, STARS, quote]);
        if until.is_none() && span.end <= range.end {
            until = Some(text.len());
        }
        at = range.end;
    }
    place(&mut from, span.start, at, end, text.len());
    place(&mut until, span.end, at, end, text.len());
    text.push_str(&source[at..end]);
    let from = from.unwrap_or(text.len());
    let until = until.unwrap_or(text.len()).max(from);
    Shown { span: from..until, text }
}

/// Settles where `offset` of the source is shown if it lies in the piece `begin..end`, which is shown from `shown` on.
fn place(slot: &mut Option<usize>, offset: usize, begin: usize, end: usize, shown: usize) {
    if slot.is_none() && offset <= end {
        *slot = Some(shown + offset.saturating_sub(begin));
    }
}

/// The part of a line that could be a secret where the parser lost its way and nobody knows what is a value: all but
/// the key at its beginning, or the name of a table.
#[must_use]
pub fn doubtful(source: &str, start: usize) -> Option<Range<usize>> {
    let line = source[start..].lines().next().unwrap_or_default();
    // A table's header may be shown; a value can begin with a bracket too, and then has quotes or commas.
    if line.trim_start().starts_with('[') && !line.contains(['"', '\'', ',', '=', ' ']) {
        return None;
    }
    let key = key(line);
    let from = key.map_or(0, |at| at + 1);
    let value = line[from..].trim();
    let begin = start + from + (line[from..].len() - line[from..].trim_start().len());
    (!value.is_empty()).then(|| begin..begin + value.len())
}

/// Where the `=` of a line is that begins with a key.
#[must_use]
pub fn key(line: &str) -> Option<usize> {
    line.find('=').filter(|at| {
        let before = line[..*at].trim();
        !before.is_empty() && before.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_stars_and_places_move_along() {
        let source = "first\na = \"sesame\", b = 'open', ü = 1\nlast";
        let at = |text: &str| {
            let start = source.find(text).expect("there");
            start..start + text.len()
        };
        let masked = [at("'open'"), at("\"sesame\""), at("same\"")];
        let cases = [
            ("a =", "a ="),
            ("\"sesame\"", "\"***\""),
            ("sam", "\"***\""),
            ("\"sesame\", b", "\"***\", b"),
            ("'open', ü", "'***', ü"),
            ("ü = 1", "ü = 1"),
        ];
        for (part, want) in cases {
            let shown = line(source, 6, &at(part), &masked);
            assert_eq!(shown.text, "a = \"***\", b = '***', ü = 1");
            assert_eq!(&shown.text[shown.span], want, "{part}");
        }
        assert_eq!(line(source, 0, &(0..source.len()), &masked).text, "first");
        // A span or a mask that goes on in the next line ends with this one.
        let long = Range { start: 4, end: 13 };
        let shown = line("k = '''a\nb'''", 0, &long, std::slice::from_ref(&long));
        assert_eq!(shown, Shown { text: "k = '***'".into(), span: 4..9 });
    }

    #[test]
    fn what_nobody_knows_is_doubtful() {
        let cases = [
            ("token = abc", Some("abc")),
            ("  \"abc\",", Some("\"abc\",")),
            ("[topics.github", None),
            ("[\"abc\", 'x'", Some("[\"abc\", 'x'")),
            ("a.b-c = ", None),
            ("\"a b\" = c", Some("\"a b\" = c")),
            ("", None),
        ];
        for (text, want) in cases {
            assert_eq!(doubtful(text, 0).map(|range| &text[range]), want, "{text}");
        }
    }
}
