//! A tenant is closed, may be taken back, and goes for good but for its log.

use std::path::{Path, PathBuf};

use domain::{
    compliance::actions::END_TENANT,
    content::ports::MARKER_FOLDER,
    kernel::{
        fault::with_causes,
        ids::{IdSource as _, TenantId},
        outbox::{Party, Record},
        scope::TenantScope,
    },
};
use harness::{
    app::{TestApp, TestTenant},
    client::PATIENCE,
};
use infra::{
    postgres::inventory::{HOLDINGS, OUTLIVES},
    system::System,
};
use serde_json::json;
use server::{
    serve::{Duties, Queue},
    tenants::TenantTask,
};
use sqlx::{Connection as _, Executor as _, PgConnection};
use url::Url;
use uuid::Uuid;

use super::{
    auditors::Desk,
    erasure::{copy, count, entry_at, written},
    isolation::ids_of,
    retention,
};

/// Tables that have rows of a tenant, and those of all tenants that have some that name it.
async fn tables_with(database: &mut PgConnection, tenant: TenantId) -> Vec<String> {
    let tables: Vec<(String, String)> = sqlx::query_as(
        "SELECT format('%s.%s', n.nspname, c.relname), a.attname::text FROM pg_class AS c
         JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_attribute AS a ON a.attrelid = c.oid
         WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attname IN ('tenant_id', 'tenant')
             AND n.nspname IN ('kernel', 'identity', 'accounts', 'content', 'publishing', 'compliance')
         ORDER BY 1",
    )
    .fetch_all(&mut *database)
    .await
    .unwrap();
    let mut with = Vec::new();
    for (table, column) in tables {
        let sql = format!("SELECT EXISTS (SELECT FROM {table} WHERE {column} = $1)");
        let sql = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(tenant.uuid());
        if sql.fetch_one(&mut *database).await.unwrap() {
            with.push(table);
        }
    }
    with
}

/// What a tenant has in tables that are filled by platforms, by files and by time.
const FILL: [&str; 13] = [
    "INSERT INTO accounts.groups (tenant_id, id, parent_id, name, created_at, version)
        SELECT tenant_id, gen_random_uuid(), id, 'Child', now(), 1 FROM accounts.groups WHERE tenant_id = $1",
    "INSERT INTO accounts.group_grants (tenant_id, group_id, member_id, created_at)
        SELECT g.tenant_id, g.id, m.id, now() FROM accounts.groups AS g JOIN identity.members AS m USING (tenant_id) WHERE tenant_id = $1",
    "INSERT INTO accounts.quota_uses (tenant_id, account_id, begins_at, quota, endpoint, app_id, answered, done, unsure)
        SELECT tenant_id, id, now(), 'q', 'e', app_id, 1, 1, 0 FROM accounts.accounts WHERE tenant_id = $1",
    "INSERT INTO identity.recovery_codes (tenant_id, member_id, hash)
        SELECT tenant_id, id, 'h' FROM identity.members WHERE tenant_id = $1",
    "INSERT INTO identity.password_resets (tenant_id, id, member_id, secret_hash, created_at, expires_at)
        SELECT tenant_id, gen_random_uuid(), id, 'h', now(), now() FROM identity.members WHERE tenant_id = $1",
    "INSERT INTO content.parts (tenant_id, upload_id, offset_bytes, size_bytes, object_key)
        SELECT tenant_id, id, 0, 1, id::text FROM content.uploads WHERE tenant_id = $1",
    "INSERT INTO content.transcodes (tenant_id, upload_id, source_id, platform, recipe, mends, done_permille, attempts)
        SELECT tenant_id, id, id, 'douyin', 'r', '{}', 0, 0 FROM content.uploads WHERE tenant_id = $1",
    "INSERT INTO publishing.timetables (tenant_id, id, name, zone, rules, created_at, version)
        VALUES ($1, gen_random_uuid(), 'Daily', 'UTC', '{FREQ=DAILY}', now(), 1)",
    "INSERT INTO publishing.post_notes (tenant_id, post_id, id, at, kind, status, compliance_id)
        SELECT tenant_id, id, gen_random_uuid(), now(), 'planned', 'draft', gen_random_uuid() FROM publishing.posts WHERE tenant_id = $1",
    "INSERT INTO publishing.receipts (tenant_id, post_id, id, digest, at, compliance_id)
        SELECT tenant_id, id, gen_random_uuid(), sha256('r'), now(), gen_random_uuid() FROM publishing.posts WHERE tenant_id = $1",
    "INSERT INTO publishing.newest_figures (tenant_id, post_id, read_at)
        SELECT tenant_id, id, now() FROM publishing.posts WHERE tenant_id = $1",
    "SELECT publishing.make_figures_room(now()) WHERE $1::uuid IS NOT NULL",
    "INSERT INTO publishing.figures (tenant_id, post_id, at)
        SELECT tenant_id, id, now() FROM publishing.posts WHERE tenant_id = $1",
];

