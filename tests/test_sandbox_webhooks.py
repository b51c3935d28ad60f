"""The sandbox's webhooks are signed, nested, numbered and sent again as Wix does it."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from joserfc.errors import JoseError

from parcelhook.sandbox import Running, SandboxSettings, running
from parcelhook.sandbox.webhooks import RETRY_WAITS
from sandbox_client import LINE, Inbox, Json, Wix, events_of, ok, opened, receiver, until

ORDER = "wix.ecom.v1.order"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    """Serve one sandbox whose retries come at once."""
    with running(SandboxSettings(rate_limit=0, time_scale=0.0)) as sandbox:
        yield sandbox


@pytest.fixture
def wix(sandbox: Running) -> Iterator[Wix]:
    """Call it."""
    with Wix(sandbox) as wix:
        yield wix


@pytest.fixture
def inbox(wix: Wix) -> Iterator[Inbox]:
    """Listen for its webhooks."""
    with receiver() as inbox:
        wix.control("POST", "webhooks", {"url": inbox.url})
        yield inbox
        wix.control("DELETE", "webhooks", {"url": inbox.url})


def received(wix: Wix, inbox: Inbox, count: int) -> list[Json]:
    """Wait for some events and give them by the order of their entities' sequence."""
    until(lambda: len(inbox.bodies) >= count)
    return sorted(events_of(inbox, wix.ready), key=lambda event: int(event["data"]["entityEventSequence"]))


def test_the_body_is_one_token_with_wix_nesting(wix: Wix, inbox: Inbox) -> None:
    """The whole body is a compact RS256 token: claims, a string, and in it strings for the event and the identity."""
    order = wix.order()
    until(lambda: len(inbox.bodies) == 2)
    token = inbox.bodies[0]
    header = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    claims = opened(token, wix.ready["public_key_file"])
    envelope = json.loads(claims["data"])
    event = json.loads(envelope["data"])

    assert inbox.content_types[0].startswith("text/plain")
    assert header["alg"] == "RS256"
    assert set(claims) == {"data", "iat", "exp"}
    assert claims["exp"] - claims["iat"] == 300_000
    assert envelope["instanceId"] == wix.ready["instance_id"]
    assert isinstance(envelope["identity"], str)
    assert isinstance(envelope["accountInfo"], dict)
    assert event["entityFqdn"] == ORDER
    assert event["entityId"] == order
    assert event["eventTime"].endswith("Z")
    assert event["triggeredByAnonymizeRequest"] is False


def test_a_changed_token_does_not_verify(wix: Wix, inbox: Inbox) -> None:
    """A token whose payload was changed fails against the public key."""
    wix.order()
    until(lambda: bool(inbox.bodies))
    header, payload, signature = inbox.bodies[0].split(".")

    with pytest.raises(JoseError):
        opened(f"{header}.{payload[:-2]}AA.{signature}", wix.ready["public_key_file"])


def test_an_order_is_created_then_approved(wix: Wix, inbox: Inbox) -> None:
    """A new order fires order_created with the entity and order_approved with the order, numbered as strings."""
    order = wix.order()
    created, approved = received(wix, inbox, 2)

    assert (created["eventType"], created["data"]["slug"]) == ("wix.ecom.v1.order_created", "created")
    assert (approved["eventType"], approved["data"]["slug"]) == ("wix.ecom.v1.order_approved", "approved")
    assert created["data"]["createdEvent"]["entity"]["id"] == order
    assert approved["data"]["actionEvent"]["body"]["order"] == wix.get_order(order)
    assert [event["data"]["entityEventSequence"] for event in (created, approved)] == ["1", "2"]
    assert approved["identity"]["identityType"] == "ANONYMOUS_VISITOR"


def test_an_order_that_is_approved_later(wix: Wix, inbox: Inbox) -> None:
    """A pending order fires no order_approved until it is approved."""
    order = wix.order(status="PENDING")
    wix.control("PATCH", f"orders/{order}", {"status": "APPROVED", "paymentStatus": "NOT_PAID"})
    events = received(wix, inbox, 4)

    assert [event["eventType"].removeprefix("wix.ecom.v1.order_") for event in events] == [
        "created",
        "updated",
        "approved",
        "payment_status_updated",
    ]
    assert events[3]["data"]["actionEvent"]["body"]["previousPaymentStatus"] == "PAID"


