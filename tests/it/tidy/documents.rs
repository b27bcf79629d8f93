//! That what the documents name is there.

use super::{
    Finding, Rule,
    tree::{File, Tree},
};

const RULE: Rule = Rule {
    says: "a file or folder that a document names exists, and so does every `make` target and link",
    because: "a map with roads that are gone is worse than none",
    instead: "name what is there now; when a file moves, search the documents for its old path",
};

fn findings(tree: &Tree, file: &File) -> Vec<Finding> {
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let tops: Vec<_> = tree.folders_of("");
    let mut findings = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        let mut gone =
            |what: &str| findings.push(Finding::at(&file.path, number + 1, format!("`{what}` is not there")));
        for span in line.split('`').skip(1).step_by(2) {
            if let Some(path) = path_in(span, &tops).filter(|path| !exists(tree, path)) {
                gone(path);
            }
        }
        for target in line.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let path = if folder.is_empty() { target.to_owned() } else { format!("{folder}/{target}") };
            if !target.is_empty() && !target.contains("://") && !exists(tree, &path) {
                gone(target);
            }
        }
        for target in
            line.match_indices("make ").filter(|(at, _)| line[..*at].ends_with(['`', '\n']) || *at == 0)
        {
            let name: String =
                line[target.0 + 5..].chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            if !name.is_empty() && !tree.text("Makefile").contains(&format!("\n{name}:")) {
                gone(&format!("make {name}"));
            }
        }
    }
    findings
}

/// The path that a span of code is, when it is one: from a folder at the root, without places to fill in.
fn path_in<'a>(span: &'a str, tops: &[&str]) -> Option<&'a str> {
    let (top, rest) = span.split_once('/')?;
    let plain = |c: char| c.is_alphanumeric() || "/._-".contains(c);
    (tops.contains(&top) && span.chars().all(plain) && !rest.contains("...")).then_some(span)
}

fn exists(tree: &Tree, path: &str) -> bool {
    tree.has(path) || tree.has_folder(path)
}

#[test]
fn documents_name_what_is_there() {
    let tree = Tree::read().expect("readable");
    let documents = tree.files.iter().filter(|file| file.extension() == "md" && !file.is_vector());
    RULE.holds(&documents.flat_map(|file| findings(&tree, file)).collect::<Vec<_>>());
}

#[test]
fn a_path_that_is_gone_is_seen() {
    let check = |text: &str| {
        let files = [
            ("domain/src/lib.rs", ""),
            ("Makefile", "x\nrun: setup\n"),
            ("docs/a.md", ""),
            ("docs/b.md", text),
        ];
        let tree = Tree::of(&files);
        tree.files
            .iter()
            .filter(|file| file.path == "docs/b.md")
            .flat_map(|file| findings(&tree, file))
            .count()
    };
    for (text, count) in [
        ("`domain/src/lib.rs`, `domain/src/`, `domain/src/<context>/mod.rs`, `api/x`, `domain::src`", 0),
        ("`domain/src/gone.rs` and `domain/gone/`", 2),
        ("[a](a.md), [a](a.md#part), [b](https://example.com/x), [c](#part)", 0),
        ("[a](c.md)", 1),
        ("`make run`, make it so", 0),
        ("`make gone`", 1),
        ("make gone", 1),
    ] {
        assert_eq!(check(text), count, "{text}");
    }
}
