//! `accounts.tokens`, and what is said to the schedule from inside a tenant's transaction.

use std::collections::HashMap;

use async_trait::async_trait;
use domain::{
    accounts::{
        model::{Account, Reach, TokenSecrets, TokenTerms, Tokens},
        ports::TokenStore,
    },
    kernel::{
        clock::Timestamp,
        fault::PortError,
        ids::{AccountId, AppId},
        page::{Direction, Page, PageRequest},
    },
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, FromQueryResult as _,
    IntoActiveModel as _, Iterable as _, QueryFilter as _, sea_query::OnConflict,
};
use uuid::Uuid;

use super::held_error;
use crate::postgres::{
    columns::word,
    entity::{
        account,
        tokens::{Column, Entity, Model},
    },
    error::{one_changed, orm_error},
    scope::{Rows as _, TenantTx},
    work::PgWork,
};

const PORT: &str = "postgres.tokens";
const TABLE: &str = "accounts.tokens";

/// The version of a new consent's tokens: higher than that of any tokens the account ever had.
const NEXT_VERSION: &str = "
    UPDATE accounts.accounts AS a SET tokens_version = greatest($3, a.tokens_version + 1, 1 + coalesce(
        (SELECT t.version FROM accounts.tokens AS t WHERE t.tenant_id = $1 AND t.account_id = $2), 0))
    WHERE a.tenant_id = $1 AND a.id = $2
    RETURNING a.tokens_version";

const REMOVE: &str = "
    WITH gone AS (
        DELETE FROM accounts.tokens WHERE tenant_id = $1 AND account_id = $2 RETURNING version
    )
    UPDATE accounts.accounts AS a SET tokens_version = gone.version FROM gone
    WHERE a.tenant_id = $1 AND a.id = $2";

/// Consents by their end. $1 tenant, $2 the groups reached or NULL for all, $3 the instant before which they end, $4 and
/// $5 the place to read from, $6 rows.
const ENDING_FORWARD: &str = "
    SELECT a.*, t.consent_ends_at
    FROM accounts.tokens AS t
    JOIN accounts.accounts AS a ON a.tenant_id = t.tenant_id AND a.id = t.account_id
    WHERE t.tenant_id = $1 AND t.consent_ends_at < $3
      AND ($2::uuid[] IS NULL OR a.group_id = ANY ($2::uuid[]))
      AND (t.consent_ends_at, t.account_id)
        > (COALESCE($4::timestamptz, '-infinity'), COALESCE($5::uuid, '00000000-0000-0000-0000-000000000000'))
    ORDER BY t.consent_ends_at, t.account_id
    LIMIT $6";

