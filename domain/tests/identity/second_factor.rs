//! The second factor: asked for once confirmed, each code good for one use.

use chrono::TimeDelta;
use domain::{
    identity::{IdentityError, SecondFactor, SignInOutcome, testkit::SteppedCodes},
    kernel::{
        actor::{Actor, Role},
        outbox::{Mfa, Outcome},
        secret::Secret,
    },
};

use crate::world::{Home, PASSWORD, World, id_of, is_refused, secret, signed_in, text};

const EMAIL: &str = "ada@example.com";

fn code(world: &World, actor: &Actor, away: TimeDelta) -> Secret {
    let rows = world.rows(actor.scope());
    let totp = rows.members[&id_of(actor)].totp.as_ref().expect("begun");
    SteppedCodes::code_at(&totp.seed, world.at() + away)
}

fn enrol(world: &World, actor: &Actor) -> Result<(), IdentityError> {
    world.command(actor, async |tx| world.identity.enrol_totp(tx, actor).await).map(drop)
}

fn confirm(world: &World, actor: &Actor, code: &Secret) -> Result<Vec<Secret>, IdentityError> {
    world.command(actor, async |tx| world.identity.confirm_totp(tx, actor, code).await)
}

fn disable(world: &World, actor: &Actor, code: &Secret) -> Result<(), IdentityError> {
    world.command(actor, async |tx| world.identity.disable_totp(tx, actor, code).await)
}

/// A member with a second factor, its recovery codes, and a clock two steps after the code that confirmed it.
fn with_factor(world: &World, home: &Home) -> (Actor, Vec<Secret>) {
    let ada = world.join(home, EMAIL, Role::Operator);
    enrol(world, &ada).expect("begins");
    let codes = confirm(world, &ada, &code(world, &ada, TimeDelta::zero())).expect("confirms");
    world.wait(TimeDelta::seconds(60));
    (ada, codes)
}

fn try_code(world: &World, home: &Home, code: &Secret) -> SignInOutcome {
    world.try_sign_in(Some(home.scope), EMAIL, PASSWORD, Some(SecondFactor::Totp(code.clone())))
}

fn try_recovery(world: &World, home: &Home, code: &str) -> SignInOutcome {
    world.try_sign_in(Some(home.scope), EMAIL, PASSWORD, Some(SecondFactor::RecoveryCode(secret(code))))
}

fn told(world: &World, home: &Home) -> (Outcome, Option<&'static str>) {
    world.last_told(home.scope, "sign_in").expect("of a sign-in")
}

#[test]
fn is_not_asked_for_until_confirmed() {
    let (world, home) = World::with_home();
    let ada = world.join(&home, EMAIL, Role::Operator);
    assert!(matches!(confirm(&world, &ada, &secret("000000")), Err(IdentityError::TotpAbsent)));
    assert!(matches!(disable(&world, &ada, &secret("000000")), Err(IdentityError::TotpAbsent)));
    enrol(&world, &ada).expect("begins");
    assert!(signed_in(world.try_sign_in(Some(home.scope), EMAIL, PASSWORD, None)).is_some());
    let wrong = code(&world, &ada, TimeDelta::seconds(300));
    assert!(matches!(confirm(&world, &ada, &wrong), Err(IdentityError::CodeWrong)));
    // Begun again, the first seed is gone.
    let first = code(&world, &ada, TimeDelta::zero());
    enrol(&world, &ada).expect("begins again");
    assert!(matches!(confirm(&world, &ada, &first), Err(IdentityError::CodeWrong)));
    let codes = confirm(&world, &ada, &code(&world, &ada, TimeDelta::zero())).expect("confirms");
    let mut texts: Vec<_> = codes.iter().map(text).collect();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), 10, "ten recovery codes, all different");
    assert!(matches!(enrol(&world, &ada), Err(IdentityError::TotpActive)));
    assert!(matches!(
        world.try_sign_in(Some(home.scope), EMAIL, PASSWORD, None),
        SignInOutcome::SecondFactorNeeded
    ));
    assert_eq!(told(&world, &home), (Outcome::Refused, Some("second_factor_missing")));
}

#[test]
fn is_asked_for_only_behind_the_right_password() {
    let (world, home) = World::with_home();
    let (ada, _) = with_factor(&world, &home);
    let right = code(&world, &ada, TimeDelta::zero());
    let factor = Some(SecondFactor::Totp(right.clone()));
    assert!(is_refused(&world.try_sign_in(Some(home.scope), EMAIL, "not the password", None)));
    assert!(is_refused(&world.try_sign_in(Some(home.scope), EMAIL, "not the password", factor)));
    assert_eq!(told(&world, &home), (Outcome::Refused, Some("password_wrong")));
    // And the code was not used up by it.
    assert!(signed_in(try_code(&world, &home, &right)).is_some());
}

