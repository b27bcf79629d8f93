//! Where files are, what they are called and how long they are.

use super::{Finding, Rule, tree::Tree};

/// Lines a file of the product may have.
const LINES_MAX: usize = 500;

const HEADS: Rule = Rule {
    says: "every mod.rs and lib.rs begins with `//!`: purpose, invariants, what is absent on purpose",
    because: "a folder is understood from its first lines, or by reading all of it",
    instead: "say in a sentence what the folder is for and what always holds in it",
};

const NAMES: Rule = Rule {
    says: "no file or folder is called after being of use: utils, common, helpers, misc, base",
    because: "such a name gathers what has nothing in common, and everything comes to depend on it",
    instead: "name it after the noun it is about, or the verb it does",
};

const PAIRS: Rule = Rule {
    says: "a module with children is `name/mod.rs`, never `name.rs` beside `name/`",
    because: "with one layout, a folder is whole and is found at first look",
    instead: "move `name.rs` to `name/mod.rs`",
};

const LENGTH: Rule = Rule {
    says: "a file of the product has at most 500 lines; tests have as many as they need",
    because: "around 300 lines can be held in mind at once; beyond 500 two things are living in one file",
    instead: "split by noun or verb (a grown model.rs becomes model/, an entity a file), never into part2",
};

fn heads(tree: &Tree) -> Vec<Finding> {
    let tops = tree.files.iter().filter(|file| ["mod.rs", "lib.rs"].contains(&file.name()));
    tops.filter(|file| !file.text.starts_with("//!"))
        .map(|file| Finding::at(&file.path, 1, "begins without `//!`"))
        .collect()
}

fn names(tree: &Tree) -> Vec<Finding> {
    const EMPTY: [&str; 9] =
        ["util", "utils", "common", "helper", "helpers", "misc", "base", "shared", "stuff"];
    let rust = tree.files.iter().filter(|file| file.is_rust());
    let named =
        rust.filter(|file| file.path.trim_end_matches(".rs").split('/').any(|part| EMPTY.contains(&part)));
    named.map(|file| Finding::new(&file.path, "a name that says nothing")).collect()
}

fn pairs(tree: &Tree) -> Vec<Finding> {
    let rust = tree.files.iter().filter(|file| file.is_rust());
    // A binary or test target is a root of its own, not a module.
    let modules = rust.filter(|file| !["main", "lib", "mod"].contains(&file.stem()));
    modules
        .filter(|file| tree.has_folder(file.path.trim_end_matches(".rs")))
        .map(|file| Finding::new(&file.path, "has a folder of the same name beside it"))
        .collect()
}

fn length(tree: &Tree) -> Vec<Finding> {
    let product = tree.files.iter().filter(|file| file.is_rust() && !file.is_test());
    let long = product.map(|file| (file, file.text.lines().count())).filter(|(_, lines)| *lines > LINES_MAX);
    long.map(|(file, lines)| Finding::new(&file.path, format!("{lines} lines"))).collect()
}

#[test]
fn folders_say_what_they_are_for() {
    HEADS.holds(&heads(&Tree::read().expect("readable")));
}

#[test]
fn names_say_something() {
    NAMES.holds(&names(&Tree::read().expect("readable")));
}

#[test]
fn modules_with_children_are_folders() {
    PAIRS.holds(&pairs(&Tree::read().expect("readable")));
}

#[test]
fn files_can_be_held_in_mind() {
    LENGTH.holds(&length(&Tree::read().expect("readable")));
}

#[test]
fn each_fault_of_layout_is_seen() {
    let long = "x\n".repeat(LINES_MAX + 1);
    let tree = Tree::of(&[
        ("a/src/mod.rs", "use x;\n//! late"),
        ("a/src/good/mod.rs", "//! Good."),
        ("a/src/utils.rs", ""),
        ("a/src/common/x.rs", ""),
        ("a/src/uncommon.rs", ""),
        ("a/src/pair.rs", ""),
        ("a/src/pair/child.rs", ""),
        ("a/src/long.rs", &long),
        ("a/tests/long.rs", &long),
    ]);
    let places =
        |findings: Vec<Finding>| findings.into_iter().map(|finding| finding.place).collect::<Vec<_>>();
    assert_eq!(places(heads(&tree)), ["a/src/mod.rs:1"]);
    assert_eq!(places(names(&tree)), ["a/src/utils.rs", "a/src/common/x.rs"]);
    assert_eq!(places(pairs(&tree)), ["a/src/pair.rs"]);
    assert_eq!(places(length(&tree)), ["a/src/long.rs"]);
}
