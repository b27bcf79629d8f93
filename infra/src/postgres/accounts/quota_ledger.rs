//! `accounts.quota_uses`, written: the ledger of platforms' quotas.
//!
//! Counting a call is a step in memory; what was counted is written together, one statement for a tenant, every second and
//! when the process ends. A transaction for each call would cost more than the call's own bookkeeping, and the one that there
//! is anyway, of the post that is worked on, is rolled back when its turn is lost, while the platform has counted all the
//! same. What a process that is killed takes along is a second of counts; that the platform said "used up" is said again with
//! the next call. Rows are added to, so processes count beside each other and none overwrites another. When the outcome of a
//! commit is lost, what was in it is counted again: the ledger may then say that more was used than was, never less.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::{
    accounts::model::{QuotaOwner, QuotaRule, QuotaTally, QuotaUse},
    kernel::{
        clock::{Clock, Timestamp},
        fault::PortError,
        ids::{AccountId, AppId, TenantId},
        scope::TenantScope,
    },
};
use sea_orm::ConnectionTrait as _;
use uuid::Uuid;

use super::quotas::{uses_of_accounts, uses_of_apps};
use crate::{
    outbound::{Call, CallCounter, Judgement, TryEnd},
    postgres::{error::orm_error, pool::Db, scope::TenantTx},
};

const PORT: &str = "postgres.quota_ledger";

/// Adds what was counted, in the order of the key, so that processes never wait for each other in a circle. What is counted
/// for an account that is not there any more is left out. $1 tenant, $2 accounts, $3 beginnings, $4 quotas, $5 endpoints,
/// $6 apps, $7 to $9 counts, $10 when it was used up, 1970 for never.
const ADD: &str = "
    INSERT INTO accounts.quota_uses AS kept
        (tenant_id, account_id, begins_at, quota, endpoint, app_id, answered, done, unsure, used_up_at)
    SELECT $1, c.account_id, c.begins_at, c.quota, c.endpoint, c.app_id, c.answered, c.done, c.unsure,
           nullif(c.used_up_at, 'epoch')
    FROM unnest($2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::uuid[], $7::bigint[], $8::bigint[], $9::bigint[],
                $10::timestamptz[])
        AS c (account_id, begins_at, quota, endpoint, app_id, answered, done, unsure, used_up_at)
    JOIN accounts.accounts AS a ON a.tenant_id = $1 AND a.id = c.account_id
    ORDER BY c.account_id, c.begins_at, c.quota, c.endpoint
    ON CONFLICT (tenant_id, account_id, begins_at, quota, endpoint) DO UPDATE SET
        answered = kept.answered + excluded.answered, done = kept.done + excluded.done,
        unsure = kept.unsure + excluded.unsure, used_up_at = GREATEST(kept.used_up_at, excluded.used_up_at)";

/// Which row something is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    tenant: TenantId,
    account: AccountId,
    begins_at: Timestamp,
    quota: &'static str,
    endpoint: &'static str,
    app: AppId,
}

type Rows = BTreeMap<Row, QuotaTally>;

/// How a quota of a platform stands for the owner that has used most of it, of those this process called for in the period
/// that is now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuotaFigure {
    /// The platform.
    pub platform: &'static str,
    /// The quota's name.
    pub quota: &'static str,
    /// The most that an owner used.
    pub used: u64,
    /// How much each owner may use, where the platform publishes it.
    pub limit: Option<u32>,
    /// The least share that an owner has left, from 0 to 1; `None` where nobody can tell.
    pub remaining_ratio: Option<f64>,
}

/// Who has used how much, in which period.
type Standings = HashMap<(&'static str, &'static str), HashMap<Uuid, (Timestamp, QuotaTally)>>;

/// Counts calls against quotas, and writes down what was counted.
pub struct PgQuotaLedger {
    db: Db,
    rules: Vec<(&'static str, &'static [QuotaRule])>,
    clock: Arc<dyn Clock>,
    counted: Mutex<Rows>,
    standings: Mutex<Standings>,
}

