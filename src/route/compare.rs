//! Which way recorded events would go if subscribers wanted something else: what each would gain and lose.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use super::{Decision, Route};
use crate::api::settings::{Difference, Planned, PlannedSubscriber};
use crate::event::Event;
use crate::filter::Parsed;

/// The ids that are named of what a subscriber gains, and of what it loses.
const SAMPLES: usize = 5;

/// The topics and types that are named of it.
const TYPES: usize = 20;

/// The topics and types that are counted of it; types come from outside. What is beyond counts as the topic's own.
const MAX_TYPES: usize = 1000;

/// What the subscribers of a configuration want, by name.
pub type Routes = BTreeMap<String, Route>;

/// See the module.
#[derive(Debug)]
pub struct Comparison {
    subscribers: Vec<Subscriber>,
    /// Topics of the other configuration.
    topics: BTreeSet<String>,
    /// Those that are new.
    new_topics: Vec<String>,
    events: u64,
    without_topic: u64,
}

#[derive(Debug)]
struct Subscriber {
    now: Option<Route>,
    then: Option<Route>,
    told: PlannedSubscriber,
}

impl Comparison {
    /// Between what subscribers want `now` and `then`, by name, when there are these topics.
    #[must_use]
    pub fn new(mut now: Routes, then: Routes, topics_now: &BTreeSet<String>, topics_then: BTreeSet<String>) -> Self {
        let mut subscribers: Vec<Subscriber> =
            then.into_iter().map(|(name, then)| Subscriber::new(name.clone(), now.remove(&name), Some(then))).collect();
        subscribers.extend(now.into_iter().map(|(name, now)| Subscriber::new(name, Some(now), None)));
        subscribers.sort_by(|a, b| a.told.name.cmp(&b.told.name));
        let new_topics = topics_then.difference(topics_now).cloned().collect();
        Self { subscribers, topics: topics_then, new_topics, events: 0, without_topic: 0 }
    }

    /// Counts one event. Those that are counted first are the samples.
    pub fn add(&mut self, event: &Event) {
        self.events += 1;
        let comes = self.topics.contains(&*event.topic);
        self.without_topic += u64::from(!comes);
        let body = OnceCell::new();
        let parsed = || body.get_or_init(|| Parsed::of(event));
        for subscriber in &mut self.subscribers {
            let now = decide(subscriber.now.as_ref(), event, parsed);
            // What is the same need not be asked twice.
            let then = if subscriber.now == subscriber.then {
                now.clone()
            } else {
                decide(subscriber.then.as_ref().filter(|_| comes), event, parsed)
            };
            let told = &mut subscriber.told;
            let failed = [&now, &then].into_iter().any(|decision| matches!(decision, Decision::Failed(_)));
            told.filter_errors += u64::from(failed);
            let (now, then) = (now == Decision::Taken, then == Decision::Taken && comes);
            told.now += u64::from(now);
            told.then += u64::from(then);
            match (now, then) {
                (false, true) => note(&mut told.gains, event),
                (true, false) => note(&mut told.loses, event),
                _ => {}
            }
        }
    }

    /// What has come of it. `truncated`: there were more events.
    #[must_use]
    pub fn finish(self, truncated: bool) -> Planned {
        let mut subscribers: Vec<PlannedSubscriber> = self.subscribers.into_iter().map(|one| one.told).collect();
        for subscriber in &mut subscribers {
            for difference in [&mut subscriber.gains, &mut subscriber.loses] {
                most_frequent(&mut difference.by_type);
            }
        }
        Planned {
            events: self.events,
            truncated,
            without_topic: self.without_topic,
            new_topics: self.new_topics,
            subscribers,
        }
    }
}

impl Subscriber {
    fn new(name: String, now: Option<Route>, then: Option<Route>) -> Self {
        let told = PlannedSubscriber {
            name,
            exists_now: now.is_some(),
            exists_then: then.is_some(),
            now: 0,
            then: 0,
            gains: Difference::default(),
            loses: Difference::default(),
            filter_errors: 0,
        };
        Self { now, then, told }
    }
}

fn decide<'p>(route: Option<&Route>, event: &Event, parsed: impl FnOnce() -> &'p Parsed) -> Decision {
    route.map_or(Decision::Unmatched, |route| route.decide(event, parsed))
}

fn note(difference: &mut Difference, event: &Event) {
    difference.count += 1;
    if difference.samples.len() < SAMPLES {
        difference.samples.push(event.id.to_string());
    }
    let topic = || event.topic.to_string();
    let name = event.kind.as_ref().map_or_else(topic, |kind| format!("{}.{}", &*event.topic, &**kind));
    let full = difference.by_type.len() >= MAX_TYPES && !difference.by_type.contains_key(&name);
    *difference.by_type.entry(if full { topic() } else { name }).or_default() += 1;
}

