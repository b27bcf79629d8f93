//! The platform's log: who signs it, and what remembers how far it has come.

use std::sync::Arc;

use domain::compliance::{Notary, NotaryPorts, log::trust::TrustPolicy, ports::CheckpointSigner};
use infra::{
    high_water::FileHighWater,
    local_keyring::LocalSigner,
    postgres::{Db, PgPlatformStore},
    system::System,
    witness::HttpWitnesses,
};

use crate::{
    config::{Config, Signer},
    wiring::{ROLE_CONNECTIONS, StartupError, pool, token},
    witness::read_trust,
};

/// Who witnesses the platform's log.
pub(crate) fn trust(config: &Config) -> Result<TrustPolicy, StartupError> {
    match &config.notary.policy {
        Some(file) => read_trust("notary.policy", file),
        None => Ok(TrustPolicy::empty()),
    }
}

/// Puts the notary together; `None` when nobody is to sign.
pub(crate) async fn open(config: &Config) -> Result<Option<Notary>, StartupError> {
    let signer: Arc<dyn CheckpointSigner> = match &config.notary.signer {
        Signer::Off => return Ok(None),
        Signer::Local(file) => Arc::new(LocalSigner::open(file)?),
        Signer::Pkcs11(label) => {
            let module = config.keys.pkcs11_module.as_deref().ok_or("keys.pkcs11_module is not set")?;
            Arc::new(token(&config.keys, module).await?.signer(label.clone()))
        }
    };
    // What can't sign now is found out now.
    signer.public_key().await?;
    let db = Db::connect(&config.database.notary_url, pool(config, ROLE_CONNECTIONS))?;
    Ok(Some(Notary::new(NotaryPorts {
        store: Arc::new(PgPlatformStore::new(db)),
        high_water: Arc::new(FileHighWater::open(&config.notary.mark)?),
        signer,
        clock: Arc::new(System),
        entropy: Arc::new(System),
        witnesses: Arc::new(HttpWitnesses::new(config.notary.witness_timeout)?),
        trust: trust(config)?,
        host: config.audit.host.clone(),
    })))
}
