//! Filters against another implementation of CEL: what it takes is taken, what it refuses is refused, and what comes out
//! is the same. And no text, however it came about, makes a filter panic or takes long.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use cel::{Context, Env, Value};
use forebay::event::{Event, EventId, Headers, Millis, Seq};
use forebay::filter::{Filter, Parsed, Verdict};
use proptest::prelude::*;
use uuid::Uuid;

const BODY: &str = r#"{
    "s": "abc", "t": "b", "n": 3, "m": -2, "f": 1.5, "g": 3.0, "yes": true, "no": false, "nil": null,
    "list": [1, 2, 3], "words": ["a", "b", "abc"], "mixed": [1, "a", null, 2.0, [1], {"k": 1}], "none": [],
    "map": {"a": 1, "b": 2}, "deep": {"a": {"b": {"c": "abc"}}}, "big": 18446744073709551615,
    "people": [{"name": "mona", "age": 30, "tags": ["x"]}, {"name": "hubot", "age": 4, "tags": []}]
}"#;

/// 2026-11-23T08:00:00.123Z.
const TIME: i64 = 1_795_420_800_123;

fn event(body: &str) -> Event {
    let mut wire = Vec::new();
    Headers::push_wire(&mut wire, "x-github-event", b"push");
    Headers::push_wire(&mut wire, "accept", b"*/*");
    Event {
        seq: Seq(1),
        id: EventId(Uuid::nil()),
        time: Millis(TIME),
        topic: "github".into(),
        kind: Some("push".into()),
        delivery_id: None,
        headers: Headers::from_wire(wire.into()),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

/// What came of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Result {
    Is(bool),
    /// It could not be calculated, or was no truth value.
    Fails,
    /// It is not CEL.
    Refused,
}

fn ours(text: &str) -> Result {
    static EVENT: LazyLock<(Event, Parsed)> = LazyLock::new(|| {
        let event = event(BODY);
        let parsed = Parsed::of(&event);
        (event, parsed)
    });
    match Filter::compile(text).map(|filter| filter.matches(&EVENT.0, &EVENT.1)) {
        Ok(Verdict::Yes) => Result::Is(true),
        Ok(Verdict::No) => Result::Is(false),
        Ok(Verdict::Failed(_)) => Result::Fails,
        Err(_) => Result::Refused,
    }
}

fn value(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::Null,
        Json::Bool(it) => Value::Bool(*it),
        Json::Number(it) => match (it.as_i64(), it.as_u64()) {
            (Some(it), _) => Value::Int(it),
            (None, Some(it)) => Value::UInt(it),
            (None, None) => Value::Float(it.as_f64().expect("a number")),
        },
        Json::String(it) => Value::String(Arc::new(it.clone())),
        Json::Array(all) => Value::List(Arc::new(all.iter().map(value).collect())),
        Json::Object(all) => Value::Map(
            all.iter().map(|(name, it)| (name.clone(), value(it))).collect::<std::collections::HashMap<_, _>>().into(),
        ),
    }
}

fn theirs(text: &str) -> Result {
    static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib().with_optional_support(false)));
    let text = text.to_owned();
    // It needs more of a stack than a test has.
    let run = move || {
        let Ok(program) = ENV.compile(&text) else { return Result::Refused };
        let mut context = Context::with_env(Arc::clone(&ENV));
        context.add_variable_from_value("topic", "github");
        context.add_variable_from_value("type", "push");
        context.add_variable_from_value("id", Uuid::nil().to_string());
        let time = ENV.compile("timestamp('2026-11-23T08:00:00.123Z')").expect("good");
        context.add_variable_from_value("time", time.execute(&Context::with_env(Arc::clone(&ENV))).expect("a time"));
        let headers = serde_json::json!({"x-github-event": "push", "accept": "*/*"});
        context.add_variable_from_value("headers", value(&headers));
        context.add_variable_from_value("body", value(&serde_json::from_str(BODY).expect("JSON")));
        match program.execute(&context) {
            Ok(Value::Bool(truth)) => Result::Is(truth),
            _ => Result::Fails,
        }
    };
    std::thread::Builder::new().stack_size(16 << 20).spawn(run).expect("a thread").join().expect("no panic")
}

/// Whether both say the same. Ours knows some failures from the text alone, and refuses to compare what is never equal.
fn agree(ours: Result, theirs: Result) -> bool {
    ours == theirs || ours == Result::Refused && matches!(theirs, Result::Fails | Result::Is(_))
}

#[test]
fn what_is_written_means_the_same() {
    let texts = include_str!("fixtures/filters/expressions.txt").lines().skip(1);
    let texts =
        texts.filter(|text| !text.is_empty() && !text.starts_with("// ")).map(|text| text.replace("<LF>", "\n"));
    let texts: Vec<String> = texts.chain([String::new()]).collect();
    assert!(texts.len() > 300, "only {} were found", texts.len());
    for text in &texts {
        let (ours, theirs) = (ours(text), theirs(text));
        assert!(agree(ours, theirs), "{text}: {ours:?}, not {theirs:?}");
        // Nothing is refused that can be calculated, but for comparisons of what has different types.
        let never_equal = ["1 == '1'", "null == 1"].contains(&text.as_str());
        assert!(ours != Result::Refused || !matches!(theirs, Result::Is(_)) || never_equal, "{text}: {theirs:?}");
    }
    // By the definition of the language, where the other one goes its own way: numbers compare as if exactly, and of a
    // duration the milliseconds are a part.
    for text in ["9007199254740993 != 9007199254740993.0", "duration('1.5s').getMilliseconds() == 500"] {
        assert_eq!((ours(text), theirs(text)), (Result::Is(true), Result::Is(false)), "{text}");
    }
}

