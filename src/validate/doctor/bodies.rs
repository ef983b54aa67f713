//! The bodies a sender might have signed instead of the one that came.

use std::collections::HashSet;

use bytes::Bytes;
use http::header::CONTENT_TYPE;

use super::restyle::{self, Style, Tree};
use super::trial::Budget;
use super::{Case, Finding, MAX_BODY, one};
use crate::event::Incoming;
use crate::signature::{form_payload, is_form};

const BOM: &[u8] = b"\xef\xbb\xbf";

/// How much longer it takes to write a byte anew than to hash it.
const WRITING: usize = 4;

/// A body that might have been signed, and what is wrong if it was.
pub(super) type Signed = (Bytes, Finding);

/// Asks about every body that might have been signed, each once and the likeliest first, until there is an answer.
pub(super) fn each<T>(case: &Case<'_>, budget: &Budget, mut ask: impl FnMut(Signed) -> Option<T>) -> Option<T> {
    let body = &case.request.body;
    let mut seen = HashSet::from([digest(body)]);
    let mut ask = |(body, finding): Signed| if seen.insert(digest(&body)) { ask((body, finding)) } else { None };
    if body.len() <= MAX_BODY && !body.is_empty() && !budget.is_spent() {
        budget.spend(WRITING * 8 * body.len());
        let simple = line_ends(body).into_iter().chain(forms(case.request)).chain(encodings(body));
        if let Some(answer) = simple.into_iter().find_map(&mut ask) {
            return Some(answer);
        }
        if let Some(answer) = reserialised(body, budget, &mut ask) {
            return Some(answer);
        }
    }
    ask((
        Bytes::new(),
        Finding::new(
            "empty-body-signed",
            "the sender signs an empty body, and sends another",
            "have the sender sign the bytes it sends: a stream may have been read to its end before it was signed",
        ),
    ))
}

fn digest(body: &[u8]) -> u128 {
    xxhash_rust::xxh3::xxh3_128(body)
}

fn line_ends(body: &[u8]) -> Vec<Signed> {
    let with = |end: &[u8]| Bytes::from([body, end].concat());
    let more = || {
        Finding::new(
            "body-newline",
            "the body was signed with a line break at its end that did not come",
            "sign and send the same bytes: `curl -d` cuts line breaks off where `--data-binary` does not, and `echo` \
             writes one where `printf %s` does not",
        )
    };
    let less = || {
        Finding::new(
            "body-newline",
            "the body was signed without the white space that stands at its end or its beginning",
            "have the sender sign the bytes it sends, and see that nothing on the way adds a line break",
        )
    };
    let ends = |from: &str, to: &str| {
        Finding::new(
            "body-line-ends",
            format!("the body was signed with line breaks of {from}, and came with {to}"),
            "see that neither the sender nor a proxy changes the body's line breaks: no text mode, `curl --data-binary`",
        )
    };
    let lf = without_cr(body);
    let crlf = Bytes::from(lf.split(|byte| *byte == b'\n').collect::<Vec<_>>().join(&b"\r\n"[..]));
    let bom = |there: &str| {
        Finding::new(
            "body-bom",
            format!("the body was signed {there} a byte order mark"),
            "have the sender write UTF-8 without a byte order mark",
        )
    };
    let mut found = vec![
        (with(b"\n"), more()),
        (with(b"\r\n"), more()),
        (Bytes::copy_from_slice(body.trim_ascii_end()), less()),
        (Bytes::copy_from_slice(body.trim_ascii()), less()),
        (lf, ends("LF", "CR LF")),
        (crlf, ends("CR LF", "LF")),
        ([BOM, body].concat().into(), bom("with")),
    ];
    if let Some(rest) = body.strip_prefix(BOM) {
        found.push((Bytes::copy_from_slice(rest), bom("without")));
    }
    found
}

