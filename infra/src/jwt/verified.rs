//! Tokens found good a moment ago, by their digest: checking a signature takes about 30 µs, a look-up one.
//!
//! A token is remembered for a minute at most and never past its end. What is remembered is what its bytes say,
//! so only being signed by a key retired since could make it wrong, and such a key has no tokens that are still
//! good.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use aws_lc_rs::digest;
use chrono::TimeDelta;
use domain::{identity::ports::AccessClaims, kernel::clock::Timestamp};

/// Longest a token is remembered, in seconds.
const REMEMBERED_S: i64 = 60;
/// Each lock guards its share of the tokens.
const SHARDS: usize = 16;
/// Tokens per generation and shard: 65,536 in all, of about 150 bytes.
const GENERATION_MAX: usize = 2_048;

type Digest = [u8; 32];

struct Entry {
    claims: AccessClaims,
    since: Timestamp,
    until: Timestamp,
}

/// Two generations: when the young one is full it becomes the old one, and the old one is forgotten.
#[derive(Default)]
struct Shard {
    young: HashMap<Digest, Entry>,
    old: HashMap<Digest, Entry>,
}

/// Tokens found good.
#[derive(Default)]
pub(super) struct Verified([Mutex<Shard>; SHARDS]);

impl Verified {
    /// SHA-256 of the whole token, signature and all.
    pub(super) fn digest(token: &str) -> Digest {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        bytes
    }

    fn shard(&self, digest: &Digest) -> MutexGuard<'_, Shard> {
        let shard = usize::from(digest[0]) % SHARDS;
        self.0[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it says, when it was found good and still is `now`.
    pub(super) fn get(&self, digest: &Digest, now: Timestamp) -> Option<AccessClaims> {
        let shard = self.shard(digest);
        let entry = shard.young.get(digest).or_else(|| shard.old.get(digest))?;
        // A clock set back makes it a token from the future again, perhaps: it is checked anew.
        (entry.since <= now && now < entry.until).then_some(entry.claims)
    }

    /// Remembers a token found good `now`.
    pub(super) fn put(&self, digest: Digest, claims: AccessClaims, now: Timestamp) {
        let until = claims.expires_at.min(now + TimeDelta::seconds(REMEMBERED_S));
        let mut shard = self.shard(&digest);
        if shard.young.len() >= GENERATION_MAX {
            shard.old = std::mem::take(&mut shard.young);
        }
        shard.young.insert(digest, Entry { claims, since: now, until });
    }
}

#[cfg(test)]
mod tests {
    use domain::kernel::ids::{MemberId, SessionId, TenantId};
    use uuid::Uuid;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
    }

    fn claims(life_s: i64) -> AccessClaims {
        AccessClaims {
            tenant: TenantId::from_uuid(Uuid::from_u128(1)),
            member: MemberId::from_uuid(Uuid::from_u128(2)),
            session: SessionId::from_uuid(Uuid::from_u128(3)),
            issued_at: at(0),
            expires_at: at(life_s),
        }
    }

    #[test]
    fn forgets_after_a_minute_at_the_end_and_when_the_clock_goes_back() {
        let verified = Verified::default();
        verified.put([1; 32], claims(900), at(0));
        verified.put([2; 32], claims(10), at(0));
        assert_eq!(verified.get(&[1; 32], at(59)), Some(claims(900)));
        assert_eq!(verified.get(&[1; 32], at(60)), None);
        assert_eq!(verified.get(&[1; 32], at(-1)), None);
        assert_eq!(verified.get(&[2; 32], at(9)), Some(claims(10)));
        assert_eq!(verified.get(&[2; 32], at(10)), None);
        assert_eq!(verified.get(&[3; 32], at(0)), None);
    }

    #[test]
    fn holds_only_so_many_and_the_latest_of_them() {
        let verified = Verified::default();
        let digest = |n: usize| {
            let mut digest = [0; 32];
            digest[1..9].copy_from_slice(&n.to_be_bytes());
            digest
        };
        for n in 0..3 * GENERATION_MAX {
            verified.put(digest(n), claims(900), at(0));
        }
        let shard = verified.0[0].lock().unwrap();
        assert!(shard.young.len() + shard.old.len() <= 2 * GENERATION_MAX);
        drop(shard);
        assert_eq!(verified.get(&digest(0), at(1)), None, "the first are forgotten");
        assert!(verified.get(&digest(3 * GENERATION_MAX - 1), at(1)).is_some());
    }
}
