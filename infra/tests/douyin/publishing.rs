//! Posting: uploads, creations, and what became of them. The sandbox's ledger says what was really done.

use std::{collections::HashSet, time::Duration};

use chrono::TimeDelta;
use domain::{
    accounts::TokenLease,
    kernel::{
        clock::Timestamp,
        ids::{AccountId, PlanId, PostId, UploadId},
    },
    publishing::{
        model::{Medium, Post, PostDraft, Reading, Settled, Standing, Visibility},
        ports::{FileBytes, Listed, NewPost},
    },
};
use infra::outbound::OutboundSettings;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::stage::{Adapter, Stage, kind, quick, scope, secret};

const CREATE: &str = "/api/douyin/v1/video/create_video/";
const UPLOAD: &str = "/api/douyin/v1/video/upload_video/";

fn file(bytes: Vec<u8>) -> FileBytes {
    FileBytes { name: "短片 \"1\".mp4".to_owned(), media_type: "video/mp4".to_owned(), bytes }
}

/// Long enough for any creation.
const LONG: Duration = Duration::from_mins(1);

const fn post(caption: &str) -> NewPost<'_> {
    NewPost { caption, cover_at_ms: Some(1_500), visibility: Visibility::Public }
}

async fn upload(adapter: &Adapter, lease: &TokenLease, byte: u8) -> Medium {
    adapter.publisher.upload(&scope(1), lease, file(vec![byte; 1_000])).await.expect("uploaded")
}

/// All of an account's posts.
async fn listed(adapter: &Adapter, lease: &TokenLease) -> Vec<Listed> {
    let (mut posts, mut cursor) = (Vec::new(), None);
    loop {
        let page = adapter.publisher.list(&scope(1), lease, cursor).await.expect("listed");
        posts.extend(page.posts);
        match page.next {
            None => return posts,
            next => cursor = next,
        }
    }
}

#[tokio::test]
async fn a_video_is_posted_and_followed_to_the_public() {
    let stage = Stage::new().await;
    let (adapter, lease) = stage.posting("Lin").await;
    let medium = upload(&adapter, &lease, 1).await;
    let item = adapter
        .publisher
        .create(&scope(1), &lease, &medium, &post("first light #sunrise"), LONG)
        .await
        .unwrap();
    assert_eq!(stage.effects("post").await, 1);

    let look =
        async || adapter.publisher.look_up(&scope(1), &lease, std::slice::from_ref(&item)).await.unwrap();
    for posts in [listed(&adapter, &lease).await, look().await] {
        assert_eq!(posts.len(), 1);
        let found = &posts[0];
        assert_eq!((&found.item, found.caption.as_str()), (&item, "first light #sunrise"));
        assert_eq!((found.standing, found.figures.plays), (Standing::Pending, Some(0)));
        assert_eq!(found.created_at, "2026-01-01T02:00:00Z".parse::<Timestamp>().unwrap());
    }
    stage.advance(61).await;
    // The list and single posts say it in words of their own.
    assert_eq!(listed(&adapter, &lease).await[0].standing, Standing::Public);
    assert_eq!(look().await[0].standing, Standing::Public);
    stage.set("verdicts", json!({ "item_id": item, "verdict": "takedown" })).await;
    assert_eq!(look().await[0].standing, Standing::Refused);

    // A medium is good for one post.
    let again = adapter.publisher.create(&scope(1), &lease, &medium, &post("again"), LONG).await;
    assert_eq!((kind(&again), stage.effects("post").await), (("medium_refused", 2_190_007), 1));
    // Another account's names are nobody's here.
    let other = stage.app().await;
    let other = stage.lease(&adapter, &other, &stage.user("Mei").await, &crate::stage::POSTING).await;
    assert_eq!(adapter.publisher.look_up(&scope(1), &other, &[item]).await.unwrap(), []);
    stage.stop().await;
}

