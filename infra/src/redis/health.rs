//! How calls to platforms go, told by each process to all others: workers call, and others are asked.
//!
//! What a process says of a tenant is one field of the hash of the minute, so that a process that has ended is forgotten
//! with its minutes, and nothing has to be cleared away.

use std::{collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::{
    accounts::{
        model::{LATENCY_PLACES, LineReport, LineState, ProcessReport},
        ports::HealthBoard,
    },
    kernel::{
        clock::{Clock, Timestamp},
        fault::PortError,
        ids::{AppId, IdSource},
        platform::PlatformKey,
        scope::TenantScope,
    },
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::connection::Redis;
use crate::outbound::{BreakerState, LineStatus, OutboundWatch};

/// The form below. Counted up when an older release would misread it: what is of another is left out.
const VERSION: u32 = 1;

/// How long what a process said is believed, in seconds: some of the pauses between.
const FRESH_S: i64 = 15;

/// How long a minute's hash is kept, in seconds.
const KEPT_S: i64 = 180;

/// [`HealthBoard`] on Redis, and what this process says there.
pub struct RedisHealthBoard {
    redis: Redis,
    process: Uuid,
    clock: Arc<dyn Clock>,
}

#[derive(Serialize, Deserialize)]
struct Said {
    /// Version.
    v: u32,
    /// Milliseconds since 1970.
    at_ms: i64,
    lines: Vec<SaidLine>,
}

#[derive(Serialize, Deserialize)]
struct SaidLine {
    platform: String,
    app: Uuid,
    endpoint: String,
    state: String,
    open_until_ms: Option<i64>,
    calls: u32,
    failed: u32,
    took: Vec<u32>,
    waiting: u32,
}

fn said(line: &LineStatus, now: Timestamp) -> SaidLine {
    let until = |rest| TimeDelta::from_std(rest).ok().map(|rest| (now + rest).timestamp_millis());
    SaidLine {
        platform: line.line.platform.to_owned(),
        app: line.line.app.uuid(),
        endpoint: line.line.endpoint.to_owned(),
        state: line.state.as_str().to_owned(),
        open_until_ms: line.shut_for.and_then(until),
        calls: line.calls,
        failed: line.failed,
        took: line.took.to_vec(),
        waiting: line.waiting,
    }
}

/// What a line says; `None` when it is in no form of ours.
fn heard(line: SaidLine) -> Option<LineReport> {
    let states = [
        (BreakerState::Closed, LineState::Closed),
        (BreakerState::HalfOpen, LineState::HalfOpen),
        (BreakerState::Open, LineState::Open),
    ];
    let state = states.into_iter().find(|(state, _)| state.as_str() == line.state)?.1;
    Some(LineReport {
        platform: PlatformKey::parse(&line.platform).ok()?,
        app: AppId::from_uuid(line.app),
        endpoint: line.endpoint,
        state,
        open_until: line.open_until_ms.and_then(Timestamp::from_timestamp_millis),
        calls: line.calls,
        failed: line.failed,
        took: <[u32; LATENCY_PLACES]>::try_from(line.took).ok()?,
        waiting: line.waiting,
    })
}

fn report(process: &str, text: &[u8]) -> Option<ProcessReport> {
    let said: Said = serde_json::from_slice(text).ok().filter(|said: &Said| said.v == VERSION)?;
    Some(ProcessReport {
        process: Uuid::try_parse(process).ok()?,
        as_of: Timestamp::from_timestamp_millis(said.at_ms)?,
        lines: said.lines.into_iter().map(heard).collect::<Option<_>>()?,
    })
}

const fn minute(at: Timestamp) -> i64 {
    at.timestamp().div_euclid(60)
}

impl RedisHealthBoard {
    /// On `redis`, under a name of this process's own.
    pub fn new(redis: Redis, ids: &dyn IdSource, clock: Arc<dyn Clock>) -> Self {
        Self { redis, process: ids.next_uuid(), clock }
    }

    /// Says how this process's calls go, for each tenant it calls for. Nothing is said of others.
    ///
    /// # Errors
    /// Redis is away. The next time says all there is.
    pub async fn tell(&self, watch: &OutboundWatch) -> Result<(), PortError> {
        const PORT: &str = "redis.health.tell";
        let now = self.clock.now();
        let mut pipeline = redis::pipe();
        let tenants = watch.by_tenant();
        if tenants.is_empty() {
            return Ok(());
        }
        for lines in tenants.into_values() {
            let Some(scope) = lines.first().map(|line| line.scope) else { continue };
            let said = Said {
                v: VERSION,
                at_ms: now.timestamp_millis(),
                lines: lines.iter().map(|line| said(line, now)).collect(),
            };
            let text = serde_json::to_vec(&said).map_err(|e| PortError::lasting(PORT, e))?;
            let key = self.redis.keys().outbound(&scope, minute(now));
            pipeline.hset(&key, self.process.simple().to_string(), text).ignore();
            pipeline.expire(&key, KEPT_S).ignore();
        }
        let mut manager = self.redis.manager();
        self.redis.within(PORT, async move { pipeline.exec_async(&mut manager).await }).await
    }
}

#[async_trait]
impl HealthBoard for RedisHealthBoard {
    async fn reports(&self, scope: &TenantScope) -> Result<Vec<ProcessReport>, PortError> {
        let now = self.clock.now();
        let this = minute(now);
        let mut pipeline = redis::pipe();
        // The newest last. Processes' clocks differ: one may be in the next minute already.
        for minute in [this - 1, this, this + 1] {
            pipeline.hgetall(self.redis.keys().outbound(scope, minute));
        }
        let mut manager = self.redis.manager();
        let minutes: Vec<BTreeMap<String, Vec<u8>>> = self
            .redis
            .within("redis.health.reports", async move { pipeline.query_async(&mut manager).await })
            .await?;
        let mut newest: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for said in minutes {
            newest.extend(said);
        }
        let reports = newest.iter().filter_map(|(process, text)| report(process, text));
        let fresh = |report: &ProcessReport| (now - report.as_of).num_seconds().abs() < FRESH_S;
        Ok(reports.filter(fresh).collect())
    }
}

impl fmt::Debug for RedisHealthBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisHealthBoard").field("process", &self.process).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::kernel::ids::TenantId;

    use super::*;
    use crate::outbound::Line;

    #[test]
    fn what_is_said_is_heard_and_what_is_of_another_form_is_not() {
        let app = AppId::from_uuid(Uuid::from_u128(2));
        let line = LineStatus {
            scope: TenantScope::of(TenantId::from_uuid(Uuid::from_u128(1))),
            line: Line { platform: "somewhere", app, endpoint: "list" },
            state: BreakerState::Open,
            shut_for: Some(Duration::from_secs(4)),
            calls: 9,
            failed: 5,
            took: [1; LATENCY_PLACES],
            waiting: 3,
        };
        let said = Said { v: VERSION, at_ms: 60_000, lines: vec![said(&line, Timestamp::UNIX_EPOCH)] };
        let text = serde_json::to_string(&said).unwrap();
        let process = Uuid::from_u128(7).simple().to_string();
        let heard = report(&process, text.as_bytes()).unwrap();
        assert_eq!((heard.process, minute(heard.as_of)), (Uuid::from_u128(7), 1));
        let expected = LineReport {
            platform: PlatformKey::parse("somewhere").unwrap(),
            app,
            endpoint: "list".to_owned(),
            state: LineState::Open,
            open_until: Timestamp::from_timestamp(4, 0),
            calls: 9,
            failed: 5,
            took: [1; LATENCY_PLACES],
            waiting: 3,
        };
        assert_eq!(heard.lines, [expected]);
        for strange in [
            text.replace("\"v\":1", "\"v\":2"),
            text.replace("\"open\"", "\"ajar\""),
            text.replace("\"took\":[1,", "\"took\":["),
            String::new(),
        ] {
            assert_eq!(report(&process, strange.as_bytes()), None, "{strange}");
        }
        assert_eq!(report("nobody", text.as_bytes()), None);
    }
}
