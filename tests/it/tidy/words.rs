//! Words that are not left lying about: promises without a date, and whatever is not about the product.

use super::{
    Finding, Rule,
    rust::{Part, only},
    tree::{File, Tree},
};

const PROMISES: Rule = Rule {
    says: concat!("no TO", "DO, no FIX", "ME, no XX", "X; no test that is ignored or should panic"),
    because: "what is promised in a comment is never found again, and a test that is skipped or may fail anyhow tests nothing",
    instead: "do it, or say in the module's head what is absent and why; of an answer that is wrong today, assert what it \
              is and say why it is wrong",
};

const SELF: Rule = Rule {
    says: "the project speaks of the product alone: no path of one machine, no number of a ticket",
    because: "both mean nothing to who reads this elsewhere or later; the reason does",
    instead: "use a path from the root, an argument or a setting; write down the reason itself instead of where it was \
              talked about (a bug in somebody else's software is named `owner/project#number`)",
};

const REGISTRIES: Rule = Rule {
    says: "where packages come from is not written down but for the public registries in lock files",
    because: "a mirror belongs to a machine: elsewhere it is slow, closed or somebody else's",
    instead: "set mirrors in the configuration of the machine's account, and let the lock files name crates.io, npmjs.org \
              and pypi.org, which the tools replace by themselves",
};

fn promises(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("todo", "!")];
    for (number, line) in file.text.lines().enumerate() {
        let promised = words.iter().find(|word| has_word(line, word));
        let marks = [concat!("#[ign", "ore"), concat!("should", "_panic")];
        let skipped = marks.iter().find(|mark| file.is_rust() && line.contains(**mark));
        if let Some(word) = promised.or(skipped) {
            findings.push(Finding::at(&file.path, number + 1, format!("`{word}`")));
        }
    }
    findings
}

/// Whether `word` stands alone in `line`.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let part = |c: char| c.is_alphanumeric() || c == '_';
        !line[..at].ends_with(part) && !line[at + word.len()..].starts_with(part)
    })
}

/// What people read: comments of Rust, prose of documents, and all of every other file.
fn prose(file: &File) -> String {
    match file.extension() {
        "rs" => only(&file.text, Part::Comment),
        "md" => {
            let mut fenced = false;
            let mut kept = String::new();
            for line in file.text.lines() {
                fenced ^= line.trim_start().starts_with("```");
                if !fenced {
                    line.split('`').step_by(2).for_each(|piece| kept.push_str(piece));
                }
                kept.push('\n');
            }
            kept
        }
        _ => String::new(),
    }
}

fn of_elsewhere(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        if let Some(path) = machine_path(line) {
            findings.push(Finding::at(&file.path, number + 1, format!("`{path}`")));
        }
    }
    for (number, line) in prose(file).lines().enumerate() {
        if let Some(ticket) = ticket(line) {
            findings.push(Finding::at(&file.path, number + 1, format!("`{ticket}`")));
        }
    }
    findings
}

/// An absolute path below somebody's home or a working folder.
fn machine_path(line: &str) -> Option<&str> {
    let homes = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];
    homes.iter().find_map(|home| {
        let (at, _) = line.match_indices(*home).find(|(at, _)| {
            // Behind a name it is the middle of another path or address.
            !line[..*at].ends_with(|c: char| c.is_alphanumeric() || "._-}~*)".contains(c))
        })?;
        line[at..].split(|c: char| c.is_whitespace() || "\"'`)>,;".contains(c)).next()
    })
}

/// `#` and a number, as trackers write it; not PKCS #8, not behind a project's name.
fn ticket(line: &str) -> Option<&str> {
    line.match_indices('#').find_map(|(at, _)| {
        let digits = line[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
        let behind = line[at + 1 + digits..].chars().next();
        let before = line[..at].trim_end();
        let alone = line[..at].is_empty() || line[..at].ends_with([' ', '(', '[', ',']);
        let numbered = (1..=5).contains(&digits) && !behind.is_some_and(|c| c.is_alphanumeric() || c == '_');
        (alone && numbered && !before.ends_with("PKCS")).then(|| &line[at..=at + digits])
    })
}

/// What names a mirror on a command line or in the environment, wherever that is written down.
const MIRRORS: [&str; 6] = [
    "--index-url",
    "--registry",
    "config set registry",
    "PIP_INDEX_URL",
    "NPM_CONFIG_REGISTRY",
    "CARGO_REGISTRIES_",
];

/// Hosts that lock files may name.
const PUBLIC: [&str; 4] =
    ["github.com/rust-lang/crates.io-index", "registry.npmjs.org/", "files.pythonhosted.org/", "pypi.org/"];

fn registries(file: &File) -> Vec<Finding> {
    let locks = ["Cargo.lock", "package-lock.json", "yarn.lock", "pnpm-lock.yaml", "uv.lock", "poetry.lock"];
    let lock = locks.contains(&file.name()) || file.name().starts_with("requirements");
    let sets =
        ["index-url", "index_url", "replace-with", "registry=", "registry =", "[registries", "_authToken"];
    let configures =
        [".npmrc", "pip.conf", "config.toml", ".yarnrc.yml", "uv.toml"].contains(&file.name()) || lock;
    let from = ["\"resolved\":", "source = ", "resolved ", "tarball:", "url = "];
    let mut findings = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        let setting = line.trim_start().trim_start_matches('-');
        let locked = lock && from.iter().any(|key| setting.starts_with(key)) && !is_public(line);
        let set = configures && sets.iter().any(|key| setting.starts_with(key));
        if locked || set || !file.is_rust() && MIRRORS.iter().any(|mirror| line.contains(mirror)) {
            findings.push(Finding::at(&file.path, number + 1, line.trim()));
        }
    }
    findings
}

