//! From tokens to a tree, by the grammar of CEL.

use std::ops::Range;

use super::lexer::{self, Kind, Token};
use super::tree::{Expr, ExprKind, Literal, Operator, Word};
use super::{FilterError, MAX_DEPTH};

/// Words that mean something, so that nothing can be called by them.
const KEYWORDS: [&str; 4] = ["in", "true", "false", "null"];
const IS_RESERVED: &str = "the word is reserved in CEL; a member of that name is `a[\"name\"]`";

/// Words that CEL keeps for other languages.
const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "namespace",
    "package",
    "return",
    "var",
    "void",
    "while",
];

/// Reads a whole text.
pub(super) fn parse(text: &str) -> Result<Expr, FilterError> {
    let mut parser = Parser { tokens: lexer::tokens(text)?, at: 0, open: 0 };
    let expr = parser.expression()?;
    if parser.peek() != &Kind::End {
        return Err(parser.unexpected("the expression is complete before it; join two with `&&` or `||`"));
    }
    Ok(expr)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    /// How many expressions are begun and not ended.
    open: usize,
}

impl Parser {
    fn token(&self) -> &Token {
        // The last one is the end, which is never passed.
        &self.tokens[self.at]
    }

    fn peek(&self) -> &Kind {
        &self.token().kind
    }

    fn next(&mut self) -> Token {
        let token = self.token().clone();
        if token.kind != Kind::End {
            self.at += 1;
        }
        token
    }

    fn sees(&self, sign: &str) -> bool {
        matches!(self.peek(), Kind::Sign(found) if *found == sign)
    }

    fn takes(&mut self, sign: &str) -> bool {
        let sees = self.sees(sign);
        self.at += usize::from(sees);
        sees
    }

    /// Where what was taken last ends.
    fn end(&self) -> usize {
        self.at.checked_sub(1).map_or(0, |last| self.tokens[last].span.end)
    }

    fn unexpected(&self, hint: &str) -> FilterError {
        let token = self.token();
        let message = match &token.kind {
            Kind::End if self.at == 0 => "the filter is empty".to_owned(),
            Kind::End => "the expression ends too early".to_owned(),
            Kind::Name(name) => format!("`{name}` is not expected here"),
            Kind::Sign(sign) => format!("`{sign}` is not expected here"),
            Kind::String(_) => "a string is not expected here".to_owned(),
            Kind::Int(_) | Kind::Uint(_) | Kind::Double(_) => "a number is not expected here".to_owned(),
        };
        FilterError::new(token.span.clone(), message, hint)
    }

    /// The bracket that closes the one at `opened`.
    fn close(&mut self, sign: &str, opened: &Range<usize>) -> Result<(), FilterError> {
        if self.takes(sign) {
            return Ok(());
        }
        if self.peek() == &Kind::End {
            return Err(FilterError::new(
                opened.clone(),
                "the bracket is not closed",
                format!("a `{sign}` is missing"),
            ));
        }
        Err(self.unexpected(&format!("a `{sign}` is missing, or a `,` or an operator")))
    }

    /// An expression with these parts in it.
    fn node(kind: ExprKind, span: Range<usize>, parts: &[usize]) -> Result<Expr, FilterError> {
        let depth = 1 + parts.iter().max().unwrap_or(&0);
        if depth > MAX_DEPTH { Err(too_deep(span)) } else { Ok(Expr { kind, span, depth }) }
    }

    fn expression(&mut self) -> Result<Expr, FilterError> {
        self.open += 1;
        if self.open > MAX_DEPTH {
            return Err(too_deep(self.token().span.clone()));
        }
        let condition = self.any()?;
        let expr = if self.takes("?") {
            let then = self.any()?;
            if !self.takes(":") {
                return Err(self.unexpected("a condition is written `a ? b : c`"));
            }
            let other = self.expression()?;
            let (span, parts) = (condition.span.start..other.span.end, [condition.depth, then.depth, other.depth]);
            Self::node(ExprKind::Conditional(Box::new([condition, then, other])), span, &parts)?
        } else {
            condition
        };
        self.open -= 1;
        Ok(expr)
    }

    fn any(&mut self) -> Result<Expr, FilterError> {
        self.chain("||", Self::all, ExprKind::Or)
    }

