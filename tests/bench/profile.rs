//! Where the processor time of a request goes: samples of `matricula serve` under load, by `perf`, added up by the part of
//! the program they fell in.
//!
//! A sample counts where it fell, not for who called: the allocation that the driver asks for is allocation. What the
//! compiler has put into its caller counts as the caller.

use std::{collections::BTreeMap, path::Path, process::Stdio};

use harness::{client::Answer, stores::HarnessError};
use tokio::process::Command;

use crate::{
    goals::Goal,
    installation::Installation,
    load::{MEASURED_S, Target, Tool, WARM_UP_S},
    product::NOTHING,
    requests::{PAGE, Requests, is_page},
    seed::Owner,
    table::Table,
};

/// Samples a second: no divisor of anything that happens at a round rate.
const SAMPLES_A_SECOND: &str = "997";

/// Parts with a smaller share of both loads are told together.
const SHARE_MIN: f64 = 0.01;

/// Crates, as symbols begin, and what they are here.
const PARTS: [(&str, &[&str]); 13] = [
    ("database driver (sqlx)", &["sqlx", "postgres_"]),
    ("ORM (SeaORM)", &["sea_orm", "sea_query"]),
    ("async-graphql, its parser", &["async_graphql", "pest"]),
    ("output: answers written out", &["output"]),
    ("transport: documents, cost, limits, identifiers", &["transport"]),
    ("the schema, doors and callers (`api`)", &["api"]),
    ("use cases and models (`domain`)", &["domain"]),
    ("adapters (`infra`)", &["infra"]),
    ("HTTP (actix)", &["actix", "http", "httparse"]),
    ("runtime (tokio, futures)", &["tokio", "futures", "mio", "async_trait", "parking_lot"]),
    (
        "ciphers and hashes",
        &["aws_lc", "aes", "sha2", "hmac", "ring", "ed25519", "curve25519", "digest", "polyval", "ghash"],
    ),
    ("JSON, instants, UUIDs", &["serde", "chrono", "uuid", "itoa", "ryu"]),
    ("Redis, tracing, metrics", &["redis", "tracing", "prometheus", "opentelemetry"]),
];

/// Share of all samples, by part.
type Shares = BTreeMap<&'static str, f64>;

/// Samples the page and what is left when nothing is asked, and tells of both.
///
/// # Errors
/// `perf` is not installed or may not sample, or the product refused.
pub(crate) async fn run(
    installation: &Installation,
    owners: &[Owner],
) -> Result<(Table, Vec<Goal>), HarnessError> {
    let running = Box::pin(installation.serve()).await?;
    let target = installation.target(Some(&running))?;
    let requests = Requests { client: &running.client, service: running.service(), dir: &installation.dir };
    let tokens: Vec<&str> = owners.iter().map(|owner| owner.token.as_str()).collect();
    let is_named = |answer: &Answer| answer.data("__typename").is_string();
    let (page, _) = requests.query("page", &tokens, PAGE, &is_page).await?;
    let (nothing, _) = requests.query("nothing", &tokens, NOTHING, &is_named).await?;
    let pid = running.service().pid.ok_or("the service has ended")?;
    let sampled = async {
        let page = sampled(&page, &target, pid, &installation.dir.join("page.perf")).await?;
        let nothing = sampled(&nothing, &target, pid, &installation.dir.join("nothing.perf")).await?;
        Ok::<_, HarnessError>((page, nothing))
    };
    let found = Box::pin(sampled).await;
    let log = running.stop().await?;
    let (page, nothing) = found.map_err(|error| format!("{error}\n{log}"))?;
    Ok((told(&page, &nothing), Vec::new()))
}

/// What was sampled of a load, and the processor time of each request, in microseconds.
struct Sampled {
    shares: Shares,
    server_us: f64,
}

async fn sampled(tool: &Tool, target: &Target, pid: u32, file: &Path) -> Result<Sampled, HarnessError> {
    let (sample, recorded) = tokio::join!(tool.measure(target), record(pid, file));
    recorded?;
    let mut report = Command::new("perf");
    report
        .args(["report", "--stdio", "-q", "--no-children", "--sort", "dso,sym", "-t", "\t", "-i"])
        .arg(file);
    let text = output(report).await?;
    Ok(Sampled { shares: shares(&text)?, server_us: sample?.server_us })
}

/// Samples while the load is measured.
async fn record(pid: u32, file: &Path) -> Result<(), HarnessError> {
    tokio::time::sleep(std::time::Duration::from_secs(WARM_UP_S.into())).await;
    let mut record = Command::new("perf");
    record.args(["record", "-q", "-F", SAMPLES_A_SECOND, "-o"]).arg(file);
    record.arg("-p").arg(pid.to_string()).args(["--", "sleep", &MEASURED_S.to_string()]);
    output(record).await.map(drop)
}

