//! From a tree to a program: are all names known, and do the types go together as far as they are known?

use std::ops::Range;

use regex::RegexBuilder;

use super::functions::{self, Function, Signature, Style};
use super::moment;
use super::program::{Constant, Kind, Loop, Node};
use super::tree::{Expr, ExprKind, Literal, Operator, Word};
use super::value::Type;
use super::{FilterError, arithmetic};

/// What an expression can name.
pub(super) const VARIABLES: [&str; 6] = ["topic", "type", "id", "time", "headers", "body"];

/// What others call it.
const ALIASES: [(&str, &str); 9] = [
    ("payload", "body"),
    ("data", "body"),
    ("json", "body"),
    ("header", "headers"),
    ("metadata", "headers"),
    ("kind", "type"),
    ("event_type", "type"),
    ("now", "time"),
    ("received", "time"),
];

/// The memory a compiled pattern may take, in bytes.
const MAX_PATTERN: usize = 1 << 18;

/// Makes a program of a tree, and tells whether it looks at the body.
pub(super) fn check(text: &str, tree: &Expr) -> Result<(Node, bool), FilterError> {
    let mut checker = Checker { text, locals: Vec::new(), reads_body: false };
    let (program, kind) = checker.node(tree)?;
    if !matches!(kind, Type::Bool | Type::Dyn) {
        let message = format!("the filter is {}, neither true nor false", kind.noun());
        return Err(FilterError::new(
            tree.span.clone(),
            message,
            "compare it, as in `body.ref == \"refs/heads/main\"`",
        ));
    }
    Ok((program, checker.reads_body))
}

struct Checker<'t> {
    text: &'t str,
    /// The variables of the loops around, the innermost last.
    locals: Vec<(String, Type)>,
    reads_body: bool,
}

type Checked = Result<(Node, Type), FilterError>;

