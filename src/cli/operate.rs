//! The arguments of the commands that ask a running daemon.

#![expect(missing_docs, reason = "a comment on a flattened field would be the help of the command")]

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser as Text;
use clap::{Args, Subcommand};

use super::value::{at_least_one, event_id, moment, one_page, rejection_id};
use crate::api::DEFAULT_LIMIT;

/// Which daemon, and how the answer is printed.
#[derive(Debug, Clone, Args)]
pub struct Remote {
    /// Where the daemon's admin API is: `http://HOST:PORT`, `https://HOST` or `unix:PATH` [default: the first
    /// `admin.listen` of the configuration]
    ///
    /// The token is that of `$FOREBAY_ADMIN_TOKEN`, or else the configuration's `admin.token`, which is shown to no
    /// other address than the configured ones.
    #[arg(long, global = true, display_order = 800, value_name = "URL", env = "FOREBAY_ADMIN", hide_env_values = true)]
    pub admin: Option<String>,

    /// Print the JSON of the API instead of words
    #[arg(long, global = true, display_order = 801)]
    pub json: bool,
}

/// Which events. All conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct EventFilter {
    /// Only events of this topic, or of this pattern, such as `github.push` [default: any]
    #[arg(long, value_name = "TOPIC", value_parser = Text::new())]
    pub topic: Option<String>,

    /// Only events of this type [default: any]
    #[arg(long = "type", value_name = "TYPE", value_parser = Text::new())]
    pub kind: Option<String>,

    /// Only events received at or after this moment, or within a time before now, such as `24h` [default: the oldest]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<String>,

    /// Only events received before this moment, or until a time before now [default: the newest]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<String>,

    /// Only events with this text in topic, type, delivery id or id [default: any]
    #[arg(long, value_name = "TEXT", value_parser = Text::new())]
    pub query: Option<String>,
}

/// How much of a list.
#[derive(Debug, Clone, Args)]
pub struct Page {
    /// At most this many
    #[arg(long, value_name = "COUNT", default_value_t = DEFAULT_LIMIT, value_parser = at_least_one)]
    pub limit: u32,

    /// Go on where an earlier list ended, with what it said then [default: begin with the newest]
    #[arg(long, value_name = "CURSOR", value_parser = Text::new())]
    pub before: Option<String>,
}

/// The arguments of `events`.
#[derive(Debug, Args)]
pub struct EventsArgs {
    #[command(subcommand)]
    pub command: EventsCommand,
    #[command(flatten)]
    pub remote: Remote,
}

/// What to look at.
#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    /// List events, newest first
    List {
        #[command(flatten)]
        filter: EventFilter,
        #[command(flatten)]
        page: Page,
    },
    /// Show one event: its headers, what became of it with each subscriber, and its body
    Show {
        /// The event's id
        #[arg(value_parser = event_id)]
        id: String,
        /// Print the body alone, byte for byte
        #[arg(long, conflicts_with = "json")]
        body: bool,
    },
    /// Print events as they are recorded, until Ctrl-C
    Tail {
        /// Only events of this topic [default: any]
        #[arg(long, value_name = "TOPIC", value_parser = Text::new())]
        topic: Option<String>,
        /// Only events of this type [default: any]
        #[arg(long = "type", value_name = "TYPE", value_parser = Text::new())]
        kind: Option<String>,
    },
}

/// The arguments of `replay`.
#[derive(Debug, Args)]
#[command(override_usage = "forebay replay [OPTIONS] <EVENT>...\n       forebay replay [OPTIONS] \
                            <--topic|--type|--since|--until|--query>...\n       forebay replay list\n       \
                            forebay replay cancel <ID>")]
pub struct ReplayArgs {
    #[command(subcommand)]
    pub command: Option<ReplayCommand>,

    /// The ids of the events
    #[arg(value_name = "EVENT", value_parser = event_id)]
    pub events: Vec<String>,

    /// The subscribers that get them, apart by spaces or commas [default: those that want them]
    #[arg(long, value_name = "SUBSCRIBER", num_args = 1.., value_delimiter = ',', value_parser = Text::new())]
    pub to: Vec<String>,

    #[command(flatten)]
    pub filter: EventFilter,

    /// At most this many events a second for each subscriber [default: as fast as they are taken]
    #[arg(long, value_name = "COUNT", value_parser = at_least_one)]
    pub rate: Option<u32>,

    /// Only say how many events it would be
    #[arg(long)]
    pub dry_run: bool,

    /// Do not wait for the end
    #[arg(long)]
    pub detach: bool,

