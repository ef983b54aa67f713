//! Waiting for replays, which do not wait for us: whoever stops waiting is told how to look at them, and how to end them.

use std::time::{Duration, Instant};

use crate::api::replay::{Replay, ReplayState};
use crate::command::client::{Client, encoded};
use crate::command::failure::Failure;
use crate::command::progress::Progress;
use crate::command::session::Session;
use crate::sink::readable::printable;

/// Without any progress for so long, something is odd.
const STUCK: Duration = Duration::from_secs(15);

/// For so long a daemon may be away, to be started anew.
const AWAY: Duration = Duration::from_secs(30);

/// Waits until all are over, and keeps them up to date. Whether all of them came to their end.
pub(super) async fn wait(session: &Session, replays: &mut [Replay]) -> Result<bool, Failure> {
    let mut progress = Progress::new();
    let interrupt = tokio::signal::ctrl_c();
    let waiting = async {
        let (mut moved, mut before, mut told) = (Instant::now(), 0, false);
        let mut seen = Instant::now();
        loop {
            let (done, total) = (replays.iter().map(|replay| replay.done).sum(), super::total(replays));
            progress.show(done, total);
            if replays.iter().all(|replay| replay.state != ReplayState::Running) {
                return Ok(replays.iter().all(|replay| replay.state == ReplayState::Done));
            }
            if done != before {
                (moved, before) = (Instant::now(), done);
            } else if moved.elapsed() > STUCK && !told {
                told = true;
                progress.clear();
                session.screen.note("nothing moves: is the subscriber paused? `forebay subscribers list` shows it");
            }
            tokio::time::sleep(progress.pause()).await;
            match look(&session.client, replays).await {
                Ok(()) => seen = Instant::now(),
                Err(failure) if failure.may_pass() && seen.elapsed() < AWAY => {}
                Err(failure) => return Err(failure),
            }
        }
    };
    let ended = tokio::select! {
        ended = waiting => Some(ended),
        _ = interrupt => None,
    };
    progress.clear();
    if let Some(ended) = ended {
        return ended;
    }
    for replay in replays.iter().filter(|replay| replay.state == ReplayState::Running) {
        session.screen.note(&session.client.after(&replay.id));
    }
    Err(Failure::Told)
}

/// Asks how they stand.
async fn look(client: &Client, replays: &mut [Replay]) -> Result<(), Failure> {
    for replay in replays.iter_mut().filter(|replay| replay.state == ReplayState::Running) {
        *replay = client.get(&format!("replays/{}", encoded(&replay.id)), &[]).await?.read()?;
    }
    Ok(())
}

impl Client {
    /// How to look after a replay that nobody waits for.
    pub(super) fn after(&self, id: &str) -> String {
        let id = printable(id);
        let (list, cancel) = (self.line("replay list"), self.line(&format!("replay cancel {id}")));
        format!("replay {id} goes on: {list} shows how far it is, {cancel} ends it")
    }
}
