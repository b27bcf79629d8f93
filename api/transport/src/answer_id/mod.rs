//! An ID on every answer of the server, whatever made the answer: handlers, the router's 404 and 405, extractors'
//! refusals, preflights, panics and time-outs.
//!
//! Wrap the whole `App` with [`AnswerIds`], last (outermost). Invariants: the ID is made before routing, a client's
//! own is never echoed, and each answer is recorded once, here or by the GraphQL endpoint.
//!
//! Out of reach: bytes that are no HTTP request, which the HTTP library answers with a bare 400 before any
//! middleware.

mod cors;

use std::future::{Ready, ready};
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::error::{ErrorInternalServerError, InternalError};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{Error, HttpMessage, HttpResponse};
use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use uuid::Uuid;

use crate::answer::Answer;
use crate::error::{ErrorCode, Failure};
use crate::http::read;
use crate::media::Media;

/// Name of the header that carries the answer's ID.
pub const COMPLIANCE_ID_HEADER: &str = "x-compliance-id";

/// Longest path that is kept, in characters.
const PATH_MAX: usize = 256;

/// The ID of the answer being made; handlers find it in the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerId(pub Uuid);

/// Whose answer it is, put into the request's extensions by a handler that has found out; the product's own kind of
/// identifier, carried along unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerOwner(pub Uuid);

/// Put into a response's extensions by whoever has recorded it already.
pub(crate) struct Recorded;

/// One answer of any route, for the access log.
#[derive(Clone, Debug)]
pub struct AnswerRecord {
    /// The ID the client was given.
    pub answer_id: Uuid,
    /// Whose answer it is, when a handler said so.
    pub owner: Option<Uuid>,
    /// HTTP method.
    pub method: String,
    /// Path without query string, cut to 256 characters.
    pub path: String,
    /// HTTP status.
    pub status: u16,
    /// From the request's head to the answer's head.
    pub duration: Duration,
    /// The client's own request ID, cut to 64 characters of `[A-Za-z0-9._-]`.
    pub client_ref: Option<String>,
    /// Address of the other end of the connection.
    pub peer: Option<IpAddr>,
    /// The client's name for itself, cut to 256 characters.
    pub user_agent: Option<String>,
}

/// What the middleware asks of the product.
#[async_trait]
pub trait AnswerLog: Send + Sync + 'static {
    /// A fresh UUIDv7.
    fn next_id(&self) -> Uuid;

    /// Whether pages of this origin may read answers.
    fn allow_origin(&self, origin: &str) -> bool;

    /// Takes down one answer before it is sent. Not called for answers of the GraphQL endpoint, which tells more
    /// through [`crate::Host::record`].
    async fn record(&self, record: AnswerRecord);
}

/// The middleware: `App::new().wrap(AnswerIds::new(log, deadline))`.
#[derive(Clone)]
pub struct AnswerIds {
    log: Arc<dyn AnswerLog>,
    deadline: Duration,
    longer: Option<(&'static str, Duration)>,
}

impl AnswerIds {
    /// `deadline` is the longest a handler may take to answer; bodies that stream afterwards are not timed. It must
    /// leave the GraphQL endpoint its own deadline twice, for reading the body and for execution.
    pub fn new(log: Arc<dyn AnswerLog>, deadline: Duration) -> Self {
        Self { log, deadline, longer: None }
    }

    /// Lets what is at `path` and below it take longer: bodies that come as fast as clients send them. What a handler
    /// does there when nothing comes is its own business.
    #[must_use]
    pub fn allow_longer(mut self, path: &'static str, deadline: Duration) -> Self {
        self.longer = Some((path, deadline));
        self
    }

    fn deadline_of(&self, path: &str) -> Duration {
        let below =
            |of: &str| path.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.longer.filter(|(of, _)| below(of)).map_or(self.deadline, |(_, deadline)| deadline)
    }
}

impl<S, B> Transform<S, ServiceRequest> for AnswerIds
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Transform = AnswerIdService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(AnswerIdService { service: Rc::new(service), settings: self.clone() }))
    }
}

