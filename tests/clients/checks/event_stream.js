// The npm package graphql-sse, in its distinct connections mode.

import assert from "node:assert/strict";
import { createClient } from "graphql-sse";
import { headersOf, memberOf, somebody, WRONG_TOKEN } from "../harness/caller.js";
import { check } from "../harness/check.js";
import { Mailbox } from "../harness/mailbox.js";
import { tellsOfInvitations } from "../harness/member_events.js";
import { dev, documentOf } from "../harness/product.js";

function clientOf(token) {
  return createClient({ url: dev.graphql, headers: headersOf(token), singleConnection: false, retryAttempts: 0 });
}

/** All answers of an operation that ends by itself. */
async function answersOf(token, operation) {
  const client = clientOf(token);
  const answers = [];
  try {
    for await (const answer of client.iterate(operation)) answers.push(answer);
  } finally {
    client.dispose();
  }
  return answers;
}

check("graphql-sse: a query is one answer and the end", async () => {
  const operation = { query: documentOf("members"), variables: { first: 2 } };
  const answers = await answersOf(memberOf("owner").accessToken, operation);
  assert.equal(answers.length, 1);
  assert.equal(answers[0].errors, undefined);
  const { members } = answers[0].data;
  assert.equal(members.edges.length, 2);
  assert.equal(members.pageInfo.hasNextPage, true);
  assert.equal(members.pageInfo.endCursor, members.edges[1].cursor);
});

check("graphql-sse: a mutation is one answer and the end", async () => {
  const operation = { query: documentOf("invite_member"), variables: somebody() };
  const answers = await answersOf(memberOf("owner").accessToken, operation);
  assert.equal(answers.length, 1);
  assert.deepEqual(answers[0].data.inviteMember.userErrors, []);
});

check("graphql-sse: memberEvents tells of five invitations made over HTTP", async () => {
  const client = clientOf(memberOf("admin").accessToken);
  const mailbox = new Mailbox();
  let unsubscribe;
  const ended = new Promise((resolve) => {
    unsubscribe = client.subscribe(
      { query: documentOf("member_events") },
      { next: (answer) => mailbox.put(answer), error: resolve, complete: () => resolve(undefined) },
    );
  });
  await tellsOfInvitations(mailbox, memberOf("owner").accessToken);
  unsubscribe();
  assert.equal(await ended, undefined);
  client.dispose();
});

check("graphql-sse: an invalid document is one answer with errors and the end", async () => {
  const answers = await answersOf(memberOf("owner").accessToken, { query: "{ nothingOfTheKind }" });
  assert.equal(answers.length, 1);
  assert.equal(answers[0].errors[0].extensions.code, "GRAPHQL_VALIDATION_FAILED");
});

check("graphql-sse: a wrong token is refused before there is a stream", async () => {
  await assert.rejects(answersOf(WRONG_TOKEN, { query: documentOf("member_events") }), (error) => {
    assert.equal(error.response?.status, 401, String(error));
    return true;
  });
});