/// Locks even what somebody panicked over: counts are whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn add(rows: &mut Rows, more: impl IntoIterator<Item = (Row, QuotaTally)>) {
    for (row, tally) in more {
        let sum = rows.entry(row).or_default();
        *sum = sum.and(tally);
    }
}

/// What a try adds to a quota's row.
fn tally(rule: &QuotaRule, end: TryEnd, now: Timestamp) -> QuotaTally {
    let nothing = QuotaTally::default();
    match end {
        TryEnd::Unsure => QuotaTally { unsure: 1, ..nothing },
        TryEnd::Answered(Judgement::Done) => QuotaTally { answered: 1, done: 1, ..nothing },
        TryEnd::Answered(Judgement::Refused(kind)) if rule.used_up_by == Some(kind) => {
            QuotaTally { used_up_at: Some(now), ..nothing }
        }
        TryEnd::Answered(Judgement::Refused(_) | Judgement::Unclear) => QuotaTally { answered: 1, ..nothing },
    }
}

impl CallCounter for PgQuotaLedger {
    fn count(&self, call: &Call, end: TryEnd) {
        // What is asked in nobody's name, as for tokens, has no quota that anybody publishes.
        let Some(account) = call.account else { return };
        let (platform, endpoint, app) = (call.line.platform, call.line.endpoint, call.line.app);
        let now = self.clock.now();
        let rules = self.rules.iter().filter(|(name, _)| *name == platform).flat_map(|(_, rules)| *rules);
        let of_this = rules.filter(|rule| rule.endpoints.contains(&endpoint));
        let counted = of_this.filter_map(|rule| {
            let begins_at = rule.period.around(now)?.begins_at;
            let row =
                Row { tenant: call.scope.tenant(), account, begins_at, quota: rule.name, endpoint, app };
            Some((row, tally(rule, end, now)))
        });
        add(&mut lock(&self.counted), counted);
    }
}

impl PgQuotaLedger {
    /// Writes to `db` by the rules of each platform.
    pub fn new(db: Db, rules: Vec<(&'static str, &'static [QuotaRule])>, clock: Arc<dyn Clock>) -> Self {
        Self { db, rules, clock, counted: Mutex::default(), standings: Mutex::default() }
    }

    /// Writes down what was counted. What could not be written is kept for the next time.
    ///
    /// # Errors
    /// The first fault; other tenants' counts are tried all the same.
    pub async fn write(&self) -> Result<(), PortError> {
        let counted = std::mem::take(&mut *lock(&self.counted));
        let mut tenants: BTreeMap<TenantId, Rows> = BTreeMap::new();
        for (row, tally) in counted {
            tenants.entry(row.tenant).or_default().insert(row, tally);
        }
        let mut first_fault = None;
        for (tenant, rows) in tenants {
            if let Err(fault) = self.write_of(TenantScope::of(tenant), &rows).await {
                add(&mut lock(&self.counted), rows);
                first_fault.get_or_insert(fault);
            }
        }
        first_fault.map_or(Ok(()), Err)
    }

