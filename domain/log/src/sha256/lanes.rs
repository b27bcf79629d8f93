//! One message in each lane.
#![expect(
    clippy::inline_always,
    reason = "what is not inlined into the dispatch is compiled for the least of processors"
)]

use pulp::{Arch, Simd, WithSimd};

use super::WIDTH;
use crate::merkle::Hash;

/// A word of each message.
type Word = [u32; WIDTH];

/// A block of a message (FIPS 180-4 section 5.2.1).
type Block = [u8; 64];

/// FIPS 180-4 section 4.2.2.
const ROUNDS: [u32; 64] = [
    0x428a_2f98,
    0x7137_4491,
    0xb5c0_fbcf,
    0xe9b5_dba5,
    0x3956_c25b,
    0x59f1_11f1,
    0x923f_82a4,
    0xab1c_5ed5,
    0xd807_aa98,
    0x1283_5b01,
    0x2431_85be,
    0x550c_7dc3,
    0x72be_5d74,
    0x80de_b1fe,
    0x9bdc_06a7,
    0xc19b_f174,
    0xe49b_69c1,
    0xefbe_4786,
    0x0fc1_9dc6,
    0x240c_a1cc,
    0x2de9_2c6f,
    0x4a74_84aa,
    0x5cb0_a9dc,
    0x76f9_88da,
    0x983e_5152,
    0xa831_c66d,
    0xb003_27c8,
    0xbf59_7fc7,
    0xc6e0_0bf3,
    0xd5a7_9147,
    0x06ca_6351,
    0x1429_2967,
    0x27b7_0a85,
    0x2e1b_2138,
    0x4d2c_6dfc,
    0x5338_0d13,
    0x650a_7354,
    0x766a_0abb,
    0x81c2_c92e,
    0x9272_2c85,
    0xa2bf_e8a1,
    0xa81a_664b,
    0xc24b_8b70,
    0xc76c_51a3,
    0xd192_e819,
    0xd699_0624,
    0xf40e_3585,
    0x106a_a070,
    0x19a4_c116,
    0x1e37_6c08,
    0x2748_774c,
    0x34b0_bcb5,
    0x391c_0cb3,
    0x4ed8_aa4a,
    0x5b9c_ca4f,
    0x682e_6ff3,
    0x748f_82ee,
    0x78a5_636f,
    0x84c8_7814,
    0x8cc7_0208,
    0x90be_fffa,
    0xa450_6ceb,
    0xbef9_a3f7,
    0xc671_78f2,
];

/// FIPS 180-4 section 5.3.3.
const BEGINNING: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The eight words of each message's hash so far.
type State = [Word; 8];

/// What FIPS 180-4 does with words, on as many messages as a register holds.
#[derive(Clone, Copy)]
struct Words<S>(S);

impl<S: Simd> Words<S> {
    #[inline(always)]
    fn rotate(self, word: S::u32s, by: u32) -> S::u32s {
        let left = self.0.wrapping_dyn_shl_u32s(word, self.0.splat_u32s(32 - by));
        self.0.or_u32s(self.shift(word, by), left)
    }

    #[inline(always)]
    fn shift(self, word: S::u32s, by: u32) -> S::u32s {
        self.0.wrapping_dyn_shr_u32s(word, self.0.splat_u32s(by))
    }

    #[inline(always)]
    fn xor(self, [a, b, c]: [S::u32s; 3]) -> S::u32s {
        self.0.xor_u32s(self.0.xor_u32s(a, b), c)
    }

    /// A word of a message, the first byte in front (section 3.1), which it is the other way round on this processor.
    #[inline(always)]
    fn in_order(self, word: S::u32s) -> S::u32s {
        let outer = self.0.and_u32s(self.rotate(word, 8), self.0.splat_u32s(0xff00_ff00));
        let inner = self.0.and_u32s(self.rotate(word, 24), self.0.splat_u32s(0x00ff_00ff));
        self.0.or_u32s(outer, inner)
    }

    /// The next word of the schedule, in the place of the one that is not needed any more (section 6.2.2, step 1).
    #[inline(always)]
    fn extend<const ROUND: usize>(self, schedule: &mut [S::u32s; 16]) {
        let (x, y) = (schedule[(ROUND + 1) % 16], schedule[(ROUND + 14) % 16]);
        let first = self.xor([self.rotate(x, 7), self.rotate(x, 18), self.shift(x, 3)]);
        let second = self.xor([self.rotate(y, 17), self.rotate(y, 19), self.shift(y, 10)]);
        let old = self.0.add_u32s(schedule[ROUND], schedule[(ROUND + 9) % 16]);
        schedule[ROUND] = self.0.add_u32s(old, self.0.add_u32s(first, second));
    }

