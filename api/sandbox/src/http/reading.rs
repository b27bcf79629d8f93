//! A request into a call. Media are measured as they stream by, and not kept.

use std::collections::BTreeMap;

use actix_multipart::Multipart;
use actix_web::{HttpRequest, web};
use futures_util::StreamExt as _;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::probe::Probe;
use crate::{
    platform::{chance::hex, media::File},
    wire::call::Call,
};

/// What a body that is no upload may have.
const BODY_BYTES_MAX: usize = 2 * 1_024 * 1_024;

/// How deep a body may be nested: less than a parser takes, for the journal nests it deeper still.
const DEPTH_MAX: usize = 64;

/// Why there is no call.
#[derive(Debug)]
pub(super) enum Unread {
    /// More than the gateway takes.
    TooBig,
    /// The connection ended, or the form is broken.
    Broken,
}

/// Reads it all.
pub(super) async fn read(
    request: &HttpRequest,
    payload: web::Payload,
    limit_bytes: u64,
) -> Result<Call, Unread> {
    let header =
        |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let told = header("content-length").and_then(|length| length.parse::<u64>().ok());
    if told.is_some_and(|length| length > limit_bytes) {
        return Err(Unread::TooBig);
    }
    let mut call = Call {
        method: request.method().to_string(),
        path: request.path().to_owned(),
        query: pairs(request.query_string().as_bytes()),
        token: header("access-token"),
        quirks: header("x-sandbox-quirks").unwrap_or_default(),
        ..Call::default()
    };
    let kind = header("content-type").unwrap_or_default().to_ascii_lowercase();
    if kind.starts_with("multipart/form-data") {
        read_form(&mut call, Multipart::new(request.headers(), payload), limit_bytes).await?;
        return Ok(call);
    }
    let body = read_body(payload).await?;
    if kind.starts_with("application/x-www-form-urlencoded") {
        call.form = true;
        call.body = fields(pairs(&body));
    } else if !body.is_empty() {
        match serde_json::from_slice::<Value>(&body) {
            Ok(value @ Value::Object(_)) if depth(&value) <= DEPTH_MAX => call.body = value,
            Ok(_) | Err(_) => call.unreadable = true,
        }
    }
    Ok(call)
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Names and values; of those that are repeated, all values with commas between.
fn pairs(text: &[u8]) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::<String, String>::new();
    for (name, value) in url::form_urlencoded::parse(text) {
        let known = pairs.entry(name.into_owned()).or_default();
        if !known.is_empty() {
            known.push(',');
        }
        known.push_str(&value);
    }
    pairs
}

fn fields(pairs: BTreeMap<String, String>) -> Value {
    Value::Object(pairs.into_iter().map(|(name, value)| (name, value.into())).collect::<Map<_, _>>())
}

async fn read_body(mut payload: web::Payload) -> Result<Vec<u8>, Unread> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Unread::Broken)?;
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(Unread::TooBig);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A multipart form: texts, and one file.
async fn read_form(call: &mut Call, mut form: Multipart, limit_bytes: u64) -> Result<(), Unread> {
    let mut texts = BTreeMap::new();
    while let Some(field) = form.next().await {
        let mut field = field.map_err(|_| Unread::Broken)?;
        let name = field.name().unwrap_or_default().to_owned();
        let file_name = field.content_disposition().and_then(|is| is.get_filename()).map(str::to_owned);
        let (mut hash, mut probe, mut size_bytes, mut text) =
            (Sha256::new(), Probe::default(), 0_u64, Vec::new());
        while let Some(chunk) = field.next().await {
            let chunk = chunk.map_err(|_| Unread::Broken)?;
            size_bytes += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            if size_bytes > limit_bytes || file_name.is_none() && text.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(Unread::TooBig);
            }
            if file_name.is_some() {
                hash.update(&chunk);
                probe.feed(&chunk);
            } else {
                text.extend_from_slice(&chunk);
            }
        }
        let Some(file_name) = file_name else {
            texts.insert(name, String::from_utf8_lossy(&text).into_owned());
            continue;
        };
        let found = probe.found();
        call.file = Some(File {
            field: name,
            name: file_name,
            size_bytes,
            sha256: hex(&hash.finalize()),
            width: found.width,
            height: found.height,
            duration_ms: found.duration_ms,
        });
    }
    call.form = true;
    call.body = fields(texts);
    Ok(())
}
