//! `ffmpeg`, making a file of another.

use std::{
    collections::VecDeque,
    fmt, io,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    pin::Pin,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    content::{
        model::{Part, Recipe, TranscodeFailure},
        ports::{ObjectStore, TranscodeStep, TranscodeWork, Transcoder},
    },
    kernel::fault::PortError,
};
use tokio::{
    fs::{DirBuilder, File},
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::Sleep,
};

use super::{
    arguments::{arguments, confinement, time_max_s},
    progress,
};

const PORT: &str = "ffmpeg";

/// Longest that nothing is told of a run.
const TICK: Duration = Duration::from_secs(2);

/// How much of a source may be missing from what was made of it, in milliseconds, beside one part in twenty.
const MISSING_MAX_MS: u64 = 1_000;

/// Makes files with `ffmpeg`.
#[derive(Clone)]
pub struct Ffmpeg {
    objects: Arc<dyn ObjectStore>,
    scratch: PathBuf,
}

impl fmt::Debug for Ffmpeg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ffmpeg").field("scratch", &self.scratch).finish_non_exhaustive()
    }
}

impl Ffmpeg {
    /// Reads parts from `objects`; a folder for each run is made in `scratch`, which must have room for a source and for
    /// what is made of it.
    pub fn new(objects: Arc<dyn ObjectStore>, scratch: PathBuf) -> Self {
        Self { objects, scratch }
    }
}

fn fault(error: io::Error) -> PortError {
    PortError::passing(PORT, error)
}

/// A folder that goes when this does.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays in a temporary folder is the system's to throw away.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Folder {
    /// An empty one that nobody else may look into; what was there before is thrown away.
    async fn empty(path: PathBuf) -> Result<Self, PortError> {
        match tokio::fs::remove_dir_all(&path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fault(error)),
            Ok(()) | Err(_) => {}
        }
        DirBuilder::new().mode(0o700).create(&path).await.map_err(fault)?;
        Ok(Self(path))
    }

    fn source(&self) -> PathBuf {
        self.0.join("in")
    }

    fn made(&self) -> PathBuf {
        self.0.join("out")
    }
}

/// Where a run stands.
enum Stage {
    /// The source is put together, a part at a time.
    Copying(File, VecDeque<Part>),
    /// `ffmpeg` runs.
    Running(Box<Running>),
    /// What was made is read.
    Reading(File),
    /// It came to nothing.
    Over,
}

struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    patience: Pin<Box<Sleep>>,
}

struct Work {
    objects: Arc<dyn ObjectStore>,
    recipe: Recipe,
    done_ms: u64,
    // Before the folder, so that a run has ended when its files go.
    stage: Stage,
    folder: Folder,
}

/// Starts `ffmpeg`, which is killed when what this gives is dropped.
fn run(recipe: &Recipe, from: &Path, to: &Path) -> Result<Running, PortError> {
    let mut child = Command::new("nice")
        .args(confinement(recipe))
        .args(arguments(recipe, from, to))
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // A group of its own: what a terminal tells us is not told to it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| PortError::lasting(PORT, error))?;
    let stdout = child.stdout.take().ok_or_else(|| PortError::lasting(PORT, "its output is not there"))?;
    let patience = Box::pin(tokio::time::sleep(Duration::from_secs(time_max_s(recipe))));
    Ok(Running { child, lines: BufReader::new(stdout).lines(), patience })
}

/// What came of a run: no file when it says so, or when much of the source is not in it.
fn outcome(status: ExitStatus, recipe: &Recipe, done_ms: u64) -> Result<Option<TranscodeFailure>, PortError> {
    const SIGKILL: i32 = 9;
    const SIGXCPU: i32 = 24;
    const SIGXFSZ: i32 = 25;
    match (status.code(), status.signal()) {
        (Some(0), _) => {
            let wanted_ms = recipe.duration_ms.min(recipe.duration_max_ms);
            let is_short = done_ms + MISSING_MAX_MS + wanted_ms / 20 < wanted_ms;
            Ok(is_short.then_some(TranscodeFailure::Unreadable))
        }
        // 126 and 127: what was to be run is not there or can't be run (POSIX.1-2024, section 2.8.2).
        (Some(126 | 127), _) => {
            Err(PortError::lasting(PORT, "ffmpeg can't be run; are FFmpeg and util-linux installed?"))
        }
        (_, Some(SIGXFSZ)) => Ok(Some(TranscodeFailure::TooLarge)),
        // `ffmpeg` catches the signal for too much processor time, and ends with 255 as after any other.
        (Some(255), _) | (_, Some(SIGXCPU)) => Ok(Some(TranscodeFailure::TooSlow)),
        // By the system, for want of memory, or by an operator.
        (_, Some(SIGKILL)) => Err(PortError::passing(PORT, "ffmpeg was killed")),
        _ => Ok(Some(TranscodeFailure::Unreadable)),
    }
}

