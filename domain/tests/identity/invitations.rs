//! Invitations: worth what their maker may still give, once, for seven days.

use std::sync::Arc;

use chrono::TimeDelta;
use domain::{
    identity::{
        AcceptInvitation, IdentityError,
        model::{InvitationState, MemberStatus},
    },
    kernel::{
        actor::{Actor, Permission, Role},
        ids::InvitationId,
        outbox::Outcome,
        secret::Secret,
        token::{Token, TokenKind},
    },
};

use crate::world::{Home, OWNER, PASSWORD, World, id_of, now, nowhere, secret, system, text};

const ADA: &str = "ada@example.com";

fn revoke(world: &World, actor: &Actor, id: InvitationId) -> Result<(), IdentityError> {
    world.command(actor, async |tx| world.identity.revoke_invitation(tx, actor, id).await)
}

/// Tries it, expects that it is no good, and gives the reason recorded.
fn refusal(world: &World, home: &Home, token: &Secret) -> Option<&'static str> {
    let before = world.rows(home.scope);
    let refused = world.accept(token).expect_err("is no good");
    let rows = world.rows(home.scope);
    assert_eq!(rows.members, before.members);
    assert_eq!(rows.invitations, before.invitations);
    assert_eq!(rows.records.len(), before.records.len() + 1);
    let (outcome, reason) = world.last_told(home.scope, "accept_invitation").expect("told");
    assert_eq!((outcome, reason), (Outcome::Refused, Some(refused.reason())));
    reason
}

#[test]
fn makes_a_member_of_that_role_once() {
    let (world, home) = World::with_home();
    let invited = world.invite(&home.owner, " Ada@Example.com ", Role::Auditor).expect("invites");
    let id = world.accept(&invited.token).expect("joins");
    let rows = world.rows(home.scope);
    let member = &rows.members[&id];
    assert_eq!(
        (member.email.expose(), member.role, member.status),
        (ADA, Role::Auditor, MemberStatus::Active)
    );
    assert_eq!(rows.invitations[&invited.invitation].state(world.at()), InvitationState::Accepted);
    assert!(rows.sessions.values().all(|session| session.member != id), "signing in is theirs");
    assert_eq!(refusal(&world, &home, &invited.token), Some("token_invalid"));
    let again = world.invite(&home.owner, ADA, Role::Auditor);
    assert!(matches!(again, Err(IdentityError::AlreadyMember)));
}

#[test]
fn is_over_exactly_when_it_is_said() {
    let (world, home) = World::with_home();
    let early = world.invite(&home.owner, "early@example.com", Role::Analyst).expect("invites");
    let late = world.invite(&home.owner, "late@example.com", Role::Analyst).expect("invites");
    world.wait(TimeDelta::days(7) - TimeDelta::microseconds(1));
    world.accept(&early.token).expect("a moment before");
    let open = world.invite(&home.owner, "late@example.com", Role::Analyst);
    assert!(matches!(open, Err(IdentityError::AlreadyMember)), "open until then");
    world.wait(TimeDelta::microseconds(1));
    assert_eq!(refusal(&world, &home, &late.token), Some("token_invalid"));
    assert!(matches!(revoke(&world, &home.owner, late.invitation), Err(IdentityError::InvitationClosed)));
    // The address is free again, and only the new token is good.
    let anew = world.invite(&home.owner, "late@example.com", Role::Analyst).expect("invites again");
    assert_eq!(refusal(&world, &home, &late.token), Some("token_invalid"));
    world.accept(&anew.token).expect("joins");
}

#[test]
fn is_no_good_once_taken_back() {
    let (world, home) = World::with_home();
    let invited = world.invite(&home.owner, ADA, Role::Operator).expect("invites");
    revoke(&world, &home.owner, invited.invitation).expect("takes back");
    assert_eq!(refusal(&world, &home, &invited.token), Some("token_invalid"));
    let again = revoke(&world, &home.owner, invited.invitation);
    assert!(matches!(again, Err(IdentityError::InvitationClosed)));
    let unknown = revoke(&world, &home.owner, InvitationId::from_uuid(uuid::Uuid::nil()));
    assert!(matches!(unknown, Err(IdentityError::InvitationNotFound)));
    let accepted = world.invite(&home.owner, ADA, Role::Operator).expect("the address is free again");
    world.accept(&accepted.token).expect("joins");
    let accepted = revoke(&world, &home.owner, accepted.invitation);
    assert!(matches!(accepted, Err(IdentityError::InvitationClosed)));
}

#[test]
fn an_owners_invitation_is_taken_back_by_owners_only() {
    let (world, home) = World::with_home();
    let admin = world.of_role(&home, Role::Admin);
    let invited = world.invite(&home.owner, ADA, Role::Owner).expect("invites");
    assert!(matches!(revoke(&world, &admin, invited.invitation), Err(IdentityError::Denied(_))));
    world.accept(&invited.token).expect("as good as before");
}

