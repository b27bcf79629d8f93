//! The moto server, which plays services of AWS. It runs in a Python environment of its own, made once beside the build.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// The Python of an environment with moto in it, made when it is not there. Only one process makes it.
fn python() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("moto");
    std::fs::create_dir_all(&home).unwrap();
    let requirements = home.join(format!("requirements-{}.txt", std::process::id()));
    std::fs::write(&requirements, include_str!("requirements.txt")).unwrap();
    let script = "cmp -s \"$1\" \"$2/installed\" && exit 0
        rm -rf \"$2/venv\" && python3 -m venv \"$2/venv\" &&
        \"$2/venv/bin/pip\" install --quiet --disable-pip-version-check -r \"$1\" && cp \"$1\" \"$2/installed\"";
    let made = Command::new("flock")
        .arg(home.join("lock"))
        .args(["sh", "-c", script, "sh"])
        .args([&requirements, &home])
        .status()
        .expect("flock (util-linux) and python3 with venv are needed: deploy/setup.sh installs them");
    std::fs::remove_file(requirements).unwrap();
    assert!(made.success(), "moto could not be installed from PyPI");
    home.join("venv/bin/python")
}

/// A running server, which keeps nothing.
pub(crate) struct Moto {
    process: Child,
    /// Where it answers, on this machine; in a moment.
    pub(crate) port: u16,
}

impl Moto {
    /// Starts one.
    pub(crate) fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new(python())
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, port }
    }

    /// Fails when it has ended.
    pub(crate) fn lives(&mut self) {
        assert!(self.process.try_wait().unwrap().is_none(), "moto ended");
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.kill();
    }
}
