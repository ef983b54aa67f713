//! The header `tracestate`, <https://www.w3.org/TR/trace-context/#tracestate-header>: a list of keys and values of tracing
//! systems, none of them ours.

use std::borrow::Cow;

/// The most members of a list.
const MEMBERS: usize = 32;

/// The longest key, and the longest value, in bytes.
const LONGEST: usize = 256;

/// One list of all the values of the header, in their order, without members that are empty. None where nothing is in them,
/// or where something in them is not valid: then nothing may be taken from them.
pub(super) fn join<'e>(values: impl Iterator<Item = &'e [u8]>) -> Option<Cow<'e, str>> {
    let (mut whole, mut count): (Option<Cow<'e, str>>, usize) = (None, 0);
    for value in values {
        for member in std::str::from_utf8(value).ok()?.split(',').map(|member| member.trim_matches([' ', '\t'])) {
            if member.is_empty() {
                continue;
            }
            count += 1;
            if count > MEMBERS || !is_member(member) {
                return None;
            }
            whole = Some(match whole {
                None => Cow::Borrowed(member),
                Some(before) => Cow::Owned(before.into_owned() + "," + member),
            });
        }
    }
    whole
}

fn is_member(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else { return false };
    let first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let further = |byte: u8| first(byte) || b"_-*/@".contains(&byte);
    let key_fits = key.bytes().next().is_some_and(first) && key.bytes().all(further) && key.len() <= LONGEST;
    // The comma ended the member, and spaces around it do not belong to it.
    let value_fits = !value.is_empty() && value.len() <= LONGEST;
    key_fits && value_fits && value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_state() {
        let long = |key: usize, value: usize| format!("{}={}", "k".repeat(key), "v".repeat(value));
        let many = |count: usize| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        let same = |text: String| (vec![text.clone()], Some(text));
        let cases = [
            same("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE".into()),
            same("0vendor@system_a-b*c/d=!\"#$ %~".into()),
            same(long(256, 256)),
            same(many(32)),
            (vec!["a=1 ,\tb=2,, c=3,".into()], Some("a=1,b=2,c=3".into())),
            (vec!["a=1".into(), " ".into(), "b=2".into()], Some("a=1,b=2".into())),
            (vec![many(20), many(13)], None),
            (vec![many(33)], None),
            (vec![long(257, 1)], None),
            (vec![long(1, 257)], None),
            (vec![], None),
            (vec![" , ,".into()], None),
            (vec!["a".into()], None),
            (vec!["a=".into()], None),
            (vec!["=1".into()], None),
            (vec!["A=1".into()], None),
            (vec!["-a=1".into()], None),
            (vec!["a b=1".into()], None),
            (vec!["a=b=c".into()], None),
            (vec!["a=1".into(), "b".into()], None),
            (vec!["a=\u{e9}".into()], None),
            (vec!["a=\u{7f}".into()], None),
        ];
        for (values, want) in cases {
            let joined = join(values.iter().map(String::as_bytes));
            assert_eq!(joined.as_deref(), want.as_deref(), "{values:?}");
        }
        assert_eq!(join([&b"a=1"[..], b"\xff"].into_iter()), None);
    }
}
