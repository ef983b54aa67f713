//! The files that are shipped, and an example with everything in it, held to the code.

use std::collections::BTreeSet;
use std::time::Duration;

use forebay::config::{Level, keys};
use forebay::deliver::{Order, Start, retry::Policy};
use forebay::plan::{Plan, defaults};
use forebay::sink::{Settings, webhook};
use toml::de::{DeTable, DeValue};

use crate::surroundings::Place;

const REFERENCE: &str = include_str!("../../config/forebay.toml");
const QUICKSTART: &str = include_str!("../../config/quickstart.toml");
const EXAMPLE: &str = include_str!("../fixtures/config/example.toml");

/// The reference with every setting switched on.
fn switched_on() -> String {
    let line = |line: &str| line.strip_prefix("# ").unwrap_or(line).to_owned() + "\n";
    REFERENCE.lines().map(line).collect()
}

fn plan(text: &str) -> Plan {
    let folder = Place::new();
    folder.read_with_credentials(text).unwrap_or_else(|report| panic!("{report}")).plan
}

#[test]
fn the_quickstart_runs_as_it_is() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/quickstart.toml");
    let loaded = forebay::plan::load(path.as_ref()).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(loaded.plan.topics[0].name.as_str(), "github");
    assert_eq!(loaded.plan.topics[0].validator.kind(), "github");
    assert!(matches!(loaded.plan.subscribers[0].sink, Settings::Stdout(_)));
    assert_eq!(loaded.plan.subscribers[0].name.as_str(), "console");
    let warnings: Vec<_> = loaded.warnings.problems().iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(warnings, ["topics.github.validator.secret"]);
    let answer = forebay::command::check::text(&loaded, false);
    assert!(answer.contains("http://127.0.0.1:8080/api/events/http/github"), "{answer}");
    assert!(!answer.contains("demo-secret"), "{answer}");
    assert!(QUICKSTART.lines().all(|line| !line.starts_with("# ")), "prose has two signs");
}

#[test]
fn an_example_with_everything_in_it() {
    let folder = Place::new();
    let text = EXAMPLE.replace("/run/secrets/bitbucket", "bitbucket");
    let loaded = folder.read(&text).unwrap_or_else(|report| panic!("{report}"));
    let answer = forebay::command::check::text(&loaded, false);
    let folder = folder.path().display().to_string();
    assert_eq!(answer.replace(&folder, "/etc/forebay"), include_str!("../fixtures/config/example.txt"), "\n{answer}");
}

#[test]
fn the_reference_parses_as_it_is_and_switched_on() {
    let as_it_is = plan(REFERENCE);
    assert_eq!((as_it_is.topics.len(), as_it_is.subscribers.len()), (1, 1));
    let all = plan(&switched_on_here());
    assert_eq!((all.topics.len(), all.subscribers.len()), (7, 4));
}

/// The reference with its paths led to files of the test, and without what this build cannot do.
fn switched_on_here() -> String {
    let all = switched_on();
    let (before, rest) = all.split_once("[otlp]").expect("the table");
    let (otlp, after) = rest.split_once("\n[").expect("another table");
    let otlp = if forebay::otlp::AVAILABLE { format!("[otlp]{otlp}") } else { String::new() };
    format!("{before}{otlp}\n[{after}")
        .replace("\"secrets/", "\"")
        .replace("tls/ca.pem", "cert.pem")
        .replace("tls/client.pem", "cert.pem")
        .replace("tls/client.key", "key.pem")
}

/// Every key the reader knows, and no other, stands in the reference.
#[test]
fn every_key_is_in_the_reference() {
    let text = switched_on();
    let tree = DeTable::parse(&text).unwrap_or_else(|error| panic!("{error}"));
    let mut shown = BTreeSet::new();
    tables(&mut shown, "", tree.get_ref());
    let mut known = BTreeSet::new();
    for (table, keys) in keys::TABLES {
        known.extend(keys.iter().map(|key| format!("{table}:{key}")));
    }
    let missing: Vec<_> = known.difference(&shown).collect();
    assert!(missing.is_empty(), "not in the reference: {missing:?}");
    let unknown: Vec<_> = shown.difference(&known).collect();
    assert!(unknown.is_empty(), "only in the reference: {unknown:?}");
    let words: BTreeSet<_> = REFERENCE.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').collect();
    for kind in forebay::validate::kinds() {
        assert!(words.contains(kind), "the reference does not name the validator `{kind}`");
    }
}

/// Notes all keys under the name `keys` has for their table.
fn tables(shown: &mut BTreeSet<String>, name: &str, table: &DeTable<'_>) {
    for (key, value) in table {
        let key = key.get_ref().as_ref();
        let below = match (name, key) {
            ("topics" | "subscribers", _) => format!("{name}.*"),
            (_, "secret" | "token" | "tokens" | "verify_token") | ("headers", _) => "secret".to_owned(),
            (_, "secrets") => "secrets.*".to_owned(),
            (_, "event_type" | "delivery_id" | "timestamp" | "id") => "source".to_owned(),
            (_, "headers") => "headers".to_owned(),
            ("subscribers.*", "sink") => sink(value.get_ref()),
            ("", _) => key.to_owned(),
            _ => format!("{name}.{key}"),
        };
        if !["topics", "subscribers", "headers"].contains(&name) {
            shown.insert(format!("{name}:{key}"));
        }
        match value.get_ref() {
            DeValue::Table(table) => tables(shown, &below, table),
            DeValue::Array(elements) => {
                let elements = elements.iter().filter_map(|element| element.get_ref().as_table());
                elements.for_each(|table| tables(shown, &below, table));
            }
            _ => {}
        }
    }
}

