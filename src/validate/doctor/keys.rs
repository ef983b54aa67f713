//! The secrets a sender might have used instead of the right one.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD, STANDARD, STANDARD_NO_PAD};

use super::super::Decide;
use super::{Case, Finding};
use crate::event::Millis;
use crate::secret::{Key, Secret};
use crate::signature::{KeyForm, unhex};

/// A secret that might have been used, and what is wrong if it was.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) form: KeyForm,
    pub(super) secret: Secret,
    /// None: it is the right one.
    pub(super) finding: Option<Finding>,
}

impl Candidate {
    /// It as a key that is always valid, by its place in a list.
    pub(super) fn key(&self, at: usize) -> Key {
        Key { id: at.to_string(), secret: self.secret.clone(), not_before: None, not_after: None }
    }
}

/// The topic's own secrets as they are; those whose time it is not are wrong for that.
pub(super) fn own<'k>(keys: impl Iterator<Item = &'k Key>, form: KeyForm, now: Millis) -> Vec<Candidate> {
    keys.map(|key| Candidate { form, secret: key.secret.clone(), finding: untimely(key, now) }).collect()
}

/// What is wrong with a secret of this topic because of the time.
fn untimely(key: &Key, now: Millis) -> Option<Finding> {
    let id = &key.id;
    match (key.not_before, key.not_after) {
        _ if key.valid_at(now) => None,
        (Some(from), _) if now < from => Some(Finding::new(
            "early-secret",
            format!("the secret is `{id}` of this topic, which is not valid before {from}"),
            format!("have the sender change to `{id}` later, or set its `not_before` to an earlier time"),
        )),
        (_, until) => Some(Finding::new(
            "retired-secret",
            format!("the secret is `{id}` of this topic, which is not valid since {}", until.unwrap_or_default()),
            format!("enter a secret at the sender that is valid now, or set `not_after` of `{id}` to a later time"),
        )),
    }
}

/// The secrets of all other topics, in each form they could be used in here.
pub(super) fn foreign(case: &Case<'_>, own: &[Candidate], form: KeyForm) -> Vec<Candidate> {
    let mut found = Vec::new();
    for known in case.topics.iter().filter(|known| !std::ptr::eq(known.validator, case.validator)) {
        let (keys, theirs): (Vec<&Key>, _) = match &known.validator.decide {
            Decide::Open => continue,
            Decide::Token(token) => (token.keys().collect(), KeyForm::Bytes),
            Decide::Signature(engine) => (engine.keys().collect(), engine.scheme().key),
        };
        for key in keys {
            if own.iter().any(|one| one.secret.equals(key.secret.expose())) {
                continue;
            }
            let topic = known.topic;
            let finding = Finding::new(
                "another-topics-secret",
                format!("the secret is `{}` of the topic `{topic}`", key.id),
                format!("give the sender the URL of the topic `{topic}`, or the secret of this one"),
            );
            let mut forms = vec![form];
            forms.extend((theirs != form).then_some(theirs));
            for form in forms {
                found.push(Candidate { form, secret: key.secret.clone(), finding: Some(finding.clone()) });
            }
        }
    }
    // One that is not in the form it should have would spoil the lot.
    found.retain(is_readable);
    found
}

pub(super) fn is_readable(candidate: &Candidate) -> bool {
    let secret = candidate.secret.expose();
    match candidate.form {
        KeyForm::Bytes => true,
        KeyForm::Base64 => !secret.starts_with(b"whpk_") && crate::signature::key_length(secret).is_some(),
        KeyForm::HexPublic => unhex(secret, &mut [0; 32]),
    }
}

/// What becomes of the topic's secrets when they are copied, or read, in the usual wrong ways.
pub(super) fn variants<'k>(keys: impl Iterator<Item = &'k Key>, form: KeyForm) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    let mut ids = Vec::new();
    for key in keys {
        let (id, secret) = (key.id.as_str(), key.secret.expose());
        ids.push(id);
        for (bytes, finding) in match form {
            KeyForm::Bytes => of_text(id, secret),
            KeyForm::Base64 if !secret.starts_with(b"whpk_") => of_base64(id, secret),
            _ => Vec::new(),
        } {
            let known = |one: &Candidate| one.secret.equals(&bytes);
            if let Ok(secret) = Secret::new(bytes.clone())
                && !(form == KeyForm::Bytes && key.secret.equals(&bytes))
                && !found.iter().any(known)
            {
                found.push(Candidate { form: KeyForm::Bytes, secret, finding: Some(finding) });
            }
        }
    }
    if form != KeyForm::HexPublic {
        found.extend(placeholders(&ids));
    }
    found
}

type Variant = (Vec<u8>, Finding);

