//! The members of a GraphQL request, whichever way they came, with their types checked one by one.

use std::collections::HashMap;

use actix_web::web::Query;
use async_graphql::Variables;
use async_graphql_value::ConstValue;

use crate::error::Failure;

/// A request, not yet looked into.
#[derive(Debug, Default)]
pub(crate) struct Params {
    pub(crate) query: Option<String>,
    pub(crate) document_id: Option<String>,
    pub(crate) operation_name: Option<String>,
    pub(crate) variables: Variables,
}

impl Params {
    /// From a JSON body.
    pub(crate) fn from_json(body: &[u8]) -> Result<Self, Failure> {
        if body.is_empty() {
            return Err(Failure::malformed("the request body is empty"));
        }
        let value = serde_json::from_slice(body)
            .map_err(|error| Failure::malformed(format!("the request body is not JSON: {error}")))?;
        Self::from_value(value)
    }

    /// From a JSON value: a body, or the `payload` of a `subscribe` message.
    pub(crate) fn from_value(value: ConstValue) -> Result<Self, Failure> {
        let members = match value {
            ConstValue::Object(members) => members,
            ConstValue::List(_) => {
                return Err(Failure::malformed("batches are not supported: send one operation a request"));
            }
            ConstValue::Null
            | ConstValue::Number(_)
            | ConstValue::String(_)
            | ConstValue::Boolean(_)
            | ConstValue::Binary(_)
            | ConstValue::Enum(_) => return Err(Failure::malformed("the request is not a JSON object")),
        };
        let mut params = Self::default();
        for (name, value) in members {
            match name.as_str() {
                "query" => params.query = text("query", value)?,
                "documentId" => params.document_id = text("documentId", value)?,
                "operationName" => params.operation_name = text("operationName", value)?,
                "variables" => params.variables = Variables::from_value(object("variables", value)?),
                // Nothing here reads extensions; the standard wants them checked and allowed.
                "extensions" => drop(object("extensions", value)?),
                _ => {
                    let shown: String = name.chars().take(64).collect();
                    return Err(Failure::malformed(format!("unknown member `{shown}` in the request")));
                }
            }
        }
        params.checked()
    }

    /// From the query string of a GET request; `variables` and `extensions` are JSON in it.
    pub(crate) fn from_query_string(query_string: &str) -> Result<Self, Failure> {
        let pairs = Query::<HashMap<String, String>>::from_query(query_string)
            .map_err(|_| Failure::malformed("the query string is not URL-encoded"))?;
        let mut members = async_graphql::indexmap::IndexMap::new();
        for (name, text) in pairs.into_inner() {
            let value = match name.as_str() {
                "variables" | "extensions" => serde_json::from_str(&text)
                    .map_err(|error| Failure::malformed(format!("`{name}` is not JSON: {error}")))?,
                _ => ConstValue::String(text),
            };
            members.insert(async_graphql::Name::new(name), value);
        }
        Self::from_value(ConstValue::Object(members))
    }

    fn checked(mut self) -> Result<Self, Failure> {
        self.operation_name = self.operation_name.filter(|name| !name.is_empty());
        match (&self.query, &self.document_id) {
            (None, None) => Err(Failure::malformed("`query` or `documentId` is required")),
            (Some(_), Some(_)) => Err(Failure::malformed("`query` and `documentId` exclude each other")),
            _ => Ok(self),
        }
    }
}

fn text(name: &str, value: ConstValue) -> Result<Option<String>, Failure> {
    match value {
        ConstValue::Null => Ok(None),
        ConstValue::String(text) => Ok(Some(text)),
        ConstValue::Number(_)
        | ConstValue::Boolean(_)
        | ConstValue::Binary(_)
        | ConstValue::Enum(_)
        | ConstValue::List(_)
        | ConstValue::Object(_) => Err(Failure::malformed(format!("`{name}` must be a string"))),
    }
}

fn object(name: &str, value: ConstValue) -> Result<ConstValue, Failure> {
    match value {
        ConstValue::Null | ConstValue::Object(_) => Ok(value),
        ConstValue::Number(_)
        | ConstValue::String(_)
        | ConstValue::Boolean(_)
        | ConstValue::Binary(_)
        | ConstValue::Enum(_)
        | ConstValue::List(_) => Err(Failure::malformed(format!("`{name}` must be an object"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Fault;

    #[test]
    fn wrong_shapes_are_refused_by_name() {
        let check = |body: &str, expected: &str| {
            let failure = Params::from_json(body.as_bytes()).unwrap_err();
            assert_eq!(failure.fault, Fault::Malformed, "{body}");
            assert!(failure.errors[0].message.contains(expected), "{body}: {}", failure.errors[0].message);
        };
        check("", "empty");
        check("{", "not JSON");
        check("\u{0}", "not JSON");
        check("[]", "batches");
        check(r#"[{"query":"{a}"}]"#, "batches");
        check("3", "not a JSON object");
        check("{}", "`query` or `documentId`");
        check(r#"{"query":null}"#, "`query` or `documentId`");
        check(r#"{"query":1}"#, "`query`");
        check(r#"{"query":"{a}","documentId":"x"}"#, "exclude");
        check(r#"{"query":"{a}","operationName":[]}"#, "`operationName`");
        check(r#"{"query":"{a}","variables":"x"}"#, "`variables`");
        check(r#"{"query":"{a}","extensions":0}"#, "`extensions`");
        check(r#"{"qeury":"{a}"}"#, "`qeury`");
        check(&"[".repeat(100_000), "not JSON");
    }

    #[test]
    fn null_members_are_absent() {
        let body = r#"{"query":"{a}","operationName":null,"variables":null,"extensions":null}"#;
        let params = Params::from_json(body.as_bytes()).unwrap();
        assert_eq!(params.query.as_deref(), Some("{a}"));
        assert_eq!(params.operation_name, None);
        assert!(params.variables.is_empty());
    }

    #[test]
    fn query_strings_hold_json() {
        let params = Params::from_query_string("query=%7Ba%7D&variables=%7B%22n%22%3A1%7D").unwrap();
        assert_eq!(params.query.as_deref(), Some("{a}"));
        assert_eq!(params.variables.get("n"), Some(&ConstValue::Number(1.into())));
        assert!(Params::from_query_string("query=a&variables=x").is_err());
        assert!(Params::from_query_string("").is_err());
    }
}
