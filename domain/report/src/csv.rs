//! Cells and lines of `report.csv` (RFC 4180, CRLF after every line).
//!
//! A spreadsheet runs cells that begin like a formula. Such a cell gets an apostrophe in front, and so does one that
//! begins with an apostrophe, so that taking one apostrophe off gives back every value ([`neutral`], [`plain`]).

use std::borrow::Cow;

/// What begins a formula in some spreadsheet: signs, their full-width forms, tab and carriage return.
const FORMULA: [char; 11] =
    ['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// What a careless reader drops or splits at before it looks for a formula.
const SKIPPED: [char; 9] = [' ', '"', ',', ';', '|', '\u{a0}', '\u{3000}', '\u{feff}', '\u{ff0c}'];

/// The value as a cell may show it.
pub fn neutral(value: &str) -> Cow<'_, str> {
    let behind = value.trim_start_matches(SKIPPED);
    if value.starts_with('\'') || value.starts_with(FORMULA) || behind.starts_with(FORMULA) {
        Cow::Owned(format!("'{value}"))
    } else {
        Cow::Borrowed(value)
    }
}

/// The value behind what [`neutral`] shows.
pub fn plain(cell: &str) -> &str {
    cell.strip_prefix('\'').unwrap_or(cell)
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
    // More than RFC 4180 asks to be quoted, for readers that split at semicolons or tabs or trim.
    let special = |byte: u8| matches!(byte, b',' | b'"' | b'\r' | b'\n' | b'\t' | b';' | b'|');
    let spaced = cell.starts_with(' ') || cell.ends_with(' ');
    if !spaced && !cell.bytes().any(special) {
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
        ] {
            let cell = neutral(value);
            assert!(cell.starts_with('\''), "{value:?}");
            assert_eq!(plain(&cell), value);
        }
        for value in ["a", "1", "2026-07-01", "a=1", "", "[erased: 7]", "{\"a\":-1}"] {
            assert_eq!(neutral(value), value);
        }
        // Behind a comma inside a value, the quotes are what keeps it from being a cell.
        assert_eq!(line(&["a,=1+1"]), "\"a,=1+1\"\r\n");
    }

    proptest! {
        #[test]
        fn values_come_back(value in any::<String>()) {
            let cell = neutral(&value);
            prop_assert_eq!(plain(&cell), &value);
        }
    }
}
