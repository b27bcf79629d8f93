//! Events get their indexes; who can't get theirs keeps nobody else waiting.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use domain::{
    compliance::{
        Sequenced, Sequencer,
        event::AuditEvent,
        log::note::{Note, VerifierKey},
        ports::{LogId, SequencerStore as _, SignedHead, Unsequenced},
    },
    kernel::{
        clock::Clock as _,
        ids::{EventId, TenantId},
        outbox::Stream,
        scope::TenantScope,
    },
};
use proptest::{collection::vec, prelude::*};

use crate::site::{Site, drain, now, turn};

const DONE: Sequenced = Sequenced { count: 0, more: false };

#[test]
fn one_with_broken_keys_rests_and_the_other_goes_on() {
    let site = Site::new();
    let (broken, sound) = site.two();
    site.happen(broken, 2);
    site.happen(sound, 3);
    site.keys.take_away(broken);
    let mut sequencer = site.sequencer();
    let told = |sequencer: &mut Sequencer| {
        sequencer.unfit().into_iter().map(|(tenant, _)| tenant).collect::<Vec<_>>()
    };
    assert_eq!(turn(&mut sequencer, 100).expect("goes on"), Sequenced { count: 3, more: false });
    assert_eq!((site.size(broken), site.size(sound)), (0, 3), "in the same turn");
    assert_eq!((site.waiting(broken), site.waiting(sound)), (2, 0), "its events wait");
    assert_eq!(told(&mut sequencer), [broken]);
    // It rests for ten seconds exactly, then is tried again, fails and rests for twenty.
    site.clock.advance(TimeDelta::seconds(10) - TimeDelta::microseconds(1));
    site.happen(sound, 1);
    assert_eq!(turn(&mut sequencer, 100).expect("goes on").count, 1);
    assert_eq!(told(&mut sequencer), [], "it was left alone");
    site.clock.advance(TimeDelta::microseconds(1));
    assert!(turn(&mut sequencer, 100).is_err(), "there was nothing else to do");
    site.keys.give_back(broken);
    site.clock.advance(TimeDelta::seconds(20) - TimeDelta::microseconds(1));
    assert_eq!(turn(&mut sequencer, 100).expect("goes on"), DONE);
    site.clock.advance(TimeDelta::microseconds(1));
    assert_eq!(turn(&mut sequencer, 100).expect("goes on"), Sequenced { count: 2, more: false });
    assert_eq!((site.size(broken), site.waiting(broken)), (2, 0));
    // Well again, it begins with ten.
    site.happen(broken, 1);
    site.keys.take_away(broken);
    site.clock.advance(TimeDelta::seconds(900));
    assert!(turn(&mut sequencer, 100).is_err());
    site.keys.give_back(broken);
    site.clock.advance(TimeDelta::seconds(10));
    assert_eq!(turn(&mut sequencer, 100).expect("goes on").count, 1);
}

/// Breaks the newest waiting event of `tenant`.
fn forge(site: &Site, tenant: TenantId, what: &str) -> Unsequenced {
    site.happen(tenant, 1);
    let event = site.last_waiting();
    let mut told = AuditEvent::from_leaf(&event.leaf).expect("a leaf");
    let leaf = |told: &AuditEvent| told.to_leaf().expect("a leaf");
    match what {
        "another id" => told.event_id = EventId::new(&*site.ids),
        "another tenant" => told.tenant_id = TenantId::new(&*site.ids),
        "another stream" => told.stream = Stream::Admin,
        "no JSON" => return Unsequenced { leaf: vec![0xff, 0], ..event },
        "no leaf" => return Unsequenced { leaf: b"{}".to_vec(), ..event },
        "not canonical" => return Unsequenced { leaf: [b" ".to_vec(), leaf(&told)].concat(), ..event },
        "nothing" => return Unsequenced { leaf: Vec::new(), ..event },
        _ => {}
    }
    Unsequenced { leaf: leaf(&told), ..event }
}

#[test]
fn a_leaf_that_tells_of_another_event_than_its_row_is_refused() {
    let forgeries =
        ["another id", "another tenant", "another stream", "no JSON", "no leaf", "not canonical", "nothing"];
    for what in forgeries {
        let site = Site::new();
        let (forged, sound) = site.two();
        let mut sequencer = site.sequencer();
        site.happen(forged, 1);
        site.happen(sound, 1);
        assert_eq!(drain(&mut sequencer, 10), 2);
        let event = forge(&site, forged, what);
        site.logs.add(event);
        site.happen(sound, 1);
        assert_eq!(turn(&mut sequencer, 10).expect("goes on").count, 1, "{what}: the other goes on");
        assert_eq!(sequencer.unfit().len(), 1, "{what}");
        assert_eq!((site.size(forged), site.waiting(forged)), (1, 1), "{what}: it stays and shows");
    }
    let site = Site::new();
    let (tenant, _) = site.two();
    site.logs.add(forge(&site, tenant, "as it was"));
    assert_eq!(drain(&mut site.sequencer(), 10), 1, "what was not touched is taken");
}

