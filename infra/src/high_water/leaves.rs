//! Hashes of a log's leaves, one behind the other in a file beside the mark.
//!
//! Invariant: those up to the mark are on the disk before the mark is there. What is behind the mark may be half written,
//! or of leaves that never were signed, and is written over.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use async_trait::async_trait;
use domain::{
    compliance::{
        log::merkle::Hash,
        ports::{LeafHashes, Mark},
    },
    kernel::fault::PortError,
};

use super::{FileHighWater, PORT, fault, locked, read, short_hash};

const HASH_BYTES: u64 = 32;

fn name_of(origin: &str) -> String {
    format!("leaves-{}", short_hash(origin))
}

/// The file, when there is one, and how many whole hashes it has.
fn open(directory: &Path, origin: &str) -> Result<Option<(File, u64)>, PortError> {
    match File::open(directory.join(name_of(origin))) {
        Ok(file) => {
            let bytes = file.metadata().map_err(fault)?.len();
            Ok(Some((file, bytes / HASH_BYTES)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fault(error)),
    }
}

fn keep(directory: &Path, origin: &str, first: u64, hashes: &[Hash]) -> Result<(), PortError> {
    let there = open(directory, origin)?.map(|(_, kept)| kept);
    if first > there.unwrap_or_default() {
        let missing = format!("hashes of the leaves before {first} are missing");
        return Err(PortError::lasting(PORT, missing));
    }
    let written = || {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(directory.join(name_of(origin)))?;
        file.seek(SeekFrom::Start(first * HASH_BYTES))?;
        file.write_all(&hashes.iter().flat_map(|hash| hash.0).collect::<Vec<_>>())?;
        file.sync_data()?;
        if there.is_none() { File::open(directory)?.sync_all() } else { Ok(()) }
    };
    written().map_err(fault)
}

fn hashes(directory: &Path, origin: &str, begin: u64, end: u64) -> Result<Vec<Hash>, PortError> {
    let Some((mut file, kept)) = open(directory, origin)? else { return Ok(Vec::new()) };
    let end = end.min(kept);
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(begin * HASH_BYTES)).map_err(fault)?;
    file.take(end.saturating_sub(begin) * HASH_BYTES).read_to_end(&mut bytes).map_err(fault)?;
    Ok(bytes.as_chunks().0.iter().map(|hash| Hash(*hash)).collect())
}

#[async_trait]
impl LeafHashes for FileHighWater {
    async fn kept(&self, origin: &str) -> Result<u64, PortError> {
        let origin = origin.to_owned();
        self.blocking(move |directory| Ok(open(directory, &origin)?.map_or(0, |(_, kept)| kept))).await
    }

    async fn keep(
        &self,
        origin: &str,
        mark: Option<Mark>,
        first: u64,
        new: &[Hash],
    ) -> Result<bool, PortError> {
        let (origin, new) = (origin.to_owned(), new.to_vec());
        self.blocking(move |directory| {
            locked(directory, || {
                let is_there = read(directory, &origin)? == mark;
                if is_there {
                    keep(directory, &origin, first, &new)?;
                }
                Ok(is_there)
            })
        })
        .await
    }

    async fn hashes(&self, origin: &str, begin: u64, end: u64) -> Result<Vec<Hash>, PortError> {
        let origin = origin.to_owned();
        self.blocking(move |directory| hashes(directory, &origin, begin, end)).await
    }
}
