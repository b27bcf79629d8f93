//! Directories that nobody but their owner may look into.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::Path,
};

/// Why a directory is none of those.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// It lets others in; its permission bits.
    Open(u32),
    /// Something else is in its place.
    NotADirectory,
    /// It can't be made or looked at.
    Io(io::Error),
}

/// Makes the directory when it is missing (its parent must be there), and looks at the one that is there.
pub(crate) fn private_directory(path: &Path) -> Result<(), Unfit> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(Unfit::Io(error)),
        _ => {}
    }
    let metadata = fs::metadata(path).map_err(Unfit::Io)?;
    if !metadata.is_dir() {
        return Err(Unfit::NotADirectory);
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(Unfit::Open(metadata.mode() & 0o777));
    }
    Ok(())
}