/// Has something of everything in a tenant.
async fn fill(app: &TestApp, tenant: &TestTenant) {
    ids_of(app, tenant).await;
    let mut database = app.superuser_connection().await.unwrap();
    for sql in FILL {
        run(&mut database, sql, tenant.id.uuid()).await;
    }
    let upload = app.content_folder().join("uploads").join(tenant.id.uuid().simple().to_string()).join("u");
    std::fs::create_dir_all(&upload).unwrap();
    std::fs::write(upload.join("part"), "bytes").unwrap();
    let untold = "SELECT count(*) FROM compliance.left_changes WHERE tenant = $1";
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let untold: i64 =
            sqlx::query_scalar(untold).bind(tenant.id.uuid()).fetch_one(&mut database).await.unwrap();
        if untold == 0 {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "changes are not told");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    app.settle().await.unwrap();
}

/// Files of a tenant, by the folders they are in.
fn files_of(app: &TestApp, tenant: TenantId) -> Vec<PathBuf> {
    let name = tenant.uuid().simple().to_string();
    let (mut folders, mut files) = (vec![app.content_folder()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains(&name) {
                files.push(path);
            }
        }
    }
    files
}

fn entry(app: &TestApp, tenant: TenantId) -> PathBuf {
    app.content_folder().join("tenants").join(tenant.uuid().simple().to_string()).join("ended")
}

async fn run(database: &mut PgConnection, sql: &str, of: Uuid) -> u64 {
    let done = sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).bind(of);
    done.execute(database).await.unwrap().rows_affected()
}

/// As if the days were over in which it could be taken back.
async fn let_time_pass(database: &mut PgConnection, tenant: TenantId) {
    let over = "UPDATE identity.closings SET closed_at = now() - interval '30 days', ends_at = now(), due_at = now(), leased_until = '-infinity' WHERE tenant = $1";
    assert_eq!(run(database, over, tenant.uuid()).await, 1);
}

async fn close(app: &TestApp, tenant: &TestTenant) -> String {
    app.tenant_task(TenantTask::Close { slug: tenant.slug.clone(), days: 30 }).await.unwrap()
}

async fn status(app: &TestApp, tenant: &TestTenant) -> String {
    app.tenant_task(TenantTask::Status { slug: tenant.slug.clone() }).await.unwrap()
}

/// Has tenants end whose time it is: how many have for good, and why others have not.
async fn end(app: &TestApp) -> (u32, Vec<String>) {
    let (mut done, mut faults) = (0, Vec::new());
    while let Some(turn) = app.service.parts.app.erasures.end_next().await.unwrap() {
        done += turn.done;
        faults.extend(turn.faults.iter().map(|(_, fault)| with_causes(fault)));
    }
    (done, faults)
}

async fn whole(app: &TestApp, tenant: TenantId) {
    let (is_whole, told) = app.fsck(Some(tenant)).await.unwrap();
    assert!(is_whole && !told.is_empty(), "{told:?}");
}

/// Why tenants were said to end, in their logs.
async fn reasons(database: &mut PgConnection, tenant: TenantId) -> Vec<String> {
    let said = "SELECT convert_from(leaf, 'UTF8')::jsonb ->> 'reason' FROM compliance.audit_leaves
        WHERE tenant_id = $1 AND stream = 'admin' AND type = 'end_tenant' ORDER BY index";
    sqlx::query_scalar(said).bind(tenant.uuid()).fetch_all(database).await.unwrap()
}