    /// One round (section 6.2.2, step 3). Instead of the eight variables their names move on, so that none is copied.
    #[expect(clippy::many_single_char_names, reason = "the standard's own names")]
    #[inline(always)]
    fn round<const ROUND: usize>(self, now: &mut [S::u32s; 8], constant: u32, word: S::u32s) {
        let at = |name: usize| (name + 16 - ROUND) % 8;
        let (x, y) = (now[at(0)], now[at(4)]);
        let (b, c, f, g) = (now[at(1)], now[at(2)], now[at(5)], now[at(6)]);
        let choice = self.0.xor_u32s(self.0.and_u32s(y, f), self.0.and_u32s(self.0.not_u32s(y), g));
        let most = self.xor([self.0.and_u32s(x, b), self.0.and_u32s(x, c), self.0.and_u32s(b, c)]);
        let given = self.0.add_u32s(word, self.0.splat_u32s(constant));
        let sum = self.xor([self.rotate(y, 6), self.rotate(y, 11), self.rotate(y, 25)]);
        let one = self.0.add_u32s(self.0.add_u32s(now[at(7)], given), self.0.add_u32s(sum, choice));
        let sum = self.xor([self.rotate(x, 2), self.rotate(x, 13), self.rotate(x, 22)]);
        now[at(3)] = self.0.add_u32s(now[at(3)], one);
        now[at(7)] = self.0.add_u32s(one, self.0.add_u32s(sum, most));
    }

    /// Section 6.2.2, sixteen rounds at a time, after which all names are where they were.
    #[inline(always)]
    fn compress(self, state: &mut [S::u32s; 8], schedule: &mut [S::u32s; 16]) {
        let mut now = *state;
        for (sixteen, constants) in ROUNDS.as_chunks::<16>().0.iter().enumerate() {
            macro_rules! rounds {
                ($($round:literal)*) => {$(
                    if sixteen > 0 {
                        self.extend::<$round>(schedule);
                    }
                    self.round::<$round>(&mut now, constants[$round], schedule[$round]);
                )*};
            }
            rounds!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        }
        for (word, added) in state.iter_mut().zip(now) {
            *word = self.0.add_u32s(*word, added);
        }
    }
}

/// A block of each message, one under the other.
type Rows = [Word; 16];

/// Puts a block down as it stands: its bytes are turned into the standard's order later, sixteen words at a time.
#[inline(always)]
fn put(row: &mut Word, block: &Block) {
    // All of it is read before any is written, or the compiler, who can't know that they lie apart, goes word by word.
    let (words, _) = block.as_chunks();
    *row = std::array::from_fn(|place| u32::from_ne_bytes(words[place]));
}

/// Rows of the upper half with those of the lower, as one riffles cards; four times that turns rows into columns. Written
/// so, as a processor shuffles registers far faster than it gathers words one by one.
#[inline(always)]
fn riffle(rows: &Rows, riffled: &mut Rows) {
    // What is behind this is not to be seen through: the compiler would gather words from all over instead, which is slow.
    let rows = std::hint::black_box(rows);
    for (pair, (upper, lower)) in
        riffled.as_chunks_mut::<2>().0.iter_mut().zip(rows[..8].iter().zip(&rows[8..]))
    {
        *pair = [merged(upper, lower, 0), merged(upper, lower, 8)];
    }
}

/// Eight words of one with eight of the other.
#[inline(always)]
fn merged(upper: &Word, lower: &Word, from: usize) -> Word {
    std::array::from_fn(
        |place| if place % 2 == 0 { upper[from + place / 2] } else { lower[from + place / 2] },
    )
}

