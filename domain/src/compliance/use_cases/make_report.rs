//! Reports are made by whichever replica claims them. A worker may be killed at any moment: the next one begins again, and a
//! bundle is nobody's before all of it is kept.

use chrono::TimeDelta;
use report_bundle::{manifest::Tool, names::SEGMENT_LEAVES_MAX, writer::ReportHead};

use super::{
    super::{
        actions,
        log::merkle::Hash,
        ports::{Added, Asked, Binding, ComplianceUnit},
        report::{ATTEMPTS_MAX, Bundle, Report, ReportFailure, ReportState, time_of},
    },
    ComplianceError, Reports,
    find_range::{Found, LATENESS_S, Reach},
    show_rows::{self, ErasedBy, Made},
};
use crate::kernel::{
    clock::Timestamp,
    fault::{PortError, Retry},
    ids::{ComplianceId, ReportId},
    outbox::{Origin, Outcome, Party, Record},
    scope::TenantScope,
};

const PORT: &str = "compliance.report";

/// How long a worker may be silent before another one begins, in seconds.
const LEASE_S: i64 = 120;

/// Pause before it is tried again, in seconds.
const AGAIN_S: i64 = 30;

/// Pause between two notes of how far it is, in milliseconds.
const PACE_MS: i64 = 500;

/// How often heads are looked for that are not there yet, in seconds.
const HEADS_EVERY_S: i64 = 1;

/// Leaves that are read at once.
const LEAVES_AT_ONCE: u64 = 4_096;

/// The same, where what events commit to is shown: each brings up to a few tens of kilobytes along.
const SHOWN_AT_ONCE: u64 = 512;

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
    erased_by: ErasedBy,
}

