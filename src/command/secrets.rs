//! `secrets`: when each secret last matched.

use super::failure::Failure;
use super::screen::{Screen, Style};
use super::session::Session;
use super::table::{Cell, Column, Table};
use super::words;
use crate::api::topics::{SecretState, SecretUse, Secrets};

/// Shows them.
pub(super) async fn run(session: &Session) -> Result<(), Failure> {
    session.show(&session.client.get("secrets", &[]).await?, table)
}

/// All of them as a table.
pub(super) fn table(answer: &Secrets, screen: &Screen) -> String {
    if answer.secrets.is_empty() {
        return "no secrets: no topic has a validator with one".into();
    }
    let mut table = Table::new([
        Column::flexible("TOPIC", 10),
        Column::flexible("SECRET", 10),
        Column::new("STATE"),
        Column::right("LAST MATCHED"),
        Column::right("MATCHED"),
        Column::flexible("VALID", 16),
    ]);
    for secret in &answer.secrets {
        let (state, style) = match secret.state {
            SecretState::Active => ("active", Style::Good),
            SecretState::NotYet => ("not yet", Style::Doubtful),
            SecretState::Retired => ("retired", Style::Faint),
        };
        // Matches from before it was known here were noted by nobody.
        let never = || format!("never (known {})", words::age(&secret.known_since, screen.now));
        let last = secret.last_matched.as_deref().map_or_else(never, |time| words::age(time, screen.now));
        table.row([
            Cell::from(&secret.topic),
            (&secret.secret).into(),
            Cell::styled(state, style),
            last.into(),
            words::number(secret.matched).into(),
            valid(secret).into(),
        ]);
    }
    table.lines(screen)
}

fn valid(secret: &SecretUse) -> String {
    match (secret.not_before.as_deref().map(brief), secret.not_after.as_deref().map(brief)) {
        (None, None) => "always".into(),
        (Some(from), None) => format!("from {from}"),
        (None, Some(until)) => format!("until {until}"),
        (Some(from), Some(until)) => format!("from {from} until {until}"),
    }
}

/// A moment that people have written down: by the day, if it is the beginning of one.
fn brief(moment: &str) -> String {
    let (day, seconds) = (moment.strip_suffix("T00:00:00.000Z"), moment.strip_suffix(".000Z"));
    day.map_or_else(|| seconds.map_or_else(|| moment.to_owned(), |seconds| format!("{seconds}Z")), str::to_owned)
}
