//! Platforms' quotas and what was used of them, and how calls to platforms go.

use async_graphql::{Context, Enum, ID, SimpleObject};
use chrono::{DateTime, Utc};
use domain::{
    accounts::model,
    kernel::ids::{AccountId, AppId},
};
use output::Output;

use crate::graphql::{
    command::app,
    error::ApiError,
    reading::reading,
    scalars::{Kind, global_id, id_of},
};

/// Who has to share a quota.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "model::QuotaOwner")]
pub enum QuotaOwner {
    /// All accounts of an app together.
    App,
    /// Each account by itself.
    Account,
}

/// For how long a quota is.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaPeriod {
    /// A day of the platform's.
    Day,
    /// A second.
    Second,
}

/// A quota of a platform, and what this tenant used of it through this installation, as it stands now.
#[derive(SimpleObject, Output, Clone)]
pub struct PlatformQuota {
    /// The platform, as `douyin`.
    platform: String,
    /// What it is called here: a fixed word.
    quota: String,
    /// What is counted against it, as figures name it.
    endpoints: Vec<String>,
    /// Who has to share it.
    owner: QuotaOwner,
    /// The app.
    app_id: ID,
    /// The account, where it is an account's.
    account_id: Option<ID>,
    /// For how long it is.
    period: QuotaPeriod,
    /// How much there is; null where the platform does not publish it.
    limit: Option<u32>,
    /// How much was used since the period began; null where that is not kept. Up to a second late.
    used: Option<u32>,
    /// Calls since then that were never answered: whether the platform counted them is not known.
    unsure: u32,
    /// What is left, as far as that is known: none once the platform said so, whatever was counted here.
    remaining: Option<u32>,
    /// When the period began.
    begins_at: Option<DateTime<Utc>>,
    /// When it ends, and all of the quota is there again.
    resets_at: Option<DateTime<Utc>>,
    /// Until when there is no more, where the platform said so.
    exhausted_until: Option<DateTime<Utc>>,
    /// Where the quota is written.
    source: String,
}

/// The greatest number that an `Int` has.
const INT_MAX: u32 = 0x7fff_ffff;

fn count(calls: u64) -> u32 {
    u32::try_from(calls).unwrap_or(INT_MAX).min(INT_MAX)
}

impl From<model::QuotaStanding> for PlatformQuota {
    fn from(standing: model::QuotaStanding) -> Self {
        let rule = standing.rule;
        Self {
            platform: standing.platform.as_str().to_owned(),
            quota: rule.name.to_owned(),
            endpoints: rule.endpoints.iter().map(|word| (*word).to_owned()).collect(),
            owner: rule.owner.into(),
            app_id: global_id(Kind::App, standing.app.uuid()),
            account_id: standing.account.map(|account| global_id(Kind::Account, account.uuid())),
            period: match rule.period {
                model::QuotaPeriod::Day { .. } => QuotaPeriod::Day,
                model::QuotaPeriod::Second => QuotaPeriod::Second,
            },
            limit: rule.limit,
            used: standing.used().map(count),
            unsure: count(standing.tally.unsure),
            remaining: standing.remaining().map(count),
            begins_at: standing.span.map(|span| span.begins_at),
            resets_at: standing.span.map(|span| span.ends_at),
            exhausted_until: standing.used_up_until(),
            source: rule.source.to_owned(),
        }
    }
}

/// The quotas of an app that its accounts share, or those that an account draws on; `None` when there is no such thing.
pub(super) async fn platform_quotas(
    ctx: &Context<'_>,
    app_id: Option<ID>,
    account_id: Option<ID>,
) -> Result<Option<Vec<PlatformQuota>>, ApiError> {
    let (actor, mut work) = reading(ctx, "platform_quotas").await?;
    let accounts = &app(ctx).accounts;
    let standings = match (app_id, account_id) {
        (Some(id), None) => {
            let id = AppId::from_uuid(id_of(Kind::App, &id)?);
            let Some(found) = accounts.app(&mut *work, &actor, id).await? else { return Ok(None) };
            accounts.quotas_of_app(&mut *work, &actor, &found).await?
        }
        (None, Some(id)) => {
            let id = AccountId::from_uuid(id_of(Kind::Account, &id)?);
            let Some(found) = accounts.account(&mut *work, &actor, id).await? else { return Ok(None) };
            let mut all = accounts.quotas_of(&mut *work, &actor, &[found]).await?;
            all.pop().unwrap_or_default()
        }
        _ => return Err(ApiError::bad_input("give appId or accountId, one of them")),
    };
    Ok(Some(standings.into_iter().map(Into::into).collect()))
}

