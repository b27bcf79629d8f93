//! A transaction that row-level security confines to one tenant.

use std::sync::atomic::{AtomicBool, Ordering};

use domain::kernel::{fault::PortError, scope::TenantScope};
use futures_util::TryStreamExt as _;
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, EntityTrait, ExecResult, QueryFilter as _, QueryResult,
    QueryTrait as _, RuntimeErr, Select, Statement, Value, sea_query::Values,
};
use sea_query_sqlx::SqlxValues;
use sqlx::{AssertSqlSafe, Postgres, Transaction};
use tokio::sync::Mutex;

use super::{
    entity::Scoped,
    error::{orm_error, port_error},
    pool::Db,
};

/// One transaction of one tenant. Rolled back when dropped without [`TenantTx::commit`].
pub struct TenantTx {
    scope: TenantScope,
    tx: Mutex<Transaction<'static, Postgres>>,
    /// Every statement begun has ended well, and all of them were reading.
    sound: AtomicBool,
}

impl TenantTx {
    /// Opens one: `BEGIN` and the tenant's setting in one round trip. The setting ends with the transaction.
    ///
    /// # Errors
    /// No connection in time.
    pub async fn begin(db: &Db, scope: TenantScope) -> Result<Self, PortError> {
        // The only text ever put into SQL: a parsed UUID, which is hexadecimal and dashes.
        let statement = format!(
            "BEGIN; SELECT set_config('app.tenant_id', '{}', true)",
            scope.tenant().uuid().hyphenated()
        );
        let pool = db.pool().clone();
        // On a task of its own: a caller that goes away half way through would otherwise leave the connection to
        // the next one inside a transaction of this tenant. Finished, it is dropped and so rolled back.
        let begun = tokio::spawn(async move { pool.begin_with(AssertSqlSafe(statement)).await });
        let tx = begun
            .await
            .map_err(|e| PortError::passing("postgres.begin", e))?
            .map_err(|e| port_error("postgres.begin", e))?;
        Ok(Self { scope, tx: Mutex::new(tx), sound: AtomicBool::new(true) })
    }

    /// The tenant it is confined to.
    pub const fn scope(&self) -> TenantScope {
        self.scope
    }

    /// Whether others may read in it: no statement failed, was given up half way or may have written.
    pub(super) fn is_sound(&self) -> bool {
        self.sound.load(Ordering::Relaxed)
    }

    /// Runs a statement. One that is dropped half way leaves the transaction unsound.
    async fn run<T>(&self, statement: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, DbErr> {
        let was = self.sound.swap(false, Ordering::Relaxed);
        let done = statement.await.map_err(exec_error)?;
        self.sound.store(was, Ordering::Relaxed);
        Ok(done)
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// The outcome is unknown when the connection was lost meanwhile.
    pub async fn commit(self) -> Result<(), PortError> {
        self.tx.into_inner().commit().await.map_err(|e| port_error("postgres.commit", e))
    }

    /// Undoes it. When the connection is lost, the database does so by itself.
    pub(super) async fn roll_back(self) {
        if let Err(error) = self.tx.into_inner().rollback().await {
            tracing::debug!(error = %error, "a transaction was not rolled back in order");
        }
    }

    /// All rows of an entity that are this tenant's: where every query begins. Row-level security would hide
    /// the others anyway; saying it lets the planner use the index.
    pub(super) fn scoped<E: Scoped>(&self) -> Select<E> {
        #[expect(clippy::disallowed_methods, reason = "this is `scoped`")]
        E::find().filter(E::is_of(self.scope.tenant().uuid()))
    }

    /// Waits until nobody else of the tenant holds what has this name, and keeps others from it until the transaction ends.
    pub(super) async fn hold(&self, name: &str) -> Result<(), DbErr> {
        const HOLD: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1 || ':' || $2::text, 0))";
        let values = [name.into(), self.scope.tenant().uuid().into()];
        self.execute_raw(Self::statement(HOLD, values)).await.map(drop)
    }