fn most_frequent(by_type: &mut BTreeMap<String, u64>) {
    let mut all: Vec<(String, u64)> = std::mem::take(by_type).into_iter().collect();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    all.truncate(TYPES);
    *by_type = all.into_iter().collect();
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;
    use crate::event::EventId;
    use crate::filter::{self, Filter};
    use crate::name::Pattern;

    fn routes(all: &[(&str, &str, Option<&str>)]) -> Routes {
        let route = |(name, pattern, filter): &(&str, &str, Option<&str>)| {
            let patterns = pattern.split(' ').map(|text| Pattern::parse(text).expect("a pattern")).collect();
            let filter = filter.map(|text| Arc::new(Filter::compile(text).expect("a filter")));
            ((*name).to_owned(), Route { patterns, filter })
        };
        all.iter().map(route).collect()
    }

    fn topics(all: &[&str]) -> BTreeSet<String> {
        all.iter().map(|&topic| topic.to_owned()).collect()
    }

    /// The nth event.
    fn event(n: u128, topic: &str, kind: Option<&str>, body: &str) -> Event {
        Event { id: EventId(Uuid::from_u128(n)), topic: topic.into(), ..filter::tests::event(kind, &[], body) }
    }

    fn difference(count: u64, by_type: &[(&str, u64)], samples: &[u128]) -> Difference {
        Difference {
            count,
            by_type: by_type.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
            samples: samples.iter().map(|n| Uuid::from_u128(*n).to_string()).collect(),
        }
    }

    #[test]
    fn what_is_gained_and_lost() {
        let main = Some("body.ref == 'main'");
        let now = routes(&[
            ("same", "*", main),
            ("narrows", "github", None),
            ("widens", "github.push", main),
            ("moves", "github", None),
            ("leaves", "github.push", None),
            ("all", "*", None),
        ]);
        let then = routes(&[
            ("same", "*", main),
            ("narrows", "github", main),
            ("widens", "github.push", None),
            ("moves", "gitlab", None),
            ("comes", "github", Some("type == ''")),
            ("all", "*", None),
        ]);
        let before = topics(&["github", "gitlab", "erp"]);
        let mut comparison = Comparison::new(now, then, &before, topics(&["github", "gitlab", "shop"]));
        for event in [
            event(1, "github", Some("push"), r#"{"ref":"main"}"#),
            event(2, "github", Some("push"), r#"{"ref":"dev"}"#),
            event(3, "github", Some("issues"), "{}"),
            event(4, "github", None, "no JSON"),
            event(5, "gitlab", Some("push"), r#"{"ref":"main"}"#),
            event(6, "erp", None, r#"{"ref":"main"}"#),
        ] {
            comparison.add(&event);
        }
        let planned = comparison.finish(false);
        assert_eq!((planned.events, planned.without_topic, planned.truncated), (6, 1, false));
        assert_eq!(planned.new_topics, ["shop"]);
        let nothing = Difference::default;
        // The name, whether it is there now and then, what it takes now and then, gains, losses, failures.
        let want = [
            ("all", true, true, 6, 5, nothing(), difference(1, &[("erp", 1)], &[6]), 0),
            ("comes", false, true, 0, 1, difference(1, &[("github", 1)], &[4]), nothing(), 0),
            ("leaves", true, false, 2, 0, nothing(), difference(2, &[("github.push", 2)], &[1, 2]), 0),
            (
                "moves",
                true,
                true,
                4,
                1,
                difference(1, &[("gitlab.push", 1)], &[5]),
                difference(4, &[("github", 1), ("github.issues", 1), ("github.push", 2)], &[1, 2, 3, 4]),
                0,
            ),
            (
                "narrows",
                true,
                true,
                4,
                1,
                nothing(),
                difference(3, &[("github", 1), ("github.issues", 1), ("github.push", 1)], &[2, 3, 4]),
                2,
            ),
            ("same", true, true, 3, 2, nothing(), difference(1, &[("erp", 1)], &[6]), 2),
            ("widens", true, true, 1, 2, difference(1, &[("github.push", 1)], &[2]), nothing(), 0),
        ];
        let told: Vec<_> = planned
            .subscribers
            .iter()
            .map(|one| {
                let PlannedSubscriber { name, exists_now, exists_then, now, then, gains, loses, filter_errors } = one;
                (name.as_str(), *exists_now, *exists_then, *now, *then, gains.clone(), loses.clone(), *filter_errors)
            })
            .collect();
        assert_eq!(told, want);
    }

    #[test]
    fn much_is_told_in_short() {
        let all = topics(&["github"]);
        let mut comparison = Comparison::new(Routes::new(), routes(&[("all", "*", None)]), &all, all.clone());
        for n in 0..5000 {
            comparison.add(&event(n, "github", Some(&format!("t{}", n % 1500)), ""));
        }
        let planned = comparison.finish(true);
        assert!(planned.truncated);
        let gains = &planned.subscribers[0].gains;
        assert_eq!((gains.count, gains.samples.len(), gains.by_type.len()), (5000, SAMPLES, TYPES));
        assert_eq!(gains.samples[4], Uuid::from_u128(4).to_string());
        assert_eq!(gains.by_type["github"], 5000 - 4000 + 500, "all of what came after the first thousand types");
    }
}
