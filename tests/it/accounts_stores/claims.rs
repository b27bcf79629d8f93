//! The schedule, which all tenants share.

use std::collections::HashSet;

use domain::{
    accounts::ports::TokenSchedule as _,
    kernel::{ids::AccountId, scope::TenantScope},
};
use infra::system::System;
use sqlx::Connection as _;

use super::{Trial, at};

#[tokio::test(flavor = "multi_thread")]
async fn the_schedule_is_reached_through_its_functions_alone() {
    let trial = Trial::start().await;
    let mut connection = trial.app.app_connection().await.unwrap();
    for (sql, part) in [
        ("SELECT * FROM accounts.token_schedule", "permission denied"),
        ("DELETE FROM accounts.token_schedule", "permission denied"),
        ("SELECT accounts.schedule_tokens(gen_random_uuid(), now())", "app.tenant_id"),
        ("SELECT accounts.schedule_tokens(gen_random_uuid(), NULL)", "app.tenant_id"),
    ] {
        let error = sqlx::query(sql).execute(&mut connection).await.unwrap_err().to_string();
        assert!(error.contains(part), "{sql}: {error}");
    }
    let mut recorder = trial.app.recorder_connection().await.unwrap();
    let claim = "SELECT * FROM accounts.claim_due_tokens(now(), 1, interval '1 s')";
    let error = sqlx::query(claim).execute(&mut recorder).await.unwrap_err().to_string();
    assert!(error.contains("permission denied"), "{error}");
    connection.close().await.unwrap();
    trial.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_are_one_persons_until_they_run_out() {
    let trial = Trial::start().await;
    let app = trial.has_app("key-1").await;
    let schedule = trial.schedule();
    let lease = at(60) - at(0);
    let mut due = HashSet::new();
    for number in 0..40 {
        due.insert((trial.scope(), trial.has_scheduled(&app, &number.to_string(), at(-number)).await));
    }
    let later = trial.has_scheduled(&app, "later", at(1)).await;
    let claimers: Vec<_> = (0..4)
        .map(|_| {
            let schedule = schedule.clone();
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let claimed = schedule.claim(at(0), 3, lease).await.unwrap();
                    if claimed.is_empty() {
                        return mine;
                    }
                    assert!(claimed.len() <= 3);
                    mine.extend(claimed);
                }
            })
        })
        .collect();
    let mut claimed = Vec::new();
    for claimer in claimers {
        claimed.extend(claimer.await.unwrap());
    }
    assert_eq!(claimed.len(), 40, "none twice");
    assert_eq!(claimed.into_iter().collect::<HashSet<_>>(), due);
    let almost = schedule.claim(at(59), 99, lease).await.unwrap();
    assert_eq!(almost, [(trial.scope(), later)], "the rest is held for a second more");
    let again: Vec<_> = schedule.claim(at(60), 99, lease).await.unwrap();
    assert_eq!(again.iter().copied().collect::<HashSet<_>>(), due, "the claims ran out");
    let mut work = trial.begin().await;
    let numbers: Vec<i64> = {
        let mut numbers = Vec::new();
        for (_, account) in again {
            numbers.push(work.account(account).await.unwrap().unwrap().open_id.parse().unwrap());
        }
        numbers
    };
    assert_eq!(numbers, (0..40).rev().collect::<Vec<_>>(), "the most overdue first");
    drop(work);
    trial.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_account_is_claimed_due_or_not_and_given_back() {
    let trial = Trial::start().await;
    let away = trial.app.tenant().await.unwrap();
    let app = trial.has_app("key-1").await;
    let (schedule, scope, lease) = (trial.schedule(), trial.scope(), at(60) - at(0));
    let id = trial.has_scheduled(&app, "open-1", at(1_000)).await;
    let claim = async |seconds| schedule.claim_one(scope, id, at(seconds), lease).await.unwrap();
    assert!(
        !schedule.claim_one(TenantScope::of(away.id), id, at(0), lease).await.unwrap(),
        "of another tenant"
    );
    assert!(!schedule.claim_one(scope, AccountId::new(&System), at(0), lease).await.unwrap(), "nobody's");
    assert!(claim(0).await && !claim(0).await && !claim(59).await);
    assert!(claim(60).await, "the claim ran out");
    let mut work = trial.begin().await;
    work.schedule_tokens(id, Some(at(2_000))).await.unwrap();
    assert!(!claim(200).await, "somebody is at it: not waited for");
    work.commit().await.unwrap();
    assert_eq!(schedule.claim(at(1_999), 9, lease).await.unwrap(), [], "scheduled anew");
    assert!(claim(61).await, "and given back");
    let mut work = trial.begin().await;
    work.schedule_tokens(id, None).await.unwrap();
    work.commit().await.unwrap();
    assert!(
        !claim(9_000).await && schedule.claim(at(9_000), 9, lease).await.unwrap().is_empty(),
        "never again"
    );
    trial.stop().await;
}
