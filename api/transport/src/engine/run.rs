//! Executing what was planned, and taking it down.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_graphql::{Executor, Response};
use futures_util::future::FutureExt;
use futures_util::stream::{Stream, StreamExt};

use crate::answer::{Answer, CostReport, deadline_passed};
use crate::engine::{Arrival, Engine, Ready, Refused};
use crate::error::{ErrorCode, Failure};
use crate::host::Host;
use crate::record::{DocumentUse, OperationInfo, OperationKind, OperationRecord, Outcome, OutputRecord};

/// How an answer ended, for its record.
pub(crate) struct Ending {
    pub(crate) status: u16,
    pub(crate) outcome: Outcome,
    pub(crate) actual_cost: u64,
}

impl Ending {
    fn of(answer: &Answer, arrival: &Arrival, actual_cost: u64) -> Self {
        Self { status: answer.status(arrival.media), outcome: answer.outcome(), actual_cost }
    }
}

impl<E: Executor, H: Host> Engine<E, H> {
    /// Runs a query or mutation to its end and records it. A mutation goes on when the client goes away: half a
    /// mutation without a record would be worse than one nobody waits for.
    pub(crate) async fn finish(&self, caller: Option<H::Caller>, ready: Ready, arrival: &Arrival) -> Answer {
        if ready.info.kind != OperationKind::Mutation {
            return self.run(caller, ready, arrival).await;
        }
        let (engine, arrival_copy) = (self.clone(), arrival.clone());
        let task = actix_web::rt::spawn(async move { engine.run(caller, ready, &arrival_copy).await });
        match task.await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::error!(compliance.id = %arrival.answer_id, %error, "a mutation's task ended early");
                let failure = Failure::new(ErrorCode::InternalServerError, "internal error");
                Answer::refused(arrival.answer_id, failure)
            }
        }
    }

    async fn run(&self, caller: Option<H::Caller>, ready: Ready, arrival: &Arrival) -> Answer {
        let Ready { request, info, admission, shape, is_replay, document, to_keep, ledger } = ready;
        let id = arrival.answer_id;
        let limits = &self.config().limits;
        let executors = &self.0.executors;
        let executor = match document {
            DocumentUse::Known => executors.relaxed(),
            DocumentUse::Rechecked | DocumentUse::New => executors.strict(),
        };
        // The one executor call.
        let execution = AssertUnwindSafe(executor.execute(request)).catch_unwind();
        let mut answer = match tokio::time::timeout(limits.deadline, execution).await {
            Ok(Ok(response)) => Answer::executed(id, response, limits.errors),
            Ok(Err(_panic)) => {
                tracing::error!(compliance.id = %id, "a resolver panicked");
                Answer::refused(id, Failure::new(ErrorCode::InternalServerError, "internal error"))
            }
            Err(_elapsed) => Answer::refused(id, deadline_passed(limits.deadline)),
        };
        // What has run was valid.
        if let Some((source, document)) = to_keep.filter(|_| answer.fault.is_none()) {
            self.0.documents.keep(source, document);
        }
        if info.kind == OperationKind::Query {
            self.host().note_output(OutputRecord::of(&ledger, Some(document)));
        }
        let requested = info.requested_cost;
        let actual = match (&answer.fault, &answer.data) {
            // Refused by validation: looking at it cost something.
            (Some(_), _) if answer.is_document_fault() => requested.min(1),
            (Some(_), _) => requested,
            (None, data) => {
                let counted = data.as_ref().map_or(0, |data| shape.cost(data));
                counted.saturating_add(shape.written(&ledger.count())).min(requested)
            }
        };
        self.host().settle(caller.as_ref(), requested, actual).await;
        answer.cost = Some(CostReport { requested, actual });
        answer.bucket = admission.bucket.map(|mut bucket| {
            let refunded = bucket.currently_available.saturating_add(requested - actual);
            bucket.currently_available = refunded.min(bucket.maximum_available);
            bucket
        });
        answer.is_replay = is_replay.load(Ordering::Relaxed);
        self.record(caller, Some(info), arrival, Ending::of(&answer, arrival, actual)).await;
        answer
    }

    /// Makes and records the answer of a request that may not run.
    pub(crate) async fn refuse(
        &self,
        caller: Option<H::Caller>,
        refused: Refused,
        arrival: &Arrival,
    ) -> Answer {
        let answer = Answer::refused(arrival.answer_id, refused.failure);
        tracing::debug!(compliance.id = %answer.id, outcome = ?answer.outcome(), "a request was refused");
        self.record(caller, refused.info, arrival, Ending::of(&answer, arrival, 0)).await;
        answer
    }

    /// Opens the stream of a subscription, recorded as open. Every value carries the operation's ID.
    pub(crate) async fn stream(
        &self,
        caller: Option<H::Caller>,
        ready: Ready,
        arrival: &Arrival,
    ) -> impl Stream<Item = Answer> + use<E, H> {
        let cost = ready.info.requested_cost;
        let ending = Ending { status: 200, outcome: Outcome::Streaming, actual_cost: cost };
        self.record(caller, Some(ready.info), arrival, ending).await;
        let (id, errors_max) = (arrival.answer_id, self.config().limits.errors);
        let (host, ledger) = (Arc::clone(&self.0.host), ready.ledger);
        let mut noted = OutputRecord::of(&ledger, None);
        let values =
            AssertUnwindSafe(self.0.executors.strict().execute_stream(ready.request, None)).catch_unwind();
        values.map(move |value: Result<Response, _>| {
            let now = OutputRecord::of(&ledger, None);
            host.note_output(now.since(noted));
            noted = now;
            if let Ok(response) = value {
                return Answer::executed(id, response, errors_max);
            }
            tracing::error!(compliance.id = %id, "a subscription panicked");
            Answer::refused(id, Failure::new(ErrorCode::InternalServerError, "internal error"))
        })
    }

    /// Hands one answer to the product's record.
    pub(crate) async fn record(
        &self,
        caller: Option<H::Caller>,
        operation: Option<Arc<OperationInfo>>,
        arrival: &Arrival,
        ending: Ending,
    ) {
        let Ending { status, outcome, actual_cost } = ending;
        let record = OperationRecord {
            answer_id: arrival.answer_id,
            caller,
            transport: arrival.transport,
            operation,
            status,
            outcome,
            actual_cost,
            duration: arrival.started_at.elapsed(),
            client_ref: arrival.client_ref.clone(),
            peer: arrival.peer,
            user_agent: arrival.user_agent.clone(),
        };
        self.host().record(record).await;
    }
}
