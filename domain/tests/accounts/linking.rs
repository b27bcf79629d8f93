//! From the consent page to an account, and everything that can come between.

use chrono::TimeDelta;
use domain::{
    accounts::{
        AccountsError, AppChange, BeginLink, FinishedLink, NewsEnd,
        events::AccountFact,
        model::{Ability, AccountState, ConsentEnd, LinkStep, Obstacle, Way},
        ports::RefusalKind,
        testkit::Mishap,
    },
    kernel::{actor::Role, outbox::Outcome},
};

use crate::world::{World, now, secret};

fn failed(finished: Result<FinishedLink, AccountsError>) -> String {
    match finished {
        Ok(FinishedLink::Failed { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

fn steps(world: &World) -> Vec<LinkStep> {
    let links = world.rows().links;
    links.values().last().expect("a link").trace.iter().map(|entry| entry.step).collect()
}

#[test]
fn an_owner_consents_and_the_account_is_there() {
    let world = World::new();
    let account = world.link("alice");
    assert!(world.works(account));
    assert_eq!(world.account(account).profile.nickname, "owner alice");
    let whole = [
        LinkStep::Begun,
        LinkStep::Returned,
        LinkStep::CodeExchanged,
        LinkStep::Linked,
        LinkStep::ProfileRead,
    ];
    assert_eq!(steps(&world), whole);
    let rows = world.rows();
    let told: Vec<_> = rows.announced.iter().map(|news| news.fact).collect();
    assert_eq!(told, [AccountFact::AccountLinked(account), AccountFact::AccountArranged(account)]);
    let last = rows.records.iter().rfind(|record| record.actor.is_some()).expect("a record");
    assert_eq!((last.action.name, last.outcome), ("finish_link", Outcome::Success));
    assert_eq!(
        last.actor.as_ref().and_then(|actor| actor.id),
        world.owner.member().map(domain::kernel::ids::MemberId::uuid)
    );
}

#[test]
fn a_state_works_once_and_not_for_long() {
    let world = World::new();
    let state = world.begin(world.ask());
    let code = || Some(world.platform.consent("alice"));
    assert!(matches!(world.come_back(&state, code()), Ok(FinishedLink::Linked { .. })));
    assert!(matches!(world.come_back(&state, code()), Err(AccountsError::LinkClosed)));
    let late = world.begin(world.ask());
    world.wait(TimeDelta::minutes(15));
    assert!(matches!(world.come_back(&late, code()), Err(AccountsError::LinkClosed)));
    assert_eq!(world.rows().accounts.len(), 1);
    assert_eq!(world.platform.calls(), ["exchange", "profile"], "the platform was asked once");
}

#[test]
fn states_nobody_gave_out_find_nothing() {
    let world = World::new();
    let good = world.begin(world.ask());
    let text = good.expose_str().expect("text").to_owned();
    let mut forged = text.clone();
    forged.truncate(text.len() - 4);
    forged.push_str("AAAA");
    for state in ["", "mls_", "mls_AAAA", &forged, &text.replace("mls_", "mak_")] {
        let back = world.come_back(&secret(state), Some(world.platform.consent("mallory")));
        assert!(matches!(back, Err(AccountsError::LinkClosed)), "{state}: {back:?}");
    }
    assert!(world.rows().accounts.is_empty());
    assert!(matches!(
        world.come_back(&good, Some(world.platform.consent("alice"))),
        Ok(FinishedLink::Linked { .. })
    ));
}

#[test]
fn it_ends_with_the_session_it_was_begun_in() {
    let world = World::new();
    let state = world.begin(world.ask());
    world.end_session();
    assert_eq!(failed(world.come_back(&state, Some(world.platform.consent("alice")))), "session_over");
    assert!(world.platform.calls().is_empty(), "the platform was not asked");
}

#[test]
fn what_the_platform_or_the_owner_refuses_is_told() {
    let world = World::new();
    let state = world.begin(world.ask());
    assert_eq!(failed(world.come_back(&state, None)), "owner_refused");
    let state = world.begin(world.ask());
    assert_eq!(failed(world.come_back(&state, Some(secret("old code")))), "consent_gone (code 1)");
    let state = world.begin(world.ask());
    world.platform.script([Mishap::LosesAnswer]);
    assert_eq!(
        failed(world.come_back(&state, Some(world.platform.consent("alice")))),
        "no answer (memory.platform)"
    );
    assert_eq!(steps(&world).last(), Some(&LinkStep::Failed));
    assert!(world.rows().accounts.is_empty());
}

#[test]
fn an_account_without_a_name_is_better_than_none() {
    let world = World::new();
    let state = world.begin(world.ask());
    world.platform.script([Mishap::None, Mishap::Busy]);
    let back = world.come_back(&state, Some(world.platform.consent("alice")));
    assert!(matches!(&back, Ok(FinishedLink::Linked { nickname, .. }) if nickname.is_empty()), "{back:?}");
}

#[test]
fn linking_again_keeps_the_account_and_takes_newer_tokens() {
    let world = World::new();
    let account = world.link("alice");
    let before = world.tokens(account);
    world.wait(TimeDelta::days(1));
    let state = world.begin(BeginLink { again: Some(account), ..world.ask() });
    let back = world.come_back(&state, Some(world.platform.consent("alice")));
    assert!(matches!(back, Ok(FinishedLink::Linked { account: same, .. }) if same == account));
    let after = world.tokens(account);
    assert!(after.terms.version > before.terms.version && after.secrets != before.secrets);
    assert!(world.works(account));
    // Another owner's consent is not taken for it.
    let state = world.begin(BeginLink { again: Some(account), ..world.ask() });
    assert_eq!(failed(world.come_back(&state, Some(world.platform.consent("bob")))), "other_account");
    assert_eq!(world.rows().accounts.len(), 1);
    assert_eq!(world.tokens(account), after);
}

#[test]
fn what_the_app_does_not_have_is_not_asked_for() {
    let world = World::new();
    let poor = world.register(&["profile"]);
    let wish = |scopes: Option<&[&str]>| BeginLink {
        app: poor,
        scopes: scopes.map(|list| list.iter().map(|scope| (*scope).to_owned()).collect()),
        ..world.ask()
    };
    let begin = |ask| world.command(async |tx| world.accounts.begin_link(tx, &world.owner, ask).await);
    let asked = begin(wish(None)).expect("what it has");
    assert!(asked.consent_url.expose_str().is_some_and(|url| url.contains("scope=profile&")));
    let refused = begin(wish(Some(&["profile", "publish"])));
    assert!(matches!(refused, Err(AccountsError::ScopesMissing { missing }) if missing == "publish"));
    assert!(matches!(begin(wish(Some(&[]))), Err(AccountsError::Invalid { field: "scopes", .. })));
}

#[test]
fn apps_are_registered_once_and_not_taken_from_under_accounts() {
    let world = World::new();
    let register =
        |draft| world.command(async |tx| world.accounts.register_app(tx, &world.owner, draft).await);
    register(World::draft(&["profile"])).expect("new");
    assert!(matches!(register(World::draft(&["profile"])), Err(AccountsError::AppTaken)));
    let unknown =
        domain::accounts::AppDraft { platform: "kuaishou".to_owned(), ..World::draft(&["profile"]) };
    assert!(
        matches!(register(unknown), Err(AccountsError::PlatformUnknown { known, .. }) if known == "memory")
    );
    let account = world.link("alice");
    let remove = || world.command(async |tx| world.accounts.remove_app(tx, &world.owner, world.app).await);
    assert!(matches!(remove(), Err(AccountsError::AppInUse { count: 1 })));
    world
        .command(async |tx| world.accounts.unlink_account(tx, &world.owner, account).await)
        .expect("unlinks");
    assert!(matches!(world.account(account).state, AccountState::Unlinked { .. }));
    assert!(!world.rows().tokens.contains_key(&account), "its tokens are thrown away");
    remove().expect("nothing hangs on it");
}

#[test]
fn capabilities_say_who_does_it_or_why_nobody_does() {
    let world = World::new();
    let account = world.link("alice");
    let publish = || {
        let found = world.command(async |tx| {
            let model = tx.account(account).await?.expect("there");
            world.accounts.capabilities_of(tx, &world.owner, &[model]).await
        });
        let found = found.expect("reads").remove(0);
        let found = found.into_iter().find(|one| one.ability == Ability::PublishVideo).expect("listed");
        (found.way, found.obstacle)
    };
    assert_eq!(publish(), (Way::Server, Obstacle::None));
    world.command(async |tx| world.accounts.pause_account(tx, &world.owner, account).await).expect("pauses");
    assert_eq!(publish(), (Way::None, Obstacle::Paused));
    world
        .command(async |tx| world.accounts.resume_account(tx, &world.owner, account).await)
        .expect("resumes");
    let scopes = |list: &[&str]| AppChange {
        scopes: Some(list.iter().map(|scope| (*scope).to_owned()).collect()),
        ..AppChange::default()
    };
    let change = |change| {
        world.command(async |tx| world.accounts.change_app(tx, &world.owner, world.app, change).await)
    };
    change(scopes(&["profile", "share"])).expect("changes");
    assert_eq!(publish(), (Way::HandOff, Obstacle::AppLacksScope("publish".to_owned())));
    change(scopes(&["profile"])).expect("changes");
    assert_eq!(publish(), (Way::None, Obstacle::AppLacksScope("publish".to_owned())));
}

#[test]
fn a_platforms_word_that_consent_is_gone_is_believed_and_asked_about() {
    let world = World::new();
    let account = world.link("alice");
    let tell = |signature: &str| {
        let origin = world.origin();
        let verified =
            now(world.accounts.verify_news(&origin, world.scope, world.app, signature, b"revoked alice"));
        let verified = verified.expect("looked at")?;
        Some(now(world.accounts.receive_news(&origin, verified)).expect("taken in"))
    };
    assert_eq!(tell("not the secret"), None, "somebody else's word");
    assert_eq!(world.account(account).state, AccountState::Connected);
    // An old message, sent again: the consent is alive.
    assert_eq!(tell("app-secret"), Some(NewsEnd::Taken));
    assert!(matches!(
        world.account(account).state,
        AccountState::ConsentNeeded { end: ConsentEnd::Revoked, .. }
    ));
    let lease = now(world.accounts.lease_token(&world.origin(), world.scope, account));
    assert!(matches!(lease, Err(AccountsError::ConsentNeeded)), "at once");
    world.turn();
    assert_eq!(world.account(account).state, AccountState::Connected, "the platform lets us in");
    // One that comes while the one before is being asked about is asked about too.
    tell("app-secret");
    let doubted = world.account(account).version;
    tell("app-secret");
    assert!(world.account(account).version > doubted, "who asked before has asked too early");
    world.turn();
    assert_eq!(world.account(account).state, AccountState::Connected);
    // A true one.
    world.platform.revoke("alice");
    tell("app-secret");
    assert_eq!(world.turn().ended, 1);
    let rows = world.rows();
    assert!(!rows.tokens.contains_key(&account) && !rows.schedule.contains_key(&account));
    assert!(matches!(
        world.account(account).state,
        AccountState::ConsentNeeded { end: ConsentEnd::Revoked, .. }
    ));
    let told = rows.announced.iter().filter(|news| news.fact == AccountFact::ConsentNeeded(account)).count();
    assert_eq!(told, 3, "once for each that ended something");
}

#[test]
fn a_refusal_of_the_app_blames_no_account() {
    let world = World::new();
    let account = world.link("alice");
    world.wait(TimeDelta::days(12));
    world.platform.script([Mishap::Refuses(RefusalKind::AppOff)]);
    assert_eq!(world.turn().failed, 1);
    assert_eq!(world.account(account).state, AccountState::Connected);
    let begin = world.command(async |tx| world.accounts.begin_link(tx, &world.owner, world.ask()).await);
    assert!(matches!(begin, Err(AccountsError::AppSwitchedOff)));
    let change = AppChange::default();
    world
        .command(async |tx| world.accounts.change_app(tx, &world.owner, world.app, change).await)
        .expect("seen to");
    world.wait(TimeDelta::hours(1));
    assert_eq!(world.turn().refreshed, 1);
    assert!(world.works(account));
}

#[test]
fn who_may_not_is_refused() {
    let world = World::new();
    let account = world.link("alice");
    let analyst = world.member(Role::Analyst);
    let denied = world.command(async |tx| world.accounts.pause_account(tx, &analyst, account).await);
    assert!(matches!(denied, Err(AccountsError::Denied(_))));
    let denied =
        world.command(async |tx| world.accounts.register_app(tx, &analyst, World::draft(&["x"])).await);
    assert!(matches!(denied, Err(AccountsError::Denied(_))));
}
