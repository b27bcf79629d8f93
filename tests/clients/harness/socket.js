// A bare WebSocket that speaks JSON, to say what no well-behaved client says.

import assert from "node:assert/strict";
import { once } from "node:events";
import WebSocket from "ws";
import { headersOf } from "./caller.js";
import { Mailbox } from "./mailbox.js";
import { dev } from "./product.js";

/** The subprotocol the product speaks. */
export const PROTOCOL = "graphql-transport-ws";

/** Longest a close may be waited for, in milliseconds: longer than the product waits for a client to begin. */
const CLOSE_MAX_MS = 8_000;

/** How it ended, among the messages. */
const CLOSED = Symbol("closed");

/** A message that is none of the socket's end. */
function notClosed(message) {
  assert.equal(message[CLOSED], undefined, `closed with ${message[CLOSED]?.code}: ${message[CLOSED]?.reason}`);
  return message;
}

/** An open socket. */
export class Socket {
  #socket;
  #mailbox = new Mailbox();

  /** Opens one, offering these subprotocols. */
  static async open(protocols = PROTOCOL) {
    const socket = new Socket();
    socket.#socket = new WebSocket(dev.websocket, protocols);
    socket.#socket.on("message", (data) => socket.#mailbox.put(JSON.parse(data)));
    socket.#socket.on("close", (code, reason) => socket.#mailbox.put({ [CLOSED]: { code, reason: String(reason) } }));
    await once(socket.#socket, "open");
    assert.equal(socket.#socket.protocol, PROTOCOL);
    return socket;
  }

  /** Opens one and signs in. */
  static async signedIn(token) {
    const socket = await Socket.open();
    socket.send({ type: "connection_init", payload: headersOf(token) });
    const ack = await socket.message();
    assert.equal(ack.type, "connection_ack");
    assert.match(ack.payload.complianceId, /^[0-9a-f-]{36}$/);
    return socket;
  }

  /** Sends a message. */
  send(message) {
    this.sendRaw(JSON.stringify(message));
  }

  /** Sends text (a string) or a binary message (a buffer) as it is. */
  sendRaw(data) {
    this.#socket.send(data);
  }

  /** The next message, which must come before the socket closes. */
  async message() {
    return notClosed(await this.#mailbox.next());
  }

  /** The answers of the operation `id`, as a mailbox has them; no other message may come meanwhile. */
  answersOf(id) {
    const payloadOf = (message) => {
      const { type, id: told, payload } = notClosed(message);
      assert.deepEqual({ type, id: told }, { type: "next", id });
      return payload;
    };
    return {
      next: async () => payloadOf(await this.#mailbox.next()),
      poll: async (ms) => {
        const message = await this.#mailbox.poll(ms);
        return message && payloadOf(message);
      },
    };
  }

  /** Demands that the product closes the socket, with this code and without another message. */
  async closesWith(expected) {
    const message = await this.#mailbox.poll(CLOSE_MAX_MS);
    assert(message !== undefined, `still open after ${CLOSE_MAX_MS} ms`);
    assert(message[CLOSED], `a message came: ${JSON.stringify(message)}`);
    assert.equal(message[CLOSED].code, expected, message[CLOSED].reason);
  }

  /** Sends a ping and demands that its pong is the next that comes: until then nothing else did. */
  async isSilent() {
    const payload = { mark: String(performance.now()) };
    this.send({ type: "ping", payload });
    assert.deepEqual(await this.message(), { type: "pong", payload });
  }

  /** Closes it without waiting. */
  abandon() {
    this.#socket.terminate();
  }
}

/** The status with which a handshake is refused. */
export async function refusalOf(protocols, headers = {}) {
  const socket = new WebSocket(dev.websocket, protocols, { headers });
  const refused = once(socket, "unexpected-response").then(([, response]) => {
    response.resume();
    return response.statusCode;
  });
  const opened = once(socket, "open").then(() => {
    socket.terminate();
    throw new Error(`accepted, with the subprotocol "${socket.protocol}"`);
  });
  return Promise.race([refused, opened]);
}
