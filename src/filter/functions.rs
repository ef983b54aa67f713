//! The standard functions: which there are, what they take and give, and what they do.

use super::eval::{Meter, Why};
use super::moment::{self, Part};
use super::value::{Type, Value};

/// A function by what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    /// Its pattern is compiled with the expression, so nothing calls it by this.
    Matches,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Timestamp,
    Duration,
    TypeOf,
    Dyn,
    Part(Part),
}

/// How a function is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `f(a, b)`
    Alone,
    /// `a.f(b)`
    OnValue,
    /// Either.
    Both,
}

/// One way to call a function. What it is called on is the first of what it takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signature {
    pub(super) name: &'static str,
    pub(super) style: Style,
    pub(super) takes: &'static [Type],
    pub(super) gives: Type,
    pub(super) function: Function,
}

use Style::{Alone, Both, OnValue};

const fn row(name: &'static str, style: Style, takes: &'static [Type], gives: Type, function: Function) -> Signature {
    Signature { name, style, takes, gives, function }
}

const ANY: &[Type] = &[Type::Dyn];
const BOOL: &[Type] = &[Type::Bool];
const INT: &[Type] = &[Type::Int];
const UINT: &[Type] = &[Type::Uint];
const DOUBLE: &[Type] = &[Type::Double];
const STRING: &[Type] = &[Type::String];
const LIST: &[Type] = &[Type::List];
const MAP: &[Type] = &[Type::Map];
const TIMESTAMP: &[Type] = &[Type::Timestamp];
const DURATION: &[Type] = &[Type::Duration];
const ZONED: &[Type] = &[Type::Timestamp, Type::String];
const TWO_STRINGS: &[Type] = &[Type::String, Type::String];

/// All but the parts of dates.
const TABLE: [Signature; 35] = [
    row("size", Both, STRING, Type::Int, Function::Size),
    row("size", Both, LIST, Type::Int, Function::Size),
    row("size", Both, MAP, Type::Int, Function::Size),
    row("contains", OnValue, TWO_STRINGS, Type::Bool, Function::Contains),
    row("startsWith", OnValue, TWO_STRINGS, Type::Bool, Function::StartsWith),
    row("endsWith", OnValue, TWO_STRINGS, Type::Bool, Function::EndsWith),
    row("matches", Both, TWO_STRINGS, Type::Bool, Function::Matches),
    row("bool", Alone, BOOL, Type::Bool, Function::Bool),
    row("bool", Alone, STRING, Type::Bool, Function::Bool),
    row("int", Alone, INT, Type::Int, Function::Int),
    row("int", Alone, UINT, Type::Int, Function::Int),
    row("int", Alone, DOUBLE, Type::Int, Function::Int),
    row("int", Alone, STRING, Type::Int, Function::Int),
    row("int", Alone, TIMESTAMP, Type::Int, Function::Int),
    row("uint", Alone, INT, Type::Uint, Function::Uint),
    row("uint", Alone, UINT, Type::Uint, Function::Uint),
    row("uint", Alone, DOUBLE, Type::Uint, Function::Uint),
    row("uint", Alone, STRING, Type::Uint, Function::Uint),
    row("double", Alone, INT, Type::Double, Function::Double),
    row("double", Alone, UINT, Type::Double, Function::Double),
    row("double", Alone, DOUBLE, Type::Double, Function::Double),
    row("double", Alone, STRING, Type::Double, Function::Double),
    row("string", Alone, BOOL, Type::String, Function::String),
    row("string", Alone, INT, Type::String, Function::String),
    row("string", Alone, UINT, Type::String, Function::String),
    row("string", Alone, DOUBLE, Type::String, Function::String),
    row("string", Alone, STRING, Type::String, Function::String),
    row("string", Alone, TIMESTAMP, Type::String, Function::String),
    row("string", Alone, DURATION, Type::String, Function::String),
    row("timestamp", Alone, STRING, Type::Timestamp, Function::Timestamp),
    row("timestamp", Alone, INT, Type::Timestamp, Function::Timestamp),
    row("timestamp", Alone, TIMESTAMP, Type::Timestamp, Function::Timestamp),
    row("duration", Alone, STRING, Type::Duration, Function::Duration),
    row("duration", Alone, DURATION, Type::Duration, Function::Duration),
    row("type", Alone, ANY, Type::Type, Function::TypeOf),
];
const DYN: Signature = row("dyn", Alone, ANY, Type::Dyn, Function::Dyn);

