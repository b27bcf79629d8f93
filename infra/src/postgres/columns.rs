//! Columns that hold more than they show: sealed values, hashes, and words that a CHECK constraint holds to. Every
//! context's stores write and read them here.

use domain::kernel::{
    fault::PortError,
    secret::{Place, Sealed, Secret},
};
use uuid::Uuid;

use super::work::PgWork;
use crate::envelope::under_one_key;

impl PgWork {
    /// Seals a value for its place.
    pub(super) async fn seal(
        &self,
        table: &'static str,
        column: &'static str,
        row: Uuid,
        plain: &[u8],
    ) -> Result<Vec<u8>, PortError> {
        let place = Place { table, column, row };
        Ok(self.shared.vault.seal(&self.tx.scope(), place, plain).await?.0)
    }

    /// Seals a value for its place; or gives what is sealed there already, when that is the same value under the same key: who
    /// looks at what changed sees then that it did not.
    pub(super) async fn seal_again(
        &self,
        table: &'static str,
        column: &'static str,
        row: Uuid,
        plain: &[u8],
        kept: Option<&Vec<u8>>,
    ) -> Result<Vec<u8>, PortError> {
        let sealed = self.seal(table, column, row, plain).await?;
        let Some(kept) = kept else { return Ok(sealed) };
        let (sealed, kept) = (Sealed(sealed), Sealed(kept.clone()));
        if !under_one_key(&sealed, &kept) {
            return Ok(sealed.0);
        }
        let opened = self.open(table, column, row, kept.0.clone()).await?;
        Ok(if opened.expose() == plain { kept.0 } else { sealed.0 })
    }

    /// Opens what was sealed for the same place.
    pub(super) async fn open(
        &self,
        table: &'static str,
        column: &'static str,
        row: Uuid,
        sealed: Vec<u8>,
    ) -> Result<Secret, PortError> {
        let place = Place { table, column, row };
        self.shared.vault.open(&self.tx.scope(), place, &Sealed(sealed)).await
    }
}

/// Reads a word a CHECK constraint holds to; anything else is a row we did not write.
pub(super) fn word<T>(port: &'static str, parsed: Option<T>) -> Result<T, PortError> {
    parsed.ok_or_else(|| PortError::lasting(port, "a stored word is not one of ours"))
}

/// Reads a stored hash.
pub(super) fn hash32(port: &'static str, bytes: Vec<u8>) -> Result<[u8; 32], PortError> {
    bytes.try_into().map_err(|_| PortError::lasting(port, "a stored hash is not 32 bytes"))
}
