//! Transactions to read in. The resolvers of one query take turns in one, as far as they don't work at once: a transaction
//! costs as much as the statement in it.
//!
//! Invariants: what is in use is nobody else's; a transaction in which something failed, was given up half way or may have
//! been written is not used again; a query keeps at most one that it does not use, and none while one of its resolvers
//! waits for a connection; however many of its resolvers work at once, it takes no more than [`AT_ONCE`] connections, so
//! that none takes all there are from others. A resolver never asks for a second while it has one.
//!
//! Absent on purpose: mutations, which have a transaction of their own to commit, and subscriptions, whose requests last
//! for hours.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_graphql::Context;
use domain::{
    kernel::{actor::Actor, outbox::Origin},
    work::Work,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    command::{app, caller, compliance_id},
    error::ApiError,
};

/// Transactions that the resolvers of one query have at the same time, at most.
const AT_ONCE: usize = 4;

/// Longest a transaction waits for its next user. Well below what the database lets one be idle for.
const IDLE: Duration = Duration::from_secs(2);

/// What a query keeps of its transactions while none of its resolvers uses them.
pub(crate) struct Reads {
    state: Mutex<State>,
    places: Arc<Semaphore>,
}

impl Default for Reads {
    fn default() -> Self {
        Self { state: Mutex::default(), places: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

#[derive(Default)]
struct State {
    /// The one that waits for its next user, and since when.
    idle: Option<(Instant, Box<dyn Work>)>,
    /// Resolvers that wait for a connection. While there are any, what comes back is given up: otherwise queries that each
    /// keep one and wait for another would wait for one another.
    waiting: usize,
}

impl Reads {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The transaction that is idle, or a place among those who wait for a connection.
    fn take(self: &Arc<Self>) -> Result<Box<dyn Work>, Waits> {
        let mut state = self.state();
        match state.idle.take() {
            Some((since, work)) if since.elapsed() < IDLE => Ok(work),
            _ => {
                state.waiting += 1;
                Err(Waits(Arc::clone(self)))
            }
        }
    }

    /// Keeps it for the next, unless somebody waits for a connection.
    fn keep(&self, work: Box<dyn Work>) {
        let mut state = self.state();
        // Whichever is given up is rolled back by being dropped, once the lock is free.
        let _given_up = if state.waiting == 0 {
            state.idle.replace((Instant::now(), work))
        } else {
            Some((Instant::now(), work))
        };
        drop(state);
    }
}

impl fmt::Debug for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let (has_idle, waiting) = (state.idle.is_some(), state.waiting);
        f.debug_struct("Reads").field("has_idle", &has_idle).field("waiting", &waiting).finish()
    }
}

/// A resolver that waits for a connection.
struct Waits(Arc<Reads>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}

/// A transaction in use. It goes back to its query when dropped.
pub(super) struct Reading {
    /// There until it is dropped.
    work: Option<Box<dyn Work>>,
    home: Option<Arc<Reads>>,
    /// Free again once the transaction is back.
    _place: Option<OwnedSemaphorePermit>,
}

impl Reading {
    /// Gives the connection back at once: before something else is waited for.
    pub(super) fn let_go(mut self) {
        drop(self.work.take());
    }
}

impl Deref for Reading {
    type Target = dyn Work;

    fn deref(&self) -> &Self::Target {
        #[expect(clippy::expect_used, reason = "only what ends it takes it out")]
        self.work.as_deref().expect("there until it is dropped")
    }
}

impl DerefMut for Reading {
    fn deref_mut(&mut self) -> &mut Self::Target {
        #[expect(clippy::expect_used, reason = "only what ends it takes it out")]
        self.work.as_deref_mut().expect("there until it is dropped")
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let (Some(work), Some(home)) = (self.work.take(), &self.home)
            && work.is_unspoilt()
        {
            home.keep(work);
        }
    }
}

/// A transaction to read in, and who asks.
pub(super) async fn reading(ctx: &Context<'_>, field: &'static str) -> Result<(Actor, Reading), ApiError> {
    let app = app(ctx);
    let actor = caller(ctx)?.signed_in().actor.clone();
    let home = ctx.data_opt::<Arc<Reads>>().cloned();
    let place = match &home {
        // It is never closed.
        Some(home) => Arc::clone(&home.places).acquire_owned().await.ok(),
        None => None,
    };
    let waits = match home.as_ref().map(Reads::take) {
        Some(Ok(work)) => return Ok((actor, Reading { work: Some(work), home, _place: place })),
        Some(Err(waits)) => Some(waits),
        None => None,
    };
    let origin = Origin::system(compliance_id(ctx), field);
    let work = app.units.begin(actor.scope(), &origin).await?;
    drop(waits);
    Ok((actor, Reading { work: Some(work), home, _place: place }))
}
