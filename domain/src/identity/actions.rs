//! Everything that can be done in identity.

use crate::kernel::{
    action::{ACCESS_MANAGEMENT, ACCOUNT_CHANGE, AUTHENTICATION, Action, actions},
    actor::Permission,
};

actions! {
    /// A tenant opens, with its first owner.
    OPEN_TENANT = "open_tenant", Admin, ACCOUNT_CHANGE, 1, None, Optional, PERSONAL;
    /// A tenant is closed: unless it is taken back, it ends for good.
    CLOSE_TENANT = "close_tenant", Admin, ACCOUNT_CHANGE, 5, None, Optional, PERSONAL;
    /// A tenant that was closed is taken back.
    REOPEN_TENANT = "reopen_tenant", Admin, ACCOUNT_CHANGE, 2, None, Optional, PERSONAL;
    /// A member signs in.
    SIGN_IN = "sign_in", Iam, AUTHENTICATION, 1, None, Optional, PERSONAL;
    /// A session is carried on.
    REFRESH_SESSION = "refresh_session", Iam, AUTHENTICATION, 1, None, Optional, PERSONAL;
    /// A member ends its own session.
    SIGN_OUT = "sign_out", Iam, AUTHENTICATION, 2, None, Optional, PERSONAL;
    /// A member ends all its sessions.
    SIGN_OUT_EVERYWHERE = "sign_out_everywhere", Iam, AUTHENTICATION, 2, None, Optional, PERSONAL;
    /// Somebody asks for a password reset for themselves.
    REQUEST_PASSWORD_RESET = "request_password_reset", Iam, ACCOUNT_CHANGE, 4, None, Optional, PERSONAL;
    /// A password is set with a one-time token.
    RESET_PASSWORD = "reset_password", Iam, ACCOUNT_CHANGE, 4, None, Optional, PERSONAL;
    /// An invitation is accepted.
    ACCEPT_INVITATION = "accept_invitation", Iam, ACCOUNT_CHANGE, 1, None, Optional, PERSONAL;
    /// Somebody is invited.
    INVITE_MEMBER = "invite_member", Iam, ACCESS_MANAGEMENT, 1, Some(Permission::ManageMembers), Required, PERSONAL;
    /// An invitation is taken back.
    REVOKE_INVITATION = "revoke_invitation", Iam, ACCESS_MANAGEMENT, 2, Some(Permission::ManageMembers), Optional, PERSONAL;
    /// A member gets another role.
    CHANGE_MEMBER_ROLE = "change_member_role", Iam, ACCESS_MANAGEMENT, 1, Some(Permission::ManageMembers), Optional, PERSONAL;
    /// A member is kept from signing in.
    SUSPEND_MEMBER = "suspend_member", Iam, ACCOUNT_CHANGE, 5, Some(Permission::ManageMembers), Optional, PERSONAL;
    /// A member may sign in again.
    RESTORE_MEMBER = "restore_member", Iam, ACCOUNT_CHANGE, 2, Some(Permission::ManageMembers), Optional, PERSONAL;
    /// A member is given a one-time token to set a new password.
    START_PASSWORD_RESET = "start_password_reset", Iam, ACCOUNT_CHANGE, 4, Some(Permission::ManageMembers), Required, PERSONAL;
    /// A member sets a new password, knowing the old.
    CHANGE_PASSWORD = "change_password", Iam, ACCOUNT_CHANGE, 3, None, Optional, PERSONAL;
    /// A session is ended by its member or by who manages members.
    REVOKE_SESSION = "revoke_session", Iam, AUTHENTICATION, 2, None, Optional, PERSONAL;
    /// A member begins to set up a second factor.
    ENROL_TOTP = "enrol_totp", Iam, ACCOUNT_CHANGE, 10, None, Required, PERSONAL;
    /// A member proves to have its second factor.
    CONFIRM_TOTP = "confirm_totp", Iam, ACCOUNT_CHANGE, 10, None, Required, PERSONAL;
    /// A member gives its second factor up.
    DISABLE_TOTP = "disable_totp", Iam, ACCOUNT_CHANGE, 11, None, Optional, PERSONAL;
    /// A machine gets a key.
    ISSUE_API_KEY = "issue_api_key", Admin, ACCESS_MANAGEMENT, 1, Some(Permission::ManageApiKeys), Required, SECURITY;
    /// A machine's key is taken back.
    REVOKE_API_KEY = "revoke_api_key", Admin, ACCESS_MANAGEMENT, 2, Some(Permission::ManageApiKeys), Optional, SECURITY;
}

/// Those that say whether a secret was guessed: limited by rate for each member.
pub const GUESSABLE: &[Action] = &[CHANGE_PASSWORD, CONFIRM_TOTP, DISABLE_TOTP];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_become_fields() {
        let mut names: Vec<_> = ALL.iter().map(|a| a.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        assert_eq!(CHANGE_MEMBER_ROLE.field_name(), "changeMemberRole");
    }
}
