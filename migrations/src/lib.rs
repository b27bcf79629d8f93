//! The database schema, one file per change, named `m<date>_<seq>_<context>_<change>`.
//!
//! Rules: a landed migration is never edited; expand first, contract in a later release; no backfill in a
//! schema change; a new table is either a tenant's (it has `tenant_id`, first in every key, and stands behind
//! [`wall::tenant_table`]) or the platform's (its comment begins with `platform:` and says why). The catalogue
//! test refuses anything else.

pub use sea_orm_migration::MigratorTrait;
use sea_orm_migration::prelude::*;

mod m20261122_0001_kernel_idempotency;
mod m20261122_0002_identity_tenants;
mod m20261122_0003_compliance_keys;
mod m20261122_0004_compliance_audit_log;
mod m20261122_0005_compliance_fair_sequencing;
mod m20261122_0006_compliance_rewrap;
mod m20261126_0007_accounts_links;
mod m20261126_0008_compliance_retired_keys;
mod m20261126_0009_content_uploads;
mod m20261127_0010_publishing_posts;
mod m20261127_0011_publishing_figures;
mod m20261127_0012_content_transcodes;
mod m20261127_0013_accounts_quota_uses;
mod m20261127_0014_publishing_timetables;
mod m20261127_0015_compliance_verifier;
mod m20261127_0016_compliance_platform_log;
mod m20261127_0017_publishing_receipts;
mod m20261127_0018_compliance_cosignatures;
mod m20261127_0019_compliance_reports;
mod m20261127_0020_publishing_fair_turns;
mod m20261127_0021_publishing_watch;
mod m20261127_0022_content_fair_claims;
mod m20261127_0023_compliance_changes;
mod m20261128_0024_compliance_segments;
mod m20261128_0025_compliance_erasure;
mod m20261128_0026_compliance_records;
mod m20261128_0027_compliance_retention;
mod m20261128_0028_identity_awaiting_erasure;
mod m20261128_0029_compliance_late_heads;
mod m20261128_0030_compliance_attestations;
mod m20261128_0031_identity_closings;
mod m20261128_0032_compliance_lost_leaves;
mod m20261128_0033_identity_late_closings;
mod wall;

/// Runs the migrations in order. Its connection must act as the role `matricula_owner`.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261122_0001_kernel_idempotency::Migration),
            Box::new(m20261122_0002_identity_tenants::Migration),
            Box::new(m20261122_0003_compliance_keys::Migration),
            Box::new(m20261122_0004_compliance_audit_log::Migration),
            Box::new(m20261122_0005_compliance_fair_sequencing::Migration),
            Box::new(m20261122_0006_compliance_rewrap::Migration),
            Box::new(m20261126_0007_accounts_links::Migration),
            Box::new(m20261126_0008_compliance_retired_keys::Migration),
            Box::new(m20261126_0009_content_uploads::Migration),
            Box::new(m20261127_0010_publishing_posts::Migration),
            Box::new(m20261127_0011_publishing_figures::Migration),
            Box::new(m20261127_0012_content_transcodes::Migration),
            Box::new(m20261127_0013_accounts_quota_uses::Migration),
            Box::new(m20261127_0014_publishing_timetables::Migration),
            Box::new(m20261127_0015_compliance_verifier::Migration),
            Box::new(m20261127_0016_compliance_platform_log::Migration),
            Box::new(m20261127_0017_publishing_receipts::Migration),
            Box::new(m20261127_0018_compliance_cosignatures::Migration),
            Box::new(m20261127_0019_compliance_reports::Migration),
            Box::new(m20261127_0020_publishing_fair_turns::Migration),
            Box::new(m20261127_0021_publishing_watch::Migration),
            Box::new(m20261127_0022_content_fair_claims::Migration),
            Box::new(m20261127_0023_compliance_changes::Migration),
            Box::new(m20261128_0024_compliance_segments::Migration),
            Box::new(m20261128_0025_compliance_erasure::Migration),
            Box::new(m20261128_0026_compliance_records::Migration),
            Box::new(m20261128_0027_compliance_retention::Migration),
            Box::new(m20261128_0028_identity_awaiting_erasure::Migration),
            Box::new(m20261128_0029_compliance_late_heads::Migration),
            Box::new(m20261128_0030_compliance_attestations::Migration),
            Box::new(m20261128_0031_identity_closings::Migration),
            Box::new(m20261128_0032_compliance_lost_leaves::Migration),
            Box::new(m20261128_0033_identity_late_closings::Migration),
        ]
    }
}

/// The names of all migrations in order: what a database that is up to date has applied.
pub fn names() -> Vec<String> {
    Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect()
}

/// Runs one migration's statements.
async fn apply(manager: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    manager.get_connection().execute_unprepared(sql).await.map(drop)
}
