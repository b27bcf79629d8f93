//! The toy on a real server.

use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpMessage, HttpRequest, HttpResponse, HttpServer, web};
use async_graphql::Executor;
use transport::{AnswerId, AnswerIds, Config, Drain, DrainHandle, Engine, Executors};

use super::host::ToyHost;
use super::schema::{Toy, executors};

/// A running server; stopped when dropped.
pub(crate) struct Server {
    pub(crate) host: Arc<ToyHost>,
    pub(crate) toy: Arc<Toy>,
    pub(crate) drain: DrainHandle,
    pub(crate) port: u16,
    handle: ServerHandle,
}

impl Server {
    /// Starts with `config`, on a port of the system's choice unless one is given.
    pub(crate) fn start_with(config: Config, port: u16) -> Result<Self, Box<dyn std::error::Error>> {
        let toy = Arc::new(Toy::default());
        let executors = executors(&toy);
        let sdl = executors.strict().sdl();
        Self::serve(executors, &sdl, toy, config, port)
    }

    /// Starts over a schema that may be another than the toy's, and `sdl` its text.
    pub(crate) fn serve<E: Executor>(
        executors: Executors<E>,
        sdl: &str,
        toy: Arc<Toy>,
        config: Config,
        port: u16,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let host = Arc::new(ToyHost::default());
        let (drain, signal): (DrainHandle, Drain) = DrainHandle::new();
        let engine = Engine::new(executors, sdl, Arc::clone(&host), config, signal)?;
        let log = Arc::clone(&host);
        let server = HttpServer::new(move || {
            App::new()
                .configure(|app| engine.mount(app))
                .route("/plain", web::get().to(plain))
                .route("/panics", web::get().to(panics))
                .route("/stuck", web::get().to(stuck))
                .route("/json", web::post().to(json))
                .wrap(AnswerIds::new(log.clone(), Duration::from_millis(1_500)))
        })
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", port))?;
        let port = server.addrs()[0].port();
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Ok(Self { host, toy, drain, port, handle })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The returned future only waits; the command is sent already.
        drop(self.handle.stop(false));
    }
}

async fn plain(request: HttpRequest) -> HttpResponse {
    let id = request.extensions().get::<AnswerId>().map(|id| id.0.to_string());
    HttpResponse::Ok().body(id.unwrap_or_default())
}

async fn panics() -> HttpResponse {
    assert!(std::hint::black_box(false), "deliberate");
    HttpResponse::Ok().finish()
}

async fn stuck() -> HttpResponse {
    std::future::pending().await
}

async fn json(_body: web::Json<Vec<u8>>) -> HttpResponse {
    HttpResponse::Ok().finish()
}
