//! What posting needs from outside, in its own words.

mod figures;
mod platform;

use std::collections::{BTreeMap, HashMap, HashSet};

use async_trait::async_trait;
use chrono::TimeDelta;
use uuid::Uuid;

use super::{
    events::{NoteKind, PostNote, PublishingEvent},
    model::{Overdue, Plan, Post, PostStatus, Timetable},
};
use crate::{
    accounts::ports::AccountsTx,
    content::ports::ContentTx,
    kernel::{
        clock::Timestamp,
        fault::PortError,
        ids::{AccountId, ComplianceId, MemberId, PlanId, PostId, TimetableId},
        outbox::Origin,
        page::{Page, PageRequest},
        scope::TenantScope,
    },
};

pub use figures::{FigureQuery, FigureReading, FigureStore, FigureTimes, FigureTotal, Lateness};
pub use platform::{
    Figures, FileBytes, ListPage, Listed, NewPost, PartRules, PostRules, Publisher, Publishers,
};

/// Which posts are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PostQuery {
    /// Only those of these accounts; `None` for all.
    pub accounts: Option<Vec<AccountId>>,
    /// Only those of this plan.
    pub plan: Option<PlanId>,
    /// Only those that stand so.
    pub status: Option<PostStatus>,
}

/// Lists of posts, each with its own order and its own pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostLists {
    /// Those of each of these accounts.
    OfAccounts(Vec<AccountId>),
    /// Those of each of these plans; only those of these accounts, `None` for all.
    OfPlans(Vec<PlanId>, Option<Vec<AccountId>>),
}

