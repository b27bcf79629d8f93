//! Holds the Postgres and the Redis of a test run. Started by the tests themselves; see `harness::stores`.

use std::path::PathBuf;
use std::process::ExitCode;

use harness::stores::{HarnessError, keep};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Its error output is the file the tests quote from.
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), HarnessError> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(folder), Some(runner), Some(wish)) = (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("usage: matricula-test-stores FOLDER RUNNER_PID either|containers|private".into());
    };
    let runner = runner.to_str().unwrap_or_default().parse()?;
    Box::pin(keep(&PathBuf::from(folder), runner, wish.to_str().unwrap_or_default())).await
}
