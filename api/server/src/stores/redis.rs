//! A private Redis.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use super::account::Account;
use super::error::{StoreError, failed};
use super::place::{Place, free_port};
use super::process::ChildProcess;
use super::programs;
use super::resp::{RespConnection, RespReply};
use super::strays::{self, Stray};

const NAME: &str = "redis";
/// Time to answer after a start, in seconds: a long append-only file is read first.
const READY_WITHIN_S: u64 = 30;
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How often a start is tried again when somebody else took the port in between.
const PORT_ATTEMPTS: u32 = 3;
/// Orderly, then the end (Redis manual, "Redis signal handling").
const STOP: [(Signal, Duration); 2] =
    [(Signal::SIGTERM, Duration::from_secs(10)), (Signal::SIGKILL, Duration::from_secs(5))];
const AT_OWNERS_DEATH: Signal = Signal::SIGTERM;
const STRAY: Stray = Stray { store: NAME, program: "redis-server", signal: Signal::SIGTERM };

/// How a private Redis is run.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// The port on loopback; `None` takes a free one.
    pub port: Option<u16>,
    /// Whether it keeps an append-only file, synced each second. Tests keep nothing.
    pub durable: bool,
    /// Throw away what an earlier run left.
    pub fresh: bool,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self { port: None, durable: true, fresh: false }
    }
}

/// A Redis of our own. Dropped, it is told to end and reaped in the background; call [`PrivateRedis::stop`] to wait.
#[derive(Debug)]
pub struct PrivateRedis {
    child: Option<ChildProcess>,
    port: u16,
    password: String,
    program: PathBuf,
    options: RedisOptions,
    url: Url,
    // Last, so that the directory stays locked until the child has been told to end.
    place: Place,
}

impl PrivateRedis {
    /// Starts a Redis whose files are under `dir/redis` and comes back when it answers. What a killed owner left
    /// running there is ended first.
    ///
    /// # Errors
    /// [`StoreError`]: not installed, the directory is in use, or the server did not come up (with its log).
    pub async fn start(dir: &Path, options: &RedisOptions) -> Result<Self, StoreError> {
        let program = programs::redis()?;
        let place = Place::take(dir, NAME, Account::of_children()?)?;
        let ended = strays::end(STRAY, &place.data()).await?;
        if ended > 0 {
            tracing::warn!(
                processes = ended,
                "ended {ended} processes that an earlier run left in {}",
                dir.display()
            );
        }
        if options.fresh {
            place.clear()?;
        }
        place.make_folder(&place.data())?;
        let password = match place.password()? {
            Some(password) => password,
            None => place.new_password()?.0,
        };
        let url = url(&password, 0)?;
        let mut redis =
            Self { child: None, port: 0, password, program, options: options.clone(), url, place };
        redis.launch(options.port).await?;
        Ok(redis)
    }

    /// Where it is, with the password.
    pub fn url(&self) -> Url {
        self.url.clone()
    }

    /// Its port on loopback, the same after [`PrivateRedis::restart`].
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(ChildProcess::pid)
    }

    /// Ends it in order and waits until it is gone. Doing it twice does no harm.
    ///
    /// # Errors
    /// `WouldNotEnd`.
    pub async fn stop(&mut self) -> Result<(), StoreError> {
        if let Some(mut child) = self.child.take() {
            child.end(&STOP).await;
        }
        strays::end(STRAY, &self.place.data()).await?;
        Ok(())
    }

    /// Ends it in order and throws its files away.
    ///
    /// # Errors
    /// `WouldNotEnd`, `Io`.
    pub async fn discard(mut self) -> Result<(), StoreError> {
        self.stop().await?;
        self.place.remove()
    }

    /// Kills it, as a machine that loses power would, and waits until it is gone.
    pub async fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.end(&[(Signal::SIGKILL, Duration::from_secs(5))]).await;
        }
    }

    /// Starts it again on the same port, after [`PrivateRedis::stop`] or [`PrivateRedis::kill9`]; stops it first if it
    /// runs. What it knew comes back only when it is durable.
    ///
    /// # Errors
    /// As [`PrivateRedis::start`].
    pub async fn restart(&mut self) -> Result<(), StoreError> {
        self.stop().await?;
        self.launch(Some(self.port)).await
    }

    /// Starts the server on `port`, or on a free one.
    async fn launch(&mut self, port: Option<u16>) -> Result<(), StoreError> {
        for attempt in 1.. {
            self.port = port.map_or_else(free_port, Ok)?;
            self.url = url(&self.password, self.port)?;
            match self.launch_once().await {
                Err(StoreError::Ended { log, .. })
                    if port.is_none()
                        && attempt < PORT_ATTEMPTS
                        && log.contains("Address already in use") => {}
                outcome => return outcome,
            }
        }
        Ok(())
    }

    async fn launch_once(&mut self) -> Result<(), StoreError> {
        // A file, because everybody may read the arguments of a process.
        let settings = self.place.write_secret("redis.conf", &self.settings()?)?;
        let log = self.place.new_log()?;
        let errors = log.try_clone().map_err(failed("share", &self.place.log()))?;
        let mut command = self.place.account().command(&self.program, AT_OWNERS_DEATH);
        command.arg(settings).current_dir("/").stdout(log).stderr(errors);
        let mut child = ChildProcess::spawn(NAME, command, AT_OWNERS_DEATH)?;
        self.wait_until_ready(&mut child).await?;
        self.child = Some(child);
        Ok(())
    }

    fn settings(&self) -> Result<String, StoreError> {
        let (port, password) = (self.port, &self.password);
        let keep = if self.options.durable { "yes" } else { "no" };
        let data = self.place.data();
        let unusable =
            || StoreError::Unusable { what: data.display().to_string(), role: "the folder of a Redis" };
        // A line of the file cannot hold a line feed, and bytes that are no text would not survive the way there.
        let folder = data.to_str().filter(|text| !text.contains(['\n', '\r', '\0'])).ok_or_else(unusable)?;
        let folder = folder.replace('\\', "\\\\").replace('"', "\\\"");
        Ok(format!(
            "bind 127.0.0.1\nport {port}\nprotected-mode yes\nrequirepass {password}\ndaemonize no\nsupervised no\n\
             save \"\"\nappendonly {keep}\nappendfsync everysec\nlogfile \"\"\ndir \"{folder}\"\n"
        ))
    }

    /// Waits for `PONG` with the password: while it reads its file it answers LOADING.
    async fn wait_until_ready(&self, child: &mut ChildProcess) -> Result<(), StoreError> {
        let deadline = Instant::now() + Duration::from_secs(READY_WITHIN_S);
        while Instant::now() < deadline {
            if let Some(status) = child.status() {
                return Err(StoreError::Ended { store: NAME, status, log: self.place.log_tail() });
            }
            if timeout(Duration::from_secs(2), pings(&self.url)).await == Ok(true) {
                return Ok(());
            }
            sleep(LOOK_EVERY).await;
        }
        Err(StoreError::Silent { store: NAME, waited_s: READY_WITHIN_S, log: self.place.log_tail() })
    }
}

async fn pings(url: &Url) -> bool {
    let Ok(mut connection) = RespConnection::open(url).await else { return false };
    matches!(connection.call(&["PING"]).await, Ok(RespReply::Text(text)) if text == "PONG")
}

fn url(password: &str, port: u16) -> Result<Url, StoreError> {
    let unusable = |_| StoreError::Unusable { what: format!("port {port}"), role: "the port of a Redis" };
    Url::parse(&format!("redis://:{password}@127.0.0.1:{port}/0")).map_err(unusable)
}
