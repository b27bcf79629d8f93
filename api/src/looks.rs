//! Room for looking up again those who listen. However many they are, the pool is for who asks.

use tokio::sync::Semaphore;

/// Listeners that are looked up at the same time: a small part of the pool.
const AT_ONCE: usize = 4;

/// Lets some look and has the others wait.
#[derive(Debug)]
pub(crate) struct Looks(Semaphore);

impl Looks {
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }

    /// Looks when there is room. Who stops listening meanwhile looks no more.
    pub(crate) async fn look<T>(&self, look: impl Future<Output = T>) -> T {
        // It is never closed.
        let _room = self.0.acquire().await;
        look.await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn few_look_at_the_same_time_and_all_come_to_it() {
        let (looks, now, most) = (Looks::new(), AtomicUsize::new(0), AtomicUsize::new(0));
        let look = async || {
            let looking = async {
                most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::Relaxed);
            };
            looks.look(looking).await;
        };
        futures_util::future::join_all((0..100).map(|_| look())).await;
        assert_eq!((most.into_inner(), now.into_inner()), (AT_ONCE, 0));
    }
}
