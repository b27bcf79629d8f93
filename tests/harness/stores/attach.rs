//! How a test process finds the keeper of its run, or starts it.
//!
//! ```text
//! FOLDER/users.lock    shared: a test process that needs the stores; exclusive: the keeper, when it is closing
//! FOLDER/start.lock    exclusive: a test process that looks for a keeper and may start one
//! FOLDER/keeper.lock   exclusive: the keeper, for its whole life
//! FOLDER/stores.json   where the stores are, once they answer; FOLDER/keeper.log why they do not
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{HarnessError, TestStores, Wish, engine};

/// The keeper's program, built beside the tests.
const PROGRAM: &str = "matricula-test-stores";
/// Longest a keeper may take: images may have to be fetched first.
const READY_WITHIN: Duration = Duration::from_mins(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Where a keeper is and how to start one.
#[derive(Clone, Debug)]
pub(super) struct Keeper {
    program: PathBuf,
    folder: PathBuf,
    /// The process whose end is the end of the run: the test runner, which started this process.
    runner: u32,
}

impl Keeper {
    /// The keeper that all tests of this build share: programs lie in `<target>/<profile>`, tests one folder below.
    pub(super) fn of_this_build() -> Result<Self, HarnessError> {
        let test = std::env::current_exe()?;
        let program =
            test.ancestors().skip(1).map(|folder| folder.join(PROGRAM)).find(|program| program.is_file());
        let program = program.ok_or("the keeper is not built; run `cargo build -p tests --bins`")?;
        let folder = program.with_file_name("test-stores");
        Ok(Self { program, folder, runner: std::os::unix::process::parent_id() })
    }

    /// Says that this process needs the stores, for the rest of its life, and waits until there are some.
    pub(super) fn attach(&self, wish: Wish) -> Result<TestStores, HarnessError> {
        static ATTACHED: OnceLock<Attached> = OnceLock::new();
        let attached = self.attach_once(wish)?;
        let stores = attached.stores.clone();
        // Asked for twice, the second lock may go: the first is held as long as the process lives.
        let _ = ATTACHED.set(attached);
        Ok(stores)
    }

    fn attach_once(&self, wish: Wish) -> Result<Attached, HarnessError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let users = open_lock(&self.folder, USERS)?;
        // A keeper that is closing holds it until it is gone.
        users.lock_shared()?;
        let start = open_lock(&self.folder, "start")?;
        start.lock()?;
        let stores = self.find_or_start(wish)?;
        Ok(Attached { stores, _users: users })
    }

    fn find_or_start(&self, wish: Wish) -> Result<TestStores, HarnessError> {
        let mut started: Option<Child> = None;
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            if keeper_lives(&self.folder)? {
                if let Some(stores) = read_stores(&self.folder)? {
                    return Ok(stores);
                }
            } else if let Some(child) = &mut started {
                if let Some(status) = child.try_wait()? {
                    let log = fs::read_to_string(self.folder.join("keeper.log")).unwrap_or_default();
                    return Err(format!("the stores for the tests did not start ({status}):\n{log}").into());
                }
            } else {
                // What is written there is of a keeper that was killed.
                forget_stores(&self.folder)?;
                started = Some(self.spawn(wish)?);
            }
            sleep(LOOK_EVERY);
        }
        Err(format!("the stores for the tests took more than {} s to start", READY_WITHIN.as_secs()).into())
    }

    /// Starts a keeper that shares nothing with this process which somebody waits for: neither its process group,
    /// which a runner ends with a test, nor its output, which a runner reads until all who hold it are gone.
    fn spawn(&self, wish: Wish) -> Result<Child, HarnessError> {
        let log = self.folder.join("keeper.log");
        let log = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(log)?;
        let mut command = Command::new(&self.program);
        command.arg(&self.folder).arg(self.runner.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0).current_dir("/");
        match wish {
            Wish::Private => command.arg(Wish::Private.name()),
            Wish::Either | Wish::Containers => match engine::find() {
                None if wish == Wish::Containers => {
                    return Err("containers are wanted, but no Docker engine answers".into());
                }
                None => command.arg(Wish::Private.name()),
                Some(engine) => {
                    if let Some(socket) = engine.needs_relay(&self.folder)? {
                        command.env("DOCKER_HOST", format!("unix://{}", socket.display()));
                        command.env(engine::RELAYED, engine.describe());
                    }
                    command.arg(wish.name())
                }
            },
        };
        Ok(command.spawn()?)
    }
}

/// Stores this process is known to use.
#[derive(Debug)]
struct Attached {
    stores: TestStores,
    /// Held, never read.
    _users: File,
}

/// The lock of the test processes.
pub(super) const USERS: &str = "users";
/// The lock of the keeper.
pub(super) const KEEPER: &str = "keeper";

/// The lock file called `name`, not yet locked.
pub(super) fn open_lock(folder: &Path, name: &str) -> Result<File, HarnessError> {
    let path = folder.join(format!("{name}.lock"));
    Ok(OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?)
}

