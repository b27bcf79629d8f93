// Mercurius with its JIT over the data of api/transport/examples/still.rs: PORT and WORKERS come from the environment.
// Resolvers are plain and the data lies ready as it is answered, instants as text, which is the fastest it can be asked.
import cluster from "node:cluster";
import Fastify from "fastify";
import mercurius from "mercurius";

const schema = `
  enum AccountState { CONNECTED }
  enum PostStatus { WAITING LIVE }
  scalar DateTime
  type Row { id: ID! title: String! views: Int! }
  type Post { id: ID! caption: String! status: PostStatus! plannedAt: DateTime! }
  type PostConnection { nodes: [Post!]! }
  type Account { id: ID! nickname: String! state: AccountState! posts(first: Int!): PostConnection! }
  type AccountConnection { nodes: [Account!]! }
  type Query { rows: [Row!]! accounts(first: Int!): AccountConnection }
`;

const id = (number) => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
const at = (seconds) => new Date((1_767_225_600 + seconds) * 1_000).toISOString().replace(".000Z", "+00:00");
const count = (length, make) => Array.from({ length }, (_, number) => make(number));

const rows = count(100, (n) => ({ id: id(n), title: `The title of row ${n}`, views: n * 37 }));
const accounts = count(20, (a) => ({
  id: id(a),
  nickname: `Account ${a}`,
  state: "CONNECTED",
  held: count(5, (n) => ({
    id: id(a * 5 + n),
    caption: "A caption as long as captions are, with a #word or two",
    status: n === 0 ? "LIVE" : "WAITING",
    plannedAt: at(n * 3_600 + a),
  })),
}));

const resolvers = {
  Query: { rows: () => rows, accounts: (_, { first }) => ({ nodes: accounts.slice(0, first) }) },
  Account: { posts: (account, { first }) => ({ nodes: account.held.slice(0, first) }) },
};

async function serve() {
  const app = Fastify();
  app.register(mercurius, { schema, resolvers, jit: 1, graphiql: false });
  await app.listen({ host: "127.0.0.1", port: Number(process.env.PORT) });
}

const workers = Number(process.env.WORKERS);
if (cluster.isPrimary && workers > 1) {
  count(workers, () => cluster.fork());
} else {
  await serve();
}
