//! `publishing.newest_figures` and `publishing.figures`, which has a table for each month.

use std::collections::HashMap;

use async_trait::async_trait;
use domain::{
    kernel::{
        clock::Timestamp,
        fault::PortError,
        ids::{AccountId, PlanId, PostId},
    },
    publishing::ports::{
        FigureQuery, FigureReading, FigureStore, FigureTimes, FigureTotal, Figures, Lateness,
    },
};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, FromQueryResult as _, QueryFilter as _, QueryResult, Value,
};
use uuid::Uuid;

use crate::postgres::{
    columns::word,
    entity::{figures, newest_figures},
    error::orm_error,
    scope::{Rows as _, TenantTx},
    work::PgWork,
};

const PORT: &str = "postgres.figures";

/// Keeps what was read; of what moved, also as it was then. One statement for all. $1 tenant, $2 when, $3 posts, $4 to $7
/// figures, -1 for one that the platform does not tell: it stays as it was, with the time it was told, and is none of what is
/// kept of that time.
const KEEP: &str = "
    WITH read AS (
        SELECT r.post_id, coalesce(nullif(r.plays, -1), n.plays) AS plays, coalesce(nullif(r.likes, -1), n.likes) AS likes,
               coalesce(nullif(r.comments, -1), n.comments) AS comments, coalesce(nullif(r.shares, -1), n.shares) AS shares,
               CASE WHEN r.plays <> -1 THEN $2 ELSE n.plays_at END AS plays_at,
               CASE WHEN r.likes <> -1 THEN $2 ELSE n.likes_at END AS likes_at,
               CASE WHEN r.comments <> -1 THEN $2 ELSE n.comments_at END AS comments_at,
               CASE WHEN r.shares <> -1 THEN $2 ELSE n.shares_at END AS shares_at,
               n.post_id IS NULL AS is_new, n.plays AS plays_before, n.likes AS likes_before, n.comments AS comments_before,
               n.shares AS shares_before
        FROM unnest($3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
            AS r (post_id, plays, likes, comments, shares)
        LEFT JOIN publishing.newest_figures AS n ON n.tenant_id = $1 AND n.post_id = r.post_id
    ), moved AS (
        SELECT r.* FROM read AS r
        WHERE r.is_new OR (r.plays_before, r.likes_before, r.comments_before, r.shares_before)
            IS DISTINCT FROM (r.plays, r.likes, r.comments, r.shares)
    ), kept AS (
        INSERT INTO publishing.newest_figures (tenant_id, post_id, read_at, plays, likes, comments, shares, plays_at, likes_at,
            comments_at, shares_at)
        SELECT $1, post_id, $2, plays, likes, comments, shares, plays_at, likes_at, comments_at, shares_at FROM read
        ON CONFLICT (tenant_id, post_id) DO UPDATE SET read_at = excluded.read_at, plays = excluded.plays,
            likes = excluded.likes, comments = excluded.comments, shares = excluded.shares, plays_at = excluded.plays_at,
            likes_at = excluded.likes_at, comments_at = excluded.comments_at, shares_at = excluded.shares_at
    ), told AS (
        INSERT INTO publishing.figures (tenant_id, post_id, at, plays, likes, comments, shares)
        SELECT $1, post_id, $2, CASE WHEN plays_at = $2 THEN plays END, CASE WHEN likes_at = $2 THEN likes END,
               CASE WHEN comments_at = $2 THEN comments END, CASE WHEN shares_at = $2 THEN shares END FROM moved
        ON CONFLICT DO NOTHING
    ) SELECT count(*) AS moved FROM moved";

/// How figures moved, the newest of each post. $1 tenant, $2 posts, $3 how many of each.
const MOVED: &str = "
    SELECT f.tenant_id, f.post_id, f.at, f.plays, f.likes, f.comments, f.shares
    FROM unnest($2::uuid[]) WITH ORDINALITY AS asked (post_id, place)
    CROSS JOIN LATERAL (
        SELECT * FROM publishing.figures AS m WHERE m.tenant_id = $1 AND m.post_id = asked.post_id
        ORDER BY m.at DESC LIMIT $3
    ) AS f
    ORDER BY asked.place, f.at DESC";

/// Sums of the newest. $1 tenant, $2 accounts or null, $3 plan or null, $4 post or null.
const TOTAL: &str = "
    SELECT count(*) AS posts, min(n.read_at) AS read_at, sum(n.plays)::bigint AS plays, sum(n.likes)::bigint AS likes,
           sum(n.comments)::bigint AS comments, sum(n.shares)::bigint AS shares, min(n.plays_at) AS plays_at,
           min(n.likes_at) AS likes_at, min(n.comments_at) AS comments_at, min(n.shares_at) AS shares_at
    FROM publishing.posts AS p
    JOIN publishing.newest_figures AS n ON n.tenant_id = p.tenant_id AND n.post_id = p.id
    WHERE p.tenant_id = $1 AND ($2::uuid[] IS NULL OR p.account_id = ANY ($2))
      AND ($3::uuid IS NULL OR p.plan_id = $3) AND ($4::uuid IS NULL OR p.id = $4)";

/// $1 tenant, $2 since when, $3 accounts or null.
const LATENESS: &str = "
    SELECT count(accepted_at) AS accepted,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY late) AS p50_s,
           percentile_cont(0.99) WITHIN GROUP (ORDER BY late) AS p99_s,
           count(*) FILTER (WHERE accepted_at IS NULL AND promised_at < now()
               AND status IN ('waiting', 'uploading', 'uploaded', 'creating', 'outcome_unknown')) AS overdue
    FROM (SELECT accepted_at, promised_at, status,
                 GREATEST(extract(epoch FROM accepted_at - promised_at)::float8, 0) AS late
          FROM publishing.posts WHERE tenant_id = $1 AND promised_at >= $2
            AND ($3::uuid[] IS NULL OR account_id = ANY ($3))) AS promised";

