//! One-time tokens to set a new password.

use std::sync::Arc;

use chrono::TimeDelta;
use domain::{
    identity::IdentityError,
    kernel::{
        actor::Role,
        outbox::Outcome,
        secret::Secret,
        token::{Token, TokenKind},
    },
};

use crate::world::{Home, OWNER, PASSWORD, World, id_of, is_refused, nowhere, secret, signed_in, text};

const NEW: &str = "quite another password";
const ADA: &str = "ada@example.com";

fn is_invalid(done: &Result<(), IdentityError>) -> bool {
    matches!(done, Err(IdentityError::TokenInvalid))
}

fn told(world: &World, home: &Home, action: &str) -> (Outcome, Option<&'static str>) {
    world.last_told(home.scope, action).expect("of that action")
}

#[test]
fn works_once_and_ends_every_session() {
    let (world, home) = World::with_home();
    let pair = world.sign_in(home.scope, OWNER);
    let token = world.request_reset(home.scope, OWNER).expect("is sent");
    let letter = world.courier.sent().pop().expect("sent");
    assert_eq!((letter.scope, letter.to.expose()), (home.scope, OWNER));
    world.reset(&token, NEW).expect("resets");
    assert!(world.authenticate(&pair.access_token).is_none());
    assert!(world.refresh(&pair.refresh_token).is_none());
    assert!(is_refused(&world.try_sign_in(Some(home.scope), OWNER, PASSWORD, None)));
    assert!(signed_in(world.try_sign_in(Some(home.scope), OWNER, NEW, None)).is_some());
    let before = world.rows(home.scope).records.len();
    assert!(is_invalid(&world.reset(&token, PASSWORD)));
    assert_eq!(told(&world, &home, "reset_password"), (Outcome::Refused, Some("token_invalid")));
    assert_eq!(world.rows(home.scope).records.len(), before + 1);
    assert!(signed_in(world.try_sign_in(Some(home.scope), OWNER, NEW, None)).is_some());
}

#[test]
fn is_over_exactly_when_it_is_said() {
    for (late, good) in [(TimeDelta::microseconds(-1), true), (TimeDelta::zero(), false)] {
        let (world, home) = World::with_home();
        let token = world.request_reset(home.scope, OWNER).expect("is sent");
        world.wait(TimeDelta::minutes(30) + late);
        assert_eq!(world.reset(&token, NEW).is_ok(), good, "{late}");
    }
}

#[test]
fn a_poor_password_does_not_use_it_up() {
    let (world, home) = World::with_home();
    let token = world.request_reset(home.scope, OWNER).expect("is sent");
    let before = world.rows(home.scope);
    let poor = world.reset(&token, "short");
    assert!(matches!(poor, Err(IdentityError::Invalid { field: "password", .. })));
    assert_eq!(world.rows(home.scope), before);
    world.reset(&token, NEW).expect("resets");
}

#[test]
fn using_one_uses_up_the_others() {
    let (world, home) = World::with_home();
    let first = world.request_reset(home.scope, OWNER).expect("is sent");
    let second = world.request_reset(home.scope, OWNER).expect("is sent");
    // Asking again takes nothing from who holds one.
    world.reset(&first, NEW).expect("resets");
    assert!(is_invalid(&world.reset(&second, PASSWORD)));
}

#[test]
fn five_are_open_by_mail_and_no_more() {
    let (world, home) = World::with_home();
    world.join(&home, ADA, Role::Operator);
    for _ in 0..4 {
        assert!(world.request_reset(home.scope, OWNER).is_some());
    }
    world.wait(TimeDelta::minutes(10));
    assert!(world.request_reset(home.scope, OWNER).is_some(), "the fifth");
    for _ in 0..2 {
        assert!(world.request_reset(home.scope, OWNER).is_none());
        let expected = (Outcome::Refused, Some("too_many_open"));
        assert_eq!(told(&world, &home, "request_password_reset"), expected);
    }
    assert!(world.request_reset(home.scope, ADA).is_some(), "another's mailbox is not full");
    // Four are over exactly 30 minutes after they were made.
    world.wait(TimeDelta::minutes(20) - TimeDelta::microseconds(1));
    assert!(world.request_reset(home.scope, OWNER).is_none());
    world.wait(TimeDelta::microseconds(1));
    for _ in 0..4 {
        assert!(world.request_reset(home.scope, OWNER).is_some());
    }
    assert!(world.request_reset(home.scope, OWNER).is_none());
}

