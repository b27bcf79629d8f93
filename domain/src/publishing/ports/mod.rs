//! What posting needs from outside, in its own words.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use chrono::TimeDelta;
use sha2::{Digest as _, Sha256};

use super::{
    events::{NoteKind, PostNote, PublishingEvent},
    model::{Medium, Plan, Post, PostStatus, Standing, Timetable, Visibility},
};
use crate::{
    accounts::{TokenLease, ports::AccountsTx},
    content::ports::ContentTx,
    kernel::{
        clock::Timestamp,
        fault::PortError,
        ids::{AccountId, PlanId, PostId, TimetableId},
        outbox::Origin,
        page::{Page, PageRequest},
        platform::{PlatformError, PlatformKey},
        scope::TenantScope,
    },
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
    /// By the time they are planned for.
    async fn posts(&mut self, query: &PostQuery, page: PageRequest) -> Result<Page<Post>, PortError>;
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
    /// When the account's next post is due, among those that may be worked on.
    async fn next_due(&mut self, account: AccountId) -> Result<Option<Timestamp>, PortError>;
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
    /// Adds a line to a post's timeline.
    async fn add_note(
        &mut self,
        post: &Post,
        kind: NoteKind,
        detail: Option<String>,
        at: Timestamp,
    ) -> Result<(), PortError>;
    /// The timeline of a post, oldest first.
    async fn notes(&mut self, post: PostId) -> Result<Vec<PostNote>, PortError>;
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
    async fn end_turn(&mut self, turn: &Turn, due_at: Option<Timestamp>) -> Result<(), PortError>;
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

/// Whose figures are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FigureQuery {
    /// Only those of posts of these accounts; `None` for all.
    pub accounts: Option<Vec<AccountId>>,
    /// Only those of posts of this plan.
    pub plan: Option<PlanId>,
    /// Only those of this post.
    pub post: Option<PostId>,
}

/// Figures, and when they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FigureReading {
    /// When. A figure that has not moved since is as fresh as one that has.
    pub read_at: Timestamp,
    /// What was read.
    pub figures: Figures,
}

/// Figures of several posts together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FigureTotal {
    /// Posts that figures were read of.
    pub posts: u64,
    /// When the stalest of them was read.
    pub read_at: Option<Timestamp>,
    /// The sums; `None` where no platform tells one.
    pub figures: Figures,
}

impl FigureTotal {
    /// A mark that is another when anything that is told is.
    pub fn mark(&self) -> String {
        let figures = [self.figures.plays, self.figures.likes, self.figures.comments, self.figures.shares];
        let mut hasher = Sha256::new();
        for figure in std::iter::once(Some(self.posts)).chain(figures) {
            // No figure is this large.
            hasher.update(figure.unwrap_or(u64::MAX).to_be_bytes());
        }
        let digest: [u8; 32] = hasher.finalize().into();
        let head = digest.first_chunk().copied().unwrap_or_default();
        format!("{:016x}", u64::from_be_bytes(head))
    }
}

/// Figures of posts, as they are and as they were.
#[async_trait]
pub trait FigureStore: Send {
    /// Keeps what was read; `true` when any of it is another than before. Of what is not, only that it was read.
    async fn keep_figures(&mut self, read: &[(PostId, Figures)], at: Timestamp) -> Result<bool, PortError>;
    /// The newest of each of these posts. What was never read is absent.
    async fn newest_figures(&mut self, posts: &[PostId])
    -> Result<HashMap<PostId, FigureReading>, PortError>;
    /// All of a post that are others than those before, newest first.
    async fn figures_of(&mut self, post: PostId, most: u32) -> Result<Vec<FigureReading>, PortError>;
    /// Sums of the newest.
    async fn total_figures(&mut self, of: &FigureQuery) -> Result<FigureTotal, PortError>;
    /// How late the platform took posts of these accounts, or all, that were promised since then.
    async fn lateness(
        &mut self,
        accounts: Option<Vec<AccountId>>,
        since: Timestamp,
    ) -> Result<Lateness, PortError>;
}

/// How late posts were.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lateness {
    /// Posts that the platform took.
    pub accepted: u64,
    /// Seconds by which half of them were late, at most.
    pub p50_s: Option<f64>,
    /// Seconds by which all but one in a hundred were late, at most.
    pub p99_s: Option<f64>,
    /// Posts that are late and that the platform has not taken yet.
    pub overdue: u64,
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
    /// Makes room for the figures of this month and the next.
    async fn make_room(&self, now: Timestamp) -> Result<(), PortError>;
}

