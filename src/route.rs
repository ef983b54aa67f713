//! Does this subscriber want this event? Pure.
//!
//! - [`compare`]: which way events would go if subscribers wanted something else.

pub mod compare;

use std::ops::Deref;
use std::sync::Arc;

use crate::event::Event;
use crate::filter::{Failure, Filter, Parsed, Verdict};
use crate::name::Pattern;

/// What a subscriber wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Route {
    /// By topic and type; one pattern is enough, and an event is wanted once, however many match.
    pub patterns: Vec<Pattern>,
    /// What must hold of those besides; none: nothing.
    pub filter: Option<Arc<Filter>>,
}

/// What becomes of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is wanted.
    Taken,
    /// No pattern matches it.
    Unmatched,
    /// The filter is false.
    Filtered,
    /// The filter could not be calculated, which counts as false.
    Failed(Failure),
}

impl Route {
    /// Whether any of the patterns matches: whether it could be wanted, as far as topic and type tell.
    #[must_use]
    pub fn matches(&self, topic: &str, kind: Option<&str>) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(topic, kind))
    }

    /// What becomes of an event. `parsed` gives its body, and is asked only by filters that look at it.
    pub fn decide<P: Deref<Target = Parsed>>(&self, event: &Event, parsed: impl FnOnce() -> P) -> Decision {
        if self.matches(&event.topic, event.kind.as_deref()) { self.judge(event, parsed) } else { Decision::Unmatched }
    }

    /// What becomes of an event that the patterns match.
    pub fn judge<P: Deref<Target = Parsed>>(&self, event: &Event, parsed: impl FnOnce() -> P) -> Decision {
        let Some(filter) = &self.filter else { return Decision::Taken };
        let verdict =
            if filter.reads_body() { filter.matches(event, &parsed()) } else { filter.matches(event, &Parsed::NoJson) };
        match verdict {
            Verdict::Yes => Decision::Taken,
            Verdict::No => Decision::Filtered,
            Verdict::Failed(failure) => Decision::Failed(failure),
        }
    }

    /// In a few lines, to be kept and read again: the patterns, and the filter as a JSON string behind [`FILTER`].
    #[must_use]
    pub fn to_record(&self) -> String {
        let patterns = self.patterns.iter().map(|pattern| pattern.as_str().to_owned());
        let filter = self.filter.iter().map(|filter| format!("{FILTER}{}", serde_json::json!(filter.text())));
        patterns.chain(filter).collect::<Vec<_>>().join("\n")
    }

    /// What was kept. What this version cannot read is left out.
    #[must_use]
    pub fn from_record(text: &str) -> Self {
        let filter = text.lines().find_map(|line| line.strip_prefix(FILTER));
        let filter = filter.and_then(|text| serde_json::from_str::<String>(text).ok());
        Self {
            patterns: text.lines().filter_map(|line| Pattern::parse(line).ok()).collect(),
            filter: filter.and_then(|text| Filter::compile(&text).ok()).map(Arc::new),
        }
    }
}

/// What a line with a filter begins with. No pattern holds a blank before its first `.`.
const FILTER: &str = "filter ";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::tests::event;

    fn route(patterns: &[&str], filter: Option<&str>) -> Route {
        Route {
            patterns: patterns.iter().map(|text| Pattern::parse(text).expect("a pattern")).collect(),
            filter: filter.map(|text| Arc::new(Filter::compile(text).expect("a filter"))),
        }
    }

    #[test]
    fn patterns_and_filter_decide() {
        let push = event(Some("push"), &[], r#"{"ref":"main"}"#);
        let cases = [
            (route(&["github"], None), Decision::Taken),
            (route(&["gitlab", "*.push"], None), Decision::Taken),
            (route(&["gitlab"], None), Decision::Unmatched),
            (route(&["gitlab"], Some("true")), Decision::Unmatched),
            (route(&["*"], Some("body.ref == 'main'")), Decision::Taken),
            (route(&["*"], Some("body.ref == 'other'")), Decision::Filtered),
            (route(&[], Some("true")), Decision::Unmatched),
        ];
        for (route, want) in cases {
            assert_eq!(route.decide(&push, || Box::new(Parsed::of(&push))), want, "{route:?}");
        }
        let failed = route(&["*"], Some("body.none == 1")).decide(&push, || Box::new(Parsed::of(&push)));
        let Decision::Failed(failure) = failed else { panic!("{failed:?}") };
        assert_eq!((failure.offset, failure.reason.as_str()), (5, "there is no `none`"));
    }

    #[test]
    fn a_body_is_asked_for_only_if_it_is_looked_at() {
        let push = event(Some("push"), &[], "{}");
        for (filter, asks) in [(None, false), (Some("type == 'push'"), false), (Some("body == {}"), true)] {
            let mut asked = false;
            let parsed = || {
                asked = true;
                Box::new(Parsed::of(&push))
            };
            assert_eq!(route(&["*"], filter).decide(&push, parsed), Decision::Taken);
            assert_eq!(asked, asks, "{filter:?}");
        }
        route(&["gitlab"], Some("body == {}")).decide(&push, || -> Box<Parsed> { panic!("no pattern matches") });
    }

    #[test]
    fn a_record_says_the_same() {
        for route in [
            route(&["*"], None),
            route(&["github.push", "git*.a b\"c"], Some("topic == \"a.b\"\n  && true // \"c\"\n")),
            route(&["filter.x", "filter"], Some("true")),
            Route::default(),
        ] {
            let record = route.to_record();
            assert_eq!(Route::from_record(&record), route, "{record}");
        }
        assert_eq!(Route::from_record("github\nfilter \"no filter\"\nfilter ?"), route(&["github"], None));
    }
}
