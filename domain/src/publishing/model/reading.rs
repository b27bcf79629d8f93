//! What an account's posts, read on the platform, say of a creation that had no answer.
//!
//! Nothing here is proof. A post that nobody here knows and that has our text is ours; one with another text may be, for
//! platforms rewrite texts; and only when there is neither, long enough after, is ours taken not to be there.

use std::collections::HashSet;

use chrono::TimeDelta;

use super::{
    post::{CREATE_WITHIN_S, Post},
    state::{Candidate, CreationEnd, PostFailure, PostFault, PostState, Settled, Visibility},
};
use crate::{kernel::clock::Timestamp, publishing::ports::ListPage};

/// How far the platform's clock and ours may be apart for a post to be likely ours, in seconds.
const SKEW_S: i64 = 120;

/// How far they may be apart for its absence to be believed, in seconds.
const SKEW_MAX_S: i64 = 600;

/// Creations that may come to nothing without a word before a post is given up. Each costs minutes, and none can post twice:
/// they are asked for with the same medium.
const ABSENCES_MAX: u32 = 8;

/// Pauses between readings, in seconds; the last again and again.
const READINGS_S: [i64; 4] = [5, 20, 60, 120];

/// Pauses between readings when somebody must look, by for how long nobody has, in seconds.
const STUCK_PAUSES_S: [(i64, i64); 3] = [(3_600, 900), (86_400, 3_600), (i64::MAX, 86_400)];

/// Letters and digits that two texts must share to be alike when one is cut short.
const ALIKE_MIN: usize = 8;

/// Collects an account's posts, page by page, as far back as it has to.
#[derive(Clone, Debug)]
pub struct Reading {
    begun_at: Timestamp,
    /// When the platform was asked, each time of which nobody has proof.
    asked: Vec<Timestamp>,
    /// Names that are those of other posts.
    known: HashSet<String>,
    caption: Vec<char>,
    candidates: Vec<Candidate>,
    is_complete: bool,
    pages: u32,
    posts: usize,
    oldest: Option<Timestamp>,
}

/// A text as it survives what platforms do to it: they trim, collapse, take mentions out and change punctuation.
fn folded(text: &str) -> Vec<char> {
    let words = text.split_whitespace().filter(|word| !word.starts_with('@') && !word.starts_with('＠'));
    words.flat_map(str::chars).flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric()).collect()
}

/// Whether one may be the other, written back. Nothing is like a text without a letter in it.
fn are_alike(one: &[char], other: &[char]) -> bool {
    let shared = one.len().min(other.len());
    let same = one.iter().zip(other).all(|(one, other)| one == other);
    same && shared > 0 && (one.len() == other.len() || shared >= ALIKE_MIN)
}

impl Reading {
    /// Of a post that was asked for; `None` when it was not.
    pub fn begin(post: &Post, begun_at: Timestamp) -> Option<Self> {
        let asked: Vec<_> = post.unproven().map(|creation| creation.asked_at).collect();
        if asked.is_empty() {
            return None;
        }
        Some(Self {
            begun_at,
            asked,
            known: post.progress.denied.iter().cloned().collect(),
            caption: folded(&post.draft.caption),
            candidates: Vec::new(),
            is_complete: false,
            pages: 0,
            posts: 0,
            oldest: None,
        })
    }

    /// These names are those of other posts of ours.
    pub fn know(&mut self, known: HashSet<String>) {
        self.known.extend(known);
    }

    /// Whether a post that was made then was made when ours would have been, as clocks may differ.
    fn is_in_time(&self, made_at: Timestamp, skew_s: i64) -> bool {
        let skew = TimeDelta::seconds(skew_s);
        let within = TimeDelta::seconds(CREATE_WITHIN_S);
        self.asked.iter().any(|asked| (*asked - skew..=*asked + within + skew).contains(&made_at))
    }

