//! The planner for many posts on many accounts in the schema.

use std::collections::{BTreeMap, HashMap};

use async_graphql::{Context, ID, InputObject, SimpleObject};
use chrono::{DateTime, Utc};
use domain::{
    kernel::ids::{AccountId, GroupId, UploadId},
    publishing::{
        FleetAnswer, FleetCreation, FleetDraft, FleetItem, FleetPlace, FleetRoom, FleetTexts, ports::Foreseen,
    },
};
use output::Output;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{types::Visibility, warnings::ForeseenWarning};
use crate::graphql::{
    command::app,
    error::{ApiError, Failure},
    reading::reading,
    scalars::{Kind, global_id, id_of},
};

/// A file that is to be posted on several accounts.
#[derive(InputObject)]
pub struct FleetItemInput {
    /// The file.
    upload_id: ID,
    /// On how many accounts; on none of them twice.
    #[graphql(default = 1)]
    count: i32,
    /// The text beside it, for `createFleet`; null for that of all.
    caption: Option<String>,
}

/// What is to be placed, and what holds.
#[derive(InputObject)]
pub struct FleetPlanInput {
    /// What; at most 500 posts.
    items: Vec<FleetItemInput>,
    /// On these accounts; none stands for all of the group, or all that the caller reaches.
    #[graphql(default)]
    account_ids: Vec<ID>,
    /// On accounts of this group and below.
    group_id: Option<ID>,
    /// Not before.
    from: DateTime<Utc>,
    /// Before; at most 92 days ahead.
    until: DateTime<Utc>,
    /// Least time between two posts of one account, with those that are planned already.
    #[graphql(default = 60)]
    spacing_minutes: i32,
}

/// A place that was found.
#[derive(SimpleObject, Output, Clone)]
pub struct FleetPlacement {
    /// What is posted.
    upload_id: ID,
    /// Where.
    account_id: ID,
    /// When.
    planned_at: DateTime<Utc>,
    /// What would speak against it, whatever its text: its account has the file, or another post close to it.
    warnings: Vec<ForeseenWarning>,
}

/// What is to be placed and planned.
#[derive(InputObject)]
pub struct CreateFleetInput {
    /// What people call the plans, at most 200 characters.
    name: String,
    /// What is to be placed, and what holds.
    fleet: FleetPlanInput,
    /// The text beside each file that has none of its own.
    #[graphql(default)]
    caption: String,
    /// Who may see the posts.
    #[graphql(default_with = "Visibility::Public")]
    visibility: Visibility,
    /// Whether what finds no place is left out. Otherwise nothing is planned then.
    #[graphql(default)]
    allow_partial: bool,
}

impl CreateFleetInput {
    pub(super) fn draft(self) -> Result<(FleetDraft, FleetTexts), Failure> {
        let mut captions = BTreeMap::new();
        for item in &self.fleet.items {
            if let Some(caption) = &item.caption {
                let upload = UploadId::from_uuid(id_of(Kind::Upload, &item.upload_id)?);
                captions.insert(upload, caption.clone());
            }
        }
        let texts = FleetTexts {
            name: self.name,
            caption: self.caption,
            captions,
            visibility: self.visibility.into(),
            allow_partial: self.allow_partial,
        };
        Ok((self.fleet.draft()?, texts))
    }
}

/// What is left of a fleet that was planned.
#[derive(Serialize, Deserialize)]
pub(super) struct Created {
    pub(super) plans: Vec<Uuid>,
    pub(super) unplaced: Vec<FleetRemainder>,
}

impl From<FleetCreation> for Created {
    fn from(created: FleetCreation) -> Self {
        Self {
            plans: created.plans.iter().map(|plan| plan.id.uuid()).collect(),
            unplaced: created.answer.unplaced.into_iter().map(Into::into).collect(),
        }
    }
}

/// What found no place.
#[derive(SimpleObject, Output, Clone, Serialize, Deserialize)]
pub struct FleetRemainder {
    /// The file.
    upload_id: ID,
    /// On how many accounts it is not posted.
    count: u32,
    /// Why.
    reason: String,
}

