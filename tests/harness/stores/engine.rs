//! The Docker engine: whether there is one, and how to speak to an old one.
//!
//! The client library names the version of the interface it was made for in every request, and an engine that is older
//! refuses, although it understands everything asked of it here. Distributions ship such engines for years. So for an
//! old engine the keeper puts a relay in between, which names the engine's own version instead.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use testcontainers::bollard::API_DEFAULT_VERSION;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{UnixListener, UnixStream as AsyncUnixStream};
use tokio::task::JoinHandle;

use super::{HarnessError, setting};

/// Tells the keeper which engine its relay is to speak to, as [`Engine::describe`] puts it.
pub(super) const RELAYED: &str = "MATRICULA_TEST_RELAYED_ENGINE";
/// Longest head of a request that is relayed, in bytes.
const HEAD_MAX_BYTES: usize = 64 * 1024;
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// An engine that answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Engine {
    /// On this machine.
    Local {
        socket: PathBuf,
        /// The newest version of the interface it speaks, such as (1, 41).
        api: (usize, usize),
    },
    /// Somewhere else, named by `DOCKER_HOST`; the client library gets by with it or does not.
    Remote,
}

impl Engine {
    /// The socket a relay is to listen on below `folder`, when the engine needs one.
    pub(super) fn needs_relay(&self, folder: &Path) -> Result<Option<PathBuf>, HarnessError> {
        match self {
            Self::Local { api, .. }
                if *api < (API_DEFAULT_VERSION.major_version, API_DEFAULT_VERSION.minor_version) =>
            {
                let socket = folder.join("docker.sock");
                // `sun_path` of unix(7), less its final zero.
                if socket.as_os_str().len() > 107 {
                    let path = socket.display();
                    return Err(
                        format!("{path} is too long for a socket; use another target directory").into()
                    );
                }
                Ok(Some(socket))
            }
            Self::Local { .. } | Self::Remote => Ok(None),
        }
    }

    /// The engine in one word, for a keeper that relays to it.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Local { socket, api } => format!("{}.{}@{}", api.0, api.1, socket.display()),
            Self::Remote => String::new(),
        }
    }
}

/// The first engine that answers: the one `DOCKER_HOST` names or, if it names none, one in a usual place.
pub(super) fn find() -> Option<Engine> {
    if let Some(host) = setting("DOCKER_HOST") {
        return match host.split_once("://")? {
            ("unix", path) => local(Path::new(path)),
            (_, address) => TcpStream::connect(address.trim_end_matches('/')).ok().map(|_| Engine::Remote),
        };
    }
    let home = setting("HOME").map(PathBuf::from).unwrap_or_default();
    let usual = [
        PathBuf::from("/var/run/docker.sock"),
        home.join(".docker/run/docker.sock"),
        home.join(".docker/desktop/docker.sock"),
    ];
    usual.iter().find_map(|path| local(path))
}

fn local(socket: &Path) -> Option<Engine> {
    let api = ask_version(socket).ok()?;
    let (major, minor) = api.split_once('.')?;
    Some(Engine::Local { socket: socket.to_owned(), api: (major.parse().ok()?, minor.parse().ok()?) })
}

/// Asks for the version of the interface (Docker Engine API, `GET /version`), which needs none to be named.
fn ask_version(socket: &Path) -> Result<String, HarnessError> {
    let mut engine = UnixStream::connect(socket)?;
    engine.set_read_timeout(Some(ANSWER_WITHIN))?;
    engine.set_write_timeout(Some(ANSWER_WITHIN))?;
    // HTTP/1.0: one answer, in one piece, and then the connection closes.
    engine.write_all(b"GET /version HTTP/1.0\r\nHost: docker\r\n\r\n")?;
    let mut answer = String::new();
    engine.take(1 << 20).read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("not an answer")?;
    let body: serde_json::Value = serde_json::from_str(body)?;
    Ok(body.get("ApiVersion").and_then(serde_json::Value::as_str).ok_or("no version")?.to_owned())
}

/// A relay at work; it ends when this value goes.
#[derive(Debug)]
pub(super) struct Relay(JoinHandle<()>);

impl Drop for Relay {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts the relay this keeper was told to run, if any.
pub(super) async fn start_relay() -> Result<Option<Relay>, HarnessError> {
    let Some(engine) = setting(RELAYED) else { return Ok(None) };
    let (api, engine) = engine.split_once('@').ok_or("the engine to relay to makes no sense")?;
    let (api, engine) = (api.to_owned(), PathBuf::from(engine));
    let listen = setting("DOCKER_HOST").ok_or("no socket to relay from")?;
    let listen = PathBuf::from(listen.trim_start_matches("unix://"));
    // Of a keeper that was killed; a living one would have kept us out.
    let _ = tokio::fs::remove_file(&listen).await;
    let listener = UnixListener::bind(&listen)?;
    Ok(Some(Relay(tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (api, engine) = (api.clone(), engine.clone());
            tokio::spawn(async move {
                if let Err(error) = relay(client, &engine, &api).await {
                    eprintln!("the relay to the engine lost a request: {error}");
                }
            });
        }
    }))))
}

