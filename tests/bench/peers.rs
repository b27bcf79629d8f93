//! The page from the product beside PostGraphile over the same tables, and both beside the floor.

use harness::stores::HarnessError;

use crate::{
    goals::{Goal, rate, slowest},
    installation::Installation,
    product::{script, sql},
    programs::{Kind, Program},
    requests::{PAGE, Requests, is_page, same},
    rounds::{Series, measure},
    seed::Owner,
    table::Table,
};

/// The page as PostGraphile names things. `kind` takes the place of `nickname`, which no column holds openly.
const THEIR_PAGE: &str = "{ accounts: allAccounts(first: 20, orderBy: [CREATED_AT_ASC, ROW_ID_ASC]) { \
                          nodes { id: rowId kind state \
                          posts(first: 5, orderBy: [PLANNED_AT_ASC, ROW_ID_ASC]) { \
                          nodes { id: rowId caption status plannedAt } } } } }";

/// Most of the peer's slowest in a hundred.
const THIRD: f64 = 1.0 / 3.0;

/// Worker processes of PostGraphile: as many as the machine the goals were set on has cores.
const WORKERS: u32 = 2;

/// Measures both at 32 and 64 connections, and tells of them.
///
/// # Errors
/// The peers are not installed, an answer differs, or a tool failed.
pub(crate) async fn run(
    installation: &Installation,
    owners: &[Owner],
) -> Result<(Table, Vec<Goal>), HarnessError> {
    let running = Box::pin(installation.serve()).await?;
    let target = installation.target(Some(&running))?;
    let tokens_file = installation.dir.join("peer.tokens");
    let tenants: Vec<String> = owners.iter().map(|owner| owner.tenant.uuid().to_string()).collect();
    let settings = [
        ("DATABASE_URL", installation.app_url()),
        ("SECRET", "shared by the peer and itself alone"),
        ("TENANTS", &tenants.join(",")),
        ("TOKENS_FILE", &tokens_file.to_string_lossy()),
    ];
    let peer =
        Program::start(&Kind::Script("postgraphile.js"), WORKERS, &settings, &installation.dir).await?;
    let ours = Requests { client: &running.client, service: running.service(), dir: &installation.dir };
    let theirs = Requests { client: &peer.client, service: peer.service(), dir: &installation.dir };
    let tokens: Vec<&str> = owners.iter().map(|owner| owner.token.as_str()).collect();
    let their_tokens = std::fs::read_to_string(&tokens_file)?;
    let their_tokens: Vec<&str> = their_tokens.lines().collect();
    let (page, answer) = ours.query("page", &tokens, PAGE, &is_page).await?;
    let (their_page, their_answer) = theirs.query("their_page", &their_tokens, THEIR_PAGE, &is_page).await?;
    same("PostGraphile", &answer, &their_answer)?;
    let floor = sql(installation, "read_floor", &script("read_floor")?)?;
    let tools =
        [floor, page.clone(), their_page.clone(), page.with_connections(64), their_page.with_connections(64)];
    let series = measure(tools, &target, async || Ok(())).await;
    peer.stop().await?;
    let log = running.stop().await?;
    Ok(told(&series.map_err(|error| format!("{error}\n{log}"))?))
}

fn told([floor, page, peer, page_64, peer_64]: &[Series; 5]) -> (Table, Vec<Goal>) {
    let of_floor = |series: &Series| series.beside(floor, rate).percent();
    let mut table = Table::of_loads("The page beside PostGraphile 5");
    table.load("F1: the page as two statements, `pgbench`, 16 connections", floor, "floor");
    for (name, series) in [
        ("the product, 32 connections", page),
        ("PostGraphile, 32 connections", peer),
        ("the product, 64 connections", page_64),
        ("PostGraphile, 64 connections", peer_64),
    ] {
        table.load(name, series, &format!("{} of F1", of_floor(series).told("%")));
    }
    let goals = vec![
        Goal::at_least(
            "the page beside PostGraphile 5, 32 connections: requests/s",
            "x",
            [3.5, 5.0],
            page.beside(peer, rate),
        ),
        Goal::at_least("the same, 64 connections", "x", [3.5, 5.0], page_64.beside(peer_64, rate)),
        Goal::at_most(
            "p99 of the page beside PostGraphile 5, 32 connections",
            "x",
            [THIRD, THIRD],
            page.beside(peer, slowest),
        ),
        Goal::at_most("the same, 64 connections", "x", [THIRD, THIRD], page_64.beside(peer_64, slowest)),
    ];
    (table, goals)
}