impl Checker<'_> {
    fn node(&mut self, expr: &Expr) -> Checked {
        let span = &expr.span;
        let (kind, result, at) = match &expr.kind {
            ExprKind::Literal(literal) => {
                let (constant, kind) = constant(literal);
                (Kind::Constant(constant), kind, span.start)
            }
            ExprKind::Name(name) => {
                let (kind, result) = self.name(name, span)?;
                (kind, result, span.start)
            }
            ExprKind::Select(operand, field) => {
                if let Some(named) = dotted(expr).as_deref().and_then(Type::named) {
                    return Ok((Node { kind: Kind::Constant(Constant::Type(named)), at: span.start }, Type::Type));
                }
                let at = field.span.start;
                let (operand, field, result) = self.member(operand, field)?;
                (Kind::Select(operand, field), result, at)
            }
            ExprKind::Index(operand, index) => return self.index(expr, operand, index),
            ExprKind::Not(operand) => (Kind::Not(Box::new(self.truth(operand)?)), Type::Bool, span.start),
            ExprKind::Negate(operand) => {
                let (node, kind) = self.node(operand)?;
                if !matches!(kind, Type::Int | Type::Double | Type::Dyn) {
                    let message = format!("{} has no sign", kind.noun());
                    return Err(FilterError::new(span.clone(), message, "only `int` and `double` have"));
                }
                (Kind::Negate(Box::new(node)), kind, span.start)
            }
            ExprKind::Binary(operator, sign, a, b) => return self.binary(expr, *operator, sign, a, b),
            ExprKind::And(operands) => (Kind::And(self.truths(operands)?), Type::Bool, span.start),
            ExprKind::Or(operands) => (Kind::Or(self.truths(operands)?), Type::Bool, span.start),
            ExprKind::Conditional(parts) => {
                let [condition, then, other] = &**parts;
                let condition = self.truth(condition)?;
                let ((then, a), (other, b)) = (self.node(then)?, self.node(other)?);
                let result = if a == b { a } else { Type::Dyn };
                (Kind::Conditional(Box::new([condition, then, other])), result, span.start)
            }
            ExprKind::List(elements) => {
                let nodes =
                    elements.iter().map(|element| Ok(self.node(element)?.0)).collect::<Result<_, FilterError>>()?;
                (Kind::List(nodes), Type::List, span.start)
            }
            ExprKind::Map(entries) => {
                let nodes = entries.iter().map(|(key, value)| self.entry(key, value)).collect::<Result<_, _>>()?;
                (Kind::Map(nodes), Type::Map, span.start)
            }
            ExprKind::Call { target, name, args } => return self.call(expr, target.as_deref(), name, args),
        };
        Ok((Node { kind, at }, result))
    }

    fn truth(&mut self, expr: &Expr) -> Result<Node, FilterError> {
        let (node, kind) = self.node(expr)?;
        if matches!(kind, Type::Bool | Type::Dyn) {
            return Ok(node);
        }
        let message = format!("this must be true or false, and is {}", kind.noun());
        Err(FilterError::new(expr.span.clone(), message, "compare it with something"))
    }

    fn truths(&mut self, operands: &[Expr]) -> Result<Vec<Node>, FilterError> {
        operands.iter().map(|operand| self.truth(operand)).collect()
    }

    fn name(&mut self, name: &str, span: &Range<usize>) -> Result<(Kind, Type), FilterError> {
        if let Some(at) = self.locals.iter().rposition(|(local, _)| local == name) {
            return Ok((Kind::Local(at), self.locals[at].1));
        }
        Ok(match name {
            "topic" => (Kind::Topic, Type::String),
            "type" => (Kind::Type, Type::String),
            "id" => (Kind::Id, Type::String),
            "time" => (Kind::Time, Type::Timestamp),
            "headers" => (Kind::Headers, Type::Map),
            "body" => {
                self.reads_body = true;
                (Kind::Body, Type::Dyn)
            }
            _ => match Type::named(name) {
                Some(named) => (Kind::Constant(Constant::Type(named)), Type::Type),
                None => return Err(self.unknown(name, span)),
            },
        })
    }

    fn unknown(&self, name: &str, span: &Range<usize>) -> FilterError {
        let before = &self.text[..span.start];
        let known = VARIABLES.into_iter().chain(self.locals.iter().map(|(local, _)| local.as_str()));
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, variable)| *variable);
        let hint = if before.ends_with('-') && before.contains("headers.") {
            "names with a `-` are written `headers[\"x-github-event\"]`".to_owned()
        } else if let Some(near) = alias.or_else(|| nearest(name, known)) {
            format!("did you mean `{near}`?")
        } else if functions::all().any(|one| one.name == name) {
            format!("`{name}` is a function: write `{name}(...)` or `a.{name}(...)`")
        } else {
            let all = VARIABLES.map(|one| format!("`{one}`")).join(", ");
            format!("a text is written in quotes, `\"{name}\"`; variables are {all}")
        };
        FilterError::new(span.clone(), format!("there is no variable `{name}`"), hint)
    }

    fn member(&mut self, operand: &Expr, field: &Word) -> Result<(Box<Node>, Box<str>, Type), FilterError> {
        let (node, kind) = self.node(operand)?;
        if !matches!(kind, Type::Map | Type::Dyn) {
            let message = format!("{} has no members", kind.noun());
            return Err(FilterError::new(field.span.clone(), message, "`body` and `headers` have"));
        }
        let of_headers = matches!(node.kind, Kind::Headers);
        if of_headers {
            lower_case(&field.text, &field.span)?;
        }
        Ok((Box::new(node), field.text.as_str().into(), if of_headers { Type::String } else { Type::Dyn }))
    }

    fn index(&mut self, expr: &Expr, operand: &Expr, index: &Expr) -> Checked {
        let ((operand_node, kind), (index_node, key)) = (self.node(operand)?, self.node(index)?);
        let fits = match kind {
            Type::Dyn => key.is_number() || matches!(key, Type::String | Type::Bool | Type::Dyn),
            Type::List => key.is_number() || key == Type::Dyn,
            Type::Map if matches!(operand_node.kind, Kind::Headers) => matches!(key, Type::String | Type::Dyn),
            Type::Map => key.is_number() || matches!(key, Type::String | Type::Bool | Type::Dyn),
            _ => false,
        };
        if !fits {
            let message = format!("{} has nothing at {}", kind.noun(), key.noun());
            return Err(FilterError::new(index.span.clone(), message, "lists have elements from 0 on, maps have keys"));
        }
        let of_headers = matches!(operand_node.kind, Kind::Headers);
        if let (true, ExprKind::Literal(Literal::String(name))) = (of_headers, &index.kind) {
            lower_case(name, &index.span)?;
        }
        let result = if of_headers { Type::String } else { Type::Dyn };
        let kind = Kind::Index(Box::new(operand_node), Box::new(index_node));
        Ok((Node { kind, at: index.span.start.max(expr.span.start) }, result))
    }

    fn binary(&mut self, expr: &Expr, operator: Operator, sign: &Range<usize>, a: &Expr, b: &Expr) -> Checked {
        let ((a_node, a_type), (b_node, b_type)) = (self.node(a)?, self.node(b)?);
        let dynamic = a_type == Type::Dyn || b_type == Type::Dyn;
        let same = dynamic || a_type == b_type || a_type.is_number() && b_type.is_number();
        let result = match operator {
            Operator::Equal | Operator::NotEqual => same.then_some(Type::Bool),
            Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
                let ordered = |kind| !matches!(kind, Type::Null | Type::List | Type::Map | Type::Type);
                (same && ordered(a_type) && ordered(b_type)).then_some(Type::Bool)
            }
            Operator::In => matches!(b_type, Type::List | Type::Map | Type::Dyn).then_some(Type::Bool),
            arithmetic => arithmetic::result(arithmetic, a_type, b_type),
        };
        if let (Operator::In, Kind::Headers, ExprKind::Literal(Literal::String(name))) =
            (operator, &b_node.kind, &a.kind)
        {
            lower_case(name, &a.span)?;
        }
        let Some(result) = result else {
            let message = format!("`{}` does not go with `{}` and `{}`", operator.sign(), a_type.word(), b_type.word());
            let hint = match (operator, a_type, b_type) {
                (Operator::In, _, Type::String) => "part of a text is found with `a.contains(b)`".to_owned(),
                (Operator::In, ..) => "it asks for an element of a list, or a key of a map".to_owned(),
                (_, Type::String, Type::Null) | (_, Type::Null, Type::String) => {
                    "`type` is `\"\"` where an event has none; a header is there if `\"name\" in headers`".to_owned()
                }
                (_, a, b) if a.is_number() && b.is_number() => "convert one of them, as in `double(a)`".to_owned(),
                (_, Type::Timestamp, Type::String) | (_, Type::String, Type::Timestamp) => {
                    "write `timestamp(\"2026-11-23T00:00:00Z\")`".to_owned()
                }
                _ => "convert one of them, as in `string(a)` or `int(a)`".to_owned(),
            };
            return Err(FilterError::new(expr.span.clone(), message, hint));
        };
        Ok((Node { kind: Kind::Binary(operator, Box::new(a_node), Box::new(b_node)), at: sign.start }, result))
    }

    fn entry(&mut self, key: &Expr, value: &Expr) -> Result<(Node, Node), FilterError> {
        let (key_node, kind) = self.node(key)?;
        if !matches!(kind, Type::String | Type::Int | Type::Uint | Type::Bool | Type::Dyn) {
            let message = format!("{} cannot be a key", kind.noun());
            return Err(FilterError::new(
                key.span.clone(),
                message,
                "keys are strings, whole numbers and truth values",
            ));
        }
        Ok((key_node, self.node(value)?.0))
    }

    fn call(&mut self, expr: &Expr, target: Option<&Expr>, name: &Word, args: &[Expr]) -> Checked {
        match (target, Loop::named(&name.text, args.len())) {
            (Some(range), Some(kind)) => return self.walk(kind, range, name, args),
            (None, _) if name.text == "has" => return self.has(name, args),
            _ => {}
        }
        let of_name: Vec<Signature> = functions::all().filter(|one| one.name == name.text).collect();
        let Some(first) = of_name.first() else { return Err(unknown_function(name, target.is_some())) };
        let fits = match first.style {
            Style::Alone => target.is_none(),
            Style::OnValue => target.is_some(),
            Style::Both => true,
        };
        let shown = of_name.iter().map(shown).collect::<Vec<_>>().join(", ");
        if !fits {
            let message = format!("`{}` is not called like this", name.text);
            return Err(FilterError::new(name.span.clone(), message, format!("there is {shown}")));
        }
        let checked =
            target.into_iter().chain(args).map(|arg| self.node(arg)).collect::<Result<Vec<(Node, Type)>, _>>()?;
        let (nodes, types): (Vec<Node>, Vec<Type>) = checked.into_iter().unzip();
        let takes = |one: &&Signature| {
            let fit = |(want, have): (&Type, &Type)| *want == Type::Dyn || *have == Type::Dyn || want == have;
            one.takes.len() == types.len() && one.takes.iter().zip(&types).all(fit)
        };
        let Some(found) = of_name.iter().find(takes) else {
            let have = types.iter().map(|kind| format!("`{}`", kind.word())).collect::<Vec<_>>().join(", ");
            let message = format!("`{}` does not take {}", name.text, if have.is_empty() { "nothing" } else { &have });
            return Err(FilterError::new(expr.span.clone(), message, format!("there is {shown}")));
        };
        let last = args.last().or(target);
        let kind = match (found.function, last) {
            (Function::Matches, Some(pattern)) => matches(nodes, pattern)?,
            (function, Some(arg)) => prepared(function, nodes, arg)?,
            (function, None) => Kind::Call(function, nodes),
        };
        Ok((Node { kind, at: name.span.start }, found.gives))
    }

    fn has(&mut self, name: &Word, args: &[Expr]) -> Checked {
        let [Expr { kind: ExprKind::Select(operand, field), .. }] = args else {
            let message = "`has` asks for one member";
            let hint = "write `has(body.a)`; any other key is asked for with `\"a key\" in body`";
            return Err(FilterError::new(name.span.clone(), message, hint));
        };
        let (operand, field, _) = self.member(operand, field)?;
        Ok((Node { kind: Kind::Has(operand, field), at: name.span.start }, Type::Bool))
    }

    fn walk(&mut self, kind: Loop, range: &Expr, name: &Word, args: &[Expr]) -> Checked {
        let (range_node, range_type) = self.node(range)?;
        if !matches!(range_type, Type::List | Type::Map | Type::Dyn) {
            let message = format!("{} has no elements", range_type.noun());
            return Err(FilterError::new(
                range.span.clone(),
                message,
                format!("`{}` wants a list or a map", name.text),
            ));
        }
        let variable = args.first().and_then(|arg| match &arg.kind {
            ExprKind::Name(variable) => Some(variable.clone()),
            _ => None,
        });
        let Some(variable) = variable else {
            let span = args.first().map_or(name.span.clone(), |arg| arg.span.clone());
            let hint = format!("write `a.{}(x, ...)`, with a name for the element", name.text);
            return Err(FilterError::new(span, "this must be a name", hint));
        };
        let element = if matches!(range_node.kind, Kind::Headers) { Type::String } else { Type::Dyn };
        self.locals.push((variable, element));
        // All but what `map` makes of an element are conditions.
        let parts = args[1..]
            .iter()
            .enumerate()
            .map(|(at, arg)| {
                let last = at + 2 == args.len();
                if kind == Loop::Map && last { self.node(arg).map(|(node, _)| node) } else { self.truth(arg) }
            })
            .collect::<Result<Vec<_>, _>>();
        self.locals.pop();
        let result = if matches!(kind, Loop::Map | Loop::Filter) { Type::List } else { Type::Bool };
        Ok((Node { kind: Kind::Loop(kind, Box::new(range_node), parts?), at: name.span.start }, result))
    }
}

