//! The audit log as an auditor has it: found by compliance ID, proven by checkpoints and proofs, read by filters.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    compliance::{
        event::AuditEvent,
        log::{
            checkpoint::Checkpoint,
            merkle::{Hash, leaf_hash, verify_consistency, verify_inclusion},
            note::{Note, VerifierKey},
        },
    },
    kernel::actor::Role,
};
use harness::app::TestApp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sqlx::Executor as _;

fn hash(value: &Value) -> Hash {
    Hash::from_slice(&STANDARD.decode(value.as_str().unwrap()).unwrap()).unwrap()
}

fn hashes(value: &Value) -> Vec<Hash> {
    value.as_array().unwrap().iter().map(hash).collect()
}

/// Opens a checkpoint with its own verifier keys and says its size and root.
fn opened(checkpoint: &Value, origin: &str) -> (u64, Hash) {
    let keys: Vec<VerifierKey> = checkpoint["verifierKeys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| VerifierKey::parse(key.as_str().unwrap()).unwrap())
        .collect();
    let note = Note::parse(checkpoint["note"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(note.verify(&keys).unwrap().len(), 1, "signed by the tenant's key");
    let head = Checkpoint::parse(note.text()).unwrap();
    assert_eq!(head.origin(), origin);
    assert_eq!(head.size().to_string(), checkpoint["size"].as_str().unwrap());
    assert_eq!(head.root(), hash(&checkpoint["root"]));
    (head.size(), head.root())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_proven_against_a_signed_head() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let auditor = app.member(&tenant, Role::Auditor).await.unwrap();
    app.settle().await.unwrap();
    let origin = format!("audit.matricula.localhost/t/{}/iam", tenant.id.uuid());
    let head = "{ auditCheckpoint(stream: IAM) { size root note verifierKeys } }";
    let early = app.client.graphql(&auditor.token, head, json!({})).await.unwrap();
    let (old_size, old_root) = opened(early.data("auditCheckpoint"), &origin);
    for _ in 0..5 {
        app.sign_in(&tenant.slug, &auditor.email).await.unwrap();
    }
    app.settle().await.unwrap();

    let list = "{ auditEvents(filter: { stream: IAM, types: [\"sign_in\"] }, last: 3) { nodes { id index type complianceScope leaf leafHash } } }";
    let listed = app.client.graphql(&auditor.token, list, json!({})).await.unwrap();
    let events = listed.data("auditEvents")["nodes"].as_array().unwrap().clone();
    assert_eq!(events.len(), 3, "{}", listed.body);
    for event in &events {
        let leaf = event["leaf"].as_str().unwrap().as_bytes();
        assert_eq!(leaf_hash(leaf), hash(&event["leafHash"]));
        let parsed = AuditEvent::from_leaf(leaf).unwrap();
        assert_eq!((parsed.type_name.as_str(), parsed.tenant_id), ("sign_in", tenant.id));
        assert_eq!(
            (&event["complianceScope"], parsed.compliance_scope.len()),
            (&json!(["gdpr", "mlps", "pipl"]), 3)
        );
        let prove = "query ($id: ID!) { auditInclusionProof(eventId: $id) { index leafHash hashes checkpoint { size root note verifierKeys } } }";
        let proof = app.client.graphql(&auditor.token, prove, json!({ "id": event["id"] })).await.unwrap();
        let proof = proof.data("auditInclusionProof");
        let (size, root) = opened(&proof["checkpoint"], &origin);
        let index = proof["index"].as_str().unwrap().parse().unwrap();
        verify_inclusion(leaf_hash(leaf), index, size, &hashes(&proof["hashes"]), root).unwrap();
    }
    let prove = "query ($old: String!) { auditConsistencyProof(stream: IAM, oldSize: $old) { hashes checkpoint { size root note verifierKeys } } }";
    let proof =
        app.client.graphql(&auditor.token, prove, json!({ "old": old_size.to_string() })).await.unwrap();
    let proof = proof.data("auditConsistencyProof");
    let (size, root) = opened(&proof["checkpoint"], &origin);
    assert!(size > old_size);
    verify_consistency(old_size, size, &hashes(&proof["hashes"]), old_root, root).unwrap();
    for bad in ["0", "-1", "x", "99999999999999999999"] {
        let answer = app.client.graphql(&auditor.token, prove, json!({ "old": bad })).await.unwrap();
        assert_eq!(answer.code(), "BAD_USER_INPUT", "{bad}: {}", answer.body);
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_tells_device_factor_and_address_without_naming_them() {
    let app = TestApp::start().await.unwrap();
    let (aurora, borealis) = (app.tenant().await.unwrap(), app.tenant().await.unwrap());
    let mut leaves = Vec::new();
    for tenant in [&aurora, &borealis, &aurora] {
        let body =
            json!({ "tenant": tenant.slug, "email": tenant.owner.email, "password": harness::app::PASSWORD });
        let headers =
            [("content-type", "application/json"), ("x-device-id", "phone-1"), ("user-agent", "tests")];
        let answer = app
            .client
            .send(reqwest::Method::POST, "/auth/sign-in", &headers, Some(body.to_string()))
            .await
            .unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        let trail = "query ($id: ID!) { auditTrail(complianceId: $id) { events { type leaf } } }";
        let id = json!({ "id": answer.compliance_id() });
        let trail = app
            .client
            .graphql_until(&tenant.owner.token, trail, id, |a| {
                a.data("auditTrail")["events"].as_array().is_some_and(|e| !e.is_empty())
            })
            .await
            .unwrap();
        let leaf = trail.data("auditTrail")["events"][0]["leaf"].as_str().unwrap().to_owned();
        for secret in [tenant.owner.email.as_str(), "phone-1", "127.0.0.1", harness::app::PASSWORD] {
            assert!(!leaf.contains(secret), "{secret} is in {leaf}");
        }
        // Attack 26: who hashes all addresses there are finds none of them.
        let address = std::net::Ipv4Addr::LOCALHOST;
        let spelled = [
            "127.0.0.1".as_bytes().to_vec(),
            address.octets().to_vec(),
            address.to_ipv6_mapped().octets().to_vec(),
        ];
        for plain in spelled {
            let guess = Hash(Sha256::digest(&plain).into()).to_hex();
            assert!(!leaf.contains(&guess), "the address is in {leaf}");
        }
        leaves.push(AuditEvent::from_leaf(leaf.as_bytes()).unwrap());
    }
    let [first, other, again] = &leaves[..] else { panic!("three leaves") };
    assert_eq!(first.reason.as_deref(), Some("new_device"));
    assert_eq!(again.reason, None, "known by now");
    assert_eq!(first.device_fp, again.device_fp);
    assert_ne!(first.device_fp, other.device_fp, "one device is two pseudonyms in two tenants");
    assert_ne!(first.ip_hash.as_ref().unwrap().value, other.ip_hash.as_ref().unwrap().value);
    let [now, later] = [first, again].map(|leaf| leaf.ip_hash.as_ref().unwrap());
    assert!(
        now.value == later.value || now.key_epoch != later.key_epoch,
        "one pseudonym in a tenant and a quarter"
    );
    let (year, quarter) = now.key_epoch.split_once('Q').unwrap();
    assert!(year.len() == 4 && ["1", "2", "3", "4"].contains(&quarter), "{now:?}");
    assert!(first.session_id.is_some() && first.auth.is_some() && first.target.is_some());
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_and_two_sequencers_lose_and_double_nothing() {
    let app = TestApp::start().await.unwrap();
    // A second service sequences too.
    let (replica, other) = app.replica().await.unwrap();
    let tenants = [app.tenant().await.unwrap(), app.tenant().await.unwrap()];
    let query = "{ viewer { permissions } }";
    let asked = (0..200).map(|number| {
        let client = if number % 2 == 0 { &app.client } else { &other };
        client.graphql(&tenants[number % 3 % 2].owner.token, query, json!({}))
    });
    let answers = futures_util::future::join_all(asked).await;
    app.settle().await.unwrap();
    replica.stop().await;
    app.settle().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    for answer in answers {
        let found: i64 =
            sqlx::query_scalar("SELECT count(*) FROM compliance.audit_leaves WHERE compliance_id = $1::uuid")
                .bind(answer.unwrap().compliance_id())
                .fetch_one(&mut database)
                .await
                .unwrap();
        assert_eq!(found, 1);
    }
    let gaps: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT tenant_id, stream, max(index) + 1 - count(*) AS gap
         FROM compliance.audit_leaves GROUP BY 1, 2) AS g WHERE gap <> 0",
    )
    .fetch_one(&mut database)
    .await
    .unwrap();
    assert_eq!(gaps, 0, "indexes are 0..size-1");
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_tampered_with_is_not_proven() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    for _ in 0..4 {
        app.sign_in(&tenant.slug, &tenant.owner.email).await.unwrap();
    }
    app.settle().await.unwrap();
    let list = "{ auditEvents(filter: { stream: IAM }, first: 1) { nodes { id } } }";
    let listed = app.client.graphql(&tenant.owner.token, list, json!({})).await.unwrap();
    let id = listed.data("auditEvents")["nodes"][0]["id"].clone();
    let mut database = app.superuser_connection().await.unwrap();
    let statement = format!(
        "UPDATE compliance.audit_tiles SET hashes = overlay(hashes placing '\\x00'::bytea from 40)
         WHERE tenant_id = '{}' AND stream = 'iam' AND level = 0",
        tenant.id.uuid()
    );
    database.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
    let prove = "query ($id: ID!) { auditInclusionProof(eventId: $id) { hashes } }";
    let answer = app.client.graphql(&tenant.owner.token, prove, json!({ "id": id })).await.unwrap();
    assert_eq!(answer.data("auditInclusionProof"), &Value::Null);
    assert_eq!(answer.code(), "INTERNAL_SERVER_ERROR", "{}", answer.body);
    app.stop().await.unwrap();
}
