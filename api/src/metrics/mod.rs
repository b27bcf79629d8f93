//! Figures about the service, in the Prometheus text form. Names are fixed: dashboards and alerts depend on them. No
//! label holds an address or anything a client wrote, and one figure alone holds a tenant's id: how late its posts are,
//! which each tenant is promised, for a bounded number of tenants.

mod labels;

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use transport::{DocumentUse, OutputRecord};
use uuid::Uuid;

pub use labels::{
    BreakerLabels, DependencyLabels, DocumentLabels, EndpointLabels, HeldLabels, LimiterLabels,
    OutboundLabels, OutputLabels, OverdueLabels, PostLabels, QuotaLabels, ReportLabels, TenantLabels,
    TokenLabels, TranscodeLabels, UploadLabels,
};

/// Which door, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AnswerLabels {
    /// `graphql`, `websocket`, `sse` or `http`.
    pub door: &'static str,
    /// `ok`, or the error's code in lower case.
    pub outcome: &'static str,
}

/// Which command, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CommandLabels {
    /// The action's name.
    pub action: &'static str,
    /// `success`, `refused` or `failure`.
    pub outcome: &'static str,
}

/// Which call to which key provider, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct KeyCallLabels {
    /// The provider's name.
    pub provider: String,
    /// `wrap` or `unwrap`.
    pub call: &'static str,
    /// `success` or `failure`.
    pub outcome: &'static str,
}

/// What a witness said.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct WitnessLabels {
    /// `cosigned`, `later`, `ahead`, `disagrees`, `refused`, `wrong` or `away`.
    pub answer: &'static str,
}

/// Who outside vouches for heads of the platform's log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AttesterLabels {
    /// `rfc3161`, or `evm-` and the chain's number.
    pub attester: String,
}

