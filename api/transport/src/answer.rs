//! One answer: what the executor or a refusal gave, masked, coded and stamped with its ID, and the one place where
//! it is written out.

use std::time::Duration;

use async_graphql::{Response, ServerError};
use async_graphql_value::ConstValue;
use serde::Serialize;
use uuid::Uuid;

use crate::error::{ErrorCode, Failure, Fault, code_of, set_code};
use crate::host::Bucket;
use crate::media::Media;
use crate::record::Outcome;

/// An answer ready to be written to any of the transports.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) id: Uuid,
    /// Set when the request was refused and so has no `data`.
    pub(crate) fault: Option<Fault>,
    pub(crate) data: Option<ConstValue>,
    pub(crate) errors: Vec<ServerError>,
    pub(crate) cost: Option<CostReport>,
    pub(crate) bucket: Option<Bucket>,
    pub(crate) is_replay: bool,
    pub(crate) retry_after_s: Option<u32>,
    /// Headers that resolvers set.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

/// Points asked for and used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CostReport {
    pub(crate) requested: u64,
    pub(crate) actual: u64,
}

impl Answer {
    pub(crate) fn refused(id: Uuid, failure: Failure) -> Self {
        let mut answer = Self {
            id,
            fault: Some(failure.fault),
            data: None,
            errors: failure.errors,
            cost: None,
            bucket: failure.bucket,
            is_replay: false,
            retry_after_s: failure.retry_after_s,
            headers: Vec::new(),
        };
        answer.stamp();
        answer
    }

    /// From what the executor returned. `errors_max` bounds the errors shown.
    pub(crate) fn executed(id: Uuid, mut response: Response, errors_max: usize) -> Self {
        if is_request_error(&response) {
            response.errors.truncate(errors_max);
            return Self::refused(id, Failure::document(ErrorCode::GraphqlValidationFailed, response.errors));
        }
        if response.errors.len() > errors_max {
            tracing::warn!(compliance.id = %id, errors = response.errors.len(), "more errors than are shown");
            response.errors.truncate(errors_max);
        }
        for error in &mut response.errors {
            mask(id, error);
        }
        let headers = response.http_headers.iter();
        let mut answer = Self {
            id,
            fault: None,
            data: Some(response.data),
            errors: response.errors,
            cost: None,
            bucket: None,
            is_replay: false,
            retry_after_s: None,
            headers: headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect(),
        };
        answer.stamp();
        answer
    }

    /// Puts the answer's ID into every error.
    fn stamp(&mut self) {
        let id = self.id.to_string();
        for error in &mut self.errors {
            error.extensions.get_or_insert_default().set("complianceId", id.as_str());
        }
    }

    pub(crate) fn status(&self, media: Media) -> u16 {
        self.fault.map_or(200, |fault| crate::error::status(fault, media))
    }

    pub(crate) fn outcome(&self) -> Outcome {
        let code = self.errors.first().and_then(code_of);
        match self.fault {
            Some(_) => Outcome::Refused(code.unwrap_or(ErrorCode::InternalServerError)),
            None => Outcome::Answered(code),
        }
    }

    /// Whether the document itself was refused, as against the request that carried it.
    pub(crate) fn is_document_fault(&self) -> bool {
        self.fault.is_some_and(|fault| crate::error::status(fault, Media::Json) == 200)
    }

    /// The answer as JSON. Values written out by `output` are taken as they are.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let throttle = self.bucket.as_ref().map(|bucket| ThrottleStatus {
            maximum_available: bucket.maximum_available,
            currently_available: bucket.currently_available,
            restore_rate: bucket.restore_rate_per_s,
        });
        let cost = self.cost.map(|cost| Cost {
            requested: cost.requested,
            actual: cost.actual,
            throttle_status: throttle,
        });
        let rest = Rest {
            errors: &self.errors,
            extensions: Extensions {
                compliance_id: self.id,
                cost,
                idempotent_replay: self.is_replay.then_some(true),
            },
        };
        let rest = serde_json::to_vec(&rest).unwrap_or_else(|error| {
            // Only an error's extension with keys that are no strings could do this.
            tracing::error!(compliance.id = %self.id, %error, "an answer could not be written");
            br#"{"errors":[{"message":"internal error","extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}"#
                .to_vec()
        });
        let Some(data) = &self.data else { return rest };
        let mut text = Vec::with_capacity(rest.len() + size_of_written(data) + 256);
        text.extend_from_slice(br#"{"data":"#);
        output::write_value(data, &mut text);
        text.push(b',');
        // The rest is an object and never empty.
        text.extend_from_slice(&rest[1..]);
        text
    }
}

/// Bytes of what is written out already directly below the root, where most of an answer is.
fn size_of_written(data: &ConstValue) -> usize {
    let ConstValue::Object(members) = data else { return 0 };
    let written = members.values().map(|member| match member {
        ConstValue::Binary(text) => text.len(),
        ConstValue::Null
        | ConstValue::Number(_)
        | ConstValue::String(_)
        | ConstValue::Boolean(_)
        | ConstValue::Enum(_)
        | ConstValue::List(_)
        | ConstValue::Object(_) => 0,
    });
    written.sum()
}

/// Errors before execution have no path, and no data comes with them.
fn is_request_error(response: &Response) -> bool {
    response.data == ConstValue::Null
        && !response.errors.is_empty()
        && response.errors.iter().all(|error| error.path.is_empty())
}

