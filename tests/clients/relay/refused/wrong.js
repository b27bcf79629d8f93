// What must not compile: the schema has no such field.

import { graphql } from "relay-runtime";

export const wrongQuery = graphql`
  query wrongQuery {
    nothingOfTheKind
  }
`;
