//! The keyring's file: who may have it, and what is in it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::fault::KeyringFault;

/// Longest file read, in bytes: a thousand keys and their comments.
const FILE_MAX_BYTES: u64 = 64 * 1024;

/// Longest line of a key: `v`, ten digits, a space, 44 characters and the line's end.
const LINE_MAX_BYTES: usize = 57;

/// One root key.
pub(super) struct RootKey {
    pub(super) version: u32,
    pub(super) key: Zeroizing<[u8; 32]>,
}

/// Reads the keys, oldest first.
pub(super) fn read(path: &Path) -> Result<Vec<RootKey>, KeyringFault> {
    // Not blocking, or a pipe in the file's place would hold the start up for ever.
    let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path);
    let file = file.map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound { KeyringFault::Missing } else { KeyringFault::Io(error) }
    })?;
    let metadata = file.metadata().map_err(KeyringFault::Io)?;
    if !metadata.is_file() {
        return Err(KeyringFault::NotAFile);
    }
    check_access(metadata.mode(), metadata.uid(), nix::unistd::geteuid().as_raw())?;
    // Room for all of it at once: growing would leave copies behind.
    let mut text =
        Zeroizing::new(Vec::with_capacity(usize::try_from(FILE_MAX_BYTES + 1).unwrap_or_default()));
    file.take(FILE_MAX_BYTES + 1).read_to_end(&mut text).map_err(KeyringFault::Io)?;
    if u64::try_from(text.len()).is_ok_and(|len| len > FILE_MAX_BYTES) {
        return Err(KeyringFault::TooLong { max: FILE_MAX_BYTES });
    }
    parse(&text)
}

/// Only the owner may have access, and the owner is us or root.
fn check_access(mode: u32, owner: u32, us: u32) -> Result<(), KeyringFault> {
    if owner != us && owner != 0 {
        return Err(KeyringFault::Foreign { owner, us });
    }
    if mode & 0o077 != 0 {
        return Err(KeyringFault::Open { mode: mode & 0o777 });
    }
    Ok(())
}

fn parse(text: &[u8]) -> Result<Vec<RootKey>, KeyringFault> {
    let mut keys: Vec<RootKey> = Vec::new();
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line_number = index + 1;
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let key = parse_line(line).ok_or(KeyringFault::Line { line: line_number })?;
        if keys.iter().any(|other| other.version == key.version) {
            return Err(KeyringFault::Twice { line: line_number, version: key.version });
        }
        keys.push(key);
    }
    if keys.is_empty() {
        return Err(KeyringFault::Empty);
    }
    keys.sort_by_key(|key| key.version);
    Ok(keys)
}

fn parse_line(line: &[u8]) -> Option<RootKey> {
    let (version, key) = std::str::from_utf8(line).ok()?.strip_prefix('v')?.split_once(' ')?;
    // `parse` would take a plus sign.
    let version = version.bytes().all(|byte| byte.is_ascii_digit()).then(|| version.parse().ok())??;
    let mut bytes = Zeroizing::new([0; 33]);
    let len = STANDARD.decode_slice(key.trim_ascii(), bytes.as_mut_slice()).ok()?;
    let key: [u8; 32] = bytes.get(..len)?.try_into().ok()?;
    let key = Zeroizing::new(key);
    // All zero bytes are what a file holds that was never written.
    (version > 0 && *key != [0; 32]).then_some(RootKey { version, key })
}

/// Writes a new file for `key`, and its directory's entry, to the disk.
pub(super) fn create(path: &Path, key: &RootKey) -> Result<(), KeyringFault> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            KeyringFault::Exists
        } else {
            KeyringFault::Io(error)
        }
    })?;
    // Room for all of it at once, as when reading.
    let mut text = Zeroizing::new(String::with_capacity(LINE_MAX_BYTES));
    text.extend(["v", &key.version.to_string(), " "]);
    STANDARD.encode_string(key.key.as_slice(), &mut text);
    text.push('\n');
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.and_then(|()| sync_directory(path)).map_err(KeyringFault::Io)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(version: &str, bytes: &[u8]) -> String {
        format!("{version} {}\n", STANDARD.encode(bytes))
    }

    #[test]
    fn reads_keys_in_any_order_with_comments() {
        let text = format!("# ours\n\n{}{}\r\n", line("v10", &[10; 32]), line("v2", &[2; 32]));
        let keys = parse(text.as_bytes()).unwrap();
        assert_eq!(keys.iter().map(|key| key.version).collect::<Vec<_>>(), [2, 10]);
        assert_eq!(*keys[1].key, [10; 32]);
    }

    #[test]
    fn refuses_lines_that_are_no_keys() {
        for bad in [
            line("v1", &[1; 31]),
            line("v1", &[1; 33]),
            line("v1", &[1; 64]),
            line("v1", &[0; 32]),
            line("v0", &[1; 32]),
            line("v+1", &[1; 32]),
            line("v-1", &[1; 32]),
            line("v", &[1; 32]),
            line("1", &[1; 32]),
            line("v4294967296", &[1; 32]),
            "v1\n".into(),
            "v1 !!!!\n".into(),
            format!("v1 {}", STANDARD.encode([1; 32]).trim_end_matches('=')),
            "\u{feff}v1 AAAA".into(),
        ] {
            assert!(matches!(parse(bad.as_bytes()), Err(KeyringFault::Line { line: 1 })), "{bad:?}");
        }
        assert!(matches!(parse(b"\xff\xfe"), Err(KeyringFault::Line { line: 1 })));
        assert!(matches!(parse(b"\n# nothing\n"), Err(KeyringFault::Empty)));
        let twice = line("v1", &[1; 32]) + &line("v1", &[2; 32]);
        assert!(matches!(parse(twice.as_bytes()), Err(KeyringFault::Twice { line: 2, version: 1 })));
    }

    #[test]
    fn only_the_owner_may_have_access_and_it_is_us_or_root() {
        assert!(check_access(0o100_600, 7, 7).is_ok());
        assert!(check_access(0o100_400, 0, 7).is_ok());
        assert!(matches!(check_access(0o100_600, 8, 7), Err(KeyringFault::Foreign { owner: 8, us: 7 })));
        for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o777] {
            assert!(
                matches!(check_access(0o100_000 | mode, 7, 7), Err(KeyringFault::Open { .. })),
                "{mode:o}"
            );
        }
    }
}
