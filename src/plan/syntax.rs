//! Syntax errors beside the rest: what the parser says, and which other problems are still worth telling then.

use std::ops::Range;

use crate::config::{Level, Problem, Problems, mask};

/// Adds the parser's errors to what the readers found in the part of the file that could be parsed.
pub(super) fn add(problems: Problems, text: &str, errors: &[toml::de::Error]) -> Problems {
    if errors.is_empty() {
        return problems;
    }
    let (found, masked) = problems.into_parts();
    let problems = Problems::default();
    for span in masked {
        problems.mask(span);
    }
    let mut errors: Vec<_> = errors.iter().map(|error| (error.span().unwrap_or(0..0), error.message())).collect();
    // Of several at one place the one about text explains most.
    errors.sort_by_key(|(span, message)| (span.start, !message.contains("string")));
    let mut spoilt: Vec<Statement> = Vec::new();
    for (span, message) in errors {
        // What follows a mistake in a statement mostly follows from it.
        if spoilt.iter().any(|statement| statement.lines.contains(&span.start)) {
            continue;
        }
        let statement = Statement::at(text, span.start);
        // Nobody knows what is a value in it, so nothing that could be one is shown.
        line_starts(text)
            .filter(|start| statement.lines.contains(start))
            .filter_map(|start| mask::doubtful(text, start))
            .for_each(|span| problems.mask(span));
        spoilt.push(statement);
        problems.push(Problem {
            level: Level::Error,
            message: what(text, &span, message).to_owned(),
            hint: Some(hint(text, &span, message).to_owned()),
            span: Some(span),
            key: String::new(),
            absence: false,
        });
    }
    let headers = spoilt.iter().any(|statement| statement.header);
    for problem in found {
        let span = problem.span.clone().unwrap_or_default();
        let (at, end) = (span.start, span.end.max(span.start + 1));
        let doubted = if problem.absence {
            // It may stand under the broken header, or be the broken statement of its table.
            let table = table(text, at);
            headers || spoilt.iter().any(|statement| table.contains(&statement.lines.start))
        } else {
            spoilt.iter().any(|statement| statement.lines.start < end && at < statement.lines.end)
        };
        if problem.level == Level::Error && !doubted {
            problems.push(problem);
        }
    }
    problems
}

/// A setting with all its lines; or the broken header of a table, with all the settings under it.
struct Statement {
    lines: Range<usize>,
    header: bool,
}

impl Statement {
    fn at(text: &str, at: usize) -> Self {
        let mut starts = line_starts(text).peekable();
        let (mut begin, mut header) = (0, false);
        while let Some(start) = starts.next_if(|start| *start <= at) {
            if let Some(kind) = begins(text, start) {
                // What is wrong with the very first sign of a statement is that the one before it has no end.
                if start < at || begin == 0 {
                    begin = start;
                }
                header = kind == Begins::Header;
            }
        }
        let ends = |kind| kind == Begins::Header || !header;
        let end = starts.find(|start| begins(text, *start).is_some_and(ends)).unwrap_or(text.len() + 1);
        Self { lines: begin..end, header }
    }
}

/// The table a place is in, from its header to the next one.
fn table(text: &str, at: usize) -> Range<usize> {
    let header = |start: &usize| begins(text, *start) == Some(Begins::Header);
    let begin = line_starts(text).take_while(|start| *start <= at).filter(header).last().unwrap_or(0);
    begin..line_starts(text).filter(header).find(|start| *start > at).unwrap_or(text.len() + 1)
}

fn line_starts(text: &str) -> impl Iterator<Item = usize> + '_ {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1))
}

/// What a line begins.
#[derive(PartialEq)]
enum Begins {
    Header,
    Setting,
}

/// What a line begins by its looks; a line of a list that goes over several begins nothing.
fn begins(text: &str, start: usize) -> Option<Begins> {
    let line = text[start..].lines().next().unwrap_or_default();
    if line.trim_start().starts_with('[') {
        return Some(Begins::Header);
    }
    mask::key(line).map(|_| Begins::Setting)
}

/// The parser takes a bare `info` for a misspelt `inf`.
fn what<'m>(text: &str, span: &Range<usize>, message: &'m str) -> &'m str {
    if message.starts_with("invalid float") && begins_with_a_letter(text, span) {
        "text without quotes, expected a string"
    } else {
        message
    }
}

fn begins_with_a_letter(text: &str, span: &Range<usize>) -> bool {
    text.get(span.start..).unwrap_or_default().starts_with(char::is_alphabetic)
}

fn hint(text: &str, span: &Range<usize>, message: &str) -> &'static str {
    if message.contains("duplicate key") {
        "a key or table stands in a file once; put the settings together"
    } else if message.contains("string") || begins_with_a_letter(text, span) {
        "text stands in quotes: `key = \"value\"`"
    } else {
        "the file is TOML: `[table]`, then `key = value`, one a line; see toml.io"
    }
}
