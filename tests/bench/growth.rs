//! What a claim of turns and the search for an account's most urgent post cost as posts that wait become many.
//!
//! Sizes are built one upon the other and can't turn round as ways do; what a bare round trip takes is measured beside each,
//! so that a machine that got slower shows.

use std::sync::Arc;

use api::app::App;
use domain::{
    kernel::{
        clock::Clock as _,
        ids::{AccountId, ComplianceId, TenantId},
        outbox::Origin,
        scope::TenantScope,
    },
    publishing::ports::{Turn, TurnSchedule as _},
};
use harness::stores::HarnessError;
use infra::{postgres::PgTurnSchedule, system::System};
use sqlx::{Executor as _, PgConnection};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    claim::{LEASE, tenants},
    goals::Goal,
    rounds::{ROUNDS, Rounds, median},
    table::{Table, thousands},
};

/// Accounts that have a turn.
const ACCOUNTS: u32 = 10_000;
/// Posts that wait, of all those accounts together.
const POSTS: [u32; 3] = [10_000, 100_000, 1_000_000];
/// Posts that are added by one statement.
const AT_ONCE: u32 = 100_000;
/// Accounts, where they grow.
const MORE_ACCOUNTS: [u32; 2] = [100_000, 1_000_000];
/// Turns of one claim: `publishing.width`.
const WIDTH: u32 = 16;
/// Calls of each kind in a round.
const CALLS: u32 = 200;

/// $1 tenants. One plan each, of the tenant's own id.
const PLANS: &str = "
    INSERT INTO publishing.plans (tenant_id, id, name, upload_id, created_at)
    SELECT t, t, 'Bench', t, now() FROM unnest($1::uuid[]) AS t";

/// $1 tenants, $2 the first and $3 the last number of a post, $4 accounts. The first post of every account is due; those
/// after it an hour apart from now on.
const WAITING: &str = "
    INSERT INTO publishing.posts (tenant_id, id, plan_id, account_id, upload_id, caption, visibility, status, planned_at,
        due_at, holds_account, promised_at, progress, created_at, version)
    SELECT p.t, ('00000000-0000-7000-8000-' || lpad(to_hex(p.n), 12, '0'))::uuid, p.t, md5(p.t::text || p.account)::uuid,
        p.t, 'A caption as long as captions are, with a #word or two', 'public', 'waiting', p.at, p.at, false, p.at,
        '{}', now(), 1
    FROM (SELECT ($1::uuid[])[1 + n % cardinality($1)] AS t, n, (n % $4) / cardinality($1) AS account,
                 now() - interval '1 minute' + make_interval(hours => n / $4) AS at
          FROM generate_series($2, $3) AS n) AS p";

/// $1 tenants, $2 accounts. All are due, no two of a tenant at the same instant.
const TURNS: &str = "
    INSERT INTO publishing.account_turns (tenant, account, due_at, leased_until, fence)
    SELECT t, md5(t::text || n / cardinality($1))::uuid, now() - interval '1 hour' + make_interval(secs => n / 1e4),
        '-infinity', 0
    FROM (SELECT ($1::uuid[])[1 + n % cardinality($1)] AS t, n FROM generate_series(0, $2 - 1) AS n) AS p";

/// All are due later.
const LATER: &str = "UPDATE publishing.account_turns SET due_at = due_at + interval '1 day'";

/// Some are due now.
const SOON: &str = "
    UPDATE publishing.account_turns SET due_at = now() - interval '1 minute'
    WHERE (tenant, account) IN (SELECT tenant, account FROM publishing.account_turns LIMIT 16)";

/// Turns are nobody's again, and due then, no two of a tenant at the same instant. $1 tenants, $2 accounts, $3 when.
const PUT: &str = "
    UPDATE publishing.account_turns AS t
    SET due_at = $3::timestamptz + make_interval(secs => u.n / 1e4), leased_until = '-infinity'
    FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS u (tenant, account, n)
    WHERE t.tenant = u.tenant AND t.account = u.account";

/// All posts of the accounts numbered below $2 are due. $1 tenants.
const OVERDUE: &str = "
    UPDATE publishing.posts AS p SET due_at = p.due_at - interval '30 days'
    FROM unnest($1::uuid[]) AS t, generate_series(0, $2 - 1) AS n
    WHERE p.tenant_id = t AND p.account_id = md5(t::text || n)::uuid";

/// As before: no plans, no posts, no turns.
const EMPTY: &str = "TRUNCATE publishing.plans, publishing.account_turns CASCADE";

/// What was found at one size; in microseconds, the middle of each round's calls.
#[derive(Default)]
struct Found {
    /// A claim of 16 where all accounts are due.
    all_due: Vec<f64>,
    /// A claim of 16 where no others are due.
    few_due: Vec<f64>,
    /// A claim where nothing is due.
    idle: Vec<f64>,
    /// The search for an account's most urgent post.
    due_post: Vec<f64>,
    /// A bare round trip.
    trip: Vec<f64>,
}