fn stored(figure: Option<u64>) -> Result<i64, PortError> {
    figure.map_or(Ok(-1), |figure| word(PORT, i64::try_from(figure).ok()))
}

fn unsigned(figure: Option<i64>) -> Option<u64> {
    figure.and_then(|figure| u64::try_from(figure).ok())
}

fn figures_of(plays: Option<i64>, likes: Option<i64>, comments: Option<i64>, shares: Option<i64>) -> Figures {
    Figures {
        plays: unsigned(plays),
        likes: unsigned(likes),
        comments: unsigned(comments),
        shares: unsigned(shares),
    }
}

impl PgWork {
    async fn one_row(&self, sql: &'static str, values: Vec<Value>) -> Result<QueryResult, PortError> {
        let row = self.tx.query_one_raw(TenantTx::statement(sql, values)).await;
        word(PORT, row.map_err(|e| orm_error(PORT, e))?)
    }
}

#[async_trait]
impl FigureStore for PgWork {
    async fn keep_figures(&mut self, read: &[(PostId, Figures)], at: Timestamp) -> Result<bool, PortError> {
        let column = |of: fn(&Figures) -> Option<u64>| -> Result<Vec<i64>, PortError> {
            read.iter().map(|(_, figures)| stored(of(figures))).collect()
        };
        let posts: Vec<Uuid> = read.iter().map(|(post, _)| post.uuid()).collect();
        let values = vec![
            self.tx.scope().tenant().uuid().into(),
            at.into(),
            posts.into(),
            column(|figures| figures.plays)?.into(),
            column(|figures| figures.likes)?.into(),
            column(|figures| figures.comments)?.into(),
            column(|figures| figures.shares)?.into(),
        ];
        let row = self.one_row(KEEP, values).await?;
        let moved: i64 = row.try_get("", "moved").map_err(|e| orm_error(PORT, e))?;
        Ok(moved > 0)
    }