/// Says where the stores are, to the owner of the folder alone: there are passwords in it.
pub(super) fn write_stores(folder: &Path, stores: &TestStores) -> Result<(), HarnessError> {
    let half = folder.join("stores.json.new");
    forget(&half)?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&half)?;
    serde_json::to_writer(file, stores)?;
    Ok(fs::rename(half, folder.join("stores.json"))?)
}

/// Takes back what [`write_stores`] said.
pub(super) fn forget_stores(folder: &Path) -> Result<(), HarnessError> {
    forget(&folder.join("stores.json"))
}

fn forget(path: &Path) -> Result<(), HarnessError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn read_stores(folder: &Path) -> Result<Option<TestStores>, HarnessError> {
    match fs::read(folder.join("stores.json")) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn keeper_lives(folder: &Path) -> Result<bool, HarnessError> {
    match open_lock(folder, KEEPER)?.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that has ended, so that a keeper without users goes at once.
    fn ended_process() -> u32 {
        let mut child = Command::new("true").spawn().expect("a process");
        child.wait().expect("its end");
        child.id()
    }

    fn keeper(name: &str) -> Keeper {
        let shared = Keeper::of_this_build().expect("the keeper is built");
        let folder = shared.folder.with_file_name(format!("test-stores-{name}-{}", std::process::id()));
        Keeper { folder, runner: ended_process(), ..shared }
    }

    fn until(what: &str, mut so: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !so() {
            assert!(Instant::now() < deadline, "{what}");
            sleep(LOOK_EVERY);
        }
    }

    /// Processes whose arguments name the folder, or that work below it or below the place its data was moved to.
    fn processes_of(folder: &Path) -> Vec<i32> {
        let moved = fs::read_to_string(folder.join("private/postgres.moved")).unwrap_or_default();
        let home = Path::new(moved.trim()).parent().filter(|_| !moved.is_empty()).unwrap_or(folder);
        let pids = fs::read_dir("/proc").expect("/proc").flatten();
        pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid: &i32| {
                let works = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(home));
                let arguments = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                works || arguments.split('\0').any(|argument| Path::new(argument) == folder)
            })
            .collect()
    }

    #[test]
    fn users_share_one_keeper_and_the_last_one_out_ends_it() {
        let keeper = keeper("shared");
        let (one, two) = std::thread::scope(|scope| {
            let attach = || keeper.attach_once(Wish::Private).expect("attached");
            let (one, two) = (scope.spawn(attach), scope.spawn(attach));
            (one.join().expect("one"), two.join().expect("two"))
        });
        assert_eq!(one.stores, two.stores);
        assert!(processes_of(&keeper.folder).len() > 3, "a keeper and its servers");
        drop(one);
        // Longer than an idle keeper looks twice.
        let still = (0..100).all(|_| {
            sleep(LOOK_EVERY);
            keeper_lives(&keeper.folder).expect("a look")
        });
        assert!(still, "it went while one still needed it");
        drop(two);
        until("the keeper stayed", || !keeper_lives(&keeper.folder).expect("a look"));
        until("a process stayed", || processes_of(&keeper.folder).is_empty());
        assert_eq!(read_stores(&keeper.folder).expect("a look"), None);
        fs::remove_dir_all(&keeper.folder).expect("cleaned up");
    }

    #[test]
    fn a_killed_keeper_is_replaced() {
        let keeper = keeper("killed");
        let before = keeper.attach_once(Wish::Private).expect("attached");
        let program = keeper.program.to_str().expect("a path");
        let of_keeper = |pid: &&i32| {
            let arguments = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            arguments.split('\0').next() == Some(program)
        };
        let all = processes_of(&keeper.folder);
        let pid = all.iter().find(of_keeper).expect("the keeper runs").to_string();
        assert!(Command::new("kill").args(["-9", &pid]).status().expect("kill").success());
        until("its servers stayed", || processes_of(&keeper.folder).iter().all(|pid| !all.contains(pid)));

        let after = keeper.attach_once(Wish::Private).expect("attached again");
        assert_ne!(after.stores, before.stores, "the dead keeper's stores were handed out");
        drop((before, after));
        until("a process stayed", || processes_of(&keeper.folder).is_empty());
        fs::remove_dir_all(&keeper.folder).expect("cleaned up");
    }

    #[test]
    fn a_keeper_that_cannot_start_says_why() {
        let keeper = keeper("failed");
        fs::create_dir_all(&keeper.folder).expect("a folder");
        fs::write(keeper.folder.join("private"), "a file where a folder should be").expect("written");
        let error = keeper.attach_once(Wish::Private).expect_err("it cannot start").to_string();
        assert!(error.starts_with("the stores for the tests did not start"), "{error}");
        assert!(error.contains("private"), "the keeper's own words are missing: {error}");
        fs::remove_dir_all(&keeper.folder).expect("cleaned up");
    }
}
