//! Directories that nobody but their owner may look into.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use domain::kernel::ids::IdSource as _;

use crate::system::System;

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

/// Writes a file that appears whole, and is on the disk when this is over.
pub(crate) fn write_whole(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let half = directory.join(format!("{name}.half"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&half)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(half, directory.join(name))?;
    File::open(directory)?.sync_all()
}

/// Writes something and takes it away again: permission bits alone do not say who owns the directory. Under a name of its
/// own each time, as others may try at the same moment.
pub(crate) fn probe(directory: &Path) -> io::Result<()> {
    let name = format!("probe-{}", System.next_uuid().simple());
    write_whole(directory, &name, b"probe")?;
    fs::remove_file(directory.join(name))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn many_may_try_at_once_and_nothing_is_left() {
        let directory = std::env::temp_dir().join(format!("private-{}", System.next_uuid()));
        private_directory(&directory).unwrap();
        let tried = thread::scope(|scope| {
            let tries: Vec<_> =
                (0..8).map(|_| scope.spawn(|| (0..20).try_for_each(|_| probe(&directory)))).collect();
            tries.into_iter().try_for_each(|tried| tried.join().unwrap())
        });
        tried.unwrap();
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
        fs::remove_dir(directory).unwrap();
    }
}
