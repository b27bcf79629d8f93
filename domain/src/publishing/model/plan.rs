//! A plan: one piece of content, put on many accounts.

use std::collections::{BTreeMap, HashSet};

use chrono::TimeDelta;
use sha2::{Digest as _, Sha256};

use super::{Post, PostDraft, SlotDraft, Visibility};
use crate::{
    kernel::{
        clock::Timestamp,
        ids::{AccountId, MemberId, PlanId, UploadId},
    },
    publishing::{PublishingError, error::invalid},
};

/// Most posts of one plan.
pub const ITEMS_MAX: usize = 500;

/// Longest name of a plan, in characters.
pub const NAME_MAX_CHARS: usize = 200;

/// Longest caption, before its variables are put in and after, in characters: what fits is for the platform to say.
pub const CAPTION_MAX_CHARS: usize = 4_000;

/// How far back a post may be planned, in days: to be posted as soon as it is agreed to.
const BACK_MAX_DAYS: i64 = 366;

/// Most variables of one post.
const VARIABLES_MAX: usize = 50;

/// Most bytes of the names and values of one post's variables.
const VARIABLES_MAX_BYTES: usize = 16_384;

/// How far ahead may be planned, in days.
pub const AHEAD_MAX_DAYS: i64 = 366;

/// What a plan has for one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemDraft {
    /// The account.
    pub account: AccountId,
    /// When it is to be there; in the past for at once. `None` where slots say when.
    pub planned_at: Option<Timestamp>,
    /// Another text than the plan's.
    pub caption: Option<String>,
    /// What is put in place of `{{name}}` in the text.
    pub variables: BTreeMap<String, String>,
}

/// What is to be planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanDraft {
    /// What people call it.
    pub name: String,
    /// The file.
    pub upload: UploadId,
    /// The text beside it, with `{{name}}` where each account has something of its own.
    pub caption: String,
    /// Which instant of the video is its cover, in milliseconds.
    pub cover_at_ms: Option<u64>,
    /// Who may see it.
    pub visibility: Visibility,
    /// One for each account.
    pub items: Vec<ItemDraft>,
    /// The slots that each account gets, where no item has a time of its own.
    pub slots: Option<SlotDraft>,
}

/// One piece of content, put on many accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Its id.
    pub id: PlanId,
    /// What people call it.
    pub name: String,
    /// The file.
    pub upload: UploadId,
    /// Who planned it; `None` for a machine.
    pub planned_by: Option<MemberId>,
    /// When.
    pub created_at: Timestamp,
}

/// A text with its variables put in.
///
/// # Errors
/// A variable that is not given, or a brace without its end.
pub fn filled(caption: &str, variables: &BTreeMap<String, String>) -> Result<String, String> {
    let too_long = || format!("has a caption of more than {CAPTION_MAX_CHARS} characters");
    if caption.chars().count() > CAPTION_MAX_CHARS {
        return Err(too_long());
    }
    let mut filled = String::with_capacity(caption.len());
    let mut rest = caption;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").ok_or("has {{ without }}")?;
        let name = name.trim();
        let value =
            variables.get(name).ok_or_else(|| format!("has the variable {name:?}, which is not given"))?;
        filled.push_str(before);
        filled.push_str(value);
        // Many uses of a long value would be longer than memory is.
        if filled.len() > 4 * CAPTION_MAX_CHARS {
            return Err(too_long());
        }
        rest = after;
    }
    filled.push_str(rest);
    if filled.chars().count() > CAPTION_MAX_CHARS { Err(too_long()) } else { Ok(filled) }
}

/// Whether a time can be planned for.
///
/// # Errors
/// Why not.
pub fn in_range(planned_at: Timestamp, now: Timestamp) -> Result<(), String> {
    if planned_at > now + TimeDelta::days(AHEAD_MAX_DAYS) {
        return Err(format!("is planned more than {AHEAD_MAX_DAYS} days ahead"));
    }
    if planned_at < now - TimeDelta::days(BACK_MAX_DAYS) {
        return Err(format!("is planned more than {BACK_MAX_DAYS} days ago"));
    }
    Ok(())
}

