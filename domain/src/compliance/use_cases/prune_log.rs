//! Leaves that need not be kept any longer are thrown away, with what opens them. Their hashes stay, and so does every proof; what
//! is gone is said before it goes, signed.

use std::sync::Arc;

use chrono::TimeDelta;

use super::{
    super::{
        actions::PRUNE_LOG,
        log::{
            note::{Note, NoteSigner},
            prune::PruneStatement,
            tile::{TILE_WIDTH, TileSet, tiles_for_root},
        },
        ports::{
            ComplianceUnit, ComplianceUnits, DailySchedule, LogId, LogKeys, LogPruner, Prune, ReportBinder,
        },
    },
    ComplianceError, cut_segments, sequence,
};
use crate::kernel::{
    clock::{Clock, Timestamp},
    fault::PortError,
    ids::{ComplianceId, IdSource},
    outbox::{Origin, Party, Record, Stream},
    scope::TenantScope,
};

const PORT: &str = "compliance.prune_log";

/// The daily task.
const TASK: &str = "retention";

/// Tenants in one go, and for how long nobody else is given them.
const TENANTS: u32 = 16;
const LEASE_S: i64 = 600;

/// When it is tried again where it failed, in seconds.
const AGAIN_S: i64 = 3_600;

/// Leaves that are thrown away at once.
const LEAVES_AT_ONCE: u32 = 5_000;

/// What throwing leaves away is built from.
pub struct PrunerPorts {
    /// Transactions.
    pub units: Arc<dyn ComplianceUnits>,
    /// Whose turn it is.
    pub daily: Arc<dyn DailySchedule>,
    /// Keys that sign what is said.
    pub keys: Arc<dyn LogKeys>,
    /// Throws leaves away.
    pub pruner: Arc<dyn LogPruner>,
    /// Throws files of them away.
    pub binder: Arc<dyn ReportBinder>,
    /// How long each log is kept; those that are not here are for ever.
    pub keep: Vec<(Stream, TimeDelta)>,
    /// How long reports are kept, which may be made of files of leaves.
    pub keep_reports: TimeDelta,
    /// The host part of a log's origin.
    pub host: String,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identifiers.
    pub ids: Arc<dyn IdSource>,
}

/// Throws away what need not be kept any longer.
pub struct Pruner(PrunerPorts);

/// What came of a turn.
#[derive(Debug, Default)]
pub struct Pruned {
    /// Logs of which it was said that leaves are gone.
    pub logs: u32,
    /// Leaves that were thrown away.
    pub leaves: u64,
    /// Tenants whose turn broke off, and why. They have another one.
    pub faults: Vec<(TenantScope, ComplianceError)>,
}

impl Pruner {
    /// Takes its ports.
    pub const fn new(ports: PrunerPorts) -> Self {
        Self(ports)
    }

    /// Throws away what is due, of tenants whose turn it is.
    ///
    /// # Errors
    /// `Port`: it can't be said whose turn it is.
    pub async fn prune_logs(&self) -> Result<Pruned, ComplianceError> {
        let mut turn = Pruned::default();
        if self.0.keep.is_empty() {
            return Ok(turn);
        }
        let (now, lease) = (self.0.clock.now(), TimeDelta::seconds(LEASE_S));
        for scope in self.0.daily.claim_daily(TASK, now, TENANTS, lease).await? {
            let mut next = TimeDelta::days(1);
            for (stream, keep) in &self.0.keep {
                if let Err(error) = self.prune_log(scope, *stream, now - *keep, &mut turn).await {
                    turn.faults.push((scope, error));
                    next = TimeDelta::seconds(AGAIN_S);
                }
            }
            let mut tx = self.begin(scope).await?;
            tx.daily_done(TASK, now + next).await?;
            tx.commit().await?;
        }
        Ok(turn)
    }

    /// Throws away what a log has of before then. Killed half way, it goes on where it was the next time.
    ///
    /// # Errors
    /// `Broken`, `Port`.
    pub async fn prune_log(
        &self,
        scope: TenantScope,
        stream: Stream,
        before: Timestamp,
        turn: &mut Pruned,
    ) -> Result<(), ComplianceError> {
        let mut tx = self.begin(scope).await?;
        if let Some(prune) = self.say(&mut *tx, scope, stream, before).await? {
            tx.add_prune(stream, &prune).await?;
            let target = Party::new("tenant", scope.tenant().uuid());
            tx.record(Record { reason: Some(stream.as_str()), ..Record::success(PRUNE_LOG, target) }).await?;
            turn.logs += 1;
        }
        let said = tx.pruned(stream).await?;
        tx.commit().await?;
        let Some(prune) = said else { return Ok(()) };
        let log = LogId { tenant: scope.tenant(), stream };
        loop {
            let gone = self.0.pruner.prune(log, prune.until, LEAVES_AT_ONCE).await?;
            turn.leaves += u64::from(gone);
            if gone < LEAVES_AT_ONCE {
                break;
            }
        }
        // Reports that are there may be made of them.
        if prune.at + self.0.keep_reports < self.0.clock.now() {
            let mut tx = self.begin(scope).await?;
            let folder = cut_segments::folder(scope.tenant(), stream);
            for segment in tx.drop_segments(stream, prune.until).await? {
                self.0.binder.remove_segment(&folder, &segment).await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }

    /// What is to be said of a log: up to a head that was signed before then, whole tiles, and nothing while somebody's data must
    /// be kept. `None` when there is nothing new to say.
    async fn say(
        &self,
        tx: &mut dyn ComplianceUnit,
        scope: TenantScope,
        stream: Stream,
        before: Timestamp,
    ) -> Result<Option<Prune>, ComplianceError> {
        let Some(head) = tx.head_before(stream, before).await? else { return Ok(None) };
        let width = u64::from(TILE_WIDTH);
        let until = head.size / width * width;
        let known = tx.pruned(stream).await?.map_or(0, |prune| prune.until);
        if until <= known || tx.is_anything_held().await? {
            return Ok(None);
        }
        let broken = |_| ComplianceError::Broken { stream, size: until };
        let tiles = TileSet::new(tx.tiles(stream, &tiles_for_root(until)).await?);
        let root = tiles.root(until).map_err(broken)?;
        let origin = sequence::origin(&self.0.host, scope.tenant(), stream);
        let fault = |e| PortError::lasting(PORT, e);
        let signer = NoteSigner::from_seed(&origin, &*self.0.keys.seed(&scope).await?).map_err(fault)?;
        let statement = PruneStatement { origin, until, root };
        let note = Note::sign(statement.to_string(), &signer).map_err(fault)?.to_text();
        Ok(Some(Prune { until, root, note, at: self.0.clock.now() }))
    }

    async fn begin(&self, scope: TenantScope) -> Result<Box<dyn ComplianceUnit>, ComplianceError> {
        let origin = Origin::system(ComplianceId::new(&*self.0.ids), PRUNE_LOG.name);
        Ok(self.0.units.begin(scope, &origin).await?)
    }
}
