//! A log is derived anew; whatever was changed in what is kept of it is found, and where.

use std::sync::Arc;

use domain::{
    compliance::{
        LogVerifier,
        finding::{LogReport, Place},
        log::{
            merkle::{Hash, leaf_hash},
            tile::Tile,
        },
        ports::{LogId, WhichLog},
        testkit::{Log, MemoryReader, STRANGER},
    },
    kernel::{ids::TenantId, outbox::Stream},
};
use proptest::{prelude::*, sample::Index};

use crate::site::{HOST, Site, drain, now};

fn verify(site: &Site, tenant: TenantId) -> LogReport {
    let reader = MemoryReader::new(site.logs.clone(), Arc::clone(&site.keys));
    let verifier = LogVerifier::new(Arc::new(reader), HOST.to_owned());
    now(verifier.verify_log(WhichLog::Tenant(LogId { tenant, stream: Stream::Iam }))).expect("answers")
}

/// A log that grew in turns of so many leaves.
fn grown(turns: &[usize]) -> (Site, TenantId) {
    let site = Site::new();
    let (tenant, other) = site.two();
    let mut sequencer = site.sequencer();
    for count in turns {
        site.happen(tenant, *count);
        site.happen(other, 1);
        drain(&mut sequencer, 2_000);
    }
    (site, tenant)
}

fn change(site: &Site, tenant: TenantId, change: impl FnOnce(&mut Log)) {
    let log = LogId { tenant, stream: Stream::Iam };
    site.logs.change(|logs| change(logs.logs.get_mut(&log).expect("begun")));
}

fn places(report: &LogReport) -> Vec<(Place, &'static str)> {
    report.findings.iter().map(|finding| (finding.place, finding.field)).collect()
}

#[test]
fn a_log_that_nobody_touched_is_whole() {
    for turns in [vec![1], vec![255, 1, 1], vec![256], vec![300, 800, 500], vec![1_024, 1_024, 7]] {
        let (site, tenant) = grown(&turns);
        let report = verify(&site, tenant);
        assert!(report.is_whole(), "{turns:?}: {:?}", report.findings);
        let log = site.log(tenant);
        let counted = [log.leaves.len(), log.tiles.len(), log.heads.len()];
        let counted = counted.map(|count| u64::try_from(count).expect("few"));
        assert_eq!([report.leaves, report.tiles, report.heads], counted, "{turns:?}: all is looked at");
    }
    let (site, _) = grown(&[1]);
    assert!(
        verify(&site, TenantId::from_uuid(STRANGER.uuid())).findings.iter().all(|f| f.place == Place::Log)
    );
}

/// What is changed, how, and what is found.
type Changed = (&'static str, Box<dyn FnOnce(&mut Log)>, Vec<(Place, &'static str)>);

#[test]
fn one_change_is_one_finding_where_it_was_made() {
    let (site, tenant) = grown(&[300, 800, 500]);
    let whole = site.log(tenant);
    let leaf = |index: u64| Place::Leaf(index);
    let changes: Vec<Changed> = vec![
        (
            "a leaf",
            Box::new(|log| log.leaves[700].1[10] ^= 1),
            vec![(leaf(700), "leaf"), (leaf(700), "leaf")],
        ),
        ("the hash in a row", Box::new(|log| log.leaves[700].2.0[3] ^= 1), vec![(leaf(700), "leaf_hash")]),
        ("the id in a row", Box::new(|log| log.leaves[700].0 = STRANGER), vec![(leaf(700), "event_id")]),
        (
            "a root",
            Box::new(|log| log.heads[1].root = Hash([7; 32])),
            vec![(Place::Head(1_100), "root"), (Place::Head(1_100), "note")],
        ),
        (
            "a note, by another head's",
            Box::new(|log| log.heads[1].note = log.heads[2].note.clone()),
            vec![(Place::Head(1_100), "note")],
        ),
        ("the newest head is gone", Box::new(|log| drop(log.heads.pop())), Vec::new()),
        (
            "the newest leaves are gone",
            Box::new(|log| log.leaves.truncate(1_597)),
            vec![(leaf(1_597), "row"), (leaf(1_598), "row"), (leaf(1_599), "row")],
        ),
    ];
    for (what, made, found) in changes {
        change(&site, tenant, made);
        let report = verify(&site, tenant);
        assert!(!report.is_whole(), "{what}");
        if !found.is_empty() {
            assert_eq!(places(&report), found, "{what}: {:?}", report.findings);
        }
        change(&site, tenant, |log| *log = whole.clone());
    }
    // Of a head that is gone it is the leaves past the one before that show it, and the tiles that reach past it.
    change(&site, tenant, |log| drop(log.heads.pop()));
    let report = verify(&site, tenant);
    assert_eq!(report.findings[0].place, Place::Head(1_100), "{:?}", report.findings);
}

