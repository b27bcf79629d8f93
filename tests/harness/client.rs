//! A client of the product: GraphQL and JSON over HTTP, and graphql-transport-ws.

use std::{collections::VecDeque, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest as _, http::HeaderValue},
};

use crate::stores::HarnessError;

/// Longest a test waits for anything, on a machine that does much else.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The body as JSON; null when it is none.
    pub body: Value,
}

impl Answer {
    /// The compliance ID in the header.
    pub fn compliance_id(&self) -> &str {
        self.headers.get("x-compliance-id").and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The code of the first error; empty when there is none.
    pub fn code(&self) -> &str {
        self.body["errors"][0]["extensions"]["code"].as_str().unwrap_or_default()
    }

    /// `data.<field>`.
    pub fn data(&self, field: &str) -> &Value {
        &self.body["data"][field]
    }

    /// The code of the first user error of `field`; empty when there is none.
    pub fn refusal(&self, field: &str) -> &str {
        self.data(field)["userErrors"][0]["code"].as_str().unwrap_or_default()
    }
}

/// Speaks HTTP to one service.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    /// Of the service at `base`, as `http://127.0.0.1:1`.
    ///
    /// # Errors
    /// The HTTP library can't be set up.
    pub fn new(base: String) -> Result<Self, HarnessError> {
        Ok(Self { http: reqwest::Client::builder().timeout(PATIENCE).build()?, base })
    }

    /// The service's address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// One request with any method, headers and body.
    ///
    /// # Errors
    /// No answer.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Result<Answer, HarnessError> {
        self.send_bytes(method, path, headers, body.map(String::into_bytes)).await
    }

    /// The same with a body that is no text.
    ///
    /// # Errors
    /// No answer.
    pub async fn send_bytes(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<Answer, HarnessError> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let answer = request.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.bytes().await?;
        Ok(Answer { status, headers, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
    }

    /// POSTs JSON to a door before sign-in.
    ///
    /// # Errors
    /// No answer.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer, HarnessError> {
        let headers = [("content-type", "application/json")];
        self.send(Method::POST, path, &headers, Some(body.to_string())).await
    }

    /// Sends a document, signed in or (with an empty token) not.
    ///
    /// # Errors
    /// No answer.
    pub async fn graphql(&self, token: &str, query: &str, variables: Value) -> Result<Answer, HarnessError> {
        self.graphql_with(token, query, variables, &[]).await
    }

    /// Sends a document with more headers.
    ///
    /// # Errors
    /// No answer.
    pub async fn graphql_with(
        &self,
        token: &str,
        query: &str,
        variables: Value,
        headers: &[(&str, &str)],
    ) -> Result<Answer, HarnessError> {
        let bearer = format!("Bearer {token}");
        let mut all =
            vec![("content-type", "application/json"), ("accept", "application/graphql-response+json")];
        if !token.is_empty() {
            all.push(("authorization", &bearer));
        }
        all.extend_from_slice(headers);
        let body = json!({ "query": query, "variables": variables });
        self.send(Method::POST, "/graphql", &all, Some(body.to_string())).await
    }

    /// Asks until `done` is satisfied with the answer, or time is up: for what happens a moment later.
    ///
    /// # Errors
    /// Time was up; the last answer is told.
    pub async fn graphql_until(
        &self,
        token: &str,
        query: &str,
        variables: Value,
        done: impl Fn(&Answer) -> bool,
    ) -> Result<Answer, HarnessError> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let answer = self.graphql(token, query, variables.clone()).await?;
            if done(&answer) {
                return Ok(answer);
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(format!("it did not come to pass: {}", answer.body).into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Opens a socket and introduces itself.
    ///
    /// # Errors
    /// The handshake or the introduction failed.
    pub async fn socket(&self, token: &str) -> Result<Socket, HarnessError> {
        let url = format!("{}/graphql", self.base.replacen("http", "ws", 1));
        let mut request = url.into_client_request()?;
        let protocol = HeaderValue::from_static("graphql-transport-ws");
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let (socket, _) = tokio::time::timeout(PATIENCE, connect_async(request)).await??;
        let mut socket = Socket { socket, unread: VecDeque::new() };
        let payload = json!({ "authorization": format!("Bearer {token}") });
        socket.send(&json!({ "type": "connection_init", "payload": payload })).await?;
        socket.receive("connection_ack").await?;
        Ok(socket)
    }
}

/// A graphql-transport-ws connection.
pub struct Socket {
    socket: WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>,
    /// What came while something else was waited for, and is still to be received.
    unread: VecDeque<Value>,
}

impl Socket {
    /// Sends one message.
    ///
    /// # Errors
    /// The socket is closed.
    pub async fn send(&mut self, message: &Value) -> Result<(), HarnessError> {
        Ok(self.socket.send(Message::text(message.to_string())).await?)
    }

    /// Subscribes, and waits until the server has read that.
    ///
    /// # Errors
    /// The socket is closed.
    pub async fn subscribe(&mut self, id: &str, query: &str) -> Result<(), HarnessError> {
        self.send(&json!({ "id": id, "type": "subscribe", "payload": { "query": query } })).await?;
        self.send(&json!({ "type": "ping" })).await?;
        // What is told at once may come before the pong, and is no less told.
        let before = self.until("pong").await?.0;
        self.unread.extend(before);
        Ok(())
    }

    /// The next message of that type; others are passed over.
    ///
    /// # Errors
    /// The socket was closed, or nothing came in time.
    pub async fn receive(&mut self, kind: &str) -> Result<Value, HarnessError> {
        while let Some(message) = self.unread.pop_front() {
            if message["type"] == kind {
                return Ok(message);
            }
        }
        Ok(self.until(kind).await?.1)
    }

    /// The next message of that type from the wire, and those before it.
    async fn until(&mut self, kind: &str) -> Result<(Vec<Value>, Value), HarnessError> {
        let mut before = Vec::new();
        let wait = async {
            while let Some(message) = self.socket.next().await {
                let Message::Text(text) = message? else { continue };
                let message: Value = serde_json::from_str(&text)?;
                if message["type"] == kind {
                    return Ok(message);
                }
                before.push(message);
            }
            Err("the socket was closed".into())
        };
        let received = tokio::time::timeout(PATIENCE, wait).await;
        match received {
            Ok(received) => received.map(|message| (before, message)),
            Err(_) => Err(format!("no {kind} came, but {}", Value::Array(before)).into()),
        }
    }

    /// Waits until the server closes, and gives the close code.
    ///
    /// # Errors
    /// It did not in time, or without a code.
    pub async fn closed(&mut self) -> Result<u16, HarnessError> {
        let wait = async {
            while let Some(message) = self.socket.next().await {
                if let Message::Close(frame) = message? {
                    return frame
                        .map(|frame| frame.code.into())
                        .ok_or_else(|| "closed without a code".into());
                }
            }
            Err("the connection ended without a close".into())
        };
        tokio::time::timeout(PATIENCE, wait).await?
    }
}
