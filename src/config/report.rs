//! Problems as text for people: each with its line of the file, sorted by place, and a count at the end.

use std::fmt::{self, Write as _};
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level as Title, Origin, Renderer, Snippet};

use super::mask;
use super::problem::{Level, Problem, Problems};

/// Everything that is to be said about one file.
#[derive(Clone)]
pub struct Report {
    /// The file's name as it was given.
    name: String,
    source: String,
    problems: Vec<Problem>,
    masked: Vec<Range<usize>>,
}

impl Report {
    /// Of a file's problems, sorted by place.
    #[must_use]
    pub fn new(name: &str, source: &str, problems: Problems) -> Self {
        let (mut problems, masked) = problems.into_parts();
        problems.sort_by_key(|problem| (problem.span.as_ref().map(|span| span.start), problem.level));
        Self { name: name.to_owned(), source: source.to_owned(), problems, masked }
    }

    /// Of a file that could not be had at all.
    #[must_use]
    pub fn unreadable(name: &str, message: String, hint: String) -> Self {
        let problems = Problems::default();
        problems.push(Problem {
            level: Level::Error,
            span: None,
            key: String::new(),
            message,
            hint: Some(hint),
            absence: false,
        });
        Self::new(name, "", problems)
    }

    /// The problems, sorted by place.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// How many problems of that level there are.
    #[must_use]
    pub fn count(&self, level: Level) -> usize {
        self.problems.iter().filter(|problem| problem.level == level).count()
    }

    /// Line and column of a problem, both from 1, the column in characters.
    #[must_use]
    pub fn place(&self, problem: &Problem) -> Option<(usize, usize)> {
        let at = floor(&self.source, problem.span.as_ref()?.start);
        let start = line_start(&self.source, at);
        let line = self.source[..start].matches('\n').count() + 1;
        Some((line, self.source[start..at].chars().count() + 1))
    }

    /// Writes each problem to the log, a line each, with file, line, column, key and hint apart from what is wrong.
    pub fn log(&self) {
        for problem in &self.problems {
            let (line, column) = self.place(problem).unzip();
            let (file, hint) = (self.name.as_str(), problem.hint.as_deref());
            let key = Some(problem.key.as_str()).filter(|key| !key.is_empty());
            match problem.level {
                Level::Error => tracing::error!(file, line, column, key, hint, "{}", problem.message),
                Level::Warning => tracing::warn!(file, line, column, key, hint, "{}", problem.message),
            }
        }
    }

    /// Everything, each problem with its line of the file and its hint, and how many there are. No secret is in it.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let mut text = String::new();
        for problem in &self.problems {
            text.push_str(&self.drawn(problem, color));
            text.push_str("\n\n");
        }
        if !self.is_empty() {
            let _ = writeln!(text, "{}", self.total());
        }
        text
    }

    /// How many there are, in words.
    fn total(&self) -> String {
        let of = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        let (errors, warnings) = (self.count(Level::Error), self.count(Level::Warning));
        let counts = match (errors, warnings) {
            (errors, 0) => of(errors, "error"),
            (0, warnings) => of(warnings, "warning"),
            (errors, warnings) => format!("{}, {}", of(errors, "error"), of(warnings, "warning")),
        };
        format!("{counts} in {}", self.name)
    }

    fn drawn(&self, problem: &Problem, color: bool) -> String {
        let level = match problem.level {
            Level::Error => Title::ERROR,
            Level::Warning => Title::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(headline(problem)));
        let shown = problem.span.as_ref().map(|span| self.shown(span));
        match (&shown, self.place(problem)) {
            (Some(shown), Some((line, column))) => {
                group = group.element(Origin::path(self.name.as_str()).line(line).char_column(column)).element(
                    Snippet::source(shown.text.as_str())
                        .line_start(line)
                        .annotation(AnnotationKind::Primary.span(shown.span.clone())),
                );
            }
            _ => group = group.element(Origin::path(self.name.as_str())),
        }
        if let Some(hint) = &problem.hint {
            group = group.element(Title::HELP.with_name("hint").message(hint.as_str()));
        }
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        without_second_origin(&renderer.render(&[group]))
    }

    /// The first line of a span as it may be shown.
    fn shown(&self, span: &Range<usize>) -> mask::Shown {
        let start = line_start(&self.source, floor(&self.source, span.start));
        mask::line(&self.source, start, span, &self.masked)
    }
}

/// The place is given apart from the line of the file, since a mask moves columns; the renderer then sets a mark for a
/// second file where there is none.
fn without_second_origin(text: &str) -> String {
    let mark = |line: &&str| {
        let mut plain = String::new();
        let mut rest = *line;
        while let Some((before, after)) = rest.split_once('\u{1b}') {
            plain.push_str(before);
            rest = after.split_once('m').map_or("", |(_, after)| after);
        }
        plain.push_str(rest);
        plain.trim() == ":::"
    };
    text.lines().filter(|line| !mark(line)).collect::<Vec<_>>().join("\n")
}

/// The key and what is wrong with it.
fn headline(problem: &Problem) -> String {
    if problem.key.is_empty() { problem.message.clone() } else { format!("{}: {}", problem.key, problem.message) }
}

/// Where the line of a byte begins.
fn line_start(source: &str, at: usize) -> usize {
    source[..at].rfind('\n').map_or(0, |at| at + 1)
}

/// The nearest character boundary that is not after `at`.
fn floor(source: &str, at: usize) -> usize {
    let at = at.min(source.len());
    (0..=at).rev().find(|at| source.is_char_boundary(*at)).unwrap_or(0)
}

/// Without the text of the file, which may hold secrets.
impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report").field("name", &self.name).field("problems", &self.problems).finish_non_exhaustive()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}
