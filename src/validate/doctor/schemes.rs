//! Other ways to sign with the same secret: other signed texts, other providers, and the secret itself in a header.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;

use super::form::cure;
use super::keys;
use super::trial::{Budget, Look};
use super::{Case, Finding, PRESETS, Preset, Way, is_opaque, listed, marks, one, preset, proof};
use crate::secret::Key;
use crate::signature::{At, Scheme, Stamp, Unit};

/// What providers and their imitators sign.
const TEXTS: [&str; 15] = [
    "{body}",
    "{timestamp}.{body}",
    "{timestamp}{body}",
    "{timestamp}:{body}",
    "{timestamp},{body}",
    "v0:{timestamp}:{body}",
    "{body}.{timestamp}",
    "{body}{timestamp}",
    "{id}.{timestamp}.{body}",
    "{id}{timestamp}{body}",
    "{id}.{body}",
    "{method}{url}{body}",
    "{method}{url}{body}{timestamp}",
    "{url}{body}",
    "{payload}",
];

/// The most headers that are taken for a timestamp, or for an id.
const MAX_PLACES: usize = 4;

/// Another signed text with the scheme that signs it.
pub(super) struct Text<'a> {
    pub(super) scheme: Scheme<'a>,
    pub(super) finding: Finding,
}

/// The scheme with every other signed text the request has the parts of.
pub(super) fn texts<'a>(case: &Case<'a>, own: Scheme<'a>) -> Vec<Text<'a>> {
    let (stamps, ids) = (stamps(case, &own), ids(case, &own));
    let mut found = Vec::new();
    for signed in TEXTS.into_iter().filter(|text| *text != own.signed) {
        let stamped = signed.contains("{timestamp}");
        let stamps = if stamped { stamps.iter().copied().map(Some).collect() } else { vec![None] };
        let ids = if signed.contains("{id}") { ids.iter().copied().map(Some).collect() } else { vec![None] };
        for timestamp in stamps {
            for id in &ids {
                let scheme = Scheme { signed, timestamp, id: *id, ..own };
                let place = |what: &str, header: &str| format!(" and `{what} = {{ header = \"{header}\" }}`");
                let mut setting = format!("`signed = \"{signed}\"`");
                if let Some(At::Header(header)) = timestamp.map(|stamp| stamp.at) {
                    setting += &place("timestamp", header);
                }
                setting += &id.map(|header| place("id", header)).unwrap_or_default();
                let finding = Finding::new(
                    "signed-text",
                    format!("the sender signs `{signed}`, and by this scheme `{}` is signed", own.signed),
                    cure(case.validator.kind, &setting, &format!("sign `{}`", own.signed)),
                );
                found.push(Text { scheme, finding });
            }
        }
    }
    found
}

/// Where a timestamp may be: where the scheme has it, and else in any header that is a number of its size.
fn stamps<'a>(case: &Case<'a>, own: &Scheme<'a>) -> Vec<Stamp<'a>> {
    if let Some(stamp @ Stamp { at: At::Header(_) | At::Item(_), .. }) = own.timestamp {
        return vec![stamp];
    }
    let number = |value: &str| matches!(value.len(), 10 | 13) && value.bytes().all(|b| b.is_ascii_digit());
    let names = case.request.headers.keys().map(HeaderName::as_str);
    let places = names.filter(|name| one(&case.request.headers, name).is_some_and(number)).take(MAX_PLACES);
    let tolerance = Duration::from_secs(300);
    places.map(|name| Stamp { at: At::Header(name), unit: Unit::Either, tolerance, future: true }).collect()
}

fn ids<'a>(case: &Case<'a>, own: &Scheme<'a>) -> Vec<&'a str> {
    let names = case.request.headers.keys().map(HeaderName::as_str);
    let likely = names.filter(|name| name.ends_with("-id") || name.ends_with("-delivery")).take(MAX_PLACES);
    own.id.map_or_else(|| likely.collect(), |id| vec![id])
}

