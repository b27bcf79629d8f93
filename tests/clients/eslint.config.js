// The lint sets recommended for schemas, unmodified unless said why. As a command: npx eslint schema.graphql, on a copy
// of the schema in this folder, since eslint reads no files outside of it.

import graphqlPlugin from "@graphql-eslint/eslint-plugin";
import { schemaFile } from "./harness/product.js";

/** The configuration for a schema. */
export function lintOf(sdl) {
  return [
    {
      files: ["**/*.graphql"],
      languageOptions: {
        parser: graphqlPlugin.parser,
        parserOptions: { graphQLConfig: { schema: sdl } },
      },
      plugins: { "@graphql-eslint": graphqlPlugin },
      rules: {
        ...graphqlPlugin.configs["flat/schema-recommended"].rules,
        ...graphqlPlugin.configs["flat/schema-relay"].rules,
      },
    },
  ];
}

export default lintOf(schemaFile());
