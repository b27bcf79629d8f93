//! Objects in a folder or in a bucket that speaks S3.
//!
//! A folder serves one machine, or several that have it in common. What `put` has answered for is on the disk: files and
//! their folder are synced (fsync) before. Until then a file is called as its object with `#` and a number behind, and
//! such files, which the crate does not list, are seen and removed here too: a process that is killed leaves them.

use std::{
    fmt,
    ops::Range,
    path::{Path as File, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    content::ports::{MARKER_FOLDER, ObjectStore},
    kernel::fault::PortError,
};
use futures_util::TryStreamExt as _;
use object_store::{
    ClientOptions, Error, ObjectStoreExt as _, RetryConfig, aws::AmazonS3Builder, local::LocalFileSystem,
    path::Path,
};
use zeroize::Zeroizing;

use crate::private_dir::{Unfit, private_directory, probe};

const PORT: &str = "object_store";

/// Longest a request to a bucket may take. A part of 8 MiB in that time is a quarter of a megabyte a second.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest a request is tried again and again.
const RETRY_TIMEOUT: Duration = Duration::from_secs(20);

/// Who asks a bucket.
#[derive(Clone)]
pub struct BucketCredentials {
    /// Its name for us.
    pub access_key_id: String,
    /// What proves it.
    pub secret_access_key: Zeroizing<String>,
}

impl fmt::Debug for BucketCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BucketCredentials(..)")
    }
}

/// Where a bucket is.
#[derive(Clone, Debug)]
pub struct BucketSettings {
    /// Its name.
    pub bucket: String,
    /// Its region, as `eu-central-1`.
    pub region: String,
    /// Where its service is, when it is not AWS's, as `https://minio.example.com`.
    pub endpoint: Option<String>,
    /// Who asks; `None` for whom the AWS tools find in the environment or as the machine's role.
    pub credentials: Option<BucketCredentials>,
}

/// Objects in a folder or a bucket.
#[derive(Clone)]
pub struct Objects {
    store: Arc<dyn object_store::ObjectStore>,
    /// Where they are, when that is a folder.
    folder: Option<PathBuf>,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Objects").field(&self.store.to_string()).finish()
    }
}

impl Objects {
    /// Keeps them in `folder`, which is made when it is missing and may be open to nobody but this user.
    ///
    /// # Errors
    /// It can't be made, or others may look into it.
    pub fn in_folder(folder: &File) -> Result<Self, PortError> {
        private_directory(folder).map_err(|unfit| {
            let why = match unfit {
                Unfit::Open(mode) => format!("lets others in (mode {mode:o}); chmod 700"),
                Unfit::NotADirectory => "is no folder".to_owned(),
                Unfit::Io(error) => format!("can't be made or read: {error}"),
            };
            PortError::lasting(PORT, format!("{} {why}", folder.display()))
        })?;
        probe(folder).map_err(|error| {
            PortError::lasting(PORT, format!("{} can't be written to: {error}", folder.display()))
        })?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(port_error)?;
        let store = Arc::new(store.with_fsync(true).with_automatic_cleanup(true));
        Ok(Self { store, folder: Some(folder.to_owned()) })
    }

    /// Keeps them in a bucket.
    ///
    /// # Errors
    /// The settings are no good. Whether there is such a bucket shows when it is used.
    pub fn in_bucket(settings: &BucketSettings) -> Result<Self, PortError> {
        // Half a credential from the environment would be none.
        let builder = match &settings.credentials {
            Some(_) => AmazonS3Builder::new(),
            None => AmazonS3Builder::from_env(),
        };
        let mut builder = builder
            .with_bucket_name(&settings.bucket)
            .with_region(&settings.region)
            .with_retry(RetryConfig { retry_timeout: RETRY_TIMEOUT, ..RetryConfig::default() })
            .with_client_options(ClientOptions::new().with_timeout(REQUEST_TIMEOUT));
        if let Some(credentials) = &settings.credentials {
            builder = builder
                .with_access_key_id(&credentials.access_key_id)
                .with_secret_access_key(credentials.secret_access_key.as_str());
        }
        if let Some(endpoint) = &settings.endpoint {
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        Ok(Self { store: Arc::new(builder.build().map_err(port_error)?), folder: None })
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "whatever else went wrong may be over later")]
fn port_error(error: Error) -> PortError {
    match error {
        Error::NotFound { .. }
        | Error::InvalidPath { .. }
        | Error::NotSupported { .. }
        | Error::NotImplemented { .. }
        | Error::PermissionDenied { .. }
        | Error::Unauthenticated { .. }
        | Error::UnknownConfigurationKey { .. } => PortError::lasting(PORT, error),
        other => PortError::passing(PORT, other),
    }
}

/// Whether a file is one that was being written.
fn is_half_written(name: &str) -> bool {
    let number = name.rsplit_once('#').map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

impl Objects {
    /// Whether the marker is there that a store is known by.
    async fn has_marker(&self) -> bool {
        let Ok(folder) = path(MARKER_FOLDER) else { return false };
        self.store.list(Some(&folder)).try_next().await.is_ok_and(|marker| marker.is_some())
    }

    /// The file of a key that names one that was being written.
    fn half_written(&self, key: &str) -> Option<PathBuf> {
        let root = self.folder.as_ref()?;
        let (folder, name) = key.rsplit_once('/')?;
        let folder = path(folder).ok()?;
        (is_half_written(name) && !name.contains("..")).then(|| root.join(folder.as_ref()).join(name))
    }
}

fn path(key: &str) -> Result<Path, PortError> {
    Path::parse(key).map_err(|e| PortError::lasting(PORT, e))
}

/// For what must not take a store that is empty for one that was emptied: that it is the one that it was.
///
/// # Errors
/// It has no marker: a volume that is not mounted, another bucket.
pub(crate) async fn must_be_known(objects: &dyn ObjectStore) -> Result<(), PortError> {
    if objects.below(MARKER_FOLDER).await?.is_empty() {
        return Err(PortError::passing(PORT, "the store of files is not the one that it was"));
    }
    Ok(())
}

#[async_trait]
impl ObjectStore for Objects {
    async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), PortError> {
        self.store.put(&path(key)?, bytes.into()).await.map(drop).map_err(port_error)
    }

    async fn get(&self, key: &str, range: Range<u64>) -> Result<Vec<u8>, PortError> {
        let wanted = range.end.saturating_sub(range.start);
        let bytes = match self.store.get_range(&path(key)?, range).await {
            Ok(bytes) => bytes,
            // Without its marker a store is not the one it was: a volume that is not mounted, another bucket.
            Err(Error::NotFound { source, .. }) if !self.has_marker().await => {
                return Err(PortError::passing(PORT, source));
            }
            // Nothing is said of the object; credentials are put right, and clocks too.
            Err(error @ (Error::PermissionDenied { .. } | Error::Unauthenticated { .. })) => {
                return Err(PortError::passing(PORT, error));
            }
            Err(error) => return Err(port_error(error)),
        };
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) == wanted {
            Ok(bytes.into())
        } else {
            Err(PortError::lasting(PORT, "an object is shorter than it was"))
        }
    }

