//! Looking up again those who listen. However many they are, the pool is for who asks: a tenant's listeners look at the same
//! moments, and are then looked up together.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{identity::SignedIn, kernel::ids::TenantId};
use futures_util::future::BoxFuture;
use tokio::{
    sync::{Semaphore, oneshot},
    time::{Instant, sleep, timeout},
};

/// Tenants whose listeners are looked up at the same time: a small part of the pool.
const AT_ONCE: usize = 4;

/// How long is waited for others of the tenant once one wants to be looked up.
const GATHER: Duration = Duration::from_millis(20);

/// Longest an answer is waited for; who has none by then stays, and looks again.
const PATIENCE: Duration = Duration::from_secs(10);

/// Says of each of a tenant's callers whether they would be let in again, as the same.
pub(crate) type LookUp = Box<dyn Fn(TenantId, Vec<SignedIn>) -> BoxFuture<'static, Vec<bool>> + Send + Sync>;

type Waiting = HashMap<TenantId, Vec<(SignedIn, oneshot::Sender<bool>)>>;

/// Gathers listeners and looks them up.
pub(crate) struct Looks {
    waiting: Mutex<Waiting>,
    room: Semaphore,
    begun: Instant,
    look_up: LookUp,
}

impl Looks {
    pub(crate) fn new(look_up: LookUp) -> Arc<Self> {
        let (waiting, room, begun) = (Mutex::default(), Semaphore::new(AT_ONCE), Instant::now());
        Arc::new(Self { waiting, room, begun, look_up })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long it is until the tenant's listeners look next, when they look every so often. It is the same moment for all of
    /// a tenant, and another for each tenant.
    pub(crate) fn until_next(&self, tenant: TenantId, every: Duration) -> Duration {
        let every_ms = every.as_millis().max(1);
        let offset_ms = tenant.uuid().as_u128() % every_ms;
        let past_ms = (self.begun.elapsed().as_millis() + offset_ms) % every_ms;
        Duration::from_millis(u64::try_from(every_ms - past_ms).unwrap_or(u64::MAX))
    }

    /// Whether this caller would be let in again. Who can't be looked up stays.
    pub(crate) async fn look(self: &Arc<Self>, known: &SignedIn) -> bool {
        let (tell, told) = oneshot::channel();
        let tenant = known.actor.tenant;
        let is_first = {
            let mut waiting = self.waiting();
            let of_tenant = waiting.entry(tenant).or_default();
            of_tenant.push((known.clone(), tell));
            of_tenant.len() == 1
        };
        if is_first {
            // On a task of its own: who began it may stop listening before the others have their answer.
            let gathering = Gathering { looks: Arc::clone(self), tenant, ended: false };
            tokio::spawn(gathering.look_together());
        }
        timeout(PATIENCE, told).await.ok().and_then(Result::ok).unwrap_or(true)
    }
}

/// A tenant's listeners being gathered. When its task is given up, they are let go, and the next one begins anew.
struct Gathering {
    looks: Arc<Looks>,
    tenant: TenantId,
    ended: bool,
}

impl Gathering {
    async fn look_together(self) {
        let (looks, tenant) = (Arc::clone(&self.looks), self.tenant);
        sleep(GATHER).await;
        // It is never closed.
        let _room = looks.room.acquire().await;
        let mut asked = self.end();
        asked.retain(|(_, tell)| !tell.is_closed());
        let known = asked.iter().map(|(known, _)| known.clone()).collect();
        let good = (looks.look_up)(tenant, known).await;
        for ((_, tell), good) in asked.into_iter().zip(good) {
            // Who went away meanwhile needs no answer.
            let _gone = tell.send(good);
        }
    }

