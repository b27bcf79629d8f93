//! One post, as a machine: each step is allowed from some states and leads to one.

use chrono::TimeDelta;

use super::state::{
    Evidence, Fate, Found, Medium, PartMap, PostDraft, PostFailure, PostFault, PostOp, PostState, Standing,
};
use crate::kernel::{
    clock::Timestamp,
    ids::{AccountId, PostId},
    platform::{PlatformError, Refusal, RefusalKind},
};

/// Pauses before a step that surely did nothing is tried again, in seconds.
pub const RETRIES: [i64; 3] = [1, 4, 16];

/// Pause when a quota is used up, in seconds: nobody says when it opens, and asking this often costs next to nothing.
const QUOTA_PAUSE_S: i64 = 900;

/// Creations of one post, at most. More than one is asked for only where nothing came of those before.
const CREATIONS_MAX: u32 = 4;

/// From when on after a creation was asked for its absence from the platform's lists is believed, in seconds. A platform
/// shows a post in its author's list at once, as far as is known; this is many times that.
pub const SETTLE_S: i64 = 300;

/// How long a medium that was uploaded in parts may take, in seconds (Douyin open platform: an `upload_id` lives 2 h;
/// less here, so that it never ends under way).
const PART_UPLOAD_LIFE_S: i64 = 6_000;

/// One piece of content meant for one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Its id.
    pub id: PostId,
    /// The account.
    pub account: AccountId,
    /// What is posted.
    pub draft: PostDraft,
    /// Where it stands.
    pub state: PostState,
    /// When it is to be there; kept when it is tried again later.
    pub planned_at: Timestamp,
    /// Tries in a row that surely did nothing.
    pub tries: u32,
    /// The next step is not taken before; set when one was not done.
    pub not_before: Option<Timestamp>,
    /// Creations asked for so far.
    pub creations: u32,
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a step is allowed from the states that are named, and from no other"
)]
impl Post {
    /// A draft.
    pub const fn new(id: PostId, account: AccountId, draft: PostDraft, planned_at: Timestamp) -> Self {
        Self {
            id,
            account,
            draft,
            state: PostState::Draft,
            planned_at,
            tries: 0,
            not_before: None,
            creations: 0,
        }
    }

    /// How it ended, as far as is known.
    pub const fn fate(&self) -> Fate {
        match self.state {
            PostState::UnderReview { .. } | PostState::Live { .. } | PostState::Rejected { .. } => {
                Fate::There
            }
            PostState::Failed(_) | PostState::Cancelled => Fate::NotThere,
            PostState::Draft
            | PostState::AwaitingApproval
            | PostState::Waiting { .. }
            | PostState::Uploading { .. }
            | PostState::Uploaded { .. }
            | PostState::Creating { .. }
            | PostState::OutcomeUnknown { .. } => Fate::Open,
        }
    }

    /// Whether somebody may do that now.
    pub const fn allows(&self, op: PostOp) -> bool {
        match op {
            PostOp::Submit => matches!(self.state, PostState::Draft),
            PostOp::Approve => matches!(self.state, PostState::AwaitingApproval),
            PostOp::Cancel => matches!(
                self.state,
                PostState::Draft
                    | PostState::AwaitingApproval
                    | PostState::Waiting { .. }
                    | PostState::Uploading { .. }
                    | PostState::Uploaded { .. }
            ),
            PostOp::Retry => matches!(self.state, PostState::Failed(_)),
        }
    }

    fn check(&self, op: PostOp) -> Result<(), PostFault> {
        if self.allows(op) {
            return Ok(());
        }
        Err(match self.state {
            PostState::Creating { .. } | PostState::OutcomeUnknown { .. } => PostFault::OutcomeUnknown,
            _ => PostFault::NotNow,
        })
    }

    /// Somebody is to agree to it as it is.
    ///
    /// # Errors
    /// `NotNow`.
    pub fn submit(&mut self) -> Result<(), PostFault> {
        self.check(PostOp::Submit)?;
        self.state = PostState::AwaitingApproval;
        Ok(())
    }

    /// Somebody agrees to `looked_at`, which must be what it is.
    ///
    /// # Errors
    /// `NotNow`, `Changed`.
    pub fn approve(&mut self, looked_at: &PostDraft) -> Result<(), PostFault> {
        self.check(PostOp::Approve)?;
        if *looked_at != self.draft {
            return Err(PostFault::Changed);
        }
        self.state = PostState::Waiting { due_at: self.planned_at };
        Ok(())
    }

