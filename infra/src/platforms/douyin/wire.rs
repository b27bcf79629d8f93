//! Answers as the platform writes them: one reader for its three envelopes.
//!
//! "Classic" (`data`, `extra`), "new" (`err_no`) and "OAuth" (`data`, `message`) differ in where they put the code, and
//! samples of one family mix the places and write numbers as text. So every place is looked at, and the first code that
//! is not zero is the answer's; an answer without any code says nothing. Texts of the platform are not kept: they quote
//! what was sent.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, Visitor},
};
use serde_json::value::RawValue;

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said<T> {
    /// It was done; this is what came of it.
    Done(T),
    /// A code that is not zero.
    Code(i64),
}

/// Why an answer says nothing. None of it repeats what the answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unread {
    /// Business errors come with status 200: another is a gateway's.
    #[error("status {0}")]
    Status(u16),
    /// It is no JSON, ends too early, or has another shape.
    #[error("not the JSON there should be ({category}, at line {line}, column {column})")]
    Shape {
        /// What kind of fault it is.
        category: &'static str,
        /// Where it begins.
        line: usize,
        /// Where it begins.
        column: usize,
    },
    /// No code in any of its places.
    #[error("no code in it")]
    NoCode,
    /// What must be in it is not.
    #[error("without `{0}`")]
    Without(&'static str),
}

/// Whatever the parser says may quote the answer; only where it stopped is kept.
impl From<serde_json::Error> for Unread {
    fn from(error: serde_json::Error) -> Self {
        let category = match error.classify() {
            serde_json::error::Category::Io => "reading",
            serde_json::error::Category::Syntax => "syntax",
            serde_json::error::Category::Data => "shape",
            serde_json::error::Category::Eof => "cut short",
        };
        Self::Shape { category, line: error.line(), column: error.column() }
    }
}

/// An integer, written as a number or as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Int(pub(super) i64);

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl Visitor<'_> for Seen {
            type Value = Int;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer, as a number or as text")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Int, E> {
                Ok(Int(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Int, E> {
                i64::try_from(number).map(Int).map_err(|_| E::custom("too great"))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Int, E> {
                text.parse().map(Int).map_err(|_| E::custom("no integer"))
            }
        }
        deserializer.deserialize_any(Seen)
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default)]
    err_no: Option<Int>,
    #[serde(default)]
    error_code: Option<Int>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    extra: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Coded {
    #[serde(default)]
    error_code: Option<Int>,
}

/// An object. The parser would take a list too, and give its items to the fields in their order.
pub(super) fn object<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Unread> {
    if text.trim_ascii_start().starts_with(b"{") {
        Ok(serde_json::from_slice(text)?)
    } else {
        Err(Unread::Shape { category: "no object", line: 1, column: 1 })
    }
}

/// The code within a part of the envelope, which is an object or says nothing.
fn code_in(part: Option<&RawValue>) -> Result<Option<Int>, Unread> {
    match part.map(RawValue::get).filter(|text| text.starts_with('{')) {
        Some(text) => Ok(object::<Coded>(text.as_bytes())?.error_code),
        None => Ok(None),
    }
}

