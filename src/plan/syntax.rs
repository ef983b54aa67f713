//! Syntax errors beside the rest: what the parser says, and which other problems are still worth telling then.

use std::collections::HashSet;

use crate::config::{Level, Problem, Problems, mask};

/// Adds the parser's errors to what the readers found in the part of the file that could be parsed.
pub(super) fn add(problems: Problems, text: &str, errors: &[toml::de::Error]) -> Problems {
    if errors.is_empty() {
        return problems;
    }
    let line = |at: usize| text[..text.len().min(at)].rfind('\n').map_or(0, |at| at + 1);
    let (found, masked) = problems.into_parts();
    let problems = Problems::default();
    for span in masked {
        problems.mask(span);
    }
    let mut lines = HashSet::new();
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        // Nobody knows what is a value on such a line, so nothing of it that could be one is shown. One line says it
        // once: what follows a mistake on its line mostly follows from it.
        let start = line(span.start);
        if !lines.insert(start) {
            continue;
        }
        if let Some(span) = mask::doubtful(text, start) {
            problems.mask(span);
        }
        problems.push(Problem {
            level: Level::Error,
            span: Some(span),
            key: String::new(),
            message: error.message().to_owned(),
            hint: Some(hint(error.message()).to_owned()),
            absence: false,
        });
    }
    for problem in found {
        let shadowed = problem.span.as_ref().is_some_and(|span| lines.contains(&line(span.start)));
        if problem.level == Level::Error && !problem.absence && !shadowed {
            problems.push(problem);
        }
    }
    problems
}

fn hint(message: &str) -> &'static str {
    if message.contains("duplicate key") {
        "a key or table stands in a file once; put the settings together"
    } else if message.contains("string") {
        "text stands in quotes: `key = \"value\"`"
    } else {
        "the file is TOML: `[table]`, then `key = value`, one a line; see toml.io"
    }
}