/// The same from the end.
const ENDING_BACKWARD: &str = "
    SELECT a.*, t.consent_ends_at
    FROM accounts.tokens AS t
    JOIN accounts.accounts AS a ON a.tenant_id = t.tenant_id AND a.id = t.account_id
    WHERE t.tenant_id = $1 AND t.consent_ends_at < $3
      AND ($2::uuid[] IS NULL OR a.group_id = ANY ($2::uuid[]))
      AND (t.consent_ends_at, t.account_id)
        < (COALESCE($4::timestamptz, 'infinity'), COALESCE($5::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
    ORDER BY t.consent_ends_at DESC, t.account_id DESC
    LIMIT $6";

fn count(stored: i64) -> Result<u32, PortError> {
    word(PORT, u32::try_from(stored).ok())
}

fn version(counted: u64) -> Result<i64, PortError> {
    word(PORT, i64::try_from(counted).ok())
}

fn terms_of(row: &Model) -> Result<TokenTerms, PortError> {
    Ok(TokenTerms {
        scopes: row.scopes.clone(),
        consented_at: row.consented_at,
        access_issued_at: row.access_issued_at,
        access_expires_at: row.access_expires_at,
        refresh_expires_at: row.refresh_expires_at,
        refresh_life_s: row.refresh_life_s,
        renewals_used: count(row.renewals_used)?,
        renewals_max: count(row.renewals_max)?,
        renewing_since: row.renewing_since,
        refreshed_at: row.refreshed_at,
        last_error: row.last_error.clone(),
        failures: count(row.failures)?,
        version: word(PORT, u64::try_from(row.version).ok())?,
    })
}

impl PgWork {
    async fn tokens_row(&self, tokens: &Tokens) -> Result<Model, PortError> {
        let (id, terms) = (tokens.row(), &tokens.terms);
        let refresh_sealed = match &tokens.secrets.refresh {
            Some(refresh) => Some(self.seal(TABLE, "refresh_sealed", id, refresh.expose()).await?),
            None => None,
        };
        Ok(Model {
            tenant_id: self.tx.scope().tenant().uuid(),
            account_id: id,
            app_id: tokens.app.uuid(),
            access_sealed: self.seal(TABLE, "access_sealed", id, tokens.secrets.access.expose()).await?,
            refresh_sealed,
            scopes: terms.scopes.clone(),
            consented_at: terms.consented_at,
            access_issued_at: terms.access_issued_at,
            access_expires_at: terms.access_expires_at,
            refresh_expires_at: terms.refresh_expires_at,
            refresh_life_s: terms.refresh_life_s,
            renewals_used: i64::from(terms.renewals_used),
            renewals_max: i64::from(terms.renewals_max),
            renewing_since: terms.renewing_since,
            refreshed_at: terms.refreshed_at,
            last_error: terms.last_error.clone(),
            failures: i64::from(terms.failures),
            consent_ends_at: terms.consent_ends_at(),
            version: version(terms.version)?,
        })
    }

    async fn next_tokens_version(&self, tokens: &Tokens) -> Result<i64, PortError> {
        let tenant = self.tx.scope().tenant().uuid();
        let least = version(tokens.terms.version)?;
        let statement = TenantTx::statement(NEXT_VERSION, [tenant.into(), tokens.row().into(), least.into()]);
        match self.tx.query_one_raw(statement).await.map_err(|e| orm_error(PORT, e))? {
            Some(row) => row.try_get("", "tokens_version").map_err(|e| orm_error(PORT, e)),
            // The account was removed with its app since it was read.
            None => Err(PortError::stale(PORT)),
        }
    }
}

#[async_trait]
impl TokenStore for PgWork {
    async fn tokens(&mut self, account: AccountId) -> Result<Option<Tokens>, PortError> {
        let found = self.tx.scoped::<Entity>().filter(Column::AccountId.eq(account.uuid()));
        let row = found.one(&self.tx).await.map_err(|e| orm_error(PORT, e))?;
        let Some(row) = row else { return Ok(None) };
        let terms = terms_of(&row)?;
        let refresh = match row.refresh_sealed {
            Some(sealed) => Some(self.open(TABLE, "refresh_sealed", row.account_id, sealed).await?),
            None => None,
        };
        let access = self.open(TABLE, "access_sealed", row.account_id, row.access_sealed).await?;
        let app = AppId::from_uuid(row.app_id);
        Ok(Some(Tokens { account, app, terms, secrets: TokenSecrets { access, refresh } }))
    }

    async fn token_terms(
        &mut self,
        accounts: &[AccountId],
    ) -> Result<HashMap<AccountId, TokenTerms>, PortError> {
        let rows = self
            .tx
            .scoped::<Entity>()
            .filter(Column::AccountId.eq_any(accounts.iter().map(|account| account.uuid())))
            .rows(&self.tx)
            .await
            .map_err(|e| orm_error(PORT, e))?;
        rows.iter().map(|row| Ok((AccountId::from_uuid(row.account_id), terms_of(row)?))).collect()
    }

    async fn put_tokens(&mut self, tokens: &Tokens) -> Result<(), PortError> {
        let mut row = self.tokens_row(tokens).await?;
        row.version = self.next_tokens_version(tokens).await?;
        let others = Column::iter().filter(|column| !matches!(column, Column::TenantId | Column::AccountId));
        let older =
            OnConflict::columns([Column::TenantId, Column::AccountId]).update_columns(others).to_owned();
        Entity::insert(row.into_active_model().reset_all())
            .on_conflict(older)
            .exec_without_returning(&self.tx)
            .await
            .map(drop)
            .map_err(|e| held_error(PORT, e))
    }

    async fn update_tokens(&mut self, tokens: &Tokens) -> Result<(), PortError> {
        let mut row = self.tokens_row(tokens).await?;
        let read = row.version;
        row.version += 1;
        let updated = Entity::update_many()
            .set(row.into_active_model().reset_all())
            .filter(Column::TenantId.eq(self.tx.scope().tenant().uuid()))
            .filter(Column::AccountId.eq(tokens.row()))
            .filter(Column::Version.eq(read))
            .exec(&self.tx)
            .await
            .map_err(|e| held_error(PORT, e))?;
        one_changed(PORT, updated.rows_affected)
    }

    async fn remove_tokens(&mut self, account: AccountId) -> Result<(), PortError> {
        let tenant = self.tx.scope().tenant().uuid();
        let statement = TenantTx::statement(REMOVE, [tenant.into(), account.uuid().into()]);
        self.tx.execute_raw(statement).await.map(drop).map_err(|e| orm_error(PORT, e))
    }

    async fn hurry_tokens(&mut self, account: AccountId, due_at: Timestamp) -> Result<(), PortError> {
        let values = [account.uuid().into(), due_at.into()];
        let statement = TenantTx::statement("SELECT accounts.hurry_tokens($1, $2)", values);
        self.tx.execute_raw(statement).await.map(drop).map_err(|e| held_error(PORT, e))
    }

    async fn schedule_tokens(
        &mut self,
        account: AccountId,
        due_at: Option<Timestamp>,
    ) -> Result<(), PortError> {
        let statement = TenantTx::statement(
            "SELECT accounts.schedule_tokens($1, $2)",
            [account.uuid().into(), due_at.into()],
        );
        self.tx.execute_raw(statement).await.map(drop).map_err(|e| held_error(PORT, e))
    }

    async fn consents_ending(
        &mut self,
        reach: &Reach,
        before: Timestamp,
        page: PageRequest,
    ) -> Result<Page<(Timestamp, Account)>, PortError> {
        let reached = match reach {
            Reach::All => None,
            Reach::Groups(groups) => Some(groups.iter().map(|group| group.uuid()).collect::<Vec<Uuid>>()),
        };
        let statement = TenantTx::statement(
            match page.direction {
                Direction::Forward => ENDING_FORWARD,
                Direction::Backward => ENDING_BACKWARD,
            },
            [
                self.tx.scope().tenant().uuid().into(),
                reached.into(),
                before.into(),
                page.from.map(|key| key.at).into(),
                page.from.map(|key| key.id).into(),
                (i64::from(page.limit) + 1).into(),
            ],
        );
        let rows = self.tx.query_all_raw(statement).await.map_err(|e| orm_error(PORT, e))?;
        let mut ending = Vec::with_capacity(rows.len());
        for row in rows {
            let ends_at = row.try_get("", "consent_ends_at").map_err(|e| orm_error(PORT, e))?;
            let row = account::Model::from_query_result(&row, "").map_err(|e| orm_error(PORT, e))?;
            ending.push((ends_at, self.account_of(row).await?));
        }
        Ok(Page::of_read(ending, &page))
    }
}
