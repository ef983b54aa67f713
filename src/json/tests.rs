//! The verdict against tables and against `serde_json`; pointers against `serde_json::Value::pointer`.

use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;

#[rustfmt::skip]
const GOOD: &[&str] = &[
    "{}", "[]", "\"\"", "0", "-0", "1", "-1", "10", "1.5", "0.0", "-0.1e1", "1e9", "1E+9", "1e-9", "0e0", "1e999",
    "123456789012345678901234567890", "true", "false", "null", " \t\r\n1 \t\r\n", "[1]", "[1,2]", "[ 1 , 2 ]",
    "[[],{}]", r#"{"a":1}"#, r#"{ "a" : 1 , "b" : [ ] }"#, r#"{"":0}"#, r#"{"a":1,"a":2}"#,
    r#"{"a":{"b":{"c":[{}]}}}"#, r#""\"\\\/\b\f\n\r\t\u0000\uABCD\uabcd""#, r#""\ud800""#, r#""\udc00\ud800""#,
    r#""\ud83d\ude00""#, "\"\u{7f}\"", "\"é€😀\u{2028}\u{feff}\u{ffff}\"", r#""0123456789abcdef0123456789abcdef""#,
    r#""0123456789abcde\n""#, r#"["a","bb",true,null,-1.5e3,{"k":[]}]"#,
];

#[rustfmt::skip]
const BAD: &[&str] = &[
    "", " ", "\u{feff}1", "\u{feff}{}", "{", "}", "[", "]", "\"", "{]", "[}", "[1", "[1,", "[1,]", "[,1]", "[,]",
    "[1 2]", "[1,,2]", "{,}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\":1 \"b\":2}", "{\"a\" 1}", "{a:1}",
    "{'a':1}", "{1:1}", "{\"a\":1", "{\"a\"", "{\"a", "{\"a\":", "{\"a\":1,", "{\"a\":1]", "[1}", "{}{}", "{} x",
    "1 2", "[] ]", "true false", "tru", "truE", "True", "TRUE", "nul", "nulll", "fals", "falsey", "undefined", "NaN",
    "Infinity", "-Infinity", "+1", "-", "--1", "01", "-01", "00", "1.", ".5", "-.5", "1.e1", "1e", "1e+", "1e-", "1E",
    "1e1.5", "0x1", "1_000", "1,", "0.", "2a", "'a'", r#""\x""#, r#""\u""#, r#""\u12""#, r#""\u123""#, r#""\u123g""#,
    r#""\U1234""#, r#""\"#, r#""\""#, r#""a"#, r#""\'""#, "\"\n\"", "\"\t\"", "\"\0\"", "\"\u{1f}\"", "\0", "1\0",
    "\u{b}1", "\u{c}1", "\u{a0}1", "1\u{a0}", "\u{2028}1", "/**/1", "1//", "#1", "[1]]", "{\"a\":1}}",
    "{\"a\":1,\"b\"}", "[\"a\"", "[\"a", "[1:2]", "{\"a\":1:2}", "{\"a\":{}", "*", "\\", "\\u0031", "é",
];

const NOT_UTF8: &[&[u8]] = &[
    b"\"\xff\"",
    b"\"\xc0\x80\"",
    b"\"\xed\xa0\x80\"",
    b"\"\xf4\x90\x80\x80\"",
    b"\"\xc3\"",
    b"{}\xff",
    b"\xff\xfe1\0",
    b"\"\xe2\x82\"",
];

#[test]
fn well_formed() {
    for text in GOOD {
        assert_eq!(check(text.as_bytes()), Ok(()), "{text:?}");
        assert!(oracle(text.as_bytes()), "serde_json on {text:?}");
    }
}

#[test]
fn not_well_formed() {
    for text in BAD.iter().map(|text| text.as_bytes()).chain(NOT_UTF8.iter().copied()) {
        let error = check(text).expect_err(&format!("{:?}", String::from_utf8_lossy(text)));
        assert!(error.offset <= text.len(), "{error} in {:?}", String::from_utf8_lossy(text));
        assert!(!oracle(text), "serde_json on {:?}", String::from_utf8_lossy(text));
    }
}

#[test]
fn errors_say_where() {
    let cases: [(&[u8], &str); 8] = [
        (b"[1,2", "expected `,` or `]` at byte 4"),
        (b"{\"a\":1 2}", "expected `,` or `}` at byte 7"),
        (b"{\"a\" 1}", "expected `:` at byte 5"),
        (b"[1,]", "expected a value at byte 3"),
        (b"[\"ab", "string without an end at byte 1"),
        (b"{} {}", "text after the value at byte 3"),
        (b"[\"a\xff\"]", "not UTF-8 at byte 3"),
        (b"[-]", "wrong number at byte 2"),
    ];
    for (text, want) in cases {
        assert_eq!(check(text).expect_err("bad").to_string(), want);
    }
}

