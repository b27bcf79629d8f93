//! The database's own catalogue: every trap that lets one tenant see another's row, looked for in every table, and
//! each look proven by planting the trap.

use harness::app::TestApp;
use sqlx::{Executor as _, PgConnection};

/// Finds every fault; each row says what is wrong with what.
const FAULTS: &str = r"
WITH ours AS (
    SELECT c.oid, n.nspname, c.relname, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relowner,
           format('%I.%I', n.nspname, c.relname) AS name,
           EXISTS (SELECT FROM pg_attribute AS a
                   WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped) AS of_tenant,
           coalesce(obj_description(c.oid), '') LIKE 'platform:%' AS of_platform
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'public') AND n.nspname !~ '^pg_'
), tables AS (SELECT * FROM ours WHERE relkind IN ('r', 'p')
), keys AS (
    SELECT t.name, i.indexrelid::regclass::text AS key, i.indkey, i.indrelid
    FROM pg_index AS i JOIN tables AS t ON t.oid = i.indrelid WHERE t.of_tenant AND i.indisunique
), wall AS (
    SELECT p.polrelid FROM pg_policy AS p
    WHERE NOT p.polpermissive AND p.polcmd = '*'
      AND pg_get_expr(p.polqual, p.polrelid) LIKE '%tenant_id = ( SELECT (current_setting(''app.tenant_id''::text))::uuid%'
      AND pg_get_expr(p.polwithcheck, p.polrelid) = pg_get_expr(p.polqual, p.polrelid)
      AND p.polroles @> ARRAY['matricula_app_rw'::regrole::oid, 'matricula_auditor_ro'::regrole::oid]
)
SELECT name || ': is neither a tenant''s (tenant_id) nor the platform''s (comment)' FROM tables WHERE NOT of_tenant AND NOT of_platform
UNION ALL SELECT name || ': is both a tenant''s and the platform''s' FROM tables WHERE of_tenant AND of_platform
UNION ALL SELECT name || ': row-level security is not enabled' FROM tables WHERE of_tenant AND NOT relrowsecurity
UNION ALL SELECT name || ': row-level security is not forced' FROM tables WHERE of_tenant AND NOT relforcerowsecurity
UNION ALL SELECT name || ': has no restrictive tenant policy' FROM tables WHERE of_tenant AND oid NOT IN (SELECT polrelid FROM wall)
UNION ALL SELECT t.name || ': the policy ' || p.polname || ' is permissive for a role it should not be'
    FROM tables AS t JOIN pg_policy AS p ON p.polrelid = t.oid
    WHERE p.polpermissive AND NOT p.polroles <@ ARRAY['matricula_app_rw'::regrole::oid, 'matricula_auditor_ro'::regrole::oid,
        'matricula_sequencer'::regrole::oid, 'matricula_recorder'::regrole::oid, 'matricula_verifier'::regrole::oid,
        'matricula_notary'::regrole::oid]
UNION ALL SELECT t.name || ': the policy ' || p.polname || ' lets a cross-tenant role out of the audit log'
    FROM tables AS t JOIN pg_policy AS p ON p.polrelid = t.oid
    WHERE p.polpermissive AND p.polroles && ARRAY['matricula_sequencer'::regrole::oid, 'matricula_recorder'::regrole::oid]
      AND t.name NOT IN ('compliance.audit_outbox', 'compliance.audit_leaves', 'compliance.audit_tiles', 'compliance.audit_heads',
        'compliance.prunes', 'compliance.audit_openings')
UNION ALL SELECT t.name || ': the policy ' || p.polname || ' lets the verifier do more than read logs'
    FROM tables AS t JOIN pg_policy AS p ON p.polrelid = t.oid
    WHERE p.polpermissive AND p.polroles @> ARRAY['matricula_verifier'::regrole::oid]
      AND (p.polcmd <> 'r' OR t.name NOT IN ('compliance.audit_leaves', 'compliance.audit_tiles', 'compliance.audit_heads', 'compliance.log_keys',
        'compliance.platform_anchors', 'compliance.prunes'))
