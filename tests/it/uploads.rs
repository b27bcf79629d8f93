//! Files come in, by the tus protocol, whatever happens on the way.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::kernel::ids::IdSource as _;
use harness::{
    app::{TestApp, TestTenant},
    client::{Answer, Client},
};
use infra::system::System;
use reqwest::Method;
use serde_json::json;
use server::serve::{Duties, Queue};
use sha2::{Digest as _, Sha256};

const OCTETS: (&str, &str) = ("content-type", "application/offset+octet-stream");

/// Bytes that are not all the same anywhere.
pub(crate) fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at * 31 + at / 251) % 256).unwrap()).collect()
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// A caller of this door.
pub(crate) struct Sender<'a> {
    pub(crate) client: &'a Client,
    pub(crate) token: &'a str,
}

impl Sender<'_> {
    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let mut all = vec![("authorization", bearer.as_str()), ("tus-resumable", "1.0.0")];
        all.extend(headers);
        let path = url.strip_prefix(self.client.base()).unwrap_or(url);
        self.client.send_bytes(method, path, &all, body).await.unwrap()
    }

    pub(crate) async fn patch(&self, url: &str, offset: usize, body: &[u8]) -> Answer {
        let offset = offset.to_string();
        self.send(Method::PATCH, url, &[OCTETS, ("upload-offset", &offset)], Some(body.to_vec())).await
    }

    /// How much is there.
    pub(crate) async fn head(&self, url: &str) -> (u16, Option<usize>) {
        let found = self.send(Method::HEAD, url, &[], None).await;
        (found.status, header(&found, "upload-offset").and_then(|offset| offset.parse().ok()))
    }

    pub(crate) async fn create(&self, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::POST, "/uploads", headers, None).await
    }
}

pub(crate) fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).and_then(|value| value.to_str().ok())
}

/// Begins an upload by the schema; its id and its address.
pub(crate) async fn begin(
    app: &TestApp,
    tenant: &TestTenant,
    size: usize,
    sha256: Option<&str>,
) -> (String, String) {
    let mutation = "mutation ($input: BeginUploadInput!) { beginUpload(input: $input) {
        upload { id url state receivedBytes } userErrors { message } } }";
    let input = json!({ "name": "短片.mp4", "mediaType": "video/mp4", "sizeBytes": size.to_string(), "sha256": sha256 });
    let answer = app.client.graphql(&tenant.owner.token, mutation, json!({ "input": input })).await.unwrap();
    let upload = &answer.data("beginUpload")["upload"];
    assert_eq!(upload["state"], "RECEIVING", "{}", answer.body);
    (upload["id"].as_str().unwrap().to_owned(), upload["url"].as_str().unwrap().to_owned())
}

/// The upload as the schema has it, once it is in that state.
pub(crate) async fn until(app: &TestApp, tenant: &TestTenant, id: &str, state: &str) -> serde_json::Value {
    let query =
        "query ($id: ID!) { upload(id: $id) { state sha256 receivedBytes sizeBytes name mediaType } }";
    let answer = app
        .client
        .graphql_until(&tenant.owner.token, query, json!({ "id": id }), |answer| {
            answer.data("upload")["state"] == state
        })
        .await
        .unwrap();
    answer.data("upload").clone()
}

/// Objects that are kept of all uploads.
pub(crate) fn objects(app: &TestApp) -> usize {
    fn count(folder: &std::path::Path) -> usize {
        let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
        entries.flatten().map(|entry| if entry.path().is_dir() { count(&entry.path()) } else { 1 }).sum()
    }
    count(&app.content_folder().join("uploads"))
}