    /// What was read, in words: what somebody goes by who asks why a post was taken to be there, or not to be.
    pub fn evidence(&self) -> String {
        let back =
            self.oldest.map_or_else(String::new, |oldest| format!(", back to {}", oldest.to_rfc3339()));
        let found = match self.candidates.as_slice() {
            [] => "none that may be it".to_owned(),
            [one] => format!("one that may be it, {}, made at {}", one.item, one.created_at.to_rfc3339()),
            more => format!("{} that may be it", more.len()),
        };
        let (begun_at, posts, pages) = (self.begun_at.to_rfc3339(), self.posts, self.pages);
        format!("read at {begun_at}: {posts} posts on {pages} pages{back}; {found}")
    }

    /// Whether all was read that has to be.
    pub const fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Takes a page in. `known` are names that belong to other posts of ours. `true` when no more pages are needed.
    pub fn take(&mut self, page: &ListPage, known: &HashSet<String>) -> bool {
        self.know(known.clone());
        self.pages += 1;
        self.posts += page.posts.len();
        self.oldest = self.oldest.into_iter().chain(page.posts.iter().map(|listed| listed.created_at)).min();
        let first = self.asked.iter().min().copied().unwrap_or(self.begun_at);
        let since = first - TimeDelta::seconds(SKEW_MAX_S);
        for listed in &page.posts {
            let is_new = !self.candidates.iter().any(|candidate| candidate.item == listed.item);
            let may_be_it =
                self.is_in_time(listed.created_at, SKEW_MAX_S) && !self.known.contains(&listed.item);
            if !is_new || !may_be_it {
                continue;
            }
            let in_time = self.is_in_time(listed.created_at, SKEW_S);
            self.candidates.push(Candidate {
                item: listed.item.clone(),
                caption: listed.caption.clone(),
                created_at: listed.created_at,
                standing: listed.standing,
                is_likely: in_time && are_alike(&self.caption, &folded(&listed.caption)),
            });
        }
        // What is kept at the top stands before older ones, and may not be marked: the page's end says how far it goes back.
        let is_past = page.posts.last().is_some_and(|listed| !listed.is_top && listed.created_at < since);
        self.is_complete = page.next.is_none() || is_past;
        self.is_complete
    }
}

impl Post {
    /// What was read settles a creation that had no answer, if it can. `settle` is how long after it was made a post may be
    /// missing from the platform's lists.
    ///
    /// # Errors
    /// `NotNow`: nothing is to be settled, or not all was read that has to be.
    pub fn settle(
        &mut self,
        reading: Reading,
        settle: TimeDelta,
        now: Timestamp,
    ) -> Result<Settled, PostFault> {
        let from = self.absence_from(settle).ok_or(PostFault::NotNow)?;
        if !matches!(self.state, PostState::OutcomeUnknown { .. }) || !reading.is_complete {
            return Err(PostFault::NotNow);
        }
        // What was found once is not unfound: it may have been taken down since.
        let mut candidates = reading.candidates;
        if let PostState::OutcomeUnknown { candidates: before, .. } = &self.state {
            let is_gone = |found: &&Candidate| {
                !reading.known.contains(&found.item)
                    && !candidates.iter().any(|candidate| candidate.item == found.item)
            };
            let gone: Vec<_> = before.iter().filter(is_gone).cloned().collect();
            candidates.extend(gone);
        }
        let mut likely = candidates.iter().filter(|candidate| candidate.is_likely);
        if let (Some(one), None) = (likely.next(), likely.next()) {
            let (item, made_at) = (one.item.clone(), one.created_at);
            self.is_there(item, made_at, now);
            return Ok(Settled::Found);
        }
        let is_late_enough = reading.begun_at >= from;
        if candidates.is_empty()
            && is_late_enough
            && let Some(next) = self.after_absence()
        {
            self.is_absent();
            self.progress.absences += 1;
            let is_enough = self.progress.absences >= ABSENCES_MAX;
            self.state = if is_enough { PostState::Failed(PostFailure::TriesUsedUp) } else { next };
            return Ok(Settled::Absent);
        }
        self.done();
        self.progress.is_blind = false;
        let pause = usize::try_from(self.progress.looks).ok().and_then(|looks| READINGS_S.get(looks));
        let pause = TimeDelta::seconds(pause.or(READINGS_S.last()).copied().unwrap_or_default());
        self.progress.looks = self.progress.looks.saturating_add(1);
        let next = if is_late_enough {
            let waited_s = (now - from).num_seconds();
            let pause_s =
                STUCK_PAUSES_S.iter().find(|(until_s, _)| waited_s < *until_s).map_or(86_400, |(_, s)| *s);
            now + TimeDelta::seconds(pause_s)
        } else {
            (now + pause).min(from.max(now))
        };
        self.progress.not_before = Some(next);
        self.state = PostState::OutcomeUnknown { candidates, is_stuck: is_late_enough };
        Ok(if is_late_enough { Settled::Stuck } else { Settled::NotYet })
    }

