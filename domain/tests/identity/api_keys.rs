//! Keys for machines: never more than their issuer may, now.

use chrono::TimeDelta;
use domain::{
    identity::{IdentityError, model::TenantStatus},
    kernel::{
        actor::{Actor, Permission, Principal, Role},
        ids::ApiKeyId,
        token::{Token, TokenKind},
    },
};
use proptest::{prelude::*, sample::subsequence};

use crate::world::{World, id_of, now, secret, system, text};

fn scopes(actor: &Actor) -> Vec<Permission> {
    match &actor.principal {
        Principal::ApiKey { scopes, .. } => scopes.clone(),
        Principal::Member { .. } | Principal::System => Vec::new(),
    }
}

fn revoke(world: &World, actor: &Actor, id: ApiKeyId) -> Result<(), IdentityError> {
    world.command(actor, async |tx| world.identity.revoke_api_key(tx, actor, id).await)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// Whatever is asked for, and whatever becomes of the issuer, a key allows nothing the issuer may not now.
    #[test]
    fn scopes_never_exceed_their_issuer(
        asked in subsequence(Permission::ALL.to_vec(), 0..=5),
        issuer in 0..Role::ALL.len(),
        later in 0..Role::ALL.len(),
    ) {
        let (world, home) = World::with_home();
        world.join(&home, "second@example.com", Role::Owner);
        let (role, later) = (Role::ALL[issuer], Role::ALL[later]);
        let actor = world.of_role(&home, role);
        let before = world.rows(home.scope);
        let held = |role: Role| asked.iter().all(|scope| role.permissions().contains(scope));
        match world.issue_key(&actor, &asked, 30) {
            Ok(issued) => {
                prop_assert!(actor.may(Permission::ManageApiKeys) && held(role) && !asked.is_empty());
                let known = world.authenticate(&issued.key).expect("works");
                prop_assert_eq!(scopes(&known.actor), asked.clone());
                let second = world.acting(home.scope, "second@example.com");
                world.change_role(&second, id_of(&actor), later).expect("changes");
                let now_held: Vec<_> =
                    asked.iter().copied().filter(|scope| later.permissions().contains(scope)).collect();
                let again = world.authenticate(&issued.key).expect("still a key");
                prop_assert_eq!(scopes(&again.actor), now_held.clone());
                let same = now(world.identity.look_again(&world.origin(), &known)).expect("answers");
                prop_assert_eq!(same, now_held == asked, "who was let in is somebody else now");
            }
            Err(IdentityError::Denied(denied)) => {
                prop_assert!(!actor.may(denied.0));
                prop_assert_eq!(world.rows(home.scope), before);
            }
            Err(IdentityError::Invalid { field, .. }) => {
                prop_assert_eq!(field, "scopes");
                prop_assert!(asked.is_empty());
                prop_assert_eq!(world.rows(home.scope), before);
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}

#[test]
fn is_over_exactly_when_it_is_said() {
    let (world, home) = World::with_home();
    let key = world.issue_key(&home.owner, &[Permission::ReadAudit], 1).expect("issues");
    world.wait(TimeDelta::days(1) - TimeDelta::microseconds(1));
    let known = world.authenticate(&key.key).expect("a moment before");
    assert_eq!(known.expires_at, world.at() + TimeDelta::microseconds(1));
    world.wait(TimeDelta::microseconds(1));
    assert!(world.authenticate(&key.key).is_none());
    assert!(!now(world.identity.look_again(&world.origin(), &known)).expect("answers"));
}

#[test]
fn is_no_good_once_taken_back() {
    let (world, home) = World::with_home();
    let (gone, stays) = (
        world.issue_key(&home.owner, &[Permission::ReadAudit], 30).expect("issues"),
        world.issue_key(&home.owner, &[Permission::ReadAudit], 30).expect("issues"),
    );
    let known = world.authenticate(&gone.key).expect("works");
    revoke(&world, &home.owner, gone.id).expect("takes back");
    assert!(world.authenticate(&gone.key).is_none());
    assert!(!now(world.identity.look_again(&world.origin(), &known)).expect("answers"));
    assert!(world.authenticate(&stays.key).is_some());
    let first = world.rows(home.scope).api_keys[&gone.id].revoked_at;
    world.wait(TimeDelta::hours(1));
    let owner = world.acting(home.scope, crate::world::OWNER);
    revoke(&world, &owner, gone.id).expect("may be said twice");
    assert_eq!(world.rows(home.scope).api_keys[&gone.id].revoked_at, first, "and counts from the first time");
    let borealis = world.open("borealis");
    assert!(matches!(revoke(&world, &borealis.owner, stays.id), Err(IdentityError::ApiKeyNotFound)));
    assert!(world.authenticate(&stays.key).is_some());
}

#[test]
fn rests_with_its_tenant() {
    let (world, home) = World::with_home();
    let key = world.issue_key(&home.owner, &[Permission::ReadAudit], 30).expect("issues");
    let set = |status| {
        world.units.change(home.scope, |rows| rows.tenant.as_mut().expect("open").status = status);
    };
    set(TenantStatus::Suspended);
    assert!(world.authenticate(&key.key).is_none());
    set(TenantStatus::Active);
    assert!(world.authenticate(&key.key).is_some());
}

#[test]
fn is_issued_by_members_only_and_within_bounds() {
    let (world, home) = World::with_home();
    let key = world.issue_key(&home.owner, &Permission::ALL, 365).expect("the longest");
    let machine = world.authenticate(&key.key).expect("works").actor;
    let before = world.rows(home.scope);
    for actor in [machine, system(home.scope)] {
        let refused = world.issue_key(&actor, &[Permission::ReadAudit], 30);
        assert!(matches!(refused, Err(IdentityError::NeedsMember)), "{actor:?}");
    }
    for days in [i64::MIN, -1, 0, 366, i64::MAX] {
        let refused = world.issue_key(&home.owner, &[Permission::ReadAudit], days);
        assert!(matches!(refused, Err(IdentityError::Invalid { field: "days", .. })), "{days}");
    }
    assert_eq!(world.rows(home.scope), before);
    let twice = world.issue_key(&home.owner, &[Permission::ReadAudit, Permission::ReadAudit], 1);
    let twice = world.authenticate(&twice.expect("issues").key).expect("works").actor;
    assert_eq!(scopes(&twice), [Permission::ReadAudit]);
}

#[test]
fn its_last_use_is_kept_to_the_minute_and_leaves_no_event() {
    let (world, home) = World::with_home();
    let key = world.issue_key(&home.owner, &[Permission::ReadAudit], 30).expect("issues");
    let records = world.rows(home.scope).records.len();
    let used = || {
        assert!(world.authenticate(&key.key).is_some());
        world.rows(home.scope).api_keys[&key.id].last_used_at.expect("used")
    };
    let first = used();
    assert_eq!(first, world.at());
    world.wait(TimeDelta::seconds(59));
    assert_eq!(used(), first);
    world.wait(TimeDelta::seconds(1));
    assert_eq!(used(), world.at());
    assert_eq!(world.rows(home.scope).records.len(), records);
}

#[test]
fn forged_keys_are_nothing() {
    let (world, home) = World::with_home();
    let borealis = world.open("borealis");
    let key = world.issue_key(&home.owner, &[Permission::ReadAudit], 30).expect("issues");
    let ids = domain::kernel::testkit::Counted::default();
    let forge = |tenant| Token::generate(tenant, key.id.uuid(), &ids).text(TokenKind::ApiKey);
    let before = (world.rows(home.scope), world.rows(borealis.scope));
    let other_kind = text(&key.key).replacen("mak_", "mrt_", 1);
    for forged in
        [forge(home.scope.tenant()), forge(borealis.scope.tenant()), secret(&other_kind), secret("")]
    {
        assert!(world.authenticate(&forged).is_none());
    }
    assert_eq!((world.rows(home.scope), world.rows(borealis.scope)), before);
}
