//! A WebSocket client that speaks as roughly as a test needs.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::http::Response;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::client::Toy;

/// Longest wait for anything: reached only by a test that has failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Answer ID of the handshake.
    pub(crate) connection_id: String,
    /// Whether server pings are passed over.
    pub(crate) pings: usize,
}

/// Connects with these headers; the subprotocol is left out when empty.
pub(crate) async fn handshake(
    toy: &Toy,
    protocol: &str,
    headers: &[(&'static str, &'static str)],
) -> Result<Socket, Box<Response<Option<Vec<u8>>>>> {
    let mut request = toy.server.url("/graphql").replace("http:", "ws:").into_client_request().unwrap();
    if !protocol.is_empty() {
        request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
    }
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    match connect_async(request).await {
        Ok((stream, response)) => {
            assert_eq!(response.headers()["sec-websocket-protocol"], "graphql-transport-ws");
            let connection_id = response.headers()["x-compliance-id"].to_str().unwrap().to_owned();
            Ok(Socket { stream, connection_id, pings: 0 })
        }
        Err(Error::Http(response)) => Err(response),
        Err(error) => panic!("no handshake: {error}"),
    }
}

impl Socket {
    pub(crate) async fn connect(toy: &Toy) -> Self {
        handshake(toy, "graphql-transport-ws", &[]).await.unwrap_or_else(|refusal| panic!("{refusal:?}"))
    }

    /// Connects as `alice` and waits for the acknowledgement.
    pub(crate) async fn ready(toy: &Toy) -> Self {
        let mut socket = Self::connect(toy).await;
        socket.send(json!({ "type": "connection_init", "payload": { "token": "alice" } })).await;
        let ack = socket.next().await;
        assert_eq!(ack["type"], "connection_ack");
        assert_eq!(ack["payload"]["complianceId"], socket.connection_id.as_str());
        socket
    }

    pub(crate) async fn send(&mut self, message: Value) {
        self.text(message.to_string()).await;
    }

    pub(crate) async fn text(&mut self, text: impl Into<String>) {
        self.stream.send(Message::text(text.into())).await.unwrap();
    }

    pub(crate) async fn binary(&mut self, bytes: Vec<u8>) {
        self.stream.send(Message::binary(bytes)).await.unwrap();
    }

    /// Sends what the server may stop reading at any time.
    pub(crate) async fn try_text(&mut self, text: String) {
        let _ = self.stream.send(Message::text(text)).await;
    }

    pub(crate) async fn subscribe(&mut self, id: &str, query: &str) {
        self.send(json!({ "id": id, "type": "subscribe", "payload": { "query": query } })).await;
    }

    async fn receive(&mut self) -> Option<Result<Message, Error>> {
        tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("a message in time")
    }

    /// The next message of the protocol.
    pub(crate) async fn next(&mut self) -> Value {
        serde_json::from_str(&self.next_text().await).unwrap()
    }

    /// The next message of the protocol, as it was sent.
    pub(crate) async fn next_text(&mut self) -> String {
        loop {
            match self.receive().await {
                Some(Ok(Message::Text(text))) => return text.to_string(),
                Some(Ok(Message::Ping(_))) => self.pings += 1,
                other => panic!("expected a message, got {other:?}"),
            }
        }
    }

    /// Waits for a ping of the server.
    pub(crate) async fn pinged(&mut self) {
        loop {
            match self.receive().await {
                Some(Ok(Message::Ping(_))) => return,
                Some(Ok(Message::Text(_))) => {}
                other => panic!("expected a ping, got {other:?}"),
            }
        }
    }

    /// Passes over messages until the server closes, and returns its code.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            match self.receive().await {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(Message::Text(_) | Message::Ping(_))) => {}
                other => panic!("expected a close code, got {other:?}"),
            }
        }
    }

    /// Closes with this code and returns the server's answer.
    pub(crate) async fn close(mut self, code: u16) -> Option<u16> {
        use tokio_tungstenite::tungstenite::protocol::CloseFrame;
        let frame = CloseFrame { code: code.into(), reason: "".into() };
        self.stream.send(Message::Close(Some(frame))).await.unwrap();
        loop {
            match self.receive().await {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                Some(Ok(_)) => {}
                other => panic!("expected a close, got {other:?}"),
            }
        }
    }
}
