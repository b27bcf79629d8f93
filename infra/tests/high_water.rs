//! The mark outside of the database: moved in one step, by one at a time, and never lost unseen.

#![expect(clippy::unwrap_used, reason = "test code fails by panicking")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use domain::{
    compliance::{
        log::merkle::Hash,
        ports::{CheckpointSigner as _, HighWater, LeafHashes as _, Mark},
    },
    kernel::{fault::Retry, ids::IdSource as _},
};
use infra::{high_water::FileHighWater, local_keyring::LocalSigner, system::System};

const ORIGIN: &str = "audit.matricula.example/platform";

/// A directory of one test alone, gone when it ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("mark-{}", System.next_uuid().simple()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mark(size: u64) -> Mark {
    Mark { size, root: Hash([u8::try_from(size % 251).unwrap(); 32]) }
}

/// What every adapter promises.
async fn keeps_the_contract(port: &dyn HighWater, again: &dyn HighWater) {
    assert_eq!(port.read(ORIGIN).await.unwrap(), None);
    assert!(!port.advance(ORIGIN, Some(mark(1)), mark(2)).await.unwrap(), "it was not there");
    assert_eq!(port.read(ORIGIN).await.unwrap(), None);
    assert!(port.advance(ORIGIN, None, mark(3)).await.unwrap());
    assert!(!port.advance(ORIGIN, None, mark(4)).await.unwrap(), "it is elsewhere by now");
    let forked = Mark { root: Hash([9; 32]), ..mark(3) };
    assert!(!port.advance(ORIGIN, Some(forked), mark(4)).await.unwrap());
    assert!(!port.advance(ORIGIN, Some(mark(3)), mark(2)).await.unwrap(), "never back");
    assert!(port.advance(ORIGIN, Some(mark(3)), mark(9)).await.unwrap());
    assert_eq!(again.read(ORIGIN).await.unwrap(), Some(mark(9)), "another process sees it");
    assert_eq!(again.read("audit.other.example/platform").await.unwrap(), None, "another log's is another");
}

