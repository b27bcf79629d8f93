//! What became of a creation that had no answer, and how what is there stands, is read on the platform.

use std::collections::HashMap;

use chrono::TimeDelta;

use super::{
    super::{
        events::{NoteKind, PublishingEvent, PublishingFact},
        model::{Post, PostState, PostStatus, Reading, Settled},
        ports::{Listed, PublishingTx},
    },
    Publishing,
    publish_due::{Halt, Hands, Shift},
};
use crate::{
    kernel::{
        ids::AccountId,
        outbox::Origin,
        platform::{PlatformError, RefusalKind},
        scope::TenantScope,
    },
    publishing::PublishingError,
};

/// Pages of an account's posts that are read at most: as many posts as one could make in weeks.
const PAGES_MAX: u32 = 50;

/// Pause before that is tried again, in seconds.
const TOO_MANY_PAUSE_S: i64 = 900;

/// How long reading may fail before somebody must look, in seconds.
pub(super) const UNREADABLE_S: i64 = 1_800;

/// Posts that are looked at with one call: platforms list no more on a page.
const LOOKS_AT_ONCE: u32 = 20;

/// Least time between two looks at a post that the platform tells of, in seconds.
const STIRRED_S: i64 = 60;

/// How much earlier than it is due a post is looked at along with another, in seconds.
const LOOK_AHEAD_S: i64 = 30;

