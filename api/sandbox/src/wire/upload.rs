//! Uploads, whole and in parts, and the calls that post what was uploaded.

use serde_json::{Value, json};

use super::{
    Envelope, Route,
    access::{self, Caller},
    call::Call,
    nothing, route,
};
use crate::platform::{
    Platform,
    media::{File, Medium},
    posts::{Kind, Post, PostDraft},
    refusal::Refusal,
};

pub(super) const ROUTES: &[Route] = &[
    route("POST", "/api/douyin/v1/video/upload_video/", Envelope::A, upload_video),
    route("POST", "/api/douyin/v1/video/init_video_part_upload/", Envelope::A, begin),
    route("POST", "/api/douyin/v1/video/upload_video_part/", Envelope::A, part),
    route("POST", "/api/douyin/v1/video/complete_video_part_upload/", Envelope::A, complete),
    route("POST", "/api/douyin/v1/video/create_video/", Envelope::A, create_video),
    route("POST", "/api/douyin/v1/video/upload_image/", Envelope::A, upload_image),
    route("POST", "/api/douyin/v1/video/create_image_text/", Envelope::A, create_image_text),
    route("POST", "/video/upload/", Envelope::A, upload_video),
    route("POST", "/video/part/init/", Envelope::A, begin),
    route("POST", "/video/part/upload/", Envelope::A, part),
    route("POST", "/video/part/complete/", Envelope::A, complete),
    route("POST", "/video/create/", Envelope::A, create_video),
    route("POST", "/image/upload/", Envelope::A, upload_image),
    route("POST", "/image/create/", Envelope::A, create_image_text),
];

/// Old paths want the old scope: the two are separate permissions.
fn scope(call: &Call) -> &'static str {
    if call.path.starts_with("/api/") { "video.create.bind" } else { "video.create" }
}

fn file<'a>(call: &'a Call, field: &'static str) -> Result<&'a File, Refusal> {
    call.file.as_ref().filter(|file| file.field == field).ok_or(Refusal::BadParameter(field))
}

fn video((id, medium): (String, Medium)) -> Value {
    json!({ "video": { "video_id": id, "width": medium.width, "height": medium.height } })
}

fn upload_video(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let caller = access::user(platform, call, scope(call))?;
    platform.add_video(caller.by(), file(call, "video")?).map(video)
}

fn begin(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let needed = platform.switches.init_part_needs_open_id;
    let caller = access::user_named(platform, call, scope(call), needed)?;
    Ok(json!({ "upload_id": platform.begin_upload(caller.by()) }))
}

fn part(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let caller = access::user(platform, call, scope(call))?;
    let number = call.asked("part_number").parse().map_err(|_| Refusal::BadParameter("part_number"))?;
    platform.put_part(caller.by(), call.asked("upload_id"), number, file(call, "video")?)?;
    Ok(nothing())
}

fn complete(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let caller = access::user(platform, call, scope(call))?;
    platform.complete_upload(caller.by(), call.asked("upload_id")).map(video)
}

fn upload_image(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let caller = access::user(platform, call, scope(call))?;
    let (id, medium) = platform.add_image(caller.by(), file(call, "image")?)?;
    Ok(json!({ "image": { "image_id": id, "width": medium.width, "height": medium.height } }))
}

fn create_video(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let caller = access::user(platform, call, scope(call))?;
    create(platform, call, &caller, Kind::Video, vec![call.text("video_id")])
}

fn create_image_text(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let caller = access::user(platform, call, scope(call))?;
    let list = call.body.get("image_list").and_then(Value::as_array);
    let mut images: Vec<_> = list.into_iter().flatten().filter_map(Value::as_str).collect();
    if images.is_empty() && call.path == "/image/create/" {
        images.push(call.text("image_id"));
    }
    create(platform, call, &caller, Kind::Images, images)
}

fn create(
    platform: &mut Platform,
    call: &Call,
    caller: &Caller,
    kind: Kind,
    media: Vec<&str>,
) -> Result<Value, Refusal> {
    check_types(call)?;
    let has = |name| call.field(name).is_some_and(|text| !text.is_empty());
    if has("micro_app_id") && has("poi_id") {
        return Err(Refusal::BadParameter("micro_app_id and poi_id"));
    }
    if media.first().is_none_or(|id| id.is_empty()) {
        return Err(Refusal::BadParameter(if kind == Kind::Video { "video_id" } else { "image_list" }));
    }
    let private_status = call.field("private_status").map(|text| text.parse()).transpose();
    let cover = Some(call.text("custom_cover_image_url")).filter(|cover| !cover.is_empty());
    let draft = PostDraft {
        kind,
        media,
        text: call.text("text"),
        private_status: private_status.map_err(|_| Refusal::BadParameter("private_status"))?.unwrap_or(0),
        cover,
    };
    let post = platform.create_post(caller.by(), &draft)?;
    Ok(created(platform, caller, &post))
}

/// Fields of a wrong type are refused, not passed over: the platform's parser is as strict.
fn check_types(call: &Call) -> Result<(), Refusal> {
    const TEXTS: [&str; 8] = [
        "video_id",
        "text",
        "custom_cover_image_url",
        "micro_app_id",
        "micro_app_title",
        "micro_app_url",
        "poi_id",
        "poi_name",
    ];
    let is = |name: &str, fits: fn(&Value) -> bool| {
        call.body.get(name).is_none_or(|value| value.is_null() || fits(value))
    };
    let texts = |value: &Value| value.as_array().is_some_and(|items| items.iter().all(Value::is_string));
    if let Some(name) = TEXTS.iter().copied().find(|name| !is(name, Value::is_string)) {
        return Err(Refusal::BadParameter(name));
    }
    let others = [
        ("at_users", is("at_users", texts)),
        ("image_list", is("image_list", texts)),
        ("cover_tsp", is("cover_tsp", Value::is_number)),
        ("poi_commerce", is("poi_commerce", Value::is_boolean)),
        ("private_status", is("private_status", Value::is_i64)),
    ];
    match others.into_iter().find(|(_, fits)| !fits) {
        Some((name, _)) => Err(Refusal::BadParameter(name)),
        None => Ok(()),
    }
}

fn created(platform: &mut Platform, caller: &Caller, post: &Post) -> Value {
    let item_id = platform.item_id(&caller.client_key, post.number);
    if platform.switches.create_video_event {
        platform.tell_of_post(caller.by(), post, "");
    }
    json!({ "item_id": item_id, "video_id": post.video_number() })
}