fn sink(table: &DeValue<'_>) -> String {
    let kind = table.get("type").and_then(|kind| kind.get_ref().as_str()).expect("a sink has a type");
    format!("sink.{kind}")
}

/// Every setting the reference shows with its default has that default: with it and without it a file means the same.
#[test]
fn the_reference_tells_the_defaults() {
    let here = Place::new();
    let read = |text: &str| here.read_with_credentials(text).unwrap_or_else(|report| panic!("{report}")).plan;
    let mut shown = read(&switched_on_here());
    let bare = read(
        r#"
        [topics.github]
        validator = { type = "github", secret = { env = "GITHUB_WEBHOOK_SECRET" } }
        [subscribers.archive]
        topics = ["github"]
        sink = { type = "file", path = "x", rotate = {} }
        [subscribers.ci]
        topics = ["github"]
        sink = { type = "webhook", url = "https://ci.example.com/hooks" }
        [subscribers.console]
        topics = ["*"]
        sink = { type = "stdout" }
        "#,
    );
    // What prose says has no default.
    assert!(shown.ingress.public_url.take().is_some() && bare.ingress.public_url.is_none());
    assert!(shown.admin.token.take().is_some() && bare.admin.token.is_none());
    assert_eq!(format!("{:?}", shown.ingress), format!("{:?}", bare.ingress));
    assert_eq!(format!("{:?}", shown.admin), format!("{:?}", bare.admin));
    assert_eq!(format!("{:?}", shown.journal), format!("{:?}", bare.journal));
    assert_eq!(format!("{:?}", shown.log), format!("{:?}", bare.log));

    let bus = read("[backstage]\nurl = \"http://localhost:7007\"").backstage.expect("it is there").settings;
    let mut reference = shown.backstage.take().expect("it is there").settings;
    assert_eq!((reference.tokens.drain(..).count(), bare.backstage.is_none()), (1, true));
    assert_eq!(format!("{reference:?}"), format!("{bus:?}"));

    let github = |plan: &Plan| {
        let topic = plan.topics.iter().find(|topic| topic.name.as_str() == "github").expect("there");
        let places = (topic.event_type[..1].to_vec(), topic.delivery_id[..1].to_vec());
        format!("{:?}", (topic.max_body, &topic.allow_from, topic.dedupe, &topic.accept, places))
    };
    assert_eq!(github(&shown), github(&bare));

    for bare in &bare.subscribers {
        let shown = shown.subscribers.iter().find(|shown| shown.name == bare.name).expect("there");
        assert_eq!((shown.start, shown.order, shown.retry), (bare.start, bare.order, bare.retry));
        match (&shown.sink, &bare.sink) {
            (Settings::Stdout(shown), Settings::Stdout(bare)) => assert_eq!(shown.format, bare.format),
            (Settings::File(shown), Settings::File(bare)) => {
                assert_eq!((shown.format, shown.rotate), (bare.format, bare.rotate));
            }
            (Settings::Webhook(shown), Settings::Webhook(bare)) => {
                let settings = |webhook: &webhook::Settings| {
                    (
                        webhook.timeout,
                        webhook.concurrency,
                        webhook.format,
                        webhook.give_up_on.clone(),
                        webhook.url.clone(),
                    )
                };
                assert_eq!(settings(shown), settings(bare));
            }
            other => panic!("not the same sink: {other:?}"),
        }
    }
}

/// The defaults themselves, so that nobody changes one without noticing.
#[test]
fn the_defaults_are_the_promised_ones() {
    let plan = plan("");
    let (ingress, journal) = (&plan.ingress, &plan.journal);
    assert_eq!(ingress.listen[0].to_string(), "127.0.0.1:8080");
    assert_eq!(plan.admin.listen[0].to_string(), "127.0.0.1:8081");
    assert_eq!((ingress.base_path.as_str(), ingress.max_connections), ("/api/events", 8192));
    assert_eq!((defaults::MAX_BODY, ingress.max_body_memory), (25 << 20, 256 << 20));
    assert_eq!((ingress.header_timeout, ingress.body_timeout), (Duration::from_secs(10), Duration::from_secs(30)));
    assert_eq!(ingress.drain_timeout, Duration::from_secs(30));
    assert_eq!((journal.path.to_str(), journal.min_free), (Some("/var/lib/forebay"), 256 << 20));
    assert_eq!((journal.retain_age, journal.retain_size), (Duration::from_secs(7 * 86400), 10 << 30));
    let sink = "[topics.a]\nvalidator = { type = \"none\" }\n[subscribers.a]\ntopics = [\"*\"]\n\
                sink = { type = \"webhook\", url = \"https://a.example\" }\n";
    let folder = Place::new();
    let plan = folder.read(sink).unwrap_or_else(|report| panic!("{report}")).plan;
    assert_eq!(plan.topics[0].dedupe, Some(Duration::from_secs(86400)));
    let subscriber = &plan.subscribers[0];
    assert_eq!((subscriber.start, subscriber.order), (Start::Now, Order::Parallel));
    let policy = Policy {
        first: Duration::from_secs(1),
        max: Duration::from_secs(3600),
        attempts: 16,
        max_age: Duration::from_secs(3 * 86400),
    };
    assert_eq!(subscriber.retry, policy);
    let Settings::Webhook(webhook) = &subscriber.sink else { panic!("not a webhook") };
    assert_eq!((webhook.timeout, webhook.concurrency), (Duration::from_secs(10), 8));
    assert_eq!(webhook.give_up_on, [400, 410, 413, 415, 422]);
    assert_eq!(folder.read(sink).expect("good").warnings.count(Level::Warning), 1);
}
