//! Claims of accounts' turns, as the product's worker asks for them, beside graphile-worker on the same cluster.
//!
//! A turn is more than a job: whoever has it holds all of an account's posts, tenants have them in turn, it lapses when it
//! is not extended, and it has a number that every later write is checked against. It is given back in a transaction of its
//! tenant, under row-level security. A job is one row that is taken, locked for hours, and deleted.

use std::{sync::Arc, time::Duration};

use api::app::App;
use chrono::TimeDelta;
use domain::{
    kernel::{ids::ComplianceId, outbox::Origin},
    publishing::ports::{Turn, TurnSchedule as _},
    work::UnitOfWork,
};
use harness::stores::HarnessError;
use infra::{
    postgres::{Db, PgTurnSchedule, PoolSettings},
    system::System,
};
use sqlx::{Executor as _, PgConnection};
use tokio::{sync::watch, task::JoinSet, time::Instant};
use uuid::Uuid;

use crate::{
    goals::{Goal, rate},
    growth,
    installation::Installation,
    machine::Watched,
    queue::{Queue, Setting},
    rounds::{ROUNDS, Sample, Series, order},
    seed::{TENANTS, tenant},
    table::Table,
};

/// Turns that are due at the same instant.
const ITEMS: u32 = 10_000;

/// Accounts of each tenant.
const ACCOUNTS: i32 = 200;

/// How long a claim lasts; nothing measured takes as long.
pub(crate) const LEASE: TimeDelta = TimeDelta::seconds(60);

/// Accounts that the product's worker works for at the same time by default (`publishing.width`).
const WIDTH: u32 = 16;

/// Most time all turns may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// $1 tenants, $2 accounts of each. Two accounts of a tenant are never due at the same instant.
const DUE: &str = "
    INSERT INTO publishing.account_turns (tenant, account, due_at, leased_until, fence)
    SELECT t, md5(t::text || n)::uuid, now() - interval '1 minute' + make_interval(secs => n / 1e4), '-infinity', 0
    FROM unnest($1::uuid[]) AS t, generate_series(1, $2) AS n";

/// What is measured, in its order.
const WAYS: [Way; 8] = [
    Way::Claims(WIDTH),
    Way::Claims(500),
    Way::Turns(WIDTH),
    Way::Turns(100),
    Way::Turns(500),
    Way::Worker,
    Way::Peer(Setting { concurrency: WIDTH, local_queue: 0 }),
    Way::Peer(Setting { concurrency: 24, local_queue: 500 }),
];

#[derive(Clone, Copy, Debug)]
enum Way {
    /// Claims of so many, nothing given back.
    Claims(u32),
    /// So many turns at a time: claimed as places are free, and given back.
    Turns(u32),
    /// The product's worker, where nothing is to be posted.
    Worker,
    /// graphile-worker.
    Peer(Setting),
}

/// Measures claims, and how they grow.
///
/// # Errors
/// A store did not answer, the peer is not installed, or a turn was left over.
pub(crate) async fn run(
    installation: &Installation,
    app: &Arc<App>,
) -> Result<(Vec<Table>, Vec<Goal>), HarnessError> {
    let mut superuser = installation.superuser().await?;
    let schedule = PgTurnSchedule::new(Db::connect(installation.app_url(), PoolSettings::default())?);
    let claims = Claims { installation, app, schedule, watched: installation.target(None)?.watched };
    let mut series: [Series; WAYS.len()] = std::array::from_fn(|_| Series(Vec::new()));
    for round in 0..ROUNDS {
        for at in order(round, WAYS.len()) {
            eprintln!("measuring: claim, {:?}", WAYS[at]);
            series[at].0.push(claims.measure(WAYS[at], &mut superuser).await?);
        }
    }
    let (table, mut goals) = told(&series);
    superuser.execute("TRUNCATE publishing.account_turns").await?;
    let (grown, more) = Box::pin(growth::run(&claims.schedule, app, &mut superuser)).await?;
    goals.extend(more);
    Ok((vec![table, grown], goals))
}

/// What claims are made with.
struct Claims<'a> {
    installation: &'a Installation,
    app: &'a Arc<App>,
    schedule: PgTurnSchedule,
    watched: Watched,
}

