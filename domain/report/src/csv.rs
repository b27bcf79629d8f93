//! Cells and lines of `report.csv` (RFC 4180, CRLF after every line).
//!
//! A spreadsheet runs cells that begin like a formula, and a careless reader finds cells inside of values, behind what
//! it takes for a separator. Whatever would begin a formula in either way gets an apostrophe in front, and so does an
//! apostrophe that stands there, so that taking one apostrophe off gives back every value ([`neutral`], [`plain`]).

use std::borrow::Cow;

/// What begins a formula in some spreadsheet: signs and their full-width forms, and what such a sign is looked for behind.
const SIGNS: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];
const CONTROLS: [char; 3] = ['\t', '\r', '\n'];

/// What a careless reader drops before it looks for a formula, alone or with what it splits at.
const BLANK: [char; 6] = [' ', '\0', '\u{a0}', '\u{200b}', '\u{3000}', '\u{feff}'];

/// What some reader splits cells or lines at; all that Unicode ends lines with is among it.
const SEPARATORS: [char; 17] = [
    ',', ';', '|', '\t', '\r', '\n', '"', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}',
    '\u{2028}', '\u{2029}', '\u{ff0c}', '\u{ff1b}',
];

fn is_skipped(c: char) -> bool {
    BLANK.contains(&c) || SEPARATORS.contains(&c)
}

/// The value as a cell may show it.
pub fn neutral(value: &str) -> Cow<'_, str> {
    let begins_formula = |start: usize, part: &str| {
        // Behind a separator the next one is looked at by itself.
        let behind =
            if start == 0 { part.trim_start_matches(is_skipped) } else { part.trim_start_matches(BLANK) };
        part.starts_with('\'') || behind.starts_with(SIGNS) || start == 0 && part.starts_with(CONTROLS)
    };
    let mut marked = String::new();
    let mut from = 0;
    for start in starts(value) {
        let (before, part) = (value.get(from..start), value.get(start..));
        if part.is_some_and(|part| begins_formula(start, part)) {
            marked.push_str(before.unwrap_or_default());
            marked.push('\'');
            from = start;
        }
    }
    if marked.is_empty() {
        return Cow::Borrowed(value);
    }
    marked.push_str(value.get(from..).unwrap_or_default());
    Cow::Owned(marked)
}

/// The value behind what [`neutral`] shows.
pub fn plain(cell: &str) -> Cow<'_, str> {
    let mut value = String::new();
    let mut from = 0;
    for start in starts(cell) {
        if cell.get(start..).is_some_and(|part| part.starts_with('\'')) {
            value.push_str(cell.get(from..start).unwrap_or_default());
            from = start + 1;
        }
    }
    if from == 0 {
        return Cow::Borrowed(cell);
    }
    value.push_str(cell.get(from..).unwrap_or_default());
    Cow::Owned(value)
}

/// Where some reader lets a cell begin: at the beginning, and behind separators.
fn starts(text: &str) -> impl Iterator<Item = usize> {
    let behind = text.match_indices(SEPARATORS).map(|(at, separator)| at + separator.len());
    std::iter::once(0).chain(behind)
}

/// Adds a line.
pub fn push_line<'c>(line: &mut Vec<u8>, cells: impl IntoIterator<Item = Cow<'c, str>>) {
    for (position, cell) in cells.into_iter().enumerate() {
        if position > 0 {
            line.push(b',');
        }
        push_cell(line, &neutral(&cell));
    }
    line.extend_from_slice(b"\r\n");
}

fn push_cell(line: &mut Vec<u8>, cell: &str) {
    // More than RFC 4180 asks to be quoted, for readers that split at other marks or trim.
    let spaced = cell.starts_with(BLANK) || cell.ends_with(BLANK);
    if !spaced && !cell.contains(SEPARATORS) {
        line.extend_from_slice(cell.as_bytes());
        return;
    }
    line.push(b'"');
    for byte in cell.bytes() {
        if byte == b'"' {
            line.push(b'"');
        }
        line.push(byte);
    }
    line.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(cells: &[&str]) -> String {
        let mut line = Vec::new();
        push_line(&mut line, cells.iter().map(|cell| Cow::Borrowed(*cell)));
        String::from_utf8(line).expect("UTF-8")
    }

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        assert_eq!(line(&["a", "", "b c"]), "a,,b c\r\n");
        assert_eq!(line(&["a,b", "say \"hi\"", "x\r\ny"]), "\"a,b\",\"say \"\"hi\"\"\",\"x\r\ny\"\r\n");
        assert_eq!(line(&[" a", "a;b"]), "\" a\",\"a;b\"\r\n");
        assert_eq!(line(&["a\u{2028}b", "a\u{c}b"]), "\"a\u{2028}b\",\"a\u{c}b\"\r\n");
    }

    #[test]
    fn formulas_are_values() {
        for value in [
            "=1+1",
            "+1",
            "-1",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "\n=1",
            "＝1",
            "＋1",
            "－1",
            "＠x",
            " =1",
            "\"=1",
            ",=1",
            ";=1",
            "'=1",
            "' x",
            "\u{feff}=1",
            "\0=1",
            "\u{c}=1",
            "\u{200b}=1",
        ] {
            let cell = neutral(value);
            assert!(cell.starts_with('\''), "{value:?}");
            assert_eq!(plain(&cell), value);
        }
        for value in ["a", "1", "2026-07-01", "a=1", "", "[erased: 7]", "{\"a\":-1}", "a, b", "it's"] {
            assert_eq!(neutral(value), value);
        }
        for (value, cell) in [
            ("a,=1+1", "a,'=1+1"),
            ("a; =1+1;b", "a;' =1+1;b"),
            ("x\n@y", "x\n'@y"),
            ("{\"a\":\"=1\"}", "{\"a\":\"'=1\"}"),
            ("x\r\n=1", "x\r\n'=1"),
            ("a,'b", "a,''b"),
            ("a，＝1", "a，'＝1"),
            ("x\u{2028}=1", "x\u{2028}'=1"),
            ("x\u{b}\u{85}@y", "x\u{b}\u{85}'@y"),
        ] {
            assert_eq!(neutral(value), cell);
            assert_eq!(plain(cell), value);
        }
        assert_eq!(line(&["a,=1+1"]), "\"a,'=1+1\"\r\n");
    }

    proptest! {
        #[test]
        fn values_come_back(value in any::<String>(), near in "[=+',;\"\\n\\r\\t a＝，-]{0,12}") {
            for value in [value, near] {
                let cell = neutral(&value);
                prop_assert_eq!(plain(&cell), value.as_str());
                for part in cell.split(SEPARATORS) {
                    prop_assert!(!part.trim_start_matches(BLANK).starts_with(SIGNS), "{:?}", cell);
                }
            }
        }
    }
}