    /// Do not ask. Only a terminal is asked, and only about more than 1,000 events
    #[arg(long, short)]
    pub yes: bool,

    #[command(flatten)]
    pub remote: Remote,
}

/// What to do about replays there are.
#[derive(Debug, Subcommand)]
pub enum ReplayCommand {
    /// List replays, newest first
    List,
    /// End a replay. What it has delivered stays delivered
    Cancel {
        /// Its id, as `replay list` shows it
        #[arg(value_parser = Text::new())]
        id: String,
    },
}

/// The arguments of `dead`.
#[derive(Debug, Args)]
pub struct DeadArgs {
    #[command(subcommand)]
    pub command: DeadCommand,
    #[command(flatten)]
    pub remote: Remote,
}

/// What to do about dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadCommand {
    /// List dead letters, newest event first
    List {
        /// Only those of this subscriber [default: of all]
        #[arg(value_parser = Text::new())]
        subscriber: Option<String>,
        /// Only of events of this topic [default: any]
        #[arg(long, value_name = "TOPIC", value_parser = Text::new())]
        topic: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Deliver dead letters again, with attempts counted anew
    Retry {
        #[command(flatten)]
        letters: Letters,
    },
    /// Give dead letters up for good. The events stay recorded
    Drop {
        #[command(flatten)]
        letters: Letters,
        /// Do not ask. Only a terminal is asked
        #[arg(long, short)]
        yes: bool,
    },
}

/// Which dead letters.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct Letters {
    /// The subscriber that did not get them
    #[arg(value_parser = Text::new())]
    pub subscriber: String,
    /// The ids of their events
    #[arg(value_name = "EVENT", value_parser = event_id, required_unless_present = "all")]
    pub events: Vec<String>,
    /// All dead letters of the subscriber
    #[arg(long, conflicts_with = "events")]
    pub all: bool,
}

/// The arguments of `subscribers`.
#[derive(Debug, Args)]
pub struct SubscribersArgs {
    #[command(subcommand)]
    pub command: SubscribersCommand,
    #[command(flatten)]
    pub remote: Remote,
}

/// What to do about subscribers.
#[derive(Debug, Subcommand)]
pub enum SubscribersCommand {
    /// List subscribers with their position, backlog and last error
    List,
    /// Show one subscriber
    Show {
        /// Its name
        #[arg(value_parser = Text::new())]
        name: String,
    },
    /// Stop delivering to a subscriber; what it is owed is kept
    Pause {
        /// Its name
        #[arg(value_parser = Text::new())]
        name: String,
    },
    /// Deliver to a paused subscriber again
    Resume {
        /// Its name
        #[arg(value_parser = Text::new())]
        name: String,
    },
}

/// The arguments of `topics`.
#[derive(Debug, Args)]
pub struct TopicsArgs {
    #[command(subcommand)]
    pub command: TopicsCommand,
    #[command(flatten)]
    pub remote: Remote,
}

/// What to do about topics.
#[derive(Debug, Subcommand)]
pub enum TopicsCommand {
    /// List topics with their URL, validator and counts
    List,
}

/// The arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The refused request, by the id `--list` shows [default: the last one]
    #[arg(value_parser = rejection_id)]
    pub id: Option<String>,

    /// Only requests on this topic [default: any]
    #[arg(long, value_name = "TOPIC", conflicts_with = "id", value_parser = Text::new())]
    pub topic: Option<String>,

    /// List the last refused requests, newest first
    #[arg(long, conflicts_with = "id")]
    pub list: bool,

    /// List at most this many
    #[arg(long, value_name = "COUNT", default_value_t = DEFAULT_LIMIT, value_parser = one_page, requires = "list")]
    pub limit: u32,

    #[command(flatten)]
    pub remote: Remote,
}

/// The arguments of `secrets`.
#[derive(Debug, Args)]
pub struct SecretsArgs {
    #[command(flatten)]
    pub remote: Remote,
}

/// The arguments of `reload`.
#[derive(Debug, Args)]
pub struct ReloadArgs {
    /// Only say what would change
    #[arg(long)]
    pub dry_run: bool,

    #[command(flatten)]
    pub remote: Remote,
}

/// The arguments of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The file with the other configuration
    #[arg(value_name = "NEW")]
    pub new: PathBuf,

    /// Only events received at or after this moment, or within a time before now
    #[arg(long, value_name = "TIME", value_parser = moment, default_value = "24h")]
    pub since: String,

    /// Only events received before this moment, or until a time before now [default: the newest]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<String>,

    #[command(flatten)]
    pub remote: Remote,
}
