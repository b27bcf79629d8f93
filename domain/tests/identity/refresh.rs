//! Sessions carried on: a refresh token works once, and its second use ends the session for everybody.

use std::sync::Arc;

use chrono::TimeDelta;
use domain::{
    identity::{
        IdentityError, SignedIn,
        events::IdentityFact,
        model::{MemberStatus, TenantStatus},
        ports::{AccessClaims, AccessTokens as _},
    },
    kernel::{
        actor::{Permission, Role},
        ids::SessionId,
        outbox::Outcome,
        scope::TenantScope,
        secret::Secret,
        token::{Token, TokenKind},
    },
};

use crate::world::{OWNER, World, id_of, now, secret, text};

#[test]
fn each_token_gives_the_next() {
    let (world, home) = World::with_home();
    let mut pair = world.sign_in(home.scope, OWNER);
    for _ in 0..5 {
        world.wait(TimeDelta::days(1));
        assert!(world.authenticate(&pair.access_token).is_none(), "an access token is good for minutes");
        let next = world.refresh(&pair.refresh_token).expect("carries on");
        assert_eq!(next.session, pair.session);
        assert!(world.authenticate(&next.access_token).is_some());
        assert_eq!(world.last_told(home.scope, "refresh_session"), Some((Outcome::Success, None)));
        pair = next;
    }
}

#[test]
fn the_second_use_of_any_token_ends_the_session_for_everybody() {
    for stolen in 0..3 {
        let (world, home) = World::with_home();
        let other = world.sign_in(home.scope, OWNER);
        let mut pairs = vec![world.sign_in(home.scope, OWNER)];
        for turn in 0..3 {
            let next = world.refresh(&pairs[turn].refresh_token).expect("carries on");
            pairs.push(next);
        }
        assert!(world.refresh(&pairs[stolen].refresh_token).is_none());
        let told = world.last_told(home.scope, "refresh_session");
        assert_eq!(told, Some((Outcome::Refused, Some("refresh_token_reused"))), "token {stolen}");
        let fact = world.rows(home.scope).announced.last().map(|event| event.fact);
        assert_eq!(fact, Some(IdentityFact::SessionRevoked(pairs[0].session)));
        assert!(world.authenticate(&pairs[3].access_token).is_none(), "also with what was good until then");
        assert!(world.refresh(&pairs[3].refresh_token).is_none());
        assert_eq!(
            world.last_told(home.scope, "refresh_session"),
            Some((Outcome::Refused, Some("session_over")))
        );
        assert!(world.refresh(&other.refresh_token).is_some(), "another sign-in is another family");
        // Told once: the third use of it ends nothing that has not ended.
        let announced = world.rows(home.scope).announced.len();
        assert!(world.refresh(&pairs[stolen].refresh_token).is_none());
        assert_eq!(world.rows(home.scope).announced.len(), announced);
    }
}

#[test]
fn a_session_ends_idle_or_old_exactly_when_it_is_said() {
    let (world, home) = World::with_home();
    let idle = world.sign_in(home.scope, OWNER);
    let used = world.sign_in(home.scope, OWNER);
    world.wait(TimeDelta::days(14) - TimeDelta::microseconds(1));
    let mut used = world.refresh(&used.refresh_token).expect("a moment before");
    world.wait(TimeDelta::microseconds(1));
    assert!(world.refresh(&idle.refresh_token).is_none(), "exactly then");
    assert_eq!(
        world.last_told(home.scope, "refresh_session"),
        Some((Outcome::Refused, Some("session_over")))
    );
    // However often it is used, at 90 days it is over: 14 have passed, six turns of 12 make 86.
    for _ in 0..6 {
        world.wait(TimeDelta::days(12));
        used = world.refresh(&used.refresh_token).expect("in use");
    }
    world.wait(TimeDelta::days(4) - TimeDelta::microseconds(1));
    let last = world.refresh(&used.refresh_token).expect("a moment before");
    assert!(world.authenticate(&last.access_token).is_some());
    world.wait(TimeDelta::microseconds(1));
    assert!(world.authenticate(&last.access_token).is_none(), "the access token does not outlive it");
    assert!(world.refresh(&last.refresh_token).is_none());
}

