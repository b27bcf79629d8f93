//! Who may read what.

use domain::{
    identity::IdentityError,
    kernel::{
        actor::{Actor, Denied, Permission, Role},
        page::{Direction, PageRequest},
    },
};

use crate::world::{OWNER, World, email_of, id_of, system};

const PAGE: PageRequest = PageRequest { limit: 100, from: None, direction: Direction::Forward };

fn denied<T>(read: Result<T, IdentityError>) -> Option<Permission> {
    match read {
        Err(IdentityError::Denied(denied)) => Some(denied.0),
        Ok(_) => None,
        Err(other) => unreachable!("{other}"),
    }
}

/// What is said of the one member asked about.
fn of_one<T>(asked: Result<Vec<Result<T, Denied>>, IdentityError>) -> Result<T, IdentityError> {
    Ok(asked?.pop().expect("one member was asked about")?)
}

/// Everything that can be read, tried by each role: what is missing is named, and nothing else is refused.
#[test]
fn each_role_reads_what_it_may() {
    let (world, home) = World::with_home();
    let owner = id_of(&home.owner);
    let session = world.sign_in(home.scope, OWNER).session;
    let invited = world.invite(&home.owner, "ada@example.com", Role::Analyst).expect("invites").invitation;
    let key = world.issue_key(&home.owner, &[Permission::ReadAudit], 1).expect("issues").id;
    for role in Role::ALL {
        let actor = world.of_role(&home, role);
        let missing = |permission| (!actor.may(permission)).then_some(permission);
        let own = id_of(&actor);
        let (i, a) = (&world.identity, &actor);
        let others = (own != owner).then(|| missing(Permission::ManageMembers)).flatten();
        let read = |what: &str, got: Option<Permission>, wanted| assert_eq!(got, wanted, "{role:?} {what}");
        let members = missing(Permission::ReadMembers);
        let keys = missing(Permission::ManageApiKeys);
        read("members", denied(world.command(a, async |tx| i.members(tx, a, PAGE).await)), members);
        read("count", denied(world.command(a, async |tx| i.count_members(tx, a, 9).await)), members);
        read("invitations", denied(world.command(a, async |tx| i.invitations(tx, a, PAGE).await)), members);
        read("invitation", denied(world.command(a, async |tx| i.invitation(tx, a, invited).await)), members);
        read("member", denied(world.command(a, async |tx| i.member(tx, a, owner).await)), members);
        read("oneself", denied(world.command(a, async |tx| i.member(tx, a, own).await)), None);
        read(
            "own sessions",
            denied(world.command(a, async |tx| of_one(i.sessions_of(tx, a, &[own], PAGE).await))),
            None,
        );
        read(
            "sessions",
            denied(world.command(a, async |tx| of_one(i.sessions_of(tx, a, &[owner], PAGE).await))),
            others,
        );
        read("session", denied(world.command(a, async |tx| i.session(tx, a, session).await)), others);
        read("keys", denied(world.command(a, async |tx| i.api_keys(tx, a, PAGE).await)), keys);
        read("key", denied(world.command(a, async |tx| i.api_key(tx, a, key).await)), keys);
    }
}

#[test]
fn sessions_of_many_are_decided_for_each() {
    let (world, home) = World::with_home();
    let ada = world.of_role(&home, Role::Analyst);
    let members = [id_of(&home.owner), id_of(&ada), id_of(&home.owner)];
    let i = &world.identity;
    let count = |actor: &Actor| -> Vec<Option<usize>> {
        let pages = world.command(actor, async |tx| i.sessions_of(tx, actor, &members, PAGE).await);
        pages.expect("reads").into_iter().map(|page| page.ok().map(|page| page.items.len())).collect()
    };
    assert_eq!(count(&home.owner), [Some(1), Some(1), Some(1)]);
    assert_eq!(count(&ada), [None, Some(1), None]);
}

#[test]
fn a_key_without_the_scope_reads_nobody() {
    let (world, home) = World::with_home();
    let key = world.issue_key(&home.owner, &[Permission::ReadAudit], 1).expect("issues");
    let machine = world.authenticate(&key.key).expect("works").actor;
    let (i, m) = (&world.identity, &machine);
    let own = world.command(m, async |tx| i.member(tx, m, id_of(&home.owner)).await);
    assert_eq!(denied(own), Some(Permission::ReadMembers), "its issuer's self is not its own");
    let sessions =
        world.command(m, async |tx| of_one(i.sessions_of(tx, m, &[id_of(&home.owner)], PAGE).await));
    assert_eq!(denied(sessions), Some(Permission::ManageMembers));
}

#[test]
fn lists_hold_what_there_is() {
    let (world, home) = World::with_home();
    let ada = world.of_role(&home, Role::Operator);
    let borealis = world.open("borealis");
    let (i, a) = (&world.identity, &home.owner);
    let members = world.command(a, async |tx| i.members(tx, a, PAGE).await).expect("may");
    let emails: Vec<_> = members.items.iter().map(|member| member.email.expose()).collect();
    assert_eq!(emails, [OWNER, &email_of(Role::Operator)], "oldest first, nobody else's");
    let count = |most| world.command(a, async |tx| i.count_members(tx, a, most).await).expect("may");
    assert_eq!((count(1), count(2), count(3)), (1, 2, 2));
    let of_ada =
        world.command(a, async |tx| of_one(i.sessions_of(tx, a, &[id_of(&ada)], PAGE).await)).expect("may");
    assert_eq!(of_ada.items.iter().map(|s| Some(s.id)).collect::<Vec<_>>(), [ada.session()]);
    world.suspend(a, id_of(&ada)).expect("suspends");
    let of_ada =
        world.command(a, async |tx| of_one(i.sessions_of(tx, a, &[id_of(&ada)], PAGE).await)).expect("may");
    assert_eq!(of_ada.items, [], "what is over is not listed");
    let foreign = id_of(&borealis.owner);
    assert_eq!(world.command(a, async |tx| i.member(tx, a, foreign).await).expect("may"), None);
    let tenant = world.command(&system(home.scope), async |tx| i.tenant(tx).await).expect("may");
    assert_eq!(tenant.map(|t| t.slug.as_str().to_owned()).as_deref(), Some("aurora"));
}
