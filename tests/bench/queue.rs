//! graphile-worker, a job queue on Postgres, in a process and a schema of its own.

use std::{fs::File, path::Path, process::Stdio, time::Duration};

use harness::stores::HarnessError;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{load::here, programs::node};

/// Its script, and its schema.
const SCRIPT: &str = "graphile-worker.js";
const SCHEMA: &str = "graphile_worker";

/// Longest wait for anything it says: it makes its tables and its jobs first.
const PATIENCE: Duration = Duration::from_mins(2);

/// How it is set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// Jobs at the same time.
    pub(crate) concurrency: u32,
    /// Jobs it fetches at a time, ended in batches too; 0 fetches and ends one by one.
    pub(crate) local_queue: u32,
}

/// Its process, with jobs that wait. Killed when dropped.
pub(crate) struct Queue {
    child: Child,
    input: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
    jobs: u32,
}

impl Queue {
    /// Starts it and waits until it has so many jobs that do nothing.
    ///
    /// # Errors
    /// It is not installed, or failed.
    pub(crate) async fn start(
        database: &str,
        jobs: u32,
        setting: Setting,
        dir: &Path,
    ) -> Result<Self, HarnessError> {
        let folder = here().join("npm");
        let log = dir.join(format!("graphile-worker-{}.log", setting.local_queue));
        let mut child = Command::new(node(&folder)?)
            .arg(folder.join(SCRIPT))
            .current_dir(&folder)
            .env_clear()
            .env("NODE_ENV", "production")
            .env("DATABASE_URL", database)
            .env("SCHEMA", SCHEMA)
            .env("JOBS", jobs.to_string())
            .env("CONCURRENCY", setting.concurrency.to_string())
            .env("LOCAL_QUEUE", setting.local_queue.to_string())
            // It logs every job, and nobody reads it.
            .env("NO_LOG_SUCCESS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(log)?)
            .kill_on_drop(true)
            .spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (input, output) = (input.ok_or("no input")?, output.ok_or("no output")?);
        let mut queue = Self { child, input, said: BufReader::new(output).lines(), jobs };
        queue.until("ready").await?;
        Ok(queue)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Has it do all its jobs, and gives the seconds it took by its own clock.
    ///
    /// # Errors
    /// It failed, or did another number of jobs.
    pub(crate) async fn work(&mut self) -> Result<f64, HarnessError> {
        self.input.write_all(b"go\n").await?;
        let told = self.until("done ").await?;
        let (count, ms) = told.split_once(' ').ok_or("graphile-worker told no time")?;
        if count.parse::<u32>()? != self.jobs {
            return Err(format!("graphile-worker did {count} of {} jobs", self.jobs).into());
        }
        Ok(ms.parse::<f64>()? / 1e3)
    }

    /// What stands behind `word` on the line that begins with it. Others are its log.
    async fn until(&mut self, word: &str) -> Result<String, HarnessError> {
        let wait = async {
            while let Some(line) = self.said.next_line().await? {
                if let Some(rest) = line.strip_prefix(word) {
                    return Ok(rest.to_owned());
                }
            }
            Err("graphile-worker ended: install the peers with tests/bench/run.sh".into())
        };
        tokio::time::timeout(PATIENCE, wait).await?
    }
}
