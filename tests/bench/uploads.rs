//! Files coming in: through the product's door, beside @tus/server over files, and beside a plain copy.
//!
//! The product asks who sends, counts quotas, keeps each run of 8 MiB as an object that is on the disk before it is counted,
//! and takes the file for of use when it was read back and its SHA-256 is the one announced. The peer does none of that.

use std::{fmt::Write as _, path::Path, sync::Arc, time::Duration};

use api::{app::App, http::UPLOADS};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::kernel::ids::Entropy as _;
use futures_util::{StreamExt as _, TryStreamExt as _};
use harness::stores::HarnessError;
use infra::system::System;
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;
use tokio::{process::Command, time::Instant};
use uuid::Uuid;

use crate::{
    goals::{Goal, rate},
    installation::{Installation, Running},
    machine::Watched,
    programs::{Kind, Program},
    rounds::{ROUNDS, Rounds, Sample, Series, order},
    seed::{TENANTS, sign_in},
    table::{Table, percent, thousands},
    tus::Tus,
};

/// Bytes of a mebibyte.
const MIB: usize = 1024 * 1024;
/// Mebibytes of the large file.
const LARGE_MIB: u32 = 256;
/// Small files of one mebibyte each, and how many are sent at the same time.
const SMALL: u32 = 64;
const AT_ONCE: usize = 4;
/// Mebibytes of a request where a file is sent in several.
const PART_MIB: usize = 8;
/// Longest wait for files that were sent to be verified.
const PATIENCE: Duration = Duration::from_mins(2);

/// What is sent.
#[derive(Clone, Copy, Debug)]
enum Load {
    /// One file in one request, as tus-js-client sends unless it is told otherwise.
    Whole,
    /// One file in requests of [`PART_MIB`].
    Parts,
    /// Many small ones, some at a time.
    Small,
}

/// Who takes it.
#[derive(Clone, Copy, Debug)]
enum Way {
    Product(Load),
    Peer(Load),
    /// `cp`, and whether the disk is waited for.
    Copy {
        is_synced: bool,
    },
}

const WAYS: [Way; 8] = [
    Way::Product(Load::Whole),
    Way::Peer(Load::Whole),
    Way::Product(Load::Parts),
    Way::Peer(Load::Parts),
    Way::Product(Load::Small),
    Way::Peer(Load::Small),
    Way::Copy { is_synced: false },
    Way::Copy { is_synced: true },
];

/// One measurement, and how many mebibytes a second there were until all was verified.
struct Sent {
    sample: Sample,
    verified_per_s: Option<f64>,
}

/// Measures all ways, and tells of them.
///
/// # Errors
/// The peer is not installed, a file was refused, or is another than was sent.
pub(crate) async fn run(
    installation: &Installation,
    app: &Arc<App>,
) -> Result<(Table, Vec<Goal>), HarnessError> {
    let running = Box::pin(installation.serve()).await?;
    let folder = installation.dir.join("tus");
    std::fs::create_dir(&folder)?;
    let settings = [("FOLDER", &*folder.to_string_lossy())];
    let peer = Program::start(&Kind::Script("tus.js"), 1, &settings, &installation.dir).await?;
    let owner = sign_in(app, TENANTS.start).await?;
    let bytes: Vec<u8> = (0..usize::try_from(LARGE_MIB)? * MIB / 32).flat_map(|_| System.bytes32()).collect();
    // Requests outlive what borrows; there is one for the whole run.
    let file: &'static [u8] = bytes.leak();
    let source = installation.dir.join("large.bin");
    std::fs::write(&source, file)?;
    let mut uploads = Uploads {
        installation,
        running: &running,
        peer: &peer,
        ours: Tus::new(format!("{}{UPLOADS}", running.client.base()), &owner.token)?,
        theirs: Tus::new(format!("{}{UPLOADS}", peer.client.base()), "")?,
        file,
        about: [about(file), about(&file[..MIB])],
        source: &source,
        superuser: installation.superuser().await?,
    };
    let series = Box::pin(uploads.all()).await;
    peer.stop().await?;
    let log = running.stop().await?;
    let (series, verified) = series.map_err(|error| format!("{error}\n{log}"))?;
    Ok(told(&series, &verified))
}

struct Uploads<'a> {
    installation: &'a Installation,
    running: &'a Running,
    peer: &'a Program,
    ours: Tus,
    theirs: Tus,
    file: &'static [u8],
    /// What is said of the large file, and of a small one.
    about: [String; 2],
    /// The large one as a file.
    source: &'a Path,
    superuser: PgConnection,
}