/// Adds a block to each lane; the other rows are room to work in.
#[inline(always)]
fn absorb<S: Simd>(simd: S, state: &mut State, [rows, room]: &mut [Rows; 2]) {
    riffle(rows, room);
    riffle(room, rows);
    riffle(rows, room);
    riffle(room, rows);
    let rows = std::hint::black_box(&*rows);
    for part in 0..WIDTH / S::U32_LANES {
        let mut now = [simd.splat_u32s(0); 8];
        for (register, word) in now.iter_mut().zip(state.iter()) {
            *register = S::as_simd_u32s(word).0[part];
        }
        let mut words = [simd.splat_u32s(0); 16];
        for (register, word) in words.iter_mut().zip(rows) {
            *register = Words(simd).in_order(S::as_simd_u32s(word).0[part]);
        }
        Words(simd).compress(&mut now, &mut words);
        for (register, word) in now.into_iter().zip(state.iter_mut()) {
            S::as_mut_simd_u32s(word).0[part] = register;
        }
    }
}

#[inline(always)]
fn begin(state: &mut State, lane: usize) {
    for (word, value) in state.iter_mut().zip(BEGINNING) {
        word[lane] = value;
    }
}

#[inline(always)]
fn hash_of(state: &State, lane: usize) -> Hash {
    let mut hash = [0; 32];
    for (bytes, word) in hash.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word[lane].to_be_bytes();
    }
    Hash(hash)
}

/// How many blocks so many bytes make, with what is added at their end (FIPS 180-4 section 5.1.1).
const fn blocks_of(bytes: usize) -> usize {
    (bytes + 9).div_ceil(64)
}

/// What stands at the end of a message: its length in bits.
fn length_of(bytes: usize) -> [u8; 8] {
    u64::try_from(bytes).unwrap_or(u64::MAX).wrapping_mul(8).to_be_bytes()
}

/// The hash of each message behind that prefix.
pub(super) fn prefixed(prefix: u8, messages: &[&[u8]]) -> Vec<Hash> {
    Arch::new().dispatch(Many { prefix, messages })
}

struct Many<'m> {
    prefix: u8,
    messages: &'m [&'m [u8]],
}

/// A message on its way through a lane.
#[derive(Clone, Copy)]
struct Running<'m> {
    /// Which of the messages it is.
    position: usize,
    /// What of it is left to be put down.
    rest: &'m [u8],
    /// How many blocks are left.
    blocks: usize,
}

impl<'m> Running<'m> {
    /// Starts with a message, and puts its first block down.
    #[inline(always)]
    fn begin(row: &mut Word, prefix: u8, position: usize, message: &'m [u8]) -> Self {
        let blocks = blocks_of(message.len() + 1);
        let mut block = [0; 64];
        block[0] = prefix;
        let rest = if let Some((whole, rest)) = message.split_first_chunk::<63>() {
            block[1..].copy_from_slice(whole);
            rest
        } else {
            let end = message.len() + 1;
            block[1..end].copy_from_slice(message);
            block[end] = 0x80;
            if blocks == 1 {
                block[56..].copy_from_slice(&length_of(end));
            }
            &[]
        };
        put(row, &block);
        Self { position, rest, blocks }
    }

    /// Puts the next block down.
    #[inline(always)]
    fn advance(&mut self, row: &mut Word, message: &[u8]) {
        if let Some((whole, rest)) = self.rest.split_first_chunk() {
            put(row, whole);
            self.rest = rest;
        } else {
            self.finish(row, message.len() + 1);
        }
    }

    /// Puts one of the last blocks down, with what is added at the end (FIPS 180-4 section 5.1.1).
    fn finish(&mut self, row: &mut Word, bytes: usize) {
        let mut block = [0; 64];
        block[..self.rest.len()].copy_from_slice(self.rest);
        // The first bit behind the message is set, once: in the block that has room for all of its rest.
        if bytes / 64 + self.blocks == blocks_of(bytes) {
            block[self.rest.len()] = 0x80;
        }
        if self.blocks == 1 {
            block[56..].copy_from_slice(&length_of(bytes));
        }
        self.rest = &[];
        put(row, &block);
    }
}

impl WithSimd for Many<'_> {
    type Output = Vec<Hash>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<Hash> {
        let mut hashes = vec![Hash([0; 32]); self.messages.len()];
        let mut state: State = [[0; WIDTH]; 8];
        let mut rows = [[[0; WIDTH]; 16]; 2];
        let mut lanes: [Option<Running<'_>>; WIDTH] = [None; WIDTH];
        let mut waiting = self.messages.iter().enumerate();
        loop {
            let mut are_idle = true;
            for (lane, (running, row)) in lanes.iter_mut().zip(&mut rows[0]).enumerate() {
                if let Some(running) = running {
                    running.advance(row, self.messages[running.position]);
                    are_idle = false;
                } else if let Some((position, message)) = waiting.next() {
                    *running = Some(Running::begin(row, self.prefix, position, message));
                    begin(&mut state, lane);
                    are_idle = false;
                }
            }
            if are_idle {
                return hashes;
            }
            absorb(simd, &mut state, &mut rows);
            for (lane, slot) in lanes.iter_mut().enumerate() {
                let Some(running) = slot else { continue };
                running.blocks -= 1;
                if running.blocks == 0 {
                    hashes[running.position] = hash_of(&state, lane);
                    *slot = None;
                }
            }
        }
    }
}

