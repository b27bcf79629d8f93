//! The messages of graphql-transport-ws, both ways, and the codes sockets are closed with.

use actix_ws::{CloseCode, CloseReason};
use async_graphql::Name;
use async_graphql::indexmap::IndexMap;
use async_graphql_value::ConstValue;
use uuid::Uuid;

use crate::answer::Answer;

/// Longest operation ID, in bytes.
const ID_MAX_BYTES: usize = 128;

/// A message of the client.
#[derive(Debug, PartialEq)]
pub(crate) enum ClientMessage {
    Init(Option<ConstValue>),
    Subscribe { id: String, payload: ConstValue },
    Complete { id: String },
    Ping(Option<ConstValue>),
    Pong,
}

/// Why a socket is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    GoingAway,
    Binary,
    NotUtf8,
    TooLarge,
    Overloaded,
    Silent,
    InvalidMessage(&'static str),
    Unauthorized,
    Forbidden,
    InitTimeout,
    DuplicateId,
    SecondInit,
}

impl Close {
    pub(crate) fn reason(self) -> CloseReason {
        let (code, text) = match self {
            Self::GoingAway => (1001, "the server is stopping"),
            Self::Binary => (1003, "messages are text"),
            Self::NotUtf8 => (1007, "messages are UTF-8"),
            Self::Silent => (1008, "no sign of life"),
            Self::TooLarge => (1009, "the message is too large"),
            Self::Overloaded => (1013, "try again later"),
            Self::InvalidMessage(text) => (4400, text),
            Self::Unauthorized => (4401, "Unauthorized"),
            Self::Forbidden => (4403, "Forbidden"),
            Self::InitTimeout => (4408, "Connection initialisation timeout"),
            Self::DuplicateId => (4409, "Subscriber for this ID already exists"),
            Self::SecondInit => (4429, "Too many initialisation requests"),
        };
        CloseReason { code: CloseCode::from(code), description: Some(text.to_owned()) }
    }
}

/// Reads a message; anything not of the protocol closes the socket with 4400.
pub(crate) fn read(text: &str) -> Result<ClientMessage, Close> {
    const NOT_JSON: Close = Close::InvalidMessage("the message is not a JSON object");
    let ConstValue::Object(mut members) = serde_json::from_str(text).map_err(|_| NOT_JSON)? else {
        return Err(NOT_JSON);
    };
    let Some(ConstValue::String(kind)) = members.swap_remove("type") else {
        return Err(Close::InvalidMessage("`type` must be a string"));
    };
    match kind.as_str() {
        "connection_init" => optional_payload(&mut members).map(ClientMessage::Init),
        "ping" => optional_payload(&mut members).map(ClientMessage::Ping),
        "pong" => optional_payload(&mut members).map(|_| ClientMessage::Pong),
        "complete" => Ok(ClientMessage::Complete { id: id(&mut members)? }),
        "subscribe" => {
            let id = id(&mut members)?;
            match members.swap_remove("payload") {
                Some(payload @ ConstValue::Object(_)) => Ok(ClientMessage::Subscribe { id, payload }),
                _ => Err(Close::InvalidMessage("`payload` must be an object")),
            }
        }
        _ => Err(Close::InvalidMessage("unknown `type`")),
    }
}

type Members = IndexMap<Name, ConstValue>;

fn optional_payload(members: &mut Members) -> Result<Option<ConstValue>, Close> {
    match members.swap_remove("payload") {
        None | Some(ConstValue::Null) => Ok(None),
        Some(payload @ ConstValue::Object(_)) => Ok(Some(payload)),
        Some(_) => Err(Close::InvalidMessage("`payload` must be an object")),
    }
}

fn id(members: &mut Members) -> Result<String, Close> {
    match members.swap_remove("id") {
        Some(ConstValue::String(id)) if !id.is_empty() && id.len() <= ID_MAX_BYTES => Ok(id),
        _ => Err(Close::InvalidMessage("`id` must be a string of 1 to 128 bytes")),
    }
}

pub(crate) fn ack(connection: Uuid) -> String {
    format!(r#"{{"type":"connection_ack","payload":{{"complianceId":"{connection}"}}}}"#)
}

pub(crate) fn pong(payload: Option<ConstValue>) -> String {
    match payload.and_then(|payload| serde_json::to_string(&payload).ok()) {
        Some(payload) => format!(r#"{{"type":"pong","payload":{payload}}}"#),
        None => r#"{"type":"pong"}"#.to_owned(),
    }
}

pub(crate) fn complete(id: &str) -> String {
    format!(r#"{{"id":{},"type":"complete"}}"#, quoted(id))
}

pub(crate) fn next(id: &str, answer: &Answer) -> String {
    let payload = String::from_utf8(answer.to_json())
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    format!(r#"{{"id":{},"type":"next","payload":{payload}}}"#, quoted(id))
}

/// The errors alone, as the protocol has it for operations that never ran.
pub(crate) fn error(id: &str, answer: &Answer) -> String {
    let payload = serde_json::to_string(&answer.errors).unwrap_or_else(|_| "[]".to_owned());
    format!(r#"{{"id":{},"type":"error","payload":{payload}}}"#, quoted(id))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_outside_the_protocol_close_with_4400() {
        for text in [
            "",
            "{",
            "[]",
            "null",
            "{}",
            r#"{"type":1}"#,
            r#"{"type":"start","id":"1","payload":{}}"#,
            r#"{"type":"subscribe","payload":{}}"#,
            r#"{"type":"subscribe","id":"","payload":{}}"#,
            r#"{"type":"subscribe","id":7,"payload":{}}"#,
            r#"{"type":"subscribe","id":"1"}"#,
            r#"{"type":"subscribe","id":"1","payload":[]}"#,
            r#"{"type":"complete"}"#,
            r#"{"type":"connection_init","payload":"x"}"#,
            r#"{"type":"ping","payload":[]}"#,
        ] {
            assert!(matches!(read(text), Err(Close::InvalidMessage(_))), "{text}");
        }
        assert!(read(&format!(r#"{{"type":"complete","id":"{}"}}"#, "x".repeat(129))).is_err());
        assert!(read(&"[".repeat(60_000)).is_err());
    }

    #[test]
    fn well_formed_messages_are_read() {
        assert_eq!(read(r#"{"type":"connection_init"}"#), Ok(ClientMessage::Init(None)));
        assert_eq!(read(r#"{"type":"pong","payload":{"a":1}}"#), Ok(ClientMessage::Pong));
        assert_eq!(
            read(r#"{"id":"é\"","type":"complete"}"#),
            Ok(ClientMessage::Complete { id: "é\"".to_owned() })
        );
        assert_eq!(complete("é\""), r#"{"id":"é\"","type":"complete"}"#);
    }

    #[test]
    fn close_codes_are_those_of_the_protocol() {
        let code = |close: Close| u16::from(close.reason().code);
        assert_eq!(code(Close::GoingAway), 1001);
        assert_eq!(code(Close::InvalidMessage("x")), 4400);
        assert_eq!(code(Close::Unauthorized), 4401);
        assert_eq!(code(Close::Forbidden), 4403);
        assert_eq!(code(Close::InitTimeout), 4408);
        assert_eq!(code(Close::DuplicateId), 4409);
        assert_eq!(code(Close::SecondInit), 4429);
    }
}
