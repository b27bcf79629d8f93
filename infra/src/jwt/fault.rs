//! What can go wrong with tokens. A token that is no good is no fault: it is answered with `None`.

use domain::kernel::fault::PortError;

const PORT: &str = "jwt";

/// Issuer or audience is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token issuer and audience must be set")]
pub struct JwtSettingsFault;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("the token would live for {life_s} s, and {max_s} s is the most")]
    Lifetime { life_s: i64, max_s: i64 },
    #[error("the token could not be signed")]
    Signing,
    #[error("the private key is not the one of the public key beside it")]
    KeyPair,
    #[error("there is no key to sign with")]
    NoKey,
}

impl Fault {
    pub(super) fn lasting(self) -> PortError {
        PortError::lasting(PORT, self)
    }

    pub(super) fn passing(self) -> PortError {
        PortError::passing(PORT, self)
    }
}