def test_a_cancellation_is_told(wix: Wix, inbox: Inbox) -> None:
    """Canceling fires order_canceled with the order and what the merchant chose."""
    order = wix.order()
    ok(wix.control("POST", f"orders/{order}/cancel"))
    ok(wix.control("POST", f"orders/{order}/cancel"))
    event = received(wix, inbox, 3)[-1]

    body = event["data"]["actionEvent"]["body"]
    assert event["eventType"] == "wix.ecom.v1.order_canceled"
    assert body["order"]["status"] == "CANCELED"
    assert set(body) == {"order", "restockAllItems", "sendOrderCanceledEmail", "customMessage"}
    assert event["data"]["entityEventSequence"] == "3"


def test_every_write_tells_fulfillments_updated(wix: Wix, inbox: Inbox) -> None:
    """Create, update and delete fire fulfillments_updated with the whole list, the order's id, and our app."""
    order = wix.order()
    fulfillment = wix.created(order)
    wix.update(order, fulfillment, status="Ready")
    wix.delete(order, fulfillment)
    until(lambda: len(inbox.bodies) == 9)
    events = [event for event in received(wix, inbox, 9) if event["eventType"] == "wix.ecom.v1.fulfillments_updated"]

    entities = [event["data"]["updatedEvent"]["currentEntity"] for event in events]
    assert {event["data"]["entityFqdn"] for event in events} == {"wix.ecom.v1.fulfillments"}
    assert {event["data"]["entityId"] for event in events} == {order}
    assert {event["data"]["slug"] for event in events} == {"updated"}
    assert [event["data"]["entityEventSequence"] for event in events] == ["1", "2", "3"]
    assert [[entry.get("status") for entry in entity["fulfillments"]] for entity in entities] == [[None], ["Ready"], []]
    assert all(event["identity"] == {"identityType": "APP", "appId": wix.ready["app_id"]} for event in events)


def test_order_fulfilled_fires_on_any_change_of_status(wix: Wix, inbox: Inbox) -> None:
    """order_fulfilled says which fulfillmentStatus was and is, forward and back."""
    order = wix.order(quantity=2)
    fulfillment = wix.created(order, lineItems=[{"id": LINE, "quantity": 1}])
    wix.created(order)
    wix.delete(order, fulfillment)
    wix.control("PATCH", f"orders/{order}", {"fulfillmentStatus": "FULFILLED"})
    until(lambda: len(inbox.bodies) == 13)
    bodies = [
        event["data"]["actionEvent"]["body"]
        for event in received(wix, inbox, 13)
        if event["eventType"] == "wix.ecom.v1.order_fulfilled"
    ]

    assert [(body["previousFulfillmentStatus"], body["newFulfillmentStatus"]) for body in bodies] == [
        ("NOT_FULFILLED", "PARTIALLY_FULFILLED"),
        ("PARTIALLY_FULFILLED", "FULFILLED"),
        ("FULFILLED", "PARTIALLY_FULFILLED"),
        ("PARTIALLY_FULFILLED", "FULFILLED"),
    ]
    assert bodies[0]["order"]["fulfillmentStatus"] == "PARTIALLY_FULFILLED"


def test_a_refused_write_tells_nothing(wix: Wix, inbox: Inbox) -> None:
    """What is refused fires no event."""
    order = wix.order(status="PENDING")
    wix.create(order)
    wix.create(order, lineItems=[])
    wix.bulk({"orderId": order, "fulfillments": [{"lineItems": [{"id": LINE}]}]})

    log = wix.control("GET", "events").json()
    assert [event["eventType"] for event in log if event["entityId"] == order] == ["wix.ecom.v1.order_created"]


