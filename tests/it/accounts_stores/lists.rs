//! What is asked for is found, in order and page by page.

use std::collections::BTreeSet;

use domain::{
    accounts::{
        model::{Account, AccountState, ConsentEnd, Reach},
        ports::AccountQuery,
    },
    kernel::{
        clock::Timestamp,
        ids::{AppId, GroupId},
        page::{Direction, Key, PageRequest},
    },
};

use super::{Trial, account_of, all_accounts, at, first, tokens_of, words};

/// What is in store to be asked for: five accounts of two apps, some in one of two groups.
struct Stock {
    app: AppId,
    other: AppId,
    left: GroupId,
    right: GroupId,
}

async fn stock(trial: &Trial) -> Stock {
    let (app, other) = (trial.has_app("key-1").await, trial.has_app("key-2").await);
    let (left, right) = (trial.has_group("Left", None).await, trial.has_group("Right", None).await);
    let unlinked = AccountState::Unlinked { since: at(9) };
    let needed = AccountState::ConsentNeeded { end: ConsentEnd::Expired, since: at(9) };
    for (number, app, group, tags, state) in [
        (1, &app, Some(left.id), words(&["a"]), AccountState::Connected),
        (2, &app, Some(right.id), words(&["a", "b"]), AccountState::Connected),
        (3, &other, Some(left.id), words(&["b"]), needed),
        (4, &other, None, Vec::new(), AccountState::Connected),
        (5, &app, Some(left.id), words(&["a"]), unlinked),
    ] {
        let account = account_of(app, &number.to_string());
        // Two each at one instant, so that the id has to settle it.
        trial.has_account(Account { group, tags, state, created_at: at(number / 2), ..account }).await;
    }
    Stock { app: app.id, other: other.id, left: left.id, right: right.id }
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_asked_for_by_reach_group_app_tag_and_state() {
    let trial = Trial::start().await;
    let Stock { app, other, left, right } = stock(&trial).await;
    let groups = |list: &[GroupId]| Reach::Groups(list.iter().copied().collect());
    let only = all_accounts();
    let mut work = trial.begin().await;
    for (query, wanted) in [
        (only.clone(), &["1", "2", "3", "4"][..]),
        (AccountQuery { state: Some("unlinked"), ..only.clone() }, &["5"]),
        (AccountQuery { state: Some("consent_needed"), ..only.clone() }, &["3"]),
        (AccountQuery { state: Some("connected"), ..only.clone() }, &["1", "2", "4"]),
        (AccountQuery { reach: groups(&[]), ..only.clone() }, &[]),
        (AccountQuery { reach: groups(&[left]), ..only.clone() }, &["1", "3"]),
        (
            AccountQuery { reach: groups(&[left]), groups: Some(vec![left, right]), ..only.clone() },
            &["1", "3"],
        ),
        (AccountQuery { reach: groups(&[left]), groups: Some(vec![right]), ..only.clone() }, &[]),
        (AccountQuery { groups: Some(vec![right]), ..only.clone() }, &["2"]),
        (AccountQuery { groups: Some(Vec::new()), ..only.clone() }, &[]),
        (AccountQuery { app: Some(other), ..only.clone() }, &["3", "4"]),
        (AccountQuery { tags: words(&["b"]), ..only.clone() }, &["2", "3"]),
        (AccountQuery { tags: words(&["b", "a"]), ..only.clone() }, &["2"]),
        (AccountQuery { tags: words(&["b"]), app: Some(app), reach: groups(&[left]), ..only.clone() }, &[]),
    ] {
        let found = work.accounts(&query, first(9)).await.unwrap();
        let mut names: Vec<_> = found.items.iter().map(|account| account.open_id.as_str()).collect();
        names.sort_unstable();
        assert_eq!((names, found.more), (wanted.to_vec(), false), "{query:?}");
        let count = u32::try_from(wanted.len()).unwrap();
        assert_eq!(work.count_accounts(&query, 9).await.unwrap(), count, "{query:?}");
    }
    assert_eq!(work.count_accounts(&only, 2).await.unwrap(), 2, "counted no further");
    assert_eq!(
        (work.accounts_of_app(app).await.unwrap(), work.accounts_of_app(other).await.unwrap()),
        (2, 2)
    );
    drop(work);
    trial.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_paged_both_ways() {
    let trial = Trial::start().await;
    stock(&trial).await;
    let only = all_accounts();
    let mut work = trial.begin().await;
    let whole = work.accounts(&only, first(9)).await.unwrap().items;
    assert!(whole.is_sorted_by_key(|account| (account.created_at, account.id)));
    for direction in [Direction::Forward, Direction::Backward] {
        let (mut read, mut from) = (Vec::new(), None);
        loop {
            let page = work.accounts(&only, PageRequest { limit: 3, from, direction }).await.unwrap();
            let last = match direction {
                Direction::Forward => page.items.last(),
                Direction::Backward => page.items.first(),
            };
            from = last.map(|account| Key { at: account.created_at, id: account.id.uuid() });
            match direction {
                Direction::Forward => read.extend(page.items),
                Direction::Backward => drop(read.splice(0..0, page.items)),
            }
            if !page.more {
                break;
            }
        }
        assert_eq!(read, whole, "{direction:?}");
    }
    drop(work);
    trial.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consents_are_listed_by_their_end() {
    let trial = Trial::start().await;
    let app = trial.has_app("key-1").await;
    let group = trial.has_group("Shoes", None).await;
    let mut wanted = Vec::new();
    for (number, end) in [(1, 100), (2, 300), (3, 300), (4, 200), (5, 900)] {
        let group = (number != 4).then_some(group.id);
        let account = trial.has_account(Account { group, ..account_of(&app, &number.to_string()) }).await;
        let mut tokens = tokens_of(&account);
        tokens.terms.renewals_used = tokens.terms.renewals_max;
        tokens.terms.refresh_expires_at = Some(at(end));
        let mut work = trial.begin().await;
        work.put_tokens(&tokens).await.unwrap();
        work.commit().await.unwrap();
        wanted.push((at(end), account));
    }
    wanted.pop();
    wanted.sort_by_key(|(end, account)| (*end, account.id));
    let mut work = trial.begin().await;
    let found = work.consents_ending(&Reach::All, at(900), first(9)).await.unwrap();
    assert_eq!((&found.items, found.more), (&wanted, false), "those that end before");
    let page = work.consents_ending(&Reach::All, at(900), first(3)).await.unwrap();
    assert_eq!((&page.items[..], page.more), (&wanted[..3], true));
    let key = |(end, account): &(Timestamp, Account)| Some(Key { at: *end, id: account.id.uuid() });
    let from = key(&wanted[2]);
    let page = work.consents_ending(&Reach::All, at(900), PageRequest { from, ..first(3) }).await.unwrap();
    assert_eq!((&page.items[..], page.more), (&wanted[3..], false));
    let back = PageRequest { limit: 2, from, direction: Direction::Backward };
    let page = work.consents_ending(&Reach::All, at(900), back).await.unwrap();
    assert_eq!((&page.items[..], page.more), (&wanted[..2], false));
    let last = PageRequest { limit: 1, from: None, direction: Direction::Backward };
    let page = work.consents_ending(&Reach::All, at(900), last).await.unwrap();
    assert_eq!((&page.items[..], page.more), (&wanted[3..], true));
    let reach = Reach::Groups([group.id].into());
    let reached = work.consents_ending(&reach, at(900), first(9)).await.unwrap().items;
    assert_eq!(reached.len(), 3, "not the one in no group");
    let nothing = work.consents_ending(&Reach::Groups(BTreeSet::new()), at(900), first(9)).await.unwrap();
    assert_eq!(nothing.items, []);
    drop(work);
    trial.stop().await;
}