/// The names with dots that an expression is made of, if it is nothing else.
fn dotted(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Name(name) => Some(name.clone()),
        ExprKind::Select(operand, field) => Some(format!("{}.{}", dotted(operand)?, field.text)),
        _ => None,
    }
}

fn constant(literal: &Literal) -> (Constant, Type) {
    match literal {
        Literal::Null => (Constant::Null, Type::Null),
        Literal::Bool(it) => (Constant::Bool(*it), Type::Bool),
        Literal::Int(it) => (Constant::Int(*it), Type::Int),
        Literal::Uint(it) => (Constant::Uint(*it), Type::Uint),
        Literal::Double(it) => (Constant::Double(*it), Type::Double),
        Literal::String(text) => (Constant::String(text.as_str().into()), Type::String),
    }
}

fn lower_case(name: &str, span: &Range<usize>) -> Result<(), FilterError> {
    let lower = name.to_ascii_lowercase();
    if lower == name {
        return Ok(());
    }
    let message = format!("no header is called `{name}`: their names are in lower case here");
    Err(FilterError::new(span.clone(), message, format!("write `headers[\"{lower}\"]`")))
}

/// A search for a pattern, which must stand in the expression: one that came with the event could cost anything.
fn matches(mut nodes: Vec<Node>, pattern: &Expr) -> Result<Kind, FilterError> {
    let ExprKind::Literal(Literal::String(written)) = &pattern.kind else {
        let message = "the pattern of `matches` must be written out";
        return Err(FilterError::new(pattern.span.clone(), message, "write `a.matches(r\"^v[0-9]+$\")`"));
    };
    nodes.pop();
    let (Some(text), true) = (nodes.pop(), nodes.is_empty()) else {
        return Err(FilterError::new(pattern.span.clone(), "the text is missing", "write `a.matches(\"pattern\")`"));
    };
    match RegexBuilder::new(written).size_limit(MAX_PATTERN).dfa_size_limit(MAX_PATTERN).build() {
        Ok(regex) => Ok(Kind::Matches(Box::new(text), Box::new(regex))),
        Err(regex::Error::CompiledTooBig(_)) => {
            let message = "the pattern takes too much memory";
            Err(FilterError::new(pattern.span.clone(), message, "let it repeat less, or be ASCII: `[0-9]` for `\\d`"))
        }
        Err(error) => {
            let shown = error.to_string();
            let why = shown.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let hint = "patterns are those of RE2; `r\"…\"` takes backslashes as they stand";
            Err(FilterError::new(pattern.span.clone(), format!("this is not a pattern: {why}"), hint))
        }
    }
}

