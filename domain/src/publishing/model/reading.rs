//! What an account's posts, read on the platform, say of a creation that had no answer.

use std::collections::HashSet;

use chrono::TimeDelta;

use super::{Evidence, Found, PostDraft};
use crate::{
    kernel::clock::Timestamp,
    publishing::ports::{ListPage, Listed},
};

/// How far the platform's clock and ours may be apart, in seconds.
const SKEW_S: i64 = 120;

/// Collects an account's posts, page by page, as far back as it has to.
#[derive(Clone, Debug)]
pub struct Reading {
    asked_at: Timestamp,
    candidates: Vec<Found>,
    is_complete: bool,
}

/// The text as a platform may write it back: it trims, and makes one space of several.
fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Reading {
    /// Of a creation that was asked for then.
    pub const fn new(asked_at: Timestamp) -> Self {
        Self { asked_at, candidates: Vec::new(), is_complete: false }
    }

    /// Takes a page in. `known` are names that belong to other posts of ours. `true` when no more pages are needed.
    pub fn take(&mut self, page: &ListPage, draft: &PostDraft, known: &HashSet<String>) -> bool {
        let since = self.asked_at - TimeDelta::seconds(SKEW_S);
        let caption = folded(&draft.caption);
        let may_be_it = |listed: &&Listed| {
            listed.created_at >= since && folded(&listed.caption) == caption && !known.contains(&listed.item)
        };
        let seen = |item: &str| self.candidates.iter().any(|found| found.item == item);
        let new: Vec<_> = page
            .posts
            .iter()
            .filter(may_be_it)
            .filter(|listed| !seen(&listed.item))
            .map(|listed| Found {
                item: listed.item.clone(),
                created_at: listed.created_at,
                standing: listed.standing,
            })
            .collect();
        self.candidates.extend(new);
        // What is kept at the top stands before older ones and says nothing of how far the page goes back.
        let is_past = page.posts.iter().any(|listed| !listed.is_top && listed.created_at < since);
        self.is_complete = page.next.is_none() || is_past;
        self.is_complete
    }

    /// What it says; `None` when not all was read that has to be.
    pub fn evidence(mut self) -> Option<Evidence> {
        if !self.is_complete {
            return None;
        }
        let count = u32::try_from(self.candidates.len()).unwrap_or(u32::MAX);
        Some(match (self.candidates.pop(), count) {
            (None, _) => Evidence::None,
            (Some(found), 1) => Evidence::One(found),
            (Some(_), count) => Evidence::Several(count),
        })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        kernel::ids::UploadId,
        publishing::{
            model::{Standing, Visibility},
            ports::Figures,
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

    /// What pages say of a post called "sea  view" that was asked for at 0.
    fn read(pages: &[ListPage], known: &[&str]) -> Option<String> {
        let draft = PostDraft {
            upload: UploadId::from_uuid(Uuid::from_u128(1)),
            caption: " sea  view".to_owned(),
            cover_at_ms: None,
            visibility: Visibility::Public,
        };
        let known = known.iter().map(|item| (*item).to_owned()).collect();
        let mut reading = Reading::new(at(0));
        for page in pages {
            if reading.take(page, &draft, &known) {
                break;
            }
        }
        reading.evidence().map(|evidence| match evidence {
            Evidence::None => "none".to_owned(),
            Evidence::One(found) => found.item,
            Evidence::Several(count) => format!("{count}"),
        })
    }

    #[test]
    fn one_that_can_only_be_it_is_it() {
        let mine = || listed("mine", "sea view", 3);
        let said = |posts, next, known: &[&str]| read(&[page(posts, next)], known);
        assert_eq!(said(vec![mine()], None, &[]).as_deref(), Some("mine"));
        assert_eq!(
            said(vec![mine(), listed("old", "sea view", -900)], Some(5), &[]).as_deref(),
            Some("mine")
        );
        assert_eq!(said(vec![listed("x", "other", 3)], None, &[]).as_deref(), Some("none"));
        assert_eq!(said(vec![], None, &[]).as_deref(), Some("none"));
        assert_eq!(said(vec![mine()], None, &["mine"]).as_deref(), Some("none"), "it is another post's");
        assert_eq!(said(vec![mine(), listed("b", "sea view", 9)], None, &[]).as_deref(), Some("2"));
        assert_eq!(
            said(vec![listed("early", "sea view", -120)], None, &[]).as_deref(),
            Some("early"),
            "clocks differ"
        );
        assert_eq!(said(vec![listed("early", "sea view", -121)], None, &[]).as_deref(), Some("none"));
    }

    #[test]
    fn absence_is_no_evidence_before_all_was_read() {
        let new = |n: i64| listed(&n.to_string(), "other", n);
        assert_eq!(read(&[page(vec![new(9)], Some(1))], &[]), None, "there is more");
        assert_eq!(
            read(&[page(vec![new(9)], Some(1)), page(vec![new(1), new(-300)], Some(2))], &[]).as_deref(),
            Some("none")
        );
        let top = Listed { is_top: true, ..new(-9_000) };
        assert_eq!(
            read(&[page(vec![top, new(9)], Some(1))], &[]),
            None,
            "what is kept at the top is out of order"
        );
    }

    #[test]
    fn a_post_on_two_pages_is_one() {
        let pages = [
            page(vec![listed("mine", "sea view", 3)], Some(1)),
            page(vec![listed("mine", "sea view", 3)], None),
        ];
        assert_eq!(read(&pages, &[]).as_deref(), Some("mine"));
    }
}
