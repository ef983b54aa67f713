//! How far a string runs on without anything that needs a look: no quote, no backslash, no control character.
//!
//! Eight bytes at a time in an ordinary register: the vector instructions need `unsafe` even where they are sure to be
//! there, and most strings of a webhook are short.

const WIDTH: usize = 8;
const ONES: u64 = u64::MAX / 255;
const HIGHS: u64 = ONES << 7;

/// The offset of the first byte from `at` on that is `"`, `\` or below 0x20; the length of the body if none is.
#[inline]
pub(super) fn end(body: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = body.get(at..).and_then(<[u8]>::first_chunk::<WIDTH>) {
        let marks = marks(u64::from_le_bytes(*chunk));
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += WIDTH;
    }
    while body.get(at).is_some_and(|&b| b != b'"' && b != b'\\' && b >= 0x20) {
        at += 1;
    }
    at
}

/// The highest bit of each byte that needs a look. A borrow may mark a byte behind the first wrongly; the first is right.
#[inline]
fn marks(text: u64) -> u64 {
    let zero = |word: u64| word.wrapping_sub(ONES);
    let quote = zero(text ^ (ONES * u64::from(b'"')));
    let backslash = zero(text ^ (ONES * u64::from(b'\\')));
    let control = text.wrapping_sub(ONES * 0x20);
    // None of the three has its highest bit set, so one mask for all is enough.
    (quote | backslash | control) & !text & HIGHS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plainly(body: &[u8], at: usize) -> usize {
        body[at..].iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20).map_or(body.len(), |n| at + n)
    }

    #[test]
    fn every_byte_at_every_place() {
        for place in 0..20 {
            for byte in 0..=u8::MAX {
                let mut body = vec![b'x'; 20];
                body[place] = byte;
                assert_eq!(end(&body, 0), plainly(&body, 0), "{byte:#x} at {place}");
                assert_eq!(end(&body, place), plainly(&body, place), "{byte:#x} from {place}");
            }
        }
    }

    proptest! {
        #[test]
        fn as_defined(body in prop::collection::vec(prop_oneof![Just(b'x'), 0x80..0xa0_u8, b' '..=b'#', any::<u8>()], 0..40)) {
            prop_assert_eq!(end(&body, 0), plainly(&body, 0));
        }
    }
}
