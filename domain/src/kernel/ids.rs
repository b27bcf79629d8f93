//! Typed identifiers. Each is a UUID (version 7 when made by us, RFC 9562 section 5.7), so that a member's
//! id can never be passed where a session's is wanted.

use std::fmt;

use uuid::Uuid;

/// Where identifiers come from.
pub trait IdSource: Send + Sync {
    /// A new UUID, version 7, increasing within one process.
    fn next_uuid(&self) -> Uuid;
}

/// Where unguessable bytes come from.
pub trait Entropy: Send + Sync {
    /// 32 bytes from a cryptographically secure source.
    fn bytes32(&self) -> [u8; 32];
}

macro_rules! id_types {
    ($($(#[$doc:meta])* $name:ident $prefix:literal),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// What the identifier is written with in logs and messages.
            pub const PREFIX: &'static str = $prefix;

            /// Takes a UUID that came from a store or a client.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// A new one.
            pub fn new(ids: &dyn IdSource) -> Self {
                Self(ids.next_uuid())
            }

            /// The UUID, as stores keep it.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", Self::PREFIX, self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )+};
}

id_types! {
    /// A tenant.
    TenantId "tenant",
    /// A member of one tenant.
    MemberId "member",
    /// An invitation to join a tenant.
    InvitationId "invitation",
    /// A signed-in session of a member.
    SessionId "session",
    /// One refresh token of a session.
    RefreshTokenId "refresh",
    /// A one-time permission to set a new password.
    PasswordResetId "reset",
    /// A machine's key to a tenant.
    ApiKeyId "apikey",
    /// A tenant's credentials as a developer on a platform.
    AppId "app",
    /// An account on a platform, linked to a tenant.
    AccountId "account",
    /// One attempt to link an account.
    LinkId "link",
    /// A group of a matrix.
    GroupId "group",
    /// A file on its way in, or arrived.
    UploadId "upload",
    /// Local times at which something may be posted.
    TimetableId "timetable",
    /// One piece of content put on many accounts.
    PlanId "plan",
    /// One piece of content meant for one account.
    PostId "post",
    /// A report that an auditor asked for.
    ReportId "report",
    /// A reason why somebody's data must be kept.
    HoldId "hold",
    /// A version of a record of processing.
    RecordId "record",
    /// One event in an audit log.
    EventId "event",
    /// The identifier of one answer, which resolves to all it left in the audit log.
    ComplianceId "compliance",
}

/// The tenant that what belongs to no tenant is logged under: requests of nobody known, acts of the
/// installation itself. A UUID of version 8 that no source of identifiers makes.
pub const PLATFORM: TenantId =
    TenantId::from_uuid(Uuid::from_u128(0x6d61_7472_6963_8000_8000_0000_0000_0001));