/// What a platform takes for a post, beside the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostRules {
    /// Longest text, in characters.
    pub caption_max_chars: usize,
    /// Posts of one account on one day, at most.
    pub posts_per_day: u32,
    /// How far the day that is counted by is ahead of UTC's.
    pub day_ahead: TimeDelta,
    /// How large files are sent.
    pub parts: PartRules,
}

/// How a platform wants large files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartRules {
    /// Longest file that goes in one piece, in bytes.
    pub whole_max_bytes: u64,
    /// Bytes of each part but the last.
    pub part_bytes: u64,
}

/// Bytes with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileBytes {
    /// What the file is called.
    pub name: String,
    /// Its media type, as `video/mp4`.
    pub media_type: String,
    /// All of it, or a part.
    pub bytes: Vec<u8>,
}

/// What is asked to be posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewPost<'a> {
    /// The text beside it.
    pub caption: &'a str,
    /// Which instant of the video is its cover, in milliseconds.
    pub cover_at_ms: Option<u64>,
    /// Who may see it.
    pub visibility: Visibility,
}

/// Figures of a post; `None` where the platform tells none, which is not zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Plays.
    pub plays: Option<u64>,
    /// Likes.
    pub likes: Option<u64>,
    /// Comments.
    pub comments: Option<u64>,
    /// Shares.
    pub shares: Option<u64>,
}

/// A post as the platform lists it for its author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The platform's name for it.
    pub item: String,
    /// The text beside it.
    pub caption: String,
    /// When the platform says it was made.
    pub created_at: Timestamp,
    /// Whether it is kept at the top, out of its order.
    pub is_top: bool,
    /// How it stands.
    pub standing: Standing,
    /// Where it can be seen; for a while only.
    pub share_url: Option<String>,
    /// Its figures.
    pub figures: Figures,
}

/// Some of an account's posts, the newest first but for those kept at the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPage {
    /// The posts.
    pub posts: Vec<Listed>,
    /// Where the next page begins; `None` when this is the last.
    pub next: Option<i64>,
}

/// Posts for accounts, on one platform. Uploads may be made twice; a creation must not be.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// What it takes.
    fn rules(&self) -> PostRules;

    /// Sends a file whole.
    async fn upload(
        &self,
        scope: &TenantScope,
        lease: &TokenLease,
        file: FileBytes,
    ) -> Result<Medium, PlatformError>;

    /// Begins to send a file in parts: its name there.
    async fn begin_parts(&self, scope: &TenantScope, lease: &TokenLease) -> Result<String, PlatformError>;

    /// Sends a part. Numbers begin at 1; the same number again takes the place of the first.
    async fn put_part(
        &self,
        scope: &TenantScope,
        lease: &TokenLease,
        ticket: &str,
        number: u32,
        file: FileBytes,
    ) -> Result<(), PlatformError>;

    /// All parts are there.
    async fn finish_parts(
        &self,
        scope: &TenantScope,
        lease: &TokenLease,
        ticket: &str,
    ) -> Result<Medium, PlatformError>;

    /// Asks for a post: the platform's name for it. Only [`PlatformError::Refused`] and [`PlatformError::NotDone`] say
    /// that there is none. Broken off when it has taken as long as `within`: nothing is sent from then on.
    async fn create(
        &self,
        scope: &TenantScope,
        lease: &TokenLease,
        medium: &Medium,
        post: &NewPost<'_>,
        within: Duration,
    ) -> Result<String, PlatformError>;

    /// The account's posts, from `cursor` on or from the newest.
    async fn list(
        &self,
        scope: &TenantScope,
        lease: &TokenLease,
        cursor: Option<i64>,
    ) -> Result<ListPage, PlatformError>;

    /// Posts by their names. Those that are not the account's, or not there any more, are missing.
    async fn look_up(
        &self,
        scope: &TenantScope,
        lease: &TokenLease,
        items: &[String],
    ) -> Result<Vec<Listed>, PlatformError>;
}

/// What posts on the platforms there are.
#[derive(Clone, Default)]
pub struct Publishers(Vec<(PlatformKey, Arc<dyn Publisher>)>);

impl Publishers {
    /// Takes them.
    pub const fn new(all: Vec<(PlatformKey, Arc<dyn Publisher>)>) -> Self {
        Self(all)
    }

    /// The one of that platform.
    pub fn get(&self, key: &str) -> Option<&Arc<dyn Publisher>> {
        self.0.iter().find(|(name, _)| name.as_str() == key).map(|(_, publisher)| publisher)
    }
}
