//! One question: would this request pass under these circumstances, with one of these secrets, whatever its timestamp?

use std::cell::Cell;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::keys::Candidate;
use super::{Case, copy, one};
use crate::event::Incoming;
use crate::secret::Key;
use crate::signature::{At, Engine, KeyForm, Rejection, Scheme};

/// The bytes that are hashed in one diagnosis, which takes a second at most.
const WORK: u64 = 512 << 20;

/// What all the trials of one diagnosis may take together.
#[derive(Debug)]
pub(super) struct Budget(Cell<u64>);

impl Budget {
    pub(super) fn new() -> Self {
        Self(Cell::new(WORK))
    }

    /// How many pieces of work of this size there is room for, up to `wanted`; they count as done. Where there is not room for
    /// all of them, nothing follows.
    fn afford(&self, wanted: usize, bytes: u64) -> usize {
        let left = self.0.get();
        let fit = usize::try_from(left / bytes.max(1)).unwrap_or(usize::MAX).min(wanted);
        self.0.set(if fit < wanted { 0 } else { left - fit as u64 * bytes });
        fit
    }

    /// Counts work that was done.
    pub(super) fn spend(&self, bytes: usize) {
        self.0.set(self.0.get().saturating_sub(bytes as u64));
    }

    pub(super) fn is_spent(&self) -> bool {
        self.0.get() == 0
    }
}

/// The circumstances: what was configured and what came, but for what is tried.
#[derive(Debug, Clone)]
pub(super) struct Look<'a> {
    pub(super) scheme: Scheme<'a>,
    /// Scheme and authority of the signed URL.
    pub(super) origin: Option<String>,
    /// Path and query.
    pub(super) target: String,
    pub(super) body: Bytes,
    /// A header that is put in place of what came.
    pub(super) header: Option<(HeaderName, HeaderValue)>,
}

impl<'a> Look<'a> {
    /// As it is configured, at the request as it came.
    pub(super) fn new(engine: &'a Engine, request: &Incoming) -> Self {
        Self {
            scheme: engine.scheme(),
            origin: engine.origin().map(str::to_owned),
            target: request.target.clone(),
            body: request.body.clone(),
            header: None,
        }
    }

    /// The secret with which the request passes, if one of these is it.
    pub(super) fn opened_by<'c>(
        &self,
        case: &Case<'_>,
        budget: &Budget,
        candidates: &'c [Candidate],
    ) -> Option<&'c Candidate> {
        if budget.is_spent() {
            return None;
        }
        let request = self.request(case.request);
        // With the timestamp written into the text nothing holds it against the clock, or cares how it is written.
        let signed = match stamp(&self.scheme, &request.headers) {
            Some(stamp) if !stamp.contains(['{', '}']) => self.scheme.signed.replace("{timestamp}", stamp),
            Some(_) => return None,
            None => self.scheme.signed.to_owned(),
        };
        let scheme = Scheme { signed: &signed, timestamp: None, ..self.scheme };
        [KeyForm::Bytes, KeyForm::Base64, KeyForm::HexPublic].into_iter().find_map(|key| {
            let keys = candidates.iter().enumerate().filter(|(_, candidate)| candidate.form == key);
            let mut keys: Vec<Key> = keys.map(|(at, candidate)| candidate.key(at)).collect();
            keys.truncate(budget.afford(keys.len(), self.body.len() as u64 + 1024));
            if keys.is_empty() {
                return None;
            }
            let engine = Engine::new(&Scheme { key, ..scheme }, keys, self.origin.as_deref()).ok()?;
            candidates.get(engine.check(&request, case.now).ok()?.parse::<usize>().ok()?)
        })
    }

    /// Why the request is refused all the same with that secret: because of its timestamp, or not at all.
    pub(super) fn refusal(&self, case: &Case<'_>, candidate: &Candidate) -> Option<Rejection> {
        let scheme = Scheme { key: candidate.form, ..self.scheme };
        let engine = Engine::new(&scheme, vec![candidate.key(0)], self.origin.as_deref()).ok()?;
        engine.check(&self.request(case.request), case.now).err()
    }

    fn request(&self, request: &Incoming) -> Incoming {
        let mut request = Incoming { target: self.target.clone(), body: self.body.clone(), ..copy(request) };
        if let Some((name, value)) = &self.header {
            request.headers.insert(name.clone(), value.clone());
        }
        request
    }
}

/// The timestamp as it came, where it stands beside the body.
pub(super) fn stamp<'h>(scheme: &Scheme<'_>, headers: &'h HeaderMap) -> Option<&'h str> {
    match (scheme.timestamp?.at, scheme.list) {
        (At::Header(name), _) => one(headers, name),
        (At::Item(name), Some(list)) => {
            let value = one(headers, scheme.header)?;
            value.split(char::from(list.separator)).find_map(|item| item.trim().strip_prefix(name))
        }
        _ => None,
    }
}
