//! Readers who share a transaction: which may be read on in, and that nobody waits for who waits for them.

use domain::{
    identity::actions::INVITE_MEMBER,
    kernel::{ids::AccountId, outbox::Record},
};
use futures_util::{future::join_all, poll};
use infra::system::System;
use serde_json::json;
use sqlx::Connection as _;

use super::{Trial, account_of, at, first};

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_read_in_to_the_end_is_read_on_in() {
    let trial = Trial::start().await;
    let app = trial.has_app("key-1").await;

    let mut work = trial.begin().await;
    assert!(work.is_unspoilt());
    work.account(AccountId::new(&System)).await.unwrap();
    work.members(first(5)).await.unwrap();
    assert!(work.is_unspoilt(), "it was read in");

    // Nothing is answered while somebody else has the table.
    let mut database = trial.app.superuser_connection().await.unwrap();
    let mut holding = database.begin().await.unwrap();
    sqlx::query("LOCK TABLE accounts.groups IN ACCESS EXCLUSIVE MODE").execute(&mut *holding).await.unwrap();
    {
        let mut asked = std::pin::pin!(work.groups());
        assert!(poll!(&mut asked).is_pending());
    }
    holding.rollback().await.unwrap();
    assert!(!work.is_unspoilt(), "nobody knows where the connection stands");
    work.members(first(5)).await.unwrap();
    assert!(!work.is_unspoilt(), "and what works afterwards does not make it good");

    let mut work = trial.begin().await;
    let account = account_of(&app, "1");
    work.add_account(&account).await.unwrap();
    assert!(!work.is_unspoilt(), "it was written");
    assert!(work.add_account(&account).await.is_err());
    assert!(!work.is_unspoilt(), "and something failed");

    let mut work = trial.begin().await;
    work.record(Record::refused(INVITE_MEMBER, None, "trial")).await.unwrap();
    assert!(!work.is_unspoilt(), "an event was left in it");
    trial.stop().await;
}

/// Below each account two fields are asked for at the same time, each with a connection of its own.
const TWO_BELOW: &str =
    "{ accounts(first: 5) { nodes { id tokens { __typename } capabilities { __typename } } } }";

#[tokio::test(flavor = "multi_thread")]
async fn queries_that_use_two_connections_do_not_wait_for_one_another() {
    let trial = Trial::start().await;
    let app = trial.has_app("key-1").await;
    for number in 1..4 {
        trial.has_scheduled(&app, &number.to_string(), at(5)).await;
    }
    // Four times as many as the service has connections; who waits for who waits for them is given up after two seconds.
    for _ in 0..3 {
        let ask = || trial.app.client.graphql(&trial.home.owner.token, TWO_BELOW, json!({}));
        for answer in join_all((0..64).map(|_| ask())).await {
            let body = answer.unwrap().body;
            assert_eq!(body.get("errors"), None, "{body}");
            assert_eq!(body["data"]["accounts"]["nodes"].as_array().map(Vec::len), Some(3), "{body}");
        }
    }
    trial.stop().await;
}
