use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use domain::kernel::{
    fault::Retry,
    ids::TenantId,
    testkit::{Counted, FixedClock},
};
use uuid::Uuid;

use super::*;
use crate::system::System;

/// A directory of this test alone, gone when it ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let name = Uuid::from_bytes(System.bytes32()[..16].try_into().unwrap());
        let path = std::env::temp_dir().join(format!("spool-{name}"));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn settings(directory: &Path) -> SpoolSettings {
    SpoolSettings {
        directory: directory.join("spool"),
        from: EmailAddress::parse("noreply@matricula.example").unwrap(),
        reset_url: "https://console.example/reset".into(),
    }
}

fn courier(directory: &Path) -> SpoolCourier {
    SpoolCourier::open(settings(directory), Arc::new(FixedClock::default()), Arc::new(Counted::default()))
        .unwrap()
}

fn scope() -> TenantScope {
    TenantScope::of(TenantId::from_uuid(Uuid::from_u128(7)))
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn ada() -> EmailAddress {
    EmailAddress::parse("ada@example.com").unwrap()
}

#[tokio::test]
async fn a_message_is_whole_private_and_names_nobody() {
    let scratch = Scratch::new();
    let courier = courier(&scratch.0);
    for _ in 0..2 {
        courier.send_password_reset(&scope(), &ada(), &Secret::from("mpr_t0-ken".to_owned())).await.unwrap();
    }
    let new = scratch.0.join("spool/new");
    let found = names(&new);
    assert_eq!(found.len(), 2, "each message has a name of its own");
    assert!(found.iter().all(|name| name.contains(".eml") && !name.contains("ada")), "{found:?}");
    assert_eq!(names(&scratch.0.join("spool/tmp")).len(), 0);
    for directory in ["spool", "spool/tmp", "spool/new"] {
        assert_eq!(fs::metadata(scratch.0.join(directory)).unwrap().mode() & 0o777, 0o700, "{directory}");
    }
    let file = new.join(&found[0]);
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);

    let text = fs::read_to_string(&file).unwrap();
    let (headers, body) = text.split_once("\r\n\r\n").unwrap();
    let names: Vec<_> = headers.split("\r\n").map(|line| line.split(": ").next().unwrap()).collect();
    let expected = [
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
    ];
    assert_eq!(names, expected);
    assert!(headers.contains("\r\nTo: <ada@example.com>\r\n"), "{headers}");
    assert!(headers.contains("Date: Mon, 21 Sep 2026 14:13:20 +0000"), "{headers}");
    assert!(body.contains("\r\nhttps://console.example/reset#mpr_t0-ken\r\n"), "{body}");
    assert!(body.contains("within 30 minutes"), "{body}");
    assert_eq!(text.replace("\r\n", "").matches(['\r', '\n']).count(), 0, "lines end in CRLF only");
}

#[tokio::test]
async fn tokens_that_are_none_are_refused_and_nothing_is_written() {
    let scratch = Scratch::new();
    let courier = courier(&scratch.0);
    for bad in ["", "a b", "a\r\nBcc: eve@example.com", "a\n.\n", "a#b", "é", &"x".repeat(TOKEN_MAX_LEN + 1)]
    {
        let token = Secret::from(bad.to_owned());
        let error = courier.send_password_reset(&scope(), &ada(), &token).await.unwrap_err();
        assert_eq!(error.retry, Retry::Useless, "{bad:?}");
        assert!(
            bad.is_empty() || !format!("{error:?} {error} {}", error.source).contains(bad),
            "{bad:?} shows"
        );
    }
    let not_text = Secret::new(vec![0xff]);
    assert!(courier.send_password_reset(&scope(), &ada(), &not_text).await.is_err());
    assert_eq!(names(&scratch.0.join("spool/new")).len() + names(&scratch.0.join("spool/tmp")).len(), 0);
}

#[tokio::test]
async fn a_message_that_cannot_be_put_leaves_nothing_and_may_be_tried_again() {
    let scratch = Scratch::new();
    let courier = courier(&scratch.0);
    fs::remove_dir(scratch.0.join("spool/new")).unwrap();
    let token = Secret::from("mpr_x".to_owned());
    let error = courier.send_password_reset(&scope(), &ada(), &token).await.unwrap_err();
    assert_eq!(error.retry, Retry::MayHelp);
    assert_eq!(names(&scratch.0.join("spool/tmp")).len(), 0);
}

#[test]
fn a_spool_others_can_read_is_refused() {
    let scratch = Scratch::new();
    let directory = scratch.0.join("spool");
    drop(courier(&scratch.0));
    for (path, mode) in
        [(directory.clone(), 0o750), (directory.join("new"), 0o701), (directory.join("tmp"), 0o770)]
    {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let refused = SpoolCourier::open(
            settings(&scratch.0),
            Arc::new(FixedClock::default()),
            Arc::new(Counted::default()),
        );
        let shown = refused.unwrap_err().to_string();
        assert!(shown.contains(&path.display().to_string()) && shown.contains("chmod 700"), "{shown}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn a_file_in_its_place_and_a_missing_parent_are_refused() {
    let scratch = Scratch::new();
    fs::write(scratch.0.join("spool"), "").unwrap();
    let open = |directory: &Path| {
        SpoolCourier::open(settings(directory), Arc::new(FixedClock::default()), Arc::new(Counted::default()))
    };
    assert!(matches!(open(&scratch.0), Err(SpoolError::NotADirectory { .. })));
    assert!(matches!(open(&scratch.0.join("nowhere")), Err(SpoolError::Io { .. })));
}

#[test]
fn links_that_could_break_a_message_are_refused() {
    let scratch = Scratch::new();
    for bad in ["", "javascript:x", "https://x/\r\nBcc: y", "https://x/ y", "https://x/#y", "https://é/"] {
        let bad = SpoolSettings { reset_url: bad.into(), ..settings(&scratch.0) };
        let refused = SpoolCourier::open(bad, Arc::new(FixedClock::default()), Arc::new(Counted::default()));
        assert!(matches!(refused, Err(SpoolError::NotALink)));
    }
    assert_eq!(names(&scratch.0).len(), 0, "refused before anything is made");
}

#[test]
fn debug_shows_no_address() {
    let scratch = Scratch::new();
    assert!(!format!("{:?} {:?}", courier(&scratch.0), settings(&scratch.0)).contains("noreply"));
}
