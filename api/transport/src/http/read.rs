//! Reading requests: headers as text, bodies within bounds.

use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{self, BytesMut};
use actix_web::{HttpMessage, HttpRequest};
use futures_util::StreamExt;

use crate::error::{ErrorCode, Failure, Fault};
use crate::host::Credentials;
use crate::record;

/// Longest `User-Agent` that is kept, in characters.
const USER_AGENT_MAX: usize = 256;

/// Headers a browser adds to a request to another site only after asking that site.
const DELIBERATE: [&str; 3] = ["authorization", "graphql-require-preflight", "apollo-require-preflight"];

/// The first value of a header, if it is text.
pub(crate) fn header(request: &HttpRequest, name: &str) -> Option<String> {
    request.headers().get(name)?.to_str().ok().map(str::to_owned)
}

/// Whether a page of another site could not have sent this request.
pub(crate) fn is_deliberate(request: &HttpRequest) -> bool {
    DELIBERATE.iter().any(|name| request.headers().contains_key(*name))
}

/// All lines as one list: a proxy may add a line of its own (RFC 9110 section 5.3).
fn forwarded_for(request: &HttpRequest) -> Option<String> {
    let lines = request.headers().get_all(header::X_FORWARDED_FOR);
    let lines: Vec<_> = lines.filter_map(|line| line.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

pub(crate) fn credentials(request: &HttpRequest, device_header: &str) -> Credentials {
    Credentials {
        authorization: header(request, header::AUTHORIZATION.as_str()),
        cookie: header(request, header::COOKIE.as_str()),
        connection_init: None,
        user_agent: header(request, header::USER_AGENT.as_str()),
        accept_language: header(request, header::ACCEPT_LANGUAGE.as_str()),
        device: header(request, device_header),
        origin: header(request, header::ORIGIN.as_str()),
        forwarded_for: forwarded_for(request),
        peer: request.peer_addr().map(|address| address.ip()),
    }
}

/// The client's own ID for the request; never echoed.
pub(crate) fn client_ref(request: &impl HttpMessage) -> Option<String> {
    ["x-compliance-id", "x-request-id"]
        .iter()
        .find_map(|name| request.headers().get(*name))
        .and_then(|value| record::client_ref(&String::from_utf8_lossy(value.as_bytes())))
}

pub(crate) fn user_agent(request: &impl HttpMessage) -> Option<String> {
    let value = request.headers().get(header::USER_AGENT)?.to_str().ok()?;
    Some(value.chars().take(USER_AGENT_MAX).collect())
}

/// Refuses by `Content-Length`, before anything is read.
pub(crate) fn check_length(request: &HttpRequest, max: usize) -> Result<(), Failure> {
    let length = header(request, header::CONTENT_LENGTH.as_str()).and_then(|text| text.parse::<u64>().ok());
    let max_u64 = u64::try_from(max).unwrap_or(u64::MAX);
    if length.is_some_and(|length| length > max_u64) { Err(too_large(max)) } else { Ok(()) }
}

/// Reads a body of at most `max` bytes, within `deadline`.
pub(crate) async fn body(
    mut payload: web::Payload,
    max: usize,
    deadline: Duration,
) -> Result<BytesMut, Failure> {
    let read = async {
        let mut body = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk =
                chunk.map_err(|_| Failure::malformed("the request body could not be read to its end"))?;
            if body.len() + chunk.len() > max {
                return Err(too_large(max));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    };
    tokio::time::timeout(deadline, read)
        .await
        .unwrap_or_else(|_| Err(Failure::malformed("the request body did not arrive in time")))
}

fn too_large(max: usize) -> Failure {
    let message = format!("a request body has at most {max} bytes");
    Failure::at(Fault::TooLarge, ErrorCode::BadUserInput, message)
}
