//! The log policy: which logs and witnesses to believe (C2SP tlog-policy). A line each:
//!
//! ```text
//! log <vkey> [<url>]
//! witness <name> <vkey> [<url>]
//! group <name> <number, any or all> <name>...
//! quorum <name or none>
//! ```
//!
//! Keys of one log under one name, while it changes keys, are lines of their own. A log whose name has no `/t/` is a
//! platform's: when there is one, checkpoints of tenants must be in it. The quorum must have cosigned the platform's
//! checkpoint or, where there is no platform's log, the tenant's.

use std::collections::BTreeMap;

use audit_log::note::{VerifierKey, VerifierKind};
use audit_log::policy::{LogPolicy, PolicyError, TrustedCheckpoint};

/// The longest policy, in bytes.
const POLICY_MAX_BYTES: usize = 256 << 10;

/// How many logs, witnesses and groups there may be.
const ENTRIES_MAX: usize = 256;

/// Whom to believe.
#[derive(Clone, Debug)]
pub struct Policy {
    logs: Vec<VerifierKey>,
    witnesses: Vec<VerifierKey>,
    parts: BTreeMap<String, Part>,
    quorum: Option<String>,
}

#[derive(Clone, Debug)]
enum Part {
    /// The name of the witness's key.
    Witness(String),
    /// So many of these.
    Group(usize, Vec<String>),
}

/// Why a policy is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyFileError {
    /// A line that is not what the format has, from 1; 0 for the whole.
    Line(usize),
    /// It has no log.
    NoLog,
    /// It does not say which quorum.
    NoQuorum,
    /// One public key twice, or a key that may not be where it is.
    Keys(PolicyError),
}

impl std::fmt::Display for PolicyFileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line} of the policy is malformed"),
            Self::NoLog => f.write_str("the policy names no log"),
            Self::NoQuorum => f.write_str("the policy has no quorum line"),
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
        let mut policy = Self { logs: vec![], witnesses: vec![], parts: BTreeMap::new(), quorum: None };
        if text.len() > POLICY_MAX_BYTES {
            return Err(PolicyFileError::Line(0));
        }
        let mut decided = false;
        for (line, number) in text.lines().zip(1..) {
            let words: Vec<_> = line.split([' ', '\t', '\r']).filter(|word| !word.is_empty()).collect();
            if words.first().is_none_or(|word| word.starts_with('#')) {
                continue;
            }
            policy.line(&words, &mut decided).ok_or(PolicyFileError::Line(number))?;
        }
        if !decided {
            return Err(PolicyFileError::NoQuorum);
        }
        let first = policy.logs.first().ok_or(PolicyFileError::NoLog)?;
        LogPolicy::new(first.name(), policy.logs.clone(), policy.witnesses.clone(), 0)
            .map_err(PolicyFileError::Keys)?;
        Ok(policy)
    }

    fn line(&mut self, words: &[&str], decided: &mut bool) -> Option<()> {
        if self.logs.len() + self.parts.len() >= ENTRIES_MAX {
            return None;
        }
        match words {
            ["log", key] | ["log", key, _] => {
                let key = VerifierKey::parse(key).ok()?;
                (key.kind() == VerifierKind::Ed25519).then(|| self.logs.push(key))
            }
            ["witness", name, key] | ["witness", name, key, _] => {
                let key = VerifierKey::parse(key).ok()?;
                // Cosignatures are counted by the name of the key.
                let taken = self.witnesses.iter().any(|witness| witness.name() == key.name());
                self.name(name, Part::Witness(key.name().to_owned()))?;
                (key.kind() == VerifierKind::Cosignature && !taken).then(|| self.witnesses.push(key))
            }
            ["group", name, threshold, members @ ..] => {
                let mut sorted = members.to_vec();
                sorted.sort_unstable();
                sorted.dedup();
                let known = members.iter().all(|member| self.parts.contains_key(*member));
                let threshold = match *threshold {
                    "any" => 1,
                    "all" => members.len(),
                    number => number.parse().ok()?,
                };
                let right =
                    known && sorted.len() == members.len() && (1..=members.len()).contains(&threshold);
                let members = members.iter().map(|member| (*member).to_owned()).collect();
                if right { self.name(name, Part::Group(threshold, members)) } else { None }
            }
            ["quorum", name] if !*decided => {
                *decided = true;
                if *name == "none" {
                    return Some(());
                }
                self.parts.contains_key(*name).then(|| self.quorum = Some((*name).to_owned()))
            }
            _ => None,
        }
    }

    fn name(&mut self, name: &str, part: Part) -> Option<()> {
        let free = name != "none" && !self.parts.contains_key(name);
        free.then(|| {
            self.parts.insert(name.to_owned(), part);
        })
    }

    /// What a checkpoint of the log must show; `None` for a log that the policy does not name. Witnesses are not
    /// counted there but by [`Policy::has_quorum`].
    pub(crate) fn log(&self, origin: &str) -> Option<LogPolicy> {
        let keys: Vec<_> = self.logs.iter().filter(|key| key.name() == origin).cloned().collect();
        LogPolicy::new(origin, keys, self.witnesses.clone(), 0).ok()
    }

    /// Whether the policy names a platform's log.
    pub(crate) fn has_platform(&self) -> bool {
        self.logs.iter().any(|key| !is_of_tenant(key.name()))
    }

    /// Whether there must be cosignatures at all.
    pub(crate) const fn wants_quorum(&self) -> bool {
        self.quorum.is_some()
    }

    /// Whether enough witnesses have cosigned.
    pub(crate) fn has_quorum(&self, checkpoint: &TrustedCheckpoint) -> bool {
        self.quorum.as_ref().is_none_or(|name| self.agrees(name, checkpoint))
    }

    /// Members of a group were there before it, so that this ends.
    fn agrees(&self, name: &str, checkpoint: &TrustedCheckpoint) -> bool {
        match self.parts.get(name) {
            Some(Part::Witness(key)) => checkpoint.cosigned.iter().any(|seen| seen.witness == *key),
            Some(Part::Group(threshold, members)) => {
                members.iter().filter(|member| self.agrees(member, checkpoint)).count() >= *threshold
            }
            None => false,
        }
    }
}

