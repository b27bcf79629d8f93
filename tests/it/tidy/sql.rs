//! That SQL is text somebody wrote, never text that was put together.

use super::{
    Finding, Rule,
    rust::{code, line_of},
    tree::Tree,
};

const RULE: Rule = Rule {
    says: "SQL is a constant with bound values",
    because: "text put together from values is how one tenant's input becomes another's statement, and row-level security \
              does not hold who can end the transaction",
    instead: "bind the value (`$1`), choose between whole constants, or use SeaORM's expressions; DDL that can't bind takes \
              `format('%I', ..)` in the database, as infra/src/postgres/provision.rs does. A new exception is written \
              into tests/it/tidy/sql.rs with its reason",
};

/// Words that run text which was not checked, and the files that have a reason to.
const UNCHECKED: [(&str, &[&str]); 5] = [
    ("AssertSqlSafe", &[SCOPE, PROVISION, PRIVATE_STORE]),
    ("raw_sql", &[PROVISION]),
    // Refused in the one, constants of migrations in the other.
    ("execute_unprepared", &[SCOPE, "migrations/src/lib.rs"]),
    ("from_string", &[]),
    ("QueryBuilder", &[]),
];

/// A parsed UUID, in the statement that opens a tenant's transaction.
const SCOPE: &str = "infra/src/postgres/scope.rs";

/// Statements the database itself made with `format('%I')`.
const PROVISION: &str = "infra/src/postgres/provision.rs";

/// Makes a database in a private Postgres, its name checked.
const PRIVATE_STORE: &str = "api/server/src/stores/postgres.rs";

/// Macros that put text together.
const MACROS: [&str; 4] = ["format!(", "format_args!(", "write!(", "writeln!("];

/// How a statement begins.
const VERBS: [&str; 18] = [
    "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "GRANT", "REVOKE", "BEGIN", "SET",
    "WITH", "TRUNCATE", "COPY", "CALL", "LOCK", "LISTEN", "NOTIFY",
];

fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.is_rust() && !file.is_test()) {
        let code = code(&file.text);
        for (word, files) in UNCHECKED.iter().filter(|(_, files)| !files.contains(&file.path.as_str())) {
            // `QueryBuilder` by sqlx, `from_string` of `Statement`: of other types they are nobody's business.
            for (at, _) in code.match_indices(word).filter(|(at, _)| of_sql(&code, *at, word)) {
                let homes = if files.is_empty() { "no file".to_owned() } else { files.join(", ") };
                findings.push(Finding::at(
                    &file.path,
                    line_of(&code, at),
                    format!("`{word}`, which is for {homes}"),
                ));
            }
        }
        // Row-level security's own text is made by migrations/src/wall.rs from names in the migrations.
        if [SCOPE, PRIVATE_STORE].contains(&file.path.as_str()) || file.path.starts_with("migrations/") {
            continue;
        }
        for (at, open) in MACROS.iter().flat_map(|name| code.match_indices(name)) {
            if let Some(verb) = statement(&file.text[at + open.len()..]) {
                let saw = format!("`{open}..)` makes a statement: {verb} ..");
                findings.push(Finding::at(&file.path, line_of(&code, at), saw));
            }
        }
    }
    findings
}

fn of_sql(code: &str, at: usize, word: &str) -> bool {
    let before = code[..at].bytes().next_back();
    let behind = code.as_bytes().get(at + word.len());
    let alone = |byte: Option<&u8>| !byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let owner = match word {
        "from_string" => code[..at].ends_with("Statement::"),
        "QueryBuilder" => code.contains("sqlx"),
        _ => true,
    };
    owner && alone(before.as_ref()) && alone(behind)
}

/// The SQL verb that the first string of a macro's arguments begins with.
fn statement(arguments: &str) -> Option<&'static str> {
    let text = arguments.split_once('"')?.1.trim_start();
    VERBS
        .into_iter()
        .find(|verb| text.strip_prefix(verb).is_some_and(|rest| rest.starts_with([' ', '\n', ';'])))
}

#[test]
fn sql_is_constant() {
    let tree = Tree::read().expect("readable");
    for path in [SCOPE, PROVISION, PRIVATE_STORE] {
        assert!(
            tree.text(path).contains("AssertSqlSafe"),
            "{path} needs its exception no more: take it out of sql.rs"
        );
    }
    RULE.holds(&findings(&tree));
}

#[test]
fn sql_that_is_put_together_is_seen() {
    let check = |path: &str, text: &str| findings(&Tree::of(&[(path, text)])).len();
    let store = "infra/src/postgres/members.rs";
    for (path, text, count) in [
        (store, "sqlx::query(AssertSqlSafe(x))", 1),
        (store, "format!(\"SELECT * FROM {table}\")", 1),
        (store, "write!(out, \"\n  DELETE FROM {table}\")", 1),
        (store, "format!(\n    r#\"UPDATE x\"#)", 1),
        (store, "Statement::from_string(backend, x)", 1),
        (store, "sqlx::QueryBuilder::new()", 1),
        (
            store,
            "// AssertSqlSafe\nformat!(\"SELECTED {x}\"); format!(\"{} SELECT \", x); sqlx::query(\"SELECT 1\")",
            0,
        ),
        (store, "Uuid::from_string(x)", 0),
        (SCOPE, "AssertSqlSafe(format!(\"BEGIN; SELECT {x}\"))", 0),
        (SCOPE, "raw_sql(x)", 1),
        ("migrations/src/wall.rs", "format!(\"ALTER TABLE {table}\")", 0),
        ("infra/tests/x.rs", "AssertSqlSafe(x)", 0),
    ] {
        assert_eq!(check(path, text), count, "{path}: {text}");
    }
}
