//! What is due is done, an account at a time, by whoever has its turn.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;

use super::{
    super::{
        actions,
        events::NoteKind,
        model::{Post, PostFault, PostState, PostStatus, Step},
        ports::{HeldBy, Publisher, PublishingTx, Turn},
    },
    Publishing,
    find_out::UNREADABLE_S,
};
use crate::{
    accounts::{AccountsError, TokenLease, ports::AccountStore},
    kernel::{
        clock::Timestamp,
        fault::PortError,
        ids::{ComplianceId, PostId},
        outbox::{Origin, Party, Record},
        platform::{PlatformError, RefusalKind},
    },
    publishing::PublishingError,
};

/// How long a turn lasts without being extended: who is killed holds its account no longer. It must be extended several
/// times in this.
const TURN: TimeDelta = TimeDelta::seconds(20);

/// Pause of an account that is paused, and of one that can't be acted for, in seconds.
const HELD_S: [i64; 2] = [60, 300];

/// How long after a quota should open again it is drawn on, in seconds: the platform's clock is another.
const OPENED_S: i64 = 60;

/// Pauses of a post that something inside could not go on with, in seconds: the first time, and when that was no better.
const SET_ASIDE_S: [i64; 2] = [5, 120];

/// What came of a turn.
#[derive(Debug, Default)]
pub struct TurnEnd {
    /// What happened, in order.
    pub did: Vec<NoteKind>,
    /// How long after it was promised the platform took a post, if it took one.
    pub late: Option<Duration>,
    /// A yes of the platform that could not be written down: to be tried again with [`Publishing::keep_yes`].
    pub unkept: Option<Yes>,
    /// What could not be gone on with. The post is set aside for a while.
    pub fault: Option<PublishingError>,
}

/// The platform's yes to a creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Yes {
    pub(super) turn: Turn,
    pub(super) post: PostId,
    pub(super) number: u32,
    pub(super) item: String,
}

/// A turn that is being used.
pub(super) struct Shift {
    pub(super) turn: Turn,
    pub(super) origin: Origin,
    pub(super) end: TurnEnd,
    /// The account rests until then, whatever is due.
    rest_until: Option<Timestamp>,
    /// Whether the turn was given back already.
    is_given_back: bool,
}

