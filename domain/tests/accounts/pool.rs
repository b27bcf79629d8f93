//! The pool over days and months, and every way a platform or a process can fail it.

use chrono::TimeDelta;
use domain::{
    accounts::{
        events::AccountFact,
        model::{AccountState, ConsentEnd, Health},
        ports::RefusalKind,
        testkit::Mishap,
    },
    kernel::{clock::Clock as _, ids::AccountId},
};

use crate::world::{World, now};

#[test]
fn a_consent_is_lived_to_its_end_without_anybody_looking() {
    let world = World::new();
    let account = world.link("alice");
    let turn = world.live(150);
    assert_eq!((turn.renewed, turn.failed), (5, 0));
    assert!(world.works(account), "{:?}", world.tokens(account).terms);
    let calls = world.platform.calls();
    let refreshes = calls.iter().filter(|call| **call == "refresh").count();
    assert!(refreshes <= 20, "{refreshes} refreshes in 150 days");
    let ended = world.live(20);
    assert_eq!(ended.ended, 1, "{:?}", world.account(account));
    assert!(matches!(
        world.account(account).state,
        AccountState::ConsentNeeded { end: ConsentEnd::Expired, .. }
    ));
    let told =
        world.rows().announced.iter().filter(|n| n.fact == AccountFact::ConsentNeeded(account)).count();
    assert_eq!(told, 1, "one notice");
}

#[test]
fn faults_that_pass_disconnect_nobody() {
    let world = World::new();
    let account = world.link("alice");
    world.wait(TimeDelta::days(12));
    for _ in 0..20 {
        world.platform.script([Mishap::Busy]);
        assert_eq!(world.turn().failed, 1);
        assert_eq!(world.account(account).state, AccountState::Connected);
        world.wait(TimeDelta::minutes(16));
    }
    let terms = world.tokens(account).terms;
    assert_eq!((terms.failures, terms.health(account, world.clock.now())), (20, Health::Failing));
    assert_eq!(world.turn().refreshed, 1);
    assert_eq!(world.tokens(account).terms.last_error, None);
    assert!(world.works(account));
}

#[test]
fn failures_are_spaced_out() {
    let world = World::new();
    world.link("alice");
    world.wait(TimeDelta::days(12));
    world.platform.script(std::iter::repeat_n(Mishap::Busy, 1_000));
    let before = world.platform.calls().len();
    for _ in 0..3_600 {
        world.wait(TimeDelta::seconds(1));
        world.turn();
    }
    let calls = world.platform.calls().len() - before;
    assert!((8..=14).contains(&calls), "{calls} calls in the first hour");
}

#[test]
fn a_lost_answer_to_a_refresh_costs_another_refresh() {
    let world = World::new();
    let account = world.link("alice");
    world.wait(TimeDelta::days(12));
    world.platform.script([Mishap::LosesAnswer]);
    assert_eq!(world.turn().failed, 1);
    world.wait(TimeDelta::minutes(1));
    assert_eq!(world.turn().refreshed, 1);
    assert!(world.works(account));
}

/// Goes on, hour by hour, until a renewal is asked for, which ends so.
fn renew_with(world: &World, account: AccountId, mishap: Mishap) {
    while !world.platform.calls().contains(&"renew") {
        world.wait(TimeDelta::hours(1));
        // An access token that is not young is replaced first.
        let young = world.clock.now() - world.tokens(account).terms.access_issued_at <= TimeDelta::hours(24);
        world.platform.script(if young { vec![mishap] } else { vec![Mishap::None, mishap] });
        world.turn();
    }
    world.platform.script([]);
}

/// To just before the refresh token is due to be renewed.
fn until_renewal(world: &World) {
    world.live(22);
}

#[test]
fn a_renewal_that_was_not_made_is_made_later() {
    let world = World::new();
    let account = world.link("alice");
    until_renewal(&world);
    renew_with(&world, account, Mishap::Busy);
    let turn = world.live(1);
    assert_eq!(turn.renewed, 1, "{:?}", world.tokens(account).terms);
    assert!(world.works(account));
}

#[test]
fn a_renewal_whose_answer_was_lost_leaves_a_young_access_token() {
    let world = World::new();
    let account = world.link("alice");
    until_renewal(&world);
    renew_with(&world, account, Mishap::LosesAnswer);
    world.live(1);
    let tokens = world.tokens(account);
    assert_eq!(tokens.secrets.refresh, None);
    assert_eq!(world.account(account).state, AccountState::Connected);
    assert!(world.works(account));
    assert_eq!(tokens.terms.health(account, world.clock.now()), Health::Ending);
    let left = tokens.terms.access_expires_at - world.clock.now();
    assert!(left > TimeDelta::days(12), "{left} to have the owner consent again");
    assert_eq!(
        world.platform.calls().iter().filter(|call| **call == "renew").count(),
        1,
        "never asked twice"
    );
}

