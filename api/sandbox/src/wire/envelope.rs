//! The three shapes of answers, and their quirks.

use serde_json::{Map, Value, json};

use super::call::{Call, Page, Reply};
use crate::platform::{
    Platform,
    refusal::Refusal,
    switches::{Codes, Quirk},
};

/// Which shape an endpoint answers in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Envelope {
    /// "Classic": `data` and `extra`, the code in both.
    A,
    /// "New": `err_no` and `err_msg` beside `data`.
    B,
    /// "OAuth": the code in `data`, and `message`.
    C,
}

impl Envelope {
    /// The shape of a family of paths, for what has no route in it.
    pub(super) fn of(path: &str) -> Self {
        const NEW: [&str; 7] = [
            "/api/douyin/v1/schema/",
            "/api/douyin/v1/role/",
            "/role/",
            "/api/douyin/v1/video/get_iframe_",
            "/api/apps/",
            "/api/match/",
            "/aweme/v1/video/self/",
        ];
        if path.starts_with("/oauth/") {
            Self::C
        } else if NEW.iter().any(|beginning| path.starts_with(beginning)) {
            Self::B
        } else {
            Self::A
        }
    }
}

/// The answer to a call.
pub(crate) fn seal(
    platform: &Platform,
    call: &Call,
    envelope: Envelope,
    result: Result<Value, Refusal>,
) -> Reply {
    let (code, text, data) = match result {
        Ok(data) => (0, String::new(), data),
        Err(refusal) => {
            let (old, new, text) = super::codes::codes(envelope, refusal);
            (if speaks_new(platform, call) { new } else { old }, text, json!({}))
        }
    };
    let Value::Object(data) = data else { return Reply::json(500, json!({})) };
    let mut body = match envelope {
        Envelope::A => classic(platform, call, code, &text, data),
        Envelope::B => json!({ "err_no": code, "err_msg": text, "log_id": platform.log_id(), "data": data }),
        Envelope::C => oauth(platform, code, &text, data),
    };
    if shows(platform, call, platform.switches.string_numbers, "string-numbers") {
        numbers_to_strings(&mut body);
    }
    Reply { status: 200, page: Page::Json(body), code, strike: None }
}

fn speaks_new(platform: &Platform, call: &Call) -> bool {
    match platform.switches.codes {
        Codes::ByPath => call.path.starts_with("/api/"),
        Codes::Old => false,
        Codes::New => true,
    }
}

fn classic(platform: &Platform, call: &Call, code: i64, text: &str, mut data: Map<String, Value>) -> Value {
    let omits = code == 0 && shows(platform, call, platform.switches.omit_data_code, "omit-data-code");
    if !omits {
        data.insert("error_code".to_owned(), code.into());
        data.insert("description".to_owned(), text.into());
    }
    json!({ "data": data, "extra": {
        "error_code": code, "description": text, "sub_error_code": 0, "sub_description": "",
        "logid": platform.log_id(), "now": platform.now_ms(),
    } })
}

fn oauth(platform: &Platform, code: i64, text: &str, mut data: Map<String, Value>) -> Value {
    for name in ["captcha", "desc_url"] {
        data.insert(name.to_owned(), "".into());
    }
    data.insert("error_code".to_owned(), code.into());
    data.insert("description".to_owned(), text.into());
    data.insert("log_id".to_owned(), platform.log_id().into());
    json!({ "data": data, "message": if code == 0 { "success" } else { "error" } })
}

/// Whether a quirk shows in this answer: the call may ask for it, or the switch, or the seed.
fn shows(platform: &Platform, call: &Call, quirk: Quirk, name: &str) -> bool {
    let asked = call.quirks.split(',').any(|asked| asked.trim() == name);
    asked
        || match quirk {
            Quirk::Never => false,
            Quirk::Always => true,
            Quirk::Sometimes => platform.chance.happens(name, &[&platform.step.call.to_string()], 500),
        }
}

fn numbers_to_strings(value: &mut Value) {
    match value {
        Value::Number(number) => *value = Value::String(number.to_string()),
        Value::Array(items) => items.iter_mut().for_each(numbers_to_strings),
        Value::Object(fields) => fields.values_mut().for_each(numbers_to_strings),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}