impl Shift {
    pub(super) fn new(turn: Turn, id: ComplianceId) -> Self {
        let origin = Origin::system(id, actions::PUBLISH_DUE.name);
        Self { turn, origin, end: TurnEnd::default(), rest_until: None, is_given_back: false }
    }
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
        Ok(self.0.schedule.claim(most, TURN).await?)
    }

    /// Lets a turn last; `false` when it is somebody else's. Nothing is written under it any more then, but for a yes.
    ///
    /// # Errors
    /// `Port`.
    pub async fn extend_turn(&self, turn: &Turn) -> Result<bool, PublishingError> {
        Ok(self.0.schedule.extend(turn, TURN).await?)
    }

    /// Takes the account's most urgent post as far as it goes now, and gives the turn back.
    ///
    /// # Errors
    /// `Port`: the turn comes back when its time is over.
    pub async fn publish_due(&self, turn: Turn) -> Result<TurnEnd, PublishingError> {
        let mut shift = Shift::new(turn, ComplianceId::new(&*self.0.ids));
        match self.use_turn(&mut shift).await {
            Ok(()) | Err(Halt::Rest) if shift.is_given_back => {}
            Ok(()) | Err(Halt::Rest) => self.give_back(&shift).await?,
            Err(Halt::Lost) => {}
            // Whoever is given the yes to try again must have it.
            Err(Halt::Failed(error)) if shift.end.unkept.is_some() => shift.end.fault = Some(error),
            Err(Halt::Failed(error)) => return Err(error),
        }
        Ok(shift.end)
    }

    async fn use_turn(&self, shift: &mut Shift) -> Result<(), Halt> {
        let Some((post, step)) = self.take_up(shift).await? else { return Ok(()) };
        let id = post.id;
        match self.work_on(shift, post, step).await {
            // One that can't be gone on with is in no other's way.
            Err(Halt::Failed(error)) if shift.end.unkept.is_none() => {
                shift.end.fault = Some(error);
                self.set_aside(shift, id).await?;
                Err(Halt::Rest)
            }
            other => other,
        }
    }

    async fn work_on(&self, shift: &mut Shift, mut post: Post, step: Step) -> Result<(), Halt> {
        let mut hands = self.hands(shift, &post).await?;
        match step {
            Step::FindOut => return self.find_out(shift, &hands, &post).await,
            Step::Look => return self.look(shift, &hands).await,
            Step::Upload => {
                self.check_receipt(shift, &hands, &post).await?;
                self.check_day(shift, &hands, &post).await?;
                post = self.upload_medium(shift, &hands, &post).await?;
                // Much may have happened to the account meanwhile.
                hands = self.hands(shift, &post).await?;
            }
            Step::Create => {
                self.check_receipt(shift, &hands, &post).await?;
                self.check_day(shift, &hands, &post).await?;
            }
        }
        if self.is_stopping() {
            return Err(Halt::Rest);
        }
        self.ask_for_post(shift, &hands, &post).await
    }

    /// The account's most urgent post, taken up.
    async fn take_up(&self, shift: &mut Shift) -> Result<Option<(Post, Step)>, Halt> {
        let mut tx = self.0.units.begin(shift.turn.scope, &shift.origin).await?;
        let now = tx.hold_turn(&shift.turn, TURN).await?.ok_or(Halt::Lost)?;
        let Some(mut post) = tx.due_post(shift.turn.account, now).await? else {
            self.end_turn(&mut *tx, shift).await?;
            tx.commit().await?;
            shift.is_given_back = true;
            return Ok(None);
        };
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

    /// What the platform is asked with. Without it the whole account waits.
    async fn hands(&self, shift: &mut Shift, post: &Post) -> Result<Hands, Halt> {
        let (scope, account) = (shift.turn.scope, shift.turn.account);
        let (held_by, pause_s) = match self.0.accounts.lease_token(&shift.origin, scope, account).await {
            Ok(lease) => match self.0.publishers.get(lease.platform.as_str()) {
                Some(publisher) => return Ok(Hands { publisher: Arc::clone(publisher), lease }),
                None => (HeldBy::Absent, HELD_S[1]),
            },
            Err(AccountsError::Paused) => (HeldBy::Paused, HELD_S[0]),
            Err(AccountsError::ConsentNeeded) => (HeldBy::Consent, HELD_S[1]),
            Err(AccountsError::Port(fault)) => {
                self.hinder(shift, None, &[post.id], &PlatformError::NotDone(fault)).await?;
                return Err(Halt::Rest);
            }
            Err(_) => (HeldBy::Absent, HELD_S[1]),
        };
        let why = held_by.why().unwrap_or_default();
        let until = self.0.clock.now() + TimeDelta::seconds(pause_s);
        shift.rest_until = Some(until);
        if post.progress.hindrance.as_ref().is_none_or(|hindrance| hindrance.by != why) {
            self.change(shift, post.id, |post, now| {
                post.held(why.to_owned(), until, now)?;
                Ok(Some((NoteKind::Held, Some(why.to_owned()))))
            })
            .await?;
        }
        if matches!(post.state, PostState::OutcomeUnknown { .. }) {
            // Nobody can read what became of it; whoever looks for himself must be able to say so. A pause may soon end.
            let patience_s = if held_by == HeldBy::Paused { UNREADABLE_S } else { 0 };
            match self.stuck(shift, post, why, TimeDelta::seconds(patience_s)).await {
                Ok(()) | Err(Halt::Rest) => {}
                Err(other) => return Err(other),
            }
        }
        Err(Halt::Rest)
    }

    /// A post waits for the next day when the account has as many on this one as its platform takes: nothing is sent
    /// there in vain.
    async fn check_day(&self, shift: &mut Shift, hands: &Hands, post: &Post) -> Result<(), Halt> {
        const WHY: &str = "the account has as many posts today as its platform takes";
        let most = hands.publisher.rules().posts_per_day;
        let mut tx = self.0.units.begin(shift.turn.scope, &shift.origin).await?;
        let account = AccountStore::account(&mut *tx, post.account).await?.ok_or(Halt::Rest)?;
        let used = self.0.accounts.posts_used(&mut *tx, &[&account]).await.map_err(PublishingError::from)?;
        drop(tx);
        let now = self.0.clock.now();
        match used.get(&post.account) {
            Some(used) if used.at(now) >= most => {
                let until = used.day.ends_at;
                self.change(shift, post.id, |post, now| {
                    let was = Was::of(post);
                    // Nothing was sent yet, as a rule: then it can be changed and moved meanwhile.
                    post.put_back();
                    post.held(WHY.to_owned(), until, now)?;
                    Ok((was != Was::of(post)).then(|| (NoteKind::Held, Some(WHY.to_owned()))))
                })
                .await?;
                Err(Halt::Rest)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// A post waits for something that is not the platform's to give; told when it waits for another than before.
    pub(super) async fn hold(
        &self,
        shift: &mut Shift,
        id: PostId,
        why: &'static str,
        pause: TimeDelta,
    ) -> Result<(), Halt> {
        self.change(shift, id, |post, now| {
            let was = Was::of(post);
            post.held(why.to_owned(), now + pause, now)?;
            Ok((was != Was::of(post)).then(|| (NoteKind::Held, Some(why.to_owned()))))
        })
        .await?;
        Ok(())
    }

    /// Gives the turn back until the account's next post is due.
    async fn give_back(&self, shift: &Shift) -> Result<(), PublishingError> {
        let mut tx = self.0.units.begin(shift.turn.scope, &shift.origin).await?;
        if tx.hold_turn(&shift.turn, TURN).await?.is_some() {
            self.end_turn(&mut *tx, shift).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Ends a turn that is held.
    async fn end_turn(&self, tx: &mut dyn PublishingTx, shift: &Shift) -> Result<(), PublishingError> {
        let next = tx.next_due(shift.turn.account).await?;
        let at = next.at.map(|next| shift.rest_until.map_or(next, |until| next.max(until)));
        Ok(tx.end_turn(&shift.turn, at, next.held_by()).await?)
    }

    async fn set_aside(&self, shift: &mut Shift, id: PostId) -> Result<(), Halt> {
        let why = HeldBy::Fault.why().unwrap_or_default();
        self.change(shift, id, |post, now| {
            let was = Was::of(post);
            let pause_s = SET_ASIDE_S[usize::from(was.hindered_by.as_deref() == Some(why))];
            post.held(why.to_owned(), now + TimeDelta::seconds(pause_s), now)?;
            Ok((was != Was::of(post)).then(|| (NoteKind::Held, Some(why.to_owned()))))
        })
        .await?;
        Ok(())
    }

    /// Changes a post in a transaction of its own, while the turn is ours. The time is the database's, which all replicas
    /// have in common.
    pub(super) async fn change(
        &self,
        shift: &mut Shift,
        id: PostId,
        change: impl FnOnce(&mut Post, Timestamp) -> Result<Told, PostFault> + Send,
    ) -> Result<Post, Halt> {
        let mut tx = self.0.units.begin(shift.turn.scope, &shift.origin).await?;
        let now = tx.hold_turn(&shift.turn, TURN).await?.ok_or(Halt::Lost)?;
        let mut post = tx.lock_post(id).await?.ok_or(Halt::Rest)?;
        let told = change(&mut post, now)?;
        self.step(&mut *tx, shift, &mut post, told).await?;
        tx.commit().await?;
        Ok(post)
    }

    /// The database's time, while the turn is ours.
    pub(super) async fn instant(&self, shift: &Shift) -> Result<Timestamp, Halt> {
        let mut tx = self.0.units.begin(shift.turn.scope, &shift.origin).await?;
        tx.hold_turn(&shift.turn, TURN).await?.ok_or(Halt::Lost)
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

    /// A step was not done for these posts. It is told when it is for another reason than before.
    pub(super) async fn hinder(
        &self,
        shift: &mut Shift,
        lease: Option<&TokenLease>,
        ids: &[PostId],
        error: &PlatformError,
    ) -> Result<(), Halt> {
        self.doubt_token(shift, lease, error).await?;
        let mut tx = self.0.units.begin(shift.turn.scope, &shift.origin).await?;
        let now = tx.hold_turn(&shift.turn, TURN).await?.ok_or(Halt::Lost)?;
        for id in ids {
            let Some(mut post) = tx.lock_post(*id).await? else { continue };
            let was = Was::of(&post);
            if post.hindered(error, now).is_ok() {
                self.put_off(&mut post, lease, error, now);
                let told = was.told(&post, error);
                self.step(&mut *tx, shift, &mut post, told).await?;
            }
        }
        tx.commit().await?;
        Ok(())
    }

    /// Of some refusals it is known for how long they hold: a used-up quota opens when its period ends, and a token is not
    /// better for being the next.
    pub(super) fn put_off(
        &self,
        post: &mut Post,
        lease: Option<&TokenLease>,
        error: &PlatformError,
        now: Timestamp,
    ) {
        let (Some(lease), PlatformError::Refused(refusal)) = (lease, error) else { return };
        // What became of one is read again sooner: its account's other posts wait for it.
        let is_unknown = matches!(post.state, PostState::OutcomeUnknown { .. });
        if refusal.kind == RefusalKind::TokenDead {
            post.token_refused(lease.expires_at, now);
        } else if !is_unknown
            && let Some(opens_at) = self.0.accounts.quota_opens_at(lease.platform.as_str(), refusal.kind, now)
        {
            post.hindered_until(opens_at + TimeDelta::seconds(OPENED_S));
        }
    }

    /// A token that the platform refuses is looked at now.
    pub(super) async fn doubt_token(
        &self,
        shift: &Shift,
        lease: Option<&TokenLease>,
        error: &PlatformError,
    ) -> Result<(), Halt> {
        if let (Some(lease), PlatformError::Refused(refusal)) = (lease, error)
            && refusal.kind == RefusalKind::TokenDead
        {
            let (scope, account) = (shift.turn.scope, shift.turn.account);
            let told = self.0.accounts.token_refused(&shift.origin, scope, account, lease.version).await;
            told.map_err(PublishingError::from)?;
        }
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