    fn all(&mut self) -> Result<Expr, FilterError> {
        self.chain("&&", |parser| parser.binary(0), ExprKind::And)
    }

    /// One operand, or several with the same sign between them: those are side by side, however many there are.
    fn chain(
        &mut self,
        sign: &str,
        operand: impl Fn(&mut Self) -> Result<Expr, FilterError>,
        joined: impl Fn(Vec<Expr>) -> ExprKind,
    ) -> Result<Expr, FilterError> {
        let first = operand(self)?;
        if !self.sees(sign) {
            return Ok(first);
        }
        let (start, mut depths, mut operands) = (first.span.start, vec![first.depth], vec![first]);
        while self.takes(sign) {
            let next = operand(self)?;
            depths.push(next.depth);
            operands.push(next);
        }
        Self::node(joined(operands), start..self.end(), &depths)
    }

    fn binary(&mut self, level: usize) -> Result<Expr, FilterError> {
        let operand = |parser: &mut Self| if level < 2 { parser.binary(level + 1) } else { parser.unary() };
        let mut left = operand(self)?;
        while let Some(operator) = Operator::of(self.peek(), level) {
            let sign = self.next().span;
            let right = operand(self)?;
            let (span, parts) = (left.span.start..right.span.end, [left.depth, right.depth]);
            left = Self::node(ExprKind::Binary(operator, sign, Box::new(left), Box::new(right)), span, &parts)?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, FilterError> {
        let start = self.token().span.start;
        let sign = if self.sees("!") { "!" } else { "-" };
        let mut signs = 0_usize;
        while self.takes(sign) {
            signs += 1;
        }
        if sign == "-" && signs > 0 && matches!(self.peek(), Kind::Int(_) | Kind::Double(_)) {
            // The sign belongs to the number, which may be the smallest one.
            signs -= 1;
            self.at -= 1;
        }
        let mut expr = self.member()?;
        // Two of a kind cancel out, but for asking for a type.
        let wraps = if signs == 0 { 0 } else { 2 - signs % 2 };
        for _ in 0..wraps {
            let (span, depth) = (start..expr.span.end, expr.depth);
            let kind = if sign == "!" { ExprKind::Not(Box::new(expr)) } else { ExprKind::Negate(Box::new(expr)) };
            expr = Self::node(kind, span, &[depth])?;
        }
        Ok(expr)
    }

    fn member(&mut self) -> Result<Expr, FilterError> {
        let mut expr = self.primary()?;
        loop {
            let start = expr.span.start;
            if self.takes(".") {
                if self.sees("?") {
                    return Err(self.unexpected("there are no optional values; ask with `has(a.b)`"));
                }
                let Kind::Name(text) = self.peek().clone() else {
                    return Err(self.unexpected("a name follows a `.`; any other key is written `a[\"a key\"]`"));
                };
                if KEYWORDS.contains(&text.as_str()) {
                    return Err(self.unexpected(IS_RESERVED));
                }
                let word = Word { text, span: self.next().span };
                let depth = expr.depth;
                if self.sees("(") {
                    let (args, mut parts) = self.arguments()?;
                    parts.push(depth);
                    let kind = ExprKind::Call { target: Some(Box::new(expr)), name: word, args };
                    expr = Self::node(kind, start..self.end(), &parts)?;
                } else {
                    expr = Self::node(ExprKind::Select(Box::new(expr), word), start..self.end(), &[depth])?;
                }
            } else if self.sees("[") {
                let opened = self.next().span;
                if self.sees("?") {
                    return Err(self.unexpected("there are no optional values; ask with `\"key\" in a`"));
                }
                let index = self.expression()?;
                self.close("]", &opened)?;
                let parts = [expr.depth, index.depth];
                expr = Self::node(ExprKind::Index(Box::new(expr), Box::new(index)), start..self.end(), &parts)?;
            } else if self.sees("{") {
                return Err(self.unexpected("there are no messages to build in filters"));
            } else {
                return Ok(expr);
            }
        }
    }

    /// What stands in the round brackets of a call, and how deep it is.
    fn arguments(&mut self) -> Result<(Vec<Expr>, Vec<usize>), FilterError> {
        let opened = self.next().span;
        let mut args = Vec::new();
        if !self.sees(")") {
            loop {
                args.push(self.expression()?);
                if !self.takes(",") {
                    break;
                }
            }
        }
        self.close(")", &opened)?;
        let depths = args.iter().map(|arg| arg.depth).collect();
        Ok((args, depths))
    }

    fn primary(&mut self) -> Result<Expr, FilterError> {
        let span = self.token().span.clone();
        let literal = |literal| Self::node(ExprKind::Literal(literal), span.clone(), &[]);
        match self.peek().clone() {
            Kind::Name(name) => {
                if name == "in" || RESERVED.contains(&name.as_str()) {
                    return Err(self.unexpected(IS_RESERVED));
                }
                self.at += 1;
                match name.as_str() {
                    "true" => return literal(Literal::Bool(true)),
                    "false" => return literal(Literal::Bool(false)),
                    "null" => return literal(Literal::Null),
                    _ => {}
                }
                if !self.sees("(") {
                    return Self::node(ExprKind::Name(name), span, &[]);
                }
                let word = Word { text: name, span: span.clone() };
                let (args, parts) = self.arguments()?;
                Self::node(ExprKind::Call { target: None, name: word, args }, span.start..self.end(), &parts)
            }
            Kind::Int(number) => {
                self.at += 1;
                let number = i64::try_from(number).map_err(|_| too_large(span.clone()))?;
                literal(Literal::Int(number))
            }
            Kind::Uint(number) => {
                self.at += 1;
                literal(Literal::Uint(number))
            }
            Kind::Double(number) => {
                self.at += 1;
                literal(Literal::Double(number))
            }
            Kind::String(text) => {
                self.at += 1;
                literal(Literal::String(text))
            }
            Kind::Sign("-") => self.negative(),
            Kind::Sign("(") => {
                self.at += 1;
                let inner = self.expression()?;
                self.close(")", &span)?;
                Ok(Expr { span: span.start..self.end(), ..inner })
            }
            Kind::Sign("[") => self.list(),
            Kind::Sign("{") => self.map(),
            _ => Err(self.unexpected("a value is missing: a variable, a literal, or a bracket")),
        }
    }

    /// A number with its sign, when both are known to be there.
    fn negative(&mut self) -> Result<Expr, FilterError> {
        let start = self.next().span.start;
        let number = self.next();
        let span = start..number.span.end;
        let literal = match number.kind {
            Kind::Int(number) => {
                0_i64.checked_sub_unsigned(number).map(Literal::Int).ok_or_else(|| too_large(span.clone()))?
            }
            Kind::Double(number) => Literal::Double(-number),
            _ => return Err(FilterError::new(span, "a number is missing", "a `-` stands before what it negates")),
        };
        Self::node(ExprKind::Literal(literal), span, &[])
    }

    fn list(&mut self) -> Result<Expr, FilterError> {
        let opened = self.next().span;
        let mut elements = Vec::new();
        while !self.sees("]") {
            elements.push(self.expression()?);
            if !self.takes(",") {
                break;
            }
        }
        self.close("]", &opened)?;
        let depths: Vec<usize> = elements.iter().map(|element| element.depth).collect();
        Self::node(ExprKind::List(elements), opened.start..self.end(), &depths)
    }

    fn map(&mut self) -> Result<Expr, FilterError> {
        let opened = self.next().span;
        let (mut entries, mut depths) = (Vec::new(), Vec::new());
        while !self.sees("}") {
            let key = self.expression()?;
            if !self.takes(":") {
                return Err(self.unexpected("a map is written `{\"a\": 1, \"b\": 2}`"));
            }
            let value = self.expression()?;
            depths.extend([key.depth, value.depth]);
            entries.push((key, value));
            if !self.takes(",") {
                break;
            }
        }
        self.close("}", &opened)?;
        Self::node(ExprKind::Map(entries), opened.start..self.end(), &depths)
    }
}

fn too_deep(span: Range<usize>) -> FilterError {
    FilterError::new(span, "the expression is nested too deeply", format!("{MAX_DEPTH} levels are the limit"))
}

fn too_large(span: Range<usize>) -> FilterError {
    FilterError::new(span, "the number is too large", "an `int` has 64 bits; write `1u` for a `uint`")
}
