//! The platform's log grows by tenants' heads and never forks, whatever breaks off or is put back.

use std::sync::{Arc, atomic::Ordering};

use domain::{
    compliance::{
        NotResumed, Notarised, Notary, NotaryPorts, Resuming, Rollback,
        log::{
            anchor::anchor_leaf,
            checkpoint::Checkpoint,
            merkle::{CompactRange, Hash, leaf_hash, verify_inclusion},
            note::Note,
            policy::LogPolicy,
            tile::{Tile, TileSet, tiles_for_inclusion},
            trust::TrustPolicy,
        },
        ports::{LogId, Mark, WitnessClient},
        testkit::{MemoryHighWater, MemoryPlatform, MemorySigner, MemoryWitnesses, Tripwire},
    },
    kernel::{
        fault::PortError,
        ids::TenantId,
        outbox::Stream,
        testkit::{Counted, FixedClock},
    },
};

use crate::site::{HOST, Site, drain, now};

pub(crate) struct Platform {
    pub(crate) site: Site,
    pub(crate) tenants: [TenantId; 2],
    pub(crate) store: MemoryPlatform,
    pub(crate) mark: Arc<MemoryHighWater>,
    pub(crate) signer: Arc<MemorySigner>,
    tripwire: Arc<Tripwire>,
    pub(crate) witnesses: Arc<dyn WitnessClient>,
    pub(crate) trust: TrustPolicy,
}

impl Platform {
    pub(crate) fn new() -> Self {
        let site = Site::new();
        let (left, right) = site.two();
        let tripwire = Arc::<Tripwire>::default();
        Self {
            store: MemoryPlatform::over(site.logs.clone(), Arc::clone(&tripwire)),
            mark: Arc::new(MemoryHighWater::new(Arc::clone(&tripwire))),
            signer: Arc::new(MemorySigner::new([5; 32], Arc::clone(&tripwire))),
            tripwire,
            site,
            tenants: [left, right],
            witnesses: Arc::<MemoryWitnesses>::default(),
            trust: TrustPolicy::empty(),
        }
    }

    pub(crate) fn notary(&self) -> Notary {
        Notary::new(NotaryPorts {
            store: Arc::new(self.store.clone()),
            high_water: Arc::<MemoryHighWater>::clone(&self.mark),
            leaves: Arc::<MemoryHighWater>::clone(&self.mark),
            signer: Arc::<MemorySigner>::clone(&self.signer),
            clock: Arc::<FixedClock>::clone(&self.site.clock),
            entropy: Arc::<Counted>::clone(&self.site.ids),
            witnesses: Arc::clone(&self.witnesses),
            trust: self.trust.clone(),
            host: HOST.to_owned(),
        })
    }

    /// Lets both tenants' logs grow.
    pub(crate) fn grow(&self) {
        for tenant in self.tenants {
            self.site.happen(tenant, 3);
        }
        drain(&mut self.site.sequencer(), 100);
    }

    pub(crate) fn turn(&self) -> Result<Notarised, PortError> {
        now(self.notary().notarise(100))
    }

    /// Size and root of every head that was signed, each checked.
    fn signed(&self) -> Vec<(u64, Hash)> {
        let origin = format!("audit.{HOST}/platform");
        let key = self.signer.under(&origin).expect("a name").verifier().clone();
        let policy = LogPolicy::new(&origin, vec![key], Vec::new(), 0).expect("sound");
        let heads =
            self.store.kept().heads.into_iter().filter_map(|head| Some((head.note?, head.size, head.root)));
        heads
            .map(|(note, size, root)| {
                let checkpoint =
                    policy.open(note.as_bytes(), None).expect("signed by the platform").checkpoint;
                assert_eq!((checkpoint.size(), checkpoint.root()), (size, root));
                (size, root)
            })
            .collect()
    }

    /// Whether the heads signed are all of one tree: that of the leaves kept.
    fn is_one_tree(&self, signed: &[(u64, Hash)]) -> bool {
        let mut range = CompactRange::starting_at(0);
        let mut roots = Vec::new();
        let kept = self.store.kept();
        let mut leaves: Vec<_> =
            kept.anchors.iter().map(|anchor| (anchor.index, anchor.leaf_hash)).chain(kept.lost).collect();
        leaves.sort_by_key(|(index, _)| *index);
        for (place, (index, hash)) in (0..).zip(leaves) {
            assert_eq!(index, place, "each has one place");
            range.append_leaf(hash).expect("room");
            roots.push(range.root().expect("from the start"));
        }
        signed.iter().all(|(size, root)| roots.get(usize::try_from(*size).expect("few") - 1) == Some(root))
    }
}

