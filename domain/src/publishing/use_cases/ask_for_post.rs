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
    publish_due::{Halt, Hands, Shift, TurnEnd, Was, Yes},
};
use crate::{
    kernel::{ids::ComplianceId, platform::PlatformError},
    publishing::PublishingError,
};

/// For how long after one begins to write it down the platform is asked, in seconds: what is left of the time is for its
/// answer.
const ASK_WITHIN_S: i64 = 20;

impl Publishing {
    pub(super) async fn ask_for_post(
        &self,
        shift: &mut Shift,
        hands: &Hands,
        post: &Post,
    ) -> Result<(), Halt> {
        // Before it is written down, so that whatever time that takes is part of what there is.
        let begun_at = self.0.clock.now();
        let mut asked = None;
        let post = self
            .change(shift, post.id, |post, now| {
                let (number, medium) = post.creation_begun(now)?;
                let detail = format!("creation {number}");
                asked = Some((number, medium));
                Ok(Some((NoteKind::Asked, Some(detail))))
            })
            .await?;
        let Some((number, medium)) = asked else { return Err(Halt::Rest) };
        // A process that was stopped meanwhile and goes on must not ask what nobody expects any more.
        let gone_by = self.0.clock.now() - begun_at;
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
            Ok(item) => {
                let yes = Yes { turn: shift.turn, post: post.id, number, item };
                self.accept(shift, &yes).await.inspect_err(|halt| {
                    if matches!(halt, Halt::Failed(_)) {
                        shift.end.unkept = Some(yes);
                    }
                })
            }
            Err(error) => self.not_created(shift, hands, &post, number, &error).await,
        }
    }

    /// Nothing is sent for what nobody has agreed to as it is, where the platform wants that: it waits for somebody who
    /// does. What was asked for before, somebody had agreed to.
    pub(super) async fn check_receipt(
        &self,
        shift: &mut Shift,
        hands: &Hands,
        post: &Post,
    ) -> Result<(), Halt> {
        const WHY: &str = "nobody has agreed to this post as it is";
        if !hands.publisher.rules().needs_receipt || !post.progress.creations.is_empty() {
            return Ok(());
        }
        let mut tx = self.0.units.begin(shift.turn.scope, &shift.origin).await?;
        let has_receipt = tx.has_receipt(post).await?;
        drop(tx);
        if has_receipt {
            return Ok(());
        }
        self.change(shift, post.id, |post, _| {
            post.unconfirmed()?;
            Ok(Some((NoteKind::Held, Some(WHY.to_owned()))))
        })
        .await?;
        Err(Halt::Rest)
    }

    /// Takes a yes in, whoever has the turn by now: what happened.
    ///
    /// # Errors
    /// `Port`: to be tried again.
    pub async fn keep_yes(&self, yes: &Yes) -> Result<TurnEnd, PublishingError> {
        let mut shift = Shift::new(yes.turn, ComplianceId::new(&*self.0.ids));
        match self.accept(&mut shift, yes).await {
            Err(Halt::Failed(error)) => Err(error),
            Ok(()) | Err(Halt::Rest | Halt::Lost) => Ok(shift.end),
        }
    }

    async fn accept(&self, shift: &mut Shift, yes: &Yes) -> Result<(), Halt> {
        let mut tx = self.0.units.begin(shift.turn.scope, &shift.origin).await?;
        tx.wake_account(shift.turn.account, None).await?;
        let mut post = tx.lock_post(yes.post).await?.ok_or(Halt::Rest)?;
        post.created(yes.number, Ok(yes.item.clone()), self.0.clock.now())?;
        let is_duplicate = post.duplicates().any(|other| other == yes.item);
        let kind = if is_duplicate { NoteKind::Duplicated } else { NoteKind::Created };
        self.step(&mut *tx, shift, &mut post, Some((kind, Some(yes.item.clone())))).await?;
        let next = tx.next_due(shift.turn.account).await?;
        tx.wake_account(shift.turn.account, next.at).await?;
        tx.commit().await?;
        shift.end.late = post.late();
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
        self.doubt_token(shift, Some(&hands.lease), error).await?;
        self.change(shift, post.id, |post, now| {
            let was = Was::of(post);
            post.created(number, Err(error), now)?;
            self.put_off(post, Some(&hands.lease), error, now);
            let is_unknown = matches!(post.state, PostState::OutcomeUnknown { .. });
            let lost = || Some((NoteKind::AnswerLost, Some(error.word())));
            Ok(if is_unknown { lost() } else { was.told(post, error) })
        })
        .await?;
        Ok(())
    }
}
