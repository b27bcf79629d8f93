//! That all replicas keep files in the same place. One that sees another folder would take files that nobody else finds,
//! and would miss theirs at the first part it is asked for; so it is noticed before anything is served.

use std::{path::PathBuf, sync::Arc};

use domain::{
    content::ports::{MARKER_FOLDER, ObjectStore},
    kernel::{
        fault::{PortError, Retry},
        ids::IdSource,
    },
};
use infra::{
    object_store::{BucketCredentials, BucketSettings, NoObjects, Objects},
    postgres::{Db, remember_file_store},
    system::System,
};
use uuid::Uuid;

use crate::{
    config::{Bucket, Config, Files},
    serve::{Duties, Queue},
    wiring::{StartupError, secret_in},
};

fn bucket_settings(bucket: &Bucket) -> Result<BucketSettings, StartupError> {
    let credentials = |id: &String| -> Result<BucketCredentials, StartupError> {
        let secret = secret_in("content.secret_access_key_file", &bucket.secret_access_key_file)?;
        Ok(BucketCredentials { access_key_id: id.clone(), secret_access_key: secret })
    };
    Ok(BucketSettings {
        bucket: bucket.bucket.clone(),
        region: bucket.region.clone(),
        endpoint: bucket.endpoint.clone(),
        credentials: bucket.access_key_id.as_ref().map(credentials).transpose()?,
    })
}

/// Opens the folder or the bucket, once it is known to be the one that all replicas use.
///
/// # Errors
/// It can't be opened, or is another one.
pub(crate) async fn open_file_store(files: &Files, db: &Db) -> Result<Arc<dyn ObjectStore>, StartupError> {
    let (objects, place) = match files {
        Files::Folder(folder) => (Objects::in_folder(folder)?, format!("the folder {}", folder.display())),
        Files::Bucket(bucket) => {
            (Objects::in_bucket(&bucket_settings(bucket)?)?, format!("the bucket {}", bucket.bucket))
        }
    };
    match check_file_store(&objects, db, &System, &place).await {
        Ok(()) => {}
        // Only another store is a reason not to start at once; one that is away is waited for (and whoever serves has to
        // know who was erased, which is written down there).
        Err(NotChecked::Away(fault)) => {
            tracing::warn!(error = %fault.source, "{place} did not answer; whether it is the right one is not known");
        }
        Err(NotChecked::Another(error)) => return Err(error),
    }
    Ok(Arc::new(objects))
}

/// Markers that are in the store.
async fn markers(objects: &dyn ObjectStore) -> Result<Vec<Uuid>, PortError> {
    let keys = objects.below(MARKER_FOLDER).await?;
    let name = |key: &String| key.rsplit('/').next().and_then(|name| Uuid::parse_str(name).ok());
    Ok(keys.iter().filter_map(name).collect())
}

/// Why a store is not known to be the right one.
#[derive(Debug)]
enum NotChecked {
    /// It did not answer.
    Away(PortError),
    /// It is not, or the database can't say.
    Another(StartupError),
}

impl From<PortError> for NotChecked {
    fn from(fault: PortError) -> Self {
        if fault.retry == Retry::MayHelp { Self::Away(fault) } else { Self::Another(fault.into()) }
    }
}

/// Compares the marker in the store with the one that the database remembers; the first start of all writes both. `place`
/// is what the store is called to operators.
///
/// # Errors
/// It is another store than the one that is remembered.
async fn check_file_store(
    objects: &dyn ObjectStore,
    db: &Db,
    ids: &dyn IdSource,
    place: &str,
) -> Result<(), NotChecked> {
    let there = markers(objects).await?;
    // A store that has a marker keeps it: its database may have been restored from before it was there.
    let marker = there.first().copied().unwrap_or_else(|| ids.next_uuid());
    let remembered = remember_file_store(db, marker, async || {
        if there.is_empty() {
            objects.put(&format!("{MARKER_FOLDER}/{}", marker.hyphenated()), Vec::new()).await?;
        }
        Ok(())
    });
    let remembered = remembered.await?;
    // Once more: who waited for another replica's first start finds what that one has put there.
    let there = markers(objects).await?;
    if there.contains(&remembered) {
        return Ok(());
    }
    let names = there.iter().map(|marker| marker.hyphenated().to_string()).collect::<Vec<_>>();
    let found =
        if names.is_empty() { "no marker".to_owned() } else { format!("the marker {}", names.join(", ")) };
    let remembered = remembered.hyphenated();
    let told = format!(
        "{place} has {found}, and the database remembers the marker {remembered}: this is not where the other replicas \
         keep files. Name the same folder or bucket under [content] everywhere. If this one has the files now, because \
         they were moved or restored, put an empty file {MARKER_FOLDER}/{remembered} into it and start again"
    );
    Err(NotChecked::Another(told.into()))
}

/// Whether files, or keys of persons, are needed: by all who write rows of tenants.
pub(crate) fn keeps_files(duties: &Duties) -> bool {
    let without = [Queue::Sequence, Queue::Verify, Queue::Notarise];
    duties.serve || duties.queues.iter().any(|queue| !without.contains(queue))
}

/// Where files are kept. Whoever has nothing to do with files does not make a folder for them, which would be theirs.
pub(crate) async fn objects(
    config: &Config,
    duties: &Duties,
    db: &Db,
) -> Result<Arc<dyn ObjectStore>, StartupError> {
    if keeps_files(duties) {
        Ok(open_file_store(&config.content.files, db).await?)
    } else {
        Ok(Arc::new(NoObjects))
    }
}

/// Where files are put together for a while.
pub(crate) fn scratch(config: &Config) -> PathBuf {
    config.content.scratch.clone().unwrap_or_else(std::env::temp_dir)
}
