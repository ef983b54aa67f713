//! The validator of a topic: its table becomes options and secrets, and the validator itself says what it misses.

use super::{Surroundings, defaults, secret, source};
use crate::config::{Table, Value, suggest};
use crate::secret::{Key, KeyLabel};
use crate::validate::{Algorithm, BuildError, Encoding, Options, Validator, kinds};

/// Reads `validator` of a topic.
pub(super) fn read(
    topic: &Table<'_>,
    around: &Surroundings<'_>,
    public_url: Option<&str>,
) -> Option<(Validator, Vec<KeyLabel>)> {
    const HOW: &str = "write `validator = { type = \"github\", secret = { env = \"NAME\" } }`";
    let Some(value) = topic.get("validator") else {
        topic.missing(
            "validator",
            "a topic without a validator is a configuration error",
            format!("{HOW}; to take events from anyone, write out `validator = {{ type = \"none\" }}`"),
        );
        return None;
    };
    let table = value.table(HOW)?.only("topics.*.validator");
    let keys = secret::keys(&table, around);
    let kind = table.get("type");
    let options = options(&table, around, public_url);
    let Some(kind) = kind else {
        table.missing("type", "the validator has no `type`", format!("there are {}", suggest::listed(kinds())));
        return None;
    };
    let choices: Vec<(&'static str, &'static str)> = kinds().iter().map(|kind| (*kind, *kind)).collect();
    let name = kind.choice("a validator", &choices)?;
    if name == "none" {
        kind.warn(
            "anyone who can reach this topic can put events into it",
            "choose a validator that proves the sender",
        );
    }
    let labels = keys.keys.iter().map(Key::label).collect();
    match Validator::build(name, options, keys.keys) {
        Ok(validator) => Some((validator, labels)),
        Err(errors) => {
            for error in errors {
                report(&table, &kind, error);
            }
            None
        }
    }
}

/// Puts an error of the validator where its key stands.
fn report(table: &Table<'_>, kind: &Value<'_>, error: BuildError) {
    let hint = error.hint.unwrap_or_else(|| format!("see `{}` in the annotated reference", error.key));
    let is_secret = matches!(error.key, "secret" | "secrets");
    let place = table.get(error.key).or_else(|| if is_secret { table.get("secrets") } else { None });
    match place {
        // What could not be read is not missing.
        Some(value) if value.reported() => {}
        Some(value) => {
            if is_secret {
                value.mask();
            }
            value.error(error.message, hint);
        }
        None if error.key == "public_url" => kind.clone().named("ingress.public_url").error(error.message, hint),
        None => table.missing(error.key, error.message, hint),
    }
}

fn options(table: &Table<'_>, around: &Surroundings<'_>, public_url: Option<&str>) -> Options {
    const ALGORITHMS: [(&str, Algorithm); 3] =
        [("sha1", Algorithm::Sha1), ("sha256", Algorithm::Sha256), ("sha512", Algorithm::Sha512)];
    const ENCODINGS: [(&str, Encoding); 2] = [("hex", Encoding::Hex), ("base64", Encoding::Base64)];
    let get = |key: &str| table.get(key);
    let text = |key: &str, hint: &str| get(key).and_then(|value| value.string(hint)).map(str::to_owned);
    Options {
        header: get("header").and_then(|value| source::header(&value)),
        algorithm: get("algorithm").and_then(|value| value.choice("an algorithm", &ALGORITHMS)),
        encoding: get("encoding").and_then(|value| value.choice("an encoding", &ENCODINGS)),
        prefix: text("prefix", "what stands before the digest, such as `\"sha256=\"`"),
        signed: text("signed", "the signed text, such as `\"{timestamp}.{body}\"`"),
        timestamp: get("timestamp").and_then(|value| source::one(&value)),
        id: get("id").and_then(|value| source::one(&value)),
        tolerance: get("tolerance").and_then(|value| value.duration(defaults::TOLERANCE_RANGE)),
        user: text("user", "the user name the sender shows"),
        verify_token: get("verify_token").and_then(|value| secret::one(&value, around)).map(|(secret, _)| secret),
        public_url: public_url.map(str::to_owned),
    }
}
