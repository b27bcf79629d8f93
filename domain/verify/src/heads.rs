//! The heads of the logs: what is signed, by whom it was seen, and when.
//!
//! When a range ends cannot be read off a platform's checkpoint: a platform may log an old head of a tenant anew, so a
//! fresh platform's checkpoint shows that the head was there by then, and not that there was no later one. What shows
//! that are cosignatures on the tenant's own checkpoint (a witness signs no head that is smaller than one it has seen)
//! and heads that whoever checks has fetched himself.

use std::collections::BTreeMap;

use audit_log::{
    checkpoint::Checkpoint,
    merkle::{CompactRange, Hash, verify_consistency},
    note::NOTE_MAX_BYTES,
    policy::{LogPolicy, TrustedCheckpoint},
    proof::LogProof,
};
use report_bundle::{
    heads::{parse_hashes, platform_leaf},
    manifest::Manifest,
    names,
    time::Time,
};

use crate::{
    Demands, Policy, Refusal, Step, TimeBasis,
    container::{Container, read_small},
    policy::is_of_tenant,
};

/// The longest list of hashes, in bytes.
const HASHES_MAX_BYTES: usize = 16 << 10;

/// The longest proof file, in bytes: its leaf may be as long as leaves are.
const PROOF_MAX_BYTES: usize = NOTE_MAX_BYTES + (128 << 10);

/// A checkpoint of the tenant's log that whoever checks has kept.
#[derive(Clone, Debug)]
pub struct KeptHead {
    /// What it is called in messages.
    pub name: String,
    /// The signed note.
    pub note: Vec<u8>,
    /// When it was the log's newest, if that is known.
    pub seen_at: Option<Time>,
}

/// Heads that hold.
#[derive(Debug)]
pub(crate) struct Heads {
    /// The tenant's checkpoint at the end of the range.
    checkpoint: Checkpoint,
    /// The leaves before the range, about to be continued.
    pub(crate) before: CompactRange,
    /// Roots at sizes within the range, its ends included, each with where it is from.
    pub(crate) roots: BTreeMap<u64, (Hash, String)>,
    /// Whether the platform's log has it.
    platform: Option<String>,
    /// Who has seen it.
    witnesses: Vec<String>,
    /// Whether the range is shown to begin before the period does, and to end behind it.
    begins: bool,
    ends: bool,
    /// Whether a kept head was compared.
    has_kept: bool,
    /// Kept heads that could not be.
    beyond: Vec<String>,
}

struct Judge<'j> {
    bundle: &'j dyn Container,
    policy: &'j Policy,
    manifest: &'j Manifest,
    not_after_s: Option<u64>,
}

/// Whose heads are asked after, and where.
pub(crate) struct Asked<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) manifest: &'a Manifest,
    pub(crate) basis: &'a TimeBasis,
    pub(crate) demands: &'a Demands,
}