#[test]
fn a_code_works_once() {
    let (world, home) = World::with_home();
    let (ada, _) = with_factor(&world, &home);
    let right = code(&world, &ada, TimeDelta::zero());
    let before = code(&world, &ada, TimeDelta::seconds(-30));
    let pair = signed_in(try_code(&world, &home, &right)).expect("signs in");
    assert_eq!(world.last_record(home.scope).mfa, Some(Mfa::Passed));
    assert_eq!(world.authenticate(&pair.access_token).expect("let in").mfa, Some(Mfa::Passed));
    for used in [&right, &before] {
        assert!(is_refused(&try_code(&world, &home, used)));
        assert_eq!(told(&world, &home), (Outcome::Refused, Some("second_factor_wrong")));
    }
    // The next one is another step: one step early is good, and then used as well.
    let next = code(&world, &ada, TimeDelta::seconds(30));
    assert!(signed_in(try_code(&world, &home, &next)).is_some());
    assert!(is_refused(&try_code(&world, &home, &next)));
    world.wait(TimeDelta::seconds(30));
    assert!(is_refused(&try_code(&world, &home, &next)));
}

#[test]
fn the_code_that_confirmed_does_not_sign_in() {
    let (world, home) = World::with_home();
    let ada = world.join(&home, EMAIL, Role::Operator);
    enrol(&world, &ada).expect("begins");
    let first = code(&world, &ada, TimeDelta::zero());
    confirm(&world, &ada, &first).expect("confirms");
    assert!(is_refused(&try_code(&world, &home, &first)));
}

#[test]
fn codes_are_good_one_step_around_now_and_hostile_ones_never() {
    let (world, home) = World::with_home();
    let (ada, _) = with_factor(&world, &home);
    for away in [-90, -60, 60, 90] {
        let wrong = code(&world, &ada, TimeDelta::seconds(away));
        assert!(is_refused(&try_code(&world, &home, &wrong)), "{away} s");
    }
    for wrong in ["", "0", "00000000000000000000", "abcdef", "１２３４５６"] {
        assert!(is_refused(&try_code(&world, &home, &secret(wrong))), "{wrong}");
        assert_eq!(told(&world, &home), (Outcome::Refused, Some("second_factor_wrong")));
    }
    assert!(is_refused(&try_code(&world, &home, &Secret::new(vec![0xff, 0xfe]))), "no text at all");
    // One step late is still good: nothing later was used.
    assert!(signed_in(try_code(&world, &home, &code(&world, &ada, TimeDelta::seconds(-30)))).is_some());
}

#[test]
fn a_recovery_code_works_once_however_it_is_typed() {
    let (world, home) = World::with_home();
    let (_, codes) = with_factor(&world, &home);
    let (first, second) = (text(&codes[0]), text(&codes[1]));
    assert!(is_refused(&try_recovery(&world, &home, "0000-0000-0000-0000")));
    assert!(is_refused(&try_recovery(&world, &home, "")));
    assert!(signed_in(try_recovery(&world, &home, first)).is_some());
    assert!(is_refused(&try_recovery(&world, &home, first)));
    assert_eq!(told(&world, &home), (Outcome::Refused, Some("second_factor_wrong")));
    let typed = second.to_uppercase().replace('-', " ");
    assert!(signed_in(try_recovery(&world, &home, &typed)).is_some());
    assert!(is_refused(&try_recovery(&world, &home, second)));
    // A recovery code is no code of the moment, nor the other way round.
    assert!(is_refused(&try_code(&world, &home, &codes[2])));
}

#[test]
fn is_given_up_with_a_code_of_it_only() {
    let (world, home) = World::with_home();
    let (ada, codes) = with_factor(&world, &home);
    let before = world.rows(home.scope);
    assert!(matches!(disable(&world, &ada, &secret("000000")), Err(IdentityError::CodeWrong)));
    assert_eq!(world.rows(home.scope), before);
    disable(&world, &ada, &code(&world, &ada, TimeDelta::zero())).expect("gives up");
    assert!(signed_in(world.try_sign_in(Some(home.scope), EMAIL, PASSWORD, None)).is_some());
    assert_eq!(world.rows(home.scope).recovery_codes[&id_of(&ada)], [], "codes go with it");
    // Set up anew, the old recovery codes are worth nothing.
    enrol(&world, &ada).expect("begins");
    let anew = confirm(&world, &ada, &code(&world, &ada, TimeDelta::zero())).expect("confirms");
    assert!(is_refused(&try_recovery(&world, &home, text(&codes[3]))));
    disable(&world, &ada, &anew[0]).expect("a recovery code does as well");
    assert!(matches!(disable(&world, &ada, &anew[1]), Err(IdentityError::TotpAbsent)));
}

#[test]
fn stays_asked_for_after_a_reset() {
    let (world, home) = World::with_home();
    with_factor(&world, &home);
    let token = world.request_reset(home.scope, EMAIL).expect("is sent");
    world.reset(&token, PASSWORD).expect("resets");
    assert!(matches!(
        world.try_sign_in(Some(home.scope), EMAIL, PASSWORD, None),
        SignInOutcome::SecondFactorNeeded
    ));
}
