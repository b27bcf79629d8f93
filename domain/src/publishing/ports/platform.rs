//! What posts on a platform.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::TimeDelta;

use crate::{
    accounts::TokenLease,
    kernel::{
        clock::Timestamp,
        platform::{PlatformError, PlatformKey},
        scope::TenantScope,
    },
    publishing::model::{Medium, Standing, Visibility},
};

/// What a platform takes for a post, beside the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostRules {
    /// Longest text, in characters.
    pub caption_max_chars: usize,
    /// Posts of one account on one day, at most.
    pub posts_per_day: u32,
    /// How far the day that is counted by is ahead of UTC's.
    pub day_ahead: TimeDelta,
    /// How long before its time a post must be planned, at least.
    pub lead: TimeDelta,
    /// Whether a person must have agreed to each post as it is.
    pub needs_receipt: bool,
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
