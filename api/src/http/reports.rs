//! Where reports for auditors are fetched from. That one was taken is in the log before its first byte leaves.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE},
    },
    web::{self, Bytes},
};
use domain::{
    compliance::{ComplianceError, actions, report::Bundle},
    kernel::ids::ReportId,
};
use futures_util::stream;
use uuid::Uuid;

use super::{
    auth::{problem, unavailable},
    caller::{Asked, Counted, asked},
};
use crate::app::App;

/// The folder of addresses.
pub(crate) const REPORTS: &str = "/reports";

pub(super) fn mount(config: &mut web::ServiceConfig) {
    config.service(web::resource("/reports/{id}").route(web::get().to(fetch)));
}

async fn fetch(app: web::Data<App>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let counted = Counted {
        bucket: "exports",
        quota: app.quotas.caller,
        too_many: "too many requests; wait as long as Retry-After says",
    };
    let asked = match asked(&app, &request, actions::DOWNLOAD_REPORT.name, &counted).await {
        Ok(asked) => asked,
        Err(answer) => return answer,
    };
    let id = Uuid::try_parse(&id).map(ReportId::from_uuid).ok();
    let bundle = match id {
        Some(id) => taken(&app, &asked, id).await,
        None => Ok(None),
    };
    match bundle {
        Ok(Some(bundle)) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, "application/zip"))
            .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"report.zip\""))
            .insert_header((CACHE_CONTROL, "no-store"))
            .no_chunking(bundle.size_bytes)
            .streaming(stream::try_unfold((app, bundle, 0), |(app, bundle, offset_bytes)| async move {
                let read = app.reports.read_bundle(&bundle, offset_bytes).await;
                // Too late to say so otherwise: the answer ends before its length.
                let bytes = read.map_err(|error| {
                    tracing::warn!(error = %error, "a report was not read to its end");
                    std::io::Error::other("the report was not read to its end")
                })?;
                if bytes.is_empty() {
                    return Ok::<_, std::io::Error>(None);
                }
                let behind = offset_bytes + u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                Ok(Some((Bytes::from(bytes), (app, bundle, behind))))
            })),
        Ok(None) => problem(
            &request,
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            None,
            "there is no such report, or it is not there yet or any more",
        ),
        Err(ComplianceError::Denied(denied)) => {
            problem(&request, StatusCode::FORBIDDEN, "FORBIDDEN", None, &denied.to_string())
        }
        Err(error) => {
            tracing::warn!(error = %error, "a report was not fetched");
            unavailable(&request)
        }
    }
}

/// The bundle, once it is in the log that it was taken.
async fn taken(app: &App, asked: &Asked, id: ReportId) -> Result<Option<Bundle>, ComplianceError> {
    let actor = &asked.caller.signed_in().actor;
    let mut work = app.units.begin(actor.scope(), &asked.origin).await?;
    let bundle = app.reports.download_report(&mut *work, actor, id).await?;
    if bundle.is_some() {
        work.commit().await?;
    }
    Ok(bundle)
}
