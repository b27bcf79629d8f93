//! Somebody who receives webhooks, answers as told and keeps what came.

use std::{
    collections::VecDeque,
    net::TcpListener,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, dev::ServerHandle, web};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

/// How long a test that fails takes to say so.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) signature: String,
    pub(crate) msg_id: String,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

#[derive(Default)]
struct Shared {
    received: Mutex<Vec<Received>>,
    /// Statuses to answer with, before 200 again.
    statuses: Mutex<VecDeque<u16>>,
    /// What is sent back instead of the challenge.
    challenge: Mutex<Option<Value>>,
    came: Notify,
    /// Whether answers wait.
    held: watch::Sender<bool>,
}

pub(crate) struct Receiver {
    pub(crate) url: String,
    shared: Arc<Shared>,
    handle: ServerHandle,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let data = web::Data::from(Arc::clone(&shared));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let server =
            HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(receive)))
                .workers(1)
                .disable_signals()
                .listen(listener)
                .expect("listening")
                .run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { url, shared, handle }
    }

    pub(crate) fn answer_with(&self, statuses: &[u16]) {
        self.shared.statuses.lock().expect("sound").extend(statuses);
    }

    pub(crate) fn send_back(&self, challenge: Option<Value>) {
        *self.shared.challenge.lock().expect("sound") = challenge;
    }

    /// Keeps back all answers, or lets them go.
    pub(crate) fn hold(&self, held: bool) {
        self.shared.held.send_replace(held);
    }

    /// What came, once it is `count` or more.
    pub(crate) async fn received(&self, count: usize) -> Vec<Received> {
        loop {
            let came = self.shared.came.notified();
            let received = self.shared.received.lock().expect("sound").clone();
            if received.len() >= count {
                return received;
            }
            // Only where a test would fail is anything waited for that does not come.
            tokio::time::timeout(PATIENCE, came).await.expect("a webhook");
        }
    }

    pub(crate) async fn stop(self) {
        self.handle.stop(false).await;
    }
}

async fn receive(shared: web::Data<Shared>, request: HttpRequest, body: String) -> HttpResponse {
    let header = |name: &str| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let parsed = serde_json::from_str::<Value>(&body).unwrap_or_default();
    let received = Received { signature: header("x-douyin-signature"), msg_id: header("msg-id"), body };
    shared.received.lock().expect("sound").push(received);
    shared.came.notify_waiters();
    shared.held.subscribe().wait_for(|held| !held).await.expect("the sender is shared");
    if let Some(status) = shared.statuses.lock().expect("sound").pop_front() {
        let status = actix_web::http::StatusCode::from_u16(status).expect("a status");
        return HttpResponse::build(status).finish();
    }
    let instead = shared.challenge.lock().expect("sound").clone();
    HttpResponse::Ok()
        .json(json!({ "challenge": instead.unwrap_or_else(|| parsed["content"]["challenge"].clone()) }))
}
