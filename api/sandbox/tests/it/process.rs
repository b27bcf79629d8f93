//! Sandboxes in processes of their own, and the directories they keep.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A directory of the test's own; gone with it.
pub(crate) struct Dir(pub(crate) PathBuf);

impl Dir {
    pub(crate) fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("sandbox-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        Self(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A sandbox in a process of its own.
pub(crate) struct Process {
    child: Child,
    pub(crate) url: String,
}

impl Process {
    pub(crate) fn start(dir: &Path) -> Self {
        Self::run(Command::new(env!("CARGO_BIN_EXE_matricula-sandbox")), dir)
    }

    /// One whose files can't grow beyond [`limit_bytes`]: what would is written as far as it goes, and fails.
    pub(crate) fn start_limited(dir: &Path) -> Self {
        let mut command = limited("exec \"$0\" \"$@\"");
        command.arg(env!("CARGO_BIN_EXE_matricula-sandbox"));
        Self::run(command, dir)
    }

    fn run(mut command: Command, dir: &Path) -> Self {
        let mut child = command
            .args(["--listen", "127.0.0.1:0", "--seed", "3", "--dir"])
            .arg(dir)
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let url = line.trim().strip_prefix("ready: ").expect("ready").to_owned();
        Self { child, url }
    }

    /// SIGKILL: it gets no chance to write anything.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        assert!(killed.is_ok() || std::thread::panicking(), "{killed:?}");
    }
}

/// A command of the shell whose files are limited in length, and which outlives the attempt to write more.
fn limited(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("trap '' XFSZ; ulimit -f 16; {script}")]);
    command
}

/// How long the files of [`Process::start_limited`] get: shells count in blocks of their own.
pub(crate) fn limit_bytes(dir: &Path) -> u64 {
    std::fs::create_dir_all(dir).expect("a directory");
    let path = dir.join("full");
    let ran = limited("cat /dev/zero > \"$0\"").arg(&path).stderr(Stdio::null()).status().expect("ran");
    assert!(!ran.success(), "files have no limit");
    std::fs::metadata(&path).expect("written").len()
}
