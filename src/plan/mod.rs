//! From a configuration as written to what it means. After a [`Plan`] nothing can be wrong with the file any more;
//! nothing has touched the machine yet, but that secrets, certificates and keys have been read.
//!
//! - `listen`: ingress and admin listener; `journal`: journal and log; `otlp`: traces; `backstage`: the event bus.
//! - `topic`: a topic; `validator`: its validator; `secret`: secrets, wherever they are wanted.
//! - `subscriber`: a subscriber; `sink`: its sink; `webhook`: the sink with the most settings; `template`: file paths.
//! - [`defaults`]: what counts where the file says nothing, and how far a value may go.
//!
//! Each takes what it can from its part of the tree, reports everything that is wrong there, and leaves the rest to
//! the others: the result exists only if nobody found an error.

mod backstage;
pub mod defaults;
mod journal;
mod listen;
mod otlp;
mod secret;
mod sink;
mod source;
mod subscriber;
mod syntax;
mod template;
mod topic;
mod validator;
mod webhook;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

pub use crate::config::{Difference, Level, Report, Written};
pub use backstage::Backstage;

use crate::config::{Problems, Table};
use crate::deliver::Subscriber;
use crate::event::Millis;
use crate::http::{Admin, Ingress, Listen};
use crate::journal::Settings;
use crate::name::TopicName;
use crate::secret::KeyLabel;
use crate::topic::Topic;

/// The exit code for a wrong configuration: `EX_CONFIG` of `sysexits.h`.
pub const EXIT_CONFIG: u8 = 78;

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
    pub journal: Settings,
    /// The log.
    pub log: Log,
    /// Where spans go; none are made without it.
    pub otlp: Option<crate::otlp::Settings>,
    /// Every topic, by name.
    pub topics: Vec<Topic>,
    /// The secrets of each topic's validator, by id and validity.
    pub keys: BTreeMap<TopicName, Vec<KeyLabel>>,
    /// Every subscriber, by name.
    pub subscribers: Vec<Subscriber>,
    /// Backstage's event bus.
    pub backstage: Option<Backstage>,
}

impl Plan {
    /// Where senders post to a topic: under `public_url`, or else under the first address the ingress listens on.
    #[must_use]
    pub fn topic_url(&self, topic: &TopicName) -> String {
        let origin = match (&self.ingress.public_url, self.ingress.listen.first()) {
            (Some(url), _) => url.clone(),
            // As nginx writes an upstream on a unix socket.
            (None, Some(listen @ Listen::Unix(_))) => format!("http://{listen}:"),
            (None, Some(listen)) => format!("http://{listen}"),
            (None, None) => String::new(),
        };
        format!("{origin}{}/http/{topic}", self.ingress.base_path)
    }
}

/// A plan, and what is unwise about it.
#[derive(Debug)]
pub struct Loaded {
    /// What the file means.
    pub plan: Plan,
    /// What works, but should be thought over. Empty if nothing.
    pub warnings: Report,
    /// All settings as they stand in the file.
    pub written: Written,
}

/// What a configuration takes from outside its file.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Relative paths begin here: the folder of the file.
    pub folder: &'a Path,
    /// The environment variables.
    pub env: &'a dyn Fn(&str) -> Option<OsString>,
    /// The time, for warnings about secrets that are no longer or not yet valid.
    pub now: Millis,
}

impl Surroundings<'_> {
    /// A path of the file as this process can use it.
    fn path(&self, written: &str) -> PathBuf {
        // Taken apart and put together, it loses a `./` in the middle.
        self.folder.join(written).components().collect()
    }
}

/// What is opened once, at the start.
const FIXED: [&str; 9] = [
    "backstage.url",
    "ingress.listen",
    "ingress.max_connections",
    "ingress.header_timeout",
    "admin.listen",
    "journal.path",
    "journal.sync",
    "log.format",
    "otlp",
];