#[tokio::test]
async fn a_file_keeps_the_contract() {
    let scratch = Scratch::new();
    let directory = scratch.0.join("marks");
    let open = || FileHighWater::open(&directory).unwrap();
    keeps_the_contract(&open(), &open()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_move_it_from_one_place_one_does() {
    let scratch = Scratch::new();
    let directory = scratch.0.join("marks");
    let (mut from, mut moved) = (None, 0);
    for round in 1..=20 {
        let tries = (0..8).map(|number| {
            // Each with a view of its own, as processes have.
            let port = FileHighWater::open(&directory).unwrap();
            tokio::spawn(async move { port.advance(ORIGIN, from, mark(round * 10 + number)).await.unwrap() })
        });
        let done = futures_util::future::join_all(tries.collect::<Vec<_>>()).await;
        moved += done.into_iter().filter(|done| *done.as_ref().unwrap()).count();
        from = FileHighWater::open(&directory).unwrap().read(ORIGIN).await.unwrap();
    }
    assert_eq!(moved, 20);
}

#[tokio::test]
async fn a_mark_that_is_damaged_or_open_to_others_is_an_error_and_not_no_mark() {
    let scratch = Scratch::new();
    let directory = scratch.0.join("marks");
    let port = FileHighWater::open(&directory).unwrap();
    assert!(port.advance(ORIGIN, None, mark(3)).await.unwrap());
    let is_mark = |path: &Path| path.file_name().unwrap().to_string_lossy().starts_with("mark-");
    let file =
        fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).find(|p| is_mark(p)).unwrap();
    let whole = fs::read_to_string(&file).unwrap();
    for bad in [
        String::new(),
        whole[..whole.len() / 2].to_owned(),
        whole.trim_end().to_owned(),
        whole.replacen("3\n", "03\n", 1),
        whole.replacen("example", "elsewhere", 1),
        format!("{whole}x\n"),
    ] {
        fs::write(&file, &bad).unwrap();
        let fault = port.read(ORIGIN).await.unwrap_err();
        assert_eq!(fault.retry, Retry::Useless, "{bad:?}");
        assert!(port.advance(ORIGIN, None, mark(4)).await.is_err(), "{bad:?}");
    }
    fs::write(&file, &whole).unwrap();
    assert_eq!(port.read(ORIGIN).await.unwrap(), Some(mark(3)));
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(FileHighWater::open(&directory).unwrap_err().source.to_string().contains("700"));
    let unmounted = scratch.0.join("not/there");
    assert!(FileHighWater::open(&unmounted).is_err(), "a disk that is away is no new mark");
}

#[tokio::test]
async fn leaves_are_kept_beside_the_mark_and_nothing_is_left_out() {
    let scratch = Scratch::new();
    let directory = scratch.0.join("marks");
    let open = || FileHighWater::open(&directory).unwrap();
    let some = |from: u8, count: u8| (from..from + count).map(|byte| Hash([byte; 32])).collect::<Vec<_>>();
    assert_eq!(open().kept(ORIGIN).await.unwrap(), 0);
    assert_eq!(open().hashes(ORIGIN, 0, 9).await.unwrap(), []);
    assert!(open().keep(ORIGIN, None, 1, &some(1, 1)).await.is_err(), "the first is missing");
    assert!(open().keep(ORIGIN, None, 0, &some(0, 4)).await.unwrap());
    assert!(open().keep(ORIGIN, None, 4, &some(4, 4)).await.unwrap());
    assert!(open().keep(ORIGIN, None, 9, &some(9, 1)).await.is_err());
    assert_eq!(open().kept(ORIGIN).await.unwrap(), 8);
    assert_eq!(open().kept("audit.other.example/platform").await.unwrap(), 0);
    assert!(!open().keep(ORIGIN, Some(mark(3)), 8, &some(8, 1)).await.unwrap(), "the mark is elsewhere");
    assert_eq!(open().kept(ORIGIN).await.unwrap(), 8);
    // What was never signed is written over, also where it was only half written.
    let is_leaves = |path: &Path| path.file_name().unwrap().to_string_lossy().starts_with("leaves-");
    let file =
        fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).find(|p| is_leaves(p)).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 7]).unwrap();
    assert_eq!(open().kept(ORIGIN).await.unwrap(), 7);
    assert!(open().keep(ORIGIN, None, 6, &some(100, 3)).await.unwrap());
    assert_eq!(open().hashes(ORIGIN, 0, 99).await.unwrap(), [some(0, 6), some(100, 3)].concat());
    assert_eq!(open().hashes(ORIGIN, 5, 7).await.unwrap(), [some(5, 1), some(100, 1)].concat());
    assert_eq!(open().hashes(ORIGIN, 9, 12).await.unwrap(), []);
}

#[tokio::test]
async fn a_key_in_a_file_signs_and_is_its_owners_alone() {
    use domain::compliance::log::note::{Note, VerifierKey, VerifierKind};

    let scratch = Scratch::new();
    let file = scratch.0.join("log-key");
    assert!(LocalSigner::open(&file).is_err(), "there is none");
    LocalSigner::create(&file, &System).unwrap();
    assert!(LocalSigner::create(&file, &System).is_err(), "one that is there is kept");
    let (signer, again) = (LocalSigner::open(&file).unwrap(), LocalSigner::open(&file).unwrap());
    let public = signer.public_key().await.unwrap();
    assert_eq!(again.public_key().await.unwrap(), public);
    let key = VerifierKey::new("log", VerifierKind::Ed25519, &public).unwrap();
    let signature = key.line(signer.sign(b"a checkpoint\n").await.unwrap().to_vec());
    let note = |text: &str| Note::with_signature(text.to_owned(), signature.clone()).unwrap();
    assert!(note("a checkpoint\n").verify(std::slice::from_ref(&key)).is_ok());
    assert!(note("another\n").verify(std::slice::from_ref(&key)).is_err());
    assert!(!format!("{signer:?}").contains(&format!("{public:?}")));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(LocalSigner::open(&file).is_err(), "others could read it");
}
