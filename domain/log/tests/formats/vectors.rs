//! Reading the vector files.

use audit_log::merkle::Hash;
use serde_json::Value;

/// One vector file.
pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("vector files are JSON")
}

/// The array under `name`; nothing for null, as in `"proof": null`.
pub(crate) fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

/// The text under `name`.
pub(crate) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().expect("a text")
}

/// The number under `name`.
pub(crate) fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().expect("a number")
}

/// The bytes a text spells in hexadecimal, digits in either case, spaces and line ends passed over.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let pairs = digits.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).expect("ASCII"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("two digits")).collect()
}

/// The hashes under `name`, in hexadecimal.
pub(crate) fn hashes_hex(value: &Value, name: &str) -> Vec<Hash> {
    let texts = list(value, name).iter().map(|hash| hash.as_str().expect("a text"));
    texts.map(|text| Hash::parse_hex(text).expect("a hash")).collect()
}
