"""The Python client gql: `gql_client.py query` and `gql_client.py subscription`.

Ends with status 0 when all is as it should be. Where the product is and who asks is in the environment: GRAPHQL_URL,
WEBSOCKET_URL, ACCESS_TOKEN and EMAIL.
"""

import asyncio
import os
import sys
import uuid
from pathlib import Path

from gql import Client, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.requests import RequestsHTTPTransport
from gql.transport.websockets import WebsocketsTransport
from graphql import GraphQLError

DOCUMENTS = Path(__file__).parent.parent / "documents"
HEADERS = {"Authorization": "Bearer " + os.environ["ACCESS_TOKEN"]}

TRIES_MAX = 40
"""How often somebody is invited until the first invitation is heard of."""

TRY_S = 0.25
"""How long each of these tries is waited for, in seconds."""


def document(name):
    return gql((DOCUMENTS / f"{name}.graphql").read_text())


def demand(holds, otherwise):
    if not holds:
        sys.exit(f"not as it should be: {otherwise}")


def http_client():
    transport = RequestsHTTPTransport(url=os.environ["GRAPHQL_URL"], headers=HEADERS, timeout=10)
    return Client(transport=transport, fetch_schema_from_transport=True)


def check_query():
    """Over HTTP, synchronously, with the schema read from the product and documents validated against it."""
    client = http_client()
    with client as session:
        answer = session.execute(document("viewer"))
        demand(answer["viewer"]["member"]["email"] == os.environ["EMAIL"], answer)
        demand(client.schema is not None and client.schema.query_type is not None, "no schema was read")
        demand("memberEvents" in client.schema.subscription_type.fields, "the schema is not whole")

        page = document("members")
        page.variable_values = {"first": 2}
        members = session.execute(page)["members"]
        demand(len(members["edges"]) == 2 and members["pageInfo"]["hasNextPage"], members)
        page.variable_values = {"first": 2, "after": members["pageInfo"]["endCursor"]}
        others = session.execute(page)["members"]
        ids = {edge["node"]["id"] for part in (members, others) for edge in part["edges"]}
        demand(len(ids) == 4, "a member is on both pages")

        try:
            session.execute(gql("{ nothingOfTheKind }"))
            demand(False, "a field that is not there was not refused by the schema that was read")
        except GraphQLError as error:
            demand("nothingOfTheKind" in error.message, error)

        page.variable_values = {"first": 2, "after": "no cursor"}
        try:
            session.execute(page)
            demand(False, "a broken cursor was not refused")
        except TransportQueryError as error:
            demand(error.errors[0]["extensions"]["code"] == "BAD_USER_INPUT", error.errors)


def invite(client):
    invitation = document("invite_member")
    key = str(uuid.uuid4())
    invitation.variable_values = {"input": {"email": f"guest-{key}@example.org", "role": "ANALYST"}, "key": key}
    payload = client.execute(invitation)["inviteMember"]
    demand(payload["userErrors"] == [], payload)
    return payload["invitation"]["id"]


async def check_subscription():
    """Over WebSocket; the invitations that are told of are made over HTTP."""
    # By itself the client offers the legacy protocol too, and then looks for the answer under a name with capitals,
    # though names of headers have no case (RFC 9110, section 5.1): it would go on in the legacy protocol.
    transport = WebsocketsTransport(
        url=os.environ["WEBSOCKET_URL"],
        init_payload=HEADERS,
        subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
    )
    by_http = http_client()
    async with Client(transport=transport, fetch_schema_from_transport=True) as session:
        demand(session.client.schema.subscription_type is not None, "no schema was read")
        answer = await session.execute(document("viewer"))
        demand(answer["viewer"]["member"]["email"] == os.environ["EMAIL"], answer)
        stream = session.subscribe(document("member_events"))
        first = asyncio.ensure_future(anext(stream))
        invited = []
        for _ in range(TRIES_MAX):
            invited.append(await asyncio.to_thread(invite, by_http))
            # Nothing else says when a subscription has begun.
            done, _ = await asyncio.wait([first], timeout=TRY_S)
            if done:
                break
        demand(first.done(), "no event came")
        heard = invited.index(first.result()["memberEvents"]["subjectId"])
        for invitation in invited[heard + 1 :]:
            event = (await asyncio.wait_for(anext(stream), 5))["memberEvents"]
            demand(event["subjectId"] == invitation, event)
        last = await asyncio.to_thread(invite, by_http)
        event = (await asyncio.wait_for(anext(stream), 5))["memberEvents"]
        demand(event["subjectId"] == last and event["kind"] == "MEMBER_INVITED", event)
        await stream.aclose()


if __name__ == "__main__":
    if sys.argv[1:] == ["query"]:
        check_query()
    elif sys.argv[1:] == ["subscription"]:
        asyncio.run(check_subscription())
    else:
        sys.exit(__doc__)
