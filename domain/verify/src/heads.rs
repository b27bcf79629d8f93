//! Heads: what the tenant's log had at the ends of the range, and that others have seen it.

use audit_log::{
    checkpoint::Checkpoint,
    merkle::{CompactRange, verify_consistency},
    note::NOTE_MAX_BYTES,
    policy::TrustedCheckpoint,
    proof::LogProof,
};
use report_bundle::{
    heads::{parse_hashes, platform_leaf},
    manifest::Manifest,
    names,
    time::Time,
};

use crate::{
    Policy, Refusal, Step, TimeBasis,
    container::{Container, read_small},
    policy::is_of_tenant,
};

/// The longest list of hashes, in bytes.
const HASHES_MAX_BYTES: usize = 16 << 10;

/// The longest proof file, in bytes: a note, a salt or leaf, and hashes.
pub(crate) const PROOF_MAX_BYTES: usize = NOTE_MAX_BYTES + (128 << 10);

/// Heads that hold.
#[derive(Debug)]
pub(crate) struct Heads {
    /// The tenant's checkpoint at the end of the range.
    pub(crate) checkpoint: Checkpoint,
    /// The leaves before the range, about to be continued.
    pub(crate) before: CompactRange,
    /// Whether the platform's log has it.
    platform: Option<String>,
    /// Who has seen it.
    witnesses: Vec<String>,
    /// When the first witness had seen the range's end, and the last its beginning.
    end_seen_s: Option<u64>,
    begin_seen_s: Option<u64>,
}

struct Judge<'j> {
    bundle: &'j dyn Container,
    policy: &'j Policy,
    not_after_s: Option<u64>,
}

/// Checks all heads that are there, and that those are that the policy demands.
///
/// # Errors
/// `heads`.
pub(crate) fn check(
    bundle: &dyn Container,
    policy: &Policy,
    manifest: &Manifest,
    basis: &TimeBasis,
) -> Result<Heads, Refusal> {
    let step = Step::Heads;
    let judge = Judge { bundle, policy, not_after_s: basis.seconds() };
    let end = judge.tenant(names::CHECKPOINT, manifest, manifest.range.end)?;
    let boundary = judge.read(names::BOUNDARY, HASHES_MAX_BYTES)?;
    let boundary = parse_hashes(names::BOUNDARY, &boundary).map_err(step.by())?;
    let before = CompactRange::from_hashes(0, manifest.range.first, &boundary).map_err(step.by())?;
    let begin = judge
        .has(names::CHECKPOINT_BEFORE)
        .then(|| judge.tenant(names::CHECKPOINT_BEFORE, manifest, manifest.range.first))
        .transpose()?;
    if begin.as_ref().is_some_and(|begin| before.root() != Ok(begin.checkpoint.root())) {
        return Err(step.because("the boundary is not that of the earlier checkpoint"));
    }
    judge.consistency(begin.as_ref(), &end)?;
    let platform = judge.platform(names::PLATFORM_PROOF, &end)?;
    if policy.has_platform() && platform.is_none() {
        return Err(
            step.because("the policy names a platform's log, and nothing shows that it has the checkpoint")
        );
    }
    let seen = platform.as_ref().unwrap_or(&end);
    if policy.wants_quorum() && !policy.has_quorum(seen) {
        return Err(step.because("fewer witnesses have cosigned than the policy demands"));
    }
    let begin_seen = match &begin {
        Some(begin) => judge.platform(names::PLATFORM_PROOF_BEFORE, begin)?.or_else(|| Some(begin.clone())),
        None if judge.has(names::PLATFORM_PROOF_BEFORE) => {
            return Err(step.because(format!("{} has no checkpoint", names::PLATFORM_PROOF_BEFORE)));
        }
        None => None,
    };
    let begin_seen = begin_seen.filter(|seen| policy.wants_quorum() && policy.has_quorum(seen));
    let latest = |seen: &TrustedCheckpoint| seen.cosigned.iter().map(|seen| seen.at_s).max();
    Ok(Heads {
        witnesses: seen.cosigned.iter().map(|seen| seen.witness.clone()).collect(),
        end_seen_s: seen.cosigned.iter().map(|seen| seen.at_s).min(),
        begin_seen_s: begin_seen.as_ref().and_then(latest),
        platform: platform.map(|platform| platform.checkpoint.origin().to_owned()),
        checkpoint: end.checkpoint,
        before,
    })
}

