//! Which logs and witnesses to believe, read from a file (C2SP tlog-policy, [`TrustPolicy`]).
//!
//! Keys of one log under one name, while it changes keys, are lines of their own. A log whose name has no `/t/` is a
//! platform's: when there is one, checkpoints of tenants must be in it. The quorum must have cosigned the platform's
//! checkpoint or, where there is no platform's log, the tenant's.

use std::collections::BTreeSet;

use audit_log::{
    note::VerifierKey,
    policy::{Cosigned, LogPolicy, PolicyError},
    trust::{TrustFault, TrustPolicy},
};

/// Whom to believe.
#[derive(Clone, Debug)]
pub struct Policy(TrustPolicy);

/// Why a policy is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyFileError {
    /// A line that is not what the format has, or one that is missing.
    File(TrustFault),
    /// It has no log.
    NoLog,
    /// One public key for a log and for a witness.
    Keys(PolicyError),
}

impl std::fmt::Display for PolicyFileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(fault) => write!(f, "the policy: {fault}"),
            Self::NoLog => f.write_str("the policy names no log"),
            Self::Keys(fault) => write!(f, "the policy's keys: {fault}"),
        }
    }
}

impl std::error::Error for PolicyFileError {}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// Those of [`PolicyFileError`].
    pub fn parse(text: &str) -> Result<Self, PolicyFileError> {
        let policy = Self(TrustPolicy::parse(text).map_err(PolicyFileError::File)?);
        let names: BTreeSet<_> = policy.0.logs().map(VerifierKey::name).collect();
        if names.is_empty() {
            return Err(PolicyFileError::NoLog);
        }
        // Each by itself: a tenant's logs are signed by one key, under a name of its own each.
        for name in names {
            policy.try_log(name).map_err(PolicyFileError::Keys)?;
        }
        Ok(policy)
    }

    /// What a checkpoint of the log must show; `None` for a log that the policy does not name. Witnesses are not
    /// counted there but by [`Policy::is_met`].
    pub(crate) fn log(&self, origin: &str) -> Option<LogPolicy> {
        self.try_log(origin).ok()
    }

    fn try_log(&self, origin: &str) -> Result<LogPolicy, PolicyError> {
        let keys: Vec<_> = self.0.logs().filter(|key| key.name() == origin).cloned().collect();
        LogPolicy::new(origin, keys, self.witnesses(), 0)
    }

    fn witnesses(&self) -> Vec<VerifierKey> {
        self.0.witnesses().iter().map(|witness| witness.key.clone()).collect()
    }

    /// Whether the policy names a platform's log.
    pub(crate) fn has_platform(&self) -> bool {
        self.0.logs().any(|key| !is_of_tenant(key.name()))
    }

    /// Whether there must be cosignatures at all.
    pub(crate) const fn wants_witnesses(&self) -> bool {
        self.0.wants_witnesses()
    }

    /// Whether these cosignatures are as many as there must be, of those who must have made them.
    pub(crate) fn is_met<'c>(&self, cosigned: impl IntoIterator<Item = &'c Cosigned>) -> bool {
        let keys: Vec<_> = cosigned.into_iter().map(|cosigned| &cosigned.witness).collect();
        self.0.is_met(&keys)
    }
}

/// Whether a log is one of a tenant's.
pub(crate) fn is_of_tenant(origin: &str) -> bool {
    origin.contains("/t/")
}

#[cfg(test)]
mod tests {
    use audit_log::note::{NoteSigner, VerifierKind};

    use super::*;

    fn key(name: &str, kind: VerifierKind, seed: u8) -> String {
        let signer = NoteSigner::from_seed(name, &[seed; 32]).expect("a plain name");
        VerifierKey::new(name, kind, signer.verifier().public()).expect("a good key").to_string()
    }

    #[test]
    fn policies_are_read_and_bad_ones_are_not() {
        let log = key("audit.example.com/platform", VerifierKind::Ed25519, 1);
        let witness = key("w2", VerifierKind::Cosignature, 2);
        let good = format!("# ours\nlog {log} https://example.com\n\nwitness a {witness}\nquorum a\n");
        let policy = Policy::parse(&good).expect("a policy");
        assert!(policy.wants_witnesses() && policy.has_platform() && !policy.is_met([]));
        assert!(policy.log("audit.example.com/platform").is_some() && policy.log("another").is_none());
        assert!(!Policy::parse(&format!("log {log}\nquorum none")).expect("a policy").wants_witnesses());
        assert_eq!(Policy::parse("quorum none").err(), Some(PolicyFileError::NoLog));
        let missing = Policy::parse(&format!("log {log}")).expect_err("no quorum");
        assert!(matches!(missing, PolicyFileError::File(TrustFault { line: 2, .. })), "{missing}");
        // One key of a tenant's logs.
        let logs = ["iam", "admin"]
            .map(|stream| key(&format!("audit.example.com/t/1/{stream}"), VerifierKind::Ed25519, 3));
        let policy =
            Policy::parse(&format!("log {}\nlog {}\nquorum none", logs[0], logs[1])).expect("a policy");
        assert!(
            policy.log("audit.example.com/t/1/iam").is_some()
                && policy.log("audit.example.com/t/1").is_none()
        );
        let twice = format!("log {0}\nlog {0}\nquorum none", logs[0]);
        assert!(matches!(Policy::parse(&twice), Err(PolicyFileError::File(_))));
        // A log that would vouch for itself.
        let own = key("w9", VerifierKind::Cosignature, 1);
        let text = format!("log {log}\nwitness b {own}\nquorum none");
        assert!(matches!(Policy::parse(&text), Err(PolicyFileError::Keys(PolicyError::SameKey(_)))));
    }
}
