//! `identity.signing_keys`: the installation's own keys for access tokens.

use async_trait::async_trait;
use domain::kernel::{clock::Timestamp, fault::PortError, secret::Sealed};

use super::{error::port_error, pool::Db};
use crate::jwt::{SigningKeyRow, SigningKeyStore};

const PORT: &str = "postgres.signing_keys";

/// Signing keys in the database.
#[derive(Clone, Debug)]
pub struct PgSigningKeys {
    db: Db,
}

impl PgSigningKeys {
    /// Keeps them on `db`.
    pub const fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl SigningKeyStore for PgSigningKeys {
    async fn all(&self) -> Result<Vec<SigningKeyRow>, PortError> {
        let rows: Vec<(String, Vec<u8>, Vec<u8>, Timestamp)> = sqlx::query_as(
            "SELECT kid, public_key, private_key_sealed, created_at FROM identity.signing_keys",
        )
        .fetch_all(self.db.pool())
        .await
        .map_err(|e| port_error(PORT, e))?;
        rows.into_iter()
            .map(|(kid, public, private, created_at)| {
                let public = public
                    .try_into()
                    .map_err(|_| PortError::lasting(PORT, "a public key is not 32 bytes"))?;
                Ok(SigningKeyRow { kid, public, private: Sealed(private), created_at })
            })
            .collect()
    }

    async fn add(&self, row: &SigningKeyRow) -> Result<(), PortError> {
        sqlx::query(
            "INSERT INTO identity.signing_keys (kid, public_key, private_key_sealed, created_at)
             VALUES ($1, $2, $3, $4) ON CONFLICT (kid) DO NOTHING",
        )
        .bind(&row.kid)
        .bind(row.public.as_slice())
        .bind(&row.private.0)
        .bind(row.created_at)
        .execute(self.db.pool())
        .await
        .map(drop)
        .map_err(|e| port_error(PORT, e))
    }
}
