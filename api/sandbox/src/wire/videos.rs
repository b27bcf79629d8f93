//! Posts as their author's app sees them: lists, single posts, frames.

use serde_json::{Value, json};

use super::{Envelope, Route, access, call::Call, route};
use crate::platform::{
    Platform,
    calendar::SECOND_MS,
    posts::{Kind, Post, Stage},
    refusal::Refusal,
};

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/api/douyin/v1/video/video_list/", Envelope::A, list),
    route("POST", "/api/douyin/v1/video/video_data/", Envelope::A, data),
    route("POST", "/api/douyin/v1/video/video_basic_info/", Envelope::A, basic_info),
    route("GET", "/api/douyin/v1/video/get_iframe_by_video", Envelope::B, frame),
    route("GET", "/api/douyin/v1/video/get_iframe_by_item", Envelope::B, frame),
    route("GET", "/video/list/", Envelope::A, list),
    route("POST", "/video/data/", Envelope::A, data),
    route("POST", "/video/delete/", Envelope::A, |_, _| Err(Refusal::Retired)),
];

/// Where `video_status` is shown: the two tables of the documents differ.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    List,
    Data,
}

fn status(stage: Stage, shown: Shown) -> i64 {
    match stage {
        Stage::Reviewing => 4,
        Stage::Public | Stage::Private if shown == Shown::List => 1,
        Stage::Public | Stage::Private => 5,
        Stage::Refused | Stage::TakenDown | Stage::Deleted => 2,
    }
}

fn entry(platform: &Platform, client_key: &str, post: &Post, shown: Shown) -> Value {
    let (stage, figures) = (post.stage(platform.now_ms()), platform.shown_figures(post));
    json!({
        "item_id": platform.item_id(client_key, post.number),
        "video_id": post.video_number(),
        "title": post.text,
        "cover": format!("https://img.sandbox.invalid/c/{}.jpeg", post.number),
        "create_time": post.created_ms / SECOND_MS,
        "is_top": post.is_top,
        "is_reviewed": stage != Stage::Reviewing,
        "video_status": status(stage, shown),
        "media_type": if post.kind == Kind::Video { 4 } else { 2 },
        "share_url": format!("https://share.sandbox.invalid/v/{}", post.number),
        "statistics": {
            "play_count": figures.play, "digg_count": figures.digg, "comment_count": figures.comment,
            "share_count": figures.share, "forward_count": figures.forward, "download_count": figures.download,
        },
    })
}

/// How many are asked for; `None` when that is no number from 1 to `max`.
pub(super) fn count(call: &Call, max: i64) -> Result<usize, Refusal> {
    let count = call.asked("count").parse().ok().filter(|count| (1..=max).contains(count));
    count.and_then(|count: i64| usize::try_from(count).ok()).ok_or(Refusal::BadParameter("count"))
}

pub(super) fn cursor(call: &Call) -> Result<i64, Refusal> {
    match call.asked("cursor") {
        "" => Ok(0),
        text => text.parse().ok().filter(|cursor| *cursor >= 0).ok_or(Refusal::BadParameter("cursor")),
    }
}

fn list(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let scope = if call.path.starts_with("/api/") { "video.list.bind" } else { "video.list" };
    let caller = access::user(platform, call, scope)?;
    let (cursor, count) = (cursor(call)?, count(call, 20)?);
    let posts = platform.posts_by(&caller.user);
    let mut rest = posts.into_iter().filter(|post| cursor == 0 || post.order() < cursor).peekable();
    let page: Vec<_> = rest.by_ref().take(count).collect();
    let next = page.last().map_or(cursor, |post| post.order());
    let has_more = rest.peek().is_some();
    let entries: Vec<_> =
        page.iter().map(|post| entry(platform, &caller.client_key, post, Shown::List)).collect();
    Ok(json!({ "cursor": next, "has_more": has_more, "list": entries }))
}

/// The caller's own posts among those named; others are simply missing.
fn named<'a>(
    platform: &'a Platform,
    client_key: &str,
    user: &str,
    call: &Call,
) -> Result<Vec<&'a Post>, Refusal> {
    let ids = |name: &str| call.body.get(name).and_then(Value::as_array).cloned();
    let own: Vec<_> = platform.posts_by(user);
    let is_named = |post: &Post, id: &Value, by_item: bool| {
        let own_id = if by_item { platform.item_id(client_key, post.number) } else { post.video_number() };
        id.as_str().map(str::to_owned).or_else(|| id.as_i64().map(|id| id.to_string())) == Some(own_id)
    };
    let (ids, by_item) = match (ids("item_ids"), ids("video_ids")) {
        (Some(ids), _) => (ids, true),
        (None, Some(ids)) => (ids, false),
        (None, None) => return Err(Refusal::BadParameter("item_ids")),
    };
    let found = |id: &Value| own.iter().find(|post| is_named(post, id, by_item)).copied();
    Ok(ids.iter().filter_map(found).collect())
}

fn data(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let scope = if call.path.starts_with("/api/") { "video.data.bind" } else { "video.data" };
    let caller = access::user(platform, call, scope)?;
    let posts = named(platform, &caller.client_key, &caller.user, call)?;
    let entries: Vec<_> =
        posts.into_iter().map(|post| entry(platform, &caller.client_key, post, Shown::Data)).collect();
    Ok(json!({ "list": entries }))
}

fn basic_info(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    const KEPT: [&str; 7] =
        ["item_id", "video_id", "title", "cover", "create_time", "media_type", "video_status"];
    let caller = access::user(platform, call, "posting.behavior")?;
    let posts = named(platform, &caller.client_key, &caller.user, call)?;
    let brief = |post: &Post| {
        let whole = entry(platform, &caller.client_key, post, Shown::Data);
        KEPT.iter().map(|name| ((*name).to_owned(), whole[*name].clone())).collect::<Value>()
    };
    let entries: Vec<_> = posts.into_iter().map(brief).collect();
    Ok(json!({ "list": entries }))
}

/// A public post's frame; no token is wanted.
fn frame(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let (number, item_id) = (call.asked("video_id"), call.asked("item_id"));
    let now_ms = platform.now_ms();
    let mut posts = platform.posts.all.values();
    let post = match call.asked("client_key") {
        "" => posts.find(|post| post.video_number() == number),
        client_key => {
            client_key.clone_into(&mut platform.caller.0);
            platform.post_of(client_key, if item_id.is_empty() { number } else { item_id })
        }
    };
    let post =
        post.filter(|post| post.stage(now_ms) == Stage::Public).ok_or(Refusal::BadParameter("video"))?;
    let (width, height, id) = (post.width, post.height, post.video_number());
    Ok(json!({
        "video_title": post.text, "video_width": width, "video_height": height,
        "iframe_code": format!("<iframe width=\"{width}\" height=\"{height}\" src=\"https://share.sandbox.invalid/player/{id}\"></iframe>"),
    }))
}
