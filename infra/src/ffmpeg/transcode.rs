//! `ffmpeg`, making a file of another.

use std::{
    collections::VecDeque,
    fmt, io,
    os::unix::{fs::DirBuilderExt as _, process::ExitStatusExt as _},
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
    fs::File,
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

/// What the folders of runs begin with.
const FOLDER: &str = "matricula-transcode-";

/// How old a folder is before it may be one that nobody works in, so that one that is being made is not taken for it.
const LEFT_AFTER: Duration = Duration::from_mins(1);

/// A folder that goes when this does. While its process lives, nobody else can lock the file in it that says so.
struct Folder {
    path: PathBuf,
    _alive: std::fs::File,
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is thrown away by whoever begins a run next.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

impl Folder {
    /// A new one that nobody else may look into. What runs of processes that are dead have left goes first.
    fn new(scratch: &Path, name: &str) -> io::Result<Self> {
        for left in std::fs::read_dir(scratch)?.filter_map(Result::ok) {
            let is_ours = left.file_name().to_string_lossy().starts_with(FOLDER);
            if is_ours && is_left(&left.path()) {
                tracing::info!(folder = %left.path().display(), "what a run has left was thrown away");
                let _ = std::fs::remove_dir_all(left.path());
            }
        }
        let path = scratch.join(format!("{FOLDER}{name}"));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        let alive = std::fs::File::create(path.join(ALIVE))?;
        alive.lock()?;
        Ok(Self { path, _alive: alive })
    }

    fn source(&self) -> PathBuf {
        self.path.join("in")
    }

    fn made(&self) -> PathBuf {
        self.path.join("out")
    }

    fn said(&self) -> PathBuf {
        self.path.join("said")
    }
}

/// The file in a folder that is locked while its process lives.
const ALIVE: &str = "alive";

/// Whether nobody works in a folder any more.
fn is_left(path: &Path) -> bool {
    let age = std::fs::metadata(path).and_then(|folder| folder.modified()).map(|at| at.elapsed());
    let is_old = matches!(age, Ok(Ok(age)) if age > LEFT_AFTER);
    is_old && std::fs::File::open(path.join(ALIVE)).map_or(true, |alive| alive.try_lock().is_ok())
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
fn run(recipe: &Recipe, folder: &Folder) -> Result<Running, PortError> {
    let (from, to) = (&folder.source(), &folder.made());
    let said = std::fs::File::create(folder.said()).map_err(fault)?;
    let mut child = Command::new("nice")
        .args(confinement(recipe))
        .args(arguments(recipe, from, to))
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(said)
        // A group of its own: what a terminal tells us is not told to it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| PortError::lasting(PORT, error))?;
    let stdout = child.stdout.take().ok_or_else(|| PortError::lasting(PORT, "its output is not there"))?;
    let patience = Box::pin(tokio::time::sleep(Duration::from_secs(time_max_s(recipe))));
    Ok(Running { child, lines: BufReader::new(stdout).lines(), patience })
}

/// What the system lacks that is not the source's fault, as `ffmpeg` says it.
const LACKS: [&str; 2] = ["No space left on device", "Cannot allocate memory"];

/// What came of a run.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// There is a file.
    Made,
    /// There will be none.
    Failed(TranscodeFailure),
    /// It was ended by the system or by an operator.
    Killed,
}

/// What came of a run that said so: no file when it says so, or when much of the source is not in it.
fn outcome(status: ExitStatus, said: &str, recipe: &Recipe, done_ms: u64) -> Result<Outcome, PortError> {
    use Outcome::{Failed, Killed, Made};
    const SIGKILL: i32 = 9;
    const SIGXCPU: i32 = 24;
    const SIGXFSZ: i32 = 25;
    // Also with a good end: what could not be written at last is said, and no more.
    if let Some(lack) = LACKS.into_iter().find(|lack| said.contains(lack)) {
        return Err(PortError::passing(PORT, lack));
    }
    match (status.code(), status.signal()) {
        (Some(0), _) => {
            let wanted_ms = recipe.duration_ms.min(recipe.duration_max_ms);
            let is_short = done_ms + MISSING_MAX_MS + wanted_ms / 20 < wanted_ms;
            Ok(if is_short { Failed(TranscodeFailure::Unreadable) } else { Made })
        }
        // 126 and 127: what was to be run is not there or can't be run (POSIX.1-2024, section 2.8.2).
        (Some(126 | 127), _) => {
            Err(PortError::lasting(PORT, "ffmpeg can't be run; are FFmpeg and util-linux installed?"))
        }
        (_, Some(SIGXFSZ)) => Ok(Failed(TranscodeFailure::TooLarge)),
        (_, Some(SIGXCPU)) => Ok(Failed(TranscodeFailure::TooSlow)),
        // By the system, for want of memory, or by an operator; `ffmpeg` catches other signals, and ends with 255.
        (Some(255), _) | (_, Some(SIGKILL)) => Ok(Killed),
        _ => Ok(Failed(TranscodeFailure::Unreadable)),
    }
}

/// The last of what a run said that went wrong. It names no file but those of its folder.
async fn said(path: &Path) -> String {
    const SAID_MAX: usize = 4_096;
    let said = tokio::fs::read(path).await.unwrap_or_default();
    let last = said.get(said.len().saturating_sub(SAID_MAX)..).unwrap_or_default();
    String::from_utf8_lossy(last).trim().to_owned()
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
        self.stage = Stage::Running(Box::new(run(&self.recipe, &self.folder)?));
        Ok(())
    }

    /// Takes what a run has come to.
    async fn end_run(&mut self, status: ExitStatus) -> Result<TranscodeStep, PortError> {
        self.stage = Stage::Over;
        let said = said(&self.folder.said()).await;
        if !said.is_empty() {
            tracing::info!(said, "ffmpeg said");
        }
        match outcome(status, &said, &self.recipe, self.done_ms)? {
            Outcome::Made => {}
            Outcome::Failed(failure) => return Ok(TranscodeStep::Failed(failure)),
            Outcome::Killed => return Ok(TranscodeStep::Killed),
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
        let (scratch, name) = (self.scratch.clone(), name.to_owned());
        let made = tokio::task::spawn_blocking(move || Folder::new(&scratch, &name)).await;
        let folder = made.map_err(|error| PortError::passing(PORT, error))?.map_err(fault)?;
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

#[cfg(test)]
mod tests {
    use domain::kernel::fault::Retry;

    use super::*;
    use crate::ffmpeg::arguments::tests::recipe;

    #[test]
    fn how_a_run_ended_says_whose_fault_it_is() {
        let recipe = recipe(None);
        let all = recipe.duration_ms;
        let code = |code: i32| ExitStatus::from_raw(code << 8);
        let signal = ExitStatus::from_raw;
        let of = |status, said: &str, done_ms| {
            outcome(status, said, &recipe, done_ms).map_err(|fault| fault.retry)
        };
        assert_eq!(of(code(0), "", all), Ok(Outcome::Made));
        assert_eq!(of(code(0), "", all / 2), Ok(Outcome::Failed(TranscodeFailure::Unreadable)));
        // A file without its end, though the program is content.
        let full = "Error writing trailer: No space left on device";
        assert_eq!(of(code(0), full, all), Err(Retry::MayHelp));
        assert_eq!(of(code(1), "Cannot allocate memory", 0), Err(Retry::MayHelp));
        assert_eq!(of(code(1), "Invalid data", 0), Ok(Outcome::Failed(TranscodeFailure::Unreadable)));
        assert_eq!(of(code(127), "", 0), Err(Retry::Useless));
        assert_eq!(of(code(255), "", 0), Ok(Outcome::Killed), "an operator's signal");
        assert_eq!(of(signal(9), "", 0), Ok(Outcome::Killed));
        assert_eq!(of(signal(24), "", 0), Ok(Outcome::Failed(TranscodeFailure::TooSlow)));
        assert_eq!(of(signal(25), "", 0), Ok(Outcome::Failed(TranscodeFailure::TooLarge)));
    }

    #[test]
    fn what_a_dead_process_left_goes_and_what_one_works_in_stays() {
        let scratch = std::env::temp_dir().join(format!("matricula-left-{}", std::process::id()));
        std::fs::create_dir(&scratch).expect("a folder");
        let live = Folder::new(&scratch, "live").expect("a run's");
        let dead = scratch.join(format!("{FOLDER}dead"));
        std::fs::create_dir(&dead).expect("a folder");
        // Long ago, whatever the time is.
        let old = std::time::SystemTime::UNIX_EPOCH;
        for path in [&dead, &live.path] {
            std::fs::File::open(path).and_then(|folder| folder.set_modified(old)).expect("an age");
        }
        let next = Folder::new(&scratch, "next").expect("another run's");
        assert!(live.path.exists() && next.path.exists() && !dead.exists());
        drop((live, next));
        std::fs::remove_dir(&scratch).expect("nothing is left");
    }
}
