//! Hostile documents: each is refused with its code, or answered, and none holds the server up.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Answer, Toy, send};

/// Far above what any of them takes; far below what one exponential pass takes.
const CEILING: Duration = Duration::from_secs(3);

const PARSE: &str = "GRAPHQL_PARSE_FAILED";
const VALIDATION: &str = "GRAPHQL_VALIDATION_FAILED";
const ANSWERED: &str = "";

struct Case {
    name: &'static str,
    query: String,
    variables: Value,
    code: &'static str,
}

fn case(name: &'static str, code: &'static str, query: impl Into<String>) -> Case {
    Case { name, query: query.into(), variables: json!({}), code }
}

fn repeated(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect()
}

/// `width` spreads a level, `depth` levels.
fn fragment_bomb(width: usize, depth: usize) -> String {
    let mut text = "{ ...F0 }".to_owned();
    for level in 0..depth {
        let _ =
            write!(text, " fragment F{level} on Query {{ {} }}", format!("...F{} ", level + 1).repeat(width));
    }
    let _ = write!(text, " fragment F{depth} on Query {{ hello }}");
    text
}

fn fragments() -> Vec<Case> {
    let uses_one = |uses: usize, size: usize| {
        let field = |i: usize| format!("a{i}: posts(first: 1) {{ ...F }} ");
        let fragments = format!("fragment F on PostConnection {{ {} }}", "totalCount ".repeat(size));
        format!("{{ {} }} {fragments}", repeated(uses, field))
    };
    vec![
        case("fragments 30 wide, 4 deep", VALIDATION, fragment_bomb(30, 4)),
        case("fragments 2 wide, 30 deep", VALIDATION, fragment_bomb(2, 30)),
        case("fragments 60 wide, 2 deep, many root fields", VALIDATION, fragment_bomb(60, 2)),
        case("one long fragment spread often", VALIDATION, uses_one(20, 2_000)),
        case("a cycle", VALIDATION, "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }"),
        case("a chain of 600 fragments", VALIDATION, fragment_bomb(1, 600)),
        case(
            "unused fragments around a long one",
            VALIDATION,
            format!(
                "{{ hello }} fragment L on Query {{ {} }} {}",
                "hello ".repeat(2_000),
                repeated(300, |i| format!("fragment F{i} on Query {{ ...L }} "))
            ),
        ),
        case(
            "many operations around a long fragment",
            VALIDATION,
            format!(
                "fragment L on PostConnection {{ {} }} {}",
                "totalCount ".repeat(2_000),
                repeated(100, |i| format!("query Q{i} {{ posts {{ ...L }} }} "))
            ),
        ),
        case(
            "unknown fragments",
            VALIDATION,
            format!("{{ hello {} }}", repeated(2_000, |i| format!("...F{i} "))),
        ),
    ]
}

fn flat() -> Vec<Case> {
    vec![
        case("too many tokens", PARSE, format!("{{ {} }}", "hello ".repeat(5_000))),
        case(
            "as many tokens as allowed, all unknown",
            VALIDATION,
            format!("{{ me {{ {} }} }}", repeated(4_990, |i| format!("f{i} "))),
        ),
        case("the same field 4,990 times", ANSWERED, format!("{{ me {{ {} }} }}", "id ".repeat(4_990))),
        case(
            "a hundred aliases",
            VALIDATION,
            format!("{{ me {{ {} }} }}", repeated(100, |i| format!("a{i}: id "))),
        ),
        case(
            "1,600 aliases of one key",
            VALIDATION,
            format!("{{ me {{ {} }} }}", repeated(1_600, |i| format!("x: f{i} "))),
        ),
        case(
            "fields that conflict",
            VALIDATION,
            format!("{{ {} hello }}", repeated(15, |i| format!("x: echo(text: \"{i}\") "))),
        ),
        case(
            "two fields of 800 arguments that conflict",
            VALIDATION,
            format!(
                "{{ x: echo({}) x: echo({}) }}",
                repeated(800, |i| format!("a{i}: 1 ")),
                repeated(800, |i| format!("b{i}: 1 "))
            ),
        ),
        case("many directives", VALIDATION, format!("{{ hello {} }}", "@include(if: true) ".repeat(500))),
        case(
            "many variables",
            VALIDATION,
            format!("query({}) {{ hello }}", repeated(1_200, |i| format!("$v{i}: Int "))),
        ),
        case("many root fields", VALIDATION, format!("{{ {} }}", "hello ".repeat(21))),
        case(
            "inline fragments in one another",
            ANSWERED,
            format!("{{ {} hello {} }}", "... on Query { ".repeat(30), "} ".repeat(30)),
        ),
    ]
}

