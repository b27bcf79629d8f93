//! Documents by hand: each names what it is about.

use serde_json::{Value, json};

/// A document, its variables, and whether some of it is left to async-graphql.
pub(crate) type Case = (&'static str, Value, bool);

/// Plain ones.
fn plain() -> Vec<Case> {
    vec![
        ("query Q { items(first:100){ id name n ratio note tags } }", json!({}), false),
        (
            "query Q { accounts(first:20){ nodes { id nickname status plans(first:5){ nodes { id key title status dueAt } size } } } }",
            json!({}),
            false,
        ),
        (
            "{ emb(first:3){ id nickname status firstItem { n } plans { nodes { id title status dueAt } totalCount } } }",
            json!({}),
            false,
        ),
        (
            "{ a: items(first:2){ x: id y: name z: name __typename t: __typename n } b: items(first:1){n} }",
            json!({}),
            false,
        ),
        (
            "{ items(first:0){ id } accounts(first:0) { nodes { plans { nodes { id } } } grid { peer { id } } } }",
            json!({}),
            false,
        ),
        (
            "query($f:Int!,$s:Boolean!){ items(first:$f){ ...F ... on Item { n } ... @include(if:$s) { nn: n } name @skip(if:$s) } } fragment F on Item { id k: n @include(if:$s) }",
            json!({"f": 2, "s": true}),
            false,
        ),
        (
            "query($f:Int!,$s:Boolean!){ items(first:$f){ ...F ... on Item { n } ... @include(if:$s) { nn: n } name @skip(if:$s) } } fragment F on Item { id k: n @include(if:$s) }",
            json!({"f": 2, "s": false}),
            false,
        ),
        ("{ items(first:2){ id @skip(if:true) } }", json!({}), false),
    ]
}

/// The same key twice: inside written objects merged, outside left.
fn repeated() -> Vec<Case> {
    vec![
        ("{ emb(first:2){ plans{ nodes { id } } plans { nodes { title } } } }", json!({}), false),
        ("{ emb(first:2){ plans{ nodes { id } } } emb(first:2){ nickname } }", json!({}), true),
        (
            "{ accounts(first:2){ nodes{ plans(first:1){ nodes { id } } } } accounts(first:2) { nodes { nickname plans(first:1){ nodes{title}} } } }",
            json!({}),
            true,
        ),
        ("{ items(first:1){ id id n n:n tags tags } }", json!({}), false),
        (
            "{ one { plans(first: 1) { nodes { x: id } } plans(first: 1) { nodes { x: title } } } }",
            json!({}),
            true,
        ),
        (
            "{ accounts(first:2){ nodes{ id a: plans(first:1){ nodes { id } } b: plans(first:2){ nodes { dueAt __typename } __typename } } __typename } }",
            json!({}),
            false,
        ),
        (
            "query($n:Int!){ accounts(first:2){ nodes{ plans(first:$n){ nodes { id } } } } }",
            json!({"n": 2}),
            false,
        ),
        (
            "query($n:Int!){ accounts(first:20){ nodes{ plans(first:$n){ nodes { id } } } } }",
            json!({"n": 900}),
            false,
        ),
    ]
}

/// Refused before anything is resolved, or with nothing told.
pub(crate) fn refused() -> Vec<Case> {
    vec![
        ("{ items(first:1){ nope } }", json!({}), false),
        ("{ items { id } }", json!({}), false),
        ("query($n:Int!){ items(first:$n){ id } }", json!({"n": "x"}), false),
        ("query($n:Int!){ items(first:$n){ id } }", json!({}), false),
        ("{ items(first:1){ id @foo } }", json!({}), false),
        ("{ items( }", json!({}), false),
        ("{ accounts(first: 1) { nodes { ...F } } } fragment F on Account { ...F }", json!({}), false),
    ]
}

/// Variables and defaults.
fn with_variables() -> Vec<Case> {
    vec![
        ("query($n:Int!,$i:Int=1){ items(first:$n){ id } embOpt(first:$i){id} }", json!({"n": 1}), false),
        (
            "query($n:Int!,$i:Int=1){ items(first:$n){ id } embOpt(first:$i){id} }",
            json!({"n": 1, "i": null}),
            false,
        ),
        (
            "query($n:Int!,$i:Int=1){ items(first:$n){ id } embOpt(first:$i){id} }",
            json!({"n": 1, "i": [1, 2]}),
            false,
        ),
        ("query($i:Int=3){ emb(first:1){ plans(first:$i){ size } } }", json!({}), false),
        ("query($s: Boolean = true){ emb(first:1){ id nickname @include(if:$s) } }", json!({}), false),
        (
            "{ __schema { types { name fields { name type { name kind ofType { name } } } } } }",
            json!({}),
            false,
        ),
    ]
}

/// Failures: null not allowed, allowed, in items, of the call.
fn failing() -> Vec<Case> {
    vec![
        ("{ embOpt(first:3){ id b: boom(at:1) nickname } items(first:1){n} }", json!({}), false),
        ("{ emb(first:3){ id b: boom(at:1) nickname } items(first:1){n} }", json!({}), false),
        (
            "{ accounts(first:3){ nodes { boom(at:2) plans { nodes { id } } } } items(first:1){n} }",
            json!({}),
            false,
        ),
        (
            "{ accounts(first:4){ optional { id boom(at:2) plans { nodes { id owner { id } } } } grid { boom(at: 9) id } } }",
            json!({}),
            false,
        ),
        ("{ embOpt(first:3){ id soft(at:2) { n } boom(at:9) } }", json!({}), false),
        (
            "{ embOpt(first:3){ id a: soft(at:2) { n } b: soft(at:1) { n } boom(at:1) c: soft(at:1) { n } } }",
            json!({}),
            false,
        ),
        (
            "{ embOpt(first:3){ nickname peer { id peer { soft(at:0) { id } } plans{nodes{id}} } } }",
            json!({}),
            false,
        ),
        (
            "{ embOpt(first:3){ nickname peer { id peer { boom(at:0) } plans{nodes{id}} } } }",
            json!({}),
            false,
        ),
        ("{ embOpt(first:3){ plans { nodes { owner { boom(at:1) id } id } } id } }", json!({}), false),
        ("{ emb(first:3){ hardItems(at:1) { n } id } }", json!({}), false),
        ("{ emb(first:2){ broken { n } id } embOpt(first:2) { brokenHard { n } id } }", json!({}), false),
        ("{ emb(first:2){ id brokenHard { n } boom(at: 0) } }", json!({}), false),
    ]
}

/// Interfaces and unions are left; written values below them are not.
fn abstract_types() -> Vec<Case> {
    vec![
        (
            "{ node(i:0){ __typename id ... on Item { n } ... on Account { nickname } } n2: node(i:1){ ...A } emb(first:1){ ... on NodeI { id __typename } nickname ... on Account { plans { __typename } } } } fragment A on NodeI { id ... on Account { plans{nodes{id}} } }",
            json!({}),
            false,
        ),
        (
            "{ unis { __typename ... on Item { id n } ... on Account { nickname plans{nodes{title}} } ... on NodeI { id } } }",
            json!({}),
            false,
        ),
        ("{ unis { ... on Account { soft(at: 1) { n } } } }", json!({}), false),
        (
            "{ unis { ... on Account { plans { size } } ... on Account { plans { nodes { id } } } } }",
            json!({}),
            true,
        ),
        ("{ shelves { label items { n } } }", json!({}), false),
    ]
}

/// A guard is async-graphql's: the whole list is left to it.
fn guarded() -> Vec<Case> {
    vec![
        ("{ emb(first:2){ id guarded } items(first:1) { id } }", json!({}), true),
        ("{ emb(first:2){ id peer { guarded } } }", json!({}), true),
        ("{ emb(first:2){ id closed } items(first:1) { id } }", json!({}), true),
        (
            "{ emb(first:2){ id peer { closed } } accounts(first:1) { nodes { closed plans { size } } } }",
            json!({}),
            true,
        ),
    ]
}

/// Those that are answered.
pub(crate) fn answered() -> impl Iterator<Item = Case> {
    let groups = [plain(), repeated(), with_variables(), failing(), abstract_types(), guarded()];
    groups.into_iter().flatten()
}