/// A call, of which is calculated now what can be.
fn prepared(function: Function, nodes: Vec<Node>, last: &Expr) -> Result<Kind, FilterError> {
    let ExprKind::Literal(Literal::String(text)) = &last.kind else { return Ok(Kind::Call(function, nodes)) };
    let wrong = |what: &str, hint: &str| FilterError::new(last.span.clone(), format!("this is not a {what}"), hint);
    match function {
        Function::Timestamp => match moment::read(text) {
            Some(moment) => Ok(Kind::Constant(Constant::Timestamp(moment))),
            None => Err(wrong("timestamp", "it is written `2026-11-23T08:00:00Z`, with its offset")),
        },
        Function::Duration => match moment::read_duration(text) {
            Some(duration) => Ok(Kind::Constant(Constant::Duration(duration))),
            None => Err(wrong("duration", "it is written `1h30m` or `1.5s`; there are no days")),
        },
        Function::Part(_) if nodes.len() == 2 && moment::offset(text).is_none() => {
            Err(wrong("zone", "write `UTC` or an offset such as `+02:00`; zones with names are not supported"))
        }
        _ => Ok(Kind::Call(function, nodes)),
    }
}

fn unknown_function(name: &Word, on_value: bool) -> FilterError {
    const MACROS: [&str; 6] = ["has", "all", "exists", "exists_one", "map", "filter"];
    let text = name.text.as_str();
    let hint = if MACROS.contains(&text) {
        match text {
            "has" => "write `has(body.a)`".to_owned(),
            _ => format!("write `a.{text}(x, ...)`, with a name for the element and what is asked of it"),
        }
    } else {
        let known = functions::all().map(|one| one.name).chain(MACROS);
        match nearest(text, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                "there are contains, startsWith, endsWith, matches, size, has, exists, all and those of CEL".to_owned()
            }
        }
    };
    let what = if on_value { format!("a.{text}()") } else { format!("{text}()") };
    FilterError::new(name.span.clone(), format!("there is no function `{what}`"), hint)
}

/// A way to call a function, as one would write it.
fn shown(one: &Signature) -> String {
    let words: Vec<&str> = one.takes.iter().map(|kind| kind.word()).collect();
    match (one.style, words.split_first()) {
        (Style::OnValue, Some((target, rest))) => format!("`{target}.{}({})`", one.name, rest.join(", ")),
        _ => format!("`{}({})`", one.name, words.join(", ")),
    }
}

/// The candidate most like a name, if one is like it.
fn nearest<'n>(name: &str, candidates: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    candidates
        .map(|candidate| {
            (strsim::normalized_damerau_levenshtein(&candidate.to_lowercase(), &name.to_lowercase()), candidate)
        })
        .filter(|(alike, _)| *alike >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
