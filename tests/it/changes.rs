//! No silent writes: what is in tables is what events committed to, whoever wrote it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::{
    accounts::{model::Group, ports::AccountsUnits},
    compliance::{
        event::AuditEvent,
        log::commitment::Commitment,
        ports::{ComplianceUnits, Opened, Opening},
    },
    kernel::{
        actor::Role,
        clock::Clock as _,
        fault::PortError,
        ids::{ComplianceId, EventId, GroupId, TenantId},
        outbox::{Origin, Stream},
        scope::TenantScope,
        secret::{Place, Sealed, Secret, Vault},
    },
};
use harness::{
    app::TestApp,
    platform::TestPlatform,
    posting::{Desk, is_there, video},
};
use infra::{
    postgres::inventory::{Changes, HOLDINGS},
    system::System,
};
use serde_json::{Map, Value, json};
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

/// A row of a table: its key, and its columns.
type Rows = BTreeMap<String, BTreeMap<String, Map<String, Value>>>;

/// All events of a tenant, oldest first, each with what opens it, as far as it commits to anything.
async fn events(app: &TestApp, tenant: TenantId) -> Vec<(AuditEvent, Option<Opening>)> {
    app.settle().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    let leaves: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT leaf FROM compliance.audit_leaves WHERE tenant_id = $1 ORDER BY event_id")
            .bind(tenant.uuid())
            .fetch_all(&mut database)
            .await
            .unwrap();
    let events: Vec<_> = leaves.iter().map(|leaf| AuditEvent::from_leaf(leaf).unwrap()).collect();
    let units = app.units(app.service.parts.app.vault.clone()).unwrap();
    let origin = Origin::system(ComplianceId::new(&System), "tests");
    let mut tx = ComplianceUnits::begin(&units, TenantScope::of(tenant), &origin).await.unwrap();
    let ids: Vec<EventId> = events.iter().map(|event| event.event_id).collect();
    let mut openings: BTreeMap<_, _> = tx.openings(&ids).await.unwrap().into_iter().collect();
    let events: Vec<_> = events
        .into_iter()
        .map(|event| {
            let opening = openings.remove(&event.event_id);
            (event, opening)
        })
        .collect();
    assert!(openings.is_empty());
    events
}

