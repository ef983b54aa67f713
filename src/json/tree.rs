//! A JSON text as a tree, for those few that ask for more than one value of it.

use super::scan::{self, Visit};
use super::{Error, text, utf8};

/// A value.
///
/// Whole numbers are `Int` if they fit in 64 bits with a sign, else `Uint` if they fit without, and everything else is a
/// `Double`, the nearest there is; what is too large for it is infinite. An escaped lone surrogate is U+FFFD.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Tree {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Box<str>),
    List(Box<[Tree]>),
    Object(Object),
}

/// Members in the order of their names. Of a name that comes twice, the last counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Object(Box<[(Box<str>, Tree)]>);

impl Object {
    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The member of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tree> {
        let at = self.0.binary_search_by(|(have, _)| (**have).cmp(name)).ok()?;
        Some(&self.0[at].1)
    }

    /// Every member.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tree)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }
}

impl From<Vec<(Box<str>, Tree)>> for Object {
    fn from(mut members: Vec<(Box<str>, Tree)>) -> Self {
        // A stable sort leaves those of one name in their order, of which the last is to stay.
        members.reverse();
        members.sort_by(|(a, _), (b, _)| a.cmp(b));
        members.dedup_by(|(later, _), (kept, _)| later == kept);
        Self(members.into_boxed_slice())
    }
}

/// Why there is no tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoTree {
    /// It is not JSON.
    NotJson(Error),
    /// It has more values than were allowed.
    TooMany,
}

/// Makes a tree of at most so many values, names of members not counted. Takes some 40 bytes of memory for each besides
/// its text.
///
/// # Errors
/// When the text is not JSON, or has more values.
pub fn tree(body: &[u8], values: usize) -> Result<Tree, NoTree> {
    utf8(body).map_err(NoTree::NotJson)?;
    let mut builder = Builder { body, open: Vec::new(), left: values, done: None };
    scan::walk(body, &mut builder).map_err(NoTree::NotJson)?;
    builder.done.ok_or(NoTree::TooMany)
}

/// A value that has begun and not ended.
enum Open {
    Scalar(usize),
    List(Vec<Tree>),
    Object(Vec<(Box<str>, Tree)>, Box<str>),
}

struct Builder<'b> {
    body: &'b [u8],
    open: Vec<Open>,
    /// How many more values may come. None come any more once it was too many.
    left: usize,
    done: Option<Tree>,
}

impl Builder<'_> {
    fn scalar(raw: &[u8]) -> Tree {
        let text = text(raw);
        match (raw.first(), text) {
            (Some(b'"'), text) => Tree::String(text.unwrap_or_default().into()),
            (Some(b't'), _) => Tree::Bool(true),
            (Some(b'f'), _) => Tree::Bool(false),
            (Some(b'-' | b'0'..=b'9'), Some(text)) => {
                let whole = text.parse().map(Tree::Int).or_else(|_| text.parse().map(Tree::Uint));
                // Everything the grammar takes for a number is one to this as well.
                whole.unwrap_or_else(|_| Tree::Double(text.parse().unwrap_or(f64::NAN)))
            }
            _ => Tree::Null,
        }
    }
}

