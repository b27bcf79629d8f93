//! A Redis of the test's own, on a free port of the loopback, without files.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

use infra::redis::{Redis, RedisSettings};

/// Ended when dropped.
pub(crate) struct RedisServer {
    port: u16,
    child: Child,
}

impl RedisServer {
    /// Starts one and waits until it takes connections.
    pub(crate) fn start() -> Self {
        // The port is free for a moment only, so another process may get it first.
        for _ in 0..10 {
            let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            if let Some(child) = launch(port) {
                return Self { port, child };
            }
        }
        panic!("redis-server did not start");
    }

    /// Ends it without notice, with all it had in memory.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again, empty, where it was.
    pub(crate) fn restart(&mut self) {
        self.child = launch(self.port).unwrap();
    }

    /// Stops (`STOP`) or continues (`CONT`) it: it keeps its connections and does not answer.
    pub(crate) fn signal(&self, signal: &str) {
        let status =
            Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A connection to it under `prefix`, as another process would have, with patience for a busy machine.
    pub(crate) fn connect(&self, prefix: &str) -> Redis {
        let settings = RedisSettings {
            prefix: prefix.into(),
            connect_timeout: Duration::from_secs(1),
            response_timeout: Duration::from_secs(1),
            ..RedisSettings::at(self.url())
        };
        Redis::connect(&settings).unwrap()
    }
}

fn launch(port: u16) -> Option<Child> {
    let mut child = Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
        .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
        .current_dir(std::env::temp_dir())
        .stdout(Stdio::piped())
        .spawn()
        .expect("redis-server is installed");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines.any(|line| line.is_ok_and(|line| line.contains("Ready to accept connections")));
    if ready {
        // Whatever else it says must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        return Some(child);
    }
    // It ended, and has said why on its own.
    child.wait().unwrap();
    None
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
