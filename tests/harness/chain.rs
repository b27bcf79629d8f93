//! A chain of blocks on this machine: anvil of the Foundry tools, from npm (`tests/clients/package.json`).

use std::{path::Path, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::{client::PATIENCE, stores::HarnessError};

/// The number that development chains have (EIP-155).
pub const CHAIN_ID: u64 = 31_337;

/// A node that makes a block every second. Killed when dropped.
#[derive(Debug)]
pub struct Chain {
    url: String,
    node: Child,
}

impl Chain {
    /// Starts one with no blocks.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub async fn start() -> Result<Self, HarnessError> {
        let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/node_modules/@foundry-rs");
        let program = packages.join(format!("anvil-linux-{machine}/bin/anvil"));
        if !program.is_file() {
            return Err(format!("{} is missing: tests/clients/run.sh installs it", program.display()).into());
        }
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let node = Command::new(program)
            .args([
                "--silent",
                "--block-time",
                "1",
                "--host",
                "127.0.0.1",
                "--port",
                &address.port().to_string(),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let chain = Self { url: format!("http://{address}"), node };
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while chain.call("eth_chainId", json!([])).await.is_err() {
            if tokio::time::Instant::now() > deadline {
                return Err("the chain does not answer".into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(chain)
    }

    /// Where it answers.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Gives an account something to pay with.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn fund(&self, account: &str) -> Result<(), HarnessError> {
        self.call("anvil_setBalance", json!([account, "0xde0b6b3a7640000"])).await.map(drop)
    }

    /// The result of a call by JSON-RPC.
    ///
    /// # Errors
    /// It does not answer, or says that it can't.
    pub async fn call(&self, method: &str, parameters: Value) -> Result<Value, HarnessError> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": parameters });
        let client = reqwest::Client::builder().timeout(PATIENCE).build()?;
        let answer = client.post(&self.url).header("content-type", "application/json").body(body.to_string());
        let answer: Value = serde_json::from_str(&answer.send().await?.text().await?)?;
        if answer["error"].is_null() {
            Ok(answer["result"].clone())
        } else {
            Err(answer["error"].to_string().into())
        }
    }

    /// Stops it.
    ///
    /// # Errors
    /// It can't be waited for.
    pub async fn stop(mut self) -> Result<(), HarnessError> {
        Ok(self.node.kill().await?)
    }
}
