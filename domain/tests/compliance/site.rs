//! An installation's logs in memory.

use std::sync::Arc;

use domain::{
    compliance::{
        AuditProof, Compliance, ComplianceError, CompliancePorts, Sequenced, Sequencer, SequencerPorts,
        log::{note::VerifierKey, policy::LogPolicy, trust::TrustPolicy},
        ports::{LogId, SignedHead, Unsequenced},
        testkit::{Log, MemoryAudit, MemoryLogKeys, MemoryLogs},
    },
    identity::actions,
    kernel::{
        actor::{Actor, Principal},
        fault::PortError,
        ids::{ComplianceId, EventId, TenantId},
        outbox::{Origin, Outbox as _, Party, Record, Stream},
        scope::TenantScope,
        testkit::{Counted, FixedClock, ready},
    },
};

/// Memory adapters have nothing to wait for.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    ready(future).expect("waits for nothing")
}

pub(crate) struct Site {
    pub(crate) logs: MemoryLogs,
    pub(crate) keys: Arc<MemoryLogKeys>,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) ids: Arc<Counted>,
    pub(crate) compliance: Compliance,
}

pub(crate) const HOST: &str = "matricula.example";

pub(crate) fn actor(tenant: TenantId) -> Actor {
    Actor { tenant, principal: Principal::System }
}

impl Site {
    pub(crate) fn new() -> Self {
        let keys = Arc::<MemoryLogKeys>::default();
        let log_keys = Arc::<MemoryLogKeys>::clone(&keys);
        let compliance =
            Compliance::new(CompliancePorts { log_keys, trust: TrustPolicy::empty(), host: HOST.to_owned() });
        let (clock, ids) = (Arc::<FixedClock>::default(), Arc::<Counted>::default());
        Self { logs: MemoryLogs::default(), keys, clock, ids, compliance }
    }

    pub(crate) fn sequencer(&self) -> Sequencer {
        Sequencer::new(SequencerPorts {
            store: Arc::new(self.logs.clone()),
            keys: Arc::<MemoryLogKeys>::clone(&self.keys),
            clock: Arc::<FixedClock>::clone(&self.clock),
            host: HOST.to_owned(),
        })
    }

    /// Two tenants, in the order of their ids.
    pub(crate) fn two(&self) -> (TenantId, TenantId) {
        (TenantId::new(&*self.ids), TenantId::new(&*self.ids))
    }

    pub(crate) fn audit(&self, tenant: TenantId) -> MemoryAudit {
        self.audit_of(tenant, ComplianceId::new(&*self.ids))
    }

    pub(crate) fn audit_of(&self, tenant: TenantId, answer: ComplianceId) -> MemoryAudit {
        let (clock, ids) = (Arc::<FixedClock>::clone(&self.clock), Arc::<Counted>::clone(&self.ids));
        let origin = Origin::system(answer, "test");
        MemoryAudit::new(self.logs.clone(), TenantScope::of(tenant), origin, clock, ids)
    }

    /// Lets events of the Iam stream wait.
    pub(crate) fn happen(&self, tenant: TenantId, times: usize) {
        let mut audit = self.audit(tenant);
        for _ in 0..times {
            let party = Party::new("session", EventId::new(&*self.ids).uuid());
            now(audit.record(Record::success(actions::SIGN_OUT, party))).expect("is recorded");
        }
    }

    /// The event that came to wait last, taken away again.
    pub(crate) fn last_waiting(&self) -> Unsequenced {
        let mut last = None;
        self.logs.change(|logs| last = logs.waiting.pop());
        last.expect("one")
    }

    pub(crate) fn waiting(&self, tenant: TenantId) -> usize {
        self.logs.kept().waiting.iter().filter(|event| event.log.tenant == tenant).count()
    }

    pub(crate) fn log(&self, tenant: TenantId) -> Log {
        self.logs.kept().logs.remove(&LogId { tenant, stream: Stream::Iam }).unwrap_or_default()
    }

    pub(crate) fn size(&self, tenant: TenantId) -> u64 {
        self.log(tenant).heads.last().map_or(0, |head| head.size)
    }

    /// Whether a head is signed with the tenant's key, and says what it is kept as.
    pub(crate) fn is_signed(&self, tenant: TenantId, head: &SignedHead) -> bool {
        let keys = now(self.compliance.audit_verifier_keys(&actor(tenant), Stream::Iam)).expect("keys");
        let keys: Vec<_> = keys.iter().map(|key| VerifierKey::parse(key).expect("a key")).collect();
        let origin = format!("audit.{HOST}/t/{}/iam", tenant.uuid());
        let policy = LogPolicy::new(&origin, keys, Vec::new(), 0).expect("a sound policy");
        policy.open(head.note.as_bytes(), None).is_ok_and(|trusted| {
            (trusted.checkpoint.size(), trusted.checkpoint.root()) == (head.size, head.root)
        })
    }

    pub(crate) fn inclusion(
        &self,
        tenant: TenantId,
        event: EventId,
    ) -> Result<Option<AuditProof>, ComplianceError> {
        let (mut audit, actor) = (self.audit(tenant), actor(tenant));
        now(self.compliance.audit_inclusion_proof(&mut audit, &actor, event, None))
    }

    pub(crate) fn consistency(
        &self,
        tenant: TenantId,
        old: u64,
    ) -> Result<Option<AuditProof>, ComplianceError> {
        let (mut audit, actor) = (self.audit(tenant), actor(tenant));
        now(self.compliance.audit_consistency_proof(&mut audit, &actor, Stream::Iam, old, None))
    }
}

/// One turn.
pub(crate) fn turn(sequencer: &mut Sequencer, most: u32) -> Result<Sequenced, PortError> {
    now(sequencer.sequence(most))
}

/// Turns until nothing waits that can be taken; how many events it were.
pub(crate) fn drain(sequencer: &mut Sequencer, most: u32) -> usize {
    let mut sum = 0;
    loop {
        let done = turn(sequencer, most).expect("goes on");
        sum += done.count;
        if !done.more {
            return sum;
        }
    }
}