/// Before its time nothing goes, and while somebody's data must be kept.
async fn goes_not_before_its_time(desk: &Desk, database: &mut PgConnection) {
    let (app, tenant) = (&desk.app, &desk.tenant);
    close(app, tenant).await;
    assert_eq!(end(app).await, (0, Vec::new()));
    let_time_pass(database, tenant.id).await;
    let (done, faults) = end(app).await;
    assert!(done == 0 && faults.len() == 1 && faults[0].contains("legal hold"), "{faults:?}");
    assert!(app.service.parts.app.erasures.end_overdue_s().await.unwrap() > 0.0);
    let said = status(app, tenant).await;
    assert!(said.contains("closed; it ends on") && said.contains("under a legal hold"), "{said}");
    assert_eq!(entry_at(&entry(app, tenant.id)), None);
    let release = "UPDATE compliance.legal_holds SET released_at = now() WHERE tenant_id = $1";
    assert!(run(database, release, tenant.id.uuid()).await > 0);
}

/// Half way, nothing more can be done for it, and it can't be taken back; what is left goes the next time.
async fn goes_on_from_half_way(desk: &Desk, database: &mut PgConnection) {
    let (app, tenant) = (&desk.app, &desk.tenant);
    database.execute("REVOKE DELETE ON publishing.posts FROM matricula_app_rw").await.unwrap();
    let_time_pass(database, tenant.id).await;
    let (done, faults) = end(app).await;
    assert!(done == 0 && faults.len() == 1 && faults[0].contains("permission denied"), "{faults:?}");
    assert!(entry_at(&entry(app, tenant.id)).is_some());
    let reopened = app.tenant_task(TenantTask::Reopen { slug: tenant.slug.clone() }).await;
    assert!(reopened.unwrap_err().to_string().contains("whose end has begun"));
    database.execute("GRANT DELETE ON publishing.posts TO matricula_app_rw").await.unwrap();
    let again = "UPDATE identity.closings SET due_at = now(), leased_until = '-infinity' WHERE tenant = $1";
    run(database, again, tenant.id.uuid()).await;
    assert_eq!(end(app).await, (0, Vec::new()), "once more in an hour");
}

/// What comes late finds no keys and makes none; a turn of an hour later takes away what it left.
async fn late_comers_leave_nothing(desk: &Desk, database: &mut PgConnection) {
    let (app, tenant) = (&desk.app, &desk.tenant);
    let mut connection = app.app_connection().await.unwrap();
    let mut tx = connection.begin().await.unwrap();
    let scope =
        sqlx::query("SELECT set_config('app.tenant_id', $1, true)").bind(tenant.id.uuid().to_string());
    scope.execute(&mut *tx).await.unwrap();
    let key =
        "INSERT INTO compliance.tenant_keys (tenant_id, version, provider, wrapped) VALUES ($1, 1, 'x', '')";
    let refused = sqlx::query(key).bind(tenant.id.uuid()).execute(&mut *tx).await.unwrap_err().to_string();
    assert!(refused.contains("row-level security"), "{refused}");
    drop(tx);
    let late = "INSERT INTO content.room (tenant_id, used_bytes) VALUES ($1, 1)";
    database.execute("ALTER TABLE content.room DROP CONSTRAINT room_tenant_id_fkey").await.unwrap();
    run(database, late, tenant.id.uuid()).await;
    // Also what was half written, wherever it lies.
    let upload = app.content_folder().join("uploads").join(tenant.id.uuid().simple().to_string()).join("u");
    std::fs::create_dir_all(&upload).unwrap();
    std::fs::write(upload.join("part#1"), "bytes").unwrap();
    let hour = "UPDATE identity.closings SET removed_at = removed_at - interval '1 hour', due_at = now(), leased_until = '-infinity'
        WHERE tenant = $1";
    run(database, hour, tenant.id.uuid()).await;
    assert_eq!(end(app).await, (1, Vec::new()));
    assert!(!tables_with(database, tenant.id).await.contains(&"content.room".to_owned()));
    assert!(!upload.join("part#1").exists());
    assert_eq!(end(app).await, (0, Vec::new()));
    assert!(status(app, tenant).await.contains(": ended on "));
}

