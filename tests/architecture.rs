//! Who may import whom, and that `ARCHITECTURE.md` tells of the tree there is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules, in groups: each imports only from groups above it, and from those before it in its own.
const ORDER: &[&[&str]] = &[
    &["event", "secret", "name", "json", "trace", "metrics", "signature", "filter", "api"],
    &["config"],
    &["validate", "topic"],
    &["journal"],
    &["route", "sink", "bus", "deliver"],
    &["http"],
    &["otlp", "plan", "app"],
    &["cli", "logging", "command"],
];

/// What the order would allow, and is not to be, and why.
const NEVER: &[(&str, &[&str], &str)] = &[
    ("journal", &["validate", "topic", "config", "signature"], "it keeps what it is given"),
    ("sink", &["journal", "validate", "topic", "config"], "it delivers what it is handed"),
    ("route", &["journal", "validate", "topic", "config"], "it is a pure question"),
    ("deliver", &["validate", "topic", "config", "signature"], "the way out does not know the way in"),
    ("http", &["sink", "deliver", "route", "config"], "the way in does not know the way out"),
    ("app", &["config"], "what is written is `plan`'s to read"),
    ("command", &["journal"], "one process owns a journal"),
];

/// Exceptions from [`NEVER`]: the name of a setting, behind which is no journal; the proof that a request is genuine,
/// without which there is no record; and how durations are written, which is the same wherever people write them.
const EXCEPT: &[(&str, &str)] =
    &[("command", "journal::Sync"), ("journal", "validate::Verified"), ("http", "config::duration")];

/// Words that only some places may use: the word, the beginnings of the paths of these, and why.
const ONLY: &[(&str, &[&str], &str)] = &[
    ("rusqlite", &["src/journal/state/store"], "another store is a change of one module"),
    (
        "sync_data(",
        &["src/journal/disk.rs", "src/sink/file/"],
        "what counts as being on the disk is said in one place a half",
    ),
    ("sync_all(", &["src/journal/disk.rs", "src/sink/file/"], "as above"),
    ("SystemTime::now(", &["src/event.rs"], "there is one clock"),
    ("Journal::open(", &["src/app/", "src/journal/"], "a journal has one owner"),
    ("State::open(", &["src/app/", "src/journal/"], "a journal has one owner"),
    ("RealDisk::open(", &["src/app/", "src/journal/"], "a journal has one owner"),
    ("sink::open(", &["src/app/"], "only what was planned is opened"),
    ("Listener::bind(", &["src/app/", "src/http/listener.rs"], "only what was planned is opened"),
    ("println!(", &["src/build.rs"], "standard output is a sink's, or a command's by `say`"),
    ("toml::", &["src/config/", "src/plan/mod.rs", "src/plan/syntax.rs"], "nothing else knows the file's language"),
    ("clap::", &["src/cli/", "src/main.rs", "src/command/"], "nothing else knows the command line"),
];

/// Crates and clocks a module stays clear of, and why.
const CLEAR: &[(&str, &[&str], &str)] = &[
    ("validate", &["tokio", "hyper", "Instant", "SystemTime", "Millis::now"], "it is told the time and the request"),
    ("signature", &["tokio", "hyper", "Instant", "SystemTime", "Millis::now"], "it is told the time and the request"),
    ("json", &["tokio", "hyper", "Instant", "SystemTime"], "pure"),
    ("route", &["tokio", "hyper", "Instant", "SystemTime"], "pure"),
    ("filter", &["tokio", "hyper", "Instant", "SystemTime", "Millis::now"], "pure"),
    ("name", &["tokio", "hyper", "Instant", "SystemTime"], "pure"),
    ("config", &["tokio", "hyper", "std::fs", "std::env"], "the file as written, without effects"),
    ("plan", &["tokio", "hyper"], "nothing is opened before `app`"),
    ("journal", &["hyper", "http::"], "it keeps bytes, whatever brought them"),
    ("sink", &["prometheus_client"], "its worker counts"),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file under `src`, by its path from the root, without comments and what is only for tests.
fn sources() -> BTreeMap<String, String> {
    fn gather(folder: &Path, into: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                gather(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
                let text = fs::read_to_string(&path).expect("UTF-8");
                let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
                let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
                let name = path.strip_prefix(root()).expect("below the root").to_str().expect("UTF-8").to_owned();
                into.insert(name, lines.collect::<Vec<_>>().join("\n"));
            }
        }
    }
    let mut all = BTreeMap::new();
    gather(&root().join("src"), &mut all);
    assert!(all.len() > 50, "there is a tree to look at");
    all
}

/// The module a file belongs to; none for the program, the map and the build script.
fn module(path: &str) -> Option<&str> {
    let first = path.strip_prefix("src/")?.split('/').next()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (!matches!(name, "main" | "lib" | "build")).then_some(name)
}

/// Every path that begins with `crate::`, up to its second name: `journal::Sync`, or `journal` alone. Of a list in
/// braces each member counts.
fn imports(code: &str) -> BTreeSet<String> {
    let word = |text: &str| -> String { text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let members = |text: &str| -> Vec<String> {
        let inside = text.strip_prefix('{').and_then(|rest| rest.split('}').next());
        inside.map_or_else(|| vec![word(text)], |inside| inside.split(',').map(|name| word(name.trim())).collect())
    };
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        for name in members(rest).into_iter().filter(|name| !name.is_empty()) {
            match rest[name.len().min(rest.len())..].strip_prefix("::") {
                Some(behind) if !rest.starts_with('{') => {
                    found.extend(members(behind).iter().map(|second| format!("{name}::{second}")));
                }
                _ => drop(found.insert(name)),
            }
        }
    }
    found
}

