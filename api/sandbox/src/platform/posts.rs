//! Posts, from the call that made them through review to whatever becomes of them.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;

use super::{Platform, calendar::SECOND_MS, media::Medium, refusal::Refusal};

/// What is posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Images,
    Video,
}

/// Who may see it, by its author's wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    Everybody,
    OnlyMe,
    Friends,
}

impl Audience {
    /// As `private_status` has it.
    pub(crate) const fn of(private_status: i64) -> Option<Self> {
        match private_status {
            0 => Some(Self::Everybody),
            1 => Some(Self::OnlyMe),
            2 => Some(Self::Friends),
            _ => None,
        }
    }
}

/// Where a post stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Reviewing,
    Public,
    /// Passed review, and is seen by its author or friends alone.
    Private,
    Refused,
    TakenDown,
    Deleted,
}

/// One post.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) number: i64,
    /// The app it was made through; none when the user made it in the platform's own.
    pub(crate) client_key: Option<String>,
    pub(crate) user: String,
    pub(crate) kind: Kind,
    pub(crate) text: String,
    pub(crate) created_ms: i64,
    pub(crate) sha256: String,
    pub(crate) width: i64,
    pub(crate) height: i64,
    pub(crate) duration_ms: i64,
    pub(crate) audience: Audience,
    /// From when until when it was its author's alone; the last has no end while it is.
    hidden: Vec<(i64, i64)>,
    /// When the verdict comes; never, when it is held back.
    pub(crate) reviewed_ms: i64,
    pub(crate) passes: bool,
    pub(crate) taken_down_ms: Option<i64>,
    pub(crate) deleted_ms: Option<i64>,
    pub(crate) is_top: bool,
    pub(crate) share_id: Option<String>,
}

impl Post {
    pub(crate) fn stage(&self, now_ms: i64) -> Stage {
        let past = |at_ms: Option<i64>| at_ms.is_some_and(|at_ms| at_ms <= now_ms);
        if past(self.deleted_ms) {
            Stage::Deleted
        } else if now_ms < self.reviewed_ms {
            Stage::Reviewing
        } else if !self.passes {
            Stage::Refused
        } else if past(self.taken_down_ms) {
            Stage::TakenDown
        } else if self.audience == Audience::Everybody {
            Stage::Public
        } else {
            Stage::Private
        }
    }

    /// How long of a span it was its author's alone.
    pub(crate) fn hidden_ms(&self, from_ms: i64, to_ms: i64) -> i64 {
        let overlap = |(from, to): &(i64, i64)| (*to.min(&to_ms) - *from.max(&from_ms)).max(0);
        self.hidden.iter().map(overlap).sum()
    }

    /// Shows it to others than before, from an instant on.
    fn show_to(&mut self, audience: Audience, at_ms: i64) {
        if self.audience == Audience::OnlyMe
            && let Some(last) = self.hidden.last_mut()
        {
            last.1 = last.1.min(at_ms);
        }
        if audience == Audience::OnlyMe {
            self.hidden.push((at_ms, i64::MAX));
        }
        self.audience = audience;
    }

    /// The public number, as a decimal text.
    pub(crate) fn video_number(&self) -> String {
        (7_300_000_000_000_000_000 + self.number * 1_000_003).to_string()
    }

    /// Orders posts from new to old, and is the cursor of lists: beyond 2^53, as the platform's may be.
    pub(crate) const fn order(&self) -> i64 {
        self.created_ms * 10_000 + self.number % 10_000
    }
}

/// What a call asks to be posted.
#[derive(Debug)]
pub(crate) struct PostDraft<'a> {
    pub(crate) kind: Kind,
    /// One video_id, or image_ids.
    pub(crate) media: Vec<&'a str>,
    pub(crate) text: &'a str,
    pub(crate) private_status: i64,
    pub(crate) cover: Option<&'a str>,
}

/// What an operator of the sandbox says of a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Pass,
    Fail,
    Hold,
    Takedown,
    Delete,
    Private,
    Public,
    Top,
}

/// All posts.
#[derive(Debug, Default)]
pub(crate) struct Posts {
    pub(crate) all: BTreeMap<i64, Post>,
    /// item_id to the app it is good for and the post.
    items: HashMap<String, (String, i64)>,
}

impl Platform {
    /// Posts what was uploaded. Each video is good for one post.
    pub(crate) fn create_post(&mut self, by: (&str, &str), draft: &PostDraft<'_>) -> Result<Post, Refusal> {
        let audience = Audience::of(draft.private_status).ok_or(Refusal::BadParameter("private_status"))?;
        if draft.text.chars().count() > self.switches.text_max_chars {
            return Err(Refusal::TextInvalid);
        }
        if self.users.get(by.1).is_some_and(|user| user.posting_banned) {
            return Err(Refusal::PostingBanned);
        }
        self.may_post(by.0, by.1)?;
        let owned = |medium: &&mut Medium| medium.client_key == by.0 && medium.user == by.1;
        if let Some(cover) = draft.cover {
            self.media
                .images
                .get_mut(cover)
                .filter(owned)
                .ok_or(Refusal::BadParameter("custom_cover_image_url"))?;
        }
        let mut media = Vec::new();
        for id in &draft.media {
            let (kept, refusal) = match draft.kind {
                Kind::Video => (&mut self.media.videos, Refusal::VideoIdInvalid),
                Kind::Images => (&mut self.media.images, Refusal::BadParameter("image_list")),
            };
            let medium = kept.get_mut(*id).filter(owned).filter(|medium| !medium.used).ok_or(refusal)?;
            medium.used = draft.kind == Kind::Video;
            media.push(medium.clone());
        }
        let first = media.first().ok_or(Refusal::BadParameter("media"))?;
        let hashes: Vec<_> = media.iter().map(|medium| medium.sha256.as_str()).collect();
        self.count_post(by.0, by.1);
        let post = self.add_post(Some(by.0), by.1, draft.kind, draft.text, first);
        let mut post = Post { sha256: hashes.join(","), ..post };
        post.show_to(audience, post.created_ms);
        self.posts.all.insert(post.number, post.clone());
        let made = json!({ "item_id": self.item_id(by.0, post.number), "video_id": post.video_number() });
        self.did("post", by, &[&post.sha256, draft.text], made);
        Ok(post)
    }

