//! `matricula-bench`: what the product costs, as ratios to a floor measured in the same run.
//!
//! Invariants: whatever is compared is measured in rounds that turn round, and the middle round counts; processor time
//! is read from /proc and told apart by process; what other processes of the machine used meanwhile is told beside it;
//! requests are the whole product's, through its own door, and a refused or half-failed one ends the run.
//!
//! Absent on purpose: figures that are kept when a tool failed, and a judgement of goals in absolute time by the machine
//! they were set on.

mod goals;
mod installation;
mod load;
mod machine;
mod memory;
mod peers;
mod product;
mod programs;
mod requests;
mod rounds;
mod seal;
mod seed;
mod sequence;
mod table;
mod write;

use std::{fmt::Write as _, io::Write as _, process::ExitCode};

use domain::kernel::clock::Clock as _;
use harness::stores::HarnessError;
use infra::system::System;
use server::{
    serve::Duties,
    wiring::{Parts, build},
};

use crate::{installation::Installation, load::here};

/// Everything that can be measured, in its order.
const ALL: [&str; 6] = ["read", "peers", "memory", "write", "sequence", "seal"];

/// What was asked for.
struct Wish {
    what: Vec<String>,
    /// Whether the document is written anew.
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
        let wish = Self { write: !flags.is_empty(), what };
        if wish.write && !ALL.iter().all(|name| wish.wants(name)) {
            return Err("the document is only written with all of its figures".into());
        }
        Ok(wish)
    }

    fn wants(&self, name: &str) -> bool {
        self.what.iter().any(|wanted| wanted == name)
    }
}

async fn run(wish: &Wish) -> Result<(), HarnessError> {
    let installation = Box::pin(Installation::open()).await?;
    let figures = Box::pin(measure(wish, &installation)).await;
    installation.discard().await?;
    let figures = figures?;
    write!(std::io::stdout(), "{figures}")?;
    if wish.write {
        let path = here().join("RESULTS.md");
        let document = table::with_figures(&std::fs::read_to_string(&path)?, &figures);
        std::fs::write(&path, document.ok_or("RESULTS.md has no place for figures")?)?;
    }
    Ok(())
}

async fn measure(wish: &Wish, installation: &Installation) -> Result<String, HarnessError> {
    let Parts { app, sequencing, envelope, .. } =
        Box::pin(build(&installation.config()?, &Duties::all(), String::new())).await?;
    let (mut sequencer, _) = sequencing.ok_or("there is no sequencer")?;
    let mut superuser = installation.superuser().await?;
    eprintln!("filling the installation");
    let owners = Box::pin(seed::fill(&app, &mut superuser)).await?;
    let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(&mut superuser).await?;
    let version = version.split(' ').next().unwrap_or_default().to_owned();
    let (mut tables, mut goals) = (Vec::new(), Vec::new());
    for name in ALL.into_iter().filter(|name| wish.wants(name)) {
        eprintln!("measuring: {name}");
        let (table, reached) = match name {
            "read" => Box::pin(product::run(installation, &owners)).await?,
            "peers" => Box::pin(peers::run(installation, &owners)).await?,
            "memory" => Box::pin(memory::run(installation)).await?,
            "write" => Box::pin(write::run(installation)).await?,
            "sequence" => Box::pin(sequence::run(installation, &mut sequencer)).await?,
            _ => Box::pin(seal::run(&*app.vault)).await?,
        };
        // Whoever looks on does not wait for the last of them.
        eprintln!("{}", table.markdown());
        tables.push(table);
        goals.extend(reached);
    }
    envelope.close();
    let mut text = format!(
        "{}, {}, PostgreSQL {version}; medians of {} rounds.\n\n{}",
        System.now().date_naive(),
        machine::facts()?,
        rounds::ROUNDS,
        goals::markdown(&goals)
    );
    for table in &tables {
        write!(text, "\n{}", table.markdown())?;
    }
    Ok(text)
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
    fn a_document_is_not_written_by_halves() {
        assert!(parse(&["--write"]).expect("good").write);
        assert!(parse(&["--write", "seal"]).is_err());
        assert!(parse(&["sael"]).is_err());
        assert!(parse(&["--wrte"]).is_err());
    }
}