#[test]
fn depth_is_limited() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        assert_eq!(check(nested(MAX_DEPTH).as_bytes()), Ok(()));
        let error = check(nested(MAX_DEPTH + 1).as_bytes()).expect_err("one too many");
        assert_eq!((error.offset, error.what), (open.len() * MAX_DEPTH, "nested too deeply"));
        assert!(check(open.repeat(1_000_000).as_bytes()).is_err());
    }
    let siblings = format!("[{}]", vec!["[[]]"; 1000].join(","));
    assert_eq!(check(siblings.as_bytes()), Ok(()));
}

#[test]
fn every_cut_of_a_text_is_refused() {
    let text = r#"{"ref":"refs/heads/main","n":[-1.5e3,true,null],"commits":[{"message":"a\nb \u00e9","id":""}]}"#;
    assert_eq!(check(text.as_bytes()), Ok(()));
    for cut in 0..text.len() {
        assert!(check(&text.as_bytes()[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn pointers() {
    let body = r#" {"a":{"b":[10,{"c":"x"},[],[7, 8 ]]},"m~n":1,"p/q":2,"":{"":3},"0":"zero","caf\u00e9":4,"t":{"a":{"b":1}},"\\":5} "#;
    let cases = [
        ("", Some(body.trim())),
        ("/a/b/0", Some("10")),
        ("/a/b/1", Some(r#"{"c":"x"}"#)),
        ("/a/b/1/c", Some("\"x\"")),
        ("/a/b/2", Some("[]")),
        ("/a/b/2/0", None),
        ("/a/b/3/1", Some("8")),
        ("/a/b/3/2", None),
        ("/a/b/4", None),
        ("/a/b/01", None),
        ("/a/b/-", None),
        ("/a/b/c", None),
        ("/m~0n", Some("1")),
        ("/p~1q", Some("2")),
        ("/", Some(r#"{"":3}"#)),
        ("//", Some("3")),
        ("/0", Some("\"zero\"")),
        ("/0/0", None),
        ("/café", Some("4")),
        ("/\\", Some("5")),
        ("/\\\\", None),
        ("/b", None),
        ("/a/b/99999999999999999999999", None),
    ];
    let parsed: Vec<_> = cases.iter().map(|(text, _)| Pointer::parse(text).expect("a pointer")).collect();
    let together = find(body.as_bytes(), &parsed).expect("well-formed");
    let value: Value = serde_json::from_str(body).expect("well-formed");
    for (n, (text, want)) in cases.iter().enumerate() {
        assert_eq!(together[n], want.map(str::as_bytes), "{text}");
        assert_eq!(parsed[n].as_str(), *text);
        assert_eq!(
            find(body.as_bytes(), [&parsed[n]]),
            Ok(vec![*want].into_iter().map(|w| w.map(str::as_bytes)).collect())
        );
        assert_eq!(value.pointer(text).is_some(), want.is_some(), "serde_json at {text}");
    }
    for bad in ["a", "a/b", "/~", "/~2", "/a~", "/a~x/b"] {
        assert!(Pointer::parse(bad).is_err(), "{bad}");
    }
    assert!(find(b"{\"a\":1}x", [&parsed[0]]).is_err(), "the whole body is checked");
    assert_eq!(find(b"{}", []), Ok(vec![]));
}

#[test]
fn the_last_of_a_repeated_key_counts() {
    let cases = [
        (r#"{"a":1,"a":2}"#, "/a", Some("2")),
        (r#"{"a":{"b":1},"a":{}}"#, "/a/b", None),
        (r#"{"a":{"b":1},"a":{"b":2}}"#, "/a/b", Some("2")),
        (r#"{"a":{"b":1},"a":5}"#, "/a/b", None),
        (r#"{"a":[1],"\u0061":[2]}"#, "/a/0", Some("2")),
        (r#"[{"a":1,"a":[]},{"a":2}]"#, "/0/a", Some("[]")),
    ];
    for (body, pointer, want) in cases {
        let pointer = Pointer::parse(pointer).expect("a pointer");
        assert_eq!(find(body.as_bytes(), [&pointer]), Ok(vec![want.map(str::as_bytes)]), "{body}");
    }
}

#[test]
fn on_one_line() {
    let cases =
        [("{}", "{}"), ("{\r\n  \"a\": 1,\n\t\"b\\n\": \"c d\"\n}\n", "{  \"a\": 1,\t\"b\\n\": \"c d\"}"), ("\n", "")];
    for (body, want) in cases {
        let mut out = b"before ".to_vec();
        one_line(body.as_bytes(), &mut out);
        assert_eq!(String::from_utf8(out).expect("text"), format!("before {want}"));
    }
    for place in 0..600 {
        let mut body = vec![b' '; 600];
        body[place] = b'\n';
        let mut out = Vec::new();
        one_line(&body, &mut out);
        assert_eq!(out, vec![b' '; 599], "a break at {place}");
    }
}

/// `serde_json`'s verdict, without a tree and so without its own limits on numbers and surrogates.
fn oracle(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok_and(|text| serde_json::from_str::<&RawValue>(text).is_ok())
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z:/ -]{0,60}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof!["[ab01]{0,2}", "[~/\"\\\\é\n]{0,3}", any::<String>()]
}

/// A JSON text, compact or with line breaks.
fn written() -> impl Strategy<Value = (Value, String)> {
    (json(), any::<bool>()).prop_map(|(value, pretty)| {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        (value, text.expect("a value is writable"))
    })
}

#[derive(Debug, Clone)]
enum Damage {
    Cut(prop::sample::Index),
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let byte = || prop_oneof![any::<u8>(), prop::sample::select(&b"{}[],:\"\\/ \n0123456789-+.eEutfn\x1f\x7f"[..])];
    prop_oneof![
        any::<prop::sample::Index>().prop_map(Damage::Cut),
        (any::<prop::sample::Index>(), byte()).prop_map(|(at, b)| Damage::Set(at, b)),
        (any::<prop::sample::Index>(), byte()).prop_map(|(at, b)| Damage::Insert(at, b)),
        any::<prop::sample::Index>().prop_map(Damage::Remove),
    ]
}

fn apply(body: &mut Vec<u8>, damage: &Damage) {
    match damage {
        Damage::Insert(at, b) => body.insert(at.index(body.len() + 1), *b),
        _ if body.is_empty() => {}
        Damage::Cut(at) => body.truncate(at.index(body.len())),
        Damage::Set(at, b) => *at.get_mut(body) = *b,
        Damage::Remove(at) => {
            body.remove(at.index(body.len()));
        }
    }
}

/// Every pointer into a value, with what it leads to.
fn all_pointers(value: &Value, prefix: &str, out: &mut Vec<String>) {
    out.push(prefix.to_owned());
    match value {
        Value::Array(elements) => {
            for (n, element) in elements.iter().enumerate() {
                all_pointers(element, &format!("{prefix}/{n}"), out);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                all_pointers(member, &format!("{prefix}/{}", key.replace('~', "~0").replace('/', "~1")), out);
            }
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_written_is_accepted((value, body) in written()) {
        prop_assert_eq!(check(body.as_bytes()), Ok(()));
        let mut line = Vec::new();
        one_line(body.as_bytes(), &mut line);
        prop_assert!(!line.contains(&b'\n'));
        prop_assert_eq!(serde_json::from_slice::<Value>(&line).ok(), serde_json::from_str(&body).ok(), "{}", value);
    }

    #[test]
    fn damaged_text_gets_serde_jsons_verdict((_, body) in written(), damage in prop::collection::vec(damage(), 1..4)) {
        let mut body = body.into_bytes();
        for one in &damage {
            apply(&mut body, one);
        }
        prop_assert_eq!(check(&body).is_ok(), oracle(&body), "{:?}", String::from_utf8_lossy(&body));
    }

    #[test]
    fn any_bytes_get_serde_jsons_verdict(body in prop::collection::vec(any::<u8>(), 0..40)) {
        prop_assert_eq!(check(&body).is_ok(), oracle(&body));
    }

    #[test]
    fn likely_bytes_get_serde_jsons_verdict(body in "[\\[\\]{},:\"\\\\ 01.eE+u-]{0,12}|-?[01.eE+-]{1,6}|\"[\\\\u0dn\"/]{0,9}\"") {
        prop_assert_eq!(check(body.as_bytes()).is_ok(), oracle(body.as_bytes()), "{}", body);
    }

    #[test]
    fn pointers_lead_where_serde_jsons_do((_, body) in written(), more in prop::collection::vec("(/[ab01]{0,2}){0,3}", 4)) {
        let value: Value = serde_json::from_str(&body).expect("just written");
        let mut texts = more;
        all_pointers(&value, "", &mut texts);
        let pointers: Vec<_> = texts.iter().map(|text| Pointer::parse(text).expect("a pointer")).collect();
        let found = find(body.as_bytes(), &pointers).expect("just written");
        for (text, raw) in texts.iter().zip(found) {
            let read = raw.map(|raw| serde_json::from_slice::<Value>(raw).expect("a whole value"));
            prop_assert_eq!(read.as_ref(), value.pointer(text), "{}", text);
        }
    }
}