#[tokio::test]
async fn a_large_file_goes_in_parts_in_any_order() {
    let stage = Stage::new().await;
    stage.switch(json!({ "part_min_bytes": 1_000 })).await;
    let (adapter, lease) = stage.posting("Lin").await;
    let publisher = &adapter.publisher;
    let mut ticket = String::new();
    for order in [[(3, 10), (1, 1_000), (2, 999), (2, 1_000)].as_slice(), &[(1, 1_000), (2, 1_000), (3, 10)]]
    {
        ticket = publisher.begin_parts(&scope(1), &lease).await.unwrap();
        for (number, bytes) in order {
            publisher.put_part(&scope(1), &lease, &ticket, *number, file(vec![7; *bytes])).await.unwrap();
        }
        let medium = publisher.finish_parts(&scope(1), &lease, &ticket).await.unwrap();
        publisher.create(&scope(1), &lease, &medium, &post("parts"), LONG).await.unwrap();
    }
    let ledger = stage.see("ledger?kind=post").await;
    let prints: HashSet<_> =
        ledger["effects"].as_array().unwrap().iter().map(|e| e["content_fingerprint"].to_string()).collect();
    assert_eq!((prints.len(), stage.effects("post").await), (1, 2), "one content, posted twice as was asked");

    assert_eq!(kind(&publisher.finish_parts(&scope(1), &lease, &ticket).await).0, "bad_call", "once only");
    assert_eq!(kind(&publisher.put_part(&scope(1), &lease, "none", 1, file(vec![1])).await).0, "bad_call");
    let gap = publisher.begin_parts(&scope(1), &lease).await.unwrap();
    publisher.put_part(&scope(1), &lease, &gap, 2, file(vec![7; 10])).await.unwrap();
    assert_eq!(
        kind(&publisher.finish_parts(&scope(1), &lease, &gap).await).0,
        "bad_call",
        "a part is missing"
    );
    stage.stop().await;
}

#[tokio::test]
async fn what_the_platform_does_not_want_is_told_apart() {
    let stage = Stage::new().await;
    stage.switch(json!({ "publish_per_day": 1 })).await;
    let (adapter, lease) = stage.posting("Lin").await;
    let create = async |lease: &TokenLease, caption: &str, byte| {
        let medium = upload(&adapter, lease, byte).await;
        kind(&adapter.publisher.create(&scope(1), lease, &medium, &post(caption), LONG).await)
    };
    assert_eq!(create(&lease, &"长".repeat(1_001), 1).await, ("content_refused", 2_114_001));
    assert_eq!(create(&lease, &"长".repeat(1_000), 2).await, ("done", 0));
    assert_eq!(create(&lease, "second", 3).await, ("posts_used_up", 2_114_007));

    let barred = stage.user("Mei").await;
    let app = stage.app().await;
    let barred_lease = stage.lease(&adapter, &app, &barred, &crate::stage::POSTING).await;
    stage
        .control(reqwest::Method::PATCH, &format!("users/{barred}"), json!({ "posting_banned": true }))
        .await;
    assert_eq!(create(&barred_lease, "x", 4).await, ("posting_barred", 2_114_005));

    let reader = stage.lease(&adapter, &app, &stage.user("Bo").await, &["user_info"]).await;
    let refused = adapter.publisher.upload(&scope(1), &reader, file(vec![1])).await;
    assert_eq!(kind(&refused).0, "not_granted");
    assert_eq!(kind(&adapter.publisher.list(&scope(1), &reader, None).await).0, "not_granted");
    let dead = TokenLease { access: secret("act.never"), ..lease.clone() };
    assert_eq!(kind(&adapter.publisher.list(&scope(1), &dead, None).await).0, "token_dead");
    stage.switch(json!({ "total_limit_bytes": 500, "whole_limit_bytes": 500 })).await;
    let large = adapter.publisher.upload(&scope(1), &lease, file(vec![1; 501])).await;
    assert_eq!(kind(&large), ("content_refused", 2_190_005));
    assert_eq!(stage.effects("post").await, 1);
    stage.stop().await;
}

#[tokio::test]
async fn a_list_is_read_to_its_end_and_in_every_spelling() {
    let stage = Stage::new().await;
    let (adapter, lease) = stage.posting("Lin").await;
    for number in 0..45_u8 {
        let medium = upload(&adapter, &lease, number).await;
        let caption = format!("post {number}");
        adapter.publisher.create(&scope(1), &lease, &medium, &post(&caption), LONG).await.unwrap();
        stage.advance(10).await;
    }
    for quirk in ["never", "always"] {
        stage.switch(json!({ "string_numbers": quirk, "omit_data_code": quirk })).await;
        let posts = listed(&adapter, &lease).await;
        let captions: Vec<_> = posts.iter().map(|listed| listed.caption.clone()).collect();
        let expected: Vec<_> = (0..45).rev().map(|number| format!("post {number}")).collect();
        assert_eq!(captions, expected, "{quirk}");
    }
    stage.stop().await;
}