/// Reads an answer.
///
/// # Errors
/// [`Unread`]: nobody knows what it says, so nothing may be concluded from it.
pub(super) fn read<T: DeserializeOwned>(status: u16, body: &[u8]) -> Result<Said<T>, Unread> {
    if status != 200 {
        return Err(Unread::Status(status));
    }
    let envelope: Envelope<'_> = object(body)?;
    let codes = [envelope.err_no, code_in(envelope.data)?, code_in(envelope.extra)?, envelope.error_code];
    let mut codes = codes.into_iter().flatten().peekable();
    if codes.peek().is_none() {
        return Err(Unread::NoCode);
    }
    if let Some(Int(code)) = codes.find(|code| code.0 != 0) {
        return Ok(Said::Code(code));
    }
    let data = envelope.data.ok_or(Unread::Without("data"))?;
    Ok(Said::Done(object(data.get().as_bytes())?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Tokens {
        access_token: String,
        expires_in: Int,
        #[serde(default)]
        refresh_expires_in: Option<Int>,
    }

    fn said(body: &str) -> Result<Said<Value>, Unread> {
        read(200, body.as_bytes())
    }

    fn code(body: &str) -> i64 {
        match said(body) {
            Ok(Said::Code(code)) => code,
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn tokens_are_read_from_every_spelling() {
        for body in [include_str!("fixtures/exchange.json"), include_str!("fixtures/exchange_strings.json")] {
            let Ok(Said::Done(Tokens { access_token, expires_in, refresh_expires_in })) =
                read::<Tokens>(200, body.as_bytes())
            else {
                panic!("{body}")
            };
            assert_eq!(access_token, "act.sbx7c1e90f2d3b4a5968778695a4b3c2d1e0");
            assert_eq!((expires_in, refresh_expires_in), (Int(1_296_000), Some(Int(2_592_000))));
        }
    }

    #[test]
    fn the_code_is_found_wherever_it_is() {
        assert_eq!(code(include_str!("fixtures/error_a.json")), 2_190_008);
        assert_eq!(code(include_str!("fixtures/error_b.json")), 28_001_007);
        assert_eq!(code(include_str!("fixtures/error_c.json")), 10_003);
        assert_eq!(code(include_str!("fixtures/error_strings.json")), 10_010);
        for (body, expected) in [
            (r#"{"error_code":7}"#, 7),
            (r#"{"data":"","extra":{"error_code":7}}"#, 7),
            (r#"{"data":null,"extra":{"error_code":"7"},"error_code":0}"#, 7),
            (r#"{"data":{"error_code":0},"extra":{"error_code":7}}"#, 7),
            (r#"{"data":{"error_code":8},"extra":{"error_code":7}}"#, 8),
            (r#"{"err_no":9,"data":{"error_code":8},"extra":{"error_code":7},"error_code":6}"#, 9),
            (r#"{"err_no":-1,"data":[]}"#, -1),
        ] {
            assert_eq!(code(body), expected, "{body}");
        }
    }

    #[test]
    fn a_good_answer_may_have_its_code_in_one_place_alone() {
        let listed = said(include_str!("fixtures/list_without_data_code.json"));
        assert!(matches!(listed, Ok(Said::Done(_))), "{listed:?}");
        for body in [
            r#"{"err_no":0,"data":{"x":1}}"#,
            r#"{"err_no":"0","err_msg":"","data":{"x":1}}"#,
            r#"{"data":{"x":1,"error_code":0}}"#,
            r#"{"data":{"x":1,"error_code":null},"error_code":"0"}"#,
        ] {
            let Ok(Said::Done(data)) = said(body) else { panic!("{body}: {:?}", said(body)) };
            assert_eq!(data["x"], 1, "{body}");
        }
    }

    #[test]
    fn an_answer_that_says_nothing_is_taken_for_nothing() {
        assert_eq!(said(include_str!("fixtures/no_code.json")), Err(Unread::NoCode));
        for body in [r"{}", r#"{"data":{"x":1}}"#, r#"{"message":"success","data":null}"#] {
            assert_eq!(said(body), Err(Unread::NoCode), "{body}");
        }
        assert_eq!(said(r#"{"err_no":0}"#), Err(Unread::Without("data")));
        assert_eq!(read::<Value>(502, br#"{"err_no":0,"data":{}}"#), Err(Unread::Status(502)));
        let gateway = include_str!("fixtures/gateway.html");
        assert!(matches!(said(gateway), Err(Unread::Shape { category: "no object", .. })));
    }

    #[test]
    fn what_is_hostile_is_no_answer() {
        for body in [
            "",
            "[]",
            r#"[0,0,{"access_token":"act.1"},{}]"#,
            r#"{"err_no":0,"data":["act.1",1296000]}"#,
            "null",
            "0",
            "\"x\"",
            "\u{feff}{\"err_no\":0,\"data\":{}}",
            r#"{"err_no":0,"data":{}} and more"#,
            r#"{"err_no":0,"err_no":7,"data":{}}"#,
            r#"{"err_no":0,"data":{},"data":{"error_code":7}}"#,
            r#"{"data":{"error_code":0,"error_code":7}}"#,
            r#"{"err_no":0.0,"data":{}}"#,
            r#"{"err_no":"","data":{}}"#,
            r#"{"err_no":"zero","data":{}}"#,
            r#"{"err_no":true,"data":{}}"#,
            r#"{"err_no":[0],"data":{}}"#,
            r#"{"err_no":99999999999999999999,"data":{}}"#,
            r#"{"err_no":0,"data":{"error_code":{}}}"#,
        ] {
            assert!(matches!(said(body), Err(Unread::Shape { .. })), "{body}: {:?}", said(body));
        }
        let deep = format!("{{\"err_no\":0,\"data\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(said(&deep).is_err());
        let huge = format!("{{\"err_no\":0,\"data\":\"{}\"}}", "x".repeat(1 << 20));
        assert!(read::<Tokens>(200, huge.as_bytes()).is_err());
        let truncated = include_str!("fixtures/exchange.json");
        for end in 1..truncated.trim_end().len() {
            assert!(read::<Tokens>(200, &truncated.as_bytes()[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn faults_repeat_nothing_of_the_answer() {
        let body = r#"{"data":{"access_token":"act.1","expires_in":"act.secret","error_code":0}}"#;
        let fault = read::<Tokens>(200, body.as_bytes()).unwrap_err();
        let told = format!("{fault} {fault:?}");
        assert!(!told.contains("act."), "{told}");
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            drop(read::<Tokens>(200, &bytes));
        }

        #[test]
        fn no_changed_answer_is_too_strange(
            at in 0_usize..400,
            bytes in proptest::collection::vec(any::<u8>(), 0..8),
        ) {
            let mut body = include_bytes!("fixtures/exchange.json").to_vec();
            let at = at.min(body.len());
            let end = (at + bytes.len()).min(body.len());
            body.splice(at..end, bytes);
            drop(read::<Tokens>(200, &body));
            drop(read::<Value>(200, &body));
        }
    }
}
