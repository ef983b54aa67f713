//! Runs a program over an event, and counts what it does.

use std::fmt;
use std::rc::Rc;

use jiff::Timestamp;

use super::body::{self, Parsed};
use super::program::{Kind, Loop, Node};
use super::tree::Operator;
use super::value::{self, List, Map, Text, Type, Value};
use super::{Failure, MAX_STEPS, Verdict, arithmetic};
use crate::event::Event;

/// Why something could not be calculated. Names are those of the expression.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Why<'a> {
    NoMember(&'a str),
    NoKey,
    NoElement,
    /// What was wanted, and what there was.
    Type(&'static str, Type),
    Operator(Operator, Type, Type),
    Overflow,
    DivisionByZero,
    /// A text is not what it was to be converted to.
    Unreadable(&'static str),
    RepeatedKey,
    BodyTooLarge,
    TooMuch,
}

impl Why<'_> {
    pub(super) fn operator(operator: Operator, a: Type, b: Type) -> Self {
        Self::Operator(operator, a, b)
    }
}

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMember(name) => write!(f, "there is no `{name}`"),
            Self::NoKey => f.write_str("there is no such key"),
            Self::NoElement => f.write_str("the list has no such element"),
            Self::Type(wanted, have) => write!(f, "this must be {wanted}, and is `{}`", have.word()),
            Self::Operator(operator, a, b) => {
                write!(f, "`{}` does not go with `{}` and `{}`", operator.sign(), a.word(), b.word())
            }
            Self::Overflow => f.write_str("the number or time is out of range"),
            Self::DivisionByZero => f.write_str("division by zero"),
            Self::Unreadable(what) => write!(f, "the text is not a `{what}`"),
            Self::RepeatedKey => f.write_str("a key comes twice"),
            Self::BodyTooLarge => write!(
                f,
                "the body is too large for a filter: over {} MiB or {} values",
                body::MAX_BODY >> 20,
                body::MAX_VALUES
            ),
            Self::TooMuch => write!(f, "it takes more than {MAX_STEPS} steps"),
        }
    }
}

/// What failed, and where.
struct Fault<'a> {
    at: usize,
    why: Why<'a>,
}

type Outcome<'a> = Result<Value<'a>, Fault<'a>>;

/// What is left of [`MAX_STEPS`].
pub(super) struct Meter {
    left: u64,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self { left: MAX_STEPS }
    }

    fn take(&mut self, steps: usize) -> Result<(), Spent> {
        // Whoever has taken too much gets nothing more: no other branch of the expression goes on.
        self.left = self.left.saturating_sub(steps as u64);
        if self.left == 0 { Err(Spent) } else { Ok(()) }
    }

    pub(super) fn step(&mut self) -> Result<(), Spent> {
        self.take(1)
    }

    /// Text is gone through.
    pub(super) fn text(&mut self, bytes: usize) -> Result<(), Spent> {
        self.take(1 + bytes / 32)
    }

    /// Text is made, which costs memory too.
    pub(super) fn made(&mut self, bytes: usize) -> Result<(), Spent> {
        self.take(1 + bytes / 16)
    }

    /// Members of a list or map are gone through.
    pub(super) fn members(&mut self, count: usize) -> Result<(), Spent> {
        self.take(1 + count)
    }
}

/// Nothing is left.
#[derive(Debug)]
pub(super) struct Spent;

impl From<Spent> for Why<'_> {
    fn from(Spent: Spent) -> Self {
        Self::TooMuch
    }
}

impl From<Spent> for Cause<'_> {
    fn from(spent: Spent) -> Self {
        Self::Here(spent.into())
    }
}

/// What a program says of an event.
pub(super) fn run(program: &Node, event: &Event, parsed: &Parsed) -> Verdict {
    let mut run = Run { event, parsed, locals: Vec::new(), meter: Meter::new() };
    let outcome = run.truth(program);
    match outcome {
        Ok(true) => Verdict::Yes,
        Ok(false) => Verdict::No,
        Err(Fault { at, why }) => Verdict::Failed(Failure { offset: at, reason: why.to_string() }),
    }
}

struct Run<'a> {
    event: &'a Event,
    parsed: &'a Parsed,
    /// What the loops are at, the outermost first.
    locals: Vec<Value<'a>>,
    meter: Meter,
}