impl Publishing {
    /// Reads the account's posts as far back as it takes.
    pub(super) async fn find_out(&self, shift: &mut Shift, hands: &Hands, post: &Post) -> Result<(), Halt> {
        let scope = shift.turn.scope;
        let begun_at = self.instant(shift).await?;
        let mut reading = Reading::begin(post, begun_at).ok_or(Halt::Rest)?;
        if let PostState::OutcomeUnknown { candidates, .. } = &post.state
            && !candidates.is_empty()
        {
            // Some may have turned out to be another post's since.
            let items: Vec<_> = candidates.iter().map(|candidate| candidate.item.clone()).collect();
            let mut tx = self.0.units.begin(scope, &shift.origin).await?;
            reading.know(tx.known_items(post.account, &items, post.id).await?);
        }
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let page = match hands.publisher.list(&scope, &hands.lease, cursor).await {
                Ok(page) => page,
                Err(error) => return self.unreadable(shift, hands, post, &error).await,
            };
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
            const WHY: &str = "the account has more posts than are read";
            self.hold(shift, post.id, WHY, TimeDelta::seconds(TOO_MANY_PAUSE_S)).await?;
            return self.stuck(shift, post, WHY, TimeDelta::zero()).await;
        }
        let (settle, evidence) = (self.0.settle, reading.evidence());
        let moved = self
            .change(shift, post.id, |post, now| {
                let was_stuck = matches!(post.state, PostState::OutcomeUnknown { is_stuck: true, .. });
                let kind = match post.settle(reading, settle, now)? {
                    Settled::Found => NoteKind::Found,
                    Settled::Absent => NoteKind::Absent,
                    Settled::Stuck if !was_stuck => NoteKind::Stuck,
                    Settled::Stuck | Settled::NotYet => return Ok(None),
                };
                let item = post.state.item().map_or_else(String::new, |item| format!("{item}; "));
                Ok(Some((kind, Some(format!("{item}{evidence}")))))
            })
            .await?;
        if moved.state.item().is_some() {
            shift.end.late = moved.late();
        }
        Ok(())
    }

    /// Reading was not answered. When it is refused for a reason that stays, somebody must look instead.
    async fn unreadable(
        &self,
        shift: &mut Shift,
        hands: &Hands,
        post: &Post,
        error: &PlatformError,
    ) -> Result<(), Halt> {
        self.hinder(shift, Some(&hands.lease), &[post.id], error).await?;
        let passes = |kind| {
            matches!(kind, RefusalKind::TokenDead | RefusalKind::QuotaUsedUp | RefusalKind::PostsUsedUp)
        };
        let stays = matches!(error, PlatformError::Refused(refusal) if !passes(refusal.kind));
        // What may pass is waited for, but not while the account's other posts wait for ever.
        let patience = TimeDelta::seconds(if stays { 0 } else { UNREADABLE_S });
        self.stuck(shift, post, "the account's posts can't be read on the platform", patience).await
    }

    /// Reading says no more, or can't be done, for so long beside the time that lists may take.
    pub(super) async fn stuck(
        &self,
        shift: &mut Shift,
        post: &Post,
        why: &str,
        patience: TimeDelta,
    ) -> Result<(), Halt> {
        let settle = self.0.settle + patience;
        self.change(shift, post.id, |post, now| {
            post.give_up_reading(settle, now)?;
            Ok(Some((NoteKind::Stuck, Some(why.to_owned()))))
        })
        .await?;
        Ok(())
    }

    /// The platform tells that a post's figures have moved: it is looked at soon, and once a minute at most, however often
    /// it is told of.
    ///
    /// # Errors
    /// `Port`.
    pub async fn hurry_look(
        &self,
        origin: &Origin,
        scope: TenantScope,
        account: AccountId,
        item: &str,
    ) -> Result<(), PublishingError> {
        let mut tx = self.0.units.begin(scope, origin).await?;
        let Some(id) = tx.post_by_item(account, item).await? else { return Ok(()) };
        let now = self.0.clock.now();
        let read_at = tx.newest_figures(&[id]).await?.get(&id).map(|reading| reading.read_at);
        let at = read_at.map_or(now, |read_at| now.max(read_at + TimeDelta::seconds(STIRRED_S)));
        tx.wake_account(account, None).await?;
        let Some(mut post) = tx.lock_post(id).await? else { return Ok(()) };
        if post.stirred(at) {
            tx.update_post(&post).await?;
            tx.wake_account(account, Some(at)).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Reads how the account's posts stand that are there: all that are due, with one call.
    pub(super) async fn look(&self, shift: &mut Shift, hands: &Hands) -> Result<(), Halt> {
        let (scope, account) = (shift.turn.scope, shift.turn.account);
        let now = self.instant(shift).await?;
        let mut tx = self.0.units.begin(scope, &shift.origin).await?;
        let ahead = now + TimeDelta::seconds(LOOK_AHEAD_S);
        let due = tx.due_looks(account, ahead, LOOKS_AT_ONCE).await?;
        drop(tx);
        let items: Vec<_> = due.iter().map(|(_, item)| item.clone()).collect();
        let mut found = hands.publisher.look_up(&scope, &hands.lease, &items).await;
        let mut due = due;
        // One that the platform does not understand is in no other's way: the most urgent is looked at alone.
        if let Err(PlatformError::Refused(refusal)) = &found
            && refusal.kind == RefusalKind::BadCall
            && due.len() > 1
        {
            due.truncate(1);
            found = hands.publisher.look_up(&scope, &hands.lease, &items[..1]).await;
        }
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                let ids: Vec<_> = due.iter().map(|(id, _)| *id).collect();
                return self.hinder(shift, Some(&hands.lease), &ids, &error).await;
            }
        };
        let found: HashMap<_, _> = found.into_iter().map(|listed| (listed.item.clone(), listed)).collect();
        let mut tx = self.0.units.begin(scope, &shift.origin).await?;
        let now = tx.hold_turn(&shift.turn, TimeDelta::seconds(LOOK_AHEAD_S)).await?.ok_or(Halt::Lost)?;
        let mut figures = Vec::with_capacity(due.len());
        for (id, item) in due {
            let Some(mut post) = tx.lock_post(id).await? else { continue };
            let listed = found.get(&item);
            if post.state.item() != Some(item.as_str()) {
                continue;
            }
            let was = post.state.status();
            post.looked(listed.map(|listed| listed.standing), self.0.pace, now)?;
            let told = told_of_look(&post, was, item);
            self.step(&mut *tx, shift, &mut post, told).await?;
            figures.extend(listed.map(|listed: &Listed| (id, listed.figures)));
        }
        if !figures.is_empty() && tx.keep_figures(&figures, now).await? {
            let fact = PublishingFact::FiguresMoved(account);
            PublishingTx::announce(&mut *tx, PublishingEvent { fact, at: now });
        }
        tx.commit().await?;
        Ok(())
    }
}

/// What a look is told as: nothing when the post stands as before.
fn told_of_look(post: &Post, was: PostStatus, item: String) -> Option<(NoteKind, Option<String>)> {
    let status = post.state.status();
    let kinds = [
        (PostStatus::UnderReview, NoteKind::Reviewing),
        (PostStatus::Live, NoteKind::Live),
        (PostStatus::Rejected, NoteKind::Rejected),
        (PostStatus::Gone, NoteKind::Gone),
    ];
    let kind = kinds.into_iter().find(|(of, _)| *of == status && status != was);
    kind.map(|(_, kind)| (kind, Some(item)))
}