pub(crate) async fn until_objects(app: &TestApp, wanted: usize) {
    for _ in 0..200 {
        if objects(app) == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} objects are kept, not {wanted}", objects(app));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_comes_in_chunk_by_chunk_and_is_read_back() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let sender = Sender { client: &app.client, token: &tenant.owner.token };
    // More than two parts of 8 MiB.
    let file = bytes(20 * 1024 * 1024 + 7);
    let (id, url) = begin(&app, &tenant, file.len(), Some(&digest(&file))).await;
    assert!(url.starts_with(app.client.base()), "{url}");
    assert_eq!(sender.head(&url).await, (200, Some(0)));

    let first = sender.patch(&url, 0, &file[..1_000_000]).await;
    assert_eq!((first.status, header(&first, "upload-offset")), (204, Some("1000000")), "{}", first.body);
    assert!(header(&first, "upload-expires").is_some_and(|when| when.ends_with(" GMT")));
    assert_eq!(header(&first, "tus-resumable"), Some("1.0.0"));
    assert!(!first.compliance_id().is_empty());
    for wrong in [0, 999_999, 1_000_001] {
        let refused = sender.patch(&url, wrong, b"x").await;
        assert_eq!(refused.status, 409, "{wrong}: {}", refused.body);
    }
    let too_long = sender.patch(&url, 1_000_000, &file).await;
    assert_eq!(too_long.status, 413, "{}", too_long.body);
    assert_eq!(sender.head(&url).await, (200, Some(1_000_000)), "nothing of it was counted");
    let last = sender.patch(&url, 1_000_000, &file[1_000_000..]).await;
    assert_eq!((last.status, header(&last, "upload-offset")), (204, Some(file.len().to_string().as_str())));

    let ready = until(&app, &tenant, &id, "READY").await;
    assert_eq!(ready["sha256"], digest(&file));
    assert_eq!((&ready["name"], &ready["mediaType"]), (&json!("短片.mp4"), &json!("video/mp4")));
    assert_eq!(sender.head(&url).await, (200, Some(file.len())));
    assert_eq!(sender.patch(&url, file.len(), b"x").await.status, 410);
    assert_eq!(objects(&app), 1 + 3, "a megabyte, and the rest in parts of eight");
    app.settle().await.unwrap();
    let log = "{ auditEvents(filter: { stream: DATA }) { nodes { type outcome } } }";
    let events = app.client.graphql(&tenant.owner.token, log, json!({})).await.unwrap();
    let types: Vec<_> = events.data("auditEvents")["nodes"].as_array().unwrap().iter().collect();
    for wanted in ["begin_upload", "receive_parts", "check_upload"] {
        let event = json!({ "type": wanted, "outcome": "SUCCESS" });
        assert!(types.contains(&&event), "{wanted} in {types:?}");
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_file_than_the_one_announced_is_refused_and_thrown_away() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let sender = Sender { client: &app.client, token: &tenant.owner.token };
    let file = bytes(100_000);
    let (id, url) = begin(&app, &tenant, file.len(), Some(&digest(b"another"))).await;
    assert_eq!(sender.patch(&url, 0, &file).await.status, 204);
    let refused = until(&app, &tenant, &id, "DIGEST_WRONG").await;
    assert_eq!(refused["sha256"], digest(&file));
    until_objects(&app, 0).await;
    assert_eq!(sender.head(&url).await.0, 410);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_with_a_checksum_counts_wholly_or_not_at_all() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let sender = Sender { client: &app.client, token: &tenant.owner.token };
    let file = bytes(9 * 1024 * 1024);
    let (_, url) = begin(&app, &tenant, file.len(), None).await;
    let sum = |of: &[u8]| format!("sha256 {}", STANDARD.encode(Sha256::digest(of)));
    let patch = async |body: &[u8], sum: &str| {
        let headers = [OCTETS, ("upload-offset", "0"), ("upload-checksum", sum)];
        sender.send(Method::PATCH, &url, &headers, Some(body.to_vec())).await
    };
    let mismatch = patch(&file, &sum(b"something else")).await;
    assert_eq!(mismatch.status, 460, "{}", mismatch.body);
    assert_eq!(sender.head(&url).await, (200, Some(0)));
    assert_eq!(objects(&app), 0, "what does not hold is not kept");
    assert_eq!(patch(&file, "md5 AAAA").await.status, 400);
    let good = patch(&file, &sum(&file)).await;
    assert_eq!(good.status, 204, "{}", good.body);
    assert_eq!(sender.head(&url).await, (200, Some(file.len())));
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_sent_side_by_side_become_one_file() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let sender = Sender { client: &app.client, token: &tenant.owner.token };
    let file = bytes(3_000_000);
    let mut urls = Vec::new();
    for piece in file.chunks(1_000_000) {
        let length = piece.len().to_string();
        let headers = [("upload-concat", "partial"), ("upload-length", length.as_str()), OCTETS];
        let (now, later) = piece.split_at(400_000);
        let created = sender.send(Method::POST, "/uploads", &headers, Some(now.to_vec())).await;
        assert_eq!(
            (created.status, header(&created, "upload-offset")),
            (201, Some("400000")),
            "{}",
            created.body
        );
        urls.push((header(&created, "location").unwrap().to_owned(), later));
    }
    let concat = format!("final;{}", urls.iter().map(|(url, _)| url.as_str()).collect::<Vec<_>>().join(" "));
    let about = format!("filename {}", STANDARD.encode("joined.mp4"));
    let join = [("upload-concat", concat.as_str()), ("upload-metadata", about.as_str())];
    assert_eq!(sender.create(&join).await.status, 409, "not all of it is here");
    for (url, later) in &urls {
        assert_eq!(sender.patch(url, 400_000, later).await.status, 204);
    }
    let joined = sender.create(&join).await;
    assert_eq!(joined.status, 201, "{}", joined.body);
    let url = header(&joined, "location").unwrap();
    assert_eq!(sender.head(url).await, (200, Some(file.len())));
    let looked = sender.send(Method::HEAD, url, &[], None).await;
    assert_eq!(header(&looked, "upload-concat"), Some(concat.as_str()));
    let again = sender.create(&join).await;
    assert_eq!(
        (again.status, header(&again, "location")),
        (201, Some(url)),
        "the same file, as the answer may be lost"
    );
    assert_eq!(sender.patch(url, file.len(), b"x").await.status, 403);
    for (piece, _) in &urls {
        assert_eq!(sender.head(piece).await.0, 410, "it is part of a file now");
    }
    let list = "{ uploads(state: READY) { nodes { id name sha256 } } }";
    let ready = app
        .client
        .graphql_until(&tenant.owner.token, list, json!({}), |answer| {
            answer.data("uploads")["nodes"].as_array().is_some_and(|nodes| !nodes.is_empty())
        })
        .await
        .unwrap();
    let node = &ready.data("uploads")["nodes"][0];
    assert_eq!((&node["name"], &node["sha256"]), (&json!("joined.mp4"), &json!(digest(&file))));
    assert_eq!(objects(&app), 6);

    // Thrown away, nothing of it stays, in whosever folder it was.
    let cancel =
        "mutation ($id: ID!) { cancelUpload(input: { id: $id }) { upload { state } userErrors { code } } }";
    let cancelled =
        app.client.graphql(&tenant.owner.token, cancel, json!({ "id": node["id"] })).await.unwrap();
    assert_eq!(cancelled.data("cancelUpload")["upload"]["state"], "CANCELLED", "{}", cancelled.body);
    until_objects(&app, 0).await;
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_or_asks_wrongly_is_told_so() {
    let app = TestApp::start().await.unwrap();
    let (tenant, other) = (app.tenant().await.unwrap(), app.tenant().await.unwrap());
    let analyst = app.member(&tenant, domain::kernel::actor::Role::Analyst).await.unwrap();
    let sender = Sender { client: &app.client, token: &tenant.owner.token };
    let (_, url) = begin(&app, &tenant, 10, None).await;

    // Another tenant's is as absent as one that never was, and so is one with a name that is no name.
    let stranger = Sender { client: &app.client, token: &other.owner.token };
    let never = format!("{}/uploads/00000000000000000000000000000001", app.client.base());
    for url in [url.as_str(), never.as_str(), "/uploads/x"] {
        assert_eq!(stranger.head(url).await.0, 404, "{url}");
        assert_eq!(stranger.patch(url, 0, b"x").await.status, 404, "{url}");
        assert_eq!(stranger.send(Method::DELETE, url, &[], None).await.status, 404, "{url}");
    }
    // A piece of another tenant's can't be joined.
    let partial = sender.create(&[("upload-concat", "partial"), ("upload-length", "1")]).await;
    let piece = header(&partial, "location").unwrap().to_owned();
    assert_eq!(sender.patch(&piece, 0, b"x").await.status, 204);
    let concat = format!("final;{piece}");
    let about = format!("filename {}", STANDARD.encode("a"));
    let join = [("upload-concat", concat.as_str()), ("upload-metadata", about.as_str())];
    assert_eq!(stranger.create(&join).await.status, 409);
    assert_eq!(sender.head(&piece).await, (200, Some(1)), "it is still there");

    let reader = Sender { client: &app.client, token: &analyst.token };
    assert_eq!(reader.head(&url).await.0, 200, "an analyst may look");
    let large = bytes(9 * 1024 * 1024);
    let (_, roomy) = begin(&app, &tenant, large.len(), None).await;
    let sum = format!("sha256 {}", STANDARD.encode(Sha256::digest(&large)));
    let summed = [OCTETS, ("upload-offset", "0"), ("upload-checksum", sum.as_str())];
    let denied = reader.send(Method::PATCH, &roomy, &summed, Some(large)).await;
    assert_eq!((denied.status, objects(&app)), (403, 1), "not a byte of it is kept: {}", denied.body);
    app.settle().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    let told: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM compliance.audit_leaves
         WHERE tenant_id = $1 AND type = 'receive_parts' AND outcome = 'refused' AND compliance_id = $2::uuid",
    )
    .bind(tenant.id.uuid())
    .bind(denied.compliance_id())
    .fetch_one(&mut database)
    .await
    .unwrap();
    assert_eq!(told, 1);
    // A key that may bring files in may ask where to go on, and no more.
    let issue = "mutation { issueApiKey(input: { name: \"up\", scopes: [MANAGE_CONTENT] }) @idempotent(key: \"k\") { key } }";
    let issued = app.client.graphql(&tenant.owner.token, issue, json!({})).await.unwrap();
    let key = issued.data("issueApiKey")["key"].as_str().unwrap().to_owned();
    let machine = Sender { client: &app.client, token: &key };
    assert_eq!(machine.head(&url).await, (200, Some(0)));
    assert_eq!(machine.patch(&roomy, 0, b"abc").await.status, 204);

    for refused in [
        reader.patch(&url, 0, b"x").await,
        reader.send(Method::DELETE, &url, &[], None).await,
        reader.create(&[("upload-length", "1"), ("upload-metadata", &about)]).await,
    ] {
        assert_eq!(refused.status, 403, "{}", refused.body);
    }
    let nobody = Sender { client: &app.client, token: "not-a-token" };
    assert_eq!(nobody.head(&url).await.0, 401);
    let path = url.strip_prefix(app.client.base()).unwrap();
    let plain = app.client.send_bytes(Method::HEAD, path, &[("tus-resumable", "1.0.0")], None).await.unwrap();
    assert_eq!(plain.status, 401, "no token at all");
    let bearer = format!("Bearer {}", tenant.owner.token);
    let old = [("authorization", bearer.as_str()), ("tus-resumable", "0.2.2")];
    let unspoken = app.client.send_bytes(Method::HEAD, path, &old, None).await.unwrap();
    assert_eq!((unspoken.status, header(&unspoken, "tus-version")), (412, Some("1.0.0")));

    for (headers, status) in [
        (vec![("upload-length", "0"), ("upload-metadata", about.as_str())], 400),
        (vec![("upload-length", "4294967297"), ("upload-metadata", about.as_str())], 413),
        (vec![("upload-length", "5")], 400),
        (vec![("upload-metadata", about.as_str())], 400),
    ] {
        let refused = sender.create(&headers).await;
        assert_eq!(refused.status, status, "{headers:?}: {}", refused.body);
        assert!(refused.body["message"].is_string() && refused.body["complianceId"].is_string());
    }
    let untyped = sender.send(Method::PATCH, &url, &[("upload-offset", "0")], Some(vec![1])).await;
    assert_eq!(untyped.status, 415);
    assert_eq!(sender.send(Method::PATCH, &url, &[OCTETS], Some(vec![1])).await.status, 400, "no offset");
    assert_eq!(sender.send(Method::PUT, &url, &[], None).await.status, 405);

    // By another method, as clients do that can't send this one.
    let other = [OCTETS, ("upload-offset", "0"), ("x-http-method-override", "PATCH")];
    assert_eq!(sender.send(Method::POST, &url, &other, Some(b"abcd".to_vec())).await.status, 204);
    assert_eq!(sender.head(&url).await, (200, Some(4)));
    assert_eq!(sender.send(Method::DELETE, &url, &[], None).await.status, 204);
    assert_eq!(sender.head(&url).await.0, 410);
    assert_eq!(sender.send(Method::DELETE, &url, &[], None).await.status, 410);

    let options = app.client.send_bytes(Method::OPTIONS, "/uploads", &[], None).await.unwrap();
    assert_eq!((options.status, header(&options, "tus-max-size")), (204, Some("4294967296")));
    assert!(header(&options, "tus-extension").unwrap().contains("concatenation"));
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_send_the_same_bytes_make_one_file() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let (replica, second) = app.replica().await.unwrap();
    let file = bytes(2_000_000);
    let (id, url) = begin(&app, &tenant, file.len(), Some(&digest(&file))).await;
    let path = url.strip_prefix(app.client.base()).unwrap();
    // Eight clients on two replicas, each going on from where it is told the file ends, in chunks of its own size.
    let sending = (0..8_usize).map(|number| {
        let client = if number % 2 == 0 { &app.client } else { &second };
        let sender = Sender { client, token: &tenant.owner.token };
        let file = &file;
        async move {
            loop {
                let (status, Some(at)) = sender.head(path).await else { panic!("it is gone") };
                assert_eq!(status, 200);
                if at == file.len() {
                    return;
                }
                let end = file.len().min(at + 70_000 + number * 1_000);
                let sent = sender.patch(path, at, &file[at..end]).await;
                assert!([204, 409, 410].contains(&sent.status), "{} {}", sent.status, sent.body);
            }
        }
    });
    futures_util::future::join_all(sending).await;
    until(&app, &tenant, &id, "READY").await;
    let mut database = app.superuser_connection().await.unwrap();
    let (parts, bytes): (i64, i64) =
        sqlx::query_as("SELECT count(*), sum(size_bytes)::bigint FROM content.parts")
            .fetch_one(&mut database)
            .await
            .unwrap();
    assert_eq!(usize::try_from(bytes).unwrap(), file.len());
    assert_eq!(i64::try_from(objects(&app)).unwrap(), parts, "what was not counted is not kept");
    replica.stop().await;
    app.stop().await.unwrap();
}

/// Sends the beginning of a chunk and breaks off, without an end of any kind.
async fn break_off(client: &Client, token: &str, path: &str, offset: usize, announced: usize, body: &[u8]) {
    use tokio::io::AsyncWriteExt as _;
    let host = client.base().trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\ntus-resumable: 1.0.0\r\n\
         content-type: application/offset+octet-stream\r\nupload-offset: {offset}\r\ncontent-length: {announced}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    stream.flush().await.unwrap();
    // What is on its way arrives before the end does.
    tokio::time::sleep(Duration::from_millis(200)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrived_before_a_connection_broke_is_kept() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let sender = Sender { client: &app.client, token: &tenant.owner.token };
    let file = bytes(500_000);
    let (id, url) = begin(&app, &tenant, file.len(), None).await;
    let path = url.strip_prefix(app.client.base()).unwrap();
    break_off(&app.client, &tenant.owner.token, path, 0, file.len(), &file[..300_000]).await;
    let mut at = 0;
    for _ in 0..100 {
        at = sender.head(&url).await.1.unwrap();
        if at == 300_000 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(at, 300_000);
    assert_eq!(sender.patch(&url, at, &file[at..]).await.status, 204);
    assert_eq!(until(&app, &tenant, &id, "READY").await["sha256"], digest(&file));
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_killed_half_way_loses_nothing_that_was_counted() {
    // Checked by nobody here, so that the killed process is one that does.
    let app = TestApp::start_for(&[], &Duties::all_but(Queue::Uploads)).await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let sender = Sender { client: &app.client, token: &tenant.owner.token };
    let file = bytes(20 * 1024 * 1024);
    let (id, url) = begin(&app, &tenant, file.len(), Some(&digest(&file))).await;
    let path = url.strip_prefix(app.client.base()).unwrap();
    let (process, client) = app.serving_process().await.unwrap();
    // Two parts of 8 MiB and some more, and nothing after.
    let sent = 17 * 1024 * 1024;
    let (body, token) = (file[..sent].to_vec(), tenant.owner.token.clone());
    let (to, into) = (client.clone(), path.to_owned());
    let length = file.len();
    let sending = tokio::spawn(async move {
        break_off(&to, &token, &into, 0, length, &body).await;
        tokio::time::sleep(Duration::from_mins(1)).await;
    });
    let mut at = 0;
    for _ in 0..400 {
        at = sender.head(&url).await.1.unwrap();
        if at >= 8 * 1024 * 1024 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(at >= 8 * 1024 * 1024, "{at} bytes, {}", process.log());
    process.kill9().await.unwrap();
    sending.abort();
    let (status, Some(at)) = sender.head(&url).await else { panic!("it is gone") };
    assert_eq!(status, 200);
    assert!((8 * 1024 * 1024..sent).contains(&at), "whole parts, {at} bytes");
    assert_eq!(sender.patch(&url, at, &file[at..]).await.status, 204);

    // And who reads it back is killed while it does, or before, or after.
    let first = app.process(&["work", "--queue", "uploads"]).unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    for round in 0.. {
        let claimed: i64 =
            sqlx::query_scalar("SELECT count(*) FROM content.upload_schedule WHERE leased_until > now()")
                .fetch_one(&mut database)
                .await
                .unwrap();
        if claimed > 0 {
            break;
        }
        assert!(round < 2_000, "nobody claims it: {}", first.log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    first.kill9().await.unwrap();
    // Claims of the one that is gone run out by themselves; nobody waits for that here.
    sqlx::query("UPDATE content.upload_schedule SET leased_until = '-infinity'")
        .execute(&mut database)
        .await
        .unwrap();
    let second = app.process(&["work", "--queue", "uploads"]).unwrap();
    assert_eq!(until(&app, &tenant, &id, "READY").await["sha256"], digest(&file));
    let referred: i64 =
        sqlx::query_scalar("SELECT count(*) FROM content.parts").fetch_one(&mut database).await.unwrap();
    // What the killed one kept and did not count is thrown away when the time for it has come.
    sqlx::query("UPDATE content.upload_schedule SET due_at = now()").execute(&mut database).await.unwrap();
    until_objects(&app, usize::try_from(referred).unwrap()).await;
    second.kill9().await.unwrap();
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_arrive_in_time_is_thrown_away() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let sender = Sender { client: &app.client, token: &tenant.owner.token };
    let (id, url) = begin(&app, &tenant, 100, None).await;
    assert_eq!(sender.patch(&url, 0, &[1; 50]).await.status, 204);
    assert_eq!(objects(&app), 1);
    let mut database = app.superuser_connection().await.unwrap();
    for sql in [
        "UPDATE content.uploads SET expires_at = now() - interval '3 hours'",
        "UPDATE content.upload_schedule SET due_at = now()",
    ] {
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut database).await.unwrap();
    }
    until(&app, &tenant, &id, "EXPIRED").await;
    until_objects(&app, 0).await;
    assert_eq!(sender.patch(&url, 50, &[1; 50]).await.status, 410);
    for round in 0.. {
        let scheduled: i64 = sqlx::query_scalar("SELECT count(*) FROM content.upload_schedule")
            .fetch_one(&mut database)
            .await
            .unwrap();
        if scheduled == 0 {
            break;
        }
        assert!(round < 200, "somebody looks at it still");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    app.stop().await.unwrap();
}

/// Bytes that FFmpeg makes of these arguments, in that container.
pub(crate) async fn media(arguments: &[&str], container: &str) -> Vec<u8> {
    let folder = std::env::temp_dir().join(format!("matricula-media-{}", System.next_uuid().simple()));
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join(format!("made.{container}"));
    let made = tokio::process::Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi"])
        .args(arguments)
        .arg(&file)
        .status()
        .await
        .unwrap();
    assert!(made.success(), "{arguments:?}");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    bytes
}

/// Sends a file; what is known of it then.
async fn preflight(app: &TestApp, tenant: &TestTenant, file: &[u8]) -> serde_json::Value {
    let sender = Sender { client: &app.client, token: &tenant.owner.token };
    let (id, url) = begin(app, tenant, file.len(), None).await;
    assert_eq!(sender.patch(&url, 0, file).await.status, 204);
    until(app, tenant, &id, "READY").await;
    let query = "query ($id: ID!) { upload(id: $id) {
        media { container durationMs video { codec width height frameRateMilli pixelFormat } audio { codec channels sampleRateHz } }
        preflight(platform: \"douyin\") { code severity found wanted } } }";
    let answer = app.client.graphql(&tenant.owner.token, query, json!({ "id": id })).await.unwrap();
    answer.data("upload").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_platform_will_make_of_a_file_is_told_before_it_is_planned() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let sides = |sides: &str| format!("testsrc=size={sides}:rate=25:duration=2");
    let sound = "sine=frequency=440:sample_rate=44100:duration=2";

    let upright = sides("720x1280");
    let both = ["-i", &upright, "-f", "lavfi", "-i", sound, "-c:a", "aac", "-pix_fmt", "yuv420p"];
    let good = preflight(&app, &tenant, &media(&both, "mp4").await).await;
    assert_eq!(good["preflight"], json!([]), "{good}");
    assert_eq!(good["media"]["container"], "mp4");
    assert_eq!(
        good["media"]["video"],
        json!({ "codec": "h264", "width": 720, "height": 1280, "frameRateMilli": 25000, "pixelFormat": "yuv420p" })
    );
    assert_eq!(good["media"]["audio"], json!({ "codec": "aac", "channels": 1, "sampleRateHz": 44100 }));
    let duration: u64 = good["media"]["durationMs"].as_str().unwrap().parse().unwrap();
    assert!((1_900..2_200).contains(&duration), "{duration}");

    let codes = |found: &serde_json::Value| -> Vec<String> {
        let findings = found["preflight"].as_array().unwrap().iter();
        findings
            .map(|f| format!("{} {}", f["code"].as_str().unwrap(), f["severity"].as_str().unwrap()))
            .collect()
    };
    let wide = preflight(&app, &tenant, &media(&["-i", &sides("640x360")], "avi").await).await;
    assert_eq!(
        codes(&wide),
        [
            "CONTAINER_REFUSED BLOCKING",
            "NOT_PORTRAIT ADVICE",
            "RESOLUTION_LOW ADVICE",
            "VIDEO_CODEC_UNUSUAL ADVICE"
        ],
        "{wide}"
    );
    let heard = preflight(&app, &tenant, &media(&["-i", sound], "wav").await).await;
    assert_eq!(codes(&heard), ["CONTAINER_REFUSED BLOCKING", "NO_VIDEO BLOCKING"]);
    let noise = preflight(&app, &tenant, &bytes(50_000)).await;
    assert_eq!(
        (codes(&noise), &noise["media"]),
        (vec!["NOT_MEDIA BLOCKING".to_owned()], &serde_json::Value::Null)
    );
    // A list of other files, which a careless reader would open.
    let list = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n";
    assert_eq!(codes(&preflight(&app, &tenant, list).await), ["NOT_MEDIA BLOCKING"]);
    let concat = b"ffconcat version 1.0\nfile /etc/passwd\n";
    assert_eq!(codes(&preflight(&app, &tenant, concat).await), ["NOT_MEDIA BLOCKING"]);

    let unknown = "{ uploads(first: 1) { nodes { preflight(platform: \"vine\") { code } } } }";
    let unknown = app.client.graphql(&tenant.owner.token, unknown, json!({})).await.unwrap();
    assert_eq!(unknown.code(), "BAD_USER_INPUT", "{}", unknown.body);
    app.stop().await.unwrap();
}

const BEGIN: &str = "mutation ($size: String!) { beginUpload(input: { name: \"a\", sizeBytes: $size }) {
    upload { id url } userErrors { code message field } } }";

const MIB: usize = 1024 * 1024;

/// How many bytes are announced and kept.
pub(crate) async fn used(app: &TestApp, tenant: &TestTenant) -> usize {
    let query = "{ contentRoom { usedBytes maxBytes } }";
    let answer = app.client.graphql(&tenant.owner.token, query, json!({})).await.unwrap();
    answer.data("contentRoom")["usedBytes"].as_str().unwrap().parse().unwrap()
}

async fn until_used(app: &TestApp, tenant: &TestTenant, wanted: usize) {
    for _ in 0..200 {
        if used(app, tenant).await == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} bytes are used, not {wanted}", used(app, tenant).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_never_has_more_room_than_it_may_however_many_ask_at_once() {
    let settings = [("MATRICULA_CONTENT_TENANT_MAX_MIB", "10")];
    let app = TestApp::start_for(&settings, &Duties::all()).await.unwrap();
    let (tenant, other) = (app.tenant().await.unwrap(), app.tenant().await.unwrap());
    let (replica, second) = app.replica().await.unwrap();
    let size = MIB.to_string();
    let asked = (0..40_usize).map(|number| {
        let client = if number % 2 == 0 { &app.client } else { &second };
        client.graphql(&tenant.owner.token, BEGIN, json!({ "size": size }))
    });
    let answers = futures_util::future::join_all(asked).await;
    let mut ids = Vec::new();
    for answer in answers {
        let answer = answer.unwrap();
        let begun = answer.data("beginUpload");
        if let Some(id) = begun["upload"]["id"].as_str() {
            ids.push(id.to_owned());
            continue;
        }
        let error = &begun["userErrors"][0];
        assert_eq!(error["code"], "STORAGE_FULL", "{}", answer.body);
        assert_eq!(error["field"], json!(["input", "sizeBytes"]));
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("10485760 of 10485760") && message.contains("1048576 more"), "{message}");
    }
    assert_eq!((ids.len(), used(&app, &tenant).await), (10, 10 * MIB), "as many as there is room for");
    assert_eq!(used(&app, &other).await, 0, "another tenant has room of its own");
    let sender = Sender { client: &app.client, token: &tenant.owner.token };
    let full = sender.create(&[("upload-length", "1"), ("upload-metadata", "filename YQ==")]).await;
    assert_eq!(full.status, 507, "{}", full.body);

    // Given back by who gives up, once, and by what does not arrive in time.
    let cancel = "mutation ($id: ID!) { cancelUpload(input: { id: $id }) { userErrors { code } } }";
    for _ in 0..2 {
        app.client.graphql(&tenant.owner.token, cancel, json!({ "id": ids[0] })).await.unwrap();
    }
    assert_eq!(used(&app, &tenant).await, 9 * MIB);
    let mut database = app.superuser_connection().await.unwrap();
    for sql in [
        "UPDATE content.uploads SET expires_at = now() - interval '3 hours' WHERE state = 'receiving'",
        "UPDATE content.upload_schedule SET due_at = now()",
    ] {
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut database).await.unwrap();
    }
    until_used(&app, &tenant, 0).await;

    // What is joined takes what its pieces took; another file than the one announced takes nothing.
    let mut pieces = Vec::new();
    for _ in 0..2 {
        let created = sender.create(&[("upload-concat", "partial"), ("upload-length", "5")]).await;
        let url = header(&created, "location").unwrap().to_owned();
        assert_eq!(sender.patch(&url, 0, b"12345").await.status, 204);
        pieces.push(url);
    }
    assert_eq!(used(&app, &tenant).await, 10);
    let concat = format!("final;{}", pieces.join(" "));
    let joined =
        sender.create(&[("upload-concat", concat.as_str()), ("upload-metadata", "filename YQ==")]).await;
    assert_eq!((joined.status, used(&app, &tenant).await), (201, 10), "{}", joined.body);
    let (id, url) = begin(&app, &tenant, 3, Some(&digest(b"another"))).await;
    assert_eq!(used(&app, &tenant).await, 13);
    assert_eq!(sender.patch(&url, 0, b"abc").await.status, 204);
    until(&app, &tenant, &id, "DIGEST_WRONG").await;
    assert_eq!(used(&app, &tenant).await, 10);

    // The number is what a sum would be, and what there was before there was a number is counted when it is needed.
    sqlx::query("DELETE FROM content.room").execute(&mut database).await.unwrap();
    assert_eq!(used(&app, &tenant).await, 10);
    begin(&app, &tenant, 7, None).await;
    assert_eq!(used(&app, &tenant).await, 17);
    replica.stop().await;
    app.stop().await.unwrap();
}

/// Waits for a process to end by itself; what it said.
async fn refused_to_start(mut process: harness::process::Process) -> String {
    for _ in 0..600 {
        if process.has_ended().unwrap() {
            return process.log();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it runs: {}", process.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_sees_another_folder_refuses_to_start() {
    let app = TestApp::start().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    let marker: String = sqlx::query_scalar("SELECT marker::text FROM content.file_store")
        .fetch_one(&mut database)
        .await
        .unwrap();
    let folder = app.content_folder();
    assert!(folder.join("store-marker").join(&marker).is_file(), "the first start wrote {marker}");
    // Those who see the same one start.
    let (replica, _) = app.replica().await.unwrap();
    replica.stop().await;

    let away = folder.with_extension("away");
    std::fs::rename(&folder, &away).unwrap();
    let empty = refused_to_start(app.process(&["work", "--queue", "uploads"]).unwrap()).await;
    assert!(empty.contains("no marker") && empty.contains(&marker), "{empty}");
    let markers = folder.join("store-marker");
    std::fs::create_dir(&markers).unwrap();
    let foreign = "00000000-0000-0000-0000-000000000007";
    std::fs::write(markers.join(foreign), b"").unwrap();
    let other = refused_to_start(app.process(&["work", "--queue", "uploads"]).unwrap()).await;
    assert!(other.contains(foreign) && other.contains(&marker), "{other}");
    assert!(other.contains(&format!("store-marker/{marker}")), "it tells the way out: {other}");
    // Who has nothing to do with files does not look at them.
    let tokens = app.process(&["work", "--queue", "tokens"]).unwrap();

    // The way out, as it is told.
    std::fs::write(markers.join(&marker), b"").unwrap();
    let (replica, _) = app.replica().await.unwrap();
    replica.stop().await;
    tokens.kill9().await.unwrap();
    std::fs::remove_dir_all(away).unwrap();
    app.stop().await.unwrap();
}
