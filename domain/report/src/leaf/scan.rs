//! Canonical JSON (RFC 8785, as `audit_log::jcs` narrows it), checked in one pass over the bytes.
//!
//! `jcs::parse_strict` and writing the value again would tell the same, and are what the tests compare with; but they
//! make a tree of values for each leaf, and a report has millions.

use std::cmp::Ordering;

use audit_log::jcs::{DEPTH_MAX, INTEGER_MAX, canonical, parse_strict};
use serde_json::Value;

use super::{LeafFault, Member, NO_PARENT, Span};

/// The canonical JSON of a text.
pub fn canonical_text(text: &str) -> Vec<u8> {
    canonical(&Value::String(text.to_owned())).unwrap_or_default()
}

/// What was found in a value.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// Members of objects that do not stand in arrays.
    pub(super) members: Vec<Member>,
    /// Where values are that are texts in ASCII without escapes, between their quotes: with other such characters in their
    /// place, the bytes are in canonical form still.
    pub(super) texts: Vec<Span>,
}

/// Whether the bytes are one value in canonical form; what is in it is added to `found`.
pub(super) fn scan(bytes: &[u8], found: &mut Found) -> bool {
    if str::from_utf8(bytes).is_err() {
        return false;
    }
    let mut scanner = Scanner { bytes, at: 0, found };
    scanner.value(0, Some(NO_PARENT)).is_some() && scanner.at == bytes.len()
}

/// What is wrong with bytes that are not in canonical form.
pub(super) fn why(bytes: &[u8]) -> LeafFault {
    parse_strict(bytes).err().map_or(LeafFault::NotCanonical, LeafFault::Strict)
}

struct Scanner<'b, 'f> {
    bytes: &'b [u8],
    at: usize,
    found: &'f mut Found,
}

/// Where a text is, between its quotes.
#[derive(Clone, Copy)]
struct Text {
    from: usize,
    to: usize,
    /// Without escapes, and in ASCII as far as was looked: never `true` for what is not.
    plain: bool,
}

/// A bit in each byte of a word, and the highest.
const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Marks, in its highest bit, the first byte of a little-endian word that is a quote, a backslash or a control. Bytes
/// behind the first may be marked wrongly.
const fn special(word: u64) -> u64 {
    const fn zero(word: u64) -> u64 {
        word.wrapping_sub(LOW) & !word & HIGH
    }
    let control = word.wrapping_sub(LOW * 0x20) & !word & HIGH;
    control | zero(word ^ (LOW * 0x22)) | zero(word ^ (LOW * 0x5c))
}

impl Scanner<'_, '_> {
    fn next(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += 1;
        byte
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        let rest = self.bytes.get(self.at..)?;
        rest.starts_with(word).then(|| self.at += word.len())
    }

