//! What mutations on plans and posts are given.

use async_graphql::{ID, InputObject};
use chrono::{DateTime, Utc};
use domain::{
    kernel::ids::{AccountId, TimetableId, UploadId},
    publishing::{
        PlanChange, PostChange,
        model::{ItemDraft, PlanDraft, Resolution, SlotDraft},
    },
};

use super::types::Visibility;
use crate::{
    graphql::{
        error::Failure,
        scalars::{Kind, id_in, id_of},
    },
    hex::unhex,
};

/// What is put in place of `{{name}}` in a text.
#[derive(InputObject)]
pub struct VariableInput {
    /// The name.
    name: String,
    /// What is put there.
    value: String,
}

/// What a plan has for one account.
#[derive(InputObject)]
pub struct PlanItemInput {
    /// The account.
    account_id: ID,
    /// When it is to be there; an instant in the past for as soon as it is approved. Null where `slots` say when.
    planned_at: Option<DateTime<Utc>>,
    /// Another text than the plan's.
    caption: Option<String>,
    /// What is put in place of `{{name}}` in the text; each must be given.
    #[graphql(default)]
    variables: Vec<VariableInput>,
}

/// Which slots each account gets: free ones, on days on which the platform takes another post. How many there are is bounded
/// by both ends that are given; when none is given, it is one.
#[derive(InputObject)]
pub struct SlotsInput {
    /// The timetable whose slots they are.
    timetable_id: ID,
    /// Not before; null for now.
    from: Option<DateTime<Utc>>,
    /// Before; null for no end but the number.
    until: Option<DateTime<Utc>>,
    /// How many posts each account gets; null for as many as there are slots until the end.
    occurrences: Option<i32>,
}

/// What is to be planned.
#[derive(InputObject)]
pub struct CreatePlanInput {
    /// What people call it, at most 200 characters.
    name: String,
    /// The file; it must be `READY`.
    upload_id: ID,
    /// The text beside it, with `{{name}}` where each account has something of its own.
    #[graphql(default)]
    caption: String,
    /// Which instant of the video is its cover, in milliseconds; null leaves it to the platform.
    cover_at_ms: Option<i32>,
    /// Who may see it.
    #[graphql(default_with = "Visibility::Public")]
    visibility: Visibility,
    /// One for each account, at most 500.
    items: Vec<PlanItemInput>,
    /// When they are posted, once or again and again, where no item says when. A plan has 500 posts at most.
    slots: Option<SlotsInput>,
}

/// What is changed of all posts of a plan that are not under way; what is left out stays.
#[derive(InputObject)]
pub struct ChangePlanInput {
    /// The plan's id.
    pub(super) id: ID,
    /// The text, with the variables that each post was planned with.
    caption: Option<String>,
    /// Which instant of the video is its cover, in milliseconds.
    cover_at_ms: Option<i32>,
    /// Who may see them.
    visibility: Option<Visibility>,
    /// How many minutes later they are posted; earlier when it is negative.
    shift_minutes: Option<i32>,
    /// Other slots: each account's posts get one each, in their order.
    slots: Option<SlotsInput>,
}

/// Which plan, and what its posts are.
#[derive(InputObject)]
pub struct ApprovePlanInput {
    /// The plan's id.
    pub(super) id: ID,
    /// The plan's `approvalDigest`, as it was when it was looked at.
    pub(super) digest: String,
}

/// Which plan.
#[derive(InputObject)]
pub struct CancelPlanInput {
    /// The plan's id.
    pub(super) id: ID,
}

/// Which post, and what it is.
#[derive(InputObject)]
pub struct ApprovePostInput {
    /// The post's id.
    pub(super) id: ID,
    /// The post's `digest`, as it was when it was looked at.
    pub(super) digest: String,
}

/// What is changed of a post; what is left out stays.
#[derive(InputObject)]
pub struct ChangePostInput {
    /// The post's id.
    pub(super) id: ID,
    /// Another file.
    upload_id: Option<ID>,
    /// Its text, as it is posted.
    caption: Option<String>,
    /// When it is to be there.
    planned_at: Option<DateTime<Utc>>,
    /// Which instant of the video is its cover, in milliseconds.
    cover_at_ms: Option<i32>,
    /// Who may see it.
    visibility: Option<Visibility>,
}

