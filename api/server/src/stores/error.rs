//! Why a private store could not be had, in words for the person at the terminal.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// Why a private store could not be started, reached or stopped.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A program is not installed, or only in a version too old.
    #[error(
        "{needed} was not found (looked in {looked}); install it with deploy/setup.sh, or give {instead}"
    )]
    Missing {
        /// What is needed, with its least version.
        needed: &'static str,
        /// The folders searched.
        looked: String,
        /// The setting that makes the program unnecessary.
        instead: &'static str,
    },
    /// Root asked, and there is nobody to run the stores as.
    #[error("run by root, but no unprivileged way to run a store was found: {missing} is missing")]
    NoAccount {
        /// The missing account or program.
        missing: &'static str,
    },
    /// Another process holds the directory's lock.
    #[error("{} is in use by another process of this product; stop it or choose another directory", .dir.display())]
    InUse {
        /// The directory asked for.
        dir: PathBuf,
    },
    /// The data directory belongs to a major version that is not installed.
    #[error(
        "the data in {} was made by PostgreSQL {found}, which is not installed; install it or start afresh",
        .data.display()
    )]
    OtherVersion {
        /// The data directory.
        data: PathBuf,
        /// The major version that made it.
        found: String,
    },
    /// A directory in a world-writable place exists and belongs to somebody else.
    #[error("{} exists and is not ours; remove it or choose another directory", .dir.display())]
    NotOurs {
        /// The directory that was expected to be ours.
        dir: PathBuf,
    },
    /// The server ended before it answered.
    #[error("{store} ended while it was starting ({status}); its log ends with:\n{log}")]
    Ended {
        /// Which server.
        store: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its log.
        log: String,
    },
    /// The server runs but did not answer in time.
    #[error("{store} did not answer within {waited_s} s; its log ends with:\n{log}")]
    Silent {
        /// Which server.
        store: &'static str,
        /// How long it was given, in seconds.
        waited_s: u64,
        /// The last lines of its log.
        log: String,
    },
    /// Processes survived every signal.
    #[error("{store} would not end; still there: process {pids:?}")]
    WouldNotEnd {
        /// Which server.
        store: &'static str,
        /// Who is still there.
        pids: Vec<i32>,
    },
    /// The server answered with a refusal.
    #[error("{store} refused: {source}")]
    Refused {
        /// Which server.
        store: &'static str,
        /// Its answer.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A name or URL that cannot be used.
    #[error("{what} cannot be used as {role}")]
    Unusable {
        /// The text at fault; never one with a password in it.
        what: String,
        /// What it was meant to be.
        role: &'static str,
    },
    /// The operating system said no.
    #[error("could not {what}: {source}")]
    Io {
        /// What was attempted.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
}

/// `map_err(failed("write", path))`: an I/O error with what was attempted.
pub(super) fn failed(verb: &str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let what = format!("{verb} {}", path.display());
    move |source| StoreError::Io { what, source }
}