/// What expressions are made of: `@` and `#` stand for others.
const LEAVES: &str = "1 | 2 | -1 | 0 | 3u | 1.5 | 2.0 | 'a' | 'abc' | \"b\" | true | false | null | [] | [1, 2] | {} | {'a': 1} | \
    topic | type | time | headers | body.s | body.t | body.n | body.m | body.f | body.g | body.yes | body.no | \
    body.nil | body.list | body.words | body.mixed | body.none | body.map | body.deep.a | body.x | body.people | \
    body.list[0] | body.words[2] | body.map.a | x | y | duration('1h') | timestamp(0) | has(body.s) | \
    has(body.x)";
const OPERATORS: &str = "== | != | < | <= | > | >= | - | * | / | % | && | || | in";
/// A map is not added to a list, which only the other one does.
const OF_ONE: &str = "!(@) | -(@) | (@) | size(@) | (@).size() | string(@) | int(@) | double(@) | uint(@) | bool(@) | dyn(@) | [@] | \
    {'a': @} | (@).a | has((@).a) | (@)[0] | (@)['a'] | type(@) | (@).getHours() | (@).matches('^a') | \
    timestamp(@) | duration(@) | (@) + 1 | (@) + 'a' | (@) + [1] | 1.5 + (@) | 'a' + (@)";
const OF_TWO: &str = "(@).all(x, #) | (@).exists(x, #) | (@).exists_one(x, #) | (@).map(x, #) | (@).filter(y, #) | (@).contains(#) | \
    (@).startsWith(#) | (@).endsWith(#) | (@)[#] | true ? (@) : (#) | body.yes ? (@) : (#) | [@, #] | {@: #} | \
    {'a': @, 'b': #} | (@).all(y, y == #) | (@).exists(x, x > # || x == #) | (@).map(x, x == 1, #)";
/// What has gone wrong in them.
const TOKENS: &str = "( | ) | [ | ] | { | } | ! | - | ? | : | , | . | && | || | == | < | >= | + | * | / | % | in | true | null | \
    body | x | 1 | 1u | 0x | 1.5 | 1e | 'a' | \"a | ' | b' | r' | ` | has( | .all( | exists(x, | é | \u{1f600} | \
    \n | // | \\ | \0 | # | & | = | .. | if | 9223372036854775808 | '\\u12' | '\\ud800' | \u{feff}";

fn one_of(words: &'static str) -> impl Strategy<Value = &'static str> + Clone {
    prop::sample::select(words.split(" | ").collect::<Vec<_>>())
}

/// An expression of any type, most of which make sense.
fn expression() -> impl Strategy<Value = String> {
    let leaf = one_of(LEAVES).prop_map(str::to_owned);
    leaf.prop_recursive(4, 40, 3, |inner| {
        let operator = one_of(OPERATORS);
        let binary = (inner.clone(), operator, inner.clone());
        let one = one_of(OF_ONE);
        let two = one_of(OF_TWO);
        prop_oneof![
            3 => binary.prop_map(|(a, operator, b)| format!("({a}) {operator} ({b})")),
            1 => (one, inner.clone()).prop_map(|(shape, a)| shape.replace('@', &a)),
            2 => (two, inner.clone(), inner).prop_map(|(shape, a, b)| shape.replace('@', &a).replace('#', &b)),
        ]
    })
}

/// A good expression in which something has gone wrong, or no expression at all.
fn broken() -> impl Strategy<Value = String> {
    let token = one_of(TOKENS);
    let soup = prop::collection::vec(token.clone(), 0..40).prop_map(|all| all.concat());
    let hurt = (expression(), any::<prop::sample::Index>(), token, any::<bool>()).prop_map(|(text, at, token, cut)| {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let at = places[at.index(places.len())];
        if cut { format!("{}{token}", &text[..at]) } else { format!("{}{token}{}", &text[..at], &text[at..]) }
    });
    prop_oneof![soup, hurt, ".{0,60}", "[()\\[\\]{}!?:-]{0,200}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn what_can_be_made_up_means_the_same(text in expression()) {
        let (ours, theirs) = (ours(&text), theirs(&text));
        prop_assert!(agree(ours, theirs), "{}: {:?}, not {:?}", text, ours, theirs);
    }

    #[test]
    fn what_is_not_cel_is_refused_and_the_place_told(text in broken()) {
        match Filter::compile(&text) {
            Ok(_) => prop_assert_ne!(theirs(&text), Result::Refused, "{}", text),
            Err(error) => {
                prop_assert!(text.get(error.range.clone()).is_some(), "{}: {:?}", text, error);
                prop_assert!(!error.message.is_empty() && !error.hint.is_empty(), "{}: {:?}", text, error);
            }
        }
    }
}
