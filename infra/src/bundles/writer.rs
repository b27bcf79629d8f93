//! A bundle being written, on a thread of its own.

use std::{
    fs::File,
    io::{BufWriter, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use aws_lc_rs::digest::{Context, SHA256};
use domain::{
    compliance::{
        bundle::{
            BundleError,
            cms::CadesDraft,
            writer::{BundleWriter, Heads, ReportHead, Sealing},
        },
        ports::{Asked, Binding, Bound, ReportRow, Sealed},
        report::time_of,
    },
    content::ports::ObjectStore,
    kernel::{
        clock::Clock,
        fault::PortError,
        ids::{Entropy, IdSource},
    },
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{PIECE_BYTES, PORT, ReportKey, TimeStampingAuthority, piece};

/// What a bundle is made with.
pub(super) struct Parts {
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) key: Arc<ReportKey>,
    pub(super) authority: Option<Arc<TimeStampingAuthority>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) ids: Arc<dyn IdSource>,
}

type Out = BufWriter<File>;
type Written = Result<(Sealing<Out>, u64), BundleError>;

/// What the thread is told.
enum Task {
    Leaves(Vec<Vec<u8>>, oneshot::Sender<Vec<Asked>>),
    Rows(Vec<ReportRow>, oneshot::Sender<()>),
    Close(Box<Heads>),
}

/// A bundle being written.
pub(super) struct Writing {
    parts: Parts,
    tasks: mpsc::Sender<Task>,
    /// `None` once its end was heard.
    thread: Option<JoinHandle<Written>>,
}

fn fault(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PortError {
    PortError::passing(PORT, error)
}

/// A file without a name: it is gone when it is closed, whatever becomes of this process.
fn unnamed(path: &Path) -> std::io::Result<File> {
    let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(path)?;
    std::fs::remove_file(path)?;
    Ok(file)
}

/// Writes what it is told until it is told to close.
fn write(
    scratch: &[PathBuf; 4],
    head: ReportHead,
    certificates: &[Vec<u8>],
    mut tasks: mpsc::Receiver<Task>,
) -> Written {
    let is_shown = !head.disclosed.is_empty();
    let [out, rows, disclosures, erasures] = scratch;
    let spools = [unnamed(rows)?, unnamed(disclosures)?, unnamed(erasures)?];
    let mut writer = BundleWriter::new(BufWriter::new(unnamed(out)?), spools, head)?;
    let mut rows = 0;
    while let Some(task) = tasks.blocking_recv() {
        match task {
            Task::Leaves(leaves, told) => {
                let mut asked = Vec::new();
                for leaf in leaves {
                    let pushed = writer.push_leaf(&leaf)?;
                    if pushed.asked_for && is_shown {
                        asked.push(Asked { index: pushed.index, leaf });
                    } else if pushed.asked_for {
                        writer.push_row(pushed.index, &leaf, &[None, None])?;
                        rows += 1;
                    }
                }
                // Who asked may be gone; the next task, or none, says so.
                let _gone = told.send(asked);
            }
            Task::Rows(shown, told) => {
                for ReportRow { of, shown } in shown {
                    writer.push_row(of.index, &of.leaf, &shown)?;
                    rows += 1;
                }
                let _gone = told.send(());
            }
            Task::Close(heads) => return Ok((writer.close(&heads, certificates)?, rows)),
        }
    }
    Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into())
}

impl Writing {
    pub(super) fn begin(parts: Parts, scratch: &Path, head: ReportHead) -> Self {
        let scratch =
            std::array::from_fn(|_| scratch.join(format!("report-{}", parts.ids.next_uuid().simple())));
        let (tasks, waiting) = mpsc::channel(1);
        let key = Arc::clone(&parts.key);
        let thread = tokio::task::spawn_blocking(move || write(&scratch, head, key.certificates(), waiting));
        Self { parts, tasks, thread: Some(thread) }
    }

    /// Has the thread do something; `None` when the leaves or rows are not what they should be.
    async fn tell<T>(&mut self, task: Task, done: oneshot::Receiver<T>) -> Result<Option<T>, PortError> {
        if self.tasks.send(task).await.is_ok()
            && let Ok(done) = done.await
        {
            return Ok(Some(done));
        }
        // It has ended before its time: how, it says itself.
        match self.end().await? {
            None => Ok(None),
            Some(_) => Err(fault("the thread has ended")),
        }
    }

    /// How the thread ended; `None` when the leaves are not what they should be.
    async fn end(&mut self) -> Result<Option<(Sealing<Out>, u64)>, PortError> {
        let thread = self.thread.take().ok_or_else(|| fault("the thread has ended"))?;
        // A panic stays until somebody acts.
        match thread.await.map_err(|e| PortError::lasting(PORT, e))? {
            Ok(written) => Ok(Some(written)),
            Err(
                error @ (BundleError::Leaf { .. }
                | BundleError::Merkle(_)
                | BundleError::OtherTree
                | BundleError::Head
                | BundleError::RowOrder { .. }
                | BundleError::RowUnasked { .. }
                | BundleError::RowOpening { .. }
                | BundleError::SegmentOrder { .. }
                | BundleError::ErasureProof(_)),
            ) => {
                tracing::error!(error = %error, "a log can't be shown in a report");
                Ok(None)
            }
            Err(
                error @ (BundleError::Io(_)
                | BundleError::Zip(_)
                | BundleError::Format(_)
                | BundleError::Signing(_)),
            ) => Err(fault(error)),
        }
    }
}

#[async_trait]
impl Binding for Writing {
    async fn add(&mut self, leaves: Vec<Vec<u8>>) -> Result<Option<Vec<Asked>>, PortError> {
        let (told, done) = oneshot::channel();
        self.tell(Task::Leaves(leaves, told), done).await
    }

    async fn show(&mut self, rows: Vec<ReportRow>) -> Result<bool, PortError> {
        let (told, done) = oneshot::channel();
        Ok(self.tell(Task::Rows(rows, told), done).await?.is_some())
    }

    async fn seal(mut self: Box<Self>, heads: Heads) -> Result<Option<Box<dyn Sealed>>, PortError> {
        // When it is not taken, the thread has ended, and says how.
        let _ended = self.tasks.send(Task::Close(Box::new(heads))).await;
        let Some((sealing, rows)) = self.end().await? else { return Ok(None) };
        let parts = &self.parts;
        let signed_at = time_of(parts.clock.now()).map_err(fault)?;
        let key = &parts.key;
        let draft = CadesDraft::new(sealing.sums(), key.algorithm(), key.certificates(), signed_at);
        let draft = draft.map_err(fault)?;
        let signature = key.sign(draft.request().message).ok_or_else(|| fault("the key does not sign"))?;
        let signature = draft.finish(&signature).map_err(fault)?;
        let stamp = match &parts.authority {
            None => None,
            Some(authority) => {
                let nonce = parts.entropy.bytes32().first_chunk().copied().map_or(0, u64::from_be_bytes);
                let stamped = authority.stamp(&signature, nonce).await;
                // The signature is good without, as long as its certificate is.
                stamped.inspect_err(|e| tracing::warn!(error = %e.source, "a report has no timestamp")).ok()
            }
        };
        let is_timestamped = stamp.is_some();
        let sealed = tokio::task::spawn_blocking(move || -> Result<File, BundleError> {
            let mut out = sealing.seal(&signature, stamp.as_deref())?;
            out.flush()?;
            let mut file = out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
            file.seek(SeekFrom::Start(0))?;
            Ok(file)
        });
        let file = sealed.await.map_err(fault)?.map_err(fault)?;
        Ok(Some(Box::new(Keeping {
            objects: Arc::clone(&parts.objects),
            file: Some(file),
            hasher: Context::new(&SHA256),
            size_bytes: 0,
            pieces: 0,
            rows,
            is_timestamped,
        })))
    }
}

/// A sealed bundle that is kept piece by piece.
struct Keeping {
    objects: Arc<dyn ObjectStore>,
    /// `None` after a failure.
    file: Option<File>,
    hasher: Context,
    size_bytes: u64,
    pieces: u64,
    rows: u64,
    is_timestamped: bool,
}

#[async_trait]
impl Sealed for Keeping {
    async fn keep(&mut self, place: &str) -> Result<Option<Bound>, PortError> {
        let mut file = self.file.take().ok_or_else(|| fault("it was not kept"))?;
        let read = tokio::task::spawn_blocking(move || -> std::io::Result<(File, Vec<u8>)> {
            let mut bytes = Vec::new();
            (&mut file).take(PIECE_BYTES).read_to_end(&mut bytes)?;
            Ok((file, bytes))
        });
        let (file, bytes) = read.await.map_err(fault)?.map_err(fault)?;
        if bytes.is_empty() {
            let sha256 = self.hasher.clone().finish().as_ref().try_into().map_err(fault)?;
            let (size_bytes, rows, is_timestamped) = (self.size_bytes, self.rows, self.is_timestamped);
            return Ok(Some(Bound { size_bytes, sha256, rows, is_timestamped }));
        }
        self.hasher.update(&bytes);
        self.size_bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.objects.put(&piece(place, self.pieces), bytes).await?;
        (self.file, self.pieces) = (Some(file), self.pieces + 1);
        Ok(None)
    }
}
