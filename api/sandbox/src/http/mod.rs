//! The transport: requests into calls, replies into responses, webhooks out.
//!
//! Here are the only threads, sockets and waits. Absent on purpose: decisions. What an answer says and which fault
//! strikes it is the model's; here it is only made to happen.

mod answering;
mod delivering;
mod probe;
mod reading;

use std::{
    io::Result,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, dev::ServerHandle, http::header, web};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::{
    control,
    engine::Engine,
    platform::hooks::{Delivery, State},
    wire::call::{Page, Reply},
};

/// How a sandbox is wanted.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to answer; port 0 takes any that is free.
    pub listen: SocketAddr,
    /// Where what happens is kept; in memory alone when absent.
    pub dir: Option<PathBuf>,
    /// What all chance is made from: the same calls in the same order then get the same answers. A directory keeps the
    /// seed it began with; without one and without a directory it is 1.
    pub seed: Option<u64>,
}

/// A sandbox that is answering. Dropping it leaves it running until its runtime ends; [`Sandbox::stop`] ends it.
#[derive(Debug)]
pub struct Sandbox {
    /// Where it answers.
    pub address: SocketAddr,
    engine: Arc<Engine>,
    handle: ServerHandle,
    deliveries: JoinHandle<()>,
}

impl Sandbox {
    /// Starts one, on the runtime this is called from.
    ///
    /// # Errors
    /// The address can't be listened on; the directory can't be used, is in use, has another seed or can't be read.
    pub fn start(options: &Options) -> Result<Self> {
        let engine = Arc::new(Engine::open(options.dir.as_deref(), options.seed)?);
        let listener = TcpListener::bind(options.listen)?;
        let address = listener.local_addr()?;
        let shared = web::Data::from(Arc::clone(&engine));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(shared.clone())
                .service(web::resource("/").route(web::get().to(abilities)))
                .service(web::resource("/livez").route(web::get().to(|| async { "ok\n" })))
                .default_service(web::to(answer))
        })
        .workers(2)
        .shutdown_timeout(1)
        .disable_signals()
        .listen(listener)?
        .run();
        let handle = server.handle();
        tokio::spawn(server);
        let deliveries = tokio::spawn(delivering::run(Arc::clone(&engine)));
        Ok(Self { address, engine, handle, deliveries })
    }

    /// Stops it and lets go of its directory. Webhooks on their way are tried again when it is started there once more.
    pub async fn stop(self) {
        self.deliveries.abort();
        self.handle.stop(false).await;
        self.engine.close();
    }
}

async fn abilities() -> HttpResponse {
    HttpResponse::Ok().json(
        json!({ "service": "matricula sandbox", "platforms": ["douyin"], "control": control::ROOT, "page": control::ROOT }),
    )
}

/// Every request but those to `/` and `/livez`.
async fn answer(engine: web::Data<Engine>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    if request.path().starts_with(control::ROOT) && is_foreign(&request) {
        return answering::send(Reply::json(403, json!({ "error": "a page of another host asks" }))).await;
    }
    let limit_bytes = match engine.look(|platform| platform.switches.gateway_limit_bytes) {
        Ok(limit_bytes) => limit_bytes,
        Err(error) => return answering::broken(&error),
    };
    let call = match reading::read(&request, payload, limit_bytes).await {
        Ok(call) => call,
        Err(reading::Unread::TooBig) => {
            return answering::send(crate::wire::gateway(413, "Request Entity Too Large")).await;
        }
        Err(reading::Unread::Broken) => {
            return answering::send(crate::wire::gateway(400, "Bad Request")).await;
        }
    };
    let reply = match engine.call(call.clone()) {
        Ok(reply) => reply,
        Err(error) => return answering::broken(&error),
    };
    match control::awaited_delivery(&call, &reply) {
        Some(delivery) => answering::send(trial(&engine, delivery).await).await,
        None => answering::send(reply).await,
    }
}

/// Whether a page of another host asks: browsers send its forms, and say in `Origin` whose they are.
fn is_foreign(request: &HttpRequest) -> bool {
    let text = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    let Some(origin) = text(header::ORIGIN) else { return false };
    let host = text(header::HOST).unwrap_or_default();
    origin.split_once("://").is_none_or(|(_, from)| !from.eq_ignore_ascii_case(host))
}

/// How the trial of a webhook's address ended.
async fn trial(engine: &Engine, number: i64) -> Reply {
    let ended = |delivery: &Delivery| {
        let last = delivery.attempts.last().map(|attempt| &attempt.outcome);
        let told = json!({
            "saved": delivery.state == State::Delivered, "url": delivery.url,
            "status": last.and_then(|last| last.status), "error": last.and_then(|last| last.error.as_deref()),
        });
        (delivery.state != State::Waiting).then_some(told)
    };
    loop {
        let changed = engine.changed.notified();
        match engine.look(|platform| platform.delivery(number).and_then(ended)) {
            Ok(Some(told)) => {
                let status = if told["saved"] == true { 200 } else { 422 };
                return Reply { status, page: Page::Json(told), code: 0, strike: None };
            }
            Ok(None) => changed.await,
            Err(error) => return Reply::json(500, json!({ "error": error.to_string() })),
        }
    }
}
