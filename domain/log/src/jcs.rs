//! Canonical JSON (RFC 8785), narrowed to what a leaf may hold: no floats, whole numbers of at most 2^53 - 1
//! either way, at most [`DEPTH_MAX`] containers inside each other. What is refused has no canonical form here,
//! so nothing can be rounded, merged or split on the way into the log.
//!
//! Text is kept as it is: two spellings of one letter (Unicode NFC and NFD) stay two texts.
//!
//! Reading is done here and not by `serde_json` alone, which keeps the last of two members with one name and
//! says nothing.

use std::{cell::RefCell, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The largest whole number every JSON reader keeps exact: 2^53 - 1 (RFC 7493 section 2.2).
pub const INTEGER_MAX: u64 = (1 << 53) - 1;

/// How many arrays and objects may stand inside each other.
pub const DEPTH_MAX: usize = 32;

/// Where in a JSON text: a JSON Pointer (RFC 6901), empty for the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JsonPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    Position(usize),
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| match step {
            Step::Name(name) => write!(f, "/{}", name.replace('~', "~0").replace('/', "~1")),
            Step::Position(position) => write!(f, "/{position}"),
        })
    }
}

/// Why a value has no canonical form, or bytes are no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JcsError {
    /// A number with a fraction, an exponent or a negative zero, or too large for 64 bits.
    #[error("{at}: is not a whole number")]
    Float {
        /// Where.
        at: JsonPath,
    },
    /// A whole number beyond [`INTEGER_MAX`] either way.
    #[error("{at}: is beyond 2^53 - 1")]
    Integer {
        /// Where.
        at: JsonPath,
    },
    /// Containers nested deeper than [`DEPTH_MAX`].
    #[error("{at}: is nested deeper than {DEPTH_MAX}")]
    TooDeep {
        /// Where.
        at: JsonPath,
    },
    /// Two members of an object with one name.
    #[error("{at}: is there twice")]
    Duplicate {
        /// The second of them.
        at: JsonPath,
    },
    /// Not JSON (RFC 8259), or more than one value, or text that is not Unicode.
    #[error("is not JSON, seen at line {line}, column {column}")]
    Syntax {
        /// From 1.
        line: usize,
        /// From 1, in bytes.
        column: usize,
    },
}

/// The canonical form of a value.
///
/// # Errors
/// `Float`, `Integer`, `TooDeep`, each with the place.
pub fn canonical(value: &Value) -> Result<Vec<u8>, JcsError> {
    let mut out = Vec::new();
    write_value(value, &mut JsonPath::default(), &mut out)?;
    Ok(out)
}

fn write_value(value: &Value, at: &mut JsonPath, out: &mut Vec<u8>) -> Result<(), JcsError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => out.extend_from_slice(whole(number, at)?.as_bytes()),
        Value::String(text) => write_text(text, out),
        Value::Array(items) => {
            check_depth(at)?;
            out.push(b'[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                at.0.push(Step::Position(position));
                write_value(item, at, out)?;
                at.0.pop();
            }
            out.push(b']');
        }
        Value::Object(members) => {
            check_depth(at)?;
            let mut sorted: Vec<_> = members.iter().collect();
            // RFC 8785 section 3.2.3: by UTF-16 code units, which is not the order of UTF-8 bytes.
            sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push(b'{');
            for (position, (name, item)) in sorted.into_iter().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                write_text(name, out);
                out.push(b':');
                at.0.push(Step::Name(name.clone()));
                write_value(item, at, out)?;
                at.0.pop();
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn check_depth(at: &JsonPath) -> Result<(), JcsError> {
    if at.0.len() < DEPTH_MAX { Ok(()) } else { Err(JcsError::TooDeep { at: at.clone() }) }
}

fn whole(number: &Number, at: &JsonPath) -> Result<String, JcsError> {
    let size = match (number.as_u64(), number.as_i64()) {
        (Some(positive), _) => positive,
        (None, Some(negative)) => negative.unsigned_abs(),
        (None, None) => return Err(JcsError::Float { at: at.clone() }),
    };
    if size > INTEGER_MAX { Err(JcsError::Integer { at: at.clone() }) } else { Ok(number.to_string()) }
}

/// RFC 8785 section 3.2.2.2: the short escapes where JSON has them, `\u00xx` for the other controls, all else
/// as it is.
fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0x00..=0x1f => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Reads one value that has a canonical form; it need not be in it.
///
/// # Errors
/// `Syntax` for anything but one JSON value in UTF-8 (a byte order mark, `NaN`, a lone surrogate, bytes after
/// the value); `Float`, `Integer`, `TooDeep`, `Duplicate`, each with the place.
pub fn parse_strict(bytes: &[u8]) -> Result<Value, JcsError> {
    let reading = Reading::default();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict(&reading).deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|syntax| {
        let fault = JcsError::Syntax { line: syntax.line(), column: syntax.column() };
        reading.fault.take().unwrap_or(fault)
    })
}

/// Where reading is, and what of ours stopped it: serde's errors carry text only.
#[derive(Default)]
struct Reading {
    at: RefCell<JsonPath>,
    fault: RefCell<Option<JcsError>>,
}

impl Reading {
    fn refuse<E: serde::de::Error>(&self, fault: JcsError) -> E {
        self.fault.replace(Some(fault));
        E::custom("refused")
    }

    fn number<E: serde::de::Error>(&self, number: Number) -> Result<Value, E> {
        match whole(&number, &self.at.borrow()) {
            Ok(_) => Ok(Value::Number(number)),
            Err(fault) => Err(self.refuse(fault)),
        }
    }

    fn enter<E: serde::de::Error>(&self) -> Result<(), E> {
        let depth = check_depth(&self.at.borrow());
        depth.map_err(|fault| self.refuse(fault))
    }
}

struct Strict<'r>(&'r Reading);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        self.0.number(value.into())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        self.0.number(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Value, E> {
        let at = self.0.at.borrow().clone();
        Err(self.0.refuse(JcsError::Float { at }))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.0.enter()?;
        let mut array = Vec::new();
        loop {
            self.0.at.borrow_mut().0.push(Step::Position(array.len()));
            let item = items.next_element_seed(Strict(self.0))?;
            self.0.at.borrow_mut().0.pop();
            match item {
                Some(item) => array.push(item),
                None => return Ok(Value::Array(array)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        self.0.enter()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            self.0.at.borrow_mut().0.push(Step::Name(name.clone()));
            if object.contains_key(&name) {
                let at = self.0.at.borrow().clone();
                return Err(self.0.refuse(JcsError::Duplicate { at }));
            }
            let value = members.next_value_seed(Strict(self.0))?;
            self.0.at.borrow_mut().0.pop();
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}
