//! One name for one verb: the file, the function, the action, the GraphQL field.

use std::collections::BTreeSet;

use super::{Finding, Rule, graphql, rust::code, tree::Tree};

const RULE: Rule = Rule {
    says: "a verb has one name: its action in actions.rs, its use case, its GraphQL field (in camel case), its file",
    because: "one search then finds the whole slice: what it does, who may, what it leaves in the log, where it is called",
    instead: "give the action, the function and the field the same name; a file of use_cases/ is called after a verb in \
              it, or, when it only reads, listed in READS of tests/it/tidy/verbs.rs",
};

/// Files of use cases that leave no event of their own, hold a part of a verb that has grown out of its file, or are of what
/// operators do.
const READS: [&str; 30] = [
    "ask_for_post",
    "attest_heads",
    "authenticate",
    "checks",
    "compose",
    "cosign",
    "cut_segments",
    "find_out",
    "find_range",
    "gather_cosignatures",
    "keep_keys",
    "lease_token",
    "notarise",
    "plan_fleet",
    "postable",
    "read_accounts",
    "read_audit",
    "read_identity",
    "read_platform",
    "read_posts",
    "read_quotas",
    "read_timetables",
    "read_uploads",
    "resume_platform_log",
    "rotate_log_key",
    "sequence",
    "settle_tokens",
    "show_rows",
    "upload_medium",
    "verify_log",
];

/// The actions a file defines: constant and name.
fn actions(text: &str) -> Vec<(&str, &str)> {
    let lines = text.lines().map(str::trim);
    let pairs = lines.filter_map(|line| {
        let (constant, behind) = line.split_once(" = \"")?;
        let upper = constant.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        upper.then_some((constant, behind.split_once('"')?.0))
    });
    pairs.collect()
}

fn snake(field: &str) -> String {
    let mut name = String::new();
    for c in field.chars() {
        if c.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut all = BTreeSet::new();
    for context in tree.folders_of("domain/src/") {
        let home = format!("domain/src/{context}/actions.rs");
        let actions = actions(tree.text(&home));
        let folder = format!("domain/src/{context}/use_cases/");
        let cases: Vec<_> = tree.rust(&folder).map(|file| (file, code(&file.text))).collect();
        for (constant, name) in &actions {
            all.insert(*name);
            if *constant != name.to_ascii_uppercase() {
                findings.push(Finding::new(&home, format!("`{constant}` is called \"{name}\"")));
            }
            if !cases.iter().any(|(_, code)| code.contains(&format!("pub async fn {name}("))) {
                findings.push(Finding::new(&home, format!("no use case in {folder} is called `{name}`")));
            }
        }
        let files = cases.iter().filter(|(file, _)| !actions.is_empty() && file.stem() != "mod");
        for (file, _) in files.filter(|(file, _)| {
            !READS.contains(&file.stem()) && !actions.iter().any(|(_, name)| *name == file.stem())
        }) {
            findings
                .push(Finding::new(&file.path, format!("no action in {home} is called `{}`", file.stem())));
        }
    }
    for (line, field, _) in graphql::fields(tree.text("schema.graphql"), "Mutation") {
        if !all.contains(snake(field).as_str()) {
            findings.push(Finding::at(
                "schema.graphql",
                line,
                format!("the mutation `{field}` has no action"),
            ));
        }
    }
    for file in tree.rust("api/src/graphql/").filter(|file| file.name() == "mutation.rs") {
        for function in code(&file.text).split("async fn ").skip(1) {
            let name = function.split(['(', '<']).next().unwrap_or_default();
            let Some((_, behind)) = function.split_once("actions::") else { continue };
            let constant: String =
                behind.chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect();
            if constant != name.to_ascii_uppercase() {
                findings.push(Finding::new(&file.path, format!("`{name}` runs the action `{constant}`")));
            }
        }
    }
    findings
}

#[test]
fn verbs_have_one_name() {
    let tree = Tree::read().expect("readable");
    assert!(actions(tree.text("domain/src/identity/actions.rs")).len() > 10, "actions.rs was not understood");
    RULE.holds(&findings(&tree));
}

#[test]
fn a_verb_with_two_names_is_seen() {
    let check = |files: &[(&str, &str)]| {
        let usual = [
            (
                "domain/src/shop/actions.rs",
                "actions! {\n    /// Opens.\n    OPEN_SHOP = \"open_shop\", Admin;\n}",
            ),
            ("domain/src/shop/use_cases/open_shop.rs", "impl Shop { pub async fn open_shop(&self) {} }"),
            ("schema.graphql", "type Mutation {\n\topenShop: T\n}\n"),
            (
                "api/src/graphql/shop/mutation.rs",
                "async fn open_shop() { command(ctx, actions::OPEN_SHOP, x) }",
            ),
        ];
        let kept = usual.iter().filter(|(path, _)| !files.iter().any(|(other, _)| other == path));
        findings(&Tree::of(&kept.chain(files).copied().collect::<Vec<_>>()))
    };
    assert_eq!(check(&[]), []);
    for (path, text) in [
        ("domain/src/shop/actions.rs", "OPEN_SHOP = \"open_store\""),
        ("domain/src/shop/use_cases/open_shop.rs", "// pub async fn open_shop("),
        ("domain/src/shop/use_cases/close.rs", ""),
        ("schema.graphql", "type Mutation {\n\tcloseShop: T\n}\n"),
        ("api/src/graphql/shop/mutation.rs", "async fn close_shop() { command(ctx, actions::OPEN_SHOP, x) }"),
    ] {
        assert!(!check(&[(path, text)]).is_empty(), "{path}: {text}");
    }
    assert_eq!(check(&[("domain/src/shop/use_cases/authenticate.rs", "")]), []);
}
