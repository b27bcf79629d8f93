//! What each package depends on, from `cargo metadata` and `cargo tree`, against deny.toml. cargo-deny says the same and
//! more where it is installed; the layers hold without it.

use std::{error::Error, process::Command};

use serde_json::Value;

use super::{
    Finding, Rule,
    deny::Deny,
    tree::{Tree, root},
};

const PURE: Rule = Rule {
    says: "the domain depends on no crate that does I/O, reads clocks or makes randomness",
    because: "rules and use cases are tried in memory in microseconds, and outlive every store and vendor",
    instead: "say what is needed as a port in the context's ports.rs and keep it in infra; a crate that only computes is \
              added to DOMAIN (or REPORTS, VERIFIER) of tests/it/tidy/dependencies.rs",
};

const LAYERS: Rule = Rule {
    says: "a crate that deny.toml gives wrappers is depended on by those packages alone, and by each of them",
    because: "a layer that can't name a technology can't come to depend on it",
    instead: "use the port or type of the layer that has the crate; if a package truly needs it, add it to the wrappers \
              in deny.toml and say why in the commit; take out wrappers that do not depend on it any more",
};

const OUT: Rule = Rule {
    says: "crates that deny.toml denies outright are not built, and every licence is one it allows",
    because: "one provider of cryptography is enough to audit, and a licence is a promise to keep",
    instead: "find out with `cargo tree -i <crate>` who wants it and turn that feature off; a new licence is read first, \
              then added to deny.toml",
};

/// All the domain may build on: values, serialisation, hashes and signatures, wide registers, errors, async traits.
const DOMAIN: [&str; 16] = [
    "async-trait",
    "audit-log",
    "base64",
    "chrono",
    "chrono-tz",
    "croner",
    "ed25519-dalek",
    "futures-core",
    "pulp",
    "serde",
    "serde_json",
    "sha2",
    "subtle",
    "thiserror",
    "uuid",
    "zeroize",
];

/// What the crates of the report bundle may build on besides: archives, compression, ASN.1 and certificates. The domain
/// itself has no use for them.
const REPORTS: [&str; 4] = ["der", "flate2", "rawzip", "x509-cert"];

/// And the verifier: signatures in pure Rust, since it must link statically and to wasm, SHA-1 for what old time-stamping
/// authorities call their own certificates by, and ends of lines by the million.
const VERIFIER: [&str; 5] = ["memchr", "p256", "report-bundle", "rsa", "sha1"];

/// Features that would let an allowed crate reach outside.
const REACHING_OUT: [(&str, &[&str]); 3] =
    [("chrono", &["clock", "now"]), ("uuid", &["v1", "v4", "v6", "v7"]), ("ed25519-dalek", &["rand_core"])];

/// What deny.toml must have a line for: taking the line out would take the rule out.
const HELD: [&str; 13] = [
    "actix-web",
    "argon2",
    "async-graphql",
    "governor",
    "jsonwebtoken",
    "native-tls",
    "openssl",
    "openssl-sys",
    "redis",
    "reqwest",
    "ring",
    "sea-orm",
    "sqlx",
];

struct Package<'a> {
    name: &'a str,
    dependencies: Vec<Dependency<'a>>,
}

struct Dependency<'a> {
    name: &'a str,
    of_tests: bool,
    features: Vec<&'a str>,
    default_features: bool,
}

fn cargo(arguments: &[&str]) -> Result<String, Box<dyn Error>> {
    let answer = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output()?;
    if !answer.status.success() {
        return Err(
            format!("cargo {}: {}", arguments.join(" "), String::from_utf8_lossy(&answer.stderr)).into()
        );
    }
    Ok(String::from_utf8(answer.stdout)?)
}

fn packages(metadata: &Value) -> Vec<Package<'_>> {
    array(&metadata["packages"])
        .iter()
        .map(|package| Package {
            name: package["name"].as_str().unwrap_or_default(),
            dependencies: array(&package["dependencies"]).iter().map(dependency).collect(),
        })
        .collect()
}

