//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Takes webhooks in, proves who sent them, keeps them on disk, and passes them on.
#[derive(Debug, Parser)]
#[command(name = "forebay", version = VERSION, about, disable_help_subcommand = true)]
pub struct Cli {
    /// The configuration file
    #[arg(
        short,
        long,
        global = true,
        value_name = "FILE",
        env = "FOREBAY_CONFIG",
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
}
