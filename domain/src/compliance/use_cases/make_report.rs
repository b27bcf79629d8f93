//! Reports are made by whichever replica claims them. A worker may be killed at any moment: the next one begins again, and a
//! bundle is nobody's before all of it is kept.
//!
//! A range begins at a head that was signed before the period did, and ends at one that was signed long enough after it;
//! where the platform's log is kept, at heads that it holds, by its checkpoints of those times, so that whoever checks has
//! its witnesses' word for when that was.

use chrono::{TimeDelta, TimeZone as _, Utc};
use report_bundle::{
    manifest::Tool,
    time::Time,
    writer::{Heads, ReportHead},
};

use super::{
    super::{
        actions,
        log::{
            merkle::{Hash, complete_subtrees, verify_consistency},
            proof::LogProof,
            tile::{TileSet, tiles_for_consistency, tiles_for_root},
        },
        ports::{ComplianceUnit, ReportTx, SignedHead},
        report::{ATTEMPTS_MAX, Bundle, Report, ReportFailure, ReportState, time_of},
    },
    Compliance, ComplianceError, Reports,
};
use crate::kernel::{
    clock::Timestamp,
    fault::PortError,
    ids::{ComplianceId, ReportId},
    outbox::{Origin, Outcome, Party, Record, Stream},
    scope::TenantScope,
};

const PORT: &str = "compliance.report";

/// How long a worker may be silent before another one begins, in seconds.
const LEASE_S: i64 = 60;

/// Pause before it is tried again, in seconds.
const AGAIN_S: i64 = 30;

/// Pause between two notes of how far it is, in milliseconds.
const PACE_MS: i64 = 500;

/// How long after it happened an event is in its log at the latest, in seconds, and by how much clocks may differ. Tenths of
/// a second as a rule; a tenant with thousands that wait is refused more.
const LATENESS_S: u16 = 300;

/// How long heads of the time of asking are waited for, in seconds, and how often.
const HEADS_WITHIN_S: i64 = 30;
const HEADS_EVERY_S: i64 = 1;

/// Leaves that are read at once.
const LEAVES_AT_ONCE: u64 = 4_096;

/// What a turn on one report came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportTurn {
    /// It can be fetched.
    Made,
    /// There will be none.
    Failed,
    /// Its time was over, or somebody gave it up: what was kept of it is gone.
    Removed,
    /// The log's heads are not so far yet, or another worker has it.
    Nothing,
}

/// A report that is being made, as it was when this worker began.
struct Shift {
    scope: TenantScope,
    origin: Origin,
    report: Report,
    noted_at: Timestamp,
}

/// What a report's range is, and what it hangs from.
struct Reach {
    first: u64,
    end: u64,
    boundary: Vec<Hash>,
    heads: Heads,
}

/// How looking for a range ended.
enum Found {
    Reach(Box<Reach>),
    /// Heads of the time of asking are not there yet.
    NotYet,
    Failed(ReportFailure),
}

/// How making one ended.
enum End {
    Made,
    /// Heads are not there yet, or it is not this worker's any more.
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

fn time(at: Timestamp) -> Result<Time, PortError> {
    time_of(at).map_err(|e| PortError::lasting(PORT, e))
}

impl Reports {
    /// Claims up to `most` reports that are to be looked after, of all tenants.
    ///
    /// # Errors
    /// `Port`.
    pub async fn claim_reports(&self, most: u32) -> Result<Vec<(TenantScope, ReportId)>, ComplianceError> {
        let lease = TimeDelta::seconds(LEASE_S);
        Ok(self.0.schedule.claim_reports(self.0.clock.now(), most, lease).await?)
    }

