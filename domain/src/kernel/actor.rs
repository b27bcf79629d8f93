//! Who acts, and what they may do.

use super::{
    ids::{ApiKeyId, MemberId, SessionId, TenantId},
    scope::TenantScope,
};

/// A named set of permissions a member holds in its tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Everything, including who else is owner.
    Owner,
    /// Everything but owners.
    Admin,
    /// Day-to-day work on accounts and posts.
    Operator,
    /// Reads figures.
    Analyst,
    /// Reads the audit log and exports from it.
    Auditor,
}

/// One thing a role or an API key may allow. The text form is also the API key's scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Permission {
    /// See who is in the tenant: members, roles, invitations.
    ReadMembers,
    /// Invite, change and suspend members who are not owners; end their sessions; start a password reset.
    ManageMembers,
    /// Make and unmake owners.
    ManageOwners,
    /// See, issue and revoke API keys.
    ManageApiKeys,
    /// Read the audit log and its proofs.
    ReadAudit,
    /// See linked accounts, matrices and the state of tokens.
    ReadAccounts,
    /// Link, group, tag, pause and unlink accounts.
    ManageAccounts,
    /// Shape matrices and say who works in which part of them.
    ManageMatrices,
    /// See and change the tenant's credentials as a developer on platforms.
    ManageApps,
    /// See files that are to be posted.
    ReadContent,
    /// Bring such files in, and throw them away.
    ManageContent,
    /// See plans and posts.
    ReadPosts,
    /// Plan posts, change them, give them up and try them again.
    ManagePosts,
    /// Agree to what is to be posted.
    ApprovePosts,
    /// Erase what is kept about a person, and say whose data must be kept.
    ManagePrivacy,
}

impl Permission {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::ReadMembers,
        Self::ManageMembers,
        Self::ManageOwners,
        Self::ManageApiKeys,
        Self::ReadAudit,
        Self::ReadAccounts,
        Self::ManageAccounts,
        Self::ManageMatrices,
        Self::ManageApps,
        Self::ReadContent,
        Self::ManageContent,
        Self::ReadPosts,
        Self::ManagePosts,
        Self::ApprovePosts,
        Self::ManagePrivacy,
    ];

    /// The text form, as `members:read`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadMembers => "members:read",
            Self::ManageMembers => "members:manage",
            Self::ManageOwners => "owners:manage",
            Self::ManageApiKeys => "api_keys:manage",
            Self::ReadAudit => "audit:read",
            Self::ReadAccounts => "accounts:read",
            Self::ManageAccounts => "accounts:manage",
            Self::ManageMatrices => "matrices:manage",
            Self::ManageApps => "apps:manage",
            Self::ReadContent => "content:read",
            Self::ManageContent => "content:manage",
            Self::ReadPosts => "posts:read",
            Self::ManagePosts => "posts:manage",
            Self::ApprovePosts => "posts:approve",
            Self::ManagePrivacy => "privacy:manage",
        }
    }

    /// The permission of that text form.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.as_str() == text)
    }
}

impl Role {
    /// All of them, most powerful first.
    pub const ALL: [Self; 5] = [Self::Owner, Self::Admin, Self::Operator, Self::Analyst, Self::Auditor];

    /// The text form, as stores keep it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Analyst => "analyst",
            Self::Auditor => "auditor",
        }
    }

    /// The role of that text form.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == text)
    }

    /// What the role allows.
    pub const fn permissions(self) -> &'static [Permission] {
        use Permission as P;
        match self {
            Self::Owner => &Permission::ALL,
            Self::Admin => &[
                P::ReadMembers,
                P::ManageMembers,
                P::ManageApiKeys,
                P::ReadAudit,
                P::ReadAccounts,
                P::ManageAccounts,
                P::ManageMatrices,
                P::ManageApps,
                P::ReadContent,
                P::ManageContent,
                P::ReadPosts,
                P::ManagePosts,
                P::ApprovePosts,
                P::ManagePrivacy,
            ],
            Self::Operator => &[
                P::ReadMembers,
                P::ReadAccounts,
                P::ManageAccounts,
                P::ReadContent,
                P::ManageContent,
                P::ReadPosts,
                P::ManagePosts,
            ],
            Self::Analyst => &[P::ReadMembers, P::ReadAccounts, P::ReadContent, P::ReadPosts],
            Self::Auditor => &[P::ReadMembers, P::ReadAudit, P::ReadAccounts, P::ReadContent, P::ReadPosts],
        }
    }
}

/// Who stands behind an [`Actor`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A member in a session.
    Member {
        /// The member.
        member: MemberId,
        /// The session.
        session: SessionId,
        /// The role held when the credential was last checked.
        role: Role,
    },
    /// A machine with a key.
    ApiKey {
        /// The key.
        key: ApiKeyId,
        /// What the key allows.
        scopes: Vec<Permission>,
    },
    /// The operator of this installation on the command line, or a worker.
    System,
}

/// Somebody known, acting in one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The tenant acted in.
    pub tenant: TenantId,
    /// Who acts.
    pub principal: Principal,
}

/// The actor lacks a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("needs the permission {}", .0.as_str())]
pub struct Denied(pub Permission);

impl Actor {
    /// The scope of the actor's tenant.
    pub const fn scope(&self) -> TenantScope {
        TenantScope::of(self.tenant)
    }

    /// Whether the actor may.
    pub fn may(&self, permission: Permission) -> bool {
        match &self.principal {
            Principal::Member { role, .. } => role.permissions().contains(&permission),
            Principal::ApiKey { scopes, .. } => scopes.contains(&permission),
            Principal::System => true,
        }
    }

    /// Refuses an actor who may not.
    ///
    /// # Errors
    /// [`Denied`], naming the permission.
    pub fn require(&self, permission: Permission) -> Result<(), Denied> {
        if self.may(permission) { Ok(()) } else { Err(Denied(permission)) }
    }

    /// The member acting, when it is one.
    pub const fn member(&self) -> Option<MemberId> {
        match &self.principal {
            Principal::Member { member, .. } => Some(*member),
            Principal::ApiKey { .. } | Principal::System => None,
        }
    }

    /// The session acted in, when there is one.
    pub const fn session(&self) -> Option<SessionId> {
        match &self.principal {
            Principal::Member { session, .. } => Some(*session),
            Principal::ApiKey { .. } | Principal::System => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms_come_back() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        for permission in Permission::ALL {
            assert_eq!(Permission::parse(permission.as_str()), Some(permission));
        }
        assert_eq!(Role::parse("Owner"), None);
    }

    #[test]
    fn only_owners_manage_owners() {
        let holders: Vec<_> =
            Role::ALL.into_iter().filter(|r| r.permissions().contains(&Permission::ManageOwners)).collect();
        assert_eq!(holders, [Role::Owner]);
    }
}