/// How making one ended.
enum End {
    Made,
    /// Heads are not there yet, or it is not this worker's any more.
    NotYet,
    Failed(ReportFailure),
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
        let mut shift = Shift { scope, origin, report, noted_at: now, erased_by: ErasedBy::default() };
        let made = self.make(&mut shift).await;
        let Some((mut tx, mut report)) = self.hold(&shift).await? else {
            return made
                .map(|end| if matches!(end, End::Made) { ReportTurn::Made } else { ReportTurn::Nothing });
        };
        // Heads that are not there yet, or a store that is away, are not the report's fault, and cost it no attempt.
        let (pause_s, is_blamed) = match &made {
            Ok(End::Made) => return Ok(ReportTurn::Made),
            Ok(End::Failed(failure)) => return self.fail(tx, report, *failure).await,
            Err(ComplianceError::Broken { .. }) => {
                return self.fail(tx, report, ReportFailure::LogBroken).await;
            }
            Ok(End::NotYet) => (HEADS_EVERY_S, false),
            Err(ComplianceError::Port(fault)) => (AGAIN_S, fault.retry == Retry::Useless),
            Err(_) => (AGAIN_S, true),
        };
        report.attempts = report.attempts.saturating_sub(u32::from(!is_blamed));
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
        if report.is_there(now) {
            tx.schedule_report(id, report.bundle.map(|bundle| bundle.expires_at)).await?;
            tx.commit().await?;
            return Ok(ReportTurn::Nothing);
        }
        if report.state == ReportState::Ready {
            report.state = ReportState::Expired;
            report.ended_at = Some(now);
            tx.update_report(&report).await?;
            tx.record(Record::success(actions::EXPIRE_REPORT, Party::new("report", id.uuid()))).await?;
        }
        // Nobody is let have it from here on; a claim that is not given back is taken up again.
        tx.commit().await?;
        self.0.binder.remove(&folder(&scope, id)).await?;
        // Once more after a while: who was at it may not have heard yet.
        let until = report.ended_at.unwrap_or(now) + TimeDelta::seconds(2 * LEASE_S);
        let mut tx = self
            .0
            .units
            .begin(scope, &Origin::system(ComplianceId::new(&*self.0.ids), "expire_report"))
            .await?;
        tx.schedule_report(id, Some(until).filter(|until| now < *until)).await?;
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
        let head = self.head(&shift.report, scope, (first, boundary))?;
        // All in one folder, so that whoever comes next finds them.
        let place = format!("{}/{}", folder(&scope, id), self.0.ids.next_uuid().simple());
        let mut binding = self.0.binder.begin(&place, head).await?;
        if let Some(end) = self.add_range(shift, &mut *binding, (first, end)).await? {
            return Ok(end);
        }
        let mut tx = self.0.units.begin(scope, &shift.origin).await?;
        let Made::Yes(proofs) = std::mem::take(&mut shift.erased_by).proofs(&mut *tx).await? else {
            return Ok(End::NotYet);
        };
        drop(tx);
        for (index, proof) in proofs {
            if !binding.prove_erasure(index, proof).await? {
                return Ok(End::Failed(ReportFailure::LogBroken));
            }
        }
        let Some(bound) = binding.seal(heads).await? else {
            return Ok(End::Failed(ReportFailure::LogBroken));
        };
        let Some((mut tx, mut report)) = self.hold(shift).await? else { return Ok(End::NotYet) };
        let now = self.0.clock.now();
        let bundle = Bundle {
            place,
            size_bytes: bound.size_bytes,
            pieces: bound.pieces,
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

    /// Adds all leaves of a range: as files that lie ready where there are some, and otherwise as they are kept. `None` when all
    /// went well.
    async fn add_range(
        &self,
        shift: &mut Shift,
        binding: &mut dyn Binding,
        (first, end): (u64, u64),
    ) -> Result<Option<End>, ComplianceError> {
        let stream = shift.report.draft.stream;
        let segments_folder = super::cut_segments::folder(shift.scope.tenant(), stream);
        let mut tx = self.0.units.begin(shift.scope, &shift.origin).await?;
        let mut ready = tx.segments(stream, first, end).await?.into_iter().peekable();
        drop(tx);
        let pace = if shift.report.draft.disclosed.is_empty() { LEAVES_AT_ONCE } else { SHOWN_AT_ONCE };
        // Up to where leaves are read one by one, whatever lies ready.
        let (mut at, mut bare) = (first, first);
        while at < end {
            let segment = ready.next_if(|segment| segment.first == at && bare <= at);
            let next = ready.peek().map_or(end, |segment| segment.first);
            let (until, asked) = if let Some(segment) = segment {
                let until = at + SEGMENT_LEAVES_MAX;
                match binding.add_segment(&segments_folder, &segment, ready.peek()).await? {
                    Added::Leaves(asked) => (until, Some(asked)),
                    Added::Broken => (until, None),
                    Added::Unfit => {
                        bare = until;
                        continue;
                    }
                }
            } else {
                let until = if at < bare { bare } else { next }.min(at + pace);
                let mut tx = self.0.units.begin(shift.scope, &shift.origin).await?;
                let leaves = tx.leaves(stream, at, until).await?;
                let is_whole = u64::try_from(leaves.len()).is_ok_and(|leaves| leaves == until - at);
                if !is_whole && tx.pruned(stream).await?.is_some_and(|prune| at < prune.until) {
                    // Thrown away meanwhile: the range begins elsewhere now.
                    return Ok(Some(End::NotYet));
                }
                (until, if is_whole { binding.add(leaves).await? } else { None })
            };
            let Some(asked) = asked else { return Ok(Some(End::Failed(ReportFailure::LogBroken))) };
            // The last tenth is for the seal.
            let done = (until - first).saturating_mul(900) / (end - first).max(1);
            let done = u32::try_from(done).unwrap_or(900);
            if let Some(ended) = self.show(shift, binding, asked, done).await? {
                return Ok(Some(ended));
            }
            at = until;
        }
        Ok(None)
    }

    /// Makes rows of what is asked for, with what is shown of it, and notes how far it is. `None` when all went well.
    async fn show(
        &self,
        shift: &mut Shift,
        binding: &mut dyn Binding,
        mut asked: Vec<Asked>,
        done_permille: u32,
    ) -> Result<Option<End>, ComplianceError> {
        let most = usize::try_from(SHOWN_AT_ONCE).unwrap_or(usize::MAX);
        while !asked.is_empty() {
            let rest = asked.split_off(asked.len().min(most));
            let mut tx = self.0.units.begin(shift.scope, &shift.origin).await?;
            let disclosed = &shift.report.draft.disclosed;
            let rows = show_rows::rows(&mut *tx, asked, disclosed, &mut shift.erased_by).await?;
            drop(tx);
            let is_shown = match rows {
                Made::Yes(rows) => binding.show(rows).await?,
                Made::NotYet => return Ok(Some(End::NotYet)),
                Made::Broken => false,
            };
            if !is_shown {
                return Ok(Some(End::Failed(ReportFailure::LogBroken)));
            }
            if !self.note(shift, done_permille).await? {
                return Ok(Some(End::NotYet));
            }
            asked = rest;
        }
        let is_held = self.note(shift, done_permille).await?;
        Ok((!is_held).then_some(End::NotYet))
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
            created_at: time_of(self.0.clock.now()).map_err(|e| PortError::lasting(PORT, e))?,
            max_lateness_s: LATENESS_S.into(),
            disclosed: draft.disclosed.clone(),
            tool: Tool { name: "matricula".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
            first,
            boundary,
        })
    }
}

/// Where what is kept of a report is.
fn folder(scope: &TenantScope, id: ReportId) -> String {
    format!("reports/{}/{}", scope.tenant().uuid().simple(), id.uuid().simple())
}
