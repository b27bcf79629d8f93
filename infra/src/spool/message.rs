//! A message in the form of RFC 5322, plain text.

use std::fmt::Write as _;

use domain::{identity::model::EmailAddress, kernel::clock::Timestamp};
use zeroize::Zeroizing;

/// A message was not written because of what it would hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageFault {
    /// A header's value has a control character or is too long.
    #[error("the {header} header can't hold that value")]
    Header {
        /// Its name.
        header: &'static str,
    },
    /// The token has characters that tokens do not have.
    #[error("the token is not one to put in a link")]
    Token,
}

/// Longest header line, in bytes (RFC 5322 section 2.1.1).
const LINE_MAX_LEN: usize = 998;

/// A message, ready to be written, and the name to write it under.
pub(super) struct Message {
    /// Unique, sorts by time, says nothing.
    pub(super) name: String,
    pub(super) text: Zeroizing<String>,
}

impl Message {
    /// `unique` names the message and must be random.
    pub(super) fn new(
        from: &EmailAddress,
        to: &EmailAddress,
        subject: &str,
        body: &str,
        date: Timestamp,
        unique: &[u8; 32],
    ) -> Result<Self, MessageFault> {
        let mut id = String::with_capacity(32);
        for byte in &unique[..16] {
            // Writing to a string does not fail.
            let _ = write!(id, "{byte:02x}");
        }
        let host = from.expose().rsplit_once('@').map_or("localhost", |(_, host)| host);
        // Enough for all of it: growing would leave copies of the token behind.
        let mut text = Zeroizing::new(String::with_capacity(4 * LINE_MAX_LEN + 2 * body.len()));
        for (name, value) in [
            ("From", format!("Matricula <{}>", mailbox(from))),
            ("To", format!("<{}>", mailbox(to))),
            ("Subject", subject.to_owned()),
            ("Date", date.to_rfc2822()),
            ("Message-ID", format!("<{id}@{host}>")),
            ("Auto-Submitted", "auto-generated".to_owned()),
            ("MIME-Version", "1.0".to_owned()),
            ("Content-Type", "text/plain; charset=utf-8".to_owned()),
            ("Content-Transfer-Encoding", "8bit".to_owned()),
        ] {
            push_header(&mut text, name, &value)?;
        }
        text.push_str("\r\n");
        for line in body.lines() {
            text.push_str(line);
            text.push_str("\r\n");
        }
        Ok(Self { name: format!("{}.{id}.eml", date.timestamp_micros()), text })
    }
}

/// Appends one header line. The one place where headers are written, so that what is refused here is refused.
fn push_header(text: &mut String, name: &'static str, value: &str) -> Result<(), MessageFault> {
    // U+2028 and U+2029 end lines in some readers, as control characters do.
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if value.contains(breaks) || name.len() + 2 + value.len() > LINE_MAX_LEN {
        return Err(MessageFault::Header { header: name });
    }
    text.push_str(name);
    text.push_str(": ");
    text.push_str(value);
    text.push_str("\r\n");
    Ok(())
}

/// The address, with its local part quoted when it is not a dot-atom (RFC 5322 section 3.4.1). Addresses have
/// no quotes or backslashes, so quoting needs no escapes.
fn mailbox(address: &EmailAddress) -> String {
    let address = address.expose();
    let Some((local, domain)) = address.rsplit_once('@') else { return address.to_owned() };
    let atom = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    if local.split('.').all(|part| !part.is_empty() && part.chars().all(atom)) {
        return address.to_owned();
    }
    format!("\"{local}\"@{domain}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_starts_another_header() {
        for bad in [
            "x\r\nBcc: eve@example.com",
            "x\nBcc: y",
            "x\ry",
            "x\0",
            "x\u{85}y",
            "x\u{2028}y",
            "\t",
            "\u{7f}",
        ] {
            let mut text = String::new();
            let refused = push_header(&mut text, "Subject", bad);
            assert_eq!(refused, Err(MessageFault::Header { header: "Subject" }), "{bad:?}");
            assert_eq!(text, "", "nothing of {bad:?} is written");
        }
        let long = "x".repeat(LINE_MAX_LEN);
        assert!(push_header(&mut String::new(), "Subject", &long).is_err());
        assert!(
            push_header(&mut String::new(), "Subject", &long[..LINE_MAX_LEN - "Subject: ".len()]).is_ok()
        );
    }

    #[test]
    fn odd_local_parts_are_quoted() {
        for (address, written) in [
            ("ada.lovelace+x@example.com", "ada.lovelace+x@example.com"),
            ("a..b@example.com", "\"a..b\"@example.com"),
            (".a@example.com", "\".a\"@example.com"),
            ("张三@example.com", "张三@example.com"),
        ] {
            assert_eq!(mailbox(&EmailAddress::parse(address).unwrap()), written);
        }
    }
}
