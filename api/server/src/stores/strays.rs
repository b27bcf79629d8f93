//! Processes an earlier owner left behind in a data directory.
//!
//! A server makes its data directory its working directory, and so do the processes it forks. That tells its
//! processes from everybody else's without trusting a pid file, whose number may long belong to a stranger. Without
//! `/proc` (outside Linux) nothing is found here, and the server's own check of its pid file has the last word.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::sleep;

use super::error::StoreError;

const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How many looks each signal is given: five seconds.
const LOOKS: u32 = 250;

/// Which processes to end, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stray {
    /// The server's name in messages.
    pub(super) store: &'static str,
    /// The program's name as the kernel has it.
    pub(super) program: &'static str,
    /// The gentlest signal that ends the server and all its children at once.
    pub(super) signal: Signal,
}

/// Ends every process of the server that works in `data`; how many there were. Only the owner of the directory's
/// lock may ask, since then nobody else can be using them.
///
/// # Errors
/// `WouldNotEnd`.
pub(super) async fn end(stray: Stray, data: &Path) -> Result<usize, StoreError> {
    let found = working_in(data, stray.program);
    if found.is_empty() {
        return Ok(0);
    }
    for signal in [stray.signal, Signal::SIGKILL] {
        for pid in working_in(data, stray.program) {
            // Gone in between is as good as ended.
            let _ = kill(pid, signal);
        }
        for _ in 0..LOOKS {
            if working_in(data, stray.program).is_empty() {
                return Ok(found.len());
            }
            sleep(LOOK_EVERY).await;
        }
    }
    let pids = working_in(data, stray.program).into_iter().map(Pid::as_raw).collect();
    Err(StoreError::WouldNotEnd { store: stray.store, pids })
}

/// Whether `/proc` shows other processes, so that an empty answer means there are none.
pub(super) fn can_be_seen() -> bool {
    fs::read_link("/proc/self/cwd").is_ok()
}

/// The processes called `program` whose working directory is `data`. A zombie has no working directory any more.
fn working_in(data: &Path, program: &str) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let at_work = fs::read_link(entry.path().join("cwd")).ok()? == data;
            let name = fs::read_to_string(entry.path().join("comm")).ok()?;
            (at_work && name.trim_end() == program).then(|| Pid::from_raw(pid))
        })
        .collect()
}
