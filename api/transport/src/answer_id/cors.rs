//! Cross-origin requests (Fetch standard, section 3.2): answers to preflights, and headers on the others.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};

use crate::answer_id::COMPLIANCE_ID_HEADER;

/// Response headers a page may read besides the simple ones.
const EXPOSED: &str = "x-compliance-id, ratelimit, ratelimit-policy, retry-after, location, upload-offset, \
     upload-length, upload-metadata, upload-expires, upload-concat, tus-resumable, tus-version, tus-extension, tus-max-size, \
     tus-checksum-algorithm";

const METHODS: &str = "GET, POST, PUT, PATCH, DELETE, HEAD";

/// Request headers a page may send.
const HEADERS: &str = "authorization, content-type, accept-language, idempotency-key, graphql-require-preflight, \
     x-request-id, x-device-id, tus-resumable, upload-length, upload-offset, upload-metadata, \
     upload-concat, upload-checksum, x-http-method-override";

/// How long a browser may remember a preflight, in seconds.
const MAX_AGE_S: &str = "600";

/// The origin of a request, and whether its pages may read answers.
pub(crate) struct Origin {
    value: HeaderValue,
    is_allowed: bool,
}

impl Origin {
    pub(crate) fn of(headers: &HeaderMap, allow: impl Fn(&str) -> bool) -> Option<Self> {
        let value = headers.get(header::ORIGIN)?.clone();
        let is_allowed = value.to_str().is_ok_and(allow);
        Some(Self { value, is_allowed })
    }

    /// The answer to a preflight.
    pub(crate) fn answer_preflight(&self) -> HttpResponse {
        let mut response = HttpResponse::build(StatusCode::NO_CONTENT);
        if self.is_allowed {
            response
                .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, METHODS))
                .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS))
                .insert_header((header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_S));
        } else {
            response.status(StatusCode::FORBIDDEN);
        }
        response.finish()
    }

    /// Lets the page read the answer, if it may.
    pub(crate) fn mark(&self, headers: &mut HeaderMap) {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        if self.is_allowed {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, self.value.clone());
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
            debug_assert!(EXPOSED.starts_with(COMPLIANCE_ID_HEADER));
        }
    }
}

/// Whether a request only asks what may be sent.
pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}
