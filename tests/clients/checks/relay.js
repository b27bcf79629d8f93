// The Relay compiler on what a front end would write (relay/src), and on what must be refused (relay/refused).

import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { check } from "../harness/check.js";
import { HERE } from "../harness/product.js";
import { run } from "../harness/programs.js";

const ARTIFACTS = join(HERE, "relay", "__generated__");

/** What each source must be compiled to. */
const EXPECTED = [
  "invitationsEventsSubscription",
  "invitationsInviteMutation",
  "membersPageQuery",
  "membersQuery",
  "members_list",
  "members_row",
  "sessionsPageQuery",
  "sessionsQuery",
  "sessions_member",
];

/** Compiles anew what a file of relay/ names. */
async function compile(config) {
  rmSync(ARTIFACTS, { recursive: true, force: true });
  mkdirSync(ARTIFACTS);
  await run("relay", process.execPath, ["../node_modules/relay-compiler/cli.js", config]);
}

function artifact(name) {
  return readFileSync(join(ARTIFACTS, `${name}.graphql.js`), "utf8");
}

check("relay: queries, fragments, a mutation and a subscription compile", async () => {
  await compile("relay.config.json");
  assert.deepEqual(readdirSync(ARTIFACTS).sort(), EXPECTED.map((name) => `${name}.graphql.js`).sort());
});

check("relay: @connection pages through the list's own field, with cursors and page info", async () => {
  const page = artifact("membersPageQuery");
  assert.match(page, /members\(first: \$first, after: \$after\)/);
  assert.match(page, /pageInfo \{\\n\s+endCursor\\n\s+hasNextPage\\n\s+\}/);
  assert.match(page, /"handle": "connection"/);
});

check("relay: @refetchable reads a node anew through `node`", async () => {
  assert.match(artifact("sessionsPageQuery"), /node\(id: \$id\) \{\\n\s+__typename\\n\s+\.\.\.sessions_member/);
});

check("relay: a field that is not in the schema does not compile", async () => {
  await assert.rejects(compile("refused.config.json"), /nothingOfTheKind/);
});