/// Whether a log is one of a tenant's.
pub(crate) fn is_of_tenant(origin: &str) -> bool {
    origin.contains("/t/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, kind: VerifierKind, seed: u8) -> String {
        let signer = audit_log::note::NoteSigner::from_seed(name, &[seed; 32]).expect("a plain name");
        VerifierKey::new(name, kind, signer.verifier().public()).expect("a good key").to_string()
    }

    #[test]
    fn policies_are_read_and_bad_ones_are_not() {
        let log = key("audit.example.com/platform", VerifierKind::Ed25519, 1);
        let [a, b] = [2, 3].map(|seed| key(&format!("w{seed}"), VerifierKind::Cosignature, seed));
        let good = format!(
            "# ours\nlog {log} https://example.com\n\nwitness a {a}\nwitness b {b}\ngroup both all a b\n\
             group one any both\nquorum one\n"
        );
        assert!(Policy::parse(&good).expect("a policy").wants_quorum());
        assert!(!Policy::parse(&format!("log {log}\nquorum none")).expect("a policy").wants_quorum());
        for (bad, fault) in [
            (String::new(), PolicyFileError::NoQuorum),
            ("quorum none".to_owned(), PolicyFileError::NoLog),
            (format!("log {log}"), PolicyFileError::NoQuorum),
            (format!("log {a}\nquorum none"), PolicyFileError::Line(1)),
            (format!("log {log}\nwitness a {log}\nquorum a"), PolicyFileError::Line(2)),
            (format!("log {log}\nwitness none {a}\nquorum none"), PolicyFileError::Line(2)),
            (format!("log {log}\nwitness a {a}\nwitness a {b}\nquorum a"), PolicyFileError::Line(3)),
            (format!("log {log}\nwitness a {a}\nwitness b {a}\nquorum a"), PolicyFileError::Line(3)),
            (format!("log {log}\nwitness a {a}\ngroup g 2 a a\nquorum g"), PolicyFileError::Line(3)),
            (format!("log {log}\nwitness a {a}\ngroup g 2 a\nquorum g"), PolicyFileError::Line(3)),
            (format!("log {log}\nwitness a {a}\ngroup g 0 a\nquorum g"), PolicyFileError::Line(3)),
            (format!("log {log}\ngroup g any g\nquorum g"), PolicyFileError::Line(2)),
            (format!("log {log}\nquorum a"), PolicyFileError::Line(2)),
            (format!("log {log}\nquorum none\nquorum none"), PolicyFileError::Line(3)),
            (format!("log {log}\nother x\nquorum none"), PolicyFileError::Line(2)),
        ] {
            assert_eq!(Policy::parse(&bad).err(), Some(fault), "{bad}");
        }
        // One key that would count twice, or vouch for its own log.
        let twice = key("w9", VerifierKind::Cosignature, 2);
        let own = key("w9", VerifierKind::Cosignature, 1);
        for (first, second) in [(&a, &twice), (&a, &own)] {
            let text = format!("log {log}\nwitness a {first}\nwitness b {second}\nquorum none");
            assert!(matches!(Policy::parse(&text), Err(PolicyFileError::Keys(PolicyError::SameKey(_)))));
        }
    }
}