/// All figures.
pub struct Metrics {
    registry: Registry,
    /// `matricula_answers_total`: answers given.
    pub answers: Family<AnswerLabels, Counter>,
    /// `matricula_answer_duration_seconds`: from the request's head to the finished answer.
    pub answer_duration_s: Histogram,
    /// `matricula_commands_total`: commands done or refused.
    pub commands: Family<CommandLabels, Counter>,
    /// `matricula_access_log_waiting`: access events not yet written.
    pub access_log_waiting: Gauge,
    /// `matricula_access_log_lost_total`: answers of health and unknown routes that were not taken down.
    pub access_log_lost: Counter,
    /// `matricula_audit_waiting`: audit events without an index.
    pub audit_waiting: Gauge,
    /// `matricula_audit_lag_seconds`: age of the oldest of them.
    pub audit_lag_s: Gauge<f64, AtomicU64>,
    /// `matricula_audit_sequenced_total`: audit events given an index by this process.
    pub audit_sequenced: Counter,
    /// `matricula_audit_differences`: findings of the last check of all logs by this process.
    pub audit_differences: Gauge,
    /// `matricula_audit_verified_timestamp_seconds`: when this process last checked all logs to their ends, in seconds since
    /// 1970; 0 when it has not.
    pub audit_verified_at_s: Gauge,
    /// `matricula_platform_log_size`: leaves under the head of the platform's log that this process signed last.
    pub platform_log_size: Gauge,
    /// `matricula_platform_log_refused`: 1 while this process refuses to sign, as the log is not the one it signed before.
    pub platform_log_refused: Gauge,
    /// `matricula_platform_log_witnessed`: leaves under the newest head that enough witnesses cosigned.
    pub platform_log_witnessed: Gauge,
    /// `matricula_witness_answers_total`: what witnesses said when they were asked.
    pub witness_answers: Family<WitnessLabels, Counter>,
    /// `matricula_attestation_lag_seconds`: for how long a head of the platform's log has waited for those outside who vouch for
    /// it.
    pub attestation_lag_s: Family<AttesterLabels, Gauge>,
    /// `matricula_platform_log_turn_timestamp_seconds`: when this process last looked for new heads and all was well, in
    /// seconds since 1970.
    pub platform_log_turned_at_s: Gauge,
    /// `matricula_database_connections`: open connections of the application's pool.
    pub database_connections: Gauge,
    /// `matricula_dependency_up`: 1 when a dependency answered last time.
    pub dependency_up: Family<DependencyLabels, Gauge>,
    /// `matricula_limiter_total`: what the rate limiter's layers did beside answering.
    pub limiter: Family<LimiterLabels, Counter>,
    /// `matricula_documents_total`: queries run, by what was known of their documents.
    pub documents: Family<DocumentLabels, Counter>,
    /// `matricula_output_total`: values of answers that can be written out, by whether they were, or had been for
    /// another reader.
    pub output: Family<OutputLabels, Counter>,
    /// `matricula_streams`: subscriptions open.
    pub streams: Gauge,
    /// `matricula_key_provider_calls_total`: calls to key providers, by how they ended.
    pub key_provider_calls: Family<KeyCallLabels, Counter>,
    /// `matricula_tokens_total`: what the pool's turns on accounts came to.
    pub tokens: Family<TokenLabels, Counter>,
    /// `matricula_token_journal`: renewed tokens that this machine could not get into the store yet.
    pub token_journal: Gauge,
    /// `matricula_uploads_total`: what came of files that were sent.
    pub uploads: Family<UploadLabels, Counter>,
    /// `matricula_transcodes_total`: what came of files that were made of others.
    pub transcodes: Family<TranscodeLabels, Counter>,
    /// `matricula_reports_total`: what came of reports for auditors.
    pub reports: Family<ReportLabels, Counter>,
    /// `matricula_segments_cut_total`: files of logs that lie ready for reports.
    pub segments_cut: Counter,
    /// `matricula_changes_told_late_total`: transactions that changed rows and did not tell the log; it was told afterwards.
    pub changes_told_late: Counter,
    /// `matricula_changes_untold_seconds`: how long the oldest change of a row has waited to be told to the log.
    pub changes_untold_s: Gauge<f64, AtomicU64>,
    /// `matricula_erasures_unkept_seconds`: how long the oldest erasure has waited to be written down outside of the database.
    pub erasures_unkept_s: Gauge<f64, AtomicU64>,
    /// `matricula_tenant_end_overdue_seconds`: for how long the end of some tenant that is closed has been due.
    pub tenant_end_overdue_s: Gauge<f64, AtomicU64>,
    /// `matricula_records_made_total`: versions of records of processing that were made.
    pub records_made: Counter,
    /// `matricula_record_faults_total`: records of processing that could not be made.
    pub record_faults: Counter,
    /// `matricula_posts_total`: steps that posts took.
    pub posts: Family<PostLabels, Counter>,
    /// `matricula_post_turns_waiting`: accounts that something is due for and nobody works for, counted up to 10,000.
    pub post_turns_waiting: Gauge,
    /// `matricula_post_turns_lag_seconds`: for how long the first of them waits.
    pub post_turns_lag_s: Gauge<f64, AtomicU64>,
    /// `matricula_post_lateness_seconds`: from the time a post is planned for until the platform took it.
    pub post_lateness_s: Histogram,
    /// `matricula_post_lateness_tenant_seconds`: the same of each tenant.
    post_lateness_tenant_s: Family<TenantLabels, Histogram, fn() -> Histogram>,
    /// The tenants that have a figure of their own.
    tenants: Mutex<HashSet<Uuid>>,
    /// `matricula_post_accounts_held`: accounts whose posts wait until somebody does something.
    pub post_accounts_held: Family<HeldLabels, Gauge>,
    /// `matricula_posts_overdue`: posts that wait for something that should have come by now, counted up to 10,000.
    pub posts_overdue: Family<OverdueLabels, Gauge>,
    /// `matricula_outbound_total`: calls to platforms, by how they ended.
    pub outbound: Family<OutboundLabels, Counter>,
    /// `matricula_outbound_breakers`: apps whose calls to an endpoint this process lets through, or not.
    pub outbound_breakers: Family<BreakerLabels, Gauge>,
    /// `matricula_outbound_waiting`: calls to an endpoint that wait for their turn in this process.
    pub outbound_waiting: Family<EndpointLabels, Gauge>,
    /// `matricula_quota_used`: the most that an owner of a quota used of it, of those this process called for.
    pub quota_used: Family<QuotaLabels, Gauge>,
    /// `matricula_quota_limit`: how much each owner of a quota may use, where the platform publishes it.
    pub quota_limit: Family<QuotaLabels, Gauge>,
    /// `matricula_quota_remaining_ratio`: the least share of a quota that an owner has left; 0 when the platform says that
    /// there is no more.
    pub quota_remaining_ratio: Family<QuotaLabels, Gauge<f64, AtomicU64>>,
    /// `matricula_outbound_duration_seconds`: time of a call to a platform, all its tries together.
    pub outbound_duration_s: Histogram,
}

/// Tenants that have a figure of their own in one process: each takes as many lines as a histogram has.
const TENANTS_MAX: usize = 200;

