//! What it takes to post: a tenant with accounts on a rehearsed platform, a video, and plans that were agreed to.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::kernel::ids::IdSource as _;
use infra::system::System;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    app::{TestApp, TestTenant},
    client::Client,
    platform::{TestPlatform, TestPlatformApp},
    stores::HarnessError,
};

/// A tenant that can post.
pub struct Desk {
    /// The tenant.
    pub tenant: TestTenant,
    /// Its app on the platform.
    pub registered: TestPlatformApp,
    /// Global ids of its accounts, oldest first.
    pub accounts: Vec<String>,
    /// The global id of a video that can be posted.
    pub video: String,
}

/// A post as the schema has it: what tests ask of one.
pub const POST: &str = "id accountId caption status plannedAt dueAt acceptedAt item digest allowedActions hinderedBy
    failedBecause needsDecision candidates { item caption isLikely } creations { number outcome item } duplicates
    timeline { kind status detail complianceId }";

/// An upright video of two seconds, made by FFmpeg, with `padding` zeros behind it: it can be as large as one likes.
///
/// # Errors
/// FFmpeg made none.
pub async fn video(padding: usize) -> Result<Vec<u8>, HarnessError> {
    let folder = std::env::temp_dir().join(format!("matricula-video-{}", System.next_uuid().simple()));
    std::fs::create_dir(&folder)?;
    let file = folder.join("made.mp4");
    let arguments = ["-v", "error", "-f", "lavfi", "-i", "testsrc=size=720x1280:rate=25:duration=2"];
    let command = tokio::process::Command::new("ffmpeg")
        .args(arguments)
        .args(["-pix_fmt", "yuv420p"])
        .arg(&file)
        .status()
        .await?;
    if !command.success() {
        return Err("FFmpeg made no video".into());
    }
    let mut bytes = std::fs::read(&file)?;
    bytes.resize(bytes.len() + padding, 0);
    std::fs::remove_dir_all(folder)?;
    Ok(bytes)
}

/// Sends a file and waits until it can be used: its global id.
///
/// # Errors
/// It can't be.
pub async fn send(client: &Client, token: &str, file: &[u8]) -> Result<String, HarnessError> {
    let begin = "mutation ($input: BeginUploadInput!) { beginUpload(input: $input) { upload { id url } } }";
    let input = json!({ "name": "video.mp4", "mediaType": "video/mp4", "sizeBytes": file.len().to_string() });
    let made = client.graphql(token, begin, json!({ "input": input })).await?;
    let upload = made.data("beginUpload")["upload"].clone();
    let url = upload["url"].as_str().ok_or_else(|| made.body.to_string())?;
    let path = url.strip_prefix(client.base()).unwrap_or(url);
    let bearer = format!("Bearer {token}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("tus-resumable", "1.0.0"),
        ("content-type", "application/offset+octet-stream"),
        ("upload-offset", "0"),
    ];
    let sent = client.send_bytes(Method::PATCH, path, &headers, Some(file.to_vec())).await?;
    if sent.status != 204 {
        return Err(format!("the file was not taken: {}", sent.status).into());
    }
    let query = "query ($id: ID!) { upload(id: $id) { state } }";
    let is_ready = |answer: &crate::client::Answer| answer.data("upload")["state"] == "READY";
    client.graphql_until(token, query, json!({ "id": upload["id"] }), is_ready).await?;
    upload["id"].as_str().map(ToOwned::to_owned).ok_or_else(|| "the upload has no id".into())
}

