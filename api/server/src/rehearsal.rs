//! `matricula sandbox`: where platforms are rehearsed. It answers what it can rehearse.

use std::net::{SocketAddr, TcpListener};

use actix_web::{App, HttpResponse, HttpServer, dev::ServerHandle, web};
use serde::Serialize;

/// What the sandbox can rehearse.
#[derive(Serialize)]
struct Abilities {
    service: &'static str,
    platforms: Vec<&'static str>,
}

/// A running sandbox.
pub struct Sandbox {
    /// Where it answers.
    pub address: SocketAddr,
    handle: ServerHandle,
}

impl Sandbox {
    /// Starts one.
    ///
    /// # Errors
    /// The address can't be listened on.
    pub fn start(listen: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(listen)?;
        let address = listener.local_addr()?;
        let server = HttpServer::new(|| {
            App::new()
                .service(web::resource("/").route(web::get().to(abilities)))
                .service(web::resource("/livez").route(web::get().to(|| async { "ok\n" })))
        })
        .workers(1)
        .shutdown_timeout(1)
        .disable_signals()
        .listen(listener)?
        .run();
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Self { address, handle })
    }

    /// Stops it.
    pub async fn stop(self) {
        self.handle.stop(false).await;
    }
}

async fn abilities() -> HttpResponse {
    HttpResponse::Ok().json(Abilities { service: "matricula sandbox", platforms: Vec::new() })
}
