//! Comments on posts, replies to them, and the one that is pinned.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;

use super::{
    Platform,
    calendar::SECOND_MS,
    posts::{Post, Stage},
    refusal::Refusal,
};

/// One comment.
#[derive(Clone, Debug)]
pub(crate) struct Comment {
    pub(crate) number: i64,
    pub(crate) id: String,
    pub(crate) post: i64,
    pub(crate) author: String,
    pub(crate) content: String,
    pub(crate) created_ms: i64,
    /// The first-level comment it belongs to.
    pub(crate) parent: Option<i64>,
}

/// All comments.
#[derive(Debug, Default)]
pub(crate) struct Comments {
    pub(crate) all: BTreeMap<i64, Comment>,
    ids: HashMap<String, i64>,
    /// By post: the comment that is pinned, and since when.
    pinned: BTreeMap<i64, (i64, i64)>,
}

impl Platform {
    pub(crate) fn comment(&self, id: &str) -> Option<&Comment> {
        self.comments.all.get(self.comments.ids.get(id)?)
    }

    /// How many comments and replies a post had before an instant.
    pub(crate) fn comments_on(&self, post: i64, at_ms: i64) -> i64 {
        let of_post = |comment: &&Comment| comment.post == post && comment.created_ms < at_ms;
        i64::try_from(self.comments.all.values().filter(of_post).count()).unwrap_or(i64::MAX)
    }

    pub(crate) fn replies_to(&self, comment: i64) -> i64 {
        let replies = self.comments.all.values().filter(|reply| reply.parent == Some(comment)).count();
        i64::try_from(replies).unwrap_or(i64::MAX)
    }

    pub(crate) fn is_pinned(&self, comment: &Comment) -> bool {
        self.comments.pinned.get(&comment.post).is_some_and(|(number, _)| *number == comment.number)
    }

    /// Likes of a comment: fixed by the seed.
    pub(crate) fn comment_diggs(&self, comment: &Comment) -> i64 {
        self.chance.between("comment digg", &[&comment.number.to_string()], 0, 9)
    }

    /// Adds a comment, or a reply when it names one; tells the author of the post.
    pub(crate) fn add_comment(
        &mut self,
        author: &str,
        post: &Post,
        reply_to: Option<&str>,
        content: &str,
    ) -> Result<Comment, Refusal> {
        if content.trim().is_empty() {
            return Err(Refusal::BadParameter("content"));
        }
        if self.switches.sensitive_words.iter().any(|word| content.contains(word.as_str())) {
            return Err(Refusal::CommentSensitive);
        }
        let replied = reply_to.map(|id| self.comment_on(post, id).cloned()).transpose()?;
        let (number, id) = (self.next("comment number"), self.mint_opaque("comment"));
        let comment = Comment {
            number,
            id: id.clone(),
            post: post.number,
            author: author.to_owned(),
            content: content.to_owned(),
            created_ms: self.now_ms(),
            parent: replied.as_ref().map(|replied| replied.parent.unwrap_or(replied.number)),
        };
        self.comments.ids.insert(id, number);
        self.comments.all.insert(number, comment.clone());
        self.tell_of_comment(post, &comment, replied.as_ref());
        Ok(comment)
    }

    /// `item_comment_reply`, to each app that the author of the post granted its scope. What authors write themselves
    /// is no news to them.
    fn tell_of_comment(&mut self, post: &Post, comment: &Comment, replied: Option<&Comment>) {
        if comment.author == post.user {
            return;
        }
        for app in self.apps.keys().cloned().collect::<Vec<_>>() {
            if !self.has_granted(&app, &post.user, "item.comment") {
                continue;
            }
            let content = json!({
                "comment_id": comment.id, "comment_user_id": self.open_id(&app, &comment.author),
                "content": comment.content, "create_time": comment.created_ms / SECOND_MS, "digg_count": 0,
                "reply_comment_total": 0, "reply_to_comment_id": replied.map_or("", |replied| &replied.id),
                "reply_to_item_id": self.item_id(&app, post.number), "at_user_id": "",
            });
            self.emit(&app, "item_comment_reply", &comment.author, Some(&post.user), content);
        }
    }

    /// The comment, when it is one on this post.
    pub(crate) fn comment_on(&self, post: &Post, id: &str) -> Result<&Comment, Refusal> {
        let comment = self.comment(id).ok_or(Refusal::CommentUnknown)?;
        if comment.post == post.number { Ok(comment) } else { Err(Refusal::CommentOfAnotherVideo) }
    }

    /// Pins a first-level comment, in place of the one that was; or takes the pin away.
    pub(crate) fn pin(&mut self, by: (&str, &str), post: &Post, id: &str, top: bool) -> Result<(), Refusal> {
        let (number, is_reply) = self.comment_on(post, id).map(|c| (c.number, c.parent.is_some()))?;
        if is_reply {
            return Err(Refusal::BadParameter("comment_id is a reply"));
        }
        let now_ms = self.now_ms();
        let pinned = self.comments.pinned.get(&post.number).copied();
        let in_review_ms = self.switches.pin_review_s * SECOND_MS;
        if top && pinned.is_some_and(|(other, at_ms)| other != number && now_ms < at_ms + in_review_ms) {
            return Err(Refusal::PinInReview);
        }
        match pinned {
            _ if top => {
                self.comments.pinned.insert(post.number, (number, now_ms));
            }
            Some((other, _)) if other == number => {
                self.comments.pinned.remove(&post.number);
            }
            Some(_) | None => {}
        }
        self.did("pin", by, &[id, if top { "on" } else { "off" }], json!({ "comment_id": id, "top": top }));
        Ok(())
    }

    /// The author's own post that an app names, when comments on it can be had.
    pub(crate) fn commentable(&self, client_key: &str, user: &str, item_id: &str) -> Result<Post, Refusal> {
        let post = self.post_of(client_key, item_id).filter(|post| post.user == user);
        let there = post.filter(|post| post.stage(self.now_ms()) != Stage::Deleted);
        there.cloned().ok_or(Refusal::VideoUnknown)
    }
}
