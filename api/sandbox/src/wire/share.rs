//! What an app needs before a user can share to the platform: share_ids and tickets.

use serde_json::{Value, json};

use super::{Envelope, Route, access, call::Call, route};
use crate::platform::{Platform, refusal::Refusal, share::TICKET_LIFE_S};

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/share-id/", Envelope::A, share_id),
    route("GET", "/open/getticket/", Envelope::A, |platform, call| ticket(platform, call, "open")),
    route("GET", "/js/getticket/", Envelope::A, |platform, call| ticket(platform, call, "js")),
];

fn share_id(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let client_key = access::app(platform, call, Some("aweme.share"))?;
    let need_callback = match call.asked("need_callback") {
        "true" => true,
        "false" | "" => false,
        _ => return Err(Refusal::BadParameter("need_callback")),
    };
    Ok(json!({ "share_id": platform.new_share_id(&client_key, need_callback) }))
}

fn ticket(platform: &mut Platform, call: &Call, kind: &'static str) -> Result<Value, Refusal> {
    let client_key = access::app(platform, call, None)?;
    Ok(json!({ "ticket": platform.new_ticket(&client_key, kind), "expires_in": TICKET_LIFE_S }))
}
