//! Witnesses in processes of their own watch the platform's log; what they have not seen grow is not shown.

use std::{net::TcpListener, path::PathBuf, time::Duration};

use domain::{
    compliance::log::{
        checkpoint::Checkpoint,
        merkle::Hash,
        note::{Cosigner, Note, NoteSigner, VerifierKey},
        policy::LogPolicy,
        trust::TrustPolicy,
        witness::AddCheckpoint,
    },
    kernel::ids::{IdSource as _, PLATFORM},
};
use harness::{
    app::{TestApp, TestTenant},
    client::PATIENCE,
    process::Process,
};
use infra::{local_keyring::read_seed, system::System};
use serde_json::{Value, json};
use sqlx::PgConnection;

const ORIGIN: &str = "audit.matricula.localhost/platform";

/// A witness: its key is made, and it is not started yet.
struct Watcher {
    dir: PathBuf,
    name: String,
    address: String,
    key: VerifierKey,
}

impl Watcher {
    fn new(number: u8) -> Self {
        let dir = std::env::temp_dir().join(format!("witness-{}", System.next_uuid().simple()));
        std::fs::create_dir_all(&dir).unwrap();
        let name = format!("witness.example.com/w{number}");
        server::witness::make_key(&dir.join("key"), &name).unwrap();
        let seed = read_seed(&dir.join("key")).unwrap();
        let key = Cosigner::from_seed(&name, &seed).unwrap().verifier().clone();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        Self { dir, name, address, key }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts it, knowing the log with that key.
    async fn start(&self, app: &TestApp, log: &VerifierKey) -> Process {
        let path = |name: &str| self.dir.join(name).to_string_lossy().into_owned();
        std::fs::write(self.dir.join("logs"), format!("log {log}\nquorum none\n")).unwrap();
        let (key, logs, state) = (path("key"), path("logs"), path("state"));
        let arguments = [
            "witness",
            "run",
            "--listen",
            &self.address,
            "--name",
            &self.name,
            "--key",
            &key,
            "--logs",
            &logs,
            "--state",
            &state,
        ];
        let process = app.process(&arguments).unwrap();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while post(self, "").await.is_none() {
            assert!(tokio::time::Instant::now() < deadline, "{}", process.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        process
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Status, content type and body of its answer; `None` when nobody answers.
async fn post(watcher: &Watcher, body: &str) -> Option<(u16, String, String)> {
    let url = format!("{}/add-checkpoint", watcher.url());
    let answer = reqwest::Client::builder()
        .timeout(PATIENCE)
        .build()
        .unwrap()
        .post(url)
        .body(body.to_owned())
        .send()
        .await
        .ok()?;
    let status = answer.status().as_u16();
    let kind = answer.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    Some((status, kind.unwrap_or_default(), answer.text().await.ok()?))
}

/// A service whose log two of these three are to watch.
async fn watched(watchers: &[Watcher; 3]) -> (TestApp, TestTenant, PathBuf) {
    let dir = std::env::temp_dir().join(format!("policy-{}", System.next_uuid().simple()));
    std::fs::create_dir_all(&dir).unwrap();
    let numbered = (1..).zip(watchers);
    let lines =
        numbered.map(|(number, watcher)| format!("witness w{number} {} {}\n", watcher.key, watcher.url()));
    let policy = dir.join("policy");
    std::fs::write(&policy, lines.collect::<Vec<_>>().concat() + "group all 2 w1 w2 w3\nquorum all\n")
        .unwrap();
    let settings = [
        ("MATRICULA_NOTARY_INTERVAL_MS", "100"),
        ("MATRICULA_NOTARY_POLICY", policy.to_str().unwrap()),
        ("MATRICULA_NOTARY_WITNESS_TIMEOUT_MS", "2000"),
    ];
    let app = TestApp::start_with(&settings).await.unwrap();
    let tenant = app.tenant().await.unwrap();
    (app, tenant, dir)
}

/// The key that signs the platform's log, as its holder has it.
fn signer(app: &TestApp, origin: &str) -> NoteSigner {
    let seed = read_seed(&app.content_folder().with_file_name("log-key")).unwrap();
    NoteSigner::from_seed(origin, &seed).unwrap()
}

async fn checkpoint(app: &TestApp, tenant: &TestTenant) -> Value {
    let query = "{ platformCheckpoint { size root note policy verifierKeys } }";
    let answer = app.client.graphql(&tenant.owner.token, query, json!({})).await.unwrap();
    answer.data("platformCheckpoint").clone()
}

/// The checkpoint shown, once it has more than so many leaves.
async fn shown(app: &TestApp, tenant: &TestTenant, above: u64) -> Value {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let shown = checkpoint(app, tenant).await;
        if size(&shown) > above {
            return shown;
        }
        assert!(tokio::time::Instant::now() < deadline, "no head of more than {above} leaves is shown");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn size(checkpoint: &Value) -> u64 {
    checkpoint["size"].as_str().map_or(0, |size| size.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_is_shown_once_two_of_three_have_cosigned_it() {
    let watchers = [1, 2, 3].map(Watcher::new);
    let (app, tenant, dir) = watched(&watchers).await;
    app.settle().await.unwrap();
    let key = signer(&app, ORIGIN).verifier().clone();
    let first = watchers[0].start(&app, &key).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(checkpoint(&app, &tenant).await, Value::Null, "one is not enough");
    let _second = watchers[1].start(&app, &key).await;
    let seen = shown(&app, &tenant, 0).await;
    let policy = TrustPolicy::parse(seen["policy"].as_str().unwrap()).unwrap();
    assert_eq!(policy.logs().collect::<Vec<_>>(), [&key]);
    let keys: Vec<_> = policy.witnesses().iter().map(|witness| witness.key.clone()).collect();
    assert_eq!(keys, watchers.iter().map(|watcher| watcher.key.clone()).collect::<Vec<_>>());
    let open = |seen: &Value| {
        let policy = LogPolicy::new(ORIGIN, vec![key.clone()], keys.clone(), 2).unwrap();
        policy.open(seen["note"].as_str().unwrap().as_bytes(), None).unwrap()
    };
    assert_eq!(open(&seen).checkpoint.size(), size(&seen));
    // The program prints the same policy.
    let mut printed = Vec::new();
    app.print_policy(&mut printed).await.unwrap();
    assert_eq!(TrustPolicy::parse(&String::from_utf8(printed).unwrap()), Ok(policy));
    // One is killed and another takes its part; started again, it goes on from what it had seen.
    first.kill9().await.unwrap();
    let _third = watchers[2].start(&app, &key).await;
    let later = shown(&app, &tenant, size(&seen)).await;
    open(&later);
    let _first = watchers[0].start(&app, &key).await;
    let (status, kind, body) = post(&watchers[0], &request(&signer(&app, ORIGIN), 0, 1, 1)).await.unwrap();
    assert_eq!((status, kind.as_str()), (409, "text/x.tlog.size"), "{body}");
    assert!(body.trim_end().parse::<u64>().unwrap() >= size(&seen), "it remembers: {body}");
    app.stop().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

/// A request for a checkpoint that only its maker believes in.
fn request(signer: &NoteSigner, old_size: u64, size: u64, root: u8) -> String {
    let checkpoint = Checkpoint::new(signer.name(), size, Hash([root; 32])).unwrap();
    let note = Note::sign(checkpoint.to_string(), signer).unwrap();
    AddCheckpoint { old_size, proof: Vec::new(), note }.to_text()
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_5_and_6_over_http_have_the_protocols_answers() {
    let watchers = [1, 2, 3].map(Watcher::new);
    let (app, _, dir) = watched(&watchers).await;
    // The service's log is kept out of it: this witness watches another name with the same key.
    let own = signer(&app, "log.example.com/forked");
    let watcher = Watcher::new(4);
    let _running = watcher.start(&app, own.verifier()).await;
    let asked = async |body: String| post(&watcher, &body).await.unwrap();
    let (status, _, line) = asked(request(&own, 0, 7, 1)).await;
    assert_eq!(status, 200, "{line}");
    let text = Checkpoint::new(own.name(), 7, Hash([1; 32])).unwrap().to_string();
    let signed = Note::sign(text, &own).unwrap().to_text() + &line;
    let policy =
        LogPolicy::new(own.name(), vec![own.verifier().clone()], vec![watcher.key.clone()], 1).unwrap();
    assert_eq!(policy.open(signed.as_bytes(), None).unwrap().cosigned.len(), 1);
    let stranger = NoteSigner::from_seed("log.example.com/forked", &[8; 32]).unwrap();
    let proven = request(&own, 7, 9, 1).replacen("\n\n", &format!("\n{}\n\n", Hash([4; 32]).to_base64()), 1);
    for (body, status, size) in [
        (request(&signer(&app, ORIGIN), 0, 7, 1), 404, None),
        (request(&stranger, 7, 9, 1), 403, None),
        (request(&own, 0, 9, 1), 409, Some("7\n")),
        (request(&own, 3, 5, 1), 409, Some("7\n")),
        (request(&own, 7, 7, 2), 409, None),
        (request(&own, 7, 9, 1), 422, None),
        (proven, 422, None),
        (request(&own, 9, 7, 1), 400, None),
        ("old x\n\n".to_owned(), 400, None),
        ("x".repeat(3_000_000), 413, None),
    ] {
        let (got, kind, text) = asked(body).await;
        assert_eq!(got, status, "{text}");
        assert_eq!(kind == "text/x.tlog.size", size.is_some(), "{kind}");
        assert!(size.is_none_or(|size| text == size), "{text}");
    }
    assert_eq!(asked(request(&own, 7, 7, 1)).await.0, 200, "what was refused is not remembered as seen");
    // Both checkpoints are kept, as the log signed them: anybody can check that they contradict each other.
    let forked =
        Note::sign(Checkpoint::new(own.name(), 7, Hash([2; 32])).unwrap().to_string(), &own).unwrap();
    let files = std::fs::read_dir(watcher.dir.join("state/evidence")).unwrap();
    let kept: Vec<_> = files.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect();
    let both =
        kept.iter().find(|text| text.contains(&forked.to_text())).unwrap_or_else(|| panic!("{kept:?}"));
    assert!(
        both.contains(
            &Note::sign(Checkpoint::new(own.name(), 7, Hash([1; 32])).unwrap().to_string(), &own)
                .unwrap()
                .to_text()
        )
    );
    // With the log's key, and nothing of ours: two trees of one size, both signed.
    let (one, other) = both.split_at(both.rfind(&format!("{}\n", own.name())).unwrap());
    let open = |note: &str| {
        let note = Note::parse(note.as_bytes()).unwrap();
        assert_eq!(note.verify(std::slice::from_ref(own.verifier())).unwrap().len(), 1);
        Checkpoint::parse(note.text()).unwrap()
    };
    assert!(open(one.strip_suffix('\n').unwrap()).forks_from(&open(other)));
    app.stop().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

async fn sql(database: &mut PgConnection, statements: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned())).execute(database).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_7_a_log_put_back_together_with_its_mark_is_not_shown_again() {
    let watchers = [1, 2, 3].map(Watcher::new);
    let (app, tenant, dir) = watched(&watchers).await;
    let key = signer(&app, ORIGIN).verifier().clone();
    let mut running = Vec::new();
    for watcher in &watchers {
        running.push(watcher.start(&app, &key).await);
    }
    shown(&app, &tenant, 0).await;
    app.settle().await.unwrap();
    // A backup of the platform's log and of the mark, taken while nothing moves.
    let mut database = app.superuser_connection().await.unwrap();
    let tables = ["platform_anchors", "platform_tiles", "platform_heads", "platform_cosignatures"];
    let marks = app.content_folder().with_file_name("mark");
    let mark = || {
        let files = std::fs::read_dir(&marks).unwrap().map(|entry| entry.unwrap().path());
        files
            .into_iter()
            .find(|file| file.file_name().unwrap().to_string_lossy().starts_with("mark-"))
            .unwrap()
    };
    let copies = tables.map(|table| format!("CREATE TABLE public.kept_{table} AS TABLE compliance.{table};"));
    sql(&mut database, &format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK}); {}", copies.concat())).await;
    let file = mark();
    let kept = std::fs::read(&file).unwrap();
    sql(&mut database, "COMMIT").await;
    let backup = checkpoint(&app, &tenant).await;
    app.sign_in(&tenant.slug, &tenant.owner.email).await.unwrap();
    let seen = shown(&app, &tenant, size(&backup) + 1).await;
    app.settle().await.unwrap();
    let back = tables.map(|table| {
        format!("DELETE FROM compliance.{table}; INSERT INTO compliance.{table} TABLE public.kept_{table};")
    });
    let mut replaced = database;
    sql(&mut replaced, &format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK}); {}", back.concat())).await;
    std::fs::write(&file, &kept).unwrap();
    sql(&mut replaced, "COMMIT").await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let told: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM compliance.audit_leaves
             WHERE tenant_id = $1 AND stream = 'admin' AND type = 'witness_platform_log' AND outcome = 'refused'",
        )
        .bind(PLATFORM.uuid())
        .fetch_one(&mut replaced)
        .await
        .unwrap();
        if told > 0 {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "nobody is told that the witnesses have seen more");
        app.sign_in(&tenant.slug, &tenant.owner.email).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let after = checkpoint(&app, &tenant).await;
    assert!(size(&after) < size(&seen), "no head of the other log is shown: {after}");
    let metrics = format!("http://{}/metrics", app.service.operators);
    let text = reqwest::get(&metrics).await.unwrap().text().await.unwrap();
    let alarming = |line: &str| {
        line.starts_with("matricula_witness_answers_total")
            && (line.contains("\"ahead\"") || line.contains("\"disagrees\""))
    };
    assert!(text.lines().any(alarming), "{text}");
    app.stop().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

/// The lock that a notary holds while the log grows: "matrinot".
const LOCK: i64 = 0x6d61_7472_696e_6f74;
