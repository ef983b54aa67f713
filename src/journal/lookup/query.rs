//! Which events are looked for: a pure question about one event.

use std::fmt;

use uuid::fmt::Hyphenated;

use crate::event::{Event, EventId, Millis};
use crate::name::{NameError, Pattern};

/// The most bytes of a free text.
pub const MAX_TEXT: usize = 256;

/// What is looked for, as it was asked for. What is absent is not asked about.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terms<'a> {
    /// A topic, or a pattern as a subscriber has them: `github`, `github.push`, `*.push`.
    pub topic: Option<&'a str>,
    /// A type; `*` stands for any run of characters.
    pub kind: Option<&'a str>,
    /// Received at this moment or later.
    pub since: Option<Millis>,
    /// Received before this moment.
    pub until: Option<Millis>,
    /// Part of the topic, type, delivery id or event id, whatever the case of its letters.
    pub text: Option<&'a str>,
}

/// Why terms are no query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadTerms {
    /// The topic is neither a name nor a pattern.
    Topic(NameError),
    /// The type is empty.
    Kind,
    /// Nothing is both since and until.
    Times,
    /// The text is empty or longer than [`MAX_TEXT`].
    Text,
}

/// Names the term as the admin API does.
impl fmt::Display for BadTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(error) => write!(f, "`topic`: {error}"),
            Self::Kind => f.write_str("`type` is empty"),
            Self::Times => f.write_str("`since` is later than `until`"),
            Self::Text => write!(f, "`q` is a text of 1 to {MAX_TEXT} bytes"),
        }
    }
}

impl std::error::Error for BadTerms {}

/// What is looked for. The empty query, which is the default, matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    topic: Option<Pattern>,
    kind: Option<Pattern>,
    since: Option<Millis>,
    until: Option<Millis>,
    text: Option<Needle>,
}

impl Query {
    /// Reads terms.
    ///
    /// # Errors
    /// The first of them that makes no sense.
    pub fn new(terms: Terms<'_>) -> Result<Self, BadTerms> {
        let Terms { topic, kind, since, until, text } = terms;
        if since.zip(until).is_some_and(|(since, until)| since > until) {
            return Err(BadTerms::Times);
        }
        if text.is_some_and(|text| text.is_empty() || text.len() > MAX_TEXT) {
            return Err(BadTerms::Text);
        }
        Ok(Self {
            topic: topic.map(Pattern::parse).transpose().map_err(BadTerms::Topic)?,
            // The type of whatever topic.
            kind: kind.map(|kind| Pattern::parse(&format!("*.{kind}"))).transpose().map_err(|_| BadTerms::Kind)?,
            since,
            until,
            text: text.map(Needle::new),
        })
    }

    /// Whether an event is looked for.
    #[must_use]
    pub fn matches(
        &self,
        topic: &str,
        kind: Option<&str>,
        time: Millis,
        id: EventId,
        delivery_id: Option<&str>,
    ) -> bool {
        self.since.is_none_or(|since| since <= time)
            && self.until.is_none_or(|until| time < until)
            && self.wants(topic, kind)
            && self.text.as_ref().is_none_or(|text| {
                text.is_in(topic)
                    || [kind, delivery_id].into_iter().flatten().any(|t| text.is_in(t))
                    || text.is_in_id(id)
            })
    }

    /// The same of an event that is at hand whole.
    #[must_use]
    pub fn takes(&self, event: &Event) -> bool {
        let (kind, delivery_id) = (event.kind.as_deref(), event.delivery_id.as_deref());
        self.matches(&event.topic, kind, event.time, event.id, delivery_id)
    }

    /// Whether an event of this topic and type could be looked for: the part of the question that needs no more.
    #[must_use]
    pub fn wants(&self, topic: &str, kind: Option<&str>) -> bool {
        let fits = |pattern: &Option<Pattern>| pattern.as_ref().is_none_or(|pattern| pattern.matches(topic, kind));
        fits(&self.topic) && fits(&self.kind)
    }

    /// Whether an event received between these two moments, both included, could be looked for.
    pub(super) fn may_be_within(&self, first: Millis, last: Millis) -> bool {
        self.since.is_none_or(|since| since <= last) && self.until.is_none_or(|until| first < until)
    }
}

/// A text that is looked for in others, whatever the case of letters.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Needle {
    lower: String,
    /// The first byte in both cases, where all of it is ASCII.
    first: Option<(u8, u8)>,
    /// It could be part of an event's id.
    like_id: bool,
}