/// What reading says, long after, of a creation that was asked for at the sandbox's time and has no answer.
async fn evidence(stage: &Stage, adapter: &Adapter, lease: &TokenLease, caption: &str) -> Option<Settled> {
    let now =
        stage.see("state").await["clock"]["now"].as_str().expect("a time").parse::<Timestamp>().unwrap();
    let id = Uuid::from_u128(1);
    let draft = PostDraft {
        upload: UploadId::from_uuid(Uuid::from_u128(1)),
        caption: caption.to_owned(),
        cover_at_ms: None,
        visibility: Visibility::Public,
    };
    let of = (PlanId::from_uuid(id), AccountId::from_uuid(id));
    let mut post = Post::new(PostId::from_uuid(id), of, draft, now, now);
    post.submit().unwrap();
    post.approve(&post.digest(), now).unwrap();
    post.take_up(now).unwrap();
    post.uploaded(Medium { id: "m".to_owned() }).unwrap();
    post.creation_begun(now).unwrap();
    post.take_up(now).unwrap();
    let later = now + TimeDelta::seconds(400);
    let mut reading = Reading::begin(&post, later)?;
    let mut cursor = None;
    loop {
        let page = adapter.publisher.list(&scope(1), lease, cursor).await.ok()?;
        if reading.take(&page, &HashSet::new()) {
            return post.settle(reading, TimeDelta::seconds(300), later).ok();
        }
        cursor = page.next;
    }
}

#[tokio::test]
async fn a_creation_is_asked_for_once_and_what_became_of_it_is_read() {
    let stage = Stage::new().await;
    let (adapter, lease) = stage.posting("Lin").await;
    let once = || json!({ "count": 1 });
    let (mut calls, mut made) = (0, 0);
    for (number, (harm, more, expected, done)) in (0_u8..).zip([
        ("busy", once(), "unknown", false),
        // It says that it is busy, and has done it.
        ("busy", json!({ "count": 1, "after_commit": true }), "unknown", true),
        ("network", once(), "unknown", false),
        ("html502", once(), "unknown", false),
        ("reset", json!({ "count": 1, "after_commit": false }), "unknown", false),
        ("reset", once(), "unknown", true),
        ("truncated", once(), "unknown", true),
        ("code", json!({ "count": 1, "code": 424_242 }), "unlisted", false),
        ("rate", once(), "not_done", false),
        ("risk", once(), "unknown", false),
        ("banned", once(), "app_off", false),
        ("retired", once(), "ability_off", false),
    ]) {
        let medium = upload(&adapter, &lease, number).await;
        let caption = format!("{harm} {number}");
        stage.fault(CREATE, harm, more).await;
        let answer = adapter.publisher.create(&scope(1), &lease, &medium, &post(&caption), LONG).await;
        (calls, made) = (calls + 1, made + usize::from(done));
        assert_eq!(kind(&answer).0, expected, "{harm} {number}");
        assert_eq!(
            (stage.calls(CREATE).await, stage.effects("post").await),
            (calls, made),
            "{harm} {number}"
        );
        let read = evidence(&stage, &adapter, &lease, &caption).await;
        let expected = if done { Settled::Found } else { Settled::Absent };
        assert_eq!(read, Some(expected), "{harm} {number}");
        // Beyond the time in which one post might be taken for another.
        stage.advance(1_400).await;
    }
    stage.stop().await;
}

#[tokio::test]
async fn an_upload_has_more_time_than_other_calls() {
    let stage = Stage::new().await;
    let (patient, lease) = stage.posting("Lin").await;
    let hasty =
        stage.adapter(OutboundSettings { total_timeout: std::time::Duration::from_millis(600), ..quick() });
    let slow: fn() -> Value = || json!({ "count": 1, "delay_ms": 1_500 });
    stage.fault(UPLOAD, "slow", slow()).await;
    let medium = hasty.publisher.upload(&scope(1), &lease, file(vec![1])).await.expect("in time");
    stage.fault(CREATE, "slow", slow()).await;
    let late = hasty.publisher.create(&scope(1), &lease, &medium, &post("late"), LONG).await;
    assert_eq!((kind(&late).0, stage.effects("post").await), ("unknown", 1));
    assert_eq!(listed(&patient, &lease).await.len(), 1);
    stage.stop().await;
}
