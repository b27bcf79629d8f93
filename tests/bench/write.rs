//! What an audit event in the transaction of its change costs the database, with the product away.

use harness::stores::HarnessError;
use sqlx::Executor as _;

use crate::{
    installation::Installation,
    product::{script, sql},
    rounds::{Series, measure},
    table::Table,
};

/// Measures the three ways, and tells of them.
///
/// # Errors
/// A tool failed.
pub(crate) async fn run(installation: &Installation) -> Result<Table, HarnessError> {
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
    Ok(table(&measure(tools, &target, clean).await?))
}

fn table([plain, separate, joined]: &[Series; 3]) -> Table {
    let lost = |series: &Series| (1.0 - series.per_s() / plain.per_s()) * 100.0;
    let mut table = Table::of_loads("Transactions: a change and its audit event, by `pgbench`");
    table.load("UPDATE alone", plain, "floor");
    let goal = "goal: at most 10 %";
    table.load(
        "UPDATE, then INSERT (as the product does)",
        separate,
        &format!("{:.0} % lost ({goal})", lost(separate)),
    );
    table.load("UPDATE and INSERT as one statement", joined, &format!("{:.0} % lost ({goal})", lost(joined)));
    table
}
