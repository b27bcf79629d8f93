// What every client that follows `memberEvents` is held to.

import assert from "node:assert/strict";
import { invite, send } from "./caller.js";

/** How many invitations must be seen. */
const INVITATIONS = 5;

/** How often somebody is invited until the first invitation is heard of. */
const TRIES_MAX = 40;

/** How long each of these tries is waited for, in milliseconds. */
const TRY_MS = 250;

/**
 * Invites people by plain HTTP, as `token`, until the subscription whose answers go to `mailbox` tells of it: nothing
 * else says when a subscription has begun.
 */
export async function untilHeard(mailbox, token) {
  const invited = [];
  for (let tried = 0; tried < TRIES_MAX; tried += 1) {
    invited.push((await invite(token)).id);
    // Events of before may be waiting: they are of other invitations.
    for (let answer; (answer = await mailbox.poll(TRY_MS)) !== undefined;) {
      const heard = invited.indexOf(eventOf(answer).subjectId);
      if (heard === -1) continue;
      // Those after the first that was heard will be heard as well.
      for (const id of invited.slice(heard + 1)) {
        assert.equal(eventOf(await mailbox.next()).subjectId, id);
      }
      return;
    }
  }
  throw new Error(`no event after ${TRIES_MAX} invitations`);
}

/** Five invitations by another client are told of, in order; what is told of can be read. */
export async function tellsOfInvitations(mailbox, token) {
  await untilHeard(mailbox, token);
  let lastSeq = "";
  for (let n = 0; n < INVITATIONS; n += 1) {
    const invitation = await invite(token);
    const event = eventOf(await mailbox.next());
    assert.equal(event.kind, "MEMBER_INVITED");
    assert.equal(event.subjectId, invitation.id);
    assert(!Number.isNaN(Date.parse(event.at)), event.at);
    assert.notEqual(event.seq, lastSeq);
    lastSeq = event.seq;
    const { node } = await send(token, "query Named($id: ID!) { node(id: $id) { ... on Invitation { email } } }", {
      id: event.subjectId,
    });
    assert.equal(node.email, invitation.email);
  }
}

function eventOf(answer) {
  assert.equal(answer.errors, undefined, JSON.stringify(answer.errors));
  return answer.data.memberEvents;
}
