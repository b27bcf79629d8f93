//! News that platforms send, one address for each app. What is not signed by the platform is refused, whoever it says
//! it is about; what is, is answered at once.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use domain::{
    accounts::NewsEnd,
    kernel::{
        ids::{AppId, ComplianceId, TenantId},
        limit::Quota,
        outbox::Origin,
        scope::TenantScope,
    },
};
use uuid::Uuid;

use super::auth::{answer_of, facts_of, is_of, problem, unavailable, within};
use crate::{
    app::App,
    origin::{bucket_part, network_of},
};

/// Most bytes of a message.
const BODY_MAX: usize = 64 * 1024;

/// Messages from one address, whatever they say.
const ADDRESS_QUOTA: Quota = Quota { per_minute: 6_000, burst: 600 };

/// Messages for one app that the platform signed.
const APP_QUOTA: Quota = Quota { per_minute: 3_000, burst: 600 };

const TOO_MANY: &str = "too many messages";

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
    // By address first: the path is whatever a stranger writes, and a name made up costs them nothing.
    let address = facts_of(&app, &request).ip.map_or_else(|| "unknown".to_owned(), network_of);
    let bucket = format!("webhook:address:{}", bucket_part(&address));
    if let Err(answer) = within(&app, &request, &bucket, ADDRESS_QUOTA, TOO_MANY).await {
        return answer;
    }
    let origin = Origin::system(ComplianceId::from_uuid(answer_of(&request)), "receive_news");
    let claimed = Some(TenantScope::of(TenantId::from_uuid(tenant)));
    let scope = match app.identity.known_tenant(&origin, claimed).await {
        Ok(Some(scope)) => scope,
        Ok(None) => return refused(),
        Err(error) => {
            tracing::warn!(error = %error, "news was not taken in");
            return unavailable(&request);
        }
    };
    let verified = app.accounts.verify_news(&origin, scope, AppId::from_uuid(key), signature, &body).await;
    let verified = match verified {
        Ok(Some(verified)) => verified,
        Ok(None) => return refused(),
        Err(fault) => {
            tracing::warn!(error = %fault, "news was not looked at");
            return unavailable(&request);
        }
    };
    // From here on it is the platform's word, and the tenant's matter.
    is_of(&request, Some(scope));
    if let Err(answer) =
        within(&app, &request, &format!("webhook:app:{tenant}:{key}"), APP_QUOTA, TOO_MANY).await
    {
        return answer;
    }
    match app.accounts.receive_news(&origin, verified).await {
        Ok(NewsEnd::Answer(answer)) => HttpResponse::Ok().content_type("application/json").body(answer),
        Ok(NewsEnd::Taken) => HttpResponse::Ok().finish(),
        Ok(NewsEnd::PostStirred { scope, account, item }) => {
            // Nothing is lost when it is not: the post is looked at when its time comes.
            if let Err(fault) = app.publishing.hurry_look(&origin, scope, account, &item).await {
                tracing::warn!(error = %fault, "a look was not hurried");
            }
            HttpResponse::Ok().finish()
        }
        Err(fault) => {
            tracing::warn!(error = %fault, "news was not taken in");
            unavailable(&request)
        }
    }
}
