//! One post: where it stands, and what somebody may do to it.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::state::{
    Creation, CreationEnd, Fate, Medium, PostDraft, PostFault, PostOp, PostState, Resolution,
};
use crate::kernel::{
    clock::Timestamp,
    ids::{AccountId, PlanId, PostId},
};

/// For how long after it was written down that the platform would be asked it may be asked, in seconds. Who comes to it
/// later does not ask, and a call under way is broken off.
pub const CREATE_WITHIN_S: i64 = 60;

/// What hinders a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hindrance {
    /// Since when it is tried in vain.
    pub since: Timestamp,
    /// Tries in vain.
    pub tries: u32,
    /// What was in the way last.
    pub by: String,
}

/// What was done for a post so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The next step is not taken before.
    pub not_before: Option<Timestamp>,
    /// What hinders it.
    pub hindrance: Option<Hindrance>,
    /// When the first token of its account that was refused ends, which tells it from others.
    pub token_refused: Option<Timestamp>,
    /// Media the platform did not take.
    pub media_refused: u32,
    /// Creations that came to nothing without a word, since somebody last said to try.
    pub absences: u32,
    /// How often it was read in its present state.
    pub looks: u32,
    /// Whether the platform has shown it to us by its name.
    pub was_seen: bool,
    /// How often in a row it did not.
    pub misses: u32,
    /// The account's posts can't be read: somebody's word is taken for what is there.
    pub is_blind: bool,
    /// Its name there is somebody's word, and the platform has not shown it yet.
    pub is_named: bool,
    /// Names of posts on the platform that somebody said are others.
    pub denied: Vec<String>,
    /// Every time the platform was asked for it.
    pub creations: Vec<Creation>,
}

