//! A bundle that was unpacked.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Error, ErrorKind, Read},
    path::{Path, PathBuf},
};

use report_bundle::names;

use super::Container;
use crate::{Refusal, Step};

/// Folders that bundles have.
pub(super) const FOLDERS: [&str; 3] = ["erasures", "heads", "range"];

/// How many files a bundle may have.
pub(super) const FILES_MAX: usize = 400_000;

/// A directory with the files of a bundle.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    files: BTreeMap<String, u64>,
}

impl Directory {
    /// Looks at what is there.
    ///
    /// # Errors
    /// `container` for links, other kinds of files, folders or files that bundles do not have, and what cannot be
    /// read.
    pub fn open(root: &Path) -> Result<Self, Refusal> {
        let mut files = BTreeMap::new();
        list(root, "", &mut files)?;
        for folder in FOLDERS {
            let path = root.join(folder);
            if path.symlink_metadata().is_ok() {
                list(&path, &format!("{folder}/"), &mut files)?;
            }
        }
        Ok(Self { root: root.to_owned(), files })
    }
}

fn list(folder: &Path, prefix: &str, files: &mut BTreeMap<String, u64>) -> Result<(), Refusal> {
    let step = Step::Container;
    for entry in fs::read_dir(folder).map_err(step.by())? {
        let entry = entry.map_err(step.by())?;
        let kind = entry.file_type().map_err(step.by())?;
        let name = entry.file_name().into_string().map_err(|_| step.because("a name is not UTF-8"))?;
        if prefix.is_empty() && kind.is_dir() && FOLDERS.contains(&name.as_str()) {
            continue;
        }
        let name = format!("{prefix}{name}");
        if !kind.is_file() || !names::is_known(&name) {
            return Err(step.because(format!("bundles have no {name:?}")));
        }
        if files.len() >= FILES_MAX {
            return Err(step.because("it has too many files"));
        }
        files.insert(name, entry.metadata().map_err(step.by())?.len());
    }
    Ok(())
}

impl Container for Directory {
    fn files(&self) -> &BTreeMap<String, u64> {
        &self.files
    }

    fn open(&self, name: &str) -> std::io::Result<Box<dyn Read + Send + '_>> {
        let length = self.files.get(name).ok_or(ErrorKind::NotFound)?;
        let file = File::open(self.root.join(name))?;
        Ok(Box::new(Exact { file, left: *length }))
    }
}

/// A file that must be as long as it was.
struct Exact {
    file: File,
    left: u64,
}

impl Read for Exact {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        let length = u64::try_from(read).unwrap_or(u64::MAX);
        let changed = || Error::new(ErrorKind::InvalidData, "its length changed");
        self.left = self.left.checked_sub(length).ok_or_else(changed)?;
        if read == 0 && !buffer.is_empty() && self.left > 0 { Err(changed()) } else { Ok(read) }
    }
}
