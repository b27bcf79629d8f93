//! Files that a platform would refuse are made into ones it has nothing against, whatever happens on the way.

use std::{path::PathBuf, time::Duration};

use domain::kernel::ids::IdSource as _;
use harness::{
    app::{TestApp, TestTenant},
    client::Answer,
};
use infra::system::System;
use serde_json::{Value, json};
use server::serve::{Duties, Queue};
use uuid::Uuid;

use crate::uploads::{Sender, begin, bytes, media, objects, until, until_objects, used};

/// Longest a step may take on a machine that does much else, in tenths of a second.
const PATIENCE_DS: usize = 1_200;

/// A folder for FFmpeg's files, so that what stays in it is seen.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("matricula-scratch-{}", System.next_uuid().simple()));
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    async fn start(&self, duties: &Duties) -> TestApp {
        let folder = self.0.to_string_lossy().into_owned();
        TestApp::start_for(&[("MATRICULA_CONTENT_SCRATCH", folder.as_str())], duties).await.unwrap()
    }

    async fn until_empty(&self) {
        until_true("nothing stays in the folder for what is temporary", async || {
            std::fs::read_dir(&self.0).unwrap().next().is_none()
        })
        .await;
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn until_true(what: &str, is_so: impl AsyncFn() -> bool) {
    for _ in 0..PATIENCE_DS {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not in time: {what}");
}

/// Sends a file; its id, once it can be used.
async fn sent(app: &TestApp, tenant: &TestTenant, file: &[u8]) -> String {
    let sender = Sender { client: &app.client, token: &tenant.owner.token };
    let (id, url) = begin(app, tenant, file.len(), None).await;
    assert_eq!(sender.patch(&url, 0, file).await.status, 204);
    until(app, tenant, &id, "READY").await;
    id
}

async fn transcode(app: &TestApp, tenant: &TestTenant, id: &str, platform: &str) -> Answer {
    let mutation = "mutation ($id: ID!, $platform: String!) {
        transcodeUpload(input: { id: $id, platform: $platform }) {
            upload { id state name } userErrors { code message field } } }";
    let variables = json!({ "id": id, "platform": platform });
    app.client.graphql(&tenant.owner.token, mutation, variables).await.unwrap()
}

/// The id of the upload that is made.
async fn begun(app: &TestApp, tenant: &TestTenant, id: &str) -> String {
    let answer = transcode(app, tenant, id, "douyin").await;
    let made = &answer.data("transcodeUpload")["upload"];
    made["id"].as_str().unwrap_or_else(|| panic!("{}", answer.body)).to_owned()
}

async fn known(app: &TestApp, tenant: &TestTenant, id: &str) -> Value {
    let query = "query ($id: ID!) { upload(id: $id) { state sizeBytes receivedBytes mediaType sha256
        media { container durationMs video { codec width height pixelFormat } audio { codec channels sampleRateHz } }
        preflight(platform: \"douyin\") { code }
        transcode { sourceId platform mends donePermille failure } } }";
    let answer = app.client.graphql(&tenant.owner.token, query, json!({ "id": id })).await.unwrap();
    answer.data("upload").clone()
}

async fn until_state(app: &TestApp, tenant: &TestTenant, id: &str, state: &str) -> Value {
    until_true(state, async || known(app, tenant, id).await["state"] == state).await;
    known(app, tenant, id).await
}

async fn until_half_way(app: &TestApp, tenant: &TestTenant, id: &str) {
    until_true("it is under way", async || {
        known(app, tenant, id).await["transcode"]["donePermille"].as_u64().unwrap() > 0
    })
    .await;
    assert_eq!(known(app, tenant, id).await["state"], "TRANSCODING");
}

/// Whether a program runs that works in that folder.
fn runs(scratch: &Scratch) -> bool {
    let folder = scratch.0.to_string_lossy().into_owned();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.into_iter().any(|line| String::from_utf8_lossy(&line).contains(&folder))
}

