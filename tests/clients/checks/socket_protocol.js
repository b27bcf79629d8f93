// The protocol graphql-transport-ws, message by message: its close codes, and what hostile clients are told.

import assert from "node:assert/strict";
import { memberOf, WRONG_TOKEN } from "../harness/caller.js";
import { check } from "../harness/check.js";
import { tellsOfInvitations, untilHeard } from "../harness/member_events.js";
import { dev, documentOf } from "../harness/product.js";
import { PROTOCOL, refusalOf, Socket } from "../harness/socket.js";

const token = memberOf("owner").accessToken;
const viewer = { type: "subscribe", id: "viewer", payload: { query: documentOf("viewer") } };
const events = { type: "subscribe", id: "events", payload: { query: documentOf("member_events") } };

/** A check on an open socket, with which `connection_init` was exchanged or not. */
function checkOpen(name, body) {
  checkOn(() => Socket.open(), name, body);
}

function checkSignedIn(name, body) {
  checkOn(() => Socket.signedIn(token), name, body);
}

function checkOn(open, name, body) {
  check(`socket: ${name}`, async () => {
    const socket = await open();
    try {
      await body(socket);
    } finally {
      socket.abandon();
    }
  });
}

checkOpen("subscribe before connection_ack closes with 4401", async (socket) => {
  socket.send(viewer);
  await socket.closesWith(4401);
});

checkSignedIn("a second connection_init closes with 4429", async (socket) => {
  socket.send({ type: "connection_init" });
  await socket.closesWith(4429);
});

checkSignedIn("a message that is not JSON closes with 4400", async (socket) => {
  socket.sendRaw('{"type":');
  await socket.closesWith(4400);
});

checkSignedIn("a message of unknown type closes with 4400", async (socket) => {
  socket.send({ type: "start", id: "1" });
  await socket.closesWith(4400);
});

checkSignedIn("an id in use closes with 4409", async (socket) => {
  socket.send(events);
  socket.send(events);
  await socket.closesWith(4409);
});

checkOpen("no connection_init closes with 4408", async (socket) => {
  await socket.closesWith(4408);
});

checkSignedIn("an invalid document is answered by `error` alone", async (socket) => {
  socket.send({ ...viewer, payload: { query: "{ nothingOfTheKind }" } });
  const { type, id, payload } = await socket.message();
  assert.equal(type, "error");
  assert.equal(id, viewer.id);
  assert.equal(payload[0].extensions.code, "GRAPHQL_VALIDATION_FAILED");
  await socket.isSilent();
});

checkSignedIn("the client's `complete` is answered by silence", async (socket) => {
  socket.send(events);
  await socket.isSilent();
  socket.send({ type: "complete", id: events.id });
  await socket.isSilent();
  // The id is free again.
  socket.send({ ...viewer, id: events.id });
  assert.equal((await socket.message()).type, "next");
  assert.deepEqual(await socket.message(), { type: "complete", id: events.id });
});

checkOpen("a ping gets a pong with its payload, before signing in too", async (socket) => {
  await socket.isSilent();
  socket.send({ type: "ping" });
  assert.deepEqual(await socket.message(), { type: "pong" });
});

checkSignedIn("a message of 200 kB closes with 1009", async (socket) => {
  socket.send({ type: "ping", payload: { text: "x".repeat(200_000) } });
  await socket.closesWith(1009);
});

check("socket: the legacy subprotocol graphql-ws is refused", async () => {
  assert.equal(await refusalOf("graphql-ws"), 400);
});

check("socket: of several subprotocols the one spoken is chosen", async () => {
  // Opening demands which one it is.
  const socket = await Socket.open(["graphql-ws", PROTOCOL]);
  socket.abandon();
});

checkSignedIn("a subscription tells of five invitations, one message each", async (socket) => {
  socket.send(events);
  await tellsOfInvitations(socket.answersOf(events.id), token);
});

checkSignedIn("a finished query is `next` and `complete`, and its compliance id is told", async (socket) => {
  socket.send(viewer);
  const { type, id, payload } = await socket.message();
  assert.equal(type, "next");
  assert.equal(id, viewer.id);
  assert.equal(payload.data.viewer.member.role, "OWNER");
  assert.match(payload.extensions.complianceId, /^[0-9a-f-]{36}$/);
  assert.deepEqual(await socket.message(), { type: "complete", id: viewer.id });
});

checkOpen("a wrong token closes with 4403", async (socket) => {
  socket.send({ type: "connection_init", payload: { authorization: `Bearer ${WRONG_TOKEN}` } });
  await socket.closesWith(4403);
});

checkSignedIn("a binary message closes with 1003", async (socket) => {
  socket.sendRaw(Buffer.from('{"type":"ping"}'));
  await socket.closesWith(1003);
});

check("socket: a handshake without a subprotocol is refused", async () => {
  assert.equal(await refusalOf([]), 400);
});

check("socket: a page of another origin is refused", async () => {
  assert.equal(await refusalOf(PROTOCOL, { origin: "https://evil.example" }), 403);
});

check("socket: subscribing signed out is an error, not an event", async () => {
  const socket = await Socket.open();
  socket.send({ type: "connection_init" });
  assert.equal((await socket.message()).type, "connection_ack");
  socket.send(events);
  const message = await socket.message();
  const errors = message.type === "error" ? message.payload : message.payload.errors;
  assert.equal(errors[0].extensions.code, "UNAUTHENTICATED", JSON.stringify(message));
  socket.abandon();
});

check("socket: another tenant's invitations are not told of", async () => {
  const other = dev.tenants[1].members.find(({ role }) => role === "owner");
  const [ours, theirs] = [await Socket.signedIn(token), await Socket.signedIn(other.accessToken)];
  for (const socket of [ours, theirs]) socket.send(events);
  // Silence means something only once they would hear.
  await untilHeard(theirs.answersOf(events.id), other.accessToken);
  await tellsOfInvitations(ours.answersOf(events.id), token);
  await theirs.isSilent();
  ours.abandon();
  theirs.abandon();
});
