//! The keeper's life: start the stores, say where they are, stay while anybody needs them, stop them.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::time::Duration;

use server::stores::{Given, PostgresOptions, RedisOptions, Stores, StoresOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use super::attach::{KEEPER, USERS, forget_stores, open_lock, write_stores};
use super::containers::Containers;
use super::{HarnessError, TestStores, Wish, engine};

const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Looks in a row that must find nobody once the runner is gone: one that starts processes one after another may be
/// between two.
const IDLE_LOOKS_MAX: u32 = 2;
/// The same while the runner lives, which may be busy with tests that need no stores: thirty seconds.
const IDLE_LOOKS_MAX_IN_RUN: u32 = 120;

/// Runs a keeper in `folder` until no test process needs it any more; `runner` is the process of the test runner, and
/// `wish` the kind of stores by name. The program of this package does nothing else.
///
/// # Errors
/// The stores did not start or did not stop.
pub async fn keep(folder: &Path, runner: u32, wish: &str) -> Result<(), HarnessError> {
    let lock = open_lock(folder, KEEPER)?;
    // Waits out a test process that is just looking whether a keeper lives.
    lock.lock()?;
    let users = open_lock(folder, USERS)?;
    if nobody_holds(&users)? {
        // Whoever started this keeper has died since.
        return Ok(());
    }
    let _relay = engine::start_relay().await?;
    let held = Box::pin(Held::start(folder, Wish::parse(wish)?)).await?;
    write_stores(folder, &held.stores()?)?;

    let runner = Runner::new(runner);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        closing = until_idle(&users, &runner) => closing?,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    forget_stores(folder)?;
    held.stop().await
    // The locks go last, with the process: whoever waits for them finds everything gone.
}

/// Returns once nobody has needed the stores for a while, and then holds `users` against newcomers.
async fn until_idle(users: &File, runner: &Runner) -> Result<(), HarnessError> {
    let mut idle_looks = 0;
    loop {
        sleep(LOOK_EVERY).await;
        let idle = nobody_holds(users)?;
        idle_looks = if idle { idle_looks + 1 } else { 0 };
        let enough = if runner.lives() { IDLE_LOOKS_MAX_IN_RUN } else { IDLE_LOOKS_MAX };
        if idle && idle_looks >= enough {
            return Ok(());
        }
        if idle {
            users.unlock()?;
        }
    }
}

/// Takes the lock if nobody holds it.
fn nobody_holds(users: &File) -> Result<bool, HarnessError> {
    match users.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// The test runner, told from a later process with the same number by when it started.
struct Runner {
    pid: u32,
    started: Option<String>,
}

impl Runner {
    fn new(pid: u32) -> Self {
        Self { pid, started: started_at(pid) }
    }

    fn lives(&self) -> bool {
        self.started.is_some() && started_at(self.pid) == self.started
    }
}

/// When a process started, in clock ticks since boot; `None` for one that has ended (proc(5), `/proc/pid/stat`).
fn started_at(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; the fields after it are the third and on.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    if state == "Z" { None } else { fields.nth(18).map(str::to_owned) }
}

/// Stores of either kind.
enum Held {
    Private(Box<Stores>),
    Containers(Box<Containers>),
}

impl Held {
    async fn start(folder: &Path, wish: Wish) -> Result<Self, HarnessError> {
        let containers = match wish {
            Wish::Private => None,
            Wish::Containers => Some(Box::pin(Containers::start(folder)).await?),
            Wish::Either => match Box::pin(Containers::start(folder)).await {
                Ok(containers) => Some(containers),
                Err(error) => {
                    eprintln!("containers cannot be had, child processes it is: {error}");
                    None
                }
            },
        };
        if let Some(containers) = containers {
            return Ok(Self::Containers(Box::new(containers)));
        }
        let options = StoresOptions {
            postgres: PostgresOptions {
                durable: false,
                fresh: true,
                // Each test may have several pools, and a big machine runs many tests.
                max_connections: 500,
                ..PostgresOptions::default()
            },
            redis: RedisOptions { durable: false, fresh: true, ..RedisOptions::default() },
        };
        let home = folder.join("private");
        let stores = Box::pin(Stores::open(&home, Given::default(), &options)).await?;
        Ok(Self::Private(Box::new(stores)))
    }

    fn stores(&self) -> Result<TestStores, HarnessError> {
        match self {
            Self::Containers(containers) => Ok(containers.stores().clone()),
            Self::Private(stores) => {
                let admin_url = stores.postgres().ok_or("a private Postgres was started")?.admin_url()?;
                Ok(TestStores { admin_url: admin_url.into(), redis_url: stores.redis_url().to_string() })
            }
        }
    }

    async fn stop(self) -> Result<(), HarnessError> {
        match self {
            Self::Containers(containers) => containers.stop().await,
            Self::Private(stores) => Ok(stores.discard().await?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_runner_lives_until_it_ends() {
        assert!(Runner::new(std::process::id()).lives());
        let mut child = Command::new("sleep").arg("1000").spawn().expect("a process");
        let runner = Runner::new(child.id());
        assert!(runner.lives());
        child.kill().expect("killed");
        // Not waited for yet: a zombie is no runner.
        while runner.lives() {
            std::thread::yield_now();
        }
        child.wait().expect("its end");
        assert!(!runner.lives());
        let stranger = Runner { started: Some("0".into()), ..Runner::new(std::process::id()) };
        assert!(!stranger.lives(), "the same number, but another process");
    }
}