#[test]
fn who_asks_learns_nothing() {
    let (world, home) = World::with_home();
    let ada = world.join(&home, ADA, Role::Operator);
    assert!(world.request_reset(home.scope, "nobody@example.com").is_none());
    let unknown = (Outcome::Refused, Some("member_unknown"));
    assert_eq!(told(&world, &home, "request_password_reset"), unknown);
    world.suspend(&home.owner, id_of(&ada)).expect("suspends");
    assert!(world.request_reset(home.scope, ADA).is_none());
    assert_eq!(told(&world, &home, "request_password_reset"), unknown);
    let before = world.rows(home.scope);
    assert!(world.request_reset(home.scope, "no address").is_none());
    assert_eq!(world.rows(home.scope), before);
}

#[test]
fn a_tenant_that_never_opened_has_no_log() {
    let (world, _) = World::with_home();
    assert!(world.request_reset(nowhere(), OWNER).is_none());
    assert_eq!(world.rows(nowhere()).records, []);
}

#[test]
fn one_by_an_administrator_makes_the_older_useless() {
    let (world, home) = World::with_home();
    let ada = world.join(&home, ADA, Role::Operator);
    let mailed = world.request_reset(home.scope, ADA).expect("is sent");
    let first = world.start_reset(&home.owner, id_of(&ada)).expect("starts");
    let second = world.start_reset(&home.owner, id_of(&ada)).expect("starts");
    for useless in [&mailed, &first] {
        assert!(is_invalid(&world.reset(useless, NEW)));
        assert_eq!(told(&world, &home, "reset_password"), (Outcome::Refused, Some("token_invalid")));
    }
    world.reset(&second, NEW).expect("resets");
    assert_eq!(world.courier.sent().len(), 1, "shown to who asked, and not mailed");
}

#[test]
fn a_token_does_not_outlive_what_its_holder_was_trusted_with() {
    // An administrator may reset an operator, never an owner: not by waiting until the one is the other.
    let (world, home) = World::with_home();
    let admin = world.of_role(&home, Role::Admin);
    let ada = world.join(&home, ADA, Role::Operator);
    let token = world.start_reset(&admin, id_of(&ada)).expect("starts");
    world.change_role(&home.owner, id_of(&ada), Role::Owner).expect("changes");
    assert!(is_invalid(&world.reset(&token, NEW)));
    assert!(matches!(world.start_reset(&admin, id_of(&ada)), Err(IdentityError::Denied(_))));
}

#[test]
fn a_token_does_not_outlive_a_suspension() {
    let (world, home) = World::with_home();
    let ada = world.join(&home, ADA, Role::Operator);
    let token = world.request_reset(home.scope, ADA).expect("is sent");
    world.suspend(&home.owner, id_of(&ada)).expect("suspends");
    assert!(is_invalid(&world.reset(&token, NEW)));
    assert_eq!(told(&world, &home, "reset_password"), (Outcome::Refused, Some("token_invalid")));
    world.restore(&home.owner, id_of(&ada)).expect("restores");
    assert!(is_invalid(&world.reset(&token, NEW)));
}

#[test]
fn one_that_is_used_or_taken_while_the_password_is_hashed_is_no_good() {
    let (world, home) = World::with_home();
    let token = world.request_reset(home.scope, OWNER).expect("is sent");
    let (again, same) = (Arc::clone(&world), token.clone());
    world.hasher.meanwhile(move || again.reset(&same, NEW).expect("resets"));
    assert!(is_invalid(&world.reset(&token, "what nobody will ever use")));
    assert!(signed_in(world.try_sign_in(Some(home.scope), OWNER, NEW, None)).is_some());
}

#[test]
fn forged_tokens_are_refused_and_told() {
    let (world, home) = World::with_home();
    let borealis = world.open("borealis");
    let token = world.request_reset(home.scope, OWNER).expect("is sent");
    let real = Token::parse(TokenKind::PasswordReset, text(&token)).expect("a token");
    let ids = domain::kernel::testkit::Counted::default();
    let forge = |tenant, id| Token::generate(tenant, id, &ids).text(TokenKind::PasswordReset);
    for (scope, id) in [(home.scope, real.id), (home.scope, uuid::Uuid::nil()), (borealis.scope, real.id)] {
        let before = world.rows(scope).records.len();
        assert!(is_invalid(&world.reset(&forge(scope.tenant(), id), NEW)));
        let told = world.last_told(scope, "reset_password");
        assert_eq!(told, Some((Outcome::Refused, Some("token_invalid"))));
        assert_eq!(world.rows(scope).records.len(), before + 1);
    }
    // A tenant somebody made up has no log, and what is no token at all names none.
    let before = world.rows(home.scope);
    assert!(is_invalid(&world.reset(&forge(nowhere().tenant(), real.id), NEW)));
    assert_eq!(world.rows(nowhere()).records, []);
    for token in [secret(""), secret("mpr_"), secret("x"), Secret::new(vec![0xff; 8])] {
        assert!(is_invalid(&world.reset(&token, NEW)));
    }
    assert_eq!(world.rows(home.scope), before);
    world.reset(&token, NEW).expect("the real one is as good as before");
}
