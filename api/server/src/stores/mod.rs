//! Postgres and Redis for a laptop and for tests: private child processes, or the ones whose URLs were given.
//!
//! Invariants:
//! - A private store listens on loopback (Postgres also on a Unix socket nobody else may open) and asks for a
//!   random password that only the owner of the directory can read.
//! - One owner per directory: a lock file says so, and the kernel lets go of it when the owner dies, however it dies.
//! - A store does not outlive its owner. The kernel signals it when the owner is gone ([`account`]); where the kernel
//!   cannot (or the signal was lost) the next start ends what still works in the directory ([`strays`]).
//! - Run by root, both stores run as an unprivileged account: Postgres refuses root, and Redis has no need of it.
//!
//! ```text
//! DIR/postgres.lock  DIR/postgres/{password, data/, run/, log}
//! DIR/redis.lock     DIR/redis/{password, redis.conf, data/, log}
//! ```
//!
//! Absent on purpose: downloads of either server (`deploy/setup.sh` installs the packages), upgrades of a data
//! directory between majors (what is in it is demo data: start afresh), and anything meant for production.

mod account;
mod error;
mod place;
mod postgres;
mod process;
mod programs;
mod redis;
mod resp;
mod strays;

use std::path::Path;

use url::Url;

pub use error::StoreError;
pub use postgres::{PostgresOptions, PrivatePostgres};
pub use redis::{PrivateRedis, RedisOptions};
pub use resp::{RespConnection, RespReply};

/// The database made in a private Postgres for the product.
pub const DATABASE: &str = "matricula";

/// URLs that replace the private stores, each on its own.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Stands in for the private Postgres.
    pub database_url: Option<Url>,
    /// Stands in for the private Redis.
    pub redis_url: Option<Url>,
}

/// How the private stores are run.
#[derive(Clone, Debug, Default)]
pub struct StoresOptions {
    /// How the private Postgres is run.
    pub postgres: PostgresOptions,
    /// How the private Redis is run.
    pub redis: RedisOptions,
}

/// A Postgres and a Redis, and the child processes behind those that are private.
#[derive(Debug)]
pub struct Stores {
    postgres: Option<PrivatePostgres>,
    redis: Option<PrivateRedis>,
    database_url: Url,
    redis_url: Url,
}

impl Stores {
    /// Takes what was given and starts the rest under `dir`, which is made when absent. A private Postgres is
    /// answered for with its database [`DATABASE`] present and empty the first time; migrations are the caller's.
    ///
    /// # Errors
    /// [`StoreError`]: a server is not installed, another process owns `dir`, or a server did not come up.
    pub async fn open(dir: &Path, given: Given, options: &StoresOptions) -> Result<Self, StoreError> {
        let postgres = async {
            let Some(url) = given.database_url else {
                let postgres = Box::pin(PrivatePostgres::start(dir, &options.postgres)).await?;
                let url = Box::pin(postgres.create_database(DATABASE)).await?;
                return Ok::<_, StoreError>((Some(postgres), url));
            };
            Ok((None, url))
        };
        let redis = async {
            let Some(url) = given.redis_url else {
                let redis = PrivateRedis::start(dir, &options.redis).await?;
                let url = redis.url();
                return Ok::<_, StoreError>((Some(redis), url));
            };
            Ok((None, url))
        };
        let ((postgres, database_url), (redis, redis_url)) = tokio::try_join!(postgres, redis)?;
        Ok(Self { postgres, redis, database_url, redis_url })
    }

    /// Stores somebody else runs. They are taken at their word: the first connection finds out whether they answer.
    pub fn given(database_url: Url, redis_url: Url) -> Self {
        Self { postgres: None, redis: None, database_url, redis_url }
    }

    /// Where the product's database is: the given URL, or [`DATABASE`] in the private Postgres.
    pub fn database_url(&self) -> &Url {
        &self.database_url
    }

    /// Where Redis is.
    pub fn redis_url(&self) -> &Url {
        &self.redis_url
    }

    /// The private Postgres, unless one was given.
    pub fn postgres(&self) -> Option<&PrivatePostgres> {
        self.postgres.as_ref()
    }

    /// The private Postgres, to be killed or restarted by a drill.
    pub fn postgres_mut(&mut self) -> Option<&mut PrivatePostgres> {
        self.postgres.as_mut()
    }

    /// The private Redis, unless one was given.
    pub fn redis(&self) -> Option<&PrivateRedis> {
        self.redis.as_ref()
    }

    /// The private Redis, to be killed or restarted by a drill.
    pub fn redis_mut(&mut self) -> Option<&mut PrivateRedis> {
        self.redis.as_mut()
    }

    /// Name and process id of each child that runs now, for `dev.json` and for people with a debugger.
    pub fn pids(&self) -> Vec<(&'static str, u32)> {
        let postgres = self.postgres.as_ref().and_then(PrivatePostgres::pid).map(|pid| ("postgres", pid));
        let redis = self.redis.as_ref().and_then(PrivateRedis::pid).map(|pid| ("redis", pid));
        postgres.into_iter().chain(redis).collect()
    }

    /// Stops every private store and waits until its processes are gone. Both are tried even when one fails.
    ///
    /// # Errors
    /// The first [`StoreError`]: a process survived every signal.
    pub async fn stop(self) -> Result<(), StoreError> {
        let postgres = async {
            match self.postgres {
                Some(mut postgres) => postgres.stop().await,
                None => Ok(()),
            }
        };
        let redis = async {
            match self.redis {
                Some(mut redis) => redis.stop().await,
                None => Ok(()),
            }
        };
        let (postgres, redis) = tokio::join!(postgres, redis);
        postgres.and(redis)
    }

    /// As [`Stores::stop`], and throws away what the private stores kept.
    ///
    /// # Errors
    /// The first [`StoreError`]: a process survived every signal, or a file could not be removed.
    pub async fn discard(self) -> Result<(), StoreError> {
        let postgres = async {
            match self.postgres {
                Some(postgres) => postgres.discard().await,
                None => Ok(()),
            }
        };
        let redis = async {
            match self.redis {
                Some(redis) => redis.discard().await,
                None => Ok(()),
            }
        };
        let (postgres, redis) = tokio::join!(postgres, redis);
        postgres.and(redis)
    }
}
