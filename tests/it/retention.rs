//! What need not be kept any longer is thrown away, said before, and nothing that is proven depends on it.

use domain::compliance::log::{
    note::{Note, VerifierKey},
    prune::PruneStatement,
};
use harness::client::PATIENCE;
use serde_json::{Value, json};
use server::serve::Duties;
use sqlx::PgConnection;

use super::auditors::Desk;

const CHECKPOINT: &str =
    "{ auditCheckpoint(stream: ACCESS) { size verifierKeys prunedUntil pruneStatement } }";

pub(super) async fn count(database: &mut PgConnection, desk: &Desk) -> i64 {
    let sql = "SELECT count(*) FROM compliance.audit_leaves WHERE tenant_id = $1 AND stream = 'access' AND index < 256";
    sqlx::query_scalar(sql).bind(desk.tenant.id.uuid()).fetch_one(database).await.unwrap()
}

async fn run(database: &mut PgConnection, desk: &Desk, sql: &str) -> u64 {
    let done = sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).bind(desk.tenant.id.uuid());
    done.execute(database).await.unwrap().rows_affected()
}

/// Has it be the tenant's turn, and gives it a while.
pub(super) async fn turn(database: &mut PgConnection, desk: &Desk) {
    let due = "UPDATE compliance.daily_turns SET due_at = now(), leased_until = '-infinity'
        WHERE tenant = $1 AND task = 'retention'";
    run(database, desk, due).await;
    let over = "SELECT count(*) FROM compliance.daily_turns WHERE tenant = $1 AND task = 'retention' AND due_at > now() + interval '1 hour'";
    let begun = tokio::time::Instant::now();
    loop {
        let done: i64 =
            sqlx::query_scalar(over).bind(desk.tenant.id.uuid()).fetch_one(&mut *database).await.unwrap();
        if done > 0 {
            return;
        }
        assert!(begun.elapsed() < 2 * PATIENCE, "it is never the tenant's turn");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// As if the first heads were of half a year ago. When a head was signed is not in what was signed.
pub(super) async fn age(database: &mut PgConnection, desk: &Desk) {
    let old = "UPDATE compliance.audit_heads SET signed_at = signed_at - interval '191 days'
        WHERE tenant_id = $1 AND stream = 'access' AND size < (
            SELECT max(size) - 5 FROM compliance.audit_heads WHERE tenant_id = $1 AND stream = 'access')";
    assert!(run(database, desk, old).await > 2);
}

/// Has so many events in the log of accesses, and a head behind them.
pub(super) async fn read_often(desk: &Desk, times: u32) {
    for _ in 0..times {
        let token = &desk.tenant.owner.token;
        desk.app.client.graphql(token, "{ viewer { permissions } }", json!({})).await.unwrap();
    }
    desk.app.settle().await.unwrap();
}

async fn checkpoint(desk: &Desk) -> Value {
    let answer = desk.app.client.graphql(&desk.auditor.token, CHECKPOINT, json!({})).await.unwrap();
    answer.data("auditCheckpoint").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn old_leaves_are_thrown_away_and_what_was_signed_stays_proven() {
    let desk = Desk::open(&[("MATRICULA_PRIVACY_KEEP_ACCESS_DAYS", "190")], &Duties::all()).await;
    let app = &desk.app;
    // A head behind the first tile, and one after it.
    for reads in [300, 10] {
        read_often(&desk, reads).await;
    }
    let mut database = app.superuser_connection().await.unwrap();
    age(&mut database, &desk).await;
    // While somebody's data must be kept, nothing is thrown away.
    let place = "mutation ($id: ID!) { placeHold(input: { id: $id, matter: \"2026-17\" }) { hold { id } } }";
    let owner = json!({ "id": desk.tenant.owner.id });
    let held = app.client.graphql(&desk.tenant.owner.token, place, owner).await.unwrap();
    turn(&mut database, &desk).await;
    assert_eq!(count(&mut database, &desk).await, 256);
    assert!(checkpoint(&desk).await["prunedUntil"].is_null());
    let release = "mutation ($id: ID!) { releaseHold(input: { id: $id }) { userErrors { code } } }";
    let id = json!({ "id": held.data("placeHold")["hold"]["id"] });
    app.client.graphql(&desk.tenant.owner.token, release, id).await.unwrap();
    turn(&mut database, &desk).await;
    assert_eq!(count(&mut database, &desk).await, 0);
    app.settle().await.unwrap();
    let shown = checkpoint(&desk).await;
    assert_eq!(shown["prunedUntil"], "256", "{shown}");
    let keys = shown["verifierKeys"].as_array().unwrap().iter();
    let keys: Vec<_> = keys.map(|key| VerifierKey::parse(key.as_str().unwrap()).unwrap()).collect();
    let note = Note::parse(shown["pruneStatement"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(note.verify(&keys).unwrap().len(), 1);
    let said = PruneStatement::parse(note.text()).unwrap();
    assert_eq!((said.until, said.origin.ends_with("/access")), (256, true));
    assert!(desk.types_in("ADMIN").await.contains(&"prune_log".to_owned()));
    let (is_whole, told) = app.fsck(Some(desk.tenant.id)).await.unwrap();
    assert!(is_whole, "{told:?}");

    // A report begins behind what is gone, and proves what it has.
    let all = json!({ "kind": "CUSTOM", "stream": "ACCESS", "query": { "types": ["access"] } });
    let report = desk.request(all).await;
    let report = desk.ended(&report["id"]).await;
    assert!(report["first"].as_str().unwrap().parse::<u64>().unwrap() >= 256, "{report}");
    let bundle = desk.take(&report).await;
    let (code, said) = desk.verify(&bundle, &["--allow-incomplete"]).await;
    assert_eq!(code, 0, "{said}");
    let (code, said) = desk.verify(&bundle, &[]).await;
    assert_ne!(code, 0, "it does not reach back to the log's beginning: {said}");

    // What goes missing beside is found, and so is a statement that nobody signed.
    let gone =
        "DELETE FROM compliance.audit_leaves WHERE tenant_id = $1 AND stream = 'access' AND index = 257";
    assert_eq!(run(&mut database, &desk, gone).await, 1);
    let (is_whole, told) = app.fsck(Some(desk.tenant.id)).await.unwrap();
    let first =
        |told: &[Value]| told.iter().flat_map(|log| log["findings"].as_array().unwrap().clone()).next();
    let missing = json!({ "place": "leaf", "index": 257, "field": "row", "problem": "is missing" });
    assert_eq!((is_whole, first(&told)), (false, Some(missing)), "{told:?}");
    let forged = "UPDATE compliance.prunes SET until = 512 WHERE tenant_id = $1";
    assert_eq!(run(&mut database, &desk, forged).await, 1);
    let (_, told) = app.fsck(Some(desk.tenant.id)).await.unwrap();
    let told = format!("{told:?}");
    assert!(told.contains("is not what the log's key has signed") && told.contains("Number(0)"), "{told}");
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_that_throws_away_can_throw_away_no_more_than_is_said() {
    use sqlx::Connection as _;
    let desk = Desk::open(&[], &Duties::all()).await;
    desk.app.settle().await.unwrap();
    let mut sequencer = PgConnection::connect(desk.app.sequencer_url()).await.unwrap();
    for sql in ["DELETE FROM compliance.audit_leaves", "DELETE FROM compliance.audit_openings"] {
        let gone = sqlx::query(sql).execute(&mut sequencer).await.unwrap().rows_affected();
        assert_eq!(gone, 0, "{sql}");
    }
    let said = sqlx::query("INSERT INTO compliance.prunes VALUES ($1, 'iam', 256, '', '', now())");
    let said = said.bind(desk.tenant.id.uuid()).execute(&mut sequencer).await.unwrap_err();
    assert!(said.to_string().contains("permission denied"), "{said}");
    desk.close().await;
}
