//! Matrices, and who reaches which part of them.

use domain::{
    accounts::{AccountFilter, AccountsError},
    kernel::{
        actor::{Actor, Role},
        ids::{AccountId, GroupId},
        page::{Direction, PageRequest},
    },
};

use crate::world::World;

const PAGE: PageRequest = PageRequest { limit: 100, from: None, direction: Direction::Forward };

fn make(world: &World, name: &str, parent: Option<GroupId>) -> GroupId {
    world
        .command(async |tx| world.accounts.create_group(tx, &world.owner, name, parent).await)
        .expect("makes")
}

fn seen(world: &World, actor: &Actor, filter: &AccountFilter) -> Vec<AccountId> {
    let page =
        world.command(async |tx| world.accounts.accounts(tx, actor, filter, PAGE).await).expect("reads");
    page.items.into_iter().map(|account| account.id).collect()
}

fn grant(world: &World, group: GroupId, actor: &Actor) -> Result<(), AccountsError> {
    let member = actor.member().expect("a member");
    world.command(async |tx| world.accounts.grant_group(tx, &world.owner, group, member).await)
}

fn grant_anyway(world: &World, group: GroupId, actor: &Actor) {
    let member = actor.member().expect("a member");
    world.store.change(world.scope, |rows| {
        rows.members.push(member);
        rows.grants.insert((group, member), domain::kernel::clock::Timestamp::default());
    });
}

#[test]
fn operators_reach_what_they_were_granted_and_below() {
    let world = World::new();
    let enterprise = make(&world, "Enterprise", None);
    let (north, south) = (make(&world, "North", Some(enterprise)), make(&world, "South", Some(enterprise)));
    let desk = make(&world, "Desk", Some(north));
    let (a, b, c) = (
        world.link_into("a", Some(north)),
        world.link_into("b", Some(desk)),
        world.link_into("c", Some(south)),
    );
    let loose = world.link("loose");
    let operator = world.member(Role::Operator);
    let all = AccountFilter::default();
    assert_eq!(seen(&world, &operator, &all), [], "nothing was granted yet");
    grant(&world, north, &operator).expect("grants");
    assert_eq!(seen(&world, &operator, &all), [a, b]);
    assert_eq!(seen(&world, &world.owner, &all), [a, b, c, loose]);
    assert_eq!(seen(&world, &world.member(Role::Auditor), &all), [a, b, c, loose]);
    // What is not reached is as absent as what never was.
    let pause = |id| world.command(async |tx| world.accounts.pause_account(tx, &operator, id).await);
    assert!(matches!(pause(c), Err(AccountsError::NotFound { field: "id" })));
    assert!(matches!(pause(loose), Err(AccountsError::NotFound { .. })));
    pause(b).expect("pauses its own");
    let one = world.command(async |tx| world.accounts.account(tx, &operator, c).await).expect("reads");
    assert_eq!(one, None);
    let groups = world.command(async |tx| world.accounts.groups(tx, &operator).await).expect("reads");
    assert_eq!(groups.iter().map(|group| group.id).collect::<Vec<_>>(), [north, desk]);
    // Nor can it be reached by moving things.
    let place =
        |id, group| world.command(async |tx| world.accounts.place_account(tx, &operator, id, group).await);
    assert!(matches!(place(a, Some(south)), Err(AccountsError::NotFound { field: "groupId" })));
    assert!(matches!(place(a, None), Err(AccountsError::Invalid { .. })));
    place(a, Some(desk)).expect("within its own");
    // A grant taken back is gone at once.
    let member = operator.member().expect("a member");
    world
        .command(async |tx| world.accounts.revoke_group(tx, &world.owner, north, member).await)
        .expect("revokes");
    assert_eq!(seen(&world, &operator, &all), []);
}

