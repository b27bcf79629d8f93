//! What the memory adapters promise, which all else here leans on.

use domain::{
    identity::{
        actions,
        events::{IdentityEvent, IdentityFact},
        model::Slug,
        ports::IdentityUnits as _,
        testkit::stores_keep_their_promises,
    },
    kernel::{
        actor::Role,
        fault::Retry,
        outbox::{Party, Record},
        page::{Direction, Key, PageRequest},
        testkit::Counted,
    },
};

use crate::world::{World, id_of, now};

#[test]
fn what_is_dropped_is_gone_and_what_is_committed_stays() {
    let (world, home) = World::with_home();
    let before = world.rows(home.scope);
    let origin = world.origin();
    let write = async || {
        let mut unit = world.units.begin(home.scope, &origin).await.expect("begins");
        let mut member = unit.member(id_of(&home.owner)).await.expect("reads").expect("there");
        member.name = "Changed".to_owned();
        unit.update_member(&member).await.expect("writes");
        unit.record(Record::success(actions::SIGN_OUT, Party::ANONYMOUS)).await.expect("records");
        unit.announce(IdentityEvent { fact: IdentityFact::MemberJoined(member.id), at: world.at() });
        unit
    };
    drop(now(write()));
    assert_eq!(world.rows(home.scope), before);
    now(async { write().await.commit().await }).expect("commits");
    let after = world.rows(home.scope);
    assert_eq!(after.members[&id_of(&home.owner)].name, "Changed");
    assert_eq!(after.records.last().map(|recorded| &recorded.origin), Some(&origin));
    assert_eq!(
        (after.records.len(), after.announced.len()),
        (before.records.len() + 1, before.announced.len() + 1)
    );
}

#[test]
fn a_unit_sees_its_own_tenant_and_its_own_beginning() {
    let (world, home) = World::with_home();
    let borealis = world.open("borealis");
    let mut unit = now(world.units.begin(borealis.scope, &world.origin())).expect("begins");
    assert_eq!(now(unit.member(id_of(&home.owner))).expect("reads"), None);
    assert_eq!(now(unit.tenant()).expect("reads").map(|t| t.id), Some(borealis.scope.tenant()));
    world.sign_in(borealis.scope, crate::world::OWNER);
    let late = now(unit.commit()).expect_err("somebody else was first");
    assert_eq!(late.retry, Retry::AfterReread);
    let mut unit = now(world.units.begin(home.scope, &world.origin())).expect("begins");
    let mut member = now(unit.member(id_of(&home.owner))).expect("reads").expect("there");
    now(unit.update_member(&member)).expect("writes");
    let stale = now(unit.update_member(&member)).expect_err("read before it was written");
    assert_eq!(stale.retry, Retry::AfterReread);
    member.version += 1;
    now(unit.update_member(&member)).expect("read again");
}

#[test]
fn pages_meet_without_gap_or_overlap() {
    let (world, home) = World::with_home();
    for n in 0..6 {
        // Two and two share an instant: the id settles it.
        if n % 2 == 0 {
            world.wait(chrono::TimeDelta::seconds(1));
        }
        world.join(&home, &format!("m{n}@example.com"), Role::Analyst);
    }
    let mut all: Vec<_> = world.rows(home.scope).members.into_values().collect();
    all.sort_by_key(|member| (member.created_at, member.id));
    for direction in [Direction::Forward, Direction::Backward] {
        for limit in 1..=8 {
            let (mut read, mut from) = (Vec::new(), None);
            loop {
                let request = PageRequest { limit, from, direction };
                let page = world
                    .command(&home.owner, async |tx| world.identity.members(tx, &home.owner, request).await);
                let page = page.expect("may");
                assert!(page.items.len() <= usize::from(limit));
                let edge = match direction {
                    Direction::Forward => page.items.last(),
                    Direction::Backward => page.items.first(),
                };
                from = edge.map(|member| Key { at: member.created_at, id: member.id.uuid() });
                match direction {
                    Direction::Forward => read.extend(page.items),
                    Direction::Backward => read.splice(0..0, page.items).for_each(drop),
                }
                if !page.more {
                    break;
                }
            }
            assert_eq!(read, all, "{direction:?} by {limit}");
        }
    }
}

#[test]
fn memory_keeps_the_contract_of_stores() {
    let (world, _) = World::with_home();
    let (ids, slug) = (Counted::default(), Slug::parse("trial").expect("a slug"));
    now(stores_keep_their_promises(&world.units, &ids, slug, world.at())).expect("answers");
}