/// Plans, posts, their timelines, and the turns of accounts.
///
/// Who changes a post locks its account's turn first ([`PostStore::wake_account`], [`PostStore::hold_turn`]) and the post
/// then: callers and workers would wait for each other in a circle otherwise.
#[async_trait]
pub trait PostStore: Send {
    /// Stores a new plan.
    async fn add_plan(&mut self, plan: &Plan) -> Result<(), PortError>;
    /// `None` when this tenant has no such plan.
    async fn plan(&mut self, id: PlanId) -> Result<Option<Plan>, PortError>;
    /// Oldest first.
    async fn plans(&mut self, page: PageRequest) -> Result<Page<Plan>, PortError>;
    /// Stores new posts.
    async fn add_posts(&mut self, posts: &[Post]) -> Result<(), PortError>;
    /// `None` when this tenant has no such post.
    async fn post(&mut self, id: PostId) -> Result<Option<Post>, PortError>;
    /// The same, locked until the transaction ends.
    async fn lock_post(&mut self, id: PostId) -> Result<Option<Post>, PortError>;
    /// Stores changes and counts the version on; stale when it is another than the one stored.
    async fn update_post(&mut self, post: &Post) -> Result<(), PortError>;
    /// All posts of a plan, by their ids, locked until the transaction ends if that is wanted.
    async fn posts_of_plan(&mut self, plan: PlanId, lock: bool) -> Result<Vec<Post>, PortError>;
    /// The posts of these plans that wait for somebody to agree, by their ids.
    async fn awaiting_posts(&mut self, plans: &[PlanId]) -> Result<Vec<Post>, PortError>;
    /// By the time they are planned for.
    async fn posts(&mut self, query: &PostQuery, page: PageRequest) -> Result<Page<Post>, PortError>;
    /// The same part of each of many lists, by the time they are planned for, and by the id of the account or plan. An empty
    /// one is absent.
    async fn post_lists(
        &mut self,
        lists: &PostLists,
        page: PageRequest,
    ) -> Result<HashMap<Uuid, Page<Post>>, PortError>;
    /// The account's most urgent post that is due, locked: what is to be found out first, then what is to be posted, then
    /// what is to be looked at. While what became of one is not known, nothing else is asked for.
    async fn due_post(&mut self, account: AccountId, now: Timestamp) -> Result<Option<Post>, PortError>;
    /// The account's posts that are there and are to be looked at by then, with the platform's names for them.
    async fn due_looks(
        &mut self,
        account: AccountId,
        by: Timestamp,
        most: u32,
    ) -> Result<Vec<(PostId, String)>, PortError>;
    /// These accounts' posts that were not given up and did not fail: those planned for a span, and those planned before it
    /// that are still to be posted, or were posted in it.
    async fn planned(
        &mut self,
        accounts: &[AccountId],
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Planned>, PortError>;
    /// When the account's next post is due, among those that may be worked on, and whether somebody must decide on one.
    async fn next_due(&mut self, account: AccountId) -> Result<NextDue, PortError>;
    /// The account's post of that name of the platform.
    async fn post_by_item(&mut self, account: AccountId, item: &str) -> Result<Option<PostId>, PortError>;
    /// Which of these names of the platform are those of other posts of the account.
    async fn known_items(
        &mut self,
        account: AccountId,
        items: &[String],
        but: PostId,
    ) -> Result<HashSet<String>, PortError>;
    /// Waits until nobody else of the tenant takes a file of posts in, and keeps others from it until the transaction ends.
    async fn hold_imports(&mut self) -> Result<(), PortError>;
    /// Posts by the names they go by in files ([`Post::file_reference`]), by their ids.
    async fn posts_by_reference(&mut self, references: &[String]) -> Result<Vec<Post>, PortError>;
    /// What speaks against each of these posts, beside the others there are of these accounts, or all. What nothing speaks
    /// against is absent.
    async fn warnings(
        &mut self,
        posts: &[PostId],
        accounts: Option<Vec<AccountId>>,
    ) -> Result<HashMap<PostId, Vec<PostWarning>>, PortError>;
    /// What would speak against these posts, by their places in the list: beside one another, and beside the others there
    /// are of these accounts, or all. What nothing would is absent.
    async fn foresee(
        &mut self,
        posts: &[Prospect],
        accounts: Option<Vec<AccountId>>,
    ) -> Result<HashMap<usize, Vec<Foreseen>>, PortError>;
    /// Adds a line to a post's timeline.
    async fn add_note(
        &mut self,
        post: &Post,
        kind: NoteKind,
        detail: Option<String>,
        at: Timestamp,
    ) -> Result<(), PortError>;
    /// The timelines of posts, each in the order in which things happened to it.
    async fn notes(&mut self, posts: &[PostId]) -> Result<HashMap<PostId, Vec<PostNote>>, PortError>;
    /// Keeps that whoever acts has agreed to each of these posts as it is.
    async fn add_receipts(&mut self, posts: &[&Post], at: Timestamp) -> Result<(), PortError>;
    /// Who agreed to posts, and to what, oldest first.
    async fn receipts(&mut self, posts: &[PostId]) -> Result<HashMap<PostId, Vec<PostReceipt>>, PortError>;
    /// Whether somebody agreed to the post as it is.
    async fn has_receipt(&mut self, post: &Post) -> Result<bool, PortError>;
    /// Locks an account's turn until the transaction ends, and has it begin at `due_at` at the latest, if at all.
    async fn wake_account(&mut self, account: AccountId, due_at: Option<Timestamp>) -> Result<(), PortError>;
    /// The same for many, in the order of their ids.
    async fn wake_accounts(
        &mut self,
        accounts: &BTreeMap<AccountId, Option<Timestamp>>,
    ) -> Result<(), PortError>;
    /// Locks the turn until the transaction ends and lets it last so long from now: the store's own time, which all
    /// replicas have in common; `None` when it is somebody else's.
    async fn hold_turn(&mut self, turn: &Turn, lease: TimeDelta) -> Result<Option<Timestamp>, PortError>;
    /// Gives the turn back, for whoever comes when it is due next. The turn is held.
    async fn end_turn(
        &mut self,
        turn: &Turn,
        due_at: Option<Timestamp>,
        held_by: Option<HeldBy>,
    ) -> Result<(), PortError>;
}

/// What is next for an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NextDue {
    /// When its next post is due; `None` when none is.
    pub at: Option<Timestamp>,
    /// Whether somebody must say what became of one of its posts.
    pub is_undecided: bool,
    /// What is in the way of posts that are still to be posted, in the words of [`Hindrance::by`].
    pub hindered_by: Vec<String>,
}

