//! `compliance.platform_attestations`, under the role `matricula_notary`.

use async_trait::async_trait;
use domain::{
    compliance::{
        log::merkle::Hash,
        ports::{Attestation, AttestationStore, Settled, SignedHead},
    },
    kernel::{clock::Timestamp, fault::PortError},
};
use sqlx::{Row as _, postgres::PgRow};

use super::{
    audit_log::{signed, stored_hash, unsigned},
    columns::hash32,
    error::port_error,
    log_reader::head,
    platform_log::PgPlatformStore,
};

const PORT: &str = "postgres.platform_attestations";

fn fault(error: sqlx::Error) -> PortError {
    port_error(PORT, error)
}

pub(super) fn settled(proof: Option<String>, at: Option<Timestamp>) -> Option<Settled> {
    proof.zip(at).map(|(proof, at)| Settled { proof, at })
}

fn attestation(row: &PgRow) -> Result<Attestation, PortError> {
    Ok(Attestation {
        by: row.get("attester"),
        size: unsigned(PORT, row.get("size"))?,
        salt: hash32(PORT, row.get("salt"))?,
        digest: stored_hash(PORT, row.get("digest"))?,
        prepared: row.get("prepared"),
        prepared_at: row.get("prepared_at"),
        settled: settled(row.get("proof"), row.get("settled_at")),
    })
}

#[async_trait]
impl AttestationStore for PgPlatformStore {
    async fn shown_head(&self) -> Result<Option<SignedHead>, PortError> {
        let row = sqlx::query(
            "SELECT size, root, note, made_at AS signed_at FROM compliance.platform_heads
             WHERE note IS NOT NULL AND is_witnessed ORDER BY size DESC LIMIT 1",
        );
        row.fetch_optional(self.pool()).await.map_err(fault)?.as_ref().map(head).transpose()
    }

    async fn newest_attestation(&self, by: &str) -> Result<Option<Attestation>, PortError> {
        let row = sqlx::query(
            "SELECT * FROM compliance.platform_attestations WHERE attester = $1
             ORDER BY settled_at IS NULL DESC, size DESC LIMIT 1",
        );
        row.bind(by).fetch_optional(self.pool()).await.map_err(fault)?.as_ref().map(attestation).transpose()
    }

    async fn add_attestation(&self, new: &Attestation) -> Result<bool, PortError> {
        let Hash(digest) = new.digest;
        let added = sqlx::query(
            "INSERT INTO compliance.platform_attestations (attester, size, salt, digest, prepared, prepared_at)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        )
        .bind(&new.by)
        .bind(signed(PORT, new.size)?)
        .bind(new.salt.as_slice())
        .bind(digest.as_slice())
        .bind(&new.prepared)
        .bind(new.prepared_at)
        .execute(self.pool())
        .await
        .map_err(fault)?;
        Ok(added.rows_affected() == 1)
    }

    async fn prepare_again(&self, old: &Attestation, prepared: &[u8]) -> Result<(), PortError> {
        sqlx::query(
            "UPDATE compliance.platform_attestations SET prepared = $4
             WHERE attester = $1 AND size = $2 AND prepared = $3 AND settled_at IS NULL",
        )
        .bind(&old.by)
        .bind(signed(PORT, old.size)?)
        .bind(&old.prepared)
        .bind(prepared)
        .execute(self.pool())
        .await
        .map(drop)
        .map_err(fault)
    }

    async fn settle(&self, by: &str, size: u64, settled: &Settled) -> Result<(), PortError> {
        sqlx::query(
            "UPDATE compliance.platform_attestations SET proof = $3, settled_at = $4
             WHERE attester = $1 AND size = $2 AND settled_at IS NULL",
        )
        .bind(by)
        .bind(signed(PORT, size)?)
        .bind(&settled.proof)
        .bind(settled.at)
        .execute(self.pool())
        .await
        .map(drop)
        .map_err(fault)
    }
}