#[test]
fn suspension_is_told_by_its_reason() {
    let (world, home) = World::with_home();
    let ada = world.join(&home, "ada@example.com", Role::Operator);
    let pair = world.sign_in(home.scope, "ada@example.com");
    world.units.change(home.scope, |rows| {
        rows.tenant.as_mut().expect("open").status = TenantStatus::Suspended;
    });
    assert!(world.refresh(&pair.refresh_token).is_none());
    assert_eq!(
        world.last_told(home.scope, "refresh_session"),
        Some((Outcome::Refused, Some("tenant_suspended")))
    );
    assert!(world.authenticate(&pair.access_token).is_none());
    world.units.change(home.scope, |rows| {
        rows.tenant.as_mut().expect("open").status = TenantStatus::Active;
    });
    // The refusal did not use the token up.
    let pair = world.refresh(&pair.refresh_token).expect("carries on");
    // A suspension counts before it has ended the session.
    let set = |status| {
        world.units.change(home.scope, |rows| {
            rows.members.get_mut(&id_of(&ada)).expect("there").status = status;
        });
    };
    set(MemberStatus::Suspended);
    assert!(world.refresh(&pair.refresh_token).is_none());
    assert_eq!(
        world.last_told(home.scope, "refresh_session"),
        Some((Outcome::Refused, Some("member_suspended")))
    );
    assert!(world.authenticate(&pair.access_token).is_none());
    set(MemberStatus::Active);
    world.suspend(&home.owner, id_of(&ada)).expect("suspends");
    assert!(world.refresh(&pair.refresh_token).is_none());
    assert!(world.authenticate(&pair.access_token).is_none());
    world.restore(&home.owner, id_of(&ada)).expect("restores");
    assert!(world.refresh(&pair.refresh_token).is_none(), "a session that was ended stays so");
    assert!(world.authenticate(&pair.access_token).is_none());
}

#[test]
fn a_fault_while_signing_costs_nobody_their_session() {
    let (world, home) = World::with_home();
    let pair = world.sign_in(home.scope, OWNER);
    let before = world.rows(home.scope);
    world.tokens.set_away(true);
    let failed = now(world.identity.refresh_session(&world.origin(), &pair.refresh_token));
    assert!(matches!(failed, Err(IdentityError::Port(_))));
    assert_eq!(world.rows(home.scope), before);
    world.tokens.set_away(false);
    assert!(world.refresh(&pair.refresh_token).is_some());
}

#[test]
fn forged_tokens_are_nothing_and_leave_nothing() {
    let (world, home) = World::with_home();
    let borealis = world.open("borealis");
    let pair = world.sign_in(home.scope, OWNER);
    let real = Token::parse(TokenKind::Refresh, text(&pair.refresh_token)).expect("a token");
    let ids = domain::kernel::testkit::Counted::default();
    let forged = |tenant, id| Token::generate(tenant, id, &ids).text(TokenKind::Refresh);
    let before = (world.rows(home.scope), world.rows(borealis.scope));
    let other_kind = text(&pair.refresh_token).replacen("mrt_", "mak_", 1);
    for token in [
        forged(home.scope.tenant(), real.id),
        forged(home.scope.tenant(), uuid::Uuid::nil()),
        forged(borealis.scope.tenant(), real.id),
        secret(&other_kind),
        secret(""),
        secret("mrt_"),
        Secret::new(vec![0xff; 90]),
    ] {
        assert!(world.refresh(&token).is_none(), "{:?}", token.expose_str());
        assert!(world.authenticate(&token).is_none(), "{:?}", token.expose_str());
    }
    assert_eq!((world.rows(home.scope), world.rows(borealis.scope)), before);
    assert!(world.refresh(&pair.refresh_token).is_some(), "the real one is as good as before");
}

#[test]
fn who_was_let_in_is_looked_at_again() {
    let (world, home) = World::with_home();
    let ada = world.join(&home, "ada@example.com", Role::Operator);
    let pair = world.sign_in(home.scope, "ada@example.com");
    let known = world.authenticate(&pair.access_token).expect("let in");
    let look = |known: &SignedIn| now(world.identity.look_again(&world.origin(), known)).expect("answers");
    assert!(look(&known));
    world.change_role(&home.owner, id_of(&ada), Role::Analyst).expect("changes");
    assert!(!look(&known), "another role is another actor");
    let known = world.authenticate(&pair.access_token).expect("let in");
    assert!(look(&known));
    world.wait(TimeDelta::minutes(15) - TimeDelta::microseconds(1));
    assert!(look(&known));
    world.wait(TimeDelta::microseconds(1));
    assert!(!look(&known), "the credential is over");
    let pair = world.refresh(&pair.refresh_token).expect("carries on");
    let known = world.authenticate(&pair.access_token).expect("let in");
    world.revoke_session(&known.actor.clone(), pair.session).expect("ends");
    assert!(!look(&known));
}

