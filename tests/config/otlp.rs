//! The table `[otlp]`, in builds that know what to do with it and in others.

use forebay::config::Level;
use forebay::otlp::AVAILABLE;

use crate::surroundings::Place;

const REST: &str =
    "[topics.a]\nvalidator = { type = \"none\" }\n[subscribers.a]\ntopics = [\"*\"]\nsink = { type = \"stdout\" }\n";

const FULL: &str = r#"
[otlp]
endpoint = "http://127.0.0.1:4318/base/"
headers = { authorization = { env = "CI_TOKEN" } }
sample = 0.25
rate = 7
service_name = "hooks"
"#;

#[test]
fn what_a_build_cannot_do_is_refused() {
    let read = Place::new().read(&format!("{FULL}{REST}"));
    if AVAILABLE {
        let loaded = read.unwrap_or_else(|report| panic!("{report}"));
        let otlp = loaded.plan.otlp.as_ref().expect("configured");
        assert_eq!(otlp.endpoint.to_string(), "http://127.0.0.1:4318/base/v1/traces");
        assert_eq!((otlp.headers.len(), otlp.rate, otlp.service_name.as_str()), (1, 7, "hooks"));
        assert!((otlp.sample - 0.25).abs() < f64::EPSILON);
        let answer = forebay::command::check::text(&loaded, false);
        for line in
            ["endpoint   http://127.0.0.1:4318/base/v1/...", "25 % of what begins here, at most 7 a second", "hooks"]
        {
            assert!(answer.contains(line), "{answer}");
        }
        assert!(!answer.contains("variable-of-the-environment"), "{answer}");
    } else {
        let report = read.expect_err("refused");
        let mut errors = report.problems().iter().filter(|problem| problem.level == Level::Error);
        let (Some(problem), None) = (errors.next(), errors.next()) else { panic!("{report}") };
        assert_eq!(problem.key, "otlp");
        assert!(problem.message.contains("without the feature `otlp`"), "{report}");
        assert!(problem.hint.as_ref().is_some_and(|hint| hint.contains("--features otlp")), "{report}");
    }
}

#[test]
fn what_the_file_does_not_say() {
    let read = Place::new().read(&format!("[otlp]\nendpoint = \"http://localhost:4318\"\n{REST}"));
    assert_eq!(read.is_ok(), AVAILABLE);
    let Ok(loaded) = read else { return };
    let otlp = loaded.plan.otlp.expect("configured");
    assert_eq!((otlp.endpoint.to_string().as_str(), otlp.headers.len()), ("http://localhost:4318/v1/traces", 0));
    assert_eq!((otlp.rate, otlp.service_name.as_str()), (100, "forebay"));
    assert!((otlp.sample - 1.0).abs() < f64::EPSILON);
    let plain = Place::new().read(REST).unwrap_or_else(|report| panic!("{report}"));
    assert!(plain.plan.otlp.is_none());
}

/// Every value is looked at, whatever the build can do.
#[test]
fn wrong_values_are_told() {
    for (line, key, phrase) in [
        ("sample = 2", "otlp.sample", "out of range"),
        ("sample = -0.5", "otlp.sample", "out of range"),
        ("sample = nan", "otlp.sample", "out of range"),
        ("sample = \"all\"", "otlp.sample", "a number"),
        ("rate = 0", "otlp.rate", "out of range"),
        ("service_name = \"\"", "otlp.service_name", "not a name"),
        ("endpoint = \"localhost:4318\"", "otlp.endpoint", ""),
        ("endpoint = \"http://169.254.169.254\"", "otlp.endpoint", "link-local"),
        ("endpoint = \"http://localhost/?token=canary\"", "otlp.endpoint", "query"),
        ("headers = { content-type = \"text/plain\" }", "otlp.headers.content-type", "itself"),
        ("headers = { x-token = { env = \"NOT_THERE\" } }", "otlp.headers.x-token", ""),
        ("speed = 1", "otlp.speed", "unknown"),
        ("", "otlp.endpoint", "no `endpoint`"),
    ] {
        let endpoint =
            if line.is_empty() || line.starts_with("endpoint") { "" } else { "endpoint = \"http://localhost:4318\"" };
        let report = Place::new().read(&format!("[otlp]\n{endpoint}\n{line}\n{REST}")).expect_err(line);
        let found =
            report.problems().iter().find(|problem| problem.key.starts_with(key) && problem.message.contains(phrase));
        assert!(found.is_some(), "{line}: {report}");
        assert!(!report.render(false).contains("canary"), "{report}");
    }
}

#[test]
fn another_collector_wants_a_restart() {
    for key in ["otlp", "otlp.endpoint", "otlp.headers.x"] {
        assert!(forebay::plan::needs_restart(key), "{key}");
    }
}
