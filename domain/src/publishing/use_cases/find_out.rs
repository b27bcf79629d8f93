//! What became of a creation that had no answer, and how what is there stands, is read on the platform.

use chrono::TimeDelta;

use super::{
    super::{
        events::NoteKind,
        model::{Post, PostState, PostStatus, Reading, Settled},
        ports::ListPage,
    },
    Publishing,
    publish_due::{Halt, Hands, Shift},
};

/// Pages of an account's posts that are read at most: as many posts as one could make in weeks.
const PAGES_MAX: u32 = 50;

/// Pause before that is tried again, in seconds.
const TOO_MANY_PAUSE_S: i64 = 900;

impl Publishing {
    /// Reads the account's posts as far back as it takes.
    pub(super) async fn find_out(&self, shift: &mut Shift, hands: &Hands, post: &Post) -> Result<(), Halt> {
        let scope = shift.turn.scope;
        let mut reading = Reading::begin(post, self.0.clock.now()).ok_or(Halt::Rest)?;
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let page = hands.publisher.list(&scope, &hands.lease, cursor).await;
            let page: ListPage = self.or_hinder(shift, hands, post, page).await?;
            let items: Vec<_> = page.posts.iter().map(|listed| listed.item.clone()).collect();
            let mut tx = self.0.units.begin(scope, &shift.origin).await?;
            let known = tx.known_items(post.account, &items, post.id).await?;
            drop(tx);
            if reading.take(&page, &known) {
                break;
            }
            cursor = page.next;
        }
        if !reading.is_complete() {
            self.change(shift, post.id, |post, now| {
                let why = "the account has more posts than are read";
                post.held(why.to_owned(), now + TimeDelta::seconds(TOO_MANY_PAUSE_S), now);
                Ok(Some((NoteKind::Held, Some(why.to_owned()))))
            })
            .await?;
            return Ok(());
        }
        let settle = self.0.settle;
        let moved = self
            .change(shift, post.id, |post, now| {
                let settled = post.settle(reading, settle, now)?;
                let kind = match settled {
                    Settled::Found => NoteKind::Found,
                    Settled::Absent => NoteKind::Absent,
                    Settled::Stuck => NoteKind::Stuck,
                    Settled::NotYet => return Ok(None),
                };
                let mut detail = post.state.item().map(ToOwned::to_owned);
                if let PostState::OutcomeUnknown { candidates, .. } = &post.state {
                    detail = Some(format!("{} posts that nobody here knows", candidates.len()));
                }
                Ok(Some((kind, detail)))
            })
            .await?;
        if moved.state.item().is_some() {
            shift.end.accepted_after = moved.accepted_at.map(|at| at - moved.planned_at);
        }
        Ok(())
    }

    /// Reads how a post that is there stands.
    pub(super) async fn look(&self, shift: &mut Shift, hands: &Hands, post: &Post) -> Result<(), Halt> {
        let Some(item) = post.state.item().map(ToOwned::to_owned) else { return Err(Halt::Rest) };
        let items = std::slice::from_ref(&item);
        let found = hands.publisher.look_up(&shift.turn.scope, &hands.lease, items).await;
        let found = self.or_hinder(shift, hands, post, found).await?;
        let standing = found.into_iter().find(|listed| listed.item == item).map(|listed| listed.standing);
        self.change(shift, post.id, |post, now| {
            let was = post.state.status();
            post.looked(standing, now)?;
            let status = post.state.status();
            let kinds = [
                (PostStatus::Live, NoteKind::Live),
                (PostStatus::Rejected, NoteKind::Rejected),
                (PostStatus::Gone, NoteKind::Gone),
            ];
            let kind = kinds.into_iter().find(|(of, _)| *of == status && status != was);
            Ok(kind.map(|(_, kind)| (kind, Some(item))))
        })
        .await?;
        Ok(())
    }
}
