//! What must be true of the database before anything is served from it.

use sqlx::Row as _;

use super::{
    inventory::{Changes, HOLDINGS},
    pool::Db,
};

/// Why the database is not served from.
#[derive(Debug, thiserror::Error)]
pub enum SelfCheckError {
    /// Row-level security would not hold the role.
    #[error(
        "the database role {role} {fault}; give DATABASE_URL a login of the role matricula_app_rw, as `matricula migrate` makes it"
    )]
    Role {
        /// The role logged in as.
        role: String,
        /// What it could do.
        fault: &'static str,
    },
    /// A tenant's table does not stand behind the wall.
    #[error("row-level security does not hold the table {0}; restore it before serving")]
    Open(String),
    /// Changes of a table would go past the audit log.
    #[error(
        "changes of the table {0} are not noted for the audit log: a trigger is turned off or gone; put it back before serving"
    )]
    Unnoted(String),
    /// The schema is not the one this version was made for.
    #[error("the database lacks the migration {0}; run `matricula migrate`")]
    Behind(String),
    /// No answer.
    #[error("the database did not answer: {0}")]
    Away(#[source] sqlx::Error),
}

/// The tables whose changes go past the audit log, as a trigger of theirs is turned off, gone, or calls something else.
pub(super) async fn unnoted_tables(pool: &sqlx::PgPool) -> Result<Vec<&'static str>, sqlx::Error> {
    let noted = HOLDINGS.iter().filter(|holding| matches!(holding.changes, Changes::Noted));
    let mut noted: Vec<_> = noted.map(|holding| holding.table).collect();
    let unnoted: Vec<String> = sqlx::query_scalar(
        "SELECT t.name FROM unnest($1::text[]) AS t (name)
         WHERE current_setting('session_replication_role') <> 'origin' OR 3 > (
             SELECT count(*) FROM pg_trigger AS g
             JOIN pg_proc AS f ON f.oid = g.tgfoid AND f.proname = g.tgname
             JOIN pg_namespace AS n ON n.oid = f.pronamespace AND n.nspname = 'compliance'
             JOIN pg_class AS c ON c.oid = g.tgrelid
             JOIN pg_namespace AS s ON s.oid = c.relnamespace AND s.nspname || '.' || c.relname = t.name
             WHERE g.tgqual IS NULL AND g.tgattr::text = ''
               -- After or before each row of any change; before TRUNCATE.
               AND g.tgtype = CASE g.tgname WHEN 'refuse_truncate' THEN 34 ELSE 29 END AND g.tgenabled IN ('O', 'A')
               AND g.tgname IN ('note_change', 'leave_changes', 'refuse_truncate'))",
    )
    .bind(&noted)
    .fetch_all(pool)
    .await?;
    noted.retain(|table| unnoted.iter().any(|name| name == table));
    Ok(noted)
}

/// Refuses a role that could step around row-level security, and a schema without one of `migrations`.
///
/// # Errors
/// Says which.
pub async fn self_check(db: &Db, migrations: &[String]) -> Result<(), SelfCheckError> {
    let row = sqlx::query(
        "SELECT current_user::text AS role, r.rolsuper, r.rolbypassrls, r.rolcreaterole,
                EXISTS (SELECT FROM pg_class AS c WHERE c.relowner = r.oid) AS owns,
                EXISTS (SELECT FROM pg_roles AS o
                        WHERE o.oid <> r.oid AND (o.rolsuper OR o.rolbypassrls OR o.rolname = 'matricula_owner'
                              OR o.rolname IN ('matricula_sequencer', 'matricula_recorder'))
                          AND pg_has_role(r.oid, o.oid, 'MEMBER')) AS becomes
         FROM pg_roles AS r WHERE r.rolname = current_user",
    )
    .fetch_one(db.pool())
    .await
    .map_err(SelfCheckError::Away)?;
    let faults = [
        ("rolsuper", "is a superuser"),
        ("rolbypassrls", "has BYPASSRLS"),
        ("rolcreaterole", "has CREATEROLE"),
        ("owns", "owns tables"),
        ("becomes", "is a member of a role that row-level security does not hold"),
    ];
    for (column, fault) in faults {
        if row.get::<bool, _>(column) {
            return Err(SelfCheckError::Role { role: row.get("role"), fault });
        }
    }
    let open: Option<String> = sqlx::query_scalar(
        "SELECT c.oid::regclass::text FROM pg_class AS c
         JOIN pg_namespace AS n ON n.oid = c.relnamespace
         JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
         WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_'
           AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND EXISTS (
               SELECT FROM pg_policy AS p WHERE p.polrelid = c.oid AND p.polname = 'tenant_wall' AND NOT p.polpermissive))
         LIMIT 1",
    )
    .fetch_optional(db.pool())
    .await
    .map_err(SelfCheckError::Away)?;
    if let Some(table) = open {
        return Err(SelfCheckError::Open(table));
    }
    if let Some(table) = unnoted_tables(db.pool()).await.map_err(SelfCheckError::Away)?.into_iter().next() {
        return Err(SelfCheckError::Unnoted(table.to_owned()));
    }
    let applied: Vec<String> = sqlx::query_scalar("SELECT version FROM public.seaql_migrations")
        .fetch_all(db.pool())
        .await
        .map_err(SelfCheckError::Away)?;
    match migrations.iter().find(|name| !applied.contains(name)) {
        Some(missing) => Err(SelfCheckError::Behind(missing.clone())),
        None => Ok(()),
    }
}
