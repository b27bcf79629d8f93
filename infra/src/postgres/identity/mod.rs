//! Identity's stores, one file each, all on one tenant transaction.

mod api_keys;
mod invitations;
mod members;
mod password_resets;
mod sessions;
mod tenants;

use domain::{identity::model::EmailAddress, kernel::fault::PortError};
use uuid::Uuid;

use super::{
    columns::{hash32, word},
    work::PgWork,
};

/// The label of the key that e-mail addresses are looked up under, in members and invitations alike.
const EMAIL_INDEX: &str = "identity.email";

impl PgWork {
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
