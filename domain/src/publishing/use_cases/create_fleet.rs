//! Many files are put on many accounts, where and when it is best.

use std::collections::BTreeMap;

use super::{
    super::{
        actions,
        model::{ItemDraft, Plan, PlanDraft, Visibility},
        ports::PublishingTx,
    },
    Publishing,
    plan_fleet::{FleetAnswer, FleetDraft},
};
use crate::{
    kernel::{
        actor::{Actor, Permission},
        ids::UploadId,
        outbox::{Party, Record},
    },
    publishing::PublishingError,
};

/// What is said of the posts that are planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetTexts {
    /// What people call the plans.
    pub name: String,
    /// The text beside a file that has none of its own.
    pub caption: String,
    /// Texts of files.
    pub captions: BTreeMap<UploadId, String>,
    /// Who may see them.
    pub visibility: Visibility,
    /// Whether what has no place is left out. Otherwise nothing is planned then.
    pub allow_partial: bool,
}

/// What was planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetCreation {
    /// A plan for each file that found a place.
    pub plans: Vec<Plan>,
    /// Where everything was put.
    pub answer: FleetAnswer,
}

impl Publishing {
    /// Plans what [`plan_fleet`](Self::plan_fleet) says, as things are now: a plan for each file. All of it or nothing, unless
    /// it may be partial.
    ///
    /// # Errors
    /// `Denied`, `Invalid`, `NotFound`, `NotPostable`, `Port`.
    pub async fn create_fleet(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        draft: FleetDraft,
        texts: FleetTexts,
    ) -> Result<FleetCreation, PublishingError> {
        actor.require(Permission::ManagePosts)?;
        let files: Vec<_> = draft.items.iter().map(|item| item.upload).collect();
        // Nobody else plans for any of the accounts from then on, in one order; what was free may be taken by then.
        let first = self.plan_fleet(tx, actor, draft.clone()).await?;
        tx.wake_accounts(&first.rooms.iter().map(|room| (room.account, None)).collect()).await?;
        let answer = self.plan_fleet(tx, actor, draft).await?;
        if let Some((item, reason)) = answer.unplaced.first()
            && (!texts.allow_partial || answer.places.is_empty())
        {
            let left: u32 = answer.unplaced.iter().map(|(item, _)| item.count).sum();
            let at = files.iter().position(|file| *file == item.upload).unwrap_or_default();
            let problem = format!(
                "leave {left} posts without a place: {} of [{at}], as {reason}; make the window longer, name more accounts, \
                 or set allowPartial",
                item.count
            );
            return Err(PublishingError::NotPostable { field: "items", problem });
        }
        let mut plans = Vec::with_capacity(files.len());
        for file in files {
            let places = answer.places.iter().filter(|place| place.upload == file);
            let items: Vec<_> = places
                .map(|place| ItemDraft {
                    account: place.account,
                    planned_at: Some(place.planned_at),
                    caption: None,
                    variables: BTreeMap::new(),
                })
                .collect();
            if items.is_empty() {
                continue;
            }
            let plan = PlanDraft {
                name: texts.name.clone(),
                upload: file,
                caption: texts.captions.get(&file).unwrap_or(&texts.caption).clone(),
                cover_at_ms: None,
                visibility: texts.visibility,
                items,
                slots: None,
            };
            let plan = self.plan_posts(tx, actor, plan).await?;
            tx.record(Record::success(actions::CREATE_FLEET, Party::new("plan", plan.id.uuid()))).await?;
            plans.push(plan);
        }
        Ok(FleetCreation { plans, answer })
    }
}
