//! Which leaves a report is made of, and what they hang from.
//!
//! A range begins at a head that was signed before the period did, by a checkpoint of the platform's log of before then,
//! where there is one, so that whoever checks has its witnesses' word for when that was. It ends behind all that was logged
//! in the period and came late, as far as that is known when it is asked for. Heads that whoever asks has kept are in it.

use chrono::{TimeDelta, TimeZone as _, Utc};
use report_bundle::{time::Time, writer::Heads};

use super::{
    super::{
        log::{
            merkle::{Hash, complete_subtrees, verify_consistency},
            proof::LogProof,
            tile::{TileSet, tiles_for_consistency, tiles_for_root},
        },
        ports::{ReportTx, SignedHead},
        report::{Report, ReportFailure},
    },
    Compliance, ComplianceError, Reports,
};
use crate::kernel::{clock::Timestamp, outbox::Stream, scope::TenantScope};

/// How long after it happened an event is in its log at the latest, in seconds, and by how much clocks may differ. Tenths of
/// a second as a rule; a tenant with thousands that wait is refused more.
pub(super) const LATENESS_S: u16 = 300;

/// How long the log may take to grow past the time of asking, in seconds: as long as nothing happens in it, it does not.
const GROWS_WITHIN_S: i64 = 3;

/// How long events of the period may wait for their place in the log, in seconds. After that there is no report: one without them
/// would look whole.
const BEHIND_S: i64 = 300;

/// How long a head is waited for in the platform's log, in seconds. After that the report is made without its proof.
const ANCHORED_WITHIN_S: i64 = 300;

/// What a report's range is, and what it hangs from.
pub(super) struct Reach {
    pub(super) first: u64,
    pub(super) end: u64,
    pub(super) boundary: Vec<Hash>,
    pub(super) heads: Heads,
}

/// How looking for a range ended.
pub(super) enum Found {
    Reach(Box<Reach>),
    /// Heads of the time of asking are not there yet.
    NotYet,
    Failed(ReportFailure),
}

/// An edge of a range: a head of the log, and a checkpoint of the platform's log that has it.
struct Edge {
    head: SignedHead,
    proof: Option<String>,
}

fn instant(time: Time) -> Timestamp {
    Utc.timestamp_micros(time.micros()).single().unwrap_or_default()
}

impl Reports {
    /// From which leaf to which, and by which heads.
    pub(super) async fn reach(
        &self,
        tx: &mut dyn ReportTx,
        scope: TenantScope,
        report: &Report,
    ) -> Result<Found, ComplianceError> {
        let stream = report.draft.stream;
        let period = report.draft.query.period();
        let (since, until) = period.map_or((None, None), |period| (period.since, period.until));
        // No more is known than what there was when it was asked for.
        let asked = until.map_or(report.requested_at, |until| report.requested_at.min(instant(until)));
        if tx.is_waiting(stream, asked).await? {
            let is_patient = self.0.clock.now() < report.requested_at + TimeDelta::seconds(BEHIND_S);
            return Ok(if is_patient { Found::NotYet } else { Found::Failed(ReportFailure::LogBehind) });
        }
        let Some(newest) = tx.head(stream, None).await? else {
            return Ok(Found::Failed(ReportFailure::LogEmpty));
        };
        let platform = tx.platform_head().await?;
        let platform = platform.as_ref();
        let lateness = TimeDelta::seconds(LATENESS_S.into());
        let Some(ending) = self.last(tx, report, (asked, lateness), (newest.size, platform)).await? else {
            return Ok(Found::NotYet);
        };
        let before = match since {
            None => None,
            Some(since) => self.before(tx, stream, instant(since) - lateness, platform).await?,
        };
        let before = match (before, report.draft.kept) {
            (Some(before), Some((least, _))) if least < before.head.size => {
                self.at(tx, stream, least, platform).await?
            }
            (before, _) => before,
        };
        let before = before.filter(|before| before.head.size <= ending.head.size);
        let Some(before) = self.behind_pruned(tx, stream, before, (&ending, platform)).await? else {
            return Ok(Found::Failed(ReportFailure::LogEmpty));
        };
        let (first, end) = (before.as_ref().map_or(0, |before| before.head.size), ending.head.size);
        let broken = || ComplianceError::Broken { stream, size: end };
        let tiles = TileSet::new(tx.tiles(stream, &tiles_for_root(first)).await?);
        let boundary = complete_subtrees(0, first).into_iter().map(|node| tiles.node(node));
        let boundary = boundary.collect::<Option<Vec<_>>>().ok_or_else(broken)?;
        let consistency = match &before {
            Some(before) if first < end => {
                let wanted = tiles_for_consistency(first, end).map_err(|_| broken())?;
                let tiles = TileSet::new(tx.tiles(stream, &wanted).await?);
                let hashes = tiles.consistency_proof(first, end).map_err(|_| broken())?;
                verify_consistency(first, end, &hashes, before.head.root, ending.head.root)
                    .map_err(|_| broken())?;
                Some(hashes)
            }
            Some(_) | None => None,
        };
        let (checkpoint_before, platform_proof_before) =
            before.map_or((None, None), |before| (Some(before.head.note), before.proof));
        let heads = Heads {
            checkpoint: ending.head.note,
            checkpoint_before,
            consistency,
            platform_proof: ending.proof,
            platform_proof_before,
            policy: Some(self.policy(tx, scope, stream).await?),
        };
        Ok(Found::Reach(Box::new(Reach { first, end, boundary, heads })))
    }

