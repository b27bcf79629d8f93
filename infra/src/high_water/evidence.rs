//! Checkpoints by which a log contradicts itself, in files that whoever runs a witness can show.
//!
//! Absent on purpose: throwing any away. There are as many as a log signs against itself; past [`KEPT_MAX`] the first ones say
//! enough.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use domain::{compliance::ports::Evidence, kernel::fault::PortError};

use super::{PORT, fault, locked, open, short_hash};
use crate::private_dir::write_whole;

/// Most contradictions that are kept.
const KEPT_MAX: usize = 256;

/// Checkpoints in files of a directory.
#[derive(Clone, Debug)]
pub struct FileEvidence {
    directory: PathBuf,
}

impl FileEvidence {
    /// In `directory`, which is made when it is missing and may be open to nobody but this user.
    ///
    /// # Errors
    /// It can't be made, or others may look into it.
    pub fn open(directory: &Path) -> Result<Self, PortError> {
        open(directory)?;
        Ok(Self { directory: directory.to_owned() })
    }

    async fn locked<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Path) -> Result<T, PortError> + Send + 'static,
    ) -> Result<T, PortError> {
        let directory = self.directory.clone();
        let done = tokio::task::spawn_blocking(move || locked(&directory, || change(&directory)));
        done.await.map_err(|e| PortError::passing(PORT, e))?
    }
}

fn seen(origin: &str) -> String {
    format!("seen-{}", short_hash(origin))
}

fn contradictions(directory: &Path) -> io::Result<usize> {
    let names = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    Ok(names.iter().filter(|entry| entry.file_name().to_string_lossy().starts_with("fork-")).count())
}

#[async_trait]
impl Evidence for FileEvidence {
    async fn keep_seen(&self, origin: &str, note: &str) -> Result<(), PortError> {
        let (name, note) = (seen(origin), note.to_owned());
        self.locked(move |directory| write_whole(directory, &name, note.as_bytes()).map_err(fault)).await
    }

    async fn keep_contradiction(&self, origin: &str, note: &str) -> Result<String, PortError> {
        let (seen, name, note) = (seen(origin), format!("fork-{}", short_hash(note)), note.to_owned());
        self.locked(move |directory| {
            let path = directory.join(&name);
            if path.exists() {
                return Ok(path.display().to_string());
            }
            if contradictions(directory).map_err(fault)? >= KEPT_MAX {
                return Ok(directory.display().to_string());
            }
            let before = match fs::read_to_string(directory.join(seen)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
                before => before.map_err(fault)?,
            };
            let both = format!("{before}\n{note}");
            write_whole(directory, &name, both.as_bytes()).map_err(fault)?;
            Ok(path.display().to_string())
        })
        .await
    }
}
