//! A sandbox with a frozen clock, an app and users, and the calls the tests make to it.

use std::path::Path;

use reqwest::{Client, Method, RequestBuilder, multipart};
use sandbox::{Options, Sandbox};
use serde_json::{Value, json};

pub(crate) const REDIRECT: &str = "https://app.example/callback?from=douyin";
/// Every scope that the tests ask users for.
pub(crate) const SCOPES: &str = "user_info,video.create.bind,video.create,video.list.bind,video.list,video.data.bind,\
                                 item.comment,data.external.item,data.external.user,fans.data.bind,fans.data,aweme.share";

pub(crate) struct Stage {
    pub(crate) url: String,
    pub(crate) http: Client,
    sandbox: Sandbox,
}

#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) key: String,
    pub(crate) secret: String,
}

/// What a user's authorization gave an app.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) open_id: String,
}

pub(crate) fn client() -> Client {
    Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("a client")
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::seeded(7, None).await
    }

    pub(crate) async fn seeded(seed: u64, dir: Option<&Path>) -> Self {
        let options =
            Options { listen: ([127, 0, 0, 1], 0).into(), dir: dir.map(Path::to_path_buf), seed: Some(seed) };
        let sandbox = Sandbox::start(&options).expect("started");
        let stage = Self { url: format!("http://{}", sandbox.address), http: client(), sandbox };
        stage.set("clock", json!({ "frozen": true, "now": "2026-01-01T02:00:00Z" })).await;
        stage
    }

    pub(crate) async fn stop(self) {
        self.sandbox.stop().await;
    }

    /// A call to the control API that must succeed.
    pub(crate) async fn set(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.control(Method::POST, path, body).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    pub(crate) async fn control(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = self.http.request(method, format!("{}/_sandbox/{path}", self.url)).json(&body);
        let response = request.send().await.expect("answered");
        (response.status().as_u16(), response.json().await.expect("JSON"))
    }

    pub(crate) async fn see(&self, path: &str) -> Value {
        let response = self.http.get(format!("{}/_sandbox/{path}", self.url)).send().await.expect("answered");
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.expect("JSON")
    }

    pub(crate) async fn switch(&self, changes: Value) {
        self.set("switches", changes).await;
    }

    pub(crate) async fn advance(&self, seconds: i64) {
        self.set("clock", json!({ "advance_s": seconds })).await;
    }

    pub(crate) async fn app(&self) -> App {
        let app = self.set("apps", json!({ "redirect_uris": [REDIRECT] })).await;
        let text = |name: &str| app[name].as_str().expect("a text").to_owned();
        App { key: text("client_key"), secret: text("client_secret") }
    }

    pub(crate) async fn user(&self, nickname: &str) -> String {
        let user = self.set("users", json!({ "nickname": nickname })).await;
        user["id"].as_str().expect("an id").to_owned()
    }

    /// The user says yes to the app; the code.
    pub(crate) async fn code(&self, app: &App, user: &str, scopes: &str) -> String {
        let wish = json!({ "client_key": app.key, "response_type": "code", "scope": scopes, "redirect_uri": REDIRECT,
                           "state": "s t", "user": user });
        let answer = self.set("authorize", wish).await;
        answer["code"].as_str().expect("a code").to_owned()
    }

    pub(crate) async fn grant(&self, app: &App, user: &str, scopes: &str) -> Grant {
        let code = self.code(app, user, scopes).await;
        let data = self.exchange(app, &code).await["data"].clone();
        let text = |name: &str| data[name].as_str().expect("a text").to_owned();
        Grant { access: text("access_token"), refresh: text("refresh_token"), open_id: text("open_id") }
    }

    pub(crate) async fn exchange(&self, app: &App, code: &str) -> Value {
        let fields = [
            ("client_key", app.key.as_str()),
            ("client_secret", &app.secret),
            ("code", code),
            ("grant_type", "authorization_code"),
        ];
        self.form("/oauth/access_token/", &fields).await
    }

    pub(crate) async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Value {
        json_of(self.http.post(format!("{}{path}", self.url)).form(fields)).await
    }

    pub(crate) async fn client_token(&self, app: &App) -> String {
        let answer = self.client_token_answer(app, "client_token").await;
        answer["data"]["access_token"].as_str().expect("a token").to_owned()
    }

    pub(crate) async fn client_token_answer(&self, app: &App, kind: &str) -> Value {
        let body =
            json!({ "client_key": app.key, "client_secret": app.secret, "grant_type": "client_credential" });
        json_of(self.http.post(format!("{}/oauth/{kind}/", self.url)).json(&body)).await
    }

    /// A request with token and open_id in their places.
    pub(crate) fn request(&self, method: Method, path: &str, grant: &Grant) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        request.header("access-token", &grant.access).query(&[("open_id", &grant.open_id)])
    }

    pub(crate) async fn get(&self, path: &str, grant: &Grant, query: &[(&str, &str)]) -> Value {
        json_of(self.request(Method::GET, path, grant).query(query)).await
    }

    pub(crate) async fn post(&self, path: &str, grant: &Grant, body: Value) -> Value {
        json_of(self.request(Method::POST, path, grant).json(&body)).await
    }

    pub(crate) async fn as_app(&self, path: &str, token: &str, query: &[(&str, &str)]) -> Value {
        json_of(self.http.get(format!("{}{path}", self.url)).header("access-token", token).query(query)).await
    }

    pub(crate) async fn upload(&self, grant: &Grant, bytes: Vec<u8>) -> Value {
        let request = self.request(Method::POST, "/api/douyin/v1/video/upload_video/", grant);
        json_of(request.multipart(file("video", bytes))).await
    }

    /// Uploads and posts; the item_id.
    pub(crate) async fn publish(&self, grant: &Grant, text: &str) -> String {
        let uploaded = self.upload(grant, text.as_bytes().to_vec()).await;
        let video_id = &uploaded["data"]["video"]["video_id"];
        let path = "/api/douyin/v1/video/create_video/";
        let created = self.post(path, grant, json!({ "video_id": video_id, "text": text })).await;
        created["data"]["item_id"].as_str().unwrap_or_else(|| panic!("{created}")).to_owned()
    }

    /// What `video_data` says of a post.
    pub(crate) async fn video(&self, grant: &Grant, item_id: &str) -> Value {
        let answer =
            self.post("/api/douyin/v1/video/video_data/", grant, json!({ "item_ids": [item_id] })).await;
        assert_eq!(code(&answer), 0, "{answer}");
        answer["data"]["list"][0].clone()
    }

    pub(crate) async fn effects(&self, kind: &str) -> Vec<Value> {
        self.see(&format!("ledger?kind={kind}")).await["effects"].as_array().expect("a list").clone()
    }
}

pub(crate) fn file(field: &str, bytes: Vec<u8>) -> multipart::Form {
    let part = multipart::Part::bytes(bytes).file_name("a.mp4").mime_str("video/mp4").expect("a type");
    multipart::Form::new().part(field.to_owned(), part)
}

pub(crate) async fn json_of(request: RequestBuilder) -> Value {
    let response = request.send().await.expect("answered");
    assert_eq!(response.status(), 200, "business errors are 200");
    response.json().await.expect("JSON")
}

/// The code of an envelope of any shape; both places of A must agree.
#[track_caller]
pub(crate) fn code(answer: &Value) -> i64 {
    if let Some(code) = answer["err_no"].as_i64() {
        return code;
    }
    let code = answer["data"]["error_code"].as_i64();
    if answer.get("extra").is_some() {
        assert_eq!(answer["extra"]["error_code"].as_i64(), code, "{answer}");
    }
    code.unwrap_or_else(|| panic!("no code: {answer}"))
}

/// Lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("room");
        text
    })
}
