//! Signing a bundle whose files are all written.

use std::io::Write;

use super::files::Files;
use crate::{
    BundleError,
    cms::{self, RawSigner},
    names,
    time::Time,
    tsp,
};

/// Asks a time-stamping authority.
pub trait Timestamper {
    /// A random number for the next request.
    fn nonce(&self) -> u64;

    /// Sends a request (DER, [`tsp::request`]) and gives the answer (DER).
    ///
    /// # Errors
    /// Whatever kept it from answering.
    fn stamp(&self, request: &[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>>;
}

/// A bundle that only wants its signature.
pub struct Sealing<W> {
    files: Files<W>,
    sums: String,
}

/// A finished bundle.
#[derive(Debug)]
pub struct Sealed<W> {
    /// What was written to.
    pub out: W,
    /// Why there is no timestamp though one was asked for. The bundle is good without, as long as the signer's
    /// certificate is.
    pub without_timestamp: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl<W: Write> Sealing<W> {
    pub(super) const fn new(files: Files<W>, sums: String) -> Self {
        Self { files, sums }
    }

    /// What is to be signed ([`cms::CadesDraft`]).
    pub fn sums(&self) -> &[u8] {
        self.sums.as_bytes()
    }

    /// Ends the bundle with a signature over [`Sealing::sums`] (DER) and, when there is one, what [`tsp::keep`] kept of
    /// the timestamp over that signature.
    ///
    /// # Errors
    /// `Io`, `Zip`.
    pub fn seal(mut self, signature: &[u8], timestamp: Option<&[u8]>) -> Result<W, BundleError> {
        self.files.add(names::SUMS, self.sums.as_bytes())?;
        self.files.add(names::SIGNATURE, signature)?;
        if let Some(timestamp) = timestamp {
            self.files.add(names::TIMESTAMP, timestamp)?;
        }
        self.files.finish()
    }

    /// Signs, has the signature stamped and ends the bundle. An authority that does not answer is no failure.
    ///
    /// # Errors
    /// `Signing`, `Format`, `Io`, `Zip`.
    pub fn seal_with(
        self,
        signer: &dyn RawSigner,
        timestamper: Option<&dyn Timestamper>,
        signed_at: Time,
    ) -> Result<Sealed<W>, BundleError> {
        let signature = cms::sign(signer, self.sums.as_bytes(), signed_at)?;
        let stamped = timestamper.map(|timestamper| stamp(timestamper, &signature)).transpose();
        let (timestamp, without_timestamp) = match stamped {
            Ok(timestamp) => (timestamp, None),
            Err(fault) => (None, Some(fault)),
        };
        let out = self.seal(&signature, timestamp.as_deref())?;
        Ok(Sealed { out, without_timestamp })
    }
}

fn stamp(
    timestamper: &dyn Timestamper,
    signature: &[u8],
) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let nonce = timestamper.nonce();
    let answer = timestamper.stamp(&tsp::request(signature, nonce)?)?;
    Ok(tsp::keep(&answer, signature, nonce)?)
}
