//! Values while an expression is run. They borrow from the event, its parsed body, and the program.

use std::cmp::Ordering;
use std::rc::Rc;

use jiff::{SignedDuration, Timestamp};

use super::eval::{Meter, Spent};
use super::program::Constant;
use crate::event::Headers;
use crate::json::{Object, Tree};

/// The types there are.
#[expect(clippy::enum_variant_names, reason = "the language has a type of that name")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    /// Known only when it is run.
    Dyn,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    String,
    List,
    Map,
    Timestamp,
    Duration,
    Type,
}

impl Type {
    /// As CEL writes it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Dyn => "dyn",
            Self::Null => "null_type",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::String => "string",
            Self::List => "list",
            Self::Map => "map",
            Self::Timestamp => "google.protobuf.Timestamp",
            Self::Duration => "google.protobuf.Duration",
            Self::Type => "type",
        }
    }

    /// In a sentence.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Timestamp => "timestamp",
            Self::Duration => "duration",
            other => other.name(),
        }
    }

    /// The same with its article.
    pub(super) fn noun(self) -> String {
        let article = if self == Self::Int { "an" } else { "a" };
        if self == Self::Null { "`null`".into() } else { format!("{article} `{}`", self.word()) }
    }

    /// The type of that name, if it can be named in an expression.
    pub(super) fn named(name: &str) -> Option<Self> {
        let all = [
            Self::Null,
            Self::Bool,
            Self::Int,
            Self::Uint,
            Self::Double,
            Self::String,
            Self::List,
            Self::Map,
            Self::Timestamp,
            Self::Duration,
        ];
        all.into_iter().find(|one| one.name() == name)
    }

    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Uint | Self::Double)
    }
}

#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Text<'a>),
    List(List<'a>),
    Map(Map<'a>),
    Timestamp(Timestamp),
    Duration(SignedDuration),
    Type(Type),
}

/// Text that is there already, or was made.
#[derive(Debug, Clone)]
pub(super) enum Text<'a> {
    There(&'a str),
    Made(Rc<str>),
}

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::There(text) => text,
            Self::Made(text) => text,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) enum List<'a> {
    There(&'a [Tree]),
    Made(Rc<[Value<'a>]>),
}

impl<'a> List<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::There(list) => list.len(),
            Self::Made(list) => list.len(),
        }
    }

    pub(super) fn get(&self, at: usize) -> Option<Value<'a>> {
        match self {
            Self::There(list) => list.get(at).map(Value::from),
            Self::Made(list) => list.get(at).cloned(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Value<'a>> {
        (0..self.len()).filter_map(|at| self.get(at))
    }
}

#[derive(Debug, Clone)]
pub(super) enum Map<'a> {
    There(&'a Object),
    /// Values of a repeated header are joined with `, ` in their order (RFC 9110 section 5.3).
    Headers(&'a Headers),
    Made(Rc<[(Value<'a>, Value<'a>)]>),
}

impl<'a> Map<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::There(object) => object.len(),
            Self::Headers(_) => self.keys().len(),
            Self::Made(entries) => entries.len(),
        }
    }

    pub(super) fn keys(&self) -> Vec<Value<'a>> {
        match self {
            Self::There(object) => object.iter().map(|(key, _)| Value::String(Text::There(key))).collect(),
            Self::Headers(headers) => {
                let mut names: Vec<&str> = Vec::new();
                for (name, _) in headers.iter() {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
                names.into_iter().map(|name| Value::String(Text::There(name))).collect()
            }
            Self::Made(entries) => entries.iter().map(|(key, _)| key.clone()).collect(),
        }
    }

    pub(super) fn member(&self, name: &str) -> Option<Value<'a>> {
        match self {
            Self::There(object) => object.get(name).map(Value::from),
            Self::Headers(headers) => header(headers, name),
            Self::Made(entries) => entries
                .iter()
                .find(|(key, _)| matches!(key, Value::String(text) if text.as_str() == name))
                .map(|(_, value)| value.clone()),
        }
    }

    /// The value at a key: numbers are one key if they are equal.
    pub(super) fn get(&self, key: &Value<'_>, meter: &mut Meter) -> Result<Option<Value<'a>>, Spent> {
        match (self, key) {
            (_, Value::String(name)) => Ok(self.member(name.as_str())),
            (Self::Made(entries), key) => {
                for (have, value) in entries.iter() {
                    if equal(have, key, meter)? {
                        return Ok(Some(value.clone()));
                    }
                }
                Ok(None)
            }
            _ => Ok(None),
        }
    }
}

fn header<'a>(headers: &'a Headers, name: &str) -> Option<Value<'a>> {
    let mut values = headers.iter().filter(|(have, _)| *have == name).map(|(_, value)| value);
    let first = values.next()?;
    let rest: Vec<&[u8]> = values.collect();
    if let (Ok(text), true) = (std::str::from_utf8(first), rest.is_empty()) {
        return Some(Value::String(Text::There(text)));
    }
    let mut joined = String::from_utf8_lossy(first).into_owned();
    for value in rest {
        joined.push_str(", ");
        joined.push_str(&String::from_utf8_lossy(value));
    }
    Some(Value::String(Text::Made(joined.into())))
}

