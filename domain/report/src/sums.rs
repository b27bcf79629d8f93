//! `SHA256SUMS`, in the one form that is signed: `sha256sum -c --strict` reads it, and nothing in it can be written in
//! two ways. A line is 64 lower-case hexadecimal digits, two spaces, a name and a newline; lines are sorted by name,
//! byte by byte; no name is there twice.

use std::collections::BTreeMap;

use audit_log::merkle::Hash;

use crate::{FormatError, names};

/// The longest `SHA256SUMS` that is read, in bytes: a file for each of 300,000 segments.
pub const SUMS_MAX_BYTES: usize = 32 << 20;

/// The text for these files.
pub fn write(sums: &BTreeMap<String, Hash>) -> String {
    sums.iter().fold(String::new(), |text, (name, hash)| text + &hash.to_hex() + "  " + name + "\n")
}

/// Reads the text.
///
/// # Errors
/// `Line` for a line of another form, a name that a bundle cannot have, a name that does not come after the one
/// before it, and for the last line when it has no newline.
pub fn parse(text: &[u8]) -> Result<BTreeMap<String, Hash>, FormatError> {
    let mut sums = BTreeMap::new();
    let mut last = String::new();
    for (line, number) in text.split_inclusive(|byte| *byte == b'\n').zip(1..) {
        let fault = FormatError::Line { what: names::SUMS, line: number };
        let (hash, name) = parse_line(line).ok_or_else(|| fault.clone())?;
        if name <= last.as_str() {
            return Err(fault);
        }
        name.clone_into(&mut last);
        sums.insert(name.to_owned(), hash);
    }
    Ok(sums)
}

fn parse_line(line: &[u8]) -> Option<(Hash, &str)> {
    let line = str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (hash, name) = line.split_once("  ")?;
    let hash = Hash::parse_hex(hash).ok()?;
    (names::is_known(name) && !names::is_sealing(name)).then_some((hash, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_come_back_and_have_one_form() {
        let sums: BTreeMap<_, _> = [names::REPORT, names::MANIFEST, names::VERIFY]
            .map(|name| (name.to_owned(), Hash([7; 32])))
            .into();
        let text = write(&sums);
        assert!(text.starts_with(&format!("{}  VERIFY.txt\n", "07".repeat(32))));
        assert_eq!(parse(text.as_bytes()), Ok(sums));
        let lines: Vec<_> = text.split_inclusive('\n').collect();
        for (bad, line) in [
            (format!("{text}{}", lines[2]), 4),
            (format!("{}{}", lines[1], lines[0]), 2),
            (text.replace("  manifest", "  ./manifest"), 2),
            (text.replace("  manifest", " *manifest"), 2),
            (text.replace("  manifest", "   manifest"), 2),
            (text.replace('\n', "\r\n"), 1),
            (text.replacen("07", "0A", 1), 1),
            (text.trim_end().to_owned(), 3),
            (format!("\\{text}"), 1),
            (format!("{text}\n"), 4),
            (text.replace("manifest.json", "SHA256SUMS"), 2),
            (format!("# sums\n{text}"), 1),
        ] {
            let fault = FormatError::Line { what: names::SUMS, line };
            assert_eq!(parse(bad.as_bytes()), Err(fault), "{bad}");
        }
    }
}