UNION ALL SELECT o.name || ': matricula_sequencer may ' || g.privilege_type || ' ' || g.column_name
    FROM ours AS o JOIN information_schema.column_privileges AS g ON g.table_schema = o.nspname AND g.table_name = o.relname
    WHERE g.grantee = 'matricula_sequencer' AND o.name = 'compliance.audit_openings' AND g.column_name NOT IN ('tenant_id', 'event_id')
UNION ALL SELECT t.name || ': the policy ' || p.polname || ' lets the notary do more than anchor heads'
    FROM tables AS t JOIN pg_policy AS p ON p.polrelid = t.oid
    WHERE p.polpermissive AND p.polroles @> ARRAY['matricula_notary'::regrole::oid]
      AND NOT (p.polcmd = 'r' AND t.name = 'compliance.audit_heads' OR p.polcmd IN ('r', 'a') AND t.name = 'compliance.platform_anchors')
UNION ALL SELECT t.name || ': the policy ' || p.polname || ' checks nothing that is written'
    FROM tables AS t JOIN pg_policy AS p ON p.polrelid = t.oid
    WHERE p.polcmd IN ('*', 'a', 'w') AND p.polwithcheck IS NULL
UNION ALL SELECT name || ': the key ' || key || ' does not begin with tenant_id'
    FROM keys WHERE (SELECT a.attname FROM pg_attribute AS a WHERE a.attrelid = indrelid AND a.attnum = indkey[0]) IS DISTINCT FROM 'tenant_id'
UNION ALL SELECT t.name || ': the foreign key ' || f.conname || ' does not begin with tenant_id on both sides'
    FROM pg_constraint AS f JOIN tables AS t ON t.oid = f.conrelid
    WHERE f.contype = 'f' AND t.of_tenant AND (
        (SELECT a.attname FROM pg_attribute AS a WHERE a.attrelid = f.conrelid AND a.attnum = f.conkey[1]) IS DISTINCT FROM 'tenant_id'
        OR (SELECT a.attname FROM pg_attribute AS a WHERE a.attrelid = f.confrelid AND a.attnum = f.confkey[1]) IS DISTINCT FROM 'tenant_id')
UNION ALL SELECT name || ': is a materialised view' FROM ours WHERE relkind = 'm'
UNION ALL SELECT o.name || ': is a view without security_invoker' FROM ours AS o JOIN pg_class AS c ON c.oid = o.oid
    WHERE o.relkind = 'v' AND NOT coalesce('security_invoker=true' = ANY (c.reloptions), false)
UNION ALL SELECT name || ': is not owned by matricula_owner' FROM ours WHERE relkind IN ('r', 'p', 'v', 'm') AND relowner <> 'matricula_owner'::regrole
UNION ALL SELECT format('%I.%I', n.nspname, p.proname) || ': is SECURITY DEFINER without a fixed search_path'
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE p.prosecdef AND n.nspname !~ '^pg_' AND NOT coalesce(p.proconfig::text LIKE '%search_path=%', false)
UNION ALL SELECT format('%I.%I', n.nspname, p.proname) || ': everybody may call it'
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.nspname IN (SELECT nspname FROM ours) AND has_function_privilege('public', p.oid, 'EXECUTE')
UNION ALL SELECT o.name || ': ' || g.grantee || ' may ' || g.privilege_type
    FROM ours AS o JOIN information_schema.role_table_grants AS g ON g.table_schema = o.nspname AND g.table_name = o.relname
    WHERE g.grantee <> 'matricula_owner' AND (
        g.privilege_type IN ('TRUNCATE', 'REFERENCES', 'TRIGGER') OR g.is_grantable = 'YES'
        OR g.grantee NOT IN ('matricula_app_rw', 'matricula_sequencer', 'matricula_recorder', 'matricula_verifier', 'matricula_notary', 'matricula_auditor_ro'))
