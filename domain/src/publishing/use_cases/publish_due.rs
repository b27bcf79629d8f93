//! What is due is done, an account at a time, by whoever has its turn.

use std::sync::Arc;

use chrono::TimeDelta;

use super::{
    super::{
        actions,
        events::NoteKind,
        model::{Post, PostFault, PostState, PostStatus, Step},
        ports::{Publisher, PublishingTx, Turn},
    },
    Publishing,
};
use crate::{
    accounts::{AccountsError, TokenLease},
    kernel::{
        clock::Timestamp,
        fault::PortError,
        ids::{ComplianceId, PostId},
        outbox::{Origin, Party, Record},
        platform::{PlatformError, RefusalKind},
    },
    publishing::PublishingError,
};

/// How long a turn lasts without being extended, in seconds: who is killed holds its account no longer. It must be extended
/// several times in this.
const TURN_S: i64 = 20;

/// Pause while an account is paused or can't be acted for, in seconds.
const HELD_S: i64 = 60;

/// What came of a turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TurnEnd {
    /// What happened, in order.
    pub did: Vec<NoteKind>,
    /// How long after its time the platform took a post, if it took one.
    pub accepted_after: Option<TimeDelta>,
}

/// A turn that is being used.
pub(super) struct Shift {
    pub(super) turn: Turn,
    pub(super) origin: Origin,
    pub(super) end: TurnEnd,
}

/// What the platform is asked with.
pub(super) struct Hands {
    pub(super) publisher: Arc<dyn Publisher>,
    pub(super) lease: TokenLease,
}

/// Why a turn ends.
#[derive(Debug)]
pub(super) enum Halt {
    /// There is nothing more to do for the post now, or somebody changed it meanwhile.
    Rest,
    /// The turn is somebody else's.
    Lost,
    /// It could not be gone on with.
    Failed(PublishingError),
}

impl From<PublishingError> for Halt {
    fn from(error: PublishingError) -> Self {
        if matches!(error, PublishingError::Fault(_)) { Self::Rest } else { Self::Failed(error) }
    }
}

impl From<PortError> for Halt {
    fn from(fault: PortError) -> Self {
        Self::Failed(fault.into())
    }
}

impl From<PostFault> for Halt {
    fn from(_: PostFault) -> Self {
        Self::Rest
    }
}

/// What a change of a post is told as; `None` when there is nothing to tell.
pub(super) type Told = Option<(NoteKind, Option<String>)>;

impl Publishing {
    /// Claims the turns of up to `most` accounts, of all tenants, for this replica to use now.
    ///
    /// # Errors
    /// `Port`.
    pub async fn claim_turns(&self, most: u32) -> Result<Vec<Turn>, PublishingError> {
        let lease = TimeDelta::seconds(TURN_S);
        Ok(self.0.schedule.claim(self.0.clock.now(), most, lease).await?)
    }

    /// Lets a turn last; `false` when it is somebody else's, and what is being done under it is to be broken off.
    ///
    /// # Errors
    /// `Port`.
    pub async fn extend_turn(&self, turn: &Turn) -> Result<bool, PublishingError> {
        Ok(self.0.schedule.extend(turn, self.turn_ends_at()).await?)
    }

    fn turn_ends_at(&self) -> Timestamp {
        self.0.clock.now() + TimeDelta::seconds(TURN_S)
    }

    /// Takes the account's most urgent post as far as it goes now, and gives the turn back.
    ///
    /// # Errors
    /// `Port`: the turn comes back when its time is over.
    pub async fn publish_due(&self, turn: Turn) -> Result<TurnEnd, PublishingError> {
        let origin = Origin::system(ComplianceId::new(&*self.0.ids), actions::PUBLISH_DUE.name);
        let mut shift = Shift { turn, origin, end: TurnEnd::default() };
        match self.use_turn(&mut shift).await {
            Ok(()) | Err(Halt::Rest) => self.give_back(&shift).await?,
            Err(Halt::Lost) => {}
            Err(Halt::Failed(error)) => return Err(error),
        }
        Ok(shift.end)
    }

    async fn use_turn(&self, shift: &mut Shift) -> Result<(), Halt> {
        let Some((mut post, step)) = self.take_up(shift).await? else { return Ok(()) };
        let hands = self.hands(shift, &post).await?;
        match step {
            Step::FindOut => return self.find_out(shift, &hands, &post).await,
            Step::Look => return self.look(shift, &hands, &post).await,
            Step::Upload => post = self.upload_medium(shift, &hands, &post).await?,
            Step::Create => {}
        }
        self.ask_for_post(shift, &hands, &post).await
    }

    /// The account's most urgent post, taken up.
    async fn take_up(&self, shift: &mut Shift) -> Result<Option<(Post, Step)>, Halt> {
        let mut tx = self.0.units.begin(shift.turn.scope, &shift.origin).await?;
        if !tx.hold_turn(&shift.turn, self.turn_ends_at()).await? {
            return Err(Halt::Lost);
        }
        let now = self.0.clock.now();
        let Some(mut post) = tx.due_post(shift.turn.account, now).await? else { return Ok(None) };
        let before = post.state.clone();
        let step = post.take_up(now)?;
        if post.state != before {
            let is_unknown = matches!(post.state, PostState::OutcomeUnknown { .. });
            let kind = if is_unknown { NoteKind::AnswerLost } else { NoteKind::Begun };
            self.step(&mut *tx, shift, &mut post, Some((kind, None))).await?;
            tx.commit().await?;
        }
        Ok(Some((post, step)))
    }

