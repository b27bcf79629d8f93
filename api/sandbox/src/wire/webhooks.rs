//! Subscriptions of an app to events, and mock events.

use serde_json::{Value, json};

use super::{Envelope, Route, access, call::Call, nothing, route};
use crate::platform::{Platform, calendar::SECOND_MS, refusal::Refusal};

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/event/status/list/", Envelope::A, list),
    route("POST", "/event/status/update/", Envelope::A, update),
    route("POST", "/sandbox/webhook/event/send/", Envelope::A, mock),
];

/// The events that can be switched on and off.
const EVENTS: [&str; 28] = [
    "verify_webhook",
    "create_video",
    "authorize",
    "unauthorize",
    "contract_authorize",
    "contract_unauthorize",
    "item_comment_reply",
    "new_video_digg",
    "new_follow_action",
    "im_receive_msg",
    "im_send_msg",
    "im_enter_direct_msg",
    "im_group_receive_msg",
    "group_fans_event",
    "enter_group_audit_change",
    "im_authorize",
    "receive_msg",
    "enter_im",
    "dial_phone",
    "website_contact",
    "personal_tab_contact",
    "union_auth_info_for_c",
    "union_auth_info_for_b",
    "life_trade_order_notify",
    "life_trade_certificate_notify",
    "life_product_audit",
    "life_member_join",
    "life_member_leave",
];

/// The events of which there is an example.
const MOCKED: [&str; 6] =
    ["create_video", "authorize", "unauthorize", "item_comment_reply", "new_video_digg", "new_follow_action"];

fn list(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let client_key = access::app(platform, call, None)?;
    let app = platform.app(&client_key)?;
    let status = |event: &str| i64::from(app.subscriptions.get(event).copied().unwrap_or_default());
    Ok(json!({ "list": EVENTS.map(|event| json!({ "event": event, "status": status(event) })) }))
}

fn update(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let client_key = access::app(platform, call, None)?;
    let list = call.body.get("list").and_then(Value::as_array).ok_or(Refusal::BadParameter("list"))?;
    let mut changes = Vec::new();
    for change in list {
        let event = change.get("event").and_then(Value::as_str).filter(|event| EVENTS.contains(event));
        let status = change.get("status").and_then(Value::as_i64).filter(|status| [0, 1].contains(status));
        let (Some(event), Some(status)) = (event, status) else { return Err(Refusal::BadParameter("list")) };
        changes.push((event.to_owned(), status == 1));
    }
    if let Some(app) = platform.apps.get_mut(&client_key) {
        app.subscriptions.extend(changes);
        app.webhook_failures = 0;
    }
    Ok(nothing())
}

/// Sends an example of an event to the app's address, wanted or not.
fn mock(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let client_key = access::app(platform, call, Some("aweme.webhook"))?;
    let event = call.text("event_type").to_owned();
    if !MOCKED.contains(&event.as_str()) {
        return Err(Refusal::BadParameter("event_type"));
    }
    let content = example(platform, &event);
    let to = Some("mock").filter(|_| !["create_video", "authorize", "unauthorize"].contains(&event.as_str()));
    if platform.emit_always(&client_key, &event, "mock", to, content) {
        Ok(nothing())
    } else {
        Err(Refusal::BadParameter("no webhook address is saved"))
    }
}

fn example(platform: &mut Platform, event: &str) -> Value {
    let now_s = platform.now_ms() / SECOND_MS;
    match event {
        "create_video" => {
            json!({ "item_id": platform.mint_opaque("mock"), "share_id": "1700000000000000000" })
        }
        "authorize" | "unauthorize" => json!({ "scopes": ["user_info"] }),
        "item_comment_reply" => json!({
            "comment_id": platform.mint_opaque("mock"), "comment_user_id": "mock", "content": "mock",
            "create_time": now_s, "digg_count": 0, "reply_comment_total": 0, "reply_to_comment_id": "",
            "reply_to_item_id": platform.mint_opaque("mock"), "at_user_id": "",
        }),
        "new_video_digg" => {
            json!({ "action_type": 1, "action_time": now_s, "item_id": platform.mint_opaque("mock") })
        }
        _ => json!({ "action_type": 1, "action_time": now_s }),
    }
}
