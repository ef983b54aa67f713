//! The command line.

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
        default_value = "/etc/forebay/forebay.toml"
    )]
    pub config: PathBuf,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("FOREBAY_COMMIT"), ")");

/// What the program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon
    Serve,
    /// Read the configuration, say what it means, and warn about what is unwise
    ///
    /// Reads the file with the very code that `serve` starts with, and opens no port, no journal and no connection.
    /// Exits with 78 if the configuration is wrong.
    Check,
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
    /// Print the completions of a shell
    ///
    /// For bash, in `~/.bashrc`: `source <(forebay completions bash)`.
    Completions {
        /// Which shell
        shell: Shell,
    },
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