    /// How to go on when nothing that might be it is listed; `None` when that proves nothing.
    ///
    /// A medium is good for one post, so asking with the same once more is safe however wrong the list was: had it been
    /// posted, it is refused. One that was asked with before and is refused says that it was posted, whatever is listed.
    fn after_absence(&self) -> Option<PostState> {
        // Nobody knows whether lists have what not everybody may see.
        let last = self.progress.creations.last().filter(|_| self.draft.visibility == Visibility::Public)?;
        if last.end != CreationEnd::MediumRefused {
            return Some(PostState::Uploaded { medium: last.medium.clone() });
        }
        let times = self.progress.creations.iter().filter(|creation| creation.medium == last.medium).count();
        (times == 1).then_some(PostState::Uploading { parts: None })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        kernel::ids::{AccountId, PlanId, PostId, UploadId},
        publishing::{
            model::{Medium, PostDraft, Standing, Visibility},
            ports::{Figures, Listed},
        },
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(1_800_000_000 + seconds, 0).unwrap_or_default()
    }

    fn listed(item: &str, caption: &str, seconds: i64) -> Listed {
        Listed {
            item: item.to_owned(),
            caption: caption.to_owned(),
            created_at: at(seconds),
            is_top: false,
            standing: Standing::Pending,
            share_url: None,
            figures: Figures::default(),
        }
    }

    fn page(posts: Vec<Listed>, next: Option<i64>) -> ListPage {
        ListPage { posts, next }
    }

    /// One that was asked for at 0, without an answer.
    fn unanswered(caption: &str) -> Post {
        let id = Uuid::from_u128(1);
        let draft = PostDraft {
            upload: UploadId::from_uuid(id),
            caption: caption.to_owned(),
            cover_at_ms: None,
            visibility: Visibility::Public,
        };
        let of = (PlanId::from_uuid(id), AccountId::from_uuid(id));
        let mut post = Post::new(PostId::from_uuid(id), of, draft, at(0), at(0));
        post.ask(Medium { id: "m".to_owned() }, at(0));
        post.take_up(at(1)).expect("due");
        post
    }

    /// What pages say of a post, read long after it was asked for: the platform's name of it, or a word.
    fn read(caption: &str, pages: &[ListPage], known: &[&str]) -> String {
        let mut post = unanswered(caption);
        let known = known.iter().map(|item| (*item).to_owned()).collect();
        let mut reading = Reading::begin(&post, at(400)).expect("asked for");
        for page in pages {
            if reading.take(page, &known) {
                break;
            }
        }
        match post.settle(reading, TimeDelta::seconds(300), at(401)) {
            Ok(Settled::Found) => post.state.item().unwrap_or_default().to_owned(),
            Ok(settled) => format!("{settled:?}"),
            Err(fault) => format!("{fault:?}"),
        }
    }

    #[test]
    fn one_that_has_our_text_is_ours() {
        let mine = || listed("mine", "Sea view", 3);
        let said = |posts, known: &[&str]| read(" sea  view!", &[page(posts, None)], known);
        assert_eq!(said(vec![mine()], &[]), "mine");
        assert_eq!(said(vec![mine(), listed("by hand", "lunch", 9)], &[]), "mine");
        assert_eq!(said(vec![mine()], &["mine"]), "Absent", "it is another post's");
        assert_eq!(said(vec![mine(), listed("b", "sea view", 9)], &[]), "Stuck");
        assert_eq!(said(vec![listed("early", "sea view", -120)], &[]), "early", "clocks differ");
        assert_eq!(said(vec![listed("early", "sea view", -121)], &[]), "Stuck", "they do not differ so much");
        assert_eq!(said(vec![listed("old", "sea view", -601)], &[]), "Absent");
        assert_eq!(said(vec![listed("late", "sea view", 661)], &[]), "Absent");
    }

