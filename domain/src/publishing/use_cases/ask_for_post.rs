//! The platform is asked for a post: once, written down before.

use std::time::Duration;

use chrono::TimeDelta;

use super::{
    super::{
        events::NoteKind,
        model::{CREATE_WITHIN_S, Post, PostState},
        ports::NewPost,
    },
    Publishing,
    publish_due::{Halt, Hands, Shift, Was},
};
use crate::kernel::{
    ids::PostId,
    platform::{PlatformError, RefusalKind},
};

/// From when on after it was written down the platform is not asked any more, in seconds: what is left of the time is for
/// its answer.
const ASK_WITHIN_S: i64 = 20;

impl Publishing {
    pub(super) async fn ask_for_post(
        &self,
        shift: &mut Shift,
        hands: &Hands,
        post: &Post,
    ) -> Result<(), Halt> {
        let mut asked = None;
        let post = self
            .change(shift, post.id, |post, now| {
                let (number, medium) = post.creation_begun(now)?;
                let detail = format!("creation {number}");
                asked = Some((number, medium, now));
                Ok(Some((NoteKind::Asked, Some(detail))))
            })
            .await?;
        let Some((number, medium, asked_at)) = asked else { return Err(Halt::Rest) };
        // A process that was stopped meanwhile and goes on must not ask what nobody expects any more.
        let gone_by = self.0.clock.now() - asked_at;
        if gone_by < TimeDelta::zero() || gone_by > TimeDelta::seconds(ASK_WITHIN_S) {
            self.change(shift, post.id, |post, _| {
                post.not_asked(number)?;
                Ok(Some((NoteKind::NotAsked, Some("too much time had passed".to_owned()))))
            })
            .await?;
            return Err(Halt::Rest);
        }
        let left = TimeDelta::seconds(CREATE_WITHIN_S) - gone_by;
        let new = NewPost {
            caption: &post.draft.caption,
            cover_at_ms: post.draft.cover_at_ms,
            visibility: post.draft.visibility,
        };
        let within = left.to_std().unwrap_or(Duration::ZERO);
        let answer = hands.publisher.create(&shift.turn.scope, &hands.lease, &medium, &new, within).await;
        match answer {
            Ok(item) => self.accept(shift, post.id, number, item).await,
            Err(error) => self.not_created(shift, hands, &post, number, &error).await,
        }
    }

    /// Takes a yes in, whoever has the turn by now.
    async fn accept(&self, shift: &mut Shift, id: PostId, number: u32, item: String) -> Result<(), Halt> {
        let mut tx = self.0.units.begin(shift.turn.scope, &shift.origin).await?;
        tx.wake_account(shift.turn.account, None).await?;
        let mut post = tx.lock_post(id).await?.ok_or(Halt::Rest)?;
        post.created(number, Ok(item.clone()), self.0.clock.now())?;
        let is_duplicate = post.duplicates().any(|other| other == item);
        let kind = if is_duplicate { NoteKind::Duplicated } else { NoteKind::Created };
        self.step(&mut *tx, shift, &mut post, Some((kind, Some(item)))).await?;
        if let Some(due_at) = post.next_at() {
            tx.wake_account(shift.turn.account, Some(due_at)).await?;
        }
        tx.commit().await?;
        shift.end.accepted_after = post.accepted_at.map(|at| at - post.planned_at);
        Ok(())
    }

    async fn not_created(
        &self,
        shift: &mut Shift,
        hands: &Hands,
        post: &Post,
        number: u32,
        error: &PlatformError,
    ) -> Result<(), Halt> {
        if matches!(error, PlatformError::Refused(refusal) if refusal.kind == RefusalKind::TokenDead) {
            let turn = shift.turn;
            let version = hands.lease.version;
            let told = self.0.accounts.token_refused(&shift.origin, turn.scope, turn.account, version).await;
            told.map_err(crate::publishing::PublishingError::from)?;
        }
        self.change(shift, post.id, |post, now| {
            let was = Was::of(post);
            post.created(number, Err(error), now)?;
            let is_unknown = matches!(post.state, PostState::OutcomeUnknown { .. });
            let lost = || Some((NoteKind::AnswerLost, Some(error.word())));
            Ok(if is_unknown { lost() } else { was.told(post, error) })
        })
        .await?;
        Ok(())
    }
}
