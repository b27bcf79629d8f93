//! Another tenant has none of it, and nothing that says who somebody is or lets one act for them is readable in a
//! row.

use domain::{
    accounts::{model::Reach, ports::TokenSchedule as _},
    kernel::{
        fault::Retry,
        ids::{AccountId, AppId, GroupId, LinkId, MemberId},
    },
    work::Work,
};
use harness::app::TestApp;

use super::{Trial, all_accounts, app_called, at, first, link_of, retry, secret};

/// Looks for another tenant's rows in every way there is.
async fn nothing_is_found(
    work: &mut dyn Work,
    (app, id, link): (AppId, AccountId, LinkId),
    group: GroupId,
    owner: MemberId,
) {
    assert!(work.app(app).await.unwrap().is_none() && work.app_credentials(app).await.unwrap().is_none());
    assert!(work.account(id).await.unwrap().is_none() && work.lock_account(id).await.unwrap().is_none());
    assert!(work.lock_account_by_open_id(app, "open-1").await.unwrap().is_none());
    assert!(work.tokens(id).await.unwrap().is_none() && work.token_terms(&[id]).await.unwrap().is_empty());
    assert!(work.link(link).await.unwrap().is_none() && work.lock_link(link).await.unwrap().is_none());
    assert!(work.groups().await.unwrap().is_empty() && work.lock_groups().await.unwrap().is_empty());
    assert!(work.granted_groups(owner).await.unwrap().is_empty());
    assert!(work.grants_of(&[group]).await.unwrap().is_empty());
    assert!(work.apps(first(9)).await.unwrap().items.is_empty());
    assert!(work.accounts(&all_accounts(), first(9)).await.unwrap().items.is_empty());
    assert!(work.consents_ending(&Reach::All, at(1_000), first(9)).await.unwrap().items.is_empty());
    let counts =
        (work.count_accounts(&all_accounts(), 9).await.unwrap(), work.accounts_of_app(app).await.unwrap());
    assert_eq!(counts, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenant_has_none_of_it() {
    let trial = Trial::start().await;
    let away = trial.app.tenant().await.unwrap();
    let (app, owner) = (trial.has_app("key-1").await, trial.owner(&trial.home).await);
    let stranger = trial.owner(&away).await;
    let group = trial.has_group("Shoes", None).await;
    let id = trial.has_scheduled(&app, "open-1", at(0)).await;
    let link = link_of(&app, owner);
    let mut work = trial.begin().await;
    work.add_link(&link).await.unwrap();
    assert!(work.grant_group(group.id, owner, at(0)).await.unwrap());
    assert!(!work.grant_group(group.id, stranger, at(0)).await.unwrap(), "a member of another tenant");
    let (account, tokens) =
        (work.account(id).await.unwrap().unwrap(), work.tokens(id).await.unwrap().unwrap());
    work.commit().await.unwrap();

    let mut work = trial.begin_as(&away).await;
    nothing_is_found(&mut *work, (app.id, id, link.id), group.id, owner).await;
    for refused in [
        work.update_app(&app, None).await,
        work.update_account(&account).await,
        work.update_tokens(&tokens).await,
        work.put_tokens(&tokens).await,
        work.update_link(&link).await,
        work.update_group(&group).await,
    ] {
        assert_eq!(retry(refused), Retry::AfterReread, "there is no such row");
    }
    work.remove_app(app.id).await.unwrap();
    work.remove_tokens(id).await.unwrap();
    work.schedule_tokens(id, None).await.unwrap();
    assert!(
        !work.remove_group(group.id).await.unwrap() && !work.revoke_group(group.id, owner).await.unwrap()
    );
    assert!(
        work.add_app(&app_called("key-1"), &secret("x")).await.unwrap(),
        "client keys are each tenant's own"
    );
    work.commit().await.unwrap();
    for what in ["group", "app", "schedule"] {
        let mut work = trial.begin_as(&away).await;
        let refused = match what {
            "group" => work.grant_group(group.id, stranger, at(0)).await.map(drop),
            "app" => work.add_account(&account).await,
            _ => work.schedule_tokens(id, Some(at(500))).await,
        };
        assert_eq!(retry(refused), Retry::AfterReread, "{what}: keys lead into one's own tenant only");
    }

    let mut work = trial.begin().await;
    assert_eq!(work.app(app.id).await.unwrap(), Some(app));
    assert_eq!(work.account(id).await.unwrap(), Some(account));
    assert_eq!(work.tokens(id).await.unwrap(), Some(tokens));
    assert_eq!(work.granted_groups(owner).await.unwrap(), [group.id]);
    let claimed = trial.schedule().claim(at(0), 9, at(60) - at(0)).await.unwrap();
    assert_eq!(claimed, [(trial.scope(), id)], "still due when its tenant said");
    drop(work);
    trial.stop().await;
}

/// Every row of the schema as text, bytes in hexadecimal.
async fn rows_as_text(app: &TestApp) -> String {
    let mut database = app.superuser_connection().await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'accounts' ORDER BY 1",
    )
    .fetch_all(&mut database)
    .await
    .unwrap();
    let mut all = String::new();
    for table in tables {
        let sql = format!("SELECT t::text FROM {table} AS t");
        let rows: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(&mut database).await.unwrap();
        assert!(!rows.is_empty(), "{table} is looked into");
        all.extend(rows);
    }
    all
}

fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_shows_a_secret_or_who_somebody_is() {
    let trial = Trial::start().await;
    let (app, owner) = (trial.has_app("key-1").await, trial.owner(&trial.home).await);
    let group = trial.has_group("Shoes", None).await;
    let id = trial.has_scheduled(&app, "the-open-id", at(0)).await;
    let mut work = trial.begin().await;
    work.add_link(&link_of(&app, owner)).await.unwrap();
    assert!(work.grant_group(group.id, owner, at(0)).await.unwrap());
    work.commit().await.unwrap();
    // Counted by a call, which nobody makes here.
    let used = "INSERT INTO accounts.quota_uses
        (tenant_id, account_id, begins_at, quota, endpoint, app_id, answered, done, unsure)
        SELECT tenant_id, id, now(), 'posts', 'create_video', app_id, 1, 1, 0 FROM accounts.accounts";
    let mut database = trial.app.superuser_connection().await.unwrap();
    sqlx::query(used).execute(&mut database).await.unwrap();
    let rows = rows_as_text(&trial.app).await;
    for shown in ["key-1", "EAccountM", "code 10010", &hex("\u{7}\u{7}\u{7}\u{7}"), &id.uuid().to_string()] {
        assert!(rows.contains(shown), "{shown} is told in plain");
    }
    for hidden in [
        "the-client-secret",
        "act.the-access",
        "rft.the-refresh",
        "the-verifier",
        "the-open-id",
        "the-nickname",
        "王小明",
        "the-avatar",
        "the-union-id",
    ] {
        assert!(!rows.contains(hidden) && !rows.contains(&hex(hidden)), "{hidden} can be read in a row");
    }
    trial.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_token_opens_in_its_own_place_only() {
    let trial = Trial::start().await;
    let app = trial.has_app("key-1").await;
    let (one, two) =
        (trial.has_scheduled(&app, "open-1", at(0)).await, trial.has_scheduled(&app, "open-2", at(0)).await);
    let mut database = trial.app.superuser_connection().await.unwrap();
    for swap in [
        "UPDATE accounts.tokens SET access_sealed = refresh_sealed WHERE account_id = $1",
        "UPDATE accounts.tokens SET refresh_sealed = (SELECT refresh_sealed FROM accounts.tokens WHERE account_id <> $1)
         WHERE account_id = $1",
    ] {
        let account = if swap.contains("<>") { two } else { one };
        sqlx::query(swap).bind(account.uuid()).execute(&mut database).await.unwrap();
        let mut work = trial.begin().await;
        assert_eq!(retry(work.tokens(account).await), Retry::Useless, "{swap}");
    }
    trial.stop().await;
}
