//! SHA-256 (FIPS 180-4) of many messages side by side.
//!
//! A log is millions of short messages. Where the processor has no instructions for SHA-256 of its own but wide registers
//! (AVX2, AVX-512), sixteen messages in the lanes of those take about as long as one or two alone. Elsewhere each is
//! hashed by itself, as [`sha2`] does best.
//!
//! Absent on purpose: intrinsics. Words are added, turned and mixed by what [`pulp`] has for registers of any width; nothing
//! of it is unsafe.

#[cfg(target_arch = "x86_64")]
mod lanes;

use sha2::{Digest as _, Sha256};

use crate::merkle::Hash;

/// How many messages are hashed side by side.
pub const WIDTH: usize = 16;

/// Whether lanes are worth it here.
#[cfg(target_arch = "x86_64")]
fn has_lanes() -> bool {
    !std::is_x86_feature_detected!("sha") && std::is_x86_feature_detected!("avx2")
}

/// The hash of a message behind that prefix.
pub(crate) fn prefixed_one(prefix: u8, message: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([prefix]).chain_update(message).finalize().into())
}

/// The hash of each message behind that prefix.
pub(crate) fn prefixed(prefix: u8, messages: &[&[u8]]) -> Vec<Hash> {
    #[cfg(target_arch = "x86_64")]
    if messages.len() > 1 && has_lanes() {
        return lanes::prefixed(prefix, messages);
    }
    messages.iter().map(|message| prefixed_one(prefix, message)).collect()
}

/// Up to [`WIDTH`] messages that are hashed as they come in, a piece of each at a time.
pub struct Together(Kind);

enum Kind {
    #[cfg(target_arch = "x86_64")]
    Lanes(Box<lanes::Streams>),
    Alone(Box<[Sha256; WIDTH]>),
}

impl Together {
    /// As many messages as that, all empty yet.
    pub fn new(messages: usize) -> Self {
        debug_assert!(messages <= WIDTH, "there are {WIDTH} lanes");
        #[cfg(target_arch = "x86_64")]
        if messages > 1 && has_lanes() {
            return Self(Kind::Lanes(Box::default()));
        }
        Self(Kind::Alone(Box::default()))
    }

    /// Adds a piece to each message, the same message always in the same place. It is fastest when pieces are of the same
    /// length, a multiple of 64 bytes.
    pub fn update(&mut self, pieces: [&[u8]; WIDTH]) {
        match &mut self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Lanes(streams) => streams.update(pieces),
            Kind::Alone(hashers) => {
                hashers.iter_mut().zip(pieces).for_each(|(hasher, piece)| hasher.update(piece));
            }
        }
    }

    /// The hash of each message.
    pub fn finish(self) -> [Hash; WIDTH] {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Lanes(streams) => streams.finish(),
            Kind::Alone(hashers) => hashers.map(|hasher| Hash(hasher.finalize().into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn alone(prefix: &[u8], message: &[u8]) -> Hash {
        Hash(Sha256::new().chain_update(prefix).chain_update(message).finalize().into())
    }

    #[test]
    fn each_length_has_the_hash_it_has_alone() {
        let bytes: Vec<u8> = (0..=255_u8).cycle().take(300).collect();
        let messages: Vec<&[u8]> = (0..bytes.len()).map(|length| &bytes[..length]).collect();
        for prefix in [0, 1] {
            let hashes = prefixed(prefix, &messages);
            assert_eq!(hashes.len(), messages.len());
            for (message, hash) in messages.iter().zip(hashes) {
                assert_eq!(hash, alone(&[prefix], message), "{} bytes", message.len());
            }
        }
        assert!(prefixed(0, &[]).is_empty());
    }

    proptest! {
        #[test]
        fn messages_side_by_side_have_the_hashes_they_have_alone(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..70), prefix in any::<u8>(),
        ) {
            let hashes = prefixed(prefix, &messages.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let wanted: Vec<_> = messages.iter().map(|message| alone(&[prefix], message)).collect();
            prop_assert_eq!(hashes, wanted);
        }

        #[test]
        fn messages_that_come_in_pieces_have_the_hashes_they_have_whole(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..700), 1..=WIDTH),
            cuts in prop::collection::vec(prop_oneof![Just(64_usize), Just(128), 0..200_usize], 1..6),
        ) {
            let mut together = Together::new(messages.len());
            let mut rest: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
            rest.resize(WIDTH, &[]);
            for cut in cuts.iter().copied().chain([usize::MAX]) {
                let mut pieces: [&[u8]; WIDTH] = [&[]; WIDTH];
                for (piece, rest) in pieces.iter_mut().zip(&mut rest) {
                    (*piece, *rest) = rest.split_at(cut.min(rest.len()));
                }
                together.update(pieces);
            }
            let hashes = together.finish();
            for (message, hash) in messages.iter().zip(hashes) {
                prop_assert_eq!(hash, alone(&[], message));
            }
        }
    }
}
