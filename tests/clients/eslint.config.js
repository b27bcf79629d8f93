// How the schema is linted: the sets recommended for schemas and for Relay, unmodified unless said why.

import graphqlPlugin from "@graphql-eslint/eslint-plugin";

const { rules: recommended } = graphqlPlugin.configs["flat/schema-recommended"];
const { rules: relay } = graphqlPlugin.configs["flat/schema-relay"];

/** The configuration for a schema. */
export function lintOf(sdl) {
  return {
    files: ["**/*.graphql"],
    languageOptions: {
      parser: graphqlPlugin.parser,
      parserOptions: { graphQLConfig: { schema: sdl } },
    },
    plugins: { "@graphql-eslint": graphqlPlugin },
    rules: {
      ...recommended,
      ...relay,
      // The file is printed by the program, which writes a description on one line where it fits and in a block where
      // it does not; the rule wants one way for all, and readers of the schema can't tell them apart.
      "@graphql-eslint/description-style": "off",
      // Whatever can be asked for anew is a `Node`, and that interface demands the id. The rest are values (proofs,
      // payloads, pages, events), in which an id would mean nothing.
      "@graphql-eslint/strict-id-in-types": "off",
      // Short lists of values, as of permissions or of a mutation's errors, are no connections; and a connection has
      // `nodes` beside its edges, for readers that need no cursors.
      "@graphql-eslint/relay-edge-types": ["error", { listTypeCanWrapOnlyEdgeType: false }],
    },
  };
}
