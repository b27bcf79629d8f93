//! `matricula-bench`: what the product costs, as ratios to a floor or a peer measured in the same run.
//!
//! Invariants: whatever is compared is measured in rounds that turn round, and the middle round counts; processor time
//! is read from /proc and told apart by process; what other processes of the machine used meanwhile is told beside it;
//! requests are the whole product's, through its own door, and a refused or half-failed one ends the run.
//!
//! Absent on purpose: figures that are kept when a tool failed, and a judgement of goals in absolute time by the machine
//! they were set on.

mod claim;
mod fleet;
mod goals;
mod growth;
mod installation;
mod listeners;
mod load;
mod machine;
mod memory;
mod peers;
mod product;
mod profile;
mod programs;
mod queue;
mod reports;
mod requests;
mod rounds;
mod seal;
mod seed;
mod sequence;
mod sockets;
mod table;
mod tus;
mod uploads;
mod write;

use std::{io::Write as _, process::ExitCode};

use domain::kernel::clock::Clock as _;
use harness::stores::HarnessError;
use infra::system::System;
use server::{
    serve::Duties,
    wiring::{Parts, build},
};

use crate::{goals::Goal, installation::Installation, load::here, table::Table};

/// Everything that can be measured, in its order.
const ALL: [&str; 12] = [
    "read", "profile", "peers", "memory", "write", "sequence", "seal", "claim", "uploads", "sockets",
    "fleet", "reports",
];

/// The figures of one part, in Markdown.
struct Figures {
    part: &'static str,
    text: String,
}

/// What was asked for.
struct Wish {
    what: Vec<String>,
    /// Whether what is measured takes its place in the document.
    write: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Wish::parse(std::env::args().skip(1)) {
        Ok(wish) => Box::pin(run(&wish)).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("matricula-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Wish {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, HarnessError> {
        let (flags, mut what): (Vec<_>, Vec<_>) = arguments.partition(|argument| argument.starts_with('-'));
        let known = |word: &String| ALL.contains(&word.as_str());
        if let Some(unknown) =
            flags.iter().find(|flag| *flag != "--write").or(what.iter().find(|w| !known(w)))
        {
            return Err(format!("{unknown} is none of {}, --write", ALL.join(", ")).into());
        }
        if what.is_empty() {
            what = ALL.map(ToOwned::to_owned).to_vec();
        }
        Ok(Self { write: !flags.is_empty(), what })
    }

    fn wants(&self, name: &str) -> bool {
        self.what.iter().any(|wanted| wanted == name)
    }
}

async fn run(wish: &Wish) -> Result<(), HarnessError> {
    let path = here().join("RESULTS.md");
    if wish.write {
        // Before ten minutes are spent on figures that have no place.
        let wanted = ALL.into_iter().filter(|name| wish.wants(name));
        let nothing: Vec<_> = wanted.map(|part| Figures { part, text: String::new() }).collect();
        written(&std::fs::read_to_string(&path)?, &nothing)?;
    }
    let installation = Box::pin(Installation::open()).await?;
    let figures = Box::pin(measure(wish, &installation)).await;
    installation.discard().await?;
    let figures = figures?;
    for part in &figures {
        writeln!(std::io::stdout(), "{}", part.text)?;
    }
    if wish.write {
        let document = written(&std::fs::read_to_string(&path)?, &figures)?;
        std::fs::write(&path, document)?;
    }
    Ok(())
}

/// The document with these figures; those of other parts stay, with the day and the machine they are of.
fn written(document: &str, figures: &[Figures]) -> Result<String, HarnessError> {
    figures.iter().try_fold(document.to_owned(), |document, part| {
        let place = table::with_figures(&document, part.part, &part.text);
        place.ok_or_else(|| format!("RESULTS.md has no place for figures of {}", part.part).into())
    })
}

async fn measure(wish: &Wish, installation: &Installation) -> Result<Vec<Figures>, HarnessError> {
    let Parts { app, sequencing, envelope, .. } =
        Box::pin(build(&installation.config()?, &Duties::all(), String::new())).await?;
    let (mut sequencer, _) = sequencing.ok_or("there is no sequencer")?;
    let mut superuser = installation.superuser().await?;
    eprintln!("filling the installation");
    let owners = Box::pin(seed::fill(&app, &mut superuser)).await?;
    let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(&mut superuser).await?;
    let version = version.split(' ').next().unwrap_or_default().to_owned();
    let mut figures = Vec::new();
    for part in ALL.into_iter().filter(|name| wish.wants(name)) {
        eprintln!("measuring: {part}");
        let (tables, goals) = match part {
            "read" | "profile" | "peers" => {
                let owners = Box::pin(seed::add_accounts(&app, &owners, &mut superuser)).await?;
                one(match part {
                    "read" => Box::pin(product::run(installation, owners)).await?,
                    "profile" => Box::pin(profile::run(installation, owners)).await?,
                    _ => Box::pin(peers::run(installation, owners)).await?,
                })
            }
            "memory" => one(Box::pin(memory::run(installation)).await?),
            "write" => one(Box::pin(write::run(installation)).await?),
            "sequence" => one(Box::pin(sequence::run(installation, &mut sequencer)).await?),
            "seal" => one(Box::pin(seal::run(&*app.vault)).await?),
            "claim" => Box::pin(claim::run(installation, &app)).await?,
            "uploads" => one(Box::pin(uploads::run(installation, &app)).await?),
            "sockets" => one(Box::pin(sockets::run(installation, &app)).await?),
            "fleet" => Box::pin(fleet::run(installation, &app)).await?,
            _ => Box::pin(reports::run(installation, &app)).await?,
        };
        let stamp = format!(
            "{}, {}, PostgreSQL {version}; medians of {} rounds.",
            System.now().date_naive(),
            machine::facts()?,
            rounds::ROUNDS
        );
        let text = table::section(&stamp, &tables, &goals::markdown(&goals));
        // Whoever looks on does not wait for the last of them.
        eprintln!("{text}");
        figures.push(Figures { part, text });
    }
    envelope.close();
    Ok(figures)
}

fn one((table, goals): (Table, Vec<Goal>)) -> (Vec<Table>, Vec<Goal>) {
    (vec![table], goals)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Wish, HarnessError> {
        Wish::parse(arguments.iter().map(|argument| (*argument).to_owned()))
    }

    #[test]
    fn all_is_measured_unless_something_is_named() {
        let all = parse(&[]).expect("good");
        assert!(ALL.iter().all(|name| all.wants(name)) && !all.write);
        let one = parse(&["seal"]).expect("good");
        assert!(one.wants("seal") && !one.wants("read"));
    }

    #[test]
    fn what_is_unknown_is_refused() {
        assert!(parse(&["--write"]).expect("good").write);
        let some = parse(&["--write", "seal"]).expect("good");
        assert!(some.write && some.wants("seal") && !some.wants("read"));
        assert!(parse(&["sael"]).is_err());
        assert!(parse(&["--wrte"]).is_err());
    }

    #[test]
    fn the_document_has_a_place_for_every_part() {
        let document = std::fs::read_to_string(here().join("RESULTS.md")).expect("there");
        let figures = |part| Figures { part, text: format!("of {part}") };
        let all: Vec<Figures> = ALL.into_iter().map(figures).collect();
        let document = written(&document, &all).expect("a place");
        assert!(ALL.iter().all(|part| document.contains(&format!("\nof {part}\n"))));
        assert!(written("# A\n", &all).is_err());
    }
}
