//! A client of the product, as a front end would have it.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Client;
use serde_json::{Value, json};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest as _, http::HeaderValue},
};

use crate::wiring::StartupError;

/// Longest the story waits for anything.
const PATIENCE: Duration = Duration::from_secs(15);

/// Speaks GraphQL and JSON over HTTP.
pub(super) struct Front {
    http: Client,
    base: String,
}

impl Front {
    pub(super) fn new(base: &str) -> Result<Self, StartupError> {
        Ok(Self { http: Client::builder().timeout(PATIENCE).build()?, base: base.to_owned() })
    }

    /// POSTs JSON to a door before sign-in.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, StartupError> {
        let answer = self.http.post(format!("{}{path}", self.base)).json(body).send().await?;
        let status = answer.status();
        let body: Value = answer.json().await?;
        if status.is_success() { Ok(body) } else { Err(format!("{path} answered {status}: {body}").into()) }
    }

    /// Speaks to the sandbox's control API; `None` when it says that there is one already.
    pub(super) async fn rehearse(
        &self,
        method: reqwest::Method,
        url: &str,
        body: &Value,
    ) -> Result<Option<Value>, StartupError> {
        let mut request = self.http.request(method.clone(), url);
        if method != reqwest::Method::GET {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let body: Value = answer.json().await?;
        match status {
            reqwest::StatusCode::CONFLICT => Ok(None),
            status if status.is_success() => Ok(Some(body)),
            status => Err(format!("{url} answered {status}: {body}").into()),
        }
    }

    /// Sends bytes of a file by the tus protocol.
    pub(super) async fn patch(
        &self,
        token: &str,
        url: &str,
        offset: usize,
        bytes: &[u8],
    ) -> Result<(), StartupError> {
        let sent = self
            .http
            .patch(url)
            .bearer_auth(token)
            .header("tus-resumable", "1.0.0")
            .header("upload-offset", offset)
            .header("content-type", "application/offset+octet-stream")
            .body(bytes.to_vec())
            .send()
            .await?;
        let status = sent.status();
        if status.is_success() {
            Ok(())
        } else {
            Err(format!("the bytes were answered with {status}").into())
        }
    }

    /// Fetches a file.
    pub(super) async fn fetch(&self, token: &str, url: &str) -> Result<Vec<u8>, StartupError> {
        let answer = self.http.get(url).bearer_auth(token).send().await?.error_for_status()?;
        Ok(answer.bytes().await?.to_vec())
    }

    /// Opens a page as a browser would, and gives its text.
    pub(super) async fn open(&self, url: &str) -> Result<String, StartupError> {
        let answer = self.http.get(url).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if status.is_success() { Ok(text) } else { Err(format!("the page says: {text}").into()) }
    }

    /// Sends a document; errors in the answer are errors here.
    pub(super) async fn graphql(
        &self,
        token: &str,
        query: &str,
        variables: Value,
    ) -> Result<Value, StartupError> {
        let answer = self
            .http
            .post(format!("{}/graphql", self.base))
            .bearer_auth(token)
            .json(&json!({ "query": query, "variables": variables }))
            .send()
            .await?;
        let mut body: Value = answer.json().await?;
        if body.get("errors").is_some() {
            return Err(format!("the query was refused: {body}").into());
        }
        Ok(body["data"].take())
    }
}

/// A graphql-transport-ws subscription.
pub(super) struct Socket {
    socket: WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>,
}

impl Socket {
    pub(super) async fn subscribe(url: &str, token: &str, query: &str) -> Result<Self, StartupError> {
        let mut request = url.into_client_request()?;
        let protocol = HeaderValue::from_static("graphql-transport-ws");
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let (socket, _) = tokio::time::timeout(PATIENCE, connect_async(request)).await??;
        let mut socket = Self { socket };
        let authorization = format!("Bearer {token}");
        socket
            .send(&json!({ "type": "connection_init", "payload": { "authorization": authorization } }))
            .await?;
        socket.receive("connection_ack").await?;
        socket.send(&json!({ "id": "1", "type": "subscribe", "payload": { "query": query } })).await?;
        // Answered once what was sent before has been read: from then on nothing is missed.
        socket.send(&json!({ "type": "ping" })).await?;
        socket.receive("pong").await?;
        Ok(socket)
    }

    async fn send(&mut self, message: &Value) -> Result<(), StartupError> {
        Ok(self.socket.send(Message::text(message.to_string())).await?)
    }

    /// The next message of that type.
    pub(super) async fn receive(&mut self, kind: &str) -> Result<Value, StartupError> {
        let wait = async {
            while let Some(message) = self.socket.next().await {
                let Message::Text(text) = message? else { continue };
                let message: Value = serde_json::from_str(&text)?;
                if message["type"] == kind {
                    return Ok(message);
                }
                if message["type"] == "error" {
                    return Err(format!("the subscription was refused: {message}").into());
                }
            }
            Err("the socket was closed".into())
        };
        tokio::time::timeout(PATIENCE, wait).await?
    }
}
