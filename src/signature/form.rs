//! `application/x-www-form-urlencoded` bodies: their fields, decoded, and the `payload` field that holds the JSON at
//! GitHub, Gitea and Slack.

use std::borrow::Cow;

/// Whether a content type says that the body is a form.
#[must_use]
pub fn is_form(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// The decoded `payload` field of a form; `None` when there is none, or two, or its escapes are broken.
#[must_use]
pub fn form_payload(body: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut found = fields(body).filter(|(name, _)| decode(name).as_deref() == Some(b"payload"));
    let (_, value) = found.next()?;
    match found.next() {
        None => decode(value),
        Some(_) => None,
    }
}

/// The fields of a form as they are written, empty ones left out.
pub(crate) fn fields(body: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    body.split(|byte| *byte == b'&').filter(|field| !field.is_empty()).map(|field| {
        match field.iter().position(|byte| *byte == b'=') {
            Some(at) => (&field[..at], &field[at + 1..]),
            None => (field, &[][..]),
        }
    })
}

/// Undoes `+` and `%XX`; `None` when an escape is broken.
pub(crate) fn decode(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    undo(text, true)
}

/// Undoes `%XX` alone, as it stands in a path (RFC 3986 section 2.1); `None` when an escape is broken.
pub(crate) fn percent(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    undo(text, false)
}

fn undo(text: &[u8], plus: bool) -> Option<Cow<'_, [u8]>> {
    if !text.iter().any(|byte| *byte == b'%' || plus && *byte == b'+') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'+' if plus => out.push(b' '),
            b'%' => {
                let (digits, after) = rest.split_at_checked(2)?;
                let mut one = [0];
                if !super::keys::unhex(digits, &mut one) {
                    return None;
                }
                out.push(one[0]);
                rest = after;
            }
            other => out.push(*other),
        }
    }
    Some(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_decoded() {
        let table: [(&str, Option<&str>); 11] = [
            ("payload=%7B%22a%22%3A+1%7D", Some("{\"a\": 1}")),
            ("payload={}", Some("{}")),
            ("x=1&payload=a&y=2", Some("a")),
            ("p%61yload=a", Some("a")),
            ("payload=", Some("")),
            ("payload", Some("")),
            ("payload=a=b", Some("a=b")),
            ("payload=a&payload=b", None),
            ("payload=%7", None),
            ("payload=%zz", None),
            ("pay=load", None),
        ];
        for (body, want) in table {
            assert_eq!(form_payload(body.as_bytes()).as_deref(), want.map(str::as_bytes), "{body}");
        }
    }

    #[test]
    fn a_form_is_told_by_its_media_type() {
        for yes in ["application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded ; charset=utf-8"] {
            assert!(is_form(yes), "{yes}");
        }
        for no in ["", "application/json", "application/x-www-form-urlencoded2", "x; application/x-www-form-urlencoded"]
        {
            assert!(!is_form(no), "{no}");
        }
    }
}
