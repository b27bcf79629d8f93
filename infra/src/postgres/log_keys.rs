//! `compliance.log_keys`: the Ed25519 keys that sign a tenant's checkpoints, sealed by the tenant's own keys until it ends, and then by
//! the installation's.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::{
    compliance::{log::note::NoteSigner, ports::LogKeys},
    kernel::{
        clock::{Clock, Timestamp},
        fault::PortError,
        ids::{Entropy, IdSource, PLATFORM},
        scope::TenantScope,
        secret::{Place, Sealed, Vault},
    },
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, IntoActiveModel as _,
    QueryFilter as _, QueryOrder as _, sea_query::Expr,
};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    entity::log_key::{Column, Entity, Model},
    error::orm_error,
    pool::Db,
    scope::{Rows as _, TenantTx},
};

const PORT: &str = "postgres.log_keys";

/// Whose keys a seed is sealed by.
const BY_TENANT: &str = "tenant";
const BY_PLATFORM: &str = "platform";

const fn place(row: Uuid) -> Place {
    Place { table: "compliance.log_keys", column: "seed_sealed", row }
}

/// By whose keys a seed is opened: those of a tenant that has ended outlive it.
fn sealing(scope: &TenantScope, row: &Model) -> TenantScope {
    if row.sealed_by == BY_PLATFORM { TenantScope::of(PLATFORM) } else { *scope }
}

/// Log keys in the database.
pub struct PgLogKeys {
    db: Db,
    vault: Arc<dyn Vault>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    entropy: Arc<dyn Entropy>,
}

impl PgLogKeys {
    /// Keeps them on `db`, sealed by `vault`.
    pub fn new(
        db: Db,
        vault: Arc<dyn Vault>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { db, vault, clock, ids, entropy }
    }

    async fn keys(&self, tx: &TenantTx) -> Result<Vec<Model>, PortError> {
        tx.scoped::<Entity>()
            .order_by_desc(Column::CreatedAt)
            .order_by_desc(Column::Id)
            .rows(tx)
            .await
            .map_err(|e| orm_error(PORT, e))
    }

    /// The newest, once nobody else makes one.
    async fn newest(&self, tx: &TenantTx) -> Result<Option<Model>, PortError> {
        tx.execute_raw(TenantTx::statement(
            "SELECT pg_advisory_xact_lock(hashtextextended('compliance.log_keys' || $1::text, 0))",
            [tx.scope().tenant().uuid().into()],
        ))
        .await
        .map_err(|e| orm_error(PORT, e))?;
        Ok(self.keys(tx).await?.into_iter().next())
    }

    async fn make(&self, tx: &TenantTx, created_at: Timestamp) -> Result<Model, PortError> {
        let seed = Zeroizing::new(self.entropy.bytes32());
        // Any name will do: the public key does not depend on it.
        let signer = NoteSigner::from_seed("log", &seed).map_err(|e| PortError::lasting(PORT, e))?;
        let public_key = signer.verifier().public();
        let id = self.ids.next_uuid();
        let place = place(id);
        let row = Model {
            tenant_id: tx.scope().tenant().uuid(),
            id,
            public_key: public_key.to_vec(),
            seed_sealed: self.vault.seal(&tx.scope(), place, &*seed).await?.0,
            created_at,
            sealed_by: BY_TENANT.to_owned(),
        };
        Entity::insert(row.clone().into_active_model().reset_all())
            .exec_without_returning(tx)
            .await
            .map_err(|e| orm_error(PORT, e))?;
        Ok(row)
    }
}

#[async_trait]
impl LogKeys for PgLogKeys {
    async fn seed(&self, scope: &TenantScope) -> Result<Zeroizing<[u8; 32]>, PortError> {
        let tx = TenantTx::begin(&self.db, *scope).await?;
        let mut row = self.keys(&tx).await?.into_iter().next();
        if row.is_none() {
            row = self.newest(&tx).await?;
        }
        let row = match row {
            Some(row) => row,
            None => self.make(&tx, self.clock.now()).await?,
        };
        tx.commit().await?;
        let opened = self.vault.open(&sealing(scope, &row), place(row.id), &Sealed(row.seed_sealed)).await?;
        let seed: [u8; 32] = opened
            .expose()
            .try_into()
            .map_err(|_| PortError::lasting(PORT, "a sealed seed is not 32 bytes"))?;
        Ok(Zeroizing::new(seed))
    }

    async fn public_keys(&self, scope: &TenantScope) -> Result<Vec<[u8; 32]>, PortError> {
        let tx = TenantTx::begin(&self.db, *scope).await?;
        self.keys(&tx)
            .await?
            .into_iter()
            .map(|row| {
                row.public_key
                    .try_into()
                    .map_err(|_| PortError::lasting(PORT, "a public key is not 32 bytes"))
            })
            .collect()
    }

    async fn rotate(&self, scope: &TenantScope) -> Result<(), PortError> {
        let tx = TenantTx::begin(&self.db, *scope).await?;
        let newest = self.newest(&tx).await?;
        if newest.as_ref().is_some_and(|newest| newest.sealed_by == BY_PLATFORM) {
            return Err(PortError::lasting(PORT, "the tenant has ended, and its logs keep their key"));
        }
        // Newer than the one before, also on a clock that went back: the newest is the one that signs.
        let now = self.clock.now();
        let created_at = newest.map_or(now, |newest| now.max(newest.created_at + TimeDelta::microseconds(1)));
        self.make(&tx, created_at).await?;
        tx.commit().await
    }

    async fn outlive(&self, scope: &TenantScope) -> Result<(), PortError> {
        self.seed(scope).await?;
        let tx = TenantTx::begin(&self.db, *scope).await?;
        let rows = self.keys(&tx).await?;
        // Not held while keys are asked for, which need a connection of their own.
        drop(tx);
        let mut sealed = Vec::new();
        for row in rows.into_iter().filter(|row| row.sealed_by == BY_TENANT) {
            let opened = self.vault.open(scope, place(row.id), &Sealed(row.seed_sealed)).await?;
            let by = TenantScope::of(PLATFORM);
            sealed.push((row.id, self.vault.seal(&by, place(row.id), opened.expose()).await?));
        }
        let tx = TenantTx::begin(&self.db, *scope).await?;
        // One that was made meanwhile would be sealed by keys that are about to go.
        self.newest(&tx).await?;
        let is_left = |row: &Model| row.sealed_by == BY_TENANT && sealed.iter().all(|(id, _)| *id != row.id);
        if self.keys(&tx).await?.iter().any(is_left) {
            return Err(PortError::passing(PORT, "a newer key was made meanwhile"));
        }
        for (id, seed) in sealed {
            Entity::update_many()
                .col_expr(Column::SeedSealed, Expr::value(seed.0))
                .col_expr(Column::SealedBy, Expr::value(BY_PLATFORM))
                .filter(Column::TenantId.eq(scope.tenant().uuid()))
                .filter(Column::Id.eq(id))
                .exec(&tx)
                .await
                .map_err(|e| orm_error(PORT, e))?;
        }
        tx.commit().await
    }
}
