// The server audits of the npm package graphql-http (GraphQL over HTTP), as a signed-in member.

import assert from "node:assert/strict";
import { serverAudits } from "graphql-http";
import { check } from "../harness/check.js";
import { headersOf, memberOf } from "../harness/caller.js";
import { dev } from "../harness/product.js";

/** How many audits this version of the package has: none may be missing. */
const AUDITS = 61;

const fetchFn = (url, init = {}) =>
  fetch(url, { ...init, headers: { ...init.headers, ...headersOf(memberOf("owner").accessToken) } });
const audits = serverAudits({ url: dev.graphql, fetchFn });

check(`http audits: there are ${AUDITS}`, () => assert.equal(audits.length, AUDITS));

for (const { id, name, fn } of audits) {
  check(`http audits: ${id} ${name}`, async () => {
    const result = await fn();
    if (result.status !== "ok") {
      // Read here, since the reason alone seldom says what was wrong.
      const body = await result.response.text().catch(() => "(read already)");
      assert.fail(`${result.status}: ${result.reason}; ${result.response.status} ${body}`);
    }
  });
}
