//! The sandbox alone, for who wants nothing else of the product. `matricula sandbox` is the same.

use std::{io::Write as _, net::SocketAddr, path::PathBuf};

use clap::Parser;
use sandbox::{Options, Sandbox};

/// A sandbox of the Douyin open platform.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to answer; port 0 takes any that is free.
    #[arg(long, default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// Where what happens is kept; in memory when left out.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// What all chance is made from.
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> std::io::Result<()> {
    let Arguments { listen, dir, seed } = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let sandbox = Sandbox::start(&Options { listen, dir, seed })?;
        writeln!(std::io::stdout(), "ready: http://{}", sandbox.address)?;
        tokio::signal::ctrl_c().await?;
        sandbox.stop().await;
        Ok(())
    })
}
