//! The private stores as the operating system sees them: processes, files, ports.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test code fails by panicking")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use server::stores::{
    DATABASE, Given, PostgresOptions, PrivatePostgres, PrivateRedis, RedisOptions, RespConnection, RespReply,
    StoreError, Stores, StoresOptions,
};
use sqlx::{Connection, Executor, PgConnection, Row};
use url::Url;

/// Set for the copy of this program that owns stores and is killed.
const OWNER_DIR: &str = "MATRICULA_STORES_OWNER_DIR";
const PATIENCE: Duration = Duration::from_secs(20);

/// A folder of one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("matricula-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path.canonicalize().unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn quick() -> StoresOptions {
    StoresOptions {
        postgres: PostgresOptions { durable: false, shared_buffers_mib: 16, ..PostgresOptions::default() },
        redis: RedisOptions { durable: false, ..RedisOptions::default() },
    }
}

/// Whether a process is at work; a zombie is not.
fn lives(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("\nState:\tZ")
}

/// Every process that works below `dir`.
fn at_work_below(dir: &Path) -> Vec<u32> {
    let pids =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(dir)))
        .collect()
}

/// The kernel tells nobody but the parent of the end of a process, so this looks until it sees it.
async fn until_gone(pids: &[u32]) {
    let gone = async {
        while pids.iter().any(|pid| lives(*pid)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.unwrap_or_else(|_| panic!("still there: {pids:?}"));
}

async fn ask(url: &Url, query: &'static str) -> String {
    let mut connection = PgConnection::connect(url.as_str()).await.unwrap();
    let row = connection.fetch_one(query).await.unwrap();
    connection.close().await.unwrap();
    row.get(0)
}

async fn tell(url: &Url, statement: &'static str) {
    let mut connection = PgConnection::connect(url.as_str()).await.unwrap();
    connection.execute(statement).await.unwrap();
    connection.close().await.unwrap();
}

async fn redis(url: &Url, words: &[&str]) -> RespReply {
    RespConnection::open(url).await.unwrap().call(words).await.unwrap()
}

fn text(text: &str) -> RespReply {
    RespReply::Text(text.into())
}

#[tokio::test]
async fn stores_answer_and_leave_no_process() {
    let folder = Folder::new("answer");
    let stores = Stores::open(&folder.0, Given::default(), &quick()).await.unwrap();
    assert_eq!(ask(stores.database_url(), "SELECT current_database()::text").await, DATABASE);
    assert_eq!(ask(stores.database_url(), "SHOW server_encoding").await, "UTF8");
    assert_eq!(ask(stores.database_url(), "SHOW timezone").await, "UTC");
    assert_eq!(ask(stores.database_url(), "SHOW data_checksums").await, "on");
    assert_eq!(ask(stores.database_url(), "SHOW max_connections").await, "200");
    assert_eq!(redis(stores.redis_url(), &["PING"]).await, text("PONG"));

    let pids: Vec<u32> = stores.pids().into_iter().map(|(_, pid)| pid).collect();
    assert_eq!(pids.len(), 2);
    assert!(pids.iter().all(|pid| lives(*pid)), "{pids:?}");
    stores.stop().await.unwrap();
    assert!(pids.iter().all(|pid| !lives(*pid)), "{pids:?}");
    assert_eq!(at_work_below(&folder.0), Vec::<u32>::new());
}

#[tokio::test]
async fn stores_keep_strangers_out() {
    let folder = Folder::new("strangers");
    let stores = Stores::open(&folder.0, Given::default(), &quick()).await.unwrap();

    assert_eq!(ask(stores.database_url(), "SHOW listen_addresses").await, "127.0.0.1");
    assert_eq!(ask(stores.database_url(), "SHOW password_encryption").await, "scram-sha-256");
    let mut wrong = stores.database_url().clone();
    wrong.set_password(Some("guess")).unwrap();
    let refused = PgConnection::connect(wrong.as_str()).await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "28P01");
    // Nor is the socket a way around the password.
    let socket = stores.postgres().unwrap().socket_folder().display().to_string();
    wrong.query_pairs_mut().append_pair("host", &socket);
    let refused = PgConnection::connect(wrong.as_str()).await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "28P01");

    let mut wrong = stores.redis_url().clone();
    wrong.set_password(None).unwrap();
    let refused = RespConnection::open(&wrong).await.unwrap().call(&["PING"]).await.unwrap_err().to_string();
    assert!(refused.contains("NOAUTH"), "{refused}");

    let passwords =
        ["postgres/password", "redis/password", "redis/redis.conf"].map(|name| folder.0.join(name));
    for path in &passwords {
        assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o600, "{}", path.display());
    }
    let secret = fs::read_to_string(&passwords[1]).unwrap();
    for (store, pid) in stores.pids() {
        let of_process = fs::metadata(format!("/proc/{pid}")).unwrap();
        assert_ne!(of_process.uid(), 0, "{store} runs as root");
        let arguments = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(!arguments.contains(&secret), "{store} shows its password to everybody");
        let environment = fs::read_to_string(format!("/proc/{pid}/environ")).unwrap_or_default();
        assert!(!environment.contains("CARGO"), "{store} inherited its owner's environment");
    }
    stores.stop().await.unwrap();
}