/// Relays one request and whatever follows. The engine is asked to close after its answer, so that a connection
/// carries one request and only its head needs reading.
async fn relay(mut client: AsyncUnixStream, engine: &Path, api: &str) -> io::Result<()> {
    let mut received = Vec::new();
    let end = loop {
        if let Some(at) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if client.read_buf(&mut received).await? == 0 {
            return if received.is_empty() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        if received.len() > HEAD_MAX_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
    };
    let (head, rest) = received.split_at(end);
    let head = rewrite(&String::from_utf8_lossy(head), api);
    let mut engine = AsyncUnixStream::connect(engine).await?;
    engine.write_all(head.as_bytes()).await?;
    engine.write_all(rest).await?;
    copy_bidirectional(&mut client, &mut engine).await.map(drop)
}

/// The head of a request with another version in its path, and with `Connection: close` unless it asks to turn the
/// connection into something else.
fn rewrite(head: &str, api: &str) -> String {
    let mut lines = head.trim_end_matches("\r\n").split("\r\n");
    let mut words = lines.next().unwrap_or_default().splitn(3, ' ');
    let (method, path, protocol) = (words.next(), words.next().unwrap_or_default(), words.next());
    let path = match path.trim_start_matches('/').split_once('/') {
        Some((version, rest)) if is_version(version) => format!("/v{api}/{rest}"),
        Some(_) | None => path.to_owned(),
    };
    let mut new = format!("{} {path} {}\r\n", method.unwrap_or_default(), protocol.unwrap_or_default());
    let lines: Vec<&str> = lines.collect();
    let upgrades = lines.iter().any(|line| line.to_ascii_lowercase().starts_with("upgrade:"));
    for line in
        lines.into_iter().filter(|line| upgrades || !line.to_ascii_lowercase().starts_with("connection:"))
    {
        new.push_str(line);
        new.push_str("\r\n");
    }
    new.push_str(if upgrades { "\r\n" } else { "Connection: close\r\n\r\n" });
    new
}

fn is_version(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    word.strip_prefix('v')
        .and_then(|word| word.split_once('.'))
        .is_some_and(|(major, minor)| digits(major) && digits(minor))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener as Listener;

    use super::*;

    #[test]
    fn a_request_names_the_engines_version() {
        fn check(head: &str, expected: &str) {
            assert_eq!(rewrite(head, "1.41"), expected);
        }
        check(
            "GET /v1.53/_ping HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1.41/_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        );
        check(
            "GET /_ping HTTP/1.1\r\nConnection: keep-alive\r\n\r\n",
            "GET /_ping HTTP/1.1\r\nConnection: close\r\n\r\n",
        );
        check("GET /vx.1/a HTTP/1.1\r\n\r\n", "GET /vx.1/a HTTP/1.1\r\nConnection: close\r\n\r\n");
        check(
            "POST /v1.53/exec/1/start HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
            "POST /v1.41/exec/1/start HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
        );
    }

    #[test]
    fn only_an_old_engine_on_this_machine_needs_a_relay() {
        let local = |api| Engine::Local { socket: "/run/docker.sock".into(), api };
        let folder = Path::new("/f");
        let current = (API_DEFAULT_VERSION.major_version, API_DEFAULT_VERSION.minor_version);
        assert_eq!(local((1, 41)).needs_relay(folder).expect("short"), Some("/f/docker.sock".into()));
        assert_eq!(local(current).needs_relay(folder).expect("short"), None);
        assert_eq!(Engine::Remote.needs_relay(folder).expect("short"), None);
        assert!(local((1, 41)).needs_relay(Path::new(&format!("/{}", "f".repeat(107)))).is_err());
    }

    #[test]
    fn an_engine_is_known_by_its_answer() {
        let socket = std::env::temp_dir().join(format!("matricula-engine-{}.sock", std::process::id()));
        assert_eq!(local(&socket), None, "nobody listens");
        let listener = Listener::bind(&socket).expect("a socket");
        let answers =
            ["HTTP/1.0 200 OK\r\n\r\n{\"ApiVersion\":\"1.41\"}", "HTTP/1.0 200 OK\r\n\r\n{}", "nonsense", ""];
        let server = std::thread::spawn(move || {
            for answer in answers {
                let (mut peer, _) = listener.accept().expect("a caller");
                let mut request = [0; 64];
                let _ = peer.read(&mut request).expect("a request");
                peer.write_all(answer.as_bytes()).expect("an answer");
            }
        });
        let found: Vec<Option<Engine>> = answers.iter().map(|_| local(&socket)).collect();
        server.join().expect("the other side");
        std::fs::remove_file(&socket).expect("cleaned up");
        assert_eq!(found, [Some(Engine::Local { socket, api: (1, 41) }), None, None, None]);
    }
}