    async fn write_of(&self, scope: TenantScope, rows: &Rows) -> Result<(), PortError> {
        let tx = TenantTx::begin(&self.db, scope).await?;
        let stored = |of: fn(&QuotaTally) -> u64| -> Vec<i64> {
            rows.values().map(|tally| i64::try_from(of(tally)).unwrap_or(i64::MAX)).collect()
        };
        let words = |of: fn(&Row) -> &'static str| -> Vec<String> {
            rows.keys().map(|row| of(row).to_owned()).collect()
        };
        let values = [
            scope.tenant().uuid().into(),
            rows.keys().map(|row| row.account.uuid()).collect::<Vec<_>>().into(),
            rows.keys().map(|row| row.begins_at).collect::<Vec<_>>().into(),
            words(|row| row.quota).into(),
            words(|row| row.endpoint).into(),
            rows.keys().map(|row| row.app.uuid()).collect::<Vec<_>>().into(),
            stored(|tally| tally.answered).into(),
            stored(|tally| tally.done).into(),
            stored(|tally| tally.unsure).into(),
            rows.values().map(|tally| tally.used_up_at.unwrap_or_default()).collect::<Vec<_>>().into(),
        ];
        tx.execute_raw(TenantTx::statement(ADD, values)).await.map_err(|e| orm_error(PORT, e))?;
        let standings = self.read(&tx, rows).await?;
        tx.commit().await?;
        let mut kept = lock(&self.standings);
        for (rule, owner, used) in standings {
            kept.entry(rule).or_default().insert(owner, (used.begins_at, used.tally));
        }
        drop(kept);
        Ok(())
    }

    /// How the owners of these rows stand now, all processes' counts together.
    async fn read(
        &self,
        tx: &TenantTx,
        rows: &Rows,
    ) -> Result<Vec<((&'static str, &'static str), Uuid, QuotaUse)>, PortError> {
        let Some(since) = rows.keys().map(|row| row.begins_at).min() else { return Ok(Vec::new()) };
        let apps: Vec<_> = rows.keys().map(|row| row.app).collect();
        let accounts: Vec<_> = rows.keys().map(|row| row.account).collect();
        let of_apps = uses_of_apps(tx, &apps, since).await?;
        let of_accounts = uses_of_accounts(tx, &accounts, since).await?;
        let of_apps = of_apps.into_iter().map(|(app, uses)| (QuotaOwner::App, app.uuid(), uses));
        let of_accounts =
            of_accounts.into_iter().map(|(account, uses)| (QuotaOwner::Account, account.uuid(), uses));
        let mut standings = Vec::new();
        for (owner, id, kept) in of_apps.chain(of_accounts) {
            for used in kept {
                let named = |rule: &&QuotaRule| rule.name == used.quota && rule.owner == owner;
                let rule = self.rules.iter().find_map(|(platform, rules)| {
                    rules.iter().find(named).map(|rule| (*platform, rule.name))
                });
                if let Some(rule) = rule {
                    standings.push((rule, id, used));
                }
            }
        }
        Ok(standings)
    }

    /// How each quota stands that somebody was called for in its period.
    pub fn figures(&self) -> Vec<QuotaFigure> {
        let now = self.clock.now();
        let mut standings = lock(&self.standings);
        let mut figures = Vec::new();
        for (platform, rule) in
            self.rules.iter().flat_map(|(name, rules)| rules.iter().map(|rule| (*name, rule)))
        {
            let Some(span) = rule.period.around(now) else { continue };
            let Some(owners) = standings.get_mut(&(platform, rule.name)) else { continue };
            owners.retain(|_, (begins_at, _)| *begins_at >= span.begins_at);
            let tallies = || owners.values().map(|(_, tally)| tally);
            let Some(used) = tallies().map(|tally| rule.used(tally)).max() else { continue };
            let remaining = tallies().filter_map(|tally| rule.remaining(tally)).min();
            figures.push(QuotaFigure {
                platform,
                quota: rule.name,
                used,
                limit: rule.limit,
                remaining_ratio: remaining.map(|left| ratio(left, rule.limit)),
            });
        }
        figures
    }
}

/// What is left, as a share; of a limit that nobody knows, nothing or all.
fn ratio(left: u64, limit: Option<u32>) -> f64 {
    let left = f64::from(u32::try_from(left).unwrap_or(u32::MAX));
    limit.filter(|limit| *limit > 0).map_or(left.min(1.0), |limit| left / f64::from(limit))
}

impl std::fmt::Debug for PgQuotaLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PgQuotaLedger").finish_non_exhaustive()
    }
}
