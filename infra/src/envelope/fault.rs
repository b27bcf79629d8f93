//! What can be wrong with a sealed value or a key.

use domain::kernel::fault::PortError;

/// The name this adapter goes by in errors.
pub(crate) const PORT: &str = "envelope";

/// Why something was not sealed or opened. Never says more about the value than its form.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the sealed value has an unknown form or is cut short")]
    Malformed,
    #[error("the sealed value does not open here: it was changed, or belongs elsewhere")]
    Refused,
    #[error("there is no {purpose} key of version {version}")]
    UnknownVersion { purpose: &'static str, version: u32 },
    #[error("what was asked for is wrapped under tenant key {version}, which is retired")]
    Retired { version: u32 },
    #[error("the key provider gave another key than the one wrapped")]
    AnotherKey,
    #[error("the key is of provider {wrapped_by}, and configured are {configured}")]
    AnotherProvider { wrapped_by: String, configured: String },
    #[error("the wrapped data key does not open under its tenant key")]
    DataKeyRefused,
    #[error("the key provider did not answer in {timeout_ms} ms")]
    ProviderTimeout { timeout_ms: u64 },
    #[error("the key provider failed a moment ago")]
    ProviderFailedRecently,
    #[error("the vault is closed")]
    Closed,
    #[error("somebody else rotated the keys at the same time, to another provider; see which, and try again")]
    RotatedElsewhere,
    #[error("there is no version left to rotate to")]
    OutOfVersions,
    #[error("the cryptographic library refused")]
    Library,
}

impl Fault {
    /// Asking again does not help.
    pub(crate) fn lasting(self) -> PortError {
        PortError::lasting(PORT, self)
    }

    /// Asking again may help.
    pub(crate) fn passing(self) -> PortError {
        PortError::passing(PORT, self)
    }
}