/// Checks all heads that are there, and that those are that the policy demands.
///
/// # Errors
/// `heads`.
pub(crate) fn check(bundle: &dyn Container, asked: &Asked<'_>) -> Result<Heads, Refusal> {
    let step = Step::Heads;
    let Asked { policy, manifest, .. } = *asked;
    let judge = Judge { bundle, policy, manifest, not_after_s: asked.basis.seconds() };
    let end = judge.tenant(names::CHECKPOINT, manifest.range.end)?;
    let boundary = judge.read(names::BOUNDARY, HASHES_MAX_BYTES)?;
    let boundary = parse_hashes(names::BOUNDARY, &boundary).map_err(step.by())?;
    let before = CompactRange::from_hashes(0, manifest.range.first, &boundary).map_err(step.by())?;
    let begin = judge
        .has(names::CHECKPOINT_BEFORE)
        .then(|| judge.tenant(names::CHECKPOINT_BEFORE, manifest.range.first))
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
    if policy.wants_witnesses() && !policy.is_met(&seen.cosigned) {
        return Err(step.because("fewer witnesses have cosigned than the policy demands"));
    }
    let begin_seen = match &begin {
        Some(begin) => judge.platform(names::PLATFORM_PROOF_BEFORE, begin)?.or_else(|| Some(begin.clone())),
        None if judge.has(names::PLATFORM_PROOF_BEFORE) => {
            return Err(step.because(format!("{} has no checkpoint", names::PLATFORM_PROOF_BEFORE)));
        }
        None => None,
    };
    let seen_both = platform.as_ref().zip(begin_seen.as_ref());
    if seen_both.is_some_and(|(one, other)| one.checkpoint.forks_from(&other.checkpoint)) {
        return Err(
            step.because("the platform's log forked: its two checkpoints are of one size and two trees")
        );
    }
    let mut kept = asked.demands.heads.iter().map(|head| judge.kept(head)).collect::<Result<Vec<_>, _>>()?;
    kept.sort_by_key(|kept| kept.seen_at);
    let timed = || kept.iter().filter(|kept| kept.seen_at.is_some());
    if let Some((earlier, later)) =
        timed().zip(timed().skip(1)).find(|(earlier, later)| earlier.size > later.size)
    {
        return Err(step.because(format!("the log shrank between {} and {}", earlier.name, later.name)));
    }
    let (within, beyond): (Vec<_>, Vec<_>) =
        kept.into_iter().partition(|kept| (manifest.range.first..=manifest.range.end).contains(&kept.size));
    let reach = Reach { policy, manifest, lateness_s: asked.demands.lateness_s, kept: &within };
    let reaches = (reach.begins(begin_seen.as_ref()), reach.ends(&end));
    // What the bundle itself says of both ends is compared with kept heads first; what is between, while it is folded.
    let ends = [
        (manifest.range.first, before.root().map_err(step.by())?, names::BOUNDARY.to_owned()),
        (manifest.range.end, end.checkpoint.root(), names::CHECKPOINT.to_owned()),
    ];
    let has_kept = !within.is_empty();
    let mut roots: BTreeMap<u64, (Hash, String)> = BTreeMap::new();
    for (size, root, name) in
        ends.into_iter().chain(within.into_iter().map(|kept| (kept.size, kept.root, kept.name)))
    {
        match roots.get(&size) {
            Some((other, earlier)) if *other != root => {
                return Err(step.because(format!("{earlier} and {name} are of one size and two trees")));
            }
            Some(_) => {}
            None => drop(roots.insert(size, (root, name))),
        }
    }
    Ok(Heads {
        witnesses: seen.cosigned.iter().map(|seen| seen.witness.name().to_owned()).collect(),
        platform: platform.map(|platform| platform.checkpoint.origin().to_owned()),
        checkpoint: end.checkpoint,
        before,
        roots,
        has_kept,
        begins: reaches.0,
        ends: reaches.1,
        beyond: beyond.into_iter().map(|kept| kept.name).collect(),
    })
}

/// A kept head, opened.
struct Kept {
    name: String,
    size: u64,
    root: Hash,
    seen_at: Option<Time>,
}

/// How far in time the range is shown to reach.
struct Reach<'r> {
    policy: &'r Policy,
    manifest: &'r Manifest,
    lateness_s: Option<u64>,
    kept: &'r [Kept],
}

impl Reach<'_> {
    /// Whether nothing of the period can stand before the range: what stands there was seen before the period began.
    /// Kept heads are of the range here, so that each is of the same tree.
    fn begins(&self, seen: Option<&TrustedCheckpoint>) -> bool {
        let first = self.manifest.range.first;
        let since = self.manifest.query.period().and_then(|period| period.since);
        let Some(since) = since else { return first == 0 };
        // A witness tells whole seconds, and may have signed at the end of one.
        let early = u64::try_from(since.seconds()).unwrap_or(0);
        let witnessed = |seen: &TrustedCheckpoint| {
            self.policy.wants_witnesses()
                && self.policy.is_met(seen.cosigned.iter().filter(|seen| seen.at_s < early))
        };
        let kept = |kept: &Kept| kept.seen_at.is_some_and(|at| at <= since);
        first == 0 || seen.is_some_and(witnessed) || self.kept.iter().any(kept)
    }

    /// Whether nothing of the period can stand behind the range: long enough after the period, nobody had seen more.
    fn ends(&self, end: &TrustedCheckpoint) -> bool {
        let until = self.manifest.query.period().and_then(|period| period.until);
        let Some(until) = until else { return false };
        // How late an event may come is for whoever checks to say: the maker would say what suits.
        let Some(lateness_s) = self.lateness_s else { return false };
        let whole = i64::from(until.micros().rem_euclid(1_000_000) != 0) + until.seconds();
        let late = u64::try_from(whole).unwrap_or(0).saturating_add(lateness_s);
        let witnessed = self.policy.wants_witnesses()
            && self.policy.is_met(end.cosigned.iter().filter(|seen| seen.at_s >= late));
        let kept = |kept: &Kept| {
            let at_s = kept.seen_at.and_then(|at| u64::try_from(at.seconds()).ok());
            at_s.is_some_and(|at_s| at_s >= late)
        };
        witnessed || self.kept.iter().any(kept)
    }
}

