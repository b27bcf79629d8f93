//! Who asks at a door for those who are signed in, under the same credentials, limits and identifiers as GraphQL.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header::RETRY_AFTER},
};
use domain::kernel::{ids::ComplianceId, limit::Quota, outbox::Origin};
use transport::{Credentials, ErrorCode};

use super::auth::{answer_of, facts_of, header, is_of, problem, unavailable, within};
use crate::{
    app::App,
    callers::Caller,
    host::{bucket_of, caller_of},
    origin::origin_of,
};

/// What is known before anything is done: who asks, and where that will be said to come from.
pub(super) struct Asked {
    pub(super) caller: Caller,
    pub(super) origin: Origin,
}

/// What a door counts its callers by.
pub(super) struct Counted {
    /// The bucket's name before the caller's.
    pub(super) bucket: &'static str,
    /// How much there is.
    pub(super) quota: Quota,
    /// What is said to who asks too often.
    pub(super) too_many: &'static str,
}

/// Finds out who asks, and counts it.
pub(super) async fn asked(
    app: &App,
    request: &HttpRequest,
    operation: &'static str,
    counted: &Counted,
) -> Result<Asked, HttpResponse> {
    if !app.access_log.has_room() {
        return Err(unavailable(request));
    }
    let facts = facts_of(app, request);
    let credentials =
        Credentials { authorization: header(request, "authorization"), ..Credentials::default() };
    let caller = match caller_of(app, &credentials, facts).await {
        Ok(Some(caller)) => caller,
        Ok(None) => {
            let message = "sign in first: send an access token or API key as a bearer token";
            return Err(problem(request, StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", None, message));
        }
        Err(no) => {
            if no.code == ErrorCode::Unavailable {
                return Err(unavailable(request));
            }
            let is_throttled = no.code == ErrorCode::Throttled;
            let status = if is_throttled { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::UNAUTHORIZED };
            let mut answer = problem(request, status, no.code.as_str(), None, &no.message);
            if let Some(seconds) = no.retry_after_s {
                answer.headers_mut().insert(RETRY_AFTER, seconds.into());
            }
            return Err(answer);
        }
    };
    let scope = caller.signed_in().actor.scope();
    is_of(request, Some(scope));
    let bucket = format!("{}:{}", counted.bucket, bucket_of(Some(&caller)));
    within(app, request, &bucket, counted.quota, counted.too_many).await?;
    let answer = ComplianceId::from_uuid(answer_of(request));
    let origin = origin_of(app, scope, answer, operation, caller.facts(), Some(caller.signed_in())).await;
    let origin = origin.map_err(|fault| {
        tracing::warn!(port = fault.port, error = %fault.source, "a port did not answer");
        unavailable(request)
    })?;
    Ok(Asked { caller, origin })
}
