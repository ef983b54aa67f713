//! From a configuration as written to what it means. After a [`Plan`] nothing can be wrong with the file any more;
//! nothing has touched the machine yet.

use crate::deliver::Subscriber;
use crate::http::{Admin, Ingress};
use crate::journal;
use crate::topic::Topic;

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is configured of the log.
#[derive(Debug, Clone, Copy)]
pub struct Log {
    /// The least severe level that is written.
    pub level: tracing::level_filters::LevelFilter,
    /// How.
    pub format: LogFormat,
}

/// A configuration as it is meant.
#[derive(Debug)]
pub struct Plan {
    /// The ingress.
    pub ingress: Ingress,
    /// The admin listener.
    pub admin: Admin,
    /// The journal.
    pub journal: journal::Settings,
    /// The log.
    pub log: Log,
    /// Every topic, by name.
    pub topics: Vec<Topic>,
    /// Every subscriber, by name.
    pub subscribers: Vec<Subscriber>,
}
