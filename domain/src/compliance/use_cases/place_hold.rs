//! A person's data must be kept for a while, whoever asks for its erasure.

use super::{
    super::{
        actions::{PLACE_HOLD, RELEASE_HOLD},
        erasure::{LegalHold, MATTER_MAX_CHARS, Subject},
        ports::ReportTx,
    },
    ComplianceError, Erasures,
};
use crate::kernel::{
    actor::{Actor, Permission},
    ids::HoldId,
    outbox::{Party, Record},
};

impl Erasures {
    /// Has the subject's data kept. There may be several holds on one.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Invalid`, `Port`.
    pub async fn place_hold(
        &self,
        tx: &mut dyn ReportTx,
        actor: &Actor,
        subject: Subject,
        matter: &str,
    ) -> Result<HoldId, ComplianceError> {
        actor.require(Permission::ManagePrivacy)?;
        let matter = matter.trim();
        let chars = matter.chars().count();
        if !(1..=MATTER_MAX_CHARS).contains(&chars) || matter.chars().any(char::is_control) {
            let problem = "must be 1 to 200 characters, without control characters";
            return Err(ComplianceError::Invalid { field: "matter", problem });
        }
        tx.lock_subject(subject.id).await?;
        if !tx.has_subject(subject).await? {
            return Err(ComplianceError::NotFound { field: "id" });
        }
        let hold = LegalHold {
            id: HoldId::new(&*self.0.ids),
            subject,
            matter: matter.to_owned(),
            placed_at: self.0.clock.now(),
            placed_by: actor.member(),
            released_at: None,
            released_by: None,
        };
        tx.add_hold(&hold).await?;
        tx.record(Record::success(PLACE_HOLD, subject.party())).await?;
        Ok(hold.id)
    }

    /// The hold ends.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `HoldEnded`, `Port`.
    pub async fn release_hold(
        &self,
        tx: &mut dyn ReportTx,
        actor: &Actor,
        id: HoldId,
    ) -> Result<(), ComplianceError> {
        actor.require(Permission::ManagePrivacy)?;
        let mut hold = tx.lock_hold(id).await?.ok_or(ComplianceError::NotFound { field: "id" })?;
        if hold.released_at.is_some() {
            return Err(ComplianceError::HoldEnded);
        }
        hold.released_at = Some(self.0.clock.now());
        hold.released_by = actor.member();
        tx.update_hold(&hold).await?;
        tx.record(Record::success(RELEASE_HOLD, Party::new("hold", id.uuid()))).await?;
        Ok(())
    }
}