fn without_cr(body: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(body.len());
    for (at, byte) in body.iter().enumerate() {
        if !(*byte == b'\r' && body.get(at + 1) == Some(&b'\n')) {
            out.push(*byte);
        }
    }
    out.into()
}

/// The JSON and the form that holds it.
fn forms(request: &Incoming) -> Vec<Signed> {
    let body = &request.body;
    let mut found = Vec::new();
    if let Some(payload) = form_payload(body) {
        found.push((
            Bytes::from(payload.into_owned()),
            Finding::new(
                "form-payload-signed",
                "the JSON in the form's field `payload` was signed, not the form",
                "have the sender send JSON (`application/json`); Gitea, Forgejo and Gogs sign so, and have types of their own",
            ),
        ));
    }
    let is_json = !one(&request.headers, CONTENT_TYPE.as_str()).is_some_and(is_form);
    if is_json {
        let finding = || {
            Finding::new(
                "form-signed",
                "a form with the JSON in its field `payload` was signed, and the JSON alone came",
                "see what on the way takes the JSON out of the form; or have the sender send JSON (`application/json`)",
            )
        };
        for space in ["+", "%20"] {
            found.push((format!("payload={}", escape(body, space)).into(), finding()));
        }
    }
    found
}

fn escape(body: &[u8], space: &str) -> String {
    let mut out = String::with_capacity(body.len() * 2);
    for byte in body {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => out.push(char::from(*byte)),
            b' ' => out.push_str(space),
            _ => {
                out.push('%');
                out.push_str(&super::form::hex(&[*byte]).to_ascii_uppercase());
            }
        }
    }
    out
}

/// The body in another encoding: of characters, or as a whole.
fn encodings(body: &[u8]) -> Vec<Signed> {
    let mut found = Vec::new();
    let charset = |from: &str, to: &str| {
        Finding::new(
            "body-charset",
            format!("the body was signed in {from}, and came in {to}"),
            "see that the body is signed and sent in the same encoding, and that nothing on the way changes it",
        )
    };
    if let Ok(text) = std::str::from_utf8(body) {
        let latin: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
        found.extend(latin.map(|latin| (latin.into(), charset("ISO 8859-1", "UTF-8"))));
        if let Ok(inner) = serde_json::from_str::<String>(text) {
            let finding = Finding::new(
                "body-encoded",
                "the body is a JSON string with the JSON in it that was signed",
                "have the sender send the JSON itself: it is serialised twice",
            );
            found.push((inner.into(), finding));
        }
    } else {
        let text: String = body.iter().map(|byte| char::from(*byte)).collect();
        found.push((text.into(), charset("UTF-8", "ISO 8859-1")));
    }
    if let Some(bytes) = super::keys::unbase64(body) {
        let finding = Finding::new(
            "body-encoded",
            "the body came in base64, and what it stands for was signed",
            "switch off the encoding of binary bodies at what stands in front, such as an API gateway",
        );
        found.push((bytes.into(), finding));
    }
    found
}

/// The same JSON as other programs write it, each also with a line break at its end.
fn reserialised<T>(body: &[u8], budget: &Budget, mut ask: impl FnMut(Signed) -> Option<T>) -> Option<T> {
    let tree = Tree::read(body)?;
    let finding = |style: Style, end: &str| {
        Finding::new(
            "body-reserialised",
            format!("the same JSON was signed, written {}{end}", style.name()),
            "have the sender sign the very bytes it sends, and see that no proxy parses and rewrites the body",
        )
    };
    let limit = 4 * body.len() + 4096;
    restyle::all().take_while(|_| !budget.is_spent()).find_map(|style| {
        let text = tree.write(style, limit);
        budget.spend(WRITING * text.as_ref().map_or(limit, String::len));
        let text = text?;
        let ended = Bytes::from(format!("{text}\n"));
        ask((text.into(), finding(style, "")))
            .or_else(|| ask((ended, finding(style, ", with a line break at its end"))))
    })
}