/// What a run told.
enum Told {
    Line(String),
    Nothing,
    End,
    TooSlow,
}

impl Running {
    async fn told(&mut self) -> Result<Told, PortError> {
        tokio::select! {
            line = self.lines.next_line() => Ok(line.map_err(fault)?.map_or(Told::End, Told::Line)),
            () = &mut self.patience => Ok(Told::TooSlow),
            () = tokio::time::sleep(TICK) => Ok(Told::Nothing),
        }
    }

    /// How it ended, once its output has; one that does not end then is made to.
    async fn ended(&mut self) -> Result<ExitStatus, PortError> {
        if let Ok(status) = tokio::time::timeout(TICK, self.child.wait()).await {
            return status.map_err(fault);
        }
        self.child.kill().await.map_err(fault)?;
        self.child.wait().await.map_err(fault)
    }
}

impl Work {
    /// Begins to run, now that the source is there.
    async fn begin_run(&mut self) -> Result<(), PortError> {
        if let Stage::Copying(file, _) = &mut self.stage {
            file.flush().await.map_err(fault)?;
        }
        self.stage = Stage::Running(Box::new(run(&self.recipe, &self.folder.source(), &self.folder.made())?));
        Ok(())
    }

    /// Takes what a run has come to.
    async fn end_run(&mut self, status: ExitStatus) -> Result<TranscodeStep, PortError> {
        self.stage = Stage::Over;
        if let Some(failure) = outcome(status, &self.recipe, self.done_ms)? {
            return Ok(TranscodeStep::Failed(failure));
        }
        // The source is not needed any more, and may be large.
        tokio::fs::remove_file(self.folder.source()).await.map_err(fault)?;
        self.stage = Stage::Reading(File::open(self.folder.made()).await.map_err(fault)?);
        Ok(TranscodeStep::Made)
    }
}

#[async_trait]
impl TranscodeWork for Work {
    async fn next(&mut self) -> Result<TranscodeStep, PortError> {
        loop {
            match &mut self.stage {
                Stage::Copying(file, parts) => {
                    let Some(part) = parts.pop_front() else {
                        self.begin_run().await?;
                        continue;
                    };
                    let bytes = self.objects.get(&part.key, 0..part.size_bytes).await?;
                    file.write_all(&bytes).await.map_err(fault)?;
                    return Ok(TranscodeStep::Going { done_ms: 0 });
                }
                Stage::Running(running) => match running.told().await? {
                    Told::Line(line) => {
                        let Some(done_ms) = progress::read(&line) else { continue };
                        self.done_ms = done_ms;
                        return Ok(TranscodeStep::Going { done_ms });
                    }
                    Told::Nothing => return Ok(TranscodeStep::Going { done_ms: self.done_ms }),
                    Told::TooSlow => {
                        self.stage = Stage::Over;
                        return Ok(TranscodeStep::Failed(TranscodeFailure::TooSlow));
                    }
                    Told::End => {
                        let status = running.ended().await?;
                        return self.end_run(status).await;
                    }
                },
                Stage::Reading(_) => return Ok(TranscodeStep::Made),
                Stage::Over => return Err(PortError::lasting(PORT, "it came to nothing before")),
            }
        }
    }

    async fn read(&mut self, most: usize) -> Result<Vec<u8>, PortError> {
        let Stage::Reading(file) = &mut self.stage else {
            return Err(PortError::lasting(PORT, "nothing is made yet"));
        };
        let mut bytes = Vec::new();
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        file.take(most).read_to_end(&mut bytes).await.map_err(fault)?;
        Ok(bytes)
    }
}

#[async_trait]
impl Transcoder for Ffmpeg {
    async fn begin(
        &self,
        name: &str,
        parts: Vec<Part>,
        recipe: &Recipe,
    ) -> Result<Box<dyn TranscodeWork>, PortError> {
        let folder = Folder::empty(self.scratch.join(format!("matricula-transcode-{name}"))).await?;
        let mut options = File::options();
        options.write(true).create_new(true).mode(0o600);
        let file = options.open(folder.source()).await.map_err(fault)?;
        let stage = Stage::Copying(file, parts.into());
        Ok(Box::new(Work {
            objects: Arc::clone(&self.objects),
            recipe: recipe.clone(),
            done_ms: 0,
            stage,
            folder,
        }))
    }
}