    /// Those who came.
    fn end(mut self) -> Vec<(SignedIn, oneshot::Sender<bool>)> {
        self.ended = true;
        self.looks.waiting().remove(&self.tenant).unwrap_or_default()
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        if !self.ended {
            let _let_go = self.looks.waiting().remove(&self.tenant);
        }
    }
}

impl fmt::Debug for Looks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Looks").field("tenants_waiting", &self.waiting().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use domain::kernel::{
        actor::{Actor, Principal},
        clock::Timestamp,
    };
    use futures_util::{FutureExt as _, future::join_all};
    use uuid::Uuid;

    use super::*;

    fn tenant(number: u128) -> TenantId {
        TenantId::from_uuid(Uuid::from_u128(number))
    }

    /// A caller of a tenant, told from others by when their credential ends.
    fn caller(of: u128, number: i64) -> SignedIn {
        SignedIn {
            actor: Actor { tenant: tenant(of), principal: Principal::System },
            mfa: None,
            expires_at: Timestamp::from_timestamp(number, 0).unwrap_or_default(),
        }
    }

    #[tokio::test]
    async fn those_of_a_tenant_are_looked_up_together_and_each_has_their_own_answer() {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let looks = Looks::new(Box::new(move |tenant, known| {
            counted.fetch_add(1, Ordering::Relaxed);
            assert!(known.iter().all(|known| known.actor.tenant == tenant));
            let good = known.iter().map(|known| known.expires_at.timestamp() % 2 == 0).collect();
            async move { good }.boxed()
        }));
        let all: Vec<_> = (0..6).flat_map(|of| (0..100).map(move |number| caller(of, number))).collect();
        let answers = join_all(all.iter().map(|known| looks.look(known))).await;
        for (known, good) in all.iter().zip(answers) {
            assert_eq!(good, known.expires_at.timestamp() % 2 == 0);
        }
        assert_eq!(calls.load(Ordering::Relaxed), 6, "once for each tenant");
    }

    #[tokio::test]
    async fn who_goes_away_takes_nobody_elses_answer_along() {
        let looks = Looks::new(Box::new(|_, known| async move { vec![false; known.len()] }.boxed()));
        let (gone, stays) = (caller(1, 1), caller(1, 2));
        let mut first = Box::pin(looks.look(&gone));
        assert!(futures_util::poll!(&mut first).is_pending());
        let second = looks.look(&stays);
        drop(first);
        assert!(!second.await);
    }

    #[test]
    fn a_gathering_that_is_given_up_lets_its_listeners_go_and_the_next_begins_anew() {
        let looks = Looks::new(Box::new(|_, known| async move { vec![false; known.len()] }.boxed()));
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().expect("starts");
        let (gone, other) = (runtime(), runtime());
        let (first, second) = (caller(1, 1), caller(1, 2));
        // The thread of the first gathers for both, and goes away before it has looked.
        let mut gathers = Box::pin(looks.look(&first));
        gone.block_on(async { assert!(futures_util::poll!(&mut gathers).is_pending()) });
        let mut joins = Box::pin(looks.look(&second));
        other.block_on(async { assert!(futures_util::poll!(&mut joins).is_pending()) });
        drop((gathers, gone));
        assert!(other.block_on(joins), "who could not be looked up stays");
        assert!(!other.block_on(looks.look(&second)), "and is looked up the next time");
    }

    #[tokio::test]
    async fn few_tenants_are_looked_up_at_the_same_time_and_all_come_to_it() {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, greatest) = (Arc::clone(&now), Arc::clone(&most));
        let looks = Looks::new(Box::new(move |_, known| {
            let (now, most) = (Arc::clone(&counted), Arc::clone(&greatest));
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                sleep(Duration::from_millis(1)).await;
                now.fetch_sub(1, Ordering::Relaxed);
                vec![false; known.len()]
            }
            .boxed()
        }));
        let all: Vec<_> = (0..50).map(|of| caller(of, 1)).collect();
        let answers = join_all(all.iter().map(|known| looks.look(known))).await;
        assert!(answers.iter().all(|good| !good));
        assert_eq!((most.load(Ordering::Relaxed), now.load(Ordering::Relaxed)), (AT_ONCE, 0));
    }

    #[tokio::test]
    async fn when_nothing_is_found_out_all_stay() {
        let looks = Looks::new(Box::new(|_, _| async { Vec::new() }.boxed()));
        assert!(looks.look(&caller(1, 1)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenants_listeners_look_at_the_same_moments() {
        let looks = Looks::new(Box::new(|_, _| async { Vec::new() }.boxed()));
        let every = Duration::from_secs(4);
        for of in [1, 1_234, 4_001] {
            let now = Instant::now();
            let next = now + looks.until_next(tenant(of), every);
            tokio::time::advance(Duration::from_millis(333)).await;
            let again = Instant::now() + looks.until_next(tenant(of), every);
            assert!(next == again || again == next + every, "{next:?} {again:?}");
            assert!(next > now && next <= now + every);
        }
    }
}
