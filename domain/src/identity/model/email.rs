//! E-mail addresses, as identifiers: enough of RFC 5321 to deliver to, folded so that one mailbox is one
//! member.

use std::fmt;

/// An address that is never printed. Compared and looked up in its folded form.
#[derive(Clone, PartialEq, Eq)]
pub struct EmailAddress(String);

/// Why a text is no e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not an e-mail address like name@example.com")]
pub struct EmailFault;

impl EmailAddress {
    /// Checks and folds to lower case. At most 254 characters (RFC 5321 section 4.5.3.1.3), one `@`, a local
    /// part of at most 64, a domain with a dot, no spaces or control characters.
    ///
    /// # Errors
    /// [`EmailFault`].
    pub fn parse(text: &str) -> Result<Self, EmailFault> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or(EmailFault)?;
        let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"<>()[],;:\\\"".contains(c);
        let good_domain = domain.contains('.')
            && domain.split('.').all(|label| {
                !label.is_empty()
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label.chars().all(|c| c.is_alphanumeric() || c == '-')
            });
        let good_local =
            !local.is_empty() && local.len() <= 64 && !local.contains('@') && local.chars().all(plain);
        if text.len() > 254 || !good_local || !good_domain {
            return Err(EmailFault);
        }
        Ok(Self(text.to_lowercase()))
    }

    /// The folded address, for sealing, hashing, delivery and its owner's own eyes.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_case_and_refuses_what_cannot_be_delivered() {
        let parsed = EmailAddress::parse(" Ada@Example.COM ");
        assert_eq!(parsed.as_ref().map(EmailAddress::expose), Ok("ada@example.com"));
        for bad in [
            "",
            "ada",
            "ada@",
            "@example.com",
            "a b@example.com",
            "ada@example",
            "a@b@example.com",
            "ada@-example.com",
            "ada@exa mple.com",
            "ada\n@example.com",
            "<ada@example.com>",
        ] {
            assert_eq!(EmailAddress::parse(bad), Err(EmailFault), "{bad:?}");
        }
        assert!(EmailAddress::parse(&format!("{}@example.com", "a".repeat(65))).is_err());
    }

    #[test]
    fn is_never_printed() {
        assert_eq!(format!("{:?}", EmailAddress::parse("ada@example.com")), "Ok(EmailAddress(..))");
    }
}
