//! What filters say of events.

use bytes::Bytes;
use uuid::Uuid;

use super::*;
use crate::event::{EventId, Headers, Millis, Seq};

/// An event on the topic `github` with these headers and this body.
pub(crate) fn event(kind: Option<&str>, headers: &[(&str, &[u8])], body: &str) -> Event {
    let mut wire = Vec::new();
    for (name, value) in headers {
        Headers::push_wire(&mut wire, name, value);
    }
    Event {
        seq: Seq(7),
        id: EventId(Uuid::from_u128(0x0193_5a3c_7a00_7000_8000_0000_0000_0001)),
        time: Millis(1_795_420_800_123),
        topic: "github".into(),
        kind: kind.map(Into::into),
        delivery_id: None,
        headers: Headers::from_wire(wire.into()),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

const BODY: &str = r#"{
    "ref": "refs/heads/main", "forced": false, "size": 3, "ratio": 0.5, "none": null, "id": 9007199254740993,
    "big": 18446744073709551615, "huge": 1e30, "empty": {}, "when": "2026-11-23T07:00:00Z", "took": "90s",
    "commits": [
        { "id": "a1", "message": "Fix it", "added": ["docs/a.md"], "author": { "name": "mona" } },
        { "id": "b2", "message": "WIP", "added": ["src/b.rs", "src/c.rs"], "author": { "name": "hubot" } }
    ],
    "labels": ["bug", "ui"], "mixed": [1, "a", null, 2.0], "": 1, "a key": { "b.c": true }
}"#;

fn verdict(filter: &str, event: &Event) -> Verdict {
    let filter = Filter::compile(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
    filter.matches(event, &Parsed::of(event))
}

/// What it says of a push: whether it fits, or why it failed.
fn says(filter: &str) -> Result<bool, String> {
    let headers: [(&str, &[u8]); 4] =
        [("x-github-event", b"push"), ("via", b"a"), ("via", b"b"), ("content-type", b"application/json")];
    match verdict(filter, &event(Some("push"), &headers, BODY)) {
        Verdict::Yes => Ok(true),
        Verdict::No => Ok(false),
        Verdict::Failed(failure) => Err(format!("{} at {}", failure.reason, failure.offset)),
    }
}

#[test]
fn what_fits() {
    let all = [
        // Variables.
        r#"topic == "github" && type == "push""#,
        r#"id == "01935a3c-7a00-7000-8000-000000000001""#,
        r#"time > timestamp("2026-11-23T00:00:00Z") && time < timestamp("2026-11-24T00:00:00+02:00")"#,
        "time.getFullYear() == 2026 && time.getDayOfWeek() in [1, 2, 3, 4, 5] && time.getHours('+05:30') == 13",
        "time.getMilliseconds() == 123 && int(time) == 1795420800",
        r#"headers["x-github-event"] == "push" && headers.via == "a, b""#,
        r#""via" in headers && !("x-none" in headers) && has(headers.via) && size(headers) == 3"#,
        r#"headers.exists(name, name.startsWith("x-github"))"#,
        // The body.
        r#"body.ref == "refs/heads/main" && body["ref"].endsWith("/main")"#,
        "!body.forced && body.forced == false && body.forced != null",
        "body.none == null && has(body.none) && !has(body.nothing)",
        r#"body["a key"]["b.c"] && body[""] == 1"#,
        "body.size > 2 && body.size <= 3.0 && body.size == 3u && body.size + 1 == 4",
        "body.ratio == 0.5 && body.ratio * 2.0 == 1.0 && body.ratio < 1",
        "body.commits.size() == 2 && size(body.labels) == 2 && size(body.empty) == 0",
        "body.commits[1].author.name == 'hubot' && body.labels[0] == 'bug' && body.labels[1.0] == 'ui'",
        // Numbers that a `double` would not hold.
        "body.id == 9007199254740993 && body.id != 9007199254740992 && body.id > 9007199254740992.0",
        "body.big == 18446744073709551615u && body.big > 9223372036854775807",
        "body.huge > 1e29 && body.huge == 1e30 && type(body.huge) == double",
        "-9223372036854775808 < body.id && type(body.id) == int && type(body.big) == uint",
        // Lists and maps.
        "'bug' in body.labels && !('docs' in body.labels) && 'ref' in body",
        "body.labels == ['bug', 'ui'] && [1, 'a', null, 2] == body.mixed && body.labels + ['x'] == ['bug', 'ui', 'x']",
        "{'a': 1, 'b': [2.0]} == {'b': [2], 'a': 1u} && {1: 'x'}[1u] == 'x' && {true: 1}[true] == 1",
        "{'name': 'mona'} == body.commits[0].author && body.empty == {}",
        // Macros.
        "body.commits.exists(c, c.message == 'WIP') && body.commits.all(c, c.id.size() == 2)",
        "body.commits.exists(c, c.added.all(f, f.startsWith('docs/') && c.author.name == 'mona'))",
        "body.commits.exists_one(c, c.author.name == 'mona') && !body.commits.existsOne(c, true)",
        "body.commits.map(c, c.id) == ['a1', 'b2'] && body.commits.map(c, c.message == 'WIP', c.id) == ['b2']",
        "body.commits.filter(c, c.added.size() > 1).map(c, c.author.name) == ['hubot']",
        "body.exists(key, key == 'ref') && [].all(x, false) && ![].exists(x, true)",
        "[1, 2, 3].map(x, [x].map(x, x * 2)[0]).filter(y, y > 2) == [4, 6]",
        // What one operand decides, the failure of another does not change.
        "body.nothing == 1 || true",
        "true || body.nothing == 1",
        "!(body.nothing == 1 && false)",
        "body.mixed.exists(x, x > 1)",
        "!body.mixed.all(x, x > 1)",
        "has(body.pull_request) ? body.pull_request.draft : true",
        // Text, and patterns.
        r#""déjà".size() == 4 && "a" + "b" == "ab" && "b" > "a" && "a\u00e9" == 'aé' && r"\d" == "\\d""#,
        r#"body.ref.matches(r"^refs/(heads|tags)/[a-z]+$") && !body.ref.matches("^heads") && matches(topic, "HUB|hub")"#,
        // Conversions.
        "int('7') == 7 && int(2.9) == 2 && int(-2.9) == -2 && uint(7) == 7u && double(1) == 1.0 && double('1e3') == 1000.0",
        "string(1) == '1' && string(1.5) == '1.5' && string(true) == 'true' && bool('true') && string(5u) == '5'",
        "string(time) == '2026-11-23T08:00:00.123Z' && string(duration('90m')) == '5400s'",
        "timestamp(body.when) + duration('1h') < time && time - timestamp(body.when) > duration(body.took)",
        "duration('90m').getHours() == 1 && duration('90m').getMinutes() == 90 && duration('1h') == duration('60m')",
        "type(body) == map && type(body.labels) == list && type(time) == google.protobuf.Timestamp && type(null) == null_type",
        "dyn(1) == 1.0 && 7 / 2 == 3 && -7 / 2 == -3 && 7 % 4 == 3 && -7 % 4 == -3 && 7.0 / 2.0 == 3.5 && --1 == 1",
        "1 < 2 == true && 1 + 2 * 3 == 7 && (1 + 2) * 3 == 9 && true ? true : false // and a comment",
        "1.0 / 0.0 > 1e308 && !(0.0 / 0.0 == 0.0 / 0.0)",
    ];
    for filter in all {
        assert_eq!(says(filter), Ok(true), "{filter}");
    }
}

#[test]
fn what_fails() {
    let cases = [
        ("body.nothing == 1", "there is no `nothing` at 5"),
        ("has(body.nothing.more)", "there is no `nothing` at 9"),
        ("body.commits[0].author.mail == ''", "there is no `mail` at 23"),
        ("body['nothing'] == 1", "there is no such key at 5"),
        ("body.labels[2] == ''", "the list has no such element at 12"),
        ("body.labels[-1] == ''", "the list has no such element at 12"),
        ("body.labels[0.5] == ''", "the list has no such element at 12"),
        ("headers['x-none'] == ''", "there is no such key at 8"),
        ("body.ref", "this must be true or false, and is `string` at 5"),
        ("!body.none", "this must be true or false, and is `null` at 6"),
        ("body.ref.name == 1", "this must be a map, and is `string` at 9"),
        ("body.none.name == 1", "this must be a map, and is `null` at 10"),
        ("body.size > 'a'", "`>` does not go with `int` and `string` at 10"),
        ("body.size + 1.0 > 1.0", "`+` does not go with `int` and `double` at 10"),
        ("body.size.startsWith('a')", "this must be a string, and is `int` at 10"),
        ("body.size.all(x, true)", "this must be a list or a map, and is `int` at 10"),
        ("body.mixed.all(x, x < 3)", "`<` does not go with `string` and `int` at 20"),
        ("body.mixed.filter(x, x > 1) == []", "`>` does not go with `string` and `int` at 23"),
        ("0.0 / 0.0 < body.ratio", "`<` does not go with `double` and `double` at 10"),
        ("body.size / 0 == 1", "division by zero at 10"),
        ("body.size % 0 == 1", "division by zero at 10"),
        ("9223372036854775807 + body.size > 0", "the number or time is out of range at 20"),
        ("-body.big > 0", "this must be a number with a sign, and is `uint` at 0"),
        ("uint(-1) == 1u", "the number or time is out of range at 0"),
        ("int(body.huge) == 1", "the number or time is out of range at 0"),
        ("int(body.ref) == 1", "the text is not a `int` at 0"),
        ("timestamp(body.ref) == time", "the text is not a `timestamp` at 0"),
        ("time + duration('87000000h') > time", "the number or time is out of range at 5"),
        ("time.getHours(body.ref) == 1", "the text is not a `a zone` at 5"),
        ("{body.ref: 1, 'refs/heads/main': 2} == {}", "a key comes twice at 0"),
        ("{body.none: 1} == {}", "this must be a key: a string, a whole number or a truth value, and is `null` at 0"),
        ("(body.nothing || true) && body.none", "this must be true or false, and is `null` at 31"),
        ("body.nothing && true", "there is no `nothing` at 5"),
    ];
    for (filter, want) in cases {
        assert_eq!(says(filter), Err(want.to_owned()), "{filter}");
    }
}

#[test]
fn events_without_type_json_or_headers() {
    let bare = event(None, &[], "not JSON");
    for fits in
        ["type == ''", "type != 'push'", "body == null", "headers == {}", "!has(headers.via)", "!type.startsWith('p')"]
    {
        assert_eq!(verdict(fits, &bare), Verdict::Yes, "{fits}");
    }
    assert!(matches!(verdict("body.ref == 'x'", &bare), Verdict::Failed(_)));
    for (body, fits) in [
        ("3", "body == 3"),
        ("\"x\"", "body == 'x'"),
        ("[]", "body == []"),
        ("", "body == null"),
        ("{} {}", "body == null"),
        ("{\"a\":1,\"a\":2}", "body.a == 2"),
        ("1e999", "body > 1e308"),
        (r#""\ud800""#, "body == '\u{fffd}'"),
    ] {
        assert_eq!(verdict(fits, &event(None, &[], body)), Verdict::Yes, "{fits} of {body}");
    }
}

#[test]
fn the_json_of_a_form() {
    let form: [(&str, &[u8]); 1] = [("content-type", b"application/x-www-form-urlencoded; charset=utf-8")];
    let fits = |filter: &str, body: &str| verdict(filter, &event(None, &form, body));
    assert_eq!(fits("body.a == 1", "payload=%7B%22a%22%3A+1%7D&x=y"), Verdict::Yes);
    assert_eq!(fits("body == null", "x=y"), Verdict::Yes);
    assert_eq!(fits("body == null", "{\"a\":1}"), Verdict::Yes, "a form is no JSON, whatever it looks like");
    assert_eq!(fits("body == null", "payload=1&payload=1"), Verdict::Yes);
    let lossy = event(None, &[("x-odd", b"a\xff")], "");
    assert_eq!(verdict("headers['x-odd'] == 'a\u{fffd}'", &lossy), Verdict::Yes);
}

#[test]
fn what_is_wrong_with_an_expression() {
    // The expression, the part that is shown, and words of message and hint.
    let cases = [
        ("", "", "the filter is empty", "value"),
        ("  // nothing", "", "the filter is empty", "value"),
        ("body.ref = 'x'", "=", "a single `=`", "`==`"),
        ("body.ref == 'x", "'", "not closed", "end it with '"),
        ("body.ref ==", "", "ends too early", "a value is missing"),
        ("body.a && ", "", "ends too early", "a value is missing"),
        ("(body.a", "(", "not closed", "`)`"),
        ("body.a)", ")", "`)` is not expected", "complete"),
        ("body.a body.b", "body", "`body` is not expected", "`&&`"),
        ("size(body.a", "(", "not closed", "`)`"),
        ("body.a[0", "[", "not closed", "`]`"),
        ("[1, 2", "[", "not closed", "`]`"),
        ("{'a' 1}", "1", "not expected", "a map is written"),
        ("body. == 1", "==", "not expected", "a name follows"),
        ("body.in == 1", "in", "not expected", "reserved"),
        ("body.?a", "?", "not expected", "has(a.b)"),
        ("true ? 1", "", "ends too early", "a ? b : c"),
        ("if", "if", "not expected", "reserved"),
        ("Foo{a: 1} == 1", "{", "not expected", "messages"),
        ("topic == push", "push", "no variable `push`", "in quotes, `\"push\"`"),
        ("payload.ref == 'x'", "payload", "no variable `payload`", "`body`"),
        ("bdy.ref == 'x'", "bdy", "no variable `bdy`", "`body`"),
        ("body.commits.exists(c, comit.id == 'x')", "comit", "no variable", "variables are"),
        ("body.commits.exists(commit, comit.id == 'x')", "comit", "no variable", "`commit`"),
        ("headers.x-github-event == 'push'", "x", "", ""),
        ("size == 1", "size", "no variable `size`", "is a function"),
        ("topic.startswith('a')", "startswith", "no function", "`startsWith`"),
        ("length(topic) > 1", "length", "no function", "contains"),
        ("startsWith(topic, 'a')", "startsWith", "not called like this", "`string.startsWith(string)`"),
        ("topic.startsWith(1)", "topic.startsWith(1)", "does not take `string`, `int`", "`string.startsWith(string)`"),
        ("topic.startsWith('a', 'b')", "topic.startsWith('a', 'b')", "does not take", "there is"),
        ("size(1) == 1", "size(1)", "does not take `int`", "`size(string)`"),
        ("size() == 1", "size()", "does not take nothing", "`size(list)`"),
        ("has(body)", "has", "asks for one member", "has(body.a)"),
        ("has(body['a'])", "has", "asks for one member", "in body"),
        ("body.a.exists(1, true)", "1", "must be a name", "a.exists(x, ...)"),
        ("body.a.exists(x)", "exists", "no function", "a.exists(x, ...)"),
        ("topic.exists(x, true)", "topic", "has no elements", "a list or a map"),
        ("topic", "topic", "is a `string`, neither true nor false", "compare it"),
        ("size(body.a) + 1", "size(body.a) + 1", "is an `int`", "compare it"),
        ("'a' && body.a", "'a'", "must be true or false", "compare it"),
        ("!topic", "topic", "must be true or false", "compare it"),
        ("body.a ? 1 : 2", "body.a ? 1 : 2", "is an `int`", "compare it"),
        ("body.a.map(x, x)", "body.a.map(x, x)", "is a `list`", "compare it"),
        ("body.a.filter(x, 1)", "1", "must be true or false", "compare it"),
        ("topic == 1", "topic == 1", "does not go with `string` and `int`", "string(a)"),
        ("type == null", "type == null", "does not go with", "`type` is `\"\"`"),
        ("topic > time", "topic > time", "does not go with", "timestamp("),
        ("1 + 1.0 == 2.0", "1 + 1.0", "does not go with `int` and `double`", "double(a)"),
        ("'a' in topic", "'a' in topic", "does not go with", "a.contains(b)"),
        ("topic.name == 'x'", "name", "a `string` has no members", "`body`"),
        ("topic[0] == 'x'", "0", "a `string` has nothing at an `int`", "lists"),
        ("[1]['a'] == 1", "'a'", "a `list` has nothing at a `string`", "lists"),
        ("headers['X-GitHub-Event'] == 'push'", "'X-GitHub-Event'", "lower case", "headers[\"x-github-event\"]"),
        ("'Via' in headers", "'Via'", "lower case", "headers[\"via\"]"),
        ("-topic == 1", "-topic", "a `string` has no sign", "`int`"),
        ("topic.matches('(')", "'('", "not a pattern", "RE2"),
        ("topic.matches(body.a)", "body.a", "must be written out", "matches("),
        ("topic.matches('(\\\\w{100}){100}')", "'(\\\\w{100}){100}'", "too much memory", "repeat less"),
        ("time > timestamp('today')", "'today'", "not a timestamp", "2026-"),
        ("time - time > duration('1d')", "'1d'", "not a duration", "no days"),
        ("time.getHours('Europe/Berlin') == 1", "'Europe/Berlin'", "not a zone", "+02:00"),
        ("{1.5: 1} == {}", "1.5", "cannot be a key", "keys are"),
        ("9223372036854775808 > 1", "9223372036854775808", "too large", "uint"),
        ("-9223372036854775809 > 1", "-9223372036854775809", "too large", "uint"),
        ("b'x' == body", "b", "no bytes", "without the `b`"),
        ("bytes('x') == body", "bytes", "no function", "contains"),
        ("'é' == #", "#", "`#` cannot stand here", "quotes"),
    ];
    for (text, part, message, hint) in cases {
        let Err(error) = Filter::compile(text) else { panic!("{text} was taken") };
        if !message.is_empty() {
            assert_eq!(&text[error.range.clone()], part, "{text}: {error}");
        }
        assert!(error.message.contains(message) && error.hint.contains(hint), "{text}: {error}");
        assert!(!error.message.is_empty() && !error.hint.is_empty(), "{text}");
    }
    let error = Filter::compile("headers.x-github-event == 'push'").expect_err("names with dashes");
    assert!(error.hint.contains("headers[\"x-github-event\"]"), "{error}");
}

#[test]
fn long_and_deep_expressions_end() {
    let long = format!("topic == '{}'", "x".repeat(MAX_LENGTH));
    assert!(Filter::compile(&long).expect_err("too long").message.contains("at most"));
    let many = vec!["topic == 'a'"; MAX_LENGTH / 16].join(" || ");
    assert!(Filter::compile(&many).is_ok(), "side by side there may be many");
    for (open, inner, close) in [
        ("(", "true", ")"),
        ("[", "1", "]"),
        ("!(", "true", ")"),
        ("-(", "1", ")"),
        ("{1:", "1", "}"),
        ("size(", "1", ")"),
    ] {
        let nested = |levels: usize| format!("{}{inner}{}", open.repeat(levels), close.repeat(levels));
        let error = Filter::compile(&nested(MAX_DEPTH + 1)).expect_err("too deep");
        assert!(error.message.contains("too deeply"), "{open}: {error}");
        assert!(Filter::compile(&open.repeat(1000)).is_err());
    }
    for chain in ["a.b", "1+1", "true?1", "a[0]", "!!a", "a.all(x,a"] {
        let _ = Filter::compile(&chain.repeat(MAX_LENGTH / chain.len()));
    }
    let deep = format!("{}true{}", "(".repeat(MAX_DEPTH - 1), ")".repeat(MAX_DEPTH - 1));
    // A quarter of what threads have.
    let small = std::thread::Builder::new().stack_size(512 << 10);
    let checked = small.spawn(move || {
        assert_eq!(says(&deep), Ok(true));
        let loops = (0..15).fold("true".to_owned(), |inner, at| format!("[1].all(x{at}, {inner})"));
        assert_eq!(says(&loops), Ok(true));
        let calls = (0..60).fold("1".to_owned(), |inner, _| format!("dyn({inner})"));
        assert_eq!(says(&format!("{calls} == 1")), Ok(true));
    });
    checked.expect("a thread").join().expect("no overflow");
}

#[test]
fn no_event_can_make_too_much_work() {
    let many = |element: &str, count: usize| format!("{{\"a\":[{}]}}", vec![element; count].join(","));
    let ones = many("1", 90_000);
    let texts = many("\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"", 90_000);
    let fails = [
        ("body.a.all(x, body.a.all(y, x == y))", &ones),
        ("body.a.all(x, x in body.a.filter(y, y > 1) || true)", &ones),
        ("body.a.exists(x, body.a == body.a && x > 1)", &ones),
        ("body.a.map(x, body.a + body.a).size() == 1", &ones),
        ("body.a.all(x, body.a.all(y, y > 0)) || true", &ones),
        ("body.a.all(x, x.matches('(x*)*y') || true)", &texts),
        ("body.a.map(x, x + x + x + x + x + x + x).size() == 1", &texts),
    ];
    for (filter, body) in fails {
        let verdict = verdict(filter, &event(None, &[], body));
        let Verdict::Failed(failure) = verdict else { panic!("{filter}: {verdict:?}") };
        assert!(failure.reason.contains("steps"), "{filter}: {failure}");
    }
    for fits in ["body.a.all(x, x == 1)", "size(body.a) == 90000", "body.a.filter(x, x > 0).size() > 1", "1 in body.a"]
    {
        assert_eq!(verdict(fits, &event(None, &[], &ones)), Verdict::Yes, "{fits}");
    }
    for body in [many("1", body::MAX_VALUES), format!("\"{}\"", "x".repeat(body::MAX_BODY))] {
        let event = event(Some("push"), &[], &body);
        assert!(
            matches!(verdict("body != 1", &event), Verdict::Failed(Failure { reason, .. }) if reason.contains("too large"))
        );
        assert_eq!(verdict("type == 'push' || body.a == 1", &event), Verdict::Yes, "who does not look does not care");
    }
}

#[test]
fn only_what_looks_at_the_body_asks_for_it() {
    for (filter, reads) in [
        ("topic == 'a'", false),
        ("headers.all(body, body == 'x')", false),
        ("body == 1", true),
        ("true || [1].all(x, body.a == x)", true),
    ] {
        assert_eq!(Filter::compile(filter).expect(filter).reads_body(), reads, "{filter}");
    }
}
