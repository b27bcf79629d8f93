// Mercurius with a subscription like the product's `postEvents`: PORT comes from the environment. What is POSTed to
// /publish is told to all who listen, through its own emitter in memory.
import Fastify from "fastify";
import mercurius from "mercurius";

const schema = `
  scalar DateTime
  type PostEventNotice { seq: String! at: DateTime! postId: ID planId: ID }
  type Query { nothing: String }
  type Subscription { postEvents: PostEventNotice! }
`;

const resolvers = {
  Subscription: { postEvents: { subscribe: (_, __, { pubsub }) => pubsub.subscribe("postEvents") } },
};

const app = Fastify();
app.register(mercurius, { schema, resolvers, jit: 1, graphiql: false, subscription: true });
app.post("/publish", async (request) => {
  await new Promise((resolve) => app.graphql.pubsub.publish({ topic: "postEvents", payload: { postEvents: request.body } }, resolve));
  return {};
});
await app.listen({ host: "127.0.0.1", port: Number(process.env.PORT) });
