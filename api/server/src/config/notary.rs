//! What is set of the platform's log.

use std::{path::PathBuf, time::Duration};

use infra::chain::ChainSettings;

use super::sections::{Reader, millis, optional};

/// Who signs the platform's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    /// Nobody.
    Off,
    /// The key in that file.
    Local(PathBuf),
    /// The key pair with that label in the token.
    Pkcs11(String),
}

/// The section `notary` of the default file.
#[derive(Clone, Debug)]
pub struct NotarySettings {
    /// `signer`, with the key it signs with.
    pub signer: Signer,
    /// `key_file`, whoever signs.
    pub key_file: PathBuf,
    /// `interval_ms`.
    pub interval: Duration,
    /// `mark`.
    pub mark: PathBuf,
    /// `policy`; `None` for no witnesses.
    pub policy: Option<PathBuf>,
    /// `witness_timeout_ms`.
    pub witness_timeout: Duration,
    /// `attest_every_s`.
    pub attest_every: Duration,
    /// `authority`; `None` for none.
    pub authority: Option<String>,
    /// `chain_key`.
    pub chain_key: PathBuf,
    /// What begins with `chain_`; `None` for no chain.
    pub chain: Option<ChainSettings>,
}

impl NotarySettings {
    pub(super) fn read(r: &mut Reader<'_>) -> Self {
        let key_file: PathBuf = r.text("notary.key_file").into();
        let signer = match r.text("notary.signer").as_str() {
            "off" => Signer::Off,
            "local-keyring" => Signer::Local(r.filled("notary.key_file").into()),
            "pkcs11" => {
                r.filled("keys.pkcs11_module");
                Signer::Pkcs11(r.filled("notary.pkcs11_key"))
            }
            _ => {
                r.fault("notary.signer", "must be \"local-keyring\", \"pkcs11\" or \"off\"");
                Signer::Off
            }
        };
        Self {
            signer,
            key_file,
            interval: millis(r.number("notary.interval_ms", 10, 3_600_000)),
            mark: r.filled("notary.mark").into(),
            policy: optional(r.text("notary.policy")).map(Into::into),
            witness_timeout: millis(r.number("notary.witness_timeout_ms", 10, 60_000)),
            attest_every: Duration::from_secs(r.number("notary.attest_every_s", 1, 31_536_000).into()),
            authority: optional(r.url("notary.authority", &["http", "https"], false)),
            chain_key: r.text("notary.chain_key").into(),
            chain: chain(r),
        }
    }
}

fn chain(r: &mut Reader<'_>) -> Option<ChainSettings> {
    let chain_id = r.number("notary.chain_id", 1, u32::MAX).into();
    let confirmations = r.number("notary.chain_confirmations", 1, 100_000).into();
    let fee_max_gwei = r.number("notary.chain_fee_max_gwei", 1, 1_000_000);
    let timeout = millis(r.number("notary.chain_timeout_ms", 10, 60_000));
    let url = optional(r.url("notary.chain_url", &["http", "https"], false))?;
    r.filled("notary.chain_key");
    Some(ChainSettings { url: url.parse().ok()?, chain_id, confirmations, fee_max_gwei, timeout })
}
