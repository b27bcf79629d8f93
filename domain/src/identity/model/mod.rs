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
pub use tenant::{Closing, Slug, SlugFault, TAKE_BACK_DAYS, Tenant, TenantStatus};

/// Shortest password, in characters (NIST SP 800-63B-4 section 3.1.1.2: at least 15 when it is the only
/// factor).
pub const PASSWORD_MIN_CHARS: usize = 15;

/// Longest password, in bytes: bounds the work of hashing.
pub const PASSWORD_MAX_BYTES: usize = 512;

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
    fn passwords_are_measured_in_characters() {
        assert!(new_password("fourteen chars").is_err());
        assert!(new_password("fifteen chars!!").is_ok());
        assert!(new_password(&"名".repeat(15)).is_ok());
        assert!(new_password(&"x".repeat(513)).is_err());
    }
}
