//! Dashboard, alerts and the table of metrics, held to what `/metrics` really has.

mod exposition;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use exposition::Exposition;
use forebay::event::Millis;
use forebay::metrics::Metrics;
use prometheus_client::metrics::histogram::Histogram;
use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Everything there is, each series shown at least once.
fn shown() -> Exposition {
    let seconds = || Histogram::new([1.0]);
    let metrics = Metrics::new(&seconds(), &seconds(), "always");
    metrics.topic("t").verdict("s", "ok");
    let _ = (metrics.with_bus(), metrics.spans());
    let _ = metrics.subscribers.of("s");
    metrics.secrets([("t", "s", Some(Millis(0)))].into_iter());
    Exposition::read(&metrics.render())
}

/// The labels of each series by its name, `le` of buckets included.
fn series() -> BTreeMap<String, BTreeSet<String>> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for sample in shown().families.iter().flat_map(|family| &family.samples) {
        all.entry(sample.name.clone()).or_default().extend(sample.labels.keys().cloned());
    }
    all
}

/// Labels that Prometheus adds to whatever it scrapes.
const ADDED: [&str; 2] = ["instance", "job"];

/// What an expression names.
#[derive(Debug, Default)]
struct Named {
    /// Metrics, each with the labels that it is asked for.
    metrics: BTreeMap<String, BTreeSet<String>>,
    /// Labels by which results are grouped or joined.
    groups: BTreeSet<String>,
}

/// Words of the language that are no metrics though no parenthesis follows.
const WORDS: [&str; 9] = ["and", "or", "unless", "offset", "bool", "Inf", "inf", "NaN", "atan2"];

/// Words that a list of labels follows.
const LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// Reads an expression of `PromQL` as far as to know what is a metric and what a label.
fn named(expression: &str) -> Named {
    let mut named = Named::default();
    let mut rest = expression;
    let mut last = None;
    while let Some(first) = rest.chars().next() {
        if first == '"' || first == '\'' {
            let end = rest[1..].find(first).unwrap_or_else(|| panic!("a text without an end: {expression}"));
            rest = &rest[end + 2..];
        } else if first == '[' {
            rest = rest.split_once(']').unwrap_or_else(|| panic!("a range without an end: {expression}")).1;
        } else if first == '{' {
            let (inside, after) = rest[1..].split_once('}').unwrap_or_else(|| panic!("no `}}`: {expression}"));
            let metric: String = last.take().unwrap_or_else(|| panic!("labels without a metric: {expression}"));
            let labels = named.metrics.get_mut(&metric).expect("it was named");
            // No value in these files holds a comma.
            for matcher in inside.split(',') {
                let label = matcher.trim().split(['=', '!']).next().unwrap_or_default();
                assert!(matcher.contains(['"', '\'']) && !label.is_empty(), "{matcher:?} in {expression}");
                labels.insert(label.trim().to_owned());
            }
            rest = after;
        } else if is_word(first) {
            let word: String = rest.chars().take_while(|c| is_word(*c)).collect();
            rest = rest[word.len()..].trim_start();
            last = None;
            if LISTS.contains(&word.as_str()) {
                let inside = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
                let (inside, after) = inside.unwrap_or_else(|| panic!("no list behind `{word}`: {expression}"));
                named.groups.extend(inside.split(',').map(|label| label.trim().to_owned()));
                rest = after;
            } else if !rest.starts_with('(')
                && !WORDS.contains(&word.as_str())
                && !first.is_ascii_digit()
                // What an aggregation is called, with its grouping before its argument.
                && !LISTS.iter().any(|list| rest.starts_with(&format!("{list} (")))
            {
                named.metrics.entry(word.clone()).or_default();
                last = Some(word);
            }
        } else {
            rest = &rest[first.len_utf8()..];
        }
    }
    named
}

