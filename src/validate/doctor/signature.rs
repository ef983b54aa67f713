//! A scheme that signs: which circumstances are tried, in which order, and what is said where none of them fits.

use http::header::{HeaderName, HeaderValue};

use super::form::{self, hex};
use super::keys::{self, Candidate};
use super::trial::{Budget, Look, stamp};
use super::{Case, Finding, bodies, copy, listed, marks, one, preset, schemes, urls};
use crate::event::Incoming;
use crate::secret::Key;
use crate::signature::{At, Engine, Rejection, Stamp, Unit};

/// Where trying begins: the signature as it came, or as it should have been written or placed.
struct Start<'a> {
    look: Look<'a>,
    /// What is wrong if it is that.
    findings: Vec<Finding>,
}

struct Search<'a> {
    case: &'a Case<'a>,
    engine: &'a Engine,
    budget: Budget,
    /// The topic's own secrets, also those that are not valid now.
    own: Vec<Candidate>,
    /// All others that are tried.
    others: Vec<Candidate>,
}

pub(super) fn findings(case: &Case<'_>, engine: &Engine, rejection: &Rejection) -> Vec<Finding> {
    let form = engine.scheme().key;
    let own = keys::own(engine.keys(), form, case.now);
    let mut others = keys::variants(engine.keys(), form);
    others.extend(keys::foreign(case, &own, form));
    let search = Search { case, engine, budget: Budget::new(), own, others };
    search.findings(rejection)
}

impl<'a> Search<'a> {
    fn findings(&self, rejection: &Rejection) -> Vec<Finding> {
        let headers = &self.case.request.headers;
        let header = self.engine.header();
        if let Some(name) = self.signed_headers().find(|name| headers.get_all(*name).iter().count() > 1) {
            return self.repeated(name);
        }
        let keys: Vec<&Key> = self.engine.keys().collect();
        let there = headers.get(header).is_some_and(|value| !value.is_empty());
        let proved = || {
            if !self.case.whole {
                return schemes::shown(self.case, &keys);
            }
            there
                .then(|| self.explain(rejection))
                .flatten()
                .or_else(|| schemes::shown(self.case, &keys))
                .or_else(|| schemes::other(self.case, &self.budget, &keys, self.engine.origin()))
                .or_else(|| if there { None } else { self.misplaced() })
        };
        if let Some(found) = proved() {
            return found;
        }
        let guess = schemes::looks_like(self.case);
        if !there {
            return guess.into_iter().chain([self.unsigned()]).collect();
        }
        if let Some(missing) = self.signed_headers().find(|name| !headers.contains_key(*name)) {
            let finding = Finding::new(
                "missing-header",
                format!("`{missing}` is missing: it is signed together with the body"),
                format!("have the sender send `{missing}`, and every proxy pass it on"),
            );
            return guess.into_iter().chain([finding]).collect();
        }
        if !self.case.whole {
            return vec![not_kept()];
        }
        guess.into_iter().chain(self.unexplained(rejection)).collect()
    }

