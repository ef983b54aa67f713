//! `+`, `-`, `*`, `/`, `%` and the sign. Nothing wraps around: what does not fit is a failure.

use std::rc::Rc;

use super::eval::{Meter, Why};
use super::moment;
use super::tree::Operator;
use super::value::{List, Type, Value};

/// The type of what comes out; `None` where the two do not go together.
pub(super) fn result(operator: Operator, a: Type, b: Type) -> Option<Type> {
    use Type::{Double, Duration, Dyn, Int, List, String, Timestamp, Uint};
    let table: &[(Type, Type, Type)] = match operator {
        Operator::Add => &[
            (Int, Int, Int),
            (Uint, Uint, Uint),
            (Double, Double, Double),
            (String, String, String),
            (List, List, List),
            (Timestamp, Duration, Timestamp),
            (Duration, Timestamp, Timestamp),
            (Duration, Duration, Duration),
        ],
        Operator::Subtract => &[
            (Int, Int, Int),
            (Uint, Uint, Uint),
            (Double, Double, Double),
            (Timestamp, Timestamp, Duration),
            (Timestamp, Duration, Timestamp),
            (Duration, Duration, Duration),
        ],
        Operator::Multiply | Operator::Divide => &[(Int, Int, Int), (Uint, Uint, Uint), (Double, Double, Double)],
        Operator::Remainder => &[(Int, Int, Int), (Uint, Uint, Uint)],
        _ => &[],
    };
    let fits = |have: Type, want: Type| have == Dyn || have == want;
    let mut possible =
        table.iter().filter(|(left, right, _)| fits(a, *left) && fits(b, *right)).map(|(_, _, out)| *out);
    let first = possible.next()?;
    Some(if possible.all(|other| other == first) { first } else { Dyn })
}

pub(super) fn calculate<'a>(
    operator: Operator,
    a: &Value<'a>,
    b: &Value<'a>,
    meter: &mut Meter,
) -> Result<Value<'a>, Why<'a>> {
    let value = match (a, b) {
        (Value::Int(a), Value::Int(b)) => Value::Int(whole(operator, *a, *b)?),
        (Value::Uint(a), Value::Uint(b)) => Value::Uint(unsigned(operator, *a, *b)?),
        (Value::Double(a), Value::Double(b)) => Value::Double(double(operator, *a, *b)?),
        (Value::String(a), Value::String(b)) if operator == Operator::Add => {
            let (a, b) = (a.as_str(), b.as_str());
            meter.made(a.len() + b.len())?;
            Value::text([a, b].concat())
        }
        (Value::List(a), Value::List(b)) if operator == Operator::Add => {
            meter.members(a.len() + b.len())?;
            Value::List(List::Made(a.iter().chain(b.iter()).collect::<Rc<[_]>>()))
        }
        (a, b) => moment::calculate(operator, a, b)?,
    };
    Ok(value)
}

fn whole<'a>(operator: Operator, a: i64, b: i64) -> Result<i64, Why<'a>> {
    match operator {
        Operator::Add => a.checked_add(b),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        Operator::Divide | Operator::Remainder if b == 0 => return Err(Why::DivisionByZero),
        Operator::Divide => a.checked_div(b),
        Operator::Remainder => a.checked_rem(b),
        _ => return Err(Why::operator(operator, Type::Int, Type::Int)),
    }
    .ok_or(Why::Overflow)
}

fn unsigned<'a>(operator: Operator, a: u64, b: u64) -> Result<u64, Why<'a>> {
    match operator {
        Operator::Add => a.checked_add(b),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        Operator::Divide | Operator::Remainder if b == 0 => return Err(Why::DivisionByZero),
        Operator::Divide => a.checked_div(b),
        Operator::Remainder => a.checked_rem(b),
        _ => return Err(Why::operator(operator, Type::Uint, Type::Uint)),
    }
    .ok_or(Why::Overflow)
}

/// As IEEE 754 has it: there are infinities, and what is not a number.
fn double<'a>(operator: Operator, a: f64, b: f64) -> Result<f64, Why<'a>> {
    match operator {
        Operator::Add => Ok(a + b),
        Operator::Subtract => Ok(a - b),
        Operator::Multiply => Ok(a * b),
        Operator::Divide => Ok(a / b),
        _ => Err(Why::operator(operator, Type::Double, Type::Double)),
    }
}

pub(super) fn negate<'a>(value: &Value<'a>) -> Result<Value<'a>, Why<'a>> {
    match value {
        Value::Int(it) => it.checked_neg().map(Value::Int).ok_or(Why::Overflow),
        Value::Double(it) => Ok(Value::Double(-it)),
        other => Err(Why::Type("a number with a sign", other.kind())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_go_together() {
        use Operator::{Add, Divide, Less, Remainder, Subtract};
        use Type::{Double, Duration, Dyn, Int, List, String, Timestamp, Uint};
        let cases = [
            (Add, Int, Int, Some(Int)),
            (Add, Int, Uint, None),
            (Add, Int, Double, None),
            (Add, String, Dyn, Some(String)),
            (Add, Dyn, Dyn, Some(Dyn)),
            (Add, Duration, Dyn, Some(Dyn)),
            (Add, Timestamp, Timestamp, None),
            (Subtract, Timestamp, Timestamp, Some(Duration)),
            (Subtract, Timestamp, Dyn, Some(Dyn)),
            (Subtract, List, List, None),
            (Divide, Dyn, Uint, Some(Uint)),
            (Remainder, Double, Double, None),
            (Less, Int, Int, None),
        ];
        for (operator, a, b, want) in cases {
            assert_eq!(result(operator, a, b), want, "{a:?} {} {b:?}", operator.sign());
        }
    }
}