fn opens(commitment: Option<Commitment>, opened: Option<&Opened>) -> bool {
    match (commitment, opened) {
        (Some(commitment), Some(opened)) => commitment.opens_to(&opened.value, &opened.salt).unwrap(),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn rows(opened: Option<&Opened>) -> Vec<&Map<String, Value>> {
    let rows = opened.map(|opened| opened.value["rows"].as_array().unwrap());
    rows.into_iter().flatten().map(|row| row.as_object().unwrap()).collect()
}

/// What tables hold if events say all there is to say.
fn replayed(events: &[(AuditEvent, Option<Opening>)]) -> Rows {
    let mut tables = Rows::new();
    for (event, opening) in events {
        let Some(opening) = opening else {
            assert_eq!((event.diff_commit, event.prev_state_commit), (None, None), "{event:?}");
            continue;
        };
        assert!(opens(event.diff_commit, Some(&opening.diff)), "{event:?}");
        assert!(opens(event.prev_state_commit, opening.prev_state.as_ref()), "{event:?}");
        for row in rows(opening.prev_state.as_ref()) {
            let table = tables.entry(row["table"].as_str().unwrap().to_owned()).or_default();
            let known = &table[&row["key"].to_string()];
            for (column, was) in row["before"].as_object().unwrap() {
                assert_eq!(known.get(column), Some(was), "{row:?} in {event:?}");
            }
        }
        for row in rows(Some(&opening.diff)) {
            let table = tables.entry(row["table"].as_str().unwrap().to_owned()).or_default();
            let key = row["key"].to_string();
            let after = row.get("after").map(|after| after.as_object().unwrap().clone());
            match (row["op"].as_str().unwrap(), after) {
                ("insert", Some(after)) => assert!(table.insert(key, after).is_none(), "{row:?}"),
                ("update", Some(after)) => table.get_mut(&key).unwrap().extend(after),
                ("delete", None) => assert!(table.remove(&key).is_some(), "{row:?}"),
                (op, after) => panic!("{op} {after:?}"),
            }
        }
    }
    tables.retain(|_, rows| !rows.is_empty());
    tables
}

/// How a trigger was told to note a table: its arguments.
async fn noted(database: &mut PgConnection) -> BTreeMap<String, [Vec<String>; 4]> {
    let rows = sqlx::query(
        "SELECT format('%s.%s', n.nspname, c.relname) AS name, encode(t.tgargs, 'escape') AS arguments
         FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
         WHERE t.tgname = 'note_change' AND t.tgenabled = 'O'
           AND EXISTS (SELECT FROM pg_trigger AS o WHERE o.tgrelid = t.tgrelid AND o.tgname = 'leave_changes'
                       AND o.tgenabled = 'O' AND o.tgdeferrable AND o.tginitdeferred)
           AND EXISTS (SELECT FROM pg_trigger AS o WHERE o.tgrelid = t.tgrelid AND o.tgname = 'refuse_truncate'
                       AND o.tgenabled = 'O')",
    )
    .fetch_all(database)
    .await
    .unwrap();
    let of = |row: &sqlx::postgres::PgRow| {
        let arguments: String = row.get("arguments");
        let words =
            |list: &str| list.split(',').filter(|word| !word.is_empty()).map(ToOwned::to_owned).collect();
        let lists: Vec<Vec<String>> = arguments.split("\\000").take(4).map(words).collect();
        (row.get("name"), lists.try_into().unwrap())
    };
    rows.iter().map(of).collect()
}

/// Takes a column, or a part of one, out of a row.
fn forget(row: &mut Map<String, Value>, path: &str) {
    match path.split_once('.') {
        None => drop(row.remove(path)),
        Some((column, rest)) => {
            if let Some(part) = row.get_mut(column).and_then(Value::as_object_mut) {
                forget(part, rest);
            }
        }
    }
}

/// What the tables that are noted hold, as it is noted.
async fn held(database: &mut PgConnection, tenant: TenantId) -> Rows {
    let mut tables = Rows::new();
    for (table, [keys, _, digested, unnoted]) in noted(database).await {
        let digest = |column: &String| {
            format!(
                "CASE WHEN r ->> '{column}' IS NOT NULL THEN jsonb_build_object('{column}', 'sha256:' || encode(sha256(
                 convert_to(r ->> '{column}', 'UTF8')), 'hex')) ELSE '{{}}' END"
            )
        };
        let digests: Vec<_> = digested.iter().map(digest).chain(["'{}'::jsonb".to_owned()]).collect();
        let sql = format!(
            "SELECT r || {} AS r FROM (SELECT to_jsonb(t) - 'tenant_id' AS r FROM {table} AS t WHERE tenant_id = $1) AS rows",
            digests.join(" || ")
        );
        let rows: Vec<Value> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(tenant.uuid())
            .fetch_all(&mut *database)
            .await
            .unwrap();
        for row in rows {
            let mut row = row.as_object().unwrap().clone();
            let key: Map<_, _> = keys.iter().map(|key| (key.clone(), row[key].clone())).collect();
            for path in &unnoted {
                forget(&mut row, path);
            }
            tables.entry(table.clone()).or_default().insert(Value::Object(key).to_string(), row);
        }
    }
    tables
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_is_described_and_its_changes_are_noted_or_it_is_said_why_not() {
    let app = TestApp::start().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT format('%s.%s', n.nspname, c.relname), a.attname::text
         FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
         JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^(pg_|information_schema)'
           AND EXISTS (SELECT FROM pg_attribute AS t WHERE t.attrelid = c.oid AND t.attname = 'tenant_id')
           AND a.attname <> 'tenant_id'
         ORDER BY 1, 2",
    )
    .fetch_all(&mut database)
    .await
    .unwrap();
    let mut described: Vec<_> = HOLDINGS
        .iter()
        .flat_map(|holding| {
            holding.columns.iter().map(|(column, _)| (holding.table.to_owned(), (*column).to_owned()))
        })
        .collect();
    described.sort();
    assert_eq!(columns, described, "infra/src/postgres/inventory.rs says what each column says about whom");
    let noted = noted(&mut database).await;
    let mut personal = 0;
    for holding in HOLDINGS {
        match (holding.changes, noted.get(holding.table)) {
            (Changes::Noted, Some([keys, subject, digested, unnoted])) => {
                let column_of = |path: &str| path.split('.').next().unwrap_or_default().to_owned();
                let known = |path: &String| holding.columns.iter().any(|(name, _)| *name == column_of(path));
                assert!(
                    [keys, subject, digested, unnoted].into_iter().flatten().all(known),
                    "{}",
                    holding.table
                );
                // What is sealed, hashed or a secret's hash is noted by its digest.
                for (column, _) in holding.columns {
                    let is_secret = ["_sealed", "_hash", "_index"].iter().any(|end| column.ends_with(end));
                    let column = (*column).to_owned();
                    assert!(!is_secret || digested.contains(&column), "{}.{column}", holding.table);
                }
            }
            (Changes::Unnoted(why), None) => assert!(why.len() > 20, "{}", holding.table),
            (changes, noted) => panic!("{}: {changes:?}, and the triggers say {noted:?}", holding.table),
        }
        personal += usize::from(!holding.categories().is_empty());
    }
    assert!(personal > 15 && noted.len() > 20);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_tables_is_what_events_committed_to() {
    let platform = TestPlatform::start().unwrap();
    let app = platform.posting_app().await.unwrap();
    let desk = Desk::open(&platform, &app, 2, &video(0).await.unwrap()).await.unwrap();
    let tenant = desk.tenant.id;
    let token = desk.tenant.owner.token.clone();
    let member = app.member(&desk.tenant, Role::Analyst).await.unwrap();
    let run = async |what: &str| {
        let answer = app.client.graphql(&token, what, json!({})).await.unwrap();
        let data = answer.body["data"].as_object().unwrap_or_else(|| panic!("{}", answer.body)).clone();
        let (_, payload) = data.into_iter().next().unwrap();
        assert_eq!(payload["userErrors"], json!([]), "{what}: {}", answer.body);
        payload
    };
    let analyst = &member.id;
    run(&format!("mutation {{ changeMemberRole(input: {{ id: \"{analyst}\", role: OPERATOR }}) {{ userErrors {{ message }} }} }}")).await;
    let group = run("mutation { createGroup(input: { name: \"North\" }) @idempotent(key: \"g\") { group { id } userErrors { message } } }").await;
    let group = group["group"]["id"].as_str().unwrap().to_owned();
    for field in ["grantGroup", "revokeGroup", "grantGroup"] {
        run(&format!("mutation {{ {field}(input: {{ id: \"{group}\", memberId: \"{analyst}\" }}) {{ userErrors {{ message }} }} }}")).await;
    }
    run("mutation { issueApiKey(input: { name: \"robot\", scopes: [READ_MEMBERS] }) @idempotent(key: \"k\") { userErrors { message } } }").await;
    run("mutation { createTimetable(input: { name: \"Evenings\", zone: \"Asia/Shanghai\", rules: [\"0 0 19 * * *\"] }) @idempotent(key: \"t\") { userErrors { message } } }").await;
    app.sign_in(&desk.tenant.slug, &member.email).await.unwrap();
    let everywhere = "mutation { signOutEverywhere { userErrors { message } } }";
    let out = app.client.graphql(&member.token, everywhere, json!({})).await.unwrap();
    assert_eq!(out.data("signOutEverywhere")["userErrors"], json!([]), "{}", out.body);
    let items = [(0, "one".to_owned()), (1, "two".to_owned())];
    let posted = desk.post(&app, &items, System.now()).await.unwrap();
    let later = desk.plan(&app, &[(0, "later".to_owned())], System.now() + TimeDelta::days(2)).await.unwrap();
    run(&format!("mutation {{ cancelPlan(input: {{ id: \"{later}\" }}) {{ userErrors {{ message }} }} }}"))
        .await;
    desk.until(&app, &posted, Duration::from_mins(2), is_there).await.unwrap();
    // What is still under way ends first: rows and events are read at different moments.
    let mut database = app.superuser_connection().await.unwrap();
    let begun = tokio::time::Instant::now();
    let (told, held) = loop {
        let before = held(&mut database, tenant).await;
        let told = events(&app, tenant).await;
        if before == held(&mut database, tenant).await {
            break (told, before);
        }
        assert!(begun.elapsed() < harness::client::PATIENCE, "it never rests");
    };
    // Each change was told by who made it.
    assert!(told.iter().all(|(event, _)| event.actor.kind != "database"));
    let replayed = replayed(&told);
    for (table, rows) in &held {
        assert_eq!(replayed.get(table), Some(rows), "{table}");
    }
    assert_eq!(replayed.keys().collect::<Vec<_>>(), held.keys().collect::<Vec<_>>());
    assert!(held.len() >= 15, "{:?}", held.keys());
    // Nothing that is sealed or secret is among what opens events, but as a digest.
    let text = format!("{told:?}");
    assert!(!text.contains("$argon2") && !text.contains(&member.email) && text.contains("sha256:"));
    let role = told.iter().find(|(event, _)| event.type_name == "change_member_role").unwrap();
    let opening = role.1.as_ref().unwrap();
    assert_eq!(opening.prev_state.as_ref().unwrap().value["rows"][0]["before"], json!({ "role": "analyst" }));
    assert_eq!(opening.diff.value["rows"][0]["after"], json!({ "role": "operator" }));
    app.stop().await.unwrap();
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_at_the_database_is_told_of() {
    let app = TestApp::start().await.unwrap();
    let (aurora, borealis) = (app.tenant().await.unwrap(), app.tenant().await.unwrap());
    let before = app.figure("matricula_changes_told_late_total").await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    let changed = sqlx::query("UPDATE identity.tenants SET members_max = 7 WHERE tenant_id = ANY ($1)")
        .bind(vec![aurora.id.uuid(), borealis.id.uuid()])
        .execute(&mut database)
        .await
        .unwrap();
    assert_eq!(changed.rows_affected(), 2);
    // Moved, a row is lost by the one and gained by the other.
    let add = "INSERT INTO accounts.groups (tenant_id, id, name, created_at, version) VALUES ($1, $2, 'Lost', now(), 0)";
    let group = GroupId::new(&System).uuid();
    sqlx::query(add).bind(aurora.id.uuid()).bind(group).execute(&mut database).await.unwrap();
    let moved = "UPDATE accounts.groups SET tenant_id = $1 WHERE id = $2";
    sqlx::query(moved).bind(borealis.id.uuid()).bind(group).execute(&mut database).await.unwrap();
    let truncated =
        sqlx::query("TRUNCATE identity.members CASCADE").execute(&mut database).await.unwrap_err();
    assert!(truncated.to_string().contains("is not truncated"), "{truncated}");
    let begun = tokio::time::Instant::now();
    while app.figure("matricula_changes_told_late_total").await.unwrap() < before + 5 {
        assert!(begun.elapsed() < harness::client::PATIENCE, "it is told");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for (tenant, ops) in
        [(&aurora, vec!["update", "insert", "delete"]), (&borealis, vec!["update", "insert"])]
    {
        let told = events(&app, tenant.id).await;
        let by_hand = told.iter().filter(|(event, _)| event.actor.kind == "database");
        let rows_of = |(_, opening): &(AuditEvent, Option<Opening>)| {
            opening.as_ref().unwrap().diff.value["rows"].clone()
        };
        let done: Vec<_> = by_hand.map(|told| rows_of(told)[0]["op"].as_str().unwrap().to_owned()).collect();
        assert_eq!(done, ops);
        let (event, opening) = told.iter().find(|(event, _)| event.actor.kind == "database").unwrap();
        assert_eq!((event.stream, event.type_name.as_str()), (Stream::Data, "change_rows"));
        let opening = opening.as_ref().unwrap();
        assert_eq!(opening.diff.value["rows"][0]["after"], json!({ "members_max": 7 }));
        assert!(!opening.diff.value["role"].as_str().unwrap().is_empty(), "whose login it was");
        assert_eq!(
            opening.diff.value["rows"].as_array().unwrap().len(),
            1,
            "its own rows, and nobody else's"
        );
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_13_a_change_of_ten_megabytes_is_committed_to_and_its_leaf_stays_small() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let before = app.figure("matricula_changes_told_late_total").await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    // Text that nothing makes smaller, with what canonical JSON has to be careful about.
    let large = "INSERT INTO accounts.groups (tenant_id, id, name, created_at, version)
                 SELECT $1, $2, string_agg(md5(n::text) || E'\\u0001\"\\\\\\u00e9', ''), now(), 0
                 FROM generate_series(1, 290000) AS n";
    let group = GroupId::new(&System).uuid();
    sqlx::query(large).bind(tenant.id.uuid()).bind(group).execute(&mut database).await.unwrap();
    let bytes: i32 = sqlx::query_scalar("SELECT octet_length(name) FROM accounts.groups WHERE id = $1")
        .bind(group)
        .fetch_one(&mut database)
        .await
        .unwrap();
    assert!(bytes > 10_000_000, "{bytes}");
    let begun = tokio::time::Instant::now();
    while app.figure("matricula_changes_told_late_total").await.unwrap() < before + 1 {
        assert!(begun.elapsed() < harness::client::PATIENCE, "it is told");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let told = events(&app, tenant.id).await;
    let (event, opening) = told.iter().find(|(event, _)| event.actor.kind == "database").unwrap();
    assert!(event.diff_commit.is_some() && event.to_leaf().unwrap().len() < 4_096);
    assert!(opens(event.diff_commit, opening.as_ref().map(|opening| &opening.diff)), "what is kept opens it");
    app.check_logs().await.unwrap();
    app.stop().await.unwrap();
}

/// Seals nothing: the keys are away.
struct Away;

#[async_trait]
impl Vault for Away {
    async fn seal(&self, _: &TenantScope, _: Place, _: &[u8]) -> Result<Sealed, PortError> {
        Err(PortError::passing("tests.vault", "away"))
    }

    async fn open(&self, _: &TenantScope, _: Place, _: &Sealed) -> Result<Secret, PortError> {
        Err(PortError::passing("tests.vault", "away"))
    }

    async fn keyed_hash(&self, _: &TenantScope, _: &str, _: &[u8]) -> Result<[u8; 32], PortError> {
        Err(PortError::passing("tests.vault", "away"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_while_keys_are_away_is_committed_to_afterwards() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let scope = TenantScope::of(tenant.id);
    let origin = Origin::system(ComplianceId::new(&System), "tests");
    let units = app.units(Arc::new(Away)).unwrap();
    let mut tx = AccountsUnits::begin(&units, scope, &origin).await.unwrap();
    let group = Group {
        id: GroupId::new(&System),
        parent: None,
        name: "West".to_owned(),
        created_at: System.now(),
        version: 0,
    };
    tx.add_group(&group).await.unwrap();
    tx.commit().await.unwrap();
    let begun = tokio::time::Instant::now();
    let event = loop {
        let told = events(&app, tenant.id).await;
        let late = told.into_iter().find(|(event, _)| event.compliance_id == origin.compliance_id);
        if let Some((event, opening)) = late {
            assert_eq!(opening.unwrap().diff.value["rows"][0]["after"]["name"], "West");
            break event;
        }
        assert!(begun.elapsed() < harness::client::PATIENCE, "it is told");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((event.type_name.as_str(), event.actor.kind.as_str()), ("change_rows", "system"));
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_savepoint_took_back_is_not_told() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    let mut tx = sqlx::Connection::begin(&mut database).await.unwrap();
    for sql in ["SAVEPOINT s", "UPDATE identity.tenants SET members_max = 8", "ROLLBACK TO s"] {
        sqlx::query(sql).execute(&mut *tx).await.unwrap();
    }
    let sql = "UPDATE identity.tenants SET members_max = 9 WHERE tenant_id = $1";
    sqlx::query(sql).bind(tenant.id.uuid()).execute(&mut *tx).await.unwrap();
    let notes: Vec<String> =
        sqlx::query_scalar("SELECT compliance.take_changes()").fetch_all(&mut *tx).await.unwrap();
    let notes: Vec<Value> = notes.concat().lines().map(|note| serde_json::from_str(note).unwrap()).collect();
    assert_eq!(notes.len(), 1);
    assert_eq!(notes[0]["after"], json!({ "members_max": 9 }));
    // Thousands of notes are kept in pieces, and lose nothing by it.
    let many = "INSERT INTO accounts.groups (tenant_id, id, name, created_at, version)
        SELECT $1, gen_random_uuid(), repeat('n', 200), now(), 0 FROM generate_series(1, 3000)";
    sqlx::query(many).bind(tenant.id.uuid()).execute(&mut *tx).await.unwrap();
    let notes: Vec<String> =
        sqlx::query_scalar("SELECT compliance.take_changes()").fetch_all(&mut *tx).await.unwrap();
    assert!(notes.len() > 10 && notes.iter().all(|piece| piece.len() < 70_000), "{}", notes.len());
    let notes = notes.concat();
    assert_eq!(notes.lines().count(), 3_000);
    let ids: std::collections::BTreeSet<Uuid> = notes
        .lines()
        .map(|note| {
            serde_json::from_str::<Value>(note).unwrap()["key"]["id"].as_str().unwrap().parse().unwrap()
        })
        .collect();
    assert_eq!(ids.len(), 3_000);
    tx.rollback().await.unwrap();
    app.stop().await.unwrap();
}
