//! `compliance.log_keys`: the Ed25519 keys that sign a tenant's checkpoints, sealed by the tenant's own keys.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    compliance::{log::note::NoteSigner, ports::LogKeys},
    kernel::{
        clock::Clock,
        fault::PortError,
        ids::{Entropy, IdSource},
        scope::TenantScope,
        secret::{Place, Sealed, Vault},
    },
};
use sea_orm::{
    ActiveModelTrait as _, ConnectionTrait as _, EntityTrait as _, IntoActiveModel as _, QueryOrder as _,
};
use zeroize::Zeroizing;

use super::{
    entity::log_key::{Column, Entity, Model},
    error::orm_error,
    pool::Db,
    scope::{Rows as _, TenantTx},
};

const PORT: &str = "postgres.log_keys";

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

    async fn make(&self, tx: &TenantTx) -> Result<Model, PortError> {
        // One maker at a time: a tenant has one key until it is rotated.
        let tenant = tx.scope().tenant().uuid();
        tx.execute_raw(TenantTx::statement(
            "SELECT pg_advisory_xact_lock(hashtextextended('compliance.log_keys' || $1::text, 0))",
            [tenant.into()],
        ))
        .await
        .map_err(|e| orm_error(PORT, e))?;
        if let Some(made) = self.keys(tx).await?.into_iter().next() {
            return Ok(made);
        }
        let seed = Zeroizing::new(self.entropy.bytes32());
        // Any name will do: the public key does not depend on it.
        let signer = NoteSigner::from_seed("log", &seed).map_err(|e| PortError::lasting(PORT, e))?;
        let public_key = signer.verifier().public();
        let id = self.ids.next_uuid();
        let place = Place { table: "compliance.log_keys", column: "seed_sealed", row: id };
        let row = Model {
            tenant_id: tenant,
            id,
            public_key: public_key.to_vec(),
            seed_sealed: self.vault.seal(&tx.scope(), place, &*seed).await?.0,
            created_at: self.clock.now(),
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
        let row = match self.keys(&tx).await?.into_iter().next() {
            Some(row) => row,
            None => self.make(&tx).await?,
        };
        tx.commit().await?;
        let place = Place { table: "compliance.log_keys", column: "seed_sealed", row: row.id };
        let opened = self.vault.open(scope, place, &Sealed(row.seed_sealed)).await?;
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
}
