//! Renewed refresh tokens between the platform's answer and the store, as files of this machine.
//!
//! Each is one file, sealed under the tenant's keys, written and on the disk before the store is asked to keep it: a
//! process that is killed in between, or a database that is away, costs no token. A token in here is of use to the
//! machine that has it alone; put the directory on a disk that outlives the process.
//!
//! Invariants
//! - Files can be read by their owner alone, and hold nothing but what is sealed.
//! - A file appears whole: it is written under another name and renamed.

use std::{fs, io, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use domain::{
    accounts::{
        model::{RenewalAsked, Renewed},
        ports::TokenJournal,
    },
    kernel::{
        clock::Timestamp,
        fault::PortError,
        ids::{AccountId, TenantId},
        scope::TenantScope,
        secret::{Place, Sealed, Secret, Vault},
    },
};
use uuid::Uuid;

use crate::private_dir::{Unfit, private_directory, probe, write_whole};

const PORT: &str = "journal";

/// What is sealed is bound to this place and the account.
const TABLE: &str = "journal.tokens";

/// The directory can't be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It lets others in.
    #[error("journal {}: its mode is {mode:03o} and lets others in: run `chmod 700` on it", path.display())]
    Open {
        /// The directory.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
    },
    /// Something that is no directory is in its place.
    #[error("journal {}: it is not a directory", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// It can't be made, looked at or written to.
    #[error("journal {}: it can't be used: {source}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// [`TokenJournal`] in a directory.
pub struct FileJournal {
    directory: PathBuf,
    vault: Arc<dyn Vault>,
}

impl std::fmt::Debug for FileJournal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileJournal").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl FileJournal {
    /// Names it. Nothing is touched before [`Self::prepare`]: not every process has a use for it.
    pub fn new(directory: PathBuf, vault: Arc<dyn Vault>) -> Self {
        Self { directory, vault }
    }

    /// Makes the directory when it is missing (its parent must be there) and tries whether it can be written to.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn prepare(&self) -> Result<(), JournalError> {
        let usable =
            private_directory(&self.directory).and_then(|()| probe(&self.directory).map_err(Unfit::Io));
        usable.map_err(|unfit| {
            let path = self.directory.clone();
            match unfit {
                Unfit::Open(mode) => JournalError::Open { path, mode },
                Unfit::NotADirectory => JournalError::NotADirectory { path },
                Unfit::Io(source) => JournalError::Io { path, source },
            }
        })
    }

    fn path(&self, scope: &TenantScope, account: AccountId) -> PathBuf {
        self.directory.join(name_of(scope, account))
    }
}

fn name_of(scope: &TenantScope, account: AccountId) -> String {
    format!("{}-{}", scope.tenant().uuid().simple(), account.uuid().simple())
}

/// The tenant and account a file is of; `None` for anything else that lies there, as a half-written one.
fn named(name: &str) -> Option<(TenantScope, AccountId)> {
    let (tenant, account) = name.split_once('-')?;
    let tenant = TenantId::from_uuid(Uuid::try_parse(tenant).ok()?);
    Some((TenantScope::of(tenant), AccountId::from_uuid(Uuid::try_parse(account).ok()?)))
}

const fn place(account: AccountId) -> Place {
    Place { table: TABLE, column: "renewed", row: account.uuid() }
}

/// Microseconds of the consent, renewals before, and life, each eight bytes in network order; then the token.
fn encode(asked: &RenewalAsked, renewed: &Renewed) -> Secret {
    let mut bytes = Vec::with_capacity(24 + renewed.refresh.expose().len());
    bytes.extend_from_slice(&asked.consented_at.timestamp_micros().to_be_bytes());
    bytes.extend_from_slice(&u64::from(asked.renewals_used).to_be_bytes());
    bytes.extend_from_slice(&renewed.life_s.to_be_bytes());
    bytes.extend_from_slice(renewed.refresh.expose());
    Secret::new(bytes)
}

fn decode(secret: &Secret) -> Option<(RenewalAsked, Renewed)> {
    let (consented, rest) = secret.expose().split_first_chunk::<8>()?;
    let (used, rest) = rest.split_first_chunk::<8>()?;
    let (life_s, token) = rest.split_first_chunk::<8>()?;
    let asked = RenewalAsked {
        consented_at: Timestamp::from_timestamp_micros(i64::from_be_bytes(*consented))?,
        renewals_used: u32::try_from(u64::from_be_bytes(*used)).ok()?,
    };
    Some((asked, Renewed { refresh: Secret::new(token.to_vec()), life_s: i64::from_be_bytes(*life_s) }))
}

/// Runs what waits for a disk where it holds up nobody.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, PortError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| PortError::passing(PORT, e))?.map_err(|e| PortError::passing(PORT, e))
}

#[async_trait]
impl TokenJournal for FileJournal {
    async fn keep(
        &self,
        scope: &TenantScope,
        account: AccountId,
        asked: &RenewalAsked,
        renewed: &Renewed,
    ) -> Result<(), PortError> {
        let plain = encode(asked, renewed);
        let sealed = self.vault.seal(scope, place(account), plain.expose()).await?.0;
        let (directory, name) = (self.directory.clone(), name_of(scope, account));
        on_disk(move || write_whole(&directory, &name, &sealed)).await
    }

    /// Seals something too: a token could not be written down without its tenant's key.
    async fn ready(&self, scope: &TenantScope) -> Result<(), PortError> {
        self.vault.seal(scope, place(AccountId::from_uuid(Uuid::nil())), b"probe").await?;
        let directory = self.directory.clone();
        on_disk(move || probe(&directory)).await
    }

    async fn kept(&self) -> Result<Vec<(TenantScope, AccountId)>, PortError> {
        let directory = self.directory.clone();
        on_disk(move || {
            let mut found = Vec::new();
            for entry in fs::read_dir(directory)? {
                found.extend(entry?.file_name().to_str().and_then(named));
            }
            Ok(found)
        })
        .await
    }

    async fn read(
        &self,
        scope: &TenantScope,
        account: AccountId,
    ) -> Result<Option<(RenewalAsked, Renewed)>, PortError> {
        let path = self.path(scope, account);
        let sealed = on_disk(move || match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        });
        let Some(sealed) = sealed.await? else { return Ok(None) };
        let plain = self.vault.open(scope, place(account), &Sealed(sealed)).await?;
        Ok(decode(&plain))
    }

    async fn forget(&self, scope: &TenantScope, account: AccountId) -> Result<(), PortError> {
        let path = self.path(scope, account);
        on_disk(move || match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_comes_back() {
        let renewed = Renewed { refresh: Secret::from("rft.x".to_owned()), life_s: 2_592_000 };
        let consented_at = Timestamp::from_timestamp_micros(1_790_000_000_123_456).unwrap();
        let asked = RenewalAsked { consented_at, renewals_used: 3 };
        assert_eq!(decode(&encode(&asked, &renewed)), Some((asked, renewed)));
        assert_eq!(decode(&Secret::new(vec![0; 23])), None);
    }

    #[test]
    fn only_its_own_files_are_read() {
        let (scope, account) = (
            TenantScope::of(TenantId::from_uuid(Uuid::from_u128(1))),
            AccountId::from_uuid(Uuid::from_u128(2)),
        );
        let name = name_of(&scope, account);
        assert_eq!(named(&name), Some((scope, account)));
        for other in ["", "x", &format!("{name}.half"), "a-b"] {
            assert_eq!(named(other), None, "{other}");
        }
    }
}