#[test]
fn many_are_looked_at_again_at_once_and_each_has_an_answer_of_their_own() {
    let (world, home) = World::with_home();
    let other = world.open("borealis");
    let ada = world.join(&home, "ada@example.com", Role::Operator);
    let (first, second) =
        (world.sign_in(home.scope, "ada@example.com"), world.sign_in(home.scope, "ada@example.com"));
    let key = |days| world.issue_key(&home.owner, &[Permission::ReadAudit], days).expect("issues");
    let (short, long) = (key(1), key(30));
    let let_in = |credential: &Secret| world.authenticate(credential).expect("let in");
    let all = [
        let_in(&first.access_token),
        let_in(&second.access_token),
        let_in(&short.key),
        let_in(&long.key),
        let_in(&long.key),
        let_in(&first.access_token),
    ];
    let look =
        || now(world.identity.look_all_again(&world.origin(), home.scope.tenant(), &all)).expect("answers");
    assert_eq!(look(), [true; 6]);
    assert_eq!(
        now(world.identity.look_all_again(&world.origin(), home.scope.tenant(), &[])).ok(),
        Some(vec![])
    );
    world.revoke_session(&all[1].actor.clone(), second.session).expect("ends");
    assert_eq!(look(), [true, false, true, true, true, true]);
    let elsewhere =
        now(world.identity.look_all_again(&world.origin(), other.scope.tenant(), &all)).expect("answers");
    assert_eq!(elsewhere, [false; 6], "another tenant's callers are none of its own");
    world.change_role(&home.owner, id_of(&ada), Role::Analyst).expect("changes");
    assert_eq!(look(), [false, false, true, true, true, false]);
    world.wait(TimeDelta::days(1));
    assert_eq!(look(), [false, false, false, true, true, false]);
}

#[test]
fn an_access_token_is_good_for_the_session_it_names_and_no_other() {
    let (world, home) = World::with_home();
    let borealis = world.open("borealis");
    let ada = world.join(&home, "ada@example.com", Role::Operator);
    let session = home.owner.session().expect("signed in");
    let issue = |tenant: TenantScope, member, session| {
        let (issued_at, expires_at) = (world.at(), world.at() + TimeDelta::minutes(15));
        let claims = AccessClaims { tenant: tenant.tenant(), member, session, issued_at, expires_at };
        world.authenticate(&secret(&now(world.tokens.issue(&claims)).expect("signs")))
    };
    let owner = id_of(&home.owner);
    assert!(issue(home.scope, owner, session).is_some());
    assert!(issue(home.scope, id_of(&ada), session).is_none(), "another member's");
    assert!(issue(borealis.scope, owner, session).is_none(), "another tenant's");
    assert!(issue(home.scope, owner, SessionId::from_uuid(uuid::Uuid::nil())).is_none());
    assert!(world.authenticate(&secret("access-999")).is_none());
    assert!(world.authenticate(&secret("access--1")).is_none());
}

#[test]
fn a_session_ended_while_it_is_carried_on_is_over() {
    // Two who meet: the one that commits second is told so, and nothing of it is kept.
    let (world, home) = World::with_home();
    let pair = world.sign_in(home.scope, OWNER);
    let again = Arc::clone(&world);
    let owner = home.owner.clone();
    let sessions = |world: &World| world.rows(home.scope).sessions[&pair.session].revoked_at;
    let met = world.command(&home.owner, async |tx| {
        again.revoke_session(&owner, pair.session)?;
        world.identity.sign_out_everywhere(tx, &owner).await
    });
    assert!(
        matches!(met, Err(IdentityError::Port(fault)) if fault.retry == domain::kernel::fault::Retry::AfterReread)
    );
    assert!(sessions(&world).is_some());
    assert!(world.refresh(&pair.refresh_token).is_none());
}
