//! The key that signs the platform's log, in a hardware module.
//!
//! It is an Ed25519 key pair (`CKK_EC_EDWARDS`) with a label of its own, told from older ones by `CKA_ID`, of which the
//! highest signs. With OpenSC:
//!
//! ```text
//! pkcs11-tool --module M --login --keypairgen --key-type EC:edwards25519 --label matricula-log --id 01 --sensitive
//! ```

use async_trait::async_trait;
use domain::{compliance::ports::CheckpointSigner, kernel::fault::PortError};

use super::{PORT, Pkcs11Token};

/// A [`CheckpointSigner`] over a key pair in a PKCS #11 token, by `CKM_EDDSA`.
#[derive(Clone, Debug)]
pub struct Pkcs11Signer {
    token: Pkcs11Token,
    label: String,
}

impl Pkcs11Token {
    /// The key pair with that label in the same token.
    pub fn signer(&self, label: String) -> Pkcs11Signer {
        Pkcs11Signer { token: self.clone(), label }
    }
}

#[async_trait]
impl CheckpointSigner for Pkcs11Signer {
    async fn public_key(&self) -> Result<[u8; 32], PortError> {
        let label = self.label.clone();
        self.token.call(move |connection| connection.with(|open| open.public_key(&label))).await
    }

    async fn sign(&self, message: &[u8]) -> Result<[u8; 64], PortError> {
        let (label, message) = (self.label.clone(), message.to_vec());
        let signature =
            self.token.call(move |connection| connection.with(|open| open.sign(&label, &message))).await?;
        signature.try_into().map_err(|_| PortError::lasting(PORT, "a signature is not 64 bytes"))
    }
}