def test_the_waits_are_those_wix_publishes() -> None:
    """Twelve retries after 1 and 10 minutes, 1 hour, thrice 2, thrice 4, twice 8, and 12 hours: 47 h 11 min in all."""
    assert [wait // 60 for wait in RETRY_WAITS] == [1, 10, 60, *[120] * 3, *[240] * 3, *[480] * 2, 720]
    assert sum(RETRY_WAITS) == 47 * 3600 + 11 * 60


@pytest.mark.parametrize("status", [201, 204, 302, 400, 500])
def test_only_200_is_success(wix: Wix, inbox: Inbox, status: int) -> None:
    """Any other answer is a failure: the same token comes again, to the byte."""
    inbox.answers = [status, status]
    wix.order(status="PENDING")
    until(lambda: len(inbox.bodies) == 3)

    assert len(set(inbox.bodies)) == 1
    assert deliveries(wix, wix.control("GET", "events").json()[-1]["id"])[0]["statuses"][:2] == [status, status]


def deliveries(wix: Wix, event_id: str) -> list[Json]:
    """Give an event's deliveries."""
    log = {event["id"]: event for event in wix.control("GET", "events").json()}
    found: list[Json] = log[event_id]["deliveries"]
    return found


def test_after_twelve_retries_it_gives_up(wix: Wix, inbox: Inbox) -> None:
    """Thirteen attempts fail, then the event is given up."""
    inbox.answers = [500] * 20
    wix.order(status="PENDING")
    event = wix.control("GET", "events").json()[-1]["id"]
    until(lambda: bool(deliveries(wix, event)[0]["given_up"]))

    assert deliveries(wix, event)[0]["statuses"] == [500] * 13
    assert deliveries(wix, event)[0]["delivered"] is False
    assert len(inbox.bodies) == 13


def test_a_retry_carries_the_data_of_the_first_attempt(wix: Wix, inbox: Inbox) -> None:
    """What changed between two attempts is not in the second."""
    inbox.hold = threading.Event()
    inbox.answers = [500]
    order = wix.order(status="PENDING")
    until(lambda: len(inbox.bodies) == 1)
    wix.control("PATCH", f"orders/{order}", {"archived": True})
    inbox.hold.set()
    until(lambda: len(inbox.bodies) == 3)

    archived = [
        event["data"]["createdEvent"]["entity"]["archived"]
        for event in events_of(inbox, wix.ready)
        if "createdEvent" in event["data"]
    ]
    assert archived == [False, False]


def test_a_slow_receiver_holds_nothing_up() -> None:
    """The API answers while a receiver sleeps, and an answer after the deadline is none."""
    settings = SandboxSettings(rate_limit=0, time_scale=0.0, webhook_deadline=0.05)
    with receiver() as inbox, running(settings) as sandbox, Wix(sandbox) as wix:
        inbox.hold = threading.Event()
        wix.control("POST", "webhooks", {"url": inbox.url})
        order = wix.order(status="PENDING")
        event = wix.control("GET", "events").json()[-1]["id"]
        while_held = wix.get_order(order)["id"]
        until(lambda: len(deliveries(wix, event)[0]["statuses"]) >= 2)
        statuses = deliveries(wix, event)[0]["statuses"]

    assert while_held == order
    assert statuses[:2] == [0, 0]
    assert SandboxSettings().webhook_deadline == 1.25


def test_a_receiver_that_is_not_there(wix: Wix) -> None:
    """A refused connection is a failed attempt like any other."""
    wix.control("POST", "webhooks", {"url": "http://127.0.0.1:1/"})
    wix.order(status="PENDING")
    event = wix.control("GET", "events").json()[-1]["id"]
    until(lambda: bool(deliveries(wix, event)[0]["given_up"]))

    assert deliveries(wix, event)[0]["statuses"] == [0] * 13


def test_redelivery_sends_the_same_event_again(wix: Wix, inbox: Inbox) -> None:
    """A duplicate carries the event's own id and sequence."""
    wix.order(status="PENDING")
    until(lambda: len(inbox.bodies) == 1)
    event = events_of(inbox, wix.ready)[0]["data"]
    ok(wix.control("POST", f"events/{event['id']}/redeliver"))
    until(lambda: len(inbox.bodies) == 2)

    assert events_of(inbox, wix.ready)[1]["data"] == event
    assert wix.control("POST", "events/unknown/redeliver").status_code == 404


def test_a_webhook_may_take_some_types_only(wix: Wix) -> None:
    """A URL registered for one type is sent no other, and a removed one nothing."""
    with receiver() as inbox:
        registration = {"url": inbox.url, "events": ["wix.ecom.v1.order_approved"]}
        assert ok(wix.control("POST", "webhooks", registration)) == {"webhooks": [inbox.url]}
        order = wix.order()
        until(lambda: len(inbox.bodies) == 1)
        assert ok(wix.control("DELETE", "webhooks", {"url": inbox.url})) == {"webhooks": []}
        wix.order()
        types = {event["eventType"] for event in events_of(inbox, wix.ready)}

    log = [event for event in wix.control("GET", "events").json() if event["entityId"] == order]
    assert types == {"wix.ecom.v1.order_approved"}
    assert [len(event["deliveries"]) for event in log] == [0, 1]


def test_the_key_file_holds_a_public_key_only(wix: Wix) -> None:
    """What is written out is a public key in PEM, and nothing of the private one."""
    text = Path(str(wix.ready["public_key_file"])).read_text()

    assert text.startswith("-----BEGIN PUBLIC KEY-----")
    assert "PRIVATE" not in text
