// The schema, by the tools of those who read it: graphql-js, GraphQL Inspector and GraphQL ESLint.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { diff, DiffRule, validate } from "@graphql-inspector/core";
import { ESLint } from "eslint";
import { buildClientSchema, buildSchema, getIntrospectionQuery, Source, validateSchema } from "graphql";
import { lintOf } from "../eslint.config.js";
import { memberOf, send } from "../harness/caller.js";
import { check } from "../harness/check.js";
import { documentOf, HERE, printedSchema, schemaFile } from "../harness/product.js";

const sdl = schemaFile();

/** What a linter or a comparison found, one a line. */
function assertNone(findings, textOf) {
  assert.equal(findings.length, 0, findings.map(textOf).join("\n"));
}

check("schema: graphql-js finds it valid", () => {
  assertNone(validateSchema(buildSchema(sdl)), String);
});

check("schema: the program prints the committed file", () => {
  assert(printedSchema() === sdl, "they differ: `make schema` writes it anew");
});

check("schema: graphql-inspector sees no change from the committed file to what the program prints", async () => {
  const changes = await diff(buildSchema(sdl), buildSchema(printedSchema()));
  assertNone(changes, ({ criticality, message }) => `${criticality.level}: ${message}`);
});

check("schema: graphql-inspector does see a field that is gone", async () => {
  const renamed = sdl.replace(/^\tviewer: Viewer$/m, "\tspectator: Viewer");
  const changes = await diff(buildSchema(sdl), buildSchema(renamed));
  assert(changes.some(({ type, criticality }) => type === "FIELD_REMOVED" && criticality.level === "BREAKING"));
});

check("schema: introspection tells of what the committed file does", async () => {
  const told = buildClientSchema(await send(memberOf("owner").accessToken, getIntrospectionQuery()));
  const changes = await diff(told, buildSchema(sdl), [DiffRule.ignoreDescriptionChanges]);
  // Introspection does not tell which directives a definition has.
  const others = changes.filter(({ type }) => !type.startsWith("DIRECTIVE_USAGE_"));
  assertNone(others, ({ message }) => message);
});

check("schema: graphql-inspector finds every document of these checks valid", () => {
  const files = readdirSync(join(HERE, "documents"));
  assert(files.length > 0);
  const sources = files.map((file) => new Source(documentOf(file.replace(/\.graphql$/, "")), file));
  const invalid = validate(buildSchema(sdl), sources);
  assertNone(invalid, ({ source, errors, deprecated }) => `${source.name}: ${[...errors, ...deprecated].join("; ")}`);
});

/** What the linter finds. */
async function lint(text) {
  const eslint = new ESLint({ cwd: HERE, overrideConfigFile: true, overrideConfig: lintOf(text) });
  const [{ messages }] = await eslint.lintText(text, { filePath: "schema.graphql" });
  return messages;
}

check("schema: graphql-eslint finds nothing, by the sets recommended for schemas and for Relay", async () => {
  assertNone(await lint(sdl), ({ line, ruleId, message }) => `line ${line}: ${ruleId}: ${message}`);
});

check("schema: graphql-eslint does find a type without description", async () => {
  const messages = await lint(sdl.replace('"Who is asking, and what they may do."\n', ""));
  assert.deepEqual(
    messages.map(({ ruleId }) => ruleId),
    ["@graphql-eslint/require-description"],
  );
});
