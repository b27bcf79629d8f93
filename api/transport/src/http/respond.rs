//! Writing answers as HTTP responses.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder};
use uuid::Uuid;

use crate::answer::Answer;
use crate::answer_id::{COMPLIANCE_ID_HEADER, Recorded};
use crate::error::Fault;
use crate::host::Bucket;
use crate::media::Media;

/// An answer as one response. `allow` is sent with 405.
pub(crate) fn write(answer: &Answer, media: Media, allow: &'static str) -> HttpResponse {
    let mut response = start(answer.id, answer.status(media), media);
    if answer.fault == Some(Fault::MethodNotAllowed) {
        response.insert_header((header::ALLOW, allow));
    }
    if answer.fault == Some(Fault::TooLarge) {
        // The rest of the body is not read, so the connection cannot be used again.
        response.force_close();
    }
    if let Some(seconds) = answer.retry_after_s {
        response.insert_header((header::RETRY_AFTER, seconds.to_string()));
    }
    if let Some(bucket) = &answer.bucket {
        rate_limit(&mut response, bucket);
    }
    for (name, value) in &answer.headers {
        let header = (HeaderName::try_from(name.as_str()), HeaderValue::from_bytes(value));
        if let (Ok(name), Ok(value)) = header {
            response.append_header((name, value));
        }
    }
    finish(response.body(answer.to_json()))
}

/// The head every answer of the endpoint shares.
pub(crate) fn start(id: Uuid, status: u16, media: Media) -> HttpResponseBuilder {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response.insert_header((header::CONTENT_TYPE, media.content_type()));
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    response.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    response.insert_header((COMPLIANCE_ID_HEADER, id.to_string()));
    response
}

/// Marks a response as recorded, so that the server-wide record does not take it down again.
pub(crate) fn finish(mut response: HttpResponse) -> HttpResponse {
    response.extensions_mut().insert(Recorded);
    response
}

/// `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10). A bucket that refills continuously
/// is described by its size and the time it takes to fill.
fn rate_limit(response: &mut HttpResponseBuilder, bucket: &Bucket) {
    let Bucket { policy, maximum_available, currently_available, restore_rate_per_s, reset_after_s } = bucket;
    let window = maximum_available.checked_div(*restore_rate_per_s).unwrap_or(0);
    response.insert_header(("ratelimit-policy", format!("\"{policy}\";q={maximum_available};w={window}")));
    response.insert_header(("ratelimit", format!("\"{policy}\";r={currently_available};t={reset_after_s}")));
}
