//! GraphQL over HTTP, WebSocket (graphql-transport-ws) and server-sent events (graphql-sse) on actix-web.
//!
//! async-graphql does schema, validation and execution; everything a client can see around them is here: request
//! shapes, limits, cost, error codes, answer IDs, close codes. The crate knows nothing of the product, which
//! implements [`Host`] and mounts an [`Engine`].
//!
//! | Module | Holds |
//! | --- | --- |
//! | `host`, `record` | what the product is asked and told |
//! | `engine` | the one way from parameters to an answer; the one executor call |
//! | `limits`, `pricing` | what is refused before validation |
//! | `answer`, `error`, `media` | the response: masking, codes, status, media type; the one writer |
//! | `http`, `sse`, `ws` | the three front doors |
//! | `idempotency`, `schema` | what resolvers and the schema need |
//! | `answer_id`, `drain` | for the whole server: an ID on every answer, a clean stop |
//!
//! # Invariants
//! - Every answer of the endpoint has an ID, in a header and in its `extensions`, and is recorded before it is sent.
//! - Nothing is parsed recursively, validated or executed before it is known to be small.
//! - Values of a query's answer that were written out are taken as they are; the schema has no scalar of bytes that
//!   could be mistaken for them.
//! - An error without one of the codes of [`ErrorCode`] is masked.
//! - Memory per connection is bounded: bodies, messages, operations and outbound queues all have a most.
//!
//! # Cross-site requests
//! A browser page of another site can send only "simple" requests without asking. POST is read only as
//! `application/json`, which is not simple. GET never runs mutations, and one that carries none of
//! `Authorization`, `GraphQL-Require-Preflight` and `Apollo-Require-Preflight` runs as an anonymous caller: its
//! cookies are not looked at. WebSocket handshakes are checked by `Origin`.
//!
//! # Absent on purpose
//! Batching, multipart uploads, automatic persisted queries, GraphiQL, the legacy `graphql-ws` subprotocol, and
//! per-field extensions.

mod answer;
mod answer_id;
mod drain;
mod engine;
mod error;
mod host;
mod http;
mod idempotency;
mod limits;
mod media;
mod params;
mod pricing;
mod record;
mod schema;
mod sse;
mod ws;

pub use answer_id::{AnswerId, AnswerIds, AnswerLog, AnswerOwner, AnswerRecord, COMPLIANCE_ID_HEADER};
pub use drain::{Drain, DrainHandle};
pub use engine::{Config, DocumentLimits, Engine, SocketLimits};
pub use error::ErrorCode;
pub use host::{Admission, Ask, Bucket, Credentials, Host, Refusal, StreamPermit};
pub use idempotency::{IdempotencyKey, answer_id, idempotency_key, idempotent, mark_replay};
pub use limits::Limits;
pub use pricing::directives::{cost, list_size};
pub use pricing::type_map::SchemaError;
pub use record::{
    DocumentUse, OperationInfo, OperationKind, OperationRecord, Outcome, OutputRecord, Transport,
};
pub use schema::{Executors, attach, executors};
