//! Attack 39: a key provider that is down, throttles, takes five seconds, never answers, panics, gives another key, or
//! whose key is disabled or to be deleted. Nothing is sealed or opened, no key lives longer for it, it is told, and
//! other tenants notice nothing.
//!
//! A key of 31 bytes can't be given to the envelope: providers answer with 32 by their type. What each of them does with
//! a key of another length, and what it makes of the key service's own refusals, is in `infra/tests/key_providers/`.
//! That the service's callers are told no more than that it is unavailable is the API's affair.

use std::panic::AssertUnwindSafe;

use domain::kernel::{
    fault::{PortError, Retry},
    secret::{Sealed, Vault as _},
};
use futures_util::FutureExt as _;
use infra::envelope::{Envelope, KEY_TTL_MAX_S, KeyStore as _, Ticks as _};

use crate::world::{Behaves, EMAIL, Told, World, tenant};

/// All the ways, and whether asking again may help; `None` where there is no error but a panic.
const WAYS: [(&str, Behaves, Option<Retry>); 8] = [
    ("down", Behaves::RefusesForNow("connection refused"), Some(Retry::MayHelp)),
    ("throttled", Behaves::RefusesForNow("ThrottlingException"), Some(Retry::MayHelp)),
    ("disabled", Behaves::Refuses("DisabledException"), Some(Retry::Useless)),
    ("to be deleted", Behaves::Refuses("KMSInvalidStateException"), Some(Retry::Useless)),
    ("five seconds", Behaves::Takes(5), Some(Retry::MayHelp)),
    ("for ever", Behaves::Hangs, Some(Retry::MayHelp)),
    ("another key", Behaves::GivesAnotherKey, Some(Retry::Useless)),
    ("panics", Behaves::Panics, None),
];

/// What opening for tenant 1 ends in; `None` is a panic.
async fn opened(vault: &Envelope, sealed: &Sealed) -> Option<Result<(), PortError>> {
    let scope = tenant(1);
    let opening = vault.open(&scope, EMAIL, sealed);
    AssertUnwindSafe(opening).catch_unwind().await.ok().map(|opened| opened.map(drop))
}

async fn seals(vault: &Envelope, number: u128) -> bool {
    let scope = tenant(number);
    let sealing = vault.seal(&scope, EMAIL, b"x");
    AssertUnwindSafe(sealing).catch_unwind().await.is_ok_and(|sealed| sealed.is_ok())
}

