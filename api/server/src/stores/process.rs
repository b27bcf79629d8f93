//! A child process with a thread of its own.

use std::process::{Command, ExitStatus};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::watch;
use tokio::time::timeout;

use super::error::StoreError;

/// A server that runs until told otherwise; dropped, it is sent its last signal and reaped in the background.
///
/// A thread spawns the process and stays with it to the end. This is no luxury: the kernel's signal at the owner's
/// death comes at the death of the *thread* that forked, and a runtime's threads come and go as it pleases.
#[derive(Debug)]
pub(super) struct ChildProcess {
    pid: Pid,
    ended: watch::Receiver<Option<ExitStatus>>,
    at_drop: Signal,
}

impl ChildProcess {
    /// Spawns `command`, called `name` in messages.
    ///
    /// # Errors
    /// `Io` when it cannot be run at all.
    pub(super) fn spawn(
        name: &'static str,
        mut command: Command,
        at_drop: Signal,
    ) -> Result<Self, StoreError> {
        let (announce, ended) = watch::channel(None);
        let (started, pid) = mpsc::sync_channel(1);
        let failed = |source| StoreError::Io { what: format!("run {name}"), source };
        let keep = move || {
            let mut child = match command.spawn() {
                Ok(child) => child,
                Err(error) => {
                    // The receiver waits right below; it cannot be gone.
                    let _ = started.send(Err(error));
                    return;
                }
            };
            let _ = started.send(Ok(child.id()));
            // A wait fails only if the child was reaped behind our back; then it is gone just the same.
            announce.send_replace(Some(child.wait().unwrap_or_default()));
        };
        thread::Builder::new().name(format!("{name}-keeper")).spawn(keep).map_err(failed)?;
        let gone = || std::io::Error::other("its thread ended early");
        let id = pid.recv().unwrap_or_else(|_| Err(gone())).map_err(failed)?;
        let pid = i32::try_from(id).map_err(|error| failed(std::io::Error::other(error)))?;
        Ok(Self { pid: Pid::from_raw(pid), ended, at_drop })
    }

    /// Its process id while it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        if self.status().is_some() { None } else { u32::try_from(self.pid.as_raw()).ok() }
    }

    /// How it ended, once it has.
    pub(super) fn status(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    /// Sends `signal` unless it has ended.
    pub(super) fn signal(&self, signal: Signal) {
        if self.status().is_none() {
            // It may end between the look and the signal; then there is nothing left to tell it.
            let _ = kill(self.pid, signal);
        }
    }

    /// Waits until it has ended; `false` when `patience` runs out first.
    pub(super) async fn ends_within(&mut self, patience: Duration) -> bool {
        timeout(patience, self.ended.wait_for(Option::is_some)).await.is_ok()
    }

    /// Sends each signal in turn and waits its share of patience; `true` when it ended.
    pub(super) async fn end(&mut self, steps: &[(Signal, Duration)]) -> bool {
        for (signal, patience) in steps {
            self.signal(*signal);
            if self.ends_within(*patience).await {
                return true;
            }
        }
        false
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.signal(self.at_drop);
    }
}
