//! The closed set of error codes, and the one function that turns a refusal into an HTTP status.
//!
//! Invariants: no code outside [`ErrorCode`] ever leaves the server, and no other module picks a status.

use async_graphql::ServerError;
use async_graphql_value::ConstValue;

use crate::host::{Bucket, Refusal};
use crate::media::Media;

/// Every word that may stand in `errors[].extensions.code`. Apollo's words where they exist, because
/// clients and test tools classify by them; new words need a release note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The request, a variable or an argument does not have the required shape.
    BadUserInput,
    /// The document is not GraphQL, or has more tokens or nesting than is read.
    GraphqlParseFailed,
    /// The document does not fit the schema, or is larger than the limits on documents.
    GraphqlValidationFailed,
    /// `operationName` chooses no operation of the document.
    OperationResolutionFailure,
    /// `documentId` names no trusted document.
    PersistedQueryNotFound,
    /// A fault of the server; its text stays in the log.
    InternalServerError,
    /// No valid credential was given.
    Unauthenticated,
    /// The caller may not do this.
    Forbidden,
    /// Too many requests or points for now.
    Throttled,
    /// The operation costs more than one request may.
    CostExceeded,
    /// The idempotency key was used with other arguments.
    IdempotencyKeyReused,
    /// The first request with this idempotency key is still running.
    IdempotencyInProgress,
    /// A part the server depends on is missing, or the deadline passed.
    Unavailable,
}

impl ErrorCode {
    /// All codes, in the order of the enum; for the schema's documentation.
    pub const ALL: [Self; 13] = [
        Self::BadUserInput,
        Self::GraphqlParseFailed,
        Self::GraphqlValidationFailed,
        Self::OperationResolutionFailure,
        Self::PersistedQueryNotFound,
        Self::InternalServerError,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::Throttled,
        Self::CostExceeded,
        Self::IdempotencyKeyReused,
        Self::IdempotencyInProgress,
        Self::Unavailable,
    ];

    /// The word clients see, such as `BAD_USER_INPUT`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadUserInput => "BAD_USER_INPUT",
            Self::GraphqlParseFailed => "GRAPHQL_PARSE_FAILED",
            Self::GraphqlValidationFailed => "GRAPHQL_VALIDATION_FAILED",
            Self::OperationResolutionFailure => "OPERATION_RESOLUTION_FAILURE",
            Self::PersistedQueryNotFound => "PERSISTED_QUERY_NOT_FOUND",
            Self::InternalServerError => "INTERNAL_SERVER_ERROR",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::Throttled => "THROTTLED",
            Self::CostExceeded => "COST_EXCEEDED",
            Self::IdempotencyKeyReused => "IDEMPOTENCY_KEY_REUSED",
            Self::IdempotencyInProgress => "IDEMPOTENCY_IN_PROGRESS",
            Self::Unavailable => "UNAVAILABLE",
        }
    }

    /// The code spelt by `word`, or `None` for any other text.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == word)
    }
}

/// Why a request got no `data`, as far as the HTTP status depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    MethodNotAllowed,
    NotAcceptable,
    TooLarge,
    UnsupportedMedia,
    /// The body is no GraphQL request at all: bad JSON, wrong member types.
    Malformed,
    Code(ErrorCode),
}

