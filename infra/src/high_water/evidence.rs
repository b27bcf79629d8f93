//! Checkpoints by which a log contradicts itself, in files that whoever runs a witness can show.
//!
//! Absent on purpose: throwing any away. There are as many as a log signs against itself; past [`KEPT_MAX`] of one log the first
//! ones say enough.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use domain::{compliance::ports::Evidence, kernel::fault::PortError};

use super::{PORT, fault, locked, open, short_hash};
use crate::private_dir::write_whole;

/// Most contradictions of one log that are kept.
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

/// What a log's checkpoints begin with, by what they are.
fn prefix(what: &str, origin: &str) -> String {
    format!("{what}-{}-", short_hash(origin))
}

/// Names that begin so.
fn names(directory: &Path, prefix: &str) -> Result<Vec<String>, PortError> {
    let all = fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(fault)?;
    let names = all.iter().map(|entry| entry.file_name().to_string_lossy().into_owned());
    Ok(names.filter(|name| name.starts_with(prefix)).collect())
}

#[async_trait]
impl Evidence for FileEvidence {
    async fn keep_seen(&self, origin: &str, size: u64, note: &str) -> Result<(), PortError> {
        let (prefix, note) = (prefix("seen", origin), note.to_owned());
        self.locked(move |directory| {
            write_whole(directory, &format!("{prefix}{size}"), note.as_bytes()).map_err(fault)?;
            for name in names(directory, &prefix)? {
                let is_smaller = name[prefix.len()..].parse::<u64>().is_ok_and(|other| other < size);
                if is_smaller {
                    fs::remove_file(directory.join(name)).map_err(fault)?;
                }
            }
            Ok(())
        })
        .await
    }

    async fn keep_contradiction(&self, origin: &str, size: u64, note: &str) -> Result<String, PortError> {
        let seen = format!("{}{size}", prefix("seen", origin));
        let (prefix, note) = (prefix("fork", origin), note.to_owned());
        self.locked(move |directory| {
            let text = note.split("\n\n").next().unwrap_or_default();
            let name = format!("{prefix}{}", short_hash(text));
            let path = directory.join(&name);
            if path.exists() {
                return Ok(path.display().to_string());
            }
            if names(directory, &prefix)?.len() >= KEPT_MAX {
                let full = format!("{KEPT_MAX} of this log are in {} already", directory.display());
                return Err(PortError::lasting(PORT, full));
            }
            let before = match fs::read_to_string(directory.join(seen)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    "(the checkpoint that was seen before was not kept)\n".to_owned()
                }
                before => before.map_err(fault)?,
            };
            write_whole(directory, &name, format!("{before}\n{note}").as_bytes()).map_err(fault)?;
            Ok(path.display().to_string())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use domain::kernel::ids::IdSource as _;

    use super::*;
    use crate::system::System;

    #[tokio::test]
    async fn both_are_kept_once_for_each_tree_and_each_log_has_its_own_room() {
        let directory = std::env::temp_dir().join(format!("evidence-{}", System.next_uuid().simple()));
        let evidence = FileEvidence::open(&directory).unwrap();
        let note = |size: u64, root: u64| format!("log\n{size}\n{root}\n\n— log sig\n");
        evidence.keep_seen("log", 10, &note(10, 1)).await.unwrap();
        evidence.keep_seen("log", 20, &note(20, 1)).await.unwrap();
        // Late, from beside it.
        evidence.keep_seen("log", 15, &note(15, 1)).await.unwrap();
        let path = evidence.keep_contradiction("log", 20, &note(20, 2)).await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n{}", note(20, 1), note(20, 2)));
        let other_lines = note(20, 2) + "— stranger sig\n";
        assert_eq!(evidence.keep_contradiction("log", 20, &other_lines).await.unwrap(), path);
        for root in 3..=257 {
            evidence.keep_contradiction("log", 20, &note(20, root)).await.unwrap();
        }
        assert!(evidence.keep_contradiction("log", 20, &note(20, 999)).await.is_err(), "there is no room");
        let unseen = evidence.keep_contradiction("other", 20, &note(20, 2)).await.unwrap();
        assert!(fs::read_to_string(unseen).unwrap().starts_with("(the checkpoint"));
        fs::remove_dir_all(directory).unwrap();
    }
}
