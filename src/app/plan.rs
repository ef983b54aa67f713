//! Which way recorded events would go by another configuration: reads them, newest first, and has them compared.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::daemon::Daemon;
use crate::api::settings::{self, Planned};
use crate::filter::Filter;
use crate::http::admin::{PlanOrder, Trouble};
use crate::journal::lookup::Found;
use crate::name::{Pattern, SubscriberName, TopicName};
use crate::route::Route;
use crate::route::compare::{Comparison, Routes};

/// The most events that are looked at in one call.
const MAX_EVENTS: u64 = 200_000;

/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many events are looked up at a time.
const PAGE: usize = 1000;

/// The most subscribers of another configuration.
const MAX_SUBSCRIBERS: usize = 1000;

impl Daemon {
    /// Waits for the disk, and calculates for a while; stops early when it is not `wanted` any more.
    pub(super) fn plan(&self, order: &PlanOrder, wanted: &dyn Fn() -> bool) -> Result<Planned, Trouble> {
        let then = routes(&order.subscribers)?;
        let topics_then = topics(&order.topics)?;
        let topics_now = self.in_force().topics.iter().map(|topic| topic.name.clone()).collect();
        let now = self.deliveries.routes().into_iter().map(|(name, route)| (name.to_string(), route)).collect();
        let mut comparison = Comparison::new(now, then, &topics_now, topics_then);
        let deadline = Instant::now() + PATIENCE;
        let (mut before, mut seen) = (None, 0);
        loop {
            let page = self.journal.search(&order.query, before, PAGE);
            let failed = |error| Trouble::Failed(format!("cannot read the journal: {error}"));
            self.compare(&page.events, &mut comparison).map_err(failed)?;
            seen += page.events.len() as u64;
            before = page.next;
            let enough = seen >= MAX_EVENTS || Instant::now() >= deadline || !wanted();
            if before.is_none() || enough {
                return Ok(comparison.finish(before.is_some()));
            }
        }
    }

    /// Has those compared that are still in the log, the newest of which comes first.
    fn compare(&self, page: &[Found], comparison: &mut Comparison) -> io::Result<()> {
        let mut left: Vec<&Found> = page.iter().filter(|found| found.is_retained()).collect();
        let Some(oldest) = left.last() else { return Ok(()) };
        let mut reader = self.journal.reader(oldest.position);
        while let Some(next) = left.last() {
            let Some(recorded) = reader.next(&mut |_, _| true)? else {
                // Retention was faster.
                return Ok(());
            };
            let wanted = recorded.event.seq == next.seq;
            while left.last().is_some_and(|found| found.seq <= recorded.event.seq) {
                left.pop();
            }
            if wanted {
                comparison.add(&recorded.event);
            }
        }
        Ok(())
    }
}

/// What the subscribers of the other configuration want.
fn routes(all: &[settings::Route]) -> Result<Routes, Trouble> {
    if all.len() > MAX_SUBSCRIBERS {
        return Err(Trouble::Input(format!("`subscribers` has more than {MAX_SUBSCRIBERS} entries")));
    }
    let mut routes = Routes::new();
    for (at, settings::Route { name, topics, filter }) in all.iter().enumerate() {
        let wrong =
            |member: &str, why: &dyn std::fmt::Display| Trouble::Input(format!("`subscribers[{at}].{member}`: {why}"));
        let parsed = SubscriberName::parse(name).map_err(|error| wrong("name", &error))?;
        let patterns = topics.iter().map(|text| Pattern::parse(text)).collect::<Result<_, _>>();
        let filter = filter.as_deref().map(Filter::compile).transpose();
        let route = Route {
            patterns: patterns.map_err(|error| wrong("topics", &error))?,
            filter: filter.map_err(|error| wrong("filter", &error))?.map(Arc::new),
        };
        if routes.insert(parsed.to_string(), route).is_some() {
            return Err(wrong("name", &"it stands twice"));
        }
    }
    Ok(routes)
}

fn topics(all: &[String]) -> Result<BTreeSet<String>, Trouble> {
    let named = |text: &String| TopicName::parse(text).map(|name| name.to_string());
    all.iter().map(named).collect::<Result<_, _>>().map_err(|error| Trouble::Input(format!("`topics`: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(name: &str, topics: &[&str], filter: Option<&str>) -> settings::Route {
        let topics = topics.iter().map(|&text| text.to_owned()).collect();
        settings::Route { name: name.to_owned(), topics, filter: filter.map(str::to_owned) }
    }

    #[test]
    fn what_makes_no_sense_is_told_with_its_place() {
        for (all, says) in [
            (vec![route("a b", &["*"], None)], "`subscribers[0].name`: a subscriber name is made of"),
            (vec![route("a", &["*"], None), route("a", &["*"], None)], "`subscribers[1].name`: it stands twice"),
            (vec![route("a", &["*", ""], None)], "`subscribers[0].topics`: a pattern begins"),
            (vec![route("a", &["*"], Some("body.a ="))], "`subscribers[0].filter`: a single `=` at byte 7"),
            (vec![route("a", &["*"], None); 2000], "more than 1000"),
        ] {
            let Err(Trouble::Input(message)) = routes(&all) else { panic!("{says}: taken") };
            assert!(message.contains(says), "{message}");
        }
        let good = routes(&[route("a", &["github.push"], Some("body.a == 1")), route("b", &[], None)]).expect("good");
        assert_eq!(good["a"].filter.as_ref().map(|filter| filter.text()), Some("body.a == 1"));
        assert!(topics(&["a.b".to_owned()]).is_err() && topics(&["a".to_owned()]).is_ok());
    }
}