async fn output(mut command: Command) -> Result<String, HarnessError> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.map_err(|error| {
        format!("perf does not start ({error}): install linux-perf, or name the parts without profile")
    })?;
    if !output.status.success() {
        return Err(format!("perf failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Lines of `perf report`: a share, the file, the symbol.
fn shares(text: &str) -> Result<Shares, HarnessError> {
    let mut shares = Shares::new();
    for line in text.lines() {
        let mut fields = line.split('\t').map(str::trim);
        let (Some(share), Some(file), Some(symbol)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let Some(share) = share.strip_suffix('%').and_then(|share| share.parse::<f64>().ok()) else {
            continue;
        };
        *shares.entry(part(file, symbol)).or_default() += share / 100.0;
    }
    if shares.is_empty() {
        return Err(format!("perf told nothing:\n{text}").into());
    }
    Ok(shares)
}

/// What part of the program a symbol is of.
fn part(file: &str, symbol: &str) -> &'static str {
    let (space, symbol) = symbol.split_once(' ').unwrap_or(("", symbol));
    if space == "[k]" || file.contains("kernel") {
        return "the kernel: sockets, switches, memory";
    }
    if symbol.starts_with("mi_") || symbol.starts_with("_mi_") {
        return "allocation (mimalloc)";
    }
    if file.contains("libc") || symbol.starts_with("mem") {
        return "the C library: copying, comparing, locks";
    }
    // The first crate that is no part of the language's library: that of `<a::B as core::C>::d` is `a`, and that of
    // `core::ptr::drop_in_place<a::B>` too.
    let names = symbol.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|name| !name.is_empty());
    let mut crates = names.filter(|name| {
        symbol.contains(&format!("{name}::"))
            && name.starts_with(|c: char| c.is_lowercase())
            && !["core", "alloc", "std", "dyn", "mut", "hashbrown"].contains(name)
    });
    let of = |name: &str| PARTS.iter().find(|(_, begins)| begins.iter().any(|begin| name.starts_with(begin)));
    crates.find_map(of).map_or("the rest", |(part, _)| part)
}

fn told(page: &Sampled, nothing: &Sampled) -> Table {
    let head = &["part of `matricula serve`", "page, us", "share", "`{ __typename }`, us", "share"];
    let mut table = Table::new("Where a request's processor time goes", head);
    let share = |sampled: &Sampled, part: &str| sampled.shares.get(part).copied().unwrap_or_default();
    let mut parts: Vec<_> = page.shares.keys().chain(nothing.shares.keys()).copied().collect();
    parts.sort_unstable();
    parts.dedup();
    let (mut parts, small): (Vec<_>, Vec<_>) =
        parts.into_iter().partition(|part| share(page, part).max(share(nothing, part)) >= SHARE_MIN);
    parts.sort_by(|a, b| share(page, b).total_cmp(&share(page, a)));
    let mut row = |name: &str, page_share: f64, nothing_share: f64| {
        table.row(vec![
            name.to_owned(),
            format!("{:.0}", page_share * page.server_us),
            format!("{:.0} %", page_share * 100.0),
            format!("{:.1}", nothing_share * nothing.server_us),
            format!("{:.0} %", nothing_share * 100.0),
        ]);
    };
    for part in parts {
        row(part, share(page, part), share(nothing, part));
    }
    if !small.is_empty() {
        let all = |sampled: &Sampled| small.iter().map(|part| share(sampled, part)).sum();
        row("parts of less than a hundredth", all(page), all(nothing));
    }
    row("together", 1.0, 1.0);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_of_the_crate_they_were_made_for() {
        for (file, symbol, wanted) in [
            (
                "matricula",
                "[.] <sqlx_postgres::row::PgRow as sqlx_core::row::Row>::try_get_raw",
                "database driver (sqlx)",
            ),
            (
                "matricula",
                "[.] core::ptr::drop_in_place<sea_orm::query::Select<infra::Entity>>",
                "ORM (SeaORM)",
            ),
            ("matricula", "[.] alloc::vec::Vec<T>::from_iter", "the rest"),
            (
                "matricula",
                "[.] <dyn transport::Host>::admit",
                "transport: documents, cost, limits, identifiers",
            ),
            ("matricula", "[.] mi_malloc_aligned", "allocation (mimalloc)"),
            ("libc.so.6", "[.] __memmove_avx_unaligned", "the C library: copying, comparing, locks"),
            ("[kernel.kallsyms]", "[k] tcp_sendmsg", "the kernel: sockets, switches, memory"),
        ] {
            assert_eq!(part(file, symbol), wanted, "{symbol}");
        }
    }

    #[test]
    fn shares_are_added_up_and_nothing_is_refused() {
        let text =
            "\n 12.50%\tmatricula\t[.] output::write\n  2.50%\tmatricula\t[.] output::object::plan\nnoise\n";
        let shares = shares(text).expect("read");
        let share = shares["output: answers written out"];
        assert!((share - 0.15).abs() < 1e-9 && shares.len() == 1, "{shares:?}");
        assert!(super::shares("nothing here").is_err());
    }
}
