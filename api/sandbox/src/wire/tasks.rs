//! Posting tasks.

use serde_json::{Value, json};

use super::{Envelope, Route, access, call::Call, nothing, route};
use crate::platform::{Platform, refusal::Refusal};

pub(super) const ROUTES: &[Route] = &[
    route("POST", "/task/posting/create/", Envelope::A, create),
    route("POST", "/task/posting/bind_video/", Envelope::A, bind),
    route("POST", "/task/posting/user/", Envelope::A, verify),
];

fn needed(call: &Call, name: &'static str) -> Result<String, Refusal> {
    call.parameter(name).ok_or(Refusal::BadParameter(name))
}

fn create(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let client_key = access::app(platform, call, Some("task.posting.create"))?;
    needed(call, "task_name")?;
    let time = |name| needed(call, name)?.parse().map_err(|_| Refusal::BadParameter(name));
    let task_id = platform.add_task(&client_key, time("start_time")?, time("end_time")?)?;
    Ok(json!({ "task_id": task_id, "task_status": 1 }))
}

fn bind(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let caller = access::user(platform, call, "posting.behavior")?;
    platform.bind_to_task(caller.by(), &needed(call, "task_id")?, &needed(call, "video_id")?)?;
    Ok(nothing())
}

fn verify(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let client_key = access::app(platform, call, Some("task.posting.user_verification"))?;
    let (task, open_id) = (needed(call, "task_id")?, needed(call, "target_open_id")?);
    let user = platform.user_of(&client_key, &open_id).map(|user| user.id.clone());
    let user = user.ok_or(Refusal::BadParameter("target_open_id"))?;
    platform.verify_task(&client_key, &task, &user, &needed(call, "video_id")?)?;
    Ok(json!({ "result": true }))
}
