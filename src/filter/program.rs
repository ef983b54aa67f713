//! A checked expression, in the form it is run in: names are resolved, types and counts of arguments are right as far as
//! they are known, and what can be calculated once is.

use jiff::{SignedDuration, Timestamp};
use regex::Regex;

use super::functions::Function;
use super::tree::Operator;
use super::value::Type;

/// A part of a program.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// Where in the text it is said to have failed.
    pub(super) at: usize,
}

#[derive(Debug)]
pub(super) enum Kind {
    Constant(Constant),
    Topic,
    Type,
    Id,
    Time,
    Headers,
    Body,
    /// What a loop is at, by how many loops are around that one.
    Local(usize),
    Select(Box<Node>, Box<str>),
    /// Whether a map has a member of that name.
    Has(Box<Node>, Box<str>),
    Index(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Negate(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Conditional(Box<[Node; 3]>),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Call(Function, Vec<Node>),
    Matches(Box<Node>, Box<Regex>),
    Loop(Loop, Box<Node>, Vec<Node>),
}

/// A value that is written in the text.
#[derive(Debug)]
pub(super) enum Constant {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Box<str>),
    Timestamp(Timestamp),
    Duration(SignedDuration),
    Type(Type),
}

/// What is asked of the elements of a list, or of the keys of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loop {
    All,
    Exists,
    ExistsOne,
    /// Takes one part, or two, of which the first says which elements are left.
    Map,
    Filter,
}

impl Loop {
    /// The macro of that name with so many arguments, the variable's name among them.
    pub(super) fn named(name: &str, args: usize) -> Option<Self> {
        match (name, args) {
            ("all", 2) => Some(Self::All),
            ("exists", 2) => Some(Self::Exists),
            ("exists_one" | "existsOne", 2) => Some(Self::ExistsOne),
            ("map", 2 | 3) => Some(Self::Map),
            ("filter", 2) => Some(Self::Filter),
            _ => None,
        }
    }
}