fn nested() -> Vec<Case> {
    let arguments = |open: &str| format!("{{ hello(a: {}", open.repeat(100_000));
    vec![
        case("only opening braces", PARSE, "{".repeat(250_000)),
        case("only opening brackets", PARSE, "[".repeat(250_000)),
        case("nested lists", PARSE, arguments("[")),
        case("nested objects", PARSE, arguments("{a:")),
        case(
            "nested types",
            PARSE,
            format!("query($a: {}Int{}) {{ hello }}", "[".repeat(100_000), "]".repeat(100_000)),
        ),
        case("nested fields", PARSE, format!("{}{}", "{me".repeat(1_000), "}".repeat(1_000))),
        case("13 levels", VALIDATION, format!("{}{}", "{me".repeat(13), "}".repeat(13))),
        case("only closing braces", PARSE, "}".repeat(250_000)),
        case("unclosed at every level", PARSE, "{ ... on Query ".repeat(31)),
        case(
            "introspection in circles",
            VALIDATION,
            "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }",
        ),
    ]
}

fn long() -> Vec<Case> {
    let text = "x".repeat(250_000);
    vec![
        case("a long name", PARSE, format!("{{ {text} }}")),
        case("a long number", PARSE, format!("{{ sum(numbers: [{}]) }}", "9".repeat(250_000))),
        case("a long float", PARSE, format!("{{ sum(numbers: [1.{}]) }}", "9".repeat(250_000))),
        case("a string of 60 kB", ANSWERED, format!("{{ echo(text: \"{}\") }}", &text[..60_000])),
        case("a long string", PARSE, format!("{{ echo(text: \"{text}\") }}")),
        case(
            "a long string of escapes",
            PARSE,
            format!("{{ echo(text: \"{}\") }}", "\\u0041".repeat(40_000)),
        ),
        case(
            "a long block string",
            PARSE,
            format!("{{ echo(text: \"\"\"{}\"\"\") }}", "a\n  ".repeat(60_000)),
        ),
        case(
            "quotes in a block string",
            PARSE,
            format!("{{ echo(text: \"\"\"{}\"\"\") }}", "\\\"\"\"".repeat(60_000)),
        ),
        case("an unclosed string", PARSE, format!("{{ echo(text: \"{text}")),
        case("an unclosed block string", PARSE, format!("{{ echo(text: \"\"\"{text}")),
        case("comments only", PARSE, format!("#{text}")),
        case("many short comments", PARSE, "#\n".repeat(125_000)),
        case("a comment between any two tokens", ANSWERED, format!("{{ #{text}\n hello }}")),
        case("spaces", ANSWERED, format!("{{ {} hello }}", " \n".repeat(120_000))),
        case("commas and byte order marks", ANSWERED, format!("{{ {} hello }}", ",\u{feff}".repeat(60_000))),
        case("values run together", PARSE, format!("{{ sum(numbers: [{}]) }}", "0".repeat(250_000))),
        case("words run together", PARSE, format!("{{ sum(numbers: [{}]) }}", "true".repeat(60_000))),
        case("wrong literals", VALIDATION, format!("{{ sum(numbers: [{}]) }}", "\"x\" ".repeat(4_900))),
    ]
}