/// Its log goes on, signed by its own key, and is whole; what need not be kept any longer of it is thrown away.
async fn log_goes_on(desk: &Desk, database: &mut PgConnection) {
    let (app, tenant) = (&desk.app, &desk.tenant);
    let units = &app.service.parts.app.units;
    let mut work = units.begin(TenantScope::of(tenant.id), &app.origin("test")).await.unwrap();
    let party = Party::new("tenant", tenant.id.uuid());
    work.record(Record { reason: Some("test"), ..Record::success(END_TENANT, party) }).await.unwrap();
    work.commit().await.unwrap();
    app.settle().await.unwrap();
    assert_eq!(reasons(database, tenant.id).await, ["not_taken_back", "test"]);
    whole(app, tenant.id).await;
    app.check_logs().await.unwrap();

    retention::age(database, desk).await;
    retention::turn(database, desk).await;
    assert_eq!(retention::count(database, desk).await, 0);
    app.settle().await.unwrap();
    whole(app, tenant.id).await;
}

/// Nobody gets in, as if there never had been one, and it can't be closed again.
async fn nobody_gets_in(desk: &Desk) {
    let (app, tenant) = (&desk.app, &desk.tenant);
    for slug in [&tenant.slug, "never-was"] {
        assert!(app.sign_in(slug, &tenant.owner.email).await.is_err());
    }
    let reads =
        app.client.graphql(&tenant.owner.token, "{ viewer { permissions } }", json!({})).await.unwrap();
    assert_eq!(reads.code(), "UNAUTHENTICATED", "{}", reads.body);
    let closed = app.tenant_task(TenantTask::Close { slug: tenant.slug.clone(), days: 30 }).await;
    assert!(closed.unwrap_err().to_string().contains("of no tenant any more"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_a_tenant_that_ended_is_its_log_and_every_proof_holds() {
    let desk =
        Desk::open(&[("MATRICULA_PRIVACY_KEEP_ACCESS_DAYS", "190")], &Duties::all_but(Queue::Erasures)).await;
    let (app, tenant) = (&desk.app, &desk.tenant);
    fill(app, tenant).await;
    let report = desk.request(json!({ "kind": "ROLE_CHANGES", "disclose": ["DIFF"] })).await;
    let report = desk.ended(&report["id"]).await;
    let bundle = desk.take(&report).await;
    let policy = desk.policy().await;
    let (code, said) = desk.verify_by(&bundle, &policy, &["--allow-incomplete"]);
    assert_eq!(code, 0, "{said}");
    for reads in [300, 10] {
        retention::read_often(&desk, reads).await;
    }
    let other = app.tenant().await.unwrap();
    fill(app, &other).await;
    let mut database = app.superuser_connection().await.unwrap();
    let before = tables_with(&mut database, tenant.id).await;
    let lacking =
        HOLDINGS.iter().map(|holding| holding.table.to_owned()).filter(|table| !before.contains(table));
    let lacking: Vec<_> = lacking.filter(|table| !OUTLIVES.contains(&table.as_str())).collect();
    assert_eq!(lacking, Vec::<String>::new(), "of every table there is something to take away");
    let (others, others_files) = (tables_with(&mut database, other.id).await, files_of(app, other.id));
    for folder in ["reports", "subject-keys", "uploads"] {
        let has =
            |files: &[PathBuf]| files.iter().any(|file| file.starts_with(app.content_folder().join(folder)));
        assert!(has(&files_of(app, tenant.id)) && (has(&others_files) || folder == "reports"), "{folder}");
    }

    goes_not_before_its_time(&desk, &mut database).await;
    goes_on_from_half_way(&desk, &mut database).await;
    let left = tables_with(&mut database, tenant.id).await;
    // Of what is done every day, throwing away what need not be kept any longer; it may have had no turn yet.
    let stays = |table: &&String| !OUTLIVES.contains(&table.as_str()) && *table != "compliance.daily_turns";
    let not_the_log: Vec<_> = left.iter().filter(stays).collect();
    assert_eq!(not_the_log, ["identity.closings", "identity.tenant_directory"], "of {before:?}");
    assert!(files_of(app, tenant.id).iter().all(|file| is_entry(file)), "{:?}", files_of(app, tenant.id));
    let tasks: Vec<String> = sqlx::query_scalar("SELECT task FROM compliance.daily_turns WHERE tenant = $1")
        .bind(tenant.id.uuid())
        .fetch_all(&mut database)
        .await
        .unwrap();
    assert!(tasks.iter().all(|task| task == "retention"), "{tasks:?}");
    // Its turn at what is done every day may have come meanwhile.
    let rows = |tables: Vec<String>| -> Vec<_> {
        tables.into_iter().filter(|table| table != "compliance.daily_turns").collect()
    };
    let after = tables_with(&mut database, other.id).await;
    assert_eq!(rows(after), rows(others), "the other has what it had");
    assert_eq!(files_of(app, other.id), others_files);
    late_comers_leave_nothing(&desk, &mut database).await;
    log_goes_on(&desk, &mut database).await;
    let (code, said) = desk.verify_by(&bundle, &policy, &["--allow-incomplete"]);
    assert_eq!(code, 0, "the bundle proves what it did: {said}");
    nobody_gets_in(&desk).await;
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_is_closed_does_nothing_until_it_is_taken_back() {
    let app = TestApp::start_for(&[], &Duties::all_but(Queue::Posts)).await.unwrap();
    let tenant = app.tenant().await.unwrap();
    ids_of(&app, &tenant).await;
    let turns_due = "SELECT ARRAY[(SELECT late FROM publishing.turns_behind()), (SELECT count(*) FROM publishing.claim_turns(100, '1 minute'))]";
    let mut database = app.superuser_connection().await.unwrap();
    let due = "INSERT INTO publishing.account_turns (tenant, account, due_at, leased_until, fence)
        SELECT tenant_id, id, now() - interval '1 minute', '-infinity', 0 FROM accounts.accounts WHERE tenant_id = $1";
    let said = close(&app, &tenant).await;
    assert!(said.contains("is closed: nobody signs in") && said.contains("tenant reopen --slug"), "{said}");
    assert_eq!(run(&mut database, due, tenant.id.uuid()).await, 1);
    let mut turns =
        async || -> Vec<i64> { sqlx::query_scalar(turns_due).fetch_one(&mut database).await.unwrap() };
    assert_eq!(turns().await, [0, 0], "nothing is posted for it, and nobody is told it should be");
    assert!(app.sign_in(&tenant.slug, &tenant.owner.email).await.is_err());
    let reads =
        app.client.graphql(&tenant.owner.token, "{ viewer { permissions } }", json!({})).await.unwrap();
    assert_eq!(reads.code(), "UNAUTHENTICATED", "{}", reads.body);
    let twice = app.tenant_task(TenantTask::Close { slug: tenant.slug.clone(), days: 30 }).await;
    assert!(twice.unwrap_err().to_string().contains("closed already"));
    for (slug, why) in
        [("never-was", "there is no tenant never-was"), ("No Slug", "there is no tenant No Slug")]
    {
        let refused = app.tenant_task(TenantTask::Close { slug: slug.to_owned(), days: 30 }).await;
        assert_eq!(refused.unwrap_err().to_string(), why);
    }

    let reopened = app.tenant_task(TenantTask::Reopen { slug: tenant.slug.clone() }).await.unwrap();
    assert!(reopened.contains("is taken back"), "{reopened}");
    assert_eq!(turns().await, [1, 1]);
    let owner = app.sign_in(&tenant.slug, &tenant.owner.email).await.unwrap();
    let accounts = "{ accounts(first: 5) { nodes { pausedAt } } auditEvents(last: 20) { nodes { type } } }";
    app.settle().await.unwrap();
    let read = app.client.graphql(&owner.token, accounts, json!({})).await.unwrap();
    let accounts = read.data("accounts")["nodes"].as_array().unwrap();
    assert!(
        accounts.iter().all(|account| !account["pausedAt"].is_null()) && !accounts.is_empty(),
        "{}",
        read.body
    );
    let told = read.data("auditEvents")["nodes"].to_string();
    assert!(told.contains("close_tenant") && told.contains("reopen_tenant"), "{told}");
    assert!(status(&app, &tenant).await.ends_with(": active\n"));
    whole(&app, tenant.id).await;
    app.stop().await.unwrap();
}

/// Keeps a copy of the database, of this name: pauses the app for it.
pub(super) async fn back_up(app: TestApp, backup: &str) -> TestApp {
    let keep = async |database: &Url| copy(database, database.path().trim_start_matches('/'), backup).await;
    app.after_pause(keep).await.unwrap()
}

/// Puts that copy in the database's place.
pub(super) async fn put_back(app: TestApp, backup: &str) -> TestApp {
    let put = async |database: &Url| copy(database, backup, database.path().trim_start_matches('/')).await;
    app.after_pause(put).await.unwrap()
}

pub(super) async fn stop_and_drop(app: TestApp, backup: &str) {
    let mut admin = app.superuser_url();
    app.stop().await.unwrap();
    admin.set_path("postgres");
    let mut admin = PgConnection::connect(admin.as_str()).await.unwrap();
    let drop = sqlx::AssertSqlSafe(format!("DROP DATABASE {backup} WITH (FORCE)"));
    admin.execute(drop).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_42_a_database_that_is_put_back_forgets_neither_a_closing_nor_that_it_was_taken_back() {
    let app = TestApp::start_for(&[], &Duties::all_but(Queue::Erasures)).await.unwrap();
    let (left, stayed) = (app.tenant().await.unwrap(), app.tenant().await.unwrap());
    close(&app, &stayed).await;
    let backup = format!("kept_{}", System.next_uuid().simple());
    let app = back_up(app, &backup).await;
    close(&app, &left).await;
    app.tenant_task(TenantTask::Reopen { slug: stayed.slug.clone() }).await.unwrap();
    assert!(status(&app, &stayed).await.ends_with(": active\n"));
    let app = put_back(app, &backup).await;

    assert!(status(&app, &left).await.contains("closed; it ends on"), "it is closed again");
    assert!(app.sign_in(&left.slug, &left.owner.email).await.is_err());
    let mut database = app.superuser_connection().await.unwrap();
    let_time_pass(&mut database, stayed.id).await;
    let (done, faults) = end(&app).await;
    assert!(done == 0 && faults.len() == 1 && faults[0].contains("was taken back"), "{faults:?}");
    assert!(tables_with(&mut database, stayed.id).await.contains(&"compliance.tenant_keys".to_owned()));
    app.tenant_task(TenantTask::Reopen { slug: stayed.slug.clone() }).await.unwrap();
    app.sign_in(&stayed.slug, &stayed.owner.email).await.unwrap();
    // Closed once more, it is another closing.
    close(&app, &stayed).await;
    let_time_pass(&mut database, stayed.id).await;
    assert_eq!(end(&app).await, (0, Vec::new()));
    assert!(!tables_with(&mut database, stayed.id).await.contains(&"compliance.tenant_keys".to_owned()));
    stop_and_drop(app, &backup).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_files_that_is_put_back_alone_keeps_nothing_of_who_is_gone() {
    let app = TestApp::start_for(&[], &Duties::all_but(Queue::Erasures)).await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    close(&app, &tenant).await;
    let_time_pass(&mut database, tenant.id).await;
    assert_eq!(end(&app).await, (0, Vec::new()));
    let settled = "UPDATE identity.closings SET removed_at = removed_at - interval '1 hour', due_at = now() WHERE tenant = $1";
    run(&mut database, settled, tenant.id.uuid()).await;
    assert_eq!(end(&app).await, (1, Vec::new()));
    // As it was last week: its files are there, and nothing says that it has ended.
    std::fs::remove_file(entry_at(&entry(&app, tenant.id)).unwrap()).unwrap();
    let upload = app.content_folder().join("uploads").join(tenant.id.uuid().simple().to_string());
    std::fs::create_dir_all(&upload).unwrap();
    std::fs::write(upload.join("part"), "bytes").unwrap();
    app.service.parts.app.erasures.erase_again().await.unwrap();
    assert_eq!(end(&app).await, (0, Vec::new()));
    assert!(entry_at(&entry(&app, tenant.id)).is_some() && !upload.join("part").exists());
    // Where the store is another, nothing is taken for removed.
    let marker = app.content_folder().join(MARKER_FOLDER);
    std::fs::rename(&marker, app.content_folder().join("elsewhere")).unwrap();
    let again = "UPDATE identity.closings SET due_at = now(), leased_until = '-infinity' WHERE tenant = $1";
    run(&mut database, again, tenant.id.uuid()).await;
    let (done, faults) = end(&app).await;
    assert!(done == 0 && faults.len() == 1 && faults[0].contains("not the one that it was"), "{faults:?}");
    std::fs::rename(app.content_folder().join("elsewhere"), &marker).unwrap();
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_42_a_database_that_is_put_back_brings_no_tenant_back() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    ids_of(&app, &tenant).await;
    let backup = format!("kept_{}", System.next_uuid().simple());
    let app = back_up(app, &backup).await;
    let mut database = app.superuser_connection().await.unwrap();
    run(
        &mut database,
        "UPDATE compliance.legal_holds SET released_at = now() WHERE tenant_id = $1",
        tenant.id.uuid(),
    )
    .await;
    close(&app, &tenant).await;
    let_time_pass(&mut database, tenant.id).await;
    assert_eq!(end(&app).await, (0, Vec::new()));
    written(&entry(&app, tenant.id)).await;
    drop(database);
    let app = put_back(app, &backup).await;

    // Nobody is let in, whatever the backup has and whoever's data must be kept, and it ends once more.
    let mut database = app.superuser_connection().await.unwrap();
    assert!(app.sign_in(&tenant.slug, &tenant.owner.email).await.is_err());
    let reopened = app.tenant_task(TenantTask::Reopen { slug: tenant.slug.clone() }).await;
    let why = reopened.unwrap_err().to_string();
    assert!(
        why.contains("had ended before the database was put back") || why.contains("whose end has begun"),
        "{why}"
    );
    let erasures = &app.service.parts.app.erasures;
    let again = erasures.erase_again().await.unwrap();
    assert!(again.done == 0 && again.faults.is_empty(), "it was seen at the start: {again:?}");
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while tables_with(&mut database, tenant.id).await.contains(&"compliance.tenant_keys".to_owned()) {
        // Whichever of the two is first: the worker looks once a minute.
        let (_, faults) = end(&app).await;
        assert!(faults.is_empty() && tokio::time::Instant::now() < deadline, "{faults:?}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    app.settle().await.unwrap();
    assert_eq!(reasons(&mut database, tenant.id).await, ["database_put_back"]);
    assert!(files_of(&app, tenant.id).iter().all(|file: &PathBuf| is_entry(file)));
    whole(&app, tenant.id).await;
    stop_and_drop(app, &backup).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_into_the_store_of_files_ends_no_tenant_and_erases_nobody() {
    let app = TestApp::start_for(&[], &Duties::all_but(Queue::Erasures)).await.unwrap();
    let (tenant, other) = (app.tenant().await.unwrap(), app.tenant().await.unwrap());
    let mut database = app.superuser_connection().await.unwrap();
    close(&app, &other).await;
    let_time_pass(&mut database, other.id).await;
    assert_eq!(end(&app).await, (0, Vec::new()));
    let taken = entry_at(&entry(&app, other.id)).unwrap();
    let hash = taken.extension().unwrap().to_owned();
    let erasures = &app.service.parts.app.erasures;
    assert!(erasures.erase_again().await.unwrap().faults.is_empty());
    let ended = entry(&app, tenant.id);
    std::fs::create_dir_all(ended.parent().unwrap()).unwrap();
    // Bare, with a hash made up, and with the one that another tenant's end has.
    for forged in [ended.clone(), ended.with_extension("0".repeat(32)), ended.with_extension(hash)] {
        std::fs::write(&forged, "").unwrap();
        let fault = with_causes(&erasures.erase_again().await.unwrap_err());
        assert!(fault.contains("is no entry of the ledger"), "{}: {fault}", forged.display());
        std::fs::remove_file(&forged).unwrap();
    }
    assert!(erasures.erase_again().await.unwrap().faults.is_empty());
    assert_eq!(end(&app).await.1, Vec::<String>::new());
    app.sign_in(&tenant.slug, &tenant.owner.email).await.unwrap();
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_closed_again_has_days_to_be_taken_back_whenever_that_was() {
    let app = TestApp::start_for(&[], &Duties::all_but(Queue::Erasures)).await.unwrap();
    let tenant = app.tenant().await.unwrap();
    // As when the entry that took it back is gone from the list, and the one that closed it is of long ago.
    let mut service = app.app_connection().await.unwrap();
    let again = format!(
        "BEGIN; SELECT set_config('app.tenant_id', '{}', true);
         SELECT identity.close_again(now() - interval '60 days', now() - interval '30 days', false); COMMIT",
        tenant.id.uuid()
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(again)).execute(&mut service).await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    let days = "SELECT count(*) FROM identity.closings
                WHERE tenant = $1 AND ends_at > now() + interval '6 days' AND due_at = ends_at";
    assert_eq!(count(&mut database, days, tenant.id.uuid()).await, 1);
    assert_eq!(end(&app).await, (0, Vec::new()));
    app.stop().await.unwrap();
}

/// What says that somebody was erased, or a tenant has ended.
fn is_entry(file: &Path) -> bool {
    let path = file.to_string_lossy();
    path.contains("/tenants/") || path.contains("/erasures/")
}
