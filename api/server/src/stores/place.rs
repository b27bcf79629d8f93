//! Where one store keeps its files, and who may.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::account::Account;
use super::error::{StoreError, failed};

/// The longest path of a Unix socket, in bytes: `sun_path` of unix(7) without its final zero.
const SOCKET_PATH_MAX_BYTES: usize = 107;
/// What Postgres calls its socket, with the longest port.
const LONGEST_SOCKET_NAME: &str = "/.s.PGSQL.65535";
/// Random bytes in a password: more than anyone can guess.
const PASSWORD_BYTES: usize = 24;
/// Lines of a log shown when a start fails.
const LOG_TAIL_LINES: usize = 15;

/// One store's folder, locked against other owners for as long as this value lives.
#[derive(Debug)]
pub(super) struct Place {
    /// The store's folder: `DIR/<store>`, or elsewhere when the children's account cannot reach `DIR`.
    home: PathBuf,
    /// The file that says where the folder is, when it is elsewhere.
    moved: Option<PathBuf>,
    account: Account,
    /// Held, never read: closing it lets go of the lock.
    _lock: File,
}

impl Place {
    /// Takes the folder of `store` under `dir`, making both when absent.
    ///
    /// # Errors
    /// `InUse`, `NotOurs`, `Io`.
    pub(super) fn take(dir: &Path, store: &'static str, account: Account) -> Result<Self, StoreError> {
        fs::create_dir_all(dir).map_err(failed("make", dir))?;
        let dir = dir.canonicalize().map_err(failed("find", dir))?;
        let lock_path = dir.join(format!("{store}.lock"));
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&lock_path);
        let lock = lock.map_err(failed("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { dir }),
            Err(TryLockError::Error(source)) => return Err(failed("lock", &lock_path)(source)),
        }
        let (home, moved) = if account.reaches(&dir)? {
            (dir.join(store), None)
        } else {
            let note = dir.join(format!("{store}.moved"));
            (elsewhere(&dir, store, &note)?, Some(note))
        };
        let place = Self { home, moved, account, _lock: lock };
        place.make_folder(&place.home)?;
        Ok(place)
    }

    /// The store's folder.
    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    /// The server's data directory, which is also its working directory.
    pub(super) fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Where the server's output goes.
    pub(super) fn log(&self) -> PathBuf {
        self.home.join("log")
    }

    /// Whom the server runs as.
    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    /// Throws away everything but the folder itself.
    pub(super) fn clear(&self) -> Result<(), StoreError> {
        fs::remove_dir_all(&self.home).map_err(failed("remove", &self.home))?;
        self.make_folder(&self.home)
    }

    /// Throws away the folder too, and what was made for it elsewhere.
    pub(super) fn remove(&self) -> Result<(), StoreError> {
        fs::remove_dir_all(&self.home).map_err(failed("remove", &self.home))?;
        if let Some(note) = &self.moved {
            fs::remove_file(note).map_err(failed("remove", note))?;
            // The other store may have its folder there still; whichever goes last succeeds.
            let _ = self.home.parent().map(fs::remove_dir);
        }
        Ok(())
    }

    /// A folder for the children alone.
    pub(super) fn make_folder(&self, path: &Path) -> Result<(), StoreError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("make", path))?;
        self.account.own(path)
    }

    /// A file for the children alone, replaced as a whole so that a crash leaves the old one or the new one.
    pub(super) fn write_secret(&self, name: &str, text: &str) -> Result<PathBuf, StoreError> {
        let (path, fresh) = (self.home.join(name), self.home.join(format!("{name}.new")));
        let write = || {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(failed("write", &fresh))?;
        self.account.own(&fresh)?;
        fs::rename(&fresh, &path).map_err(failed("write", &path))?;
        Ok(path)
    }

    /// The password kept here, if one is.
    pub(super) fn password(&self) -> Result<Option<String>, StoreError> {
        let path = self.home.join("password");
        match fs::read_to_string(&path) {
            Ok(password) => Ok(Some(password)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// Draws a password and keeps it in the file `password`; the password and the file.
    pub(super) fn new_password(&self) -> Result<(String, PathBuf), StoreError> {
        let source = Path::new("/dev/urandom");
        let mut bytes = [0; PASSWORD_BYTES];
        let drawn = File::open(source).and_then(|mut file| file.read_exact(&mut bytes));
        drawn.map_err(failed("read", source))?;
        let password = bytes.map(|byte| format!("{byte:02x}")).concat();
        let path = self.write_secret("password", &password)?;
        Ok((password, path))
    }

    /// Opens the log for a new run. The run before is kept beside it, and no further one.
    pub(super) fn new_log(&self) -> Result<File, StoreError> {
        let (log, before) = (self.log(), self.home.join("log.old"));
        match fs::rename(&log, &before) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("rename", &log)(error)),
            Ok(()) | Err(_) => {}
        }
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&log);
        let file = file.map_err(failed("open", &log))?;
        self.account.own(&log)?;
        Ok(file)
    }

    /// The last lines of the log, for a message.
    pub(super) fn log_tail(&self) -> String {
        let text = fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }

    /// A folder for the Postgres socket: beside the data, or under `/tmp` when that path is too long for a socket.
    pub(super) fn socket_folder(&self) -> Result<PathBuf, StoreError> {
        let beside = self.home.join("run");
        if fits_a_socket(&beside) {
            self.make_folder(&beside)?;
            return Ok(beside);
        }
        let short = PathBuf::from(format!("/tmp/matricula-{:016x}", fingerprint(&self.home)));
        make_ours(&short, 0o700, &[geteuid().as_raw(), self.account.uid()])?;
        self.account.own(&short)?;
        Ok(short)
    }
}

