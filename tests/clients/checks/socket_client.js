// The npm package graphql-ws (graphql-transport-ws), from end to end.

import assert from "node:assert/strict";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { headersOf, memberOf, send, signIn, somebody, WRONG_TOKEN } from "../harness/caller.js";
import { check } from "../harness/check.js";
import { Mailbox } from "../harness/mailbox.js";
import { tellsOfInvitations, untilHeard } from "../harness/member_events.js";
import { dev, documentOf } from "../harness/product.js";

/** Longest a socket may outlive its session, in milliseconds. */
const REVOKED_MAX_MS = 5_000;

/** Gives `body` a client, and disposes of it. */
async function withClient(token, body) {
  const client = createClient({
    url: dev.websocket,
    webSocketImpl: WebSocket,
    connectionParams: headersOf(token),
    retryAttempts: 0,
  });
  try {
    return await body(client);
  } finally {
    await client.dispose();
  }
}

/** The one answer of a query or mutation. */
async function answerOf(client, operation) {
  const answers = [];
  for await (const answer of client.iterate(operation)) answers.push(answer);
  assert.equal(answers.length, 1);
  assert.equal(answers[0].errors, undefined, JSON.stringify(answers[0].errors));
  return answers[0].data;
}

/** Follows `memberEvents`: answers go to `mailbox`; `ended` resolves with the error that ended it, if one did. */
function follow(client) {
  const mailbox = new Mailbox();
  let unsubscribe;
  const ended = new Promise((resolve) => {
    unsubscribe = client.subscribe(
      { query: documentOf("member_events") },
      { next: (answer) => mailbox.put(answer), error: resolve, complete: () => resolve(undefined) },
    );
  });
  return { mailbox, ended, unsubscribe };
}

check("graphql-ws: a query", () =>
  withClient(memberOf("analyst").accessToken, async (client) => {
    const { viewer } = await answerOf(client, { query: documentOf("viewer") });
    assert.equal(viewer.member.email, memberOf("analyst").email);
    assert.equal(viewer.member.role, "ANALYST");
    assert.equal(viewer.session.isCurrent, true);
    assert.equal(viewer.tenant.slug, dev.tenants[0].slug);
  }),
);

check("graphql-ws: a mutation, and the same again gets the first answer", () =>
  withClient(memberOf("owner").accessToken, async (client) => {
    const variables = somebody();
    const operation = { query: documentOf("invite_member"), variables };
    const { inviteMember: first } = await answerOf(client, operation);
    assert.deepEqual(first.userErrors, []);
    assert.equal(first.invitation.email, variables.input.email);
    assert.equal(first.invitation.state, "OPEN");
    const { inviteMember: second } = await answerOf(client, operation);
    assert.equal(second.invitation.id, first.invitation.id);
  }),
);

check("graphql-ws: memberEvents tells of five invitations made over HTTP", () =>
  withClient(memberOf("admin").accessToken, async (client) => {
    const { mailbox, ended, unsubscribe } = follow(client);
    await tellsOfInvitations(mailbox, memberOf("owner").accessToken);
    unsubscribe();
    assert.equal(await ended, undefined);
  }),
);

check("graphql-ws: an invalid document is refused by an error message", () =>
  withClient(memberOf("owner").accessToken, async (client) => {
    await assert.rejects(answerOf(client, { query: "{ nothingOfTheKind }" }), (errors) => {
      assert(Array.isArray(errors), String(errors));
      assert.equal(errors[0].extensions.code, "GRAPHQL_VALIDATION_FAILED");
      return true;
    });
    // The socket is none the worse for it.
    const { viewer } = await answerOf(client, { query: documentOf("viewer") });
    assert.equal(viewer.member.role, "OWNER");
  }),
);

check("graphql-ws: a wrong token closes with 4403", () =>
  withClient(WRONG_TOKEN, async (client) => {
    const operation = { query: documentOf("viewer") };
    await assert.rejects(answerOf(client, operation), (event) => {
      assert.equal(event.code, 4403, String(event));
      return true;
    });
  }),
);

check("graphql-ws: signing out closes the session's socket with 4403 within 5 s, and no other", async () => {
  const [leaving, staying] = [await signIn(memberOf("admin")), await signIn(memberOf("admin"))];
  await withClient(leaving, (leavingClient) =>
    withClient(staying, async (stayingClient) => {
      const [left, stayed] = [follow(leavingClient), follow(stayingClient)];
      await untilHeard(left.mailbox, memberOf("owner").accessToken);
      const { signOut } = await send(leaving, documentOf("sign_out"));
      assert.equal(signOut.signedOut, true);
      const signal = AbortSignal.timeout(REVOKED_MAX_MS);
      const late = new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(new Error(`still open after ${REVOKED_MAX_MS} ms`)));
      });
      const event = await Promise.race([left.ended, late]);
      assert.equal(event?.code, 4403, String(event));
      await untilHeard(stayed.mailbox, memberOf("owner").accessToken);
      stayed.unsubscribe();
    }),
  );
});