/// Whether a setting, by its key in words, cannot change while the daemon runs.
#[must_use]
pub fn needs_restart(key: &str) -> bool {
    FIXED
        .iter()
        .any(|fixed| key.strip_prefix(fixed).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '['])))
}

/// Reads a configuration file.
///
/// # Errors
/// Everything that is wrong with it, or that it cannot be read.
pub fn load(path: &Path) -> Result<Loaded, Report> {
    parse(&text(path)?, &path.display().to_string(), path.parent().unwrap_or(Path::new("")))
}

/// Reads only `[admin]` of a configuration file, for whoever wants to reach the daemon that runs with it. What is wrong
/// there is in the report, and what could be read all the same is taken; the rest of the file is not looked at.
///
/// # Errors
/// That the file cannot be read.
pub fn load_admin(path: &Path) -> Result<(Admin, Report), Report> {
    let text = text(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let around = Surroundings { folder, env: &|name| std::env::var_os(name), now: Millis::now() };
    let (tree, errors) = DeTable::parse_recoverable(&text);
    let problems = Problems::default();
    let admin = listen::admin(&Table::root(tree.get_ref(), &problems), &around, &[]);
    let problems = syntax::add(problems, &text, &errors);
    Ok((admin, Report::new(&path.display().to_string(), &text, problems)))
}

/// The text of a configuration file.
fn text(path: &Path) -> Result<String, Report> {
    let name = path.display().to_string();
    let unreadable = |message: String| {
        let hint = "name the file with `--config FILE` or `$FOREBAY_CONFIG`; `forebay dev` needs none".to_owned();
        Report::unreadable(&name, message, hint)
    };
    let bytes = std::fs::read(path).map_err(|error| unreadable(format!("cannot read the configuration: {error}")))?;
    String::from_utf8(bytes).map_err(|_| unreadable("the configuration is not UTF-8 text".into()))
}

/// How a file that may be wrong wants the log, as far as it can be told, and else as usual.
#[must_use]
pub fn log_of(path: &Path) -> Log {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let (tree, _) = DeTable::parse_recoverable(&text);
    journal::log(&Table::root(tree.get_ref(), &Problems::default()))
}

/// Reads the text of a configuration. `name` is what problems call it; relative paths in it begin in `folder`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(text: &str, name: &str, folder: &Path) -> Result<Loaded, Report> {
    parse_in(text, name, &Surroundings { folder, env: &|name| std::env::var_os(name), now: Millis::now() })
}

/// Reads the text of a configuration with nothing taken from the process but files.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse_in(text: &str, name: &str, around: &Surroundings<'_>) -> Result<Loaded, Report> {
    let (tree, errors) = DeTable::parse_recoverable(text);
    let problems = Problems::default();
    let plan = read(&Table::root(tree.get_ref(), &problems), around);
    let problems = syntax::add(problems, text, &errors);
    match plan {
        Some(plan) if problems.errors() == 0 => {
            let (marks, masked) = problems.marks();
            let written = Written::gather(tree.get_ref(), text, &masked, marks);
            Ok(Loaded { plan, warnings: Report::new(name, text, problems), written })
        }
        _ => Err(Report::new(name, text, problems)),
    }
}

/// Reads all tables; `None` only if something was reported.
fn read(file: &Table<'_>, around: &Surroundings<'_>) -> Option<Plan> {
    let file = file.clone().only("");
    let ingress = listen::ingress(&file, around);
    let admin = listen::admin(&file, around, &ingress.listen);
    let journal = journal::read(&file, around, ingress.max_body);
    let log = journal::log(&file);
    let otlp = otlp::read(&file, around);
    let topics = topic::all(&file, around, &ingress);
    let backstage = backstage::read(&file, around);
    let subscribers = subscriber::all(&file, around, &topics, &journal);
    let ingress = ingress.settings;
    let (topics, keys) = (topics.good, topics.keys);
    Some(Plan { ingress, admin, journal, log, otlp, topics, keys, subscribers: subscribers?, backstage })
}
