//! Everything that can be done in accounts.

use crate::kernel::{
    action::{ACCESS_MANAGEMENT, ACCOUNT_CHANGE, API_ACTIVITY, Action, actions},
    actor::Permission,
};

actions! {
    /// A tenant's credentials on a platform are taken in.
    REGISTER_APP = "register_app", Admin, ACCESS_MANAGEMENT, 1, Some(Permission::ManageApps), Required, SECURITY;
    /// They are changed.
    CHANGE_APP = "change_app", Admin, ACCESS_MANAGEMENT, 1, Some(Permission::ManageApps), Optional, SECURITY;
    /// They are thrown away.
    REMOVE_APP = "remove_app", Admin, ACCESS_MANAGEMENT, 2, Some(Permission::ManageApps), Optional, SECURITY;
    /// An account's owner is asked for consent.
    BEGIN_LINK = "begin_link", Data, API_ACTIVITY, 1, Some(Permission::ManageAccounts), Required, PERSONAL;
    /// The owner answered, by way of the platform.
    FINISH_LINK = "finish_link", Data, API_ACTIVITY, 1, None, Optional, PERSONAL;
    /// Nothing is done with an account for a while.
    PAUSE_ACCOUNT = "pause_account", Data, ACCOUNT_CHANGE, 5, Some(Permission::ManageAccounts), Optional, SECURITY;
    /// Work on it goes on.
    RESUME_ACCOUNT = "resume_account", Data, ACCOUNT_CHANGE, 2, Some(Permission::ManageAccounts), Optional, SECURITY;
    /// An account is given up: its tokens are thrown away.
    UNLINK_ACCOUNT = "unlink_account", Data, ACCOUNT_CHANGE, 6, Some(Permission::ManageAccounts), Optional, PERSONAL;
    /// An account is put into another group.
    PLACE_ACCOUNT = "place_account", Data, API_ACTIVITY, 3, Some(Permission::ManageAccounts), Optional, SECURITY;
    /// An account gets other tags.
    TAG_ACCOUNT = "tag_account", Data, API_ACTIVITY, 3, Some(Permission::ManageAccounts), Optional, SECURITY;
    /// Tokens of an account are to be refreshed now.
    REFRESH_ACCOUNT = "refresh_account", Data, API_ACTIVITY, 3, Some(Permission::ManageAccounts), Optional, PERSONAL;
    /// A matrix, or a group in one, is made.
    CREATE_GROUP = "create_group", Data, API_ACTIVITY, 1, Some(Permission::ManageMatrices), Required, SECURITY;
    /// A group gets another name or place.
    CHANGE_GROUP = "change_group", Data, API_ACTIVITY, 3, Some(Permission::ManageMatrices), Optional, SECURITY;
    /// An empty group is taken away.
    REMOVE_GROUP = "remove_group", Data, API_ACTIVITY, 4, Some(Permission::ManageMatrices), Optional, SECURITY;
    /// A member may work in a group and below.
    GRANT_GROUP = "grant_group", Iam, ACCESS_MANAGEMENT, 1, Some(Permission::ManageMatrices), Optional, PERSONAL;
    /// A member may not any more.
    REVOKE_GROUP = "revoke_group", Iam, ACCESS_MANAGEMENT, 2, Some(Permission::ManageMatrices), Optional, PERSONAL;
    /// The pool got new tokens, or was told that there will be none.
    REFRESH_TOKENS = "refresh_tokens", Data, API_ACTIVITY, 3, None, Optional, PERSONAL;
    /// The platform says that consent was taken back.
    REVOKE_CONSENT = "revoke_consent", Data, ACCOUNT_CHANGE, 5, None, Optional, PERSONAL;
}

/// What nobody asks for by a mutation: the platform's answers, its news, and the pool's own work.
pub const WITHOUT_MUTATION: &[Action] = &[FINISH_LINK, REFRESH_TOKENS, REVOKE_CONSENT];
