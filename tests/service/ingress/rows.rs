//! Requests of one piece each, with what answers them.

pub const ACCEPTED: &str = r#"{"status":"accepted"}"#;
pub const SIGNATURE: &str = r#"{"message":"invalid signature"}"#;
pub const TOKEN: &str = r#"{"message":"invalid token"}"#;
pub const MALFORMED: &str =
    r#"{"error":{"name":"InputError","message":"the body is not well-formed JSON"},"response":{"statusCode":400}}"#;
pub const NOWHERE: &str =
    r#"{"error":{"name":"NotFoundError","message":"there is nothing here"},"response":{"statusCode":404}}"#;
pub const NO_TOPIC: &str =
    r#"{"error":{"name":"NotFoundError","message":"no such topic"},"response":{"statusCode":404}}"#;
pub const METHOD: &str =
    r#"{"error":{"name":"NotAllowedError","message":"a topic takes POST only"},"response":{"statusCode":405}}"#;
pub const SLOW: &str =
    r#"{"error":{"name":"RequestTimeoutError","message":"the body took too long"},"response":{"statusCode":408}}"#;
pub const LARGE: &str =
    r#"{"error":{"name":"PayloadTooLargeError","message":"the body is over the limit"},"response":{"statusCode":413}}"#;
pub const MEDIA: &str = concat!(
    r#"{"error":{"name":"UnsupportedMediaTypeError","message":"the media type or encoding is not accepted"},"#,
    r#""response":{"statusCode":415}}"#
);
pub const NO_ROOM: &str = concat!(
    r#"{"error":{"name":"ServiceUnavailableError","message":"no room at the moment, try again"},"#,
    r#""response":{"statusCode":503}}"#
);