#[test]
fn a_tile_that_is_wrong_or_gone_is_named() {
    let (site, tenant) = grown(&[300, 800, 500]);
    let whole = site.log(tenant);
    for place in whole.tiles.keys().copied() {
        let named = |report: &LogReport| {
            report.findings.iter().any(|found| match found.place {
                Place::Tile(id) => (id.level(), id.index()) == place,
                Place::Log | Place::Leaf(_) | Place::Head(_) | Place::Table(_) => false,
            })
        };
        change(&site, tenant, |log| drop(log.tiles.remove(&place)));
        assert!(named(&verify(&site, tenant)), "{place:?} is gone");
        change(&site, tenant, |log| {
            let mut hashes = whole.tiles[&place].hashes().to_vec();
            hashes[0].0[31] ^= 1;
            log.tiles.insert(place, Tile::new(place.0, place.1, hashes).expect("as wide as before"));
        });
        let report = verify(&site, tenant);
        assert!(named(&report) && report.findings.len() == 1, "{place:?} is wrong: {:?}", report.findings);
        change(&site, tenant, |log| *log = whole.clone());
    }
    assert!(verify(&site, tenant).is_whole());
}

#[test]
fn leaf_row_and_tile_changed_together_are_found_by_the_signed_roots() {
    let (site, tenant) = grown(&[300, 100, 100]);
    change(&site, tenant, |log| {
        // Two events in each other's place, and everything that is not signed made to fit.
        log.leaves.swap(310, 320);
        let mut hashes = log.tiles[&(0, 1)].hashes().to_vec();
        hashes.swap(310 - 256, 320 - 256);
        log.tiles.insert((0, 1), Tile::new(0, 1, hashes).expect("as wide as before"));
    });
    let report = verify(&site, tenant);
    assert_eq!(places(&report), [(Place::Head(400), "root")], "{:?}", report.findings);
    assert!(report.findings[0].problem.contains("before head 300"), "{:?}", report.findings);
    assert_eq!(report.more, 1, "the last head is wrong too");
}

#[test]
fn a_log_without_its_tree_is_told_of_and_not_searched_for_ever() {
    let (site, tenant) = grown(&[10]);
    change(&site, tenant, |log| {
        log.leaves.clear();
        log.tiles.clear();
        log.heads[0].size = 1 << 62;
    });
    let report = verify(&site, tenant);
    assert_eq!(places(&report), [(Place::Leaf(0), "row"), (Place::Leaf(0), "row")], "{:?}", report.findings);
}

#[test]
fn a_head_by_another_key_is_no_head() {
    let (site, tenant) = grown(&[5]);
    let (other, _) = site.two();
    site.happen(other, 5);
    drain(&mut site.sequencer(), 100);
    let foreign = site.log(other).heads[0].note.clone();
    change(&site, tenant, |log| log.heads[0].note = foreign);
    assert_eq!(places(&verify(&site, tenant)), [(Place::Head(5), "note")]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    /// Whichever bit of a leaf, a hash, a root or a signature is another: it is found.
    #[test]
    fn any_bit_is_missed(at in any::<Index>(), byte in any::<Index>(), bit in 0..8_u8, what in 0..4_u8) {
        let (site, tenant) = grown(&[3, 260, 40]);
        let flip = |bytes: &mut [u8]| bytes[byte.index(bytes.len())] ^= 1 << bit;
        change(&site, tenant, |log| match what {
            0 => flip(&mut log.leaves[at.index(303)].1),
            1 => flip(&mut log.leaves[at.index(303)].2.0),
            2 => flip(&mut log.heads[at.index(3)].root.0),
            _ => {
                let place = *log.tiles.keys().nth(at.index(log.tiles.len())).expect("one");
                let mut hashes = log.tiles[&place].hashes().to_vec();
                let one = byte.index(hashes.len());
                flip(&mut hashes[one].0);
                log.tiles.insert(place, Tile::new(place.0, place.1, hashes).expect("as wide"));
            }
        });
        prop_assert!(!verify(&site, tenant).is_whole());
        // And a leaf's hash made to fit it does not help.
        if what == 0 {
            change(&site, tenant, |log| log.leaves.iter_mut().for_each(|leaf| leaf.2 = leaf_hash(&leaf.1)));
            prop_assert!(!verify(&site, tenant).is_whole());
        }
    }
}
