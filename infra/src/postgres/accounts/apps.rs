//! `accounts.apps`.

use async_trait::async_trait;
use domain::{
    accounts::{
        model::{App, AppCredentials, AppState},
        ports::AppStore,
    },
    kernel::{
        fault::PortError,
        ids::AppId,
        page::{Page, PageRequest},
        secret::Secret,
    },
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, IntoActiveModel as _,
    QueryFilter as _,
    sea_query::{Expr, OnConflict},
};

use super::{held_error, platform};
use crate::postgres::{
    columns::word,
    entity::app::{Column, Entity, Model},
    error::{one_changed, orm_error},
    scope::{Rows as _, TenantTx, keyset},
    work::PgWork,
};

const PORT: &str = "postgres.apps";
const TABLE: &str = "accounts.apps";

const LIVING_ACCOUNTS: &str = "SELECT count(*) AS living FROM accounts.accounts
    WHERE tenant_id = $1 AND app_id = $2 AND state <> 'unlinked'";

/// What goes with an app, in the order in which other transactions lock it. An account that is linked (again) meanwhile
/// stays, and holds the app.
const REMOVE: [&str; 4] = [
    "DELETE FROM accounts.links WHERE tenant_id = $1 AND app_id = $2",
    "DELETE FROM accounts.tokens AS t USING accounts.accounts AS a
     WHERE a.tenant_id = $1 AND a.app_id = $2 AND a.state = 'unlinked'
       AND t.tenant_id = a.tenant_id AND t.account_id = a.id",
    "DELETE FROM accounts.accounts WHERE tenant_id = $1 AND app_id = $2 AND state = 'unlinked'",
    "DELETE FROM accounts.apps WHERE tenant_id = $1 AND id = $2",
];

fn app_of(row: Model) -> Result<App, PortError> {
    Ok(App {
        id: AppId::from_uuid(row.id),
        platform: platform(PORT, &row.platform)?,
        name: row.name,
        client_key: row.client_key,
        scopes: row.scopes,
        scopes_off: row.scopes_off,
        state: word(PORT, AppState::parse(&row.state))?,
        created_at: row.created_at,
        version: word(PORT, u32::try_from(row.version).ok())?,
    })
}

impl PgWork {
    async fn app_row(&self, id: AppId) -> Result<Option<Model>, PortError> {
        let found = self.tx.scoped::<Entity>().filter(Column::Id.eq(id.uuid()));
        found.one(&self.tx).await.map_err(|e| orm_error(PORT, e))
    }
}

#[async_trait]
impl AppStore for PgWork {
    async fn app(&mut self, id: AppId) -> Result<Option<App>, PortError> {
        self.app_row(id).await?.map(app_of).transpose()
    }

    async fn app_credentials(&mut self, id: AppId) -> Result<Option<AppCredentials>, PortError> {
        let Some(row) = self.app_row(id).await? else { return Ok(None) };
        Ok(Some(AppCredentials {
            app: id,
            client_key: row.client_key,
            client_secret: self.open(TABLE, "secret_sealed", row.id, row.secret_sealed).await?,
        }))
    }

    async fn add_app(&mut self, app: &App, secret: &Secret) -> Result<bool, PortError> {
        let id = app.id.uuid();
        let row = Model {
            tenant_id: self.tx.scope().tenant().uuid(),
            id,
            platform: app.platform.as_str().to_owned(),
            name: app.name.clone(),
            client_key: app.client_key.clone(),
            secret_sealed: self.seal(TABLE, "secret_sealed", id, secret.expose()).await?,
            scopes: app.scopes.clone(),
            scopes_off: app.scopes_off.clone(),
            state: app.state.as_str().to_owned(),
            created_at: app.created_at,
            version: word(PORT, i32::try_from(app.version).ok())?,
        };
        let taken = OnConflict::columns([Column::TenantId, Column::Platform, Column::ClientKey])
            .do_nothing()
            .to_owned();
        let added = Entity::insert(row.into_active_model().reset_all())
            .on_conflict(taken)
            .exec_without_returning(&self.tx)
            .await
            .map_err(|e| orm_error(PORT, e))?;
        Ok(added == 1)
    }

    async fn update_app(&mut self, app: &App, secret: Option<&Secret>) -> Result<(), PortError> {
        let id = app.id.uuid();
        let version = word(PORT, i32::try_from(app.version).ok())?;
        let mut update = Entity::update_many()
            .col_expr(Column::Name, Expr::value(app.name.clone()))
            .col_expr(Column::Scopes, Expr::value(app.scopes.clone()))
            .col_expr(Column::ScopesOff, Expr::value(app.scopes_off.clone()))
            .col_expr(Column::State, Expr::value(app.state.as_str()))
            .col_expr(Column::Version, Expr::value(version + 1));
        if let Some(secret) = secret {
            let sealed = self.seal(TABLE, "secret_sealed", id, secret.expose()).await?;
            update = update.col_expr(Column::SecretSealed, Expr::value(sealed));
        }
        let updated = update
            .filter(Column::TenantId.eq(self.tx.scope().tenant().uuid()))
            .filter(Column::Id.eq(id))
            .filter(Column::Version.eq(version))
            .exec(&self.tx)
            .await
            .map_err(|e| orm_error(PORT, e))?;
        one_changed(PORT, updated.rows_affected)
    }

    async fn remove_app(&mut self, id: AppId) -> Result<(), PortError> {
        let tenant = self.tx.scope().tenant().uuid();
        for sql in REMOVE {
            let statement = TenantTx::statement(sql, [tenant.into(), id.uuid().into()]);
            self.tx.execute_raw(statement).await.map_err(|e| held_error(PORT, e))?;
        }
        Ok(())
    }

    async fn accounts_of_app(&mut self, id: AppId) -> Result<u32, PortError> {
        let tenant = self.tx.scope().tenant().uuid();
        let statement = TenantTx::statement(LIVING_ACCOUNTS, [tenant.into(), id.uuid().into()]);
        let row = self.tx.query_one_raw(statement).await.map_err(|e| orm_error(PORT, e))?;
        let living: i64 = match row {
            Some(row) => row.try_get("", "living").map_err(|e| orm_error(PORT, e))?,
            None => 0,
        };
        Ok(u32::try_from(living).unwrap_or(u32::MAX))
    }

    async fn apps(&mut self, page: PageRequest) -> Result<Page<App>, PortError> {
        let rows = keyset(self.tx.scoped::<Entity>(), Column::CreatedAt, Column::Id, page)
            .rows(&self.tx)
            .await
            .map_err(|e| orm_error(PORT, e))?;
        let apps = rows.into_iter().map(app_of).collect::<Result<_, _>>()?;
        Ok(Page::of_read(apps, &page))
    }
}
