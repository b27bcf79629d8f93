//! The spool's directories.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::message::Message;
use crate::private_dir::{Unfit, private_directory};

/// The spool can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// A directory lets others in.
    #[error("spool {}: its mode is {mode:03o} and lets others in: run `chmod 700` on it", path.display())]
    Open {
        /// The directory.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
    },
    /// Something that is no directory is in its place.
    #[error("spool {}: it is not a directory", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// A directory can't be made or looked at.
    #[error("spool {}: it can't be used", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The address for new passwords can't be put in a message.
    #[error(
        "the address to choose a new password at is not a plain http(s) address of at most 512 characters"
    )]
    NotALink,
}

/// Where messages are written and where they are put.
#[derive(Clone, Debug)]
pub(super) struct Place {
    tmp: PathBuf,
    new: PathBuf,
}

impl Place {
    pub(super) fn open(directory: &Path) -> Result<Self, SpoolError> {
        self::directory(directory)?;
        let place = Self { tmp: directory.join("tmp"), new: directory.join("new") };
        self::directory(&place.tmp)?;
        self::directory(&place.new)?;
        Ok(place)
    }

    /// Writes the message, to the disk, and lets it appear whole.
    pub(super) fn put(&self, message: &Message) -> io::Result<()> {
        let written = self.tmp.join(&message.name);
        let done = write_new(&written, message.text.as_bytes())
            .and_then(|()| fs::rename(&written, self.new.join(&message.name)))
            .and_then(|()| File::open(&self.new)?.sync_all());
        if done.is_err() {
            // Best effort: what is left in `tmp` is picked up by nobody.
            let _ = fs::remove_file(&written);
        }
        done
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn directory(path: &Path) -> Result<(), SpoolError> {
    private_directory(path).map_err(|unfit| {
        let path = path.to_owned();
        match unfit {
            Unfit::Open(mode) => SpoolError::Open { path, mode },
            Unfit::NotADirectory => SpoolError::NotADirectory { path },
            Unfit::Io(source) => SpoolError::Io { path, source },
        }
    })
}
