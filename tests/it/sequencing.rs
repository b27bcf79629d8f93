//! How the audit logs keep up: every tenant in turn, before the answer, and no further behind than allowed.

use std::time::Duration;

use domain::{
    compliance::{
        compose,
        ports::{LogGrowth, SequencerStore as _, SequencingTx, SignedHead},
    },
    identity::actions::CHANGE_PASSWORD,
    kernel::{
        clock::Clock as _,
        ids::{EventId, TenantId},
        outbox::{Party, Record},
        scope::TenantScope,
    },
};
use harness::{
    app::{TestApp, TestTenant},
    client::Answer,
};
use infra::{
    postgres::{Db, PgSequencerStore, PoolSettings},
    system::System,
};
use serde_json::json;
use server::serve::{Duties, Queue};
use sqlx::{Connection as _, Executor as _, PgConnection};

const INVITE: &str = "mutation ($email: String!) {
    inviteMember(input: { email: $email, role: ANALYST }) @idempotent(key: $email) { complianceId userErrors { code } } }";

/// Sequencing by hand. While it is open the service's own sequencer stands still.
pub(super) async fn by_hand(app: &TestApp) -> Box<dyn SequencingTx> {
    by_hand_under(app, PoolSettings::default()).await
}

async fn by_hand_under(app: &TestApp, settings: PoolSettings) -> Box<dyn SequencingTx> {
    let store = PgSequencerStore::new(Db::connect(app.sequencer_url(), settings).unwrap());
    let deadline = tokio::time::Instant::now() + harness::client::PATIENCE;
    loop {
        if let Some(tx) = store.begin().await.unwrap() {
            return tx;
        }
        assert!(tokio::time::Instant::now() < deadline, "the service's sequencer never rests");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// Events of a tenant that nobody asked for.
async fn flood(database: &mut PgConnection, tenant: TenantId, stream: &str, count: u32) {
    let statement = format!(
        "INSERT INTO compliance.audit_outbox
             (tenant_id, event_id, stream, compliance_id, type, outcome, occurred_at, leaf)
         SELECT '{}', ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, '{stream}', gen_random_uuid(),
                'access', 'success', '2000-01-01', 'flood'
         FROM generate_series(1, {count}) AS n",
        tenant.uuid()
    );
    database.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
}

async fn drain(database: &mut PgConnection) {
    database.execute("DELETE FROM compliance.audit_outbox WHERE leaf = 'flood'").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tenants_flood_delays_no_other() {
    let app = TestApp::start().await.unwrap();
    let (loud, quiet, silent) =
        (app.tenant().await.unwrap(), app.tenant().await.unwrap(), app.tenant().await.unwrap());
    app.settle().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    let mut tx = by_hand(&app).await;
    flood(&mut database, loud.id, "access", 500).await;
    flood(&mut database, quiet.id, "access", 3).await;

    let taken = tx.take(10, &[]).await.unwrap();
    let of = |tenant: TenantId| taken.events.iter().filter(|event| event.log.tenant == tenant).count();
    assert_eq!((of(loud.id), of(quiet.id), of(silent.id)), (7, 3, 0), "in turns, and the batch is full");
    assert!(taken.more, "the loud one has more");
    let rest = tx.take(1_000, &[loud.id]).await.unwrap();
    assert!(rest.events.is_empty() && !rest.more, "who rests is left alone");
    let rest = tx.take(1_000, &[]).await.unwrap();
    assert_eq!((rest.events.len(), rest.more), (493, false));

    drain(&mut database).await;
    drop(tx);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_answered_when_its_event_has_its_index() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    for number in 0..5 {
        let answer = invite(&app, &tenant, &format!("guest-{number}")).await;
        let leaves: Vec<String> = sqlx::query_scalar(
            "SELECT type FROM compliance.audit_leaves WHERE compliance_id = $1::uuid AND stream = 'iam'",
        )
        .bind(answer.data("inviteMember")["complianceId"].as_str().unwrap())
        .fetch_all(&mut database)
        .await
        .unwrap();
        assert_eq!(leaves, ["invite_member"], "{}", answer.body);
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_stands_still_delays_a_change_and_then_refuses_the_next() {
    let settings = [("MATRICULA_AUDIT_WAITING_MAX", "50"), ("MATRICULA_AUDIT_INDEX_WAIT_MS", "300")];
    let app = TestApp::start_with(&settings).await.unwrap();
    let (behind, other) = (app.tenant().await.unwrap(), app.tenant().await.unwrap());
    app.settle().await.unwrap();
    let email = |name: &str| json!({ "email": format!("{name}@example.com") });
    let mut database = app.superuser_connection().await.unwrap();

    let tx = by_hand(&app).await;
    let late = invite(&app, &behind, "late").await;
    assert!(
        late.data("inviteMember")["complianceId"].is_string(),
        "late is done all the same: {}",
        late.body
    );
    flood(&mut database, other.id, "access", 200).await;
    flood(&mut database, behind.id, "iam", 50).await;
    let refused = app
        .client
        .graphql_until(&behind.owner.token, INVITE, email("refused"), |answer| answer.code() == "UNAVAILABLE")
        .await
        .unwrap();
    assert!(!refused.compliance_id().is_empty());
    let read = "{ viewer { tenant { slug } } }";
    let answer = app.client.graphql(&behind.owner.token, read, json!({})).await.unwrap();
    assert_eq!(answer.data("viewer")["tenant"]["slug"], behind.slug, "reading goes on: {}", answer.body);
    let answer = invite(&app, &other, "other").await;
    assert!(
        answer.data("inviteMember")["complianceId"].is_string(),
        "access events hold nobody up: {}",
        answer.body
    );

    drain(&mut database).await;
    drop(tx);
    app.client
        .graphql_until(&behind.owner.token, INVITE, email("again"), |answer| {
            answer.data("inviteMember")["complianceId"].is_string()
        })
        .await
        .unwrap();
    app.stop().await.unwrap();
}

/// What goes wrong where a trigger calls it: a full disk, one that can't be read, a connection that drops.
pub(super) const FAULTS: [&str; 3] = [
    "CREATE OR REPLACE FUNCTION compliance.full() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100'; END $$",
    "CREATE OR REPLACE FUNCTION compliance.full() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'input/output error' USING ERRCODE = '58030'; END $$",
    "CREATE OR REPLACE FUNCTION compliance.full() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$",
];

async fn invite(app: &TestApp, tenant: &TestTenant, name: &str) -> Answer {
    let email = json!({ "email": format!("{name}@example.com") });
    app.client.graphql(&tenant.owner.token, INVITE, email).await.unwrap()
}

/// How many events of a request wait for their index, and how many have one.
async fn waiting_and_placed(database: &mut PgConnection, compliance_id: &str) -> (i64, i64) {
    sqlx::query_as(
        "SELECT (SELECT count(*) FROM compliance.audit_outbox WHERE compliance_id = $1::uuid AND stream = 'iam'),
                (SELECT count(*) FROM compliance.audit_leaves WHERE compliance_id = $1::uuid AND stream = 'iam')",
    )
    .bind(compliance_id)
    .fetch_one(database)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_9_wherever_sequencing_breaks_off_no_event_is_lost_or_doubled() {
    let app = TestApp::start_with(&[("MATRICULA_AUDIT_INDEX_WAIT_MS", "300")]).await.unwrap();
    let tenant = app.tenant().await.unwrap();
    app.settle().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    let trigger = |kind: &str, when: &str, table: &str, how: &str| {
        let made = format!(
            "CREATE {kind} full_disk {when} ON compliance.{table} {how} FOR EACH ROW EXECUTE FUNCTION compliance.full()"
        );
        (table.to_owned(), made)
    };
    for (number, fault) in FAULTS.into_iter().enumerate() {
        database.execute(fault).await.unwrap();
        for (step, (table, made)) in [
            ("claiming", trigger("TRIGGER", "BEFORE DELETE", "audit_outbox", "")),
            ("leaves", trigger("TRIGGER", "BEFORE INSERT", "audit_leaves", "")),
            ("tiles", trigger("TRIGGER", "BEFORE INSERT OR UPDATE", "audit_tiles", "")),
            ("heads", trigger("TRIGGER", "BEFORE INSERT", "audit_heads", "")),
            (
                "commit",
                trigger("CONSTRAINT TRIGGER", "AFTER INSERT", "audit_heads", "DEFERRABLE INITIALLY DEFERRED"),
            ),
        ] {
            database.execute(sqlx::AssertSqlSafe(made)).await.unwrap();
            let answer = invite(&app, &tenant, &format!("{step}{number}")).await;
            let id = answer.data("inviteMember")["complianceId"].as_str().unwrap().to_owned();
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            assert_eq!(waiting_and_placed(&mut database, &id).await, (1, 0), "{step}, {fault}");
            let dropped = format!("DROP TRIGGER full_disk ON compliance.{table}");
            database.execute(sqlx::AssertSqlSafe(dropped)).await.unwrap();
            app.settle().await.unwrap();
            assert_eq!(waiting_and_placed(&mut database, &id).await, (0, 1), "{step}, {fault}");
        }
    }
    app.check_logs().await.unwrap();
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_11_what_is_rolled_back_leaves_no_event() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    let units = &app.service.parts.app.units;
    let record = || Record::success(CHANGE_PASSWORD, Party::new("member", tenant.id.uuid()));
    let dropped = app.origin("tests");
    let mut work = units.begin(TenantScope::of(tenant.id), &dropped).await.unwrap();
    work.record(record()).await.unwrap();
    work.roll_back().await;
    // Refused by the database as late as there is: when it is committed.
    let refused = app.origin("tests");
    database.execute(FAULTS[0]).await.unwrap();
    let late = "CREATE CONSTRAINT TRIGGER full_disk AFTER INSERT ON compliance.audit_outbox DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION compliance.full()";
    database.execute(late).await.unwrap();
    let mut work = units.begin(TenantScope::of(tenant.id), &refused).await.unwrap();
    work.record(record()).await.unwrap();
    assert!(work.commit().await.is_err());
    database.execute("DROP TRIGGER full_disk ON compliance.audit_outbox").await.unwrap();
    let kept = app.origin("tests");
    let mut work = units.begin(TenantScope::of(tenant.id), &kept).await.unwrap();
    work.record(record()).await.unwrap();
    work.commit().await.unwrap();
    app.settle().await.unwrap();
    for (origin, left) in [(dropped, (0, 0)), (refused, (0, 0)), (kept, (0, 1))] {
        let id = origin.compliance_id.uuid().to_string();
        assert_eq!(waiting_and_placed(&mut database, &id).await, left);
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_10_and_12_an_event_that_is_written_early_and_committed_late_stalls_nobody() {
    let app = TestApp::start().await.unwrap();
    let (early, other) = (app.tenant().await.unwrap(), app.tenant().await.unwrap());
    app.settle().await.unwrap();
    let mut idle = app.superuser_connection().await.unwrap();
    let mut tx = idle.begin().await.unwrap();
    let record = Record::success(CHANGE_PASSWORD, Party::new("member", early.id.uuid()));
    let origin = app.origin("tests");
    let event = compose(TenantScope::of(early.id), &origin, &record, EventId::new(&System), System.now());
    sqlx::query(
        "INSERT INTO compliance.audit_outbox
             (tenant_id, event_id, stream, compliance_id, type, outcome, target_id, occurred_at, leaf)
         VALUES ($1, $2, 'iam', $3, 'change_password', 'success', $1, $4, $5)",
    )
    .bind(early.id.uuid())
    .bind(event.event_id.uuid())
    .bind(origin.compliance_id.uuid())
    .bind(event.occurred_at)
    .bind(event.to_leaf().unwrap())
    .execute(&mut *tx)
    .await
    .unwrap();

    let mut database = app.superuser_connection().await.unwrap();
    for tenant in [&early, &other] {
        let answer = invite(&app, tenant, "meanwhile").await;
        let id = answer.data("inviteMember")["complianceId"].as_str().unwrap();
        assert_eq!(waiting_and_placed(&mut database, id).await, (0, 1), "{}", answer.body);
    }
    let late = origin.compliance_id.uuid().to_string();
    assert_eq!(waiting_and_placed(&mut database, &late).await, (0, 0), "nobody sees it yet");
    tx.commit().await.unwrap();
    app.settle().await.unwrap();
    assert_eq!(waiting_and_placed(&mut database, &late).await, (0, 1));
    let places: Vec<String> = sqlx::query_scalar(
        "SELECT type FROM compliance.audit_leaves WHERE tenant_id = $1 AND stream = 'iam' ORDER BY index",
    )
    .bind(early.id.uuid())
    .fetch_all(&mut database)
    .await
    .unwrap();
    assert!(places.ends_with(&["invite_member".to_owned(), "change_password".to_owned()]), "{places:?}");
    app.check_logs().await.unwrap();
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_11_what_leaves_no_event_is_not_done() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    let invitations = async |database: &mut PgConnection| -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM identity.invitations WHERE tenant_id = $1")
            .bind(tenant.id.uuid())
            .fetch_one(database)
            .await
            .unwrap()
    };
    assert_eq!(invitations(&mut database).await, 0);
    database.execute(FAULTS[0]).await.unwrap();
    database
        .execute(
            "CREATE TRIGGER full_disk BEFORE INSERT ON compliance.audit_outbox FOR EACH ROW
             WHEN (NEW.type = 'invite_member' AND NEW.outcome = 'success') EXECUTE FUNCTION compliance.full()",
        )
        .await
        .unwrap();
    let refused = invite(&app, &tenant, "guest").await;
    assert_eq!(refused.code(), "UNAVAILABLE", "{}", refused.body);
    assert_eq!(invitations(&mut database).await, 0, "nothing is half done");
    database.execute("DROP TRIGGER full_disk ON compliance.audit_outbox").await.unwrap();
    let done = invite(&app, &tenant, "guest").await;
    let id = done.data("inviteMember")["complianceId"].as_str().unwrap_or_else(|| panic!("{}", done.body));
    app.settle().await.unwrap();
    assert_eq!(waiting_and_placed(&mut database, id).await, (0, 1));
    assert_eq!(invitations(&mut database).await, 1);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_8_a_sequencer_that_was_put_to_sleep_writes_nothing_when_it_wakes() {
    let app = TestApp::start_with(&[("MATRICULA_AUDIT_INDEX_WAIT_MS", "300")]).await.unwrap();
    let tenant = app.tenant().await.unwrap();
    app.settle().await.unwrap();
    // As a process that is stopped: its transaction stays open until the database has had enough.
    let impatient = PoolSettings { statement_timeout: Duration::from_millis(750), ..PoolSettings::default() };
    let mut asleep = by_hand_under(&app, impatient).await;
    let mut ids = Vec::new();
    for name in ["one", "two"] {
        let answer = invite(&app, &tenant, name).await;
        ids.push(answer.data("inviteMember")["complianceId"].as_str().unwrap().to_owned());
    }
    let taken = asleep.take(100, &[]).await.unwrap();
    assert!(taken.events.len() >= 2, "{taken:?}");
    let edges = asleep.edges(&[taken.events[0].log]).await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    assert_eq!(waiting_and_placed(&mut database, &ids[0]).await, (1, 0), "nobody else sequences meanwhile");
    // Twice the time of a statement; then the other one is at it, without being told.
    app.settle().await.unwrap();
    let hash = domain::compliance::log::merkle::leaf_hash(&taken.events[0].leaf);
    let woken = LogGrowth {
        log: edges[0].log,
        old_size: edges[0].size,
        leaves: vec![(taken.events[0].event, hash)],
        tiles: Vec::new(),
        head: SignedHead {
            size: edges[0].size + 1,
            root: hash,
            note: "woken".to_owned(),
            signed_at: System.now(),
        },
        oldest_at: System.now(),
    };
    let grown = asleep.grow(std::slice::from_ref(&woken)).await;
    assert!(grown.is_err() && asleep.commit().await.is_err(), "it can't come back");
    for id in &ids {
        assert_eq!(waiting_and_placed(&mut database, id).await, (0, 1));
    }
    app.check_logs().await.unwrap();
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_8_of_two_sequencers_that_are_stopped_in_turn_the_other_goes_on_and_nothing_is_doubled() {
    let settings =
        [("MATRICULA_AUDIT_INDEX_WAIT_MS", "0"), ("MATRICULA_DATABASE_STATEMENT_TIMEOUT_MS", "2000")];
    let app = TestApp::start_for(&settings, &Duties::all_but(Queue::Sequence)).await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let workers = [(); 2].map(|()| app.process(&["work", "--queue", "sequence"]).unwrap());
    app.settle().await.unwrap();
    let signal = |name: &str, pid: u32| {
        let told = std::process::Command::new("kill").args([name, &pid.to_string()]).status().unwrap();
        assert!(told.success(), "{name} {pid}");
    };
    let mut ids = Vec::new();
    for round in 0..4 {
        let stopped = workers[round % 2].id().unwrap();
        for number in 0..8 {
            // In the midst of it: whatever it was at stays open.
            if number == 4 {
                signal("-STOP", stopped);
            }
            let answer = invite(&app, &tenant, &format!("guest-{round}-{number}")).await;
            let id = answer.data("inviteMember")["complianceId"].as_str();
            ids.push(id.unwrap_or_else(|| panic!("{}", answer.body)).to_owned());
        }
        app.settle().await.unwrap();
        signal("-CONT", stopped);
    }
    app.settle().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    for id in &ids {
        assert_eq!(waiting_and_placed(&mut database, id).await, (0, 1));
    }
    app.check_logs().await.unwrap();
    for worker in workers {
        worker.kill9().await.unwrap();
    }
    app.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_9_a_sequencer_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    let settings = [("MATRICULA_AUDIT_INDEX_WAIT_MS", "0")];
    let app = TestApp::start_for(&settings, &Duties::all_but(Queue::Sequence)).await.unwrap();
    let tenants = [app.tenant().await.unwrap(), app.tenant().await.unwrap()];
    let mut ids = Vec::new();
    for round in 0..8_u64 {
        let worker = app.process(&["work", "--queue", "sequence"]).unwrap();
        let begun = tokio::time::Instant::now();
        // Each a little later in what it does.
        while begun.elapsed() < Duration::from_millis(300 + 35 * round) {
            for (number, tenant) in tenants.iter().enumerate() {
                let answer = invite(&app, tenant, &format!("guest-{round}-{number}-{}", ids.len())).await;
                let id = answer.data("inviteMember")["complianceId"].as_str();
                ids.push(id.unwrap_or_else(|| panic!("{}", answer.body)).to_owned());
            }
        }
        worker.kill9().await.unwrap();
    }
    let mut database = app.superuser_connection().await.unwrap();
    let last = app.process(&["work", "--queue", "sequence"]).unwrap();
    app.settle().await.unwrap();
    for id in &ids {
        assert_eq!(waiting_and_placed(&mut database, id).await, (0, 1));
    }
    app.check_logs().await.unwrap();
    last.kill9().await.unwrap();
    app.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_12_how_far_the_logs_are_behind_is_told() {
    let app = TestApp::start_with(&[("MATRICULA_AUDIT_INDEX_WAIT_MS", "0")]).await.unwrap();
    let tenant = app.tenant().await.unwrap();
    app.settle().await.unwrap();
    let told = async |name: &str, wanted: fn(f64) -> bool| {
        let metrics = format!("{}/metrics", app.operators().unwrap().base());
        let deadline = tokio::time::Instant::now() + harness::client::PATIENCE;
        loop {
            let text = reqwest::get(&metrics).await.unwrap().text().await.unwrap();
            let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).map(str::to_owned);
            let figure: f64 =
                line.as_ref().map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap());
            if wanted(figure) {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "{name}: {line:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let paused = by_hand(&app).await;
    invite(&app, &tenant, "waits").await;
    told("matricula_audit_waiting", |waiting| waiting >= 1.0).await;
    told("matricula_audit_lag_seconds", |lag| (2.0..600.0).contains(&lag)).await;
    // The oldest counts, wherever it lies.
    let mut database = app.superuser_connection().await.unwrap();
    let older = "UPDATE compliance.audit_outbox SET occurred_at = now() - interval '1 hour' WHERE type = 'invite_member'";
    database.execute(older).await.unwrap();
    flood(&mut database, app.tenant().await.unwrap().id, "access", 11_000).await;
    database
        .execute("UPDATE compliance.audit_outbox SET occurred_at = now() WHERE leaf = 'flood'")
        .await
        .unwrap();
    told("matricula_audit_lag_seconds", |lag| lag > 3_599.0).await;
    drain(&mut database).await;
    drop(paused);
    told("matricula_audit_lag_seconds", |lag| lag < 1.0).await;
    app.stop().await.unwrap();
}