/// A message in each lane, as it comes in.
pub(super) struct Streams {
    state: State,
    /// What is left of each message that is no whole block yet.
    tails: [Vec<u8>; WIDTH],
    /// How many bytes of each came in.
    lengths: [usize; WIDTH],
}

impl Default for Streams {
    fn default() -> Self {
        Self { state: BEGINNING.map(|word| [word; WIDTH]), tails: Default::default(), lengths: [0; WIDTH] }
    }
}

impl Streams {
    pub(super) fn update(&mut self, pieces: [&[u8]; WIDTH]) {
        let mut joined: [Vec<u8>; WIDTH] = Default::default();
        for ((whole, tail), piece) in joined.iter_mut().zip(&mut self.tails).zip(pieces) {
            if !tail.is_empty() {
                *whole = std::mem::take(tail);
                whole.extend_from_slice(piece);
            }
        }
        let mut blocks: [&[Block]; WIDTH] = [&[]; WIDTH];
        for (lane, piece) in pieces.into_iter().enumerate() {
            let whole = if joined[lane].is_empty() { piece } else { &joined[lane] };
            let (mine, rest) = whole.as_chunks();
            blocks[lane] = mine;
            self.tails[lane].extend_from_slice(rest);
            self.lengths[lane] += piece.len();
        }
        Arch::new().dispatch(Absorb { state: &mut self.state, blocks });
    }

    pub(super) fn finish(mut self) -> [Hash; WIDTH] {
        let mut ends: [Vec<u8>; WIDTH] = Default::default();
        for (lane, end) in ends.iter_mut().enumerate() {
            let held = self.tails[lane].len();
            end.push(0x80);
            end.resize(blocks_of(held) * 64 - held - 8, 0);
            end.extend_from_slice(&length_of(self.lengths[lane]));
        }
        self.update(ends.each_ref().map(Vec::as_slice));
        std::array::from_fn(|lane| hash_of(&self.state, lane))
    }
}

struct Absorb<'b> {
    state: &'b mut State,
    blocks: [&'b [Block]; WIDTH],
}

impl WithSimd for Absorb<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let most = self.blocks.iter().map(|blocks| blocks.len()).max().unwrap_or_default();
        let mut rows = [[[0; WIDTH]; 16]; 2];
        for number in 0..most {
            let before = *self.state;
            for (row, blocks) in rows[0].iter_mut().zip(self.blocks) {
                if let Some(block) = blocks.get(number) {
                    put(row, block);
                }
            }
            absorb(simd, self.state, &mut rows);
            for (lane, mine) in self.blocks.iter().enumerate() {
                // A lane that had no block stays as it was.
                if number >= mine.len() {
                    for (word, old) in self.state.iter_mut().zip(before) {
                        word[lane] = old[lane];
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pulp::{
        Scalar,
        x86::{V3, V4},
    };

    use super::*;
    use crate::sha256::prefixed_one;

    #[test]
    fn narrow_registers_and_none_come_to_the_same() {
        let bytes: Vec<u8> = (0..=255_u8).cycle().take(300).collect();
        let messages: Vec<&[u8]> = (0..bytes.len()).map(|length| &bytes[..length]).collect();
        let messages = messages.as_slice();
        let many = || Many { prefix: 1, messages };
        let wanted: Vec<_> = messages.iter().map(|message| prefixed_one(1, message)).collect();
        assert_eq!(Scalar.vectorize(many()), wanted);
        // What this processor has not got is not run on it.
        for hashes in [
            V3::try_new().map(|v3| Simd::vectorize(v3, many())),
            V4::try_new().map(|v4| Simd::vectorize(v4, many())),
        ] {
            assert!(hashes.is_none_or(|hashes| hashes == wanted));
        }
    }
}
