//! The control API, under `/_sandbox/`: what the operator of a rehearsal may see and move. README.md of the crate has
//! its table.
//!
//! Writes are steps like calls are, and are in the journal; reads are not, and change nothing. Errors are HTTP statuses
//! here, with `{"error": ".."}`. Absent on purpose: authentication. It is for the machine it runs on, and holds nothing
//! that is anybody's; the pages of other hosts that a browser there shows are kept out by the transport.

pub(crate) mod html;
mod page;
mod reads;
mod rehearse;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::{
    platform::{Platform, cast::AppDraft, cast::UserDraft, faults::FaultDraft},
    wire::{
        authorize,
        call::{Call, Page, Reply},
    },
};

/// Where it is.
pub(crate) const ROOT: &str = "/_sandbox/";

/// The largest number that a rehearsal is told: of seconds it is three centuries, of bytes ten billion. Beyond, sums
/// would not fit.
const NUMBER_MAX: i64 = 10_000_000_000;

/// The latest the clock can be set to: the end of the year 9999.
const CLOCK_MAX_MS: i64 = 253_402_300_799_999;

/// Whether a call is for the control API and changes something.
pub(crate) fn is_write(call: &Call) -> bool {
    call.path.starts_with(ROOT) && call.method != "GET"
}

/// What a GET is answered.
pub(crate) fn read(platform: &Platform, call: &Call) -> Reply {
    let path = call.path.strip_prefix(ROOT).unwrap_or_default().trim_end_matches('/');
    if path.is_empty() {
        return Reply::html(200, page::render(platform));
    }
    reads::read(platform, path, call)
        .map_or_else(|| failed(404, "there is nothing by this name"), |v| Reply::json(200, v))
}

/// One change.
pub(crate) fn serve(platform: &mut Platform, call: &Call, wall_ms: i64) -> Reply {
    platform.begin(wall_ms, call.fingerprint());
    let path = call.path.strip_prefix(ROOT).unwrap_or_default().trim_end_matches('/');
    let parts: Vec<_> = path.split('/').collect();
    let reply = match (call.method.as_str(), parts.as_slice()) {
        _ if call.unreadable => failed(400, "the body can't be read"),
        ("POST", ["apps"]) => with(call, |draft: AppDraft| {
            platform
                .add_app(draft)
                .map_or_else(|| failed(409, "the client_key is taken"), |app| shown(201, &app))
        }),
        ("PATCH", ["apps", client_key]) => with(call, |draft: AppDraft| {
            platform.change_app(client_key, draft).map_or_else(absent, |app| shown(200, &app))
        }),
        ("PUT", ["apps", client_key, "webhook"]) => save_webhook(platform, client_key, call),
        ("POST", ["users"]) => with(call, |draft: UserDraft| {
            platform.add_user(draft).map_or_else(absent, |user| shown(201, &user))
        }),
        ("PATCH", ["users", id]) => with(call, |draft: UserDraft| {
            platform.change_user(id, draft).map_or_else(absent, |user| shown(200, &user))
        }),
        ("POST", ["clock"]) => with(call, |draft| rehearse::set_clock(platform, &draft)),
        ("POST", ["authorize"]) => authorize::without_browser(platform, call),
        ("POST", ["revoke"]) => rehearse::revoke(platform, call),
        ("POST", ["verdicts"]) => with(call, |draft| rehearse::judge(platform, &draft)),
        ("PATCH" | "POST", ["switches"]) => change_switches(platform, call),
        ("POST", ["faults"]) => with(call, |draft: FaultDraft| {
            let number = platform.faults.arm(draft);
            Reply::json(201, json!({ "number": number }))
        }),
        ("DELETE", ["faults"]) | ("POST", ["faults", "clear"]) => {
            platform.faults.armed.clear();
            Reply::json(200, json!({ "armed": 0 }))
        }
        ("DELETE", ["faults", number]) => {
            platform.faults.armed.retain(|fault| fault.number.to_string() != *number);
            Reply::json(200, json!({ "armed": platform.faults.armed.len() }))
        }
        ("POST", ["posts"]) => with(call, |draft| rehearse::post(platform, &draft)),
        ("POST", ["comments"]) => with(call, |draft| rehearse::comment(platform, &draft)),
        ("POST", ["share"]) => rehearse::share(platform, call),
        ("POST", ["page-signature"]) => rehearse::page_signature(platform, call),
        ("POST", ["events"]) => with(call, |draft| rehearse::event(platform, draft)),
        _ => failed(404, "there is nothing by this name"),
    };
    // A form of the page goes back to the page.
    if call.form && reply.status < 300 { Reply::redirect(303, ROOT.to_owned()) } else { reply }
}

