//! The platform's log: who signs it, what remembers how far it has come, and who outside vouches for its heads.

use std::sync::Arc;

use chrono::TimeDelta;
use domain::compliance::{
    Attesting, AttestingPorts, Notary, NotaryPorts,
    log::trust::TrustPolicy,
    ports::{Attester, CheckpointSigner},
};
use infra::{
    bundles::TimeStampingAuthority,
    chain::EvmChain,
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
pub(crate) async fn open(config: &Config) -> Result<Option<(Notary, Attesting)>, StartupError> {
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
    let store = Arc::new(PgPlatformStore::new(db));
    let attesting = Attesting::new(AttestingPorts {
        store: store.clone(),
        attesters: attesters(config)?,
        clock: Arc::new(System),
        entropy: Arc::new(System),
        every: TimeDelta::from_std(config.notary.attest_every)?,
    });
    let mark = Arc::new(FileHighWater::open(&config.notary.mark)?);
    let notary = Notary::new(NotaryPorts {
        store,
        high_water: mark.clone(),
        leaves: mark,
        signer,
        clock: Arc::new(System),
        entropy: Arc::new(System),
        witnesses: Arc::new(HttpWitnesses::new(config.notary.witness_timeout)?),
        trust: trust(config)?,
        host: config.audit.host.clone(),
    });
    Ok(Some((notary, attesting)))
}

/// Who outside vouches for heads.
fn attesters(config: &Config) -> Result<Vec<Arc<dyn Attester>>, StartupError> {
    let mut attesters: Vec<Arc<dyn Attester>> = Vec::new();
    if let Some(url) = &config.notary.authority {
        attesters.push(Arc::new(TimeStampingAuthority::new(url.clone())?));
    }
    if let Some(chain) = &config.notary.chain {
        attesters.push(Arc::new(EvmChain::new(chain.clone(), &config.notary.chain_key)?));
    }
    Ok(attesters)
}
