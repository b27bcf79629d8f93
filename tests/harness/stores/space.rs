//! A database and a key prefix for one test.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use server::stores::RespConnection;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use url::Url;

use super::{HarnessError, TestStores};

/// The advisory lock of templates: shared while one is copied, exclusive while one is made.
const TEMPLATES: i64 = 0x6d61_7472_6963;
/// Removes every key with a prefix. Written in Lua so that a run through many keys is one question and one answer.
const FORGET_KEYS: &str = "local cursor = '0' repeat local found = redis.call('SCAN', cursor, 'MATCH', ARGV[1] .. '*', \
     'COUNT', 1000) cursor = found[1] for _, key in ipairs(found[2]) do redis.call('UNLINK', key) end until cursor == '0' \
     return 1";

/// One test's share of the stores, given back when it goes.
#[derive(Debug)]
pub struct TestSpace {
    name: String,
    admin_url: Url,
    redis_url: Url,
    /// Holds the advisory lock that says the database is in use; it goes when this process does.
    _owner: PgConnection,
}

impl TestSpace {
    /// A new database, copied from the template for `fingerprint`. When there is no such template yet it is made:
    /// an empty database, handed to `migrate`. Of all processes that ask at the same time, one makes it.
    ///
    /// # Errors
    /// The stores cannot be had, or `migrate` failed; the template is then made anew next time.
    pub async fn open<M, F, E>(fingerprint: &str, migrate: M) -> Result<Self, HarnessError>
    where
        M: FnOnce(Url) -> F,
        F: Future<Output = Result<(), E>>,
        E: Into<HarnessError>,
    {
        let stores = TestStores::of_this_run().await?;
        let admin_url = stores.admin_url()?;
        let mut owner = PgConnection::connect(admin_url.as_str()).await?;
        let template = Template::new(fingerprint, &admin_url);
        let mut migrate = Some(migrate);
        loop {
            lock(&mut owner, "pg_advisory_lock_shared", TEMPLATES).await?;
            if template.is_ready(&mut owner).await? {
                break;
            }
            lock(&mut owner, "pg_advisory_unlock_shared", TEMPLATES).await?;
            let Some(migrate) = migrate.take() else {
                return Err("the template was removed while it was used".into());
            };
            lock(&mut owner, "pg_advisory_lock", TEMPLATES).await?;
            let made = Box::pin(template.make_unless_ready(&mut owner, migrate)).await;
            lock(&mut owner, "pg_advisory_unlock", TEMPLATES).await?;
            made?;
        }
        let id = owner.fetch_one("SELECT replace(gen_random_uuid()::text, '-', '')").await?;
        let name = format!("t_{}", id.try_get::<String, _>(0)?);
        // Before the database is there, so that a sweep never finds it without an owner.
        sqlx::query("SELECT pg_advisory_lock(hashtextextended($1, 0))")
            .bind(&name)
            .execute(&mut owner)
            .await?;
        run(&mut owner, format!("CREATE DATABASE {name} TEMPLATE {}", template.name)).await?;
        lock(&mut owner, "pg_advisory_unlock_shared", TEMPLATES).await?;
        Ok(Self { name, admin_url, redis_url: stores.redis_url()?, _owner: owner })
    }

    /// Where the test's database is.
    pub fn database_url(&self) -> Url {
        within(&self.admin_url, &self.name)
    }

    /// Where the Redis is that all tests share.
    pub fn redis_url(&self) -> &Url {
        &self.redis_url
    }

    /// What every key and channel of the test begins with.
    pub fn key_prefix(&self) -> String {
        format!("{}:", self.name)
    }
}

impl Drop for TestSpace {
    /// On a thread with a runtime of its own, because the test's runtime may be going too, and waited for, because the
    /// process ends right after its test. What fails here is swept by a later run.
    fn drop(&mut self) {
        let (name, admin_url, redis_url) =
            (self.name.clone(), self.admin_url.clone(), self.redis_url.clone());
        let give_back = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let database = Box::pin(remove_database(&admin_url, &name)).await;
                let keys = remove_keys(&redis_url, &name).await;
                database.and(keys)
            })
        };
        match std::thread::spawn(give_back).join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("{} was not removed: {error}", self.name),
            Err(_) => eprintln!("{} was not removed", self.name),
        }
    }
}

/// A migrated database to copy from.
struct Template {
    name: String,
    url: Url,
}

impl Template {
    fn new(fingerprint: &str, admin_url: &Url) -> Self {
        let mut hasher = DefaultHasher::new();
        fingerprint.hash(&mut hasher);
        let name = format!("tpl_{:016x}", hasher.finish());
        let url = within(admin_url, &name);
        Self { name, url }
    }