UNION ALL SELECT o.name || ': ' || g.grantee || ' may ' || g.privilege_type || ' what is only ever added to'
    FROM ours AS o JOIN information_schema.role_table_grants AS g ON g.table_schema = o.nspname AND g.table_name = o.relname
    WHERE o.name IN ('compliance.audit_outbox', 'compliance.audit_leaves', 'compliance.audit_tiles', 'compliance.audit_heads')
      AND g.grantee IN ('matricula_app_rw', 'matricula_auditor_ro', 'matricula_recorder')
      AND g.privilege_type IN ('UPDATE', 'DELETE')
UNION ALL SELECT o.name || ': matricula_recorder may read ' || g.column_name
    FROM ours AS o JOIN information_schema.column_privileges AS g ON g.table_schema = o.nspname AND g.table_name = o.relname
    WHERE g.grantee = 'matricula_recorder' AND g.privilege_type = 'SELECT' AND g.column_name NOT IN ('tenant_id', 'event_id', 'stream')
UNION ALL SELECT o.name || ': matricula_verifier may ' || g.privilege_type || ' ' || g.column_name
    FROM ours AS o JOIN information_schema.column_privileges AS g ON g.table_schema = o.nspname AND g.table_name = o.relname
    WHERE g.grantee = 'matricula_verifier' AND (g.privilege_type <> 'SELECT'
        OR o.name = 'compliance.log_keys' AND g.column_name NOT IN ('tenant_id', 'public_key', 'created_at'))
UNION ALL SELECT o.name || ': matricula_notary may ' || g.privilege_type || ' ' || g.column_name
    FROM ours AS o JOIN information_schema.column_privileges AS g ON g.table_schema = o.nspname AND g.table_name = o.relname
    WHERE g.grantee = 'matricula_notary' AND (
        g.privilege_type = 'SELECT' AND o.name = 'compliance.platform_anchors' AND g.column_name NOT IN ('tenant_id', 'stream', 'size')
        OR g.privilege_type = 'UPDATE' AND (o.name || '.' || g.column_name) NOT IN (
            'compliance.platform_tiles.width', 'compliance.platform_tiles.hashes', 'compliance.platform_heads.note', 'compliance.platform_heads.is_witnessed',
            'compliance.platform_attestations.prepared', 'compliance.platform_attestations.proof', 'compliance.platform_attestations.settled_at')
        OR g.privilege_type = 'INSERT' AND o.name NOT LIKE 'compliance.platform\_%')
UNION ALL SELECT r.rolname || ': could step around row-level security' FROM pg_roles AS r
    WHERE r.rolname LIKE 'matricula%' AND r.rolname <> 'matricula' AND (r.rolsuper OR r.rolbypassrls OR r.rolcreaterole)
ORDER BY 1";

