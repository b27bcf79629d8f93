//! How fast events get their indexes: the product's sequencer on the product's outbox, beside the plain INSERT of the
//! same rows into a table like the one the sequencer writes to.

use std::time::Instant;

use domain::{
    compliance::{
        Access, Sequencer, compose_access,
        ports::{AccessRecorder as _, PendingEvent},
    },
    kernel::{
        clock::Clock as _,
        ids::{ComplianceId, EventId, IdSource as _, TenantId},
        outbox::{Mfa, Origin, Outcome, Party},
        scope::TenantScope,
    },
};
use harness::stores::HarnessError;
use infra::{
    postgres::{Db, PoolSettings, recorder::PgAccessRecorder},
    system::System,
};
use sqlx::{Executor as _, PgConnection};

use crate::{
    goals::{Goal, rate},
    installation::Installation,
    machine::Watched,
    rounds::{ROUNDS, Sample, Series, order},
    seed::{TENANTS, tenant},
    table::Table,
};

/// Events of one round.
const EVENTS: u32 = 50_000;
/// Tenants they are of.
const LOGS: usize = 20;
/// Events the product's worker takes at a time.
const WORKER_BATCH: u32 = 1_024;
/// Events taken at a time where there are many.
const LARGE_BATCH: u32 = 10_000;
/// Events the product's access log writes at a time.
const RECORDER_BATCH: usize = 512;

const LIKE_LEAVES: &str = "CREATE TABLE public.bench_leaves (LIKE compliance.audit_leaves INCLUDING ALL)";

