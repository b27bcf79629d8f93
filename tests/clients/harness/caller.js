// Callers of the product: members of the first demo tenant, each with a session of its own.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { dev, documentOf } from "./product.js";

/** A token of the right shape that was never issued. */
export const WRONG_TOKEN = "not-a-token-of-this-installation";

/** The demo member with that role. */
export function memberOf(role) {
  const member = dev.tenants[0].members.find((candidate) => candidate.role === role);
  assert(member, `there is no ${role} among the demo members`);
  return member;
}

/** Signs the member in, and gives the new session's access token. */
export async function signIn({ email, password }) {
  const response = await fetch(new URL("/auth/sign-in", dev.graphql), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ tenant: dev.tenants[0].slug, email, password }),
  });
  const body = await response.json();
  assert.equal(response.status, 200, JSON.stringify(body));
  return body.accessToken;
}

/** The headers a caller sends. */
export function headersOf(token) {
  return { authorization: `Bearer ${token}` };
}

/** Sends an operation by plain HTTP, without any client of GraphQL. Gives `data`; there must be no errors. */
export async function send(token, query, variables = {}) {
  const response = await fetch(dev.graphql, {
    method: "POST",
    headers: { ...headersOf(token), "content-type": "application/json" },
    body: JSON.stringify({ query, variables }),
  });
  const body = await response.json();
  assert.equal(body.errors, undefined, JSON.stringify(body.errors));
  return body.data;
}

/** Variables of `invite_member`: somebody new each time. */
export function somebody() {
  const key = randomUUID();
  return { input: { email: `guest-${key}@example.org`, role: "ANALYST" }, key };
}

/** Invites somebody new, and gives the invitation. */
export async function invite(token) {
  const { inviteMember } = await send(token, documentOf("invite_member"), somebody());
  assert.deepEqual(inviteMember.userErrors, []);
  return inviteMember.invitation;
}