/// Makes sure an error has one of our codes; what has none is hidden and logged.
fn mask(id: Uuid, error: &mut ServerError) {
    match code_of(error) {
        Some(ErrorCode::InternalServerError) | None => {}
        Some(_) => return,
    }
    if is_input_error(error) {
        set_code(error, ErrorCode::BadUserInput);
        return;
    }
    tracing::error!(compliance.id = %id, path = ?error.path, message = error.message, "a resolver failed");
    "internal error".clone_into(&mut error.message);
    error.extensions = None;
    error.source = None;
    set_code(error, ErrorCode::InternalServerError);
}

/// Whether the library itself refused an argument: it gives neither code nor source, only these texts, which
/// repeat what the client sent.
fn is_input_error(error: &ServerError) -> bool {
    const TEXTS: [&str; 3] =
        ["Failed to parse \"", "Expected input type \"", "Invalid value for argument \""];
    code_of(error).is_none()
        && error.source.is_none()
        && TEXTS.iter().any(|text| error.message.starts_with(text))
}

/// The answer to an operation that ran too long.
pub(crate) fn deadline_passed(deadline: Duration) -> Failure {
    Failure::new(
        ErrorCode::Unavailable,
        format!("the operation did not finish within {} s", deadline.as_secs()),
    )
}

/// What follows the data.
#[derive(Serialize)]
struct Rest<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [ServerError],
    extensions: Extensions,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Extensions {
    compliance_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<Cost>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotent_replay: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cost {
    #[serde(rename = "requestedQueryCost")]
    requested: u64,
    #[serde(rename = "actualQueryCost")]
    actual: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    throttle_status: Option<ThrottleStatus>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ThrottleStatus {
    maximum_available: u64,
    currently_available: u64,
    restore_rate: u64,
}

#[cfg(test)]
mod tests {
    use async_graphql::{PathSegment, value};

    use super::*;

    fn failed(message: &str, code: Option<&str>) -> Response {
        let mut error = ServerError::new(message, None);
        error.path = vec![PathSegment::Field("a".into())];
        if let Some(code) = code {
            error.extensions.get_or_insert_default().set("code", code);
        }
        let mut response = Response::new(value!({ "a": null }));
        response.errors = vec![error];
        response
    }

    fn json(answer: &Answer) -> serde_json::Value {
        serde_json::from_slice(&answer.to_json()).unwrap()
    }

    #[test]
    fn resolver_errors_without_a_code_of_ours_are_masked() {
        let check = |message: &str, code: Option<&str>, shown: &str, expected: &str| {
            let answer = json(&Answer::executed(Uuid::nil(), failed(message, code), 20));
            assert_eq!(answer["errors"][0]["message"], shown);
            assert_eq!(answer["errors"][0]["extensions"]["code"], expected);
            assert_eq!(answer["errors"][0]["extensions"]["complianceId"], Uuid::nil().to_string());
            assert_eq!(answer["errors"][0]["path"][0], "a");
            assert_eq!(answer["data"]["a"], serde_json::Value::Null);
        };
        check("password is hunter2", None, "internal error", "INTERNAL_SERVER_ERROR");
        check("sql", Some("NOT_FOUND"), "internal error", "INTERNAL_SERVER_ERROR");
        check("sql", Some("INTERNAL_SERVER_ERROR"), "internal error", "INTERNAL_SERVER_ERROR");
        check("not yours", Some("FORBIDDEN"), "not yours", "FORBIDDEN");
        let text = "Failed to parse \"Int\": out of range";
        check(text, None, text, "BAD_USER_INPUT");
    }

    #[test]
    fn data_is_absent_on_request_errors_and_null_on_failed_ones() {
        let refused = Response::from_errors(vec![ServerError::new("Unknown field", None)]);
        let answer = json(&Answer::executed(Uuid::nil(), refused, 20));
        assert_eq!(answer.get("data"), None);
        assert_eq!(answer["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
        let mut response = failed("x", Some("FORBIDDEN"));
        response.data = ConstValue::Null;
        let answer = json(&Answer::executed(Uuid::nil(), response, 20));
        assert_eq!(answer.get("data"), Some(&serde_json::Value::Null));
    }

    #[test]
    fn written_values_stand_in_the_answer_as_they_are() {
        let mut response = failed("x", Some("FORBIDDEN"));
        let ConstValue::Object(members) = &mut response.data else { panic!("an object") };
        members.insert(async_graphql::Name::new("b"), ConstValue::Binary(r#"[{"c":"\u0000"}]"#.into()));
        let answer = Answer::executed(Uuid::nil(), response, 20);
        let text = String::from_utf8(answer.to_json()).unwrap();
        assert!(text.starts_with(r#"{"data":{"a":null,"b":[{"c":"\u0000"}]},"errors":[{"#), "{text}");
        assert_eq!(json(&answer)["extensions"]["complianceId"], Uuid::nil().to_string());
    }

    #[test]
    fn errors_are_bounded() {
        let mut response = failed("x", None);
        response.errors = std::iter::repeat_with(|| response.errors[0].clone()).take(100).collect();
        assert_eq!(Answer::executed(Uuid::nil(), response, 20).errors.len(), 20);
    }
}
