//! The command line.
//!
//! - here: the program, and the commands that stand alone;
//! - [`operate`]: the commands that ask a running daemon;
//! - `value`: the values of options that are checked before anything is asked.

pub mod operate;
mod value;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::plan::defaults::INGRESS_LISTEN;

/// Takes webhooks in, proves who sent them, keeps them on disk, and passes them on.
#[derive(Debug, Parser)]
#[command(name = "forebay", version = VERSION, about, disable_help_subcommand = true, max_term_width = 100)]
pub struct Cli {
    /// The configuration file
    #[arg(
        short,
        long,
        global = true,
        value_name = "FILE",
        env = "FOREBAY_CONFIG",
        hide_env_values = true,
        default_value = DEFAULT_CONFIG
    )]
    pub config: PathBuf,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("FOREBAY_COMMIT"), ")");

/// The configuration file where none is named.
pub const DEFAULT_CONFIG: &str = "/etc/forebay/forebay.toml";

/// What the program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon
    Serve,
    /// Read the configuration, say what it means, and warn about what is unwise
    ///
    /// Reads the file with the very code that `serve` starts with, and opens no port, no journal and no connection.
    /// Exits with 78 if the configuration is wrong.
    #[command(mut_arg("json", |json| json.requires("diff")))]
    Check(CheckArgs),
    /// Try it: a daemon with no configuration at all, and nothing left behind
    ///
    /// Runs until Ctrl-C with a temporary journal, the topics `github` and `bitbucketCloud` with secrets of this run
    /// alone, and the topic `open`, which takes anything from anyone. Says how to post to each of them, with a signed
    /// `curl` line to paste, and prints events as they come. Reads no configuration.
    Dev(DevArgs),
    /// Sign a body as a topic's provider would, and post it
    ///
    /// Reads the configuration for the topic, its validator and its URL, and shows the answer. Waits 10 seconds for it.
    /// Exits with 0 if the answer is a success, 2xx, and else with 1.
    Send(SendArgs),
    /// Look at recorded events
    Events(operate::EventsArgs),
    /// Deliver recorded events again
    ///
    /// Which events: by their ids, or all that fit the conditions. Waits until they have been handled, and shows how far
    /// it is; Ctrl-C ends the waiting and not the replay.
    Replay(operate::ReplayArgs),
    /// Look at dead letters, retry them, or drop them
    Dead(operate::DeadArgs),
    /// Look at subscribers, pause them, and let them go on
    Subscribers(operate::SubscribersArgs),
    /// Look at topics
    Topics(operate::TopicsArgs),
    /// Why was this request refused?
    ///
    /// Tells what was wrong with a refused request and what would have matched. The daemon keeps the last ones, without
    /// their secrets.
    Doctor(operate::DoctorArgs),
    /// When each secret last matched
    ///
    /// A secret that no sender uses any more can be removed from the configuration.
    Secrets(operate::SecretsArgs),
    /// Have the daemon read its configuration again
    ///
    /// All or nothing: if the file is wrong, or changes what cannot change while the daemon runs, everything stays as it
    /// was, and the reasons are printed.
    Reload(operate::ReloadArgs),
    /// Say which way recorded events would go by another configuration
    ///
    /// Reads the file NEW as `check` does, and asks the running daemon which of the events it has recorded each
    /// subscriber would gain and lose. Changes nothing.
    Plan(operate::PlanArgs),
    /// Print the completions of a shell
    ///
    /// For bash, in `~/.bashrc`: `source <(forebay completions bash)`.
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the manual page
    ///
    /// For all users: `forebay man > /usr/local/share/man/man1/forebay.1`. To read it at once: `forebay man | man -l -`.
    Man,
}

/// The arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Say what is different from the configuration that the running daemon has in force, and nothing else
    #[arg(long)]
    pub diff: bool,

    /// Say who would take an event, and who would not and why: FILE holds one line of a file sink, or what `events show
    /// --json` prints, with the body as `payload`; `-` for standard input [default: no event is asked about]
    #[arg(long, value_name = "FILE", conflicts_with = "diff")]
    pub event: Option<PathBuf>,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a comment here would be the help of the command")]
    pub remote: operate::Remote,
}

/// The arguments of `dev`.
#[derive(Debug, Args)]
pub struct DevArgs {
    /// Where it listens: `HOST:PORT`, with port 0 for any that is free, or `unix:PATH`
    #[arg(long, value_name = "ADDR", default_value = INGRESS_LISTEN)]
    pub listen: String,
}

/// The arguments of `send`.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// The topic, by its name in the configuration
    pub topic: String,

    /// The type of the event, such as `push` [default: that of the sample; none with `--data`]
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: Option<String>,

    /// The file with the body; `-` for standard input [default: a sample of what the provider sends]
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,

    /// Where to post it, `http` or `https` [default: the topic's URL, as `check` shows it]
    ///
    /// Where a provider signs the URL, `ingress.public_url` is signed with the path of this one.
    #[arg(long, value_name = "URL")]
    pub to: Option<String>,
}
