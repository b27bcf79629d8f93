//! A tenant that is closed again, as a list outside of the database says, has days to be taken back, whenever it was closed.

use sea_orm_migration::prelude::*;

use crate::apply;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// That it was taken back stands in the same list, and whoever takes that entry away must not end it within a minute.
const CLOSE_AGAIN: &str = "
CREATE OR REPLACE FUNCTION identity.close_again(closed timestamptz, ends timestamptz, has_ended boolean) RETURNS boolean
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        WITH wanted AS (
            SELECT CASE WHEN has_ended THEN ends ELSE greatest(ends, clock_timestamp() + interval '7 days') END AS ends_at
        ), closed AS (
            INSERT INTO identity.closings AS c (tenant, closed_at, ends_at, status_before, is_put_back, due_at)
            SELECT current_setting('app.tenant_id')::uuid, closed, w.ends_at, 'active', has_ended, w.ends_at FROM wanted AS w
            ON CONFLICT (tenant) DO UPDATE
                SET closed_at = excluded.closed_at, ends_at = excluded.ends_at, due_at = excluded.due_at, is_put_back = has_ended
            WHERE c.begun_at IS NULL AND NOT c.is_put_back AND (has_ended OR c.closed_at < excluded.closed_at)
            RETURNING 1
        ) SELECT EXISTS (SELECT FROM closed)
    $$;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apply(manager, CLOSE_AGAIN).await
    }
}
