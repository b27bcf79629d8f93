//! Signing in: who asks learns nothing from a refusal, who audits learns why.

use chrono::TimeDelta;
use domain::{
    identity::{
        IdentityError, SignInOutcome,
        model::{MemberStatus, TenantStatus},
    },
    kernel::{
        actor::{Principal, Role},
        outbox::{Mfa, Origin, Outcome, Party},
        scope::TenantScope,
    },
};

use crate::world::{Home, OWNER, PASSWORD, World, id_of, is_refused, now, nowhere, signed_in};

const WRONG: &str = "not the right password";

/// What a refused sign-in leaves: the newest record's reason and whether it names a member.
fn refusal(world: &World, home: &Home, email: &str, password: &str) -> (Option<&'static str>, bool) {
    let (before, checked) = (world.rows(home.scope).records.len(), world.hasher.verified());
    assert!(is_refused(&world.try_sign_in(Some(home.scope), email, password, None)));
    let rows = world.rows(home.scope);
    assert_eq!(rows.records.len(), before + 1, "one record");
    assert_eq!(world.hasher.verified(), checked + 1, "as slow as any other");
    let record = world.last_record(home.scope);
    assert_eq!((record.action.name, record.outcome), ("sign_in", Outcome::Refused));
    assert_eq!(record.actor, None, "nobody is known yet");
    (record.reason, record.target.is_some())
}

#[test]
fn refusals_look_alike_and_are_told_apart_in_the_log() {
    let (world, home) = World::with_home();
    let ada = world.join(&home, "ada@example.com", Role::Operator);
    assert_eq!(refusal(&world, &home, "nobody@example.com", PASSWORD), (Some("member_unknown"), false));
    assert_eq!(refusal(&world, &home, "ada@example.com", WRONG), (Some("password_wrong"), true));
    world.suspend(&home.owner, id_of(&ada)).expect("suspends");
    assert_eq!(refusal(&world, &home, "ada@example.com", PASSWORD), (Some("member_suspended"), true));
    // Who does not know the password does not learn of the suspension, not even in the log.
    assert_eq!(refusal(&world, &home, "ada@example.com", WRONG), (Some("password_wrong"), true));
    world.units.change(home.scope, |rows| {
        rows.tenant.as_mut().expect("open").status = TenantStatus::Suspended;
    });
    assert_eq!(refusal(&world, &home, OWNER, PASSWORD), (Some("tenant_suspended"), true));
}

#[test]
fn what_is_no_tenant_or_address_takes_as_long_and_leaves_nothing() {
    let (world, home) = World::with_home();
    for (scope, email) in [(None, OWNER), (Some(home.scope), "no address"), (Some(home.scope), "")] {
        let (before, checked) = (world.rows(home.scope), world.hasher.verified());
        assert!(is_refused(&world.try_sign_in(scope, email, PASSWORD, None)), "{email}");
        assert_eq!(world.hasher.verified(), checked + 1, "{email}");
        assert_eq!(world.rows(home.scope), before, "{email}");
    }
    assert_eq!(now(world.identity.find_tenant("aurora")).expect("answers"), Some(home.scope));
    for slug in ["borealis", "Aurora", "", "x", "aurora "] {
        assert_eq!(now(world.identity.find_tenant(slug)).expect("answers"), None, "{slug:?}");
    }
}

#[test]
fn a_name_whose_tenant_never_opened_is_nobodys_and_has_no_log() {
    let (world, _) = World::with_home();
    let checked = world.hasher.verified();
    assert!(is_refused(&world.try_sign_in(Some(nowhere()), OWNER, PASSWORD, None)));
    assert_eq!(world.hasher.verified(), checked + 1);
    assert_eq!(world.rows(nowhere()).records, []);
    let known = |scope| now(world.identity.known_tenant(&world.origin(), scope)).expect("answers");
    assert_eq!(known(Some(nowhere())), None);
    assert_eq!(known(None), None);
}

#[test]
fn a_session_says_who_and_how() {
    let (world, home) = World::with_home();
    let pair = world.sign_in(home.scope, OWNER);
    let record = world.last_record(home.scope);
    let member = Party::new("member", id_of(&home.owner).uuid());
    assert_eq!((record.outcome, record.actor), (Outcome::Success, Some(member)));
    assert_eq!(record.session, Some(pair.session.uuid()));
    assert_eq!(record.mfa, Some(Mfa::NotEnrolled));
    assert_eq!(pair.access_expires_at, world.at() + TimeDelta::minutes(15));
    let known = world.authenticate(&pair.access_token).expect("let in");
    assert_eq!(known.actor.tenant, home.scope.tenant());
    let principal =
        Principal::Member { member: id_of(&home.owner), session: pair.session, role: Role::Owner };
    assert_eq!(known.actor.principal, principal);
    // The address is folded: one mailbox is one member.
    assert!(signed_in(world.try_sign_in(Some(home.scope), " OWNER@Example.com", PASSWORD, None)).is_some());
}