/// What an account can take.
#[derive(SimpleObject, Output, Clone)]
pub struct FleetCapacity {
    /// The account.
    account_id: ID,
    /// Places it has in the window, as far as they were counted.
    places: u32,
    /// Why it has none, or fewer than the window would have.
    reason: Option<String>,
}

impl From<FleetRoom> for FleetCapacity {
    fn from(room: FleetRoom) -> Self {
        Self {
            account_id: global_id(Kind::Account, room.account.uuid()),
            places: room.places,
            reason: room.reason,
        }
    }
}

/// Where and when many posts are best put on many accounts. Nothing is planned by it: `createFleet` does that.
#[derive(SimpleObject, Output, Clone)]
pub struct FleetPlan {
    /// As many as can be, and so that the last is as early as can be; by time.
    placements: Vec<FleetPlacement>,
    /// What found no place.
    unplaced: Vec<FleetRemainder>,
    /// What the accounts can take.
    capacities: Vec<FleetCapacity>,
    /// When the last is posted; null when none is.
    ends_at: Option<DateTime<Utc>>,
}

impl From<(FleetItem, String)> for FleetRemainder {
    fn from((item, reason): (FleetItem, String)) -> Self {
        Self { upload_id: global_id(Kind::Upload, item.upload.uuid()), count: item.count, reason }
    }
}

impl From<(FleetAnswer, HashMap<usize, Vec<Foreseen>>)> for FleetPlan {
    fn from((answer, mut foreseen): (FleetAnswer, HashMap<usize, Vec<Foreseen>>)) -> Self {
        let placement = |(at, place): (usize, FleetPlace)| FleetPlacement {
            upload_id: global_id(Kind::Upload, place.upload.uuid()),
            account_id: global_id(Kind::Account, place.account.uuid()),
            planned_at: place.planned_at,
            warnings: foreseen.remove(&at).unwrap_or_default().into_iter().map(Into::into).collect(),
        };
        Self {
            ends_at: answer.places.last().map(|place| place.planned_at),
            placements: answer.places.into_iter().enumerate().map(placement).collect(),
            unplaced: answer.unplaced.into_iter().map(Into::into).collect(),
            capacities: answer.rooms.into_iter().map(Into::into).collect(),
        }
    }
}

impl FleetPlanInput {
    fn draft(self) -> Result<FleetDraft, Failure> {
        let number = |field, number: i32| {
            u32::try_from(number).map_err(|_| Failure::invalid(field, "must not be negative"))
        };
        let item = |item: FleetItemInput| -> Result<FleetItem, Failure> {
            let upload = UploadId::from_uuid(id_of(Kind::Upload, &item.upload_id)?);
            Ok(FleetItem { upload, count: number("items.count", item.count)? })
        };
        let account = |id: &ID| id_of(Kind::Account, id).map(AccountId::from_uuid);
        let group = self.group_id.map(|id| id_of(Kind::Group, &id)).transpose()?;
        Ok(FleetDraft {
            items: self.items.into_iter().map(item).collect::<Result<_, _>>()?,
            accounts: self.account_ids.iter().map(account).collect::<Result<_, _>>()?,
            group: group.map(GroupId::from_uuid),
            from: self.from,
            until: self.until,
            spacing_minutes: number("spacingMinutes", self.spacing_minutes)?,
        })
    }
}

pub(super) async fn fleet_plan(ctx: &Context<'_>, input: FleetPlanInput) -> Result<FleetPlan, ApiError> {
    let (actor, mut work) = reading(ctx, "fleetPlan").await?;
    let publishing = &app(ctx).publishing;
    let answer = publishing.plan_fleet(&mut *work, &actor, input.draft()?).await?;
    let foreseen = publishing.foresee_fleet(&mut *work, &actor, &answer).await?;
    Ok((answer, foreseen).into())
}