#[test]
fn a_crash_between_the_platforms_answer_and_the_store_loses_no_token() {
    let world = World::new();
    let account = world.link("alice");
    until_renewal(&world);
    // The store goes away with the answer in our hands: every commit from the renewal's on fails.
    while world.journal.is_empty() {
        world.wait(TimeDelta::hours(1));
        for (scope, id) in now(world.accounts.claim_due(10)).expect("claims") {
            world.store.fail_commits(0);
            let renewals = world.platform.calls().iter().filter(|call| **call == "renew").count();
            assert_eq!(renewals, 0, "not yet");
            fail_from_renewal_on(&world);
            let _ = now(world.accounts.refresh_tokens(scope, id));
        }
    }
    world.store.fail_commits(0);
    assert!(!world.works(account), "the store still has the dead token");
    // The process starts again, and asks the platform nothing.
    let calls = world.platform.calls().len();
    assert_eq!(world.recover(), 1);
    assert_eq!(world.platform.calls().len(), calls);
    assert!(world.works(account) && world.journal.is_empty());
    assert_eq!(world.tokens(account).terms.renewals_used, 1);
    // And once more: nothing is left to take in.
    assert_eq!(world.recover(), 0);
}

/// The commits of a turn that renews at once: one to write the renewal down, then the answer's.
fn fail_from_renewal_on(world: &World) {
    let tokens = world.rows().tokens.into_values().next().expect("tokens");
    let young = world.clock.now() - tokens.terms.access_issued_at <= TimeDelta::hours(24);
    // An older access token is replaced first, which is one commit more.
    let skip = if young { 1 } else { 2 };
    world.store.fail_commits_after(skip, 3);
}

#[test]
fn what_another_replica_took_for_lost_comes_back_from_the_journal() {
    let world = World::new();
    let account = world.link("alice");
    until_renewal(&world);
    while world.journal.is_empty() {
        world.wait(TimeDelta::hours(1));
        fail_from_renewal_on(&world);
        world.turn();
    }
    world.store.fail_commits(0);
    // A replica with a journal of its own tends the account, and finds the old token dead.
    let (scope, kept) = now(world.take_journal(account));
    world.wait(TimeDelta::minutes(10));
    world.turn();
    assert_eq!(world.tokens(account).secrets.refresh, None, "taken for lost");
    now(world.put_journal(scope, account, kept));
    assert_eq!(world.recover(), 1);
    assert!(world.works(account));
    assert_eq!(world.tokens(account).terms.renewals_used, 1);
}

#[test]
fn a_renewals_answer_is_taken_in_however_the_store_changed_meanwhile() {
    let world = World::new();
    let account = world.link("alice");
    until_renewal(&world);
    // While the platform renews, somebody whose claim came too early finds the old token still working.
    let (store, scope) = (world.store.clone(), world.scope);
    world.platform.meanwhile("renew", move || {
        store.change(scope, |rows| {
            let tokens = rows.tokens.get_mut(&account).expect("tokens");
            tokens.terms.renewing_since = None;
            tokens.terms.version += 1;
            rows.versions.insert(account, tokens.terms.version);
        });
    });
    while !world.platform.calls().contains(&"renew") {
        world.wait(TimeDelta::hours(1));
        world.turn();
    }
    assert!(world.works(account) && world.journal.is_empty(), "{:?}", world.tokens(account).terms);
    assert_eq!(world.tokens(account).terms.renewals_used, 1);
}

#[test]
fn nothing_is_renewed_whose_answer_could_not_be_written_down() {
    let world = World::new();
    let account = world.link("alice");
    world.journal.fill(true);
    world.live(26);
    assert!(!world.platform.calls().contains(&"renew"));
    assert_eq!(world.tokens(account).terms.last_error.as_deref(), Some("no journal"));
    assert!(world.works(account));
    world.journal.fill(false);
    world.live(1);
    assert_eq!(world.tokens(account).terms.renewals_used, 1);
    assert!(world.works(account));
}

#[test]
fn a_journal_that_cannot_be_read_is_in_nobodys_way() {
    let world = World::new();
    let account = world.link("alice");
    world.journal.spoil(true);
    world.wait(TimeDelta::days(12));
    let (scope, id) = now(world.accounts.claim_due(10)).expect("claims").remove(0);
    let turn = now(world.accounts.refresh_tokens(scope, id)).expect("tends");
    assert_eq!((turn.refreshed, turn.failed), (1, 0));
    assert!(turn.unkept > 0, "and it is told");
    assert!(world.works(account));
}

#[test]
fn who_is_about_to_end_renews_nothing() {
    let world = World::new();
    let account = world.link("alice");
    world.accounts.stop_renewing();
    world.live(26);
    assert!(!world.platform.calls().contains(&"renew") && world.works(account));
}