    /// What the platform is asked with. Without it the post waits.
    async fn hands(&self, shift: &mut Shift, post: &Post) -> Result<Hands, Halt> {
        let (scope, account) = (shift.turn.scope, shift.turn.account);
        let held = match self.0.accounts.lease_token(&shift.origin, scope, account).await {
            Ok(lease) => match self.0.publishers.get(lease.platform.as_str()) {
                Some(publisher) => return Ok(Hands { publisher: Arc::clone(publisher), lease }),
                None => "nothing can be posted to the platform here",
            },
            Err(AccountsError::Paused) => "the account is paused",
            Err(AccountsError::ConsentNeeded) => "the account's owner must consent again",
            Err(AccountsError::Port(fault)) => {
                self.hinder(shift, None, post.id, &PlatformError::NotDone(fault)).await?;
                return Err(Halt::Rest);
            }
            Err(_) => "the account is not there",
        };
        self.change(shift, post.id, |post, now| {
            let was = Was::of(post);
            post.held(held.to_owned(), now + TimeDelta::seconds(HELD_S), now);
            Ok((was != Was::of(post)).then(|| (NoteKind::Held, Some(held.to_owned()))))
        })
        .await?;
        Err(Halt::Rest)
    }

    /// Gives the turn back until the account's next post is due.
    async fn give_back(&self, shift: &Shift) -> Result<(), PublishingError> {
        let mut tx = self.0.units.begin(shift.turn.scope, &shift.origin).await?;
        if tx.hold_turn(&shift.turn, self.turn_ends_at()).await? {
            let next = tx.next_due(shift.turn.account).await?;
            tx.end_turn(&shift.turn, next).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Changes a post in a transaction of its own, while the turn is ours.
    pub(super) async fn change(
        &self,
        shift: &mut Shift,
        id: PostId,
        change: impl FnOnce(&mut Post, Timestamp) -> Result<Told, PostFault> + Send,
    ) -> Result<Post, Halt> {
        let mut tx = self.0.units.begin(shift.turn.scope, &shift.origin).await?;
        if !tx.hold_turn(&shift.turn, self.turn_ends_at()).await? {
            return Err(Halt::Lost);
        }
        let mut post = tx.lock_post(id).await?.ok_or(Halt::Rest)?;
        let told = change(&mut post, self.0.clock.now())?;
        self.step(&mut *tx, shift, &mut post, told).await?;
        tx.commit().await?;
        Ok(post)
    }

    /// Stores a step, with its note and its event.
    pub(super) async fn step(
        &self,
        tx: &mut dyn PublishingTx,
        shift: &mut Shift,
        post: &mut Post,
        told: Told,
    ) -> Result<(), PublishingError> {
        tx.update_post(post).await?;
        post.version += 1;
        if let Some((kind, detail)) = told {
            self.note(tx, post, kind, detail).await?;
            let record = Record::success(actions::PUBLISH_DUE, Party::new("post", post.id.uuid()));
            tx.record(Record { reason: Some(kind.as_str()), ..record }).await?;
            shift.end.did.push(kind);
        }
        Ok(())
    }

    /// A step was not done. It is told when it is for another reason than before.
    pub(super) async fn hinder(
        &self,
        shift: &mut Shift,
        lease: Option<&TokenLease>,
        id: PostId,
        error: &PlatformError,
    ) -> Result<(), Halt> {
        if let (Some(lease), PlatformError::Refused(refusal)) = (lease, error)
            && refusal.kind == RefusalKind::TokenDead
        {
            let (scope, account) = (shift.turn.scope, shift.turn.account);
            let told = self.0.accounts.token_refused(&shift.origin, scope, account, lease.version).await;
            told.map_err(PublishingError::from)?;
        }
        self.change(shift, id, |post, now| {
            let was = Was::of(post);
            post.hindered(error, now)?;
            Ok(was.told(post, error))
        })
        .await?;
        Ok(())
    }
}

/// How a post stood, and what hindered it.
#[derive(PartialEq, Eq)]
pub(super) struct Was {
    status: PostStatus,
    hindered_by: Option<String>,
}

impl Was {
    pub(super) fn of(post: &Post) -> Self {
        let hindered_by = post.progress.hindrance.as_ref().map(|hindrance| hindrance.by.clone());
        Self { status: post.state.status(), hindered_by }
    }

    /// What hindering a post is told as; nothing when it was hindered so before.
    pub(super) fn told(&self, post: &Post, error: &PlatformError) -> Told {
        let has_failed = matches!(post.state, PostState::Failed(_));
        let kind = if has_failed { NoteKind::Failed } else { NoteKind::Hindered };
        (*self != Self::of(post)).then(|| (kind, Some(error.word())))
    }
}
