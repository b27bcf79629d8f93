//! Every field comes back, and what is older never wins.

use std::collections::{BTreeSet, HashSet};

use domain::{
    accounts::{
        model::{
            Account, AccountState, App, AppState, ConsentEnd, Group, Link, Pause, Profile, TokenSecrets,
            Tokens,
        },
        ports::TokenSchedule as _,
    },
    kernel::{
        fault::Retry,
        ids::{AccountId, AppId, GroupId, LinkId, MemberId},
        page::{Key, PageRequest},
        platform::PlatformKey,
    },
    work::Work,
};
use infra::system::System;

use super::{Trial, account_of, app_called, at, first, link_of, retry, secret, tokens_of, words};

#[tokio::test(flavor = "multi_thread")]
async fn apps_come_back_whole_and_once_a_client_key() {
    let trial = Trial::start().await;
    let app = trial.has_app("key-1").await;
    let mut work = trial.begin().await;
    assert_eq!(work.app(app.id).await.unwrap(), Some(app.clone()));
    let credentials = work.app_credentials(app.id).await.unwrap().unwrap();
    assert_eq!((credentials.app, credentials.client_key.as_str()), (app.id, "key-1"));
    assert_eq!(credentials.client_secret, secret("the-client-secret"));
    assert!(!work.add_app(&app_called("key-1"), &secret("x")).await.unwrap(), "taken");
    let other = App { platform: PlatformKey::parse("fake").unwrap(), ..app_called("key-1") };
    assert!(
        work.add_app(&other, &secret("x")).await.unwrap(),
        "the transaction goes on; another platform's key"
    );
    let mut changed = App {
        name: "Renamed".to_owned(),
        scopes: words(&["a"]),
        scopes_off: Vec::new(),
        state: AppState::SwitchedOff,
        ..app.clone()
    };
    work.update_app(&changed, None).await.unwrap();
    changed.version = 2;
    assert_eq!(work.app(app.id).await.unwrap(), Some(changed.clone()));
    let kept = work.app_credentials(app.id).await.unwrap().unwrap().client_secret;
    assert_eq!(kept, secret("the-client-secret"), "left as it was");
    work.update_app(&changed, Some(&secret("newer"))).await.unwrap();
    assert_eq!(work.app_credentials(app.id).await.unwrap().unwrap().client_secret, secret("newer"));
    assert_eq!(retry(work.update_app(&changed, None).await), Retry::AfterReread);
    let page = work.apps(first(1)).await.unwrap();
    assert!(page.more && page.items.len() == 1);
    let key = Key { at: page.items[0].created_at, id: page.items[0].id.uuid() };
    let rest = work.apps(PageRequest { from: Some(key), ..first(9) }).await.unwrap();
    let ids: BTreeSet<_> = page.items.iter().chain(&rest.items).map(|app| app.id).collect();
    assert_eq!((ids, rest.more), (BTreeSet::from([app.id, other.id]), false));
    drop(work);
    trial.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_come_back_whole_in_every_state() {
    let trial = Trial::start().await;
    let (app, owner) = (trial.has_app("key-1").await, trial.owner(&trial.home).await);
    let group = trial.has_group("Shoes", None).await;
    let mut account = trial.has_account(account_of(&app, "open-1")).await;
    let mut work = trial.begin().await;
    let states = ConsentEnd::ALL.map(|end| AccountState::ConsentNeeded { end, since: at(4) });
    let rest = [AccountState::Unlinked { since: at(5) }, AccountState::Connected];
    for (number, state) in states.into_iter().chain(rest).enumerate() {
        account.state = state;
        account.group = (number % 2 == 0).then_some(group.id);
        account.paused =
            (number % 3 != 2).then_some(Pause { since: at(2), by: (number % 3 == 0).then_some(owner) });
        account.tags = words(&["x", "y", "z"][..number % 4]);
        account.profile.union_id = (number % 2 == 1).then(|| "u".to_owned());
        work.update_account(&account).await.unwrap();
        account.version += 1;
        assert_eq!(work.account(account.id).await.unwrap().as_ref(), Some(&account));
    }
    account.profile = Profile::default();
    work.update_account(&account).await.unwrap();
    account.version += 1;
    assert_eq!(work.lock_account(account.id).await.unwrap().as_ref(), Some(&account));
    assert_eq!(work.lock_account_by_open_id(app.id, "open-1").await.unwrap().as_ref(), Some(&account));
    assert_eq!(work.lock_account_by_open_id(app.id, "open-2").await.unwrap(), None);
    assert_eq!(work.lock_account_by_open_id(AppId::new(&System), "open-1").await.unwrap(), None);
    work.commit().await.unwrap();
    trial.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_before_a_change_is_refused() {
    let trial = Trial::start().await;
    let app = trial.has_app("key-1").await;
    let group = trial.has_group("Shoes", None).await;
    let account = trial.has_account(account_of(&app, "open-1")).await;
    let mut work = trial.begin().await;
    work.update_account(&account).await.unwrap();
    assert_eq!(retry(work.update_account(&account).await), Retry::AfterReread);
    work.update_group(&group).await.unwrap();
    assert_eq!(retry(work.update_group(&group).await), Retry::AfterReread);
    assert_eq!(
        retry(work.add_account(&account_of(&app, "open-1")).await),
        Retry::AfterReread,
        "the same owner"
    );
    let tokens = tokens_of(&account);
    work.put_tokens(&tokens).await.unwrap();
    assert_eq!(work.tokens(account.id).await.unwrap(), Some(tokens.clone()));
    work.update_tokens(&tokens).await.unwrap();
    assert_eq!(retry(work.update_tokens(&tokens).await), Retry::AfterReread);
    work.commit().await.unwrap();
    // Rows that name what was removed since are as stale.
    let gone = GroupId::new(&System);
    for group in [Some(gone), None] {
        let mut work = trial.begin().await;
        let mut account = work.account(account.id).await.unwrap().unwrap();
        account.group = group;
        let update = work.update_account(&account).await;
        assert_eq!(update.map_err(|fault| fault.retry), group.map_or(Ok(()), |_| Err(Retry::AfterReread)));
    }
    let mut work = trial.begin().await;
    let orphan = account_of(&app_called("never added"), "open-1");
    assert_eq!(retry(work.add_account(&orphan).await), Retry::AfterReread);
    drop(work);
    trial.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_come_back_whole_and_their_version_only_rises() {
    let trial = Trial::start().await;
    let app = trial.has_app("key-1").await;
    let account = trial.has_account(account_of(&app, "open-1")).await;
    let given = tokens_of(&account);
    let mut work = trial.begin().await;
    assert_eq!(work.tokens(account.id).await.unwrap(), None);
    work.put_tokens(&given).await.unwrap();
    assert_eq!(work.tokens(account.id).await.unwrap(), Some(given.clone()));
    let stranger = AccountId::new(&System);
    let terms = work.token_terms(&[account.id, stranger, account.id]).await.unwrap();
    assert_eq!(terms, [(account.id, given.terms.clone())].into());
    let mut bare = given.clone();
    bare.secrets = TokenSecrets { access: secret("act.2"), refresh: None };
    bare.terms.refresh_expires_at = None;
    bare.terms.renewing_since = None;
    bare.terms.last_error = None;
    bare.terms.renewals_max = u32::MAX;
    work.update_tokens(&bare).await.unwrap();
    bare.terms.version = 2;
    assert_eq!(work.tokens(account.id).await.unwrap(), Some(bare.clone()));
    let version =
        async |work: &mut Box<dyn Work>| work.tokens(account.id).await.unwrap().unwrap().terms.version;
    work.put_tokens(&given).await.unwrap();
    assert_eq!(version(&mut work).await, 3, "of a new consent");
    work.remove_tokens(account.id).await.unwrap();
    assert_eq!(work.tokens(account.id).await.unwrap(), None);
    work.remove_tokens(account.id).await.unwrap();
    let stored = work.account(account.id).await.unwrap().unwrap();
    work.update_account(&stored).await.unwrap();
    work.put_tokens(&given).await.unwrap();
    assert_eq!(version(&mut work).await, 4, "who still holds the first has an older one");
    assert_eq!(retry(work.update_tokens(&given).await), Retry::AfterReread);
    let nobody = Tokens { account: stranger, ..given };
    assert_eq!(retry(work.put_tokens(&nobody).await), Retry::AfterReread, "its account was removed");
    work.commit().await.unwrap();
    trial.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_come_back_whole() {
    let trial = Trial::start().await;
    let (app, owner) = (trial.has_app("key-1").await, trial.owner(&trial.home).await);
    let mut link = link_of(&app, owner);
    let plain = Link { id: LinkId::new(&System), verifier: None, group: None, again: None, ..link.clone() };
    let mut work = trial.begin().await;
    for link in [&link, &plain] {
        work.add_link(link).await.unwrap();
        assert_eq!(work.link(link.id).await.unwrap().as_ref(), Some(link));
    }
    assert!(link.come_back(at(3)));
    for account in [Some(AccountId::new(&System)), None] {
        match account {
            Some(account) => link.succeed(account, at(4)),
            None => link.fail("session_over", at(5)),
        }
        work.update_link(&link).await.unwrap();
        assert_eq!(work.lock_link(link.id).await.unwrap().as_ref(), Some(&link));
    }
    let gone = Link { id: LinkId::new(&System), ..plain };
    assert_eq!(retry(work.update_link(&gone).await), Retry::AfterReread);
    work.commit().await.unwrap();
    trial.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_goes_with_its_attempts_and_what_was_given_up() {
    let trial = Trial::start().await;
    let (app, owner) = (trial.has_app("key-1").await, trial.owner(&trial.home).await);
    let other = trial.has_app("key-2").await;
    let link = link_of(&app, owner);
    let kept = trial.has_account(account_of(&other, "open-1")).await;
    let id = trial.has_scheduled(&app, "open-1", at(0)).await;
    let mut work = trial.begin().await;
    work.add_link(&link).await.unwrap();
    work.commit().await.unwrap();
    let mut work = trial.begin().await;
    assert_eq!(retry(work.remove_app(app.id).await), Retry::AfterReread, "an account was linked meanwhile");
    drop(work);
    let mut work = trial.begin().await;
    assert!(work.link(link.id).await.unwrap().is_some(), "nothing was done by halves");
    let mut account = work.account(id).await.unwrap().unwrap();
    assert!(account.unlink(at(5)));
    work.update_account(&account).await.unwrap();
    work.commit().await.unwrap();
    let mut work = trial.begin().await;
    work.remove_app(app.id).await.unwrap();
    assert_eq!((work.app(app.id).await.unwrap(), work.link(link.id).await.unwrap()), (None, None));
    assert_eq!((work.account(id).await.unwrap(), work.tokens(id).await.unwrap()), (None, None));
    assert_eq!(work.account(kept.id).await.unwrap(), Some(kept), "another app's");
    work.commit().await.unwrap();
    assert_eq!(trial.schedule().claim(at(60), 9, at(60) - at(0)).await.unwrap(), [], "nor is anything due");
    trial.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_hold_accounts_and_are_granted() {
    let trial = Trial::start().await;
    let (app, owner) = (trial.has_app("key-1").await, trial.owner(&trial.home).await);
    let top = trial.has_group("Brand", None).await;
    let mut part = trial.has_group("Shoes", Some(top.id)).await;
    let account = trial.has_account(Account { group: Some(part.id), ..account_of(&app, "open-1") }).await;
    let mut work = trial.begin().await;
    assert_eq!(
        HashSet::from([&top, &part].map(|g| g.id)),
        work.groups().await.unwrap().iter().map(|g| g.id).collect()
    );
    assert!(work.groups().await.unwrap().contains(&part));
    assert!(!work.grant_group(top.id, MemberId::new(&System), at(0)).await.unwrap(), "nobody");
    assert!(work.grant_group(top.id, owner, at(2)).await.unwrap(), "the transaction goes on");
    assert!(work.grant_group(top.id, owner, at(3)).await.unwrap(), "twice changes nothing");
    assert!(work.grant_group(part.id, owner, at(1)).await.unwrap());
    let granted: BTreeSet<_> = work.granted_groups(owner).await.unwrap().into_iter().collect();
    assert_eq!(granted, [top.id, part.id].into());
    let grants = work.grants_of(&[top.id, GroupId::new(&System)]).await.unwrap();
    assert_eq!(grants, [(top.id, vec![owner])].into());
    assert!(work.revoke_group(top.id, owner).await.unwrap());
    assert!(!work.revoke_group(top.id, owner).await.unwrap());
    assert!(!work.remove_group(part.id).await.unwrap(), "an account is in it");
    assert!(!work.remove_group(top.id).await.unwrap(), "a group is in it");
    part.name = "Boots".to_owned();
    part.parent = None;
    work.update_group(&part).await.unwrap();
    part.version = 2;
    assert!(work.groups().await.unwrap().contains(&part));
    work.update_account(&Account { group: None, ..account.clone() }).await.unwrap();
    assert!(work.remove_group(part.id).await.unwrap());
    assert_eq!(work.granted_groups(owner).await.unwrap(), [], "the grant went with it");
    assert!(!work.remove_group(part.id).await.unwrap());
    work.commit().await.unwrap();
    trial.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_locks_the_matrices_sees_what_the_one_before_did() {
    let trial = Trial::start().await;
    let group = trial.has_group("First", None).await;
    let mut one = trial.begin().await;
    let mut two = trial.begin().await;
    assert_eq!(one.lock_groups().await.unwrap(), std::slice::from_ref(&group));
    let waiting = tokio::spawn(async move { two.lock_groups().await.unwrap().len() });
    trial.somebody_waits().await;
    one.add_group(&Group { id: GroupId::new(&System), ..group }).await.unwrap();
    one.commit().await.unwrap();
    assert_eq!(waiting.await.unwrap(), 2);
    trial.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_an_account_is_being_put_into_stays() {
    let trial = Trial::start().await;
    let app = trial.has_app("key-1").await;
    let group = trial.has_group("First", None).await;
    let mut one = trial.begin().await;
    let mut two = trial.begin().await;
    one.add_account(&Account { group: Some(group.id), ..account_of(&app, "open-1") }).await.unwrap();
    let waiting = tokio::spawn(async move { two.remove_group(group.id).await.unwrap() });
    trial.somebody_waits().await;
    one.commit().await.unwrap();
    assert!(!waiting.await.unwrap());
    trial.stop().await;
}