/// Two tenants with a value each, sealed by another replica.
async fn two_values(world: &World) -> (Sealed, Sealed) {
    let vault = world.replica();
    let one = vault.seal(&tenant(1), EMAIL, b"x").await.unwrap();
    (one, vault.seal(&tenant(2), EMAIL, b"x").await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn whatever_it_does_nothing_is_sealed_or_opened_and_others_notice_nothing() {
    for (way, behaves, retry) in WAYS {
        let world = World::new();
        let (one, two) = two_values(&world).await;
        let vault = world.replica();
        world.probe.behaves_towards(&tenant(1), behaves);
        let began = tokio::time::Instant::now();
        let answer = async {
            let error = opened(&vault, &one).await.map(Result::unwrap_err);
            (error.map(|error| error.retry), began.elapsed())
        };
        let other = async {
            let opened = vault.open(&tenant(2), EMAIL, &two).await;
            (opened.is_ok(), seals(&vault, 2).await, began.elapsed().as_millis())
        };
        let ((refused, after), others) = tokio::join!(answer, other);
        assert_eq!(refused, retry, "{way}");
        assert!(after.as_secs() <= 3, "{way}: {after:?}");
        assert_eq!(others, (true, true, 0), "{way}: another tenant waits for nothing");
        assert!(!seals(&vault, 1).await, "{way}");

        // Nothing may be stored under a key that can't be had again.
        world.probe.behaves(behaves);
        assert!(!seals(&vault, 3).await, "{way}");
        assert_eq!(world.store.newest_tenant_key(&tenant(3)).await.unwrap(), None, "{way}");

        world.probe.behaves(Behaves::Well);
        world.ticks.advance_s(2);
        assert!(matches!(opened(&vault, &one).await, Some(Ok(()))), "{way}: and it comes back");
        assert!(seals(&vault, 3).await, "{way}");
    }
}

/// However busy the key is, and whichever way it is not had again.
#[tokio::test(start_paused = true)]
async fn no_key_is_used_beyond_its_time_because_the_provider_fails() {
    for (way, behaves, _) in WAYS {
        let world = World::new();
        let (sealed, _) = two_values(&world).await;
        let vault = world.replica();
        vault.open(&tenant(1), EMAIL, &sealed).await.unwrap();
        world.ticks.advance_s(100);
        let other = vault.seal(&tenant(2), EMAIL, b"fresh").await.unwrap();
        let told = Told::default();
        let listening = told.listen();
        world.probe.behaves(behaves);
        // A provider that is slow would move the ticks on by itself, if it were waited for.
        while world.ticks.elapsed().as_secs() < KEY_TTL_MAX_S {
            assert!(
                vault.open(&tenant(1), EMAIL, &sealed).await.is_ok(),
                "{way}: {:?}",
                world.ticks.elapsed()
            );
            world.ticks.advance_s(1);
            tokio::task::yield_now().await;
        }
        for _ in 0..3 {
            assert!(!matches!(opened(&vault, &sealed).await, Some(Ok(()))), "{way}: a stale key");
            assert!(!seals(&vault, 1).await, "{way}: a stale key");
            assert!(vault.open(&tenant(2), EMAIL, &other).await.is_ok(), "{way}: others are not affected");
            world.ticks.advance_s(1);
        }
        drop(listening);
        if !matches!(behaves, Behaves::Panics) {
            let told = told.text();
            let tenant = tenant(1).tenant().to_string();
            assert!(told.contains(&tenant) && told.contains("before the end of its life"), "{way}: {told}");
        }
        world.probe.behaves(Behaves::Well);
        world.ticks.advance_s(2);
        assert!(vault.open(&tenant(1), EMAIL, &sealed).await.is_ok(), "{way}: and it comes back");
    }
}

#[tokio::test(start_paused = true)]
async fn why_a_key_could_not_be_had_is_told_to_who_asked() {
    for (behaves, why) in [
        (Behaves::RefusesForNow("ThrottlingException"), "ThrottlingException"),
        (Behaves::Refuses("DisabledException"), "DisabledException"),
        (Behaves::GivesAnotherKey, "another key"),
        (Behaves::Hangs, "did not answer in 3000 ms"),
    ] {
        let world = World::new();
        let (sealed, _) = two_values(&world).await;
        world.probe.behaves(behaves);
        let vault = world.replica();
        let error = opened(&vault, &sealed).await.unwrap().unwrap_err();
        assert!(error.source.to_string().contains(why), "{}", error.source);
        let error = opened(&vault, &sealed).await.unwrap().unwrap_err();
        assert!(error.source.to_string().contains("failed a moment ago"), "{}", error.source);
    }
}

#[tokio::test]
async fn keys_of_another_provider_are_not_tried() {
    let world = World::new();
    let sealed = world.replica().seal(&tenant(1), EMAIL, b"x").await.unwrap();
    *world.probe.name.lock().unwrap() = "another";
    let before = world.probe.unwraps();
    let error = world.replica().open(&tenant(1), EMAIL, &sealed).await.unwrap_err();
    let text = error.source.to_string();
    assert!(text.contains("probe") && text.contains("another"), "{text}");
    assert_eq!(world.probe.unwraps(), before);
}

#[tokio::test]
async fn sweeping_does_not_forget_that_the_provider_failed() {
    let world = World::new();
    let vault = world.replica();
    world.replica().seal(&tenant(1), EMAIL, b"x").await.unwrap();
    world.probe.behaves(Behaves::RefusesForNow("down"));
    let before = world.probe.unwraps();
    for _ in 0..3 {
        assert!(vault.seal(&tenant(1), EMAIL, b"x").await.is_err());
        vault.sweep();
    }
    assert_eq!(world.probe.unwraps(), before + 1);
}
