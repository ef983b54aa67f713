//! The names a configuration gives to things, checked once where they enter and trusted afterwards, and the
//! patterns by which a subscriber chooses topics.

use std::fmt;
use std::sync::Arc;

/// The most characters a topic or subscriber name may have.
pub const MAX_NAME: usize = 128;

/// Why a text is not a name or a pattern. The text says what is wrong, for a configuration error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameError(pub String);

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NameError {}

fn check_name(text: &str, what: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError(format!("a {what} name cannot be empty")));
    }
    if text.len() > MAX_NAME {
        return Err(NameError(format!("a {what} name has at most {MAX_NAME} characters")));
    }
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) || !text.chars().all(good) {
        return Err(NameError(format!(
            "a {what} name is made of letters, digits, `_` and `-`, and begins with a letter or digit"
        )));
    }
    Ok(())
}

/// The name of a topic: `[A-Za-z0-9][A-Za-z0-9_-]*`, case-sensitive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(Arc<str>);

impl TopicName {
    /// Reads a topic name.
    ///
    /// # Errors
    /// When the text is empty, longer than [`MAX_NAME`] or holds another character.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check_name(text, "topic").map(|()| Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a subscriber: the same characters as a topic's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriberName(Arc<str>);

impl SubscriberName {
    /// Reads a subscriber name.
    ///
    /// # Errors
    /// When the text is empty, longer than [`MAX_NAME`] or holds another character.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check_name(text, "subscriber").map(|()| Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SubscriberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which events a subscriber wants, by topic and type.
///
/// `github` is every event of the topic, whatever its type. `github.push` is one type. `*` stands for any run of
/// characters, in either part. A topic name holds no `.`, so the first one divides topic from type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    topic: String,
    /// `None`: any type, and also none.
    kind: Option<String>,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When the text is empty, the topic part could be no topic's name, or the type part is empty.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let (topic, kind) = match text.split_once('.') {
            Some((topic, kind)) => (topic, Some(kind)),
            None => (text, None),
        };
        if topic.is_empty() {
            return Err(NameError("a pattern begins with a topic, or with `*`".into()));
        }
        if kind == Some("") {
            return Err(NameError(format!("the type after `{topic}.` is missing")));
        }
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '*');
        if let Some(bad) = topic.chars().find(|&c| !good(c)) {
            return Err(NameError(format!("`{bad}` cannot be part of a topic")));
        }
        Ok(Self { text: text.to_owned(), topic: topic.to_owned(), kind: kind.map(str::to_owned) })
    }

    /// Whether an event of this topic and type is wanted.
    #[must_use]
    pub fn matches(&self, topic: &str, kind: Option<&str>) -> bool {
        // A topic of the journal that is no name is set apart: no pattern is meant to reach it.
        if topic.contains('/') || !wildcard(self.topic.as_bytes(), topic.as_bytes()) {
            return false;
        }
        match (&self.kind, kind) {
            (None, _) => true,
            (Some(want), Some(have)) => wildcard(want.as_bytes(), have.as_bytes()),
            (Some(_), None) => false,
        }
    }

    /// Whether any event of this topic could be wanted.
    #[must_use]
    pub fn may_match_topic(&self, topic: &str) -> bool {
        wildcard(self.topic.as_bytes(), topic.as_bytes())
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Matches with `*` for any run of bytes, in time proportional to the product of the lengths at worst.
fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on after a mismatch: behind the last star, one byte later in the text than before.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == b'*' {
            p += 1;
            retry = Some((p, t));
        } else if p < pattern.len() && pattern[p] == text[t] {
            p += 1;
            t += 1;
        } else if let Some((behind_star, from)) = retry {
            p = behind_star;
            t = from + 1;
            retry = Some((p, t));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&b| b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names() {
        for good in ["github", "bitbucketCloud", "a", "9-_x"] {
            assert_eq!(TopicName::parse(good).map(|n| n.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "-a", "_a", "a.b", "a/b", "ä", "a b", &"x".repeat(MAX_NAME + 1)] {
            assert!(TopicName::parse(bad).is_err(), "{bad}");
            assert!(SubscriberName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn patterns() {
        let cases = [
            ("github", "github", Some("push"), true),
            ("github", "github", None, true),
            ("github", "GitHub", None, false),
            ("github.push", "github", Some("push"), true),
            ("github.push", "github", Some("pushed"), false),
            ("github.push", "github", None, false),
            ("*", "anything", None, true),
            ("git*", "gitlab", Some("x"), true),
            ("*.push", "gitlab", Some("push"), true),
            ("bitbucketCloud.repo:*", "bitbucketCloud", Some("repo:push"), true),
            ("bitbucketCloud.repo:*", "bitbucketCloud", Some("issue:new"), false),
            ("stripe.invoice.paid", "stripe", Some("invoice.paid"), true),
            ("stripe.*.paid", "stripe", Some("invoice.paid"), true),
        ];
        for (pattern, topic, kind, want) in cases {
            let parsed = Pattern::parse(pattern).expect(pattern);
            assert_eq!(parsed.matches(topic, kind), want, "{pattern} on {topic} {kind:?}");
        }
        for bad in ["", ".push", "github.", "git hub", "a/b"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }

    /// The obvious definition, exponential but plainly right.
    fn oracle(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|n| oracle(rest, &text[n..])),
            Some((c, rest)) => text.split_first().is_some_and(|(t, after)| t == c && oracle(rest, after)),
        }
    }

    proptest! {
        #[test]
        fn wildcard_is_the_definition(pattern in "[ab*]{0,8}", text in "[ab]{0,12}") {
            prop_assert_eq!(
                wildcard(pattern.as_bytes(), text.as_bytes()),
                oracle(pattern.as_bytes(), text.as_bytes())
            );
        }

        #[test]
        fn a_pattern_that_matches_an_event_may_match_its_topic(
            pattern in "[ab*]{1,4}(\\.[ab*]{1,4})?", topic in "[ab]{1,4}", kind in "[ab]{1,4}"
        ) {
            let parsed = Pattern::parse(&pattern).expect("made of allowed characters");
            if parsed.matches(&topic, Some(&kind)) {
                prop_assert!(parsed.may_match_topic(&topic));
            }
        }
    }
}
