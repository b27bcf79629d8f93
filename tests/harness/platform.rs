//! A rehearsed platform for one test: the sandbox in this process, an app of a tenant on it, and owners who consent.

use domain::kernel::ids::IdSource as _;
use infra::system::System;
use reqwest::Method;
use serde_json::{Value, json};
use server::{
    rehearsal::{self, Sandbox},
    serve::{Duties, Queue},
};
use url::Url;

use crate::{
    app::{TestApp, TestTenant},
    client::Client,
    stores::HarnessError,
};

/// What the apps of tests were granted.
pub const SCOPES: [&str; 6] = [
    "user_info",
    "renew_refresh_token",
    "video.create.bind",
    "video.list.bind",
    "video.data.bind",
    "item.comment",
];

/// The sandbox, with a seed of its own.
pub struct TestPlatform {
    /// Where it answers.
    pub url: String,
    http: reqwest::Client,
    sandbox: Sandbox,
}

/// A tenant's app, there and here.
#[derive(Clone, Debug)]
pub struct TestPlatformApp {
    /// What the platform calls it.
    pub client_key: String,
    /// Its secret.
    pub client_secret: String,
    /// Its global id here.
    pub id: String,
    /// Where the platform is to send its news.
    pub webhook_url: String,
}

impl TestPlatform {
    /// Starts one.
    ///
    /// # Errors
    /// It did not start.
    pub fn start() -> Result<Self, HarnessError> {
        let sandbox = rehearsal::start(([127, 0, 0, 1], 0).into(), None, Some(7))?;
        let http =
            reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { url: format!("http://{}", sandbox.address), http, sandbox })
    }

    /// A service that speaks to it.
    ///
    /// # Errors
    /// It did not start.
    pub async fn app(&self) -> Result<TestApp, HarnessError> {
        TestApp::start_with(&[("MATRICULA_DOUYIN_BASE_URL", &self.url)]).await
    }

    /// A service that speaks to it, and leaves tokens to other processes.
    ///
    /// # Errors
    /// It did not start.
    pub async fn untended_app(&self) -> Result<TestApp, HarnessError> {
        let duties = Duties::all_but(Queue::Tokens);
        TestApp::start_for(&[("MATRICULA_DOUYIN_BASE_URL", &self.url)], &duties).await
    }

    /// A service that speaks to it, and leaves posting to other processes. Lists are believed two seconds after.
    ///
    /// # Errors
    /// It did not start.
    pub async fn unposting_app(&self) -> Result<TestApp, HarnessError> {
        let duties = Duties::all_but(Queue::Posts);
        TestApp::start_for(&self.posting_settings(), &duties).await
    }

    /// A service that posts on it. Lists are believed two seconds after.
    ///
    /// # Errors
    /// It did not start.
    pub async fn posting_app(&self) -> Result<TestApp, HarnessError> {
        TestApp::start_with(&self.posting_settings()).await
    }

    /// Settings of who posts on it.
    pub fn posting_settings(&self) -> [(&str, &str); 3] {
        [
            ("MATRICULA_DOUYIN_BASE_URL", &self.url),
            ("MATRICULA_PUBLISHING_SETTLE_S", "2"),
            ("MATRICULA_PUBLISHING_FIGURES_EVERY_S", "1"),
        ]
    }

    /// Ends it.
    pub async fn stop(self) {
        self.sandbox.stop().await;
    }

    /// A call to the control API that must succeed.
    ///
    /// # Errors
    /// It did not.
    pub async fn control(&self, method: Method, path: &str, body: &Value) -> Result<Value, HarnessError> {
        let mut request = self.http.request(method.clone(), format!("{}/_sandbox/{path}", self.url));
        if method != Method::GET {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let body: Value = answer.json().await?;
        if status.is_success() { Ok(body) } else { Err(format!("{path} answered {status}: {body}").into()) }
    }

    /// Calls to a path so far: all, and those whose work was done.
    ///
    /// # Errors
    /// The sandbox did not answer.
    pub async fn calls(&self, path: &str) -> Result<(usize, usize), HarnessError> {
        let told = self.control(Method::GET, &format!("calls?path={path}"), &Value::Null).await?;
        let calls = told["calls"].as_array().cloned().unwrap_or_default();
        let done = calls.iter().filter(|call| call["done"] == true).count();
        Ok((calls.len(), done))
    }

    /// Registers an app there and here, with scopes.
    ///
    /// # Errors
    /// One of them refused.
    pub async fn register(
        &self,
        app: &TestApp,
        tenant: &TestTenant,
    ) -> Result<TestPlatformApp, HarnessError> {
        let client_key = format!("aw{}", tenant.slug.trim_start_matches("t-"));
        let client_secret = format!("secret-of-{client_key}");
        let redirect = format!("{}/link/douyin/callback", app.client.base());
        let draft = json!({
            "client_key": client_key, "client_secret": client_secret, "redirect_uris": [redirect],
        });
        self.control(Method::POST, "apps", &draft).await?;
        let mutation = "mutation ($input: RegisterAppInput!) {
            registerApp(input: $input) @idempotent(key: \"app\") { app { id webhookUrl } userErrors { message } } }";
        let input = json!({
            "platform": "douyin", "name": "Test", "clientKey": client_key, "clientSecret": client_secret,
            "scopes": SCOPES,
        });
        let answer = app.client.graphql(&tenant.owner.token, mutation, json!({ "input": input })).await?;
        let registered = &answer.data("registerApp")["app"];
        let word = |name: &str| registered[name].as_str().map(ToOwned::to_owned);
        let (Some(id), Some(webhook_url)) = (word("id"), word("webhookUrl")) else {
            return Err(format!("the app was refused: {}", answer.body).into());
        };
        Ok(TestPlatformApp { client_key, client_secret, id, webhook_url })
    }

    /// A person on the platform; their id there.
    ///
    /// # Errors
    /// The sandbox refused.
    pub async fn user(&self, nickname: &str) -> Result<String, HarnessError> {
        let user = self.control(Method::POST, "users", &json!({ "nickname": nickname })).await?;
        user["id"].as_str().map(ToOwned::to_owned).ok_or_else(|| "the user has no id".into())
    }

    /// A user consents to what a consent page asks; where the browser is sent.
    ///
    /// # Errors
    /// The page shows an error.
    pub async fn consent(&self, page: &str, user: &str) -> Result<String, HarnessError> {
        let mut ask = json!({ "user": user });
        for (name, value) in Url::parse(page)?.query_pairs() {
            ask[name.as_ref()] = value.as_ref().into();
        }
        let back = self.control(Method::POST, "authorize", &ask).await?;
        back["redirect"].as_str().map(ToOwned::to_owned).ok_or_else(|| "nobody is sent back".into())
    }

    /// Begins to link, has a new user consent, and opens the page they are sent to: its status and text.
    ///
    /// # Errors
    /// A step did not answer.
    pub async fn link(
        &self,
        client: &Client,
        token: &str,
        platform_app: &TestPlatformApp,
        nickname: &str,
    ) -> Result<(u16, String), HarnessError> {
        let mutation = "mutation ($input: BeginLinkInput!, $key: String!) {
            beginLink(input: $input) @idempotent(key: $key) { consentUrl userErrors { message } } }";
        let key = System.next_uuid().to_string();
        let variables = json!({ "input": { "appId": platform_app.id }, "key": key });
        let begun = client.graphql(token, mutation, variables).await?;
        let page =
            begun.data("beginLink")["consentUrl"].as_str().ok_or_else(|| begun.body.to_string())?.to_owned();
        let user = self.user(nickname).await?;
        let back = self.consent(&page, &user).await?;
        self.open(&back).await
    }

    /// A client like the platform's own, for what only it sends.
    pub const fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Opens a page as a browser does: its status and text.
    ///
    /// # Errors
    /// No answer.
    pub async fn open(&self, url: &str) -> Result<(u16, String), HarnessError> {
        let answer = self.http.get(url).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }
}
