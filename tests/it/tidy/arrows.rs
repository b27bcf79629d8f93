//! Which context of the domain may name which.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Finding, Rule,
    rust::{code, paths},
    tree::{File, Tree},
};

const RULE: Rule = Rule {
    says: "a context of the domain names only the contexts its arrows lead to, and never `work`",
    because: "arrows without circles are what lets a context be read, tested and changed without the others",
    instead: "move the word both need into `kernel`, or take what is needed as an argument or port; a new arrow or a new \
              context is a decision: write it into the map at the top of domain/src/lib.rs, where this rule reads it",
};

/// Not a context: it holds them all together.
const WORK: &str = "work";

type Arrows<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// What each context may use, as the crate's own description has it: every `a <- b <- c` between backticks says that
/// `b` may use `a`, and `c` both.
fn arrows(lib: &str) -> Arrows<'_> {
    let mut arrows = Arrows::new();
    let doc = lib.lines().filter(|line| line.starts_with("//!"));
    for chain in doc.flat_map(|line| line.split('`').skip(1).step_by(2)).filter(|span| span.contains("<-")) {
        let mut used = BTreeSet::new();
        for context in chain.split("<-").map(str::trim) {
            arrows.entry(context).or_default().extend(&used);
            used.insert(context);
        }
    }
    // What a context may use, it may use with all that stands behind it.
    for _ in 0..arrows.len() {
        let before = arrows.clone();
        for used in arrows.values_mut() {
            let behind: Vec<_> =
                used.iter().filter_map(|context| before.get(context)).flatten().copied().collect();
            used.extend(behind);
        }
    }
    arrows
}

/// The context that a path leads to, when it leaves the file's module for the crate's root.
fn target<'a>(file: &File, path: &'a super::rust::Named) -> Option<&'a str> {
    match path.segment(0) {
        "crate" => Some(path.segment(1)),
        "super" => {
            let ups = path.segments.iter().take_while(|segment| *segment == "super").count();
            let folders = file.path.strip_prefix("domain/src/")?.split('/').count();
            let depth = if file.name() == "mod.rs" { folders - 1 } else { folders };
            (ups == depth).then(|| path.segment(ups))
        }
        _ => None,
    }
}

fn findings(tree: &Tree) -> Vec<Finding> {
    let arrows = arrows(tree.text("domain/src/lib.rs"));
    let mut findings = Vec::new();
    for context in tree.folders_of("domain/src/") {
        let Some(allowed) = arrows.get(context) else {
            findings.push(Finding::new(format!("domain/src/{context}/"), "a context that is not on the map"));
            continue;
        };
        if allowed.contains(context) {
            findings.push(Finding::new(
                "domain/src/lib.rs",
                format!("the arrows of `{context}` come back to it"),
            ));
        }
        for file in tree.rust(&format!("domain/src/{context}/")) {
            for path in paths(&code(&file.text)) {
                let Some(target) = target(file, &path) else { continue };
                let known = arrows.contains_key(target) || target == WORK;
                if known && target != context && !allowed.contains(target) {
                    findings.push(Finding::at(
                        &file.path,
                        path.line,
                        format!("`{context}` names `{target}`, in `{}`", path.text()),
                    ));
                }
            }
        }
    }
    findings
}

#[test]
fn contexts_name_only_those_their_arrows_lead_to() {
    let tree = Tree::read().expect("readable");
    assert!(
        arrows(tree.text("domain/src/lib.rs")).contains_key("kernel"),
        "domain/src/lib.rs has no map of arrows"
    );
    RULE.holds(&findings(&tree));
}

#[test]
fn arrows_lead_on() {
    let arrows = arrows(
        "//! `kernel <- identity <- accounts`, `accounts <- content`\n//! and `kernel <- log`.\nfn x() {}",
    );
    let of = |context: &str| arrows[context].iter().copied().collect::<Vec<_>>();
    assert_eq!(of("content"), ["accounts", "identity", "kernel"]);
    assert_eq!(of("log"), ["kernel"]);
    assert!(of("kernel").is_empty());
}

#[test]
fn a_forbidden_arrow_is_seen_however_it_is_written() {
    const LIB: &str = "//! `kernel <- identity`, `kernel <- log`\n";
    let check =
        |path: &str, text: &str| findings(&Tree::of(&[("domain/src/lib.rs", LIB), (path, text)])).len();
    for (path, text, count) in [
        ("domain/src/log/mod.rs", "use crate::kernel::ids::X;", 0),
        ("domain/src/log/mod.rs", "use crate::{kernel::ids::X, identity::Y};", 1),
        ("domain/src/log/mod.rs", "fn x() { super::identity::y() }", 1),
        ("domain/src/log/a/b.rs", "use super::super::super::identity::Y;", 1),
        ("domain/src/log/a/b.rs", "use super::super::identity::Y;", 0),
        ("domain/src/log/mod.rs", "// crate::identity\nfn x() -> &str { \"crate::identity::y\" }", 0),
        ("domain/src/kernel/mod.rs", "fn x(y: crate::log::Z) {}", 1),
        ("domain/src/identity/mod.rs", "use crate::work::Work;", 1),
        ("domain/src/shop/mod.rs", "", 1),
    ] {
        assert_eq!(check(path, text), count, "{path}: {text}");
    }
    assert_eq!(
        findings(&Tree::of(&[("domain/src/lib.rs", "//! `a <- b`, `b <- a`"), ("domain/src/a/mod.rs", "")]))
            .len(),
        1
    );
}