    /// Makes a report, or throws one away whose time is over. Dropped half way, it leaves pieces that nobody refers to, and
    /// whoever begins again throws them away.
    ///
    /// # Errors
    /// `Port`: it is begun again in a while.
    pub async fn make_report(&self, scope: TenantScope, id: ReportId) -> Result<ReportTurn, ComplianceError> {
        let origin = Origin::system(ComplianceId::new(&*self.0.ids), "make_report");
        let mut tx = self.0.units.begin(scope, &origin).await?;
        let Some(mut report) = tx.lock_report(id).await? else {
            tx.schedule_report(id, None).await?;
            tx.commit().await?;
            return Ok(ReportTurn::Nothing);
        };
        let now = self.0.clock.now();
        if report.state != ReportState::Making {
            return self.expire_report(tx, scope, report, now).await;
        }
        report.attempts += 1;
        if report.attempts > ATTEMPTS_MAX {
            return self.fail(tx, report, ReportFailure::BrokeOff).await;
        }
        report.done_permille = 0;
        tx.update_report(&report).await?;
        report.version += 1;
        tx.schedule_report(id, Some(now + TimeDelta::seconds(LEASE_S))).await?;
        tx.commit().await?;
        let mut shift = Shift { scope, origin, report, noted_at: now };
        let made = self.make(&mut shift).await;
        let Some((mut tx, mut report)) = self.hold(&shift).await? else {
            return made
                .map(|end| if matches!(end, End::Made) { ReportTurn::Made } else { ReportTurn::Nothing });
        };
        let pause_s = match &made {
            Ok(End::Made) => return Ok(ReportTurn::Made),
            Ok(End::Failed(failure)) => return self.fail(tx, report, *failure).await,
            Err(ComplianceError::Broken { .. }) => {
                return self.fail(tx, report, ReportFailure::LogBroken).await;
            }
            Ok(End::NotYet) => HEADS_EVERY_S,
            Err(_) => AGAIN_S,
        };
        // Heads that are not there yet, or a store that is away, are not the report's fault, and cost it no attempt.
        report.attempts = report.attempts.saturating_sub(1);
        tx.update_report(&report).await?;
        tx.schedule_report(id, Some(self.0.clock.now() + TimeDelta::seconds(pause_s))).await?;
        tx.commit().await?;
        made.map(|_| ReportTurn::Nothing)
    }

    /// Throws away what is kept of a report that has ended, once its time is over.
    ///
    /// # Errors
    /// `Port`: it is tried again when the claim runs out.
    pub async fn expire_report(
        &self,
        mut tx: Box<dyn ComplianceUnit>,
        scope: TenantScope,
        mut report: Report,
        now: Timestamp,
    ) -> Result<ReportTurn, ComplianceError> {
        let id = report.id;
        let expires_at = report.bundle.as_ref().map(|bundle| bundle.expires_at);
        if let (ReportState::Ready, Some(expires_at)) = (report.state, expires_at)
            && now < expires_at
        {
            tx.schedule_report(id, Some(expires_at)).await?;
            tx.commit().await?;
            return Ok(ReportTurn::Nothing);
        }
        if report.state == ReportState::Ready {
            report.state = ReportState::Expired;
            tx.update_report(&report).await?;
            tx.record(Record::success(actions::EXPIRE_REPORT, Party::new("report", id.uuid()))).await?;
        }
        tx.schedule_report(id, None).await?;
        let folder = folder(&scope, id);
        // First, so that nobody is let have what is half gone; a claim that is not given back is taken up again.
        self.0.binder.remove(&folder).await?;
        tx.commit().await?;
        Ok(ReportTurn::Removed)
    }

    async fn fail(
        &self,
        mut tx: Box<dyn ComplianceUnit>,
        mut report: Report,
        failure: ReportFailure,
    ) -> Result<ReportTurn, ComplianceError> {
        let now = self.0.clock.now();
        report.fail(failure, now);
        tx.update_report(&report).await?;
        tx.schedule_report(report.id, Some(now)).await?;
        let target = Party::new("report", report.id.uuid());
        let refused = Record::refused(actions::MAKE_REPORT, Some(target), failure.as_str());
        tx.record(Record { outcome: Outcome::Failure, ..refused }).await?;
        tx.commit().await?;
        Ok(ReportTurn::Failed)
    }

    /// Opens a transaction in which the report is this worker's still; `None` when it is not.
    async fn hold(
        &self,
        shift: &Shift,
    ) -> Result<Option<(Box<dyn ComplianceUnit>, Report)>, ComplianceError> {
        let mut tx = self.0.units.begin(shift.scope, &shift.origin).await?;
        let report = tx.lock_report(shift.report.id).await?;
        let report = report.filter(|report| report.version == shift.report.version);
        Ok(report.map(|report| (tx, report)))
    }

    /// Notes how far it is and that somebody is at it, now and then; `false` when it is not this worker's any more.
    async fn note(&self, shift: &mut Shift, done_permille: u32) -> Result<bool, ComplianceError> {
        let now = self.0.clock.now();
        if now < shift.noted_at + TimeDelta::milliseconds(PACE_MS) {
            return Ok(true);
        }
        let Some((mut tx, mut report)) = self.hold(shift).await? else { return Ok(false) };
        report.done_permille = done_permille;
        tx.update_report(&report).await?;
        tx.schedule_report(report.id, Some(now + TimeDelta::seconds(LEASE_S))).await?;
        tx.commit().await?;
        shift.report.version += 1;
        shift.noted_at = now;
        Ok(true)
    }

