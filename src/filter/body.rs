//! An event's body as filters see it.

use std::borrow::Cow;

use crate::event::Event;
use crate::json::{self, NoTree, Tree};
use crate::signature::{form_payload, is_form};

/// The longest body that is parsed, in bytes.
pub const MAX_BODY: usize = 8 << 20;

/// The most values in a body that is parsed, names of members not counted.
pub const MAX_VALUES: usize = 100_000;

/// What there is of a body.
#[derive(Debug, Clone, PartialEq)]
pub enum Parsed {
    /// JSON: the body itself, or the field `payload` of a form.
    Json(Tree),
    /// Something else, or something that no filter asked for.
    NoJson,
    /// More than [`MAX_BODY`] or [`MAX_VALUES`]. Filters that look at it fail.
    TooLarge,
}

impl Parsed {
    /// Parses the body of an event. Takes some ten milliseconds at worst.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        if event.body.len() > MAX_BODY {
            return Self::TooLarge;
        }
        let content_type = event.headers.get("content-type").and_then(|value| std::str::from_utf8(value).ok());
        let body = match content_type {
            Some(content_type) if is_form(content_type) => form_payload(&event.body).unwrap_or_default(),
            _ => Cow::Borrowed(&*event.body),
        };
        match json::tree(&body, MAX_VALUES) {
            Ok(tree) => Self::Json(tree),
            Err(NoTree::NotJson(_)) => Self::NoJson,
            Err(NoTree::TooMany) => Self::TooLarge,
        }
    }

    /// About how much memory it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        fn of(tree: &Tree) -> usize {
            size_of::<Tree>()
                + match tree {
                    Tree::String(text) => text.len(),
                    Tree::List(list) => list.iter().map(of).sum(),
                    Tree::Object(object) => {
                        object.iter().map(|(name, value)| size_of::<Box<str>>() + name.len() + of(value)).sum()
                    }
                    _ => 0,
                }
        }
        match self {
            Self::Json(tree) => of(tree),
            Self::NoJson | Self::TooLarge => 0,
        }
    }
}