impl NextDue {
    /// What somebody must do something about.
    pub fn held_by(&self) -> Option<HeldBy> {
        let told = |held_by: &HeldBy| {
            held_by.why().is_some_and(|why| self.hindered_by.iter().any(|hindered_by| hindered_by == why))
        };
        if self.is_undecided { Some(HeldBy::Undecided) } else { HeldBy::ALL.into_iter().find(told) }
    }
}

/// What keeps an account's posts from being worked on until somebody does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeldBy {
    /// Nobody knows what became of one of its posts: somebody must look.
    Undecided,
    /// Its owner must consent again.
    Consent,
    /// It was given up, or can't be posted to.
    Absent,
    /// Something inside failed.
    Fault,
    /// Somebody paused it.
    Paused,
}

impl HeldBy {
    /// All of them, what is told first if several hold.
    pub const ALL: [Self; 5] = [Self::Undecided, Self::Consent, Self::Absent, Self::Fault, Self::Paused];

    /// The word stores and figures keep.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Undecided => "undecided",
            Self::Consent => "consent",
            Self::Absent => "absent",
            Self::Fault => "fault",
            Self::Paused => "paused",
        }
    }

    /// The one of that word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|held_by| held_by.as_str() == text)
    }

    /// What is said to be in the way of a post; `None` for what is not in one's way.
    pub const fn why(self) -> Option<&'static str> {
        match self {
            Self::Undecided => None,
            Self::Consent => Some("the account's owner must consent again"),
            Self::Absent => Some("the account is not there, or nothing can be posted to it"),
            Self::Fault => Some("something inside failed; its log says what"),
            Self::Paused => Some("the account is paused"),
        }
    }
}

/// That somebody agreed to a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostReceipt {
    /// What was agreed to ([`Post::digest`]).
    pub digest: [u8; 32],
    /// The member who did; `None` for a machine.
    pub member: Option<MemberId>,
    /// When.
    pub at: Timestamp,
    /// The answer it was part of.
    pub compliance_id: ComplianceId,
}

/// A post, as far as its account's days are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The account.
    pub account: AccountId,
    /// When it is planned for.
    pub planned_at: Timestamp,
    /// When the platform took it.
    pub accepted_at: Option<Timestamp>,
}

impl Planned {
    /// When it counts: when it was posted, or will be.
    pub fn counts_at(&self, now: Timestamp) -> Timestamp {
        self.accepted_at.unwrap_or_else(|| self.planned_at.max(now))
    }
}

/// What may speak against a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WarningKind {
    /// Its account has the same file already, or is to have it.
    SameFile,
    /// Other accounts have the same file with the same text: platforms count that as spam.
    SameText,
    /// Its account has another post within half an hour.
    Close,
}

impl WarningKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::SameFile, Self::SameText, Self::Close];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SameFile => "same_file",
            Self::SameText => "same_text",
            Self::Close => "close",
        }
    }
}

/// Something that speaks against a post, but does not stop it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostWarning {
    /// What.
    pub kind: WarningKind,
    /// Because of how many other posts.
    pub others: u32,
    /// One of them.
    pub other: PostId,
}

/// A post as it would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prospect {
    /// The one there is that would be so; `None` for a new one.
    pub post: Option<PostId>,
    /// Its account.
    pub account: AccountId,
    /// SHA-256 of its file.
    pub file: Option<[u8; 32]>,
    /// Its text; `None` when that is not known yet.
    pub caption: Option<String>,
    /// When it would be there.
    pub planned_at: Timestamp,
}

/// Something that would speak against a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Foreseen {
    /// What.
    pub kind: WarningKind,
    /// Because of how many others.
    pub others: u32,
    /// One of them that is there; `None` when none is yet.
    pub other: Option<PostId>,
}