#[test]
fn expressions_are_read() {
    let read = named(
        "histogram_quantile(0.99, sum by (a, le) (rate(m_bucket{x=\"1\", y!~\"sum(b)\"}[5m]))) > 1e3 \
         and on (instance) max_over_time(n[1h] offset 5m) unless o or absent(p{z=~'.*'}) < Inf",
    );
    let metrics: Vec<_> = read.metrics.keys().map(String::as_str).collect();
    assert_eq!(metrics, ["m_bucket", "n", "o", "p"]);
    assert_eq!(read.metrics["m_bucket"], ["x", "y"].map(str::to_owned).into());
    assert_eq!(read.metrics["p"], ["z".to_owned()].into());
    assert_eq!(read.groups, ["a", "le", "instance"].map(str::to_owned).into());
}

/// Checks an expression, and gives the labels its result may have.
fn check(expression: &str, series: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let named = named(expression);
    assert!(!named.metrics.is_empty(), "no metric was found in `{expression}`");
    let mut labels: BTreeSet<String> = ADDED.map(str::to_owned).into();
    for (metric, asked) in &named.metrics {
        let has = series.get(metric).unwrap_or_else(|| panic!("there is no `{metric}`: {expression}"));
        for label in asked {
            assert!(
                has.contains(label) || ADDED.contains(&label.as_str()),
                "`{metric}` has no `{label}`: {expression}"
            );
        }
        labels.extend(has.iter().cloned());
    }
    for label in &named.groups {
        assert!(labels.contains(label), "nothing in it has a label `{label}`: {expression}");
    }
    // What was grouped by is all that is left.
    if named.groups.is_empty() { labels } else { named.groups.into_iter().chain(ADDED.map(str::to_owned)).collect() }
}

/// The names in `$labels.name` or `{{name}}` of a text.
fn templated<'a>(text: &'a str, begin: &str) -> Vec<&'a str> {
    let name = |rest: &'a str| rest.split(|c| !is_word(c)).next().unwrap_or_default();
    text.split(begin).skip(1).map(|rest| name(rest.trim_start())).collect()
}

#[test]
fn alerts_ask_for_what_there_is() {
    let series = series();
    let documents = YamlLoader::load_from_str(&read("config/alerts.yml")).expect("YAML");
    let [document] = &documents[..] else { panic!("one document") };
    let rules: Vec<&Yaml> = document["groups"]
        .as_vec()
        .expect("groups")
        .iter()
        .flat_map(|group| group["rules"].as_vec().expect("rules"))
        .collect();
    let mut names = BTreeSet::new();
    for rule in &rules {
        let name = rule["alert"].as_str().expect("an alert has a name");
        assert!(name.starts_with("Forebay") && names.insert(name), "{name}");
        let labels = check(rule["expr"].as_str().expect("an expression"), &series);
        assert!(matches!(rule["labels"]["severity"].as_str(), Some("critical" | "warning")), "{name}: no severity");
        let keys: BTreeSet<_> =
            rule["annotations"].as_hash().expect("annotations").keys().filter_map(Yaml::as_str).collect();
        assert_eq!(keys, ["summary", "description", "action"].into(), "{name}");
        for (_, text) in rule["annotations"].as_hash().expect("annotations") {
            let text = text.as_str().unwrap_or_else(|| panic!("{name}: {text:?}"));
            assert!(text.len() > 20, "{name}: {text}");
            for label in templated(text, "$labels.") {
                assert!(labels.contains(label), "{name} speaks of `{label}`, which its result has not");
            }
            // Metrics that a text sends the reader to.
            for metric in text.split('`').skip(1).step_by(2).filter(|word| word.starts_with("forebay_")) {
                let is = |name: &String| *name == metric || name.strip_suffix("_bucket") == Some(metric);
                assert!(series.keys().any(is), "{name} speaks of `{metric}`, which is not there");
            }
        }
        let wait = rule["for"].as_str().unwrap_or("0s");
        assert!(wait.trim_end_matches(['s', 'm', 'h']).parse::<u32>().is_ok(), "{name}: {wait}");
        let known = ["alert", "expr", "for", "labels", "annotations"];
        assert!(
            rule.as_hash().expect("a rule").keys().all(|key| key.as_str().is_some_and(|key| known.contains(&key))),
            "{name}"
        );
    }
    assert!(rules.len() >= 15, "only {} alerts were found", rules.len());
}

