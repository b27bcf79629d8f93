//! Where each technology's crate is named.

use super::{
    Finding, Rule,
    rust::{code, paths},
    tree::Tree,
};

const RULE: Rule = Rule {
    says: "a technology's crate is named in its own folder and nowhere else",
    because: "what one folder knows, one folder has to be changed for: a store or library is replaced, upgraded or \
              audited by reading that folder",
    instead: "put what you need behind a type of that folder and name that; where a place truly has to know the crate, \
              say so in HOMES of tests/it/tidy/folders.rs (and shorten it when a place no longer does)",
};

/// The folders whose code the rule is about. Which package may use which crate at all is said by its Cargo.toml and
/// deny.toml.
const PRODUCT: [&str; 5] = ["domain/src/", "infra/src/", "api/src/", "api/sandbox/src/", "api/server/src/"];

/// Each crate and where it may be named.
const HOMES: &[(&str, &[&str])] = &[
    ("actix_multipart", &["api/sandbox/src/http/"]),
    (
        "actix_web",
        &["api/src/http/", "api/sandbox/src/http/", "api/server/src/serve.rs", "api/server/src/witness.rs"],
    ),
    ("alloy_consensus", &["infra/src/chain/"]),
    ("alloy_network", &["infra/src/chain/"]),
    ("alloy_provider", &["infra/src/chain/"]),
    ("alloy_rpc_client", &["infra/src/chain/"]),
    ("alloy_signer_local", &["infra/src/chain/"]),
    ("alloy_transport_http", &["infra/src/chain/"]),
    ("argon2", &["infra/src/argon2/"]),
    ("async_graphql", &["api/src/graphql/", "api/src/host.rs"]),
    // The one provider of cryptography. The domain's own hashing (`sha2`) and log signatures (`ed25519_dalek`) are pure.
    (
        "aws_lc_rs",
        &[
            "infra/src/bundles/",
            "infra/src/envelope/",
            "infra/src/jwt/",
            "infra/src/local_keyring/",
            "infra/src/platforms/",
            "infra/src/postgres/",
            "infra/src/redis/",
            "infra/src/system.rs",
        ],
    ),
    ("clap", &["api/sandbox/src/main.rs", "api/server/src/main.rs"]),
    ("governor", &["infra/src/governor/"]),
    ("jsonwebtoken", &["infra/src/jwt/"]),
    ("maxminddb", &["infra/src/maxmind/"]),
    ("nix", &["infra/src/envelope/", "infra/src/local_keyring/", "api/server/src/stores/"]),
    ("object_store", &["infra/src/object_store/"]),
    ("prometheus_client", &["api/src/metrics/"]),
    ("redis", &["infra/src/redis/"]),
    (
        "reqwest",
        &[
            "api/sandbox/src/http/",
            "api/server/src/demo/",
            "infra/src/bundles/",
            "infra/src/chain/",
            "infra/src/outbound/",
            "infra/src/witness/",
        ],
    ),
    ("sea_orm", &["infra/src/postgres/", "api/server/src/migrate.rs"]),
    ("sea_query_sqlx", &["infra/src/postgres/"]),
    ("sqlx", &["infra/src/postgres/", "api/server/src/stores/"]),
    ("tokio_tungstenite", &["api/server/src/demo/"]),
    ("toml", &["api/server/src/config/"]),
    ("totp_rs", &["infra/src/totp/"]),
    ("tracing_subscriber", &["api/server/src/main.rs"]),
    ("x509_cert", &["infra/src/bundles/"]),
];

fn findings(tree: &Tree, homes: &[(&str, &[&str])]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut used = Vec::new();
    for file in PRODUCT.iter().flat_map(|folder| tree.rust(folder)) {
        let code = code(&file.text);
        let paths = paths(&code);
        for (name, places) in homes {
            // A module of ours by the same name, declared or imported here.
            let ours = code.contains(&format!("mod {name};"))
                || paths
                    .iter()
                    .any(|p| p.segments.len() > 1 && p.segments.last().is_some_and(|last| last == name));
            let Some(path) = paths.iter().find(|path| path.segment(0) == *name) else { continue };
            if ours {
                continue;
            }
            match places.iter().find(|place| file.path.starts_with(**place)) {
                Some(place) => used.push((*name, *place)),
                None => findings.push(Finding::at(
                    &file.path,
                    path.line,
                    format!("names `{}`; `{name}` has its home in {}", path.text(), places.join(", ")),
                )),
            }
        }
    }
    for (name, places) in homes {
        for place in places.iter().filter(|place| !used.contains(&(*name, **place))) {
            findings.push(Finding::new(*place, format!("`{name}` is not named here any more")));
        }
    }
    findings
}

#[test]
fn technologies_are_named_in_their_own_folders() {
    RULE.holds(&findings(&Tree::read().expect("readable"), HOMES));
}

#[test]
fn a_crate_outside_its_home_is_seen_and_a_module_of_ours_is_not_one() {
    const HOME: &[(&str, &[&str])] = &[("redis", &["infra/src/redis/"])];
    let check = |path: &str, text: &str| {
        let tree = Tree::of(&[("infra/src/redis/mod.rs", "use redis::Cmd;"), (path, text)]);
        findings(&tree, HOME).len()
    };
    for (path, text, count) in [
        ("infra/src/layers/mod.rs", "use redis::{Cmd, Script};", 1),
        ("infra/src/layers/mod.rs", "fn x() -> redis::Value { y }", 1),
        ("infra/src/layers/mod.rs", "use crate::redis; fn x(y: redis::Redis) {}", 0),
        ("api/server/src/wiring.rs", "use infra::{redis::Redis, crate_of};", 0),
        ("api/server/src/wiring.rs", "use infra::redis; fn x() { redis::connect() }", 0),
        ("api/server/src/stores/mod.rs", "mod redis;\npub use redis::PrivateRedis;", 0),
        ("api/server/src/stores/mod.rs", "// redis::Cmd\nfn x() { \"redis::Cmd\" }", 0),
        ("infra/tests/feed/main.rs", "use redis::Cmd;", 0),
    ] {
        assert_eq!(check(path, text), count, "{path}: {text}");
    }
    let unused = findings(&Tree::of(&[("infra/src/redis/mod.rs", "")]), HOME);
    assert_eq!(unused, [Finding::new("infra/src/redis/", "`redis` is not named here any more")]);
}