impl<'a> Run<'a> {
    fn value(&mut self, node: &'a Node) -> Outcome<'a> {
        self.part(node).map_err(|why| match why {
            Cause::Here(why) => Fault { at: node.at, why },
            Cause::There(fault) => fault,
        })
    }

    fn part(&mut self, node: &'a Node) -> Result<Value<'a>, Cause<'a>> {
        self.meter.step()?;
        Ok(match &node.kind {
            Kind::Constant(constant) => Value::from(constant),
            Kind::Topic => Value::String(Text::There(&self.event.topic)),
            Kind::Type => Value::String(Text::There(self.event.kind.as_deref().unwrap_or_default())),
            Kind::Id => Value::text(self.event.id.to_string()),
            Kind::Time => Value::Timestamp(Timestamp::from_millisecond(self.event.time.0).map_err(|_| Why::Overflow)?),
            Kind::Headers => {
                self.meter.text(self.event.headers.as_wire().len())?;
                Value::Map(Map::Headers(&self.event.headers))
            }
            Kind::Body => match self.parsed {
                Parsed::Json(tree) => Value::from(tree),
                Parsed::NoJson => Value::Null,
                Parsed::TooLarge => return Err(Why::BodyTooLarge.into()),
            },
            Kind::Local(at) => self.locals[*at].clone(),
            Kind::Select(operand, name) => match self.value(operand)? {
                Value::Map(map) => map.member(name).ok_or(Why::NoMember(name))?,
                other => return Err(Why::Type("a map", other.kind()).into()),
            },
            Kind::Has(operand, name) => match self.value(operand)? {
                Value::Map(map) => Value::Bool(map.member(name).is_some()),
                other => return Err(Why::Type("a map", other.kind()).into()),
            },
            Kind::Index(operand, index) => {
                let (operand, index) = (self.value(operand)?, self.value(index)?);
                self.index(&operand, &index)?
            }
            Kind::Not(operand) => Value::Bool(!self.truth(operand)?),
            Kind::Negate(operand) => arithmetic::negate(&self.value(operand)?)?,
            Kind::Binary(operator, a, b) => {
                let (a, b) = (self.value(a)?, self.value(b)?);
                self.binary(*operator, &a, &b)?
            }
            Kind::And(operands) => Value::Bool(!self.finds(operands, false)?),
            Kind::Or(operands) => Value::Bool(self.finds(operands, true)?),
            Kind::Conditional(parts) => {
                let [condition, then, other] = &**parts;
                let chosen = if self.truth(condition)? { then } else { other };
                self.value(chosen)?
            }
            Kind::List(elements) => {
                let list = elements.iter().map(|element| self.value(element)).collect::<Result<Rc<[_]>, _>>()?;
                Value::List(List::Made(list))
            }
            Kind::Map(entries) => Value::Map(self.map(entries)?),
            Kind::Call(function, args) => {
                let args = args.iter().map(|arg| self.value(arg)).collect::<Result<Vec<_>, _>>()?;
                function.call(&args, &mut self.meter)?
            }
            Kind::Matches(operand, pattern) => match self.value(operand)? {
                Value::String(text) => {
                    // A search may look at every byte several times.
                    self.meter.text(text.as_str().len().saturating_mul(8))?;
                    Value::Bool(pattern.is_match(text.as_str()))
                }
                other => return Err(Why::Type("a string", other.kind()).into()),
            },
            Kind::Loop(kind, range, parts) => self.walk(*kind, range, parts)?,
        })
    }

    fn truth(&mut self, node: &'a Node) -> Result<bool, Fault<'a>> {
        match self.value(node)? {
            Value::Bool(truth) => Ok(truth),
            other => Err(Fault { at: node.at, why: Why::Type("true or false", other.kind()) }),
        }
    }

    /// Whether one of them is what decides, whatever comes of the others.
    fn finds(&mut self, operands: &'a [Node], decides: bool) -> Result<bool, Fault<'a>> {
        let mut failed = None;
        for operand in operands {
            match self.truth(operand) {
                Ok(truth) if truth == decides => return Ok(true),
                Ok(_) => {}
                Err(fault) => failed = Some(survivable(fault, failed)?),
            }
        }
        failed.map_or(Ok(false), Err)
    }

    fn binary(&mut self, operator: Operator, a: &Value<'a>, b: &Value<'a>) -> Result<Value<'a>, Why<'a>> {
        let truth = match operator {
            Operator::Equal => value::equal(a, b, &mut self.meter)?,
            Operator::NotEqual => !value::equal(a, b, &mut self.meter)?,
            Operator::In => self.is_in(a, b)?,
            Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
                if let (Value::String(a), Value::String(b)) = (a, b) {
                    self.meter.text(a.as_str().len().min(b.as_str().len()))?;
                }
                match value::order(a, b) {
                    Some(order) => match operator {
                        Operator::Less => order.is_lt(),
                        Operator::LessOrEqual => order.is_le(),
                        Operator::Greater => order.is_gt(),
                        _ => order.is_ge(),
                    },
                    None => return Err(Why::operator(operator, a.kind(), b.kind())),
                }
            }
            arithmetic => return arithmetic::calculate(arithmetic, a, b, &mut self.meter),
        };
        Ok(Value::Bool(truth))
    }

    fn is_in(&mut self, value: &Value<'a>, within: &Value<'a>) -> Result<bool, Why<'a>> {
        match within {
            Value::List(list) => {
                for element in list.iter() {
                    if value::equal(&element, value, &mut self.meter)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Value::Map(map) => Ok(map.get(key(value)?, &mut self.meter)?.is_some()),
            other => Err(Why::operator(Operator::In, value.kind(), other.kind())),
        }
    }

    fn index(&mut self, operand: &Value<'a>, index: &Value<'a>) -> Result<Value<'a>, Why<'a>> {
        match operand {
            Value::Map(map) => map.get(key(index)?, &mut self.meter)?.ok_or(Why::NoKey),
            Value::List(list) => {
                let at = match index {
                    Value::Int(at) => usize::try_from(*at).ok(),
                    Value::Uint(at) => usize::try_from(*at).ok(),
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "it is a small whole number"
                    )]
                    Value::Double(at) if at.fract() == 0.0 && (0.0..4e9).contains(at) => Some(*at as usize),
                    Value::Double(_) => None,
                    other => return Err(Why::Type("a number", other.kind())),
                };
                at.and_then(|at| list.get(at)).ok_or(Why::NoElement)
            }
            other => Err(Why::Type("a list or a map", other.kind())),
        }
    }

    fn map(&mut self, entries: &'a [(Node, Node)]) -> Result<Map<'a>, Cause<'a>> {
        let mut made: Vec<(Value<'a>, Value<'a>)> = Vec::with_capacity(entries.len());
        for (key, entry) in entries {
            let (key, entry) = (self.value(key)?, self.value(entry)?);
            if !matches!(key, Value::String(_) | Value::Int(_) | Value::Uint(_) | Value::Bool(_)) {
                return Err(Why::Type(A_KEY, key.kind()).into());
            }
            for (have, _) in &made {
                if value::equal(have, &key, &mut self.meter)? {
                    return Err(Why::RepeatedKey.into());
                }
            }
            made.push((key, entry));
        }
        Ok(Map::Made(made.into()))
    }

    fn walk(&mut self, kind: Loop, range: &'a Node, parts: &'a [Node]) -> Result<Value<'a>, Cause<'a>> {
        let elements = match self.value(range)? {
            Value::List(list) => list,
            Value::Map(map) => {
                self.meter.members(map.len())?;
                List::Made(map.keys().into())
            }
            other => return Err(Why::Type("a list or a map", other.kind()).into()),
        };
        let (mut failed, mut found, mut made) = (None, 0, Vec::new());
        for element in elements.iter() {
            self.meter.step()?;
            self.locals.push(element.clone());
            let outcome = self.turn(kind, element, parts, &mut made);
            self.locals.pop();
            match (kind, outcome) {
                (Loop::All, Ok(false)) => return Ok(Value::Bool(false)),
                (Loop::Exists, Ok(true)) => return Ok(Value::Bool(true)),
                (Loop::All | Loop::Exists, Err(fault)) => failed = Some(survivable(fault, failed)?),
                (_, Ok(truth)) => found += usize::from(truth),
                (_, Err(fault)) => return Err(fault.into()),
            }
        }
        if let Some(failed) = failed {
            return Err(failed.into());
        }
        Ok(match kind {
            Loop::All => Value::Bool(true),
            Loop::Exists => Value::Bool(false),
            Loop::ExistsOne => Value::Bool(found == 1),
            Loop::Map | Loop::Filter => Value::List(List::Made(made.into())),
        })
    }

    /// What is asked of one element; what is to be kept of it goes into `made`.
    fn turn(
        &mut self,
        kind: Loop,
        element: Value<'a>,
        parts: &'a [Node],
        made: &mut Vec<Value<'a>>,
    ) -> Result<bool, Fault<'a>> {
        let (condition, transform) = match (kind, parts) {
            (Loop::Map, [transform]) => (None, Some(transform)),
            (Loop::Map, [condition, transform]) => (Some(condition), Some(transform)),
            (_, parts) => (parts.first(), None),
        };
        if let Some(condition) = condition
            && !self.truth(condition)?
        {
            return Ok(false);
        }
        match (kind, transform) {
            (_, Some(transform)) => made.push(self.value(transform)?),
            (Loop::Filter, None) => made.push(element),
            _ => {}
        }
        Ok(true)
    }
}

/// A value that can be a key, or is a number equal to one.
fn key<'v, 'a>(value: &'v Value<'a>) -> Result<&'v Value<'a>, Why<'a>> {
    match value {
        Value::String(_) | Value::Int(_) | Value::Uint(_) | Value::Bool(_) | Value::Double(_) => Ok(value),
        other => Err(Why::Type(A_KEY, other.kind())),
    }
}

const A_KEY: &str = "a key: a string, a whole number or a truth value";

/// A failure of this part, or of one within it, which knows its own place.
enum Cause<'a> {
    Here(Why<'a>),
    There(Fault<'a>),
}

impl<'a> From<Why<'a>> for Cause<'a> {
    fn from(why: Why<'a>) -> Self {
        Self::Here(why)
    }
}

impl<'a> From<Fault<'a>> for Cause<'a> {
    fn from(fault: Fault<'a>) -> Self {
        Self::There(fault)
    }
}

/// The first failure of several, if the others can still decide.
fn survivable<'a>(fault: Fault<'a>, first: Option<Fault<'a>>) -> Result<Fault<'a>, Fault<'a>> {
    if fault.why == Why::TooMuch { Err(fault) } else { Ok(first.unwrap_or(fault)) }
}
