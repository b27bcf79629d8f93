//! `schema.graphql` is the contract: what the binary serves, to the letter.

#[test]
fn the_committed_schema_is_what_is_served() {
    let committed = include_str!("../../schema.graphql");
    assert!(
        committed == api::graphql::sdl(),
        "schema.graphql is not what is served: look at the difference, then run `make schema`"
    );
}
