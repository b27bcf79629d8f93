//! The files of the repository, as the rules see them.

use std::{fs, io, path::Path};

/// Bytes above which a file is data, not text that somebody wrote.
const LARGEST: u64 = 1 << 20;

/// One text file.
pub(super) struct File {
    /// From the root, with `/`.
    pub(super) path: String,
    /// What it says.
    pub(super) text: String,
}

impl File {
    pub(super) fn is_rust(&self) -> bool {
        self.extension() == "rs"
    }

    pub(super) fn extension(&self) -> &str {
        Path::new(&self.path).extension().and_then(|e| e.to_str()).unwrap_or_default()
    }

    /// The name without folders and extension.
    pub(super) fn stem(&self) -> &str {
        Path::new(&self.path).file_stem().and_then(|e| e.to_str()).unwrap_or_default()
    }

    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Tests that have files of their own. Tests at the foot of a file are part of it.
    pub(super) fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.contains("/tests/") || self.stem() == "tests"
    }

    /// Other people's test vectors, kept to the letter.
    pub(super) fn is_vector(&self) -> bool {
        self.path.contains("/vectors/") && !self.is_rust() && self.extension() != "md"
    }
}

/// All text files but those that `.gitignore` keeps out.
pub(super) struct Tree {
    pub(super) files: Vec<File>,
}

/// The root of the repository.
pub(super) fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

impl Tree {
    pub(super) fn read() -> io::Result<Self> {
        let ignored = fs::read_to_string(root().join(".gitignore"))?;
        let mut skipped: Vec<&str> = ignored.lines().filter_map(|line| line.strip_suffix('/')).collect();
        skipped.push(".git");
        let mut files = Vec::new();
        walk(root(), "", &skipped, &mut files)?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { files })
    }

    /// A small tree to try a rule on.
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File { path: (*path).to_owned(), text: (*text).to_owned() };
        Self { files: files.iter().map(file).collect() }
    }

    pub(super) fn under<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.path.starts_with(folder))
    }

    /// The Rust files below `folder` (`infra/src/`).
    pub(super) fn rust<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a File> {
        self.under(folder).filter(|file| file.is_rust())
    }

    /// The text of a file; empty when there is none.
    pub(super) fn text(&self, path: &str) -> &str {
        self.files.iter().find(|file| file.path == path).map_or("", |file| &file.text)
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.files.iter().any(|file| file.path == path)
    }

    /// Whether there is a folder of that path, with a text file somewhere in it.
    pub(super) fn has_folder(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        self.files.iter().any(|file| file.path.starts_with(&folder))
    }

    /// The names of the folders right below `folder` (`domain/src/`).
    pub(super) fn folders_of(&self, folder: &str) -> Vec<&str> {
        let mut names: Vec<_> = self
            .files
            .iter()
            .filter_map(|file| file.path.strip_prefix(folder)?.split_once('/'))
            .map(|(name, _)| name)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn walk(folder: &Path, prefix: &str, skipped: &[&str], files: &mut Vec<File>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let (kind, path) = (entry.file_type()?, format!("{prefix}{name}"));
        if kind.is_dir() && !skipped.contains(&name.as_str()) {
            walk(&entry.path(), &format!("{path}/"), skipped, files)?;
        } else if kind.is_file() && entry.metadata()?.len() <= LARGEST {
            // What is not UTF-8 is no text.
            if let Ok(text) = String::from_utf8(fs::read(entry.path())?) {
                files.push(File { path, text });
            }
        }
    }
    Ok(())
}

#[test]
fn the_tree_is_read_whole_and_without_what_is_built() {
    let tree = Tree::read().expect("readable");
    for path in ["README.md", "domain/src/lib.rs", "tests/it/tidy/tree.rs", ".ci/run", "Cargo.lock"] {
        assert!(tree.has(path), "{path}");
    }
    let built =
        |file: &&File| ["target/", "node_modules/", ".git/"].iter().any(|part| file.path.contains(part));
    assert_eq!(tree.files.iter().find(built).map(|file| &file.path), None);
    assert!(tree.folders_of("domain/src/").contains(&"kernel"));
}