/// Runs itself as the owner, kills the owner, and looks for its children.
#[tokio::test]
async fn a_killed_owner_leaves_no_process_and_a_directory_that_starts() {
    if let Some(dir) = std::env::var_os(OWNER_DIR) {
        let stores =
            Stores::open(Path::new(&dir), Given::default(), &StoresOptions::default()).await.unwrap();
        tell(stores.database_url(), "CREATE TABLE kept AS SELECT 'still here'::text AS said").await;
        println!("\npids {:?}", stores.pids());
        return std::future::pending().await;
    }
    let folder = Folder::new("killed");
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_owner_leaves_no_process_and_a_directory_that_starts", "--nocapture"])
        .env(OWNER_DIR, &folder.0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let said = lines
        .find_map(|line| line.unwrap().strip_prefix("pids ").map(str::to_owned))
        .expect("the owner started");
    let pids = at_work_below(&folder.0);
    assert!(pids.len() > 2, "the owner's children were not found: {said} {pids:?}");

    owner.kill().unwrap();
    owner.wait().unwrap();
    until_gone(&pids).await;

    let stores = Stores::open(&folder.0, Given::default(), &StoresOptions::default()).await.unwrap();
    assert_eq!(ask(stores.database_url(), "SELECT said FROM kept").await, "still here");
    stores.stop().await.unwrap();
}

/// What a lost signal leaves: servers that run without an owner.
#[tokio::test]
async fn orphans_in_the_directory_are_replaced() {
    let folder = Folder::new("orphans");
    let stores = Stores::open(&folder.0, Given::default(), &quick()).await.unwrap();
    tell(stores.database_url(), "CREATE TABLE kept AS SELECT 'still here'::text AS said").await;
    let port = stores.postgres().unwrap().port().to_string();
    let program = fs::read_link(format!("/proc/{}/exe", stores.postgres().unwrap().pid().unwrap())).unwrap();
    stores.stop().await.unwrap();

    let home = folder.0.join("postgres");
    let mut postgres = unprivileged(&program);
    postgres.arg("-D").arg(home.join("data")).args(["-p", &port, "-k"]).arg(home.join("run"));
    let mut redis = unprivileged(Path::new("redis-server"));
    redis.arg(folder.0.join("redis/redis.conf"));
    let mut orphans = [postgres, redis].map(|mut command| command.spawn().unwrap());
    let arrived = async {
        while !home.join("data/postmaster.pid").exists()
            || at_work_below(&folder.0.join("redis/data")).is_empty()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, arrived).await.expect("the orphans run");

    let stores = Stores::open(&folder.0, Given::default(), &quick()).await.unwrap();
    for orphan in &mut orphans {
        assert!(orphan.try_wait().unwrap().is_some(), "an orphan survived");
    }
    assert_eq!(ask(stores.database_url(), "SELECT said FROM kept").await, "still here");
    assert_eq!(redis_of(&stores, &["PING"]).await, text("PONG"));
    stores.stop().await.unwrap();
}

async fn redis_of(stores: &Stores, words: &[&str]) -> RespReply {
    redis(stores.redis_url(), words).await
}

/// A command for the account the stores have: Postgres refuses root.
fn unprivileged(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if geteuid().is_root() {
        let user =
            User::from_name("postgres").unwrap().or_else(|| User::from_name("nobody").unwrap()).unwrap();
        command.args([
            format!("--reuid={}", user.uid),
            format!("--regid={}", user.gid),
            "--init-groups".into(),
        ]);
    }
    command.arg("--pdeathsig").arg("KILL").arg("--").arg(program);
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[tokio::test]
async fn a_pid_file_that_names_a_stranger_is_no_obstacle() {
    let folder = Folder::new("stranger-pid");
    let mut postgres = PrivatePostgres::start(&folder.0, &quick().postgres).await.unwrap();
    postgres.stop().await.unwrap();
    let mut stranger = unprivileged(Path::new("sleep")).arg("1000").spawn().unwrap();
    let pid_file = folder.0.join("postgres/data/postmaster.pid");
    fs::write(&pid_file, format!("{}\n{}\n0\n", stranger.id(), folder.0.join("postgres/data").display()))
        .unwrap();

    let started = postgres.restart().await;
    let spared = stranger.try_wait().unwrap().is_none();
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    started.unwrap();
    assert!(spared, "the stranger was ended");
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn an_interrupted_first_start_is_made_good() {
    let folder = Folder::new("half");
    fs::create_dir_all(folder.0.join("postgres/data.new/base")).unwrap();
    fs::write(folder.0.join("postgres/data.new/PG_VERSION"), "15\n").unwrap();
    fs::write(folder.0.join("postgres/password.new"), "half a passw").unwrap();
    let mut postgres = PrivatePostgres::start(&folder.0, &quick().postgres).await.unwrap();
    assert_eq!(ask(&postgres.admin_url().unwrap(), "SELECT 'up'").await, "up");
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_cluster_of_another_version_is_named_and_a_fresh_one_replaces_it() {
    let folder = Folder::new("version");
    fs::create_dir_all(folder.0.join("postgres/data")).unwrap();
    fs::write(folder.0.join("postgres/data/PG_VERSION"), "9\n").unwrap();
    fs::write(folder.0.join("postgres/password"), "x").unwrap();
    let error = PrivatePostgres::start(&folder.0, &quick().postgres).await.unwrap_err();
    assert!(matches!(&error, StoreError::OtherVersion { found, .. } if found == "9"), "{error:?}");

    let fresh = PostgresOptions { fresh: true, ..quick().postgres };
    let mut postgres = PrivatePostgres::start(&folder.0, &fresh).await.unwrap();
    assert_eq!(ask(&postgres.admin_url().unwrap(), "SELECT 'up'").await, "up");
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn two_run_side_by_side_but_not_in_one_directory() {
    let (one, two) = (Folder::new("one"), Folder::new("two"));
    let options = quick();
    let (a, b) = tokio::join!(
        Stores::open(&one.0, Given::default(), &options),
        Stores::open(&two.0, Given::default(), &options)
    );
    let (a, b) = (a.unwrap(), b.unwrap());
    redis_of(&a, &["SET", "whose", "a"]).await;
    assert_eq!(redis_of(&b, &["GET", "whose"]).await, RespReply::Nil);

    let third = Stores::open(&one.0, Given::default(), &options).await.unwrap_err();
    assert!(matches!(&third, StoreError::InUse { dir } if *dir == one.0), "{third:?}");
    assert_eq!(redis_of(&a, &["GET", "whose"]).await, text("a"), "the first was disturbed");
    assert_eq!(ask(a.database_url(), "SELECT 'up'").await, "up", "the first was disturbed");
    a.stop().await.unwrap();
    b.stop().await.unwrap();
}

#[tokio::test]
async fn killed_stores_come_back_on_the_same_port_with_what_they_kept() {
    let folder = Folder::new("drill");
    let mut stores = Stores::open(&folder.0, Given::default(), &StoresOptions::default()).await.unwrap();
    let (database, cache) = (stores.database_url().clone(), stores.redis_url().clone());
    tell(&database, "CREATE TABLE kept AS SELECT 'still here'::text AS said").await;
    redis(&cache, &["SET", "kept", "still here"]).await;

    let postgres = stores.postgres_mut().unwrap();
    let before = postgres.pid().unwrap();
    postgres.kill9().await;
    assert_eq!(postgres.pid(), None);
    assert!(!lives(before));
    assert!(PgConnection::connect(database.as_str()).await.is_err(), "a killed Postgres answered");
    postgres.restart().await.unwrap();
    assert_eq!(ask(&database, "SELECT said FROM kept").await, "still here");

    let server = stores.redis_mut().unwrap();
    server.stop().await.unwrap();
    assert!(RespConnection::open(&cache).await.is_err(), "a stopped Redis answered");
    server.restart().await.unwrap();
    assert_eq!(redis(&cache, &["GET", "kept"]).await, text("still here"));
    server.kill9().await;
    assert_eq!(server.pid(), None);
    server.restart().await.unwrap();
    assert_eq!(redis(&cache, &["PING"]).await, text("PONG"));
    stores.stop().await.unwrap();
}

#[tokio::test]
async fn a_dropped_store_ends_too() {
    let folder = Folder::new("dropped");
    let postgres = PrivatePostgres::start(&folder.0, &quick().postgres).await.unwrap();
    let redis = PrivateRedis::start(&folder.0, &quick().redis).await.unwrap();
    let pids = at_work_below(&folder.0);
    assert!(pids.len() > 2, "{pids:?}");
    drop((postgres, redis));
    until_gone(&pids).await;
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_is_no_obstacle() {
    let folder = Folder::new("long");
    let dir = folder.0.join("x".repeat(60)).join("a \"quoted\", rather long name, with commas and blanks");
    let mut postgres = PrivatePostgres::start(&dir, &quick().postgres).await.unwrap();
    let sockets = postgres.socket_folder().to_owned();
    assert!(sockets.starts_with("/tmp"), "{}", sockets.display());
    let mut url = postgres.admin_url().unwrap();
    url.query_pairs_mut().append_pair("host", sockets.to_str().unwrap());
    assert_eq!(ask(&url, "SELECT (inet_client_addr() IS NULL)::text").await, "true");
    postgres.stop().await.unwrap();
    assert!(!sockets.exists());

    let mut redis = PrivateRedis::start(&dir, &quick().redis).await.unwrap();
    assert_eq!(self::redis(&redis.url(), &["PING"]).await, text("PONG"));
    redis.stop().await.unwrap();
}

#[tokio::test]
async fn a_directory_the_account_cannot_reach_is_moved_and_says_so() {
    let folder = Folder::new("unreachable");
    fs::set_permissions(&folder.0, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let mut postgres = PrivatePostgres::start(&folder.0, &quick().postgres).await.unwrap();
    assert_eq!(ask(&postgres.admin_url().unwrap(), "SELECT 'up'").await, "up");
    postgres.stop().await.unwrap();
    let moved = fs::read_to_string(folder.0.join("postgres.moved")).unwrap_or_default();
    let home = if geteuid().is_root() { PathBuf::from(moved.trim()) } else { folder.0.join("postgres") };
    assert_eq!(home.starts_with("/var/tmp"), geteuid().is_root(), "{moved}");
    assert!(home.join("data/PG_VERSION").exists());

    let mut redis = PrivateRedis::start(&folder.0, &quick().redis).await.unwrap();
    redis.stop().await.unwrap();
    redis.discard().await.unwrap();
    postgres.discard().await.unwrap();
    assert!(!home.exists());
    assert_eq!(
        home.parent().unwrap().exists(),
        !geteuid().is_root(),
        "what was made for it elsewhere goes too"
    );
}

#[tokio::test]
async fn a_server_that_ends_early_shows_its_log() {
    let folder = Folder::new("taken");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = Some(taken.local_addr().unwrap().port());
    let error =
        PrivatePostgres::start(&folder.0, &PostgresOptions { port, ..quick().postgres }).await.unwrap_err();
    assert!(error.to_string().contains("Address already in use"), "{error}");
    let error = PrivateRedis::start(&folder.0, &RedisOptions { port, ..quick().redis }).await.unwrap_err();
    assert!(error.to_string().contains("Address already in use"), "{error}");
    assert_eq!(at_work_below(&folder.0), Vec::<u32>::new());
}

#[tokio::test]
async fn names_of_databases_are_plain() {
    let folder = Folder::new("names");
    let mut postgres = PrivatePostgres::start(&folder.0, &quick().postgres).await.unwrap();
    for name in ["", "A", "a b", "a\"; DROP DATABASE postgres; --", "a/b", "a?b", "ä"] {
        let refused = postgres.create_database(name).await;
        assert!(matches!(refused, Err(StoreError::Unusable { .. })), "{name:?}: {refused:?}");
    }
    let url = postgres.create_database("again").await.unwrap();
    assert_eq!(postgres.create_database("again").await.unwrap(), url, "the second time finds it");
    assert_eq!(ask(&url, "SELECT current_database()::text").await, "again");
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn given_stores_replace_private_ones() {
    let folder = Folder::new("given");
    let database_url = Url::parse("postgres://someone@db.example/product").unwrap();
    let redis_url = Url::parse("redis://cache.example/3").unwrap();
    let given = Given { database_url: Some(database_url.clone()), redis_url: Some(redis_url.clone()) };
    let stores = Stores::open(&folder.0, given, &quick()).await.unwrap();
    assert_eq!((stores.database_url(), stores.redis_url()), (&database_url, &redis_url));
    assert_eq!(stores.pids(), Vec::new());
    stores.stop().await.unwrap();

    let given = Given { database_url: Some(database_url.clone()), redis_url: None };
    let stores = Stores::open(&folder.0, given, &quick()).await.unwrap();
    assert!(stores.postgres().is_none());
    assert_eq!(redis(stores.redis_url(), &["PING"]).await, text("PONG"));
    let [("redis", pid)] = stores.pids()[..] else { panic!("{:?}", stores.pids()) };
    // The owner is told to go while the store is held up: it ends nevertheless.
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGSTOP).unwrap();
    drop(stores);
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGCONT).unwrap();
    until_gone(&[pid]).await;
}
