//! What happens in the world: time passes, users change their minds, post, comment and share; reviewers judge.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{CLOCK_MAX_MS, absent, failed, reads};
use crate::{
    platform::{
        Platform,
        calendar::{SECOND_MS, instant, parse_instant},
        posts::Verdict,
        refusal::Refusal,
        share::{self, ShareLink},
    },
    wire::call::{Call, Reply},
};

/// How the clock is to be moved.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClockDraft {
    now_ms: Option<i64>,
    /// RFC 3339.
    now: Option<String>,
    advance_ms: Option<i64>,
    advance_s: Option<i64>,
    frozen: Option<bool>,
}

pub(super) fn set_clock(platform: &mut Platform, draft: &ClockDraft) -> Reply {
    let wall_ms = platform.step.wall_ms;
    let now_ms = match (draft.now_ms, &draft.now) {
        (Some(now_ms), _) => Some(now_ms),
        (None, Some(text)) => match parse_instant(text) {
            Some(now_ms) if (0..=CLOCK_MAX_MS).contains(&now_ms) => Some(now_ms),
            Some(_) | None => return failed(400, "now is not RFC 3339, or before 1970"),
        },
        (None, None) => None,
    };
    let advance_ms = draft.advance_ms.unwrap_or(0) + draft.advance_s.unwrap_or(0) * SECOND_MS;
    let meant_ms = now_ms.unwrap_or_else(|| platform.clock.at(wall_ms)) + advance_ms;
    if !(0..=CLOCK_MAX_MS).contains(&meant_ms) {
        return failed(400, "the clock does not go that far");
    }
    if let Some(frozen) = draft.frozen {
        platform.clock.freeze(frozen, wall_ms);
    }
    platform.clock.set(meant_ms, wall_ms);
    platform.step.now_ms = platform.clock.at(wall_ms);
    Reply::json(200, reads::clock(platform))
}

pub(super) fn revoke(platform: &mut Platform, call: &Call) -> Reply {
    let (client_key, user) = (call.text("client_key"), call.text("user"));
    if !platform.apps.contains_key(client_key) || !platform.users.contains_key(user) {
        return absent();
    }
    let grants = platform.revoke(client_key, user);
    Reply::json(200, json!({ "revoked": grants }))
}

/// What becomes of a post, and when.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VerdictDraft {
    item_id: String,
    verdict: Verdict,
    #[serde(default)]
    after_s: i64,
}

pub(super) fn judge(platform: &mut Platform, draft: &VerdictDraft) -> Reply {
    let post = platform.judge(&draft.item_id, draft.verdict, draft.after_s);
    post.map_or_else(absent, |post| Reply::json(200, reads::post(platform, &post)))
}

/// A post made in the platform's own app.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NativePost {
    user: String,
    #[serde(default)]
    text: String,
}

pub(super) fn post(platform: &mut Platform, draft: &NativePost) -> Reply {
    if !platform.users.contains_key(&draft.user) {
        return absent();
    }
    let post = platform.post_in_app(&draft.user, &draft.text, None);
    Reply::json(201, reads::post(platform, &post))
}

/// A comment made in the platform's own app.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FanComment {
    user: String,
    /// As any app knows it.
    item_id: String,
    content: String,
    #[serde(default)]
    reply_to: Option<String>,
}

pub(super) fn comment(platform: &mut Platform, draft: &FanComment) -> Reply {
    let Some(post) = platform.post_of_any(&draft.item_id).cloned() else { return absent() };
    if !platform.users.contains_key(&draft.user) {
        return absent();
    }
    match platform.add_comment(&draft.user, &post, draft.reply_to.as_deref(), &draft.content) {
        Ok(comment) => Reply::json(201, json!({ "comment_id": comment.id })),
        Err(Refusal::CommentSensitive) => failed(422, "sensitive words"),
        Err(_) => failed(422, "no such comment to reply to, or nothing said"),
    }
}

/// A user opens a share link, given as `link` or as its parameters.
pub(super) fn share(platform: &mut Platform, call: &Call) -> Reply {
    let link = url::Url::parse(call.text("link")).ok();
    let parameter = |name: &str| {
        let mut pairs = link.iter().flat_map(|link| link.query_pairs());
        let linked = pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        linked.or_else(|| call.field(name)).unwrap_or_default()
    };
    let [client_key, nonce_str, timestamp, signature, state, title] =
        ["client_key", "nonce_str", "timestamp", "signature", "state", "title"].map(parameter);
    let asked = ShareLink {
        client_key: &client_key,
        nonce_str: &nonce_str,
        timestamp: &timestamp,
        signature: &signature,
        state: &state,
        title: &title,
    };
    match platform.open_share(call.text("user"), &asked) {
        Ok(post) => Reply::json(201, reads::post(platform, &post)),
        Err(says) => failed(422, says),
    }
}

/// Whether a page's signature fits a ticket that is alive.
pub(super) fn page_signature(platform: &Platform, call: &Call) -> Reply {
    let parameter = |name| call.field(name).unwrap_or_default();
    let [client_key, nonce_str, timestamp, url, signature] =
        ["client_key", "nonce_str", "timestamp", "url", "signature"].map(parameter);
    let mut tickets = platform.living_tickets(&client_key, "js");
    let valid =
        tickets.any(|ticket| share::page_signature(ticket, &nonce_str, &timestamp, &url) == signature);
    Reply::json(200, json!({ "valid": valid }))
}

/// An event to be sent as it is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventDraft {
    client_key: String,
    event: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    content: Value,
}

pub(super) fn event(platform: &mut Platform, draft: EventDraft) -> Reply {
    let EventDraft { client_key, event, from, to, content } = draft;
    if platform.emit_always(&client_key, &event, &from, to.as_deref(), content) {
        Reply::json(202, json!({ "at": instant(platform.now_ms()) }))
    } else {
        failed(409, "no webhook address is saved")
    }
}
