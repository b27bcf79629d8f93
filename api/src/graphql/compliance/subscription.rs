//! What auditors can follow.

use std::{sync::Arc, time::Duration};

use async_graphql::{Context, ID, SimpleObject, Subscription};
use domain::{
    compliance::report,
    kernel::{
        actor::{Actor, Permission},
        ids::{ComplianceId, ReportId},
        outbox::Origin,
        scope::TenantScope,
    },
};
use futures_util::{Stream, StreamExt as _};
use output::{Output, Recent, Shared};

use super::report::{ReportFailure, ReportState};
use crate::{
    app::App,
    graphql::{
        command::{app, caller},
        error::ApiError,
        scalars::{Kind, global_id, parse_global_id},
    },
};

/// Least time between two readings. Auditors are few and reports are made in seconds: nothing is told of them over Redis.
const PACE: Duration = Duration::from_millis(500);

/// The same, of one that takes long.
const SLOW: Duration = Duration::from_secs(3);

/// Readings after which it does.
const LONG: u32 = 40;

/// Reports of all tenants together whose newest progress is kept.
const RECENT_MAX: usize = 64;

/// How far a report is.
#[derive(SimpleObject, Output, Clone, PartialEq, Eq)]
pub struct ReportProgress {
    /// Which report.
    report_id: ID,
    /// How it stands.
    state: ReportState,
    /// How far it is, in thousandths.
    done_permille: u32,
    /// Why there will be none; null otherwise.
    failure: Option<ReportFailure>,
}

impl From<report::Report> for ReportProgress {
    fn from(report: report::Report) -> Self {
        Self {
            report_id: global_id(Kind::Report, report.id.uuid()),
            state: report.state.into(),
            done_permille: report.done_permille,
            failure: report.failure.map(Into::into),
        }
    }
}

/// How far reports are, as it was told in the last moments: written once for all who follow the same.
pub(in crate::graphql) type RecentReports = Recent<(TenantScope, ReportProgress), ReportProgress>;

pub(in crate::graphql) fn recent_reports() -> Arc<RecentReports> {
    Arc::new(Recent::new(RECENT_MAX))
}

#[derive(Default)]
pub struct ComplianceSubscription;

#[expect(clippy::unused_async, reason = "subscriptions are asynchronous")]
#[Subscription]
impl ComplianceSubscription {
    /// How far a report is, now and whenever it moves, until it can be fetched or will never be. Who is slow is told the
    /// newest, and never a queue of older ones.
    async fn report_progress(
        &self,
        ctx: &Context<'_>,
        id: ID,
    ) -> Result<impl Stream<Item = Result<Shared<ReportProgress>, ApiError>> + use<>, ApiError> {
        let report = match parse_global_id(&id) {
            Some((Kind::Report, uuid)) => ReportId::from_uuid(uuid),
            _ => return Err(no_report()),
        };
        let actor = caller(ctx)?.signed_in().actor.clone();
        actor.require(Permission::ReadAudit)?;
        let (app, scope) = (Arc::clone(app(ctx)), actor.scope());
        let recent = Arc::clone(ctx.data_unchecked::<Arc<RecentReports>>());
        let from = Some((None::<ReportProgress>, 0_u32, app, actor));
        let told = futures_util::stream::unfold(from, move |from| async move {
            let (mut last, mut readings, app, actor) = from?;
            loop {
                if last.is_some() {
                    tokio::time::sleep(if readings < LONG { PACE } else { SLOW }).await;
                }
                readings = readings.saturating_add(1);
                match progress(&app, &actor, report).await {
                    Ok(now) if last.as_ref() == Some(&now) => {}
                    Ok(now) => {
                        let goes_on = now.state == ReportState::Making;
                        last = Some(now.clone());
                        return Some((Ok(now), goes_on.then_some((last, readings, app, actor))));
                    }
                    Err(error) => return Some((Err(error), None)),
                }
            }
        });
        Ok(told.map(move |told: Result<ReportProgress, ApiError>| {
            told.map(|now| recent.share((scope, now.clone()), || now))
        }))
    }
}

fn no_report() -> ApiError {
    ApiError::bad_input("id names no report".to_owned())
}

/// How far it is now, under the reader's own permissions.
async fn progress(app: &App, actor: &Actor, id: ReportId) -> Result<ReportProgress, ApiError> {
    let origin = Origin::system(ComplianceId::new(&*app.ids), "reportProgress");
    let mut work = app.units.begin(actor.scope(), &origin).await?;
    let report = app.reports.report(&mut *work, actor, id).await?;
    report.map(Into::into).ok_or_else(no_report)
}
