//! Nobody gives, takes or uses rights they do not hold.

use domain::{
    identity::IdentityError,
    kernel::{
        actor::{Actor, Permission, Role},
        outbox::Outcome,
    },
};
use proptest::{
    prelude::*,
    sample::{select, subsequence},
};

use crate::world::{Home, World, id_of};

/// Whether an actor holds all a role allows, and may manage members at all.
fn covers(actor: &Actor, role: Role) -> bool {
    actor.may(Permission::ManageMembers) && role.permissions().iter().all(|held| actor.may(*held))
}

#[derive(Clone, Copy, Debug)]
enum Deed {
    Invite,
    RevokeInvitation,
    ChangeRole(Role),
    Suspend,
    Restore,
    StartReset,
    RevokeSession,
}

fn deeds() -> impl Strategy<Value = Deed> {
    prop_oneof![
        Just(Deed::Invite),
        Just(Deed::RevokeInvitation),
        select(Role::ALL.to_vec()).prop_map(Deed::ChangeRole),
        Just(Deed::Suspend),
        Just(Deed::Restore),
        Just(Deed::StartReset),
        Just(Deed::RevokeSession),
    ]
}

/// A member of some role, or a machine with some of an owner's scopes.
#[derive(Clone, Debug)]
enum Who {
    Member(Role),
    Machine(Vec<Permission>),
}

fn whos() -> impl Strategy<Value = Who> {
    prop_oneof![
        select(Role::ALL.to_vec()).prop_map(Who::Member),
        subsequence(Permission::ALL.to_vec(), 1..=5).prop_map(Who::Machine),
    ]
}

fn actor_of(world: &World, home: &Home, who: &Who) -> Actor {
    match who {
        Who::Member(role) => world.join(home, "actor@example.com", *role),
        Who::Machine(scopes) => {
            let issued = world.issue_key(&home.owner, scopes, 30).expect("issues");
            world.authenticate(&issued.key).expect("works").actor
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn nobody_handles_rights_they_do_not_hold(
        who in whos(),
        role in select(Role::ALL.to_vec()),
        deed in deeds(),
    ) {
        let (world, home) = World::with_home();
        let actor = actor_of(&world, &home, &who);
        let target = world.join(&home, "target@example.com", role);
        let session = target.session().expect("signed in");
        let id = id_of(&target);
        let open = world.invite(&home.owner, "open@example.com", role).expect("invites").invitation;
        let before = world.rows(home.scope);
        let done: Result<(), IdentityError> = match deed {
            Deed::Invite => world.invite(&actor, "new@example.com", role).map(drop),
            Deed::RevokeInvitation => world.command(&actor, async |tx| {
                world.identity.revoke_invitation(tx, &actor, open).await
            }),
            Deed::ChangeRole(to) => world.change_role(&actor, id, to),
            Deed::Suspend => world.suspend(&actor, id),
            Deed::Restore => world.restore(&actor, id),
            Deed::StartReset => world.start_reset(&actor, id).map(drop),
            Deed::RevokeSession => world.revoke_session(&actor, session),
        };
        let may = match deed {
            Deed::ChangeRole(to) => covers(&actor, role) && covers(&actor, to),
            Deed::RevokeSession => actor.member().is_some() && covers(&actor, role),
            Deed::Invite | Deed::RevokeInvitation | Deed::Suspend | Deed::Restore | Deed::StartReset => {
                covers(&actor, role)
            }
        };
        let rows = world.rows(home.scope);
        match done {
            Ok(()) => {
                prop_assert!(may, "{who:?} must not {deed:?} {role:?}");
                prop_assert_eq!(rows.records.len(), before.records.len() + 1);
                prop_assert_eq!(rows.records.last().map(|r| r.record.outcome), Some(Outcome::Success));
            }
            Err(IdentityError::Denied(denied)) => {
                prop_assert!(!may, "{who:?} may {deed:?} {role:?}, and was denied {denied}");
                prop_assert!(!actor.may(denied.0), "what is named as missing is missing");
                prop_assert_eq!(rows, before);
            }
            Err(IdentityError::NeedsMember) => {
                prop_assert!(matches!(deed, Deed::RevokeSession) && actor.member().is_none());
                prop_assert_eq!(rows, before);
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}
