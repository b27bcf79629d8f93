// A member with their sessions: the next page, and the member anew, through `node`.

import { graphql } from "relay-runtime";

export const memberSessions = graphql`
  fragment sessions_member on Member
  @argumentDefinitions(first: { type: "Int", defaultValue: 20 }, after: { type: "String" })
  @refetchable(queryName: "sessionsPageQuery") {
    email
    sessions(first: $first, after: $after) @connection(key: "sessions_member_sessions") {
      edges {
        node {
          isCurrent
          lastSeenAt
          country
        }
      }
    }
  }
`;

export const sessionsQuery = graphql`
  query sessionsQuery($id: ID!) {
    member(id: $id) {
      ...sessions_member
    }
  }
`;