fn variables() -> Vec<Case> {
    let with = |name, code, query: String, variables: Value| Case { name, query, variables, code };
    let numbers = vec![1; 60_000];
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    vec![
        with(
            "a long list",
            ANSWERED,
            "query($n: [Int!]!) { sum(numbers: $n) }".into(),
            json!({ "n": numbers }),
        ),
        with(
            "a long list of the wrong type",
            VALIDATION,
            "query($n: [Int!]!) { sum(numbers: $n) }".into(),
            json!({ "n": vec!["x"; 40_000] }),
        ),
        with(
            "a deep list",
            VALIDATION,
            "query($n: [Int!]!) { sum(numbers: $n) }".into(),
            json!({ "n": deep }),
        ),
        with(
            "a long list used often",
            VALIDATION,
            format!("query($n: [Int!]!) {{ {} }}", repeated(20, |i| format!("a{i}: sum(numbers: $n) "))),
            json!({ "n": numbers }),
        ),
        with(
            "a long text used often",
            VALIDATION,
            format!("query($t: String!) {{ me {{ {} }} }}", "id(a: $t) ".repeat(700)),
            json!({ "t": "x".repeat(250_000) }),
        ),
        with(
            "many variables nobody declared",
            ANSWERED,
            "{ hello }".into(),
            (0..15_000).map(|i| (format!("v{i}"), json!(i))).collect::<serde_json::Map<_, _>>().into(),
        ),
        with(
            "a missing variable",
            "BAD_USER_INPUT",
            "query($t: String!) { echo(text: $t) }".into(),
            json!({}),
        ),
        with(
            "a null variable",
            "BAD_USER_INPUT",
            "query($t: String!) { echo(text: $t) }".into(),
            json!({ "t": null }),
        ),
    ]
}

/// The answer, and how long the server took.
async fn run(toy: &Toy, case: &Case) -> (Answer, Duration) {
    let body = json!({ "query": case.query, "variables": case.variables }).to_string();
    assert!(body.len() < 1_000_000, "{}", case.name);
    let request = toy.post(body).header("authorization", "Bearer large");
    let answer = send(request).await;
    let duration = toy.server.host.records.lock().unwrap().last().unwrap().duration;
    (answer, duration)
}

#[actix_web::test]
async fn hostile_documents_are_refused_or_answered_at_once() {
    let toy = Toy::start();
    run(&toy, &case("warm-up", ANSWERED, "{ hello }")).await;
    for case in [fragments(), flat(), nested(), long(), variables()].into_iter().flatten() {
        let (answer, duration) = run(&toy, &case).await;
        let shown = &answer.text[..answer.text.len().min(300)];
        assert_eq!(answer.code(), case.code, "{}: {shown}", case.name);
        assert!(duration < CEILING, "{}: {duration:?}", case.name);
        // Seen with `--nocapture`: the figures worth knowing are those of the machine at hand.
        println!("{:>7.1} ms  {:>7} bytes  {}", duration.as_secs_f64() * 1e3, case.query.len(), case.name);
        answer.id();
    }
    assert_eq!(toy.run("{ hello }").await.status, 200);
}

#[actix_web::test]
async fn the_standard_introspection_query_passes() {
    let toy = Toy::start();
    let of_type = "ofType { kind name ".repeat(9) + &"}".repeat(9);
    let query = format!(
        "query IntrospectionQuery {{ __schema {{
            description queryType {{ name }} mutationType {{ name }} subscriptionType {{ name }}
            types {{ ...FullType }}
            directives {{ name description isRepeatable locations args(includeDeprecated: true) {{ ...InputValue }} }}
        }} }}
        fragment FullType on __Type {{
            kind name description specifiedByURL isOneOf
            fields(includeDeprecated: true) {{
                name description args(includeDeprecated: true) {{ ...InputValue }}
                type {{ ...TypeRef }} isDeprecated deprecationReason
            }}
            inputFields(includeDeprecated: true) {{ ...InputValue }}
            interfaces {{ ...TypeRef }}
            enumValues(includeDeprecated: true) {{ name description isDeprecated deprecationReason }}
            possibleTypes {{ ...TypeRef }}
        }}
        fragment InputValue on __InputValue {{
            name description type {{ ...TypeRef }} defaultValue isDeprecated deprecationReason
        }}
        fragment TypeRef on __Type {{ kind name {of_type} }}"
    );
    let answer = toy.run(&query).await;
    assert_eq!((answer.status, answer.code()), (200, ""), "{}", answer.text);
    assert!(answer.body["data"]["__schema"]["types"].as_array().unwrap().len() > 5);
}