#[test]
fn is_worth_what_its_maker_may_still_give() {
    type Meanwhile = fn(&World, &Home, &Actor);
    let cases: [(&str, Meanwhile, bool); 5] = [
        ("still the same", |_, _, _| {}, true),
        ("suspended", |w, h, maker| w.suspend(&h.owner, id_of(maker)).expect("suspends"), false),
        (
            "demoted",
            |w, h, maker| w.change_role(&h.owner, id_of(maker), Role::Analyst).expect("changes"),
            false,
        ),
        (
            "promoted",
            |w, h, maker| w.change_role(&h.owner, id_of(maker), Role::Owner).expect("changes"),
            true,
        ),
        (
            "suspended and restored",
            |w, h, maker| {
                w.suspend(&h.owner, id_of(maker)).expect("suspends");
                w.restore(&h.owner, id_of(maker)).expect("restores");
            },
            true,
        ),
    ];
    // Also for a role that allows nothing beyond what every other does: inviting is a right of its own.
    for role in [Role::Admin, Role::Analyst] {
        for (what, meanwhile, good) in cases {
            let (world, home) = World::with_home();
            let maker = world.of_role(&home, Role::Admin);
            let invited = world.invite(&maker, ADA, role).expect("invites");
            meanwhile(&world, &home, &maker);
            if good {
                world.accept(&invited.token).expect(what);
            } else {
                assert_eq!(refusal(&world, &home, &invited.token), Some("token_invalid"), "{what}");
            }
        }
    }
}

#[test]
fn an_owner_made_administrator_gives_no_owners_any_more() {
    let (world, home) = World::with_home();
    let second = world.join(&home, "second@example.com", Role::Owner);
    let owner = world.invite(&second, ADA, Role::Owner).expect("invites");
    let operator = world.invite(&second, "ben@example.com", Role::Operator).expect("invites");
    world.change_role(&home.owner, id_of(&second), Role::Admin).expect("changes");
    assert_eq!(refusal(&world, &home, &owner.token), Some("token_invalid"));
    world.accept(&operator.token).expect("what an administrator may give");
}

#[test]
fn one_made_with_a_key_is_worth_what_the_keys_issuer_may_still_give() {
    let (world, home) = World::with_home();
    let admin = world.of_role(&home, Role::Admin);
    let scopes = Role::Admin.permissions();
    let key = world.issue_key(&admin, scopes, 30).expect("issues");
    let machine = world.authenticate(&key.key).expect("works").actor;
    let first = world.invite(&machine, ADA, Role::Operator).expect("invites");
    let second = world.invite(&machine, "ben@example.com", Role::Admin).expect("invites");
    world.accept(&first.token).expect("joins");
    world.suspend(&home.owner, id_of(&admin)).expect("suspends");
    assert!(world.authenticate(&key.key).is_none());
    assert_eq!(refusal(&world, &home, &second.token), Some("token_invalid"));
}

#[test]
fn the_installation_itself_may_invite() {
    let (world, home) = World::with_home();
    let invited = world.invite(&system(home.scope), ADA, Role::Owner).expect("invites");
    assert_eq!(world.rows(home.scope).invitations[&invited.invitation].invited_by, None);
    world.accept(&invited.token).expect("joins");
}

#[test]
fn an_address_has_one_place() {
    let (world, home) = World::with_home();
    for taken in [OWNER, "OWNER@EXAMPLE.COM", " owner@example.com"] {
        let refused = world.invite(&home.owner, taken, Role::Analyst);
        assert!(matches!(refused, Err(IdentityError::AlreadyMember)), "{taken}");
    }
    let invited = world.invite(&home.owner, ADA, Role::Analyst).expect("invites");
    let open = world.invite(&home.owner, "Ada@example.com", Role::Analyst);
    assert!(matches!(open, Err(IdentityError::AlreadyMember)));
    // The address becomes a member's by another way.
    world.units.change(home.scope, |rows| {
        let mut owner = rows.members[&id_of(&home.owner)].clone();
        owner.id = domain::kernel::ids::MemberId::from_uuid(uuid::Uuid::nil());
        owner.email = domain::identity::model::EmailAddress::parse(ADA).expect("an address");
        rows.members.insert(owner.id, owner);
    });
    assert_eq!(refusal(&world, &home, &invited.token), Some("already_member"));
    for hostile in ["", "ada", "a b@example.com", "ada@example.com\nbcc: all"] {
        let refused = world.invite(&home.owner, hostile, Role::Analyst);
        assert!(matches!(refused, Err(IdentityError::Invalid { field: "email", .. })), "{hostile}");
    }
}

