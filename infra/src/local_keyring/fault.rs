//! What can be wrong with a keyring file, and the way out.

use std::{
    io,
    path::{Path, PathBuf},
};

/// What is wrong with a keyring file.
#[derive(Debug, thiserror::Error)]
pub enum KeyringFault {
    /// There is none.
    #[error("there is no keyring: make one with `create`, or mount the one you have")]
    Missing,
    /// There is something already.
    #[error("something is there already: a keyring is never overwritten; open it, or choose another path")]
    Exists,
    /// It is a directory, a pipe, a device.
    #[error("it is not a regular file: give the path of the keyring itself")]
    NotAFile,
    /// Its group or everybody can get at it.
    #[error("its mode is {mode:03o} and lets others in: run `chmod 600` on it")]
    Open {
        /// Permission bits.
        mode: u32,
    },
    /// Somebody else owns it.
    #[error("user {owner} owns it, and this process runs as user {us}: run `chown {us}` on it")]
    Foreign {
        /// Its owner.
        owner: u32,
        /// Who we are.
        us: u32,
    },
    /// Far longer than any keyring.
    #[error("it is longer than {max} bytes: this is no keyring")]
    TooLong {
        /// The most it may have.
        max: u64,
    },
    /// It holds no key.
    #[error("it holds no key: put the file you have back from its backup, or make a new one elsewhere")]
    Empty,
    /// A line is not `v<version> <base64 of 32 bytes>`.
    #[error("line {line} is not `v<version> <base64 of 32 bytes>`: put it back from its backup")]
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// Two lines have one version.
    #[error("line {line} has version {version} a second time: give each key a version of its own")]
    Twice {
        /// Counted from 1.
        line: usize,
        /// The version.
        version: u32,
    },
    /// It could not be read or written.
    #[error("it can't be read or written")]
    Io(#[source] io::Error),
}

/// A keyring file is no good. Names the file and the way out, and nothing of its content.
#[derive(Debug, thiserror::Error)]
#[error("keyring {}: {fault}", path.display())]
pub struct KeyringError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub fault: KeyringFault,
}

impl KeyringError {
    pub(super) fn new(path: &Path, fault: KeyringFault) -> Self {
        Self { path: path.to_owned(), fault }
    }
}
