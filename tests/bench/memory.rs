//! Answers from memory: the transport and its writer beside Mercurius with JIT and beside a handler written by hand.

use harness::stores::HarnessError;
use serde_json::Value;

use crate::{
    goals::{Goal, rate},
    installation::Installation,
    load::Tool,
    programs::{Kind, Program},
    requests::{PAGE, Requests, is_page, same},
    rounds::{Series, measure},
    table::Table,
};

/// A flat list of a hundred objects with three scalars.
const ROWS: &str = "{ rows { id title views } }";

/// Numbers of workers that are tried.
const WORKERS: [u32; 2] = [1, 2];

/// What answers: the program for the rows, the program for the page, and its name.
const KINDS: [(Kind<'_>, Kind<'_>, &str); 3] = [
    (Kind::Still("graphql"), Kind::Still("graphql"), "transport"),
    (Kind::Script("mercurius.js"), Kind::Script("mercurius.js"), "Mercurius with JIT"),
    (Kind::Still("rows"), Kind::Still("page"), "a handler with serde_json"),
];

/// Measures all of them, and tells of them.
///
/// # Errors
/// The peers are not installed, an answer differs, or a tool failed.
pub(crate) async fn run(installation: &Installation) -> Result<(Table, Vec<Goal>), HarnessError> {
    let mut programs = Vec::new();
    let (mut tools, mut answers) = (Vec::new(), Vec::new());
    for workers in WORKERS {
        for (rows, page, name) in &KINDS {
            for (kind, query) in [(rows, ROWS), (page, PAGE)] {
                let program = Program::start(kind, workers, &[], &installation.dir).await?;
                let requests =
                    Requests { client: &program.client, service: program.service(), dir: &installation.dir };
                let is_right = |answer: &harness::client::Answer| {
                    if query == PAGE { is_page(answer) } else { answer.data("rows")[99]["views"] == 3_663 }
                };
                let file = format!("memory-{}", tools.len());
                let (tool, answer) = requests.query(&file, &[""], query, &is_right).await?;
                programs.push(program);
                answers.push((*name, answer));
                tools.push(tool);
            }
        }
    }
    all_same(&answers)?;
    let tools: [Tool; 12] = tools.try_into().map_err(|_| "there are not twelve tools")?;
    let series = measure(tools, &installation.target(None)?, async || Ok(())).await;
    for program in programs {
        program.stop().await?;
    }
    Ok(told(&series?))
}

/// The first two answers are the transport's, to the rows and to the page.
fn all_same(answers: &[(&str, Value)]) -> Result<(), HarnessError> {
    let (ours, _) = answers.split_at(answers.len().min(2));
    answers.iter().enumerate().try_for_each(|(at, (name, answer))| same(name, &ours[at % 2].1, answer))
}

fn told(series: &[Series; 12]) -> (Table, Vec<Goal>) {
    let mut table = Table::of_loads("From memory, 32 connections");
    let mut goals = Vec::new();
    for (workers, group) in WORKERS.into_iter().zip(series.chunks(6)) {
        let [rows, page, their_rows, their_page, bare_rows, bare_page] = group else { continue };
        for (what, ours, theirs, bare) in
            [("rows", rows, their_rows, bare_rows), ("page", page, their_page, bare_page)]
        {
            let name = |who: &str| format!("{what}: {who}, {workers} at work");
            let beside = |peer: &Series| ours.beside(peer, rate);
            let reached = format!(
                "{} of Mercurius, {} of the handler",
                beside(theirs).told("x"),
                beside(bare).told("x")
            );
            table.load(&name("transport"), ours, &reached);
            table.load(&name("Mercurius with JIT"), theirs, "peer");
            table.load(&name("a handler with serde_json"), bare, "floor");
        }
        if workers == 1 {
            let wanted = [3.5, 5.0];
            goals.push(Goal::at_least(
                "100 rows of 3 scalars from memory beside Mercurius with JIT, one process each",
                "x",
                wanted,
                rows.beside(their_rows, rate),
            ));
            goals.push(Goal::at_least(
                "the page from memory beside the same",
                "x",
                wanted,
                page.beside(their_page, rate),
            ));
        }
    }
    (table, goals)
}
