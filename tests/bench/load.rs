//! Load: `wrk` on the product's own door, `pgbench` on its database.

use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
};

use harness::stores::HarnessError;
use serde::Deserialize;
use tokio::process::Command;
use url::Url;

use crate::{
    machine::{Spent, Watched},
    rounds::Sample,
};

/// Connections of `wrk`, where nothing else is said.
pub(crate) const CONNECTIONS: u32 = 32;
/// Connections of `pgbench`: as many as the product's pool has.
const SQL_CONNECTIONS: u32 = 16;
/// Seconds a load runs before anything is measured.
pub(crate) const WARM_UP_S: u32 = 2;
/// Seconds that are measured.
pub(crate) const MEASURED_S: u32 = 4;

/// What asks.
#[derive(Clone, Debug)]
pub(crate) enum Tool {
    /// `wrk` with the requests of a file; answers are `answer_bytes` long, give or take an eighth.
    Http { service: Service, requests: PathBuf, answer_bytes: u32, connections: u32 },
    /// `pgbench` with a script, as the application's role.
    Sql { script: PathBuf },
}

/// What answers it.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    /// The endpoint, as `http://127.0.0.1:1/graphql`.
    pub(crate) url: String,
    /// Its process; the children of that count too.
    pub(crate) pid: Option<u32>,
}

/// What is the same for all tools.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The database, as the application's role.
    pub(crate) database: Url,
    /// `pgbench`.
    pub(crate) pgbench: PathBuf,
    /// Whose processor time is told apart.
    pub(crate) watched: Watched,
}

/// What a load did.
struct Outcome {
    count: f64,
    duration_s: f64,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
}

impl Tool {
    /// Warms up, then measures once.
    ///
    /// # Errors
    /// The tool is missing, or something it asked for was refused.
    pub(crate) async fn measure(&self, target: &Target) -> Result<Sample, HarnessError> {
        self.run(target, WARM_UP_S).await?;
        let server = if let Self::Http { service, .. } = self { service.pid } else { None };
        let watched = Watched { server, ..target.watched };
        let before = watched.usage()?;
        let outcome = self.run(target, MEASURED_S).await?;
        let spent = watched.usage()?.since(&before);
        Ok(outcome.sample(&spent))
    }

    /// The same with another number of connections.
    pub(crate) fn with_connections(&self, count: u32) -> Self {
        let mut tool = self.clone();
        if let Self::Http { connections, .. } = &mut tool {
            *connections = count;
        }
        tool
    }

    async fn run(&self, target: &Target, seconds: u32) -> Result<Outcome, HarnessError> {
        match self {
            Self::Http { service, requests, answer_bytes, connections } => {
                let text = wrk(&service.url, requests, *connections, seconds).await?;
                http_outcome(&text, *answer_bytes)
                    .map_err(|error| format!("{}: {error}:\n{text}", requests.display()).into())
            }
            Self::Sql { script } => sql_outcome(&pgbench(target, script, seconds).await?),
        }
    }
}

impl Outcome {
    fn sample(&self, spent: &Spent) -> Sample {
        let each_us = |seconds: f64| seconds * 1e6 / self.count;
        Sample {
            per_s: self.count / self.duration_s,
            p50_ms: self.p50_ms,
            p99_ms: self.p99_ms,
            server_us: each_us(spent.server),
            worker_us: each_us(spent.worker),
            postgres_us: each_us(spent.postgres),
            redis_us: each_us(spent.redis),
            foreign_cores: spent.foreign_cores,
        }
    }
}

async fn wrk(url: &str, requests: &Path, connections: u32, seconds: u32) -> Result<String, HarnessError> {
    let mut command = Command::new("wrk");
    command.arg("-t1").arg(format!("-c{connections}")).arg(format!("-d{seconds}s"));
    // Its own patience, 2 seconds, is shorter than the product's.
    command.arg("--timeout=20s").arg("-s");
    command.arg(here().join("load.lua")).arg(url).arg("--").arg(requests);
    output(command, "wrk").await
}

async fn pgbench(target: &Target, script: &Path, seconds: u32) -> Result<String, HarnessError> {
    let database = &target.database;
    let mut command = Command::new(&target.pgbench);
    command.args(["--no-vacuum", "--protocol=prepared", "--jobs=1"]);
    command.arg(format!("--client={SQL_CONNECTIONS}")).arg(format!("--time={seconds}"));
    command.arg("--file").arg(script).arg(database.path().trim_start_matches('/'));
    command.env("PGHOST", database.host_str().unwrap_or_default());
    command.env("PGPORT", database.port().unwrap_or(5432).to_string());
    command.env("PGUSER", database.username());
    command.env("PGPASSWORD", database.password().unwrap_or_default());
    output(command, "pgbench").await
}

