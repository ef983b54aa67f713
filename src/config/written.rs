//! All settings of a file side by side, by their keys in words: to show what is in force, and what is different in another
//! one. Secrets are in it as `***`, and as marks that tell only whether they are the same.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use xxhash_rust::xxh3::xxh3_128;

use super::table::bare;

/// The settings of a file.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Written(BTreeMap<String, Setting>);

/// One setting.
#[derive(Clone, PartialEq, Eq)]
struct Setting {
    /// As it may be shown.
    shown: String,
    /// Of what is really there. Never leaves the process.
    mark: u128,
}

/// A setting that is different, as it was and as it is, without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its key in words.
    pub key: String,
    /// As it was; none: it was not there.
    pub before: Option<String>,
    /// As it is; none: it is not there any more.
    pub after: Option<String>,
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.keys().collect::<Vec<_>>().fmt(f)
    }
}

impl Written {
    /// Gathers the settings of a tree. `masked`: the parts of the `source` that are not to be shown; `marks`: of what was read from
    /// elsewhere, such as secrets, by the key that names it.
    #[must_use]
    pub fn gather(tree: &DeTable<'_>, source: &str, masked: &[Range<usize>], marks: BTreeMap<String, u128>) -> Self {
        let mut all = BTreeMap::new();
        table(tree, "", &mut |key, span| {
            let mark = xxh3_128(&source.as_bytes()[span.clone()]);
            all.insert(key, Setting { shown: shown(source, span, masked), mark });
        });
        for (key, mark) in marks {
            // Beside the key that says where it is read from, or instead of the secret that stands there.
            all.entry(key).and_modify(|setting| setting.mark ^= mark).or_insert(Setting { shown: STARS.into(), mark });
        }
        Self(all)
    }

    /// Every setting as it may be shown, by its key.
    pub fn shown(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, setting)| (key.as_str(), setting.shown.as_str()))
    }

    /// What is different in `later`.
    #[must_use]
    pub fn differences(&self, later: &Self) -> Vec<Difference> {
        let keys: std::collections::BTreeSet<&String> = self.0.keys().chain(later.0.keys()).collect();
        let different = keys.into_iter().filter(|key| self.0.get(*key) != later.0.get(*key));
        let side = |all: &Self, key: &String| all.0.get(key).map(|setting| setting.shown.clone());
        different.map(|key| Difference { key: key.clone(), before: side(self, key), after: side(later, key) }).collect()
    }

    /// Whether a table and everything in it is the same in both.
    #[must_use]
    pub fn same_in(&self, other: &Self, table: &[&str]) -> bool {
        let path = table.iter().map(|part| bare(part)).collect::<Vec<_>>().join(".");
        under(self, &path).eq(under(other, &path))
    }
}

/// What stands under a table.
fn under<'a>(all: &'a Written, path: &'a str) -> impl Iterator<Item = (&'a String, &'a Setting)> {
    all.0.iter().filter(move |(key, _)| {
        let rest = key.strip_prefix(path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    })
}

const STARS: &str = "***";

fn table(entries: &DeTable<'_>, path: &str, each: &mut dyn FnMut(String, Range<usize>)) {
    for (key, value) in entries {
        let key = bare(key.get_ref());
        let path = if path.is_empty() { key } else { format!("{path}.{key}") };
        one(value, path, each);
    }
}

fn one(value: &Spanned<DeValue<'_>>, path: String, each: &mut dyn FnMut(String, Range<usize>)) {
    match value.get_ref() {
        DeValue::Table(entries) => table(entries, &path, each),
        // A list of tables is as many settings; any other is one.
        DeValue::Array(elements) if elements.iter().any(|one| matches!(one.get_ref(), DeValue::Table(_))) => {
            for (at, element) in elements.iter().enumerate() {
                one(element, format!("{path}[{at}]"), each);
            }
        }
        _ => each(path, value.span()),
    }
}

/// A part of the file on one line, what is masked as stars.
fn shown(source: &str, span: Range<usize>, masked: &[Range<usize>]) -> String {
    let mut hidden: Vec<&Range<usize>> =
        masked.iter().filter(|range| range.start < span.end && range.end > span.start).collect();
    hidden.sort_by_key(|range| range.start);
    let (mut text, mut at) = (String::new(), span.start);
    for range in hidden {
        if range.end <= at {
            continue;
        }
        text.push_str(&source[at..range.start.max(at)]);
        text.push_str(STARS);
        at = range.end.min(span.end);
    }
    text.push_str(&source[at..span.end]);
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(source: &str, secrets: &[&str], marks: &[(&str, u128)]) -> Written {
        let (tree, errors) = DeTable::parse_recoverable(source);
        assert!(errors.is_empty());
        let masked: Vec<_> = secrets
            .iter()
            .map(|secret| source.find(secret).expect("there"))
            .zip(secrets)
            .map(|(at, secret)| at..at + secret.len())
            .collect();
        let marks = marks.iter().map(|(key, mark)| ((*key).to_owned(), *mark)).collect();
        Written::gather(tree.get_ref(), source, &masked, marks)
    }

    const OLD: &str = "a.b = 1\n[t.\"x y\"]\nlist = [1,\n  2]\nkey = \"sesame\"\nmany = [{ id = 1 }, { id = 2 }]\n";

    #[test]
    fn settings_stand_side_by_side_without_secrets() {
        let all = written(OLD, &["\"sesame\""], &[("t.\"x y\".from", 7)]);
        let want = [
            ("a.b", "1"),
            ("t.\"x y\".from", "***"),
            ("t.\"x y\".key", "***"),
            ("t.\"x y\".list", "[1, 2]"),
            ("t.\"x y\".many[0].id", "1"),
            ("t.\"x y\".many[1].id", "2"),
        ];
        assert_eq!(all.shown().collect::<Vec<_>>(), want);
        assert!(!format!("{all:?}").contains("sesame"));
    }

    #[test]
    fn what_is_different_is_told_and_what_is_secret_is_not() {
        let old = written(OLD, &["\"sesame\""], &[("t.\"x y\".from", 7)]);
        assert_eq!(old.differences(&old), []);
        let text = OLD.replace("sesame", "simsim").replace("a.b = 1", "a.c = 1");
        let new = written(&text, &["\"simsim\""], &[("t.\"x y\".from", 8)]);
        let stars = Some("***".to_owned());
        let want = [
            Difference { key: "a.b".into(), before: Some("1".into()), after: None },
            Difference { key: "a.c".into(), before: None, after: Some("1".into()) },
            Difference { key: "t.\"x y\".from".into(), before: stars.clone(), after: stars.clone() },
            Difference { key: "t.\"x y\".key".into(), before: stars.clone(), after: stars },
        ];
        assert_eq!(old.differences(&new), want);
        assert!(!old.same_in(&new, &["t", "x y"]) && !old.same_in(&new, &["a"]) && old.same_in(&new, &["other"]));
        let elsewhere = written(&OLD.replace("a.b = 1", "a.b = 2"), &["\"sesame\""], &[("t.\"x y\".from", 7)]);
        assert!(old.same_in(&elsewhere, &["t", "x y"]));
    }
}
