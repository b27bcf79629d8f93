//! That leaves of a log were thrown away, because they need not be kept any longer: a signed statement, so that what is gone by
//! right is told from what is missing. Their hashes stay, as tiles, and with them every root and every proof.

use std::fmt;

use crate::merkle::Hash;

/// The first line of a statement: no checkpoint begins with a space in it.
const FIRST_LINE: &str = "matricula prune v1";

/// The text of a note (C2SP signed-note) signed by the log's own key: the line above, the log's origin, how many leaves are gone
/// from its beginning, and the root over them (base64), each on a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PruneStatement {
    /// Which log.
    pub origin: String,
    /// Leaves with a lower index are gone.
    pub until: u64,
    /// The root over them (RFC 6962 section 2.1).
    pub root: Hash,
}

/// A text is no statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is no statement that leaves were thrown away")]
pub struct PruneFault;

impl fmt::Display for PruneStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{FIRST_LINE}\n{}\n{}\n{}\n", self.origin, self.until, self.root.to_base64())
    }
}

impl PruneStatement {
    /// Reads what [`Self`] is written as and nothing else.
    ///
    /// # Errors
    /// [`PruneFault`].
    pub fn parse(text: &str) -> Result<Self, PruneFault> {
        let mut lines = text.split('\n');
        let mut next = || lines.next().ok_or(PruneFault);
        let (_, origin, until, root) = (next()?, next()?, next()?, next()?);
        let read = Self {
            origin: origin.to_owned(),
            until: until.parse().map_err(|_| PruneFault)?,
            root: Hash::parse_base64(root).map_err(|_| PruneFault)?,
        };
        if read.to_string() == text && !origin.is_empty() { Ok(read) } else { Err(PruneFault) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;

    #[test]
    fn statements_come_back_in_one_form_and_are_no_checkpoints() {
        let statement = PruneStatement {
            origin: "audit.example.com/t/1/access".to_owned(),
            until: 512,
            root: Hash([7; 32]),
        };
        let text = statement.to_string();
        assert_eq!(PruneStatement::parse(&text), Ok(statement));
        for bad in [
            text.replace("512", "0512"),
            text.replace("512", "-1"),
            text.replace("v1", "v2"),
            text.replace("audit.example.com/t/1/access", ""),
            text.trim_end().to_owned(),
            format!("{text}x\n"),
            text.replace('\n', "\r\n"),
            String::new(),
        ] {
            assert_eq!(PruneStatement::parse(&bad), Err(PruneFault), "{bad:?}");
        }
        assert!(Checkpoint::parse(&text).is_err());
    }
}
