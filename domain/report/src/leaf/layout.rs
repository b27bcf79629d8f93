//! Leaves that are laid out alike: of one log most are, but for what their texts say.
//!
//! A leaf that differs from one that was read only in characters of its texts that could stand for each other needs no
//! parsing: where its members are is known. That it is so is a comparison of bytes, which takes a tenth of the time.

use super::{Fields, Known, Member, range, scan::Found};

/// How many are kept.
const LAYOUTS_MAX: usize = 32;

/// What a leaf was found to be.
#[derive(Debug)]
pub(super) struct Layout {
    /// The leaf.
    like: Vec<u8>,
    /// For each of its bytes whether it may be another: all bits of it are set, or none.
    free: Vec<u8>,
    /// Where its members are.
    pub(super) members: Vec<Member>,
    /// Where those are that every leaf is asked for.
    pub(super) known: Known,
}

impl Layout {
    fn new(bytes: &[u8], found: Found) -> Self {
        let mut free = vec![0; bytes.len()];
        for text in found.texts {
            free.get_mut(range(text)).unwrap_or_default().fill(0xff);
        }
        let known = Fields { bytes, members: &found.members }.known();
        Self { like: bytes.to_vec(), free, members: found.members, known }
    }

    /// Whether a leaf is laid out like this: the same bytes, but where texts are others of printable ASCII that stand for
    /// themselves.
    fn holds(&self, bytes: &[u8]) -> bool {
        // Without a way out of the loop, so that many bytes are compared at a time.
        let wrong = |(byte, (like, free)): (&u8, (&u8, &u8))| {
            let is_plain = (0x20..0x7f).contains(byte) && *byte != b'"' && *byte != b'\\';
            let special = if is_plain { 0 } else { 0xff };
            ((byte ^ like) & !free) | (special & free)
        };
        bytes.len() == self.like.len()
            && bytes.iter().zip(self.like.iter().zip(&self.free)).map(wrong).fold(0, |all, one| all | one)
                == 0
    }
}

/// Layouts that were met lately.
#[derive(Debug, Default)]
pub(super) struct Layouts {
    kept: Vec<Layout>,
    /// Which one is forgotten next.
    oldest: usize,
}

impl Layouts {
    /// The layout that a leaf has.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<usize> {
        self.kept.iter().position(|layout| layout.holds(bytes))
    }

    /// Keeps the layout of a leaf that was parsed.
    pub(super) fn keep(&mut self, bytes: &[u8], found: Found) -> usize {
        let layout = Layout::new(bytes, found);
        if self.kept.len() < LAYOUTS_MAX {
            self.kept.push(layout);
            return self.kept.len() - 1;
        }
        let at = self.oldest;
        self.oldest = (at + 1) % LAYOUTS_MAX;
        self.kept[at] = layout;
        at
    }

    pub(super) fn get(&self, at: usize) -> &Layout {
        &self.kept[at]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::scan::scan, *};

    fn found(bytes: &[u8]) -> Option<Found> {
        let mut found = Found::default();
        scan(bytes, &mut found).then_some(found)
    }

    const LEAF: &str =
        r#"{"a":{"b":"text \" of","c":[1,"two",{"d":""}]},"e":-3,"f":"\u0001","g":"é","h":"plain"}"#;

    fn layouts() -> Layouts {
        let mut layouts = Layouts::default();
        let parsed = found(LEAF.as_bytes()).expect("canonical");
        layouts.keep(LEAF.as_bytes(), parsed);
        layouts
    }

    proptest! {
        #[test]
        fn what_is_laid_out_alike_is_what_parsing_finds(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        ) {
            let layouts = layouts();
            let mut leaf = layouts.get(0).like.clone();
            for (at, byte) in changes {
                let at = at.index(leaf.len());
                leaf[at] = byte;
            }
            if layouts.find(&leaf).is_some() {
                let parsed = found(&leaf);
                prop_assert!(parsed.is_some(), "{}", String::from_utf8_lossy(&leaf));
                prop_assert_eq!(&layouts.get(0).members, &parsed.expect("looked at above").members);
            }
        }
    }

    #[test]
    fn texts_may_be_others_and_nothing_else() {
        let layouts = layouts();
        let leaf = layouts.get(0).like.clone();
        let mut free = 0;
        for at in 0..leaf.len() {
            let mut other = leaf.clone();
            other[at] = if leaf[at] == b'~' { b'!' } else { b'~' };
            let is_held = layouts.find(&other).is_some();
            free += usize::from(is_held);
            assert_eq!(is_held, layouts.get(0).free[at] == 0xff, "{at}");
            for special in [b'"', b'\\', 0x1f, 0x00, 0x7f, 0x80, 0xff] {
                other[at] = special;
                assert!(layouts.find(&other).is_none() || leaf[at] == special, "{at}: {special}");
            }
        }
        assert_eq!(free, "two".len() + "plain".len(), "what has escapes or is not ASCII is as it is");
        assert!(layouts.find(&leaf[1..]).is_none());
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let mut layouts = Layouts::default();
        let leaf = |number: usize| format!("{{\"{}\":\"\"}}", "a".repeat(number)).into_bytes();
        for number in 1..=LAYOUTS_MAX + 2 {
            let parsed = found(&leaf(number)).expect("canonical");
            layouts.keep(&leaf(number), parsed);
        }
        assert_eq!(layouts.kept.len(), LAYOUTS_MAX);
        assert!(layouts.find(&leaf(2)).is_none());
        assert!(layouts.find(&leaf(3)).is_some() && layouts.find(&leaf(LAYOUTS_MAX + 2)).is_some());
    }
}
