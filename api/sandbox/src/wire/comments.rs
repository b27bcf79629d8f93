//! Comments on a user's own posts: reading, answering, pinning.

use serde_json::{Value, json};

use super::{
    Envelope, Route,
    access::{self, Caller},
    call::Call,
    nothing, route,
    videos::{count, cursor},
};
use crate::platform::{Platform, calendar::SECOND_MS, comments::Comment, refusal::Refusal};

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/item/comment/list/", Envelope::A, list),
    route("GET", "/item/comment/reply/list/", Envelope::A, replies),
    route("POST", "/item/comment/reply/", Envelope::A, reply),
    route("POST", "/item/comment/top/", Envelope::A, pin),
    route("GET", "/video/comment/list/", Envelope::A, list),
    route("GET", "/video/comment/reply/list/", Envelope::A, replies),
    route("POST", "/video/comment/reply/", Envelope::A, reply),
    route("POST", "/video/comment/top/", Envelope::A, pin),
];

/// What a newer page wants of those who read replies; older clients do not send it.
const RISK_PARAMETERS: [&str; 6] =
    ["device_brand", "device_platform", "device_type", "ip", "os_version", "shark_channel"];

fn caller(platform: &mut Platform, call: &Call) -> Result<Caller, Refusal> {
    if !call.path.starts_with("/video/") {
        return access::user(platform, call, "item.comment");
    }
    let caller = access::user(platform, call, "video.comment")?;
    let is_enterprise = platform.users.get(&caller.user).is_some_and(|user| !user.e_account_role.is_empty());
    if is_enterprise { Ok(caller) } else { Err(Refusal::NotEnterprise) }
}

fn count_max(platform: &Platform, call: &Call) -> i64 {
    if call.path.starts_with("/video/") { 50 } else { platform.switches.comment_count_max }
}

fn list(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let caller = caller(platform, call)?;
    let post = platform.commentable(&caller.client_key, &caller.user, call.asked("item_id"))?;
    let of_post = |comment: &&Comment| comment.post == post.number && comment.parent.is_none();
    let comments = platform.comments.all.values().filter(of_post).cloned().collect();
    page(platform, call, &caller, comments)
}

fn replies(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let caller = caller(platform, call)?;
    if platform.switches.comment_reply_risk_params
        && let Some(missing) = RISK_PARAMETERS.iter().copied().find(|name| call.asked(name).is_empty())
    {
        return Err(Refusal::BadParameter(missing));
    }
    let post = platform.commentable(&caller.client_key, &caller.user, call.asked("item_id"))?;
    let parent = platform.comment_on(&post, call.asked("comment_id"))?.number;
    let comments =
        platform.comments.all.values().filter(|reply| reply.parent == Some(parent)).cloned().collect();
    page(platform, call, &caller, comments)
}

/// A page of comments. Absent a wish, the one that is pinned comes first, then the most liked.
fn page(
    platform: &Platform,
    call: &Call,
    caller: &Caller,
    mut comments: Vec<Comment>,
) -> Result<Value, Refusal> {
    let (from, count) = (cursor(call)?, count(call, count_max(platform, call))?);
    match call.asked("sort_type") {
        "time" => comments.sort_by_key(|comment| std::cmp::Reverse(comment.number)),
        "time_asc" => comments.sort_by_key(|comment| comment.number),
        "" => comments.sort_by_key(|comment| {
            (!platform.is_pinned(comment), -platform.comment_diggs(comment), comment.number)
        }),
        _ => return Err(Refusal::BadParameter("sort_type")),
    }
    let skipped = usize::try_from(from).map_err(|_| Refusal::BadParameter("cursor"))?;
    let shown: Vec<_> = comments.iter().skip(skipped).take(count).collect();
    let next = from + i64::try_from(shown.len()).unwrap_or_default();
    let has_more = comments.len() > skipped.saturating_add(shown.len());
    let list: Vec<_> = shown.into_iter().map(|comment| entry(platform, caller, comment)).collect();
    Ok(json!({ "cursor": next, "has_more": has_more, "list": list }))
}

fn entry(platform: &Platform, caller: &Caller, comment: &Comment) -> Value {
    let author = platform.users.get(&comment.author);
    json!({
        "comment_id": comment.id,
        "comment_user_id": platform.open_id(&caller.client_key, &comment.author),
        "content": comment.content,
        "create_time": comment.created_ms / SECOND_MS,
        "digg_count": platform.comment_diggs(comment),
        "reply_comment_total": platform.replies_to(comment.number),
        "top": platform.is_pinned(comment),
        "nick_name": author.map_or("", |user| &user.nickname),
        "avatar": author.map_or("", |user| &user.avatar),
    })
}

fn reply(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let caller = caller(platform, call)?;
    let (item_id, content) = (call.text("item_id"), call.text("content"));
    if item_id.is_empty() {
        return Err(Refusal::BadParameter("item_id"));
    }
    let post = platform.commentable(&caller.client_key, &caller.user, item_id)?;
    let reply_to = Some(call.text("comment_id")).filter(|id| !id.is_empty());
    let comment = platform.add_comment(&caller.user, &post, reply_to, content)?;
    let content = [item_id, reply_to.unwrap_or_default(), content];
    platform.did("comment", caller.by(), &content, json!({ "comment_id": comment.id, "item_id": item_id }));
    let author = platform.users.get(&caller.user);
    Ok(json!({
        "comment_id": comment.id,
        "nick_name": author.map_or("", |user| &user.nickname),
        "avatar": author.map_or("", |user| &user.avatar),
    }))
}

fn pin(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let caller = caller(platform, call)?;
    let top = call.body.get("top").and_then(Value::as_bool).ok_or(Refusal::BadParameter("top"))?;
    let post = platform.commentable(&caller.client_key, &caller.user, call.text("item_id"))?;
    platform.pin(caller.by(), &post, call.text("comment_id"), top)?;
    Ok(nothing())
}
