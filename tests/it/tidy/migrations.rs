//! That every migration runs, and in order.

use super::{Finding, Rule, tree::Tree};

const RULE: Rule = Rule {
    says: "a migration is a file `m<yyyymmdd>_<nnnn>_<context>_<change>.rs`, declared and listed in migrations/src/lib.rs, \
           in the order of the files' names",
    because: "one that is not listed never runs, and one that is listed out of order runs on another database than it was \
              made for",
    instead: "declare it with `mod`, add it at the end of `Migrator::migrations`, and number it after the last; a landed \
              migration is never renamed or edited",
};

const LIST: &str = "migrations/src/lib.rs";

fn findings(tree: &Tree) -> Vec<Finding> {
    let lib = tree.text(LIST);
    let listed: Vec<_> = lib
        .match_indices("Box::new(")
        .filter_map(|(at, open)| lib[at + open.len()..].split_once("::Migration)").map(|(name, _)| name))
        .collect();
    let contexts = tree.folders_of("domain/src/");
    let mut findings = Vec::new();
    let mut files = Vec::new();
    let sources = tree.rust("migrations/src/").filter(|file| !["lib", "wall"].contains(&file.stem()));
    for file in sources {
        let name = file.stem();
        files.push(name);
        if !well_named(name, &contexts) {
            findings.push(Finding::new(&file.path, "not named `m<yyyymmdd>_<nnnn>_<context>_<change>`"));
        }
        if !lib.lines().any(|line| line == format!("mod {name};")) {
            findings.push(Finding::new(LIST, format!("`{name}` is not declared")));
        }
        if listed.iter().filter(|listed| **listed == name).count() != 1 {
            findings.push(Finding::new(LIST, format!("`{name}` is not listed once")));
        }
    }
    // The tree is sorted by name.
    if findings.is_empty() && listed != files {
        findings.push(Finding::new(LIST, format!("lists {}", listed.join(", "))));
    }
    let numbers: Vec<_> = files.iter().filter_map(|name| name.split('_').nth(1)).collect();
    if numbers.windows(2).any(|pair| pair[0] >= pair[1]) {
        findings.push(Finding::new("migrations/src/", "numbers do not rise with the dates"));
    }
    findings
}

fn well_named(name: &str, contexts: &[&str]) -> bool {
    let mut parts = name.splitn(4, '_');
    let digits =
        |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    parts.next().and_then(|date| date.strip_prefix('m')).is_some_and(|date| digits(date, 8))
        && parts.next().is_some_and(|number| digits(number, 4))
        && parts.next().is_some_and(|context| contexts.contains(&context))
        && parts.next().is_some_and(|change| !change.is_empty())
}

#[test]
fn migrations_are_listed_in_order() {
    let tree = Tree::read().expect("readable");
    assert!(tree.rust("migrations/src/m").count() >= 4, "migrations/src was not read");
    RULE.holds(&findings(&tree));
}

#[test]
fn a_migration_that_would_not_run_is_seen() {
    let check = |lib: &str, names: &[&str]| {
        let paths: Vec<_> = names.iter().map(|name| format!("migrations/src/{name}.rs")).collect();
        let mut files: Vec<_> = paths.iter().map(|path| (path.as_str(), "")).collect();
        files.extend([(LIST, lib), ("domain/src/shop/mod.rs", ""), ("migrations/src/wall.rs", "")]);
        findings(&Tree::of(&files)).len()
    };
    let (one, two) = ("m20260101_0001_shop_goods", "m20260102_0002_shop_prices");
    let declared = format!("mod {one};\nmod {two};\n");
    let list = |a: &str, b: &str| format!("{declared}Box::new({a}::Migration),\nBox::new({b}::Migration),");
    assert_eq!(check(&list(one, two), &[one, two]), 0);
    assert_eq!(check(&list(two, one), &[one, two]), 1, "out of order");
    assert_eq!(check(&list(one, one), &[one, two]), 2, "listed twice and not at all");
    assert_eq!(check(&format!("mod {one};\nBox::new({one}::Migration)"), &[one, two]), 2, "forgotten");
    assert_eq!(check(&list(one, two), &[one]), 1, "the file is gone");
    for bad in
        ["m2026_0003_shop_x", "m20260103_3_shop_x", "m20260103_0003_other_x", "m20260103_0003_shop", "x"]
    {
        assert!(!well_named(bad, &["shop"]), "{bad}");
    }
}