fn dependency(value: &Value) -> Dependency<'_> {
    Dependency {
        name: value["name"].as_str().unwrap_or_default(),
        of_tests: value["kind"] == "dev",
        features: array(&value["features"]).iter().filter_map(Value::as_str).collect(),
        default_features: value["uses_default_features"] == true,
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Whether a pure package may build on the crate.
fn may(manifest: &str, name: &str) -> bool {
    let (report, verify) = (manifest == "domain/report/Cargo.toml", manifest == "domain/verify/Cargo.toml");
    DOMAIN.contains(&name)
        || (manifest == "domain/Cargo.toml" && name == "report-bundle")
        || ((report || verify) && REPORTS.contains(&name))
        || (verify && VERIFIER.contains(&name))
}

/// The manifest of a package that is to be pure.
fn manifest(package: &str) -> Option<&'static str> {
    match package {
        "domain" => Some("domain/Cargo.toml"),
        "audit-log" => Some("domain/log/Cargo.toml"),
        "matricula-verify" => Some("domain/verify/Cargo.toml"),
        "report-bundle" => Some("domain/report/Cargo.toml"),
        _ => None,
    }
}

fn impure(packages: &[Package<'_>]) -> Vec<Finding> {
    let pure = packages.iter().filter_map(|package| Some((package, manifest(package.name)?)));
    let dependencies = pure.flat_map(|(package, path)| package.dependencies.iter().map(move |of| (path, of)));
    let mut findings = Vec::new();
    for (manifest, dependency) in dependencies.filter(|(_, dependency)| !dependency.of_tests) {
        let name = dependency.name;
        if !may(manifest, name) {
            findings.push(Finding::new(manifest, format!("depends on `{name}`")));
        }
        let Some((_, reaching)) = REACHING_OUT.iter().find(|(reaching, _)| *reaching == name) else {
            continue;
        };
        for feature in dependency.features.iter().filter(|feature| reaching.contains(feature)) {
            findings.push(Finding::new(manifest, format!("`{name}` with the feature `{feature}`")));
        }
        if name == "chrono" && dependency.default_features {
            findings.push(Finding::new(manifest, "`chrono` with its default features, which read the clock"));
        }
    }
    findings
}

fn layers(packages: &[Package<'_>], deny: &Deny<'_>, lock: &str) -> Vec<Finding> {
    let place = |line: usize| format!("deny.toml:{line}");
    let mut findings: Vec<_> = deny
        .unread
        .iter()
        .map(|line| Finding::new(place(*line), "not `{ crate = .., wrappers = [..], reason = .. },`"))
        .collect();
    for name in HELD.iter().filter(|name| !deny.bans.iter().any(|ban| ban.name == **name)) {
        findings.push(Finding::new("deny.toml", format!("says nothing of `{name}`")));
    }
    for ban in &deny.bans {
        let depends = |package: &&Package<'_>| package.dependencies.iter().any(|d| d.name == ban.name);
        for package in packages.iter().filter(depends).filter(|package| !ban.wrappers.contains(&package.name))
        {
            let of = if ban.wrappers.is_empty() { "nobody".to_owned() } else { ban.wrappers.join(", ") };
            findings.push(Finding::new(
                format!("package `{}`", package.name),
                format!("depends on `{}`, which is for {of}", ban.name),
            ));
        }
        for wrapper in &ban.wrappers {
            match packages.iter().find(|package| package.name == *wrapper) {
                Some(package) if !depends(&package) => findings.push(Finding::new(
                    place(ban.line),
                    format!("`{wrapper}` does not depend on `{}`", ban.name),
                )),
                None if !lock.contains(&format!("name = \"{wrapper}\"\n")) => {
                    findings.push(Finding::new(place(ban.line), format!("there is no package `{wrapper}`")));
                }
                Some(_) | None => {}
            }
        }
    }
    findings
}

/// What is built here, from lines of `name version ...|licence`.
fn built(tree: &str, deny: &Deny<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for line in tree.lines() {
        let Some((package, licence)) = line.trim_end_matches(" (*)").split_once('|') else { continue };
        let name = package.split(' ').next().unwrap_or_default();
        if deny.bans.iter().any(|ban| ban.name == name && ban.wrappers.is_empty()) {
            findings.push(Finding::new("Cargo.lock", format!("`{package}` is built")));
        }
        if !deny.allows(licence) {
            findings.push(Finding::new("Cargo.lock", format!("`{package}` is under `{licence}`")));
        }
    }
    findings.sort_by(|a, b| a.saw.cmp(&b.saw));
    findings.dedup();
    findings
}

#[test]
fn packages_depend_on_what_their_layer_may() {
    let metadata = cargo(&["metadata", "--format-version", "1", "--no-deps", "--offline"]).expect("metadata");
    let metadata = serde_json::from_str(&metadata).expect("JSON");
    let packages = packages(&metadata);
    assert!(packages.len() >= 7, "the workspace has {} packages", packages.len());
    PURE.holds(&impure(&packages));
    let tree = Tree::read().expect("readable");
    LAYERS.holds(&layers(&packages, &Deny::parse(tree.text("deny.toml")), tree.text("Cargo.lock")));
}

#[test]
fn what_is_denied_is_not_built() {
    // For this machine's target: what other targets would add is not even downloaded.
    let tree = cargo(&[
        "tree",
        "--workspace",
        "--locked",
        "--offline",
        "-e",
        "normal,build,dev",
        "--prefix",
        "none",
        "-f",
        "{p}|{l}",
    ])
    .expect("a tree; when Cargo.lock is behind, `cargo metadata` brings it up to date");
    assert!(tree.contains("tokio v"), "{tree}");
    let files = Tree::read().expect("readable");
    OUT.holds(&built(&tree, &Deny::parse(files.text("deny.toml"))));
}

#[test]
fn a_domain_that_reaches_out_is_seen() {
    let metadata = serde_json::json!({ "packages": [{ "name": "domain", "dependencies": [
        { "name": "sqlx", "kind": null, "features": [], "uses_default_features": true },
        { "name": "tokio", "kind": "dev", "features": ["full"], "uses_default_features": true },
        { "name": "chrono", "kind": null, "features": ["std", "clock"], "uses_default_features": true },
        { "name": "uuid", "kind": null, "features": ["std"], "uses_default_features": false },
    ] }] });
    let saw: Vec<_> = impure(&packages(&metadata)).into_iter().map(|finding| finding.saw).collect();
    assert_eq!(
        saw,
        [
            "depends on `sqlx`",
            "`chrono` with the feature `clock`",
            "`chrono` with its default features, which read the clock"
        ]
    );
}

#[test]
fn a_layer_that_reaches_through_is_seen_and_so_is_a_stale_wrapper() {
    let metadata = serde_json::json!({ "packages": [
        { "name": "api", "dependencies": [{ "name": "redis", "kind": "dev", "features": [] }] },
        { "name": "infra", "dependencies": [] },
    ] });
    let lines =
        HELD.map(|name| format!("    {{ crate = \"{name}\", wrappers = [\"outside\"], reason = \"r\" }},\n"));
    let text = format!(
        "deny = [\n{}]\n",
        lines.concat().replacen(
            "\"redis\", wrappers = [\"outside\"]",
            "\"redis\", wrappers = [\"infra\", \"typo\"]",
            1
        )
    );
    let saw: Vec<_> = layers(&packages(&metadata), &Deny::parse(&text), "name = \"outside\"\n")
        .into_iter()
        .map(|finding| finding.saw)
        .collect();
    assert_eq!(
        saw,
        [
            "depends on `redis`, which is for infra, typo",
            "`infra` does not depend on `redis`",
            "there is no package `typo`",
        ]
    );
    assert_eq!(layers(&[], &Deny::default(), "").len(), HELD.len());
}

#[test]
fn a_denied_crate_and_a_new_licence_are_seen() {
    let deny = Deny::parse("allow = [\n\"MIT\",\n]\ndeny = [\n{ crate = \"ring\", reason = \"r\" },\n]\n");
    let tree = "ring v0.17.14|MIT\nfine v1|MIT OR X (*)\nodd v2 (proc-macro)|X\nodd v2 (proc-macro)|X (*)\n";
    let saw: Vec<_> = built(tree, &deny).into_iter().map(|finding| finding.saw).collect();
    assert_eq!(saw, ["`odd v2 (proc-macro)` is under `X`", "`ring v0.17.14` is built"]);
}
