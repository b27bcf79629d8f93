//! What auditors can have done.

use async_graphql::{Context, Object};
use domain::{compliance::actions, kernel::ids::ReportId};

use super::{
    query::one_report,
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
}
