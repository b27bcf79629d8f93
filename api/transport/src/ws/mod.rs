//! graphql-transport-ws: the handshake, and a map of the rest.
//!
//! `guard` bounds frames before they are buffered, `message` reads and writes the protocol's messages, `socket` is
//! the loop of one connection, `operation` runs one operation of it.
//!
//! Invariants: one task owns a socket and all writing to it; queues in both directions are bounded, so a slow
//! client makes its own streams wait; a socket never outlives its caller's credential.
//!
//! Absent on purpose: the legacy `graphql-ws` subprotocol, compression, binary messages.

mod guard;
mod message;
mod operation;
mod socket;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use async_graphql::Executor;

use crate::answer_id::COMPLIANCE_ID_HEADER;
use crate::engine::{Arrival, Ending, Engine};
use crate::error::{ErrorCode, Failure};
use crate::host::Host;
use crate::http::{read, respond};
use crate::media::Media;
use crate::record::{Outcome, Transport};

/// The one subprotocol spoken.
const PROTOCOL: &str = "graphql-transport-ws";

/// Whether a request asks for a WebSocket.
pub(crate) fn is_upgrade(request: &HttpRequest) -> bool {
    let upgrade = read::header(request, header::UPGRADE.as_str());
    upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

/// Answers a handshake and starts the socket's task.
pub(crate) async fn open<E: Executor, H: Host>(
    engine: Engine<E, H>,
    request: &HttpRequest,
    payload: web::Payload,
    mut arrival: Arrival,
) -> HttpResponse {
    arrival.transport = Transport::WebSocket;
    if let Err(failure) = check(&engine, request) {
        let answer = engine.refuse(None, failure.into(), &arrival).await;
        return respond::write(&answer, Media::Json, "GET, POST");
    }
    let guard = guard::Guard::new(payload.into_inner(), engine.config().sockets.message_bytes);
    let is_oversized = guard.flag();
    let mut payload: Payload = Payload::Stream { payload: Box::pin(guard) };
    let upgraded = match web::Payload::from_request(request, &mut payload).await {
        Ok(payload) => actix_ws::handle_with_protocols(request, payload, &[PROTOCOL]),
        Err(error) => Err(error),
    };
    let Ok((mut response, session, stream)) = upgraded else {
        let failure = Failure::malformed("the WebSocket handshake is not complete");
        let answer = engine.refuse(None, failure.into(), &arrival).await;
        return respond::write(&answer, Media::Json, "GET, POST");
    };
    if let Ok(value) = header::HeaderValue::from_str(&arrival.answer_id.to_string()) {
        let name = header::HeaderName::from_static(COMPLIANCE_ID_HEADER);
        response.headers_mut().insert(name, value);
    }
    let ending = Ending { status: 101, outcome: Outcome::Connected, actual_cost: 0 };
    engine.record(None, None, &arrival, ending).await;
    let credentials = read::credentials(request, &engine.config().device_header);
    let max = engine.config().sockets.message_bytes;
    let stream = stream.max_frame_size(max).aggregate_continuations().max_continuation_size(max);
    actix_web::rt::spawn(socket::run(engine, session, stream, is_oversized, credentials, arrival));
    respond::finish(response)
}

fn check<E: Executor, H: Host>(engine: &Engine<E, H>, request: &HttpRequest) -> Result<(), Failure> {
    let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let offers_ours = offered
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|name| name.trim() == PROTOCOL);
    if !offers_ours {
        return Err(Failure::malformed("the subprotocol must be graphql-transport-ws"));
    }
    if let Some(origin) = request.headers().get(header::ORIGIN)
        && !origin.to_str().is_ok_and(|origin| engine.host().allow_origin(origin))
    {
        return Err(Failure::new(ErrorCode::Forbidden, "this origin may not connect"));
    }
    if !engine.host().can_record() {
        return Err(Failure::new(ErrorCode::Unavailable, "requests cannot be recorded just now"));
    }
    if engine.drain().has_begun() {
        return Err(Failure::new(ErrorCode::Unavailable, "the server is stopping; connect again"));
    }
    Ok(())
}
