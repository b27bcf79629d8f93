//! An HTTP client for the toy server.

use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use transport::Config;

use crate::toy::server::Server;

pub(crate) const RESPONSE_JSON: &str = "application/graphql-response+json";

/// A server and a client that talks to it.
pub(crate) struct Toy {
    pub(crate) server: Server,
    client: Client,
}

/// Status, `x-compliance-id` and body of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Toy {
    pub(crate) fn start() -> Self {
        Self::start_with(Config::default())
    }

    pub(crate) fn start_with(config: Config) -> Self {
        Self::of(Server::start_with(config, 0).unwrap())
    }

    /// A client of a server that runs already.
    pub(crate) fn of(server: Server) -> Self {
        Self { server, client: Client::builder().no_proxy().build().unwrap() }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.client.request(method.parse().unwrap(), self.server.url(path))
    }

    pub(crate) fn post(&self, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.request("POST", "/graphql")
            .header("content-type", "application/json")
            .header("accept", RESPONSE_JSON)
            .body(body)
    }

    /// Runs a document under `application/graphql-response+json`.
    pub(crate) async fn run(&self, query: &str) -> Answer {
        self.run_with(query, json!({})).await
    }

    pub(crate) async fn run_with(&self, query: &str, variables: Value) -> Answer {
        send(self.post(json!({ "query": query, "variables": variables }).to_string())).await
    }
}

pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let response: Response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Answer { status, headers, body, text }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The code of the first error; empty when there is none.
    pub(crate) fn code(&self) -> &str {
        self.body["errors"][0]["extensions"]["code"].as_str().unwrap_or_default()
    }

    /// The answer's ID, after checking that it is the same everywhere.
    pub(crate) fn id(&self) -> String {
        let id = self.header("x-compliance-id").unwrap().to_owned();
        assert_eq!(uuid::Uuid::parse_str(&id).unwrap().get_version_num(), 7);
        if self.body.is_object() && self.body.get("extensions").is_some() {
            assert_eq!(self.body["extensions"]["complianceId"], id);
        }
        for error in self.body["errors"].as_array().into_iter().flatten() {
            assert_eq!(error["extensions"]["complianceId"], id);
        }
        id
    }

    pub(crate) fn assert_refused(&self, status: u16, code: &str) {
        self.id();
        assert_eq!((self.status, self.code()), (status, code), "{}", self.text);
        assert_eq!(self.body.get("data"), None);
    }
}
