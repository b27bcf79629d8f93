//! The text of values, with what is written already taken as it is.

use async_graphql::Value;

use crate::leaf;

/// Appends `value` as JSON. [`Value::Binary`] is taken for finished text, so the schema must have no scalar of bytes.
pub fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Boolean(true) => out.extend_from_slice(b"true"),
        Value::Boolean(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => leaf::serialise(number, out),
        Value::String(text) => leaf::text(text, out),
        Value::Enum(name) => leaf::text(name, out),
        Value::Binary(written) => out.extend_from_slice(written),
        Value::List(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_value(item, out);
            }
            out.push(b']');
        }
        Value::Object(members) => {
            out.push(b'{');
            for (index, (key, member)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                leaf::text(key, out);
                out.push(b':');
                write_value(member, out);
            }
            out.push(b'}');
        }
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::{Name, value};

    use super::*;

    fn text(value: &Value) -> String {
        let mut out = Vec::new();
        write_value(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_are_written_as_serde_writes_them() {
        let value = value!({
            "a": [1, -2.5, true, false, null, "x\"\\\n\u{1}é\u{2028}"], "b": {}, "c": [], "": "",
            "n": 18_446_744_073_709_551_615_u64,
        });
        assert_eq!(text(&value), serde_json::to_string(&value).unwrap());
    }

    #[test]
    fn written_text_is_taken_as_it_is() {
        let Value::Object(mut members) = value!({ "a": 1 }) else { panic!("an object") };
        members.insert(Name::new("b"), Value::Binary(r#"{"c":[1,2]}"#.into()));
        assert_eq!(text(&Value::Object(members)), r#"{"a":1,"b":{"c":[1,2]}}"#);
    }
}
