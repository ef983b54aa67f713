//! A scheme that compares a token: where the token is, and which it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::token::{Shape, Token};
use super::keys::{self, Candidate};
use super::trial::Budget;
use super::{Case, Finding, listed, marks, one, preset, schemes};
use crate::secret::Key;
use crate::signature::{KeyForm, Rejection, fields, unescape};

/// Variants of a secret that a token can be, and not only the key of a signature.
const VARIANTS: [&str; 4] = ["secret-whitespace", "secret-quotes", "secret-encoded", "secret-placeholder"];

pub(super) fn findings(case: &Case<'_>, token: &Token, rejection: &Rejection) -> Vec<Finding> {
    let headers = &case.request.headers;
    let header = token.header();
    let count = headers.get_all(header).iter().count();
    if count > 1 {
        return vec![Finding::new(
            "repeated-header",
            format!("`{header}` is there {count} times"),
            "see which proxy adds the header again: two readers might not take the same one, so neither is taken",
        )];
    }
    let secrets: Vec<&Key> = token.keys().collect();
    let own = keys::own(token.keys(), KeyForm::Bytes, case.now);
    let mut others = keys::variants(token.keys(), KeyForm::Bytes);
    others.retain(|candidate| candidate.finding.as_ref().is_some_and(|finding| VARIANTS.contains(&finding.fault)));
    others.extend(keys::foreign(case, &own, KeyForm::Bytes));
    let found = displaced(case, token, &own)
        .or_else(|| in_query(case, token, &own))
        .or_else(|| displaced(case, token, &others))
        .or_else(|| nearly(case, token, &secrets))
        .or_else(|| schemes::other(case, &Budget::new(), &secrets, None));
    if let Some(found) = found {
        return found;
    }
    let guess = schemes::looks_like(case);
    guess.into_iter().chain([unexplained(case, token, rejection)]).collect()
}

/// What a header's value may show, and in which shape.
fn readings(value: &[u8]) -> Vec<(Vec<u8>, Option<Shape>)> {
    let mut found = vec![(value.to_vec(), Some(Shape::Raw))];
    if let Some(at) = value.iter().position(|byte| *byte == b' ') {
        let (scheme, rest) = (&value[..at], value[at + 1..].trim_ascii());
        let shape = [(&b"bearer"[..], Shape::Bearer), (b"basic", Shape::Basic)]
            .into_iter()
            .find(|(name, _)| scheme.eq_ignore_ascii_case(name))
            .map(|(_, shape)| shape);
        if let (Some(Shape::Basic), Ok(pair)) = (shape, STANDARD.decode(rest)) {
            found.push((pair, shape));
        }
        found.push((rest.to_vec(), shape.filter(|shape| *shape != Shape::Basic)));
    }
    found
}

/// One of these secrets is shown in some header, in some shape.
fn displaced(case: &Case<'_>, token: &Token, candidates: &[Candidate]) -> Option<Vec<Finding>> {
    let header = token.header();
    let all = &case.request.headers;
    let at_home = |home: bool| all.iter().filter(move |(name, _)| (*name == header) == home);
    for (name, value) in at_home(true).chain(at_home(false)) {
        for (shown, shape) in readings(value.as_bytes()) {
            let matching = |candidate: &&Candidate| candidate.secret.equals(&shown);
            let Some(candidate) = candidates.iter().find(matching) else { continue };
            let mut found = Vec::new();
            if name != header {
                found.push(Finding::new(
                    "wrong-header",
                    format!("the token stands in `{name}`, and belongs into `{header}`"),
                    format!("have the sender, or the proxy that renames it, send `{header}`"),
                ));
            }
            if shape != Some(token.shape()) {
                let wanted = match token.shape() {
                    Shape::Raw => "alone in the header".to_owned(),
                    Shape::Bearer => "behind `Bearer `".to_owned(),
                    Shape::Basic => "in base64 behind `Basic `".to_owned(),
                };
                found.push(Finding::new(
                    "token-form",
                    format!("the token in `{name}` should stand {wanted}"),
                    "have the sender write it so; or set the `type` of the topic's `validator` to `token`, `bearer` or `basic`",
                ));
            }
            found.extend(candidate.finding.clone());
            return Some(found);
        }
    }
    None
}

fn in_query(case: &Case<'_>, token: &Token, own: &[Candidate]) -> Option<Vec<Finding>> {
    let (_, query) = case.request.target.split_once('?')?;
    let mut values = fields(query.as_bytes()).filter_map(|(_, value)| unescape(value));
    let candidate = values.find_map(|value| own.iter().find(|candidate| candidate.secret.equals(&value)))?;
    let finding = Finding::new(
        "token-in-query",
        "the token stands in the query of the URL",
        format!("have the sender send it in `{}`; and change it, for URLs are written into logs", token.header()),
    );
    Some(std::iter::once(finding).chain(candidate.finding.clone()).collect())
}

/// A token that is almost one of the secrets.
fn nearly(case: &Case<'_>, token: &Token, secrets: &[&Key]) -> Option<Vec<Finding>> {
    let value = case.request.headers.get(token.header())?;
    for (shown, shape) in readings(value.as_bytes()) {
        if shape != Some(token.shape()) {
            continue;
        }
        for key in secrets {
            let (id, secret) = (&key.id, key.secret.expose());
            let password = |pair: &[u8]| pair.iter().position(|byte| *byte == b':').map(|at| pair[at + 1..].to_vec());
            let found = if secret.eq_ignore_ascii_case(&shown) {
                ("secret-case", format!("the token is `{id}` but for upper and lower case"))
            } else if token.shape() == Shape::Basic
                && password(&shown).is_some_and(|word| password(secret) == Some(word))
            {
                ("wrong-user", format!("the password is that of `{id}`, and the user name is another"))
            } else if shown.len() >= 8 && (secret.starts_with(&shown) || secret.ends_with(&shown)) {
                ("token-cut", format!("the token is a part of `{id}`, {} of {} bytes", shown.len(), secret.len()))
            } else if secret.len() >= 8 && (shown.starts_with(secret) || shown.ends_with(secret)) {
                ("token-cut", format!("`{id}` is a part of the token, {} of {} bytes", secret.len(), shown.len()))
            } else {
                continue;
            };
            let change = "enter it at the sender again, exactly as it is here";
            return Some(vec![Finding::new(found.0, found.1, change)]);
        }
    }
    None
}

fn unexplained(case: &Case<'_>, token: &Token, rejection: &Rejection) -> Finding {
    let headers = &case.request.headers;
    let header = token.header();
    let empty = headers.get(header).is_none_or(http::HeaderValue::is_empty);
    if empty {
        let marks: Vec<_> = preset(case.validator.kind).map(|own| marks(own, headers).collect()).unwrap_or_default();
        let found = if marks.is_empty() {
            format!("`{header}` is missing or empty: nobody showed a token")
        } else {
            format!(
                "`{header}` is missing or empty, and {} is there: the right sender, without a token",
                listed(&marks)
            )
        };
        let change = format!("enter the token at the sender; if one is there, see which proxy takes `{header}` away");
        return Finding::new("missing-token", found, change);
    }
    if rejection.label == "malformed" || one(headers, header.as_str()).is_none() {
        let change =
            "have the sender write the header as this scheme has it, or set another `type` in the topic's `validator`";
        return Finding::new("unreadable", rejection.reason.clone(), change);
    }
    Finding::new(
        "no-match",
        format!("the token in `{header}` is none of this topic's secrets, and not like one of them"),
        "enter the token anew on both sides",
    )
}
