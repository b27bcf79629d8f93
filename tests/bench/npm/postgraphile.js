// PostGraphile over the product's own tables, as the product's own role and under its row-level security. From the
// environment: PORT, WORKERS, DATABASE_URL, SECRET for access tokens (HS256), and what tokens are made for: TENANTS with
// commas between them. They are written to TOKENS_FILE, one a line.
import cluster from "node:cluster";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createSigner, createVerifier } from "fast-jwt";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { grafserv } from "postgraphile/grafserv/node";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { jsonPgSmartTags } from "postgraphile/utils";

const { PORT, WORKERS, DATABASE_URL, SECRET, TENANTS, TOKENS_FILE } = process.env;
/** Connections to the database of all workers together: as many as the product's pool has. */
const CONNECTIONS = 16;
const issuer = "matricula-bench";
const workers = Number(WORKERS);

function writeTokens() {
  const sign = createSigner({ key: SECRET, algorithm: "HS256", iss: issuer, expiresIn: "1h" });
  const tokens = TENANTS.split(",").map((tenant) => sign({ sub: "owner", tid: tenant }));
  writeFileSync(TOKENS_FILE, `${tokens.join("\n")}\n`);
}

/** @type {GraphileConfig.Preset} */
function preset() {
  const verify = createVerifier({ key: SECRET, algorithms: ["HS256"], allowedIss: issuer });
  return {
    extends: [PostGraphileAmberPreset],
    // Posts refer to accounts in another schema, which the database does not check.
    plugins: [
      jsonPgSmartTags({
        version: 1,
        config: {
          class: {
            "publishing.posts": {
              tags: {
                foreignKey: "(tenant_id, account_id) references accounts.accounts (tenant_id, id)|@foreignFieldName posts",
              },
            },
          },
        },
      }),
    ],
    // Otherwise lists could not be asked for in the order of the product's.
    disablePlugins: ["PgIndexBehaviorsPlugin"],
    pgServices: [
      makePgService({
        connectionString: DATABASE_URL,
        schemas: ["accounts", "publishing"],
        poolConfig: { max: Math.ceil(CONNECTIONS / workers) },
      }),
    ],
    grafserv: { graphqlPath: "/graphql", graphiql: false, watch: false },
    grafast: {
      context: ({ node }) => {
        const [, token] = (node?.req.headers.authorization ?? "").split(" ");
        return { pgSettings: { "app.tenant_id": verify(token).tid } };
      },
    },
  };
}

async function serve() {
  const server = createServer();
  await postgraphile(preset()).createServ(grafserv).addTo(server);
  server.listen(Number(PORT), "127.0.0.1");
}

if (cluster.isPrimary) {
  writeTokens();
}
if (cluster.isPrimary && workers > 1) {
  Array.from({ length: workers }, () => cluster.fork());
} else {
  await serve();
}
