//! Where reports for auditors are fetched from. That one was taken is in the log before its first byte leaves, each time that
//! it is asked for: a download that broke off goes on where it did (RFC 9110 section 14).

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{
            ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE,
            RANGE, Range,
        },
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
    config.service(web::resource("/reports/{id}").route(web::get().to(fetch)).route(web::head().to(fetch)));
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
        Ok(Some(bundle)) => sent(app, &request, bundle),
        Ok(None) => {
            let absent = "there is no such report, or it is not there yet or any more";
            problem(&request, StatusCode::NOT_FOUND, "NOT_FOUND", None, absent)
        }
        Err(ComplianceError::Denied(denied)) => {
            problem(&request, StatusCode::FORBIDDEN, "FORBIDDEN", None, &denied.to_string())
        }
        Err(error) => {
            tracing::warn!(error = %error, "a report was not fetched");
            unavailable(&request)
        }
    }
}

/// The bytes that are asked for, from the first on and before the second (RFC 9110 section 14.2); all of them unless one
/// range is asked for of this very bundle. `None` when there are none such.
fn wanted(request: &HttpRequest, bundle: &Bundle, tag: &str) -> Option<(u64, u64)> {
    let all = (0, bundle.size_bytes);
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let of_this = text(IF_RANGE).is_none_or(|of| of == tag);
    let Some(Ok(Range::Bytes(ranges))) = text(RANGE).filter(|_| of_this).map(str::parse) else {
        return Some(all);
    };
    let [range] = ranges.as_slice() else { return Some(all) };
    range.to_satisfiable_range(bundle.size_bytes).map(|(first, last)| (first, last + 1))
}

fn sent(app: web::Data<App>, request: &HttpRequest, bundle: Bundle) -> HttpResponse {
    // A bundle is never made anew under its place.
    let tag = format!("\"{}\"", bundle.place.rsplit('/').next().unwrap_or_default());
    let whole = bundle.size_bytes;
    let Some((first, end)) = wanted(request, &bundle, &tag) else {
        return HttpResponse::RangeNotSatisfiable()
            .insert_header((CONTENT_RANGE, format!("bytes */{whole}")))
            .finish();
    };
    let is_part = (first, end) != (0, whole);
    let mut answer = HttpResponse::build(if is_part { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK });
    if is_part {
        answer.insert_header((CONTENT_RANGE, format!("bytes {first}-{}/{whole}", end - 1)));
    }
    answer
        .insert_header((CONTENT_TYPE, "application/zip"))
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"report.zip\""))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((ACCEPT_RANGES, "bytes"))
        .insert_header((ETAG, tag))
        .no_chunking(end - first)
        .streaming(stream::try_unfold((app, bundle, first), move |(app, bundle, offset_bytes)| async move {
            if offset_bytes >= end {
                return Ok::<_, std::io::Error>(None);
            }
            // Too late to say so otherwise: the answer ends before its length.
            let mut bytes = app.reports.read_bundle(&bundle, offset_bytes).await.map_err(|error| {
                tracing::warn!(error = %error, "a report was not read to its end");
                std::io::Error::other("the report was not read to its end")
            })?;
            bytes.truncate(usize::try_from(end - offset_bytes).unwrap_or(usize::MAX));
            let behind = offset_bytes + u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            Ok(Some((Bytes::from(bytes), (app, bundle, behind))))
        }))
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