    async fn newest_figures(
        &mut self,
        posts: &[PostId],
    ) -> Result<HashMap<PostId, FigureReading>, PortError> {
        let ids: Vec<_> = posts.iter().map(|post| post.uuid()).collect();
        let found = self.tx.scoped::<newest_figures::Entity>();
        let rows = found.filter(newest_figures::Column::PostId.eq_any(ids)).rows(&self.tx).await;
        let reading = |row: newest_figures::Model| {
            let figures = figures_of(row.plays, row.likes, row.comments, row.shares);
            let told_at = FigureTimes {
                plays: row.plays_at,
                likes: row.likes_at,
                comments: row.comments_at,
                shares: row.shares_at,
            };
            (PostId::from_uuid(row.post_id), FigureReading { read_at: row.read_at, figures, told_at })
        };
        Ok(rows.map_err(|e| orm_error(PORT, e))?.into_iter().map(reading).collect())
    }

    async fn figures_of(
        &mut self,
        posts: &[PostId],
        most: u32,
    ) -> Result<HashMap<PostId, Vec<FigureReading>>, PortError> {
        let ids: Vec<Uuid> = posts.iter().map(|post| post.uuid()).collect();
        let values = [self.tx.scope().tenant().uuid().into(), ids.into(), i64::from(most).into()];
        let statement = TenantTx::statement(MOVED, values);
        let rows = figures::Model::find_by_statement(statement).all(&self.tx).await;
        let mut moved: HashMap<_, Vec<_>> = HashMap::new();
        for row in rows.map_err(|e| orm_error(PORT, e))? {
            let figures = figures_of(row.plays, row.likes, row.comments, row.shares);
            let at = |figure: Option<u64>| figure.map(|_| row.at);
            let told_at = FigureTimes {
                plays: at(figures.plays),
                likes: at(figures.likes),
                comments: at(figures.comments),
                shares: at(figures.shares),
            };
            let reading = FigureReading { read_at: row.at, figures, told_at };
            moved.entry(PostId::from_uuid(row.post_id)).or_default().push(reading);
        }
        Ok(moved)
    }

    async fn total_figures(&mut self, of: &FigureQuery) -> Result<FigureTotal, PortError> {
        let accounts: Option<Vec<Uuid>> =
            of.accounts.as_ref().map(|accounts| accounts.iter().map(|account| account.uuid()).collect());
        let values = vec![
            self.tx.scope().tenant().uuid().into(),
            accounts.into(),
            of.plan.map(PlanId::uuid).into(),
            of.post.map(PostId::uuid).into(),
        ];
        let row = self.one_row(TOTAL, values).await?;
        let total = || -> Result<FigureTotal, sea_orm::DbErr> {
            Ok(FigureTotal {
                posts: u64::try_from(row.try_get::<i64>("", "posts")?).unwrap_or_default(),
                read_at: row.try_get("", "read_at")?,
                figures: figures_of(
                    row.try_get("", "plays")?,
                    row.try_get("", "likes")?,
                    row.try_get("", "comments")?,
                    row.try_get("", "shares")?,
                ),
                told_at: FigureTimes {
                    plays: row.try_get("", "plays_at")?,
                    likes: row.try_get("", "likes_at")?,
                    comments: row.try_get("", "comments_at")?,
                    shares: row.try_get("", "shares_at")?,
                },
            })
        };
        total().map_err(|e| orm_error(PORT, e))
    }

    async fn lateness(
        &mut self,
        accounts: Option<Vec<AccountId>>,
        since: Timestamp,
    ) -> Result<Lateness, PortError> {
        let accounts: Option<Vec<Uuid>> =
            accounts.map(|accounts| accounts.iter().map(|account| account.uuid()).collect());
        let values = vec![self.tx.scope().tenant().uuid().into(), since.into(), accounts.into()];
        let row = self.one_row(LATENESS, values).await?;
        let count = |name| row.try_get::<i64>("", name).map(|count| u64::try_from(count).unwrap_or_default());
        let lateness = || -> Result<Lateness, sea_orm::DbErr> {
            Ok(Lateness {
                accepted: count("accepted")?,
                p50_s: row.try_get("", "p50_s")?,
                p99_s: row.try_get("", "p99_s")?,
                overdue: count("overdue")?,
            })
        };
        lateness().map_err(|e| orm_error(PORT, e))
    }
}