    async fn remove(&self, key: &str) -> Result<(), PortError> {
        if let Some(half) = self.half_written(key) {
            return match std::fs::remove_file(half) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(PortError::passing(PORT, error))
                }
                Ok(()) | Err(_) => Ok(()),
            };
        }
        match self.store.delete(&path(key)?).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(port_error(error)),
        }
    }

    async fn below(&self, folder: &str) -> Result<Vec<String>, PortError> {
        let found = self.store.list(Some(&path(folder)?)).map_ok(|object| object.location.to_string());
        let mut keys: Vec<String> = found.try_collect().await.map_err(port_error)?;
        if let Some(root) = &self.folder {
            let mut folders = vec![folder.to_owned()];
            while let Some(folder) = folders.pop() {
                for entry in std::fs::read_dir(root.join(&folder)).into_iter().flatten().flatten() {
                    let Ok(name) = entry.file_name().into_string() else { continue };
                    let key = format!("{folder}/{name}");
                    if is_half_written(&name) {
                        keys.push(key);
                    } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                        folders.push(key);
                    }
                }
            }
        }
        Ok(keys)
    }
}

/// No objects: for programs that have nothing to do with files, and must not make folders for them.
#[derive(Clone, Copy, Debug)]
pub struct NoObjects;

impl NoObjects {
    fn fault<T>() -> Result<T, PortError> {
        Err(PortError::lasting(PORT, "this program keeps no files"))
    }
}

#[async_trait]
impl ObjectStore for NoObjects {
    async fn put(&self, _key: &str, _bytes: Vec<u8>) -> Result<(), PortError> {
        Self::fault()
    }

    async fn get(&self, _key: &str, _range: Range<u64>) -> Result<Vec<u8>, PortError> {
        Self::fault()
    }

    async fn remove(&self, _key: &str) -> Result<(), PortError> {
        Self::fault()
    }

    async fn below(&self, _folder: &str) -> Result<Vec<String>, PortError> {
        Self::fault()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use domain::{content::testkit::object_store_contract, kernel::ids::IdSource as _};

    use super::*;
    use crate::system::System;

    #[tokio::test]
    async fn a_folder_keeps_objects() {
        let folder = std::env::temp_dir().join(format!("objects-{}", System.next_uuid()));
        let objects = Objects::in_folder(&folder).unwrap();
        object_store_contract(&objects, "uploads/test").await;
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "empty folders are not left behind");
        // What a process that was killed while it wrote leaves.
        objects.put("uploads/test/a", vec![1]).await.unwrap();
        let half = folder.join("uploads/test/b#1");
        fs::write(&half, b"half").unwrap();
        let mut below = objects.below("uploads/test").await.unwrap();
        below.sort();
        assert_eq!(below, ["uploads/test/a", "uploads/test/b#1"]);
        for key in below {
            objects.remove(&key).await.unwrap();
        }
        objects.remove("uploads/test/b#1").await.unwrap();
        assert!(!half.exists());
        for odd in ["../x", "a//b", "/a", ""] {
            assert!(objects.put(&format!("{odd}/.."), vec![1]).await.is_err(), "{odd}");
        }
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let open = Objects::in_folder(&folder).unwrap_err();
        assert!(open.source.to_string().contains("755"), "{open:?}");
        fs::remove_dir_all(folder).unwrap();
    }
}
