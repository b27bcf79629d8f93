//! Real stores for tests: one Postgres and one Redis for a whole run, one database and one key prefix for each test.
//!
//! Where the stores come from, first that fits:
//! 1. `MATRICULA_TEST_DATABASE_URL` (a role that may create databases) and `MATRICULA_TEST_REDIS_URL`, each on its own;
//! 2. containers, when `MATRICULA_TEST_STORES=containers` or a Docker engine answers; the images are
//!    `MATRICULA_TEST_POSTGRES_IMAGE` and `MATRICULA_TEST_REDIS_IMAGE`;
//! 3. private child processes (`server::stores`), when `MATRICULA_TEST_STORES=private`, or no engine answers, or it
//!    cannot run the images and nobody insisted on it.
//!
//! One runner keeps all tests of a binary in one process, another gives each test its own. Both need stores that
//! outlive a test and end with the run, so neither a static nor a test can own them. A *keeper* does: a process that
//! the first test starts and that every test process is known to by a shared lock on a file ([`attach`]). The kernel
//! lets go of a lock when its holder dies, however it dies, so the keeper sees the last one leave, stops the stores and
//! goes ([`keep`]). A keeper that is killed takes its stores along, and the next test starts another.
//!
//! Invariants: a test sees no row and no key of another test; nothing runs a moment after the runner has ended; stores
//! that were given are left as they were found, but for the templates, which the next run uses.
//!
//! Absent on purpose: stores that persist between runs (each keeper starts afresh, so that no run depends on another),
//! and faults: a test that kills a store starts its own with `server::stores`.

mod attach;
mod containers;
mod engine;
mod keep;
mod space;

use std::error::Error;

use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use url::Url;

pub use keep::keep;
pub use space::{TestSpace, migrations_fingerprint};

/// Whatever went wrong in the harness; a test shows it and fails.
pub type HarnessError = Box<dyn Error + Send + Sync>;

/// Where the stores of this run are.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct TestStores {
    /// A database to connect to while making others, for a role that may make them.
    admin_url: String,
    redis_url: String,
}

impl TestStores {
    /// The stores of this run, started by the first test that asks.
    ///
    /// # Errors
    /// A setting that makes no sense, or stores that do not start; the text says what to do.
    pub async fn of_this_run() -> Result<&'static Self, HarnessError> {
        // A process is known to the keeper for as long as it lives, hence the static.
        static STORES: OnceCell<TestStores> = OnceCell::const_new();
        STORES.get_or_try_init(Self::find).await
    }

    /// A database to connect to while making others.
    ///
    /// # Errors
    /// The URL that was given is none.
    pub fn admin_url(&self) -> Result<Url, HarnessError> {
        Ok(Url::parse(&self.admin_url)?)
    }

    /// Where Redis is. Tests share it; keys begin with [`TestSpace::key_prefix`].
    ///
    /// # Errors
    /// The URL that was given is none.
    pub fn redis_url(&self) -> Result<Url, HarnessError> {
        Ok(Url::parse(&self.redis_url)?)
    }

    async fn find() -> Result<Self, HarnessError> {
        let settings = Settings::read()?;
        let kept = if settings.admin_url.is_some() && settings.redis_url.is_some() {
            None
        } else {
            // Waits on file locks, for as long as a keeper takes to start.
            let keeper = attach::Keeper::of_this_build()?;
            let wish = settings.wish;
            Some(tokio::task::spawn_blocking(move || keeper.attach(wish)).await??)
        };
        let of_keeper =
            |url: fn(&Self) -> &String| kept.as_ref().map(|kept| url(kept).clone()).unwrap_or_default();
        Ok(Self {
            admin_url: settings.admin_url.unwrap_or_else(|| of_keeper(|kept| &kept.admin_url)),
            redis_url: settings.redis_url.unwrap_or_else(|| of_keeper(|kept| &kept.redis_url)),
        })
    }
}

/// Which kind of stores the keeper is to start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wish {
    /// Containers if they can be had, else child processes.
    Either,
    /// Containers or failure.
    Containers,
    /// Child processes.
    Private,
}

impl Wish {
    fn parse(text: &str) -> Result<Self, HarnessError> {
        match text {
            "" | "either" => Ok(Self::Either),
            "containers" => Ok(Self::Containers),
            "private" => Ok(Self::Private),
            other => {
                Err(format!("MATRICULA_TEST_STORES is {other:?}; it can be containers, private or either")
                    .into())
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Either => "either",
            Self::Containers => "containers",
            Self::Private => "private",
        }
    }
}

/// What the environment says about the stores of tests.
struct Settings {
    admin_url: Option<String>,
    redis_url: Option<String>,
    wish: Wish,
}

impl Settings {
    fn read() -> Result<Self, HarnessError> {
        let url = |name: &str| {
            let url = setting(name);
            // The text is not repeated: there is a password in it.
            url.as_deref()
                .map(Url::parse)
                .transpose()
                .map_err(|error| format!("{name} is not a URL: {error}"))?;
            Ok::<_, HarnessError>(url)
        };
        Ok(Self {
            admin_url: url("MATRICULA_TEST_DATABASE_URL")?,
            redis_url: url("MATRICULA_TEST_REDIS_URL")?,
            wish: Wish::parse(&setting("MATRICULA_TEST_STORES").unwrap_or_default())?,
        })
    }
}

/// A setting of the test run; an empty one is as good as none.
fn setting(name: &str) -> Option<String> {
    // The product's configuration is read by `server::config`; a test run has no other way to be told.
    std::env::var_os(name).and_then(|value| value.into_string().ok()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_understood_or_refused() {
        for wish in [Wish::Either, Wish::Containers, Wish::Private] {
            assert_eq!(Wish::parse(wish.name()).expect("its own name"), wish);
        }
        assert_eq!(Wish::parse("").expect("nothing said"), Wish::Either);
        let refused = Wish::parse("docker").expect_err("no such kind").to_string();
        assert!(refused.contains("\"docker\"") && refused.contains("private"), "{refused}");
    }
}
