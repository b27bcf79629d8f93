//! Who in this process listens to which tenant, for the news of one context.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::kernel::{
    feed::{Fact, News},
    scope::TenantScope,
};
use tokio::sync::{Notify, broadcast, watch};

/// One room for each tenant that somebody listens to. Rooms outlive the connection to Redis: when it is lost,
/// listeners stay, and hear what this process announces.
pub(super) struct Rooms<F> {
    state: Mutex<State<F>>,
    /// Events kept for a slow listener.
    buffer: usize,
    /// Told when rooms come or go, and when all are closed. One task waits.
    changed: Notify,
    /// Whether Redis tells this process the news of all its rooms.
    settled: watch::Sender<bool>,
}

struct State<F> {
    by_tenant: HashMap<TenantScope, Room<F>>,
    /// Tenants whose subscription may have to change.
    changes: HashSet<TenantScope>,
    /// Rooms whose subscription is not confirmed.
    deaf: usize,
    /// Whether there is a connection; `None` before the first attempt has ended.
    linked: Option<bool>,
    closed: bool,
}

struct Room<F> {
    news: broadcast::Sender<News<F>>,
    listeners: usize,
    /// Whether Redis has confirmed the subscription of this tenant's channel.
    heard: watch::Sender<bool>,
}

/// A listener's place. Dropped, it is given up, and the room with it when it was the last.
pub(super) struct Place<F: Fact> {
    pub(super) news: broadcast::Receiver<News<F>>,
    pub(super) heard: watch::Receiver<bool>,
    scope: TenantScope,
    rooms: Arc<Rooms<F>>,
}

