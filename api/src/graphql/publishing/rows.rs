//! Rows of posts in files: CSV (RFC 4180) with a row of names, or a JSON object a line. What `/exports/posts.csv` and
//! `.jsonl` tell more than is asked for here is passed over, so that what was taken away can be brought back.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime};
use domain::{
    kernel::{
        clock::Timestamp,
        ids::{AccountId, UploadId},
    },
    publishing::{
        ImportLine, ImportRow,
        model::{PostDraft, Visibility, Zone, instant_of, zone},
    },
};
use serde_json::Value;
use uuid::Uuid;

use super::import::ImportFormat;
use crate::graphql::{
    error::Failure,
    scalars::{Kind, parse_global_id},
};

/// What a row may say.
const COLUMNS: [&str; 8] =
    ["reference", "plan", "upload_id", "account_id", "planned_at", "caption", "cover_at_ms", "visibility"];

/// What exports tell beside that, and no import reads.
const TOLD: [&str; 11] = [
    "id",
    "plan_id",
    "status",
    "accepted_at",
    "item",
    "figures_read_at",
    "plays",
    "likes",
    "comments",
    "shares",
    "occurrence",
];

/// Longest file, in bytes.
const FILE_MAX_BYTES: usize = 512 * 1024;

type Fields = BTreeMap<String, String>;

/// Lines by their numbers, each with its fields or why it has none.
type Lines = Vec<(u64, Result<Fields, String>)>;

fn bad(problem: impl Into<String>) -> Failure {
    Failure::invalid("text", &problem.into())
}

/// Reads a file. A row that can't be read is told by its line and keeps no other from being read.
pub(super) fn read(
    format: ImportFormat,
    text: &str,
    zone_name: Option<&str>,
) -> Result<Vec<ImportLine>, Failure> {
    if text.len() > FILE_MAX_BYTES {
        return Err(bad(format!("must be at most {FILE_MAX_BYTES} bytes; split the file")));
    }
    let zone = zone_name.map(zone).transpose().map_err(Failure::from)?;
    let lines = match format {
        ImportFormat::Csv => read_csv(text)?,
        ImportFormat::Jsonl => read_jsonl(text),
    };
    let row = |fields: Fields| {
        let reference = fields.get("reference").cloned();
        row_of(&fields, zone.as_ref()).map_err(|why| (reference, why))
    };
    let line = |(line, fields): (u64, Result<Fields, String>)| {
        (line, fields.map_err(|why| (None, why)).and_then(row))
    };
    Ok(lines.into_iter().map(line).collect())
}

fn read_csv(text: &str) -> Result<Lines, Failure> {
    // Spreadsheet programs begin files of UTF-8 with a mark of order.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let names = reader.headers().map_err(|_| bad("must begin with a row of names, as UTF-8"))?.clone();
    let mut seen = std::collections::BTreeSet::new();
    for name in &names {
        known(name).map_err(bad)?;
        if !seen.insert(name) {
            return Err(bad(format!("names the column {name:?} twice")));
        }
    }
    let mut lines = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|_| bad("is not UTF-8, or has a quote without its end"))?;
        let line = record.position().map_or(0, |position| line_at(text, position.byte()));
        let fields = if record.len() == names.len() {
            Ok(names.iter().zip(&record).map(|(name, text)| (name.to_owned(), plain(text))).collect())
        } else {
            Err(format!("has {} fields; the first row names {}", record.len(), names.len()))
        };
        lines.push((line, fields));
    }
    Ok(lines)
}

/// The line of the first row at or behind a place. The reader's own count is short where rows end in two characters.
fn line_at(text: &str, byte: u64) -> u64 {
    let before = text.as_bytes().split_at(usize::try_from(byte).unwrap_or(usize::MAX).min(text.len()));
    let ends = before.1.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    let newlines = before.0.iter().chain(ends).filter(|byte| **byte == b'\n').count();
    1 + u64::try_from(newlines).unwrap_or(u64::MAX - 1)
}

/// A field without the apostrophe that exports put before what a spreadsheet program would take for a formula.
fn plain(text: &str) -> String {
    match text.strip_prefix('\'') {
        Some(rest) if rest.starts_with(['=', '+', '-', '@', '\t', '\r']) => rest.to_owned(),
        _ => text.to_owned(),
    }
}

fn read_jsonl(text: &str) -> Lines {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(number, line)| (number, fields_of(line))).collect()
}

fn fields_of(line: &str) -> Result<Fields, String> {
    let Ok(Value::Object(object)) = serde_json::from_str(line) else {
        return Err("is no JSON object".to_owned());
    };
    let mut fields = Fields::new();
    for (name, value) in object {
        known(&name)?;
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                return Err(format!("has a {name} that is neither a text nor a number"));
            }
        };
        fields.insert(name, text);
    }
    Ok(fields)
}

fn known(name: &str) -> Result<(), String> {
    if COLUMNS.contains(&name) || TOLD.contains(&name) {
        Ok(())
    } else {
        Err(format!("has the column {name:?}; there are {}", COLUMNS.join(", ")))
    }
}

/// The id of a thing, as the API writes it or as exports do.
fn id(fields: &Fields, name: &str, kind: Kind) -> Result<Uuid, String> {
    let text = fields.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| format!("has no {name}"))?;
    let global = parse_global_id(text).filter(|(found, _)| *found == kind).map(|(_, uuid)| uuid);
    global.or_else(|| Uuid::try_parse(text).ok()).ok_or_else(|| format!("has a {name} that is no such id"))
}