    /// A statement with bound values, for what SeaORM does not say.
    pub(super) fn statement(sql: &'static str, values: impl IntoIterator<Item = Value>) -> Statement {
        Statement {
            sql: sql.to_owned(),
            values: Some(Values(values.into_iter().collect())),
            db_backend: DbBackend::Postgres,
        }
    }
}

/// Reads many rows of an entity.
pub(super) trait Rows<E: Scoped> {
    /// All of them, each column read by its place.
    async fn rows(self, tx: &TenantTx) -> Result<Vec<E::Model>, DbErr>;
}

impl<E: Scoped> Rows<E> for Select<E> {
    async fn rows(self, tx: &TenantTx) -> Result<Vec<E::Model>, DbErr> {
        let rows = tx.query_all_raw(self.build(DbBackend::Postgres)).await?;
        rows.iter().map(E::read).collect()
    }
}

fn bound(statement: Statement) -> sqlx::query::Query<'static, Postgres, SqlxValues> {
    let values = statement.values.unwrap_or_else(|| Values(Vec::new()));
    sqlx::query_with(AssertSqlSafe(statement.sql), SqlxValues(values))
}

fn exec_error(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}

#[async_trait::async_trait]
impl ConnectionTrait for TenantTx {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Postgres
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let mut tx = self.tx.lock().await;
        let done = self.run(bound(statement).execute(&mut **tx)).await?;
        self.sound.store(false, Ordering::Relaxed);
        Ok(done.into())
    }

    /// Refused: text that was not prepared could end the transaction, and with it the scope.
    async fn execute_unprepared(&self, _sql: &str) -> Result<ExecResult, DbErr> {
        Err(DbErr::Custom("unprepared statements are not run in a tenant's transaction".to_owned()))
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let mut tx = self.tx.lock().await;
        let row = self.run(bound(statement).fetch_optional(&mut **tx)).await?;
        Ok(row.map(Into::into))
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut tx = self.tx.lock().await;
        self.run(bound(statement).fetch(&mut **tx).map_ok(Into::into).try_collect()).await
    }
}

impl std::fmt::Debug for TenantTx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TenantTx").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// Reads a page by keyset: rows behind (or before) the key, one more than asked for.
pub(super) fn keyset<E: EntityTrait>(
    select: Select<E>,
    at: E::Column,
    id: E::Column,
    page: domain::kernel::page::PageRequest,
) -> Select<E> {
    use domain::kernel::page::Direction;
    use sea_orm::{
        ColumnTrait as _, ExprTrait as _, Order, QueryOrder as _, QuerySelect as _, sea_query::Expr,
    };
    let (order, forward) = match page.direction {
        Direction::Forward => (Order::Asc, true),
        Direction::Backward => (Order::Desc, false),
    };
    let mut select = select;
    if let Some(key) = page.from {
        let columns = Expr::tuple([Expr::col(at.as_column_ref()), Expr::col(id.as_column_ref())]);
        let values = Expr::tuple([Expr::value(key.at), Expr::value(key.id)]);
        select = select.filter(if forward { columns.gt(values) } else { columns.lt(values) });
    }
    select.order_by(at, order.clone()).order_by(id, order).limit(u64::from(page.limit) + 1)
}

/// How many rows there are, counted up to `most`.
pub(super) async fn count_up_to<E: EntityTrait>(
    port: &'static str,
    tx: &TenantTx,
    select: Select<E>,
    id: E::Column,
    most: u32,
) -> Result<u32, PortError> {
    use sea_orm::QuerySelect as _;
    let some = select.select_only().column(id).limit(u64::from(most));
    let counted = some.into_tuple::<uuid::Uuid>().all(tx).await.map_err(|e| orm_error(port, e))?;
    Ok(u32::try_from(counted.len()).unwrap_or(u32::MAX))
}