impl Desk {
    /// A new tenant with so many accounts, and `file` to post.
    ///
    /// # Errors
    /// A step of it was refused.
    pub async fn open(
        platform: &TestPlatform,
        app: &TestApp,
        accounts: usize,
        file: &[u8],
    ) -> Result<Self, HarnessError> {
        let tenant = app.tenant().await?;
        let registered = platform.register(app, &tenant).await?;
        for number in 0..accounts {
            let name = format!("{} {number}", tenant.slug);
            let (status, text) = platform.link(&app.client, &tenant.owner.token, &registered, &name).await?;
            if status != 200 {
                return Err(format!("account {number} was not linked: {text}").into());
            }
        }
        let mut ids = Vec::with_capacity(accounts);
        let mut after = Value::Null;
        while ids.len() < accounts {
            let query = "query ($after: String) { accounts(first: 100, after: $after) {
                nodes { id } pageInfo { endCursor } } }";
            let page = app.client.graphql(&tenant.owner.token, query, json!({ "after": after })).await?;
            let page = page.data("accounts");
            let nodes = page["nodes"].as_array().cloned().unwrap_or_default();
            ids.extend(nodes.iter().filter_map(|node| node["id"].as_str().map(ToOwned::to_owned)));
            after = page["pageInfo"]["endCursor"].clone();
        }
        let video = send(&app.client, &tenant.owner.token, file).await?;
        Ok(Self { tenant, registered, accounts: ids, video })
    }

    /// Plans a post for each of these accounts (by their places), with these texts: the plan's id.
    ///
    /// # Errors
    /// It was refused.
    pub async fn plan(
        &self,
        app: &TestApp,
        items: &[(usize, String)],
        planned_at: DateTime<Utc>,
    ) -> Result<String, HarnessError> {
        let item = |(account, caption): &(usize, String)| json!({ "accountId": self.accounts[*account], "plannedAt": planned_at, "caption": caption });
        let items: Vec<_> = items.iter().map(item).collect();
        let mutation = "mutation ($input: CreatePlanInput!, $key: String!) {
            createPlan(input: $input) @idempotent(key: $key) { plan { id } userErrors { message } } }";
        let input = json!({ "name": "Test", "uploadId": self.video, "items": items });
        let key = System.next_uuid().to_string();
        let variables = json!({ "input": input, "key": key });
        let planned = app.client.graphql(&self.tenant.owner.token, mutation, variables).await?;
        let id = planned.data("createPlan")["plan"]["id"].as_str();
        id.map(ToOwned::to_owned).ok_or_else(|| planned.body.to_string().into())
    }

    /// Agrees to all posts of a plan.
    ///
    /// # Errors
    /// It was refused.
    pub async fn approve(&self, app: &TestApp, plan: &str) -> Result<(), HarnessError> {
        let token = &self.tenant.owner.token;
        let query = "query ($id: ID!) { plan(id: $id) { approvalDigest } }";
        let looked_at = app.client.graphql(token, query, json!({ "id": plan })).await?;
        let digest = looked_at.data("plan")["approvalDigest"].clone();
        let mutation = "mutation ($input: ApprovePlanInput!) {
            approvePlan(input: $input) { plan { id } userErrors { message } } }";
        let input = json!({ "id": plan, "digest": digest });
        let approved = app.client.graphql(token, mutation, json!({ "input": input })).await?;
        if approved.data("approvePlan")["plan"]["id"] == plan {
            Ok(())
        } else {
            Err(approved.body.to_string().into())
        }
    }

    /// Plans and agrees.
    ///
    /// # Errors
    /// It was refused.
    pub async fn post(
        &self,
        app: &TestApp,
        items: &[(usize, String)],
        planned_at: DateTime<Utc>,
    ) -> Result<String, HarnessError> {
        let plan = self.plan(app, items, planned_at).await?;
        self.approve(app, &plan).await?;
        Ok(plan)
    }

    /// The posts of a plan, by the time they are planned for; at most 20.
    ///
    /// # Errors
    /// They were not told.
    pub async fn posts(&self, app: &TestApp, plan: &str) -> Result<Vec<Value>, HarnessError> {
        let query =
            format!("query ($plan: ID!) {{ posts(planId: $plan, first: 20) {{ nodes {{ {POST} }} }} }}");
        let told = app.client.graphql(&self.tenant.owner.token, &query, json!({ "plan": plan })).await?;
        told.data("posts")["nodes"].as_array().cloned().ok_or_else(|| told.body.to_string().into())
    }

    /// The posts of a plan once all of them are as is wanted.
    ///
    /// # Errors
    /// They did not come to it in time.
    pub async fn until(
        &self,
        app: &TestApp,
        plan: &str,
        patience: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Vec<Value>, HarnessError> {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let posts = self.posts(app, plan).await?;
            if posts.iter().all(&wanted) {
                return Ok(posts);
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(format!("not in time: {posts:#?}").into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Whether the platform has taken it.
pub fn is_there(post: &Value) -> bool {
    matches!(post["status"].as_str(), Some("UNDER_REVIEW" | "LIVE"))
}

/// What the platform has really posted: one text for each effect, as far as they are told apart.
///
/// # Errors
/// The sandbox did not answer.
pub async fn posted(platform: &TestPlatform) -> Result<Vec<String>, HarnessError> {
    let told = platform.control(Method::GET, "ledger?kind=post", &Value::Null).await?;
    let effects = told["effects"].as_array().cloned().unwrap_or_default();
    Ok(effects.iter().map(|effect| effect["content_fingerprint"].to_string()).collect())
}
