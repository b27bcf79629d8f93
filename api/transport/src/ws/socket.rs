//! The loop of one socket.

use std::cell::Cell;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use actix_web::web::Bytes;
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseReason, Message, ProtocolError, Session};
use async_graphql::Executor;
use async_graphql_value::ConstValue;
use futures_util::SinkExt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::drain::Drain;
use crate::engine::{Arrival, Engine, SocketLimits};
use crate::error::{ErrorCode, Failure};
use crate::host::{Credentials, Host};
use crate::sse::{ended, interval};
use crate::ws::message::{self, ClientMessage, Close};
use crate::ws::operation::{Operations, Outbound};

/// How long a closing socket is read on, so that the client gets to read the close code.
const LINGER: Duration = Duration::from_secs(1);

/// `Ok` while the socket goes on; `Err(None)` when the client is gone and there is nobody to tell.
type Step = Result<(), Option<Close>>;

/// Serves a socket until it closes.
pub(crate) async fn run<E: Executor, H: Host>(
    engine: Engine<E, H>,
    session: Session,
    mut stream: AggregatedMessageStream,
    is_oversized: Rc<Cell<bool>>,
    credentials: Credentials,
    arrival: Arrival,
) {
    let id = arrival.answer_id;
    let limits = engine.config().sockets.clone();
    let mut wire = Wire { session, drain: engine.drain(), write_timeout: limits.write_timeout, is_oversized };
    let opened = open(&engine, &mut wire, &mut stream, credentials, id).await;
    let closed = match opened {
        Err(close) => close,
        Ok(caller) => {
            let (sender, receiver) = mpsc::channel(limits.outbound.max(1));
            let operations = Operations { engine: engine.clone(), caller: caller.clone(), arrival, sender };
            let mut socket =
                Socket { wire: &mut wire, operations, running: HashMap::new(), serial: 0, limits: &limits };
            let ended = ended(&engine, caller.as_ref());
            socket.serve(&mut stream, receiver, ended).await
        }
    };
    tracing::debug!(compliance.id = %id, ?closed, "a socket closed");
    let Some(close) = closed else { return };
    if wire.session.close(Some(close.reason())).await.is_ok() {
        let drained = async { while let Some(Ok(_)) = stream.recv().await {} };
        // Whether the client answered the close in time makes no difference.
        let _ = tokio::time::timeout(LINGER, drained).await;
    }
}

/// Waits for `connection_init` and authenticates.
async fn open<E: Executor, H: Host>(
    engine: &Engine<E, H>,
    wire: &mut Wire,
    stream: &mut AggregatedMessageStream,
    mut credentials: Credentials,
    id: uuid::Uuid,
) -> Result<Option<H::Caller>, Option<Close>> {
    let init = async {
        loop {
            let received = stream.recv().await;
            match wire.read(received).await? {
                None | Some(ClientMessage::Pong) => {}
                Some(ClientMessage::Init(payload)) => return Ok(payload),
                Some(ClientMessage::Ping(payload)) => wire.text(message::pong(payload)).await?,
                Some(ClientMessage::Subscribe { .. } | ClientMessage::Complete { .. }) => {
                    return Err(Some(Close::Unauthorized));
                }
            }
        }
    };
    let mut drain = engine.drain();
    credentials.connection_init = tokio::select! {
        () = drain.begun() => return Err(Some(Close::GoingAway)),
        payload = tokio::time::timeout(engine.config().sockets.init_timeout, init) => {
            payload.map_err(|_| Some(Close::InitTimeout))??
        }
    };
    let authentication = engine.host().authenticate(&credentials);
    let caller = tokio::time::timeout(engine.config().sockets.init_timeout, authentication)
        .await
        .map_err(|_| Some(Close::Overloaded))?
        .map_err(|refusal| {
            Some(match refusal.code {
                ErrorCode::Unavailable | ErrorCode::Throttled | ErrorCode::InternalServerError => {
                    Close::Overloaded
                }
                ErrorCode::BadUserInput
                | ErrorCode::GraphqlParseFailed
                | ErrorCode::GraphqlValidationFailed
                | ErrorCode::OperationResolutionFailure
                | ErrorCode::PersistedQueryNotFound
                | ErrorCode::Unauthenticated
                | ErrorCode::Forbidden
                | ErrorCode::CostExceeded
                | ErrorCode::IdempotencyKeyReused
                | ErrorCode::IdempotencyInProgress => Close::Forbidden,
            })
        })?;
    wire.text(message::ack(id)).await?;
    Ok(caller)
}

/// The writing half, and the reading of frames that need no operation.
struct Wire {
    session: Session,
    drain: Drain,
    write_timeout: Duration,
    is_oversized: Rc<Cell<bool>>,
}

impl Wire {
    async fn text(&mut self, text: String) -> Step {
        self.send(Message::Text(text.into())).await
    }

    async fn send(&mut self, message: Message) -> Step {
        let written = tokio::select! {
            () = self.drain.begun() => return Err(Some(Close::GoingAway)),
            written = tokio::time::timeout(self.write_timeout, self.session.send(message)) => written,
        };
        // A client that takes nothing cannot be told why.
        if let Ok(Ok(())) = written { Ok(()) } else { Err(None) }
    }

