//! How far a log has come, and the hashes of its leaves, in files on a disk that no backup of the database puts back.
//!
//! Invariants
//! - The mark is compared and replaced while a lock on the directory's lock file is held, so two processes can't both move
//!   it from where it was. It is on the disk, with its directory, before anybody is told that it moved.
//! - A file that is there and is no mark is an error, never "no mark": a mark that was lost is to be noticed.
//!
//! Absent on purpose: making the directory's parent. A disk that is not mounted must not look like a mark that never was.

mod evidence;
mod leaves;

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use domain::{
    compliance::{
        log::merkle::{Hash, leaf_hash},
        ports::{HighWater, Mark},
    },
    kernel::fault::PortError,
};

use crate::private_dir::{Unfit, private_directory, write_whole};

pub use evidence::FileEvidence;

const PORT: &str = "high_water";

/// Longest file read, in bytes: a number, a hash and an origin.
const FILE_MAX_BYTES: u64 = 4_096;

/// Marks in files of a directory, one for each log.
#[derive(Clone, Debug)]
pub struct FileHighWater {
    directory: PathBuf,
}

impl FileHighWater {
    /// In `directory`, which is made when it is missing and may be open to nobody but this user.
    ///
    /// # Errors
    /// It can't be made, or others may look into it.
    pub fn open(directory: &Path) -> Result<Self, PortError> {
        open(directory)?;
        Ok(Self { directory: directory.to_owned() })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> Result<T, PortError> + Send + 'static,
    ) -> Result<T, PortError> {
        let directory = self.directory.clone();
        let done = tokio::task::spawn_blocking(move || work(&directory));
        done.await.map_err(|e| PortError::passing(PORT, e))?
    }
}

fn open(directory: &Path) -> Result<(), PortError> {
    let shown = directory.display();
    private_directory(directory).map_err(|unfit| {
        PortError::lasting(
            PORT,
            match unfit {
                Unfit::Open(mode) => format!("{shown} has the permissions {mode:o}; make it 700"),
                Unfit::NotADirectory => format!("{shown} is no directory"),
                Unfit::Io(error) => format!("{shown}: {error}"),
            },
        )
    })
}

fn fault(error: io::Error) -> PortError {
    PortError::passing(PORT, error)
}

/// What any text can be called.
fn short_hash(text: &str) -> String {
    leaf_hash(text.as_bytes()).to_hex()[..32].to_owned()
}

/// A name that any origin can have.
fn name_of(origin: &str) -> String {
    format!("mark-{}", short_hash(origin))
}

fn text_of(origin: &str, mark: Mark) -> String {
    format!("{origin}\n{}\n{}\n", mark.size, mark.root.to_base64())
}

fn read(directory: &Path, origin: &str) -> Result<Option<Mark>, PortError> {
    let path = directory.join(name_of(origin));
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fault(error)),
    };
    let mut text = String::new();
    file.take(FILE_MAX_BYTES).read_to_string(&mut text).map_err(fault)?;
    let lines: Vec<_> = text.lines().collect();
    let mark = match lines.as_slice() {
        [_, size, root] => size
            .parse()
            .ok()
            .zip(Hash::parse_base64(root).ok())
            .map(|(size, root)| Mark { size, root })
            .filter(|mark| text_of(origin, *mark) == text),
        _ => None,
    };
    mark.map(Some)
        .ok_or_else(|| PortError::lasting(PORT, format!("{} is no mark of {origin}", path.display())))
}

/// Runs `change` while nobody else does.
fn locked<T>(directory: &Path, change: impl FnOnce() -> Result<T, PortError>) -> Result<T, PortError> {
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(directory.join("lock"))
        .map_err(fault)?;
    // Given back when the file is closed, also by the end of the process.
    lock.lock().map_err(fault)?;
    change()
}

#[async_trait]
impl HighWater for FileHighWater {
    async fn read(&self, origin: &str) -> Result<Option<Mark>, PortError> {
        let origin = origin.to_owned();
        self.blocking(move |directory| read(directory, &origin)).await
    }

    async fn advance(&self, origin: &str, from: Option<Mark>, to: Mark) -> Result<bool, PortError> {
        let origin = origin.to_owned();
        self.blocking(move |directory| {
            locked(directory, || {
                if read(directory, &origin)? != from || from.is_some_and(|from| from.size > to.size) {
                    return Ok(false);
                }
                write_whole(directory, &name_of(&origin), text_of(&origin, to).as_bytes()).map_err(fault)?;
                Ok(true)
            })
        })
        .await
    }
}