/// The request passes as another provider's, with one of these secrets.
pub(super) fn other(case: &Case<'_>, budget: &Budget, own: &[&Key], origin: Option<&str>) -> Option<Vec<Finding>> {
    let headers = &case.request.headers;
    let host = one(headers, "host").map(|host| format!("https://{host}"));
    let mut passing: Vec<(&Preset, Option<Finding>)> = Vec::new();
    for preset in PRESETS.iter().filter(|preset| preset.kind != case.validator.kind) {
        let Way::Signed(scheme) = preset.way else { continue };
        if !case.whole || !headers.contains_key(scheme.header) {
            continue;
        }
        let mut candidates = keys::own(own.iter().copied(), scheme.key, case.now);
        candidates.retain(keys::is_readable);
        let look = Look {
            scheme,
            origin: origin.map(str::to_owned).or_else(|| host.clone()),
            target: case.request.target.clone(),
            body: case.request.body.clone(),
            header: None,
        };
        if let Some(candidate) = look.opened_by(case, budget, &candidates) {
            passing.push((preset, candidate.finding.clone()));
        }
    }
    let count = |preset: &Preset| marks(preset, headers).count();
    let most = passing.iter().map(|(preset, _)| count(preset)).max()?;
    // Two providers may sign in the same way; then it is the one whose other headers are there.
    if most == 0 && self::preset(case.validator.kind).is_some_and(|own| count(own) > 0) {
        return None;
    }
    passing.retain(|(preset, _)| count(preset) == most);
    let untimely = passing.iter().find_map(|(_, finding)| finding.clone());
    let kinds: Vec<_> = passing.iter().map(|(preset, _)| preset.kind).collect();
    let choice: Vec<_> = kinds.iter().map(|kind| format!("`type = \"{kind}\"`")).collect();
    let finding = Finding::new(
        "another-scheme",
        format!("the request is signed as by {}, with a secret of this topic", listed(&kinds)),
        format!("set {} in the topic's `validator`, or post to a topic that has it", choice.join(" or ")),
    );
    Some(std::iter::once(finding).chain(untimely).collect())
}

/// One of these secrets stands in a header as it is, though the scheme signs.
pub(super) fn shown(case: &Case<'_>, own: &[&Key]) -> Option<Vec<Finding>> {
    for (name, value) in &case.request.headers {
        let value = value.as_bytes();
        let (scheme, rest) = value
            .iter()
            .position(|byte| *byte == b' ')
            .map_or((&b""[..], value), |at| (&value[..at], value[at + 1..].trim_ascii()));
        let basic = STANDARD.decode(rest).ok().filter(|_| scheme.eq_ignore_ascii_case(b"basic"));
        let password = basic.as_deref().and_then(|pair| pair.splitn(2, |byte| *byte == b':').nth(1));
        let is = |key: &&Key, bytes: &[u8]| key.secret.equals(bytes);
        let kind = if own.iter().any(|key| is(key, value)) {
            PRESETS
                .iter()
                .find(|preset| matches!(preset.way, Way::Raw(Some(header)) if header == name.as_str()))
                .map_or_else(
                    || format!("`type = \"token\"` and `header = \"{name}\"`"),
                    |preset| format!("`type = \"{}\"`", preset.kind),
                )
        } else if own.iter().any(|key| is(key, rest)) && scheme.eq_ignore_ascii_case(b"bearer") {
            "`type = \"bearer\"`".to_owned()
        } else if own
            .iter()
            .any(|key| basic.as_deref().is_some_and(|pair| is(key, pair)) || password.is_some_and(|word| is(key, word)))
        {
            "`type = \"basic\"`".to_owned()
        } else {
            continue;
        };
        return Some(vec![Finding::new(
            "token-shown",
            format!("`{name}` holds a secret of this topic as it is; by this scheme nothing but a signature is sent"),
            format!("have the sender sign, with a new secret; or set {kind} in the topic's `validator`"),
        )]);
    }
    None
}

/// A guess by the headers that tell a provider.
pub(super) fn looks_like(case: &Case<'_>) -> Option<Finding> {
    let headers = &case.request.headers;
    let seen = |preset: &'static Preset| -> Vec<&'static str> {
        let proof = proof(preset).filter(|name| headers.contains_key(*name));
        proof.into_iter().chain(marks(preset, headers)).collect()
    };
    let own = preset(case.validator.kind).map_or(0, |own| seen(own).len());
    let most = PRESETS.iter().map(|preset| seen(preset).len()).max().filter(|most| *most > own)?;
    let alike: Vec<_> = PRESETS.iter().filter(|preset| seen(preset).len() == most).collect();
    let kinds: Vec<_> = alike.iter().map(|preset| preset.kind).collect();
    let names = alike.first().map(|preset| seen(preset)).unwrap_or_default();
    Some(Finding::new(
        "looks-like-another",
        format!("it looks like a request by {}: it has {}", listed(&kinds), listed(&names)),
        format!(
            "if it is, set its `type` in the topic's `validator` instead of `{}`, or give the sender the URL of another topic",
            case.validator.kind
        ),
    ))
}

/// Headers that may hold a signature or token under another name, with their values.
pub(super) fn opaque<'a>(case: &Case<'a>) -> impl Iterator<Item = (&'a HeaderName, &'a str)> + use<'a> {
    let headers = &case.request.headers;
    let values = headers.iter().filter_map(|(name, value)| Some((name, value.to_str().ok()?)));
    values.filter(|(name, value)| is_opaque(name, value)).take(32)
}
