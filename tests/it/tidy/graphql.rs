//! Nullability in the schema and in its resolvers.

use super::{
    Finding, Rule,
    rust::{code, line_of},
    tree::Tree,
};

const FALLIBLE: Rule = Rule {
    says: "a resolver that may fail and may find nothing returns `Option<Result<T, ApiError>>`, never \
           `Result<Option<T>, ApiError>`",
    because: "the schema is the same, but with the latter an error nulls the parent, at the root the whole answer, instead \
              of the one field",
    instead: "do the work in a function beside the impl and end the resolver with `.transpose()`; a field that can fail \
              and is always there is `Some(work(ctx).await)`",
};

const ROOTS: Rule = Rule {
    says: "fields of Query and Mutation are nullable",
    because: "one failing panel must not blank a dashboard: an error in a non-null root field takes all others with it",
    instead: "return `Option<..>` from the resolver",
};

const LISTS: Rule = Rule {
    says: "a field of Query that gives a list or a connection gives it as `Written<..>`",
    because: "otherwise each object in it is asked by itself: its batched fields are called once for each of them, each with \
              a transaction of its own",
    instead: "return `Option<Result<Written<T>, ApiError>>` and end the resolver in `.map(Written)`",
};

const SHARED: Rule = Rule {
    says: "what a field of Subscription sends is `Shared<..>`",
    because: "otherwise it is written once for each who listens, however many listen to the same",
    instead: "hand out `Recent::share` of what is sent, with a key that says all that is in it and the tenant",
};

/// Attributes whose impl blocks are resolvers.
const RESOLVERS: [&str; 4] = ["#[Object", "#[ComplexObject", "#[Subscription", "#[output::fields"];

fn fallible(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust("api/src/graphql/") {
        let code = code(&file.text);
        let mut told = |at: usize, saw: &str| findings.push(Finding::at(&file.path, line_of(&code, at), saw));
        for attribute in RESOLVERS {
            for (at, _) in code.match_indices(attribute) {
                let Some((open, body)) = block(&code, at, b'{', b'}') else { continue };
                for (method, signature) in methods(body) {
                    // A batched field has one outcome a parent.
                    let signature = squeezed(signature).replace("->Result<Vec<", "->");
                    if signature.contains("->Result<Option<") {
                        told(open + method, "a resolver that returns `Result<Option<`");
                    }
                }
            }
        }
        // Fields of payloads are resolvers that a macro writes.
        for (at, _) in code.match_indices("payload!(") {
            let Some((_, body)) = block(&code, at, b'(', b')') else { continue };
            if squeezed(body).contains(":Result<Option<") {
                told(at, "a payload with a field that is `Result<Option<`");
            }
        }
    }
    findings
}

fn unwritten(tree: &Tree) -> Vec<Finding> {
    let is_bare =
        |gives: &str| (gives.contains("Vec<") || gives.contains("Connection")) && !gives.contains("Written<");
    resolvers_that(tree, ("/query.rs", "#[Object"), "a list that is not written", is_bare)
}

fn unshared(tree: &Tree) -> Vec<Finding> {
    let is_bare = |gives: &str| gives.contains("Stream<Item") && !gives.contains("Shared<");
    resolvers_that(tree, ("/subscription.rs", "#[Subscription"), "a stream of what is not shared", is_bare)
}

/// The resolvers in files of that name, in impl blocks with that attribute, that give such a thing.
fn resolvers_that(
    tree: &Tree,
    (name, attribute): (&str, &str),
    saw: &str,
    gives_such: impl Fn(&str) -> bool,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust("api/src/graphql/").filter(|file| file.path.ends_with(name)) {
        let code = code(&file.text);
        for (at, _) in code.match_indices(attribute) {
            let Some((open, body)) = block(&code, at, b'{', b'}') else { continue };
            for (method, signature) in methods(body) {
                let signature = squeezed(signature);
                if signature.rsplit_once("->").is_some_and(|(_, gives)| gives_such(gives)) {
                    findings.push(Finding::at(&file.path, line_of(&code, open + method), saw));
                }
            }
        }
    }
    findings
}

fn squeezed(code: &str) -> String {
    code.split_whitespace().collect()
}

/// What stands between the first `open` behind `from` and its `close`, and where it begins.
fn block(code: &str, from: usize, open: u8, close: u8) -> Option<(usize, &str)> {
    let start = from + code.get(from..)?.bytes().position(|byte| byte == open)? + 1;
    let mut depth = 1;
    for (length, byte) in code[start..].bytes().enumerate() {
        depth += i32::from(byte == open);
        depth -= i32::from(byte == close);
        if depth == 0 {
            return Some((start, &code[start..start + length]));
        }
    }
    None
}

/// The signatures of the functions right in an impl's body, and where they begin. Functions inside them are not
/// resolvers.
fn methods(body: &str) -> Vec<(usize, &str)> {
    let mut methods = Vec::new();
    let mut depth = 0;
    let mut from = 0;
    for (at, byte) in body.bytes().enumerate() {
        match byte {
            b'{' => {
                if depth == 0
                    && let Some(found) = body[from..at].rfind("fn ")
                {
                    methods.push((from + found, &body[from + found..at]));
                }
                depth += 1;
            }
            b'}' => {
                depth -= 1;
                from = at;
            }
            _ => {}
        }
    }
    methods
}

