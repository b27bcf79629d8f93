//! Passwords changed by who knows them.

use domain::{
    identity::{IdentityError, model::PASSWORD_MAX_BYTES},
    kernel::actor::{Permission, Role},
};

use crate::world::{OWNER, PASSWORD, World, id_of, is_refused, signed_in, system};

const NEW: &str = "quite another password";

#[test]
fn a_change_ends_all_other_sessions_and_no_others() {
    let (world, home) = World::with_home();
    let ada = world.join(&home, "ada@example.com", Role::Operator);
    let (phone, laptop) = (world.sign_in(home.scope, OWNER), world.sign_in(home.scope, OWNER));
    let here = world.authenticate(&laptop.access_token).expect("let in").actor;
    world.change_password(&here, PASSWORD, NEW).expect("changes");
    assert!(world.authenticate(&phone.access_token).is_none());
    assert!(world.refresh(&phone.refresh_token).is_none());
    assert!(world.authenticate(&laptop.access_token).is_some(), "where it was changed it goes on");
    assert!(world.refresh(&laptop.refresh_token).is_some());
    let others = world.rows(home.scope).sessions;
    let others = others.values().filter(|s| s.member == id_of(&ada));
    assert!(others.clone().count() > 0 && others.into_iter().all(|s| s.revoked_at.is_none()));
    assert!(is_refused(&world.try_sign_in(Some(home.scope), OWNER, PASSWORD, None)));
    assert!(signed_in(world.try_sign_in(Some(home.scope), OWNER, NEW, None)).is_some());
}

#[test]
fn a_wrong_or_poor_password_changes_nothing() {
    let (world, home) = World::with_home();
    let before = world.rows(home.scope);
    let wrong = world.change_password(&home.owner, "not the password", NEW);
    assert!(matches!(wrong, Err(IdentityError::PasswordWrong)));
    let long = "x".repeat(PASSWORD_MAX_BYTES + 1);
    for poor in ["", "fourteen chars", &long] {
        let poor = world.change_password(&home.owner, PASSWORD, poor);
        assert!(matches!(poor, Err(IdentityError::Invalid { field: "newPassword", .. })));
    }
    assert_eq!(world.rows(home.scope), before);
}

#[test]
fn only_members_have_passwords() {
    let (world, home) = World::with_home();
    let key = world.issue_key(&home.owner, &Permission::ALL, 30).expect("issues");
    let machine = world.authenticate(&key.key).expect("works").actor;
    for actor in [machine, system(home.scope)] {
        let refused = world.change_password(&actor, PASSWORD, NEW);
        assert!(matches!(refused, Err(IdentityError::NeedsMember)), "{actor:?}");
    }
}

#[test]
fn a_token_handed_out_before_a_change_does_not_undo_it() {
    let (world, home) = World::with_home();
    let token = world.request_reset(home.scope, OWNER).expect("is sent");
    world.change_password(&home.owner, PASSWORD, NEW).expect("changes");
    assert!(matches!(world.reset(&token, PASSWORD), Err(IdentityError::TokenInvalid)));
    assert!(signed_in(world.try_sign_in(Some(home.scope), OWNER, NEW, None)).is_some());
}

#[test]
fn two_changes_that_meet_are_one() {
    let (world, home) = World::with_home();
    let (again, owner) = (std::sync::Arc::clone(&world), home.owner.clone());
    world.hasher.meanwhile(move || again.change_password(&owner, PASSWORD, NEW).expect("changes"));
    let second = world.change_password(&home.owner, PASSWORD, "what nobody will ever use");
    assert!(matches!(second, Err(IdentityError::Port(_))));
    assert!(signed_in(world.try_sign_in(Some(home.scope), OWNER, NEW, None)).is_some());
}
