//! The wall around a tenant's rows: row-level security that the table's owner is held to as well.

/// The condition every row read or written must meet. Unset, it fails loudly (42704, or 22P02 on a
/// connection that had it before): a missing scope is a bug, not an empty list. In a sub-select it is
/// evaluated once a statement, not once a row.
pub(crate) const TENANT_IS_CURRENT: &str = "tenant_id = (select current_setting('app.tenant_id')::uuid)";

/// Has every change of a row of `table` noted for the audit log: in its transaction, and beside it when whoever made it does not
/// tell the log. `keys` are the columns that say which row it is, without the tenant's; `subject`
/// is the one that says whom it is about, or empty; of `digested` columns only digests are noted, of `unnoted` ones nothing. Each
/// is a list of names with commas; `column.part` names a part of what a column of JSON holds.
///
/// This holds whoever forgets, or does not know; whoever writes with a login of the database and means to hide it can throw the
/// notes of their own transaction away, as whoever owns the tables can turn the triggers off (the service refuses to start
/// then).
pub(crate) fn noted_table(table: &str, keys: &str, subject: &str, digested: &str, unnoted: &str) -> String {
    format!(
        "CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW
             EXECUTE FUNCTION compliance.note_change('{keys}', '{subject}', '{digested}', '{unnoted}');
         CREATE CONSTRAINT TRIGGER leave_changes AFTER INSERT OR UPDATE OR DELETE ON {table}
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION compliance.leave_changes();
         CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT
             EXECUTE FUNCTION compliance.refuse_truncate();"
    )
}

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

/// Has rows of `table` go with their tenant, and no sooner: the application may take them away once its end has begun.
pub(crate) fn goes_with_its_tenant(table: &str) -> String {
    format!(
        "CREATE POLICY only_with_its_tenant ON {table} AS RESTRICTIVE FOR DELETE TO matricula_app_rw
             USING ((SELECT identity.is_ending()));
         GRANT DELETE ON {table} TO matricula_app_rw;"
    )
}
