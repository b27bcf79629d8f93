//! The program in a process of its own, as operators start it: for tests that kill it.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
};

use domain::kernel::ids::IdSource as _;
use infra::system::System;
use tokio::process::{Child, Command};

use crate::{client::PATIENCE, stores::HarnessError};

/// `matricula`, running. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

/// Where a program of the workspace is.
///
/// # Errors
/// It is not built.
pub fn program(name: &str) -> Result<PathBuf, HarnessError> {
    let test = std::env::current_exe()?;
    // Programs lie in `<target>/<profile>`, tests one folder below.
    let program = test.ancestors().skip(1).map(|folder| folder.join(name)).find(|program| program.is_file());
    Ok(program.ok_or_else(|| format!("{name} is not built; run `cargo build --workspace --bins`"))?)
}

impl Process {
    /// Starts it with these arguments and settings, and nothing else from the environment. What it says goes into a file
    /// of `dir`.
    ///
    /// # Errors
    /// It is not built, or does not start.
    pub fn start(
        arguments: &[&str],
        settings: &BTreeMap<String, String>,
        dir: &Path,
    ) -> Result<Self, HarnessError> {
        let program = program("matricula")?;
        let log = dir.join(format!("process-{}.log", System.next_uuid().simple()));
        let child = Command::new(&program)
            .args(arguments)
            .env_clear()
            .envs(settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", program.display()))?;
        Ok(Self { child, log })
    }

    /// Its number, as long as it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// What it has said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether it has ended.
    ///
    /// # Errors
    /// It can't be asked.
    pub fn has_ended(&mut self) -> Result<bool, HarnessError> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Waits for its end, and gives its exit code.
    ///
    /// # Errors
    /// It can't be waited for, or does not end.
    pub async fn ended(mut self) -> Result<Option<i32>, HarnessError> {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        Ok(ended.map_err(|_| format!("the process does not end: {}", self.log()))??.code())
    }

    /// Ends it with signal 9, at once and without its noticing.
    ///
    /// # Errors
    /// It can't be waited for.
    pub async fn kill9(mut self) -> Result<(), HarnessError> {
        Ok(self.child.kill().await?)
    }
}