const INSERT: &str = "
    INSERT INTO public.bench_leaves
        (tenant_id, stream, index, event_id, compliance_id, type, outcome, actor_id, occurred_at, leaf, leaf_hash)
    SELECT t, 'access', i, e, c, y, o, a, w, l, sha256(l)
    FROM unnest($1::uuid[], $2::int8[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::uuid[],
        $8::timestamptz[], $9::bytea[]) AS r (t, i, e, c, y, o, a, w, l)";

/// Measures recording, sequencing and the plain INSERT.
///
/// # Errors
/// A store did not answer, or an event was left over.
pub(crate) async fn run(
    installation: &Installation,
    sequencer: &mut Sequencer,
) -> Result<(Table, Vec<Goal>), HarnessError> {
    let mut superuser = installation.superuser().await?;
    superuser.execute(LIKE_LEAVES).await?;
    let recorder = PgAccessRecorder::new(Db::connect(installation.recorder_url(), PoolSettings::default())?);
    let watched = installation.target(None)?.watched;
    drain(sequencer, WORKER_BATCH).await?;
    let mut series: [Series; 4] = std::array::from_fn(|_| Series(Vec::new()));
    for round in 0..ROUNDS {
        for at in order(round, 3) {
            let events = events()?;
            superuser.execute("TRUNCATE compliance.audit_outbox, public.bench_leaves").await?;
            if at == 2 {
                series[3].0.push(timed(&watched, insert(&mut superuser, &events)).await?);
                continue;
            }
            series[0].0.push(timed(&watched, record(&recorder, &events)).await?);
            let batch = if at == 0 { WORKER_BATCH } else { LARGE_BATCH };
            series[1 + at].0.push(timed(&watched, drain(sequencer, batch)).await?);
        }
    }
    Ok(told(&series))
}

fn told([recorded, worker, large, insert]: &[Series; 4]) -> (Table, Vec<Goal>) {
    let of_floor =
        |series: &Series| format!("{} of the INSERT", series.beside(insert, rate).percent().told("%"));
    let mut table = Table::of_events("Audit events: recorded and sequenced");
    table.events("plain INSERT, 1,024 rows a transaction", insert, "floor");
    table.events("sequencer, 1,024 at a time (as the worker does)", worker, &of_floor(worker));
    table.events("sequencer, 10,000 at a time", large, &of_floor(large));
    table.events("access log, 512 at a time", recorded, &of_floor(recorded));
    let wanted = [100_000.0, 200_000.0];
    let goal = Goal::at_least("sequencer, as the worker asks it", "events/s", wanted, worker.rounds(rate));
    (table, vec![goal])
}

/// How fast all [`EVENTS`] were dealt with.
async fn timed(
    watched: &Watched,
    work: impl Future<Output = Result<u32, HarnessError>>,
) -> Result<Sample, HarnessError> {
    let (before, began) = (watched.usage()?, Instant::now());
    let count = work.await?;
    let seconds = began.elapsed().as_secs_f64();
    let spent = watched.usage()?.since(&before);
    if count != EVENTS {
        return Err(format!("{count} of {EVENTS} events were dealt with").into());
    }
    let count = f64::from(count);
    Ok(Sample {
        per_s: count / seconds,
        p50_ms: None,
        p99_ms: None,
        server_us: 0.0,
        worker_us: spent.own * 1e6 / count,
        postgres_us: spent.postgres * 1e6 / count,
        redis_us: 0.0,
        foreign_cores: spent.foreign_cores,
    })
}

/// Sequences until nothing waits.
async fn drain(sequencer: &mut Sequencer, batch: u32) -> Result<u32, HarnessError> {
    let mut sum = 0;
    loop {
        match u32::try_from(sequencer.sequence(batch).await?.count)? {
            0 => return Ok(sum),
            count => sum += count,
        }
    }
}

async fn record(recorder: &PgAccessRecorder, events: &[PendingEvent]) -> Result<u32, HarnessError> {
    for batch in events.chunks(RECORDER_BATCH) {
        recorder.add(batch).await?;
    }
    Ok(u32::try_from(events.len())?)
}

async fn insert(superuser: &mut PgConnection, events: &[PendingEvent]) -> Result<u32, HarnessError> {
    let mut index = 0_i64;
    for batch in events.chunks(usize::try_from(WORKER_BATCH)?) {
        let indexes: Vec<i64> = batch.iter().zip(index..).map(|(_, index)| index).collect();
        index += i64::try_from(batch.len())?;
        sqlx::query(INSERT)
            .bind(batch.iter().map(|e| e.tenant.uuid()).collect::<Vec<_>>())
            .bind(indexes)
            .bind(batch.iter().map(|e| e.id.uuid()).collect::<Vec<_>>())
            .bind(batch.iter().map(|e| e.compliance_id.uuid()).collect::<Vec<_>>())
            .bind(batch.iter().map(|e| e.type_name.as_str()).collect::<Vec<_>>())
            .bind(batch.iter().map(|e| e.outcome.as_str()).collect::<Vec<_>>())
            .bind(batch.iter().map(|e| e.actor).collect::<Vec<_>>())
            .bind(batch.iter().map(|e| e.occurred_at).collect::<Vec<_>>())
            .bind(batch.iter().map(|e| e.leaf.as_slice()).collect::<Vec<_>>())
            .execute(&mut *superuser)
            .await?;
    }
    Ok(u32::try_from(index)?)
}

/// Access events as requests leave them, of all the tenants in turn.
fn events() -> Result<Vec<PendingEvent>, HarnessError> {
    let tenants: Vec<TenantId> = TENANTS.take(LOGS).map(tenant).collect::<Result<_, _>>()?;
    tenants.iter().cycle().zip(0..EVENTS).map(|(tenant, _)| event(*tenant)).collect()
}

fn event(tenant: TenantId) -> Result<PendingEvent, HarnessError> {
    let (id, compliance_id, now) = (EventId::new(&System), ComplianceId::new(&System), System.now());
    let member = System.next_uuid();
    let origin = Origin {
        actor: Party::new("member", member),
        session: Some(System.next_uuid()),
        mfa: Some(Mfa::NotEnrolled),
        ..Origin::system(compliance_id, "members")
    };
    let access = Access {
        method: "POST".to_owned(),
        route: "/graphql".to_owned(),
        status: 200,
        duration_us: 1_234,
        client_ref: None,
        outcome: Outcome::Success,
        reason: None,
    };
    let leaf = compose_access(TenantScope::of(tenant), &origin, access, id, now).to_leaf()?;
    Ok(PendingEvent {
        tenant,
        id,
        compliance_id,
        type_name: "access".to_owned(),
        outcome: Outcome::Success,
        actor: Some(member),
        occurred_at: now,
        leaf,
    })
}