#[test]
fn open_invitations_take_seats() {
    let (world, home) = World::with_home();
    world.units.change(home.scope, |rows| rows.tenant.as_mut().expect("open").members_max = 3);
    let first = world.invite(&home.owner, "a@example.com", Role::Analyst).expect("the second seat");
    let second = world.invite(&home.owner, "b@example.com", Role::Analyst).expect("the third seat");
    let full = |email: &str| {
        let refused = world.invite(&home.owner, email, Role::Analyst);
        matches!(refused, Err(IdentityError::MembersFull { max: 3 }))
    };
    assert!(full("c@example.com"));
    world.accept(&first.token).expect("an invitation becomes a member: as many as before");
    assert!(full("c@example.com"));
    revoke(&world, &home.owner, second.invitation).expect("takes back");
    world.invite(&home.owner, "c@example.com", Role::Analyst).expect("a seat is free");
    assert!(full("d@example.com"));
    world.wait(TimeDelta::days(7) - TimeDelta::microseconds(1));
    assert!(full("d@example.com"));
    world.wait(TimeDelta::microseconds(1));
    let owner = world.acting(home.scope, OWNER);
    world.invite(&owner, "d@example.com", Role::Analyst).expect("an expired one takes none");
    // Suspended members keep their seat.
    let id =
        world.rows(home.scope).members.keys().copied().find(|id| *id != id_of(&owner)).expect("a member");
    world.suspend(&owner, id).expect("suspends");
    let refused = world.invite(&owner, "e@example.com", Role::Analyst);
    assert!(matches!(refused, Err(IdentityError::MembersFull { max: 3 })));
}

#[test]
fn what_happens_while_the_password_is_hashed_counts() {
    let (world, home) = World::with_home();
    let invited = world.invite(&home.owner, ADA, Role::Operator).expect("invites");
    let (again, owner, id) = (Arc::clone(&world), home.owner.clone(), invited.invitation);
    world.hasher.meanwhile(move || revoke(&again, &owner, id).expect("takes back"));
    assert!(matches!(world.accept(&invited.token), Err(IdentityError::TokenInvalid)));
    let invited = world.invite(&home.owner, ADA, Role::Operator).expect("invites");
    let (again, token) = (Arc::clone(&world), invited.token.clone());
    world.hasher.meanwhile(move || {
        again.accept(&token).expect("joins");
    });
    assert!(matches!(world.accept(&invited.token), Err(IdentityError::TokenInvalid)));
    let named = |rows: &domain::identity::testkit::Rows| {
        rows.members.values().filter(|member| member.email.expose() == ADA).count()
    };
    assert_eq!(named(&world.rows(home.scope)), 1);
}

#[test]
fn bad_input_leaves_it_open() {
    let (world, home) = World::with_home();
    let invited = world.invite(&home.owner, ADA, Role::Operator).expect("invites");
    let before = world.rows(home.scope);
    let accept = |name: &str, password: &str| {
        let (token, name) = (invited.token.clone(), name.to_owned());
        let input = AcceptInvitation { token, name, password: secret(password) };
        now(world.identity.accept_invitation(&world.origin(), input))
    };
    assert!(matches!(accept(" ", PASSWORD), Err(IdentityError::Invalid { field: "name", .. })));
    assert!(matches!(accept("Ada", "short"), Err(IdentityError::Invalid { field: "password", .. })));
    assert_eq!(world.rows(home.scope), before);
    accept("Ada", PASSWORD).expect("joins");
}

#[test]
fn forged_tokens_are_refused_and_told() {
    let (world, home) = World::with_home();
    let borealis = world.open("borealis");
    let invited = world.invite(&home.owner, ADA, Role::Operator).expect("invites");
    let ids = domain::kernel::testkit::Counted::default();
    let forge = |tenant, id| Token::generate(tenant, id, &ids).text(TokenKind::Invitation);
    let id = invited.invitation.uuid();
    assert_eq!(refusal(&world, &home, &forge(home.scope.tenant(), id)), Some("token_invalid"));
    assert_eq!(refusal(&world, &borealis, &forge(borealis.scope.tenant(), id)), Some("token_invalid"));
    let before = world.rows(home.scope);
    let elsewhere = text(&invited.token).replacen("miv_", "mpr_", 1);
    for token in [forge(nowhere().tenant(), id), secret(&elsewhere), secret("")] {
        assert!(matches!(world.accept(&token), Err(IdentityError::TokenInvalid)));
    }
    assert_eq!(world.rows(home.scope), before);
    assert_eq!(world.rows(nowhere()).records, []);
    let machine = world.issue_key(&home.owner, &[Permission::ManageMembers], 1).expect("issues");
    let machine = world.authenticate(&machine.key).expect("works").actor;
    let more = world.invite(&machine, "ben@example.com", Role::Operator);
    assert!(matches!(more, Err(IdentityError::Denied(_))), "a key gives no more than it has");
}
