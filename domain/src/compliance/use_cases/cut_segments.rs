//! Files of the range are made long before anybody asks for a report: most of a bundle is then copied and not made.

use std::sync::Arc;

use report_bundle::names::SEGMENT_LEAVES_MAX;

use super::{
    super::{
        log::{
            merkle::complete_subtrees,
            tile::{TileSet, tiles_for_subtrees},
        },
        ports::{ComplianceUnits, LogId, LogReader, ReportBinder},
    },
    ComplianceError,
};
use crate::kernel::{
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

/// Makes files of the range as soon as their leaves are all there.
pub struct Cutter {
    /// Which logs are long enough.
    pub logs: Arc<dyn LogReader>,
    /// Transactions.
    pub units: Arc<dyn ComplianceUnits>,
    /// Makes files, and keeps them.
    pub binder: Arc<dyn ReportBinder>,
    /// Identifiers.
    pub ids: Arc<dyn IdSource>,
}

impl Cutter {
    /// Makes the next file of each log that has leaves for one, and says how many were made. Two who do so at once make the
    /// same.
    ///
    /// # Errors
    /// `Broken` when leaves are not those of the log's tiles: the log is to be checked; `Port`.
    pub async fn cut_segments(&self) -> Result<u32, ComplianceError> {
        let mut made = 0;
        for (log, size) in self.logs.long_logs(SEGMENT_LEAVES_MAX).await? {
            made += u32::from(self.cut_next(log, size).await?);
        }
        Ok(made)
    }

    async fn cut_next(&self, log: LogId, size: u64) -> Result<bool, ComplianceError> {
        let (scope, stream) = (TenantScope::of(log.tenant), log.stream);
        let origin = Origin::system(ComplianceId::new(&*self.ids), "cut_segments");
        let mut tx = self.units.begin(scope, &origin).await?;
        let first = tx.cut_until(stream).await?;
        let end = first.saturating_add(SEGMENT_LEAVES_MAX);
        if size < end {
            return Ok(false);
        }
        let broken = || ComplianceError::Broken { stream, size: end };
        let tiles = tiles_for_subtrees(first, end, size).map_err(|_| broken())?;
        let tiles = TileSet::new(tx.tiles(stream, &tiles).await?);
        drop(tx);
        let mut leaves = Vec::new();
        let mut at = first;
        while at < end {
            let mut tx = self.units.begin(scope, &origin).await?;
            leaves.extend(tx.leaves(stream, at, end.min(at + LEAVES_AT_ONCE)).await?);
            at += LEAVES_AT_ONCE;
        }
        if u64::try_from(leaves.len()).ok() != Some(SEGMENT_LEAVES_MAX) {
            return Err(broken());
        }
        let cut = self.binder.cut(&folder(log.tenant, stream), first, leaves).await?;
        let segment = cut.ok_or_else(broken)?;
        let roots: Vec<_> = complete_subtrees(first, end).into_iter().map(|node| tiles.node(node)).collect();
        if roots != [Some(segment.root)] {
            return Err(broken());
        }
        let mut tx = self.units.begin(scope, &origin).await?;
        tx.add_segment(stream, &segment).await?;
        tx.commit().await?;
        Ok(true)
    }
}
