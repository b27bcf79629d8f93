//! What can be done, as data. One [`Action`] is the use case's name, the GraphQL field's (in camel case), the
//! audit event's type, the span's and the metric's.

use super::{actor::Permission, outbox::Stream};

/// Whether a caller must send an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// Refused without a key: doing it twice hurts.
    Required,
    /// A key is honoured when sent.
    Optional,
}

/// One thing that can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    /// In snake case, `invite_member`.
    pub name: &'static str,
    /// The audit log it is recorded in.
    pub stream: Stream,
    /// OCSF 1.x class (3001 Account Change, 3002 Authentication, 3005 User Access Management,
    /// 6003 API Activity).
    pub ocsf_class: u32,
    /// OCSF activity within the class.
    pub ocsf_activity: u32,
    /// What the actor must be permitted; `None` for what every signed-in member may do to itself, and for
    /// doors that open before sign-in.
    pub permission: Option<Permission>,
    /// Whether a key is demanded.
    pub idempotency: Idempotency,
    /// The regimes it matters to, sorted.
    pub scopes: &'static [Scope],
}

/// A regime that events and spans are marked with, so that what it asks for can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Regulation (EU) 2016/679: personal data is processed.
    Gdpr,
    /// GB/T 22239-2019, level 3: what users do, and what is done about security, is audited.
    Mlps,
    /// Personal Information Protection Law of the PRC: personal information is processed.
    Pipl,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Gdpr, Self::Mlps, Self::Pipl];

    /// The word for it in events and spans.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gdpr => "gdpr",
            Self::Mlps => "mlps",
            Self::Pipl => "pipl",
        }
    }
}

/// Of what processes data about persons: members, owners of accounts, and whoever is in what they post.
pub const PERSONAL: &[Scope] = &[Scope::Gdpr, Scope::Mlps, Scope::Pipl];

/// Of what only has to be audited.
pub const SECURITY: &[Scope] = &[Scope::Mlps];

impl Action {
    /// The regimes it matters to, as words.
    pub fn scope_words(&self) -> Vec<String> {
        self.scopes.iter().map(|scope| scope.as_str().to_owned()).collect()
    }

    /// The name in camel case, as the GraphQL field has it.
    pub fn field_name(&self) -> String {
        let mut name = String::with_capacity(self.name.len());
        let mut upper = false;
        for c in self.name.chars() {
            if c == '_' {
                upper = true;
            } else if upper {
                name.push(c.to_ascii_uppercase());
                upper = false;
            } else {
                name.push(c);
            }
        }
        name
    }
}

/// OCSF class Account Change.
pub(crate) const ACCOUNT_CHANGE: u32 = 3001;
/// OCSF class Authentication.
pub(crate) const AUTHENTICATION: u32 = 3002;
/// OCSF class User Access Management.
pub(crate) const ACCESS_MANAGEMENT: u32 = 3005;
/// OCSF class API Activity.
pub(crate) const API_ACTIVITY: u32 = 6003;

/// Defines a context's actions, one a line, and the list of them all: name, text form, stream, OCSF class and activity,
/// permission, and whether an idempotency key is demanded.
macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $stream:ident, $class:expr, $activity:literal,
        $permission:expr, $idempotency:ident, $scopes:ident;)+) => {
        $($(#[$doc])*
        pub const $name: $crate::kernel::action::Action = $crate::kernel::action::Action {
            name: $text,
            stream: $crate::kernel::outbox::Stream::$stream,
            ocsf_class: $class,
            ocsf_activity: $activity,
            permission: $permission,
            idempotency: $crate::kernel::action::Idempotency::$idempotency,
            scopes: $crate::kernel::action::$scopes,
        };)+

        /// All of them.
        pub const ALL: &[$crate::kernel::action::Action] = &[$($name),+];
    };
}
pub(crate) use actions;