async fn faults(database: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar(FAULTS).fetch_all(database).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_has_no_trap() {
    let app = TestApp::start().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    assert_eq!(faults(&mut database).await, Vec::<String>::new());
    let tables: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
         WHERE c.relrowsecurity AND n.nspname IN ('kernel', 'identity', 'compliance', 'accounts')",
    )
    .fetch_one(&mut database)
    .await
    .unwrap();
    assert!(tables >= 22, "the look is at something: {tables} tables stand behind the wall");
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_trap_is_found_when_it_is_set() {
    let app = TestApp::start().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    let traps = [
        ("CREATE TABLE identity.trap (id uuid PRIMARY KEY)", "identity.trap: is neither"),
        ("CREATE TABLE identity.trap (tenant_id uuid PRIMARY KEY)", "identity.trap: row-level security is not enabled"),
        ("ALTER TABLE identity.members DISABLE ROW LEVEL SECURITY", "identity.members: row-level security is not enabled"),
        ("ALTER TABLE identity.members NO FORCE ROW LEVEL SECURITY", "identity.members: row-level security is not forced"),
        ("DROP POLICY tenant_wall ON identity.members", "identity.members: has no restrictive tenant policy"),
        (
            "ALTER POLICY tenant_wall ON identity.members WITH CHECK (true)",
            "identity.members: has no restrictive tenant policy",
        ),
        (
            "CREATE POLICY open ON identity.members FOR SELECT TO PUBLIC USING (true)",
            "identity.members: the policy open is permissive for a role it should not be",
        ),
        (
            "CREATE POLICY open ON identity.members FOR SELECT TO matricula_sequencer USING (true)",
            "identity.members: the policy open lets a cross-tenant role out",
        ),
        (
            "CREATE POLICY open ON identity.members FOR UPDATE TO matricula_app_rw USING (true)",
            "identity.members: the policy open checks nothing",
        ),
        ("CREATE UNIQUE INDEX trap ON identity.members (email_index)", "identity.members: the key identity.trap"),
        (
            "ALTER TABLE identity.members ADD UNIQUE (id); ALTER TABLE identity.api_keys ADD CONSTRAINT trap FOREIGN KEY (issued_by) REFERENCES identity.members (id)",
            "identity.api_keys: the foreign key trap",
        ),
        ("CREATE MATERIALIZED VIEW identity.trap AS SELECT * FROM identity.members", "identity.trap: is a materialised view"),
        ("CREATE VIEW identity.trap AS SELECT * FROM identity.members", "identity.trap: is a view without security_invoker"),
        (
            "CREATE FUNCTION identity.trap() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
            "identity.trap: is SECURITY DEFINER without",
        ),
        ("CREATE FUNCTION identity.trap() RETURNS int LANGUAGE sql AS 'SELECT 1'", "identity.trap: everybody may call it"),
        ("GRANT TRUNCATE ON identity.members TO matricula_app_rw", "identity.members: matricula_app_rw may TRUNCATE"),
        ("GRANT SELECT ON identity.members TO PUBLIC", "identity.members: PUBLIC may SELECT"),
        (
            "GRANT DELETE ON compliance.audit_outbox TO matricula_app_rw",
            "compliance.audit_outbox: matricula_app_rw may DELETE what is only ever added to",
        ),
        (
            "GRANT SELECT (leaf) ON compliance.audit_leaves TO matricula_recorder",
            "compliance.audit_leaves: matricula_recorder may read leaf",
        ),
        (
            "CREATE POLICY open ON identity.members FOR SELECT TO matricula_verifier USING (true)",
            "identity.members: the policy open lets the verifier do more than read logs",
        ),
        (
            "GRANT SELECT (seed_sealed) ON compliance.log_keys TO matricula_verifier",
            "compliance.log_keys: matricula_verifier may SELECT seed_sealed",
        ),
        (
            "CREATE POLICY open ON identity.members FOR SELECT TO matricula_notary USING (true)",
            "identity.members: the policy open lets the notary do more than anchor heads",
        ),
        (
            "GRANT SELECT (salt) ON compliance.platform_anchors TO matricula_notary",
            "compliance.platform_anchors: matricula_notary may SELECT salt",
        ),
        (
            "GRANT UPDATE (root) ON compliance.platform_heads TO matricula_notary",
            "compliance.platform_heads: matricula_notary may UPDATE root",
        ),
        (
            "GRANT INSERT ON compliance.audit_heads TO matricula_verifier",
            "compliance.audit_heads: matricula_verifier may INSERT",
        ),
        (
            "CREATE TABLE identity.trap (tenant_id uuid, at date, PRIMARY KEY (tenant_id, at)) PARTITION BY RANGE (at);
             CREATE TABLE identity.trap_1 PARTITION OF identity.trap FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
            "identity.trap_1: row-level security is not enabled",
        ),
    ];
    for (trap, finding) in traps {
        database.execute("BEGIN").await.unwrap();
        sqlx::raw_sql(trap).execute(&mut database).await.unwrap();
        let found = faults(&mut database).await;
        assert!(found.iter().any(|fault| fault.starts_with(finding)), "{trap}\nfound only {found:#?}");
        database.execute("ROLLBACK").await.unwrap();
    }
    assert_eq!(faults(&mut database).await, Vec::<String>::new());
    app.stop().await.unwrap();
}
