// The list of members as a front end reads it: a fragment for each row, the next page through `members` itself.

import { graphql } from "relay-runtime";

export const memberRow = graphql`
  fragment members_row on Member {
    id
    email
    name
    role
    status
    hasSecondFactor
  }
`;

export const memberList = graphql`
  fragment members_list on Query
  @argumentDefinitions(first: { type: "Int", defaultValue: 20 }, after: { type: "String" })
  @refetchable(queryName: "membersPageQuery") {
    members(first: $first, after: $after) @connection(key: "members_members") {
      edges {
        node {
          ...members_row
        }
      }
    }
  }
`;

export const membersQuery = graphql`
  query membersQuery {
    viewer {
      permissions
      tenant {
        name
        membersMax
      }
    }
    ...members_list
  }
`;
