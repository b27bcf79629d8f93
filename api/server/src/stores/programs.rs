//! Where the servers are installed, and in which version.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::StoreError;

/// Least major version of PostgreSQL.
const POSTGRES_MAJOR_MIN: u32 = 15;
/// Least major version of Redis.
const REDIS_MAJOR_MIN: u32 = 7;

/// Folders with one subfolder per installed major of PostgreSQL, and what follows the subfolder: Debian and Ubuntu;
/// Fedora and its kin; Homebrew on both kinds of Mac.
const POSTGRES_ROOTS: [(&str, &str); 4] = [
    ("/usr/lib/postgresql", "bin"),
    ("/usr", "bin"),
    ("/opt/homebrew/opt", "bin"),
    ("/usr/local/opt", "bin"),
];

/// The programs of one PostgreSQL installation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct PostgresPrograms {
    /// Major version.
    pub(super) major: u32,
    /// The folder with `initdb` and `postgres`.
    pub(super) bin: PathBuf,
}

/// The newest installation fit for use; with `major`, one of exactly that version.
pub(super) fn postgres(major: Option<u32>) -> Result<PostgresPrograms, StoreError> {
    postgres_in(&postgres_folders(), major)
}

/// `redis-server`, when new enough.
pub(super) fn redis() -> Result<PathBuf, StoreError> {
    redis_in(&path_folders())
}

/// The program called `name`, if the search path has one.
pub(super) fn on_path(name: &str) -> Option<PathBuf> {
    path_folders().into_iter().map(|folder| folder.join(name)).find(|program| program.is_file())
}

fn postgres_in(folders: &[PathBuf], major: Option<u32>) -> Result<PostgresPrograms, StoreError> {
    folders
        .iter()
        .filter(|bin| bin.join("initdb").is_file())
        .filter_map(|bin| {
            Some(PostgresPrograms { major: major_of(&bin.join("postgres"))?, bin: bin.clone() })
        })
        .filter(|found| found.major >= POSTGRES_MAJOR_MIN && major.is_none_or(|major| major == found.major))
        .max_by_key(|found| found.major)
        .ok_or_else(|| StoreError::Missing {
            needed: "PostgreSQL 15 or later",
            looked: listed(folders),
            instead: "DATABASE_URL",
        })
}

fn redis_in(folders: &[PathBuf]) -> Result<PathBuf, StoreError> {
    folders
        .iter()
        .map(|folder| folder.join("redis-server"))
        .find(|program| major_of(program).is_some_and(|major| major >= REDIS_MAJOR_MIN))
        .ok_or_else(|| StoreError::Missing {
            needed: "Redis 7 or later",
            looked: listed(folders),
            instead: "REDIS_URL",
        })
}

fn postgres_folders() -> Vec<PathBuf> {
    let mut folders = path_folders();
    for (root, rest) in POSTGRES_ROOTS {
        let Ok(entries) = fs::read_dir(root) else { continue };
        folders.extend(
            entries.flatten().map(|entry| entry.path().join(rest)).filter(|bin| bin.join("initdb").is_file()),
        );
    }
    folders
}

/// The search path, and the folders of servers that an unprivileged account's path often lacks.
fn path_folders() -> Vec<PathBuf> {
    // The search path belongs to the operating system, not to the product's configuration.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> =
        std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect();
    folders.extend(["/usr/bin", "/usr/sbin", "/usr/local/bin"].map(PathBuf::from));
    let mut seen = std::collections::HashSet::new();
    folders.retain(|folder| seen.insert(folder.clone()));
    folders
}

/// The major version `program --version` tells.
fn major_of(program: &Path) -> Option<u32> {
    let output =
        Command::new(program).arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    major_in(&String::from_utf8_lossy(&output.stdout))
}

/// The major version in `postgres (PostgreSQL) 15.4 (Debian 15.4-1)`, `postgres (PostgreSQL) 19beta1` or
/// `Redis server v=7.0.15 sha=00000000:0`: the first number that begins a word, after `v=` if need be.
fn major_in(text: &str) -> Option<u32> {
    text.split_whitespace().find_map(|word| {
        let word = word.strip_prefix("v=").unwrap_or(word);
        let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        word[..digits].parse().ok()
    })
}

fn listed(folders: &[PathBuf]) -> String {
    let mut text = String::new();
    for folder in folders {
        let separator = if text.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}{}", folder.display());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_servers_say() {
        fn check(text: &str, expected: Option<u32>) {
            assert_eq!(major_in(text), expected, "{text:?}");
        }
        check("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)", Some(15));
        check("postgres (PostgreSQL) 19beta1", Some(19));
        check("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", Some(7));
        check("", None);
        check("no number here", None);
        check("v=99999999999999999999", None);
    }

    #[test]
    fn a_missing_server_is_told_with_its_cure() {
        let folders = [PathBuf::from("/nowhere/a"), PathBuf::from("/nowhere/b")];
        let postgres = postgres_in(&folders, None).expect_err("there is nothing there").to_string();
        assert_eq!(
            postgres,
            "PostgreSQL 15 or later was not found (looked in /nowhere/a, /nowhere/b); \
             install it with deploy/setup.sh, or give DATABASE_URL"
        );
        let redis = redis_in(&folders).expect_err("there is nothing there").to_string();
        assert!(redis.starts_with("Redis 7 or later was not found"), "{redis}");
        assert!(redis.ends_with("or give REDIS_URL"), "{redis}");
    }

    #[test]
    fn an_installed_postgres_is_found_and_an_absent_major_is_not() {
        let found = postgres(None).expect("the tests need PostgreSQL; run deploy/setup.sh");
        assert!(found.major >= POSTGRES_MAJOR_MIN, "{found:?}");
        assert_eq!(postgres(Some(found.major)).expect("the same major"), found);
        assert!(postgres(Some(9999)).is_err());
    }
}