/// Timetables.
#[async_trait]
pub trait TimetableStore: Send {
    /// Stores a new one.
    async fn add_timetable(&mut self, timetable: &Timetable) -> Result<(), PortError>;
    /// `None` when this tenant has no such timetable.
    async fn timetable(&mut self, id: TimetableId) -> Result<Option<Timetable>, PortError>;
    /// Oldest first.
    async fn timetables(&mut self, page: PageRequest) -> Result<Page<Timetable>, PortError>;
    /// Stores changes and counts the version on; stale when it is another than the one stored.
    async fn update_timetable(&mut self, timetable: &Timetable) -> Result<(), PortError>;
    /// Forgets one; `false` when there is none.
    async fn remove_timetable(&mut self, id: TimetableId) -> Result<bool, PortError>;
}

/// The stores of publishing in one transaction of one tenant, and of the contexts it asks.
pub trait PublishingTx: PostStore + TimetableStore + FigureStore + AccountsTx + ContentTx {
    /// Told to subscribers once the transaction is committed, and never when it is not.
    fn announce(&mut self, event: PublishingEvent);
}

/// Opens transactions for what no command does.
#[async_trait]
pub trait PublishingUnits: Send + Sync {
    /// Opens one confined to `scope`, whose events come from `origin`.
    async fn begin(&self, scope: TenantScope, origin: &Origin) -> Result<Box<dyn PublishingUnit>, PortError>;
}

/// One open transaction. Dropped without a commit, it leaves nothing behind.
#[async_trait]
pub trait PublishingUnit: PublishingTx {
    /// Makes it all durable, then announces.
    async fn commit(self: Box<Self>) -> Result<(), PortError>;
}

/// The right to work for one account, for a while. Whoever was given it before has lost it: each turn has a number, and
/// what is written under an older one is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The tenant.
    pub scope: TenantScope,
    /// The account.
    pub account: AccountId,
    /// Which turn.
    pub fence: i64,
}

/// Accounts of all tenants that something is to be done for.
#[async_trait]
pub trait TurnSchedule: Send + Sync {
    /// Claims up to `most` that are due, each tenant's in its turn; nobody else gets them for `lease`.
    async fn claim(&self, most: u32, lease: TimeDelta) -> Result<Vec<Turn>, PortError>;
    /// Lets a turn last so long from now; `false` when it is somebody else's.
    async fn extend(&self, turn: &Turn, lease: TimeDelta) -> Result<bool, PortError>;
    /// How many turns are due for more than a moment and nobody has them, counted up to 10,000, and for how many seconds the
    /// oldest is.
    async fn behind(&self) -> Result<(u64, f64), PortError>;
    /// How many accounts something keeps from being worked for, by what it is. What keeps none is absent.
    async fn held(&self) -> Result<Vec<(HeldBy, u64)>, PortError>;
    /// How many posts wait for something for longer than they should, counted up to 10,000.
    async fn overdue(&self, waits: Overdue) -> Result<u64, PortError>;
    /// Makes room for the figures of this month and the next.
    async fn make_room(&self, now: Timestamp) -> Result<(), PortError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_must_do_something_about_is_told_and_nothing_else() {
        let next = |is_undecided, hindered_by: &[&str]| NextDue {
            at: None,
            is_undecided,
            hindered_by: hindered_by.iter().map(|by| (*by).to_owned()).collect(),
        };
        assert_eq!(next(false, &[]).held_by(), None);
        assert_eq!(next(false, &["posts_used_up (code 7)"]).held_by(), None);
        for held_by in HeldBy::ALL {
            assert_eq!(HeldBy::parse(held_by.as_str()), Some(held_by));
            let Some(why) = held_by.why() else { continue };
            assert_eq!(next(false, &["another", why]).held_by(), Some(held_by));
            assert_eq!(next(true, &[why]).held_by(), Some(HeldBy::Undecided));
        }
    }
}
