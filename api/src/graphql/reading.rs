//! Transactions to read in. The resolvers of one query take turns in one, as far as they don't work at once: a transaction
//! costs as much as the statement in it.
//!
//! Invariants: what is in use is nobody else's; a transaction in which something failed, was given up half way or was
//! written is not used again; at most one waits for its next user, so that a query holds no connection that it does not
//! use while it asks for another.
//!
//! Absent on purpose: mutations, which have a transaction of their own to commit, and subscriptions, whose requests last
//! for hours.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
};

use async_graphql::Context;
use domain::{
    kernel::{actor::Actor, outbox::Origin},
    work::Work,
};

use super::{
    command::{app, caller, compliance_id},
    error::ApiError,
};

/// The transaction of a query that is not in use now.
#[derive(Default)]
pub(crate) struct Reads {
    idle: Mutex<Option<Box<dyn Work>>>,
}

impl Reads {
    fn idle(&self) -> std::sync::MutexGuard<'_, Option<Box<dyn Work>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reads").field("has_idle", &self.idle().is_some()).finish()
    }
}

/// A transaction in use. It goes back to its query when dropped.
pub(super) struct Reading {
    /// There until it is dropped.
    work: Option<Box<dyn Work>>,
    home: Option<Arc<Reads>>,
}

impl Deref for Reading {
    type Target = dyn Work;

    fn deref(&self) -> &Self::Target {
        #[expect(clippy::expect_used, reason = "only `drop` takes it out")]
        self.work.as_deref().expect("there until it is dropped")
    }
}

impl DerefMut for Reading {
    fn deref_mut(&mut self) -> &mut Self::Target {
        #[expect(clippy::expect_used, reason = "only `drop` takes it out")]
        self.work.as_deref_mut().expect("there until it is dropped")
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let (Some(work), Some(home)) = (self.work.take(), &self.home)
            && work.is_unspoilt()
        {
            // Another that waits there is rolled back by being dropped, outside of the lock.
            let _other = home.idle().replace(work);
        }
    }
}

/// A transaction to read in, and who asks.
pub(super) async fn reading(ctx: &Context<'_>, field: &'static str) -> Result<(Actor, Reading), ApiError> {
    let app = app(ctx);
    let actor = caller(ctx)?.signed_in().actor.clone();
    let home = ctx.data_opt::<Arc<Reads>>().cloned();
    let idle = home.as_ref().and_then(|home| home.idle().take());
    let work = match idle {
        Some(work) => work,
        None => {
            let origin = Origin::system(compliance_id(ctx), field);
            app.units.begin(actor.scope(), &origin).await?
        }
    };
    Ok((actor, Reading { work: Some(work), home }))
}
