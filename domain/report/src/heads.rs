//! Heads of the logs: lists of hashes as files have them, and the leaves of the platform's log.

use audit_log::merkle::Hash;

use crate::FormatError;

/// The most hashes a list may have: [`audit_log::merkle::complete_subtrees`] never gives more.
pub const HASHES_MAX: usize = 128;

/// Keeps leaves of the platform's log apart from everything else that is hashed.
pub const PLATFORM_PREFIX: u8 = 0x11;

/// The leaf by which the platform's log holds a tenant's checkpoint: 0x11, a salt that only the tenant is given, and
/// the body of the checkpoint (its note's text). Its leaf hash is [`audit_log::merkle::leaf_hash`] of this.
pub fn platform_leaf(salt: &[u8; 32], checkpoint_body: &str) -> Vec<u8> {
    [&[PLATFORM_PREFIX], &salt[..], checkpoint_body.as_bytes()].concat()
}

/// A list of hashes: base64, one a line.
pub fn write_hashes(hashes: impl IntoIterator<Item = Hash>) -> String {
    hashes.into_iter().fold(String::new(), |text, hash| text + &hash.to_base64() + "\n")
}

/// Reads a list of hashes.
///
/// # Errors
/// `Line`, also for more than [`HASHES_MAX`].
pub fn parse_hashes(what: &'static str, text: &[u8]) -> Result<Vec<Hash>, FormatError> {
    let mut hashes = Vec::new();
    for (line, number) in text.split_inclusive(|byte| *byte == b'\n').zip(1..) {
        let hash = line
            .strip_suffix(b"\n")
            .and_then(|line| str::from_utf8(line).ok())
            .and_then(|line| Hash::parse_base64(line).ok());
        let fault = FormatError::Line { what, line: number };
        match hash {
            Some(hash) if hashes.len() < HASHES_MAX => hashes.push(hash),
            Some(_) | None => return Err(fault),
        }
    }
    Ok(hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_come_back() {
        let hashes = vec![Hash([1; 32]), Hash([2; 32])];
        let text = write_hashes(hashes.clone());
        assert_eq!(parse_hashes("x", text.as_bytes()), Ok(hashes));
        assert_eq!(parse_hashes("x", b""), Ok(vec![]));
        for bad in
            [text.trim_end().to_owned(), text.replace('\n', "\r\n"), format!("{text}\n"), text.repeat(65)]
        {
            assert!(parse_hashes("x", bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
