//! How scalars and enums are written: as async-graphql's own scalars are, byte for byte.

use std::borrow::Cow;

use async_graphql::ID;
use async_graphql::resolver_utils::EnumType;
use chrono::{DateTime, Datelike as _, Timelike as _, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::batch::Found;
use crate::plan::Plan;
use crate::value::Output;
use crate::writer::{Writer, Wrote};

/// Appends a string or number as JSON.
pub(crate) fn serialise(value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) {
    let start = out.len();
    if let Err(error) = serde_json::to_writer(&mut *out, value) {
        // Neither the buffer nor a string or number can fail; null is at least JSON.
        tracing::error!(%error, "a value was not written");
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

/// Appends a string as JSON.
pub(crate) fn text(text: &str, out: &mut Vec<u8>) {
    // Most strings need no escapes, and are then copied as a whole. Looking at every byte, without a way out at the first
    // that does, is what lets the compiler look at many at a time.
    let is_plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        out.reserve(text.len() + 2);
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        serialise(text, out);
    }
}

/// Appends two digits.
fn two(number: u32, out: &mut Vec<u8>) {
    let digit = |number: u32| b'0' + u8::try_from(number % 10).unwrap_or(0);
    out.extend_from_slice(&[digit(number / 10), digit(number)]);
}

/// Appends an instant as `to_rfc3339` has it, in a tenth of its time.
fn instant(at: &DateTime<Utc>, out: &mut Vec<u8>) {
    let (date, time) = (at.date_naive(), at.time());
    let (Ok(year @ 0..=9_999), nanos @ 0..1_000_000_000) = (u32::try_from(date.year()), time.nanosecond())
    else {
        // Years of other lengths, and leap seconds.
        return text(&at.to_rfc3339(), out);
    };
    out.push(b'"');
    two(year / 100, out);
    two(year % 100, out);
    for (before, number) in [
        (b'-', date.month()),
        (b'-', date.day()),
        (b'T', time.hour()),
        (b':', time.minute()),
        (b':', time.second()),
    ] {
        out.push(before);
        two(number, out);
    }
    if nanos > 0 {
        let digits = if nanos % 1_000_000 == 0 {
            3
        } else if nanos % 1_000 == 0 {
            6
        } else {
            9
        };
        out.push(b'.');
        let mut unit = 100_000_000;
        for _ in 0..digits {
            out.push(b'0' + u8::try_from(nanos / unit % 10).unwrap_or(0));
            unit /= 10;
        }
    }
    out.extend_from_slice(b"+00:00\"");
}

fn uuid(id: Uuid, out: &mut Vec<u8>) {
    let mut quoted = [b'"'; 38];
    id.hyphenated().encode_lower(&mut quoted[1..37]);
    out.extend_from_slice(&quoted);
}

/// [`Output::write`] of an enum, by the names its schema gives it.
pub fn write_enum<T: EnumType>(value: T, out: &mut Writer<'_>) {
    let item = T::items().iter().find(|item| item.value == value);
    match item {
        Some(item) => text(item.name, out.leaf()),
        None => out.null(),
    }
}

macro_rules! leaf {
    ($($type:ty: |$value:ident, $out:ident| $write:expr;)*) => { $(
        impl Output for $type {
            fn write<'a>(&self, _: Option<&Plan<'a>>, _: &mut Found, out: &mut Writer<'a>) -> Wrote {
                let ($value, $out) = (self, out.leaf());
                $write;
                Ok(())
            }
        }
    )* };
}

leaf! {
    String: |value, out| text(value, out);
    str: |value, out| text(value, out);
    Cow<'static, str>: |value, out| text(value, out);
    ID: |value, out| text(value, out);
    bool: |value, out| out.extend_from_slice(if *value { b"true" } else { b"false" });
    i32: |value, out| serialise(value, out);
    i64: |value, out| serialise(value, out);
    u32: |value, out| serialise(value, out);
    u64: |value, out| serialise(value, out);
    Uuid: |value, out| uuid(*value, out);
    DateTime<Utc>: |value, out| instant(value, out);
}

impl Output for f64 {
    fn write<'a>(&self, _: Option<&Plan<'a>>, _: &mut Found, out: &mut Writer<'a>) -> Wrote {
        // JSON has no word for the others.
        if self.is_finite() {
            serialise(self, out.leaf());
        } else {
            out.null();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn instants_at_the_edges() {
        let check = |seconds: i64, nanos: u32| {
            let at = DateTime::from_timestamp(seconds, nanos).unwrap();
            assert_eq!(written(|out| instant(&at, out)), format!("{:?}", at.to_rfc3339()));
        };
        check(0, 0);
        check(-1, 999_999_999);
        check(1_483_228_799, 1_500_000_000);
        check(-62_167_219_200, 0);
        check(-62_167_219_201, 0);
        check(253_402_300_799, 1);
        check(253_402_300_800, 0);
    }

    proptest! {
        #[test]
        fn instants_are_written_as_chrono_writes_them(
            seconds in -70_000_000_000_i64..300_000_000_000,
            nanos in prop_oneof![Just(0_u32), (0_u32..1_000).prop_map(|n| n * 1_000_000),
                (0_u32..1_000_000).prop_map(|n| n * 1_000), 0_u32..1_000_000_000],
        ) {
            let at = DateTime::from_timestamp(seconds, nanos).unwrap();
            prop_assert_eq!(written(|out| instant(&at, out)), format!("{:?}", at.to_rfc3339()));
        }

        #[test]
        fn texts_and_ids_are_written_as_serde_writes_them(string in any::<String>(), id in any::<u128>()) {
            prop_assert_eq!(written(|out| text(&string, out)), serde_json::to_string(&string).unwrap());
            let id = Uuid::from_u128(id);
            prop_assert_eq!(written(|out| uuid(id, out)), format!("{:?}", id.to_string()));
        }
    }
}
