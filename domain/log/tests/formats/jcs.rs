//! Canonical JSON against the RFC's vectors, and what must have no canonical form.

use audit_log::{
    commitment::Commitment,
    jcs::{DEPTH_MAX, INTEGER_MAX, JcsError, canonical, parse_strict},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::vectors::hex;

macro_rules! vector {
    ($name:literal) => {
        (
            include_bytes!(concat!("../vectors/jcs/", $name, ".input.json")).as_slice(),
            include_bytes!(concat!("../vectors/jcs/", $name, ".output.json")).as_slice(),
            include_str!(concat!("../vectors/jcs/", $name, ".outhex.txt")),
        )
    };
}

fn text(canonical: &[u8]) -> &str {
    str::from_utf8(canonical).expect("canonical JSON is UTF-8")
}

/// Refused, and where.
fn refused(input: &str) -> String {
    match parse_strict(input.as_bytes()).and_then(|value| canonical(&value)) {
        Ok(canonical) => format!("accepted as {}", text(&canonical)),
        Err(JcsError::Float { at }) => format!("float {at}"),
        Err(JcsError::Integer { at }) => format!("integer {at}"),
        Err(JcsError::TooDeep { at }) => format!("deep {}", at.to_string().len()),
        Err(JcsError::Duplicate { at }) => format!("duplicate {at}"),
        Err(JcsError::Syntax { .. }) => "syntax".to_owned(),
    }
}

#[test]
fn vectors_without_floats() {
    for (input, output, output_hex) in
        [vector!("arrays"), vector!("french"), vector!("unicode"), vector!("weird")]
    {
        let value = parse_strict(input).expect("within the profile");
        let written = canonical(&value).expect("within the profile");
        assert_eq!(text(&written), text(output));
        assert_eq!(written, hex(output_hex));
    }
}

/// The log takes no floats, not even one that is whole.
#[test]
fn vectors_with_floats_are_refused() {
    let (values, ..) = vector!("values");
    assert_eq!(refused(text(values)), "float /numbers/0");
    let (structures, output, _) = vector!("structures");
    assert_eq!(refused(text(structures)), "float /1/\n");
    let whole = text(structures).replace("56.0", "56");
    let value = parse_strict(whole.as_bytes()).expect("within the profile");
    assert_eq!(canonical(&value).as_deref(), Ok(output));
}

#[test]
fn numbers_are_exact_or_refused() {
    let (most, least) = (INTEGER_MAX.to_string(), format!("-{INTEGER_MAX}"));
    for number in ["0", "-1", "7", &most, &least] {
        let value = parse_strict(number.as_bytes()).expect("a whole number");
        assert_eq!(canonical(&value).as_deref().map(text), Ok(number));
    }
    for (input, verdict) in [
        ("[1,9007199254740992]", "integer /1"),
        ("-9007199254740992", "integer "),
        ("18446744073709551615", "integer "),
        ("-9223372036854775808", "integer "),
        (r#"{"a/b~":[{"":1.0}]}"#, "float /a~1b~0/0/"),
        ("18446744073709551616", "float "),
        ("1e2", "float "),
        ("-0", "float "),
        ("-0.0", "float "),
        ("1e400", "syntax"),
        ("NaN", "syntax"),
        ("-Infinity", "syntax"),
        ("01", "syntax"),
        ("+1", "syntax"),
        ("0x10", "syntax"),
    ] {
        assert_eq!(refused(input), verdict, "{input}");
    }
    // Values made by hand are held to the same.
    assert!(matches!(canonical(&json!([1.5])), Err(JcsError::Float { .. })));
    assert!(matches!(canonical(&json!({"a": u64::MAX})), Err(JcsError::Integer { .. })));
    assert!(matches!(canonical(&json!(i64::MIN)), Err(JcsError::Integer { .. })));
}

#[test]
fn names_are_unique_however_they_are_spelled() {
    assert_eq!(refused(r#"{"a":1,"b":{"c":1,"c":2}}"#), "duplicate /b/c");
    assert_eq!(refused(r#"{"a":1,"\u0061":1}"#), "duplicate /a");
    assert_eq!(refused(r#"[{"":1,"":1}]"#), "duplicate /0/");
    assert_eq!(refused(r#"{"é":1,"\u00e9":1}"#), "duplicate /é");
}

#[test]
fn composed_and_decomposed_letters_stay_apart() {
    let both = parse_strict("{\"e\u{301}\":1,\"\u{e9}\":2}".as_bytes()).expect("two names");
    assert_eq!(canonical(&both).as_deref().map(text), Ok("{\"e\u{301}\":1,\"\u{e9}\":2}"));
    let salt = [0; 32];
    let (composed, decomposed) = (json!("\u{e9}"), json!("e\u{301}"));
    let commitment = Commitment::to(&composed, &salt).expect("a text");
    assert_eq!(commitment.opens_to(&decomposed, &salt), Ok(false));
}

#[test]
fn names_sort_by_utf16_not_by_utf8() {
    // U+FB33 comes after the surrogates of U+1F602 although it is the smaller code point.
    let value = json!({"\u{fb33}": 1, "\u{1f602}": 2, "\u{e000}": 3, "z": 4});
    assert_eq!(
        canonical(&value).as_deref().map(text),
        Ok("{\"z\":4,\"\u{1f602}\":2,\"\u{e000}\":3,\"\u{fb33}\":1}")
    );
}

#[test]
fn controls_are_escaped_and_nothing_else() {
    let all: String = (0..0x20_u8).map(char::from).chain("\"\\/\u{7f}\u{80}\u{2028}".chars()).collect();
    let escaped = concat!(
        r#""\u0000\u0001\u0002\u0003\u0004\u0005\u0006\u0007\b\t\n\u000b\f\r\u000e\u000f"#,
        r"\u0010\u0011\u0012\u0013\u0014\u0015\u0016\u0017\u0018\u0019\u001a\u001b\u001c\u001d\u001e\u001f",
        "\\\"\\\\/\u{7f}\u{80}\u{2028}\""
    );
    assert_eq!(canonical(&json!(all)).as_deref().map(text), Ok(escaped));
}

#[test]
fn what_is_not_one_json_value_is_refused() {
    for input in [
        "",
        " ",
        "\u{feff}{}",
        "{} {}",
        "{}\0",
        "{},",
        "{\"a\":1,}",
        "[1,]",
        "[1 2]",
        "{'a':1}",
        "nul",
        "{\"a\"}",
        "{a:1}",
        "/**/1",
        "\"\n\"",
        "\"\u{1}\"",
        r#""\x""#,
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800\u0041""#,
        r#""\udc00\ud800""#,
        r#"{"\ud800":1}"#,
        "[",
        "\"",
    ] {
        assert_eq!(refused(input), "syntax", "{input:?}");
    }
    for bytes in [&b"\"\xff\""[..], b"\"\xc0\x80\"", b"\"\xed\xa0\x80\"", b"\xff\xfe{\0}\0", b"\"\xe2\x82\""]
    {
        assert!(matches!(parse_strict(bytes), Err(JcsError::Syntax { .. })), "{bytes:?}");
    }
    assert_eq!(parse_strict(r#""\ud83d\ude02""#.as_bytes()), Ok(json!("\u{1f602}")));
}

#[test]
fn nesting_has_a_bound_on_the_way_in_and_out() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let value = parse_strict(nested(DEPTH_MAX).as_bytes()).expect("at the bound");
    assert_eq!(canonical(&value).as_deref().map(text), Ok(nested(DEPTH_MAX).as_str()));
    let at = "/0".len() * DEPTH_MAX;
    for depth in [DEPTH_MAX + 1, 127, 100_000] {
        assert_eq!(refused(&nested(depth)), format!("deep {at}"), "{depth}");
    }
    let deeper = json!({ "a": value });
    assert!(matches!(canonical(&deeper), Err(JcsError::TooDeep { .. })));
}

fn values() -> impl Strategy<Value = Value> {
    let most = i64::try_from(INTEGER_MAX).expect("below 2^63");
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-most..=most).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn the_canonical_form_is_read_as_the_same_value_and_written_the_same(value in values()) {
        let written = canonical(&value).expect("within the profile");
        prop_assert_eq!(&parse_strict(&written), &Ok(value.clone()));
        let spaced = serde_json::to_vec_pretty(&value).expect("a JSON value");
        let read = parse_strict(&spaced).expect("the same value");
        prop_assert_eq!(canonical(&read), Ok(written));
    }

    #[test]
    fn no_input_makes_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), json in "[\\[\\]{}\",:0-9eE.+\\\\u-]{0,60}") {
        for input in [&bytes[..], json.as_bytes()] {
            if let Ok(value) = parse_strict(input) {
                let written = canonical(&value).expect("what is read can be written");
                prop_assert_eq!(parse_strict(&written), Ok(value));
            }
        }
    }
}