impl Default for Metrics {
    fn default() -> Self {
        // 1 ms to 10 s: the promise is 800 ms at p99.
        let buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 10.0];
        let mut metrics = Self {
            registry: Registry::with_prefix("matricula"),
            answers: Family::default(),
            answer_duration_s: Histogram::new(buckets),
            commands: Family::default(),
            access_log_waiting: Gauge::default(),
            access_log_lost: Counter::default(),
            audit_waiting: Gauge::default(),
            audit_lag_s: Gauge::default(),
            audit_sequenced: Counter::default(),
            audit_differences: Gauge::default(),
            audit_verified_at_s: Gauge::default(),
            platform_log_size: Gauge::default(),
            platform_log_refused: Gauge::default(),
            platform_log_witnessed: Gauge::default(),
            witness_answers: Family::default(),
            attestation_lag_s: Family::default(),
            platform_log_turned_at_s: Gauge::default(),
            database_connections: Gauge::default(),
            dependency_up: Family::default(),
            limiter: Family::default(),
            documents: Family::default(),
            output: Family::default(),
            streams: Gauge::default(),
            key_provider_calls: Family::default(),
            tokens: Family::default(),
            token_journal: Gauge::default(),
            uploads: Family::default(),
            transcodes: Family::default(),
            reports: Family::default(),
            changes_told_late: Counter::default(),
            changes_untold_s: Gauge::default(),
            erasures_unkept_s: Gauge::default(),
            tenant_end_overdue_s: Gauge::default(),
            records_made: Counter::default(),
            record_faults: Counter::default(),
            segments_cut: Counter::default(),
            posts: Family::default(),
            post_turns_waiting: Gauge::default(),
            post_turns_lag_s: Gauge::default(),
            post_lateness_s: lateness(),
            post_lateness_tenant_s: Family::new_with_constructor(lateness),
            tenants: Mutex::default(),
            post_accounts_held: Family::default(),
            posts_overdue: Family::default(),
            outbound: Family::default(),
            outbound_breakers: Family::default(),
            outbound_waiting: Family::default(),
            quota_used: Family::default(),
            quota_limit: Family::default(),
            quota_remaining_ratio: Family::default(),
            outbound_duration_s: Histogram::new([0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 10.0, 30.0]),
        };
        let m = &mut metrics;
        let r = &mut m.registry;
        r.register("answers", "Answers given, by door and outcome", m.answers.clone());
        r.register("answer_duration_seconds", "Time to an answer", m.answer_duration_s.clone());
        r.register("commands", "Commands, by action and outcome", m.commands.clone());
        r.register("access_log_lost", "Answers not taken down", m.access_log_lost.clone());
        r.register("access_log_waiting", "Access events not yet written", m.access_log_waiting.clone());
        r.register("database_connections", "Open connections to Postgres", m.database_connections.clone());
        r.register("dependency_up", "Whether a dependency answered last time", m.dependency_up.clone());
        r.register("limiter", "What the rate limiter did beside answering", m.limiter.clone());
        r.register("documents", "Queries run, by what was known of their documents", m.documents.clone());
        r.register("output", "Values of answers, written out, sent as they had been written for another reader, or left to the library, and batched fields asked for one object alone", m.output.clone());
        r.register("streams", "Subscriptions open", m.streams.clone());
        r.register(
            "key_provider_calls",
            "Calls to key providers, by how they ended",
            m.key_provider_calls.clone(),
        );
        r.register("tokens", "Turns of the pool on accounts' tokens, by result", m.tokens.clone());
        r.register(
            "token_journal",
            "Renewed tokens that did not get into the store yet",
            m.token_journal.clone(),
        );
        r.register("uploads", "What came of files that were sent", m.uploads.clone());
        r.register("transcodes", "What came of files made of others", m.transcodes.clone());
        m.register_posts();
        m.register_audit();
        m.register_outbound();
        metrics
    }
}

fn lateness() -> Histogram {
    Histogram::new([0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0])
}

impl Metrics {
    /// How late a post of a tenant was.
    pub fn observe_lateness(&self, tenant: Uuid, late: Duration) {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let is_told = tenants.len() < TENANTS_MAX && tenants.insert(tenant) || tenants.contains(&tenant);
        drop(tenants);
        let tenant = if is_told { tenant.to_string() } else { "others".to_owned() };
        self.post_lateness_tenant_s.get_or_create(&TenantLabels { tenant }).observe(late.as_secs_f64());
    }

    /// Registers what is told of posts.
    fn register_posts(&mut self) {
        let m = self;
        let r = &mut m.registry;
        r.register("posts", "Steps that posts took", m.posts.clone());
        r.register(
            "post_turns_waiting",
            "Accounts that something is due for and nobody works for, counted up to 10000",
            m.post_turns_waiting.clone(),
        );
        r.register(
            "post_turns_lag_seconds",
            "For how long the first of them waits",
            m.post_turns_lag_s.clone(),
        );
        r.register(
            "post_lateness_seconds",
            "From the time a post is planned for until the platform took it",
            m.post_lateness_s.clone(),
        );
        r.register(
            "post_lateness_tenant_seconds",
            "The same of each tenant",
            m.post_lateness_tenant_s.clone(),
        );
        r.register(
            "post_accounts_held",
            "Accounts whose posts wait until somebody does something",
            m.post_accounts_held.clone(),
        );
        r.register(
            "posts_overdue",
            "Posts that wait for something that should have come by now",
            m.posts_overdue.clone(),
        );
    }

