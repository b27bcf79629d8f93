//! The wall around a tenant's rows: row-level security that the table's owner is held to as well.

/// The condition every row read or written must meet. Unset, it fails loudly (42704, or 22P02 on a
/// connection that had it before): a missing scope is a bug, not an empty list. In a sub-select it is
/// evaluated once a statement, not once a row.
pub(crate) const TENANT_IS_CURRENT: &str = "tenant_id = (select current_setting('app.tenant_id')::uuid)";

/// Enables and forces row-level security on `table`, confines the application to one tenant, and grants it
/// `grants` (as `SELECT, INSERT`).
///
/// The restrictive policy is the wall; the permissive one only says that there is something to restrict.
/// Other roles have no permissive policy and so see nothing.
pub(crate) fn tenant_table(table: &str, grants: &str) -> String {
    format!(
        "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
         ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
         CREATE POLICY tenant_wall ON {table} AS RESTRICTIVE FOR ALL
             TO matricula_app_rw, matricula_auditor_ro
             USING ({TENANT_IS_CURRENT}) WITH CHECK ({TENANT_IS_CURRENT});
         CREATE POLICY tenant_rows ON {table} AS PERMISSIVE FOR ALL
             TO matricula_app_rw, matricula_auditor_ro USING (true) WITH CHECK (true);
         GRANT {grants} ON {table} TO matricula_app_rw;"
    )
}