    /// Puts a post up for review and gives it a name for each app.
    fn add_post(
        &mut self,
        client_key: Option<&str>,
        user: &str,
        kind: Kind,
        text: &str,
        medium: &Medium,
    ) -> Post {
        let number = self.next("post");
        let label = number.to_string();
        let (now_ms, switches) = (self.now_ms(), &self.switches);
        let clean = !switches.sensitive_words.iter().any(|word| text.contains(word.as_str()));
        let late = self.chance.happens("takedown", &[&label], switches.late_takedown_permille);
        let post = Post {
            number,
            client_key: client_key.map(str::to_owned),
            user: user.to_owned(),
            kind,
            text: text.to_owned(),
            created_ms: now_ms,
            sha256: medium.sha256.clone(),
            width: medium.width,
            height: medium.height,
            duration_ms: medium.duration_ms,
            audience: Audience::Everybody,
            hidden: Vec::new(),
            reviewed_ms: now_ms + switches.review_delay_s * SECOND_MS,
            passes: clean && self.chance.happens("review", &[&label], switches.review_pass_permille),
            taken_down_ms: late.then(|| now_ms + switches.late_takedown_after_s * SECOND_MS),
            deleted_ms: None,
            is_top: false,
            share_id: None,
        };
        self.posts.all.insert(number, post.clone());
        for client_key in self.apps.keys().cloned().collect::<Vec<_>>() {
            let item_id = self.item_id(&client_key, number);
            self.posts.items.insert(item_id, (client_key, number));
        }
        post
    }

    /// The user posts in the platform's own app, perhaps what an app shared to it.
    pub(crate) fn post_in_app(&mut self, user: &str, text: &str, share: Option<(&str, &str)>) -> Post {
        let label = self.next("native").to_string();
        let medium = Medium {
            client_key: String::new(),
            user: user.to_owned(),
            sha256: self.chance.hex("native", &[&label], 64),
            width: self.switches.default_width,
            height: self.switches.default_height,
            duration_ms: self.switches.default_duration_s * SECOND_MS,
            used: true,
        };
        let mut post = self.add_post(share.map(|(app, _)| app), user, Kind::Video, text, &medium);
        post.share_id = share.map(|(_, share_id)| share_id.to_owned()).filter(|id| !id.is_empty());
        self.posts.all.insert(post.number, post.clone());
        let made = json!({ "video_id": post.video_number(), "share_id": post.share_id });
        self.did("post_in_app", (share.map_or("", |(app, _)| app), user), &[&post.sha256, text], made);
        post
    }

    /// What an app calls a post; another app calls it something else.
    pub(crate) fn item_id(&self, client_key: &str, post: i64) -> String {
        self.chance.opaque("item", &[client_key, &post.to_string()])
    }

    /// Names all posts for an app that is new.
    pub(crate) fn name_posts_for(&mut self, client_key: &str) {
        for number in self.posts.all.keys().copied().collect::<Vec<_>>() {
            let item_id = self.item_id(client_key, number);
            self.posts.items.insert(item_id, (client_key.to_owned(), number));
        }
    }

    /// The post an app means, whosever it is.
    pub(crate) fn post_of(&self, client_key: &str, item_id: &str) -> Option<&Post> {
        let (app, number) = self.posts.items.get(item_id)?;
        self.posts.all.get(number).filter(|_| app == client_key)
    }

    /// The post that an item_id of any app means.
    pub(crate) fn post_of_any(&self, item_id: &str) -> Option<&Post> {
        self.posts.all.get(&self.posts.items.get(item_id)?.1)
    }

    /// The user's posts that are there to be listed, from new to old.
    pub(crate) fn posts_by(&self, user: &str) -> Vec<&Post> {
        let now_ms = self.now_ms();
        let mut posts: Vec<_> = self
            .posts
            .all
            .values()
            .filter(|post| post.user == user && post.stage(now_ms) != Stage::Deleted)
            .collect();
        posts.sort_by_key(|post| std::cmp::Reverse(post.order()));
        posts
    }

    /// Judges a post, `after_s` from now; `None` when there is none.
    pub(crate) fn judge(&mut self, item_id: &str, verdict: Verdict, after_s: i64) -> Option<Post> {
        let now_ms = self.now_ms();
        let at_ms = now_ms + after_s * SECOND_MS;
        let number = self.posts.items.get(item_id)?.1;
        let post = self.posts.all.get_mut(&number)?;
        match verdict {
            // What has passed is not reviewed once more: its figures count from then.
            Verdict::Pass if post.passes && post.reviewed_ms <= now_ms => {}
            Verdict::Pass | Verdict::Fail => {
                (post.passes, post.reviewed_ms) = (verdict == Verdict::Pass, at_ms);
            }
            Verdict::Hold => post.reviewed_ms = i64::MAX,
            Verdict::Takedown => post.taken_down_ms = Some(at_ms),
            Verdict::Delete => post.deleted_ms = Some(at_ms),
            Verdict::Private => post.show_to(Audience::OnlyMe, now_ms),
            Verdict::Public => post.show_to(Audience::Everybody, now_ms),
            Verdict::Top => post.is_top = !post.is_top,
        }
        Some(post.clone())
    }
}