#[test]
fn an_event_is_in_its_log_once() {
    let site = Site::new();
    let (tenant, _) = site.two();
    let mut sequencer = site.sequencer();
    site.happen(tenant, 1);
    let event = site.last_waiting();
    site.logs.add(event.clone());
    assert_eq!(drain(&mut sequencer, 10), 1);
    let grown = site.log(tenant);
    // Written twice, it is taken away and not given.
    site.logs.add(event.clone());
    assert_eq!(turn(&mut sequencer, 10).expect("goes on").count, 0);
    assert_eq!((site.log(tenant), site.waiting(tenant)), (grown.clone(), 0));
    // With another leaf under the same id it is a forgery: not taken, not lost, in nobody's way.
    let mut told = AuditEvent::from_leaf(&event.leaf).expect("a leaf");
    told.reason = Some("forged".to_owned());
    site.logs.add(Unsequenced { leaf: told.to_leaf().expect("a leaf"), ..event });
    site.happen(tenant, 2);
    assert_eq!(drain(&mut sequencer, 10), 2);
    assert_eq!((site.size(tenant), site.waiting(tenant)), (3, 1));
    assert_eq!(site.log(tenant).leaves[0], grown.leaves[0]);
}

#[test]
fn a_flood_delays_nobody_else() {
    let site = Site::new();
    let (loud, quiet) = site.two();
    site.happen(loud, 50);
    site.happen(quiet, 2);
    let mut sequencer = site.sequencer();
    let first = turn(&mut sequencer, 10).expect("goes on");
    assert_eq!(first, Sequenced { count: 7, more: true }, "five of ten each");
    assert_eq!((site.size(loud), site.size(quiet)), (5, 2));
    assert_eq!(drain(&mut sequencer, 10), 45);
    assert_eq!(turn(&mut sequencer, 10).expect("goes on"), DONE);
}

#[test]
fn one_sequences_at_a_time() {
    let site = Site::new();
    let (tenant, _) = site.two();
    site.happen(tenant, 1);
    let open = now(site.logs.begin()).expect("answers").expect("nobody else is at it");
    let mut sequencer = site.sequencer();
    assert_eq!(turn(&mut sequencer, 10).expect("not its turn"), DONE);
    drop(open);
    assert_eq!(turn(&mut sequencer, 10).expect("goes on").count, 1);
}

#[test]
fn a_log_that_does_not_fit_together_does_not_grow() {
    let site = Site::new();
    let (torn, sound) = site.two();
    let mut sequencer = site.sequencer();
    site.happen(torn, 3);
    assert_eq!(drain(&mut sequencer, 10), 3);
    let log = LogId { tenant: torn, stream: Stream::Iam };
    site.logs.change(|logs| logs.logs.get_mut(&log).expect("begun").tiles.clear());
    site.happen(torn, 1);
    site.happen(sound, 1);
    assert_eq!(drain(&mut sequencer, 10), 1);
    assert_eq!((site.size(torn), site.size(sound)), (3, 1));
}

#[test]
fn a_seed_is_kept_for_a_quarter_of_an_hour() {
    let site = Site::new();
    let (tenant, _) = site.two();
    let mut sequencer = site.sequencer();
    let mut grow = || {
        site.happen(tenant, 1);
        turn(&mut sequencer, 10).is_ok()
    };
    assert!(grow());
    site.keys.take_away(tenant);
    site.clock.advance(TimeDelta::seconds(900) - TimeDelta::microseconds(1));
    assert!(grow(), "remembered");
    site.clock.advance(TimeDelta::microseconds(1));
    assert!(!grow(), "forgotten");
    // A clock that was set back does not make it last longer.
    let site = Site::new();
    let (tenant, _) = site.two();
    let mut sequencer = site.sequencer();
    site.happen(tenant, 1);
    assert_eq!(drain(&mut sequencer, 10), 1);
    site.keys.take_away(tenant);
    site.clock.advance(TimeDelta::seconds(-1));
    site.happen(tenant, 1);
    assert!(turn(&mut sequencer, 10).is_err());
}

