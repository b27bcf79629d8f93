//! Makes a large report, to measure writer and verifier with. The figures that were measured are in
//! `tests/bench/RESULTS.md`.
//!
//! `cargo run --release -p matricula-verify --example large_report -- FOLDER [LEAVES]` leaves `report.zip`, `root.pem`,
//! `tsa-root.pem` and `log-policy` in the folder; one leaf in fifty is a row.

#[expect(dead_code, reason = "the tests' authorities, of which this needs a part")]
#[path = "../tests/bundles/kit/pki.rs"]
mod pki;

use std::{
    error::Error,
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::Path,
    time::Instant,
};

use audit_log::{
    checkpoint::Checkpoint,
    merkle::{CompactRange, leaf_hash},
    note::NoteSigner,
};
use pki::{KeyKind, Pki};
use report_bundle::{
    cms::RawSigner as _,
    manifest::Tool,
    query::{Kind, Period},
    time::Time,
    writer::{BundleWriter, Heads, ReportHead},
};

const TENANT: &str = "0199c3a0-0000-7000-8000-0000000000aa";

/// Leaves of a quarter, unless told otherwise.
const LEAVES: u64 = 5_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let folder = words.next().ok_or("a folder is needed")?;
    let leaves = words.next().map_or(Ok(LEAVES), |text| text.parse())?;
    fs::create_dir_all(&folder)?;
    make(Path::new(&folder), leaves)
}

fn make(folder: &Path, leaves: u64) -> Result<(), Box<dyn Error>> {
    let pki = Pki::new(KeyKind::P256);
    let origin = format!("audit.example.com/t/{TENANT}/iam");
    let signer = NoteSigner::from_seed(&origin, &[7; 32])?;
    let spool = |name: &str| {
        File::options().read(true).write(true).create(true).truncate(true).open(folder.join(name))
    };
    let spools = [spool("csv.spool")?, spool("disclosures.spool")?, spool("erasures.spool")?];
    let out = BufWriter::new(File::create(folder.join("report.zip"))?);
    let mut writer = BundleWriter::new(out, spools, head(&origin)?)?;
    let mut range = CompactRange::starting_at(0);
    let (mut bytes, mut rows) = (0, 0_u64);
    let begun = Instant::now();
    for number in 0..leaves {
        let leaf = leaf(number);
        bytes += leaf.len();
        range.append_leaf(leaf_hash(&leaf))?;
        if writer.push_leaf(&leaf)?.asked_for {
            writer.push_row(number, &leaf, &[None, None])?;
            rows += 1;
        }
    }
    let checkpoint = Checkpoint::new(&origin, leaves, range.root()?)?.sign(&signer)?;
    let heads = Heads { checkpoint: checkpoint.to_text(), ..Heads::default() };
    let sealing = writer.close(&heads, pki.certificates())?;
    sealing.seal_with(&pki, Some(&pki), now()?)?.out.flush()?;
    for root in ["root.pem", "tsa-root.pem"] {
        fs::write(folder.join(root), pki.folder.read(root))?;
    }
    fs::write(folder.join("log-policy"), format!("log {}\nquorum none\n", signer.verifier()))?;
    let took = begun.elapsed();
    writeln!(
        std::io::stdout(),
        "{leaves} leaves, {bytes} bytes, {rows} rows, written in {} ms",
        took.as_millis()
    )?;
    Ok(())
}

fn uuid(number: u64) -> String {
    format!("0199c3a0-0000-7000-8000-{number:012x}")
}

#[expect(clippy::disallowed_methods, reason = "certificates made by openssl begin to be valid now")]
fn now() -> Result<Time, Box<dyn Error>> {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(Time::from_seconds(i64::try_from(since_1970.as_secs())?)?)
}

fn head(origin: &str) -> Result<ReportHead, Box<dyn Error>> {
    let period = Period { since: Some(Time::parse(b"2026-07-01T00:00:00.000000Z")?), until: None };
    Ok(ReportHead {
        report_id: uuid(1),
        tenant_id: TENANT.to_owned(),
        stream: "iam".to_owned(),
        origin: origin.to_owned(),
        kind: Kind::PasswordResets.word().to_owned(),
        query: Kind::PasswordResets.query(period),
        query_text: "password resets since July 2026".to_owned(),
        time_zone: "UTC".to_owned(),
        created_at: now()?,
        max_lateness_s: 60,
        disclosed: Vec::new(),
        tool: Tool { name: "large_report".to_owned(), version: "0.1.0".to_owned() },
        first: 0,
        boundary: Vec::new(),
    })
}

/// A leaf with all the fields that an event of the `iam` log has, in canonical form.
fn leaf(number: u64) -> Vec<u8> {
    let kind = if number.is_multiple_of(50) { "reset_password" } else { "sign_in" };
    // As random as a keyed hash, so that it compresses no better.
    let hash = leaf_hash(&number.to_be_bytes());
    let (seconds, micros) = (number / 2 % 60, number % 1_000_000);
    let (day, hour, minute) = (1 + number / 200_000 % 28, number / 7_200 % 24, number / 120 % 60);
    let at = format!("2026-07-{day:02}T{hour:02}:{minute:02}:{seconds:02}.{micros:06}Z");
    format!(
        "{{\"activity_id\":1,\"actor\":{{\"id\":\"{}\",\"kind\":\"member\"}},\"auth\":{{\"factors\":[\"password\"],\
         \"mfa_state\":\"passed\"}},\"class_uid\":3002,\"compliance_id\":\"{}\",\"device_fp\":\"{hash}\",\"event_id\":\"{}\",\
         \"geo\":{{\"country\":\"CN\",\"db_version\":3,\"region\":\"GD\",\"source\":\"db\"}},\"ip_hash\":{{\"alg\":\
         \"HMAC-SHA-256\",\"key_epoch\":\"2026Q3\",\"value\":\"{hash}\"}},\"occurred_at\":\"{at}\",\"outcome\":\"success\",\
         \"recorded_at\":\"{at}\",\"session_id\":\"{}\",\"stream\":\"iam\",\"tenant_id\":\"{TENANT}\",\"type\":\"{kind}\",\
         \"v\":1}}",
        uuid(number % 5_000),
        uuid(number + (1 << 40)),
        uuid(number),
        uuid(number / 20),
    )
    .into_bytes()
}
