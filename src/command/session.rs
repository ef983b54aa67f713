//! What every command that asks the daemon begins and ends with.

use std::path::Path;
use std::process::ExitCode;

use serde::de::DeserializeOwned;

use super::client::{Answer, Client, List};
use super::failure::Failure;
use super::screen::Screen;
use crate::cli::operate::Remote;

/// A daemon to ask, and somebody to tell.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) screen: Screen,
    /// JSON is wanted.
    pub(super) json: bool,
}

/// Runs a command to its end.
pub(super) fn run(
    remote: &Remote,
    config: &Path,
    command: impl AsyncFnOnce(&Session) -> Result<(), Failure>,
) -> ExitCode {
    let screen = Screen::of_process();
    let client = match Client::new(remote, config, |text| screen.note(text)) {
        Ok(client) => client,
        Err(failure) => return failure.exit(),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return super::fail(&error),
    };
    let session = Session { client, screen, json: remote.json };
    let done = runtime.block_on(command(&session));
    // A name look-up that takes too long is not waited for.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.exit(),
    }
}

impl Session {
    /// Prints an answer: as it came, or in words.
    pub(super) fn show<T: DeserializeOwned>(
        &self,
        answer: &Answer,
        words: impl FnOnce(&T, &Screen) -> String,
    ) -> Result<(), Failure> {
        if self.json {
            return self.screen.print(&answer.json()?);
        }
        self.screen.print(&words(&answer.read()?, &self.screen))
    }

    /// Prints a list, and how to go on where it was cut off.
    pub(super) fn show_list<T: DeserializeOwned>(
        &self,
        list: &List,
        words: impl FnOnce(&[T], &Screen) -> String,
    ) -> Result<(), Failure> {
        if self.json {
            return self.screen.print(&list.json()?);
        }
        self.screen.print(&words(&list.read()?, &self.screen))?;
        if let Some(more) = list.more() {
            self.screen.note(&more);
        }
        Ok(())
    }
}
