//! Secrets: one, or a list with the times they are good for. Read here, at once, so that a missing one is found out
//! before anything starts.

use std::path::Path;

use super::Surroundings;
use crate::config::{Table, Value};
use crate::event::Millis;
use crate::secret::{Key, Secret, SecretError, SecretSource};

/// What a secret is named by.
const KINDS: [&str; 3] = ["env", "file", "credential"];

const HOW: &str = "write `{ env = \"NAME\" }`, `{ file = \"PATH\" }` or `{ credential = \"NAME\" }`";

/// A secret of fewer bytes can be guessed from one signed request.
const SHORT: usize = 16;

/// Reads one secret; beside it what a metric may call it.
pub(super) fn one(value: &Value<'_>, around: &Surroundings<'_>) -> Option<(Secret, String)> {
    if value.is_string() {
        return inline(value);
    }
    let Some(table) = table(value) else {
        value.mask();
        return None;
    };
    for key in ["id", "not_before", "not_after"] {
        if let Some(entry) = table.get(key) {
            entry.wrong_key(
                format!("`{key}` is only for a list of secrets"),
                format!("write `secrets = [{{ ..., {key} = ... }}]`"),
            );
        }
    }
    named(value, &table.only_and("secret", &["id", "not_before", "not_after"]), around)
}

/// The table of a secret; a plain value of another type is not shown.
fn table<'t>(value: &Value<'t>) -> Option<Table<'t>> {
    value.table(HOW)
}

fn inline(value: &Value<'_>) -> Option<(Secret, String)> {
    value.mask();
    let text = value.string(HOW)?;
    let inner = text.strip_prefix("${").or_else(|| text.strip_prefix("{{")).and_then(|rest| rest.strip_suffix('}'));
    if inner.is_some() {
        // Taken literally, it would be a secret that anybody can guess. What it names is not shown: it may be a secret.
        value
            .error("nothing is expanded in a secret", "write `{ env = \"NAME\" }` to take it from the variable `NAME`");
        return None;
    }
    match Secret::new(text.as_bytes().to_vec()) {
        Ok(secret) => {
            value.warn("the secret stands in the file", format!("{HOW} instead"));
            Some((secret, "inline".into()))
        }
        Err(error) => {
            value.error(error.to_string(), HOW);
            None
        }
    }
}

/// Reads the secret a table names.
fn named(value: &Value<'_>, table: &Table<'_>, around: &Surroundings<'_>) -> Option<(Secret, String)> {
    let named: Vec<Value<'_>> = KINDS.iter().filter_map(|kind| table.get(kind)).collect();
    let [only] = named.as_slice() else {
        let message = if named.is_empty() { "nothing says where the secret is" } else { "the secret is in two places" };
        // A misspelt key has been reported already, and explains more.
        if !named.is_empty() || table.all().all(|entry| ["id", "not_before", "not_after"].contains(&entry.key())) {
            value.error(message, HOW);
        }
        return None;
    };
    // The secret as a whole is what a reader looks for, not the `env` in it.
    let only_at = only.clone().named(value.path());
    let text = only.string(HOW)?;
    let source = source(&only_at, only.key(), text, around)?;
    match source.read_with(around.env) {
        Ok(secret) => {
            if let SecretSource::File(path) = &source {
                readable_by_all(&only_at, path);
            }
            value.mark(secret.expose());
            Some((secret, label(only.key(), text)))
        }
        Err(error) => {
            only_at.error(what(&error), remedy(&error));
            None
        }
    }
}

fn source(value: &Value<'_>, kind: &str, text: &str, around: &Surroundings<'_>) -> Option<SecretSource> {
    match kind {
        "env" => {
            let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if text.is_empty() || text.starts_with(|c: char| c.is_ascii_digit()) || !text.chars().all(good) {
                // Perhaps it is the secret itself.
                value.mask();
                value.error("this is not the name of a variable", "`env` names a variable that holds the secret");
                return None;
            }
            Some(SecretSource::Env(text.to_owned()))
        }
        "file" => {
            if text.is_empty() || text.contains('\0') {
                value.error("this is not a path", "`file` names a file that holds the secret");
                return None;
            }
            Some(SecretSource::File(around.path(text)))
        }
        _ => {
            if text.is_empty() || text.contains(['/', '\0']) || matches!(text, "." | "..") {
                value.error("this is not the name of a credential", "name it as the unit's `LoadCredential=` does");
                return None;
            }
            Some(SecretSource::Credential(text.to_owned()))
        }
    }
}

/// What a metric may call a secret that has no id: the name of its place.
fn label(kind: &str, text: &str) -> String {
    match kind {
        "file" => Path::new(text).file_name().map_or_else(|| text.to_owned(), |name| name.to_string_lossy().into()),
        _ => text.to_owned(),
    }
}

fn what(error: &SecretError) -> String {
    match error {
        SecretError::Unreadable(path, std::io::ErrorKind::NotFound) => format!("there is no file `{}`", path.display()),
        other => other.to_string(),
    }
}

