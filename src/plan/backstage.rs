//! Backstage's event bus.

use std::time::Duration;

use super::{Surroundings, defaults, secret};
use crate::config::{Table, Value};
use crate::http::bus::Settings;

/// The bus as it is meant.
#[derive(Debug, Clone)]
pub struct Backstage {
    /// Where Backstage's plugins are, as scheme and authority and perhaps a path; their keys are below it.
    pub url: String,
    /// What can change while the daemon runs.
    pub settings: Settings,
}

/// Backstage's client waits no longer than five minutes for an answer that is held (undici's `bodyTimeout`).
const LONGEST_HOLD: Duration = Duration::from_secs(290);

/// A token of fewer bytes can be guessed; Backstage takes none of fewer than eight.
const SHORT: usize = 16;

/// Reads `[backstage]`; nothing where there is none, or where something was reported.
pub(super) fn read(file: &Table<'_>, around: &Surroundings<'_>) -> Option<Backstage> {
    let table = file.get("backstage")?.table("write `[backstage]`")?.only("backstage");
    let get = |key: &str| table.get(key);
    let url = table
        .need(
            "url",
            "nothing says where Backstage is",
            "write `url = \"http://localhost:7007\"`, its backend's base URL",
        )
        .and_then(|value| url(&value));
    let tokens = get("tokens").map(|value| tokens(&value, around)).unwrap_or_default();
    let notify_timeout = get("notify_timeout")
        .map_or(Some(defaults::NOTIFY_TIMEOUT), |value| value.duration(Duration::from_millis(100)..=LONGEST_HOLD));
    let forget_idle =
        get("forget_idle").map_or(Some(defaults::FORGET_IDLE), |value| value.duration(defaults::FORGET_IDLE_RANGE));
    let settings = Settings { tokens, notify_timeout: notify_timeout?, forget_idle: forget_idle? };
    Some(Backstage { url: url?, settings })
}

fn url(value: &Value<'_>) -> Option<String> {
    const HINT: &str = "write the base URL of Backstage's backend: `\"http://localhost:7007\"`";
    let text = value.string(HINT)?;
    if text.contains(['@', '?', '#']) {
        value.mask();
        value.error("the URL must be scheme, host and perhaps a path, and nothing else", HINT);
        return None;
    }
    let uri = text.parse::<http::Uri>().ok().filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
    if uri.is_none_or(|uri| uri.host().is_none_or(str::is_empty)) {
        value.error(format!("`{text}` is not an `http` or `https` URL"), HINT);
        return None;
    }
    Some(text.trim_end_matches('/').to_owned())
}

fn tokens(value: &Value<'_>, around: &Surroundings<'_>) -> Vec<crate::secret::Secret> {
    const HOW: &str = "write `tokens = [{ env = \"BACKSTAGE_EVENTS_TOKEN\" }]`";
    if !value.is_list() {
        value.mask();
    }
    let read = |entry: &Value<'_>| {
        let (token, _) = secret::one(entry, around)?;
        if token.expose().len() < SHORT {
            entry.warn(format!("the token has fewer than {SHORT} bytes"), "make one by `openssl rand -hex 32`");
        }
        Some(token)
    };
    value.list(HOW).unwrap_or_default().iter().filter_map(read).collect()
}