impl Judge<'_> {
    fn has(&self, name: &str) -> bool {
        self.bundle.files().contains_key(name)
    }

    fn read(&self, name: &str, max_bytes: usize) -> Result<Vec<u8>, Refusal> {
        read_small(self.bundle, Step::Heads, name, max_bytes)
    }

    fn log(&self) -> Result<LogPolicy, Refusal> {
        let origin = &self.manifest.origin;
        let unknown = || Step::Heads.because(format!("the policy does not name the log {origin}"));
        self.policy.log(origin).ok_or_else(unknown)
    }

    /// A checkpoint of the tenant's log.
    fn tenant(&self, name: &str, size: u64) -> Result<TrustedCheckpoint, Refusal> {
        let step = Step::Heads;
        let note = self.read(name, NOTE_MAX_BYTES)?;
        let trusted = self.log()?.open(&note, self.not_after_s);
        let trusted = trusted.map_err(|fault| step.because(format!("{name}: {fault}")))?;
        if trusted.checkpoint.size() == size {
            Ok(trusted)
        } else {
            Err(step.because(format!("{name} is of another size than the range")))
        }
    }

    /// A checkpoint of the tenant's log from elsewhere.
    fn kept(&self, head: &KeptHead) -> Result<Kept, Refusal> {
        let fault = |why: &dyn std::fmt::Display| Step::Heads.because(format!("{}: {why}", head.name));
        let trusted = self.log()?.open(&head.note, None).map_err(|why| fault(&why))?;
        let (size, root) = (trusted.checkpoint.size(), trusted.checkpoint.root());
        Ok(Kept { name: head.name.clone(), size, root, seen_at: head.seen_at })
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

    /// Has leaves be held to further roots, each with where it is from, when they are of this log.
    pub(crate) fn hold_to(&mut self, further: impl IntoIterator<Item = (String, u64, Hash, String)>) {
        let ours = further.into_iter().filter(|(origin, ..)| origin == self.checkpoint.origin());
        for (_, size, root, from) in ours {
            self.roots.entry(size).or_insert((root, from));
        }
    }

    /// What roots a log must have at which sizes, as far as this is that log.
    pub(crate) fn roots_of(&self, origin: &str) -> BTreeMap<u64, Hash> {
        let roots = self.roots.iter().filter(|_| origin == self.checkpoint.origin());
        roots.map(|(size, (root, _))| (*size, *root)).collect()
    }

    /// Whether the range is shown to reach over the whole period.
    pub(crate) const fn is_complete(&self) -> bool {
        self.begins && self.ends && self.beyond.is_empty()
    }

    /// What of the period was not shown.
    pub(crate) fn remark(&self, asked: &Asked<'_>, remarks: &mut Vec<String>) {
        if !self.begins {
            remarks.push("nothing shows that the range begins before the period does".to_owned());
        }
        let until = asked.manifest.query.period().and_then(|period| period.until);
        let why = match (self.ends, until, asked.demands.lateness_s) {
            (true, _, _) => None,
            (false, None, _) => {
                Some("the question has no end, and nothing can show that the log had no more when it was asked".to_owned())
            }
            (false, Some(_), None) => Some(format!(
                "how long after it happened an event may come into the log was not said: --lateness; its keeper says {} s",
                asked.manifest.max_lateness_s
            )),
            (false, Some(_), Some(_)) => Some(
                "nothing shows that the range ends behind the period: no witness's signature on the log's own \
                 checkpoint, and no head that was kept, is from long enough after it"
                    .to_owned(),
            ),
        };
        remarks.extend(why);
        if self.witnesses.is_empty() && !self.has_kept {
            remarks.push(
                "nobody else has seen the log: that it shows everybody the same is its keeper's word"
                    .to_owned(),
            );
        }
        for name in &self.beyond {
            remarks.push(format!(
                "{name} is of another size than the range has, and was not compared: fetch the report anew"
            ));
        }
    }
}
