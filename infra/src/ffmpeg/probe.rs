//! `ffprobe`.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    content::{
        model::{Part, Probed},
        ports::{MediaProbe, ObjectStore},
    },
    kernel::{fault::PortError, ids::IdSource},
};
use tokio::{fs::File, io::AsyncWriteExt as _, process::Command};

use super::{
    arguments::{FORMATS, MEMORY_MAX, file_url},
    report,
};

const PORT: &str = "ffprobe";

/// Longest a run may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Most processor time of a run, in seconds.
const PROCESSOR_MAX: &str = "--cpu=60";

/// Probes files with `ffprobe`.
#[derive(Clone)]
pub struct Ffprobe {
    objects: Arc<dyn ObjectStore>,
    ids: Arc<dyn IdSource>,
    scratch: PathBuf,
}

impl fmt::Debug for Ffprobe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ffprobe").field("scratch", &self.scratch).finish_non_exhaustive()
    }
}

/// A file that goes when this does.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays in a temporary folder is the system's to throw away.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Ffprobe {
    /// Reads parts from `objects` and puts a file together in `scratch` for each run: it must have room for one.
    pub fn new(objects: Arc<dyn ObjectStore>, ids: Arc<dyn IdSource>, scratch: PathBuf) -> Self {
        Self { objects, ids, scratch }
    }

    async fn put_together(&self, parts: &[Part]) -> Result<Scratch, PortError> {
        let fault = |e: std::io::Error| PortError::passing(PORT, e);
        let path = self.scratch.join(format!("matricula-probe-{}", self.ids.next_uuid().simple()));
        let mut options = File::options();
        options.write(true).create_new(true).mode(0o600);
        let mut file = options.open(&path).await.map_err(fault)?;
        let scratch = Scratch(path);
        for part in parts {
            let bytes = self.objects.get(&part.key, 0..part.size_bytes).await?;
            file.write_all(&bytes).await.map_err(fault)?;
        }
        file.flush().await.map_err(fault)?;
        Ok(scratch)
    }
}

/// The report on a file; `None` when there is nothing to report. Demuxers that open other files are none of those
/// allowed, and no protocol but that of files is.
async fn run(file: &Path) -> Result<Option<Vec<u8>>, PortError> {
    let run = Command::new("prlimit")
        .args([MEMORY_MAX, PROCESSOR_MAX, "ffprobe"])
        .args(["-v", "error", "-protocol_whitelist", "file"])
        .args(["-format_whitelist", FORMATS])
        .args(["-of", "json", "-show_format", "-show_streams", "-i"])
        .arg(file_url(file))
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    match tokio::time::timeout(PATIENCE, run).await {
        Ok(Ok(ended)) if ended.status.success() => Ok(Some(ended.stdout)),
        // 126 and 127: what was to be run is not there or can't be run (POSIX.1-2024, section 2.8.2).
        Ok(Ok(ended)) if matches!(ended.status.code(), Some(126 | 127)) => {
            Err(PortError::lasting(PORT, "ffprobe can't be run; is FFmpeg installed?"))
        }
        Ok(Ok(_)) | Err(_) => Ok(None),
        Ok(Err(error)) => Err(PortError::lasting(PORT, error)),
    }
}

#[async_trait]
impl MediaProbe for Ffprobe {
    async fn probe(&self, parts: &[Part]) -> Result<Probed, PortError> {
        let file = self.put_together(parts).await?;
        Ok(run(&file.0).await?.map_or(Probed::NotMedia, |found| report::read(&found)))
    }
}
