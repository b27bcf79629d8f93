//! Whom the stores run as, and the tie that ends them with their owner.
//!
//! Both need code between fork and exec, which safe Rust does not offer; `setpriv` of util-linux is that code.

use std::ffi::OsString;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};

use super::error::{StoreError, failed};
use super::programs::on_path;

/// Tried in this order when root asks: Debian's account for the server, then the account of nothing.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// The account of the child processes.
#[derive(Clone, Debug)]
pub(super) struct Account {
    setpriv: Option<PathBuf>,
    /// Whom to become; `None` when we are already nobody special.
    becomes: Option<User>,
}

impl Account {
    /// The caller's own account, or an unprivileged one when the caller is root.
    ///
    /// # Errors
    /// `NoAccount`.
    pub(super) fn of_children() -> Result<Self, StoreError> {
        let setpriv = on_path("setpriv");
        if !geteuid().is_root() {
            return Ok(Self { setpriv, becomes: None });
        }
        if setpriv.is_none() {
            return Err(StoreError::NoAccount { missing: "setpriv (package util-linux)" });
        }
        let becomes = CANDIDATES.iter().find_map(|name| User::from_name(name).ok().flatten());
        if becomes.is_none() {
            return Err(StoreError::NoAccount { missing: "an account called postgres or nobody" });
        }
        Ok(Self { setpriv, becomes })
    }

    /// The user id the children have.
    pub(super) fn uid(&self) -> u32 {
        self.becomes.as_ref().map_or_else(|| geteuid().as_raw(), |user| user.uid.as_raw())
    }

    /// A command for this account with an empty environment, so that no secret of the owner is inherited, in a
    /// process group of its own, so that Ctrl-C reaches the owner alone and the owner decides the order of the end.
    /// The kernel sends `at_owners_death` when the *thread* that spawns the command ends: see `ChildProcess`.
    pub(super) fn command(&self, program: &Path, at_owners_death: Signal) -> Command {
        let mut command = match &self.setpriv {
            None => Command::new(program),
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                if let Some(user) = &self.becomes {
                    command
                        .arg(format!("--reuid={}", user.uid))
                        .arg(format!("--regid={}", user.gid))
                        .arg("--init-groups");
                }
                let signal = at_owners_death.as_str().trim_start_matches("SIG");
                command.arg("--pdeathsig").arg(signal).arg("--").arg(program);
                command
            }
        };
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        command
    }

    /// Whether the children can reach `dir`. The kernel is asked rather than the mode bits read, because access
    /// lists and mount options have their say too.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn reaches(&self, dir: &Path) -> Result<bool, StoreError> {
        if self.becomes.is_none() {
            return Ok(true);
        }
        let mut test = self.command(Path::new("test"), Signal::SIGKILL);
        let status =
            test.args([OsString::from("-x"), dir.into()]).status().map_err(failed("look into", dir))?;
        Ok(status.success())
    }

    /// Makes `path` the children's own.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn own(&self, path: &Path) -> Result<(), StoreError> {
        let Some(user) = &self.becomes else { return Ok(()) };
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
            .map_err(failed("change the owner of", path))
    }
}