    async fn make(&self, shift: &mut Shift) -> Result<End, ComplianceError> {
        let (scope, id) = (shift.scope, shift.report.id);
        let mut tx = self.0.units.begin(scope, &shift.origin).await?;
        let found = self.reach(&mut *tx, scope, &shift.report).await?;
        drop(tx);
        let reach = match found {
            Found::Reach(reach) => reach,
            Found::NotYet => return Ok(End::NotYet),
            Found::Failed(failure) => return Ok(End::Failed(failure)),
        };
        // What one that was killed had kept.
        self.0.binder.remove(&folder(&scope, id)).await?;
        let Reach { first, end, boundary, heads } = *reach;
        let stream = shift.report.draft.stream;
        let head = self.head(&shift.report, scope, (first, boundary))?;
        let mut binding = self.0.binder.begin(head).await?;
        let mut at = first;
        while at < end {
            let until = end.min(at + LEAVES_AT_ONCE);
            let mut tx = self.0.units.begin(scope, &shift.origin).await?;
            let leaves = tx.leaves(stream, at, until).await?;
            drop(tx);
            if !binding.add(leaves).await? {
                return Ok(End::Failed(ReportFailure::LogBroken));
            }
            at = until;
            // The last tenth is for the seal.
            let done = (at - first).saturating_mul(900) / (end - first).max(1);
            if !self.note(shift, u32::try_from(done).unwrap_or(900)).await? {
                return Ok(End::NotYet);
            }
        }
        let place = format!("{}/{}", folder(&scope, id), self.0.ids.next_uuid().simple());
        let Some(bound) = binding.seal(heads, &place).await? else {
            return Ok(End::Failed(ReportFailure::LogBroken));
        };
        let Some((mut tx, mut report)) = self.hold(shift).await? else {
            self.0.binder.remove(&place).await?;
            return Ok(End::NotYet);
        };
        let now = self.0.clock.now();
        let bundle = Bundle {
            folder: place,
            size_bytes: bound.size_bytes,
            sha256: bound.sha256,
            first,
            end,
            rows: bound.rows,
            is_timestamped: bound.is_timestamped,
            expires_at: now + self.0.keep,
        };
        tx.schedule_report(id, Some(bundle.expires_at)).await?;
        report.finish(bundle, now);
        tx.update_report(&report).await?;
        tx.record(Record::success(actions::MAKE_REPORT, Party::new("report", id.uuid()))).await?;
        tx.commit().await?;
        Ok(End::Made)
    }