/// Which post.
#[derive(InputObject)]
pub struct CancelPostInput {
    /// The post's id.
    pub(super) id: ID,
}

/// Which post.
#[derive(InputObject)]
pub struct RetryPostInput {
    /// The post's id.
    pub(super) id: ID,
}

/// What became of a post, by somebody who has looked at the platform. Exactly one of the last three is given.
#[derive(InputObject)]
pub struct ResolvePostInput {
    /// The post's id.
    pub(super) id: ID,
    /// It is this one of its `candidates`: the platform's name.
    item: Option<String>,
    /// It is not there: post it again.
    post_again: Option<bool>,
    /// It is not there: give it up.
    give_up: Option<bool>,
}

fn cover(ms: i32) -> Result<u64, Failure> {
    u64::try_from(ms).map_err(|_| Failure::invalid("coverAtMs", "must not be negative"))
}

/// A digest in hexadecimal digits.
pub(super) fn digest(text: &str) -> Result<[u8; 32], Failure> {
    unhex(text).ok_or_else(|| Failure::invalid("digest", "must be 64 hexadecimal digits"))
}

impl SlotsInput {
    fn draft(&self) -> Result<SlotDraft, Failure> {
        let number = |count: i32| {
            u32::try_from(count).map_err(|_| Failure::invalid("slots.occurrences", "must not be negative"))
        };
        let timetable = id_in("slots.timetableId", Kind::Timetable, &self.timetable_id)?;
        Ok(SlotDraft {
            timetable: TimetableId::from_uuid(timetable),
            from: self.from,
            until: self.until,
            occurrences: self.occurrences.map(number).transpose()?,
        })
    }
}

impl ChangePlanInput {
    pub(super) fn change(self) -> Result<PlanChange, Failure> {
        Ok(PlanChange {
            caption: self.caption,
            cover_at_ms: self.cover_at_ms.map(cover).transpose()?,
            visibility: self.visibility.map(Into::into),
            shift_minutes: self.shift_minutes.map(Into::into),
            slots: self.slots.as_ref().map(SlotsInput::draft).transpose()?,
        })
    }
}

impl CreatePlanInput {
    pub(super) fn draft(self) -> Result<PlanDraft, Failure> {
        let item = |item: PlanItemInput| -> Result<ItemDraft, Failure> {
            Ok(ItemDraft {
                account: AccountId::from_uuid(id_of(Kind::Account, &item.account_id)?),
                planned_at: item.planned_at,
                caption: item.caption,
                variables: item.variables.into_iter().map(|given| (given.name, given.value)).collect(),
            })
        };
        Ok(PlanDraft {
            name: self.name,
            upload: UploadId::from_uuid(id_of(Kind::Upload, &self.upload_id)?),
            caption: self.caption,
            cover_at_ms: self.cover_at_ms.map(cover).transpose()?,
            visibility: self.visibility.into(),
            items: self.items.into_iter().map(item).collect::<Result<_, _>>()?,
            slots: self.slots.as_ref().map(SlotsInput::draft).transpose()?,
        })
    }
}

impl ChangePostInput {
    pub(super) fn change(self) -> Result<PostChange, Failure> {
        let upload = self.upload_id.map(|id| id_in("uploadId", Kind::Upload, &id)).transpose()?;
        Ok(PostChange {
            upload: upload.map(UploadId::from_uuid),
            caption: self.caption,
            planned_at: self.planned_at,
            cover_at_ms: self.cover_at_ms.map(cover).transpose()?.map(Some),
            visibility: self.visibility.map(Into::into),
        })
    }
}

impl ResolvePostInput {
    pub(super) fn resolution(self) -> Result<Resolution, Failure> {
        let (again, give_up) = (self.post_again == Some(true), self.give_up == Some(true));
        match (self.item, again, give_up) {
            (Some(item), false, false) => Ok(Resolution::Is(item)),
            (None, true, false) => Ok(Resolution::PostAgain),
            (None, false, true) => Ok(Resolution::GiveUp),
            _ => Err(Failure::invalid("item", "is given, or postAgain, or giveUp: exactly one of them")),
        }
    }
}
