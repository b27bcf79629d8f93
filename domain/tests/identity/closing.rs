//! Tenants are closed, and taken back.

use chrono::TimeDelta;
use domain::{
    identity::{IdentityError, model::TenantStatus},
    kernel::{actor::Role, outbox::Outcome, scope::TenantScope},
};

use super::world::{Home, OWNER, PASSWORD, World, now, signed_in};

fn close(world: &World, home: &Home, days: u16) -> Result<TimeDelta, IdentityError> {
    let closing = now(world.identity.close_tenant(&world.origin(), home.scope, days))?;
    assert_eq!((closing.before, closing.begun_at, closing.ended_at), (TenantStatus::Active, None, None));
    Ok(closing.ends_at - closing.closed_at)
}

fn reopen(world: &World, scope: TenantScope) -> Result<(), IdentityError> {
    now(world.identity.reopen_tenant(&world.origin(), scope))
}

fn status(world: &World, slug: &str) -> Option<TenantStatus> {
    let standing = now(world.identity.tenant_standing(&world.origin(), slug)).expect("answers");
    standing.and_then(|(_, standing)| standing.status)
}

#[test]
fn nobody_is_let_into_a_tenant_that_is_closed_until_it_is_taken_back() {
    let world = World::new();
    let home = world.open("aurora");
    let other = world.open("borealis");
    assert_eq!(close(&world, &home, 30).expect("closes"), TimeDelta::days(30));
    assert_eq!(status(&world, "aurora"), Some(TenantStatus::Closed));
    assert!(signed_in(world.try_sign_in(Some(home.scope), OWNER, PASSWORD, None)).is_none());
    assert!(signed_in(world.try_sign_in(Some(other.scope), OWNER, PASSWORD, None)).is_some(), "others go on");
    reopen(&world, home.scope).expect("is taken back");
    assert_eq!(status(&world, "aurora"), Some(TenantStatus::Active));
    assert!(signed_in(world.try_sign_in(Some(home.scope), OWNER, PASSWORD, None)).is_some());
}

#[test]
fn what_can_not_be_closed_or_taken_back_says_why() {
    let world = World::new();
    let home = world.open("aurora");
    for days in [0, 366] {
        let refused = close(&world, &home, days).expect_err("is refused").to_string();
        assert_eq!(refused, "days must be 1 to 365");
    }
    let refused = reopen(&world, home.scope).expect_err("is refused").to_string();
    assert_eq!(refused, "slug is of a tenant that is not closed");
    close(&world, &home, 1).expect("closes");
    let before = world.rows(home.scope);
    let refused = close(&world, &home, 30).expect_err("is refused").to_string();
    assert_eq!(refused, "slug is of a tenant that is closed already");
    assert_eq!(world.rows(home.scope), before, "nothing is done");
    assert_eq!(status(&world, "nobodys"), None);
    assert_eq!(status(&world, "No Slug"), None);
}

#[test]
fn doors_that_need_no_session_are_shut_while_a_tenant_is_closed() {
    let (world, home) = World::with_home();
    let invited = world.invite(&home.owner, "new@example.com", Role::Analyst).expect("invites");
    let reset = world.request_reset(home.scope, OWNER).expect("a letter");
    close(&world, &home, 30).expect("closes");
    assert!(matches!(world.accept(&invited.token), Err(IdentityError::TokenInvalid)));
    assert!(matches!(world.reset(&reset, "another long password"), Err(IdentityError::TokenInvalid)));
    assert!(world.request_reset(home.scope, OWNER).is_none(), "no letter leaves");
    let told = world.last_told(home.scope, "request_password_reset");
    assert_eq!(told, Some((Outcome::Refused, Some("tenant_suspended"))));
    reopen(&world, home.scope).expect("is taken back");
    world.reset(&reset, "another long password").expect("resets");
    world.accept(&invited.token).expect("joins");
}