type All = ([Series; WAYS.len()], [Vec<f64>; WAYS.len()]);

impl Uploads<'_> {
    async fn all(&mut self) -> Result<All, HarnessError> {
        let mut series: [Series; WAYS.len()] = std::array::from_fn(|_| Series(Vec::new()));
        let mut verified: [Vec<f64>; WAYS.len()] = Default::default();
        // What is fetched once for a tenant, and a file system that has not written lately, are nobody's to pay for.
        for way in [Way::Product(Load::Small), Way::Peer(Load::Small), Way::Copy { is_synced: true }] {
            self.measure(way).await?;
        }
        for round in 0..ROUNDS {
            for at in order(round, WAYS.len()) {
                eprintln!("measuring: uploads, {:?}", WAYS[at]);
                let sent = self.measure(WAYS[at]).await?;
                series[at].0.push(sent.sample);
                verified[at].extend(sent.verified_per_s);
            }
        }
        Ok((series, verified))
    }

    async fn measure(&mut self, way: Way) -> Result<Sent, HarnessError> {
        match way {
            Way::Product(load) => self.product(load).await,
            Way::Peer(load) => self.theirs(load).await,
            Way::Copy { is_synced } => self.copy(is_synced).await,
        }
    }

    async fn product(&mut self, load: Load) -> Result<Sent, HarnessError> {
        let target = self.installation.target(Some(self.running))?;
        let watched = Watched { server: self.running.service().pid, ..target.watched };
        let (before, began) = (watched.usage()?, Instant::now());
        let names = send(&self.ours, load, self.file, &self.about).await?;
        let seconds = began.elapsed().as_secs_f64();
        self.until_verified(&names).await?;
        let verified_s = began.elapsed().as_secs_f64();
        let spent = watched.usage()?.since(&before);
        empty(&self.installation.content())?;
        let verified_per_s = Some(f64::from(mebibytes(load)) / verified_s);
        Ok(Sent { sample: Sample::of_items(mebibytes(load), seconds, &spent), verified_per_s })
    }

    async fn theirs(&self, load: Load) -> Result<Sent, HarnessError> {
        let watched = Watched { server: self.peer.service().pid, ..self.installation.target(None)?.watched };
        let (before, began) = (watched.usage()?, Instant::now());
        let names = send(&self.theirs, load, self.file, &self.about).await?;
        let seconds = began.elapsed().as_secs_f64();
        let spent = watched.usage()?.since(&before);
        let folder = self.installation.dir.join("tus");
        for name in &names {
            same_file(&folder.join(name), load, self.file)?;
        }
        empty(&folder)?;
        Ok(Sent { sample: Sample::of_items(mebibytes(load), seconds, &spent), verified_per_s: None })
    }

    async fn copy(&self, is_synced: bool) -> Result<Sent, HarnessError> {
        let watched = self.installation.target(None)?.watched;
        let copy = self.installation.dir.join("copy.bin");
        let (from, to) = (self.source.to_string_lossy(), copy.to_string_lossy());
        let (before, began) = (watched.usage()?, Instant::now());
        // Blocks are never shared: bytes that come in are not there yet either.
        run_program("cp", &["--reflink=never", &from, &to]).await?;
        if is_synced {
            run_program("sync", &[&to]).await?;
        }
        let seconds = began.elapsed().as_secs_f64();
        let spent = watched.usage()?.since(&before);
        same_file(&copy, Load::Whole, self.file)?;
        std::fs::remove_file(&copy)?;
        Ok(Sent { sample: Sample::of_items(LARGE_MIB, seconds, &spent), verified_per_s: None })
    }

    /// Waits until all of them are of use. Their digests are those that were announced then.
    async fn until_verified(&mut self, names: &[String]) -> Result<(), HarnessError> {
        const LEFT: &str = "
            SELECT count(*) FILTER (WHERE state = 'ready'), count(*) FILTER (WHERE state = 'digest_wrong')
            FROM content.uploads WHERE id = ANY ($1)";
        let ids: Vec<Uuid> = names.iter().map(|name| Uuid::try_parse(name)).collect::<Result<_, _>>()?;
        let count = i64::try_from(ids.len())?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = sqlx::query_as(LEFT).bind(&ids).fetch_one(&mut self.superuser).await?;
            let (ready, wrong): (i64, i64) = found;
            match (ready, wrong) {
                (ready, _) if ready == count => return Ok(()),
                (_, 1..) => return Err("a file is another than was sent".into()),
                _ if Instant::now() >= deadline => return Err("files were not verified in time".into()),
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }
}

