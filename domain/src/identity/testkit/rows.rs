//! What is kept of one tenant.

use std::collections::BTreeMap;

use crate::{
    identity::{
        events::IdentityEvent,
        model::{
            ApiKey, Closing, Invitation, Member, PasswordReset, RecoveryCode, RefreshToken, Session, Tenant,
        },
    },
    kernel::{
        ids::{ApiKeyId, InvitationId, MemberId, PasswordResetId, RefreshTokenId, SessionId},
        outbox::{Origin, Outcome, Record},
    },
};

/// A record as the outbox has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Where it came from.
    pub origin: Origin,
    /// What was told.
    pub record: Record,
}

/// All of one tenant. Two that are equal were left alone in between: each commit counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// The tenant, once opened.
    pub tenant: Option<Tenant>,
    /// That it is closed.
    pub closing: Option<Closing>,
    /// Members.
    pub members: BTreeMap<MemberId, Member>,
    /// Recovery codes of members.
    pub recovery_codes: BTreeMap<MemberId, Vec<RecoveryCode>>,
    /// Invitations.
    pub invitations: BTreeMap<InvitationId, Invitation>,
    /// Sessions.
    pub sessions: BTreeMap<SessionId, Session>,
    /// Refresh tokens.
    pub refresh_tokens: BTreeMap<RefreshTokenId, RefreshToken>,
    /// Password resets.
    pub password_resets: BTreeMap<PasswordResetId, PasswordReset>,
    /// API keys.
    pub api_keys: BTreeMap<ApiKeyId, ApiKey>,
    /// Everything recorded, in order.
    pub records: Vec<Recorded>,
    /// Everything announced, in order.
    pub announced: Vec<IdentityEvent>,
    /// How often it was replaced.
    pub(super) commits: u64,
}

impl Rows {
    /// The newest record.
    pub fn last_record(&self) -> Option<&Record> {
        self.records.last().map(|recorded| &recorded.record)
    }

    /// How many records tell of something done.
    pub fn successes(&self) -> usize {
        self.records.iter().filter(|recorded| recorded.record.outcome == Outcome::Success).count()
    }
}
