//! A table of broken configurations and one of unwise ones.

use forebay::config::{Level, Report};

use crate::surroundings::Place;

/// One configuration of a table, with what must be said about it.
struct Case<'a> {
    name: &'a str,
    text: &'a str,
    expected: Vec<Expected<'a>>,
}

#[derive(Debug)]
struct Expected<'a> {
    /// `line:column`, or `-`.
    place: &'a str,
    key: &'a str,
    phrase: &'a str,
}

fn cases(table: &str) -> Vec<Case<'_>> {
    let case = |text| {
        let (name, text) = str::split_once(text, '\n').expect("a name");
        let expected = text.lines().filter_map(|line| line.strip_prefix("#> ")).map(expected).collect();
        Case { name, text, expected }
    };
    table.split("\n=== ").skip(1).map(case).collect()
}

fn expected(line: &str) -> Expected<'_> {
    let (head, phrase) = line.split_once(" | ").expect("a phrase");
    let (place, key) = head.split_once(' ').expect("a place and a key");
    Expected { place, key: if key == "-" { "" } else { key }, phrase }
}

fn place(report: &Report, problem: &forebay::config::Problem) -> String {
    report.place(problem).map_or_else(|| "-".to_owned(), |(line, column)| format!("{line}:{column}"))
}

/// Checks that a report says exactly what is expected, every time with a hint and never with a secret.
fn check(case: &Case<'_>, report: &Report, level: Level) {
    let rendered = report.render(false);
    let mut left: Vec<_> = report.problems().iter().filter(|problem| problem.level == level).collect();
    for want in &case.expected {
        let found = left.iter().position(|problem| {
            let hint = problem.hint.as_deref().unwrap_or_default();
            let said = problem.message.contains(want.phrase) || hint.contains(want.phrase);
            said && problem.key == want.key && place(report, problem) == want.place
        });
        let Some(found) = found else { panic!("{}: {want:?} is not in\n{rendered}", case.name) };
        let problem = left.remove(found);
        assert!(problem.hint.as_ref().is_some_and(|hint| !hint.is_empty()), "{}: no hint: {problem:?}", case.name);
        if want.place != "-" {
            assert!(rendered.contains(&format!("--> test.toml:{}\n", want.place)), "{}: {rendered}", case.name);
        }
    }
    assert!(left.is_empty(), "{}: not expected: {left:#?}\n{rendered}", case.name);
    for shown in [&rendered, &report.render(true), &format!("{report:?}")] {
        assert!(!shown.contains("canary") && !shown.contains("770077"), "{}: a secret is shown\n{shown}", case.name);
    }
}

#[test]
fn every_broken_configuration_explains_itself() {
    let folder = Place::new();
    let cases = cases(include_str!("../fixtures/config/broken.txt"));
    assert!(cases.len() > 90, "only {} cases were found", cases.len());
    for case in &cases {
        assert!(!case.expected.is_empty(), "{} expects nothing", case.name);
        let Err(report) = folder.read(case.text) else { panic!("{} was taken for good", case.name) };
        check(case, &report, Level::Error);
    }
}

#[test]
fn unwise_configurations_are_warned_about() {
    let folder = Place::new();
    let cases = cases(include_str!("../fixtures/config/unwise.txt"));
    assert!(cases.len() > 10, "only {} cases were found", cases.len());
    for case in &cases {
        assert!(!case.expected.is_empty(), "{} expects nothing", case.name);
        let loaded = folder.read(case.text).unwrap_or_else(|report| panic!("{}: {report}", case.name));
        check(case, &loaded.warnings, Level::Warning);
        let answer = forebay::command::check::text(&loaded, false);
        let count = case.expected.len();
        let last = format!("configuration is valid ({count} warning{})\n", if count == 1 { "" } else { "s" });
        assert!(answer.ends_with(&last), "{}: {answer}", case.name);
        assert!(!answer.contains("canary"), "{}: a secret is shown\n{answer}", case.name);
    }
}

#[test]
fn all_problems_of_a_file_are_told_in_one_run() {
    let folder = Place::new();
    let report = folder.read(include_str!("../fixtures/config/many.toml")).expect_err("broken");
    let golden = include_str!("../fixtures/config/many.txt");
    let shown = report.render(false).replace(&*folder.path().to_string_lossy(), "/etc/forebay");
    assert_eq!(shown, golden, "\n{shown}");
    assert!(report.count(Level::Error) >= 12);
    let places: Vec<_> = report.problems().iter().map(|problem| report.place(problem)).collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn colours_only_when_asked_for() {
    let report = Place::new().read("[log]\nlevel = 1\n").expect_err("broken");
    assert!(!report.render(false).contains('\u{1b}'));
    assert!(report.render(true).contains('\u{1b}'));
}

#[test]
fn a_file_that_cannot_be_read_is_a_report_too() {
    let folder = Place::new();
    let absent = folder.path().join("absent.toml");
    let report = forebay::plan::load(&absent).expect_err("not there");
    assert!(report.render(false).contains("cannot read the configuration"), "{report}");
    assert!(report.render(false).contains("absent.toml"), "{report}");
    std::fs::write(&absent, b"\xff\xfe").expect("written");
    let report = forebay::plan::load(&absent).expect_err("not text");
    assert!(report.render(false).contains("not UTF-8"), "{report}");
}
