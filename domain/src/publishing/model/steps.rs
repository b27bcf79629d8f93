//! What a worker does for a post: each step is allowed from some states and leads to one.

use chrono::TimeDelta;

use super::{
    post::{Hindrance, Post},
    state::{
        Creation, CreationEnd, Fate, Medium, PartMap, PostFailure, PostFault, PostState, Standing, Step,
    },
};
use crate::kernel::{
    clock::Timestamp,
    platform::{PlatformError, Refusal, RefusalKind},
};

/// Pauses before a step that surely did nothing is tried again, in seconds; the last again and again. The first three pass
/// over what a moment mends; a post is not given up after them, for a platform that is away for half a minute, or a night,
/// would else cost posts that nobody refused, and somebody would have to try each again by hand.
pub const RETRIES_S: [i64; 6] = [1, 4, 16, 60, 300, 300];

/// How long a step is tried in vain before a post is given up, in seconds.
pub const PATIENCE_S: i64 = 6 * 3_600;

/// Pause when a quota is used up and nobody says when it opens, in seconds.
const QUOTA_PAUSE_S: i64 = 1_800;

/// Pause when a token was refused that was made for the one that was refused before it, in seconds: another will hardly do.
const TOKENS_PAUSE_S: i64 = 1_800;

/// Pause before reading is tried again that was refused for a reason that stays, in seconds.
const REFUSED_PAUSE_S: i64 = 3_600;

/// Media of one post that a platform may refuse before it is taken for the file's fault.
const MEDIA_REFUSED_MAX: u32 = 3;

/// How long a medium that is uploaded in parts may take, in seconds (Douyin open platform: an `upload_id` lives 2 h; less
/// here, so that it never ends under way).
const PART_UPLOAD_LIFE_S: i64 = 6_000;

/// Pauses between looks at what the platform made of a post, in seconds (after the contract's advice, with one look more at
/// the beginning: many are through in seconds); the last again and again.
const LOOKS_S: [i64; 7] = [10, 30, 60, 120, 300, 600, 3_600];

/// How often what is there is looked at, by how long ago the platform took it, in seconds: in the first hour as often as is
/// wished, then so many times less often, and after a month (the platform gives no figures of older ones) not any more.
const LOOKS_BY_AGE_S: [(i64, i32); 4] = [(3_600, 1), (86_400, 12), (7 * 86_400, 72), (30 * 86_400, 288)];

/// Looks in a row that do not show a post before it is taken to be gone: one that was shown before, and one that never was.
const MISSES_MAX: [u32; 2] = [3, 7];

pub(super) fn look_pause(looks: u32) -> TimeDelta {
    TimeDelta::seconds(nth(&LOOKS_S, looks))
}

/// The one at that place, or the last.
fn nth(pauses: &[i64], at: u32) -> i64 {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    pauses.get(at).or(pauses.last()).copied().unwrap_or_default()
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a step is allowed from the states that are named, and from no other"
)]
impl Post {
    /// Begins, or goes on after whoever was at it is gone: what may have been asked for is unknown from then on.
    ///
    /// # Errors
    /// `NotNow`: it is not due, or there is nothing for us to do.
    pub fn take_up(&mut self, now: Timestamp) -> Result<Step, PostFault> {
        if self.next_at().is_none_or(|at| now < at) {
            return Err(PostFault::NotNow);
        }
        match &self.state {
            PostState::Waiting { .. } => {
                self.state = PostState::Uploading { parts: None };
                Ok(Step::Upload)
            }
            PostState::Uploading { parts } => {
                let life = TimeDelta::seconds(PART_UPLOAD_LIFE_S);
                if parts.as_ref().is_some_and(|parts| now - parts.begun_at > life) {
                    self.state = PostState::Uploading { parts: None };
                }
                Ok(Step::Upload)
            }
            PostState::Uploaded { .. } => Ok(Step::Create),
            PostState::Creating { .. } => {
                self.lose_answer();
                Ok(Step::FindOut)
            }
            PostState::OutcomeUnknown { .. } => Ok(Step::FindOut),
            PostState::UnderReview { .. }
            | PostState::Live { .. }
            | PostState::Rejected { .. }
            | PostState::Gone { .. } => Ok(Step::Look),
            _ => Err(PostFault::NotNow),
        }
    }

    /// Forgets that it was begun, when nothing was sent yet: it waits as before, and can be changed.
    pub fn put_back(&mut self) {
        if self.state == (PostState::Uploading { parts: None }) && self.progress.creations.is_empty() {
            self.state = PostState::Waiting { due_at: self.planned_at };
        }
    }

