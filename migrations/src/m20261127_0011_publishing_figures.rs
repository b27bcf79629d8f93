//! Figures of posts: the newest of each, and all that were others than those before, a month in a table.

use sea_orm_migration::prelude::*;

use crate::{apply, wall::tenant_table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const FIGURES: &str = "
CREATE TABLE publishing.newest_figures (
    tenant_id uuid NOT NULL,
    post_id uuid NOT NULL,
    read_at timestamptz NOT NULL,
    plays bigint,
    likes bigint,
    comments bigint,
    shares bigint,
    PRIMARY KEY (tenant_id, post_id),
    FOREIGN KEY (tenant_id, post_id) REFERENCES publishing.posts (tenant_id, id)
);

CREATE TABLE publishing.figures (
    tenant_id uuid NOT NULL,
    post_id uuid NOT NULL,
    at timestamptz NOT NULL,
    plays bigint,
    likes bigint,
    comments bigint,
    shares bigint,
    PRIMARY KEY (tenant_id, post_id, at)
) PARTITION BY RANGE (at);
";

/// Makes the tables of a month and the next, each behind the wall: it is not asked for by way of the whole alone. A month's
/// table that is not needed any more is dropped with no row of another being touched.
fn room() -> String {
    let wall = tenant_table("publishing.%1$I", "SELECT, INSERT");
    format!(
        "CREATE FUNCTION publishing.make_figures_room(instant timestamptz) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
    DECLARE
        month timestamp;
        part text;
    BEGIN
        PERFORM pg_advisory_xact_lock(hashtext('publishing.figures'));
        FOR ahead IN 0..1 LOOP
            month := date_trunc('month', instant AT TIME ZONE 'UTC') + make_interval(months => ahead);
            part := 'figures_' || to_char(month, 'YYYYMM');
            CONTINUE WHEN to_regclass(format('publishing.%I', part)) IS NOT NULL;
            EXECUTE format('CREATE TABLE publishing.%I (LIKE publishing.figures INCLUDING ALL)', part);
            EXECUTE format($wall${wall}$wall$, part);
            EXECUTE format('ALTER TABLE publishing.figures ATTACH PARTITION publishing.%I FOR VALUES FROM (%L) TO (%L)',
                part, month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC');
        END LOOP;
    END $$;
    REVOKE ALL ON FUNCTION publishing.make_figures_room(timestamptz) FROM PUBLIC;
    GRANT EXECUTE ON FUNCTION publishing.make_figures_room(timestamptz) TO matricula_app_rw;"
    )
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apply(manager, FIGURES).await?;
        for (table, grants) in [
            ("publishing.newest_figures", "SELECT, INSERT, UPDATE"),
            ("publishing.figures", "SELECT, INSERT"),
        ] {
            apply(manager, &tenant_table(table, grants)).await?;
        }
        apply(manager, &room()).await?;
        apply(manager, "SELECT publishing.make_figures_room(now())").await
    }
}