#[test]
fn links_go_where_the_operator_works() {
    let world = World::new();
    let (own, other) = (make(&world, "Own", None), make(&world, "Other", None));
    let operator = world.member(Role::Operator);
    grant(&world, own, &operator).expect("grants");
    let begin = |group| {
        let ask = domain::accounts::BeginLink { group, ..world.ask() };
        world.command(async |tx| world.accounts.begin_link(tx, &operator, ask).await).map(drop)
    };
    begin(Some(own)).expect("begins");
    assert!(matches!(begin(None), Err(AccountsError::Invalid { field: "groupId", .. })));
    assert!(matches!(begin(Some(other)), Err(AccountsError::NotFound { field: "groupId" })));
}

#[test]
fn nobody_takes_an_account_over_by_linking_it() {
    let world = World::new();
    let (own, other) = (make(&world, "Own", None), make(&world, "Other", None));
    let account = world.link_into("a", Some(other));
    // The member who begins is an operator of another part by the time the owner comes back.
    world.become_operator();
    let me = world.owner.clone();
    grant_anyway(&world, own, &me);
    let state = world.begin_as_operator(own);
    let back = world.come_back(&state, Some(world.platform.consent("a")));
    assert!(
        matches!(&back, Ok(domain::accounts::FinishedLink::Failed { reason, .. }) if reason == "other_account"),
        "{back:?}"
    );
    assert_eq!(world.account(account).group, Some(other));
}

#[test]
fn groups_are_moved_and_removed_with_care() {
    let world = World::new();
    let root = make(&world, "Root", None);
    let child = make(&world, "Child", Some(root));
    let change = |id, name: Option<&str>, parent| {
        world.command(async |tx| world.accounts.change_group(tx, &world.owner, id, name, parent).await)
    };
    let remove = |id| world.command(async |tx| world.accounts.remove_group(tx, &world.owner, id).await);
    assert!(matches!(change(root, None, Some(Some(child))), Err(AccountsError::GroupMisplaced { .. })));
    assert!(matches!(remove(root), Err(AccountsError::GroupNotEmpty)));
    let account = world.link_into("a", Some(child));
    let given_up = world.link_into("b", Some(child));
    world
        .command(async |tx| world.accounts.unlink_account(tx, &world.owner, given_up).await)
        .expect("unlinks");
    assert!(matches!(remove(child), Err(AccountsError::GroupNotEmpty)));
    change(child, Some("Team"), Some(None)).expect("becomes a matrix");
    assert_eq!(world.rows().groups[&child].name, "Team");
    remove(root).expect("empty now");
    world
        .command(async |tx| world.accounts.place_account(tx, &world.owner, account, None).await)
        .expect("moves");
    remove(child).expect("empty now");
    assert!(matches!(remove(child), Err(AccountsError::NotFound { field: "id" })));
}

#[test]
fn filters_narrow_and_never_widen() {
    let world = World::new();
    let (one, two) = (make(&world, "One", None), make(&world, "Two", None));
    let (a, b) = (world.link_into("a", Some(one)), world.link_into("b", Some(two)));
    let tag = |id, tags: &[&str]| {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        world.command(async |tx| world.accounts.tag_account(tx, &world.owner, id, tags).await)
    };
    tag(a, &["food", "new"]).expect("tags");
    tag(b, &["food"]).expect("tags");
    assert!(matches!(tag(a, &[""]), Err(AccountsError::Invalid { field: "tags", .. })));
    let by = |tags: &[&str]| AccountFilter {
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        ..AccountFilter::default()
    };
    assert_eq!(seen(&world, &world.owner, &by(&["food"])), [a, b]);
    assert_eq!(seen(&world, &world.owner, &by(&["food", "new"])), [a]);
    let operator = world.member(Role::Operator);
    grant(&world, two, &operator).expect("grants");
    let in_one = AccountFilter { group: Some(one), ..AccountFilter::default() };
    assert_eq!(seen(&world, &operator, &in_one), [], "a filter opens nothing");
    let count =
        world.command(async |tx| world.accounts.count_accounts(tx, &operator, &by(&["food"]), 10).await);
    assert_eq!(count.expect("counts"), 1);
    let stranger = world.member(Role::Operator);
    world.store.change(world.scope, |rows| rows.members.clear());
    assert!(matches!(grant(&world, one, &stranger), Err(AccountsError::NotFound { field: "memberId" })));
}