/// A port nobody listens on at this moment. Somebody may take it before the server does; the caller tries again then.
pub(super) fn free_port() -> Result<u16, StoreError> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    bound
        .map(|address| address.port())
        .map_err(|source| StoreError::Io { what: "find a free port".into(), source })
}

/// The store's folder when the children's account cannot reach `dir`, as under `/root` (mode 0700): a folder of
/// `/var/tmp`, which survives a reboot, named after `dir` so that the next start finds it again. It is written down
/// in `note`, since nobody would look for it there.
fn elsewhere(dir: &Path, store: &str, note: &Path) -> Result<PathBuf, StoreError> {
    let base = PathBuf::from(format!("/var/tmp/matricula-{:016x}", fingerprint(dir)));
    make_ours(&base, 0o711, &[geteuid().as_raw()])?;
    let home = base.join(store);
    fs::write(note, format!("{}\n", home.display())).map_err(failed("write", note))?;
    tracing::info!(
        store,
        data = %home.display(),
        "the account of {store} cannot reach {}; its data is in {}",
        dir.display(),
        home.display()
    );
    Ok(home)
}

/// Makes a folder in a place everybody may write to, and refuses one somebody else laid out for us there.
fn make_ours(path: &Path, mode: u32, owners: &[u32]) -> Result<(), StoreError> {
    match DirBuilder::new().mode(mode).create(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(path).map_err(failed("look at", path))?;
            let ours = found.is_dir() && owners.contains(&found.uid()) && found.mode() & 0o022 == 0;
            if ours { Ok(()) } else { Err(StoreError::NotOurs { dir: path.into() }) }
        }
        Err(error) => Err(failed("make", path)(error)),
    }
}

fn fits_a_socket(folder: &Path) -> bool {
    folder.as_os_str().len() + LONGEST_SOCKET_NAME.len() <= SOCKET_PATH_MAX_BYTES
}

/// FNV-1a, 64 bits: the standard library's hash may change from one compiler to the next, and the name must not.
fn fingerprint(path: &Path) -> u64 {
    let bytes = path.as_os_str().as_encoded_bytes();
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_fingerprint_is_fnv_1a() {
        // Vectors of draft-eastlake-fnv, appendix C.
        assert_eq!(fingerprint(Path::new("")), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fingerprint(Path::new("a")), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fingerprint(Path::new("foobar")), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_socket_path_has_a_limit() {
        let longest = "x".repeat(SOCKET_PATH_MAX_BYTES - LONGEST_SOCKET_NAME.len());
        assert!(fits_a_socket(Path::new(&longest)));
        assert!(!fits_a_socket(Path::new(&format!("{longest}x"))));
    }

    #[test]
    fn a_folder_laid_out_by_others_is_refused() {
        let base = std::env::temp_dir().join(format!("matricula-place-{}", std::process::id()));
        fs::create_dir(&base).expect("a folder for the test");
        let me = geteuid().as_raw();

        let own = base.join("own");
        make_ours(&own, 0o700, &[me]).expect("made");
        make_ours(&own, 0o700, &[me]).expect("found again");
        let stranger = make_ours(&own, 0o700, &[me + 1]);
        let link = base.join("link");
        symlink(&own, &link).expect("a link");
        let linked = make_ours(&link, 0o700, &[me]);
        let open = base.join("open");
        fs::create_dir(&open).expect("a folder");
        fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("open to all");
        let writable = make_ours(&open, 0o700, &[me]);

        fs::remove_dir_all(&base).expect("cleaned up");
        assert!(matches!(stranger, Err(StoreError::NotOurs { .. })), "{stranger:?}");
        assert!(matches!(linked, Err(StoreError::NotOurs { .. })), "{linked:?}");
        assert!(matches!(writable, Err(StoreError::NotOurs { .. })), "{writable:?}");
    }
}
