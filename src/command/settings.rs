//! `reload` and `check --diff`: what is different in a configuration.

use std::collections::{BTreeMap, BTreeSet};

use super::failure::Failure;
use super::screen::{Screen, Style};
use super::session::Session;
use super::words;
use crate::api::settings::{Change, Configuration, ReloadRequest, Reloaded};
use crate::cli::operate::ReloadArgs;
use crate::plan::{self, Loaded};
use crate::sink::readable::printable;

/// Has the daemon read its file, or say what would change.
pub(super) async fn reload(session: &Session, args: &ReloadArgs) -> Result<(), Failure> {
    let request = ReloadRequest { dry_run: args.dry_run };
    let answer = session.client.post_within("reload", Some(&request), super::client::LONG_PATIENCE).await?;
    session.show(&answer, told)
}

/// Shows what is different between a file and what the daemon has in force.
pub(super) async fn diff(session: &Session, loaded: &Loaded) -> Result<(), Failure> {
    let answer = session.client.get("config", &[]).await?;
    let running: Configuration = answer.read()?;
    let here = loaded.written.shown().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let changes = differences(&running.settings, &here);
    if session.json {
        let reloaded = Reloaded { applied: false, changes, warnings: None };
        let text = serde_json::to_string(&reloaded).map_err(|error| Failure::Failed(error.to_string()))?;
        return session.screen.print(&printable(&text));
    }
    session.screen.print(&compared(&running, &changes, &session.screen))
}

/// What is different `after`, where secrets are alike as stars.
fn differences(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<Change> {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let different = keys.into_iter().filter(|key| before.get(*key) != after.get(*key));
    let change = |key: &String| Change {
        key: key.clone(),
        before: before.get(key).cloned(),
        after: after.get(key).cloned(),
        needs_restart: plan::needs_restart(key),
    };
    different.map(change).collect()
}

/// The answer to a reload in words.
pub(super) fn told(reloaded: &Reloaded, screen: &Screen) -> String {
    let mut text = lines(&reloaded.changes, screen);
    for line in reloaded.warnings.as_deref().unwrap_or_default().trim().lines() {
        text.push_str(&printable(line));
        text.push('\n');
    }
    let restart = reloaded.changes.iter().any(|change| change.needs_restart);
    text.push_str(&match (reloaded.changes.len() as u64, reloaded.applied) {
        (0, true) => "read anew: nothing has changed".to_owned(),
        (0, false) => "nothing would change".to_owned(),
        (many, true) => format!("the new configuration is in force: {}", words::count(many, "change")),
        (many, false) if restart => {
            format!("{}; what needs a restart makes a reload fail", words::count(many, "change"))
        }
        (many, false) => format!("{} would be in force after a reload", words::count(many, "change")),
    });
    text
}

/// The outcome of `check --diff` in words.
pub(super) fn compared(running: &Configuration, changes: &[Change], screen: &Screen) -> String {
    let of = if running.file.is_empty() { "without a file".into() } else { format!("`{}`", printable(&running.file)) };
    let since = words::age(&running.read, screen.now);
    let mut text = lines(changes, screen);
    text.push_str(&match changes.len() as u64 {
        0 => format!("no difference from the running configuration ({of}, read {since})"),
        many => {
            let many = words::count(many, "difference");
            format!("{many} from the running configuration ({of}, read {since}): `-` there, `+` here")
        }
    });
    text.push_str("\nsecrets are not compared, only where they come from");
    text
}

/// Each change: what it was, and what it is.
fn lines(changes: &[Change], screen: &Screen) -> String {
    let mut text = String::new();
    for change in changes {
        let note =
            if change.needs_restart { screen.paint(Style::Doubtful, "  needs a restart") } else { String::new() };
        text.push_str(&format!("{}{note}\n", screen.paint(Style::Strong, &printable(&change.key))));
        if let (Some(before), Some(after)) = (&change.before, &change.after)
            && before == after
        {
            // Both are stars.
            text.push_str(&format!("  {}\n", screen.paint(Style::Doubtful, "~ another secret")));
            continue;
        }
        for (sign, value, style) in [("-", &change.before, Style::Bad), ("+", &change.after, Style::Good)] {
            if let Some(value) = value {
                text.push_str(&format!("  {}\n", screen.paint(style, &format!("{sign} {}", printable(value)))));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_compared_by_their_keys() {
        let settings = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>()
        };
        let before = settings(&[("a", "1"), ("b", "2"), ("s", "***"), ("journal.path", "\"x\"")]);
        let after = settings(&[("a", "1"), ("b", "3"), ("c", "4"), ("s", "***")]);
        let found: Vec<_> = differences(&before, &after)
            .into_iter()
            .map(|change| (change.key, change.before, change.after, change.needs_restart))
            .collect();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            found,
            [
                ("b".into(), text("2"), text("3"), false),
                ("c".into(), None, text("4"), false),
                ("journal.path".into(), text("\"x\""), None, true)
            ]
        );
    }
}
