//! What there is, as JSON.

use serde_json::{Value, json};

use crate::{
    platform::{
        CallRecord, Platform,
        calendar::instant,
        hooks::{Attempt, Delivery},
        posts::{Kind, Post, Stage},
    },
    wire::call::Call,
};

/// The answer to `GET /_sandbox/<path>`; `None` when there is no such thing.
pub(super) fn read(platform: &Platform, path: &str, call: &Call) -> Option<Value> {
    let fits = |name: &str, value: &str| call.query.get(name).is_none_or(|wanted| wanted == value);
    let since = call.asked("since").parse::<i64>().unwrap_or_default();
    Some(match path {
        "state" => state(platform),
        "clock" => clock(platform),
        "switches" => serde_json::to_value(&platform.switches).ok()?,
        "apps" => json!({ "apps": platform.apps.values().collect::<Vec<_>>() }),
        "users" => json!({ "users": platform.users.keys().map(|id| user(platform, id)).collect::<Vec<_>>() }),
        "posts" => {
            let posts = platform.posts.all.values().filter(|post| fits("user", &post.user));
            json!({ "posts": posts.map(|item| post(platform, item)).collect::<Vec<_>>() })
        }
        "faults" => json!({ "faults": faults(platform) }),
        "calls" => {
            let calls = platform.calls.iter().filter(|call| {
                call.number > since && fits("path", &call.path) && fits("client_key", &call.client_key)
            });
            json!({ "calls": calls.map(record).collect::<Vec<_>>() })
        }
        "webhooks" => {
            let sent = platform.hooks.all.iter().filter(|delivery| {
                delivery.number > since
                    && fits("event", &delivery.event)
                    && fits("client_key", &delivery.client_key)
            });
            json!({ "webhooks": sent.map(delivery).collect::<Vec<_>>() })
        }
        "ledger" => {
            let effects = platform.ledger.iter().filter(|effect| {
                effect.number > since
                    && fits("kind", effect.kind)
                    && fits("user", &effect.user)
                    && fits("client_key", &effect.client_key)
            });
            json!({ "effects": effects.map(crate::platform::ledger::Effect::to_json).collect::<Vec<_>>() })
        }
        _ => return None,
    })
}

fn state(platform: &Platform) -> Value {
    json!({
        "seed": platform.chance.seed(), "clock": clock(platform), "apps": platform.apps.len(),
        "users": platform.users.len(), "posts": platform.posts.all.len(),
        "comments": platform.comments.all.len(), "webhooks": platform.hooks.all.len(),
        "effects": platform.ledger.len(), "faults": platform.faults.armed.len(), "calls": platform.step.call,
    })
}

pub(super) fn clock(platform: &Platform) -> Value {
    let now_ms = platform.now_ms();
    json!({ "now_ms": now_ms, "now": instant(now_ms), "frozen": platform.clock.is_frozen() })
}

fn user(platform: &Platform, id: &str) -> Value {
    let mut user =
        platform.users.get(id).and_then(|user| serde_json::to_value(user).ok()).unwrap_or_default();
    let open_ids = platform.apps.keys().map(|app| (app.clone(), platform.open_id(app, id).into()));
    user["open_ids"] = Value::Object(open_ids.collect());
    let union_ids = platform.apps.keys().map(|app| (app.clone(), platform.union_id(app, id).into()));
    user["union_ids"] = Value::Object(union_ids.collect());
    user
}

/// Where a post stands, in a word.
pub(super) const fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Reviewing => "reviewing",
        Stage::Public => "public",
        Stage::Private => "private",
        Stage::Refused => "refused",
        Stage::TakenDown => "taken_down",
        Stage::Deleted => "deleted",
    }
}

pub(super) fn post(platform: &Platform, post: &Post) -> Value {
    let item_ids = platform.apps.keys().map(|app| (app.clone(), platform.item_id(app, post.number).into()));
    let figures = platform.shown_figures(post);
    json!({
        "number": post.number, "user": post.user, "client_key": post.client_key, "text": post.text,
        "kind": if post.kind == Kind::Video { "video" } else { "images" },
        "stage": stage(post.stage(platform.now_ms())), "created": instant(post.created_ms),
        "created_ms": post.created_ms, "video_id": post.video_number(), "media": post.sha256,
        "share_id": post.share_id, "item_ids": Value::Object(item_ids.collect()), "plays": figures.play,
        "likes": figures.digg, "comments": figures.comment,
    })
}

fn faults(platform: &Platform) -> Vec<Value> {
    let shown = |fault: &crate::platform::faults::Fault| {
        let mut value = serde_json::to_value(&fault.draft).unwrap_or_default();
        value["number"] = fault.number.into();
        value["struck"] = fault.struck.into();
        value
    };
    platform.faults.armed.iter().map(shown).collect()
}

fn record(call: &CallRecord) -> Value {
    json!({
        "number": call.number, "at_ms": call.at_ms, "at": instant(call.at_ms), "wall_ms": call.wall_ms,
        "method": call.method, "path": call.path, "query": call.query, "client_key": call.client_key,
        "user": call.user, "request_fingerprint": call.fingerprint, "code": call.code, "status": call.status,
        "fault": call.fault, "done": call.done,
    })
}

pub(crate) fn delivery(delivery: &Delivery) -> Value {
    let attempt = |attempt: &Attempt| {
        json!({
            "at_ms": attempt.at_ms, "at": instant(attempt.at_ms), "wall_ms": attempt.wall_ms,
            "status": attempt.outcome.status, "error": attempt.outcome.error,
        })
    };
    json!({
        "number": delivery.number, "msg_id": delivery.msg_id, "client_key": delivery.client_key,
        "event": delivery.event, "url": delivery.url, "body": delivery.body, "signature": delivery.signature,
        "emitted_ms": delivery.emitted_ms, "due_ms": delivery.due_ms, "state": delivery.state,
        "attempts": delivery.attempts.iter().map(attempt).collect::<Vec<_>>(),
    })
}