impl<'a> From<&'a Tree> for Value<'a> {
    fn from(tree: &'a Tree) -> Self {
        match tree {
            Tree::Null => Self::Null,
            Tree::Bool(it) => Self::Bool(*it),
            Tree::Int(it) => Self::Int(*it),
            Tree::Uint(it) => Self::Uint(*it),
            Tree::Double(it) => Self::Double(*it),
            Tree::String(text) => Self::String(Text::There(text)),
            Tree::List(list) => Self::List(List::There(list)),
            Tree::Object(object) => Self::Map(Map::There(object)),
        }
    }
}

impl<'a> From<&'a Constant> for Value<'a> {
    fn from(constant: &'a Constant) -> Self {
        match constant {
            Constant::Null => Self::Null,
            Constant::Bool(it) => Self::Bool(*it),
            Constant::Int(it) => Self::Int(*it),
            Constant::Uint(it) => Self::Uint(*it),
            Constant::Double(it) => Self::Double(*it),
            Constant::String(text) => Self::String(Text::There(text)),
            Constant::Timestamp(it) => Self::Timestamp(*it),
            Constant::Duration(it) => Self::Duration(*it),
            Constant::Type(it) => Self::Type(*it),
        }
    }
}

impl Value<'_> {
    pub(super) fn text(text: impl Into<Rc<str>>) -> Self {
        Self::String(Text::Made(text.into()))
    }

    pub(super) fn kind(&self) -> Type {
        match self {
            Self::Null => Type::Null,
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Uint(_) => Type::Uint,
            Self::Double(_) => Type::Double,
            Self::String(_) => Type::String,
            Self::List(_) => Type::List,
            Self::Map(_) => Type::Map,
            Self::Timestamp(_) => Type::Timestamp,
            Self::Duration(_) => Type::Duration,
            Self::Type(_) => Type::Type,
        }
    }
}

/// Whether two values are the same. Values of different types are not, but numbers are by what they are.
pub(super) fn equal(a: &Value<'_>, b: &Value<'_>, meter: &mut Meter) -> Result<bool, Spent> {
    meter.step()?;
    Ok(match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::String(a), Value::String(b)) => {
            meter.text(a.as_str().len().min(b.as_str().len()))?;
            a.as_str() == b.as_str()
        }
        (Value::Timestamp(a), Value::Timestamp(b)) => a == b,
        (Value::Duration(a), Value::Duration(b)) => a == b,
        (Value::Type(a), Value::Type(b)) => a == b,
        (Value::List(a), Value::List(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            for (a, b) in a.iter().zip(b.iter()) {
                if !equal(&a, &b, meter)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Map(a), Value::Map(b)) => {
            meter.members(a.len())?;
            if a.len() != b.len() {
                return Ok(false);
            }
            for key in a.keys() {
                let (Some(have), Some(want)) = (a.get(&key, meter)?, b.get(&key, meter)?) else { return Ok(false) };
                if !equal(&have, &want, meter)? {
                    return Ok(false);
                }
            }
            true
        }
        (a, b) => numbers(a, b) == Some(Ordering::Equal),
    })
}

/// Which of two values is the larger; `None` where they have no order.
pub(super) fn order(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::String(a), Value::String(b)) => Some(a.as_str().cmp(b.as_str())),
        (Value::Timestamp(a), Value::Timestamp(b)) => Some(a.cmp(b)),
        (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
        (a, b) => numbers(a, b),
    }
}

/// Which of two numbers is the larger, by what they are; `None` if one is none or not a number.
fn numbers(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    let whole = |value: &Value<'_>| match value {
        Value::Int(it) => Some(i128::from(*it)),
        Value::Uint(it) => Some(i128::from(*it)),
        _ => None,
    };
    match (a, b) {
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
        (Value::Double(a), b) => double_to_whole(*a, whole(b)?),
        (a, Value::Double(b)) => double_to_whole(*b, whole(a)?).map(Ordering::reverse),
        (a, b) => Some(whole(a)?.cmp(&whole(b)?)),
    }
}

/// Exact, where turning the whole number into a `double` would lose its last digits.
fn double_to_whole(double: f64, whole: i128) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is beyond the range is beyond every whole number there is"
    )]
    let floor = double.floor() as i128;
    Some(floor.cmp(&whole).then(if double > double.floor() { Ordering::Greater } else { Ordering::Equal }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_by_what_they_are() {
        use Ordering::{Equal, Greater, Less};
        let cases = [
            (Value::Int(1), Value::Uint(1), Some(Equal)),
            (Value::Int(-1), Value::Uint(u64::MAX), Some(Less)),
            (Value::Int(1), Value::Double(1.5), Some(Less)),
            (Value::Int(-1), Value::Double(-1.5), Some(Greater)),
            (Value::Double(2.0), Value::Int(2), Some(Equal)),
            (Value::Int(i64::MAX), Value::Double(9_223_372_036_854_775_808.0), Some(Less)),
            (Value::Int(9_007_199_254_740_993), Value::Double(9_007_199_254_740_992.0), Some(Greater)),
            (Value::Uint(u64::MAX), Value::Double(f64::INFINITY), Some(Less)),
            (Value::Int(i64::MIN), Value::Double(f64::NEG_INFINITY), Some(Greater)),
            (Value::Int(0), Value::Double(f64::NAN), None),
            (Value::Double(f64::NAN), Value::Double(f64::NAN), None),
            (Value::Double(0.0), Value::Double(-0.0), Some(Equal)),
            (Value::Null, Value::Int(0), None),
        ];
        for (a, b, want) in cases {
            assert_eq!(order(&a, &b), want, "{a:?} {b:?}");
            assert_eq!(order(&b, &a), want.map(Ordering::reverse), "{b:?} {a:?}");
        }
    }
}