impl Claims<'_> {
    async fn measure(&self, way: Way, superuser: &mut PgConnection) -> Result<Sample, HarnessError> {
        superuser.execute("TRUNCATE publishing.account_turns").await?;
        if let Way::Peer(setting) = way {
            return self.peer(setting).await;
        }
        due(superuser).await?;
        let (before, began) = (self.watched.usage()?, Instant::now());
        match way {
            Way::Claims(most) => self.claims(most).await?,
            Way::Turns(width) => self.turns(width).await?,
            Way::Worker => self.worker(superuser).await?,
            Way::Peer(_) => {}
        }
        let seconds = began.elapsed().as_secs_f64();
        let spent = self.watched.usage()?.since(&before);
        let is_over = !matches!(way, Way::Claims(_));
        all_done(superuser, is_over).await?;
        let sample = Sample::of_items(ITEMS, seconds, &spent);
        Ok(Sample { worker_us: spent.own * 1e6 / f64::from(ITEMS), ..sample })
    }

    async fn peer(&self, setting: Setting) -> Result<Sample, HarnessError> {
        let database = self.installation.owner_url();
        let mut queue = Queue::start(database, ITEMS, setting, &self.installation.dir).await?;
        let watched = Watched { server: queue.pid(), ..self.watched };
        let before = watched.usage()?;
        let seconds = queue.work().await?;
        let spent = watched.usage()?.since(&before);
        let sample = Sample::of_items(ITEMS, seconds, &spent);
        Ok(Sample { worker_us: sample.server_us, ..sample })
    }

    async fn claims(&self, most: u32) -> Result<(), HarnessError> {
        while !self.schedule.claim(most, LEASE).await?.is_empty() {}
        Ok(())
    }

    /// As the product's worker does: as many are claimed as places are free.
    async fn turns(&self, width: u32) -> Result<(), HarnessError> {
        let mut under_way: JoinSet<Result<(), HarnessError>> = JoinSet::new();
        let places = usize::try_from(width)?;
        loop {
            let free = u32::try_from(places - under_way.len())?;
            let claimed = self.schedule.claim(free, LEASE).await?;
            if claimed.is_empty() && under_way.is_empty() {
                return Ok(());
            }
            for turn in claimed {
                under_way.spawn(give_back(Arc::clone(&self.app.units), turn));
            }
            if let Some(ended) = under_way.join_next().await {
                ended??;
            }
            while let Some(ended) = under_way.try_join_next() {
                ended??;
            }
        }
    }

    async fn worker(&self, superuser: &mut PgConnection) -> Result<(), HarnessError> {
        const LEFT: &str = "SELECT EXISTS (SELECT FROM publishing.account_turns WHERE due_at < 'infinity')";
        let (publishing, metrics) = (Arc::clone(&self.app.publishing), Arc::clone(&self.app.metrics));
        let (stop, stopping) = watch::channel(false);
        let worker = tokio::spawn(api::worker::publish_posts(publishing, metrics, WIDTH, stopping));
        let deadline = Instant::now() + PATIENCE;
        while sqlx::query_scalar(LEFT).fetch_one(&mut *superuser).await? {
            if Instant::now() >= deadline {
                return Err("the worker did not use all turns in time".into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.send(true)?;
        Ok(worker.await?)
    }
}

/// Gives a turn back as the worker does when nothing is due any more.
async fn give_back(units: Arc<dyn UnitOfWork>, turn: Turn) -> Result<(), HarnessError> {
    let origin = Origin::system(ComplianceId::new(&System), "claim");
    let mut work = units.begin(turn.scope, &origin).await?;
    work.hold_turn(&turn, LEASE).await?.ok_or("a turn was taken away")?;
    work.end_turn(&turn, None, None).await?;
    Ok(work.commit().await?)
}

/// The tenants' ids.
///
/// # Errors
/// Never in practice.
pub(crate) fn tenants() -> Result<Vec<Uuid>, HarnessError> {
    TENANTS.map(|number| Ok(tenant(number)?.uuid())).collect()
}

async fn due(superuser: &mut PgConnection) -> Result<(), HarnessError> {
    sqlx::query(DUE).bind(tenants()?).bind(ACCOUNTS).execute(&mut *superuser).await?;
    superuser.execute("VACUUM (ANALYZE) publishing.account_turns").await?;
    superuser.execute("CHECKPOINT").await?;
    Ok(())
}

/// Refuses a run that claimed a turn twice or not at all, or left one.
async fn all_done(superuser: &mut PgConnection, is_over: bool) -> Result<(), HarnessError> {
    const COUNT: &str = "
        SELECT count(*), min(fence), max(fence), count(*) FILTER (WHERE due_at = 'infinity')
        FROM publishing.account_turns";
    let (count, least, most, over): (i64, i64, i64, i64) = sqlx::query_as(COUNT).fetch_one(superuser).await?;
    let wanted = if is_over { count } else { 0 };
    if (count, least, most, over) == (i64::from(ITEMS), 1, 1, wanted) {
        Ok(())
    } else {
        Err(format!("{over} of {count} turns are over, each was claimed {least} to {most} times").into())
    }
}

fn told(series: &[Series; WAYS.len()]) -> (Table, Vec<Goal>) {
    let [claims, large_claims, turns, wide, wider, worker, single, batched] = series;
    let mut table = Table::of_items("Claims: 10,000 accounts' turns due at once, 50 tenants");
    let beside = |series: &Series| {
        let (single, batched) = (series.beside(single, rate), series.beside(batched, rate));
        format!("{} of the peer one by one, {} of it in batches", single.told("x"), batched.told("x"))
    };
    table.events("turns claimed, 16 a claim, none given back", claims, "-");
    table.events("turns claimed, 500 a claim, none given back", large_claims, "-");
    table.events("turns claimed and given back, 16 at a time (as the worker does)", turns, &beside(turns));
    table.events("the same, 100 at a time", wide, &beside(wide));
    table.events("the same, 500 at a time", wider, &beside(wider));
    table.events("the product's worker, 16 at a time, nothing to post", worker, &beside(worker));
    table.events("graphile-worker, no-op jobs, 16 at a time", single, "peer");
    table.events("graphile-worker, 24 at a time, local queue of 500, ended in batches", batched, "peer");
    let work = "turns claimed and given back, as the worker does";
    let goals = vec![
        Goal::at_least(work, "items/s", [40_000.0, 80_000.0], turns.rounds(rate)),
        Goal::at_least(
            "the same beside graphile-worker with a local queue",
            "x",
            [1.0, 1.0],
            turns.beside(batched, rate),
        ),
    ];
    (table, goals)
}