/// Fills the database, measures at each size and empties it again.
///
/// # Errors
/// A store did not answer, or a claim did not give what was due.
pub(crate) async fn run(
    schedule: &PgTurnSchedule,
    app: &Arc<App>,
    superuser: &mut PgConnection,
) -> Result<(Table, Vec<Goal>), HarnessError> {
    let tenants = tenants()?;
    let mut growth = Growth { schedule, app, superuser, tenants };
    let found = Box::pin(growth.all()).await;
    growth.superuser.execute(EMPTY).await?;
    Ok(told(&found?))
}

struct Growth<'a> {
    schedule: &'a PgTurnSchedule,
    app: &'a Arc<App>,
    superuser: &'a mut PgConnection,
    tenants: Vec<Uuid>,
}

impl Growth<'_> {
    async fn all(&mut self) -> Result<Vec<(String, Found)>, HarnessError> {
        // What other parts were measured with.
        self.superuser.execute(EMPTY).await?;
        sqlx::query(PLANS).bind(&self.tenants).execute(&mut *self.superuser).await?;
        let mut all = Vec::new();
        let mut there = 0;
        for posts in POSTS {
            eprintln!("measuring: claim, {posts} posts");
            self.add_posts(there, posts).await?;
            there = posts;
            let mut found = self.claims(ACCOUNTS).await?;
            self.due_posts(&mut found).await?;
            all.push((format!("{} posts of {} accounts", whole(posts), whole(ACCOUNTS)), found));
        }
        sqlx::query(OVERDUE).bind(&self.tenants).bind(self.asked()?).execute(&mut *self.superuser).await?;
        self.superuser.execute("VACUUM (ANALYZE) publishing.posts").await?;
        let mut found = Found::default();
        self.due_posts(&mut found).await?;
        all.push(("the same, all 100 posts of the accounts that are asked for due".to_owned(), found));
        self.superuser.execute(EMPTY).await?;
        for accounts in MORE_ACCOUNTS {
            eprintln!("measuring: claim, {accounts} accounts");
            all.push((
                format!("turns of {} accounts, no posts", whole(accounts)),
                self.claims(accounts).await?,
            ));
        }
        Ok(all)
    }

    /// Accounts of each tenant whose most urgent posts are asked for.
    fn asked(&self) -> Result<i32, HarnessError> {
        Ok(i32::try_from(CALLS)? / i32::try_from(self.tenants.len())?)
    }

    async fn add_posts(&mut self, first: u32, end: u32) -> Result<(), HarnessError> {
        let mut from = first;
        while from < end {
            let until = end.min(from + AT_ONCE);
            let waiting = sqlx::query(WAITING).bind(&self.tenants).bind(i32::try_from(from)?);
            let waiting = waiting.bind(i32::try_from(until)? - 1).bind(i32::try_from(ACCOUNTS)?);
            waiting.execute(&mut *self.superuser).await?;
            // So that the log of all that was added is not kept beside it.
            self.superuser.execute("CHECKPOINT").await?;
            from = until;
        }
        self.superuser.execute("VACUUM (ANALYZE) publishing.posts").await?;
        Ok(())
    }

    async fn clean(&mut self) -> Result<(), HarnessError> {
        self.superuser.execute("VACUUM (ANALYZE) publishing.account_turns").await?;
        self.superuser.execute("CHECKPOINT").await?;
        Ok(())
    }

    /// Claims where all of so many accounts are due, where a few are, and where none is.
    async fn claims(&mut self, accounts: u32) -> Result<Found, HarnessError> {
        self.superuser.execute("TRUNCATE publishing.account_turns").await?;
        let turns = sqlx::query(TURNS).bind(&self.tenants).bind(i32::try_from(accounts)?);
        turns.execute(&mut *self.superuser).await?;
        self.clean().await?;
        let mut found = Found::default();
        for _ in 0..ROUNDS {
            found.all_due.push(self.all_due().await?);
            self.clean().await?;
        }
        self.superuser.execute(LATER).await?;
        self.clean().await?;
        for _ in 0..ROUNDS {
            found.few_due.push(self.few_due().await?);
            self.clean().await?;
            found.idle.push(self.idle().await?);
            found.trip.push(self.trips().await?);
        }
        Ok(found)
    }

    async fn all_due(&mut self) -> Result<f64, HarnessError> {
        let (mut all, mut used) = (Vec::new(), Vec::new());
        for _ in 0..CALLS {
            let (us, turns) = self.claim().await?;
            all.push(us);
            // As if used, so that the next claim is of others.
            self.put(&turns, "infinity").await?;
            used.extend(turns);
        }
        self.put(&used, "now").await?;
        Ok(median(all))
    }

    async fn few_due(&mut self) -> Result<f64, HarnessError> {
        self.superuser.execute(SOON).await?;
        let (mut all, mut used) = (Vec::new(), Vec::new());
        for _ in 0..CALLS {
            let (us, turns) = self.claim().await?;
            all.push(us);
            self.put(&turns, "yesterday").await?;
            used = turns;
        }
        self.put(&used, "tomorrow").await?;
        Ok(median(all))
    }

    async fn idle(&self) -> Result<f64, HarnessError> {
        let mut all = Vec::new();
        for _ in 0..CALLS {
            let began = Instant::now();
            let claimed = self.schedule.claim(WIDTH, LEASE).await?;
            all.push(us(began));
            if !claimed.is_empty() {
                return Err("a turn was claimed that is not due".into());
            }
        }
        Ok(median(all))
    }

    async fn claim(&self) -> Result<(f64, Vec<Turn>), HarnessError> {
        let began = Instant::now();
        let turns = self.schedule.claim(WIDTH, LEASE).await?;
        let us = us(began);
        if turns.len() == usize::try_from(WIDTH)? {
            Ok((us, turns))
        } else {
            Err(format!("{} turns were claimed", turns.len()).into())
        }
    }

    /// Has turns be nobody's and due then.
    async fn put(&mut self, turns: &[Turn], due_at: &str) -> Result<(), HarnessError> {
        let tenants: Vec<Uuid> = turns.iter().map(|turn| turn.scope.tenant().uuid()).collect();
        let accounts: Vec<Uuid> = turns.iter().map(|turn| turn.account.uuid()).collect();
        let put = sqlx::query(PUT).bind(tenants).bind(accounts).bind(due_at);
        put.execute(&mut *self.superuser).await?;
        Ok(())
    }

    /// The most urgent post of accounts of all tenants in turn, in a transaction each; only the search is timed.
    async fn due_posts(&mut self, found: &mut Found) -> Result<(), HarnessError> {
        const NAMES: &str = "
            SELECT t, md5(t::text || n)::uuid FROM unnest($1::uuid[]) AS t, generate_series(0, $2 - 1) AS n";
        let names = sqlx::query_as(NAMES).bind(&self.tenants).bind(self.asked()?);
        let names: Vec<(Uuid, Uuid)> = names.fetch_all(&mut *self.superuser).await?;
        found.trip.clear();
        for _ in 0..ROUNDS {
            let mut all = Vec::with_capacity(names.len());
            for (tenant, account) in &names {
                let scope = TenantScope::of(TenantId::from_uuid(*tenant));
                let origin = Origin::system(ComplianceId::new(&System), "claim");
                let mut work = self.app.units.begin(scope, &origin).await?;
                let began = Instant::now();
                let post = work.due_post(AccountId::from_uuid(*account), System.now()).await?;
                all.push(us(began));
                work.roll_back().await;
                post.ok_or("an account has no post that is due")?;
            }
            found.due_post.push(median(all));
            found.trip.push(self.trips().await?);
        }
        Ok(())
    }

    async fn trips(&mut self) -> Result<f64, HarnessError> {
        let mut all = Vec::new();
        for _ in 0..CALLS {
            let began = Instant::now();
            sqlx::query("SELECT 1").execute(&mut *self.superuser).await?;
            all.push(us(began));
        }
        Ok(median(all))
    }
}