    /// Nobody agreed to it as it is: it waits for somebody who does.
    ///
    /// # Errors
    /// `NotNow`: it was asked for already, or is not under way.
    pub fn unconfirmed(&mut self) -> Result<(), PostFault> {
        let is_under_way = matches!(self.state, PostState::Uploading { .. } | PostState::Uploaded { .. });
        if !is_under_way || !self.progress.creations.is_empty() {
            return Err(PostFault::NotNow);
        }
        self.done();
        self.promised_at = None;
        self.state = PostState::AwaitingApproval;
        Ok(())
    }

    fn lose_answer(&mut self) {
        self.progress.looks = 0;
        self.progress.not_before = None;
        self.state = PostState::OutcomeUnknown { candidates: Vec::new(), is_stuck: false };
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

    /// A part is there, of the upload that has this name.
    ///
    /// # Errors
    /// `NotNow`.
    pub fn part_done(&mut self, ticket: &str, number: u32) -> Result<(), PostFault> {
        match &mut self.state {
            PostState::Uploading { parts: Some(parts) } if parts.ticket == ticket => {
                parts.there.insert(number);
                self.done();
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

    /// There is no file to bring there.
    ///
    /// # Errors
    /// `NotNow`.
    pub fn file_gone(&mut self) -> Result<(), PostFault> {
        if !matches!(self.state, PostState::Uploading { .. }) {
            return Err(PostFault::NotNow);
        }
        self.done();
        self.state = PostState::Failed(PostFailure::FileGone);
        Ok(())
    }

    /// The platform is about to be asked: the number of the creation, and what to ask with. Made durable before it is.
    ///
    /// # Errors
    /// `NotNow`.
    pub fn creation_begun(&mut self, now: Timestamp) -> Result<(u32, Medium), PostFault> {
        let PostState::Uploaded { medium } = &self.state else { return Err(PostFault::NotNow) };
        let medium = medium.clone();
        Ok((self.ask(medium.clone(), now), medium))
    }

    /// The platform answered a creation. A yes counts whenever it comes, and whatever was made of its silence; a no only
    /// for who is still waiting for it.
    ///
    /// # Errors
    /// `NotNow`: none of that number was asked for, or its silence was acted on already.
    pub fn created(
        &mut self,
        number: u32,
        answer: Result<String, &PlatformError>,
        now: Timestamp,
    ) -> Result<(), PostFault> {
        let error = match answer {
            Ok(item) => {
                self.creation(number).ok_or(PostFault::NotNow)?.end = CreationEnd::Done(item.clone());
                if self.fate() != Fate::There {
                    self.is_there(item, now, now);
                }
                return Ok(());
            }
            Err(error) => error,
        };
        if self.state != (PostState::Creating { number }) {
            return Err(PostFault::NotNow);
        }
        let medium = self.creation(number).ok_or(PostFault::NotNow)?.medium.clone();
        match error {
            PlatformError::Unknown(_) => self.lose_answer(),
            // What was posted with already is refused in the same words as what is no good.
            PlatformError::Refused(Refusal { kind: RefusalKind::MediumRefused, .. }) => {
                self.end_creation(number, CreationEnd::MediumRefused);
                self.lose_answer();
            }
            PlatformError::NotDone(_) | PlatformError::Refused(_) => {
                let is_refused = matches!(error, PlatformError::Refused(_));
                self.end_creation(
                    number,
                    if is_refused { CreationEnd::Refused } else { CreationEnd::NotDone },
                );
                self.state = PostState::Uploaded { medium };
                self.hindered(error, now)?;
            }
        }
        Ok(())
    }

    /// The platform was not asked after all: too much time had passed since it was written down.
    ///
    /// # Errors
    /// `NotNow`.
    pub fn not_asked(&mut self, number: u32) -> Result<(), PostFault> {
        if self.state != (PostState::Creating { number }) {
            return Err(PostFault::NotNow);
        }
        let medium = self.creation(number).ok_or(PostFault::NotNow)?.medium.clone();
        self.end_creation(number, CreationEnd::Refused);
        self.state = PostState::Uploaded { medium };
        Ok(())
    }

    fn end_creation(&mut self, number: u32, end: CreationEnd) {
        // Of those that were refused the last will do: a quota may refuse for days.
        let is_old = |creation: &Creation| creation.end == CreationEnd::Refused && creation.number != number;
        self.progress.creations.retain(|creation| !is_old(creation));
        if let Some(creation) = self.creation(number) {
            creation.end = end;
        }
    }

    /// A step was not done, or refused. Reading that goes wrong ends nothing.
    ///
    /// # Errors
    /// `NotNow`.
    pub fn hindered(&mut self, error: &PlatformError, now: Timestamp) -> Result<(), PostFault> {
        match &self.state {
            PostState::Uploading { parts } => {
                let is_in_parts = parts.is_some();
                self.hindered_before(error, is_in_parts, now);
            }
            PostState::Uploaded { .. } => self.hindered_before(error, false, now),
            PostState::OutcomeUnknown { .. }
            | PostState::UnderReview { .. }
            | PostState::Live { .. }
            | PostState::Rejected { .. }
            | PostState::Gone { .. } => self.not_read(error, now),
            _ => return Err(PostFault::NotNow),
        }
        Ok(())
    }

    /// What was to be read could not be. That ends nothing, and is tried the less often the longer it may last.
    fn not_read(&mut self, error: &PlatformError, now: Timestamp) {
        let pause = match error {
            PlatformError::Refused(Refusal { kind: RefusalKind::TokenDead, .. })
            | PlatformError::NotDone(_)
            | PlatformError::Unknown(_) => return self.try_later(error.word(), now),
            PlatformError::Refused(Refusal {
                kind: RefusalKind::QuotaUsedUp | RefusalKind::PostsUsedUp,
                ..
            }) => QUOTA_PAUSE_S,
            PlatformError::Refused(_) => REFUSED_PAUSE_S,
        };
        self.wait(error.word(), now + TimeDelta::seconds(pause), now);
    }

    /// Reading says no more, or can't be done: somebody must look.
    ///
    /// # Errors
    /// `NotNow`: nothing is to be found out, or reading may say more yet.
    pub fn give_up_reading(&mut self, settle: TimeDelta, now: Timestamp) -> Result<(), PostFault> {
        let late_enough = self.absence_from(settle).is_some_and(|from| now >= from);
        match &mut self.state {
            PostState::OutcomeUnknown { is_stuck, .. } if late_enough && !self.progress.is_blind => {
                *is_stuck = true;
                self.progress.is_blind = true;
                Ok(())
            }
            _ => Err(PostFault::NotNow),
        }
    }

    /// Hindered before anything was asked for.
    fn hindered_before(&mut self, error: &PlatformError, is_in_parts: bool, now: Timestamp) {
        match error {
            // An upload that may have been done does no harm: it is done again.
            PlatformError::NotDone(_) | PlatformError::Unknown(_) => self.try_later(error.word(), now),
            PlatformError::Refused(refusal) => self.refused(*refusal, error.word(), is_in_parts, now),
        }
        let in_vain = self.progress.hindrance.as_ref().is_some_and(|hindrance| {
            now - hindrance.since > TimeDelta::seconds(PATIENCE_S) && hindrance.tries > 0
        });
        if in_vain && self.fate() == Fate::Open {
            self.state = PostState::Failed(PostFailure::TriesUsedUp);
        }
    }

    /// What a refusal leads to. The platform surely did nothing.
    fn refused(&mut self, refusal: Refusal, word: String, is_in_parts: bool, now: Timestamp) {
        match refusal.kind {
            // The token pool, or time, puts these right.
            RefusalKind::TokenDead => self.try_later(word, now),
            // However often: a quota opens again, and a post is not lost over it.
            RefusalKind::QuotaUsedUp | RefusalKind::PostsUsedUp => {
                self.wait(word, now + TimeDelta::seconds(QUOTA_PAUSE_S), now);
            }
            RefusalKind::MediumRefused if self.progress.media_refused + 1 < MEDIA_REFUSED_MAX => {
                self.progress.media_refused += 1;
                self.state = PostState::Uploading { parts: None };
                self.try_later(word, now);
            }
            // The upload was ended without our hearing of it, or is forgotten there.
            RefusalKind::BadCall if is_in_parts => {
                self.state = PostState::Uploading { parts: None };
                self.try_later(word, now);
            }
            RefusalKind::ConsentGone
            | RefusalKind::NotGranted
            | RefusalKind::RenewalsOver
            | RefusalKind::OwnerGone
            | RefusalKind::AppLacks
            | RefusalKind::AppWrong
            | RefusalKind::AppOff
            | RefusalKind::AbilityOff
            | RefusalKind::ContentRefused
            | RefusalKind::MediumRefused
            | RefusalKind::PostingBarred
            | RefusalKind::BadCall => {
                self.done();
                self.state = PostState::Failed(PostFailure::Refused(refusal));
            }
        }
    }

    /// Waits for something that is not the platform's to give: it counts for no try.
    ///
    /// # Errors
    /// `NotNow`: there is nothing for us to do.
    pub fn held(&mut self, by: String, until: Timestamp, now: Timestamp) -> Result<(), PostFault> {
        if self.next_at().is_none() {
            return Err(PostFault::NotNow);
        }
        self.wait(by, until, now);
        Ok(())
    }

    /// What hinders it is known to last until then.
    pub fn hindered_until(&mut self, until: Timestamp) {
        if self.progress.hindrance.is_some() && self.next_at().is_some() {
            self.progress.not_before = Some(until);
        }
    }

    /// The token of its account that ends then was refused. It is tried once more with the next; when that is refused too,
    /// whatever is wrong is not put right by another, and it is tried seldom: the post is not given up over it.
    pub fn token_refused(&mut self, ends_at: Timestamp, now: Timestamp) {
        let is_another = self.progress.token_refused.is_some_and(|before| before != ends_at);
        let is_tried = self.next_at().is_some();
        if !is_another {
            self.progress.token_refused = Some(ends_at);
        } else if let Some(hindrance) = self.progress.hindrance.clone().filter(|_| is_tried) {
            self.wait(hindrance.by, now + TimeDelta::seconds(TOKENS_PAUSE_S), now);
        }
    }

    fn wait(&mut self, by: String, until: Timestamp, now: Timestamp) {
        let since = self.progress.hindrance.as_ref().map_or(now, |hindrance| hindrance.since);
        self.progress.hindrance = Some(Hindrance { since, tries: 0, by });
        self.progress.not_before = Some(until);
    }

    fn try_later(&mut self, by: String, now: Timestamp) {
        let before = self.progress.hindrance.as_ref().filter(|hindrance| hindrance.tries > 0);
        let (since, tries) = before.map_or((now, 0), |hindrance| (hindrance.since, hindrance.tries));
        self.progress.not_before = Some(now + TimeDelta::seconds(nth(&RETRIES_S, tries)));
        self.progress.hindrance = Some(Hindrance { since, tries: tries.saturating_add(1), by });
    }

    /// When it is looked at next. What is in review is waited for; what has passed changes the slower the older it is.
    fn next_look(&self, pace: TimeDelta, now: Timestamp) -> Option<Timestamp> {
        let age = now - self.accepted_at?;
        let (_, slower) = LOOKS_BY_AGE_S.iter().find(|(until, _)| age < TimeDelta::seconds(*until))?;
        let is_in_review = matches!(self.state, PostState::UnderReview { .. });
        Some(now + if is_in_review { look_pause(self.progress.looks) } else { pace * *slower })
    }

    /// Its figures have moved: it is looked at then, if that is sooner than it would be. `false` when it is not.
    pub fn stirred(&mut self, at: Timestamp) -> bool {
        let is_sooner = self.progress.not_before.is_some_and(|next| at < next);
        let is_there = matches!(self.state, PostState::UnderReview { .. } | PostState::Live { .. });
        if is_there && is_sooner {
            self.progress.not_before = Some(at);
        }
        is_there && is_sooner
    }

    /// How the platform says it stands; `None` when it shows no such post. `pace` is how often one that is young is looked
    /// at.
    ///
    /// # Errors
    /// `NotNow`: it is not there.
    pub fn looked(
        &mut self,
        standing: Option<Standing>,
        pace: TimeDelta,
        now: Timestamp,
    ) -> Result<(), PostFault> {
        let Some(item) = self.state.item().map(ToOwned::to_owned) else { return Err(PostFault::NotNow) };
        self.done();
        let progress = &mut self.progress;
        progress.looks = progress.looks.saturating_add(1);
        progress.was_seen |= standing.is_some();
        progress.misses = if standing.is_some() { 0 } else { progress.misses.saturating_add(1) };
        // A post that was just made may not be shown yet, and lists have gaps.
        let misses_max = if progress.was_seen { MISSES_MAX[0] } else { MISSES_MAX[1] };
        let is_gone = progress.misses >= misses_max;
        match standing {
            None if is_gone => self.state = PostState::Gone { item },
            Some(Standing::Refused) => self.state = PostState::Rejected { item },
            Some(Standing::Public) => self.state = PostState::Live { item },
            // It is there again, and looked at anew.
            Some(Standing::Pending) if !matches!(self.state, PostState::Live { .. }) => {
                self.state = PostState::UnderReview { item };
            }
            None | Some(Standing::Pending) => {}
        }
        self.progress.not_before = self.next_look(pace, now);
        Ok(())
    }
}
