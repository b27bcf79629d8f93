//! The local keyring: its file, and what its wraps are bound to.

#![expect(clippy::unwrap_used, reason = "test code fails by panicking")]

use std::{
    fs::{self, OpenOptions, Permissions},
    io::Write as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::kernel::{
    fault::Retry,
    ids::{Entropy as _, TenantId},
};
use infra::{
    envelope::{KeyContext, KeyProvider as _},
    local_keyring::{KeyringFault, LocalKeyring},
    system::System,
};
use uuid::Uuid;

/// A directory of one test alone, gone when it ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let name = Uuid::from_bytes(System.bytes32()[..16].try_into().unwrap());
        let path = std::env::temp_dir().join(format!("keyring-{name}"));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("keyring")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn line(version: u32, byte: u8) -> String {
    format!("v{version} {}\n", STANDARD.encode([byte; 32]))
}

fn context() -> KeyContext {
    KeyContext { tenant: TenantId::from_uuid(Uuid::from_u128(1)), purpose: "tenant-key", version: 1 }
}

#[tokio::test]
async fn a_new_keyring_is_private_and_the_same_when_opened_again() {
    let scratch = Scratch::new();
    let made = LocalKeyring::create(&scratch.file(), &System).unwrap();
    assert_eq!(fs::metadata(scratch.file()).unwrap().mode() & 0o777, 0o600);
    let wrapped = made.wrap(&context(), &[7; 32]).await.unwrap();
    let opened = LocalKeyring::open(&scratch.file()).unwrap();
    assert_eq!(*opened.unwrap(&context(), &wrapped).await.unwrap(), [7; 32]);
    assert_eq!(opened.newest_version(), 1);
}

#[test]
fn a_keyring_is_never_overwritten_or_made_in_passing() {
    let scratch = Scratch::new();
    write(&scratch.file(), "precious", 0o600);
    let error = LocalKeyring::create(&scratch.file(), &System).unwrap_err();
    assert!(matches!(error.fault, KeyringFault::Exists), "{error}");
    assert_eq!(fs::read_to_string(scratch.file()).unwrap(), "precious");

    let error = LocalKeyring::open(&scratch.0.join("mistyped")).unwrap_err();
    assert!(matches!(error.fault, KeyringFault::Missing), "{error}");
    assert!(!scratch.0.join("mistyped").exists());

    symlink(scratch.0.join("elsewhere"), scratch.0.join("dangling")).unwrap();
    assert!(LocalKeyring::create(&scratch.0.join("dangling"), &System).is_err());
    assert!(!scratch.0.join("elsewhere").exists(), "a link does not lead a new keyring elsewhere");
}

#[test]
fn a_file_others_can_get_at_is_refused_and_the_way_out_named() {
    let scratch = Scratch::new();
    for mode in [0o640, 0o644, 0o604, 0o660, 0o602] {
        write(&scratch.file(), &line(1, 1), mode);
        let shown = LocalKeyring::open(&scratch.file()).unwrap_err().to_string();
        assert!(shown.contains(&scratch.file().display().to_string()), "{shown}");
        assert!(shown.contains("chmod 600") && shown.contains(&format!("{mode:o}")), "{shown}");
    }
    fs::set_permissions(scratch.file(), Permissions::from_mode(0o400)).unwrap();
    assert!(LocalKeyring::open(&scratch.file()).is_ok(), "read-only is fine");
}

#[test]
fn a_link_is_followed_and_what_it_leads_to_is_judged() {
    let scratch = Scratch::new();
    write(&scratch.file(), &line(1, 1), 0o600);
    let link = scratch.0.join("link");
    symlink(scratch.file(), &link).unwrap();
    assert!(LocalKeyring::open(&link).is_ok());
    fs::set_permissions(scratch.file(), Permissions::from_mode(0o644)).unwrap();
    assert!(LocalKeyring::open(&link).is_err());
}

#[test]
fn what_is_no_file_is_refused_without_waiting_for_it() {
    let scratch = Scratch::new();
    let error = LocalKeyring::open(&scratch.0).unwrap_err();
    assert!(matches!(error.fault, KeyringFault::NotAFile), "{error}");
    let pipe = scratch.0.join("pipe");
    assert!(std::process::Command::new("mkfifo").arg("-m600").arg(&pipe).status().unwrap().success());
    let error = LocalKeyring::open(&pipe).unwrap_err();
    assert!(matches!(error.fault, KeyringFault::NotAFile), "{error}");
}

#[test]
fn content_that_is_no_keyring_is_refused_and_not_shown() {
    let scratch = Scratch::new();
    let key = STANDARD.encode([5; 32]);
    for (text, bad_line) in [
        (format!("{}v2 {}x\n", line(1, 1), key), 2),
        (format!("# one\n\nkey {key}\n"), 3),
        (format!("v1 {}\n", STANDARD.encode([5; 31])), 1),
    ] {
        write(&scratch.file(), &text, 0o600);
        let error = LocalKeyring::open(&scratch.file()).unwrap_err();
        assert!(matches!(error.fault, KeyringFault::Line { line } if line == bad_line), "{error}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(&key[..20]), "{shown}");
    }
    write(&scratch.file(), "", 0o600);
    assert!(matches!(LocalKeyring::open(&scratch.file()).unwrap_err().fault, KeyringFault::Empty));
    write(&scratch.file(), &"#".repeat(70_000), 0o600);
    assert!(matches!(LocalKeyring::open(&scratch.file()).unwrap_err().fault, KeyringFault::TooLong { .. }));
}

#[tokio::test]
async fn the_newest_key_wraps_and_all_unwrap() {
    let scratch = Scratch::new();
    write(&scratch.file(), &line(1, 1), 0o600);
    let old = LocalKeyring::open(&scratch.file()).unwrap();
    let first = old.wrap(&context(), &[7; 32]).await.unwrap();
    OpenOptions::new().append(true).open(scratch.file()).unwrap().write_all(line(2, 2).as_bytes()).unwrap();
    let both = LocalKeyring::open(&scratch.file()).unwrap();
    assert_eq!(both.newest_version(), 2);
    let second = both.wrap(&context(), &[8; 32]).await.unwrap();
    assert_eq!(*both.unwrap(&context(), &first).await.unwrap(), [7; 32]);
    assert_eq!(*both.unwrap(&context(), &second).await.unwrap(), [8; 32]);
    let mut unknown = second.clone();
    unknown[4] = 3;
    let refused = old.unwrap(&context(), &unknown).await.unwrap_err();
    assert!(refused.source.to_string().contains("v3"), "{}", refused.source);
}

#[tokio::test]
async fn a_wrap_is_good_whole_and_in_its_context_only() {
    let keyring = LocalKeyring::ephemeral(&System);
    let wrapped = keyring.wrap(&context(), &[7; 32]).await.unwrap();
    for other in [
        KeyContext { tenant: TenantId::from_uuid(Uuid::from_u128(2)), ..context() },
        KeyContext { purpose: "tenant-ke", ..context() },
        KeyContext { version: 2, ..context() },
    ] {
        assert_eq!(keyring.unwrap(&other, &wrapped).await.unwrap_err().retry, Retry::Useless, "{other:?}");
    }
    for bit in 0..wrapped.len() * 8 {
        let mut changed = wrapped.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(keyring.unwrap(&context(), &changed).await.is_err(), "bit {bit}");
    }
    for len in 0..wrapped.len() {
        assert!(keyring.unwrap(&context(), &wrapped[..len]).await.is_err(), "cut to {len}");
    }
    assert!(LocalKeyring::ephemeral(&System).unwrap(&context(), &wrapped).await.is_err(), "another keyring");
    assert_eq!(format!("{keyring:?}"), "LocalKeyring(..)");
}

#[tokio::test]
async fn a_key_that_was_added_is_found_without_a_restart() {
    let scratch = Scratch::new();
    write(&scratch.file(), &line(1, 1), 0o600);
    let running = LocalKeyring::open(&scratch.file()).unwrap();
    write(&scratch.file(), &(line(1, 1) + &line(2, 2)), 0o600);
    let newer = LocalKeyring::open(&scratch.file()).unwrap();
    let wrapped = newer.wrap(&context(), &[7; 32]).await.unwrap();
    assert_eq!((running.newest_version(), newer.newest_version()), (1, 2));
    assert_eq!(*running.unwrap(&context(), &wrapped).await.unwrap(), [7; 32]);
    assert_eq!(running.newest_version(), 2);

    fs::remove_file(scratch.file()).unwrap();
    let mut unknown = wrapped.clone();
    unknown[4] = 9;
    assert!(running.unwrap(&context(), &unknown).await.is_err());
    assert!(running.unwrap(&context(), &wrapped).await.is_ok(), "what is held is not given up");
}