impl Visit for Builder<'_> {
    fn begin(&mut self, _: usize, at: usize) {
        if self.left == 0 {
            self.open.clear();
            return;
        }
        self.left -= 1;
        self.open.push(match self.body.get(at) {
            Some(b'[') => Open::List(Vec::new()),
            Some(b'{') => Open::Object(Vec::new(), Box::default()),
            _ => Open::Scalar(at),
        });
    }

    fn end(&mut self, _: usize, at: usize) {
        let Some(open) = self.open.pop() else { return };
        let value = match open {
            Open::Scalar(from) => Self::scalar(&self.body[from..at]),
            Open::List(elements) => Tree::List(elements.into_boxed_slice()),
            Open::Object(members, _) => Tree::Object(members.into()),
        };
        match self.open.last_mut() {
            Some(Open::List(elements)) => elements.push(value),
            Some(Open::Object(members, name)) => members.push((std::mem::take(name), value)),
            Some(Open::Scalar(_)) | None => self.done = Some(value),
        }
    }

    fn array(&mut self, _: usize) {}

    fn element(&mut self, _: usize) {}

    fn key(&mut self, _: usize, raw: &[u8]) {
        if let Some(Open::Object(_, name)) = self.open.last_mut() {
            *name = super::text::unescape(raw).unwrap_or_default().into();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Tree {
        tree(text.as_bytes(), 100).unwrap_or_else(|why| panic!("{text}: {why:?}"))
    }

    #[test]
    fn values() {
        let cases = [
            ("null", Tree::Null),
            (" true ", Tree::Bool(true)),
            ("-7", Tree::Int(-7)),
            ("-9223372036854775808", Tree::Int(i64::MIN)),
            ("9223372036854775808", Tree::Uint(1 << 63)),
            ("18446744073709551616", Tree::Double(18_446_744_073_709_551_616.0)),
            ("1.0", Tree::Double(1.0)),
            ("1e2", Tree::Double(100.0)),
            ("-1e999", Tree::Double(f64::NEG_INFINITY)),
            (r#""a\u00e9\ud800""#, Tree::String("aé\u{fffd}".into())),
            ("[]", Tree::List([].into())),
            ("[1,[2],{}]", Tree::List([Tree::Int(1), read("[2]"), read("{}")].into())),
        ];
        for (text, want) in cases {
            assert_eq!(read(text), want, "{text}");
        }
        let Tree::Object(object) = read(r#"{"b":1,"a":{"c":[2]},"b":3,"":4}"#) else { panic!("no object") };
        let all: Vec<_> = object.iter().map(|(name, value)| (name, value.clone())).collect();
        assert_eq!(all, [("", Tree::Int(4)), ("a", read(r#"{"c":[2]}"#)), ("b", Tree::Int(3))]);
        assert_eq!((object.len(), object.get("b"), object.get("c")), (3, Some(&Tree::Int(3)), None));
    }

    #[test]
    fn no_more_than_allowed() {
        for (text, values) in [("1", 1), ("[1,2]", 3), (r#"{"a":{"b":1},"c":[]}"#, 4)] {
            assert!(tree(text.as_bytes(), values).is_ok(), "{text}");
            for fewer in 0..values {
                assert_eq!(tree(text.as_bytes(), fewer), Err(NoTree::TooMany), "{text}");
            }
        }
        assert!(matches!(tree(b"[1,", 9), Err(NoTree::NotJson(_))));
        assert!(matches!(tree(b"[1,", 1), Err(NoTree::NotJson(_))), "however much there is of it");
        assert!(matches!(tree(b"\"\xff\"", 9), Err(NoTree::NotJson(_))));
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 30, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::vec((".{0,3}", inner), 0..5)
                    .prop_map(|all| serde_json::Value::Object(all.into_iter().collect())),
            ]
        })
    }

    fn of(value: &serde_json::Value) -> Tree {
        use serde_json::Value;
        match value {
            Value::Null => Tree::Null,
            Value::Bool(it) => Tree::Bool(*it),
            Value::Number(it) => it.as_i64().map(Tree::Int).or_else(|| it.as_u64().map(Tree::Uint)).expect("whole"),
            Value::String(it) => Tree::String(it.as_str().into()),
            Value::Array(all) => Tree::List(all.iter().map(of).collect()),
            Value::Object(all) => Tree::Object(
                all.iter().map(|(name, value)| (name.as_str().into(), of(value))).collect::<Vec<_>>().into(),
            ),
        }
    }

    proptest! {
        #[test]
        fn the_same_as_another_reader(value in json()) {
            prop_assert_eq!(tree(value.to_string().as_bytes(), 1000), Ok(of(&value)));
        }
    }
}
