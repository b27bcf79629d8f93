//! Binding reports for auditors: bundles are written, signed, stamped, and kept as pieces in the store of objects while they are
//! written. Files of the range that were made before are not copied: a bundle is pieces, and they are some of them.
//!
//! Invariants: writing is on a thread of its own, and what is not written yet is the leaves of one file of the range at most; a bundle that is
//! dropped half way leaves what is under its place, and nothing else; nothing of a log leaves for the authority but the hash of a
//! signature.
//!
//! Absent on purpose: keys in memory longer than the process, which [`ReportKey`] reads from a file only this user can read, or
//! leaves where they are ([`ReportSigner`]); judging certificates, which is done by whoever checks a report.

mod key;
mod rope;
mod segments;
mod stamp;
mod writer;

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use domain::{
    compliance::{
        bundle::{cms::CadesDraft, writer::ReportHead},
        log::merkle::Hash,
        ports::{Binding, ReportBinder, Segment},
        report::{Piece, time_of},
    },
    content::ports::ObjectStore,
    kernel::{
        clock::{Clock, Timestamp},
        fault::PortError,
        ids::{Entropy, IdSource},
    },
};

pub use key::{PublicKey, ReportKey, ReportKeyFault, ReportSigner};
pub use stamp::TimeStampingAuthority;

const PORT: &str = "bundles";

/// Bytes of a piece of a bundle; the last may have fewer.
const PIECE_BYTES: usize = 8 * 1024 * 1024;

/// The name of a piece. All of a report's are in one folder.
fn piece(place: &str, number: u64) -> String {
    format!("{place}-{number:06}")
}

/// What binds reports.
pub struct Bundles {
    /// Where bundles are kept.
    pub objects: Arc<dyn ObjectStore>,
    /// Where they are written; a folder of this machine.
    pub scratch: PathBuf,
    /// Whether there is something to sign with: here, or where they are made.
    pub can_sign: bool,
    /// What signs them; `None` where no reports are made.
    pub key: Option<Arc<ReportKey>>,
    /// Who says when that was; `None` for nobody.
    pub authority: Option<Arc<TimeStampingAuthority>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Numbers that nobody guesses.
    pub entropy: Arc<dyn Entropy>,
    /// Names of what is only there for a while.
    pub ids: Arc<dyn IdSource>,
}

impl std::fmt::Debug for Bundles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bundles").field("signs", &self.key.is_some()).finish_non_exhaustive()
    }
}

/// A detached CAdES signature over `content` (DER).
async fn signed(key: &ReportKey, content: &[u8], at: Timestamp) -> Result<Vec<u8>, PortError> {
    let fault = |e| PortError::passing(PORT, e);
    let at = time_of(at).map_err(fault)?;
    let draft = CadesDraft::new(content, key.algorithm(), key.certificates(), at).map_err(fault)?;
    let signature = key.sign(draft.request()).await?;
    draft.finish(&signature).map_err(fault)
}

#[async_trait]
impl ReportBinder for Bundles {
    fn can_sign(&self) -> bool {
        self.can_sign
    }

    async fn sign(&self, content: &[u8]) -> Result<Vec<u8>, PortError> {
        let key =
            self.key.as_ref().ok_or_else(|| PortError::lasting(PORT, "there is no key to sign with"))?;
        signed(key, content, self.clock.now()).await
    }

    async fn begin(&self, place: &str, head: ReportHead) -> Result<Box<dyn Binding>, PortError> {
        let key = self.key.clone().ok_or_else(|| PortError::lasting(PORT, "there is no key to sign with"))?;
        let parts = writer::Parts {
            objects: Arc::clone(&self.objects),
            key,
            authority: self.authority.clone(),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            ids: Arc::clone(&self.ids),
        };
        Ok(Box::new(writer::Writing::begin(parts, &self.scratch, place, head)))
    }

    async fn cut(
        &self,
        folder: &str,
        (first, root): (u64, Hash),
        leaves: Vec<Vec<u8>>,
    ) -> Result<Option<Segment>, PortError> {
        segments::cut(&*self.objects, folder, (first, root), leaves).await
    }

    async fn is_sound(&self, folder: &str, segment: &Segment) -> bool {
        segments::is_sound(&*self.objects, folder, segment).await
    }

    async fn remove_segment(&self, folder: &str, segment: &Segment) -> Result<(), PortError> {
        for key in segments::keys(folder, segment.first, &segment.facts) {
            self.objects.remove(&key).await?;
        }
        Ok(())
    }

    async fn read(&self, pieces: &[Piece], offset_bytes: u64, most: usize) -> Result<Vec<u8>, PortError> {
        let mut before = 0;
        for piece in pieces {
            let (from, size_bytes) = (offset_bytes - before, piece.size_bytes());
            if from < size_bytes {
                let to = size_bytes.min(from.saturating_add(u64::try_from(most).unwrap_or(u64::MAX)));
                return match piece {
                    Piece::Object(key, _) => self.objects.get(key, from..to).await,
                    Piece::Bytes(bytes) => {
                        let place = |at| usize::try_from(at).map_err(|e| PortError::lasting(PORT, e));
                        Ok(bytes.get(place(from)?..place(to)?).unwrap_or_default().to_vec())
                    }
                };
            }
            before += size_bytes;
        }
        Ok(Vec::new())
    }

    async fn remove(&self, folder: &str) -> Result<(), PortError> {
        for key in self.objects.below(folder).await? {
            self.objects.remove(&key).await?;
        }
        Ok(())
    }
}
