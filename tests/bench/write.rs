//! What an audit event in the transaction of its change costs the database, with the product away. That an answer may wait
//! for the index of its event costs time and no transaction, and is not measured here.

use harness::stores::HarnessError;
use sqlx::Executor as _;

use crate::{
    goals::{Goal, rate},
    installation::Installation,
    product::{script, sql},
    rounds::{Rounds, Series, measure},
    table::Table,
};

/// Measures the three ways, and tells of them.
///
/// # Errors
/// A tool failed.
pub(crate) async fn run(installation: &Installation) -> Result<(Table, Vec<Goal>), HarnessError> {
    let target = installation.target(None)?;
    let tool = |name| sql(installation, name, &script(name)?);
    let tools = [tool("write_plain")?, tool("write_separate")?, tool("write_joined")?];
    // Nobody takes the events away meanwhile, so what one way leaves must not weigh on the next.
    let clean = async || {
        let mut superuser = installation.superuser().await?;
        superuser.execute("TRUNCATE compliance.audit_outbox").await?;
        superuser.execute("VACUUM identity.members").await?;
        Ok(())
    };
    clean().await?;
    Ok(told(&measure(tools, &target, clean).await?))
}

fn told([plain, separate, joined]: &[Series; 3]) -> (Table, Vec<Goal>) {
    let lost = |series: &Series| {
        let left = series.beside(plain, rate).percent();
        Rounds(left.0.iter().map(|left| 100.0 - left).collect())
    };
    let mut table = Table::of_loads("Transactions: a change and its audit event, by `pgbench`");
    table.load("UPDATE alone", plain, "floor");
    table.load(
        "UPDATE, then INSERT (as the product does)",
        separate,
        &format!("{} lost", lost(separate).told("%")),
    );
    table.load("UPDATE and INSERT as one statement", joined, &format!("{} lost", lost(joined).told("%")));
    let work = "transactions lost to the audit event, as the product writes it";
    (table, vec![Goal::at_most(work, "%", [10.0, 7.0], lost(separate))])
}
