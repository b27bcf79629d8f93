//! A sandbox with a frozen clock, and the adapter in front of it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use domain::{
    accounts::{
        TokenLease,
        model::AppCredentials,
        ports::{Authorizer, ConsentAsk, Granted, PlatformError},
    },
    kernel::{
        fault::Retry,
        ids::{AppId, TenantId},
        scope::TenantScope,
        secret::Secret,
    },
    publishing::ports::Publisher,
};
use infra::{
    governor::GovernorRateLimiter,
    outbound::{BreakerSettings, OutboundEvent, OutboundSettings, ThrottleSettings, Uncounted, outbound},
    platforms,
};
use reqwest::{Client, Method, redirect};
use sandbox::{Options, Sandbox};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

pub(crate) const REDIRECT: &str = "https://app.example/callback?from=douyin";
/// What posting and looking after it takes.
pub(crate) const POSTING: [&str; 4] =
    ["user_info", "video.create.bind", "video.list.bind", "video.data.bind"];
pub(crate) const DAY_S: i64 = 86_400;

pub(crate) struct Stage {
    pub(crate) url: String,
    http: Client,
    sandbox: Sandbox,
}

/// The adapter, over all of the outbound stack.
pub(crate) struct Adapter {
    pub(crate) authorizer: Arc<dyn Authorizer>,
    pub(crate) publisher: Arc<dyn Publisher>,
    events: Arc<Mutex<Vec<OutboundEvent>>>,
}

impl Adapter {
    /// How calls ended, since the last look.
    pub(crate) fn outcomes(&self) -> Vec<&'static str> {
        let outcome = |event: OutboundEvent| match event {
            OutboundEvent::Ended { outcome, .. } => Some(outcome),
            OutboundEvent::Retried { .. } | OutboundEvent::Breaker { .. } => None,
        };
        self.events.lock().unwrap().drain(..).filter_map(outcome).collect()
    }
}

pub(crate) fn scope(n: u128) -> TenantScope {
    TenantScope::of(TenantId::from_uuid(Uuid::from_u128(n)))
}

pub(crate) fn secret(text: &str) -> Secret {
    Secret::from(text.to_owned())
}

/// Quick to give up and to try again.
pub(crate) fn quick() -> OutboundSettings {
    OutboundSettings {
        connect_timeout: Duration::from_secs(5),
        total_timeout: Duration::from_secs(5),
        retry_pauses: [1, 1].map(Duration::from_millis).to_vec(),
        throttle: ThrottleSettings { in_flight: 64, per_second: 1_000, patience: Duration::from_secs(5) },
        // A busy machine is slow, which is not what these tests are about.
        breaker: BreakerSettings { slow_after: Duration::from_mins(1), ..BreakerSettings::default() },
        ..OutboundSettings::default()
    }
}