    /// The headers without which there is no signed text, the signature's first.
    fn signed_headers(&self) -> impl Iterator<Item = &'a str> {
        let scheme = self.engine.scheme();
        let stamp = match scheme.timestamp {
            Some(Stamp { at: At::Header(name), .. }) => Some(name),
            _ => None,
        };
        [Some(scheme.header), stamp, scheme.id].into_iter().flatten()
    }

    /// The signature is there: what would have to be different for it to be right?
    fn explain(&self, rejection: &Rejection) -> Option<Vec<Finding>> {
        let came = Start { look: Look::new(self.engine, self.case.request), findings: Vec::new() };
        if let Some(found) = self.circumstances(&came) {
            return Some(found);
        }
        if !matches!(rejection.label, "malformed" | "no_valid_secret") {
            return None;
        }
        let value = one(&self.case.request.headers, self.engine.header().as_str())?;
        self.readings(value, &[])
    }

    /// Tries everything that can be read out of a value as the signature.
    fn readings(&self, value: &str, findings: &[Finding]) -> Option<Vec<Finding>> {
        let came = Look::new(self.engine, self.case.request);
        form::readings(value, &came.scheme, self.case.validator.kind).into_iter().find_map(|form| {
            let mut look = came.clone();
            look.scheme.algorithm = form.algorithm;
            look.header = Some((self.engine.header().clone(), form.value));
            self.circumstances(&Start { look, findings: [findings, &form.findings].concat() })
        })
    }

    /// One thing at a time; then another secret together with one thing more.
    fn circumstances(&self, start: &Start<'a>) -> Option<Vec<Finding>> {
        let look = &start.look;
        let tried = |look: &Look<'_>, candidates: &[Candidate], findings: &[Finding]| {
            let candidate = look.opened_by(self.case, &self.budget, candidates)?;
            let more = candidate.finding.iter().cloned().chain(self.clock(look, candidate));
            Some(start.findings.iter().chain(findings).cloned().chain(more).collect::<Vec<_>>())
        };
        if let Some(found) = [&self.own, &self.others].into_iter().find_map(|keys| tried(look, keys, &[])) {
            return Some(found);
        }
        let signs_url = look.scheme.signed.contains("url}");
        let given = look.origin.as_deref().filter(|_| signs_url).map(|origin| urls::given(origin, self.case.request));
        let texts = schemes::texts(self.case, look.scheme);
        [&self.own, &self.others].into_iter().find_map(|keys| {
            let body = bodies::each(self.case, &self.budget, |(body, finding)| {
                tried(&Look { body, ..look.clone() }, keys, &[finding])
            });
            let url = || {
                given.iter().flatten().find_map(|given| {
                    let (origin, target) = (Some(given.origin.clone()), given.target.clone());
                    tried(&Look { origin, target, ..look.clone() }, keys, &given.findings)
                })
            };
            let text = || {
                texts.iter().find_map(|text| {
                    let mut look = look.clone();
                    look.scheme.signed = text.scheme.signed;
                    look.scheme.timestamp = text.scheme.timestamp;
                    look.scheme.id = text.scheme.id;
                    if look.origin.is_none() {
                        look.origin = one(&self.case.request.headers, "host").map(|host| format!("https://{host}"));
                    }
                    tried(&look, keys, std::slice::from_ref(&text.finding))
                })
            };
            body.or_else(url).or_else(text)
        })
    }

    /// What is wrong with the timestamp of a request whose signature is right under these circumstances.
    fn clock(&self, look: &Look<'_>, candidate: &Candidate) -> Option<Finding> {
        let rejection = look.refusal(self.case, candidate)?;
        let configured = look.scheme.timestamp?;
        let with = |stamp: Stamp<'_>| {
            let mut look = look.clone();
            look.scheme.timestamp = Some(stamp);
            look.refusal(self.case, candidate).is_none()
        };
        if rejection.label != "stale" {
            let text = stamp(&look.scheme, &self.case.request.headers).unwrap_or_default();
            return Some(Finding::new(
                "timestamp-form",
                format!("the signature is right, and {}", rejection.reason),
                match text {
                    "" => "have the sender put the time of sending there",
                    _ => {
                        "have the sender write the time in whole seconds (or milliseconds, where the provider does) since 1970"
                    }
                },
            ));
        }
        for (unit, name, wanted) in
            [(Unit::Millis, "milliseconds", "seconds"), (Unit::Seconds, "seconds", "milliseconds")]
        {
            if unit != configured.unit && configured.unit != Unit::Either && with(Stamp { unit, ..configured }) {
                return Some(Finding::new(
                    "timestamp-unit",
                    format!("the signature is right, and its timestamp is in {name} instead of {wanted}"),
                    format!("have the sender write the timestamp in {wanted} since 1970"),
                ));
            }
        }
        let allowed = configured.tolerance.as_secs();
        let found = format!("the signature is right, and {}; {allowed} s are allowed", rejection.reason);
        Some(if configured.future && with(Stamp { future: false, ..configured }) {
            Finding::new(
                "future-timestamp",
                found,
                "set both clocks by NTP: the sender's is ahead, or this machine's behind; or set a larger `tolerance`",
            )
        } else {
            Finding::new(
                "stale-timestamp",
                found,
                "set both clocks by NTP; if the request was delayed, or sent again with its first signature, have it signed \
                 anew, or set a larger `tolerance`",
            )
        })
    }

    fn repeated(&self, name: &str) -> Vec<Finding> {
        let request = self.case.request;
        let values: Vec<&HeaderValue> = request.headers.get_all(name).iter().collect();
        let same = values.iter().all(|value| *value == values[0]);
        let passes = values.iter().any(|value| {
            let mut single: Incoming = copy(request);
            if let Ok(name) = HeaderName::try_from(name) {
                single.headers.insert(name, (*value).clone());
            }
            Look::new(self.engine, &single)
                .opened_by(&Case { request: &single, ..*self.case }, &self.budget, &self.own)
                .is_some()
        });
        let found = match (same, passes) {
            (true, true) => "with the same value, which is right",
            (true, false) => "with the same value",
            (false, true) => "with different values, one of which is right",
            (false, false) => "with different values",
        };
        vec![Finding::new(
            "repeated-header",
            format!("`{name}` is there {} times, {found}", values.len()),
            "see which proxy adds the header again: two readers might not take the same one, so neither is taken",
        )]
    }

    /// The signature stands under another name.
    fn misplaced(&self) -> Option<Vec<Finding>> {
        let header = self.engine.header();
        let kind = self.case.validator.kind;
        schemes::opaque(self.case).find_map(|(name, value)| {
            let change = match kind {
                "hmac" => format!("set `header = \"{name}\"` in the topic's `validator`"),
                _ => format!(
                    "have the sender, or the proxy that renames it, send `{header}`; or describe the scheme with \
                     `type = \"hmac\"` and `header = \"{name}\"`"
                ),
            };
            let finding = Finding::new(
                "wrong-header",
                format!("the signature stands in `{name}`, and belongs into `{header}`"),
                change,
            );
            let mut look = Look::new(self.engine, self.case.request);
            look.header = Some((header.clone(), HeaderValue::from_str(value).ok()?));
            let as_it_is = Start { look, findings: vec![finding.clone()] };
            self.circumstances(&as_it_is).or_else(|| self.readings(value, &[finding]))
        })
    }

    fn unsigned(&self) -> Finding {
        let headers = &self.case.request.headers;
        let header = self.engine.header();
        let kind = self.case.validator.kind;
        let empty = headers.contains_key(header);
        let marks: Vec<_> = preset(kind).map(|preset| marks(preset, headers).collect()).unwrap_or_default();
        let there = if empty { "empty" } else { "missing" };
        let (found, change) = if marks.is_empty() {
            (
                format!(
                    "`{header}` is {there}: nobody signed the request, or it is not by the sender this topic is for"
                ),
                format!("look who sends it; a proxy in front must pass `{header}` on"),
            )
        } else {
            (
                format!("`{header}` is {there}, and {} is there: the right sender, who did not sign", listed(&marks)),
                format!("enter the secret at the sender; if one is there, see which proxy takes `{header}` away"),
            )
        };
        Finding::new("missing-signature", found, change)
    }

    /// Nothing fits.
    fn unexplained(&self, rejection: &Rejection) -> Vec<Finding> {
        let request = self.case.request;
        if rejection.label == "malformed" {
            return vec![Finding::new(
                "unreadable",
                rejection.reason.clone(),
                "compare the header with the provider's documentation: it may be cut off, or not a signature at all",
            )];
        }
        let digest = ring::digest::digest(&ring::digest::SHA256, &request.body);
        let length = request.body.len();
        if let Some(finding) = changed(request) {
            return vec![finding];
        }
        vec![Finding::new(
            "no-match",
            "no known fault explains it: the secret is one that is not configured here, or the body was changed on the way",
            format!(
                "enter the secret anew on both sides; if that does not help, compare the body with what the sender's own log \
                 shows: {length} bytes came, SHA-256 {}",
                hex(digest.as_ref())
            ),
        )]
    }
}

fn not_kept() -> Finding {
    Finding::new(
        "body-not-kept",
        "the body was not kept whole, and without it no signature can be tried",
        "set `rejections = { bodies = \"...\" }` under `[admin]` to more than its length, and have it sent again",
    )
}

/// The body is not the one whose digest the sender sends along (RFC 9530, and RFC 3230 before it).
fn changed(request: &Incoming) -> Option<Finding> {
    let body = ring::digest::digest(&ring::digest::SHA256, &request.body);
    for name in ["content-digest", "repr-digest", "digest"] {
        let Some(value) = one(&request.headers, name) else { continue };
        let digests = value.split(',').filter_map(|item| item.trim().split_once('='));
        for (algorithm, digest) in digests {
            let digest = keys::unbase64(digest.trim_matches(':').as_bytes());
            if algorithm.eq_ignore_ascii_case("sha-256") && digest.is_some_and(|digest| digest != body.as_ref()) {
                return Some(Finding::new(
                    "body-changed",
                    format!("the body is not the one whose SHA-256 stands in `{name}`: it was changed on the way"),
                    "look at every proxy between the sender and here for what rewrites bodies",
                ));
            }
        }
    }
    None
}