impl PlanDraft {
    /// What is posted on each account, in the items' order.
    ///
    /// # Errors
    /// `Invalid`, naming the field and the item.
    pub fn drafts(&self, now: Timestamp) -> Result<Vec<PostDraft>, PublishingError> {
        let name = self.name.trim();
        if name.is_empty() || name.chars().count() > NAME_MAX_CHARS || name.contains('\0') {
            return Err(invalid("name", format!("must be 1 to {NAME_MAX_CHARS} characters")));
        }
        if self.items.is_empty() || self.items.len() > ITEMS_MAX {
            return Err(invalid("items", format!("must be 1 to {ITEMS_MAX}; split the plan")));
        }
        if let Some(slots) = self.slots {
            slots.check(ITEMS_MAX)?;
        }
        let mut accounts = HashSet::new();
        let mut drafts = Vec::with_capacity(self.items.len());
        for (at, item) in self.items.iter().enumerate() {
            let of_item = |problem: &str| invalid("items", format!("[{at}] {problem}"));
            match (item.planned_at, self.slots) {
                (Some(planned_at), None) => in_range(planned_at, now).map_err(|problem| of_item(&problem))?,
                (None, Some(_)) => {}
                (None, None) => return Err(of_item("has no plannedAt; give it one, or slots to all")),
                (Some(_), Some(_)) => {
                    return Err(of_item("has a plannedAt, and slots say when; give one of the two"));
                }
            }
            if !accounts.insert(item.account) {
                return Err(of_item(
                    "is of an account that has a post in this plan already; make another plan",
                ));
            }
            if item.variables.len() > VARIABLES_MAX {
                return Err(of_item(&format!("has more than {VARIABLES_MAX} variables")));
            }
            let texts = || item.variables.iter().flat_map(|(name, value)| [name, value]);
            if texts().map(String::len).sum::<usize>() > VARIABLES_MAX_BYTES {
                return Err(of_item(&format!("has variables of more than {VARIABLES_MAX_BYTES} bytes")));
            }
            if texts().any(|text| text.contains('\0')) {
                return Err(of_item("has a variable with a character that no text has"));
            }
            let template = item.caption.as_ref().unwrap_or(&self.caption);
            let caption = filled(template, &item.variables).map_err(|problem| of_item(&problem))?;
            if caption.contains('\0') {
                return Err(of_item("has a caption with a character that no text has"));
            }
            drafts.push(PostDraft {
                upload: self.upload,
                caption,
                cover_at_ms: self.cover_at_ms,
                visibility: self.visibility,
            });
        }
        Ok(drafts)
    }
}

impl Plan {
    /// What somebody agrees to who agrees to all of these posts: SHA-256 over their digests, in the order of their ids.
    pub fn digest(posts: &[Post]) -> [u8; 32] {
        let mut digests: Vec<_> = posts.iter().map(|post| (post.id, post.digest())).collect();
        digests.sort_unstable();
        let mut hasher = Sha256::new_with_prefix(b"matricula plan v1");
        for (id, digest) in digests {
            hasher.update(id.uuid().as_bytes());
            hasher.update(digest);
        }
        hasher.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(caption: &str) -> Result<String, String> {
        let variables = [("city", "杭州"), ("x", "{{city}}")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        filled(caption, &variables.into_iter().collect())
    }

    #[test]
    fn variables_are_put_in_once() {
        for (caption, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("{{city}}!", "杭州!"),
            ("a {{ city }} b {{city}}", "a 杭州 b 杭州"),
            ("{{x}}", "{{city}}"),
            ("{ not } one }}", "{ not } one }}"),
        ] {
            assert_eq!(fill(caption).as_deref(), Ok(expected), "{caption}");
        }
        assert!(fill("{{town}}").unwrap_err().contains("\"town\""));
        assert!(fill("{{city").unwrap_err().contains("without"));
        let often = "{{city}}".repeat(500);
        assert!(fill(&often).is_ok());
        let long = BTreeMap::from([("x".to_owned(), "y".repeat(1 << 20))]);
        assert!(filled(&"{{x}}".repeat(800), &long).unwrap_err().contains("more than"));
        assert!(filled(&"y".repeat(4_001), &long).unwrap_err().contains("more than"));
    }
}
