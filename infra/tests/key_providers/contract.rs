//! What every key provider promises.

use std::sync::Arc;

use domain::kernel::{
    fault::{PortError, Retry},
    ids::TenantId,
    scope::TenantScope,
    secret::{Place, Vault as _},
};
use futures_util::future::join_all;
use infra::{
    envelope::{Envelope, EnvelopeSettings, KeyContext, KeyProvider, ManualTicks, MemoryKeyStore},
    system::System,
};
use uuid::Uuid;

pub(crate) const fn tenant(number: u128) -> TenantId {
    TenantId::from_uuid(Uuid::from_u128(number))
}

pub(crate) const CONTEXT: KeyContext = KeyContext { tenant: tenant(1), purpose: "tenant-key", version: 1 };

fn is_lasting<T>(result: &Result<T, PortError>) -> bool {
    result.as_ref().is_err_and(|error| error.retry == Retry::Useless)
}

/// Holds `provider` to the contract of [`KeyProvider`].
pub(crate) async fn holds<P: KeyProvider + 'static>(provider: Arc<P>) {
    let key = [7; 32];
    let wrapped = provider.wrap(&CONTEXT, &key).await.unwrap();
    assert_eq!(*provider.unwrap(&CONTEXT, &wrapped).await.unwrap(), key);
    assert!(!wrapped.windows(32).any(|part| part == key), "the key is not in its wrap");
    assert_ne!(provider.wrap(&CONTEXT, &key).await.unwrap(), wrapped, "no two wraps are alike");

    for elsewhere in [
        KeyContext { tenant: tenant(2), ..CONTEXT },
        KeyContext { purpose: "data-key", ..CONTEXT },
        KeyContext { version: 2, ..CONTEXT },
    ] {
        assert!(is_lasting(&provider.unwrap(&elsewhere, &wrapped).await), "it opens as {elsewhere:?}");
    }
    for at in [0, 1, wrapped.len() / 2, wrapped.len() - 1] {
        let mut changed = wrapped.clone();
        changed[at] ^= 1;
        assert!(is_lasting(&provider.unwrap(&CONTEXT, &changed).await), "it opens with byte {at} changed");
    }
    for cut in [&wrapped[..0], &wrapped[..1], &wrapped[..wrapped.len() - 1]] {
        assert!(is_lasting(&provider.unwrap(&CONTEXT, cut).await), "{} bytes of it open", cut.len());
    }

    let many = (0..16_u8).map(|number| {
        let provider = Arc::clone(&provider);
        async move {
            let context = KeyContext { version: u32::from(number) + 1, ..CONTEXT };
            let wrapped = provider.wrap(&context, &[number; 32]).await.unwrap();
            assert_eq!(*provider.unwrap(&context, &wrapped).await.unwrap(), [number; 32]);
        }
    });
    join_all(many).await;
    carries_an_envelope(provider).await;
}

/// A whole envelope on the provider: sealed here, opened by a replica.
async fn carries_an_envelope<P: KeyProvider + 'static>(provider: Arc<P>) {
    let store = Arc::new(MemoryKeyStore::default());
    let replica = || {
        Envelope::new(
            Arc::clone(&provider),
            store.clone(),
            Arc::new(System),
            Arc::new(ManualTicks::default()),
            EnvelopeSettings::new(tenant(0xff)),
        )
        .unwrap()
    };
    let place = Place { table: "identity.members", column: "email", row: Uuid::from_u128(5) };
    let sealed = replica().seal(&TenantScope::of(tenant(1)), place, b"ada@example.com").await.unwrap();
    let opened = replica().open(&TenantScope::of(tenant(1)), place, &sealed).await.unwrap();
    assert_eq!(opened.expose(), b"ada@example.com");
    assert!(replica().open(&TenantScope::of(tenant(2)), place, &sealed).await.is_err());
}