fn planned_at(text: &str, zone: Option<&Zone>) -> Result<Timestamp, String> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.to_utc());
    }
    let formats = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
    let local = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let local = local.ok_or("has a planned_at that is no time; write it as 2026-12-01T18:30:00+08:00")?;
    let zone = zone.ok_or("has a planned_at without an offset, and no zone is given; give either")?;
    instant_of(local, *zone).map_err(|why| format!("has a planned_at that {why}"))
}

fn row_of(fields: &Fields, zone: Option<&Zone>) -> Result<ImportRow, String> {
    let text = |name: &str| fields.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let cover = text("cover_at_ms").map(str::parse).transpose();
    let visibility =
        text("visibility").map_or(Some(Visibility::Public), |word| Visibility::parse(&word.to_lowercase()));
    Ok(ImportRow {
        reference: text("reference").ok_or("has no reference; give each row a name of its own")?.to_owned(),
        plan: text("plan").unwrap_or("Import").to_owned(),
        account: AccountId::from_uuid(id(fields, "account_id", Kind::Account)?),
        planned_at: planned_at(text("planned_at").ok_or("has no planned_at")?, zone)?,
        draft: PostDraft {
            upload: UploadId::from_uuid(id(fields, "upload_id", Kind::Upload)?),
            caption: fields.get("caption").cloned().unwrap_or_default(),
            cover_at_ms: cover.map_err(|_| "has a cover_at_ms that is no number of milliseconds")?,
            visibility: visibility.ok_or("has a visibility that is none of public, friends, only_me")?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00000000-0000-0000-0000-00000000002a";

    fn rows(format: ImportFormat, text: &str) -> Vec<ImportLine> {
        read(format, text, Some("Asia/Shanghai")).unwrap_or_else(|_| panic!("{text} is no file"))
    }

    fn why(line: &ImportLine) -> &str {
        line.1.as_ref().err().map_or("", |(_, why)| why)
    }

    #[test]
    fn csv_and_jsonl_say_the_same() {
        let csv = format!(
            "\u{feff}reference,upload_id,account_id,planned_at,caption,plays\r\n\
             a-1,{ID},{ID},2026-12-01 18:30,\"'=new, \"\"hot\"\"\r\nline\",7\r\n"
        );
        let json = format!(
            "\n{{\"reference\":\"a-1\",\"upload_id\":\"{ID}\",\"account_id\":\"{ID}\",\
             \"planned_at\":\"2026-12-01T10:30:00Z\",\"caption\":\"=new, \\\"hot\\\"\\r\\nline\",\"cover_at_ms\":null}}\n"
        );
        let (of_csv, of_json) = (rows(ImportFormat::Csv, &csv), rows(ImportFormat::Jsonl, &json));
        assert_eq!(of_csv[0].1, of_json[0].1);
        assert_eq!((of_csv[0].0, of_json[0].0), (2, 2));
        let row = of_csv[0].1.as_ref().unwrap_or_else(|why| panic!("{why:?}"));
        assert_eq!(row.draft.caption, "=new, \"hot\"\r\nline");
        assert_eq!((row.plan.as_str(), row.draft.visibility), ("Import", Visibility::Public));
    }

    #[test]
    fn a_row_that_is_none_says_why_and_leaves_the_others() {
        let head = "reference,upload_id,account_id,planned_at,cover_at_ms,visibility";
        let good = format!("{ID},{ID},2026-12-01T18:30:00+08:00");
        let text = format!(
            "{head}\nok,{good},,\n,{good},,\nx,{ID},nobody,2026-12-01T18:30:00Z,,\nx,{ID},{ID},soon,,\n\
             x,{good},-1,\nx,{good},,everyone\nx,{ID}\nlast,{good},500,ONLY_ME\n"
        );
        let rows = rows(ImportFormat::Csv, &text);
        let told: Vec<_> = rows.iter().map(why).collect();
        for (at, part) in [
            (1, "no reference"),
            (2, "account_id"),
            (3, "planned_at"),
            (4, "cover_at_ms"),
            (5, "visibility"),
            (6, "2 fields"),
        ] {
            assert!(told[at].contains(part), "{at}: {}", told[at]);
        }
        assert_eq!((told[0], told[7], rows[7].0), ("", "", 9));
        let local = format!("reference,upload_id,account_id,planned_at\na,{ID},{ID},2026-12-01 18:30\n");
        let unzoned = read(ImportFormat::Csv, &local, None).unwrap_or_else(|_| panic!("a file"));
        assert!(why(&unzoned[0]).contains("no zone"));
    }

    #[test]
    fn what_is_no_file_is_refused_whole() {
        for text in ["", "reference,reference\n", "reference,colour\n"] {
            let read = read(ImportFormat::Csv, text, None);
            assert!(read.is_err() || read.is_ok_and(|rows| rows.is_empty()), "{text:?}");
        }
        assert!(read(ImportFormat::Csv, "reference,colour\na,b\n", None).is_err());
        assert!(read(ImportFormat::Csv, "reference\na\n", Some("Nowhere")).is_err());
        assert!(read(ImportFormat::Jsonl, &"x".repeat(FILE_MAX_BYTES + 1), None).is_err());
        assert!(why(&rows(ImportFormat::Jsonl, "[1]\n")[0]).contains("JSON object"));
        assert!(why(&rows(ImportFormat::Jsonl, "{\"reference\": [1]}\n")[0]).contains("reference"));
    }
}