    /// Registers what is told of the audit logs.
    fn register_audit(&mut self) {
        let m = self;
        let r = &mut m.registry;
        r.register(
            "audit_waiting",
            "Audit events without an index, counted up to 10000",
            m.audit_waiting.clone(),
        );
        r.register(
            "audit_lag_seconds",
            "Age of the oldest audit event without an index",
            m.audit_lag_s.clone(),
        );
        r.register("audit_sequenced", "Audit events given an index", m.audit_sequenced.clone());
        r.register("reports", "What came of reports for auditors", m.reports.clone());
        r.register("segments_cut", "Files of logs that were made ready for reports", m.segments_cut.clone());
        r.register(
            "changes_untold_seconds",
            "How long the oldest change of a row has waited to be told to the audit log",
            m.changes_untold_s.clone(),
        );
        r.register(
            "changes_told_late",
            "Transactions that changed rows and did not tell the log, which was told afterwards",
            m.changes_told_late.clone(),
        );
        r.register("records_made", "Versions of records of processing made", m.records_made.clone());
        r.register("record_faults", "Records of processing that could not be made", m.record_faults.clone());
        r.register(
            "erasures_unkept_seconds",
            "How long the oldest erasure has waited to be written down outside of the database",
            m.erasures_unkept_s.clone(),
        );
        r.register(
            "tenant_end_overdue_seconds",
            "How long the end of some tenant that is closed has been due",
            m.tenant_end_overdue_s.clone(),
        );
        r.register(
            "audit_differences",
            "What the last check found logs to be that they should not be",
            m.audit_differences.clone(),
        );
        r.register(
            "audit_verified_timestamp_seconds",
            "When all logs were last checked to their ends, since 1970",
            m.audit_verified_at_s.clone(),
        );
        r.register(
            "platform_log_size",
            "Leaves under the newest head that was signed",
            m.platform_log_size.clone(),
        );
        r.register(
            "platform_log_refused",
            "Whether signing is refused, as the log was put back",
            m.platform_log_refused.clone(),
        );
        r.register(
            "platform_log_witnessed",
            "Leaves under the newest head that enough witnesses cosigned",
            m.platform_log_witnessed.clone(),
        );
        r.register("witness_answers", "What witnesses said", m.witness_answers.clone());
        r.register(
            "attestation_lag_seconds",
            "How long a head has waited to be vouched for",
            m.attestation_lag_s.clone(),
        );
        r.register(
            "platform_log_turn_timestamp_seconds",
            "When new heads were last looked for, since 1970",
            m.platform_log_turned_at_s.clone(),
        );
    }

    /// Registers what is told of calls to platforms.
    fn register_outbound(&mut self) {
        let m = self;
        let r = &mut m.registry;
        r.register("outbound", "Calls to platforms, by how they ended", m.outbound.clone());
        r.register(
            "outbound_breakers",
            "Apps whose calls are let through, or not, by this process",
            m.outbound_breakers.clone(),
        );
        r.register("outbound_waiting", "Calls that wait for their turn", m.outbound_waiting.clone());
        r.register("quota_used", "The most that an owner used of a quota", m.quota_used.clone());
        r.register("quota_limit", "How much an owner may use of a quota", m.quota_limit.clone());
        r.register(
            "quota_remaining_ratio",
            "The least share of a quota that an owner has left",
            m.quota_remaining_ratio.clone(),
        );
        r.register("outbound_duration_seconds", "Time of calls to platforms", m.outbound_duration_s.clone());
    }

    /// Counts something the rate limiter did.
    pub fn limit(&self, event: &'static str) {
        self.limiter.get_or_create(&LimiterLabels { event }).inc();
    }

    /// Counts how a query was answered, or a value of a subscription sent.
    pub fn note_output(&self, output: OutputRecord) {
        let document = output.document.map(|document| match document {
            DocumentUse::Known => "known",
            DocumentUse::Rechecked => "rechecked",
            DocumentUse::New => "new",
        });
        if let Some(document) = document {
            self.documents.get_or_create(&DocumentLabels { document }).inc();
        }
        let written = output.written.saturating_sub(output.reused);
        let ways =
            [("written", written), ("reused", output.reused), ("left", output.left), ("alone", output.alone)];
        for (way, values) in ways {
            self.output.get_or_create(&OutputLabels { way }).inc_by(values.into());
        }
    }

    /// The text of `/metrics`.
    ///
    /// # Errors
    /// Never in practice: writing to a string does not fail.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
