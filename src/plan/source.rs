//! Places in a request: a header, or a JSON pointer into the body.

use http::HeaderName;

use crate::config::Value;
use crate::json::Pointer;
use crate::validate::Source;

const HOW: &str = "write `{ header = \"x-event\" }`, or `{ body = \"/event/type\" }` (a JSON pointer)";

/// Reads one place.
pub(super) fn one(value: &Value<'_>) -> Option<Source> {
    let table = value.table(HOW)?.only("source");
    match (table.get("header"), table.get("body")) {
        (Some(name), None) => header(&name).map(Source::Header),
        (None, Some(at)) => pointer(&at).map(Source::Body),
        (Some(_), Some(_)) => {
            value.error("there are both `header` and `body`", "choose one of them");
            None
        }
        (None, None) => {
            if table.all().next().is_none() {
                value.error("neither `header` nor `body` is given", HOW);
            }
            None
        }
    }
}

/// Reads a header's name.
pub(super) fn header(value: &Value<'_>) -> Option<HeaderName> {
    const HINT: &str = "a header name has letters, digits and `-`, such as `\"x-signature\"`";
    let text = value.string(HINT)?;
    let name = text.parse::<HeaderName>().ok();
    if name.is_none() {
        value.error(format!("`{text}` is not a header name"), HINT);
    }
    name
}

/// Reads a JSON pointer, RFC 6901.
fn pointer(value: &Value<'_>) -> Option<Pointer> {
    const HINT: &str = "a JSON pointer begins with `/`, such as `\"/event/type\"`";
    let text = value.string(HINT)?;
    // The empty one, which is the whole body, would be a type or an id of no event.
    let pointer = Pointer::parse(text).ok().filter(|_| !text.is_empty());
    if pointer.is_none() {
        value.error(format!("`{text}` is not a JSON pointer"), HINT);
    }
    pointer
}