/// The kind of an error: a refusal's word and code, or `not_done`, `unknown`, `unlisted`.
pub(crate) fn kind<T>(result: &Result<T, PlatformError>) -> (&'static str, i64) {
    match result {
        Ok(_) => ("done", 0),
        Err(PlatformError::Refused(refusal)) => (refusal.kind.as_str(), refusal.code),
        Err(PlatformError::NotDone(_)) => ("not_done", 0),
        Err(PlatformError::Unknown(fault)) if fault.retry == Retry::Useless => ("unlisted", 0),
        Err(PlatformError::Unknown(_)) => ("unknown", 0),
    }
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let options = Options { listen: ([127, 0, 0, 1], 0).into(), dir: None, seed: Some(7) };
        let sandbox = Sandbox::start(&options).expect("started");
        let http = Client::builder().no_proxy().redirect(redirect::Policy::none()).build().expect("a client");
        let stage = Self { url: format!("http://{}", sandbox.address), http, sandbox };
        stage.set("clock", json!({ "frozen": true, "now": "2026-01-01T02:00:00Z" })).await;
        stage
    }

    pub(crate) async fn stop(self) {
        self.sandbox.stop().await;
    }

    pub(crate) fn adapter(&self, settings: OutboundSettings) -> Adapter {
        let events = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&events);
        let limiter = Arc::new(GovernorRateLimiter::new(1_000));
        let observer = Arc::new(move |event| told.lock().unwrap().push(event));
        let (transport, _) = outbound(settings, limiter, Arc::new(Uncounted), observer).expect("a transport");
        let tables = json!({ "douyin": { "base_url": self.url, "optional_scopes": ["item.comment"] } });
        let tables = tables.as_object().unwrap();
        let platforms = platforms::register(tables, &transport).expect("good settings");
        let publishers = platforms::publishers(tables, &transport).expect("good settings");
        let publisher = publishers.get("douyin").expect("registered").clone();
        Adapter { authorizer: platforms.get("douyin").expect("registered").clone(), publisher, events }
    }

    /// A call to the control API that must succeed.
    pub(crate) async fn set(&self, path: &str, body: Value) -> Value {
        self.control(Method::POST, path, body).await
    }

    pub(crate) async fn control(&self, method: Method, path: &str, body: Value) -> Value {
        let request = self.http.request(method, format!("{}/_sandbox/{path}", self.url)).json(&body);
        let response = request.send().await.expect("answered");
        let status = response.status();
        let answer: Value = response.json().await.expect("JSON");
        assert!(status.is_success(), "{path}: {status} {answer}");
        answer
    }

    pub(crate) async fn see(&self, path: &str) -> Value {
        let response = self.http.get(format!("{}/_sandbox/{path}", self.url)).send().await.expect("answered");
        response.json().await.expect("JSON")
    }

    pub(crate) async fn advance(&self, seconds: i64) {
        self.set("clock", json!({ "advance_s": seconds })).await;
    }

    pub(crate) async fn switch(&self, changes: Value) {
        self.control(Method::PATCH, "switches", changes).await;
    }

    pub(crate) async fn fault(&self, path: &str, harm: &str, more: Value) {
        let mut fault = json!({ "path": path, "harm": harm });
        for (name, value) in more.as_object().unwrap() {
            fault[name] = value.clone();
        }
        self.set("faults", fault).await;
    }

    /// How many there are of what a page of the control API lists.
    async fn count(&self, path: &str, list: &str) -> usize {
        self.see(path).await[list].as_array().map_or_else(|| panic!("no {list} at {path}"), Vec::len)
    }

    /// Calls the platform received at a path.
    pub(crate) async fn calls(&self, path: &str) -> usize {
        self.count(&format!("calls?path={path}"), "calls").await
    }

    /// Calls it received at all.
    pub(crate) async fn all_calls(&self) -> usize {
        self.count("calls", "calls").await
    }

    /// Effects of a kind, however they were answered.
    pub(crate) async fn effects(&self, kind: &str) -> usize {
        self.count(&format!("ledger?kind={kind}"), "effects").await
    }

    pub(crate) async fn app(&self) -> AppCredentials {
        let app = self.set("apps", json!({ "redirect_uris": [REDIRECT] })).await;
        let text = |name: &str| app[name].as_str().expect("a text").to_owned();
        let number = self.count("apps", "apps").await;
        AppCredentials {
            app: AppId::from_uuid(Uuid::from_u128(u128::try_from(number).unwrap())),
            client_key: text("client_key"),
            client_secret: secret(&text("client_secret")),
        }
    }

    pub(crate) async fn change_app(&self, app: &AppCredentials, changes: Value) {
        self.control(Method::PATCH, &format!("apps/{}", app.client_key), changes).await;
    }

    pub(crate) async fn user(&self, nickname: &str) -> String {
        let user = self.set("users", json!({ "nickname": nickname })).await;
        user["id"].as_str().expect("an id").to_owned()
    }

    /// Shows the consent page to a user, who says yes; where the browser goes then.
    pub(crate) async fn consent(&self, page: &str, user: &str) -> Url {
        let shown = self.http.get(page).send().await.expect("answered");
        let html = shown.text().await.expect("text");
        assert!(html.contains("<form"), "{html}");
        let page = Url::parse(page).unwrap();
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(page.query_pairs()).append_pair("user", user).append_pair("decision", "allow");
        let request = self.http.post(format!("{}{}", self.url, page.path()));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form.finish());
        let response = request.send().await.expect("answered");
        assert_eq!(response.status(), 302);
        Url::parse(response.headers()["location"].to_str().unwrap()).unwrap()
    }

    /// A code that a user's consent gave.
    pub(crate) async fn code(&self, adapter: &Adapter, app: &AppCredentials, user: &str) -> Secret {
        self.code_for(adapter, app, user, &["user_info", "video.list.bind"]).await
    }

    /// The same for these scopes.
    pub(crate) async fn code_for(
        &self,
        adapter: &Adapter,
        app: &AppCredentials,
        user: &str,
        scopes: &[&str],
    ) -> Secret {
        let scopes: Vec<_> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let page = adapter.authorizer.consent_url(&ConsentAsk {
            client_key: &app.client_key,
            scopes: &scopes,
            redirect_uri: REDIRECT,
            state: "s t&te",
            challenge: None,
        });
        let back = self.consent(&page, user).await;
        let code = back.query_pairs().find(|(name, _)| name == "code").expect("a code");
        secret(&code.1)
    }

    /// Tokens that a user's consent gave.
    pub(crate) async fn granted(&self, adapter: &Adapter, app: &AppCredentials, user: &str) -> Granted {
        let code = self.code(adapter, app, user).await;
        adapter.authorizer.exchange(&scope(1), app, &code, None).await.expect("granted")
    }

    /// An adapter, and what an account that may post is posted for with.
    pub(crate) async fn posting(&self, nickname: &str) -> (Adapter, TokenLease) {
        let adapter = self.adapter(quick());
        let (app, user) = (self.app().await, self.user(nickname).await);
        let lease = self.lease(&adapter, &app, &user, &POSTING).await;
        (adapter, lease)
    }

    pub(crate) async fn lease(
        &self,
        adapter: &Adapter,
        app: &AppCredentials,
        user: &str,
        scopes: &[&str],
    ) -> TokenLease {
        let code = self.code_for(adapter, app, user, scopes).await;
        let granted = adapter.authorizer.exchange(&scope(1), app, &code, None).await.expect("granted");
        TokenLease {
            account: domain::kernel::ids::AccountId::from_uuid(uuid::Uuid::from_u128(3)),
            platform: domain::kernel::platform::PlatformKey::parse("douyin").expect("a name"),
            access: granted.access,
            open_id: granted.open_id,
            credentials: app.clone(),
            expires_at: chrono::DateTime::UNIX_EPOCH,
            version: 1,
        }
    }

    /// All there is for a test: adapter, app, and tokens of a user.
    pub(crate) async fn linked(&self) -> (Adapter, AppCredentials, Granted) {
        let adapter = self.adapter(quick());
        let (app, user) = (self.app().await, self.user("Lin").await);
        let granted = self.granted(&adapter, &app, &user).await;
        (adapter, app, granted)
    }
}
