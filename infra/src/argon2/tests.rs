use domain::kernel::{fault::Retry, testkit::Counted};

use super::*;

fn cheap() -> Argon2Passwords {
    let settings = Argon2Settings { memory_kib: 64, passes: 1, lanes: 1, at_a_time: 2 };
    Argon2Passwords::new(settings, Arc::new(Counted::default())).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::from(text.to_owned())
}

#[tokio::test]
async fn a_password_is_right_for_its_own_hash_only() {
    let passwords = cheap();
    let hash = passwords.hash(&secret("correct horse")).await.unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
    assert!(passwords.verify(&secret("correct horse"), Some(&hash)).await.unwrap());
    for wrong in ["", "correct hors", "correct horse ", "Correct horse"] {
        assert!(!passwords.verify(&secret(wrong), Some(&hash)).await.unwrap(), "{wrong:?}");
    }
    let again = passwords.hash(&secret("correct horse")).await.unwrap();
    assert_ne!(hash, again, "each hash has its own salt");
}

#[test]
fn the_default_costs_are_the_recommended_ones() {
    let passwords = Argon2Passwords::new(Argon2Settings::default(), Arc::new(Counted::default())).unwrap();
    assert!(passwords.nobody.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", passwords.nobody);
}

#[tokio::test]
async fn nobodys_hash_is_computed_like_any_other_and_never_right() {
    let passwords = cheap();
    let theirs = PasswordHash::new(&passwords.nobody).unwrap();
    let ours = passwords.hash(&secret("x")).await.unwrap();
    let ours = PasswordHash::new(&ours).unwrap();
    assert_eq!(theirs.params, ours.params);
    assert_eq!(theirs.salt.unwrap().len(), ours.salt.unwrap().len());
    assert_eq!(theirs.hash.unwrap().len(), ours.hash.unwrap().len());
    // `Ok(false)` and not an error: the whole computation was done.
    assert!(!check(&secret("x"), &passwords.nobody).unwrap());
    assert!(!passwords.verify(&secret("x"), None).await.unwrap());
}

#[tokio::test]
async fn even_the_password_of_nobodys_hash_is_not_right() {
    let mut passwords = cheap();
    passwords.nobody = passwords.hash(&secret("found")).await.unwrap();
    assert!(passwords.verify(&secret("found"), Some(&passwords.nobody)).await.unwrap());
    assert!(!passwords.verify(&secret("found"), None).await.unwrap());
}

#[tokio::test]
async fn rows_that_hold_no_sane_hash_are_lasting_errors() {
    let passwords = cheap();
    let good = passwords.hash(&secret("x")).await.unwrap();
    for bad in [
        String::new(),
        "x".into(),
        good.replace("argon2id", "argon2i"),
        good.replace("argon2id", "argon2d"),
        good.replace("m=64", "m=4294967295"),
        good.replace("m=64", "m=1048576"),
        good.replace("t=1", "t=1000000"),
        good.rsplit_once('$').unwrap().0.into(),
    ] {
        let error = passwords.verify(&secret("x"), Some(&bad)).await.unwrap_err();
        assert_eq!(error.retry, Retry::Useless, "{bad}");
    }
}

#[tokio::test]
async fn hashes_of_older_costs_go_on_verifying() {
    let older = Argon2Settings { memory_kib: 32, passes: 3, lanes: 2, at_a_time: 1 };
    let older = Argon2Passwords::new(older, Arc::new(Counted::default())).unwrap();
    let hash = older.hash(&secret("x")).await.unwrap();
    assert!(cheap().verify(&secret("x"), Some(&hash)).await.unwrap());
}

#[test]
fn costs_out_of_range_are_refused() {
    let good = Argon2Settings { memory_kib: 64, passes: 1, lanes: 1, at_a_time: 1 };
    for bad in [
        Argon2Settings { memory_kib: 0, ..good },
        Argon2Settings { memory_kib: MEMORY_MAX_KIB + 1, ..good },
        Argon2Settings { passes: 0, ..good },
        Argon2Settings { lanes: 0, ..good },
        Argon2Settings { at_a_time: 0, ..good },
    ] {
        let refused = Argon2Passwords::new(bad, Arc::new(Counted::default()));
        assert_eq!(refused.map(drop), Err(Argon2Fault::Costs), "{bad:?}");
    }
}

#[tokio::test]
async fn only_so_many_are_computed_at_a_time_even_when_callers_leave() {
    let passwords = Arc::new(cheap());
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Arc::new(std::sync::Mutex::new(held));
    let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
    let mut callers = Vec::new();
    for _ in 0..2 {
        let (passwords, held, started) = (Arc::clone(&passwords), Arc::clone(&held), started.clone());
        callers.push(tokio::spawn(async move {
            let work = move || {
                started.send(()).unwrap();
                held.lock().unwrap().recv().unwrap();
                Ok(())
            };
            passwords.in_turn(work).await
        }));
    }
    for _ in 0..2 {
        starts.recv().await.unwrap();
    }
    for caller in &callers {
        caller.abort();
    }
    assert_eq!(passwords.running.available_permits(), 0, "their work goes on, so there is no room");
    for _ in 0..2 {
        release.send(()).unwrap();
    }
    let turns = passwords.running.acquire_many(2).await.unwrap();
    drop(turns);
    assert!(!passwords.verify(&secret("x"), None).await.unwrap());
}

#[test]
fn debug_shows_costs_only() {
    let passwords = cheap();
    let shown = format!("{passwords:?}");
    assert!(!shown.contains(&passwords.nobody) && !shown.contains("salt"), "{shown}");
}
