// Mercurius with its JIT over the data of api/transport/examples/still.rs: PORT and WORKERS come from the environment.
// Resolvers are plain and the data lies ready as it is answered, instants as text, which is the fastest it can be asked.
import cluster from "node:cluster";
import Fastify from "fastify";
import mercurius from "mercurius";

const schema = `
  enum Role { OWNER OPERATOR }
  enum MemberStatus { ACTIVE }
  scalar DateTime
  type Row { id: ID! title: String! views: Int! }
  type Session { id: ID! createdAt: DateTime! lastSeenAt: DateTime! isCurrent: Boolean! }
  type SessionConnection { nodes: [Session!]! }
  type Member { id: ID! role: Role! status: MemberStatus! createdAt: DateTime! sessions(first: Int!): SessionConnection! }
  type MemberConnection { nodes: [Member!]! }
  type Query { rows: [Row!]! members(first: Int!): MemberConnection }
`;

const id = (number) => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
const at = (seconds) => new Date((1_767_225_600 + seconds) * 1_000).toISOString().replace(".000Z", "+00:00");
const count = (length, make) => Array.from({ length }, (_, number) => make(number));

const rows = count(100, (n) => ({ id: id(n), title: `The title of row ${n}`, views: n * 37 }));
const members = count(20, (m) => ({
  id: id(m),
  role: m === 0 ? "OWNER" : "OPERATOR",
  status: "ACTIVE",
  createdAt: at(m * 60),
  held: count(5, (n) => ({
    id: id(m * 5 + n),
    createdAt: at(n * 86_400),
    lastSeenAt: at(n * 86_400 + 3_600),
    isCurrent: m === 0 && n === 4,
  })),
}));

const resolvers = {
  Query: { rows: () => rows, members: (_, { first }) => ({ nodes: members.slice(0, first) }) },
  Member: { sessions: (member, { first }) => ({ nodes: member.held.slice(0, first) }) },
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
