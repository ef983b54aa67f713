//! What `/metrics` gives, read as the `OpenMetrics` text format 1.0 has it, and refused where it is not that.

use std::collections::{BTreeMap, BTreeSet};

/// Labels by name.
pub(crate) type Labels = BTreeMap<String, String>;

/// One line with a value.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// With the suffix of its type.
    pub(crate) name: String,
    pub(crate) labels: Labels,
    pub(crate) value: f64,
}

/// A metric: all samples under one name.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) samples: Vec<Sample>,
}

/// The whole answer.
#[derive(Debug)]
pub(crate) struct Exposition {
    pub(crate) families: Vec<Family>,
}

impl Exposition {
    /// Reads it.
    pub(crate) fn read(text: &str) -> Self {
        let mut families: Vec<Family> = Vec::new();
        let body = text.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("it does not end with `# EOF`: {text}"));
        let mut said = BTreeSet::new();
        for line in body.lines() {
            let Some(meta) = line.strip_prefix("# ") else {
                let family = families.last_mut().unwrap_or_else(|| panic!("a sample without a family: {line}"));
                family.samples.push(sample(line));
                continue;
            };
            let [word, name, rest] = meta.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            assert!(said.insert((word.to_owned(), name.to_owned())), "said twice: {line}");
            if families.last().is_none_or(|family| family.name != name) {
                families.push(Family { name: name.to_owned(), kind: String::new(), samples: Vec::new() });
            }
            let family = families.last_mut().expect("just pushed");
            assert!(family.samples.is_empty(), "said after its samples: {line}");
            match word {
                "HELP" => assert!(rest.len() > 5, "no help: {line}"),
                "TYPE" => rest.clone_into(&mut family.kind),
                "UNIT" => assert!(name.ends_with(&format!("_{rest}")), "the name does not end with the unit: {line}"),
                _ => panic!("neither help nor type nor unit: {line}"),
            }
        }
        let names: BTreeSet<_> = families.iter().map(|family| family.name.as_str()).collect();
        assert_eq!(names.len(), families.len(), "a family stands in two places");
        families.iter().for_each(check);
        Self { families }
    }
}

fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("no value: {line}"));
    let (name, mut rest) = line.split_at(end);
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("no label: {line}"));
            let mut value = String::new();
            let mut chars = after.char_indices();
            let end = loop {
                match chars.next().unwrap_or_else(|| panic!("a label without an end: {line}")) {
                    (at, '"') => break at,
                    (_, '\\') => value.push(match chars.next() {
                        Some((_, 'n')) => '\n',
                        Some((_, c @ ('"' | '\\'))) => c,
                        other => panic!("no such escape: {other:?} in {line}"),
                    }),
                    (_, c) => value.push(c),
                }
            };
            assert!(labels.insert(label.to_owned(), value).is_none(), "a label twice: {line}");
            rest = after[end + 1..].trim_start_matches(',');
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ').unwrap_or_else(|| panic!("no space before the value: {line}"));
    Sample { name: name.to_owned(), labels, value: value.parse().unwrap_or_else(|_| panic!("no number: {line}")) }
}

fn check(family: &Family) {
    let name = &family.name;
    let is_name = |text: &str| {
        text.chars().next().is_some_and(|c| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    assert!(is_name(name), "{name}");
    let mut seen = BTreeSet::new();
    for sample in &family.samples {
        let suffix = sample.name.strip_prefix(name.as_str()).unwrap_or_else(|| panic!("{sample:?} is not of `{name}`"));
        let fits: &[&str] = match family.kind.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "info" => &["_info"],
            "histogram" => &["_bucket", "_count", "_sum"],
            other => panic!("`{name}` is of type `{other}`"),
        };
        assert!(fits.contains(&suffix), "{sample:?} in a {}", family.kind);
        assert!(seen.insert((&sample.name, &sample.labels)), "there twice: {sample:?}");
        assert!(sample.labels.keys().all(|label| is_name(label)), "{sample:?}");
        assert!(!sample.value.is_nan() && (family.kind == "gauge" || sample.value >= 0.0), "{sample:?}");
    }
    if family.kind == "histogram" {
        histogram(family);
    }
}

/// Buckets rise, in their bounds and in what they hold, up to the one that holds all.
fn histogram(family: &Family) {
    let part = |suffix: &str| {
        let name = format!("{}{suffix}", family.name);
        family.samples.iter().filter(move |sample| sample.name == name)
    };
    let mut buckets: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    for sample in part("_bucket") {
        let mut of = sample.labels.clone();
        let bound = of.remove("le").unwrap_or_else(|| panic!("a bucket without a bound: {sample:?}"));
        buckets.entry(of).or_default().push((bound.parse().expect("a number"), sample.value));
    }
    for (of, buckets) in &buckets {
        assert!(buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1), "{of:?}: {buckets:?}");
        let count = part("_count").find(|sample| sample.labels == *of).unwrap_or_else(|| panic!("no count of {of:?}"));
        let all = (f64::INFINITY, count.value);
        assert!(
            buckets.last().is_some_and(|last| last.0.total_cmp(&all.0).is_eq() && (last.1 - all.1).abs() < 0.5),
            "{of:?}: {buckets:?}"
        );
        assert!(part("_sum").any(|sample| sample.labels == *of), "no sum of {of:?}");
    }
    assert_eq!(part("_count").count(), buckets.len(), "`{}`: a count without buckets", family.name);
}