/// The expressions of a panel with their legends, variables filled in.
fn targets(panel: &Value) -> Vec<(String, &str)> {
    let targets = panel["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
    let filled = |text: &str| text.replace("$__rate_interval", "5m").replace("$__range", "1h");
    targets
        .iter()
        .map(|target| {
            (
                filled(target["expr"].as_str().expect("an expression")),
                target["legendFormat"].as_str().expect("a legend"),
            )
        })
        .collect()
}

#[test]
fn the_dashboard_asks_for_what_there_is() {
    let series = series();
    let dashboard: Value = serde_json::from_str(&read("config/grafana-dashboard.json")).expect("JSON");
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    assert_eq!(variables[0]["type"], "datasource");
    let names: BTreeSet<_> = variables.iter().filter_map(|variable| variable["name"].as_str()).collect();
    for variable in &variables[1..] {
        let query = variable["definition"].as_str().expect("a query");
        assert_eq!(variable["query"]["query"], query);
        let inside = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
        let (metric, label) = inside.and_then(|inside| inside.split_once(", ")).expect("a metric and a label");
        let has = series.get(metric).unwrap_or_else(|| panic!("there is no `{metric}`"));
        assert!(has.contains(label) || ADDED.contains(&label), "`{metric}` has no `{label}`");
    }
    let panels = dashboard["panels"].as_array().expect("panels");
    let (mut ids, mut rows, mut asked, mut taken) = (BTreeSet::new(), Vec::new(), 0, BTreeSet::new());
    for panel in panels {
        let title = panel["title"].as_str().expect("a title");
        assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{title}: its id is taken");
        let place = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().expect("a place"));
        let [x, y, width, height] = place;
        assert!(x + width <= 24, "{title} sticks out");
        for cell in (x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y))) {
            assert!(taken.insert(cell), "{title} lies on another panel");
        }
        if panel["type"] == "row" {
            rows.push(title);
            continue;
        }
        assert!(panel["description"].as_str().is_some_and(|text| text.len() > 10), "{title}: nothing is said about it");
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title}: no unit");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        for (expression, legend) in targets(panel) {
            asked += 1;
            let labels = check(&expression, &series);
            assert!(!legend.is_empty(), "{title}: no legend");
            for label in templated(legend, "{{") {
                assert!(labels.contains(label), "{title}: `{label}` is not in the result of `{expression}`");
            }
            for variable in templated(&expression, "$") {
                assert!(names.contains(variable), "{title}: there is no variable `{variable}`");
            }
        }
    }
    assert_eq!(rows, ["Ingress", "Journal", "Deliveries", "Process"]);
    assert!(asked >= 30, "only {asked} expressions were found");
}

#[test]
fn every_metric_is_documented() {
    let document = read("docs/observability.md");
    let table = document.split("| metric | type |").nth(1).expect("a table");
    let mut told = BTreeMap::new();
    for row in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, says] = cells[..] else { panic!("{row}") };
        let labels: BTreeSet<_> = labels
            .split(", ")
            .map(|label| label.trim_matches('`').to_owned())
            .filter(|label| !label.is_empty())
            .collect();
        assert!(says.len() > 10, "{row}");
        assert!(told.insert(name.trim_matches('`').to_owned(), (kind.to_owned(), labels)).is_none(), "{row}");
    }
    let mut there = BTreeMap::new();
    for family in shown().families {
        let suffix = match family.kind.as_str() {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let labels =
            family.samples.iter().flat_map(|sample| sample.labels.keys().cloned()).filter(|label| label != "le");
        there.insert(format!("{}{suffix}", family.name), (family.kind, labels.collect()));
    }
    assert!(there.len() > 25, "{there:?}");
    for (name, metric) in &there {
        assert_eq!(told.get(name), Some(metric), "what the table says of `{name}`");
    }
    assert!(told.keys().all(|name| there.contains_key(name)), "the table has metrics that are not there: {told:?}");
}