/// The fields of a type of the schema: line, name and type.
pub(super) fn fields<'a>(schema: &'a str, of: &str) -> Vec<(usize, &'a str, &'a str)> {
    let head = format!("type {of} {{");
    let mut fields = Vec::new();
    let (mut inside, mut described) = (false, false);
    for (number, line) in schema.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.starts_with("\"\"\"") {
            described = !described;
        } else if described || trimmed.starts_with('"') {
        } else if line == head {
            inside = true;
        } else if line == "}" {
            inside = false;
        } else if inside && let Some((name, _)) = trimmed.split_once(['(', ':']) {
            let behind = trimmed
                .rsplit_once("): ")
                .or_else(|| trimmed.split_once(": "))
                .map_or("", |(_, behind)| behind);
            fields.push((number + 1, name, behind.split(" @").next().unwrap_or_default()));
        }
    }
    fields
}

fn roots(schema: &str) -> Vec<Finding> {
    let fields = ["Query", "Mutation"].into_iter().flat_map(|root| fields(schema, root));
    let strict = fields.filter(|(_, _, of)| of.is_empty() || of.ends_with('!'));
    strict.map(|(line, name, of)| Finding::at("schema.graphql", line, format!("`{name}: {of}`"))).collect()
}

#[test]
fn resolvers_that_fail_null_their_own_field_only() {
    FALLIBLE.holds(&fallible(&Tree::read().expect("readable")));
}

#[test]
fn lists_of_queries_are_written_out() {
    LISTS.holds(&unwritten(&Tree::read().expect("readable")));
}

#[test]
fn a_list_that_is_not_written_is_seen() {
    let check = |text: &str| unwritten(&Tree::of(&[("api/src/graphql/x/query.rs", text)])).len();
    for (gives, seen) in [
        ("Option<Result<Vec<T>, E>>", 1),
        ("Option<Result<XConnection, E>>", 1),
        ("Option<Result<Written<Vec<T>>, E>>", 0),
        ("Option<Result<Written<XConnection>, E>>", 0),
        ("Option<Result<T, E>>", 0),
    ] {
        let text = format!("#[Object]\nimpl X {{\n async fn a(&self, b: Vec<C>) -> {gives} {{ d }}\n}}");
        assert_eq!(check(&text), seen, "{gives}");
    }
}

#[test]
fn streams_of_subscriptions_are_shared() {
    SHARED.holds(&unshared(&Tree::read().expect("readable")));
}

#[test]
fn a_stream_that_is_not_shared_is_seen() {
    let check = |text: &str| unshared(&Tree::of(&[("api/src/graphql/x/subscription.rs", text)])).len();
    for (item, seen) in [("T", 1), ("Result<T, E>", 1), ("Shared<T>", 0), ("Result<Shared<T>, E>", 0)] {
        let text = format!(
            "#[Subscription]\nimpl X {{\n async fn a(&self) -> Result<impl Stream<Item = {item}> + use<>, E> {{ d }}\n}}"
        );
        assert_eq!(check(&text), seen, "{item}");
    }
}

#[test]
fn root_fields_are_nullable() {
    let tree = Tree::read().expect("readable");
    let schema = tree.text("schema.graphql");
    assert!(
        fields(schema, "Query").len() > 5 && fields(schema, "Mutation").len() > 5,
        "schema.graphql was not understood"
    );
    ROOTS.holds(&roots(schema));
}

#[test]
fn a_resolver_that_nulls_its_parent_is_seen() {
    let check = |text: &str| {
        fallible(&Tree::of(&[("api/src/graphql/x.rs", text)]))
            .into_iter()
            .map(|f| f.place)
            .collect::<Vec<_>>()
    };
    let good = "#[Object]\nimpl X {\n async fn a(&self) -> Option<Result<T, E>> {\n  async fn b() -> Result<Option<T>, E> { x }\n  b().await.transpose()\n }\n async fn c(&self) -> T { d }\n}\nasync fn e() -> Result<Option<T>, E> { f }";
    assert!(check(good).is_empty());
    let bad = "#[Object(name = \"x\")]\nimpl X {\n /// -> Result<Option<\n fn a(&self) -> T { b }\n async fn c(\n  &self,\n ) -> Result<\n  Option<T>, E> { d }\n}";
    assert_eq!(check(bad), ["api/src/graphql/x.rs:5"]);
    let batched = "#[output::fields]\nimpl X {\n async fn a(b: &[&Self]) -> Result<Vec<Option<Result<T, E>>>, E> { c }\n}";
    assert!(check(batched).is_empty());
    assert_eq!(check(&batched.replace("Option<Result<T, E>>", "Result<Option<T>, E>")).len(), 1);
    assert_eq!(check("payload!(X, Y, \"z\" {\n a: Result<Option<T>, E> = |b| c;\n});").len(), 1);
    assert!(check("payload!(X, Y, \"z\" {\n a: Option<Result<T, E>> = |b| c;\n});").is_empty());
}

#[test]
fn a_strict_root_field_is_seen() {
    let schema = "type Query {\n\t\"Not: this!\"\n\ta(b: Int!): T @cost(weight: 1)\n\t\"\"\"\n\tnor: this!\n\t\"\"\"\n\tc(d: ID!): [T!]!\n\te: T!\n}\ntype Other {\n\tf: T!\n}\n";
    let saw: Vec<_> = roots(schema).into_iter().map(|finding| finding.saw).collect();
    assert_eq!(saw, ["`c: [T!]!`", "`e: T!`"]);
    assert_eq!(fields(schema, "Query")[0], (3, "a", "T"));
}
