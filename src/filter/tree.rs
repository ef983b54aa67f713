//! An expression as it was written.

use std::ops::Range;

use super::lexer::Kind;

/// An expression, and the bytes it was written with.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expr {
    pub(super) kind: ExprKind,
    pub(super) span: Range<usize>,
    /// How deeply there is something in it.
    pub(super) depth: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum ExprKind {
    Literal(Literal),
    Name(String),
    Select(Box<Expr>, Word),
    Index(Box<Expr>, Box<Expr>),
    Call {
        target: Option<Box<Expr>>,
        name: Word,
        args: Vec<Expr>,
    },
    Not(Box<Expr>),
    Negate(Box<Expr>),
    /// An operator that is no logic, and where it stands.
    Binary(Operator, Range<usize>, Box<Expr>, Box<Expr>),
    /// `&&` between all of them.
    And(Vec<Expr>),
    /// `||` between all of them.
    Or(Vec<Expr>),
    Conditional(Box<[Expr; 3]>),
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
}

/// A name that is no expression by itself, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) span: Range<usize>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    /// As it is written.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }

    /// Which of the operators of a level of precedence this token is; the levels bind more tightly as they go up.
    pub(super) fn of(token: &Kind, level: usize) -> Option<Self> {
        const LEVELS: [&[Operator]; 3] = [
            &[
                Operator::Equal,
                Operator::NotEqual,
                Operator::Less,
                Operator::LessOrEqual,
                Operator::Greater,
                Operator::GreaterOrEqual,
                Operator::In,
            ],
            &[Operator::Add, Operator::Subtract],
            &[Operator::Multiply, Operator::Divide, Operator::Remainder],
        ];
        let written = match token {
            Kind::Sign(sign) => sign,
            Kind::Name(name) => name.as_str(),
            _ => return None,
        };
        LEVELS.get(level)?.iter().copied().find(|operator| operator.sign() == written)
    }
}