impl Judge<'_> {
    fn has(&self, name: &str) -> bool {
        self.bundle.files().contains_key(name)
    }

    fn read(&self, name: &str, max_bytes: usize) -> Result<Vec<u8>, Refusal> {
        read_small(self.bundle, Step::Heads, name, max_bytes)
    }

    /// A checkpoint of the tenant's log.
    fn tenant(&self, name: &str, manifest: &Manifest, size: u64) -> Result<TrustedCheckpoint, Refusal> {
        let step = Step::Heads;
        let note = self.read(name, NOTE_MAX_BYTES)?;
        let unknown = || step.because(format!("the policy does not name the log {}", manifest.origin));
        let log = self.policy.log(&manifest.origin).ok_or_else(unknown)?;
        let trusted =
            log.open(&note, self.not_after_s).map_err(|fault| step.because(format!("{name}: {fault}")))?;
        if trusted.checkpoint.size() == size {
            Ok(trusted)
        } else {
            Err(step.because(format!("{name} is of another size than the range")))
        }
    }

    fn consistency(&self, begin: Option<&TrustedCheckpoint>, end: &TrustedCheckpoint) -> Result<(), Refusal> {
        let (step, name) = (Step::Heads, names::CONSISTENCY);
        if !self.has(name) {
            return Ok(());
        }
        let begin = begin.ok_or_else(|| step.because(format!("{name} has no earlier checkpoint")))?;
        let proof = parse_hashes(name, &self.read(name, HASHES_MAX_BYTES)?).map_err(step.by())?;
        let (old, new) = (&begin.checkpoint, &end.checkpoint);
        verify_consistency(old.size(), new.size(), &proof, old.root(), new.root())
            .map_err(|fault| step.because(format!("{name}: {fault}")))
    }

    /// The platform's checkpoint that has the tenant's in it; `None` when the file is not there.
    fn platform(&self, name: &str, tenant: &TrustedCheckpoint) -> Result<Option<TrustedCheckpoint>, Refusal> {
        if !self.has(name) {
            return Ok(None);
        }
        let fault = |why: String| Step::Heads.because(format!("{name}: {why}"));
        let proof = read_proof(self.bundle, Step::Heads, name)?;
        let salt = proof.extra.as_deref().and_then(|salt| <[u8; 32]>::try_from(salt).ok());
        let salt = salt.ok_or_else(|| fault("its extra is no salt".to_owned()))?;
        let origin = proof.checkpoint.lines().next().unwrap_or_default();
        let log = self.policy.log(origin).filter(|_| !is_of_tenant(origin));
        let log = log.ok_or_else(|| fault("the policy does not name its log as a platform's".to_owned()))?;
        let leaf = platform_leaf(&salt, &tenant.checkpoint.to_string());
        let trusted = proof.verify(&leaf, &log, self.not_after_s).map_err(|why| fault(why.to_string()))?;
        Ok(Some(trusted))
    }
}

/// Reads a proof file.
///
/// # Errors
/// The step, when it is not in its one form.
pub(crate) fn read_proof(bundle: &dyn Container, step: Step, name: &str) -> Result<LogProof, Refusal> {
    let text = read_small(bundle, step, name, PROOF_MAX_BYTES)?;
    let text = str::from_utf8(&text).map_err(step.by())?;
    LogProof::parse(text).map_err(|fault| step.because(format!("{name}: {fault}")))
}

impl Heads {
    pub(crate) fn says(&self) -> String {
        let size = self.checkpoint.size();
        let platform = self.platform.as_ref().map_or(String::new(), |log| format!(", and is in {log}"));
        let witnesses = match self.witnesses.as_slice() {
            [] => String::new(),
            witnesses => format!(", seen by {}", witnesses.join(" and ")),
        };
        format!("the log has signed its root at {size} leaves{platform}{witnesses}")
    }

    /// What of the period was not shown.
    pub(crate) fn remark(&self, manifest: &Manifest, remarks: &mut Vec<String>) {
        let period = manifest.query.period();
        let seconds = |time: Time| u64::try_from(time.seconds()).unwrap_or(0);
        let since = period.and_then(|period| period.since).map(seconds);
        let begins = match (manifest.range.first, self.begin_seen_s, since) {
            (0, _, _) => true,
            (_, Some(seen), Some(since)) => seen <= since,
            (_, _, _) => false,
        };
        if !begins {
            remarks.push("no witness shows that the range begins before the period does".to_owned());
        }
        let until = period.and_then(|period| period.until).map(seconds);
        let ends = match (self.end_seen_s, until) {
            (Some(seen), Some(until)) => seen >= until.saturating_add(manifest.max_lateness_s),
            (_, _) => false,
        };
        if !ends {
            remarks.push("no witness shows that the range ends after the period does".to_owned());
        }
        if self.witnesses.is_empty() {
            remarks.push(
                "no witness has seen the log: that it shows everybody the same is its keeper's word"
                    .to_owned(),
            );
        }
    }
}