fn us(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e6
}

fn whole(number: u32) -> String {
    thousands(f64::from(number))
}

fn beside(ours: &[f64], least: &[f64]) -> Rounds {
    Rounds(ours.iter().zip(least).map(|(ours, least)| ours / least).collect())
}

fn told(all: &[(String, Found)]) -> (Table, Vec<Goal>) {
    let mut table = Table::new(
        "Claims as posts and accounts become many: microseconds on the clock, the middle of 200 calls",
        &[
            "waiting",
            "claim of 16, all due",
            "beside the first row",
            "claim of 16, no others due",
            "beside the first row",
            "claim, none due",
            "`due_post`",
            "beside the first row",
            "bare round trip",
        ],
    );
    let first = all.first().map(|(_, found)| found);
    for (name, found) in all {
        let told = |of: fn(&Found) -> &Vec<f64>| {
            if of(found).is_empty() { "-".to_owned() } else { thousands(median(of(found).clone())) }
        };
        let ratio = |of: fn(&Found) -> &Vec<f64>| match first {
            Some(first) if !of(found).is_empty() => beside(of(found), of(first)).told("x"),
            _ => "-".to_owned(),
        };
        table.row(vec![
            name.clone(),
            told(|found| &found.all_due),
            ratio(|found| &found.all_due),
            told(|found| &found.few_due),
            ratio(|found| &found.few_due),
            told(|found| &found.idle),
            told(|found| &found.due_post),
            ratio(|found| &found.due_post),
            told(|found| &found.trip),
        ]);
    }
    let mut goals = Vec::new();
    if let (Some(first), Some((_, many))) = (first, all.get(POSTS.len() - 1)) {
        let flat = [1.5, 1.1];
        let claims = beside(&many.all_due, &first.all_due);
        goals.push(Goal::at_most(
            "a claim at 1,000,000 waiting posts beside one at 10,000",
            "x",
            flat,
            claims,
        ));
        let posts = beside(&many.due_post, &first.due_post);
        goals.push(Goal::at_most("`due_post` at 1,000,000 waiting posts beside 10,000", "x", flat, posts));
    }
    (table, goals)
}
