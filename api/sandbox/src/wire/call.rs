//! A call as it came in, and what is answered: HTTP without its transport, so that the journal can hold it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::platform::{faults::Strike, fingerprint, media::File};

/// One request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    /// The header `access-token`.
    #[serde(default)]
    pub(crate) token: Option<String>,
    /// The header `x-sandbox-quirks`.
    #[serde(default)]
    pub(crate) quirks: String,
    /// The body's fields: a JSON object, or a form's texts.
    #[serde(default)]
    pub(crate) body: Value,
    /// Whether the body was a form.
    #[serde(default)]
    pub(crate) form: bool,
    /// The file that a multipart body carried.
    #[serde(default)]
    pub(crate) file: Option<File>,
    /// The body was none of the known kinds, or broken.
    #[serde(default)]
    pub(crate) unreadable: bool,
}

/// Fields that are kept out of records and fingerprints.
const SECRETS: [&str; 5] = ["access_token", "client_secret", "refresh_token", "code", "webhook_secret"];

impl Call {
    /// A field of the body, as text, when it is text or a number.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        match self.body.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(truth) => Some(truth.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// A text of the body; empty when absent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.body.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// A parameter from the body or, the legacy way, from the query; `None` when absent or empty.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        self.field(name).or_else(|| self.query.get(name).cloned()).filter(|text| !text.is_empty())
    }

    /// A parameter of the query; empty when absent.
    pub(crate) fn asked(&self, name: &str) -> &str {
        self.query.get(name).map_or("", |text| text)
    }

    /// What the call asks for, without tokens: the same for a call that is made again.
    pub(crate) fn fingerprint(&self) -> String {
        let query = serde_json::to_string(&self.open_query()).unwrap_or_default();
        let file = self.file.as_ref().map_or("", |file| &file.sha256);
        fingerprint(&[&self.method, &self.path, &query, &self.body.to_string(), file])
    }

    /// The query without secrets.
    pub(crate) fn open_query(&self) -> BTreeMap<String, String> {
        let open = self.query.iter().filter(|(name, _)| !SECRETS.contains(&name.as_str()));
        open.map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) page: Page,
    /// The first code in it that is not 0.
    pub(crate) code: i64,
    /// What happens to it on the way.
    pub(crate) strike: Option<Strike>,
}

/// The body of an answer.
#[derive(Clone, Debug)]
pub(crate) enum Page {
    Json(Value),
    Html(String),
    Redirect(String),
}

impl Reply {
    pub(crate) const fn json(status: u16, value: Value) -> Self {
        Self { status, page: Page::Json(value), code: 0, strike: None }
    }

    pub(crate) const fn html(status: u16, html: String) -> Self {
        Self { status, page: Page::Html(html), code: 0, strike: None }
    }

    /// 302 from the platform's pages, 303 from the sandbox's own.
    pub(crate) const fn redirect(status: u16, to: String) -> Self {
        Self { status, page: Page::Redirect(to), code: 0, strike: None }
    }
}