/// Parts of dates, and whether durations have them too.
const PARTS: [(&str, Part, bool); 10] = [
    ("getFullYear", Part::FullYear, false),
    ("getMonth", Part::Month, false),
    ("getDate", Part::Date, false),
    ("getDayOfMonth", Part::DayOfMonth, false),
    ("getDayOfWeek", Part::DayOfWeek, false),
    ("getDayOfYear", Part::DayOfYear, false),
    ("getHours", Part::Hours, true),
    ("getMinutes", Part::Minutes, true),
    ("getSeconds", Part::Seconds, true),
    ("getMilliseconds", Part::Milliseconds, true),
];

/// Every way to call every function.
pub(super) fn all() -> impl Iterator<Item = Signature> {
    let parts = PARTS.into_iter().flat_map(|(name, part, of_duration)| {
        let row = move |takes| row(name, OnValue, takes, Type::Int, Function::Part(part));
        [Some(row(TIMESTAMP)), Some(row(ZONED)), of_duration.then(|| row(DURATION))].into_iter().flatten()
    });
    TABLE.into_iter().chain([DYN]).chain(parts)
}

impl Function {
    /// Calls it. The number of arguments is right; their types may not be.
    pub(super) fn call<'a>(self, args: &[Value<'a>], meter: &mut Meter) -> Result<Value<'a>, Why<'a>> {
        match (self, args) {
            (Self::Size, [Value::String(text)]) => {
                meter.text(text.as_str().len())?;
                Ok(whole(text.as_str().chars().count()))
            }
            (Self::Size, [Value::List(list)]) => Ok(whole(list.len())),
            (Self::Size, [Value::Map(map)]) => Ok(whole(map.len())),
            (Self::Size, [other, ..]) => Err(Why::Type("a string, a list or a map", other.kind())),
            (Self::Contains | Self::StartsWith | Self::EndsWith, [Value::String(text), Value::String(part)]) => {
                let (text, part) = (text.as_str(), part.as_str());
                meter.text(text.len().min(if self == Self::Contains { usize::MAX } else { part.len() }))?;
                Ok(Value::Bool(match self {
                    Self::Contains => text.contains(part),
                    Self::StartsWith => text.starts_with(part),
                    _ => text.ends_with(part),
                }))
            }
            (Self::Contains | Self::StartsWith | Self::EndsWith, [Value::String(_), other] | [other, _]) => {
                Err(Why::Type("a string", other.kind()))
            }
            (Self::TypeOf, [value]) => Ok(Value::Type(value.kind())),
            (Self::Dyn, [value]) => Ok(value.clone()),
            (Self::Part(part), [Value::Timestamp(moment)]) => ok(moment::part(part, *moment, None), "a zone"),
            (Self::Part(part), [Value::Timestamp(moment), Value::String(zone)]) => {
                ok(moment::part(part, *moment, Some(zone.as_str())), "a zone")
            }
            (Self::Part(part), [Value::Duration(duration)]) => match moment::part_of_duration(part, *duration) {
                Some(part) => Ok(Value::Int(part)),
                None => Err(Why::Type("a timestamp", Type::Duration)),
            },
            (Self::Part(_), [Value::Timestamp(_), other]) => Err(Why::Type("a string", other.kind())),
            (Self::Part(_), [other, ..]) => Err(Why::Type("a timestamp", other.kind())),
            (convert, [value]) => {
                if let Value::String(text) = value {
                    meter.text(text.as_str().len())?;
                }
                convert.convert(value)
            }
            _ => Err(Why::Type("other arguments", Type::Dyn)),
        }
    }

    fn convert<'a>(self, value: &Value<'a>) -> Result<Value<'a>, Why<'a>> {
        match (self, value) {
            (Self::Bool, Value::Bool(_))
            | (Self::Int, Value::Int(_))
            | (Self::Uint, Value::Uint(_))
            | (Self::Double, Value::Double(_))
            | (Self::String, Value::String(_))
            | (Self::Timestamp, Value::Timestamp(_))
            | (Self::Duration, Value::Duration(_)) => Ok(value.clone()),

            (Self::Bool, Value::String(text)) => match text.as_str() {
                "true" | "True" | "TRUE" | "t" | "1" => Ok(Value::Bool(true)),
                "false" | "False" | "FALSE" | "f" | "0" => Ok(Value::Bool(false)),
                _ => Err(Why::Unreadable("bool")),
            },

            (Self::Int, Value::Uint(it)) => i64::try_from(*it).map(Value::Int).map_err(|_| Why::Overflow),
            (Self::Int, Value::Double(it)) => double_to_int(*it).map(Value::Int).ok_or(Why::Overflow),
            (Self::Int, Value::String(text)) => ok(text.as_str().parse().ok(), "int"),
            (Self::Int, Value::Timestamp(moment)) => Ok(Value::Int(moment.as_duration().as_secs())),

            (Self::Uint, Value::Int(it)) => u64::try_from(*it).map(Value::Uint).map_err(|_| Why::Overflow),
            (Self::Uint, Value::Double(it)) => double_to_uint(*it).map(Value::Uint).ok_or(Why::Overflow),
            (Self::Uint, Value::String(text)) => {
                text.as_str().parse().map(Value::Uint).map_err(|_| Why::Unreadable("uint"))
            }

            #[expect(clippy::cast_precision_loss, reason = "that is what is asked for")]
            (Self::Double, Value::Int(it)) => Ok(Value::Double(*it as f64)),
            #[expect(clippy::cast_precision_loss, reason = "that is what is asked for")]
            (Self::Double, Value::Uint(it)) => Ok(Value::Double(*it as f64)),
            (Self::Double, Value::String(text)) => {
                text.as_str().parse().map(Value::Double).map_err(|_| Why::Unreadable("double"))
            }

            (Self::String, Value::Bool(it)) => Ok(Value::text(it.to_string())),
            (Self::String, Value::Int(it)) => Ok(Value::text(it.to_string())),
            (Self::String, Value::Uint(it)) => Ok(Value::text(it.to_string())),
            (Self::String, Value::Double(it)) => Ok(Value::text(it.to_string())),
            (Self::String, Value::Timestamp(it)) => Ok(Value::text(it.to_string())),
            (Self::String, Value::Duration(it)) => Ok(Value::text(moment::show_duration(*it))),

            (Self::Timestamp, Value::String(text)) => {
                moment::read(text.as_str()).map(Value::Timestamp).ok_or(Why::Unreadable("timestamp"))
            }
            (Self::Timestamp, Value::Int(it)) => moment::from_seconds(*it).map(Value::Timestamp).ok_or(Why::Overflow),
            (Self::Duration, Value::String(text)) => {
                moment::read_duration(text.as_str()).map(Value::Duration).ok_or(Why::Unreadable("duration"))
            }
            (_, other) => Err(Why::Type("something that can be converted", other.kind())),
        }
    }
}

fn whole<'a>(count: usize) -> Value<'a> {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

fn ok<'a>(number: Option<i64>, what: &'static str) -> Result<Value<'a>, Why<'a>> {
    number.map(Value::Int).ok_or(Why::Unreadable(what))
}

/// Towards zero. What is at the edge of the range, where a `double` cannot tell, is beyond it.
fn double_to_int(double: f64) -> Option<i64> {
    const EDGE: f64 = 9_223_372_036_854_775_808.0;
    #[expect(clippy::cast_possible_truncation, reason = "it is within the range")]
    (double > -EDGE && double < EDGE).then_some(double as i64)
}

fn double_to_uint(double: f64) -> Option<u64> {
    const EDGE: f64 = 18_446_744_073_709_551_616.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is within the range")]
    (double > -1.0 && double < EDGE).then_some(double as u64)
}
