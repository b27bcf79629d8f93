//! Posting tasks: an app asks users to post, and is told whether they did.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Platform,
    calendar::SECOND_MS,
    posts::{Post, Stage},
    refusal::Refusal,
};

/// One task.
#[derive(Debug)]
struct Task {
    client_key: String,
    start_ms: i64,
    end_ms: i64,
    /// Numbers of the posts that were bound to it.
    posts: BTreeSet<i64>,
}

/// All tasks.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    all: BTreeMap<String, Task>,
    /// Verifications by app, with the second they are of.
    verified: BTreeMap<String, (i64, i64)>,
}

impl Platform {
    /// A new task, from `start_s` to `end_s`.
    pub(crate) fn add_task(&mut self, client_key: &str, start_s: i64, end_s: i64) -> Result<String, Refusal> {
        let range = 0..=super::calendar::LAST_S;
        if end_s <= start_s || !range.contains(&start_s) || !range.contains(&end_s) {
            return Err(Refusal::BadParameter("start_time and end_time"));
        }
        let id = (7_200_000_000_000_000_000 + self.next("task") * 1_009).to_string();
        let task = Task {
            client_key: client_key.to_owned(),
            start_ms: start_s * SECOND_MS,
            end_ms: end_s * SECOND_MS,
            posts: BTreeSet::new(),
        };
        self.tasks.all.insert(id.clone(), task);
        Ok(id)
    }

    fn task(&self, client_key: &str, id: &str) -> Result<&Task, Refusal> {
        let task = self.tasks.all.get(id).filter(|task| task.client_key == client_key);
        task.ok_or(Refusal::BadParameter("task_id"))
    }

    /// A user's post by its public number; it has to be public, and by everybody's lights.
    fn public_post(&self, user: &str, video_id: &str) -> Result<&Post, Refusal> {
        let post = self.posts.all.values().find(|post| post.user == user && post.video_number() == video_id);
        let post = post.ok_or(Refusal::BadParameter("video_id"))?;
        if post.stage(self.now_ms()) == Stage::Public { Ok(post) } else { Err(Refusal::VideoNotPublic) }
    }

    /// Binds a post to a task: the user's own, made through this app while the task ran.
    pub(crate) fn bind_to_task(
        &mut self,
        by: (&str, &str),
        task: &str,
        video_id: &str,
    ) -> Result<(), Refusal> {
        let (start_ms, end_ms) = self.task(by.0, task).map(|task| (task.start_ms, task.end_ms))?;
        let post = self.public_post(by.1, video_id)?;
        let from_here = post.client_key.as_deref() == Some(by.0);
        if !from_here || !(start_ms..end_ms).contains(&post.created_ms) {
            return Err(Refusal::BadParameter("video_id"));
        }
        let number = post.number;
        if let Some(task) = self.tasks.all.get_mut(task) {
            task.posts.insert(number);
        }
        Ok(())
    }

    /// Whether the user's post is bound to the task and public.
    pub(crate) fn verify_task(
        &mut self,
        client_key: &str,
        task: &str,
        user: &str,
        video_id: &str,
    ) -> Result<(), Refusal> {
        let (second, limit) = (self.now_ms() / SECOND_MS, self.switches.task_checks_per_s);
        let verified = self.tasks.verified.entry(client_key.to_owned()).or_default();
        if verified.0 != second {
            *verified = (second, 0);
        }
        verified.1 += 1;
        if verified.1 > limit {
            return Err(Refusal::TaskChecksTooOften);
        }
        let number = self.public_post(user, video_id)?.number;
        let is_bound = self.task(client_key, task)?.posts.contains(&number);
        if is_bound { Ok(()) } else { Err(Refusal::VideoNotBound) }
    }
}
