//! A key provider whose calls are counted: each is slow, costs money, or both.

use std::sync::Arc;

use async_trait::async_trait;
use domain::kernel::fault::PortError;
use zeroize::Zeroizing;

use crate::envelope::{KeyContext, KeyProvider};

/// A call to a key provider that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyCall<'a> {
    /// [`KeyProvider::describe`].
    pub provider: &'a str,
    /// `wrap` or `unwrap`.
    pub call: &'static str,
    /// Whether it gave what was asked for.
    pub is_done: bool,
}

/// Told of each call.
pub type KeyCallObserver = Arc<dyn Fn(KeyCall<'_>) + Send + Sync>;

/// Tells an observer of each call to the provider within. A call that was given up on before its end is not told of.
pub struct CountedKeys {
    inner: Arc<dyn KeyProvider>,
    observer: KeyCallObserver,
}

impl CountedKeys {
    /// Wraps a provider.
    pub fn new(inner: Arc<dyn KeyProvider>, observer: KeyCallObserver) -> Self {
        Self { inner, observer }
    }

    fn told<T>(&self, call: &'static str, answer: Result<T, PortError>) -> Result<T, PortError> {
        (self.observer)(KeyCall { provider: self.inner.describe(), call, is_done: answer.is_ok() });
        answer
    }
}

#[async_trait]
impl KeyProvider for CountedKeys {
    fn describe(&self) -> &str {
        self.inner.describe()
    }

    async fn wrap(&self, context: &KeyContext, key: &[u8; 32]) -> Result<Vec<u8>, PortError> {
        let answer = self.inner.wrap(context, key).await;
        self.told("wrap", answer)
    }

    async fn unwrap(&self, context: &KeyContext, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, PortError> {
        let answer = self.inner.unwrap(context, wrapped).await;
        self.told("unwrap", answer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use domain::kernel::ids::TenantId;

    use super::*;
    use crate::{local_keyring::LocalKeyring, system::System};

    #[tokio::test]
    async fn each_call_is_told_of_with_how_it_ended() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&told);
        let observer: KeyCallObserver = Arc::new(move |call| {
            to.lock().unwrap().push((call.provider.to_owned(), call.call, call.is_done));
        });
        let keys = CountedKeys::new(Arc::new(LocalKeyring::ephemeral(&System)), observer);
        let tenant = TenantId::from_uuid(uuid::Uuid::from_u128(1));
        let context = KeyContext { tenant, purpose: "tenant-key", version: 1 };
        let wrapped = keys.wrap(&context, &[7; 32]).await.unwrap();
        assert_eq!(*keys.unwrap(&context, &wrapped).await.unwrap(), [7; 32]);
        assert!(keys.unwrap(&context, &wrapped[1..]).await.is_err());
        let of = |call, is_done| ("local-keyring".to_owned(), call, is_done);
        assert_eq!(*told.lock().unwrap(), [of("wrap", true), of("unwrap", true), of("unwrap", false)]);
    }
}