/// One piece of content meant for one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Its id.
    pub id: PostId,
    /// The plan it is of.
    pub plan: PlanId,
    /// The account.
    pub account: AccountId,
    /// What is posted.
    pub draft: PostDraft,
    /// Which of its account's posts in the plan it is, from 1.
    pub occurrence: u32,
    /// What was put in place of `{{name}}` in its text.
    pub variables: BTreeMap<String, String>,
    /// The name it has in somebody's file: the same row of a file makes no second post.
    pub reference: Option<String>,
    /// SHA-256 of the file, where it was known when it was planned.
    pub file: Option<[u8; 32]>,
    /// Where it stands.
    pub state: PostState,
    /// When it is to be there; kept when it is tried again later.
    pub planned_at: Timestamp,
    /// From when on it is late: its time, or when it was agreed to if that came after.
    pub promised_at: Option<Timestamp>,
    /// When the platform took it; as the platform says when its own answer was lost.
    pub accepted_at: Option<Timestamp>,
    /// What was done for it.
    pub progress: Progress,
    /// When it was planned.
    pub created_at: Timestamp,
    /// Counts its changes.
    pub version: u32,
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a step is allowed from the states that are named, and from no other"
)]
impl Post {
    /// A draft.
    pub fn new(
        id: PostId,
        (plan, account): (PlanId, AccountId),
        draft: PostDraft,
        planned_at: Timestamp,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            plan,
            account,
            draft,
            occurrence: 1,
            variables: BTreeMap::new(),
            reference: None,
            file: None,
            state: PostState::Draft,
            planned_at,
            promised_at: None,
            accepted_at: None,
            progress: Progress::default(),
            created_at: now,
            version: 0,
        }
    }

    /// The name it goes by in files: its own there, or its id.
    pub fn file_reference(&self) -> String {
        self.reference.clone().unwrap_or_else(|| self.id.uuid().to_string())
    }

    /// How it ended, as far as is known.
    pub const fn fate(&self) -> Fate {
        match self.state {
            PostState::UnderReview { .. }
            | PostState::Live { .. }
            | PostState::Rejected { .. }
            | PostState::Gone { .. } => Fate::There,
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

    /// When a worker is next to do something for it; `None` when there is nothing for one to do.
    pub fn next_at(&self) -> Option<Timestamp> {
        let not_before = self.progress.not_before;
        match self.state {
            PostState::Waiting { due_at } => Some(not_before.map_or(due_at, |at| at.max(due_at))),
            PostState::Uploading { .. }
            | PostState::Uploaded { .. }
            | PostState::Creating { .. }
            | PostState::OutcomeUnknown { .. } => Some(not_before.unwrap_or(self.planned_at)),
            PostState::UnderReview { .. }
            | PostState::Live { .. }
            | PostState::Rejected { .. }
            | PostState::Gone { .. } => not_before,
            _ => None,
        }
    }

    /// How long after it was promised the platform took it.
    pub fn late(&self) -> Option<std::time::Duration> {
        let late = self.accepted_at? - self.promised_at?;
        Some(late.to_std().unwrap_or_default())
    }

    /// Whether nothing else is asked for in its account's name: what became of the one is told apart by there being no
    /// other. Somebody who must look is not waited for.
    pub const fn holds_account(&self) -> bool {
        matches!(self.state, PostState::Creating { .. } | PostState::OutcomeUnknown { is_stuck: false, .. })
    }

    /// What somebody agrees to.
    pub fn digest(&self) -> [u8; 32] {
        self.draft.digest(self.account, self.planned_at)
    }

    /// Posts on the platform that were asked for in vain, as it seemed, and are there beside the one that is meant. There
    /// should be none.
    pub fn duplicates(&self) -> impl Iterator<Item = &str> {
        let item = self.state.item();
        self.progress.creations.iter().filter_map(move |creation| match &creation.end {
            CreationEnd::Done(other) if item.is_some_and(|item| item != other) => Some(other.as_str()),
            _ => None,
        })
    }

    /// The creations of which nobody has proof that nothing came of them.
    pub(super) fn unproven(&self) -> impl Iterator<Item = &Creation> {
        let is_unproven = |creation: &&Creation| match creation.end {
            CreationEnd::Open | CreationEnd::Absent | CreationEnd::NotDone | CreationEnd::MediumRefused => {
                true
            }
            CreationEnd::Done(_) | CreationEnd::Refused => false,
        };
        self.progress.creations.iter().filter(is_unproven)
    }

    /// From when on absence from the platform's lists is believed, when lists show all that was posted `settle` ago; `None`
    /// when nothing was asked for.
    pub fn absence_from(&self, settle: TimeDelta) -> Option<Timestamp> {
        let last = self.unproven().map(|creation| creation.asked_at).max()?;
        Some(last + TimeDelta::seconds(CREATE_WITHIN_S) + settle)
    }

    /// Whether somebody may do that now.
    pub const fn allows(&self, op: PostOp) -> bool {
        match op {
            PostOp::Submit => matches!(self.state, PostState::Draft),
            PostOp::Approve => matches!(self.state, PostState::AwaitingApproval),
            PostOp::Change => matches!(
                self.state,
                PostState::Draft | PostState::AwaitingApproval | PostState::Waiting { .. }
            ),
            PostOp::Cancel => matches!(
                self.state,
                PostState::Draft
                    | PostState::AwaitingApproval
                    | PostState::Waiting { .. }
                    | PostState::Uploading { .. }
                    | PostState::Uploaded { .. }
            ),
            PostOp::Retry => matches!(self.state, PostState::Failed(_)),
            PostOp::Resolve => matches!(self.state, PostState::OutcomeUnknown { .. }) || self.is_only_named(),
        }
    }

    /// Whether nobody but who named it has ever seen it there: it may have been named wrongly.
    const fn is_only_named(&self) -> bool {
        self.progress.is_named
            && !self.progress.was_seen
            && matches!(self.state, PostState::UnderReview { .. } | PostState::Gone { .. })
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

    /// Somebody agrees to what has this digest, which must be its own.
    ///
    /// # Errors
    /// `NotNow`, `Changed`.
    pub fn approve(&mut self, digest: &[u8; 32], now: Timestamp) -> Result<(), PostFault> {
        self.check(PostOp::Approve)?;
        if *digest != self.digest() {
            return Err(PostFault::Changed);
        }
        self.promised_at = Some(self.planned_at.max(now));
        self.state = PostState::Waiting { due_at: self.planned_at };
        Ok(())
    }

    /// Changes what is posted, or when. Nobody has agreed to that yet.
    ///
    /// # Errors
    /// `NotNow`, `OutcomeUnknown`: some of it is on its way.
    pub fn change(&mut self, draft: PostDraft, planned_at: Timestamp) -> Result<(), PostFault> {
        self.check(PostOp::Change)?;
        self.draft = draft;
        self.planned_at = planned_at;
        self.promised_at = None;
        self.done();
        self.state = PostState::AwaitingApproval;
        Ok(())
    }

    /// Gives it up. Nothing is there, as far as can be known.
    ///
    /// # Errors
    /// `NotNow`, `OutcomeUnknown`.
    pub fn cancel(&mut self) -> Result<(), PostFault> {
        self.check(PostOp::Cancel)?;
        self.done();
        self.state = PostState::Cancelled;
        Ok(())
    }

    /// Tries what failed again. What was ever asked for is read first: the platform's no is not taken for more than it is.
    ///
    /// # Errors
    /// `NotNow`; `OutcomeUnknown`: it may be on the platform.
    pub fn retry(&mut self, now: Timestamp) -> Result<(), PostFault> {
        self.check(PostOp::Retry)?;
        self.done();
        let progress = &mut self.progress;
        (progress.absences, progress.media_refused, progress.looks) = (0, 0, 0);
        self.promised_at = Some(now);
        self.state = if self.unproven().next().is_none() {
            PostState::Waiting { due_at: now }
        } else {
            PostState::OutcomeUnknown { candidates: Vec::new(), is_stuck: false }
        };
        Ok(())
    }

    /// Somebody who has looked says what became of it. Where reading has found nothing and says no more, any name is taken.
    ///
    /// # Errors
    /// `NotNow`; `NoCandidate`: it was not found by reading; `TooSoon`: nobody can know yet that it is not there.
    pub fn resolve(
        &mut self,
        resolution: Resolution,
        settle: TimeDelta,
        now: Timestamp,
    ) -> Result<(), PostFault> {
        if !self.allows(PostOp::Resolve) {
            return Err(PostFault::NotNow);
        }
        let candidates = match &self.state {
            PostState::OutcomeUnknown { candidates, .. } => candidates.clone(),
            _ => Vec::new(),
        };
        let late_enough = self.absence_from(settle).is_none_or(|from| now >= from);
        match resolution {
            Resolution::Is(item) => {
                let found = candidates.iter().find(|candidate| candidate.item == item);
                let is_blind = self.progress.is_blind || self.is_only_named();
                let stuck = matches!(&self.state, PostState::OutcomeUnknown { is_stuck: true, candidates }
                    if candidates.is_empty());
                if found.is_none() && !is_blind && !stuck {
                    return Err(PostFault::NoCandidate);
                }
                let asked_at = self.progress.creations.last().map_or(now, |last| last.asked_at);
                let made_at = found.map_or(asked_at, |candidate| candidate.created_at);
                let is_named = found.is_none();
                self.unname();
                self.is_there(item, made_at, now);
                self.progress.is_named = is_named;
            }
            Resolution::PostAgain | Resolution::GiveUp => {
                if !late_enough {
                    return Err(PostFault::TooSoon);
                }
                self.unname();
                self.progress.denied.extend(candidates.into_iter().map(|candidate| candidate.item));
                self.is_absent();
                self.progress.absences = 0;
                self.accepted_at = None;
                self.state = match resolution {
                    Resolution::GiveUp => PostState::Cancelled,
                    _ => PostState::Uploading { parts: None },
                };
            }
        }
        Ok(())
    }

    /// Forgets a name that was somebody's word.
    fn unname(&mut self) {
        let Some(item) = self.state.item().map(ToOwned::to_owned) else { return };
        let done = CreationEnd::Done(item);
        for creation in &mut self.progress.creations {
            if creation.end == done {
                creation.end = CreationEnd::Open;
            }
        }
    }

    /// A step was done: what hindered those before does not count any more.
    pub(super) fn done(&mut self) {
        self.progress.hindrance = None;
        self.progress.token_refused = None;
        self.progress.not_before = None;
    }

    /// The platform has it, under this name, since then.
    pub(super) fn is_there(&mut self, item: String, made_at: Timestamp, now: Timestamp) {
        self.done();
        (self.progress.looks, self.progress.misses) = (0, 0);
        (self.progress.was_seen, self.progress.is_blind, self.progress.is_named) = (false, false, false);
        self.progress.not_before = Some(now + super::steps::look_pause(0));
        self.accepted_at = Some(made_at);
        // Which of several creations it is of, when it was found by reading, nobody can tell; the last will do.
        let done = CreationEnd::Done(item.clone());
        let creations = &mut self.progress.creations;
        if !creations.iter().any(|creation| creation.end == done)
            && let Some(last) = creations.iter_mut().rfind(|creation| creation.end == CreationEnd::Open)
        {
            last.end = done;
        }
        self.state = PostState::UnderReview { item };
    }

    /// What was asked for is not there.
    pub(super) fn is_absent(&mut self) {
        self.done();
        (self.progress.is_blind, self.progress.is_named) = (false, false);
        self.progress.looks = 0;
        for creation in &mut self.progress.creations {
            if creation.end == CreationEnd::Open {
                creation.end = CreationEnd::Absent;
            }
        }
    }

    /// The creation of that number.
    pub(super) fn creation(&mut self, number: u32) -> Option<&mut Creation> {
        self.progress.creations.iter_mut().find(|creation| creation.number == number)
    }

    /// Writes down that the platform is asked now, with that medium.
    pub(super) fn ask(&mut self, medium: Medium, now: Timestamp) -> u32 {
        let number = self.progress.creations.last().map_or(1, |last| last.number + 1);
        let creation = Creation { number, medium, asked_at: now, end: CreationEnd::Open };
        self.progress.creations.push(creation);
        self.state = PostState::Creating { number };
        number
    }
}
