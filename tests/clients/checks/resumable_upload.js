// Files by npm `tus-js-client`: in order, side by side, and over a network that breaks.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { connect, createServer } from "node:net";
import { Readable } from "node:stream";
import { DefaultHttpStack, Upload } from "tus-js-client";
import { headersOf, memberOf, send } from "../harness/caller.js";
import { check } from "../harness/check.js";
import { dev } from "../harness/product.js";

const FILE = randomBytes(6 * 1024 * 1024 + 17);
const DIGEST = createHash("sha256").update(FILE).digest("hex");
const CHUNK = 512 * 1024;

const token = () => memberOf("owner").accessToken;
const endpoint = () => new URL("/uploads", dev.graphql).href;

/** Sends the file with these options on top; the upload, once the client says that it is there. */
function upload(options, file = FILE) {
  return new Promise((resolve, reject) => {
    const sending = new Upload(file, {
      headers: headersOf(token()),
      metadata: { filename: "短片.mp4", filetype: "video/mp4" },
      chunkSize: CHUNK,
      // Fewer than the network breaks: each time something must have been kept, or it is given up.
      retryDelays: [0, 50, 100, 200],
      onError: reject,
      onSuccess: () => resolve(sending),
      ...options,
    });
    sending.start();
  });
}

/** Makes room through the schema; where the bytes go. */
async function begin(sha256) {
  const mutation = `mutation ($input: BeginUploadInput!) {
    beginUpload(input: $input) { upload { url } userErrors { message } } }`;
  const input = { name: "短片.mp4", mediaType: "video/mp4", sizeBytes: String(FILE.length), sha256 };
  const { beginUpload } = await send(token(), mutation, { input });
  assert.deepEqual(beginUpload.userErrors, []);
  return beginUpload.upload.url;
}

/** The product has read the file back, and it is this one. */
async function isReady(url) {
  const query = "{ uploads(last: 100) { nodes { url state sha256 sizeBytes name mediaType } } }";
  for (;;) {
    const { uploads } = await send(token(), query);
    const found = uploads.nodes.find((node) => node.url === url);
    assert(found, `${url} is not among the uploads`);
    if (found.state === "READY") {
      assert.deepEqual(found, {
        url,
        state: "READY",
        sha256: DIGEST,
        sizeBytes: String(FILE.length),
        name: "短片.mp4",
        mediaType: "video/mp4",
      });
      return;
    }
    assert(["RECEIVING", "CHECKING"].includes(found.state), found.state);
    await new Promise((later) => setTimeout(later, 50));
  }
}

/** A way to the product that breaks again and again, after so many bytes. */
async function badNetwork(breaks, bytesEach) {
  const target = new URL(dev.graphql);
  let left = breaks;
  const server = createServer((client) => {
    const product = connect(Number(target.port), target.hostname);
    let passed = 0;
    client.on("data", (data) => {
      passed += data.length;
      if (left > 0 && passed > bytesEach) {
        left -= 1;
        client.resetAndDestroy();
        product.resetAndDestroy();
      } else {
        product.write(data);
      }
    });
    product.on("data", (data) => client.write(data));
    for (const [one, other] of [[client, product], [product, client]]) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return { port: server.address().port, left: () => left, close: () => server.close() };
}

check("tus-js-client: a file in chunks, made room for by the client", async () => {
  const sent = await upload({ endpoint: endpoint() });
  await isReady(sent.url);
});

check("tus-js-client: a file whole, with the first request", async () => {
  const sent = await upload({ endpoint: endpoint(), chunkSize: Infinity, uploadDataDuringCreation: true });
  await isReady(sent.url);
});

check("tus-js-client: a stream, to where the schema said", async () => {
  const url = await begin(DIGEST);
  await upload({ uploadUrl: url, uploadSize: FILE.length }, Readable.from([FILE.subarray(0, 3_000_000), FILE.subarray(3_000_000)]));
  await isReady(url);
});

check("tus-js-client: pieces side by side", async () => {
  const sent = await upload({ endpoint: endpoint(), parallelUploads: 4 });
  await isReady(sent.url);
});

check("tus-js-client: pieces side by side over a network that breaks six times", async () => {
  const network = await badNetwork(6, 600_000);
  const stack = new DefaultHttpStack();
  // The product tells its own address for each piece; all of them go this way.
  const detour = (method, address) => {
    const url = new URL(address);
    url.port = String(network.port);
    return stack.createRequest(method, url.href);
  };
  try {
    const httpStack = { createRequest: detour, getName: () => "detour" };
    const sent = await upload({ endpoint: endpoint(), parallelUploads: 3, chunkSize: Infinity, httpStack });
    assert.equal(network.left(), 0, "it broke as often as it was to");
    await isReady(sent.url);
  } finally {
    network.close();
  }
});

check("tus-js-client: a network that breaks eight times", async () => {
  const url = await begin(DIGEST);
  const network = await badNetwork(8, 700_000);
  const detour = new URL(url);
  detour.port = String(network.port);
  try {
    await upload({ uploadUrl: detour.href, chunkSize: Infinity });
  } finally {
    network.close();
  }
  assert.equal(network.left(), 0, "it broke as often as it was to");
  await isReady(url);
});

check("tus-js-client: stopped half way and gone on with by another", async () => {
  const url = await begin(DIGEST);
  await new Promise((stopped, reject) => {
    const sending = new Upload(FILE, {
      uploadUrl: url,
      headers: headersOf(token()),
      chunkSize: CHUNK,
      onError: reject,
      onChunkComplete: async (_, accepted) => {
        if (accepted > FILE.length / 2) {
          await sending.abort();
          stopped();
        }
      },
    });
    sending.start();
  });
  const seen = [];
  await upload({ uploadUrl: url, onProgress: (bytes) => seen.push(bytes) });
  assert(seen[0] > FILE.length / 2, `it began again at ${seen[0]}`);
  await isReady(url);
});

check("tus-js-client: another tenant's upload is not there", async () => {
  const url = await begin(undefined);
  const stranger = dev.tenants[1].members.find((member) => member.role === "owner").accessToken;
  await assert.rejects(upload({ uploadUrl: url, headers: headersOf(stranger), retryDelays: null }), /404/);
});
