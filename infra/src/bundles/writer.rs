//! A bundle being written, on a thread of its own.

use std::{
    collections::BTreeSet,
    fs::File,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use domain::{
    compliance::{
        bundle::{
            BundleError,
            names::SEGMENT_LEAVES_MAX,
            writer::{BundleWriter, Heads, ReadyFile, ReadySegment, ReportHead, Sealing},
        },
        ports::{Added, Asked, Binding, Bound, ReportRow, Segment},
        report::Piece,
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

use super::{
    PORT, ReportKey, TimeStampingAuthority,
    rope::{Object, Rope},
    segments::{self, SegmentLeaves},
    signed,
};

/// What a bundle is made with.
pub(super) struct Parts {
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) key: Arc<ReportKey>,
    pub(super) authority: Option<Arc<TimeStampingAuthority>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) ids: Arc<dyn IdSource>,
}

type Written = Result<(Sealing<Rope>, u64), BundleError>;

/// Pieces, and SHA-256 of all of them if that is known.
type Pieces = (Vec<Piece>, Option<[u8; 32]>);

/// What the thread is told.
enum Task {
    Leaves(Vec<Vec<u8>>, oneshot::Sender<Vec<Asked>>),
    /// A file that lies ready under that name, and its leaves that may be asked for.
    Ready(String, Segment, SegmentLeaves, oneshot::Sender<Vec<Asked>>),
    Rows(Vec<ReportRow>, oneshot::Sender<()>),
    Erasure(u64, String, oneshot::Sender<()>),
    Close(Box<Heads>),
}

/// A bundle being written.
pub(super) struct Writing {
    parts: Parts,
    tasks: mpsc::Sender<Task>,
    /// `None` once its end was heard.
    thread: Option<JoinHandle<Written>>,
    keeper: JoinHandle<Result<(), PortError>>,
    /// Types of leaves that may be asked for; `None` for all.
    types: Arc<Option<BTreeSet<String>>>,
    /// The file that is expected next, as it is being read.
    ahead: Option<(Segment, JoinHandle<LeavesRead>)>,
}

/// What is read of a file that lies ready; `None` when it is not what it was.
type LeavesRead = Result<Option<SegmentLeaves>, PortError>;

/// Keeps objects as they come.
async fn keep(objects: Arc<dyn ObjectStore>, mut made: mpsc::Receiver<Object>) -> Result<(), PortError> {
    while let Some((key, bytes)) = made.recv().await {
        objects.put(&key, bytes).await?;
    }
    Ok(())
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
    scratch: &[PathBuf; 3],
    out: &Rope,
    head: ReportHead,
    certificates: &[Vec<u8>],
    mut tasks: mpsc::Receiver<Task>,
) -> Written {
    let is_shown = !head.disclosed.is_empty();
    let [rows, disclosures, erasures] = scratch;
    let spools = [unnamed(rows)?, unnamed(disclosures)?, unnamed(erasures)?];
    let mut writer = BundleWriter::new(out.clone(), spools, head)?;
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
            Task::Ready(key, Segment { first, root, facts, .. }, leaves, told) => {
                let mut begin = || out.refer(key.clone(), facts.length);
                writer.push_segment(ReadySegment {
                    first,
                    leaves: SEGMENT_LEAVES_MAX,
                    subtrees: &[root],
                    file: ReadyFile::Elsewhere(facts, &mut begin),
                })?;
                let mut asked = Vec::new();
                for (index, leaf) in leaves.iter() {
                    if !writer.asks_for(index, leaf)? {
                        continue;
                    }
                    if is_shown {
                        asked.push(Asked { index, leaf: leaf.to_vec() });
                    } else {
                        writer.push_row(index, leaf, &[None, None])?;
                        rows += 1;
                    }
                }
                let _gone = told.send(asked);
            }
            Task::Rows(shown, told) => {
                for ReportRow { of, shown } in shown {
                    writer.push_row(of.index, &of.leaf, &shown)?;
                    rows += 1;
                }
                let _gone = told.send(());
            }
            Task::Erasure(index, proof, told) => {
                writer.push_erasure_proof(index, &proof)?;
                let _gone = told.send(());
            }
            Task::Close(heads) => return Ok((writer.close(&heads, certificates)?, rows)),
        }
    }
    Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into())
}