    /// Marked as a template, which is the last thing done to it.
    async fn is_ready(&self, admin: &mut PgConnection) -> Result<bool, HarnessError> {
        let found =
            sqlx::query("SELECT 1 FROM pg_database WHERE datname = $1 AND datistemplate").bind(&self.name);
        Ok(found.fetch_optional(admin).await?.is_some())
    }

    async fn make_unless_ready<M, F, E>(
        &self,
        admin: &mut PgConnection,
        migrate: M,
    ) -> Result<(), HarnessError>
    where
        M: FnOnce(Url) -> F,
        F: Future<Output = Result<(), E>>,
        E: Into<HarnessError>,
    {
        if self.is_ready(admin).await? {
            return Ok(());
        }
        sweep(admin).await?;
        let name = &self.name;
        run(admin, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
        run(admin, format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")).await?;
        migrate(self.url.clone()).await.map_err(Into::into)?;
        // Nobody may be connected while it is copied: not a pool that is slow to close, nor anybody later.
        run(admin, format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")).await?;
        sqlx::query("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1")
            .bind(name)
            .execute(&mut *admin)
            .await?;
        run(admin, format!("ALTER DATABASE {name} WITH IS_TEMPLATE true")).await
    }
}

/// Removes the databases of tests that died: those whose owner's lock is free.
async fn sweep(admin: &mut PgConnection) -> Result<(), HarnessError> {
    let left = "SELECT datname::text FROM pg_database WHERE datname ~ '^t_[0-9a-f]{32}$' \
                AND pg_try_advisory_lock(hashtextextended(datname, 0))";
    for row in admin.fetch_all(left).await? {
        let name: String = row.try_get(0)?;
        run(admin, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
        sqlx::query("SELECT pg_advisory_unlock(hashtextextended($1, 0))")
            .bind(&name)
            .execute(&mut *admin)
            .await?;
    }
    Ok(())
}

async fn remove_database(admin_url: &Url, name: &str) -> Result<(), HarnessError> {
    let mut admin = PgConnection::connect(admin_url.as_str()).await?;
    run(&mut admin, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
    Ok(admin.close().await?)
}

async fn remove_keys(redis_url: &Url, name: &str) -> Result<(), HarnessError> {
    let mut redis = RespConnection::open(redis_url).await?;
    redis.call(&["EVAL", FORGET_KEYS, "0", &format!("{name}:")]).await?;
    Ok(())
}

/// Takes or gives back an advisory lock; `function` is one of Postgres's own names.
async fn lock(connection: &mut PgConnection, function: &'static str, key: i64) -> Result<(), HarnessError> {
    run(connection, format!("SELECT {function}({key})")).await
}

/// Runs a statement that has no place for parameters. The names in it are made here, of hexadecimal digits.
async fn run(connection: &mut PgConnection, statement: String) -> Result<(), HarnessError> {
    connection.execute(AssertSqlSafe(statement)).await?;
    Ok(())
}

fn within(server: &Url, database: &str) -> Url {
    let mut url = server.clone();
    url.set_path(database);
    url
}

/// Tells one state of the migrations from another, for [`TestSpace::open`]: a hash of their source, which changes with
/// every edit, where a list of their names would not.
///
/// # Errors
/// The sources cannot be read.
pub fn migrations_fingerprint() -> Result<String, HarnessError> {
    fingerprint_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations/src"))
}

fn fingerprint_of(folder: &Path) -> Result<String, HarnessError> {
    let mut hasher = DefaultHasher::new();
    hash_folder(folder, &mut hasher)?;
    Ok(format!("{:016x}", hasher.finish()))
}

fn hash_folder(folder: &Path, hasher: &mut DefaultHasher) -> Result<(), HarnessError> {
    let mut paths =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            hash_folder(&path, hasher)?;
        } else {
            path.file_name().hash(hasher);
            fs::read(&path)?.hash(hasher);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use server::stores::RespReply;

    use super::*;

    /// A fingerprint no other run has.
    fn unique(what: &str) -> String {
        format!("{what} {} {:?}", std::process::id(), std::time::Instant::now())
    }

    async fn one_table(url: Url) -> Result<(), sqlx::Error> {
        let mut connection = PgConnection::connect(url.as_str()).await?;
        connection.execute("CREATE TABLE notes (text text)").await?;
        // Left open on purpose: a pool may close late.
        std::mem::forget(connection);
        Ok(())
    }

    async fn count(url: &Url, query: String) -> i64 {
        let mut connection = PgConnection::connect(url.as_str()).await.expect("connected");
        let row = connection.fetch_one(AssertSqlSafe(query)).await.expect("counted");
        connection.close().await.expect("closed");
        row.get(0)
    }

    async fn remove_template(fingerprint: &str) {
        let admin_url = TestStores::of_this_run().await.expect("stores").admin_url().expect("a URL");
        let mut admin = PgConnection::connect(admin_url.as_str()).await.expect("connected");
        let name = Template::new(fingerprint, &admin_url).name;
        run(&mut admin, format!("ALTER DATABASE {name} WITH IS_TEMPLATE false")).await.expect("unmarked");
        run(&mut admin, format!("DROP DATABASE {name}")).await.expect("dropped");
    }

    #[tokio::test]
    async fn spaces_share_a_template_and_nothing_else() {
        let fingerprint = unique("spaces");
        let migrations = AtomicUsize::new(0);
        let open = || {
            TestSpace::open(&fingerprint, |url| {
                migrations.fetch_add(1, Ordering::Relaxed);
                one_table(url)
            })
        };
        let (one, two, three) = tokio::join!(open(), open(), open());
        let (one, two, three) = (one.expect("one"), two.expect("two"), three.expect("three"));
        assert_eq!(migrations.load(Ordering::Relaxed), 1, "one of those who asked migrates");

        let mut connection = PgConnection::connect(one.database_url().as_str()).await.expect("connected");
        connection.execute("INSERT INTO notes VALUES ('mine')").await.expect("written");
        let notes = || "SELECT count(*) FROM notes".to_owned();
        assert_eq!(count(&one.database_url(), notes()).await, 1);
        assert_eq!(count(&two.database_url(), notes()).await, 0);

        let mut redis = RespConnection::open(one.redis_url()).await.expect("connected");
        for space in [&one, &two] {
            let key = format!("{}k", space.key_prefix());
            redis.call(&["SET", &key, &key]).await.expect("written");
        }
        let (kept, gone) = (format!("{}k", two.key_prefix()), format!("{}k", one.key_prefix()));
        let (name, admin_url) = (one.name.clone(), one.admin_url.clone());
        // The connection is still open: a test need not close its pools.
        drop((one, three));
        assert_eq!(redis.call(&["GET", &gone]).await.expect("read"), RespReply::Nil);
        assert_eq!(redis.call(&["GET", &kept]).await.expect("read"), RespReply::Text(kept.clone()));
        let found = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
        assert_eq!(count(&admin_url, found).await, 0);
        drop(two);
        remove_template(&fingerprint).await;
    }

    #[tokio::test]
    async fn a_failed_migration_is_told_and_tried_again() {
        let fingerprint = unique("failed");
        let failed = TestSpace::open(&fingerprint, async |url: Url| {
            one_table(url).await?;
            Err::<(), HarnessError>("the second table would not do".into())
        });
        assert_eq!(failed.await.expect_err("it failed").to_string(), "the second table would not do");
        let space = TestSpace::open(&fingerprint, one_table).await.expect("made anew, from nothing");
        assert_eq!(count(&space.database_url(), "SELECT count(*) FROM notes".into()).await, 0);
        drop(space);
        remove_template(&fingerprint).await;
    }

    #[tokio::test]
    async fn leftovers_of_the_dead_are_swept_and_the_living_are_spared() {
        let fingerprint = unique("sweep");
        let living = TestSpace::open(&fingerprint, one_table).await.expect("a space");
        let mut admin = PgConnection::connect(living.admin_url.as_str()).await.expect("connected");
        let id = admin.fetch_one("SELECT replace(gen_random_uuid()::text, '-', '')").await.expect("an id");
        let dead = format!("t_{}", id.get::<String, _>(0));
        run(&mut admin, format!("CREATE DATABASE {dead}")).await.expect("a leftover");

        sweep(&mut admin).await.expect("swept");
        let found = |name: &str| format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
        assert_eq!(count(&living.admin_url, found(&dead)).await, 0);
        assert_eq!(count(&living.admin_url, found(&living.name)).await, 1);
        drop(living);
        remove_template(&fingerprint).await;
    }

    #[test]
    fn a_fingerprint_changes_with_every_edit() {
        let folder = std::env::temp_dir().join(format!("matricula-fingerprint-{}", std::process::id()));
        fs::create_dir_all(folder.join("deeper")).expect("a folder");
        let write = |name: &str, text: &str| {
            fs::write(folder.join(name), text).expect("written");
            fingerprint_of(&folder).expect("a fingerprint")
        };
        let first = write("deeper/a.rs", "one");
        assert_eq!(write("deeper/a.rs", "one"), first);
        assert_ne!(write("deeper/a.rs", "two"), first);
        assert_ne!(write("b.rs", ""), write("deeper/a.rs", "one"));
        fs::remove_dir_all(&folder).expect("cleaned up");
        assert!(fingerprint_of(&folder).is_err());
        assert!(!migrations_fingerprint().expect("the migrations are there").is_empty());
    }
}