/// [`AnswerIds`] around a service.
pub struct AnswerIdService<S> {
    service: Rc<S>,
    settings: AnswerIds,
}

impl<S, B> Service<ServiceRequest> for AnswerIdService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Error>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let (service, settings) = (Rc::clone(&self.service), self.settings.clone());
        // On a task of its own: a client that goes away does not stop what it asked for half way, and the answer is
        // taken down all the same. The deadline bounds it.
        let task = actix_web::rt::spawn(async move {
            let started_at = Instant::now();
            let id = settings.log.next_id();
            request.extensions_mut().insert(AnswerId(id));
            let origin = cors::Origin::of(request.headers(), |origin| settings.log.allow_origin(origin));
            let mut record = record(&request, id);
            let deadline = settings.deadline_of(request.path());
            let mut result = answer(service, request, id, deadline, origin.as_ref()).await;

            let (status, is_recorded) = match &mut result {
                Ok(response) => {
                    record.owner = response.request().extensions().get::<AnswerOwner>().map(|owner| owner.0);
                    mark(response.response_mut().headers_mut(), id, origin.as_ref());
                    (response.status(), response.response().extensions().contains::<Recorded>())
                }
                Err(response) => {
                    mark(response.headers_mut(), id, origin.as_ref());
                    (response.status(), false)
                }
            };
            if !is_recorded {
                record.status = status.as_u16();
                record.duration = started_at.elapsed();
                settings.log.record(record).await;
            }
            result.map_err(|response| InternalError::from_response("answered above", response).into())
        });
        Box::pin(async move { task.await.unwrap_or_else(|gone| Err(ErrorInternalServerError(gone))) })
    }
}

/// The inner service's response; `Err` with a response when there is none to build it on.
async fn answer<S, B>(
    service: Rc<S>,
    request: ServiceRequest,
    id: Uuid,
    deadline: Duration,
    origin: Option<&cors::Origin>,
) -> Result<ServiceResponse<BoxBody>, HttpResponse>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    if let Some(origin) = origin.filter(|_| cors::is_preflight(request.method(), request.headers())) {
        let response = origin.answer_preflight();
        return Ok(request.into_response(response));
    }
    let handled = AssertUnwindSafe(async move { service.call(request).await }).catch_unwind();
    match tokio::time::timeout(deadline, handled).await {
        Ok(Ok(Ok(response))) => Ok(response.map_into_boxed_body()),
        Ok(Ok(Err(error))) => Err(error.error_response()),
        Ok(Err(_panic)) => {
            tracing::error!(compliance.id = %id, "a handler panicked");
            Err(failed(id, ErrorCode::InternalServerError, "internal error"))
        }
        Err(_elapsed) => {
            tracing::error!(compliance.id = %id, "a handler did not answer in time");
            Err(failed(id, ErrorCode::Unavailable, "the request was not answered in time"))
        }
    }
}

fn failed(id: Uuid, code: ErrorCode, message: &str) -> HttpResponse {
    let answer = Answer::refused(id, Failure::new(code, message));
    let mut response = crate::http::respond::start(id, answer.status(Media::Json), Media::Json);
    // Whether the request's body was read is unknown.
    response.force_close();
    response.body(answer.to_json())
}

fn mark(headers: &mut actix_web::http::header::HeaderMap, id: Uuid, origin: Option<&cors::Origin>) {
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(HeaderName::from_static(COMPLIANCE_ID_HEADER), value);
    }
    if let Some(origin) = origin {
        origin.mark(headers);
    }
}

fn record(request: &ServiceRequest, id: Uuid) -> AnswerRecord {
    AnswerRecord {
        answer_id: id,
        owner: None,
        method: request.method().to_string(),
        path: request.path().chars().take(PATH_MAX).collect(),
        status: 0,
        duration: Duration::ZERO,
        client_ref: read::client_ref(request),
        peer: request.peer_addr().map(|address| address.ip()),
        user_agent: read::user_agent(request),
    }
}
