//! Typed reading of the tree of a TOML file. What does not read becomes a problem, and the reader goes on with `None`.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Level, Problem, Problems};
use super::{duration, keys, size, suggest};

/// A table with its name in words and the place where it is named.
#[derive(Clone)]
pub struct Table<'t> {
    entries: &'t DeTable<'t>,
    problems: &'t Problems,
    span: Option<Range<usize>>,
    path: String,
}

impl<'t> Table<'t> {
    /// The file itself.
    #[must_use]
    pub fn root(entries: &'t DeTable<'t>, problems: &'t Problems) -> Self {
        Self { entries, problems, span: None, path: String::new() }
    }

    /// Refuses every key that is not of the table `name` in [`keys`].
    #[must_use]
    pub fn only(self, name: &str) -> Self {
        self.only_and(name, &[])
    }

    /// The same, but for some that whoever reads the table refuses with words of its own.
    #[must_use]
    pub fn only_and(self, name: &str, besides: &[&str]) -> Self {
        let known = keys::of(name);
        let fits = |value: &Value<'_>| known.contains(&value.key()) || besides.contains(&value.key());
        for value in self.all().filter(|value| !fits(value)) {
            let key = value.key();
            let hint = match suggest::nearest(key, known.iter().copied()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => keys::elsewhere(key).unwrap_or_else(|| format!("known here: {}", suggest::listed(known))),
            };
            // It may be a misspelt secret.
            value.mask();
            value.report(Level::Error, Some(value.key_span.clone()), format!("unknown key `{key}`"), Some(hint));
        }
        self
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value<'t>> {
        self.entries.get_key_value(key).map(|(key, value)| self.value(key, value))
    }

    /// Every value, in the order of the keys.
    pub fn all(&self) -> impl Iterator<Item = Value<'t>> {
        self.entries.iter().map(|(key, value)| self.value(key, value))
    }

    fn value(&self, key: &'t Spanned<std::borrow::Cow<'t, str>>, value: &'t Spanned<DeValue<'t>>) -> Value<'t> {
        let name = key.get_ref().as_ref();
        let path = if self.path.is_empty() { bare(name) } else { format!("{}.{}", self.path, bare(name)) };
        Value { tree: value, problems: self.problems, name, key_span: key.span(), path }
    }

    /// Whether the key is there.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// The table's name in words.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Reports that a key is missing.
    pub fn missing(&self, key: &str, message: impl Into<String>, hint: impl Into<String>) {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        self.problems.push(Problem {
            level: Level::Error,
            span: self.span.clone(),
            key: path,
            message: message.into(),
            hint: Some(hint.into()),
            absence: true,
        });
    }

    /// The value of a key that must be there.
    #[must_use]
    pub fn need(&self, key: &str, message: &str, hint: &str) -> Option<Value<'t>> {
        let value = self.get(key);
        if value.is_none() {
            self.missing(key, message, hint);
        }
        value
    }

    /// Says that something about the table as a whole is unwise.
    pub fn warn(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem {
            level: Level::Warning,
            span: self.span.clone(),
            key: self.path.clone(),
            message: message.into(),
            hint: Some(hint.into()),
            absence: true,
        });
    }
}

/// A value with its key in words.
#[derive(Clone)]
pub struct Value<'t> {
    tree: &'t Spanned<DeValue<'t>>,
    problems: &'t Problems,
    name: &'t str,
    /// Where the key stands; for an element of a list, the element.
    key_span: Range<usize>,
    path: String,
}