/// Whether calls to a platform are let through. They are not, for a while, after most of them failed or took too long.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// They are.
    Closed,
    /// One at a time, to see.
    HalfOpen,
    /// They are not.
    Open,
    /// Nobody can tell: no process said anything lately, or where they say so did not answer.
    Unknown,
}

impl From<model::LineState> for BreakerState {
    fn from(state: model::LineState) -> Self {
        match state {
            model::LineState::Closed => Self::Closed,
            model::LineState::HalfOpen => Self::HalfOpen,
            model::LineState::Open => Self::Open,
        }
    }
}

/// How calls of an app to one endpoint go, as all processes of this installation say.
#[derive(SimpleObject, Output, Clone)]
pub struct EndpointHealth {
    /// The platform, as `douyin`.
    platform: String,
    /// The app.
    app_id: ID,
    /// What is called, as figures name it.
    endpoint: String,
    /// The worst that a process says.
    state: BreakerState,
    /// Until when the last of them lets no call through.
    open_until: Option<DateTime<Utc>>,
    /// Processes that say something.
    processes: u32,
    /// Those of them that let no call through, or only some to see.
    processes_not_closed: u32,
    /// Calls that ended in the last half minute.
    calls: u32,
    /// Calls of a thousand of them that failed; null when there were none.
    failed_permille: Option<u32>,
    /// How long 99 of 100 of them took at most, in milliseconds, rounded up to one of few steps; null when there were none, or
    /// when it was more than two minutes.
    p99_at_most_ms: Option<u32>,
    /// Calls that wait for their turn.
    waiting: u32,
    /// When the least recent of the processes said so.
    as_of: DateTime<Utc>,
}

impl From<model::LineHealth> for EndpointHealth {
    fn from(line: model::LineHealth) -> Self {
        Self {
            app_id: global_id(Kind::App, line.app.uuid()),
            platform: line.platform.as_str().to_owned(),
            state: line.state.into(),
            open_until: line.open_until,
            processes: line.processes,
            processes_not_closed: line.not_closed,
            calls: line.calls,
            failed_permille: line.failed_permille(),
            p99_at_most_ms: line.p99_ms,
            waiting: line.waiting,
            as_of: line.as_of,
            endpoint: line.endpoint,
        }
    }
}

/// How this tenant's calls to platforms go.
#[derive(SimpleObject, Output, Clone)]
pub struct PlatformHealth {
    /// The worst of all; UNKNOWN where nothing is known, which is no good news.
    state: BreakerState,
    /// Whether the place where processes say so did not answer, so that `endpoints` is empty whatever happens.
    is_degraded: bool,
    /// Processes that said something in the last moments. Those that called nothing lately say nothing.
    processes: u32,
    /// When the least recent of them did.
    as_of: Option<DateTime<Utc>>,
    /// By platform, app and endpoint.
    endpoints: Vec<EndpointHealth>,
}

pub(super) async fn platform_health(ctx: &Context<'_>) -> Result<PlatformHealth, ApiError> {
    let (actor, mut work) = reading(ctx, "platform_health").await?;
    let health = app(ctx).accounts.platform_health(&mut *work, &actor).await?;
    Ok(PlatformHealth {
        state: health.state().map_or(BreakerState::Unknown, Into::into),
        is_degraded: !health.is_known,
        processes: health.processes,
        as_of: health.as_of,
        endpoints: health.lines.into_iter().map(Into::into).collect(),
    })
}
