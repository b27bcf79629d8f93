//! GraphQL over HTTP: which requests are read, and what their answers look like on the wire.
//!
//! Invariants: a body is not read before its length, type and sender are known to be acceptable; status and
//! media type follow `error::status` and `media::negotiate`, nothing else.

pub(crate) mod read;
pub(crate) mod respond;

use std::time::Instant;

use actix_web::http::{Method, header};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use async_graphql::Executor;
use tracing::Instrument;

use crate::answer::Answer;
use crate::answer_id::AnswerId;
use crate::engine::{Arrival, Engine, Refused};
use crate::error::{ErrorCode, Failure, Fault};
use crate::host::Host;
use crate::media::{Media, is_json_body, negotiate};
use crate::params::Params;
use crate::record::Transport;

/// Methods the endpoint answers, for `Allow`.
const ALLOWED: &str = "GET, POST";

/// Answers any request to the endpoint.
pub(crate) async fn handle<E: Executor, H: Host>(
    engine: Engine<E, H>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let accepted = negotiate(read::header(&request, header::ACCEPT.as_str()).as_deref());
    let arrival = arrival(&engine, &request, accepted.unwrap_or(Media::Json));
    let span = tracing::info_span!("graphql.request", compliance.id = %arrival.answer_id);
    async move {
        if crate::ws::is_upgrade(&request) {
            return crate::ws::open(engine, &request, payload, arrival).await;
        }
        if accepted.is_none() {
            let message =
                "answers are application/graphql-response+json, application/json or text/event-stream";
            let failure = Failure::at(Fault::NotAcceptable, ErrorCode::BadUserInput, message);
            return refuse(&engine, None, failure.into(), &arrival).await;
        }
        answer(engine, &request, payload, arrival).await
    }
    .instrument(span)
    .await
}

async fn answer<E: Executor, H: Host>(
    engine: Engine<E, H>,
    request: &HttpRequest,
    payload: web::Payload,
    arrival: Arrival,
) -> HttpResponse {
    if let Err(failure) = check_head(&engine, request) {
        return refuse(&engine, None, failure.into(), &arrival).await;
    }
    let caller = match authenticate(&engine, request).await {
        Ok(caller) => caller,
        Err(failure) => return refuse(&engine, None, failure.into(), &arrival).await,
    };
    let params = match params(&engine, request, payload, caller.as_ref()).await {
        Ok(params) => params,
        Err(failure) => return refuse(&engine, caller, failure.into(), &arrival).await,
    };
    match engine.plan(caller.as_ref(), params, &arrival).await {
        Ok(ready) if arrival.media == Media::EventStream => {
            crate::sse::respond(engine, caller, ready, arrival).await
        }
        Ok(ready) => respond::write(&engine.finish(caller, ready, &arrival).await, arrival.media, ALLOWED),
        Err(refused) => refuse(&engine, caller, *refused, &arrival).await,
    }
}

/// What can be refused from the request's head alone, without asking who sent it.
fn check_head<E: Executor, H: Host>(engine: &Engine<E, H>, request: &HttpRequest) -> Result<(), Failure> {
    if request.method() == Method::GET {
        return Ok(());
    }
    if request.method() != Method::POST {
        let message = format!("the endpoint answers {ALLOWED}");
        return Err(Failure::at(Fault::MethodNotAllowed, ErrorCode::BadUserInput, message));
    }
    let content_type = read::header(request, header::CONTENT_TYPE.as_str());
    let encoding = read::header(request, header::CONTENT_ENCODING.as_str());
    let is_plain = encoding.is_none_or(|encoding| encoding.eq_ignore_ascii_case("identity"));
    if !is_json_body(content_type.as_deref()) || !is_plain {
        let message = "a request body is application/json in UTF-8, without Content-Encoding";
        return Err(Failure::at(Fault::UnsupportedMedia, ErrorCode::BadUserInput, message));
    }
    let limits = &engine.config().limits;
    read::check_length(request, limits.body_bytes.max(limits.large_body_bytes))?;
    if !engine.host().can_record() {
        return Err(Failure::new(ErrorCode::Unavailable, "requests cannot be recorded just now"));
    }
    Ok(())
}

/// A GET that any page could have caused is not authenticated: see the crate's documentation.
async fn authenticate<E: Executor, H: Host>(
    engine: &Engine<E, H>,
    request: &HttpRequest,
) -> Result<Option<H::Caller>, Failure> {
    let credentials = read::credentials(request, &engine.config().device_header);
    if request.method() == Method::GET && !read::is_deliberate(request) {
        return Ok(None);
    }
    engine.host().authenticate(&credentials).await.map_err(Failure::from)
}

async fn params<E: Executor, H: Host>(
    engine: &Engine<E, H>,
    request: &HttpRequest,
    payload: web::Payload,
    caller: Option<&H::Caller>,
) -> Result<Params, Failure> {
    if request.method() == Method::GET {
        return Params::from_query_string(request.query_string());
    }
    let limits = &engine.config().limits;
    let max =
        if engine.host().allow_large_body(caller) { limits.large_body_bytes } else { limits.body_bytes };
    read::check_length(request, max)?;
    let body = read::body(payload, max, limits.deadline).await?;
    Params::from_json(&body)
}

/// Records and writes a refusal. A document refused on an event stream is told as its first and last event.
async fn refuse<E: Executor, H: Host>(
    engine: &Engine<E, H>,
    caller: Option<H::Caller>,
    refused: Refused,
    arrival: &Arrival,
) -> HttpResponse {
    let answer: Answer = engine.refuse(caller, refused, arrival).await;
    if arrival.media == Media::EventStream && answer.is_document_fault() {
        return crate::sse::respond_once(&answer);
    }
    let media = if arrival.media == Media::EventStream { Media::Json } else { arrival.media };
    let allow = if arrival.is_get { "POST" } else { ALLOWED };
    respond::write(&answer, media, allow)
}

fn arrival<E: Executor, H: Host>(engine: &Engine<E, H>, request: &HttpRequest, media: Media) -> Arrival {
    let given = request.extensions().get::<AnswerId>().map(|id| id.0);
    Arrival {
        answer_id: given.unwrap_or_else(|| engine.host().next_id()),
        transport: if media == Media::EventStream { Transport::EventStream } else { Transport::Http },
        media,
        started_at: Instant::now(),
        is_get: request.method() == Method::GET,
        idempotency_key: read::header(request, "idempotency-key"),
        client_ref: read::client_ref(request),
        peer: request.peer_addr().map(|address| address.ip()),
        user_agent: read::user_agent(request),
    }
}