/// The HTTP status of a request that got no `data` (GraphQL over HTTP, section 6). Statuses of well-formed
/// requests depend on the media type: `application/json` promises 200 whatever the document holds.
///
/// This is also where the draft's 422/294 goes once the outside audits ask for it.
pub(crate) const fn status(fault: Fault, media: Media) -> u16 {
    match fault {
        Fault::MethodNotAllowed => 405,
        Fault::NotAcceptable => 406,
        Fault::TooLarge => 413,
        Fault::UnsupportedMedia => 415,
        Fault::Malformed => 400,
        Fault::Code(code) => match code {
            ErrorCode::Unauthenticated => 401,
            ErrorCode::Forbidden => 403,
            ErrorCode::IdempotencyKeyReused | ErrorCode::IdempotencyInProgress => 409,
            ErrorCode::Throttled => 429,
            ErrorCode::InternalServerError => 500,
            ErrorCode::Unavailable => 503,
            ErrorCode::BadUserInput
            | ErrorCode::GraphqlParseFailed
            | ErrorCode::GraphqlValidationFailed
            | ErrorCode::OperationResolutionFailure
            | ErrorCode::PersistedQueryNotFound
            | ErrorCode::CostExceeded => match media {
                Media::GraphqlResponse => 400,
                Media::Json | Media::EventStream => 200,
            },
        },
    }
}

/// A request refused before execution: what the client is told and with which status.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) fault: Fault,
    pub(crate) errors: Vec<ServerError>,
    pub(crate) retry_after_s: Option<u32>,
    pub(crate) bucket: Option<Bucket>,
}

impl Failure {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::at(Fault::Code(code), code, message)
    }

    /// A request of the wrong shape: 400 under every media type.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::at(Fault::Malformed, ErrorCode::BadUserInput, message)
    }

    pub(crate) fn at(fault: Fault, code: ErrorCode, message: impl Into<String>) -> Self {
        let mut error = ServerError::new(message, None);
        set_code(&mut error, code);
        Self { fault, errors: vec![error], retry_after_s: None, bucket: None }
    }

    /// Errors the library found in the document, all under one code.
    pub(crate) fn document(code: ErrorCode, mut errors: Vec<ServerError>) -> Self {
        for error in &mut errors {
            set_code(error, code);
        }
        Self { fault: Fault::Code(code), errors, retry_after_s: None, bucket: None }
    }

    /// Adds a member to the extensions of every error.
    pub(crate) fn with(mut self, name: &str, value: &(impl Into<ConstValue> + Clone)) -> Self {
        for error in &mut self.errors {
            error.extensions.get_or_insert_default().set(name, value.clone());
        }
        self
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let mut failure = Self::new(refusal.code, refusal.message);
        failure.retry_after_s = refusal.retry_after_s;
        failure.bucket = refusal.bucket;
        match refusal.retry_after_s {
            Some(seconds) => failure.with("retryAfter", &seconds),
            None => failure,
        }
    }
}

pub(crate) fn set_code(error: &mut ServerError, code: ErrorCode) {
    error.extensions.get_or_insert_default().set("code", code.as_str());
}

/// The code an error carries, if it is one of ours.
pub(crate) fn code_of(error: &ServerError) -> Option<ErrorCode> {
    match error.extensions.as_ref()?.get("code")? {
        ConstValue::String(word) => ErrorCode::from_word(word),
        ConstValue::Enum(word) => ErrorCode::from_word(word),
        ConstValue::Null
        | ConstValue::Number(_)
        | ConstValue::Boolean(_)
        | ConstValue::Binary(_)
        | ConstValue::List(_)
        | ConstValue::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_and_no_other_does() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_word(code.as_str()), Some(code));
        }
        assert_eq!(ErrorCode::from_word("NOT_FOUND"), None);
        assert_eq!(ErrorCode::from_word("bad_user_input"), None);
    }

    #[test]
    fn document_faults_follow_the_media_type_and_the_others_do_not() {
        let both = |fault| (status(fault, Media::GraphqlResponse), status(fault, Media::Json));
        assert_eq!(both(Fault::Code(ErrorCode::GraphqlParseFailed)), (400, 200));
        assert_eq!(both(Fault::Code(ErrorCode::CostExceeded)), (400, 200));
        assert_eq!(both(Fault::Malformed), (400, 400));
        assert_eq!(both(Fault::Code(ErrorCode::Throttled)), (429, 429));
        assert_eq!(both(Fault::Code(ErrorCode::Unauthenticated)), (401, 401));
        assert_eq!(both(Fault::TooLarge), (413, 413));
    }
}
