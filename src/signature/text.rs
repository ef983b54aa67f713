//! The signed text of one request, handed out piece by piece so that nothing is joined or copied.

use std::borrow::Cow;

use super::scheme::Part;
use super::{Rejection, form, form_payload, keys};

/// What of a request may be signed, as it came.
#[derive(Debug)]
pub(super) struct Raw<'a> {
    pub(super) method: &'a str,
    /// Empty where the scheme does not sign it.
    pub(super) url: Cow<'a, str>,
    pub(super) body: &'a [u8],
    /// Whether the content type says that the body is a form.
    pub(super) form: bool,
    pub(super) timestamp: &'a [u8],
    pub(super) id: &'a [u8],
}

/// The signed text, with what has to be derived from the request already derived.
#[derive(Debug)]
pub(super) struct Text<'a> {
    parts: &'a [Part],
    raw: Raw<'a>,
    /// What stands for `{payload}`, `{form}` or `{plain_url}`, of which a scheme has one at most.
    derived: Cow<'a, [u8]>,
}

impl<'a> Text<'a> {
    pub(super) fn new(parts: &'a [Part], raw: Raw<'a>) -> Result<Self, Rejection> {
        let mut derived = Cow::Borrowed(&[][..]);
        for part in parts {
            match part {
                Part::Payload => derived = payload(&raw)?,
                Part::Form => derived = Cow::Owned(twilio_fields(&raw)?),
                Part::PlainUrl => derived = Cow::Owned(plain_url(&raw.url).into_bytes()),
                _ => {}
            }
        }
        Ok(Self { parts, raw, derived })
    }

    /// Hands every piece in turn to `each`.
    pub(super) fn feed(&self, mut each: impl FnMut(&[u8])) {
        for part in self.parts {
            each(match part {
                Part::Literal(text) => text,
                Part::Body => self.raw.body,
                Part::Timestamp => self.raw.timestamp,
                Part::Id => self.raw.id,
                Part::Method => self.raw.method.as_bytes(),
                Part::Url => self.raw.url.as_bytes(),
                Part::PlainUrl | Part::Payload | Part::Form => &self.derived,
            });
        }
    }
}

/// Gitea and its kin sign the JSON, and in form mode send it as the field `payload`. What else might stand in the form
/// would be unsigned and still be recorded, so it must be alone, as they send it.
fn payload<'a>(raw: &Raw<'a>) -> Result<Cow<'a, [u8]>, Rejection> {
    if !raw.form {
        return Ok(Cow::Borrowed(raw.body));
    }
    let alone = !raw.body.contains(&b'&');
    form_payload(raw.body)
        .filter(|_| alone)
        .ok_or_else(|| Rejection::malformed("the form is not a `payload` field alone".to_owned()))
}

/// The most fields of a form that are sorted. Twilio sends some dozens.
const MAX_FIELDS: usize = 1000;

/// Twilio ("Webhooks security"): the fields of a form sorted by name, each name followed by its value; any other body
/// is bound by its SHA-256 in the signed URL instead.
fn twilio_fields(raw: &Raw<'_>) -> Result<Vec<u8>, Rejection> {
    let query = raw.url.split_once('?').map_or("", |(_, query)| query);
    let mut digests = form::fields(query.as_bytes()).filter(|(name, _)| *name == b"bodySHA256");
    if let Some((_, digest)) = digests.next() {
        let mut want = [0; 32];
        if digests.next().is_some() || !keys::unhex(digest, &mut want) {
            return Err(Rejection::malformed("`bodySHA256` in the URL is not one SHA-256".to_owned()));
        }
        let found = ring::digest::digest(&ring::digest::SHA256, raw.body);
        return if found.as_ref() == want {
            Ok(Vec::new())
        } else {
            Err(Rejection::mismatch("the body is not the one of `bodySHA256` in the URL"))
        };
    }
    if !raw.form && !raw.body.is_empty() {
        return Err(Rejection::malformed("the body is no form and its SHA-256 is not in the URL".to_owned()));
    }
    // Nobody has proved anything yet, and each field takes many times its own size.
    if form::fields(raw.body).nth(MAX_FIELDS).is_some() {
        return Err(Rejection::malformed(format!("the form has more than {MAX_FIELDS} fields")));
    }
    let mut fields = form::fields(raw.body)
        .map(|(name, value)| Some((form::decode(name)?, form::decode(value)?)))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| Rejection::malformed("the form has a broken escape".to_owned()))?;
    fields.sort_unstable();
    // The same value of the same name counts once in Twilio's own libraries.
    fields.dedup();
    Ok(fields.into_iter().flat_map(|(name, value)| [name, value]).flat_map(Cow::into_owned).collect())
}

/// `HubSpot` ("Validating requests", v3) decodes these escapes before it signs the URL, and no other.
fn plain_url(url: &str) -> String {
    const DECODED: [(&str, char); 12] = [
        ("3A", ':'),
        ("2F", '/'),
        ("3F", '?'),
        ("40", '@'),
        ("21", '!'),
        ("24", '$'),
        ("27", '\''),
        ("28", '('),
        ("29", ')'),
        ("2A", '*'),
        ("2C", ','),
        ("3B", ';'),
    ];
    let mut pieces = url.split('%');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let known = piece
            .split_at_checked(2)
            .and_then(|(code, rest)| Some((DECODED.iter().find(|(hex, _)| hex.eq_ignore_ascii_case(code))?.1, rest)));
        if let Some((plain, rest)) = known {
            out.push(plain);
            out.push_str(rest);
        } else {
            out.push('%');
            out.push_str(piece);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw<'a>(url: &'a str, body: &'a str, form: bool) -> Raw<'a> {
        Raw { method: "POST", url: url.into(), body: body.as_bytes(), form, timestamp: b"", id: b"" }
    }

    #[test]
    fn twilio_sorts_and_joins_a_form() {
        for (body, want) in [("", ""), ("b=2&a=1", "a1b2"), ("a=2&a=1&a=2", "a1a2"), ("a=%2B1+x", "a+1 x"), ("a", "a")]
        {
            assert_eq!(twilio_fields(&raw("https://h/", body, true)).expect("joined"), want.as_bytes(), "{body}");
        }
        assert_eq!(twilio_fields(&raw("https://h/", "a=%2", true)).expect_err("broken").label, "malformed");
        assert_eq!(twilio_fields(&raw("https://h/", "{}", false)).expect_err("unbound").label, "malformed");
    }

    #[test]
    fn twilio_binds_other_bodies_by_their_digest() {
        let good = "https://h/?x=1&bodySHA256=44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        assert_eq!(twilio_fields(&raw(good, "{}", false)).expect("bound"), b"");
        assert_eq!(twilio_fields(&raw(good, "{ }", false)).expect_err("another body").label, "mismatch");
        assert_eq!(
            twilio_fields(&raw(&format!("{good}&bodySHA256=00"), "{}", false)).expect_err("two").label,
            "malformed"
        );
        assert_eq!(twilio_fields(&raw("https://h/?bodySHA256=", "", false)).expect_err("none").label, "malformed");
    }

    #[test]
    fn hubspot_decodes_some_escapes() {
        for (url, want) in [
            ("https://h/a?b=c", "https://h/a?b=c"),
            ("https://h/a?b=%3a%2F%40x", "https://h/a?b=:/@x"),
            ("https://h/%20%26%25", "https://h/%20%26%25"),
            ("%", "%"),
            ("%2", "%2"),
            ("%é", "%é"),
        ] {
            assert_eq!(plain_url(url), want);
        }
    }
}
