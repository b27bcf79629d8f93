//! `matricula witness`: watches logs that are somebody else's, with a key, a file of logs and a directory, and nothing else.

use std::{
    io::Write as _,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
};

use actix_web::{App, HttpServer};
use domain::compliance::{
    Witness,
    log::{note::Cosigner, trust::TrustPolicy},
};
use infra::{
    high_water::{FileEvidence, FileHighWater},
    local_keyring::{LocalSigner, read_seed},
    system::System,
};

use crate::{serve::asked_to_stop, wiring::StartupError};

/// What a witness runs on.
#[derive(Clone, Debug)]
pub struct WitnessOptions {
    /// Where it answers.
    pub listen: SocketAddr,
    /// Its name, as `witness.example.com/w1`.
    pub name: String,
    /// The file with its key.
    pub key: PathBuf,
    /// The file of logs it knows (C2SP tlog-policy).
    pub logs: PathBuf,
    /// Where it remembers what it has seen, and keeps what shows that a log contradicts itself.
    pub state: PathBuf,
}

/// Makes a witness's key in a new file, and says the key that verifies.
///
/// # Errors
/// Something is at `file` already, it can't be written, or the name is none.
pub fn make_key(file: &Path, name: &str) -> Result<(), StartupError> {
    // Before anything is written: a name that is no good is found out now.
    Cosigner::from_seed(name, &[1; 32])?;
    LocalSigner::create(file, &System)?;
    writeln!(std::io::stdout(), "{}", cosigner(file, name)?.verifier())?;
    Ok(())
}

fn cosigner(file: &Path, name: &str) -> Result<Cosigner, StartupError> {
    let seed = read_seed(file)?;
    Ok(Cosigner::from_seed(name, &seed)?)
}

/// Reads a file of whom to believe.
pub(crate) fn read_trust(setting: &str, file: &Path) -> Result<TrustPolicy, StartupError> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|e| format!("{setting} {shown} can't be read: {e}"))?;
    TrustPolicy::parse(&text).map_err(|fault| format!("{setting} {shown} is no policy: {fault}").into())
}

/// Witnesses until asked to stop.
///
/// # Errors
/// A file is no good, or the address is taken.
pub async fn run(options: &WitnessOptions) -> Result<(), StartupError> {
    let witness = Arc::new(Witness::new(
        &read_trust("--logs", &options.logs)?,
        cosigner(&options.key, &options.name)?,
        Arc::new(FileHighWater::open(&options.state)?),
        Arc::new(FileEvidence::open(&options.state.join("evidence"))?),
        Arc::new(System),
    )?);
    let listener = TcpListener::bind(options.listen)?;
    let (address, key) = (listener.local_addr()?, witness.verifier_key());
    let server =
        HttpServer::new(move || App::new().configure(|config| api::http::mount_witness(&witness, config)))
            .workers(1)
            .shutdown_timeout(5)
            .disable_signals()
            .listen(listener)?
            .run();
    let handle = server.handle();
    let running = tokio::spawn(server);
    writeln!(std::io::stdout(), "ready: http://{address} {key}")?;
    asked_to_stop().await?;
    handle.stop(true).await;
    Ok(running.await??)
}