fn of_text(id: &str, secret: &[u8]) -> Vec<Variant> {
    let around = |before: &[u8], after: &[u8]| [before, secret, after].concat();
    let newline = Finding::new(
        "secret-newline",
        format!("the sender's secret ends with a line break that `{id}` does not have"),
        "enter the secret at the sender without it (`printf %s` writes none, `echo` does)",
    );
    let space = Finding::new(
        "secret-whitespace",
        format!("`{id}` begins or ends with white space or a line break, and the sender's secret does not"),
        "write the secret without it (`printf %s SECRET > FILE`)",
    );
    let quoted = Finding::new(
        "secret-quotes",
        format!("the sender's secret stands in quotes that `{id}` does not have"),
        "enter the secret at the sender without the quotes",
    );
    let unquoted = Finding::new(
        "secret-quotes",
        format!("`{id}` stands in quotes, and the sender's secret does not"),
        "write the secret without the quotes",
    );
    let mut found = vec![
        (around(b"", b"\n"), newline.clone()),
        (around(b"", b"\r\n"), newline),
        (secret.trim_ascii().to_vec(), space),
        (around(b"\"", b"\""), quoted.clone()),
        (around(b"'", b"'"), quoted),
    ];
    for quote in [b'"', b'\''] {
        if let [first, inner @ .., last] = secret
            && (*first, *last) == (quote, quote)
        {
            found.push((inner.to_vec(), unquoted.clone()));
        }
    }
    let decoded = |what: &str| {
        Finding::new(
            "secret-decoded",
            format!("the sender decodes `{id}` from {what} before it signs; here its text is the key"),
            "have the sender use the text itself; or keep the decoded bytes as the secret here",
        )
    };
    let encoded = |what: &str| {
        Finding::new(
            "secret-encoded",
            format!("the sender uses {what} of `{id}`; here its own bytes are the key"),
            "have the sender use the secret itself; or write it here as the sender does",
        )
    };
    let bare = secret.strip_prefix(b"whsec_").unwrap_or(secret);
    if let Some(bytes) = unbase64(bare) {
        found.push((bytes, decoded("base64")));
    }
    if let Some(bytes) = from_hex(secret) {
        found.push((bytes, decoded("hexadecimal")));
    }
    if bare.len() < secret.len() {
        let found_here = "the sender leaves out the `whsec_` of the secret";
        found.push((bare.to_vec(), Finding::new("secret-prefix", found_here, "have the sender use all of it")));
    }
    found.push((STANDARD.encode(secret).into_bytes(), encoded("the base64")));
    found.push((STANDARD_NO_PAD.encode(secret).into_bytes(), encoded("the base64")));
    found.push((super::form::hex(secret).into_bytes(), encoded("the hexadecimal form")));
    found
}

fn of_base64(id: &str, secret: &[u8]) -> Vec<Variant> {
    let text = |what: &str| {
        Finding::new(
            "secret-as-text",
            format!(
                "the sender uses the text of `{id}`{what} as the key; by this scheme the key is what the base64 stands for"
            ),
            "have the sender decode the secret from base64, without `whsec_`, before it signs",
        )
    };
    let bare = secret.strip_prefix(b"whsec_").unwrap_or(secret);
    let mut found = vec![(secret.to_vec(), text("")), (bare.to_vec(), text(" without `whsec_`"))];
    found.push(([secret, b"\n"].concat(), text(" and a line break")));
    found
}

/// What is left of a secret when nobody filled it in.
fn placeholders(ids: &[&str]) -> Vec<Candidate> {
    let candidate = |bytes: Vec<u8>, finding| {
        let secret = Secret::new(bytes).ok()?;
        Some(Candidate { form: KeyForm::Bytes, secret, finding: Some(finding) })
    };
    // HMAC fills a key up with zero bytes, so that one of them is the same key as none (RFC 2104 section 2).
    let none = Finding::new(
        "empty-secret",
        "the sender signs with an empty secret",
        "enter the secret at the sender; a variable that should hold it may be empty there",
    );
    let mut found = vec![candidate(vec![0], none)];
    let unfilled = |what: &str| {
        Finding::new(
            "secret-placeholder",
            format!("the sender uses the text `{what}` instead of a secret"),
            "fill in the secret at the sender",
        )
    };
    for word in ["undefined", "null", "None", "nil"] {
        found.push(candidate(word.into(), unfilled(word)));
    }
    for id in ids {
        // The name of a variable, and never one that stands for the secret itself.
        if id.len() > 3 && id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_') {
            for text in [(*id).to_owned(), format!("${id}"), format!("${{{id}}}")] {
                found.push(candidate(text.clone().into_bytes(), unfilled(&text)));
            }
        }
    }
    found.into_iter().flatten().collect()
}

/// Base64 in either alphabet, with its padding or without.
pub(in crate::validate) fn unbase64(text: &[u8]) -> Option<Vec<u8>> {
    let lenient = NO_PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent);
    [alphabet::STANDARD, alphabet::URL_SAFE]
        .into_iter()
        .find_map(|alphabet| GeneralPurpose::new(&alphabet, lenient).decode(text).ok())
        .filter(|bytes| !bytes.is_empty())
}

/// Hexadecimal of either case.
pub(in crate::validate) fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = vec![0; text.len() / 2];
    (!bytes.is_empty() && unhex(text, &mut bytes)).then_some(bytes)
}
