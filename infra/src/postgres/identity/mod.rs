//! Identity's stores, one file each, all on one tenant transaction.

mod api_keys;
mod invitations;
mod members;
mod password_resets;
mod sessions;
mod tenants;

use domain::kernel::{
    fault::PortError,
    secret::{Place, Sealed, Secret},
};
use uuid::Uuid;

use super::work::PgWork;
use domain::identity::model::EmailAddress;

/// The label of the key that e-mail addresses are looked up under, in members and invitations alike.
const EMAIL_INDEX: &str = "identity.email";

impl PgWork {
    async fn seal(
        &self,
        table: &'static str,
        column: &'static str,
        row: Uuid,
        plain: &[u8],
    ) -> Result<Vec<u8>, PortError> {
        let place = Place { table, column, row };
        Ok(self.shared.vault.seal(&self.tx.scope(), place, plain).await?.0)
    }

    async fn open(
        &self,
        table: &'static str,
        column: &'static str,
        row: Uuid,
        sealed: Vec<u8>,
    ) -> Result<Secret, PortError> {
        let place = Place { table, column, row };
        self.shared.vault.open(&self.tx.scope(), place, &Sealed(sealed)).await
    }

    async fn open_email(
        &self,
        table: &'static str,
        row: Uuid,
        sealed: Vec<u8>,
    ) -> Result<EmailAddress, PortError> {
        let plain = self.open(table, "email_sealed", row, sealed).await?;
        EmailAddress::parse(plain.expose_str().unwrap_or_default()).map_err(|e| PortError::lasting(table, e))
    }

    async fn email_index(&self, email: &EmailAddress) -> Result<Vec<u8>, PortError> {
        let scope = self.tx.scope();
        Ok(self.shared.vault.keyed_hash(&scope, EMAIL_INDEX, email.expose().as_bytes()).await?.to_vec())
    }
}

/// Reads a word a CHECK constraint holds to; anything else is a row we did not write.
fn word<T>(port: &'static str, parsed: Option<T>) -> Result<T, PortError> {
    parsed.ok_or_else(|| PortError::lasting(port, "a stored word is not one of ours"))
}

/// Reads a stored hash.
fn hash32(port: &'static str, bytes: Vec<u8>) -> Result<[u8; 32], PortError> {
    bytes.try_into().map_err(|_| PortError::lasting(port, "a stored hash is not 32 bytes"))
}