#[test]
fn a_newer_key_signs_a_quarter_of_an_hour_later_at_the_latest_and_the_older_one_still_verifies() {
    let site = Site::new();
    let (tenant, other) = site.two();
    let mut sequencer = site.sequencer();
    let keys = |tenant| {
        let keys = now(site.compliance.log_keys(TenantScope::of(tenant))).expect("there");
        let keys: Vec<_> = keys.iter().map(|key| VerifierKey::parse(key).expect("a key")).collect();
        let streams: BTreeSet<_> = keys.iter().map(|key| key.name().to_owned()).collect();
        assert_eq!(streams.len(), 4, "of each log");
        keys.into_iter().filter(|key| key.name().ends_with("/iam")).collect::<Vec<_>>()
    };
    let mut grown = |tenant| {
        site.happen(tenant, 1);
        assert_eq!(drain(&mut sequencer, 10), 1);
    };
    // Which of the keys, newest first, has signed each head.
    let signers = |tenant| -> Vec<Option<usize>> {
        let keys = keys(tenant);
        let by = |head: SignedHead| {
            let note = Note::parse(head.note.as_bytes()).expect("a note");
            keys.iter().position(|key| note.verify(std::slice::from_ref(key)).is_ok())
        };
        site.log(tenant).heads.into_iter().map(by).collect()
    };
    [tenant, other].into_iter().for_each(&mut grown);
    now(site.compliance.rotate_log_key(TenantScope::of(tenant))).expect("rotates");
    grown(tenant);
    assert_eq!(signers(tenant), [Some(1), Some(1)], "one that is in memory goes on for a while");
    site.clock.advance(TimeDelta::seconds(900));
    [tenant, other].into_iter().for_each(&mut grown);
    assert_eq!(signers(tenant), [Some(1), Some(1), Some(0)]);
    assert_eq!(signers(other), [Some(0), Some(0)], "who was not asked for has the one it had");
    assert!(site.log(tenant).heads.iter().all(|head| site.is_signed(tenant, head)));
}

#[test]
fn a_log_grows_past_a_full_tile() {
    let site = Site::new();
    let (tenant, _) = site.two();
    let mut sequencer = site.sequencer();
    for (times, size) in [(200, 200), (56, 256), (1, 257), (300, 557)] {
        site.happen(tenant, times);
        assert_eq!(drain(&mut sequencer, 1000), times);
        assert_eq!(site.size(tenant), size);
    }
    let log = site.log(tenant);
    for head in &log.heads {
        assert!(site.is_signed(tenant, head));
        assert!(site.consistency(tenant, head.size).expect("whole").is_some(), "{}", head.size);
    }
    for index in [0, 199, 255, 256, 511, 512, 556] {
        assert!(site.inclusion(tenant, log.leaves[index].0).expect("whole").is_some(), "{index}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(16) })]

    /// However events come and however many are taken at a time: heads only grow, each is signed, each is a beginning
    /// of the newest, and every event is proven to be in it.
    #[test]
    fn heads_grow_and_every_one_holds(
        turns in vec((0..20_usize, 0..20_usize, 1..30_u32), 1..6),
    ) {
        let site = Site::new();
        let (left, right) = site.two();
        let mut sequencer = site.sequencer();
        let mut sizes = (0, 0);
        for (lefts, rights, most) in turns {
            site.happen(left, lefts);
            site.happen(right, rights);
            turn(&mut sequencer, most).expect("goes on");
            let grown = (site.size(left), site.size(right));
            prop_assert!(grown.0 >= sizes.0 && grown.1 >= sizes.1);
            sizes = grown;
        }
        drain(&mut sequencer, 100);
        prop_assert!(site.logs.kept().waiting.is_empty());
        for tenant in [left, right] {
            let log = site.log(tenant);
            prop_assert!(log.heads.windows(2).all(|pair| pair[0].size < pair[1].size));
            prop_assert_eq!(log.heads.last().map_or(0, |head| head.size), u64::try_from(log.leaves.len())?);
            prop_assert!(log.leaves.windows(2).all(|pair| pair[0].0 < pair[1].0), "in the order of making");
            for head in &log.heads {
                prop_assert!(site.is_signed(tenant, head));
                prop_assert!(site.consistency(tenant, head.size)?.is_some());
            }
            for (event, ..) in &log.leaves {
                prop_assert!(site.inclusion(tenant, *event)?.is_some());
            }
        }
    }
}

#[test]
fn attack_14_heads_are_not_older_than_what_they_go_on_from_nor_than_what_is_in_them() {
    let site = Site::new();
    let (tenant, _) = site.two();
    let mut sequencer = site.sequencer();
    let begun = site.clock.now();
    let signed = |sequencer: &mut Sequencer| {
        assert_eq!(turn(sequencer, 100).expect("goes on").count, 1);
        site.log(tenant).heads.last().expect("a head").signed_at
    };
    site.happen(tenant, 1);
    site.clock.advance(TimeDelta::seconds(2));
    assert_eq!(signed(&mut sequencer), begun + TimeDelta::seconds(2));
    // Back by an hour.
    site.clock.advance(TimeDelta::hours(-1));
    site.happen(tenant, 1);
    assert_eq!(
        signed(&mut sequencer),
        begun + TimeDelta::seconds(2),
        "no head is before the one it goes on from"
    );
    // What happened by another clock, which is ahead.
    site.clock.advance(TimeDelta::hours(3));
    let ahead = site.clock.now();
    site.happen(tenant, 1);
    site.clock.advance(TimeDelta::hours(-1));
    assert_eq!(signed(&mut sequencer), ahead);
}