#[test]
fn a_tenants_head_is_proven_to_be_in_it() {
    let platform = Platform::new();
    assert_eq!(platform.turn().expect("goes on"), Notarised::Nothing);
    platform.grow();
    assert_eq!(platform.turn().expect("goes on"), Notarised::Signed { size: 2, more: false });
    assert_eq!(platform.turn().expect("goes on"), Notarised::Nothing, "nothing has changed");
    platform.site.happen(platform.tenants[1], 1);
    drain(&mut platform.site.sequencer(), 100);
    assert_eq!(platform.turn().expect("goes on"), Notarised::Signed { size: 3, more: false });
    let (size, root) = *platform.signed().last().expect("signed");
    assert_eq!(size, 3);
    let kept = platform.store.kept();
    for anchor in &kept.anchors {
        let log = platform.site.log(anchor.log.tenant);
        let head = log.heads.iter().find(|head| head.size == anchor.size).expect("a head of that size");
        let text = Note::parse(head.note.as_bytes()).expect("a note").text().to_owned();
        assert_eq!(Checkpoint::parse(&text).map(|checkpoint| checkpoint.root()), Ok(head.root));
        let hash = leaf_hash(&anchor_leaf(&anchor.salt, &text));
        let wanted = tiles_for_inclusion(anchor.index, size).expect("inside");
        let tiles = TileSet::new(wanted.iter().map(|id| kept.tiles[&(id.level(), id.index())].clone()));
        let proof = tiles.inclusion_proof(anchor.index, size).expect("at hand");
        assert_eq!(verify_inclusion(hash, anchor.index, size, &proof, root), Ok(()));
    }
    assert_eq!(kept.anchors[0].log, LogId { tenant: platform.tenants[0], stream: Stream::Iam });
    let salts: std::collections::BTreeSet<_> = kept.anchors.iter().map(|anchor| anchor.salt).collect();
    assert_eq!(salts.len(), 3, "each leaf has a salt of its own");
}

#[test]
fn wherever_it_breaks_off_the_next_goes_on_and_nothing_forks() {
    for first in 1..80 {
        let platform = Platform::new();
        platform.grow();
        platform.turn().expect("goes on");
        let mut seen = platform.signed();
        platform.grow();
        platform.tripwire.set(first);
        let broke = platform.turn().is_err();
        seen.extend(platform.signed());
        // And once more, in the middle of going on.
        if broke {
            platform.tripwire.set(first % 7 + 1);
            let _ = platform.turn();
            seen.extend(platform.signed());
        }
        platform.tripwire.set(0);
        platform.grow();
        while platform.turn().expect("goes on") != Notarised::Nothing {
            seen.extend(platform.signed());
        }
        assert!(platform.is_one_tree(&seen), "{first}: {seen:?}");
        let anchors = platform.store.kept().anchors;
        let newest = platform.signed().last().map(|(size, _)| *size);
        assert_eq!(newest, u64::try_from(anchors.len()).ok(), "{first}: all of it is signed");
        for tenant in platform.tenants {
            let of = anchors.iter().filter(|anchor| anchor.log.tenant == tenant).map(|anchor| anchor.size);
            assert_eq!(of.max(), Some(platform.site.size(tenant)), "{first}: everything is in it");
        }
        if !broke {
            assert!(first > 10, "it was not broken off at {first}");
            return;
        }
    }
    panic!("a turn has no end");
}

#[test]
fn attack_7_a_log_that_was_put_back_is_not_signed_again() {
    let platform = Platform::new();
    platform.grow();
    platform.turn().expect("goes on");
    let yesterday = platform.store.kept();
    platform.grow();
    platform.turn().expect("goes on");
    let signed = platform.signed();
    platform.store.put_back(yesterday.clone());
    let smaller = Notarised::Refused(Rollback::Smaller { have: 2, signed: 4 });
    assert_eq!(platform.turn().expect("answers"), smaller);
    assert_eq!(platform.store.kept(), yesterday, "and it does not grow");
    // Grown on by other hands until it is as large, it has another root.
    platform.mark.put(None);
    assert_eq!(platform.turn().expect("answers"), Notarised::Refused(Rollback::Unmarked { signed: 2 }));
    platform.mark.put(Some(Mark { size: 2, root: yesterday.heads[0].root }));
    platform.grow();
    platform.turn().expect("goes on");
    let forked = platform.store.kept();
    platform.mark.put(Some(Mark { size: signed[1].0, root: signed[1].1 }));
    platform.grow();
    assert_eq!(platform.turn().expect("answers"), Notarised::Refused(Rollback::Different { size: 4 }));
    assert_eq!(platform.store.kept(), forked);
    // Everything gone is smaller too.
    platform.store.put_back(domain::compliance::testkit::PlatformLog::default());
    assert_eq!(
        platform.turn().expect("answers"),
        Notarised::Refused(Rollback::Smaller { have: 0, signed: 4 })
    );
}

