//! What auditors can have done, and what is done about persons' data.

use async_graphql::{Context, Object};
use domain::{
    compliance::actions,
    kernel::ids::{AccountId, HoldId, MemberId, RecordId, ReportId},
};

use super::{
    erasure::{
        EraseSubjectInput, Erasure, LegalHold, PlaceHoldInput, ReleaseHoldInput, is_member, subject_of,
    },
    query::{one_erasure, one_hold, one_record, one_report},
    records::{ProcessingRecord, ReviewRecordInput},
    report::{CancelReportInput, Report, RequestReportInput},
};
use crate::graphql::{
    command::{command, compliance_id},
    error::ApiError,
    payload::{Named, payload},
    scalars::{Kind, global_id, id_of},
};

payload!(RequestReportPayload, Named, "requestReport" {
    /// The report; `reportProgress` tells how far it is.
    report: Option<Result<Report, ApiError>> =
        |done, ctx| one_report(ctx, &global_id(Kind::Report, done.id)).await.transpose();
});
payload!(CancelReportPayload, Named, "cancelReport" {
    /// The report.
    report: Option<Result<Report, ApiError>> =
        |done, ctx| one_report(ctx, &global_id(Kind::Report, done.id)).await.transpose();
});

payload!(EraseSubjectPayload, Named, "eraseSubject" {
    /// What was erased.
    erasure: Option<Result<Erasure, ApiError>> = |done, ctx| one_erasure(ctx, done.id).await.transpose();
});
payload!(PlaceHoldPayload, Named, "placeHold" {
    /// The hold.
    hold: Option<Result<LegalHold, ApiError>> = |done, ctx| one_hold(ctx, done.id).await.transpose();
});
payload!(ReleaseHoldPayload, Named, "releaseHold" {
    /// The hold.
    hold: Option<Result<LegalHold, ApiError>> = |done, ctx| one_hold(ctx, done.id).await.transpose();
});

payload!(ReviewRecordPayload, Named, "reviewRecord" {
    /// The record.
    record: Option<Result<ProcessingRecord, ApiError>> = |done, ctx| one_record(ctx, done.id).await.transpose();
});

#[derive(Default)]
pub struct ComplianceMutation;

#[Object]
impl ComplianceMutation {
    /// Have a report made: the rows that are asked for, and all that whoever gets it needs to check that they are authentic,
    /// unchanged and complete.
    #[graphql(directive = transport::cost::apply(50))]
    async fn request_report(
        &self,
        ctx: &Context<'_>,
        input: RequestReportInput,
    ) -> Option<Result<RequestReportPayload, ApiError>> {
        let answer = compliance_id(ctx);
        let done = command(ctx, actions::REQUEST_REPORT, |app, actor, work| {
            Box::pin(async move {
                let report =
                    app.reports.request_report(work, actor, answer, input.draft(app.clock.now())?).await?;
                Ok(Named { id: report.id.uuid() })
            })
        });
        Some(done.await.map(RequestReportPayload))
    }

    /// Give up a report that is being made, or throw away one that is there.
    async fn cancel_report(
        &self,
        ctx: &Context<'_>,
        input: CancelReportInput,
    ) -> Option<Result<CancelReportPayload, ApiError>> {
        let done = command(ctx, actions::CANCEL_REPORT, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Report, &input.id)?;
                app.reports.cancel_report(work, actor, ReportId::from_uuid(id)).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(CancelReportPayload))
    }

    /// Erase what is kept about a person: their rows, and what opens the events that tell of them. It can't be undone. The
    /// events stay, under a name that is nobody's any more, and so does every proof; reports show which event erased a value.
    /// A member is let go of first, an account unlinked. What was posted stays, with the platform's id for it: it is the tenant's,
    /// and is to be seen there.
    #[graphql(directive = transport::cost::apply(50))]
    async fn erase_subject(
        &self,
        ctx: &Context<'_>,
        input: EraseSubjectInput,
    ) -> Option<Result<EraseSubjectPayload, ApiError>> {
        let done = command(ctx, actions::ERASE_SUBJECT, |app, actor, work| {
            Box::pin(async move {
                let subject = subject_of(&input.id)?;
                if is_member(subject) {
                    let member = MemberId::from_uuid(subject.id);
                    app.identity.part_with_member(work, actor, member).await?;
                } else {
                    let account = AccountId::from_uuid(subject.id);
                    app.accounts.part_with_account(work, actor, account).await?;
                }
                app.erasures.erase_subject(work, actor, subject, input.basis.into()).await?;
                Ok(Named { id: subject.id })
            })
        });
        Some(done.await.map(EraseSubjectPayload))
    }

    /// Have what is kept about a person kept, whoever asks for its erasure.
    async fn place_hold(
        &self,
        ctx: &Context<'_>,
        input: PlaceHoldInput,
    ) -> Option<Result<PlaceHoldPayload, ApiError>> {
        let done = command(ctx, actions::PLACE_HOLD, |app, actor, work| {
            Box::pin(async move {
                let subject = subject_of(&input.id)?;
                let hold = app.erasures.place_hold(work, actor, subject, &input.matter).await?;
                Ok(Named { id: hold.uuid() })
            })
        });
        Some(done.await.map(PlaceHoldPayload))
    }

    /// End a hold. Others on the same person stay.
    async fn release_hold(
        &self,
        ctx: &Context<'_>,
        input: ReleaseHoldInput,
    ) -> Option<Result<ReleaseHoldPayload, ApiError>> {
        let done = command(ctx, actions::RELEASE_HOLD, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Hold, &input.id)?;
                app.erasures.release_hold(work, actor, HoldId::from_uuid(id)).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(ReleaseHoldPayload))
    }

    /// Say that you looked at what changed in a record of processing: it is signed then.
    async fn review_record(
        &self,
        ctx: &Context<'_>,
        input: ReviewRecordInput,
    ) -> Option<Result<ReviewRecordPayload, ApiError>> {
        let done = command(ctx, actions::REVIEW_RECORD, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Record, &input.id)?;
                app.records.review_record(work, actor, RecordId::from_uuid(id), &input.sha256).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(ReviewRecordPayload))
    }
}
