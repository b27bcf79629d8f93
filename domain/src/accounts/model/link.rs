//! One attempt to have an account's owner consent.

use chrono::TimeDelta;

use crate::kernel::{
    clock::Timestamp,
    ids::{AccountId, AppId, GroupId, LinkId, MemberId, SessionId},
    platform::PlatformKey,
    secret::Secret,
};

/// How long an owner has to consent, in minutes.
pub const LINK_MINUTES: i64 = 15;

/// What was done in an attempt, for who wants to know where it got stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkStep {
    /// A member asked for the consent page.
    Begun,
    /// The owner came back from the platform.
    Returned,
    /// The platform gave tokens for the code.
    CodeExchanged,
    /// The platform told who the owner is.
    ProfileRead,
    /// The account is linked.
    Linked,
    /// It ended without.
    Failed,
}

impl LinkStep {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Begun, Self::Returned, Self::CodeExchanged, Self::ProfileRead, Self::Linked, Self::Failed];

    /// The text form, as stores keep it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Returned => "returned",
            Self::CodeExchanged => "code_exchanged",
            Self::ProfileRead => "profile_read",
            Self::Linked => "linked",
            Self::Failed => "failed",
        }
    }

    /// The step of that text form.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.as_str() == text)
    }
}

/// A step, when it was made, and a word about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceEntry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub step: LinkStep,
    /// A short machine word, or a platform's code as `code 10007`; never a token or a name.
    pub detail: Option<String>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkOutcome {
    /// Not yet.
    Open,
    /// With this account.
    Linked(AccountId),
    /// Without; the trace's last entry says why.
    Failed,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its id.
    pub id: LinkId,
    /// The app that asks.
    pub app: AppId,
    /// The platform asked.
    pub platform: PlatformKey,
    /// Who began it.
    pub member: MemberId,
    /// In which session: it is finished in no other, nor when that is over.
    pub session: SessionId,
    /// SHA-256 of the secret part of the `state`.
    pub secret_hash: [u8; 32],
    /// The code verifier (RFC 7636), where the platform takes one.
    pub verifier: Option<Secret>,
    /// What is asked for, sorted.
    pub scopes: Vec<String>,
    /// Where the account shall be put.
    pub group: Option<GroupId>,
    /// The account that is to be linked again; another one's consent is not taken for it.
    pub again: Option<AccountId>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When the owner came back; from then on the `state` is used up.
    pub returned_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: LinkOutcome,
    /// What was done, oldest first.
    pub trace: Vec<TraceEntry>,
}

impl Link {
    /// From when on it can't be finished.
    pub fn expires_at(&self) -> Timestamp {
        self.created_at + TimeDelta::minutes(LINK_MINUTES)
    }

    /// The owner came back; `false` when one did already, or it is too late.
    pub fn come_back(&mut self, now: Timestamp) -> bool {
        if self.returned_at.is_some() || self.outcome != LinkOutcome::Open || now >= self.expires_at() {
            return false;
        }
        self.returned_at = Some(now);
        // It is of no use to anybody from now on.
        self.note(LinkStep::Returned, None, now);
        true
    }

    /// Takes a step down.
    pub fn note(&mut self, step: LinkStep, detail: Option<String>, now: Timestamp) {
        self.trace.push(TraceEntry { at: now, step, detail });
    }

    /// It ended with an account.
    pub fn succeed(&mut self, account: AccountId, now: Timestamp) {
        self.outcome = LinkOutcome::Linked(account);
        self.note(LinkStep::Linked, None, now);
    }

    /// It ended without.
    pub fn fail(&mut self, detail: impl Into<String>, now: Timestamp) {
        self.outcome = LinkOutcome::Failed;
        self.note(LinkStep::Failed, Some(detail.into()), now);
    }
}
