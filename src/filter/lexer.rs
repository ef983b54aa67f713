//! From text to tokens, with the values of literals.

use std::ops::Range;

use super::FilterError;

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// A name, `true`, `false`, `null` and `in` among them.
    Name(String),
    /// A whole number without its sign.
    Int(u64),
    Uint(u64),
    Double(f64),
    String(String),
    /// An operator or a bracket.
    Sign(&'static str),
    End,
}

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Range<usize>,
}

/// Longer ones first.
const SIGNS: [&str; 22] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ",", ".", "(", ")", "[", "]",
];
const BRACES: [&str; 2] = ["{", "}"];

/// Takes a text apart. The last token is the end.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blank();
        let start = lexer.at;
        let kind = lexer.token()?;
        let end = kind == Kind::End;
        tokens.push(Token { kind, span: start..lexer.at });
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn take_while(&mut self, good: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !good(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn skip_blank(&mut self) {
        loop {
            self.take_while(|c| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}'));
            if !self.rest().starts_with("//") {
                return;
            }
            self.take_while(|c| c != '\n');
        }
    }

    fn token(&mut self) -> Result<Kind, FilterError> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(Kind::End) };
        if let Some(string) = self.string()? {
            return Ok(Kind::String(string));
        }
        if first.is_ascii_alphabetic() || first == '_' {
            return Ok(Kind::Name(self.take_while(is_part).to_owned()));
        }
        if first.is_ascii_digit() || first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit()) {
            return self.number();
        }
        if let Some(sign) = SIGNS.iter().chain(&BRACES).find(|sign| rest.starts_with(**sign)) {
            self.at += sign.len();
            return Ok(Kind::Sign(sign));
        }
        let span = self.at..self.at + first.len_utf8();
        Err(match first {
            '=' => FilterError::new(span, "a single `=`", "equality is written `==`"),
            '&' | '|' => FilterError::new(span, format!("a single `{first}`"), "logic is written `&&` and `||`"),
            '`' => FilterError::new(span, "names in backticks are not supported", "write `body[\"a name\"]`"),
            '\'' | '"' => FilterError::new(span, "a string", "it is not closed"),
            _ => FilterError::new(
                span,
                format!("`{}` cannot stand here", first.escape_debug()),
                "text is written in quotes, as in `topic == \"github\"`",
            ),
        })
    }

    fn number(&mut self) -> Result<Kind, FilterError> {
        let start = self.at;
        let digits = |lexer: &mut Self| !lexer.take_while(|c| c.is_ascii_digit()).is_empty();
        let (mut double, mut hex, mut good) = (false, false, true);
        if self.rest().starts_with("0x") || self.rest().starts_with("0X") {
            self.at += 2;
            hex = true;
            good = !self.take_while(|c| c.is_ascii_hexdigit()).is_empty();
        } else {
            digits(self);
            if self.rest().starts_with('.') && self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) {
                self.at += 1;
                double = digits(self);
            }
            if self.rest().starts_with(['e', 'E']) {
                self.at += 1;
                if self.rest().starts_with(['+', '-']) {
                    self.at += 1;
                }
                double = true;
                good = digits(self);
            }
        }
        let written = &self.text[start..self.at];
        let unsigned = !double && self.rest().starts_with(['u', 'U']);
        self.at += usize::from(unsigned);
        let trailing = !self.take_while(is_part).is_empty();
        let whole = if hex { u64::from_str_radix(&written[2..], 16) } else { written.parse() };
        let span = start..self.at;
        if trailing || !good {
            return Err(FilterError::new(span, "this is not a number", "numbers are `1`, `1u`, `0x1f`, `1.5`, `2e9`"));
        }
        match (double, whole) {
            (true, _) => match written.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Kind::Double(number)),
                _ => Err(FilterError::new(span, "the number is too large", "a `double` goes up to 1.7e308")),
            },
            (false, Ok(whole)) => Ok(if unsigned { Kind::Uint(whole) } else { Kind::Int(whole) }),
            (false, Err(_)) => Err(FilterError::new(
                span,
                "the number is too large",
                "an `int` has 64 bits; write `1.0e30` for a `double`",
            )),
        }
    }

    /// A string, if one begins here.
    fn string(&mut self) -> Result<Option<String>, FilterError> {
        let start = self.at;
        let rest = self.rest();
        let prefix = rest.find(|c: char| !matches!(c, 'r' | 'R' | 'b' | 'B')).unwrap_or(rest.len());
        let (prefix, quoted) = rest.split_at(prefix);
        let Some(quote) = quoted.chars().next().filter(|&c| c == '"' || c == '\'') else { return Ok(None) };
        let raw = match prefix.to_ascii_lowercase().as_str() {
            "" => false,
            "r" => true,
            "b" | "br" | "rb" => {
                let span = start..start + prefix.len();
                return Err(FilterError::new(span, "there are no bytes in filters", "write a string, without the `b`"));
            }
            _ => return Ok(None),
        };
        let triple = quoted.len() >= 3 && quoted.bytes().take(3).all(|byte| byte == quote as u8);
        let width = if triple { 3 } else { 1 };
        self.at += prefix.len() + width;
        let mut string = String::new();
        loop {
            let rest = self.rest();
            if rest.starts_with(&quoted[..width]) {
                self.at += width;
                return Ok(Some(string));
            }
            match rest.chars().next() {
                Some('\\') if !raw => string.push(self.escape()?),
                Some(c) if triple || !matches!(c, '\n' | '\r') => {
                    self.at += c.len_utf8();
                    string.push(c);
                }
                _ => {
                    let opening = start..start + prefix.len() + width;
                    return Err(FilterError::new(
                        opening,
                        "the string is not closed",
                        format!("end it with {}", &quoted[..width]),
                    ));
                }
            }
        }
    }

    /// The character of the escape that begins here.
    fn escape(&mut self) -> Result<char, FilterError> {
        let start = self.at;
        let rest = &self.rest()[1..];
        let letter = rest.chars().next();
        let simple = match letter {
            Some('a') => Some('\u{7}'),
            Some('b') => Some('\u{8}'),
            Some('f') => Some('\u{c}'),
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some('v') => Some('\u{b}'),
            Some(c @ ('\\' | '?' | '"' | '\'' | '`')) => Some(c),
            _ => None,
        };
        if let Some(simple) = simple {
            self.at += 2;
            return Ok(simple);
        }
        // Where the digits begin, how many there are, and of which base.
        let numeric = match letter {
            Some('x' | 'X') => Some((1, 2, 16)),
            Some('u') => Some((1, 4, 16)),
            Some('U') => Some((1, 8, 16)),
            Some('0'..='3') => Some((0, 3, 8)),
            _ => None,
        };
        let decoded = numeric.and_then(|(from, count, base)| {
            let digits = rest.get(from..from + count).filter(|digits| digits.chars().all(|c| c.is_digit(base)))?;
            self.at += 1 + from + count;
            char::from_u32(u32::from_str_radix(digits, base).ok()?)
        });
        decoded.ok_or_else(|| {
            let end = self.at.max(start + 1 + letter.map_or(0, char::len_utf8));
            let hint = r#"known are \n, \t, \", \\, \x41, \u00e9 and the like; r"…" takes everything as it stands"#;
            FilterError::new(start..end, "this is not an escape", hint)
        })
    }
}

fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        let mut tokens = tokens(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(tokens.pop().map(|token| token.kind), Some(Kind::End));
        tokens.into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn literals() {
        let string = |text: &str| Kind::String(text.to_owned());
        let cases = [
            ("1", Kind::Int(1)),
            ("0x1F", Kind::Int(31)),
            ("9223372036854775808", Kind::Int(1 << 63)),
            ("18446744073709551615u", Kind::Uint(u64::MAX)),
            ("0xffU", Kind::Uint(255)),
            ("1.5", Kind::Double(1.5)),
            (".5e1", Kind::Double(5.0)),
            ("2E+3", Kind::Double(2000.0)),
            ("'a\"b'", string("a\"b")),
            (r#""\x41\u00e9\U0001F600\101\n\\\"\?""#, string("Aé😀A\n\\\"?")),
            (r"r'a\n'", string(r"a\n")),
            ("'''a\n'b''c'''", string("a\n'b''c")),
            (r#"R"""\""""#, string("\\")),
            ("''", string("")),
        ];
        for (text, want) in cases {
            assert_eq!(kinds(text), [want], "{text}");
        }
    }

    #[test]
    fn tokens_stand_where_they_are() {
        let tokens = tokens(" a>=\n'é' // a comment\n.r2").expect("good");
        let shown: Vec<_> = tokens.iter().map(|token| (token.kind.clone(), token.span.clone())).collect();
        assert_eq!(
            shown,
            [
                (Kind::Name("a".into()), 1..2),
                (Kind::Sign(">="), 2..4),
                (Kind::String("é".into()), 5..9),
                (Kind::Sign("."), 23..24),
                (Kind::Name("r2".into()), 24..26),
                (Kind::End, 26..26),
            ]
        );
    }

    #[test]
    fn what_is_no_token() {
        let cases = [
            ("a = 1", 2..3, "a single `=`"),
            ("a & b", 2..3, "a single `&`"),
            ("é", 0..2, "cannot stand here"),
            ("a # b", 2..3, "cannot stand here"),
            ("'abc", 0..1, "not closed"),
            ("x == \"a\nb\"", 5..6, "not closed"),
            ("'''a''", 0..3, "not closed"),
            (r"'\q'", 1..3, "not an escape"),
            (r"'\u12'", 1..3, "not an escape"),
            (r"'\ud800'", 1..7, "not an escape"),
            (r"'\400'", 1..3, "not an escape"),
            ("'\\", 1..2, "not an escape"),
            ("b'x'", 0..1, "no bytes"),
            ("a.`b`", 2..3, "backticks"),
            ("0x", 0..2, "not a number"),
            ("1e", 0..2, "not a number"),
            ("1abc", 0..4, "not a number"),
            ("1e999", 0..5, "too large"),
            ("18446744073709551616", 0..20, "too large"),
        ];
        for (text, range, phrase) in cases {
            let error = tokens(text).expect_err(text);
            assert_eq!(error.range, range, "{text}: {error}");
            assert!(error.message.contains(phrase), "{text}: {error}");
        }
    }
}
