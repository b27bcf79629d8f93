//! The way out to platforms, and what is kept of what goes out: which quotas were used, and how calls go.

use std::{collections::HashSet, sync::Arc, time::Duration};

use api::metrics::{BreakerLabels, EndpointLabels, Metrics, OutboundLabels, QuotaLabels};
use infra::{
    layers::FallbackRateLimiter,
    outbound::{
        BreakerState, EgressRoutes, OutboundEvent, OutboundSettings, OutboundWatch, Transport, outbound,
    },
    postgres::{Db, PgQuotaLedger},
    redis::{Redis, RedisHealthBoard},
    system::System,
};
use tokio::sync::watch;

use crate::{config::Config, wiring::StartupError};

/// How often counts are written down: what a process that is killed takes along.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// Longest the last counts may take to be written when stopping.
const LAST_WRITE: Duration = Duration::from_secs(5);

/// What is kept of calls to platforms.
pub struct Bookkeeping {
    /// Where processes say how their calls go.
    pub board: Arc<RedisHealthBoard>,
    ledger: Arc<PgQuotaLedger>,
    watch: OutboundWatch,
}

/// Every state a breaker may be in.
const STATES: [BreakerState; 3] = [BreakerState::Closed, BreakerState::HalfOpen, BreakerState::Open];

/// Figures told before, which are to be taken back when nothing is to be told of them any more.
#[derive(Default)]
struct Told {
    lines: HashSet<EndpointLabels>,
    quotas: HashSet<QuotaLabels>,
}

impl Bookkeeping {
    /// The one way out to platforms, and the books about it.
    pub(crate) fn open(
        config: &Config,
        limiter: &Arc<FallbackRateLimiter>,
        metrics: &Arc<Metrics>,
        (db, redis): (&Db, &Redis),
    ) -> Result<(Arc<dyn Transport>, Self), StartupError> {
        let egress = &config.egress;
        let settings = OutboundSettings {
            connect_timeout: egress.connect_timeout,
            total_timeout: egress.timeout,
            egress: EgressRoutes { default: egress.proxy.clone(), tenants: egress.tenants.clone() },
            ..OutboundSettings::default()
        };
        let rules = infra::platforms::quota_rules();
        let ledger = Arc::new(PgQuotaLedger::new(db.clone(), rules, Arc::new(System)));
        let metrics = metrics.clone();
        let observer = Arc::new(move |event| note(&metrics, event));
        let (transport, watch) = outbound(settings, limiter.clone(), ledger.clone(), observer)?;
        let board = Arc::new(RedisHealthBoard::new(redis.clone(), &System, Arc::new(System)));
        Ok((transport, Self { board, ledger, watch }))
    }

    /// Writes down and tells what there is, until `stop` turns true.
    pub(crate) async fn keep(self: Arc<Self>, metrics: Arc<Metrics>, mut stop: watch::Receiver<bool>) {
        let mut told = Told::default();
        while !*stop.borrow() {
            if let Err(fault) = self.ledger.write().await {
                tracing::warn!(port = fault.port, error = %fault.source, "what was used of quotas was not written down");
            }
            // That Redis is away is told by other figures, and whoever asks for these is told so.
            if let Err(fault) = self.board.tell(&self.watch).await {
                tracing::debug!(error = %fault.source, "others were not told how calls go");
            }
            self.show(&metrics, &mut told);
            let _ = tokio::time::timeout(WRITE_EVERY, stop.changed()).await;
        }
    }

    /// Writes down what the last calls used: nothing is called any more.
    pub(crate) async fn finish(&self) {
        if !matches!(tokio::time::timeout(LAST_WRITE, self.ledger.write()).await, Ok(Ok(()))) {
            tracing::warn!("what the last calls used of quotas was not written down");
        }
    }

    fn show(&self, metrics: &Metrics, told: &mut Told) {
        let lines = self.watch.lines();
        let labels = |line: &infra::outbound::LineStatus| EndpointLabels {
            platform: line.line.platform,
            endpoint: line.line.endpoint,
        };
        told.lines.extend(lines.iter().map(labels));
        for endpoint in &told.lines {
            let of_this = || lines.iter().filter(|line| labels(line) == *endpoint);
            for state in STATES {
                let (platform, endpoint) = (endpoint.platform, endpoint.endpoint);
                let labels = BreakerLabels { platform, endpoint, state: state.as_str() };
                let count = of_this().filter(|line| line.state == state).count();
                metrics
                    .outbound_breakers
                    .get_or_create(&labels)
                    .set(i64::try_from(count).unwrap_or(i64::MAX));
            }
            let waiting = of_this().map(|line| i64::from(line.waiting)).sum();
            metrics.outbound_waiting.get_or_create(endpoint).set(waiting);
        }
        let mut shown = HashSet::new();
        for figure in self.ledger.figures() {
            let labels = QuotaLabels { platform: figure.platform, quota: figure.quota };
            metrics.quota_used.get_or_create(&labels).set(i64::try_from(figure.used).unwrap_or(i64::MAX));
            if let Some(limit) = figure.limit {
                metrics.quota_limit.get_or_create(&labels).set(limit.into());
            }
            match figure.remaining_ratio {
                Some(ratio) => {
                    metrics.quota_remaining_ratio.get_or_create(&labels).set(ratio);
                }
                None => {
                    metrics.quota_remaining_ratio.remove(&labels);
                }
            }
            shown.insert(labels);
        }
        // Of yesterday's quotas nothing is said today.
        for labels in told.quotas.difference(&shown) {
            metrics.quota_used.remove(labels);
            metrics.quota_limit.remove(labels);
            metrics.quota_remaining_ratio.remove(labels);
        }
        told.quotas = shown;
    }
}

/// Counts what happened to a call.
fn note(metrics: &Metrics, event: OutboundEvent) {
    let labels = |platform, endpoint, outcome| OutboundLabels { platform, endpoint, outcome };
    let labels = match event {
        OutboundEvent::Ended { platform, endpoint, outcome, duration } => {
            metrics.outbound_duration_s.observe(duration.as_secs_f64());
            labels(platform, endpoint, outcome)
        }
        OutboundEvent::Retried { platform, endpoint } => labels(platform, endpoint, "retried"),
        OutboundEvent::Breaker { platform, endpoint, state } => labels(platform, endpoint, state.as_str()),
    };
    metrics.outbound.get_or_create(&labels).inc();
}
