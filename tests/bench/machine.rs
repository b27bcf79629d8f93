//! The machine: what it is, and whose work its cores did.

use std::{fs, io, time::Instant};

/// Clock ticks a second in /proc (`USER_HZ`): 100 on every Linux this runs on.
const TICKS_A_SECOND: f64 = 100.0;

/// The processes of one installation.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watched {
    /// The first process of Postgres.
    pub(crate) postgres: Option<u32>,
    /// Redis.
    pub(crate) redis: Option<u32>,
    /// What answers requests, its children included.
    pub(crate) server: Option<u32>,
    /// `matricula work`.
    pub(crate) worker: Option<u32>,
}

/// Processor time used so far, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    at: Instant,
    postgres: f64,
    redis: f64,
    server: f64,
    worker: f64,
    ours: f64,
    machine: f64,
}

/// Processor time used between two looks, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    pub(crate) postgres: f64,
    pub(crate) redis: f64,
    pub(crate) server: f64,
    pub(crate) worker: f64,
    /// This process's own, that of its children included.
    pub(crate) own: f64,
    /// Cores that other processes of the machine, and its neighbours, had meanwhile.
    pub(crate) foreign_cores: f64,
}

impl Watched {
    /// Looks at everybody's clocks.
    pub(crate) fn usage(&self) -> io::Result<Usage> {
        let alone = |pid: Option<u32>| pid.map_or(Ok(0.0), |pid| Ok::<_, io::Error>(Process::read(pid)?.own));
        let own = Process::read(std::process::id())?;
        let usage = Usage {
            at: Instant::now(),
            postgres: self.postgres.map_or(Ok(0.0), tree)?,
            redis: alone(self.redis)?,
            server: self.server.map_or(Ok(0.0), tree)?,
            worker: alone(self.worker)?,
            // The load generators: they are waited for before anybody looks again.
            ours: own.own + own.children,
            machine: machine()?,
        };
        Ok(usage)
    }
}

impl Usage {
    /// What was used since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Spent {
        let total = |u: &Self| u.postgres + u.redis + u.server + u.worker + u.ours;
        let wall = self.at.duration_since(earlier.at).as_secs_f64();
        let foreign = (self.machine - earlier.machine) - (total(self) - total(earlier));
        Spent {
            postgres: self.postgres - earlier.postgres,
            redis: self.redis - earlier.redis,
            server: self.server - earlier.server,
            worker: self.worker - earlier.worker,
            own: self.ours - earlier.ours,
            foreign_cores: (foreign / wall).max(0.0),
        }
    }
}

struct Process {
    parent: u32,
    own: f64,
    /// Of children that have ended and were waited for.
    children: f64,
}

impl Process {
    /// Reads proc(5)'s `stat`. The name, in brackets, may hold anything; what counts comes after the last bracket.
    fn read(pid: u32) -> io::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        Self::parse(&text).ok_or_else(|| io::Error::other("a process's stat has another form"))
    }

    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let seconds = |at: usize| Some(fields.get(at)?.parse::<f64>().ok()? / TICKS_A_SECOND);
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own: seconds(11)? + seconds(12)?,
            children: seconds(13)? + seconds(14)?,
        })
    }
}

/// A process, its children now, and those that have ended.
fn tree(pid: u32) -> io::Result<f64> {
    let first = Process::read(pid)?;
    let mut total = first.own + first.children;
    for entry in fs::read_dir("/proc")? {
        let Some(child) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may have ended since the folder was read; its parent has its time then.
        if let Ok(process) = Process::read(child)
            && process.parent == pid
        {
            total += process.own;
        }
    }
    Ok(total)
}

/// Memory of a process that is its own or shared and lies in the machine's, in kibibytes.
///
/// # Errors
/// There is no such process.
pub(crate) fn resident_kib(pid: u32) -> io::Result<f64> {
    status_kib(pid, "VmRSS:")
}

/// The most memory of a process since it was last reset, in kibibytes.
///
/// # Errors
/// There is no such process, or it is another user's.
pub(crate) fn peak_kib(pid: u32, reset: bool) -> io::Result<f64> {
    if reset {
        fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
    }
    status_kib(pid, "VmHWM:")
}

fn status_kib(pid: u32, name: &str) -> io::Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse().ok());
    kib.ok_or_else(|| io::Error::other("a process's status has another form"))
}

/// Time all cores together did not idle, time taken by neighbours of a virtual machine included.
fn machine() -> io::Result<f64> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guests are counted in user already.
    let busy: f64 =
        ticks.iter().take(8).enumerate().filter(|(at, _)| ![3, 4].contains(at)).map(|(_, t)| t).sum();
    Ok(busy / TICKS_A_SECOND)
}

/// The machine in a line: cores, memory, what its processor is good at.
pub(crate) fn facts() -> io::Result<String> {
    let cores = std::thread::available_parallelism()?;
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let flags = cpu.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let good_at: Vec<&str> = ["aes", "vaes", "sha_ni", "avx2", "avx512f"]
        .into_iter()
        .filter(|wanted| flags.split_whitespace().any(|flag| flag == *wanted))
        .collect();
    let memory = fs::read_to_string("/proc/meminfo")?;
    let kib: u64 = memory.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or_default();
    let memory_gib = kib.div_ceil(1024 * 1024);
    Ok(format!("{cores} cores ({}; {}), {memory_gib} GiB memory", std::env::consts::ARCH, good_at.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_shifts_nothing() {
        let text = "42 (a) b (c)) S 7 1 1 0 -1 0 0 0 0 0 150 50 300 100 20 0 1 0 9 0 0";
        let process = Process::parse(text).expect("parsed");
        assert_eq!(process.parent, 7);
        assert!((process.own - 2.0).abs() < 1e-9 && (process.children - 4.0).abs() < 1e-9);
        assert!(Process::parse("42 (cut) S 7").is_none());
        assert!(Process::parse("").is_none());
    }

    #[test]
    fn memory_is_seen() {
        let before = resident_kib(std::process::id()).expect("read");
        let held = std::hint::black_box(vec![1_u8; 64 * 1024 * 1024]);
        let after = resident_kib(std::process::id()).expect("read");
        assert!(after - before > 32.0 * 1024.0, "{before} to {after}, {} bytes held", held.len());
    }

    #[test]
    fn our_own_time_is_seen_and_only_grows() {
        let watched = Watched { server: Some(std::process::id()), ..Watched::default() };
        let before = watched.usage().expect("read");
        let mut sum = 0_u64;
        loop {
            sum = sum.wrapping_add((0..100_000_u64).sum::<u64>());
            if watched.usage().expect("read").server > before.server {
                break;
            }
        }
        let spent = watched.usage().expect("read").since(&before);
        assert!(spent.server > 0.0 && sum > 0 && spent.postgres.abs() < 1e-9);
    }
}