fn remedy(error: &SecretError) -> String {
    match error {
        SecretError::NoVariable(name) => {
            format!("set `{name}` where forebay is started, or keep the secret in a file: `{{ file = \"PATH\" }}`")
        }
        SecretError::NoCredentials => {
            "credentials come from systemd, by `LoadCredential=` in the unit; elsewhere use `{ file = \"PATH\" }`"
                .into()
        }
        SecretError::Unreadable(_, std::io::ErrorKind::PermissionDenied) => {
            "the file must be readable by the user forebay runs as".into()
        }
        SecretError::Unreadable(..) => "a relative path begins at the folder of this file".into(),
        SecretError::Empty => "an empty secret proves nothing; a line break at the end does not count".into(),
        SecretError::TooLong => "this is hardly the file that was meant".into(),
    }
}

fn readable_by_all(value: &Value<'_>, path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).map(|metadata| metadata.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o004 != 0) {
        let shown = path.display();
        value.warn(format!("every user of this machine can read `{shown}`"), format!("`chmod 640 {shown}`"));
    }
}

/// What came of the secrets of a validator or of a `sign` table.
pub(super) struct Keys {
    /// Those that could be read.
    pub(super) keys: Vec<Key>,
    /// Some are there, whether they could be read or not.
    pub(super) given: bool,
}

/// Reads `secret` or `secrets` of a table.
pub(super) fn keys(table: &Table<'_>, around: &Surroundings<'_>) -> Keys {
    let (single, list) = (table.get("secret"), table.get("secrets"));
    if let (Some(_), Some(list)) = (&single, &list) {
        list.wrong_key("there are both `secret` and `secrets`", "put all of them into `secrets`");
    }
    let given = single.is_some() || list.is_some();
    let mut keys: Vec<Key> = Vec::new();
    if let Some(value) = single
        && let Some((secret, id)) = one(&value, around)
    {
        short(&value, &secret);
        keys.push(Key { id, secret, not_before: None, not_after: None });
    }
    if let Some(value) = list {
        let hint = "write `secrets = [{ id = \"new\", file = \"PATH\" }]`";
        if !value.is_list() {
            value.mask();
        }
        let entries = value.list(hint).unwrap_or_default();
        if entries.is_empty() && value.is_list() {
            value.error("the list of secrets is empty", hint);
        }
        let count = entries.len();
        for (at, entry) in entries.iter().enumerate() {
            let Some(mut key) = key(entry, around) else { continue };
            if key.id.is_empty() {
                key.id = (at + 1).to_string();
            }
            if keys.iter().any(|other| other.id == key.id) {
                entry.error(format!("two secrets are called `{}`", key.id), "give each an `id` of its own");
            }
            short(entry, &key.secret);
            keys.push(key);
        }
        if count > 0 && keys.len() == count && !keys.iter().any(|key| key.valid_at(around.now)) {
            value.warn("none of these secrets is valid now", "every request is refused until one is");
        }
    }
    Keys { keys, given }
}

/// Reads an entry of a list of secrets. One that says nothing about its id has an empty one.
fn key(entry: &Value<'_>, around: &Surroundings<'_>) -> Option<Key> {
    if entry.is_string() {
        let (secret, _) = inline(entry)?;
        return Some(Key { id: String::new(), secret, not_before: None, not_after: None });
    }
    let Some(table) = table(entry) else {
        entry.mask();
        return None;
    };
    let table = table.only("secrets.*");
    let moment = |key: &str| table.get(key).and_then(|value| value.moment()).map(Millis);
    let (not_before, not_after) = (moment("not_before"), moment("not_after"));
    if let (Some(from), Some(until), Some(value)) = (not_before, not_after, table.get("not_after"))
        && from >= until
    {
        value.error("the secret ends before it begins", "`not_after` must be later than `not_before`");
    }
    if let (Some(until), Some(value)) = (not_after, table.get("not_after"))
        && until <= around.now
    {
        value.warn("this secret is no longer valid", "remove it");
    }
    let id = table.get("id").map(|value| id(&value));
    let (secret, name) = named(entry, &table, around)?;
    Some(Key { id: id.unwrap_or(Some(name))?, secret, not_before, not_after })
}

fn id(value: &Value<'_>) -> Option<String> {
    let text = value.string("an id is what metrics and the log call the secret")?;
    if text.is_empty() || text.len() > 64 || text.chars().any(char::is_control) {
        value.error("this is not an id", "an id is a short text, such as `\"2026-11\"`");
        return None;
    }
    Some(text.to_owned())
}

fn short(value: &Value<'_>, secret: &Secret) {
    if secret.expose().len() < SHORT {
        value.warn(
            format!("the secret has fewer than {SHORT} bytes"),
            "a random one is made by `openssl rand -hex 32`; a short one can be guessed from a signed request",
        );
    }
}
