//! Files of requests for `wrk`, each tried once before it is measured, and whether two programs answered the same.

use std::{fmt::Write as _, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use harness::{
    client::{Answer, Client},
    stores::HarnessError,
};
use serde_json::{Value, json};

use crate::load::{CONNECTIONS, Service, Tool};

/// A page of twenty accounts, five posts each.
pub(crate) const PAGE: &str = "{ accounts(first: 20) { nodes { id nickname state \
                               posts(first: 5) { nodes { id caption status plannedAt } } } } }";

/// Whether an answer is what was asked for.
pub(crate) type IsRight<'a> = &'a (dyn Fn(&Answer) -> bool + Sync);

/// Prepares load for one program.
pub(crate) struct Requests<'a> {
    pub(crate) client: &'a Client,
    pub(crate) service: Service,
    /// Where files are written.
    pub(crate) dir: &'a Path,
}

impl Requests<'_> {
    /// One query by every caller, and what the first of them was answered.
    ///
    /// # Errors
    /// It was refused, or is not right.
    pub(crate) async fn query(
        &self,
        name: &str,
        tokens: &[&str],
        query: &str,
        is_right: IsRight<'_>,
    ) -> Result<(Tool, Value), HarnessError> {
        let (mut lines, mut bytes, mut first) = (String::new(), 0, None);
        for token in tokens {
            let (answer, length) = self.tried(token, query, json!({}), is_right).await?;
            bytes = length;
            first.get_or_insert(answer.body["data"].clone());
            line(&mut lines, token, query, &json!({}))?;
        }
        Ok((self.written(name, &lines, bytes)?, first.unwrap_or_default()))
    }

    /// Asks once and gives the answer with its length, its head included.
    ///
    /// # Errors
    /// It was refused, or is not right.
    pub(crate) async fn tried(
        &self,
        token: &str,
        query: &str,
        variables: Value,
        is_right: IsRight<'_>,
    ) -> Result<(Answer, usize), HarnessError> {
        let answer = self.client.graphql(token, query, variables).await?;
        if answer.status != 200 || !answer.body["errors"].is_null() || !is_right(&answer) {
            return Err(format!("{query}: {} {}", answer.status, answer.body).into());
        }
        let head: usize =
            answer.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        let length = "HTTP/1.1 200 OK\r\n\r\n".len() + head + answer.body.to_string().len();
        Ok((answer, length))
    }

    /// Load of these lines, whose answers have about that many bytes.
    ///
    /// # Errors
    /// They can't be written down.
    pub(crate) fn written(&self, name: &str, lines: &str, bytes: usize) -> Result<Tool, HarnessError> {
        let requests = self.dir.join(format!("{name}.requests"));
        std::fs::write(&requests, lines)?;
        let answer_bytes = u32::try_from(bytes)?;
        Ok(Tool::Http { service: self.service.clone(), requests, answer_bytes, connections: CONNECTIONS })
    }
}

/// Appends one request.
///
/// # Errors
/// Never in practice: it goes to memory.
pub(crate) fn line(lines: &mut String, token: &str, query: &str, variables: &Value) -> std::fmt::Result {
    let body = json!({ "query": query, "variables": variables });
    writeln!(lines, "{token}\t{body}")
}

/// Twenty accounts with five posts each, all of them with their fields.
pub(crate) fn is_page(answer: &Answer) -> bool {
    let full =
        |list: &Value, count: usize| list["nodes"].as_array().filter(|nodes| nodes.len() == count).cloned();
    full(answer.data("accounts"), 20).is_some_and(|accounts| {
        accounts.iter().all(|account| {
            full(&account["posts"], 5).is_some_and(|posts| posts.iter().all(|post| post["id"].is_string()))
        })
    })
}

/// Refuses two answers that do not tell the same.
///
/// # Errors
/// They differ.
pub(crate) fn same(what: &str, ours: &Value, theirs: &Value) -> Result<(), HarnessError> {
    let (ours, theirs) = (plain(ours), plain(theirs));
    if ours == theirs {
        Ok(())
    } else {
        Err(format!("{what} answered another thing:\n{ours}\n{theirs}").into())
    }
}

/// A value without what programs are free to spell as they like: global ids, case of enums, zones of instants. Of what
/// only one of them has (`nickname`, which is sealed, and `kind`) nothing is left.
fn plain(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(fields) => {
            let known = fields.iter().filter(|(name, _)| !["nickname", "kind"].contains(&name.as_str()));
            known.map(|(name, value)| (name.clone(), plain(value))).collect()
        }
        Value::String(text) => Value::String(plain_text(text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn plain_text(text: &str) -> String {
    let decoded = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let global = decoded.as_deref().and_then(|text| text.split_once(':')).map(|(_, id)| id.to_owned());
    let text = global.unwrap_or_else(|| text.trim_end_matches("+00:00").trim_end_matches('Z').to_owned());
    let instant = text.contains('T') && text.contains('.');
    let text = if instant { text.trim_end_matches('0').trim_end_matches('.') } else { text.as_str() };
    text.replace('-', "").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_is_no_difference_and_content_is() {
        let id = URL_SAFE_NO_PAD.encode("Member:000000000000400080000000000a0000");
        let ours =
            json!({ "id": id, "role": "OWNER", "at": "2026-01-01T00:00:00.120+00:00", "nickname": "A" });
        let theirs = |role: &str, at: &str| json!({ "id": "00000000-0000-4000-8000-0000000a0000", "role": role, "at": at, "kind": null });
        assert!(same("it", &ours, &theirs("owner", "2026-01-01T00:00:00.12Z")).is_ok());
        assert!(same("it", &ours, &theirs("admin", "2026-01-01T00:00:00.12Z")).is_err());
        assert!(same("it", &ours, &theirs("owner", "2026-01-01T00:00:01.12Z")).is_err());
        assert!(
            same("it", &json!({ "nodes": [1, 2] }), &json!({ "nodes": [2, 1] })).is_err(),
            "order counts"
        );
        assert!(same("it", &json!({ "n": "a" }), &json!({})).is_err());
    }
}
