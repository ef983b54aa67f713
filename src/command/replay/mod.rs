//! `replay`: deliver recorded events again, and see how that goes.

mod wait;

use super::client::{LONG_PATIENCE, encoded};
use super::failure::Failure;
use super::screen::{self, Screen, Style};
use super::session::Session;
use super::table::{Cell, Column, Table};
use super::words;
use crate::api::replay::{EventReplayRequest, Replay, ReplayRequest, ReplayState, Replays};
use crate::cli::operate::{EventFilter, ReplayArgs, ReplayCommand};
use crate::sink::readable::printable;

/// More events than this are asked about.
const MANY: u64 = 1000;

/// Does what `replay` was told.
pub(super) async fn run(session: &Session, args: &ReplayArgs) -> Result<(), Failure> {
    match &args.command {
        Some(_) if asks_for_more(args) => {
            Err(Failure::Usage("`replay list` and `replay cancel` take no events and no conditions".into()))
        }
        Some(ReplayCommand::List) => session
            .show(&session.client.get("replays", &[]).await?, |answer: &Replays, screen| {
                table(&answer.replays, screen)
            }),
        Some(ReplayCommand::Cancel { id }) => {
            let answer = session.client.post(&format!("replays/{}/cancel", encoded(id)), None::<&()>).await?;
            session.show(&answer, |_: &serde::de::IgnoredAny, _| format!("replay {} is over", printable(id)))
        }
        None => begin(session, args).await,
    }
}

/// Whether there is anything but a subcommand.
fn asks_for_more(args: &ReplayArgs) -> bool {
    !args.events.is_empty()
        || !args.to.is_empty()
        || args.filter != EventFilter::default()
        || args.rate.is_some()
        || args.dry_run
        || args.detach
        || args.yes
}

/// Begins replays, and waits for them.
async fn begin(session: &Session, args: &ReplayArgs) -> Result<(), Failure> {
    check(args)?;
    let begun = if args.events.is_empty() { by_filter(session, args).await? } else { by_id(session, args).await? };
    let Begun { mut replays, mut failed } = begun;
    if replays.iter().all(|replay| replay.state != ReplayState::Running) || args.dry_run || args.detach {
        // There is nothing to wait for.
    } else if !wait::wait(session, &mut replays).await? {
        failed = true;
    }
    if session.json {
        let text = serde_json::to_string(&Replays { replays }).map_err(|error| Failure::Failed(error.to_string()))?;
        session.screen.print(&printable(&text))?;
    } else {
        session.screen.print(&told(&replays, &session.screen))?;
        if args.detach
            && let Some(replay) = replays.first()
        {
            session.screen.note(&session.client.after(&replay.id));
        }
    }
    if failed { Err(Failure::Told) } else { Ok(()) }
}

/// What the parser cannot find wrong.
fn check(args: &ReplayArgs) -> Result<(), Failure> {
    let by_filter = args.filter != EventFilter::default();
    if let Some(id) = args.to.iter().find(|name| uuid::Uuid::parse_str(name).is_ok() && args.events.is_empty()) {
        return Err(Failure::Usage(format!(
            "`{id}` is the id of an event: put it before `--to`, whose values are subscribers"
        )));
    }
    if args.events.is_empty() && !by_filter {
        return Err(Failure::Usage(
            "which events? Name them by their ids, or by a condition such as `--since 1h`; all there are: `--topic '*'`"
                .into(),
        ));
    }
    if !args.events.is_empty() && (by_filter || args.rate.is_some() || args.dry_run) {
        return Err(Failure::Usage(
            "events are named by their ids, or by conditions with `--rate` and `--dry-run`, not both".into(),
        ));
    }
    Ok(())
}

/// Replays that were begun.
struct Begun {
    replays: Vec<Replay>,
    /// Some could not be.
    failed: bool,
}