#[test]
fn imports_are_found_however_they_are_written() {
    let code =
        "use crate::a::B;\nuse crate::{c, d};\nuse crate::e::{self, F,\n G};\nlet x = crate::h::i();\nuse crate::j;";
    let found: Vec<_> = imports(code).into_iter().collect();
    assert_eq!(found, ["a::B", "c", "d", "e::F", "e::G", "e::self", "h::i", "j"]);
}

#[test]
fn the_order_names_every_module_and_no_other() {
    let there: BTreeSet<String> = sources().keys().filter_map(|path| module(path)).map(str::to_owned).collect();
    let listed: Vec<_> = ORDER.iter().copied().flatten().map(|name| (*name).to_owned()).collect();
    assert_eq!(listed.len(), listed.iter().collect::<BTreeSet<_>>().len(), "each once");
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), there);
    let rules = NEVER.iter().map(|rule| (rule.0, rule.1)).flat_map(|(from, to)| [&[from], to].concat());
    for name in rules.chain(CLEAR.iter().map(|rule| rule.0)) {
        assert!(there.contains(name), "a rule names `{name}`, which is no module");
    }
}

/// The order in `lib.rs`, which readers see, is the one that is checked.
#[test]
fn the_map_shows_the_same_groups() {
    let code = &sources()["src/lib.rs"];
    let groups: Vec<BTreeSet<&str>> = code
        .split("\n\n")
        .map(|group| group.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect())
        .filter(|group: &BTreeSet<&str>| !group.is_empty())
        .collect();
    let order: Vec<BTreeSet<&str>> = ORDER.iter().map(|group| group.iter().copied().collect()).collect();
    assert_eq!(groups, order);
}

#[test]
fn each_module_imports_only_from_above() {
    let flat: Vec<&str> = ORDER.iter().copied().flatten().copied().collect();
    let place = |name: &str| flat.iter().position(|listed| *listed == name);
    let (mut seen, mut wrong, mut excused) = (0, Vec::new(), BTreeSet::new());
    for (path, code) in sources() {
        let Some(from) = module(&path) else { continue };
        for import in imports(&code) {
            let to = import.split("::").next().unwrap_or_default();
            let Some(of) = place(to).filter(|_| to != from) else {
                assert!(to == from, "`{path}` imports `{import}`, which is in no group");
                continue;
            };
            seen += 1;
            if Some(of) > place(from) {
                wrong.push(format!("{path}: `{import}` comes after `{from}`"));
            }
            for (_, _, why) in NEVER.iter().filter(|rule| rule.0 == from && rule.1.contains(&to)) {
                match EXCEPT.iter().find(|except| **except == (from, import.as_str())) {
                    Some(except) => drop(excused.insert(*except)),
                    None => wrong.push(format!("{path}: `{from}` must not know `{import}`: {why}")),
                }
            }
        }
    }
    assert!(seen > 100, "only {seen} imports were found");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_eq!(excused.len(), EXCEPT.len(), "an exception is no longer needed");
}

#[test]
fn some_words_stand_in_few_places() {
    let mut wrong = Vec::new();
    for (word, places, why) in ONLY {
        for place in *places {
            let there = sources().keys().any(|path| path.starts_with(place));
            assert!(there, "a rule names `{place}`, which is not there");
        }
        let mut found = false;
        for path in sources().iter().filter(|(_, code)| mentions(code, word)).map(|(path, _)| path) {
            found = true;
            if !places.iter().any(|place| path.starts_with(place)) {
                wrong.push(format!("{path}: `{word}` does not belong here: {why}"));
            }
        }
        assert!(found, "`{word}` stands nowhere: the rule about it keeps nothing out");
    }
    for (name, words, why) in CLEAR {
        for (path, code) in sources().iter().filter(|(path, _)| module(path) == Some(name)) {
            for word in words.iter().filter(|word| mentions(code, word)) {
                wrong.push(format!("{path}: `{name}` stays clear of `{word}`: {why}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Whether a word stands in the code, and not as the end of a longer one.
fn mentions(code: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let behind = code[at + word.len()..].chars().next();
        let open = word.ends_with(inside) && behind.is_some_and(inside);
        !open && !code[..at].ends_with(inside)
    })
}

/// The paths a document names in backticks.
fn named(document: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(document)).expect(document);
    let prose: String = text.split("```").step_by(2).collect();
    let spans = prose.split('`').skip(1).step_by(2);
    let is_path = |span: &&str| {
        ["src/", "tests/", "benches/", "config/", "systemd/", ".ci/"].iter().any(|top| span.starts_with(top))
            && !span.contains([' ', '{', '*'])
    };
    spans.filter(is_path).map(str::to_owned).collect()
}

#[test]
fn the_document_names_what_there_is() {
    let paths = named("ARCHITECTURE.md");
    assert!(paths.len() > 30, "{paths:?}");
    for path in &paths {
        assert!(root().join(path).exists(), "`{path}` is not there");
        assert_eq!(path.ends_with('/'), root().join(path).is_dir(), "`{path}`: folders end with `/`");
    }
}

#[test]
fn the_document_names_every_module() {
    let named = named("ARCHITECTURE.md");
    for entry in fs::read_dir(root().join("src")).expect("a folder") {
        let entry = entry.expect("an entry");
        let slash = if entry.path().is_dir() { "/" } else { "" };
        let path = format!("src/{}{slash}", entry.file_name().to_str().expect("UTF-8"));
        assert!(named.contains(&path), "the document does not name `{path}`");
    }
}
