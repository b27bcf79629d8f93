//! Files of the range are made long before anybody asks for a report: most of a bundle is then there.

use std::{collections::BTreeMap, sync::Arc};

use chrono::TimeDelta;
use report_bundle::names::SEGMENT_LEAVES_MAX;

use super::{
    super::{
        log::{
            merkle::complete_subtrees,
            tile::{TileSet, tiles_for_subtrees},
        },
        ports::{ComplianceUnit, ComplianceUnits, LogId, LogReader, ReportBinder, Segment},
    },
    ComplianceError,
};
use crate::kernel::{
    clock::{Clock, Timestamp},
    fault::PortError,
    ids::{ComplianceId, IdSource, TenantId},
    outbox::{Origin, Stream},
    scope::TenantScope,
};

/// Leaves that are read in one transaction.
const LEAVES_AT_ONCE: u64 = 8_192;

/// Where the files of a log lie.
pub(super) fn folder(tenant: TenantId, stream: Stream) -> String {
    format!("segments/{}/{}", tenant.uuid().simple(), stream.as_str())
}

/// How long a log that is not what it should be is left alone, in minutes.
const REST_MIN: i64 = 60;

/// What making files of the range is built from.
pub struct CutterPorts {
    /// Which logs are long enough.
    pub logs: Arc<dyn LogReader>,
    /// Transactions.
    pub units: Arc<dyn ComplianceUnits>,
    /// Makes files, and keeps them.
    pub binder: Arc<dyn ReportBinder>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identifiers.
    pub ids: Arc<dyn IdSource>,
}

/// Makes files of the range as soon as their leaves are all there, and looks after those that there are.
pub struct Cutter {
    ports: CutterPorts,
    /// Logs that are left alone, until when.
    resting: BTreeMap<LogId, Timestamp>,
    /// The file that was looked at last.
    looked_at: Option<(LogId, u64)>,
}

/// How a turn ended.
#[derive(Debug, Default)]
pub struct Cut {
    /// How many files were made.
    pub made: u32,
    /// Which could not be, and why. They are left alone for a while.
    pub faults: Vec<(LogId, ComplianceError)>,
}

impl Cutter {
    /// Takes its ports.
    pub const fn new(ports: CutterPorts) -> Self {
        Self { ports, resting: BTreeMap::new(), looked_at: None }
    }

    /// Makes the next file of each log that has leaves for one. Two who do so at once make the same. A log that is not what it
    /// should be keeps no other waiting.
    ///
    /// # Errors
    /// `Port`: which logs there are is not known.
    pub async fn cut_segments(&mut self) -> Result<Cut, ComplianceError> {
        let mut turn = Cut::default();
        let now = self.ports.clock.now();
        self.resting.retain(|_, until| now < *until);
        for (log, size) in self.ports.logs.long_logs(SEGMENT_LEAVES_MAX).await? {
            if self.resting.contains_key(&log) {
                continue;
            }
            match self.cut_next(log, size).await {
                Ok(made) => turn.made += u32::from(made),
                Err(fault) => {
                    self.resting.insert(log, now + TimeDelta::minutes(REST_MIN));
                    turn.faults.push((log, fault));
                }
            }
        }
        Ok(turn)
    }

    /// Looks at one file, another each time, and makes it anew when it is gone or spoilt: whether it was, and could be.
    ///
    /// # Errors
    /// `Broken`, `Port`.
    pub async fn mend_segment(&mut self) -> Result<bool, ComplianceError> {
        let Some((log, segment)) = self.next_segment().await? else { return Ok(false) };
        let kept_in = folder(log.tenant, log.stream);
        if self.ports.binder.is_sound(&kept_in, &segment).await {
            return Ok(false);
        }
        let leaves = self.leaves(log, segment.first).await?;
        let again = self.ports.binder.cut(&kept_in, (segment.first, segment.root), leaves).await?;
        Ok(again == Some(segment))
    }

    async fn next_segment(&mut self) -> Result<Option<(LogId, Segment)>, ComplianceError> {
        let logs = self.ports.logs.long_logs(SEGMENT_LEAVES_MAX).await?;
        let behind = |log: LogId| match self.looked_at {
            Some((last, first)) if last == log => first.saturating_add(1),
            _ => 0,
        };
        let last = self.looked_at.map(|(log, _)| log);
        let mut order: Vec<_> = logs.iter().map(|(log, size)| (*log, *size)).collect();
        order.sort_by_key(|(log, _)| (last.is_some_and(|last| *log < last), *log));
        for (log, size) in order {
            let mut tx = self.begin(log).await?;
            let ready = tx.segments(log.stream, behind(log), size).await?;
            if let Some(segment) = ready.into_iter().next() {
                self.looked_at = Some((log, segment.first));
                return Ok(Some((log, segment)));
            }
        }
        self.looked_at = None;
        Ok(None)
    }

    async fn begin(&self, log: LogId) -> Result<Box<dyn ComplianceUnit>, PortError> {
        let origin = Origin::system(ComplianceId::new(&*self.ports.ids), "cut_segments");
        self.ports.units.begin(TenantScope::of(log.tenant), &origin).await
    }

    /// The leaves of a file, all of them.
    async fn leaves(&self, log: LogId, first: u64) -> Result<Vec<Vec<u8>>, ComplianceError> {
        let end = first.saturating_add(SEGMENT_LEAVES_MAX);
        let (mut leaves, mut at) = (Vec::new(), first);
        while at < end {
            let mut tx = self.begin(log).await?;
            leaves.extend(tx.leaves(log.stream, at, end.min(at + LEAVES_AT_ONCE)).await?);
            at += LEAVES_AT_ONCE;
        }
        if u64::try_from(leaves.len()).ok() == Some(SEGMENT_LEAVES_MAX) {
            Ok(leaves)
        } else {
            Err(ComplianceError::Broken { stream: log.stream, size: end })
        }
    }

    async fn cut_next(&self, log: LogId, size: u64) -> Result<bool, ComplianceError> {
        let stream = log.stream;
        let mut tx = self.begin(log).await?;
        // What was thrown away is in no file any more.
        let gone = tx.pruned(stream).await?.map_or(0, |prune| prune.until);
        let first = tx.cut_until(stream).await?.max(gone.div_ceil(SEGMENT_LEAVES_MAX) * SEGMENT_LEAVES_MAX);
        let end = first.saturating_add(SEGMENT_LEAVES_MAX);
        if size < end {
            return Ok(false);
        }
        let broken = || ComplianceError::Broken { stream, size: end };
        let tiles = tiles_for_subtrees(first, end, size).map_err(|_| broken())?;
        let tiles = TileSet::new(tx.tiles(stream, &tiles).await?);
        drop(tx);
        let [node] = complete_subtrees(first, end)[..] else { return Err(broken()) };
        let root = tiles.node(node).ok_or_else(broken)?;
        let leaves = self.leaves(log, first).await?;
        let cut = self.ports.binder.cut(&folder(log.tenant, stream), (first, root), leaves).await?;
        let segment = cut.ok_or_else(broken)?;
        let mut tx = self.begin(log).await?;
        tx.add_segment(stream, &segment).await?;
        tx.commit().await?;
        Ok(true)
    }
}