/// A log of eight leaves that were signed, in a database that was put back to how it was when there were two.
fn put_back() -> (Platform, Vec<(u64, Hash)>) {
    let platform = Platform::new();
    platform.grow();
    platform.turn().expect("goes on");
    let yesterday = platform.store.kept();
    for _ in 0..3 {
        platform.grow();
        platform.turn().expect("goes on");
    }
    let seen = platform.signed();
    platform.store.put_back(yesterday);
    assert_eq!(
        platform.turn().expect("answers"),
        Notarised::Refused(Rollback::Smaller { have: 2, signed: 8 })
    );
    (platform, seen)
}

fn resumed(platform: &Platform, is_mark_lost: bool) -> Result<Resuming, NotResumed> {
    let notary = platform.notary();
    let plan = now(notary.plan_to_resume(is_mark_lost))?;
    now(notary.resume_platform_log(&plan)).map(|()| plan)
}

/// Which leaves were put back, if that is how the log went on.
fn filled(resumed: Result<Resuming, NotResumed>) -> Option<(u64, u64)> {
    match resumed.expect("goes on") {
        Resuming::Filling { first, growth, .. } => Some((first, growth.head.size)),
        Resuming::Unhindered => None,
        Resuming::Marking(mark) => Some((mark.size, mark.size)),
    }
}

#[test]
fn a_database_put_back_by_right_goes_on_as_the_log_that_was_signed() {
    let (platform, mut seen) = put_back();
    assert_eq!(filled(resumed(&platform, false)), Some((2, 8)));
    let lost: Vec<_> = platform.store.kept().lost.iter().map(|(index, _)| *index).collect();
    assert_eq!(lost, [2, 3, 4, 5, 6, 7]);
    assert_eq!(platform.turn().expect("goes on"), Notarised::Signed { size: 8, more: true }, "once more");
    assert_eq!(platform.turn().expect("goes on"), Notarised::Signed { size: 10, more: false });
    platform.grow();
    assert_eq!(platform.turn().expect("goes on"), Notarised::Signed { size: 12, more: false });
    seen.extend(platform.signed());
    assert!(platform.is_one_tree(&seen), "{seen:?}");
    assert_eq!(filled(resumed(&platform, false)), None);
    // Once more, to where the lost ones were there already: they are no others.
    let today = platform.store.kept();
    platform.grow();
    platform.turn().expect("goes on");
    platform.store.put_back(today);
    assert_eq!(filled(resumed(&platform, false)), Some((12, 14)));
    seen.extend(platform.signed());
    assert!(platform.is_one_tree(&seen), "{seen:?}");
}

#[test]
fn wherever_resuming_breaks_off_it_is_done_again_and_nothing_forks() {
    for step in 1..40 {
        let (platform, mut seen) = put_back();
        platform.tripwire.set(step);
        let broke = resumed(&platform, false).is_err();
        platform.tripwire.set(0);
        let again = filled(resumed(&platform, false));
        assert!([None, Some((2, 8))].contains(&again), "{step}: {again:?}");
        while platform.turn().expect("goes on") != Notarised::Nothing {}
        seen.extend(platform.signed());
        assert!(platform.is_one_tree(&seen) && platform.store.kept().lost.len() == 6, "{step}: {seen:?}");
        if !broke {
            assert!(step > 5, "it was not broken off at {step}");
            return;
        }
    }
    panic!("resuming has no end");
}