    /// What a received frame says; `None` for control frames.
    async fn read(
        &mut self,
        received: Option<Result<AggregatedMessage, ProtocolError>>,
    ) -> Result<Option<ClientMessage>, Option<Close>> {
        match received {
            Some(Ok(AggregatedMessage::Text(text))) => message::read(&text).map(Some).map_err(Some),
            Some(Ok(AggregatedMessage::Ping(payload))) => {
                self.send(Message::Pong(payload)).await?;
                Ok(None)
            }
            Some(Ok(AggregatedMessage::Pong(_))) => Ok(None),
            Some(Ok(AggregatedMessage::Binary(_))) => Err(Some(Close::Binary)),
            Some(Ok(AggregatedMessage::Close(reason))) => {
                // A close is answered by a close with the same code (RFC 6455, section 5.5.1).
                let echo = reason.filter(is_sendable).map(|reason| CloseReason::from(reason.code));
                let _ = self.session.clone().close(echo).await;
                Err(None)
            }
            None if !self.is_oversized.get() => Err(None),
            Some(Err(ProtocolError::Io(error))) if error.kind() == io::ErrorKind::InvalidData => {
                Err(Some(Close::NotUtf8))
            }
            // `Io` is also how the library reports fragments that add up to too much.
            Some(Err(ProtocolError::Overflow | ProtocolError::Io(_))) => Err(Some(Close::TooLarge)),
            Some(Err(_)) if !self.is_oversized.get() => Err(Some(Close::InvalidMessage("a broken frame"))),
            Some(_) | None => Err(Some(Close::TooLarge)),
        }
    }
}

/// Whether a close code may be sent (RFC 6455, section 7.4).
fn is_sendable(reason: &CloseReason) -> bool {
    matches!(u16::from(reason.code), 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// A running operation; stopped when dropped.
struct Running {
    serial: u64,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Socket<'a, E, H: Host> {
    wire: &'a mut Wire,
    operations: Operations<E, H>,
    running: HashMap<String, Running>,
    serial: u64,
    limits: &'a SocketLimits,
}

impl<E: Executor, H: Host> Socket<'_, E, H> {
    async fn serve(
        &mut self,
        stream: &mut AggregatedMessageStream,
        mut outbox: mpsc::Receiver<Outbound>,
        ended: impl Future<Output = ()>,
    ) -> Option<Close> {
        let mut drain = self.wire.drain.clone();
        let ping_interval = interval(self.limits.ping_interval);
        let mut heartbeat = tokio::time::interval(ping_interval);
        let mut heard_at = Instant::now();
        tokio::pin!(ended);
        loop {
            let step = tokio::select! {
                biased;
                () = drain.begun() => Err(Some(Close::GoingAway)),
                () = &mut ended => Err(Some(Close::Forbidden)),
                _ = heartbeat.tick() => {
                    if heard_at.elapsed() > ping_interval * 5 / 2 {
                        Err(Some(Close::Silent))
                    } else {
                        self.wire.send(Message::Ping(Bytes::new())).await
                    }
                }
                received = stream.recv() => {
                    heard_at = Instant::now();
                    match self.wire.read(received).await {
                        Ok(Some(message)) => self.obey(message).await,
                        Ok(None) => Ok(()),
                        Err(close) => Err(close),
                    }
                }
                Some(outbound) = outbox.recv() => {
                    tokio::select! {
                        () = &mut ended => Err(Some(Close::Forbidden)),
                        step = self.deliver(outbound) => step,
                    }
                }
            };
            if let Err(close) = step {
                self.running.clear();
                return close;
            }
        }
    }

    async fn obey(&mut self, message: ClientMessage) -> Step {
        match message {
            ClientMessage::Init(_) => Err(Some(Close::SecondInit)),
            ClientMessage::Ping(payload) => self.wire.text(message::pong(payload)).await,
            ClientMessage::Pong => Ok(()),
            ClientMessage::Complete { id } => {
                self.running.remove(&id);
                Ok(())
            }
            ClientMessage::Subscribe { id, payload } => self.subscribe(id, payload),
        }
    }

    fn subscribe(&mut self, id: String, payload: ConstValue) -> Step {
        if self.running.contains_key(&id) {
            return Err(Some(Close::DuplicateId));
        }
        self.serial += 1;
        let (serial, operations) = (self.serial, self.operations.clone());
        let most = self.limits.operations;
        // Refusals take a place as well, until they are delivered: a flood of them is a flood.
        if self.running.len() >= most * 2 {
            return Err(Some(Close::Overloaded));
        }
        let task = if self.running.len() >= most {
            let message = format!("a socket runs at most {most} operations");
            let failure = Failure::new(ErrorCode::Throttled, message);
            actix_web::rt::spawn(operations.refuse(serial, id.clone(), failure))
        } else {
            actix_web::rt::spawn(operations.run(serial, id.clone(), payload))
        };
        self.running.insert(id, Running { serial, task });
        Ok(())
    }

    /// Writes what an operation sent, unless the client has completed it meanwhile.
    async fn deliver(&mut self, outbound: Outbound) -> Step {
        let is_current = self.running.get(&outbound.id).is_some_and(|run| run.serial == outbound.serial);
        if !is_current {
            return Ok(());
        }
        if outbound.is_last {
            self.running.remove(&outbound.id);
        }
        self.wire.text(outbound.text).await
    }
}