fn is_public(line: &str) -> bool {
    line.split_once("://").is_none_or(|(_, host)| PUBLIC.iter().any(|public| host.starts_with(public)))
}

fn written(tree: &Tree) -> impl Iterator<Item = &File> {
    // Lock files and other people's test vectors are not ours to word.
    tree.files
        .iter()
        .filter(|file| !file.is_vector() && !file.name().contains("lock") && file.name() != "LICENSE")
}

#[test]
fn nothing_is_left_for_later() {
    let tree = Tree::read().expect("readable");
    PROMISES.holds(&written(&tree).flat_map(promises).collect::<Vec<_>>());
}

#[test]
fn the_project_speaks_of_itself() {
    let tree = Tree::read().expect("readable");
    SELF.holds(&written(&tree).flat_map(of_elsewhere).collect::<Vec<_>>());
}

#[test]
fn packages_come_from_nobodys_machine() {
    let tree = Tree::read().expect("readable");
    REGISTRIES.holds(&tree.files.iter().flat_map(registries).collect::<Vec<_>>());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: fn(&File) -> Vec<Finding>, path: &str, text: &str) -> usize {
        Tree::of(&[(path, text)]).files.iter().flat_map(rule).count()
    }

    #[test]
    fn promises_are_seen() {
        for (path, text, count) in [
            ("a.rs", concat!("// TO", "DO: later"), 1),
            ("a.sh", concat!("# FIX", "ME\n# XX", "X"), 2),
            ("a.rs", concat!("#[ign", "ore = \"slow\"]\n#[should", "_panic]\ntodo", "!()"), 3),
            ("a.sh", concat!("mktemp -d x.XX", "XXXX; TO", "DOS"), 0),
            ("a.md", "ignored, and panics", 0),
        ] {
            assert_eq!(check(promises, path, text), count, "{text}");
        }
    }

    #[test]
    fn machines_and_tickets_are_seen() {
        for (path, text, count) in [
            ("a.rs", concat!("let x = \"/ro", "ot/x\";"), 1),
            ("a.md", concat!("see /wo", "rk/notes"), 1),
            ("a.toml", concat!("x = '/ho", "me/somebody/x'"), 1),
            ("a.rs", concat!("https://example.com/wo", "rk/x and src/wo", "rk/x"), 0),
            ("a.md", "fixed in #123", 1),
            ("a.rs", "// see (#7)\nlet x = \"#7\"; // owner/project#7, PKCS #8, PKCS#8, #fff, #123456", 1),
            ("a.md", "```\n#1\n```\n`#2` # 3 #12a", 0),
        ] {
            assert_eq!(check(of_elsewhere, path, text), count, "{text}");
        }
    }

    #[test]
    fn mirrors_are_seen() {
        for (path, text, count) in [
            ("Cargo.lock", "source = \"registry+https://github.com/rust-lang/crates.io-index\"", 0),
            ("Cargo.lock", "source = \"sparse+https://mirror.example/index/\"", 1),
            ("x/package-lock.json", "  \"resolved\": \"https://registry.npmjs.org/a/-/a-1.tgz\",", 0),
            ("x/package-lock.json", "  \"resolved\": \"http://10.0.0.1:4873/a/-/a-1.tgz\",", 1),
            ("x/package-lock.json", "  \"url\": \"https://opencollective.com/a\"", 0),
            ("x/.npmrc", "registry=https://mirror.example/", 1),
            ("x/.npmrc", "omit-lockfile-registry-resolved=true", 0),
            ("x/requirements.txt", "--index-url https://mirror.example/simple", 1),
            (".cargo/config.toml", "replace-with = \"mirror\"", 1),
            ("x/run.sh", "pip install --index-url https://mirror.example/simple x", 1),
            ("README.md", "set NPM_CONFIG_REGISTRY first", 1),
            ("x/run.sh", "pip install -r requirements.txt", 0),
        ] {
            assert_eq!(check(registries, path, text), count, "{text}");
        }
    }
}
