//! Values and rules. Constructors and transitions check; there are no setters.

mod credentials;
mod email;
mod member;
mod session;
mod tenant;

pub use credentials::{API_KEY_MAX_DAYS, ApiKey, PasswordReset, RECOVERY_CODES, RecoveryCode, Totp};
pub use email::{EmailAddress, EmailFault};
pub use member::{Invitation, InvitationState, Member, MemberStatus};
pub use session::{
    ACCESS_TOKEN_TTL_S, RefreshToken, SESSION_IDLE_DAYS, SESSION_MAX_DAYS, Session, session_access_ttl,
};
pub use tenant::{Slug, SlugFault, Tenant, TenantStatus};

/// Longest display name of a tenant, member or key, in characters.
pub const NAME_MAX_CHARS: usize = 100;

/// Shortest password, in characters (NIST SP 800-63B-4 section 3.1.1.2: at least 15 when it is the only
/// factor).
pub const PASSWORD_MIN_CHARS: usize = 15;

/// Longest password, in bytes: bounds the work of hashing.
pub const PASSWORD_MAX_BYTES: usize = 512;

/// Checks a display name: 1 to [`NAME_MAX_CHARS`] characters, no control characters, trimmed.
///
/// # Errors
/// Says what is wrong with it.
pub fn display_name(text: &str) -> Result<String, &'static str> {
    let name = text.trim();
    if name.is_empty() {
        return Err("must not be empty");
    }
    if name.chars().count() > NAME_MAX_CHARS {
        return Err("must be at most 100 characters");
    }
    if name.chars().any(char::is_control) {
        return Err("must not contain control characters");
    }
    Ok(name.to_owned())
}

/// Checks a new password's length; nothing is demanded of its make-up (NIST SP 800-63B-4).
///
/// # Errors
/// Says what is wrong with it.
pub fn new_password(text: &str) -> Result<(), &'static str> {
    if text.chars().count() < PASSWORD_MIN_CHARS {
        return Err("must be at least 15 characters");
    }
    if text.len() > PASSWORD_MAX_BYTES {
        return Err("must be at most 512 bytes");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(display_name("  Ada 李 ").as_deref(), Ok("Ada 李"));
        assert!(display_name("   ").is_err());
        assert!(display_name("a\u{7}b").is_err());
        assert!(display_name(&"名".repeat(100)).is_ok());
        assert!(display_name(&"名".repeat(101)).is_err());
    }

    #[test]
    fn passwords_are_measured_in_characters() {
        assert!(new_password("fourteen chars").is_err());
        assert!(new_password("fifteen chars!!").is_ok());
        assert!(new_password(&"名".repeat(15)).is_ok());
        assert!(new_password(&"x".repeat(513)).is_err());
    }
}
