//! What is told to the product about an operation, before it runs ([`OperationInfo`]) and when it is answered
//! ([`OperationRecord`]). No argument values and no document text: both may hold personal data.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_graphql_parser::types::OperationType;
use output::Ledger;
use uuid::Uuid;

use crate::error::ErrorCode;

/// Query, mutation or subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperationKind {
    /// Reads.
    Query,
    /// Writes.
    Mutation,
    /// Streams.
    Subscription,
}

impl OperationKind {
    /// The GraphQL keyword.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Mutation => "mutation",
            Self::Subscription => "subscription",
        }
    }
}

impl From<OperationType> for OperationKind {
    fn from(ty: OperationType) -> Self {
        match ty {
            OperationType::Query => Self::Query,
            OperationType::Mutation => Self::Mutation,
            OperationType::Subscription => Self::Subscription,
        }
    }
}

/// How the request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// One request, one answer.
    Http,
    /// graphql-sse.
    EventStream,
    /// graphql-transport-ws.
    WebSocket,
}

/// An operation that passed parsing and the limits on documents.
#[derive(Clone, Debug)]
pub struct OperationInfo {
    /// ID of the answer this operation will get.
    pub answer_id: Uuid,
    /// How it came in.
    pub transport: Transport,
    /// Query, mutation or subscription.
    pub kind: OperationKind,
    /// Its name in the document, if it has one; at most 255 bytes.
    pub name: Option<String>,
    /// Names of the root fields, fragments expanded, without repetition; as written, not yet validated.
    pub root_fields: Vec<String>,
    /// `sha256:` and the hash of the document text, in hex.
    pub document_hash: String,
    /// Whether the document came from the store of trusted documents.
    pub is_trusted: bool,
    /// Cost before execution, in points.
    pub requested_cost: u64,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered, possibly with partial data; the code of the first error if there was one.
    Answered(Option<ErrorCode>),
    /// Refused before execution.
    Refused(ErrorCode),
    /// A stream was opened; its values follow under the same ID.
    Streaming,
    /// A socket was opened.
    Connected,
}

/// One answer, for the access log.
#[derive(Clone, Debug)]
pub struct OperationRecord<C> {
    /// The ID the client was given.
    pub answer_id: Uuid,
    /// Who asked; `None` when anonymous or not yet known.
    pub caller: Option<C>,
    /// How the request came in.
    pub transport: Transport,
    /// `None` when the request was refused before its document was understood.
    pub operation: Option<Arc<OperationInfo>>,
    /// HTTP status of the answer; 200 or 101 for frames on a stream or socket.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// Cost after execution, in points; 0 when nothing ran.
    pub actual_cost: u64,
    /// From the request's head to the finished answer.
    pub duration: Duration,
    /// The client's own request ID, cut to 64 characters of `[A-Za-z0-9._-]`.
    pub client_ref: Option<String>,
    /// Address of the other end of the connection.
    pub peer: Option<IpAddr>,
    /// The client's name for itself, cut to 256 characters.
    pub user_agent: Option<String>,
}

/// What was known of a query's document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DocumentUse {
    /// It was parsed and validated before.
    Known,
    /// It was parsed before, and validated again for the sake of its variables.
    Rechecked,
    /// It was parsed and validated.
    New,
}

/// How a query was answered, or a value of a subscription sent, for figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputRecord {
    /// What was known of its document; `None` for a value of a subscription.
    pub document: Option<DocumentUse>,
    /// Values written out.
    pub written: u32,
    /// Those of them whose text had been written for another reader.
    pub reused: u32,
    /// Values that could be written out in another document, and were left to async-graphql's executor.
    pub left: u32,
    /// Batched fields that were asked for one object instead of for all of its level.
    pub alone: u32,
}

impl OutputRecord {
    pub(crate) fn of(ledger: &Ledger, document: Option<DocumentUse>) -> Self {
        Self {
            document,
            written: ledger.written(),
            reused: ledger.reused(),
            left: ledger.left(),
            alone: ledger.alone(),
        }
    }

    /// What has come since `before`.
    pub(crate) const fn since(self, before: Self) -> Self {
        Self {
            document: self.document,
            written: self.written.wrapping_sub(before.written),
            reused: self.reused.wrapping_sub(before.reused),
            left: self.left.wrapping_sub(before.left),
            alone: self.alone.wrapping_sub(before.alone),
        }
    }
}

/// Most characters of a client's request ID that are kept.
const CLIENT_REF_MAX: usize = 64;

/// The part of a client's own request ID that is safe to keep; `None` when nothing is.
pub(crate) fn client_ref(text: &str) -> Option<String> {
    let safe = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let kept: String = text.chars().filter(safe).take(CLIENT_REF_MAX).collect();
    (!kept.is_empty()).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_refs_are_bounded_and_plain() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(client_ref(text).as_deref(), expected);
        check("req-1", Some("req-1"));
        check("a\r\nX-Evil: 1", Some("aX-Evil1"));
        check("\u{202e}=HYPERLINK(1)", Some("HYPERLINK1"));
        check("", None);
        check("\r\n", None);
        assert_eq!(client_ref(&"x".repeat(10_000)).map(|kept| kept.len()), Some(64));
    }
}