impl<F: Fact> Rooms<F> {
    pub(super) fn new(buffer: usize) -> Self {
        Self {
            state: Mutex::new(State {
                by_tenant: HashMap::new(),
                changes: HashSet::new(),
                deaf: 0,
                linked: None,
                closed: false,
            }),
            buffer: buffer.max(1),
            changed: Notify::new(),
            settled: watch::Sender::new(false),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<F>> {
        // No code under this lock panics half-way; were it to, the maps would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place in the tenant's room; `None` once all are closed.
    pub(super) fn join(self: &Arc<Self>, scope: TenantScope) -> Option<Place<F>> {
        let mut guard = self.state();
        let state = &mut *guard;
        if state.closed {
            return None;
        }
        let room = state.by_tenant.entry(scope).or_insert_with(|| {
            state.changes.insert(scope);
            state.deaf += 1;
            self.settled.send_replace(false);
            self.changed.notify_one();
            Room { news: broadcast::Sender::new(self.buffer), listeners: 0, heard: watch::Sender::new(false) }
        });
        room.listeners += 1;
        let (news, heard) = (room.news.subscribe(), room.heard.subscribe());
        drop(guard);
        Some(Place { news, heard, scope, rooms: Arc::clone(self) })
    }

    fn leave(&self, scope: TenantScope) {
        let mut state = self.state();
        let Some(room) = state.by_tenant.get_mut(&scope) else { return };
        room.listeners -= 1;
        if room.listeners == 0 {
            let heard = *room.heard.borrow();
            state.by_tenant.remove(&scope);
            state.deaf -= usize::from(!heard);
            state.changes.insert(scope);
            self.changed.notify_one();
        }
    }

    /// Tells those in the tenant's room, if there is one.
    pub(super) fn tell(&self, scope: TenantScope, events: &[News<F>]) {
        let news = self.state().by_tenant.get(&scope).map(|room| room.news.clone());
        let Some(news) = news else { return };
        for event in events {
            // Fails when the last listener has just left.
            let _ = news.send(*event);
        }
    }

    /// Tenants somebody began or ceased to listen to since this was last asked, and whether anybody does now. All
    /// that are listened to, after [`Self::unlinked`].
    pub(super) fn take_changes(&self) -> Vec<(TenantScope, bool)> {
        let mut state = self.state();
        let changes = std::mem::take(&mut state.changes);
        changes.into_iter().map(|scope| (scope, state.by_tenant.contains_key(&scope))).collect()
    }

    /// Redis is there and tells the news of these tenants, and of those confirmed before.
    pub(super) fn confirm(&self, scopes: &[TenantScope]) {
        let mut guard = self.state();
        let state = &mut *guard;
        state.linked = Some(true);
        for scope in scopes {
            // Given up meanwhile: that is a change yet to be taken.
            let Some(room) = state.by_tenant.get(scope) else { continue };
            state.deaf -= usize::from(!room.heard.send_replace(true));
        }
        let settled = state.deaf == 0;
        self.settled.send_if_modified(|was| std::mem::replace(was, settled) != settled);
    }

    /// Redis tells no news: everything has to be subscribed again.
    pub(super) fn unlinked(&self) {
        let mut guard = self.state();
        let state = &mut *guard;
        state.linked = Some(false);
        state.deaf = state.by_tenant.len();
        state.changes = state.by_tenant.keys().copied().collect();
        for room in state.by_tenant.values() {
            room.heard.send_replace(false);
        }
        self.settled.send_replace(false);
    }

    /// Whether Redis is known to be away, so that waiting for it to confirm a subscription is idle.
    pub(super) fn is_cut_off(&self) -> bool {
        self.state().linked == Some(false)
    }

    pub(super) fn settled(&self) -> watch::Receiver<bool> {
        self.settled.subscribe()
    }

    /// Waits until rooms have come or gone since the last wait.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Ends all listening, for good. What is buffered is still heard.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.by_tenant.clear();
        state.deaf = 0;
        self.changed.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }
}

impl<F: Fact> Drop for Place<F> {
    fn drop(&mut self) {
        self.rooms.leave(self.scope);
    }
}

#[cfg(test)]
mod tests {
    use domain::{
        identity::events::{IdentityEvent, IdentityFact},
        kernel::ids::{MemberId, TenantId},
    };
    use tokio::sync::broadcast::error::{RecvError, TryRecvError};
    use uuid::Uuid;

    use super::*;

    fn scope(n: u128) -> TenantScope {
        TenantScope::of(TenantId::from_uuid(Uuid::from_u128(n)))
    }

    fn rooms() -> Arc<Rooms<IdentityFact>> {
        Arc::new(Rooms::new(4))
    }

    fn event(n: u128) -> IdentityEvent {
        let fact = IdentityFact::MemberJoined(MemberId::from_uuid(Uuid::from_u128(n)));
        IdentityEvent { fact, at: chrono::DateTime::UNIX_EPOCH }
    }

    #[test]
    fn only_the_tenants_room_hears() {
        let rooms = rooms();
        let mut one = rooms.join(scope(1)).expect("open");
        let mut other = rooms.join(scope(2)).expect("open");
        rooms.tell(scope(1), &[event(7)]);
        rooms.tell(scope(3), &[event(8)]);
        assert_eq!(one.news.try_recv(), Ok(event(7)));
        assert_eq!(one.news.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(other.news.try_recv(), Err(TryRecvError::Empty));
    }

    #[test]
    fn a_room_lasts_as_long_as_its_last_listener() {
        let rooms = rooms();
        let (first, second) = (rooms.join(scope(1)), rooms.join(scope(1)));
        drop(first);
        assert_eq!(rooms.take_changes(), [(scope(1), true)]);
        drop(second);
        assert_eq!(rooms.take_changes(), [(scope(1), false)]);
        assert!(rooms.take_changes().is_empty());
    }

    #[test]
    fn settled_means_all_rooms() {
        let rooms = rooms();
        let settled = rooms.settled();
        let is = |expected: bool| assert_eq!(*settled.borrow(), expected);
        is(false);
        rooms.confirm(&[]);
        is(true);
        let one = rooms.join(scope(1)).expect("open");
        let other = rooms.join(scope(2)).expect("open");
        is(false);
        rooms.confirm(&[scope(1), scope(1), scope(3)]);
        is(false);
        assert!(*one.heard.borrow() && !*other.heard.borrow());
        rooms.confirm(&[scope(2)]);
        is(true);
        rooms.unlinked();
        is(false);
        assert!(!*one.heard.borrow() && rooms.is_cut_off());
        assert_eq!(rooms.take_changes().len(), 2, "all is to be subscribed again");
        rooms.confirm(&[scope(1)]);
        drop(other);
        rooms.confirm(&[]);
        is(true);
    }

    /// The connection knows a tenant whose last listener left and came back, and is asked again.
    #[test]
    fn a_room_made_again_is_confirmed_again() {
        let rooms = rooms();
        drop(rooms.join(scope(1)));
        let again = rooms.join(scope(1)).expect("open");
        assert_eq!(rooms.take_changes(), [(scope(1), true)]);
        assert!(!*again.heard.borrow());
        rooms.confirm(&[scope(1)]);
        assert!(*again.heard.borrow() && *rooms.settled().borrow());
    }

    #[tokio::test]
    async fn closing_ends_listening_after_what_is_buffered() {
        let rooms = rooms();
        let mut place = rooms.join(scope(1)).expect("open");
        rooms.tell(scope(1), &[event(1)]);
        rooms.close();
        assert_eq!(place.news.recv().await, Ok(event(1)));
        assert_eq!(place.news.recv().await, Err(RecvError::Closed));
        assert!(rooms.join(scope(1)).is_none());
    }
}