fn mebibytes(load: Load) -> u32 {
    match load {
        Load::Whole | Load::Parts => LARGE_MIB,
        Load::Small => SMALL,
    }
}

/// Sends all of it; the uploads' names.
async fn send(
    to: &Tus,
    load: Load,
    file: &'static [u8],
    [about_large, about_small]: &[String; 2],
) -> Result<Vec<String>, HarnessError> {
    let part_bytes = match load {
        Load::Whole => file.len(),
        Load::Parts => PART_MIB * MIB,
        Load::Small => {
            let sent = (0..SMALL).map(|_| to.send(&file[..MIB], MIB, about_small));
            return futures_util::stream::iter(sent).buffer_unordered(AT_ONCE).try_collect().await;
        }
    };
    Ok(vec![to.send(file, part_bytes, about_large).await?])
}

/// `Upload-Metadata` of a file, with its digest.
fn about(file: &[u8]) -> String {
    let digest = Sha256::digest(file).iter().fold(String::new(), |mut digest, byte| {
        // It goes to memory.
        let _ = write!(digest, "{byte:02x}");
        digest
    });
    let pairs = [("filename", "bench.mp4"), ("filetype", "video/mp4"), ("sha256", digest.as_str())];
    pairs.map(|(key, value)| format!("{key} {}", STANDARD.encode(value))).join(",")
}

fn same_file(path: &Path, load: Load, file: &[u8]) -> Result<(), HarnessError> {
    let sent = if matches!(load, Load::Small) { &file[..MIB] } else { file };
    if std::fs::read(path)? == sent { Ok(()) } else { Err("a file is another than was sent".into()) }
}

fn empty(folder: &Path) -> Result<(), HarnessError> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

async fn run_program(program: &str, arguments: &[&str]) -> Result<(), HarnessError> {
    let status = Command::new(program).args(arguments).status().await?;
    if status.success() { Ok(()) } else { Err(format!("{program} failed: {status}").into()) }
}

fn told(series: &[Series; WAYS.len()], verified: &[Vec<f64>; WAYS.len()]) -> (Table, Vec<Goal>) {
    let mut table = Table::new(
        "Uploads: mebibytes a second, until the last answer and until verified",
        &[
            "load",
            "MiB/s",
            "spread",
            "MiB/s until verified",
            "server us/MiB",
            "worker us/MiB",
            "Postgres us/MiB",
            "others' cores",
            "reached",
        ],
    );
    let [whole, whole_peer, parts, parts_peer, small, small_peer, copy, synced] = series;
    let file = "one file of 256 MiB";
    let (in_one, in_parts) = (format!("{file} in one request"), format!("{file} in requests of 8 MiB"));
    let many = "64 files of 1 MiB, 4 at a time";
    let ratio = |ours: &Series, theirs: &Series| {
        let copied = if std::ptr::eq(ours, small) { None } else { Some(ours.beside(synced, rate)) };
        let beside = ours.beside(theirs, rate).told("x");
        match copied {
            Some(copied) => format!("{beside} of the peer, {} of `cp` and fsync", copied.percent().told("%")),
            None => format!("{beside} of the peer"),
        }
    };
    let names = [
        (format!("the product: {in_one}"), ratio(whole, whole_peer)),
        (format!("@tus/server: {in_one}"), "peer".to_owned()),
        (format!("the product: {in_parts}"), ratio(parts, parts_peer)),
        (format!("@tus/server: {in_parts}"), "peer".to_owned()),
        (format!("the product: {many}"), ratio(small, small_peer)),
        (format!("@tus/server: {many}"), "peer".to_owned()),
        (format!("`cp`: {file}"), format!("{} of `cp` and fsync", copy.beside(synced, rate).told("x"))),
        (format!("`cp` and fsync: {file}"), "floor".to_owned()),
    ];
    for ((series, verified), (name, reached)) in series.iter().zip(verified).zip(names) {
        let used = |us: f64| if us < 0.5 { "-".to_owned() } else { thousands(us) };
        let until = Rounds(verified.clone());
        table.row(vec![
            name,
            thousands(series.per_s()),
            percent(series.spread()),
            if verified.is_empty() { "-".to_owned() } else { until.told("") },
            used(series.median(|sample| sample.server_us)),
            used(series.median(|sample| sample.worker_us)),
            used(series.median(|sample| sample.postgres_us)),
            format!("{:.1}", series.foreign_cores()),
            reached,
        ]);
    }
    (table, Vec::new())
}