#[test]
fn one_tenants_member_is_nobody_in_another() {
    let (world, aurora) = World::with_home();
    let borealis = world.open("borealis");
    world.join(&aurora, "ada@example.com", Role::Admin);
    assert_eq!(refusal(&world, &borealis, "ada@example.com", PASSWORD), (Some("member_unknown"), false));
    // The same person's password in one says nothing about the other.
    world.change_password(&borealis.owner, PASSWORD, "quite another password").expect("changes");
    assert!(signed_in(world.try_sign_in(Some(aurora.scope), OWNER, PASSWORD, None)).is_some());
    assert!(is_refused(&world.try_sign_in(Some(borealis.scope), OWNER, PASSWORD, None)));
}

#[test]
fn a_new_device_is_told_once() {
    let (world, home) = World::with_home();
    let from = |device: &str| {
        let origin = Origin { device: Some(device.to_owned()), ..world.origin() };
        let outcome = world.sign_in_from(&origin, Some(home.scope), OWNER, PASSWORD, None);
        assert!(signed_in(outcome).is_some());
        world.last_record(home.scope).reason
    };
    assert_eq!(from("phone"), Some("new_device"));
    assert_eq!(from("phone"), None);
    assert_eq!(from("laptop"), Some("new_device"));
    assert_eq!(from("phone"), None);
}

#[test]
fn what_changes_while_the_password_is_checked_counts() {
    let (world, home) = World::with_home();
    let ada = world.join(&home, "ada@example.com", Role::Operator);
    let again = std::sync::Arc::clone(&world);
    let other = ada.clone();
    world.hasher.meanwhile(move || {
        again.change_password(&other, PASSWORD, "quite another password").expect("changes");
    });
    assert_eq!(refusal_while(&world, home.scope, "ada@example.com", PASSWORD), Some("password_wrong"));
    let (again, owner, id) = (std::sync::Arc::clone(&world), home.owner.clone(), id_of(&ada));
    world.hasher.meanwhile(move || again.suspend(&owner, id).expect("suspends"));
    let told = refusal_while(&world, home.scope, "ada@example.com", "quite another password");
    assert_eq!(told, Some("member_suspended"));
    assert_eq!(world.rows(home.scope).members[&id].status, MemberStatus::Suspended);
}

fn refusal_while(world: &World, scope: TenantScope, email: &str, password: &str) -> Option<&'static str> {
    assert!(is_refused(&world.try_sign_in(Some(scope), email, password, None)));
    world.last_told(scope, "sign_in").and_then(|(_, reason)| reason)
}

#[test]
fn a_session_that_could_not_be_signed_was_never_begun() {
    let (world, home) = World::with_home();
    let before = world.rows(home.scope);
    world.tokens.set_away(true);
    let input = domain::identity::SignIn {
        tenant: "aurora".to_owned(),
        email: OWNER.to_owned(),
        password: crate::world::secret(PASSWORD),
        second_factor: None,
    };
    let failed = now(world.identity.sign_in(Some(home.scope), &world.origin(), input));
    assert!(matches!(failed, Err(IdentityError::Port(_))));
    assert_eq!(world.rows(home.scope), before);
    world.tokens.set_away(false);
    assert!(matches!(world.try_sign_in(Some(home.scope), OWNER, PASSWORD, None), SignInOutcome::SignedIn(_)));
}

#[test]
fn a_slug_is_given_once() {
    let (world, home) = World::with_home();
    let again = now(world.identity.open_tenant(&world.origin(), World::draft("aurora")));
    assert!(matches!(again, Err(IdentityError::SlugTaken)));
    assert_eq!(now(world.identity.find_tenant("aurora")).expect("answers"), Some(home.scope));
    let bad = [
        ("slug", domain::identity::OpenTenant { slug: "A".to_owned(), ..World::draft("x") }),
        ("name", domain::identity::OpenTenant { name: " ".to_owned(), ..World::draft("corona") }),
        (
            "ownerEmail",
            domain::identity::OpenTenant { owner_email: "x".to_owned(), ..World::draft("corona") },
        ),
        (
            "ownerName",
            domain::identity::OpenTenant { owner_name: "\u{7}".to_owned(), ..World::draft("corona") },
        ),
    ];
    for (wanted, draft) in bad {
        let refused = now(world.identity.open_tenant(&world.origin(), draft)).expect_err("is refused");
        assert!(matches!(refused, IdentityError::Invalid { field, .. } if field == wanted), "{wanted}");
    }
    // None of them took the name.
    assert_eq!(now(world.identity.find_tenant("corona")).expect("answers"), None);
}