    #[test]
    fn absence_is_that_nothing_is_there_that_might_be_it() {
        let said = |caption, text| read(caption, &[page(vec![listed("x", text, 3)], None)], &[]);
        assert_eq!(said("first light #sunrise @lin", "first light #sunrise"), "x", "mentions are taken out");
        assert_eq!(said("first light #sunrise", "first light #sun"), "x", "cut short");
        assert_eq!(said("first", "fir"), "Stuck", "too short to tell");
        assert_eq!(said("ours", "something else"), "Stuck", "it may be ours, rewritten");
        assert_eq!(said("", ""), "Stuck", "nothing is like nothing");
        assert_eq!(said("\u{1f600}", "\u{1f600}"), "Stuck");
        assert_eq!(read("ours", &[page(vec![], None)], &[]), "Absent");
    }

    #[test]
    fn absence_is_no_evidence_before_all_was_read() {
        let new = |n: i64| listed(&n.to_string(), "other", n + 700);
        assert_eq!(read("a", &[page(vec![new(9)], Some(1))], &[]), "NotNow", "there is more");
        let pages = [page(vec![new(9)], Some(1)), page(vec![new(1), listed("old", "x", -700)], Some(2))];
        assert_eq!(read("a", &pages, &[]), "Absent");
        // It may not be said of one that it is kept at the top.
        let pages = [page(vec![listed("top", "x", -9_000), new(9)], Some(1))];
        assert_eq!(read("a", &pages, &[]), "NotNow", "what is kept at the top is out of order");
    }

    #[test]
    fn a_post_on_two_pages_is_one() {
        let mine = || listed("mine", "sea view", 3);
        assert_eq!(read("sea view", &[page(vec![mine()], Some(1)), page(vec![mine()], None)], &[]), "mine");
    }

    #[test]
    fn too_early_to_say() {
        let mut post = unanswered("a");
        let settle = TimeDelta::seconds(300);
        for (begun, expected) in [(10, Settled::NotYet), (359, Settled::NotYet), (360, Settled::Absent)] {
            let mut reading = Reading::begin(&post, at(begun)).expect("asked for");
            reading.take(&page(vec![], None), &HashSet::new());
            // When it was begun counts, not when it ended.
            assert_eq!(post.settle(reading, settle, at(begun + 30)), Ok(expected), "{begun}");
        }
        assert_eq!(post.state, PostState::Uploaded { medium: Medium { id: "m".to_owned() } });
    }

    #[test]
    fn what_was_found_once_is_not_unfound() {
        let mut post = unanswered("a");
        let settle = TimeDelta::seconds(300);
        for (begun, found, expected) in
            [(10, vec![listed("x", "rewritten", 3)], Settled::NotYet), (400, vec![], Settled::Stuck)]
        {
            let mut reading = Reading::begin(&post, at(begun)).expect("asked for");
            reading.take(&page(found, None), &HashSet::new());
            assert_eq!(post.settle(reading, settle, at(begun)), Ok(expected), "{begun}");
        }
        assert!(matches!(&post.state, PostState::OutcomeUnknown { candidates, .. } if candidates.len() == 1));
    }

    #[test]
    fn of_what_not_everybody_sees_a_list_proves_nothing() {
        let mut post = unanswered("a");
        post.draft.visibility = Visibility::OnlyMe;
        let mut reading = Reading::begin(&post, at(400)).expect("asked for");
        reading.take(&page(vec![], None), &HashSet::new());
        assert_eq!(post.settle(reading, TimeDelta::seconds(300), at(400)), Ok(Settled::Stuck));
    }
}