    /// Changes what is posted. Nobody has agreed to that yet.
    ///
    /// # Errors
    /// `NotNow`, `OutcomeUnknown`: some of it is on its way.
    pub fn edit(&mut self, draft: PostDraft) -> Result<(), PostFault> {
        match self.state {
            PostState::Draft | PostState::AwaitingApproval | PostState::Waiting { .. } => {
                self.draft = draft;
                self.state = PostState::Draft;
                Ok(())
            }
            PostState::Creating { .. } | PostState::OutcomeUnknown { .. } => Err(PostFault::OutcomeUnknown),
            _ => Err(PostFault::NotNow),
        }
    }

    /// Gives it up. Nothing was asked for yet, so nothing is there.
    ///
    /// # Errors
    /// `NotNow`, `OutcomeUnknown`.
    pub fn cancel(&mut self) -> Result<(), PostFault> {
        self.check(PostOp::Cancel)?;
        self.state = PostState::Cancelled;
        Ok(())
    }

    /// Tries what failed again.
    ///
    /// # Errors
    /// `NotNow`; `OutcomeUnknown`: it may be on the platform.
    pub fn retry(&mut self, now: Timestamp) -> Result<(), PostFault> {
        self.check(PostOp::Retry)?;
        self.done();
        self.creations = 0;
        self.state = PostState::Waiting { due_at: now };
        Ok(())
    }

    /// Begins, or goes on after whoever was at it is gone: what may have been asked for is unknown from then on.
    ///
    /// # Errors
    /// `NotNow`: it is not due, or there is nothing for us to do.
    pub fn take_up(&mut self, now: Timestamp) -> Result<(), PostFault> {
        if self.not_before.is_some_and(|at| now < at) {
            return Err(PostFault::NotNow);
        }
        match &self.state {
            PostState::Waiting { due_at } if *due_at <= now => {
                self.state = PostState::Uploading { parts: None };
                Ok(())
            }
            PostState::Uploading { parts } => {
                let life = TimeDelta::seconds(PART_UPLOAD_LIFE_S);
                if parts.as_ref().is_some_and(|parts| now - parts.begun_at > life) {
                    self.state = PostState::Uploading { parts: None };
                }
                Ok(())
            }
            PostState::Creating { asked_at } => {
                self.state = PostState::OutcomeUnknown { asked_at: *asked_at, candidates: 0 };
                Ok(())
            }
            PostState::Uploaded { .. } | PostState::OutcomeUnknown { .. } => Ok(()),
            _ => Err(PostFault::NotNow),
        }
    }

    /// An upload in parts was begun.
    ///
    /// # Errors
    /// `NotNow`.
    pub fn parts_begun(&mut self, parts: PartMap) -> Result<(), PostFault> {
        match &mut self.state {
            PostState::Uploading { parts: there @ None } => {
                *there = Some(parts);
                Ok(())
            }
            _ => Err(PostFault::NotNow),
        }
    }

    /// A part is there.
    ///
    /// # Errors
    /// `NotNow`.
    pub fn part_done(&mut self, number: u32) -> Result<(), PostFault> {
        match &mut self.state {
            PostState::Uploading { parts: Some(parts) } => {
                parts.there.insert(number);
                Ok(())
            }
            _ => Err(PostFault::NotNow),
        }
    }

    /// The platform has the file.
    ///
    /// # Errors
    /// `NotNow`.
    pub fn uploaded(&mut self, medium: Medium) -> Result<(), PostFault> {
        if !matches!(self.state, PostState::Uploading { .. }) {
            return Err(PostFault::NotNow);
        }
        self.done();
        self.state = PostState::Uploaded { medium };
        Ok(())
    }

    /// The platform is about to be asked; the medium to ask with. Made durable before it is.
    ///
    /// # Errors
    /// `NotNow`.
    pub fn creation_begun(&mut self, now: Timestamp) -> Result<Medium, PostFault> {
        let PostState::Uploaded { medium } = &self.state else { return Err(PostFault::NotNow) };
        let medium = medium.clone();
        self.creations += 1;
        self.state = PostState::Creating { asked_at: now };
        Ok(medium)
    }

    /// The platform answered a creation.
    ///
    /// # Errors
    /// `NotNow`: none was asked for, or somebody has found out already.
    pub fn created(
        &mut self,
        medium: Medium,
        answer: Result<String, &PlatformError>,
        now: Timestamp,
    ) -> Result<(), PostFault> {
        let PostState::Creating { asked_at } = self.state else { return Err(PostFault::NotNow) };
        match answer {
            Ok(item) => {
                self.done();
                self.state = PostState::UnderReview { item };
            }
            Err(PlatformError::Unknown(_)) => {
                self.state = PostState::OutcomeUnknown { asked_at, candidates: 0 };
            }
            // Good for another try: nothing was done with it.
            Err(PlatformError::NotDone(_)) => self.try_later(PostState::Uploaded { medium }, now),
            Err(PlatformError::Refused(refusal)) => {
                self.refused(*refusal, PostState::Uploaded { medium }, now);
            }
        }
        Ok(())
    }