impl Needle {
    fn new(text: &str) -> Self {
        let lower = text.to_lowercase();
        let first = lower.bytes().next().filter(|_| lower.is_ascii());
        let like_id = lower.len() <= Hyphenated::LENGTH && lower.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        Self { first: first.map(|byte| (byte, byte.to_ascii_uppercase())), lower, like_id }
    }

    fn is_in(&self, text: &str) -> bool {
        // Letters that have another case outside ASCII are few; a search goes over a million events.
        let Some((lower, upper)) = self.first else { return text.to_lowercase().contains(&self.lower) };
        let (text, needle) = (text.as_bytes(), self.lower.as_bytes());
        let Some(last) = text.len().checked_sub(needle.len()) else { return false };
        memchr::memchr2_iter(lower, upper, &text[..=last])
            .any(|at| text[at..at + needle.len()].eq_ignore_ascii_case(needle))
    }

    fn is_in_id(&self, id: EventId) -> bool {
        let mut text = [0; Hyphenated::LENGTH];
        self.like_id && self.is_in(id.0.hyphenated().encode_lower(&mut text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const ID: EventId = EventId(Uuid::from_u128(0x0193_55d6_5a80_7abc_8def_0123_4567_89ab));

    fn finds(terms: Terms<'_>) -> bool {
        let query = Query::new(terms).expect("good terms");
        query.matches("GitHub", Some("push"), Millis(1000), ID, Some("Ünique-42"))
    }

    #[test]
    fn each_term_is_asked() {
        let all = Terms::default();
        let cases = [
            (all, true),
            (Terms { topic: Some("GitHub"), ..all }, true),
            (Terms { topic: Some("github"), ..all }, false),
            (Terms { topic: Some("GitHub.push"), ..all }, true),
            (Terms { topic: Some("GitHub.pull"), ..all }, false),
            (Terms { topic: Some("*"), kind: Some("push"), ..all }, true),
            (Terms { topic: Some("*Hub.p*"), kind: Some("p*h"), ..all }, true),
            (Terms { kind: Some("Push"), ..all }, false),
            (Terms { since: Some(Millis(1000)), ..all }, true),
            (Terms { since: Some(Millis(1001)), ..all }, false),
            (Terms { until: Some(Millis(1000)), ..all }, false),
            (Terms { until: Some(Millis(1001)), since: Some(Millis(1000)), ..all }, true),
            (Terms { text: Some("hub"), ..all }, true),
            (Terms { text: Some("US"), ..all }, true),
            (Terms { text: Some("üNIQUE"), ..all }, true),
            (Terms { text: Some("unique"), ..all }, false),
            (Terms { text: Some("7ABC-8d"), ..all }, true),
            (Terms { text: Some("7abc8"), ..all }, false),
            (Terms { text: Some("-42"), ..all }, true),
            (Terms { text: Some("hubpush"), ..all }, false),
            (Terms { topic: Some("GitHub"), text: Some("x"), ..all }, false),
        ];
        for (terms, found) in cases {
            assert_eq!(finds(terms), found, "{terms:?}");
        }
    }

    #[test]
    fn what_an_event_lacks_is_not_found_in_it() {
        let query = |terms| Query::new(terms).expect("good terms");
        let bare = |query: Query| query.matches("a", None, Millis(0), ID, None);
        assert!(bare(query(Terms::default())));
        assert!(!bare(query(Terms { kind: Some("*"), ..Terms::default() })), "it has no type");
        assert!(!bare(query(Terms { topic: Some("a.*"), ..Terms::default() })));
    }

    #[test]
    fn terms_that_make_no_sense() {
        let all = Terms::default();
        let long = "x".repeat(MAX_TEXT + 1);
        assert!(matches!(Query::new(Terms { topic: Some("a b"), ..all }), Err(BadTerms::Topic(_))));
        assert!(matches!(Query::new(Terms { topic: Some(""), ..all }), Err(BadTerms::Topic(_))));
        assert_eq!(Query::new(Terms { kind: Some(""), ..all }), Err(BadTerms::Kind));
        assert_eq!(Query::new(Terms { since: Some(Millis(2)), until: Some(Millis(1)), ..all }), Err(BadTerms::Times));
        assert_eq!(Query::new(Terms { text: Some(""), ..all }), Err(BadTerms::Text));
        assert_eq!(Query::new(Terms { text: Some(&long), ..all }), Err(BadTerms::Text));
    }

    proptest! {
        #[test]
        fn a_text_is_found_where_it_is(text in "[abABäÄ]{0,8}", needle in "[abABäÄ]{1,3}") {
            let obvious = text.to_lowercase().contains(&needle.to_lowercase());
            prop_assert_eq!(Needle::new(&needle).is_in(&text), obvious);
        }
    }
}
