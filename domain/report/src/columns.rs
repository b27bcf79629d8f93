//! The columns of `report.csv`, and what stands in a row.

use std::borrow::Cow;

use audit_log::jcs::canonical;
use serde_json::json;

use crate::{
    csv,
    leaf::Leaf,
    opening::{Field, Shown},
};

/// A column: its heading, where its value is in the leaf, and what it says.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The heading.
    pub name: &'static str,
    /// The fields of the leaf it is made of.
    pub source: &'static str,
    /// What it says.
    pub meaning: &'static str,
}

const fn column(name: &'static str, source: &'static str, meaning: &'static str) -> Column {
    Column { name, source, meaning }
}

/// The columns, in order.
pub const COLUMNS: [Column; 17] = [
    column("index", "", "Position of the event in the log, from 0"),
    column("event_id", "event_id", "Identifier of the event (UUID)"),
    column("occurred_at", "occurred_at", "When it happened: UTC, six digits of a second"),
    column("operator", "actor", "Who did it: kind, and after a colon the pseudonym, if any"),
    column("device_fp", "device_fp", "Keyed hash of what identifies the device"),
    column("geo", "geo", "Where from: country, and after a slash the region, if known"),
    column("mfa_state", "auth", "State of the second factor"),
    column("ip_hash", "ip_hash", "Key epoch, and after a colon the keyed hash of the address"),
    column("outcome", "outcome", "How it ended"),
    column("compliance_id", "compliance_id", "Identifier of the answer that left the event (UUID)"),
    column("type", "type", "What was tried"),
    column("target", "target", "What it was done to: kind, and after a colon the pseudonym, if any"),
    column("reason", "reason", "A machine word that says more about the outcome"),
    column(
        "diff",
        "diff_commit",
        "What changed, as JSON, if it is disclosed; [withheld] if it is not, [erased: n] if event n of the admin log \
         erased it",
    ),
    column("prev_state", "prev_state_commit", "What was there before, shown as `diff` is"),
    column("recorded_at", "recorded_at", "When it was written down: UTC, six digits of a second"),
    column("late", "", "true if it was written down later than it should have been"),
];

/// What a commitment that is not opened shows as.
pub const WITHHELD: &str = "[withheld]";

/// The text of `report.columns.json`.
pub fn describe() -> Vec<u8> {
    let columns: Vec<_> = COLUMNS
        .iter()
        .map(|column| json!({"name": column.name, "source": column.source, "meaning": column.meaning}))
        .collect();
    let rules = "Where a cell, or a part of one behind a comma, semicolon, bar, quote, tab or line end, would begin like \
                 a formula or with an apostrophe, it has one apostrophe more.";
    let mut text = canonical(&json!({"columns": columns, "neutralised": rules})).unwrap_or_default();
    text.push(b'\n');
    text
}

/// Adds the headings.
pub fn push_headings(csv: &mut Vec<u8>) {
    csv::push_line(csv, COLUMNS.iter().map(|column| Cow::Borrowed(column.name)));
}

/// What a row shows besides its leaf.
#[derive(Clone, Copy, Debug)]
pub struct Row<'s> {
    /// The leaf's index.
    pub index: u64,
    /// What is shown of its commitments, in the order of [`Field::ALL`].
    pub openings: [Option<&'s Shown>; 2],
    /// Whether it was written down late ([`Leaf::is_late`]).
    pub late: bool,
}

/// Adds a row. The leaf was checked ([`Leaf::check_shown`]).
///
/// # Errors
/// When a disclosed value has no canonical form.
pub fn push_row(csv: &mut Vec<u8>, row: Row<'_>, leaf: &Leaf<'_>) -> Result<(), crate::FormatError> {
    let text = |path: &[&str]| leaf.text(path).unwrap_or_default();
    let mut shown = [Cow::Borrowed(""), Cow::Borrowed("")];
    for ((cell, field), opening) in shown.iter_mut().zip(Field::ALL).zip(row.openings) {
        *cell = match (leaf.commitment(field), opening) {
            (None, _) => Cow::Borrowed(""),
            (Some(_), None) => Cow::Borrowed(WITHHELD),
            (Some(_), Some(opening)) => Cow::Owned(opening.cell()?),
        };
    }
    let [diff, prev_state] = shown;
    csv::push_line(
        csv,
        [
            Cow::Owned(row.index.to_string()),
            text(&["event_id"]),
            text(&["occurred_at"]),
            pair(leaf, ["actor", "kind"], ["actor", "id"], ':'),
            text(&["device_fp"]),
            pair(leaf, ["geo", "country"], ["geo", "region"], '/'),
            text(&["auth", "mfa_state"]),
            pair(leaf, ["ip_hash", "key_epoch"], ["ip_hash", "value"], ':'),
            text(&["outcome"]),
            text(&["compliance_id"]),
            text(&["type"]),
            pair(leaf, ["target", "kind"], ["target", "id"], ':'),
            text(&["reason"]),
            diff,
            prev_state,
            text(&["recorded_at"]),
            Cow::Borrowed(if row.late { "true" } else { "false" }),
        ],
    );
    Ok(())
}

/// Two values in a cell. The first cannot have what stands between them ([`Leaf::check_shown`]).
fn pair<'l>(leaf: &Leaf<'l>, first: [&str; 2], second: [&str; 2], between: char) -> Cow<'l, str> {
    match (leaf.text(&first), leaf.text(&second)) {
        (Some(first), Some(second)) => Cow::Owned(format!("{first}{between}{second}")),
        (Some(first), None) => first,
        (None, _) => Cow::Borrowed(""),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::leaf::LeafReader;

    #[test]
    fn rows_show_what_leaves_say() {
        let leaf = canonical(&json!({
            "actor": {"kind": "member", "id": "m1"}, "auth": {"mfa_state": "passed"}, "compliance_id": "c",
            "device_fp": "d", "diff_commit": "00", "event_id": "e", "geo": {"country": "CN", "region": "GD"},
            "ip_hash": {"alg": "HMAC-SHA-256", "key_epoch": "2026Q3", "value": "ab"},
            "occurred_at": "2026-07-01T00:00:00.000000Z", "outcome": "success", "prev_state_commit": "11",
            "reason": "=1+1", "recorded_at": "2026-07-01T00:00:00.000000Z", "stream": "iam", "tenant_id": "t",
            "type": "sign_in", "v": 1,
        }))
        .expect("has a form");
        let mut reader = LeafReader::default();
        let leaf = reader.read(&leaf).expect("a leaf");
        let row = |openings| {
            let mut csv = Vec::new();
            push_row(&mut csv, Row { index: 7, openings, late: true }, &leaf).expect("has a form");
            String::from_utf8(csv).expect("UTF-8")
        };
        let tail = "2026-07-01T00:00:00.000000Z,true\r\n";
        let head =
            "7,e,2026-07-01T00:00:00.000000Z,member:m1,d,CN/GD,passed,2026Q3:ab,success,c,sign_in,,'=1+1,";
        assert_eq!(row([None, None]), format!("{head}[withheld],[withheld],{tail}"));
        let text = Shown::Opened { salt: [0; 32], value: json!("-1") };
        let gone = Shown::Erased { by: 5 };
        assert_eq!(row([Some(&text), Some(&gone)]), format!("{head}\"'\"\"'-1\"\"\",[erased: 5],{tail}"));
        let whole = Shown::Opened { salt: [0; 32], value: json!({"b": 1, "a": 2}) };
        assert_eq!(
            row([Some(&whole), None]),
            format!("{head}\"{{\"\"a\"\":2,\"\"b\"\":1}}\",[withheld],{tail}")
        );
    }
}