    /// A step before creating was not done, or refused.
    ///
    /// # Errors
    /// `NotNow`.
    pub fn hindered(&mut self, error: &PlatformError, now: Timestamp) -> Result<(), PostFault> {
        if !matches!(self.state, PostState::Uploading { .. } | PostState::Uploaded { .. }) {
            return Err(PostFault::NotNow);
        }
        let same = self.state.clone();
        match error {
            // An upload that may have been done does no harm: it is done again.
            PlatformError::NotDone(_) | PlatformError::Unknown(_) => self.try_later(same, now),
            PlatformError::Refused(refusal) => self.refused(*refusal, same, now),
        }
        Ok(())
    }

    /// A step was done: what hindered those before does not count any more.
    fn done(&mut self) {
        self.tries = 0;
        self.not_before = None;
    }

    /// What a refusal leads to. The platform surely did nothing.
    fn refused(&mut self, refusal: Refusal, same: PostState, now: Timestamp) {
        match refusal.kind {
            // The token pool, or time, puts these right.
            RefusalKind::TokenDead => self.try_later(same, now),
            // However often: a quota opens again, and a post is not lost over it.
            RefusalKind::QuotaUsedUp | RefusalKind::PostsUsedUp => {
                self.state = same;
                self.not_before = Some(now + TimeDelta::seconds(QUOTA_PAUSE_S));
            }
            RefusalKind::MediumRefused => self.try_later(PostState::Uploading { parts: None }, now),
            RefusalKind::ConsentGone
            | RefusalKind::NotGranted
            | RefusalKind::RenewalsOver
            | RefusalKind::OwnerGone
            | RefusalKind::AppLacks
            | RefusalKind::AppWrong
            | RefusalKind::AppOff
            | RefusalKind::AbilityOff
            | RefusalKind::ContentRefused
            | RefusalKind::PostingBarred
            | RefusalKind::BadCall => self.state = PostState::Failed(PostFailure::Refused(refusal)),
        }
    }

    /// Goes on from `state`, unless it was tried as often as is worth it.
    fn try_later(&mut self, state: PostState, now: Timestamp) {
        let pause = usize::try_from(self.tries).ok().and_then(|tried| RETRIES.get(tried));
        match pause {
            None => self.state = PostState::Failed(PostFailure::TriesUsedUp),
            Some(pause) => {
                self.state = state;
                self.not_before = Some(now + TimeDelta::seconds(*pause));
                self.tries += 1;
            }
        }
    }

    /// What was read on the platform settles a creation that had no answer.
    ///
    /// # Errors
    /// `NotNow`: nothing is to be settled. `TooSoon`: that nothing was found means nothing yet.
    pub fn settle(&mut self, evidence: Evidence, read_at: Timestamp) -> Result<(), PostFault> {
        let PostState::OutcomeUnknown { asked_at, candidates } = &mut self.state else {
            return Err(PostFault::NotNow);
        };
        match evidence {
            Evidence::One(found) => {
                self.done();
                self.state = PostState::UnderReview { item: found.item.clone() };
                self.reviewed(&found)
            }
            Evidence::None if read_at - *asked_at < TimeDelta::seconds(SETTLE_S) => Err(PostFault::TooSoon),
            Evidence::None if self.creations >= CREATIONS_MAX => {
                self.state = PostState::Failed(PostFailure::TriesUsedUp);
                Ok(())
            }
            // What was uploaded may be used up all the same, so it is uploaded again.
            Evidence::None => {
                self.state = PostState::Uploading { parts: None };
                Ok(())
            }
            Evidence::Several(count) => {
                *candidates = count;
                Ok(())
            }
        }
    }

    /// How the platform says it stands.
    ///
    /// # Errors
    /// `NotNow`: it is not there, or another is meant.
    pub fn reviewed(&mut self, found: &Found) -> Result<(), PostFault> {
        let (PostState::UnderReview { item } | PostState::Live { item } | PostState::Rejected { item }) =
            &self.state
        else {
            return Err(PostFault::NotNow);
        };
        if *item != found.item {
            return Err(PostFault::NotNow);
        }
        let item = item.clone();
        match found.standing {
            Standing::Pending => {}
            Standing::Public => self.state = PostState::Live { item },
            Standing::Refused => self.state = PostState::Rejected { item },
        }
        Ok(())
    }
}
