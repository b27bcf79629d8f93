//! Rows of posts in files: CSV (RFC 4180) with a row of names, or a JSON object a line. What `/exports/posts.csv` and
//! `.jsonl` tell more than is asked for here is passed over, so that what was taken away can be brought back.

use std::collections::BTreeMap;

use domain::{
    kernel::ids::{AccountId, UploadId},
    publishing::{
        ImportLine, ImportRow,
        model::{ITEMS_MAX, Visibility, Zone, zone},
    },
};
use serde_json::Value;
use uuid::Uuid;

use super::import::ImportFormat;
use crate::graphql::{
    error::Failure,
    local_time::instant,
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

/// Longest file, in bytes: with its escapes it fits into what the door takes.
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
    // Spreadsheet programs begin files of UTF-8 with a mark of order.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
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
    // The reader takes the end of the file for that of a field, and all rows behind a quote for one.
    if text.bytes().filter(|byte| *byte == b'"').count() % 2 == 1 {
        return Err(bad("has a quote without its end"));
    }
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
    let mut place = Place { text: text.as_bytes(), byte: 0, line: 1 };
    // One more than there may be, for who counts them.
    for record in reader.records().take(ITEMS_MAX + 1) {
        let record = record.map_err(|_| bad("is not UTF-8"))?;
        let line = record.position().map_or(0, |position| place.line_at(position.byte()));
        let fields = if record.len() == names.len() {
            Ok(names.iter().zip(&record).map(|(name, text)| (name.to_owned(), plain(text))).collect())
        } else {
            Err(format!("has {} fields; the first row names {}", record.len(), names.len()))
        };
        lines.push((line, fields));
    }
    Ok(lines)
}

/// How far a file was read. The reader's own count of lines is short where rows end in two characters.
struct Place<'a> {
    text: &'a [u8],
    byte: usize,
    line: u64,
}

impl Place<'_> {
    /// The line of the first row at or behind a place further on.
    fn line_at(&mut self, byte: u64) -> u64 {
        let at = usize::try_from(byte).unwrap_or(usize::MAX);
        while let Some(next) = self.text.get(self.byte)
            && (self.byte < at || matches!(next, b'\r' | b'\n'))
        {
            self.line += u64::from(*next == b'\n');
            self.byte += 1;
        }
        self.line
    }
}

/// A field without the apostrophe that exports put before what a spreadsheet program would take for a formula.
fn plain(text: &str) -> String {
    let is_guarded = text.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r']);
    text.strip_prefix('\'').filter(|_| is_guarded).unwrap_or(text).to_owned()
}

fn read_jsonl(text: &str) -> Lines {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines.take(ITEMS_MAX + 1).map(|(number, line)| (number, fields_of(line))).collect()
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
            Value::Number(number) if name == "cover_at_ms" || TOLD.contains(&name.as_str()) => {
                number.to_string()
            }
            // Large numbers would lose digits.
            Value::Number(_) | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                return Err(format!("has a {name} that is no text"));
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

fn row_of(fields: &Fields, zone: Option<&Zone>) -> Result<ImportRow, String> {
    let text = |name: &str| fields.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let reference = text("reference").ok_or("has no reference; give each row a name of its own")?;
    // The id of a post is one reference, however it is spelt.
    let global = || parse_global_id(reference).filter(|(kind, _)| *kind == Kind::Post).map(|(_, uuid)| uuid);
    let of_post = Uuid::try_parse(reference).ok().or_else(global);
    let reference = of_post.map_or_else(|| reference.to_owned(), |uuid| uuid.to_string());
    let cover = text("cover_at_ms").map(str::parse).transpose();
    let cover = cover.map_err(|_| "has a cover_at_ms that is no number of milliseconds")?;
    let visibility = text("visibility").map(|word| {
        let known = Visibility::parse(&word.to_lowercase());
        known.ok_or("has a visibility that is none of public, friends, only_me")
    });
    Ok(ImportRow {
        reference,
        plan: text("plan").map(ToOwned::to_owned),
        account: AccountId::from_uuid(id(fields, "account_id", Kind::Account)?),
        planned_at: instant(text("planned_at").ok_or("has no planned_at")?, zone)
            .map_err(|why| format!("has a planned_at that {why}"))?,
        upload: UploadId::from_uuid(id(fields, "upload_id", Kind::Upload)?),
        // What there is no column for stays as it is.
        caption: fields.get("caption").cloned(),
        cover_at_ms: fields.contains_key("cover_at_ms").then_some(cover),
        visibility: visibility.transpose()?,
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
        let (mut one, other) = (of_csv[0].1.clone(), of_json[0].1.clone());
        // A column that there is none of, and one that is null, leave what is there.
        assert_eq!(one.as_mut().map(|row| row.cover_at_ms.take()), Ok(None));
        assert_eq!(one, other);
        assert_eq!((of_csv[0].0, of_json[0].0), (2, 2));
        let row = of_csv[0].1.as_ref().unwrap_or_else(|why| panic!("{why:?}"));
        assert_eq!(row.caption.as_deref(), Some("=new, \"hot\"\r\nline"));
        assert_eq!((row.plan.as_ref(), row.visibility), (None, None));
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
        assert!(read(ImportFormat::Csv, "", None).is_ok_and(|rows| rows.is_empty()));
        for text in ["reference,reference\n", "reference,colour\na,b\n", "reference,caption\na,\"b\nc,d\n"] {
            assert!(read(ImportFormat::Csv, text, None).is_err(), "{text:?}");
        }
        assert!(read(ImportFormat::Csv, "reference\na\n", Some("Nowhere")).is_err());
        assert!(read(ImportFormat::Jsonl, &"x".repeat(FILE_MAX_BYTES + 1), None).is_err());
        assert!(why(&rows(ImportFormat::Jsonl, "[1]\n")[0]).contains("JSON object"));
        for text in ["[1]", "18446744073709551616"] {
            let line = format!("{{\"reference\": {text}}}\n");
            assert!(why(&rows(ImportFormat::Jsonl, &line)[0]).contains("reference"), "{text}");
        }
    }

    #[test]
    fn what_is_exported_comes_back_and_an_id_is_one_however_it_is_spelt() {
        for text in ["=x", "'=x", "''-1", "'tis", "x", "'", ""] {
            // As exports guard it.
            let is_dangerous = text.trim_start_matches('\'').starts_with(['=', '-']);
            let exported = if is_dangerous { format!("'{text}") } else { text.to_owned() };
            assert_eq!(plain(&exported), text);
        }
        let of = |reference: &str| {
            let text = format!(
                "reference,upload_id,account_id,planned_at\n{reference},{ID},{ID},2026-12-01T10:30:00.1234567Z\n"
            );
            rows(ImportFormat::Csv, &text).remove(0).1
        };
        let (lower, upper) = (of(ID), of(&ID.to_uppercase().replace('-', "")));
        assert_eq!(lower, upper);
        assert_eq!(lower.map(|row| row.planned_at.timestamp_subsec_nanos()), Ok(123_456_000));
    }
}
