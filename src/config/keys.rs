//! Every key of every table: what is not here is refused, and the annotated reference must show all of it.

use super::suggest;

/// The tables by name, `*` for the name a user gives, and their keys in the order of the reference.
pub const TABLES: [(&str, &[&str]); 21] = [
    ("", &["ingress", "admin", "journal", "log", "otlp", "topics", "subscribers", "backstage"]),
    (
        "ingress",
        &[
            "listen",
            "base_path",
            "public_url",
            "max_body",
            "max_body_memory",
            "header_timeout",
            "body_timeout",
            "max_connections",
            "trusted_proxies",
            "drain_timeout",
        ],
    ),
    ("admin", &["listen", "token", "hosts", "rejections"]),
    ("admin.rejections", &["keep", "bodies"]),
    ("journal", &["path", "sync", "retain", "min_free"]),
    ("journal.retain", &["age", "size"]),
    ("log", &["level", "format"]),
    ("backstage", &["url", "tokens", "notify_timeout", "forget_idle"]),
    ("otlp", &["endpoint", "headers", "sample", "rate", "service_name"]),
    ("topics.*", &["validator", "max_body", "allow_from", "dedupe", "accept", "event_type", "delivery_id"]),
    (
        "topics.*.validator",
        &[
            "type",
            "secret",
            "secrets",
            "header",
            "algorithm",
            "encoding",
            "prefix",
            "signed",
            "timestamp",
            "id",
            "tolerance",
            "user",
            "verify_token",
        ],
    ),
    ("secret", &["env", "file", "credential"]),
    ("secrets.*", &["env", "file", "credential", "id", "not_before", "not_after"]),
    ("source", &["header", "body"]),
    ("subscribers.*", &["topics", "filter", "start", "sink", "retry", "order"]),
    ("subscribers.*.retry", &["first", "max", "attempts", "max_age"]),
    ("sink.stdout", &["type", "format"]),
    ("sink.file", &["type", "path", "format", "rotate"]),
    ("sink.file.rotate", &["size", "keep"]),
    (
        "sink.webhook",
        &[
            "type",
            "url",
            "timeout",
            "concurrency",
            "headers",
            "sign",
            "format",
            "give_up_on",
            "ca",
            "client_cert",
            "client_key",
        ],
    ),
    ("sink.webhook.sign", &["secret", "secrets"]),
];

/// The keys of a table.
///
/// # Panics
/// When there is no such table: the names are constants of this program.
#[must_use]
pub fn of(table: &str) -> &'static [&'static str] {
    TABLES.iter().find(|(name, _)| *name == table).expect("a table of the configuration").1
}

/// Where a key that is in the wrong table belongs, if it is like one of another table.
#[must_use]
pub fn elsewhere(key: &str) -> Option<String> {
    let known = TABLES.iter().flat_map(|(_, keys)| *keys).copied();
    let key = suggest::nearest(key, known).filter(|near| near.len() > 2)?;
    let home = TABLES.iter().find(|(_, keys)| keys.contains(&key))?.0;
    let place = match home {
        "" => return Some(format!("`[{key}]` stands at the top of the file")),
        "secret" | "secrets.*" | "source" | "sink.webhook.sign" => return None,
        "sink.stdout" | "sink.file" | "sink.webhook" => "a subscriber's `sink`",
        "sink.file.rotate" => "`rotate` of a file sink",
        "topics.*" => "a topic, `[topics.NAME]`",
        "topics.*.validator" => "the `validator` of a topic",
        "subscribers.*" => "a subscriber, `[subscribers.NAME]`",
        "subscribers.*.retry" => "the `retry` of a subscriber",
        table => return Some(format!("`{key}` belongs to `[{table}]`")),
    };
    Some(format!("`{key}` belongs to {place}"))
}