/// A request line without its version, header lines (`{sig}`: GitHub's signature of the body), body, status, answer, and
/// the answer's headers beside `date`, `content-type` and `content-length`.
pub type Row = (&'static str, &'static str, &'static str, u16, &'static str, &'static str);

pub const ROWS: &[Row] = &[
    // Recorded.
    (
        "POST /api/events/http/github",
        "content-type: application/json\nx-hub-signature-256: {sig}",
        "{}",
        202,
        ACCEPTED,
        "forebay-event-id",
    ),
    (
        "POST /api/events/http/github",
        "content-type: application/json; charset=utf-8\nx-hub-signature-256: {sig}",
        "[1]",
        202,
        ACCEPTED,
        "forebay-event-id",
    ),
    (
        "POST /api/events/http/github",
        "Content-Type: APPLICATION/JSON\nX-HUB-Signature-256: {sig}",
        "[2]",
        202,
        ACCEPTED,
        "forebay-event-id",
    ),
    (
        "POST /api/events/http/github",
        "content-type: application/vnd.github.v3+json\nx-hub-signature-256: {sig}",
        "[3]",
        202,
        ACCEPTED,
        "forebay-event-id",
    ),
    (
        "POST /api/events/http/github",
        "content-type: application/x-www-form-urlencoded\nx-hub-signature-256: {sig}",
        "payload=%7B%7D",
        202,
        ACCEPTED,
        "forebay-event-id",
    ),
    (
        "POST /api/events/http/github",
        "content-type: application/json\ncontent-encoding: identity\nx-hub-signature-256: {sig}",
        "[4]",
        202,
        ACCEPTED,
        "forebay-event-id",
    ),
    (
        "POST /api/events/http/github?topic=gitlab&x=%00",
        "content-type: application/json\nx-hub-signature-256: {sig}",
        "[5]",
        202,
        ACCEPTED,
        "forebay-event-id",
    ),
    (
        "POST http://elsewhere/api/events/http/github",
        "content-type: application/json\nx-hub-signature-256: {sig}",
        "[6]",
        202,
        ACCEPTED,
        "forebay-event-id",
    ),
    (
        "POST /api/events/http/gitlab",
        "content-type: application/json\nx-gitlab-token: It's a Secret to Everybody",
        "[7]",
        202,
        ACCEPTED,
        "forebay-event-id",
    ),
    ("POST /api/events/http/bytes", "", "\u{0}\u{1}", 202, ACCEPTED, "forebay-event-id"),
    ("POST /api/events/http/bytes", "", "", 202, ACCEPTED, "forebay-event-id"),
    ("POST /api/events/http/bytes", "content-type: image/png", "PNG", 202, ACCEPTED, "forebay-event-id"),
    ("POST /api/events/http/text", "content-type: text/plain", "{", 202, ACCEPTED, "forebay-event-id"),
    (
        "POST /api/events/http/small",
        "content-type: application/json\nx-hub-signature-256: {sig}",
        "[12345,12345678]",
        202,
        ACCEPTED,
        "forebay-event-id",
    ),
    // Not well-formed, which is looked at only after the signature.
    (
        "POST /api/events/http/github",
        "content-type: application/json\nx-hub-signature-256: {sig}",
        "{",
        400,
        MALFORMED,
        "",
    ),
    (
        "POST /api/events/http/github",
        "content-type: application/json\nx-hub-signature-256: {sig}",
        "",
        400,
        MALFORMED,
        "",
    ),
    (
        "POST /api/events/http/github",
        "content-type: application/x+json\nx-hub-signature-256: {sig}",
        "{}}",
        400,
        MALFORMED,
        "",
    ),
    (
        "POST /api/events/http/github",
        "content-type: application/json\nx-hub-signature-256: {sig}",
        "\u{feff}{}",
        400,
        MALFORMED,
        "",
    ),
    ("POST /api/events/http/bytes", "content-type: application/json", "nul", 400, MALFORMED, ""),
    // Not genuine.
    ("POST /api/events/http/github", "content-type: application/json", "{", 403, SIGNATURE, ""),
    (
        "POST /api/events/http/github",
        "content-type: application/json\nx-hub-signature-256: sha256=00",
        "{",
        403,
        SIGNATURE,
        "",
    ),
    ("POST /api/events/http/github", "content-type: application/json\nx-hub-signature-256: ", "{}", 403, SIGNATURE, ""),
    (
        "POST /api/events/http/github",
        "content-type: application/json\nx-hub-signature-256: {sig}\nx-hub-signature-256: {sig}",
        "{}",
        403,
        SIGNATURE,
        "",
    ),
    (
        "POST /api/events/http/github",
        "content-type: application/json\nx-hub-signature-256: {sig}\nX-Hub-Signature-256: sha256=00",
        "{}",
        403,
        SIGNATURE,
        "",
    ),
    ("POST /api/events/http/gitlab", "content-type: application/json", "{}", 403, TOKEN, ""),
    (
        "POST /api/events/http/gitlab",
        "content-type: application/json\nx-gitlab-token: it's a secret to everybody",
        "{}",
        403,
        TOKEN,
        "",
    ),
    ("POST /api/events/http/walled", "content-type: application/json", "", 403, SIGNATURE, ""),
    ("POST /api/events/http/walled", "content-type: application/json", "{}", 403, SIGNATURE, "connection: close"),
    ("POST /api/events/http/walledToken", "content-type: application/json", "{}", 403, TOKEN, "connection: close"),
    (
        "POST /api/events/http/walled",
        "content-type: application/json\nx-forwarded-for: 10.0.0.1\nforwarded: for=10.0.0.1",
        "{}",
        403,
        SIGNATURE,
        "connection: close",
    ),
    // No such topic.
    ("POST /api/events/http/GitHub", "content-type: application/json", "{}", 404, NO_TOPIC, "connection: close"),
    ("POST /api/events/http/github/", "content-type: application/json", "", 404, NO_TOPIC, ""),
    ("POST /api/events/http/git%68ub", "content-type: application/json", "", 404, NO_TOPIC, ""),
    ("POST /api/events/http/github%2f", "", "", 404, NO_TOPIC, ""),
    ("POST /api/events/http/../http/github", "", "", 404, NO_TOPIC, ""),
    ("POST /api/events/http/github;a=b", "", "", 404, NO_TOPIC, ""),
    ("POST /api/events/http/", "", "", 404, NO_TOPIC, ""),
    ("GET /api/events/http/nothing", "", "", 404, NO_TOPIC, ""),
    ("POST /api/events/http", "", "", 404, NOWHERE, ""),
    ("POST /api/events//http/github", "", "", 404, NOWHERE, ""),
    ("POST //api/events/http/github", "", "", 404, NOWHERE, ""),
    ("POST /API/events/http/github", "", "", 404, NOWHERE, ""),
    ("GET /", "", "", 404, NOWHERE, ""),
    ("GET /metrics", "", "", 404, NOWHERE, ""),
    ("GET /healthz", "", "", 404, NOWHERE, ""),
    ("OPTIONS *", "", "", 404, NOWHERE, ""),
    // Methods.
    ("GET /api/events/http/github", "", "", 405, METHOD, "allow: POST"),
    ("HEAD /api/events/http/github", "", "", 405, "", "allow: POST"),
    (
        "OPTIONS /api/events/http/github",
        "origin: https://a.example\naccess-control-request-method: POST",
        "",
        405,
        METHOD,
        "allow: POST",
    ),
    (
        "PUT /api/events/http/github",
        "content-type: application/json\nx-hub-signature-256: {sig}",
        "{}",
        405,
        METHOD,
        "allow: POST\nconnection: close",
    ),
    ("DELETE /api/events/http/github", "", "", 405, METHOD, "allow: POST"),
    ("post /api/events/http/github", "", "", 405, METHOD, "allow: POST"),
    ("BREW /api/events/http/github", "", "", 405, METHOD, "allow: POST"),
    (
        "POST /api/events/http/github",
        "x-http-method-override: GET\ncontent-type: application/json\nx-hub-signature-256: {sig}",
        "[8]",
        202,
        ACCEPTED,
        "forebay-event-id",
    ),
    // Too large, by what it says.
    (
        "POST /api/events/http/small",
        "content-type: application/json\nx-hub-signature-256: {sig}",
        "[12345,123456789]",
        413,
        LARGE,
        "connection: close",
    ),
    // Media types.
    ("POST /api/events/http/github", "x-hub-signature-256: {sig}", "{}", 415, MEDIA, "connection: close"),
    (
        "POST /api/events/http/github",
        "content-type: \nx-hub-signature-256: {sig}",
        "{}",
        415,
        MEDIA,
        "connection: close",
    ),
    (
        "POST /api/events/http/github",
        "content-type: text/plain\nx-hub-signature-256: {sig}",
        "{}",
        415,
        MEDIA,
        "connection: close",
    ),
    (
        "POST /api/events/http/github",
        "content-type: application/jsonx\nx-hub-signature-256: {sig}",
        "{}",
        415,
        MEDIA,
        "connection: close",
    ),
    (
        "POST /api/events/http/github",
        "content-type: multipart/form-data; boundary=x\nx-hub-signature-256: {sig}",
        "{}",
        415,
        MEDIA,
        "connection: close",
    ),
    (
        "POST /api/events/http/github",
        "content-type: application/json\ncontent-encoding: gzip\nx-hub-signature-256: {sig}",
        "{}",
        415,
        MEDIA,
        "connection: close",
    ),
    (
        "POST /api/events/http/github",
        "content-type: application/json\ncontent-encoding: identity\ncontent-encoding: br\nx-hub-signature-256: {sig}",
        "{}",
        415,
        MEDIA,
        "connection: close",
    ),
    ("POST /api/events/http/text", "content-type: application/json", "{}", 415, MEDIA, "connection: close"),
    ("POST /api/events/http/text", "", "", 415, MEDIA, ""),
];
