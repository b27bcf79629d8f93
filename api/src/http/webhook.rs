//! News that platforms send, one address for each app. What is not signed by the platform is refused, whoever it says
//! it is about; what is, is answered at once.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use domain::kernel::{
    ids::{AppId, TenantId},
    limit::Quota,
    scope::TenantScope,
};
use uuid::Uuid;

use super::auth::{known, origin, problem, unavailable};
use crate::app::App;

/// Most bytes of a message.
const BODY_MAX: usize = 64 * 1024;

/// Messages a minute for one app.
const QUOTA: Quota = Quota { per_minute: 3_000, burst: 600 };

pub(super) fn mount(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/webhooks/{platform}/{tenant}/{app}")
            .app_data(web::PayloadConfig::new(BODY_MAX))
            .route(web::post().to(receive)),
    );
}

async fn receive(
    app: web::Data<App>,
    request: HttpRequest,
    path: web::Path<(String, Uuid, Uuid)>,
    body: Result<web::Bytes, actix_web::Error>,
) -> HttpResponse {
    let (platform, tenant, key) = path.into_inner();
    let refused =
        || problem(&request, StatusCode::FORBIDDEN, "FORBIDDEN", None, "the signature is not the platform's");
    let Ok(body) = body else {
        return problem(
            &request,
            StatusCode::PAYLOAD_TOO_LARGE,
            "BAD_USER_INPUT",
            None,
            "the body is over 64 KiB",
        );
    };
    let signature = app.accounts.signature_header(&platform).and_then(|name| request.headers().get(name));
    let Some(signature) = signature.and_then(|value| value.to_str().ok()) else { return refused() };
    if !app.access_log.has_room() {
        return unavailable(&request);
    }
    match app.limiter.take(&format!("webhook:{tenant}:{key}"), QUOTA, 1).await {
        Ok(verdict) if verdict.allowed => {}
        Ok(verdict) => {
            let wait = verdict.retry_after_ms.div_ceil(1_000).max(1);
            let mut answer = problem(
                &request,
                StatusCode::TOO_MANY_REQUESTS,
                "THROTTLED",
                None,
                "too many messages for this app",
            );
            answer.headers_mut().insert(
                actix_web::http::header::RETRY_AFTER,
                actix_web::http::header::HeaderValue::from(wait),
            );
            return answer;
        }
        Err(fault) => {
            tracing::warn!(port = fault.port, error = %fault.source, "no rate limiter answered");
            return unavailable(&request);
        }
    }
    let claimed = Some(TenantScope::of(TenantId::from_uuid(tenant)));
    let scope = match known(&app, &request, claimed, "receive_news").await {
        Ok(Some(scope)) => scope,
        Ok(None) => return refused(),
        Err(answer) => return answer,
    };
    let origin = match origin(&app, &request, Some(scope), "receive_news").await {
        Ok(origin) => origin,
        Err(answer) => return answer,
    };
    match app.accounts.receive_news(&origin, scope, AppId::from_uuid(key), signature, &body).await {
        Ok(Some(Some(answer))) => HttpResponse::Ok().content_type("application/json").body(answer),
        Ok(Some(None)) => HttpResponse::Ok().finish(),
        Ok(None) => refused(),
        Err(fault) => {
            tracing::warn!(error = %fault, "news was not taken in");
            unavailable(&request)
        }
    }
}