#[test]
fn an_app_that_may_not_renew_has_shorter_consents() {
    let world = World::new();
    let account = world.link("alice");
    let long = world.tokens(account).terms.consent_ends_at();
    let scopes = |list: &[&str]| domain::accounts::AppChange {
        scopes: Some(list.iter().map(|scope| (*scope).to_owned()).collect()),
        ..domain::accounts::AppChange::default()
    };
    let change = |change| {
        world.command(async |tx| world.accounts.change_app(tx, &world.owner, world.app, change).await)
    };
    change(scopes(&["comments", "profile", "publish"])).expect("changes");
    world.turn();
    let short = world.tokens(account).terms.consent_ends_at();
    assert_eq!(long - short, TimeDelta::days(150), "without five renewals");
    change(scopes(&["comments", "profile", "publish", "renew"])).expect("changes");
    world.turn();
    assert_eq!(world.tokens(account).terms.consent_ends_at(), long);
}

#[test]
fn an_older_answer_never_replaces_newer_tokens() {
    let world = World::new();
    let account = world.link("alice");
    world.wait(TimeDelta::days(12));
    assert!(!now(world.accounts.claim_due(10)).expect("claims").is_empty());
    assert!(now(world.accounts.claim_due(10)).expect("claims").is_empty(), "nobody else gets it");
    // While the platform refreshes, the owner consents again: the answer under way is of the old consent.
    let (store, scope) = (world.store.clone(), world.scope);
    let newer = domain::kernel::secret::Secret::from("act.newer".to_owned());
    let written = newer.clone();
    world.platform.meanwhile("refresh", move || {
        store.change(scope, |rows| {
            let tokens = rows.tokens.get_mut(&account).expect("tokens");
            tokens.secrets.access = written;
            tokens.terms.version += 1;
        });
    });
    let turn = now(world.accounts.refresh_tokens(world.scope, account)).expect("tends");
    assert_eq!(turn.refreshed, 0, "what came back is not stored");
    assert_eq!(world.tokens(account).secrets.access, newer);
}

#[test]
fn a_dead_refresh_token_is_checked_against_the_access_token() {
    let world = World::new();
    let account = world.link("alice");
    world.wait(TimeDelta::days(12));
    world.platform.script([Mishap::Refuses(RefusalKind::ConsentGone)]);
    world.turn();
    assert_eq!(world.account(account).state, AccountState::Connected, "the access token still works");
    assert_eq!(world.tokens(account).terms.health(account, world.clock.now()), Health::Ending);
    let other = world.link("bob");
    world.wait(TimeDelta::days(12));
    world.platform.revoke("bob");
    world.turn();
    assert!(matches!(
        world.account(other).state,
        AccountState::ConsentNeeded { end: ConsentEnd::Refused, .. }
    ));
}

#[test]
fn a_platform_that_says_no_more_renewals_is_doubted_and_then_believed() {
    let world = World::new();
    let account = world.link("alice");
    until_renewal(&world);
    let renewals = || world.platform.calls().iter().filter(|call| **call == "renew").count();
    // Whatever is asked first; then every renewal is refused, though by our count five are left.
    for _ in 0..48 {
        let young = world.clock.now() - world.tokens(account).terms.access_issued_at <= TimeDelta::hours(24);
        let no = Mishap::Refuses(RefusalKind::RenewalsOver);
        world.platform.script(if young { vec![no] } else { vec![Mishap::None, no] });
        world.wait(TimeDelta::hours(1));
        world.turn();
    }
    world.platform.script([]);
    assert_eq!(renewals(), 6, "asked again, and then not any more");
    assert_eq!(world.tokens(account).terms.renewals_left(), 0);
    world.live(3);
    assert_eq!(renewals(), 6);
    assert!(world.works(account));
}

#[test]
fn a_token_is_lent_fresh_and_not_of_a_paused_account() {
    let world = World::new();
    let account = world.link("alice");
    let lend = || now(world.accounts.lease_token(&world.origin(), world.scope, account));
    let first = lend().expect("lends");
    world.wait(TimeDelta::days(15) - TimeDelta::minutes(4));
    let second = lend().expect("lends");
    assert_ne!(first.access, second.access, "four minutes are too few");
    assert!(second.expires_at - world.clock.now() > TimeDelta::days(14));
    world.command(async |tx| world.accounts.pause_account(tx, &world.owner, account).await).expect("pauses");
    assert!(matches!(lend(), Err(domain::accounts::AccountsError::Paused)));
}

#[test]
fn five_hundred_at_once_are_spread_and_none_is_left() {
    let world = World::new();
    let accounts: Vec<_> = (0..500).map(|n| world.link(&format!("owner{n}"))).collect();
    let mut busiest = 0;
    for _ in 0..15 * 24 {
        world.wait(TimeDelta::hours(1));
        busiest = busiest.max(world.turn().refreshed);
    }
    assert!(busiest < 60, "{busiest} in the busiest hour");
    assert!(accounts.iter().all(|account| world.works(*account)));
}