    fn head(
        &self,
        report: &Report,
        scope: TenantScope,
        (first, boundary): (u64, Vec<Hash>),
    ) -> Result<ReportHead, ComplianceError> {
        let draft = &report.draft;
        Ok(ReportHead {
            report_id: report.compliance_id.uuid().to_string(),
            tenant_id: scope.tenant().uuid().to_string(),
            stream: draft.stream.as_str().to_owned(),
            origin: super::sequence::origin(&self.0.host, scope.tenant(), draft.stream),
            kind: draft.kind.clone(),
            query: draft.query.clone(),
            query_text: draft.query_text.clone(),
            time_zone: draft.zone.clone(),
            created_at: time(self.0.clock.now())?,
            max_lateness_s: LATENESS_S.into(),
            disclosed: Vec::new(),
            tool: Tool { name: "matricula".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
            first,
            boundary,
        })
    }

    /// From which leaf to which, and by which heads.
    async fn reach(
        &self,
        tx: &mut dyn ReportTx,
        scope: TenantScope,
        report: &Report,
    ) -> Result<Found, ComplianceError> {
        let stream = report.draft.stream;
        if tx.head(stream, None).await?.is_none() {
            return Ok(Found::Failed(ReportFailure::LogEmpty));
        }
        let period = report.draft.query.period();
        let (since, until) = period.map_or((None, None), |period| (period.since, period.until));
        let lateness = TimeDelta::seconds(LATENESS_S.into());
        // No more is known than what there was when it was asked for.
        let wanted =
            until.map_or(report.requested_at, |until| report.requested_at.min(instant(until) + lateness));
        let is_patient = self.0.clock.now() < report.requested_at + TimeDelta::seconds(HEADS_WITHIN_S);
        let Some(last) = self.last(tx, report, wanted, is_patient).await? else { return Ok(Found::NotYet) };
        let before = match since {
            None => None,
            Some(since) => self.before(tx, stream, instant(since) - lateness).await?,
        };
        let before = before.filter(|before| before.head.size <= last.head.size);
        let (first, end) = (before.as_ref().map_or(0, |before| before.head.size), last.head.size);
        let broken = || ComplianceError::Broken { stream, size: end };
        let tiles = TileSet::new(tx.tiles(stream, &tiles_for_root(first)).await?);
        let boundary = complete_subtrees(0, first).into_iter().map(|node| tiles.node(node));
        let boundary = boundary.collect::<Option<Vec<_>>>().ok_or_else(broken)?;
        let consistency = match &before {
            Some(before) if first < end => {
                let wanted = tiles_for_consistency(first, end).map_err(|_| broken())?;
                let tiles = TileSet::new(tx.tiles(stream, &wanted).await?);
                let hashes = tiles.consistency_proof(first, end).map_err(|_| broken())?;
                verify_consistency(first, end, &hashes, before.head.root, last.head.root)
                    .map_err(|_| broken())?;
                Some(hashes)
            }
            Some(_) | None => None,
        };
        let (checkpoint_before, platform_proof_before) =
            before.map_or((None, None), |before| (Some(before.head.note), before.proof));
        let heads = Heads {
            checkpoint: last.head.note,
            checkpoint_before,
            consistency,
            platform_proof: last.proof,
            platform_proof_before,
            policy: Some(self.policy(tx, scope, stream).await?),
        };
        Ok(Found::Reach(Box::new(Reach { first, end, boundary, heads })))
    }

    /// Where the range ends; `None` while there is no head of then.
    async fn last(
        &self,
        tx: &mut dyn ReportTx,
        report: &Report,
        wanted: Timestamp,
        is_patient: bool,
    ) -> Result<Option<Edge>, ComplianceError> {
        let (stream, kept) = (report.draft.stream, report.draft.kept_size);
        let Some(newest) = tx.platform_head().await? else {
            let since = tx.head_since(stream, wanted).await?;
            if since.is_none() && is_patient {
                return Ok(None);
            }
            let head = match since {
                Some(head) => Some(head),
                None => tx.head(stream, None).await?,
            };
            let reaching = match (kept, &head) {
                (Some(kept), Some(head)) if head.size < kept => tx.head_reaching(stream, kept, None).await?,
                (_, _) => None,
            };
            let head = if reaching.is_some() { tx.head(stream, reaching).await? } else { head };
            return Ok(head.map(|head| Edge { head, proof: None }));
        };
        let since = tx.platform_head_since(wanted).await?;
        if since.is_none() && is_patient {
            return Ok(None);
        }
        let platform = since.unwrap_or_else(|| newest.clone());
        let end = self.anchored(tx, stream, None, &platform).await?;
        if end.is_none() && is_patient {
            return Ok(None);
        }
        let reached = end.as_ref().map_or(0, |end| end.head.size);
        let reaching = match kept {
            Some(kept) if reached < kept => tx.head_reaching(stream, kept, Some(newest.size)).await?,
            Some(_) | None => None,
        };
        if reaching.is_some() { self.anchored(tx, stream, reaching, &newest).await } else { Ok(end) }
    }

    /// Where the range begins: the newest head of before then; `None` for the log's own beginning.
    async fn before(
        &self,
        tx: &mut dyn ReportTx,
        stream: Stream,
        at: Timestamp,
    ) -> Result<Option<Edge>, ComplianceError> {
        if let Some(platform) = tx.platform_head_before(at).await? {
            return self.anchored(tx, stream, None, &platform).await;
        }
        if tx.platform_head().await?.is_some() {
            return Ok(None);
        }
        let head = tx.head_before(stream, at).await?;
        Ok(head.map(|head| Edge { head, proof: None }))
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
        let origin = super::sequence::origin(&self.0.host, scope.tenant(), stream);
        super::read_platform::add_logs(&mut policy, &origin, &self.0.log_keys.public_keys(&scope).await?)?;
        Ok(policy.to_string())
    }
}

/// Where what is kept of a report is.
fn folder(scope: &TenantScope, id: ReportId) -> String {
    format!("reports/{}/{}", scope.tenant().uuid().simple(), id.uuid().simple())
}