fn failed(status: u16, says: &str) -> Reply {
    Reply::json(status, json!({ "error": says }))
}

fn absent() -> Reply {
    failed(404, "there is nothing by this name")
}

fn shown(status: u16, value: &impl serde::Serialize) -> Reply {
    Reply::json(status, serde_json::to_value(value).unwrap_or_default())
}

/// The body as what it should be; 400 says what is wrong with it.
fn with<T: DeserializeOwned>(call: &Call, serve: impl FnOnce(T) -> Reply) -> Reply {
    let body = if call.form { typed(&call.body) } else { call.body.clone() };
    let body = if body.is_null() { json!({}) } else { body };
    if let Some(name) = oversized(&body) {
        return failed(400, &format!("{name} is out of range"));
    }
    match serde_json::from_value(body) {
        Ok(draft) => serve(draft),
        Err(error) => failed(400, &error.to_string()),
    }
}

/// The first field whose number is too large, or too far below nought.
fn oversized(body: &Value) -> Option<&str> {
    let fits = |name: &str, number: &serde_json::Number| match number.as_i64() {
        Some(number) if name == "now_ms" => (0..=CLOCK_MAX_MS).contains(&number),
        Some(number) if name == "advance_ms" => number.abs() <= CLOCK_MAX_MS,
        Some(number) if name == "reach" || name == "reach_permille" => (0..=1_000_000).contains(&number),
        Some(number) => number.abs() <= NUMBER_MAX,
        None => false,
    };
    let is_over = |name: &str, value: &Value| match value {
        Value::Number(number) => !fits(name, number),
        Value::Array(items) => {
            items.iter().any(|item| item.as_number().is_some_and(|number| !fits(name, number)))
        }
        Value::Object(fields) => {
            fields.values().any(|field| field.as_number().is_some_and(|number| !fits(name, number)))
        }
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    };
    let mut fields = body.as_object().into_iter().flatten().filter(|(name, _)| *name != "content");
    fields.find(|(name, value)| is_over(name, value)).map(|(name, _)| name.as_str())
}

/// A form's texts as what they stand for: forms know nothing but text, and send empty fields along.
fn typed(body: &Value) -> Value {
    const NUMBERS: [&str; 6] = ["count", "permille", "skip", "delay_ms", "code", "advance_s"];
    const LISTS: [&str; 1] = ["redirect_uris"];
    let fields = body.as_object().into_iter().flatten();
    let filled = fields.filter(|(_, value)| value.as_str() != Some(""));
    let typed = filled.map(|(name, value)| {
        let text = value.as_str().unwrap_or_default();
        let value = match text.parse::<i64>() {
            Ok(number) if NUMBERS.contains(&name.as_str()) => number.into(),
            _ if LISTS.contains(&name.as_str()) => json!(text.split_whitespace().collect::<Vec<_>>()),
            _ if name == "frozen" => (text == "true").into(),
            _ => value.clone(),
        };
        (name.clone(), value)
    });
    Value::Object(typed.collect::<Map<_, _>>())
}

/// The address is tried before it is saved: the answer, 202 with the delivery's number, is followed by its outcome.
fn save_webhook(platform: &mut Platform, client_key: &str, call: &Call) -> Reply {
    let url = call.text("url");
    if url.is_empty() {
        if let Some(app) = platform.apps.get_mut(client_key) {
            app.webhook_url = None;
            return Reply::json(200, json!({ "saved": true, "url": null }));
        }
        return absent();
    }
    if url::Url::parse(url).is_err() {
        return failed(400, "url is no address");
    }
    let delivery = platform.challenge(client_key, url);
    delivery.map_or_else(absent, |delivery| Reply::json(202, json!({ "delivery": delivery })))
}

/// The number of the delivery that decides whether an address is saved, when `reply` is the answer to such a call.
pub(crate) fn awaited_delivery(call: &Call, reply: &Reply) -> Option<i64> {
    let Page::Json(body) = &reply.page else { return None };
    let awaits = reply.status == 202 && call.path.starts_with(ROOT) && call.path.ends_with("/webhook");
    if awaits { body.get("delivery")?.as_i64() } else { None }
}

fn change_switches(platform: &mut Platform, call: &Call) -> Reply {
    if let Some(name) = oversized(&call.body) {
        return failed(400, &format!("{name} is out of range"));
    }
    let mut all = serde_json::to_value(&platform.switches).unwrap_or_default();
    for (name, value) in call.body.as_object().into_iter().flatten() {
        all[name.as_str()] = value.clone();
    }
    match serde_json::from_value(all) {
        Ok(switches) => {
            platform.switches = switches;
            shown(200, &platform.switches)
        }
        Err(error) => failed(400, &error.to_string()),
    }
}
