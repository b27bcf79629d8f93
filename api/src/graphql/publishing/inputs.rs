//! What mutations on plans and posts are given.

use async_graphql::{ID, InputObject};
use chrono::{DateTime, Utc};
use domain::{
    kernel::ids::{AccountId, UploadId},
    publishing::{
        PostChange,
        model::{ItemDraft, PlanDraft, Resolution},
    },
};

use super::types::Visibility;
use crate::{
    graphql::{
        error::Failure,
        scalars::{Kind, id_of},
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
    /// When it is to be there; an instant in the past for as soon as it is approved.
    planned_at: DateTime<Utc>,
    /// Another text than the plan's.
    caption: Option<String>,
    /// What is put in place of `{{name}}` in the text; each must be given.
    #[graphql(default)]
    variables: Vec<VariableInput>,
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
        })
    }
}

impl ChangePostInput {
    pub(super) fn change(self) -> Result<PostChange, Failure> {
        Ok(PostChange {
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
