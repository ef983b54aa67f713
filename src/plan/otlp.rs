//! Where spans go, in a build that makes some.

use http::Uri;

use super::{Surroundings, defaults, webhook};
use crate::config::{Table, Value};
use crate::otlp::{AVAILABLE, Settings};

/// Where a collector takes spans, below what is configured (OTLP 1, "OTLP/HTTP Request").
const PATH: &str = "/v1/traces";

/// Reads `[otlp]`.
pub(super) fn read(file: &Table<'_>, around: &Surroundings<'_>) -> Option<Settings> {
    let value = file.get("otlp")?;
    let table = value.table("write `[otlp]`")?.only("otlp");
    let get = |key: &str| table.get(key);
    let endpoint = table
        .need("endpoint", "there is no `endpoint` to send spans to", "write `endpoint = \"http://127.0.0.1:4318\"`")
        .and_then(|value| endpoint(&value));
    let headers = get("headers").map_or(Some(Vec::new()), |value| webhook::headers(&value, around, false));
    let sample = get("sample").map_or(Some(defaults::OTLP_SAMPLE), |value| value.share());
    let rate = get("rate").map_or(Some(defaults::OTLP_RATE), |value| value.number(defaults::OTLP_RATE_RANGE));
    let name = get("service_name").map_or(Some(defaults::OTLP_SERVICE_NAME), |value| service_name(&value));
    if !AVAILABLE {
        value.wrong_key(
            "this build sends no spans: it was made without the feature `otlp`",
            "build it with `cargo build --release --features otlp`, or remove the table `[otlp]`",
        );
        return None;
    }
    Some(Settings {
        endpoint: endpoint?,
        headers: headers?,
        sample: sample?,
        service_name: name?.to_owned(),
        rate: u32::try_from(rate?).ok()?,
    })
}

/// The configured URL with the path of the protocol behind its own.
fn endpoint(value: &Value<'_>) -> Option<Uri> {
    let base = webhook::url(value, "spans")?;
    if base.query().is_some() {
        value.error(
            "the endpoint has a query",
            "send what is in it as a header: `headers = { x-token = { env = \"NAME\" } }`",
        );
        return None;
    }
    let path = base.path().trim_end_matches('/');
    let path = if path.ends_with(PATH) { path.to_owned() } else { format!("{path}{PATH}") };
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    format!("{scheme}://{authority}{path}").parse().ok()
}

fn service_name<'t>(value: &Value<'t>) -> Option<&'t str> {
    const HINT: &str = "a name is what the collector calls this daemon, such as `\"forebay\"`";
    let text = value.string(HINT)?;
    if text.is_empty() || text.len() > 255 || text.chars().any(char::is_control) {
        value.error("this is not a name", HINT);
        return None;
    }
    Some(text)
}
