// Inviting, with an idempotency key, the new row put into the list; and hearing of what others do.

import { graphql } from "relay-runtime";

export const inviteMember = graphql`
  mutation invitationsInviteMutation($input: InviteMemberInput!, $key: String!, $connections: [ID!]!) {
    inviteMember(input: $input) @idempotent(key: $key) {
      complianceId
      invitation @prependNode(connections: $connections, edgeTypeName: "InvitationEdge") {
        email
        state
      }
      userErrors {
        code
        field
        message
        ... on PlanLimitReached {
          limit
        }
      }
    }
  }
`;

export const memberEvents = graphql`
  subscription invitationsEventsSubscription {
    memberEvents {
      seq
      kind
      subjectId
    }
  }
`;