async fn output(mut command: Command, name: &str) -> Result<String, HarnessError> {
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| format!("{name} does not start ({error}): run deploy/setup.sh --bench"))?;
    if !output.status.success() {
        return Err(format!("{name} failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The line that `load.lua` ends with.
#[derive(Deserialize)]
struct Told {
    requests: u32,
    bytes: f64,
    duration_us: f64,
    failed: u32,
    p50_us: f64,
    p99_us: f64,
}

fn http_outcome(text: &str, answer_bytes: u32) -> Result<Outcome, HarnessError> {
    let line = text.lines().find_map(|line| line.strip_prefix("result "));
    let told: Told = serde_json::from_str(line.ok_or("wrk told no result")?)?;
    if told.failed > 0 || told.requests == 0 {
        return Err(format!("{} of {} requests failed", told.failed, told.requests).into());
    }
    let count = f64::from(told.requests);
    // GraphQL answers 200 to what went half wrong; such answers have another length.
    let (wanted, found) = (f64::from(answer_bytes), told.bytes / count);
    if (found - wanted).abs() > wanted / 8.0 {
        return Err(format!("answers have {found:.0} bytes where {wanted:.0} were expected").into());
    }
    Ok(Outcome {
        count,
        duration_s: told.duration_us / 1e6,
        p50_ms: Some(told.p50_us / 1e3),
        p99_ms: Some(told.p99_us / 1e3),
    })
}

fn sql_outcome(text: &str) -> Result<Outcome, HarnessError> {
    let number = |label: &str| -> Result<f64, HarnessError> {
        let rest = text.lines().find_map(|line| line.strip_prefix(label));
        let word = rest.and_then(|rest| rest.split_whitespace().next());
        Ok(word.ok_or_else(|| format!("pgbench told no {label:?}"))?.parse()?)
    };
    if number("number of failed transactions: ")? > 0.0 {
        return Err("transactions of pgbench failed".into());
    }
    let count = number("number of transactions actually processed: ")?;
    Ok(Outcome { count, duration_s: count / number("tps = ")?, p50_ms: None, p99_ms: None })
}

/// `pgbench` of the search path, or of the newest PostgreSQL installed as Debian does.
///
/// # Errors
/// There is none.
pub(crate) fn find_pgbench() -> Result<PathBuf, HarnessError> {
    let on_path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&on_path).collect();
    let mut installed: Vec<(u32, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        let major = entry.file_name().to_str().and_then(|name| name.parse().ok());
        installed.extend(major.map(|major| (major, entry.path().join("bin"))));
    }
    installed.sort();
    folders.extend(installed.into_iter().rev().map(|(_, folder)| folder));
    let programs = folders.iter().map(|folder| folder.join("pgbench"));
    programs.into_iter().find(|program| program.is_file()).ok_or_else(|| "pgbench is not installed".into())
}

/// The folder of the benchmarks' own files.
pub(crate) fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("bench")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRK: &str = "Running 4s test\nresult {\"requests\":200,\"bytes\":20000,\"duration_us\":4000000,\
                       \"failed\":0,\"p50_us\":1500,\"p99_us\":9000}\n";
    const PGBENCH: &str = "number of transactions actually processed: 2500\nnumber of failed transactions: 0 (0.000%)\n\
                           latency average = 3.1 ms\ntps = 625.5 (without initial connection time)\n";

    #[test]
    fn what_wrk_tells_is_read_and_doubted() {
        let outcome = http_outcome(WRK, 100).expect("read");
        assert!((outcome.count / outcome.duration_s - 50.0).abs() < 1e-9);
        assert_eq!((outcome.p50_ms, outcome.p99_ms), (Some(1.5), Some(9.0)));
        assert!(http_outcome(WRK, 1_000).is_err(), "answers of another length are not the answer");
        assert!(http_outcome(&WRK.replace("\"failed\":0", "\"failed\":1"), 100).is_err());
        assert!(http_outcome(&WRK.replace("\"requests\":200", "\"requests\":0"), 100).is_err());
        assert!(http_outcome("Running 4s test\n", 100).is_err());
    }

    #[test]
    fn what_pgbench_tells_is_read_and_doubted() {
        let outcome = sql_outcome(PGBENCH).expect("read");
        assert!((outcome.count / outcome.duration_s - 625.5).abs() < 1e-9);
        assert!(sql_outcome(&PGBENCH.replace("transactions: 0", "transactions: 3")).is_err());
        assert!(sql_outcome("").is_err());
    }
}
