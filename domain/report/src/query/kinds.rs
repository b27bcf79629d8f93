//! Reports that have a name.

use super::{Party, Period, Query};

/// The word for a report that asks for whatever its query says.
pub const CUSTOM: &str = "custom";

/// A report that has a name, and the query it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Passwords that were asked to be reset, were reset or changed, and second factors that came or went.
    PasswordResets,
    /// Who signed in, tried to, and signed out.
    SignIns,
    /// Who came, got another role, was suspended or restored, and may work where.
    RoleChanges,
    /// Keys of machines, credentials on platforms, and keys that data is sealed under.
    KeyChanges,
    /// Every answer that one member got.
    DataAccess {
        /// The member's id.
        member: String,
    },
    /// What became of plans and posts.
    PublishHistory,
    /// What was taken away as a file.
    Exports,
}

impl Kind {
    /// Those whose query is known from the name and a period.
    pub const NAMED: [Self; 6] = [
        Self::PasswordResets,
        Self::SignIns,
        Self::RoleChanges,
        Self::KeyChanges,
        Self::PublishHistory,
        Self::Exports,
    ];

    /// The report that a word names, about the member that the query names if it is about one; `None` for [`CUSTOM`]
    /// and for a word that names none.
    pub fn named(word: &str, query: &Query) -> Option<Self> {
        let parts = if let Query::And(parts) = query { parts.as_slice() } else { &[] };
        let about = parts
            .iter()
            .find_map(|part| if let Query::Actor(party) = part { party.id.clone() } else { None });
        let of_member = Self::DataAccess { member: about.unwrap_or_default() };
        Self::NAMED.into_iter().chain([of_member]).find(|kind| kind.word() == word)
    }

    /// Whether the query is what this report asks for, over whichever period.
    pub fn asks(&self, query: &Query) -> bool {
        query.period().is_some_and(|period| self.query(period) == *query)
    }

    /// The kind as a word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::PasswordResets => "password_resets",
            Self::SignIns => "sign_ins",
            Self::RoleChanges => "role_changes",
            Self::KeyChanges => "key_changes",
            Self::DataAccess { .. } => "data_access",
            Self::PublishHistory => "publish_history",
            Self::Exports => "exports",
        }
    }

    /// The log it is asked of.
    pub const fn stream(&self) -> &'static str {
        match self {
            Self::PasswordResets | Self::SignIns | Self::RoleChanges => "iam",
            Self::KeyChanges | Self::Exports => "admin",
            Self::DataAccess { .. } => "access",
            Self::PublishHistory => "data",
        }
    }

    /// The types of events it asks for; none when it asks by something else.
    pub const fn types(&self) -> &'static [&'static str] {
        match self {
            Self::PasswordResets => &[
                "change_password",
                "confirm_totp",
                "disable_totp",
                "enrol_totp",
                "request_password_reset",
                "reset_password",
                "start_password_reset",
            ],
            Self::SignIns => {
                &["refresh_session", "revoke_session", "sign_in", "sign_out", "sign_out_everywhere"]
            }
            Self::RoleChanges => &[
                "accept_invitation",
                "change_member_role",
                "grant_group",
                "invite_member",
                "restore_member",
                "revoke_group",
                "revoke_invitation",
                "suspend_member",
            ],
            Self::KeyChanges => &[
                "change_app",
                "issue_api_key",
                "register_app",
                "remove_app",
                "retire_keys",
                "revoke_api_key",
                "rewrap_keys",
                "rotate_keys",
                "rotate_log_key",
            ],
            Self::DataAccess { .. } => &[],
            Self::PublishHistory => &[
                "approve_plan",
                "approve_post",
                "cancel_plan",
                "cancel_post",
                "change_plan",
                "change_post",
                "create_fleet",
                "create_plan",
                "import_posts",
                "publish_due",
                "resolve_post",
                "retry_post",
            ],
            Self::Exports => &["download_report", "export_posts", "request_report"],
        }
    }

    /// The query, over a period.
    pub fn query(&self, period: Period) -> Query {
        let what = match self {
            Self::DataAccess { member } => {
                Query::Actor(Party { kind: Some("member".to_owned()), id: Some(member.clone()) })
            }
            Self::PasswordResets
            | Self::SignIns
            | Self::RoleChanges
            | Self::KeyChanges
            | Self::PublishHistory
            | Self::Exports => Query::Types(self.types().iter().map(|word| (*word).to_owned()).collect()),
        };
        Query::And(vec![Query::Period(period), what])
    }
}
