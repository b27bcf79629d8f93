//! The way from a request's parameters to its answer, the same for every transport.
//!
//! `plan` checks and charges, `run` executes; `documents` keeps what was read before. Invariants: a request is executed only after it was planned; every
//! refusal and every executed request is recorded exactly once, before its answer is handed out.

mod documents;
mod plan;
mod run;

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::web::{self, ServiceConfig};
use async_graphql::Executor;
use std::net::IpAddr;
use uuid::Uuid;

pub use documents::DocumentLimits;
pub(crate) use plan::{Ready, Refused};
pub(crate) use run::Ending;

use crate::drain::Drain;
use crate::engine::documents::Documents;
use crate::host::Host;
use crate::limits::Limits;
use crate::media::Media;
use crate::pricing::type_map::{SchemaError, TypeMap};
use crate::record::Transport;
use crate::schema::Executors;

/// How the endpoint behaves. `Default` serves `/graphql` with the published numbers.
#[derive(Clone, Debug)]
pub struct Config {
    /// Path of the endpoint, for POST, GET and WebSocket.
    pub path: String,
    /// Bounds on one request.
    pub limits: Limits,
    /// Bounds on sockets and streams.
    pub sockets: SocketLimits,
    /// Bounds on documents kept once they were validated.
    pub documents: DocumentLimits,
    /// Name of the header that identifies a device, lower case; its value goes into
    /// [`crate::Credentials::device`].
    pub device_header: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            path: "/graphql".to_owned(),
            limits: Limits::default(),
            sockets: SocketLimits::default(),
            documents: DocumentLimits::default(),
            device_header: "x-device-id".to_owned(),
        }
    }
}

/// Bounds on one WebSocket, and on event streams where they apply.
#[derive(Clone, Debug)]
pub struct SocketLimits {
    /// Longest wait for `connection_init`, and longest authentication.
    pub init_timeout: Duration,
    /// Time between server pings, and between comments on an event stream. A socket silent for two and a half of
    /// these is closed.
    pub ping_interval: Duration,
    /// Longest message of a client, in bytes.
    pub message_bytes: usize,
    /// Most operations at a time.
    pub operations: usize,
    /// Answers waiting to be written to a slow client; beyond that its streams wait.
    pub outbound: usize,
    /// Longest a client may take to accept one message.
    pub write_timeout: Duration,
}

impl Default for SocketLimits {
    fn default() -> Self {
        Self {
            init_timeout: Duration::from_secs(3),
            ping_interval: Duration::from_secs(12),
            message_bytes: 64 * 1024,
            operations: 50,
            outbound: 16,
            write_timeout: Duration::from_secs(30),
        }
    }
}

/// The endpoint: a schema, its prices and the product. Cloning is cheap.
pub struct Engine<E, H>(Arc<Inner<E, H>>);

struct Inner<E, H> {
    executors: Executors<E>,
    host: Arc<H>,
    documents: Documents,
    types: Arc<TypeMap>,
    config: Config,
    drain: Drain,
}

impl<E, H> Clone for Engine<E, H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E: Executor, H: Host> Engine<E, H> {
    /// `sdl` is the executors' own, as printed by `Schema::sdl`: prices are read from it.
    ///
    /// # Errors
    /// When the SDL does not parse, or has the scalar `Bytes`.
    pub fn new(
        executors: Executors<E>,
        sdl: &str,
        host: Arc<H>,
        config: Config,
        drain: Drain,
    ) -> Result<Self, SchemaError> {
        let types = Arc::new(TypeMap::parse(sdl)?);
        let documents = Documents::new(config.documents.clone());
        Ok(Self(Arc::new(Inner { executors, host, documents, types, config, drain })))
    }

    /// Mounts the endpoint: `App::new().configure(|app| engine.mount(app))`.
    pub fn mount(&self, app: &mut ServiceConfig) {
        let engine = self.clone();
        app.service(web::resource(&self.0.config.path).to(move |request, payload| {
            let engine = engine.clone();
            async move { crate::http::handle(engine, request, payload).await }
        }));
    }

    pub(crate) fn host(&self) -> &H {
        &self.0.host
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn drain(&self) -> Drain {
        self.0.drain.clone()
    }
}

/// How and when a request came in.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) answer_id: Uuid,
    pub(crate) transport: Transport,
    pub(crate) media: Media,
    pub(crate) started_at: Instant,
    pub(crate) is_get: bool,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) client_ref: Option<String>,
    pub(crate) peer: Option<IpAddr>,
    pub(crate) user_agent: Option<String>,
}