/// A film of so many seconds that is none for the platform: wide, small, coded long ago.
async fn old_film(seconds: u32) -> Vec<u8> {
    let picture = format!("testsrc2=size=960x540:rate=30:duration={seconds}");
    let sound = format!("sine=frequency=440:sample_rate=22050:duration={seconds}");
    let all =
        ["-i", &picture, "-f", "lavfi", "-i", &sound, "-c:v", "mpeg4", "-q:v", "24", "-c:a", "pcm_s16le"];
    media(&all, "avi").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_would_be_refused_is_made_into_one_that_is_not() {
    let scratch = Scratch::new();
    let app = scratch.start(&Duties::all()).await;
    let (tenant, other) = (app.tenant().await.unwrap(), app.tenant().await.unwrap());
    // Odd sides, and points that no phone shows.
    let picture = "testsrc2=size=641x361:rate=30:duration=20";
    let sound = "sine=frequency=440:sample_rate=22050:duration=20";
    let strange = ["-i", picture, "-f", "lavfi", "-i", sound, "-c:v", "mjpeg", "-pix_fmt", "yuvj444p"];
    let file = media(&[&strange[..], &["-c:a", "pcm_s16le"]].concat(), "avi").await;
    let source = sent(&app, &tenant, &file).await;
    let mends = json!([
        "CONTAINER_REFUSED",
        "NOT_PORTRAIT",
        "RESOLUTION_LOW",
        "VIDEO_CODEC_UNUSUAL",
        "PIXEL_FORMAT_UNUSUAL",
        "AUDIO_CODEC_UNUSUAL"
    ]);
    let refused = known(&app, &tenant, &source).await;
    let codes = refused["preflight"].as_array().unwrap().iter().map(|finding| finding["code"].clone());
    assert_eq!(codes.collect::<Value>(), mends, "{refused}");

    // Two who ask at once are given the same.
    let (one, two) = tokio::join!(begun(&app, &tenant, &source), begun(&app, &tenant, &source));
    assert_eq!(one, two);
    let mut socket = app.client.socket(&tenant.owner.token).await.unwrap();
    let follow = format!(
        "subscription {{ transcodeProgress(id: \"{one}\") {{ uploadId state donePermille failure }} }}"
    );
    socket.subscribe("1", &follow).await.unwrap();
    let mut told: Vec<(u64, String)> = Vec::new();
    loop {
        let next = socket.receive("next").await.unwrap();
        let now = &next["payload"]["data"]["transcodeProgress"];
        assert_eq!((&now["uploadId"], &now["failure"]), (&json!(one), &Value::Null), "{next}");
        told.push((now["donePermille"].as_u64().unwrap(), now["state"].as_str().unwrap().to_owned()));
        if now["state"] == "READY" {
            break;
        }
    }
    socket.receive("complete").await.unwrap();
    assert!(told.is_sorted_by_key(|(permille, _)| *permille), "it only grows: {told:?}");
    assert!(told.iter().any(|(permille, _)| (1..1_000).contains(permille)), "half way is told: {told:?}");
    assert_eq!(told.last().unwrap().0, 1_000);

    let made = known(&app, &tenant, &one).await;
    assert_eq!(made["preflight"], json!([]), "{made}");
    assert_eq!(made["mediaType"], "video/mp4");
    assert_eq!(
        made["media"]["video"],
        json!({ "codec": "h264", "width": 720, "height": 1280, "pixelFormat": "yuv420p" })
    );
    assert_eq!(made["media"]["audio"], json!({ "codec": "aac", "channels": 2, "sampleRateHz": 44100 }));
    let duration: u64 = made["media"]["durationMs"].as_str().unwrap().parse().unwrap();
    assert!((19_800..20_300).contains(&duration), "{duration}");
    assert_eq!(
        made["transcode"],
        json!({ "sourceId": source, "platform": "douyin", "mends": mends, "donePermille": 1000, "failure": null })
    );
    assert_eq!(known(&app, &tenant, &source).await, refused, "the source is as it was");
    let size: usize = made["sizeBytes"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        used(&app, &tenant).await,
        file.len() + size,
        "what was set aside and not needed is given back"
    );

    assert_eq!(begun(&app, &tenant, &source).await, one, "it is there already");
    let again = transcode(&app, &tenant, &one, "douyin").await;
    assert_eq!(again.refusal("transcodeUpload"), "NOTHING_TO_MEND", "{}", again.body);
    assert_eq!(transcode(&app, &other, &source, "douyin").await.refusal("transcodeUpload"), "NOT_FOUND");
    let mut stranger = app.client.socket(&other.owner.token).await.unwrap();
    stranger.subscribe("1", &follow).await.unwrap();
    let nothing = stranger.receive("next").await.unwrap();
    assert_eq!(nothing["payload"]["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{nothing}");
    scratch.until_empty().await;

    app.settle().await.unwrap();
    let log = "{ auditEvents(filter: { stream: DATA }) { nodes { type outcome } } }";
    let events = app.client.graphql(&tenant.owner.token, log, json!({})).await.unwrap();
    for wanted in ["transcode_upload", "finish_transcode"] {
        let event = json!({ "type": wanted, "outcome": "SUCCESS" });
        assert!(events.data("auditEvents")["nodes"].as_array().unwrap().contains(&event), "{wanted}");
    }
    drop((socket, stranger));
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_mended_is_told_with_its_reason_and_leaves_nothing() {
    let scratch = Scratch::new();
    let app = scratch.start(&Duties::all()).await;
    let tenant = app.tenant().await.unwrap();
    let refusal = async |id: &str, platform: &str| {
        let answer = transcode(&app, &tenant, id, platform).await;
        let error = answer.data("transcodeUpload")["userErrors"][0].clone();
        (error["code"].as_str().unwrap_or_default().to_owned(), error["message"].to_string())
    };
    let (on_its_way, _) = begin(&app, &tenant, 10, None).await;
    assert_eq!(refusal(&on_its_way, "douyin").await.0, "UPLOAD_NOT_READY");
    assert_eq!(refusal(&on_its_way, "vine").await.0, "PLATFORM_UNKNOWN");
    let noise = sent(&app, &tenant, &bytes(50_000)).await;
    let (code, message) = refusal(&noise, "douyin").await;
    assert!(code == "NOT_MENDABLE" && message.contains("not_media"), "{code} {message}");
    let heard = media(&["-i", "sine=frequency=440:duration=1"], "wav").await;
    let heard = sent(&app, &tenant, &heard).await;
    let (code, message) = refusal(&heard, "douyin").await;
    assert!(code == "NOT_MENDABLE" && message.contains("no_video"), "{code} {message}");

    // A file that says it plays for twenty seconds and ends after eight, as one does that was cut off.
    let film =
        ["-i", "testsrc2=size=960x540:rate=30:duration=20", "-c:v", "mpeg4", "-movflags", "+faststart"];
    let whole = media(&film, "mp4").await;
    let kept = used(&app, &tenant).await;
    let cut = sent(&app, &tenant, &whole[..whole.len() * 2 / 5]).await;
    let before = (used(&app, &tenant).await, objects(&app));
    assert!(before.0 > kept);
    let made = begun(&app, &tenant, &cut).await;
    assert!(used(&app, &tenant).await > before.0, "room is set aside while it is made");
    let failed = until_state(&app, &tenant, &made, "TRANSCODE_FAILED").await;
    assert_eq!(failed["transcode"]["failure"], "UNREADABLE", "{failed}");
    assert_eq!((used(&app, &tenant).await, objects(&app)), before);
    assert_ne!(begun(&app, &tenant, &cut).await, made, "what came to nothing is not given again");
    scratch.until_empty().await;
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_the_making_that_is_given_up_ends_at_once() {
    let scratch = Scratch::new();
    let app = scratch.start(&Duties::all()).await;
    let tenant = app.tenant().await.unwrap();
    let source = sent(&app, &tenant, &old_film(120).await).await;
    let before = (used(&app, &tenant).await, objects(&app));
    let made = begun(&app, &tenant, &source).await;
    until_half_way(&app, &tenant, &made).await;
    assert!(runs(&scratch), "FFmpeg works at it");
    let cancel =
        "mutation ($id: ID!) { cancelUpload(input: { id: $id }) { upload { state } userErrors { code } } }";
    let cancelled = app.client.graphql(&tenant.owner.token, cancel, json!({ "id": made })).await.unwrap();
    assert_eq!(cancelled.data("cancelUpload")["upload"]["state"], "CANCELLED", "{}", cancelled.body);
    until_true("FFmpeg is ended", async || !runs(&scratch)).await;
    scratch.until_empty().await;
    assert_eq!(used(&app, &tenant).await, before.0);
    until_objects(&app, before.1).await;
    assert_eq!(known(&app, &tenant, &made).await["state"], "CANCELLED");
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_half_way_is_followed_by_one_that_makes_the_file_once() {
    let scratch = Scratch::new();
    let app = scratch.start(&Duties::all_but(Queue::Uploads)).await;
    let tenant = app.tenant().await.unwrap();
    let first = app.process(&["work", "--queue", "uploads"]).unwrap();
    let source = sent(&app, &tenant, &old_film(60).await).await;
    let before = objects(&app);
    let made = begun(&app, &tenant, &source).await;
    until_half_way(&app, &tenant, &made).await;
    assert!(runs(&scratch), "FFmpeg works at it");
    first.kill9().await.unwrap();
    until_true("FFmpeg ends with who began it", async || !runs(&scratch)).await;
    assert_eq!(known(&app, &tenant, &made).await["state"], "TRANSCODING");

    // What one that is killed while it keeps the file leaves behind.
    let mut database = app.superuser_connection().await.unwrap();
    let (id,): (Uuid,) =
        sqlx::query_as("SELECT upload_id FROM content.transcodes").fetch_one(&mut database).await.unwrap();
    let folder = app.content_folder().join("uploads").join(tenant.id.uuid().simple().to_string());
    let folder = folder.join(id.simple().to_string());
    std::fs::create_dir_all(&folder).unwrap();
    for left in ["whole", "half#1"] {
        std::fs::write(folder.join(left), b"left").unwrap();
    }
    // A minute without news of the first one, which nobody waits for here: it has left a folder, and has its turn still.
    for left in std::fs::read_dir(&scratch.0).unwrap() {
        let left = std::fs::File::open(left.unwrap().path()).unwrap();
        left.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    }
    let early: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM content.upload_schedule WHERE work = 'transcode' AND leased_until > now()",
    )
    .fetch_one(&mut database)
    .await
    .unwrap();
    assert_eq!(early, 1, "nobody begins while the first one may be at it");
    sqlx::query("UPDATE content.upload_schedule SET due_at = now(), leased_until = '-infinity'")
        .execute(&mut database)
        .await
        .unwrap();
    let second = app.process(&["work", "--queue", "uploads"]).unwrap();
    let ready = until_state(&app, &tenant, &made, "READY").await;
    assert_eq!((&ready["preflight"], &ready["transcode"]["donePermille"]), (&json!([]), &json!(1000)));

    let (parts, size, attempts): (i64, i64, i32) = sqlx::query_as(
        "SELECT count(*), sum(p.size_bytes)::bigint, min(t.attempts) FROM content.parts AS p
         JOIN content.transcodes AS t ON t.tenant_id = p.tenant_id AND t.upload_id = p.upload_id",
    )
    .fetch_one(&mut database)
    .await
    .unwrap();
    assert_eq!((size.to_string().as_str(), attempts), (ready["sizeBytes"].as_str().unwrap(), 2));
    assert_eq!(objects(&app), before + usize::try_from(parts).unwrap(), "nothing else is kept");
    scratch.until_empty().await;
    app.settle().await.unwrap();
    let finished: i64 =
        sqlx::query_scalar("SELECT count(*) FROM compliance.audit_leaves WHERE type = 'finish_transcode'")
            .fetch_one(&mut database)
            .await
            .unwrap();
    assert_eq!(finished, 1, "it was made once");
    second.kill9().await.unwrap();
    app.stop().await.unwrap();
}
