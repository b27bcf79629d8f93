//! Posts that may stand where they are for too long; and when each figure was told.

use sea_orm_migration::prelude::*;

use crate::apply;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// A row for each post that waits for somebody or something, and since when it may have waited too long: all of them are
/// counted without looking at any tenant's rows. A trigger keeps it, so that no way of writing a post goes past it.
const WATCH: &str = "
CREATE TABLE publishing.post_watch (
    tenant uuid NOT NULL,
    post uuid NOT NULL,
    waits text NOT NULL CHECK (waits IN ('for_approval', 'for_platform', 'in_review')),
    since timestamptz NOT NULL,
    PRIMARY KEY (tenant, post)
);
COMMENT ON TABLE publishing.post_watch IS
    'platform: what stands still is counted across tenants in one place; reached only through the functions below';
CREATE INDEX post_watch_since ON publishing.post_watch (waits, since);

CREATE FUNCTION publishing.watch_post() RETURNS trigger
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
    DECLARE
        kind CONSTANT text := CASE
            WHEN NEW.status = 'awaiting_approval' THEN 'for_approval'
            WHEN NEW.status IN ('waiting', 'uploading', 'uploaded', 'creating', 'outcome_unknown') THEN 'for_platform'
            WHEN NEW.status = 'under_review' THEN 'in_review' END;
        instant CONSTANT timestamptz := CASE kind
            WHEN 'for_approval' THEN NEW.planned_at
            WHEN 'for_platform' THEN coalesce(NEW.promised_at, NEW.planned_at)
            ELSE coalesce(NEW.accepted_at, NEW.planned_at) END;
    BEGIN
        IF kind IS NULL THEN
            DELETE FROM publishing.post_watch AS w WHERE w.tenant = NEW.tenant_id AND w.post = NEW.id;
        ELSE
            INSERT INTO publishing.post_watch AS w (tenant, post, waits, since)
            VALUES (NEW.tenant_id, NEW.id, kind, instant)
            ON CONFLICT (tenant, post) DO UPDATE SET waits = excluded.waits, since = excluded.since
            WHERE (w.waits, w.since) IS DISTINCT FROM (excluded.waits, excluded.since);
        END IF;
        RETURN NULL;
    END $$;
CREATE FUNCTION publishing.unwatch_post() RETURNS trigger
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
    BEGIN
        DELETE FROM publishing.post_watch AS w WHERE w.tenant = OLD.tenant_id AND w.post = OLD.id;
        RETURN NULL;
    END $$;
CREATE TRIGGER watch_new AFTER INSERT ON publishing.posts FOR EACH ROW
    WHEN (NEW.status <> 'draft') EXECUTE FUNCTION publishing.watch_post();
CREATE TRIGGER watch_moved AFTER UPDATE ON publishing.posts FOR EACH ROW
    WHEN ((OLD.status, OLD.planned_at, OLD.promised_at, OLD.accepted_at)
        IS DISTINCT FROM (NEW.status, NEW.planned_at, NEW.promised_at, NEW.accepted_at))
    EXECUTE FUNCTION publishing.watch_post();
CREATE TRIGGER watch_removed AFTER DELETE ON publishing.posts FOR EACH ROW EXECUTE FUNCTION publishing.unwatch_post();

CREATE FUNCTION publishing.posts_waiting(waiting_for text, patience interval) RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        SELECT count(*) FROM (SELECT FROM publishing.post_watch AS w
            WHERE w.waits = waiting_for AND w.since < statement_timestamp() - patience LIMIT 10000) AS late
    $$;
REVOKE ALL ON FUNCTION publishing.watch_post(), publishing.unwatch_post(),
    publishing.posts_waiting(text, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION publishing.posts_waiting(text, interval) TO matricula_app_rw;
";

/// What is there already. Row-level security is the owner's too, so it is lifted from the owner while they are read.
const THERE: &str = "
ALTER TABLE publishing.posts NO FORCE ROW LEVEL SECURITY;
INSERT INTO publishing.post_watch (tenant, post, waits, since)
SELECT tenant_id, id,
    CASE status WHEN 'awaiting_approval' THEN 'for_approval' WHEN 'under_review' THEN 'in_review' ELSE 'for_platform' END,
    CASE status WHEN 'awaiting_approval' THEN planned_at WHEN 'under_review' THEN coalesce(accepted_at, planned_at)
        ELSE coalesce(promised_at, planned_at) END
FROM publishing.posts
WHERE status IN ('awaiting_approval', 'waiting', 'uploading', 'uploaded', 'creating', 'outcome_unknown', 'under_review');
ALTER TABLE publishing.posts FORCE ROW LEVEL SECURITY;
";

/// A platform may tell one figure today and another tomorrow: each is kept as it was last told, and when that was.
const STAMPS: &str = "
ALTER TABLE publishing.newest_figures
    ADD COLUMN plays_at timestamptz, ADD COLUMN likes_at timestamptz,
    ADD COLUMN comments_at timestamptz, ADD COLUMN shares_at timestamptz;
ALTER TABLE publishing.newest_figures NO FORCE ROW LEVEL SECURITY;
UPDATE publishing.newest_figures SET plays_at = CASE WHEN plays IS NOT NULL THEN read_at END,
    likes_at = CASE WHEN likes IS NOT NULL THEN read_at END,
    comments_at = CASE WHEN comments IS NOT NULL THEN read_at END,
    shares_at = CASE WHEN shares IS NOT NULL THEN read_at END;
ALTER TABLE publishing.newest_figures FORCE ROW LEVEL SECURITY;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statements in [WATCH, THERE, STAMPS] {
            apply(manager, statements).await?;
        }
        Ok(())
    }
}