    /// One value, `depth` containers deep. `parent` is the member whose value it is, `None` inside arrays.
    fn value(&mut self, depth: usize, parent: Option<u32>) -> Option<()> {
        match self.bytes.get(self.at)? {
            b'"' => {
                let text = self.text()?;
                if text.plain {
                    self.found.texts.push(short(text.from, text.to)?);
                }
                Some(())
            }
            b'{' => self.object(depth, parent),
            b'[' => self.array(depth),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            b'-' | b'0'..=b'9' => self.number(),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<()> {
        let negative = self.word(b"-").is_some();
        let from = self.at;
        let mut size: u64 = 0;
        while let Some(digit) = self.bytes.get(self.at).filter(|byte| byte.is_ascii_digit()) {
            size = size.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
            self.at += 1;
        }
        let digits = self.bytes.get(from..self.at)?;
        let one_spelling = match digits {
            [] => false,
            [b'0'] => !negative,
            [first, ..] => *first != b'0',
        };
        (one_spelling && size <= INTEGER_MAX).then_some(())
    }

    fn text(&mut self) -> Option<Text> {
        self.word(b"\"")?;
        let from = self.at;
        let mut plain = true;
        loop {
            // Most of a leaf is text: eight bytes at a time until one of them is special.
            while let Some(chunk) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
                let word = u64::from_le_bytes(*chunk);
                plain &= word & HIGH == 0;
                let special = special(word);
                if special != 0 {
                    self.at += usize::try_from(special.trailing_zeros() / 8).unwrap_or(0);
                    break;
                }
                self.at += 8;
            }
            match self.next()? {
                b'"' => return Some(Text { from, to: self.at - 1, plain }),
                b'\\' => {
                    plain = false;
                    self.escape()?;
                }
                0x00..=0x1f => return None,
                byte => plain &= byte.is_ascii(),
            }
        }
    }

    /// RFC 8785 section 3.2.2.2: two-character escapes where there are any, `\u00xx` for the other controls, and none
    /// for what needs none.
    fn escape(&mut self) -> Option<()> {
        match self.next()? {
            b'"' | b'\\' | b'b' | b't' | b'n' | b'f' | b'r' => Some(()),
            b'u' => {
                self.word(b"00")?;
                let high = self.next()?;
                let low = self.next()?;
                let short = high == b'0' && matches!(low, b'8' | b'9' | b'a' | b'c' | b'd');
                let right = matches!(high, b'0' | b'1') && matches!(low, b'0'..=b'9' | b'a'..=b'f');
                (right && !short).then_some(())
            }
            _ => None,
        }
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        self.word(b"[")?;
        if depth >= DEPTH_MAX {
            return None;
        }
        if self.word(b"]").is_some() {
            return Some(());
        }
        loop {
            self.value(depth + 1, None)?;
            match self.next()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    fn object(&mut self, depth: usize, parent: Option<u32>) -> Option<()> {
        self.word(b"{")?;
        if depth >= DEPTH_MAX {
            return None;
        }
        if self.word(b"}").is_some() {
            return Some(());
        }
        let mut last: Option<Text> = None;
        loop {
            let name = self.text()?;
            if last.is_some_and(|last| self.order(&last, &name) != Ordering::Less) {
                return None;
            }
            last = Some(name);
            self.word(b":")?;
            let from = self.at;
            let position = self.found.members.len();
            let member = match parent {
                Some(parent) => {
                    self.found.members.push(Member {
                        parent,
                        name: short(name.from, name.to)?,
                        value: (0, 0),
                    });
                    Some(u32::try_from(position).ok()?)
                }
                None => None,
            };
            self.value(depth + 1, member)?;
            if member.is_some() {
                self.found.members.get_mut(position)?.value = short(from, self.at)?;
            }
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// RFC 8785 section 3.2.3: names are in the order of their UTF-16 code units. Of plain ASCII that is the order of
    /// the bytes.
    fn order(&self, left: &Text, right: &Text) -> Ordering {
        let bytes = |text: &Text| self.bytes.get(text.from..text.to).unwrap_or_default();
        if left.plain && right.plain {
            return bytes(left).cmp(bytes(right));
        }
        let units = |name: &[u8]| -> Vec<u16> {
            let quoted = [b"\"", name, b"\""].concat();
            serde_json::from_slice::<String>(&quoted).unwrap_or_default().encode_utf16().collect()
        };
        units(bytes(left)).cmp(&units(bytes(right)))
    }
}

fn short(from: usize, to: usize) -> Option<Span> {
    Some((u32::try_from(from).ok()?, u32::try_from(to).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scans(bytes: &[u8]) -> bool {
        scan(bytes, &mut Found::default())
    }

    /// What the scanner must tell, told the long way.
    fn is_canonical(bytes: &[u8]) -> bool {
        parse_strict(bytes).is_ok_and(|value| canonical(&value).as_deref() == Ok(bytes))
    }

    fn json() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Value::from),
            any::<i8>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[\\x00-\\x1f\"\\\\é𝄞]{0,4}".prop_map(Value::from),
        ];
        scalar.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-c\\x00\\n\"\u{e000}-\u{e002}𝄞é]{0,3}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn canonical_json_is_let_through(value in json()) {
            let bytes = canonical(&value).expect("has a form");
            prop_assert!(scans(&bytes), "{}", String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn what_is_near_it_is_told_apart_as_the_long_way_does(
            value in json(), at in any::<prop::sample::Index>(), byte in any::<u8>(), insert in any::<bool>(),
        ) {
            let mut bytes = canonical(&value).expect("has a form");
            let at = at.index(bytes.len());
            if insert { bytes.insert(at, byte) } else { bytes[at] = byte }
            prop_assert_eq!(scans(&bytes), is_canonical(&bytes), "{}", String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn anything_is_told_apart_as_the_long_way_does(text in "[\\[\\]{}\",:\\\\u0-9a-fnrt.eE \\-]{0,12}") {
            prop_assert_eq!(scans(text.as_bytes()), is_canonical(text.as_bytes()), "{}", text);
        }
    }

    #[test]
    fn edges_are_told_apart_as_the_long_way_does() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let cases = [
            "0",
            "-0",
            "00",
            "01",
            "1.0",
            "1e3",
            "1E400",
            "9007199254740991",
            "9007199254740992",
            "-9007199254740992",
            "18446744073709551616",
            "NaN",
            "\u{feff}{}",
            "{}",
            "{} ",
            " {}",
            "[1,]",
            "{\"a\":1,}",
            "\"\\ud800\"",
            "\"\\/\"",
            "\"\\u0008\"",
            "\"\\u000b\"",
            "\"\\u000B\"",
            "\"\\u0041\"",
            "\"\u{7f}\"",
            "{\"a\":1,\"a\":1}",
            "{\"b\":1,\"a\":1}",
            "{\"\u{ffff}\":1,\"𝄞\":1}",
            "{\"𝄞\":1,\"\u{ffff}\":1}",
            "{\"\\n\":1,\"!\":2}",
            "",
            "tru",
            "\"",
        ];
        for case in cases.map(str::to_owned).into_iter().chain([deep(32), deep(33)]) {
            assert_eq!(scans(case.as_bytes()), is_canonical(case.as_bytes()), "{case}");
        }
        assert!(scans(deep(32).as_bytes()) && !scans(deep(33).as_bytes()));
        assert!(!scans(b"\"\xff\""));
    }
}