    /// Where the range begins when leaves were thrown away: at the first head behind those. `None` when there is none before its
    /// end.
    async fn behind_pruned(
        &self,
        tx: &mut dyn ReportTx,
        stream: Stream,
        before: Option<Edge>,
        (ending, platform): (&Edge, Option<&SignedHead>),
    ) -> Result<Option<Option<Edge>>, ComplianceError> {
        let gone = tx.pruned(stream).await?.map_or(0, |prune| prune.until);
        if before.as_ref().map_or(0, |before| before.head.size) >= gone {
            return Ok(Some(before));
        }
        let Some(head) = tx.head_from(stream, gone).await? else { return Ok(None) };
        if head.size > ending.head.size {
            return Ok(None);
        }
        Ok(self.at(tx, stream, head.size, platform).await?.map(Some))
    }

    /// Where the range ends: behind all that happened by then, however late it was logged, and all that whoever asks has kept.
    /// `None` while there is no such head, or the platform's log has none.
    async fn last(
        &self,
        tx: &mut dyn ReportTx,
        report: &Report,
        (asked, lateness): (Timestamp, TimeDelta),
        (newest, platform): (u64, Option<&SignedHead>),
    ) -> Result<Option<Edge>, ComplianceError> {
        let stream = report.draft.stream;
        let wanted = report.requested_at.min(asked + lateness);
        let is_patient = |seconds| self.0.clock.now() < report.requested_at + TimeDelta::seconds(seconds);
        let needed = match tx.head_since(stream, wanted).await? {
            Some(head) => head.size,
            None if is_patient(GROWS_WITHIN_S) => return Ok(None),
            // Nothing was logged since.
            None => newest,
        };
        // What a log that had been away caught up on came in head by head.
        let needed = needed.max(tx.late_head(stream, needed, asked, lateness).await?.unwrap_or_default());
        let needed = report.draft.kept.map_or(needed, |(_, most)| needed.max(most));
        if let Some(platform) = platform {
            if let Some(size) = tx.anchor_reaching(stream, needed, platform.size).await? {
                return self.anchored(tx, stream, Some(size), platform).await;
            }
            if is_patient(ANCHORED_WITHIN_S) {
                return Ok(None);
            }
        }
        let head = tx.head(stream, Some(needed)).await?;
        Ok(head.map(|head| Edge { head, proof: None }))
    }

    /// The head of that size, with the platform's newest checkpoint where it has it; `None` for the log's own beginning.
    async fn at(
        &self,
        tx: &mut dyn ReportTx,
        stream: Stream,
        size: u64,
        platform: Option<&SignedHead>,
    ) -> Result<Option<Edge>, ComplianceError> {
        if let Some(platform) = platform
            && let Some(edge) = self.anchored(tx, stream, Some(size), platform).await?
        {
            return Ok(Some(edge));
        }
        let head = tx.head(stream, Some(size)).await?;
        Ok(head.map(|head| Edge { head, proof: None }))
    }

    /// Where the range begins: the newest head of before then; `None` for the log's own beginning.
    async fn before(
        &self,
        tx: &mut dyn ReportTx,
        stream: Stream,
        at: Timestamp,
        newest: Option<&SignedHead>,
    ) -> Result<Option<Edge>, ComplianceError> {
        let Some(platform) = tx.platform_head_before(at).await? else {
            if newest.is_some() {
                return Ok(None);
            }
            let head = tx.head_before(stream, at).await?;
            return Ok(head.map(|head| Edge { head, proof: None }));
        };
        let edge = self.anchored(tx, stream, None, &platform).await?;
        if edge.as_ref().is_none_or(|edge| edge.head.signed_at < at) {
            return Ok(edge);
        }
        // Clocks differ: something in it happened later than others say it is now.
        match tx.head_before(stream, at).await? {
            Some(head) => self.at(tx, stream, head.size, Some(&platform)).await,
            None => Ok(None),
        }
    }

    /// The head of that size, or the newest, that a checkpoint of the platform's log has.
    async fn anchored(
        &self,
        tx: &mut dyn ReportTx,
        stream: Stream,
        size: Option<u64>,
        platform: &SignedHead,
    ) -> Result<Option<Edge>, ComplianceError> {
        let Some(anchor) = tx.anchor(stream, size, platform.size).await? else { return Ok(None) };
        let (head, hashes) = Compliance::prove_anchor(tx, stream, &anchor, platform).await?;
        let proof = LogProof {
            extra: Some(anchor.salt.to_vec()),
            index: anchor.index,
            hashes,
            checkpoint: platform.note.clone(),
        };
        Ok(Some(Edge { head, proof: Some(proof.to_string()) }))
    }

    /// Whom to believe about the platform's log and this one, as this installation has it.
    async fn policy(
        &self,
        tx: &mut dyn ReportTx,
        scope: TenantScope,
        stream: Stream,
    ) -> Result<String, ComplianceError> {
        let keys = tx.platform_keys().await?;
        let mut policy = super::read_platform::platform_policy(&self.0.trust, &self.0.host, &keys)?;
        let keys = self.0.log_keys.public_keys(&scope).await?;
        // Erasures are in the log `admin`, whatever is reported.
        for log in [stream, Stream::Admin] {
            let origin = super::sequence::origin(&self.0.host, scope.tenant(), log);
            super::read_platform::add_logs(&mut policy, &origin, &keys)?;
        }
        Ok(policy.to_string())
    }
}
