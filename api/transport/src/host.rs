//! What the transport asks of the product. [`Host`] is the only thing the product implements to be served.
//!
//! Absent on purpose: tenants, permissions, storage. The transport passes `Caller` around and never looks in.

use std::any::Any;
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use async_graphql::Request;
use async_graphql_value::ConstValue;
use async_trait::async_trait;
use uuid::Uuid;

use crate::error::ErrorCode;
use crate::record::{OperationInfo, OperationKind, OperationRecord, OutputRecord};

/// What a request brought that may prove who sent it. Texts are the client's, bounded by the server's limit on
/// headers, otherwise unchecked. No `Debug`, so that no token gets into a log.
#[derive(Clone, Default)]
pub struct Credentials {
    /// Value of `Authorization`.
    pub authorization: Option<String>,
    /// Value of `Cookie`. Absent for simple GET requests: see the crate's documentation on cross-site requests.
    pub cookie: Option<String>,
    /// `payload` of `connection_init`; only on WebSocket.
    pub connection_init: Option<ConstValue>,
    /// Value of `User-Agent`.
    pub user_agent: Option<String>,
    /// Value of `Accept-Language`.
    pub accept_language: Option<String>,
    /// Value of the header named by [`crate::Config::device_header`].
    pub device: Option<String>,
    /// Value of `Origin`.
    pub origin: Option<String>,
    /// Value of `X-Forwarded-For`; worth believing only when `peer` is a proxy of ours.
    pub forwarded_for: Option<String>,
    /// Address of the other end of the connection.
    pub peer: Option<IpAddr>,
}

/// What is about to run, for rate limits.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Cost of the operation before it runs, in points.
    pub requested_cost: u64,
    /// Query, mutation or subscription.
    pub kind: OperationKind,
    /// Names of the root fields, fragments expanded, without repetition.
    pub root_fields: &'a [String],
}

/// State of the caller's bucket of points after the request was charged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Name of the policy, for the `RateLimit` header; letters, digits, `_`, `-`.
    pub policy: Cow<'static, str>,
    /// Points of a full bucket.
    pub maximum_available: u64,
    /// Points left.
    pub currently_available: u64,
    /// Points added per second.
    pub restore_rate_per_s: u64,
    /// Seconds until the bucket is full again.
    pub reset_after_s: u64,
}

/// Leave to run, as given by [`Host::admit`].
#[derive(Clone, Debug, Default)]
pub struct Admission {
    /// `None` when no bucket applies; then neither `throttleStatus` nor `RateLimit` is sent.
    pub bucket: Option<Bucket>,
}

/// A considered "no", told to the client as it is.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Decides the HTTP status as well.
    pub code: ErrorCode,
    /// Fit to show the client.
    pub message: Cow<'static, str>,
    /// Seconds after which trying again makes sense: `Retry-After` and `extensions.retryAfter`.
    pub retry_after_s: Option<u32>,
    /// The bucket that was found empty, for `RateLimit`.
    pub bucket: Option<Bucket>,
}

impl Refusal {
    /// A refusal without a time to try again.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), retry_after_s: None, bucket: None }
    }

    /// The same refusal with `Retry-After`, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The same refusal with the state of the bucket.
    #[must_use]
    pub fn bucket(mut self, bucket: Bucket) -> Self {
        self.bucket = Some(bucket);
        self
    }
}

/// Held while an operation streams; dropping it gives the place back.
pub type StreamPermit = Box<dyn Any + Send>;

/// The product, as the transport sees it.
#[async_trait]
pub trait Host: Send + Sync + 'static {
    /// Who is calling, once known.
    type Caller: Clone + Send + Sync + 'static;

    /// A fresh UUIDv7: the ID of one answer.
    fn next_id(&self) -> Uuid;

    /// Finds out who is calling; `Ok(None)` is an anonymous caller, an invalid credential is a refusal.
    async fn authenticate(&self, credentials: &Credentials) -> Result<Option<Self::Caller>, Refusal>;

    /// Charges the requested cost, or refuses with [`ErrorCode::Throttled`]. Called after the limits on documents
    /// and before validation.
    async fn admit(&self, caller: Option<&Self::Caller>, ask: &Ask<'_>) -> Result<Admission, Refusal>;

    /// Gives back what was charged and not used: `actual_cost` is at most `requested_cost`. Called once for every
    /// admitted query and mutation; a subscription keeps its charge.
    async fn settle(&self, caller: Option<&Self::Caller>, requested_cost: u64, actual_cost: u64);

    /// Attaches what resolvers need to the request.
    fn prepare(
        &self,
        request: Request,
        caller: Option<&Self::Caller>,
        operation: &Arc<OperationInfo>,
    ) -> Request;

    /// Takes down one answer, before it is sent. Called once for every answer of the endpoint, refusals included,
    /// and once for every operation on a socket or stream.
    async fn record(&self, record: OperationRecord<Self::Caller>);

    /// Told how each executed query was answered, for figures.
    fn note_output(&self, _output: OutputRecord) {}

    /// Whether [`Host::record`] can work now. If not, requests are refused with `UNAVAILABLE` and do not run.
    fn can_record(&self) -> bool;

    /// Resolves when the caller's credential expires or is revoked; sockets and streams are then closed. Must be
    /// safe to drop and ask again.
    async fn ended(&self, caller: &Self::Caller);

    /// A place for one more streaming operation, or a refusal when the caller's tenant has too many.
    ///
    /// # Errors
    /// [`ErrorCode::Throttled`] when the cap is reached.
    fn reserve_stream(&self, caller: Option<&Self::Caller>) -> Result<StreamPermit, Refusal>;

    /// Whether this caller may ask for `__schema` and `__type`.
    fn allow_introspection(&self, caller: Option<&Self::Caller>) -> bool;

    /// Whether this caller may send documents of its own, rather than a `documentId`.
    fn allow_free_documents(&self, caller: Option<&Self::Caller>) -> bool;

    /// Whether the larger body limit applies to this caller.
    fn allow_large_body(&self, caller: Option<&Self::Caller>) -> bool;

    /// The document with this `documentId`.
    fn trusted_document(&self, id: &str) -> Option<Arc<str>>;

    /// Whether a browser page of this origin may open a socket. Requests without `Origin` are not asked about.
    fn allow_origin(&self, origin: &str) -> bool;
}
