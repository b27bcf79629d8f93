//! Members: the last owner stays, suspension works at once.

use domain::{
    identity::{IdentityError, events::IdentityFact, model::MemberStatus},
    kernel::{
        actor::{Permission, Role},
        ids::MemberId,
    },
};

use crate::world::{OWNER, World, id_of, system};

#[test]
fn the_last_owner_stays_whoever_wants_it_otherwise() {
    let (world, home) = World::with_home();
    let id = id_of(&home.owner);
    let key = world.issue_key(&home.owner, &Permission::ALL, 30).expect("issues");
    let machine = world.authenticate(&key.key).expect("works").actor;
    let before = world.rows(home.scope);
    for actor in [home.owner.clone(), machine, system(home.scope)] {
        for role in Role::ALL.into_iter().filter(|role| *role != Role::Owner) {
            assert!(matches!(world.change_role(&actor, id, role), Err(IdentityError::LastOwner)), "{role:?}");
        }
        assert!(matches!(world.suspend(&actor, id), Err(IdentityError::LastOwner)));
    }
    assert_eq!(world.rows(home.scope), before);
    world.change_role(&home.owner, id, Role::Owner).expect("what is so may be said");
}

#[test]
fn a_suspended_owner_does_not_count() {
    let (world, home) = World::with_home();
    let second = world.join(&home, "second@example.com", Role::Owner);
    world.suspend(&home.owner, id_of(&second)).expect("one is left");
    assert!(matches!(world.suspend(&home.owner, id_of(&home.owner)), Err(IdentityError::LastOwner)));
    let down = world.change_role(&home.owner, id_of(&home.owner), Role::Admin);
    assert!(matches!(down, Err(IdentityError::LastOwner)));
    // The one who is suspended may lose the role: no active owner goes.
    world.change_role(&home.owner, id_of(&second), Role::Analyst).expect("changes");
    world.restore(&home.owner, id_of(&second)).expect("restores");
    assert!(matches!(world.suspend(&home.owner, id_of(&home.owner)), Err(IdentityError::LastOwner)));
}

#[test]
fn two_owners_who_step_down_at_once_leave_one() {
    let (world, home) = World::with_home();
    let second = world.join(&home, "second@example.com", Role::Owner);
    let met = world.command(&home.owner, async |tx| {
        world.change_role(&second, id_of(&second), Role::Admin)?;
        world.identity.change_member_role(tx, &home.owner, id_of(&home.owner), Role::Admin).await
    });
    assert!(matches!(met, Err(IdentityError::Port(_))), "who comes second is told");
    let rows = world.rows(home.scope);
    assert_eq!(rows.members[&id_of(&home.owner)].role, Role::Owner);
    assert_eq!(rows.members[&id_of(&second)].role, Role::Admin);
}

#[test]
fn suspension_ends_what_is_open_and_restoring_brings_none_of_it_back() {
    let (world, home) = World::with_home();
    let ada = world.join(&home, "ada@example.com", Role::Admin);
    let pairs = [world.sign_in(home.scope, "ada@example.com"), world.sign_in(home.scope, "ada@example.com")];
    let key = world.issue_key(&ada, &[Permission::ReadMembers], 30).expect("issues");
    let announced = world.rows(home.scope).announced.len();
    world.suspend(&home.owner, id_of(&ada)).expect("suspends");
    let rows = world.rows(home.scope);
    let facts: Vec<_> = rows.announced[announced..].iter().map(|event| event.fact).collect();
    assert_eq!(facts.iter().filter(|f| matches!(f, IdentityFact::SessionRevoked(_))).count(), 3);
    assert!(facts.contains(&IdentityFact::MemberSuspended(id_of(&ada))));
    for pair in &pairs {
        assert!(world.authenticate(&pair.access_token).is_none());
        assert!(world.refresh(&pair.refresh_token).is_none());
    }
    assert!(world.authenticate(&key.key).is_none(), "what they gave a machine rests with them");
    world.restore(&home.owner, id_of(&ada)).expect("restores");
    assert_eq!(world.rows(home.scope).members[&id_of(&ada)].status, MemberStatus::Active);
    for pair in &pairs {
        assert!(world.authenticate(&pair.access_token).is_none());
    }
    assert!(world.authenticate(&key.key).is_some());
    world.sign_in(home.scope, "ada@example.com");
}

#[test]
fn a_role_works_at_once_in_open_sessions() {
    let (world, home) = World::with_home();
    let ada = world.join(&home, "ada@example.com", Role::Admin);
    let pair = world.sign_in(home.scope, "ada@example.com");
    world.change_role(&home.owner, id_of(&ada), Role::Analyst).expect("changes");
    let actor = world.authenticate(&pair.access_token).expect("goes on").actor;
    assert!(!actor.may(Permission::ManageMembers));
    assert!(matches!(world.suspend(&actor, id_of(&ada)), Err(IdentityError::Denied(_))));
}

#[test]
fn members_of_another_tenant_are_nobody() {
    let (world, home) = World::with_home();
    let borealis = world.open("borealis");
    let stranger = id_of(&borealis.owner);
    let pair = world.sign_in(borealis.scope, OWNER);
    let before = (world.rows(home.scope), world.rows(borealis.scope));
    for id in [stranger, MemberId::from_uuid(uuid::Uuid::nil())] {
        assert!(matches!(world.suspend(&home.owner, id), Err(IdentityError::MemberNotFound)));
        assert!(matches!(world.restore(&home.owner, id), Err(IdentityError::MemberNotFound)));
        let changed = world.change_role(&home.owner, id, Role::Analyst);
        assert!(matches!(changed, Err(IdentityError::MemberNotFound)));
        assert!(matches!(world.start_reset(&home.owner, id), Err(IdentityError::MemberNotFound)));
    }
    let ended = world.revoke_session(&home.owner, pair.session);
    assert!(matches!(ended, Err(IdentityError::SessionNotFound)));
    assert_eq!((world.rows(home.scope), world.rows(borealis.scope)), before);
}

#[test]
fn a_session_is_ended_by_its_member_or_by_who_may_manage_it() {
    let (world, home) = World::with_home();
    let admin = world.of_role(&home, Role::Admin);
    let ada = world.join(&home, "ada@example.com", Role::Operator);
    let own = world.sign_in(home.scope, "ada@example.com");
    world.revoke_session(&ada, own.session).expect("one's own");
    assert!(world.authenticate(&own.access_token).is_none());
    let own = world.sign_in(home.scope, "ada@example.com");
    world.revoke_session(&admin, own.session).expect("an administrator");
    assert!(world.authenticate(&own.access_token).is_none());
    let owners = world.sign_in(home.scope, OWNER);
    for actor in [&admin, &ada] {
        let refused = world.revoke_session(actor, owners.session);
        assert!(matches!(refused, Err(IdentityError::Denied(_))));
    }
    assert!(world.authenticate(&owners.access_token).is_some());
    let sign_out = world.command(&ada, async |tx| world.identity.sign_out(tx, &ada).await);
    sign_out.expect("signs out");
    let here = ada.session().expect("signed in");
    assert_eq!(world.rows(home.scope).sessions[&here].revoked_at, Some(world.at()));
    let rest = world.sign_in(home.scope, "ada@example.com");
    let everywhere = world.command(&ada, async |tx| world.identity.sign_out_everywhere(tx, &ada).await);
    everywhere.expect("signs out");
    assert!(world.authenticate(&rest.access_token).is_none());
    assert!(world.authenticate(&owners.access_token).is_some(), "nobody else's");
}
