//! A reply into a response, and what a fault makes of it on the way.

use std::{io::Error, time::Duration};

use actix_web::{
    HttpResponse,
    body::SizedStream,
    http::{StatusCode, header},
    web::Bytes,
};
use futures_util::stream;

use crate::{
    platform::faults::Harm,
    wire::call::{Page, Reply},
};

/// The response. It may be late, cut short, or no response at all.
pub(super) async fn send(reply: Reply) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    let mut body = match reply.page {
        Page::Json(value) => {
            response.insert_header((header::CONTENT_TYPE, "application/json; charset=utf-8"));
            value.to_string().into_bytes()
        }
        Page::Html(html) => {
            response.insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"));
            html.into_bytes()
        }
        Page::Redirect(to) => {
            response.insert_header((header::LOCATION, to));
            Vec::new()
        }
    };
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    let Some(strike) = reply.strike else { return response.body(body) };
    if strike.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(strike.delay_ms)).await;
    }
    match strike.harm {
        Harm::Truncated => body.truncate(body.len() / 2),
        Harm::Reset => return cut(response),
        Harm::Busy
        | Harm::Network
        | Harm::Slow
        | Harm::Html502
        | Harm::Html413
        | Harm::Risk
        | Harm::Retired
        | Harm::Banned
        | Harm::Rate
        | Harm::Code => {}
    }
    response.body(body)
}

/// A body that fails before its first byte: the server closes the connection, and the head is never sent.
fn cut(mut response: actix_web::HttpResponseBuilder) -> HttpResponse {
    let failing = stream::once(async { Err::<Bytes, _>(Error::other("cut on purpose")) });
    response.body(SizedStream::new(1, failing))
}

/// The journal can't be written, so nothing was done.
pub(super) fn broken(error: &Error) -> HttpResponse {
    tracing::error!(%error, "a step was not written down");
    HttpResponse::InternalServerError().body("the sandbox can't write its journal\n")
}