async fn by_id(session: &Session, args: &ReplayArgs) -> Result<Begun, Failure> {
    let request = EventReplayRequest { subscribers: args.to.clone() };
    let mut begun = Begun { replays: Vec::new(), failed: false };
    for id in &args.events {
        match session.client.post(&format!("events/{}/replay", encoded(id)), Some(&request)).await {
            Ok(answer) => begun.replays.extend(answer.read::<Replays>()?.replays),
            // The others can be replayed all the same.
            Err(Failure::Refused { message, .. }) if args.events.len() > 1 => {
                session.screen.note(&format!("error: {id}: {message}"));
                begun.failed = true;
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(begun)
}

async fn by_filter(session: &Session, args: &ReplayArgs) -> Result<Begun, Failure> {
    let filter = &args.filter;
    let request = ReplayRequest {
        subscribers: args.to.clone(),
        topic: filter.topic.clone(),
        kind: filter.kind.clone(),
        since: filter.since.clone(),
        until: filter.until.clone(),
        q: filter.query.clone(),
        rate: args.rate,
        dry_run: args.dry_run,
    };
    if !args.dry_run && !args.yes && screen::can_ask() {
        let look = ReplayRequest { dry_run: true, ..request.clone() };
        let answer = session.client.post_within("replay", Some(&look), LONG_PATIENCE).await?;
        let replays = answer.read::<Replays>()?.replays;
        if let Some(question) = question(&replays) {
            screen::ask(&question)?;
        }
    }
    let answer = session.client.post_within("replay", Some(&request), LONG_PATIENCE).await?;
    Ok(Begun { replays: answer.read::<Replays>()?.replays, failed: false })
}

/// What somebody is asked about so many events; none, if they are few.
fn question(replays: &[Replay]) -> Option<String> {
    let total = total(replays);
    if total.is_some_and(|total| total <= MANY) {
        return None;
    }
    let each = |replay: &Replay| {
        let many = replay.total.map_or_else(|| "not counted".into(), words::number);
        format!("{} {many}", printable(&replay.subscriber))
    };
    let many = total.map_or_else(|| "an unknown number of events".into(), |total| words::count(total, "event"));
    let each = replays.iter().map(each).collect::<Vec<_>>().join(", ");
    Some(format!("This delivers {many} again ({each}). Go on?"))
}

/// How many it is for all subscribers together; none while they are being counted.
fn total(replays: &[Replay]) -> Option<u64> {
    replays.iter().try_fold(0_u64, |sum, replay| Some(sum.saturating_add(replay.total?)))
}

/// What became of the replays, a line each.
pub(super) fn told(replays: &[Replay], screen: &Screen) -> String {
    if replays.is_empty() {
        return "nothing to deliver again: no subscriber wants any of these events".into();
    }
    let lines = replays.iter().map(|replay| {
        let name = screen.paint(Style::Strong, &printable(&replay.subscriber));
        let many = replay.total.map_or_else(|| "events".into(), |total| words::count(total, "event"));
        let text = match replay.state {
            ReplayState::DryRun => format!("{many} would be delivered again"),
            ReplayState::Running => format!("{many} to be delivered again, as replay {}", printable(&replay.id)),
            ReplayState::Cancelled => {
                let style = screen.paint(Style::Doubtful, "cancelled");
                format!("{style} after {} of {many}", words::number(replay.done))
            }
            ReplayState::Done => format!("{} handled again", words::count(replay.done, "event")),
        };
        let mut line = format!("{name}: {text}");
        if replay.failed > 0 {
            let failed = format!("{} refused at first", words::number(replay.failed));
            line.push_str(&format!(", {} and retried as any other", screen.paint(Style::Doubtful, &failed)));
        }
        if replay.gone > 0 {
            line.push_str(&format!(", {} removed by retention", words::number(replay.gone)));
        }
        line
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Replays as a table.
pub(super) fn table(replays: &[Replay], screen: &Screen) -> String {
    if replays.is_empty() {
        return "no replays: `forebay replay EVENT...` begins one".into();
    }
    let mut table = Table::new([
        Column::new("ID"),
        Column::flexible("SUBSCRIBER", 10),
        Column::new("STATE"),
        Column::right("DONE"),
        Column::right("OF"),
        Column::right("REFUSED"),
        Column::right("GONE"),
        Column::right("A SECOND"),
        Column::right("STARTED"),
    ]);
    for replay in replays {
        let (state, style) = match replay.state {
            ReplayState::Running => ("running", Style::Good),
            ReplayState::Done => ("done", Style::Plain),
            ReplayState::Cancelled => ("cancelled", Style::Doubtful),
            ReplayState::DryRun => ("not begun", Style::Faint),
        };
        let total = replay.total.map(words::number);
        let rate = replay.rate.map(|rate| words::number(rate.into()));
        table.row([
            Cell::from(&replay.id),
            (&replay.subscriber).into(),
            Cell::styled(state, style),
            words::number(replay.done).into(),
            total.as_deref().into(),
            words::number(replay.failed).into(),
            words::number(replay.gone).into(),
            rate.as_deref().into(),
            words::age(&replay.started, screen.now).into(),
        ]);
    }
    table.lines(screen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replay(total: Option<u64>) -> Replay {
        Replay {
            id: "r".into(),
            subscriber: "ci".into(),
            state: ReplayState::DryRun,
            started: String::new(),
            total,
            done: 0,
            failed: 0,
            gone: 0,
            rate: None,
        }
    }

    #[test]
    fn many_events_are_asked_about() {
        assert_eq!(question(&[]), None);
        assert_eq!(question(&[replay(Some(600)), replay(Some(400))]), None);
        let many = question(&[replay(Some(600)), replay(Some(401))]).expect("a question");
        assert_eq!(many, "This delivers 1,001 events again (ci 600, ci 401). Go on?");
        let unknown = question(&[replay(Some(1)), replay(None)]).expect("a question");
        assert_eq!(unknown, "This delivers an unknown number of events again (ci 1, ci not counted). Go on?");
    }
}
