//! The story goes on: a video is made, sent in pieces, planned on three accounts, agreed to and posted. One of the platform's
//! answers is lost on the way, and what became of it is found out before the viewer's eyes.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use domain::kernel::{clock::Clock as _, ids::IdSource as _};
use infra::system::System;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    client::{Front, Socket},
    stage::Stage,
    story::text,
};
use crate::{dev::Dev, wiring::StartupError};

/// What each account's text has of its own.
const CITIES: [&str; 3] = ["Hangzhou", "Shanghai", "Beijing"];

/// How long the platform of the story looks at a post.
const REVIEW_S: u32 = 5;

/// Longest the story waits for a post to be live.
const PATIENCE: Duration = Duration::from_secs(90);

/// Times the figures move before the viewer's eyes.
const WATCHED: u32 = 8;

/// How many people the rehearsed platform shows a post to: many, so that something is to be seen within seconds.
const REACH: u32 = 1_000_000;

const CREATE: &str = "/api/douyin/v1/video/create_video/";

/// How many lines of each post's timeline were told.
type Told = HashMap<String, usize>;

/// Who acts, for a tenant.
struct Desk<'a> {
    dev: &'a Dev,
    front: &'a Front,
    token: &'a str,
}

pub(super) async fn play(dev: &Dev, front: &Front, stage: &mut Stage) -> Result<(), StartupError> {
    let tenant = dev.report.tenants.first().ok_or("there is no demo tenant")?;
    let token = tenant.members.first().ok_or("the demo tenant has no owner")?.access_token.as_str();
    let desk = Desk { dev, front, token };

    stage.step("Make an upright video with FFmpeg");
    let video = make_video().await?;
    stage.done(&format!("{} bytes", video.len()));

    stage.step("Send it in three pieces, by the tus protocol");
    let upload = desk.send(&video, stage).await?;

    stage.step("Hold it against the platform's rules, before anything is planned");
    let query =
        "query ($id: ID!) { upload(id: $id) { sha256 media { durationMs video { codec width height } }
        preflight(platform: \"douyin\") { code severity } } }";
    let known = front.graphql(token, query, json!({ "id": upload })).await?;
    let (media, findings) = (&known["upload"]["media"], &known["upload"]["preflight"]);
    let picture = &media["video"];
    let told = format!(
        "{} of {} x {}, {} ms; findings: {findings}",
        picture["codec"], picture["width"], picture["height"], media["durationMs"]
    );
    stage.done(&told);

    stage.step("Plan it on three accounts, each with a text of its own");
    let plan = desk.plan(&upload).await?;
    let mut told = Told::new();
    for post in desk.posts(&plan).await? {
        told.insert(word(&post, "id"), 1);
        stage.done(&format!("{}: {}", post["caption"], word(&post, "status")));
    }

    stage.step("Agree to exactly that, by its digest");
    // From here on one of the platform's answers is lost: the work is done, and the connection is cut.
    desk.rehearse(Method::PATCH, "switches", &json!({ "review_delay_s": REVIEW_S, "reach": REACH })).await?;
    let fault = json!({ "path": CREATE, "harm": "reset", "count": 1, "skip": 1 });
    desk.rehearse(Method::POST, "faults", &fault).await?;
    let query = "subscription { postEvents { postId } }";
    let mut events = Socket::subscribe(&dev.report.websocket, token, query).await?;
    let digest = desk.approve(&plan).await?;
    stage.done(&digest);

    stage.step("Watch them being posted, one answer of the platform being lost");
    desk.follow(&plan, (&mut events, &mut told), stage, &["UNDER_REVIEW", "LIVE"]).await?;

    stage.step("Follow the platform's review to the public");
    desk.follow(&plan, (&mut events, &mut told), stage, &["LIVE"]).await?;

    stage.step("See their figures live, on a subscription");
    desk.watch(&plan, stage).await?;

    stage.step("Ask the platform's ledger what was really posted");
    let mine: Vec<_> = desk.posts(&plan).await?.iter().map(|post| word(post, "item")).collect();
    let ledger = desk.rehearse(Method::GET, "ledger?kind=post", &Value::Null).await?;
    let effects = ledger["effects"].as_array().cloned().unwrap_or_default();
    let times =
        |item: &String| effects.iter().filter(|effect| effect["made"]["item_id"] == item.as_str()).count();
    let all: Vec<_> = mine.iter().map(times).collect();
    if all != [1; 3] {
        return Err(format!("posted {all:?} times, and not once each").into());
    }
    stage.done("three posts, each once");
    Ok(())
}

fn word(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

async fn make_video() -> Result<Vec<u8>, StartupError> {
    let name = format!("story-{}.mp4", System.next_uuid().simple());
    let file = std::env::temp_dir().join(name);
    let source = "testsrc2=size=720x1280:rate=25:duration=6";
    let sound = "sine=frequency=330:duration=6";
    let made = tokio::process::Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", source, "-f", "lavfi", "-i", sound])
        .args(["-pix_fmt", "yuv420p", "-c:a", "aac", "-shortest"])
        .arg(&file)
        .status()
        .await
        .map_err(|e| format!("FFmpeg does not start: {e}; `make setup` installs it"))?;
    if !made.success() {
        return Err("FFmpeg made no video".into());
    }
    let bytes = std::fs::read(&file)?;
    std::fs::remove_file(&file)?;
    Ok(bytes)
}

impl Desk<'_> {
    async fn rehearse(&self, method: Method, path: &str, body: &Value) -> Result<Value, StartupError> {
        let url = format!("{}/_sandbox/{path}", self.dev.report.sandbox);
        Ok(self.front.rehearse(method, &url, body).await?.unwrap_or_default())
    }

    /// Sends a file in pieces; its id once it was read back.
    async fn send(&self, video: &[u8], stage: &mut Stage) -> Result<Value, StartupError> {
        let mutation =
            "mutation ($input: BeginUploadInput!) { beginUpload(input: $input) { upload { id url } } }";
        let input = json!({
            "name": "story.mp4", "mediaType": "video/mp4", "sizeBytes": video.len().to_string(),
        });
        let begun = self.front.graphql(self.token, mutation, json!({ "input": input })).await?;
        let upload = begun["beginUpload"]["upload"].clone();
        let mut offset = 0;
        for piece in video.chunks(video.len().div_ceil(3)) {
            self.front.patch(self.token, text(&upload, "url")?, offset, piece).await?;
            offset += piece.len();
            stage.done(&format!("{offset} bytes are there"));
        }
        let query = "query ($id: ID!) { upload(id: $id) { state } }";
        for _ in 0..150 {
            let known = self.front.graphql(self.token, query, json!({ "id": upload["id"] })).await?;
            if known["upload"]["state"] == "READY" {
                return Ok(upload["id"].clone());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err("the video was not read back".into())
    }

    async fn plan(&self, upload: &Value) -> Result<Value, StartupError> {
        let query = "{ accounts(first: 3) { nodes { id } } }";
        let accounts = self.front.graphql(self.token, query, json!({})).await?;
        let now = System.now();
        let item = |(account, city): (&Value, &str)| {
            json!({
                "accountId": account["id"], "plannedAt": now,
                "variables": [{ "name": "city", "value": city }],
            })
        };
        let accounts = accounts["accounts"]["nodes"].as_array().cloned().unwrap_or_default();
        let items: Vec<_> = accounts.iter().zip(CITIES).map(item).collect();
        let mutation = "mutation ($input: CreatePlanInput!, $key: String!) {
            createPlan(input: $input) @idempotent(key: $key) { plan { id } userErrors { message } } }";
        // A text of its own for each story: one that is told again is no double.
        let input = json!({
            "name": "Spring opening", "uploadId": upload, "items": items,
            "caption": format!("We open in {{{{city}}}} at {} #opening", now.format("%H:%M:%S")),
        });
        let key = System.next_uuid().to_string();
        let planned = self.front.graphql(self.token, mutation, json!({ "input": input, "key": key })).await?;
        let plan = planned["createPlan"]["plan"]["id"].clone();
        if plan.is_null() { Err(format!("the plan was refused: {planned}").into()) } else { Ok(plan) }
    }

    async fn approve(&self, plan: &Value) -> Result<String, StartupError> {
        let query = "query ($id: ID!) { plan(id: $id) { approvalDigest } }";
        let known = self.front.graphql(self.token, query, json!({ "id": plan })).await?;
        let digest = word(&known["plan"], "approvalDigest");
        let mutation = "mutation ($input: ApprovePlanInput!) {
            approvePlan(input: $input) { plan { id } userErrors { message } } }";
        let input = json!({ "id": plan, "digest": digest });
        let approved = self.front.graphql(self.token, mutation, json!({ "input": input })).await?;
        if approved["approvePlan"]["plan"].is_null() {
            return Err(format!("agreeing was refused: {approved}").into());
        }
        Ok(digest)
    }

    async fn posts(&self, plan: &Value) -> Result<Vec<Value>, StartupError> {
        let query = "query ($plan: ID!) { posts(planId: $plan, first: 3) { nodes {
            id caption status item timeline { at kind detail } } } }";
        let posts = self.front.graphql(self.token, query, json!({ "plan": plan })).await?;
        Ok(posts["posts"]["nodes"].as_array().cloned().unwrap_or_default())
    }

    /// Tells the figures of all posts of a plan as they move.
    async fn watch(&self, plan: &Value, stage: &mut Stage) -> Result<(), StartupError> {
        let query = format!(
            "subscription {{ figures(planId: {plan}) {{ posts plays likes comments shares readAt }} }}"
        );
        let mut figures = Socket::subscribe(&self.dev.report.websocket, self.token, &query).await?;
        for _ in 0..WATCHED {
            let moved = figures.receive("next").await?;
            let moved = &moved["payload"]["data"]["figures"];
            let told = |name: &str| moved[name].as_str().unwrap_or("no").to_owned();
            stage.done(&format!(
                "{} posts: {} plays, {} likes, {} comments, {} shares",
                told("posts"),
                told("plays"),
                told("likes"),
                told("comments"),
                told("shares")
            ));
        }
        Ok(())
    }

    /// Tells each new line of the posts' timelines as the subscription says that there is one, until all stand so.
    async fn follow(
        &self,
        plan: &Value,
        (events, told): (&mut Socket, &mut Told),
        stage: &mut Stage,
        wanted: &[&str],
    ) -> Result<(), StartupError> {
        let begun = tokio::time::Instant::now();
        loop {
            let posts = self.posts(plan).await?;
            for post in &posts {
                let notes = post["timeline"].as_array().cloned().unwrap_or_default();
                let seen = told.entry(word(post, "id")).or_default();
                for note in notes.iter().skip(*seen) {
                    stage.done(&line(post, note));
                }
                *seen = notes.len();
            }
            if posts.iter().all(|post| wanted.contains(&word(post, "status").as_str())) {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("the posts did not come to {wanted:?} in time").into());
            }
            // News or not, the posts are read again: the story must not hang on one lost message.
            let _ = tokio::time::timeout(Duration::from_secs(2), events.receive("next")).await;
        }
    }
}

/// One line of a timeline.
fn line(post: &Value, note: &Value) -> String {
    let at = word(note, "at").parse::<DateTime<Utc>>().map(|at| at.format("%H:%M:%S%.3f").to_string());
    // Of a digest its beginning will do, and of what was found the evidence is for who looks closer.
    let short = |detail: &str| {
        let said = detail.split_once("; ").map_or(detail, |(found, _)| found);
        said.get(..16).filter(|_| said.len() > 44).unwrap_or(said).to_owned()
    };
    let detail = note["detail"].as_str().map(short);
    let detail = detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
    let kind = word(note, "kind").to_lowercase().replace('_', " ");
    format!("{} {}: {kind}{detail}", at.unwrap_or_default(), word(post, "caption"))
}
