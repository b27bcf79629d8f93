//! One operation on a socket: its task plans it, runs it and sends what comes of it to the socket's loop.

use std::time::Instant;

use async_graphql::Executor;
use async_graphql_value::ConstValue;
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tracing::Instrument;

use crate::answer::Answer;
use crate::engine::{Arrival, Engine, Ready, Refused};
use crate::error::Failure;
use crate::host::Host;
use crate::params::Params;
use crate::record::OperationKind;
use crate::ws::message;

/// Something for the client, from the operation with this serial number.
pub(crate) struct Outbound {
    pub(crate) serial: u64,
    pub(crate) id: String,
    pub(crate) text: String,
    /// Nothing follows.
    pub(crate) is_last: bool,
}

/// What every operation of a socket shares.
pub(crate) struct Operations<E, H: Host> {
    pub(crate) engine: Engine<E, H>,
    pub(crate) caller: Option<H::Caller>,
    /// The handshake's; each operation gets its own ID and start.
    pub(crate) arrival: Arrival,
    pub(crate) sender: mpsc::Sender<Outbound>,
}

impl<E, H: Host> Clone for Operations<E, H> {
    fn clone(&self) -> Self {
        Self {
            engine: self.engine.clone(),
            caller: self.caller.clone(),
            arrival: self.arrival.clone(),
            sender: self.sender.clone(),
        }
    }
}

impl<E: Executor, H: Host> Operations<E, H> {
    /// An arrival for one more operation.
    fn arrive(&self) -> Arrival {
        Arrival {
            answer_id: self.engine.host().next_id(),
            started_at: Instant::now(),
            is_get: false,
            idempotency_key: None,
            ..self.arrival.clone()
        }
    }

    /// Runs to the end of the operation. Dropped when the client completes it or the socket goes.
    pub(crate) async fn run(self, serial: u64, id: String, payload: ConstValue) {
        let arrival = self.arrive();
        let span = tracing::info_span!("graphql.operation", compliance.id = %arrival.answer_id);
        self.answer(serial, id, payload, &arrival).instrument(span).await;
    }

    /// Tells the client that the operation was refused unseen.
    pub(crate) async fn refuse(self, serial: u64, id: String, failure: Failure) {
        let arrival = self.arrive();
        self.send_refusal(serial, id, failure.into(), &arrival).await;
    }

    async fn answer(&self, serial: u64, id: String, payload: ConstValue, arrival: &Arrival) {
        let params = match Params::from_value(payload) {
            Ok(params) => params,
            Err(failure) => return self.send_refusal(serial, id, failure.into(), arrival).await,
        };
        let ready = match self.engine.plan(self.caller.as_ref(), params, arrival).await {
            Ok(ready) => ready,
            Err(refused) => return self.send_refusal(serial, id, *refused, arrival).await,
        };
        if ready.info.kind == OperationKind::Subscription {
            return self.stream(serial, id, ready, arrival).await;
        }
        let answer = self.engine.finish(self.caller.clone(), ready, arrival).await;
        let is_refused = answer.fault.is_some();
        self.send_value(serial, &id, &answer, is_refused).await;
        if !is_refused {
            self.send(serial, &id, message::complete(&id), true).await;
        }
    }

    async fn stream(&self, serial: u64, id: String, ready: Ready, arrival: &Arrival) {
        let _permit = match self.engine.host().reserve_stream(self.caller.as_ref()) {
            Ok(permit) => permit,
            Err(refusal) => {
                let refused = Refused { failure: refusal.into(), info: Some(ready.info) };
                return self.send_refusal(serial, id, refused, arrival).await;
            }
        };
        let mut values = Box::pin(self.engine.stream(self.caller.clone(), ready, arrival).await);
        while let Some(answer) = values.next().await {
            let is_refused = answer.fault.is_some();
            if !self.send_value(serial, &id, &answer, is_refused).await || is_refused {
                return;
            }
        }
        self.send(serial, &id, message::complete(&id), true).await;
    }

    async fn send_refusal(&self, serial: u64, id: String, refused: Refused, arrival: &Arrival) {
        let answer = self.engine.refuse(self.caller.clone(), refused, arrival).await;
        self.send_value(serial, &id, &answer, true).await;
    }

    async fn send_value(&self, serial: u64, id: &str, answer: &Answer, is_refused: bool) -> bool {
        let text = if is_refused { message::error(id, answer) } else { message::next(id, answer) };
        self.send(serial, id, text, is_refused).await
    }

    /// Waits for room in the queue; `false` when the socket is gone.
    async fn send(&self, serial: u64, id: &str, text: String, is_last: bool) -> bool {
        self.sender.send(Outbound { serial, id: id.to_owned(), text, is_last }).await.is_ok()
    }
}
