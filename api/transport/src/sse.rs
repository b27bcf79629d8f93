//! graphql-sse, distinct connections mode: one POST with `Accept: text/event-stream` for one operation, answered
//! by `next` events and one `complete`.
//!
//! A stream cut without `complete` tells the client to come again; that is what draining does. A document that is
//! refused is told by `next` and `complete` as well, since clients of this protocol read no other body.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Bytes;
use async_graphql::Executor;
use futures_util::StreamExt;
use tokio::sync::mpsc;

use crate::answer::Answer;
use crate::drain::Drain;
use crate::engine::{Arrival, Engine, Ready};
use crate::error::{ErrorCode, Failure};
use crate::host::{Host, StreamPermit};
use crate::http::respond;
use crate::media::Media;
use crate::record::OperationKind;

const COMPLETE: &[u8] = b"event: complete\ndata:\n\n";
const KEEP_ALIVE: &[u8] = b":\n\n";

/// Runs an operation and streams its answers.
pub(crate) async fn respond<E: Executor, H: Host>(
    engine: Engine<E, H>,
    caller: Option<H::Caller>,
    ready: Ready,
    arrival: Arrival,
) -> HttpResponse {
    if ready.info.kind != OperationKind::Subscription {
        return respond_once(&engine.finish(caller, ready, &arrival).await);
    }
    let permit = match engine.host().reserve_stream(caller.as_ref()) {
        Ok(permit) if !engine.drain().has_begun() => Ok(permit),
        Ok(_) => Err(Failure::new(ErrorCode::Unavailable, "the server is stopping; connect again")),
        Err(refusal) => Err(Failure::from(refusal)),
    };
    let permit = match permit {
        Ok(permit) => permit,
        Err(failure) => {
            let refused = crate::engine::Refused { failure, info: Some(ready.info) };
            let answer = engine.refuse(caller, refused, &arrival).await;
            return respond::write(&answer, Media::Json, "GET, POST");
        }
    };
    let (sender, receiver) = mpsc::channel(engine.config().sockets.outbound);
    let id = arrival.answer_id;
    actix_web::rt::spawn(pump(engine, caller, ready, arrival, sender, permit));
    let body = futures_util::stream::unfold(receiver, |mut receiver| async {
        let bytes = receiver.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(bytes), receiver))
    });
    respond::finish(respond::start(id, 200, Media::EventStream).streaming(body))
}

/// One answer as a whole event stream.
pub(crate) fn respond_once(answer: &Answer) -> HttpResponse {
    let mut body = next(answer);
    body.extend_from_slice(COMPLETE);
    respond::finish(respond::start(answer.id, 200, Media::EventStream).body(body))
}

/// Feeds a client until the stream, the client, the credential or the server ends.
async fn pump<E: Executor, H: Host>(
    engine: Engine<E, H>,
    caller: Option<H::Caller>,
    ready: Ready,
    arrival: Arrival,
    sender: mpsc::Sender<Bytes>,
    permit: StreamPermit,
) {
    let _held = permit;
    let ended = ended(&engine, caller.as_ref());
    let mut drain: Drain = engine.drain();
    let mut values = Box::pin(engine.stream(caller.clone(), ready, &arrival).await);
    let mut keep_alive = tokio::time::interval(interval(engine.config().sockets.ping_interval));
    let write_timeout = engine.config().sockets.write_timeout;
    tokio::pin!(ended);
    loop {
        let bytes = tokio::select! {
            biased;
            () = sender.closed() => return,
            () = drain.begun() => return,
            () = &mut ended => {
                let failure = Failure::new(ErrorCode::Unauthenticated, "the credential has expired or was revoked");
                let mut bytes = next(&Answer::refused(arrival.answer_id, failure));
                bytes.extend_from_slice(COMPLETE);
                // The client may be gone already.
                let _ = sender.send(bytes.into()).await;
                return;
            }
            _ = keep_alive.tick() => Bytes::from_static(KEEP_ALIVE),
            value = values.next() => {
                let Some(answer) = value else {
                    let _ = sender.send(Bytes::from_static(COMPLETE)).await;
                    return;
                };
                next(&answer).into()
            }
        };
        // While a slow client makes the stream wait, the stream can still be cut.
        tokio::select! {
            () = drain.begun() => return,
            () = &mut ended => return,
            sent = tokio::time::timeout(write_timeout, sender.send(bytes)) => {
                let Ok(Ok(())) = sent else { return };
            }
        }
    }
}

/// Resolves when the caller's credential ends; never for an anonymous caller.
pub(crate) async fn ended<E: Executor, H: Host>(engine: &Engine<E, H>, caller: Option<&H::Caller>) {
    match caller {
        Some(caller) => engine.host().ended(caller).await,
        None => std::future::pending().await,
    }
}

/// Timers refuse an interval of nothing.
pub(crate) fn interval(configured: Duration) -> Duration {
    configured.max(Duration::from_millis(1))
}

/// JSON holds no raw line breaks, so one `data` line is enough.
fn next(answer: &Answer) -> Vec<u8> {
    let mut bytes = b"event: next\ndata: ".to_vec();
    bytes.extend_from_slice(&answer.to_json());
    bytes.extend_from_slice(b"\n\n");
    bytes
}
