//! Many sockets (graphql-transport-ws) that follow one subscription, and when each was told.

use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _, TryStreamExt as _};
use harness::stores::HarnessError;
use serde_json::json;
use tokio::{
    net::TcpStream,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinSet,
    time::{Duration, Instant},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest as _, http::HeaderValue},
};

/// What every socket follows.
const SUBSCRIPTION: &str = "subscription { postEvents { seq at postId planId } }";

/// Sockets that are opened at the same time.
const OPENED_AT_ONCE: usize = 32;

/// Longest wait for anything of one socket, and for all to be told.
const PATIENCE: Duration = Duration::from_secs(20);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What a socket says it was told, and when.
struct Told {
    seq: i64,
    at: Instant,
}

/// Open sockets. They close when it is dropped.
pub(crate) struct Listeners {
    /// Each reads its socket.
    _tasks: JoinSet<()>,
    told: UnboundedReceiver<Told>,
    count: usize,
}

impl Listeners {
    /// Opens so many at `url`, each with this token (empty for nobody's) and one subscription.
    ///
    /// # Errors
    /// A socket was refused.
    pub(crate) async fn open(url: &str, token: &str, count: usize) -> Result<Self, HarnessError> {
        let url: Arc<str> = url.replacen("http", "ws", 1).into();
        let opened = (0..count).map(|_| open(&url, token));
        let opened: Vec<Socket> =
            futures_util::stream::iter(opened).buffer_unordered(OPENED_AT_ONCE).try_collect().await?;
        let (sender, told) = unbounded_channel();
        let mut tasks = JoinSet::new();
        for socket in opened {
            tasks.spawn(listen(socket, sender.clone()));
        }
        Ok(Self { _tasks: tasks, told, count })
    }

    /// The delays, in milliseconds, with which all of them were told of that event.
    ///
    /// # Errors
    /// One was not told in time, or closed.
    pub(crate) async fn delays_ms(&mut self, seq: i64, since: Instant) -> Result<Vec<f64>, HarnessError> {
        let mut delays = Vec::with_capacity(self.count);
        let deadline = since + PATIENCE;
        while delays.len() < self.count {
            let told = tokio::time::timeout_at(deadline, self.told.recv()).await;
            let told = told.map_err(|_| format!("{} of {} sockets were told", delays.len(), self.count))?;
            // Of those before, some may still have been on their way.
            match told {
                Some(told) if told.seq == seq => {
                    delays.push(told.at.duration_since(since).as_secs_f64() * 1e3);
                }
                Some(_) => {}
                None => return Err("the sockets are closed".into()),
            }
        }
        Ok(delays)
    }
}

async fn open(url: &Arc<str>, token: &str) -> Result<Socket, HarnessError> {
    let mut request = url.as_ref().into_client_request()?;
    let protocol = HeaderValue::from_static("graphql-transport-ws");
    request.headers_mut().insert("sec-websocket-protocol", protocol);
    let opening = async {
        let (mut socket, _) = connect_async(request).await?;
        let payload =
            if token.is_empty() { json!({}) } else { json!({ "authorization": format!("Bearer {token}") }) };
        let init = json!({ "type": "connection_init", "payload": payload });
        socket.send(Message::text(init.to_string())).await?;
        until(&mut socket, "connection_ack").await?;
        let subscribe = json!({ "id": "1", "type": "subscribe", "payload": { "query": SUBSCRIPTION } });
        socket.send(Message::text(subscribe.to_string())).await?;
        // Messages are read in order, so whoever answers this has read that.
        socket.send(Message::text(json!({ "type": "ping" }).to_string())).await?;
        until(&mut socket, "pong").await?;
        Ok(socket)
    };
    tokio::time::timeout(PATIENCE, opening).await?
}

async fn until(socket: &mut Socket, kind: &str) -> Result<(), HarnessError> {
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else { continue };
        let message: serde_json::Value = serde_json::from_str(&text)?;
        if message["type"] == kind {
            return Ok(());
        }
    }
    Err(format!("a socket was closed before {kind}").into())
}

async fn listen(mut socket: Socket, sender: UnboundedSender<Told>) {
    while let Some(Ok(message)) = socket.next().await {
        let at = Instant::now();
        let Message::Text(text) = message else { continue };
        let Some(seq) = seq_of(&text) else { continue };
        if sender.send(Told { seq, at }).is_err() {
            return;
        }
    }
}

/// The number of the event in a message, found without reading all of it: thousands are read on the cores of who is measured.
fn seq_of(message: &str) -> Option<i64> {
    let (_, rest) = message.split_once("\"seq\":\"")?;
    rest.split_once('"')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_an_event_is_found() {
        let next = r#"{"id":"1","type":"next","payload":{"data":{"postEvents":{"seq":"42","postId":null}}}}"#;
        assert_eq!(seq_of(next), Some(42));
        assert_eq!(seq_of(r#"{"type":"pong"}"#), None);
        assert_eq!(seq_of(r#"{"payload":{"data":{"postEvents":{"seq":"4x"}}}}"#), None);
    }
}