impl Writing {
    pub(super) fn begin(parts: Parts, scratch: &Path, place: &str, head: ReportHead) -> Self {
        let scratch =
            std::array::from_fn(|_| scratch.join(format!("report-{}", parts.ids.next_uuid().simple())));
        let (tasks, waiting) = mpsc::channel(1);
        let (objects, made) = mpsc::channel(2);
        let rope = Rope::new(place.to_owned(), objects);
        let types = head.query.types();
        let types = Arc::new(types.map(|types| types.into_iter().map(str::to_owned).collect()));
        let key = Arc::clone(&parts.key);
        let thread =
            tokio::task::spawn_blocking(move || write(&scratch, &rope, head, key.certificates(), waiting));
        let keeper = tokio::spawn(keep(Arc::clone(&parts.objects), made));
        Self { parts, tasks, thread: Some(thread), keeper, types, ahead: None }
    }

    /// Begins to read a file that lies ready.
    fn read(&self, folder: &str, segment: &Segment) -> JoinHandle<LeavesRead> {
        let (objects, types) = (Arc::clone(&self.parts.objects), Arc::clone(&self.types));
        let (folder, segment) = (folder.to_owned(), segment.clone());
        tokio::spawn(async move {
            let is_wanted = |name: &str| types.as_ref().as_ref().is_none_or(|types| types.contains(name));
            segments::leaves(&*objects, &folder, &segment, is_wanted).await
        })
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
    async fn end(&mut self) -> Result<Option<(Sealing<Rope>, u64)>, PortError> {
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

    async fn prove_erasure(&mut self, index: u64, proof: String) -> Result<bool, PortError> {
        let (told, done) = oneshot::channel();
        Ok(self.tell(Task::Erasure(index, proof, told), done).await?.is_some())
    }

    async fn add_segment(
        &mut self,
        folder: &str,
        segment: &Segment,
        next: Option<&Segment>,
    ) -> Result<Added, PortError> {
        let reading = match self.ahead.take() {
            Some((of, reading)) if of == *segment => reading,
            Some(_) | None => self.read(folder, segment),
        };
        let leaves = reading.await.map_err(fault)??;
        // While rows are made of these, the next are read.
        self.ahead = next.map(|next| (next.clone(), self.read(folder, next)));
        let Some(leaves) = leaves else {
            tracing::warn!(
                folder,
                first = segment.first,
                "a file of a log is gone or spoilt; its leaves are read anew"
            );
            return Ok(Added::Unfit);
        };
        let [key, _] = segments::keys(folder, segment.first, &segment.facts);
        let (told, done) = oneshot::channel();
        let added = self.tell(Task::Ready(key, segment.clone(), leaves, told), done).await?;
        Ok(added.map_or(Added::Broken, Added::Leaves))
    }

    async fn seal(mut self: Box<Self>, heads: Heads) -> Result<Option<Bound>, PortError> {
        // When it is not taken, the thread has ended, and says how.
        let _ended = self.tasks.send(Task::Close(Box::new(heads))).await;
        let Some((sealing, rows)) = self.end().await? else { return Ok(None) };
        let parts = &self.parts;
        let signature = signed(&parts.key, sealing.sums(), parts.clock.now()).await?;
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
        let sealed = tokio::task::spawn_blocking(move || -> Result<Pieces, BundleError> {
            Ok(sealing.seal(&signature, stamp.as_deref())?.finish()?)
        });
        let sealed = sealed.await.map_err(fault)?;
        // What kept it from being kept says more than that it was not.
        self.keeper.await.map_err(fault)??;
        let (pieces, sha256) = sealed.map_err(fault)?;
        let size_bytes = pieces.iter().map(Piece::size_bytes).sum();
        Ok(Some(Bound { size_bytes, pieces, sha256, rows, is_timestamped }))
    }
}