#[test]
fn what_is_not_the_beginning_of_what_was_signed_does_not_go_on() {
    let (platform, _) = put_back();
    let yesterday = platform.store.kept();
    let refused = |platform: &Platform, is_mark_lost: bool| {
        let before = (platform.store.kept(), platform.mark.get());
        let fault = resumed(platform, is_mark_lost).expect_err("refused");
        assert_eq!((platform.store.kept(), platform.mark.get()), before, "nothing is half done");
        fault
    };
    let fault = refused(&platform, true);
    assert!(matches!(fault, NotResumed::NotLost { size: 8 }), "{fault}");
    // Other hands were at it.
    let mut other = yesterday.clone();
    let tile = other.tiles.get_mut(&(0, 0)).expect("there");
    *tile = Tile::new(0, 0, tile.hashes().iter().rev().copied().collect()).expect("a tile");
    platform.store.put_back(other);
    let fault = refused(&platform, false);
    assert!(matches!(fault, NotResumed::Different { size: 8 }), "{fault}");
    platform.store.put_back(yesterday);
    platform.mark.forget_leaves(5);
    let fault = refused(&platform, false);
    assert!(matches!(fault, NotResumed::Incomplete { have: 2, kept: 5, signed: 8 }), "{fault}");
}

#[test]
fn with_the_mark_lost_the_leaves_beside_it_say_how_far_the_log_was_signed() {
    let (platform, mut seen) = put_back();
    let mark = platform.mark.get();
    platform.mark.put(None);
    let fault = resumed(&platform, false).expect_err("somebody has to say so");
    assert!(matches!(fault, NotResumed::Unmarked { signed: 2 }), "{fault}");
    assert_eq!(filled(resumed(&platform, true)), Some((2, 8)));
    assert_eq!(platform.mark.get(), mark, "it stands where it stood");
    while platform.turn().expect("goes on") != Notarised::Nothing {}
    seen.extend(platform.signed());
    assert!(platform.is_one_tree(&seen), "{seen:?}");
    // With nothing lost but the mark, it is where the newest head is.
    let mark = platform.mark.get();
    platform.mark.put(None);
    assert!(matches!(resumed(&platform, true), Ok(Resuming::Marking(_))));
    assert_eq!(platform.mark.get(), mark);
    // What is beside it, or the tiles, are not what was signed.
    platform.mark.put(None);
    platform.mark.forget_leaves(0);
    platform.mark.add_leaf(Hash([9; 32]));
    let fault = resumed(&platform, true).expect_err("other leaves");
    assert!(matches!(fault, NotResumed::Different { .. }), "{fault}");
    platform.mark.forget_leaves(0);
    let mut other = platform.store.kept();
    let tile = other.tiles.get_mut(&(0, 0)).expect("there");
    *tile = Tile::new(0, 0, tile.hashes().iter().rev().copied().collect()).expect("a tile");
    platform.store.put_back(other);
    let fault = resumed(&platform, true).expect_err("other tiles");
    assert!(matches!(fault, NotResumed::Different { .. }), "{fault}");
    assert_eq!(platform.mark.get(), None, "nothing is half done");
}

#[test]
fn leaves_of_a_log_that_was_there_before_are_kept_from_its_first() {
    let platform = Platform::new();
    platform.grow();
    platform.turn().expect("goes on");
    platform.mark.forget_leaves(0);
    platform.grow();
    platform.turn().expect("goes on");
    let yesterday = platform.store.kept();
    platform.grow();
    platform.turn().expect("goes on");
    let mut seen = platform.signed();
    platform.store.put_back(yesterday);
    assert_eq!(filled(resumed(&platform, false)), Some((4, 6)));
    while platform.turn().expect("goes on") != Notarised::Nothing {}
    seen.extend(platform.signed());
    assert!(platform.is_one_tree(&seen), "{seen:?}");
}

#[test]
fn a_signature_that_does_not_verify_is_not_published() {
    let platform = Platform::new();
    platform.grow();
    platform.signer.is_broken.store(true, Ordering::Relaxed);
    assert!(platform.turn().is_err());
    assert!(platform.signed().is_empty());
    platform.signer.is_broken.store(false, Ordering::Relaxed);
    assert_eq!(platform.turn().expect("goes on"), Notarised::Signed { size: 2, more: true });
}

#[test]
fn many_heads_are_taken_in_turns() {
    let platform = Platform::new();
    platform.grow();
    let notary = platform.notary();
    assert_eq!(now(notary.notarise(1)).expect("goes on"), Notarised::Signed { size: 1, more: true });
    assert_eq!(now(notary.notarise(1)).expect("goes on"), Notarised::Signed { size: 2, more: true });
    assert_eq!(now(notary.notarise(1)).expect("goes on"), Notarised::Nothing);
}