impl<'t> Value<'t> {
    /// The last part of its key; of an element, that of the list.
    #[must_use]
    pub fn key(&self) -> &'t str {
        self.name
    }

    /// The key in words.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The same value under another name: what a part of a value is about when the part itself says nothing.
    #[must_use]
    pub fn named(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    fn report(&self, level: Level, span: Option<Range<usize>>, message: String, hint: Option<String>) {
        self.problems.push(Problem { level, span, key: self.path.clone(), message, hint, absence: false });
    }

    /// Reports an error about the value.
    pub fn error(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.report(Level::Error, Some(self.tree.span()), message.into(), Some(hint.into()));
    }

    /// Reports an error about some bytes of the text of a string: at their place in the file where they stand there as
    /// they are, on one line between one pair of quotes, and else about all of it.
    pub fn error_within(&self, bytes: Range<usize>, message: impl Into<String>, hint: impl Into<String>) {
        let whole = self.tree.span();
        // An escape is longer than what it stands for, and so are more quotes.
        let plain = self.tree.get_ref().as_str().is_some_and(|text| text.len() + 2 == whole.len());
        let first = whole.start + 1;
        let span = if plain { first + bytes.start..first + bytes.end } else { whole };
        self.report(Level::Error, Some(span), message.into(), Some(hint.into()));
    }

    /// Reports an error about the key itself.
    pub fn wrong_key(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.report(Level::Error, Some(self.key_span.clone()), message.into(), Some(hint.into()));
    }

    /// Says that the value is unwise.
    pub fn warn(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.report(Level::Warning, Some(self.tree.span()), message.into(), Some(hint.into()));
    }

    /// Notes what was read from the place the value names, so that a change there is noticed although the file is the same.
    pub fn mark(&self, content: &[u8]) {
        self.problems.mark(&self.path, content);
    }

    /// Whether an error about it has been reported already.
    #[must_use]
    pub fn reported(&self) -> bool {
        self.problems.has_error(&self.path)
    }

    /// Keeps everything in it out of what is shown of the file.
    pub fn mask(&self) {
        mask(self.tree, self.problems);
    }

    /// Whether it is a string.
    #[must_use]
    pub fn is_string(&self) -> bool {
        self.tree.get_ref().is_str()
    }

    /// Whether it is an array.
    #[must_use]
    pub fn is_list(&self) -> bool {
        matches!(self.tree.get_ref(), DeValue::Array(_))
    }

    fn unexpected(&self, wanted: &str, hint: &str) {
        // Where a table or a list was expected or is, there may be secrets in what is there.
        let many = matches!(self.tree.get_ref(), DeValue::Array(_) | DeValue::Table(_));
        if many || matches!(wanted, "a table" | "an array") {
            self.mask();
        }
        let have = match self.tree.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a point",
            DeValue::Boolean(_) => "a truth value",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        self.error(format!("this must be {wanted}, not {have}"), hint);
    }

    /// The text of a string.
    #[must_use]
    pub fn string(&self, hint: &str) -> Option<&'t str> {
        let text = self.tree.get_ref().as_str();
        if text.is_none() {
            self.unexpected("a string", hint);
        }
        text
    }

    /// The table under it, without a look at its keys.
    #[must_use]
    pub fn table(&self, hint: &str) -> Option<Table<'t>> {
        let DeValue::Table(entries) = self.tree.get_ref() else {
            self.unexpected("a table", hint);
            return None;
        };
        let span = Some(self.key_span.clone());
        Some(Table { entries, problems: self.problems, span, path: self.path.clone() })
    }

    /// The elements of an array.
    #[must_use]
    pub fn list(&self, hint: &str) -> Option<Vec<Self>> {
        let DeValue::Array(elements) = self.tree.get_ref() else {
            self.unexpected("an array", hint);
            return None;
        };
        Some(elements.iter().enumerate().map(|(at, value)| self.element(at, value)).collect())
    }

    fn element(&self, at: usize, value: &'t Spanned<DeValue<'t>>) -> Self {
        let path = format!("{}[{at}]", self.path);
        Self { tree: value, problems: self.problems, name: self.name, key_span: value.span(), path }
    }

    /// The elements of an array, or the value itself as the only one.
    #[must_use]
    pub fn one_or_more(&self) -> Vec<Self> {
        match self.tree.get_ref() {
            DeValue::Array(_) => self.list("").unwrap_or_default(),
            _ => vec![self.clone()],
        }
    }

    /// A whole number within limits.
    #[must_use]
    pub fn number(&self, limits: RangeInclusive<u64>) -> Option<u64> {
        let (low, high) = (*limits.start(), *limits.end());
        let hint = format!("a whole number from {low} to {high}");
        let DeValue::Integer(written) = self.tree.get_ref() else {
            self.unexpected("a whole number", &hint);
            return None;
        };
        let number = u64::from_str_radix(written.as_str(), written.radix()).ok();
        let good = number.filter(|number| limits.contains(number));
        if good.is_none() {
            self.error(format!("`{written}` is out of range"), hint);
        }
        good
    }

    /// A share, from 0 for none to 1 for all.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        const HINT: &str = "a number from 0 to 1, such as `0.1` for one in ten";
        let written = match self.tree.get_ref() {
            DeValue::Float(written) => written.as_str(),
            DeValue::Integer(written) if written.radix() == 10 => written.as_str(),
            _ => {
                self.unexpected("a number", HINT);
                return None;
            }
        };
        let good = written.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        if good.is_none() {
            self.error(format!("`{written}` is out of range"), HINT);
        }
        good
    }

    /// A duration within limits.
    #[must_use]
    pub fn duration(&self, limits: RangeInclusive<Duration>) -> Option<Duration> {
        const HINT: &str = "a duration is written as `\"250ms\"`, `\"10s\"`, `\"5m\"`, `\"1h 30m\"` or `\"7d\"`";
        let good = match duration::parse(self.string(HINT)?) {
            Ok(good) => good,
            Err(message) => {
                self.error(message, HINT);
                return None;
            }
        };
        if limits.contains(&good) {
            return Some(good);
        }
        let (low, high) = (duration::show(*limits.start()), duration::show(*limits.end()));
        self.error(format!("`{}` is out of range", duration::show(good)), format!("from `{low}` to `{high}`"));
        None
    }

    /// A size in bytes within limits.
    #[must_use]
    pub fn size(&self, limits: RangeInclusive<u64>) -> Option<u64> {
        const HINT: &str = "a size is written as `\"25 MiB\"`, `\"1 GB\"`, `\"512 KiB\"`, or as a number of bytes";
        let read = match self.tree.get_ref() {
            DeValue::Integer(written) => {
                u64::from_str_radix(written.as_str(), written.radix()).map_err(|_| format!("`{written}` is not a size"))
            }
            DeValue::String(text) => size::parse(text),
            _ => {
                self.unexpected("a size", HINT);
                return None;
            }
        };
        match read {
            Ok(bytes) if limits.contains(&bytes) => Some(bytes),
            Ok(bytes) => {
                let (low, high) = (size::show(*limits.start()), size::show(*limits.end()));
                self.error(format!("`{}` is out of range", size::show(bytes)), format!("from `{low}` to `{high}`"));
                None
            }
            Err(message) => {
                self.error(message, HINT);
                None
            }
        }
    }

    /// One of several words.
    #[must_use]
    pub fn choice<T: Copy>(&self, what: &str, choices: &[(&'static str, T)]) -> Option<T> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let text = self.string(&format!("one of {}", suggest::listed(&words)))?;
        let found = choices.iter().find(|(word, _)| *word == text).map(|(_, meant)| *meant);
        if found.is_none() {
            let hint = suggest::hint(text, &words).unwrap_or_default();
            self.error(format!("`{text}` is not {what}"), hint);
        }
        found
    }

    /// A date with time and offset, in milliseconds since 1970.
    #[must_use]
    pub fn moment(&self) -> Option<i64> {
        const HINT: &str = "a moment is written without quotes and with its offset, as `2026-12-01T00:00:00Z`";
        let DeValue::Datetime(written) = self.tree.get_ref() else {
            self.unexpected("a date with time", HINT);
            return None;
        };
        let moment = match (written.date, written.time, written.offset) {
            (Some(_), Some(_), Some(_)) => written.to_string().parse::<jiff::Timestamp>().ok(),
            _ => None,
        };
        if moment.is_none() {
            self.error(format!("`{written}` is not a moment"), HINT);
        }
        moment.map(jiff::Timestamp::as_millisecond)
    }
}

/// Notes every scalar under a value as not to be shown.
fn mask(value: &Spanned<DeValue<'_>>, problems: &Problems) {
    match value.get_ref() {
        DeValue::Array(elements) => elements.iter().for_each(|element| mask(element, problems)),
        DeValue::Table(entries) => entries.iter().for_each(|(_, value)| mask(value, problems)),
        _ => problems.mask(value.span()),
    }
}

/// A key as it would be written: quoted where it has to be.
pub(super) fn bare(key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if plain { key.to_owned() } else { format!("{key:?}") }
}
