// The Python client gql; what is checked is in python/gql_client.py.

import { memberOf } from "../harness/caller.js";
import { check } from "../harness/check.js";
import { dev } from "../harness/product.js";
import { run } from "../harness/programs.js";

function gqlClient(verb) {
  const { accessToken, email } = memberOf("owner");
  return run("python", "../.venv/bin/python", ["gql_client.py", verb], {
    GRAPHQL_URL: dev.graphql,
    WEBSOCKET_URL: dev.websocket,
    ACCESS_TOKEN: accessToken,
    EMAIL: email,
  });
}

check("gql: synchronous queries over HTTP, with the schema read", () => gqlClient("query"));
check("gql: memberEvents over WebSocket", () => gqlClient("subscription"));
