"""Client and sandbox, made apart after one contract, understand each other over real HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from pydantic import JsonValue

from parcelhook.errors import (
    TrackingNumberExists,
    WixError,
    WixForbidden,
    WixInvalidRequest,
    WixNoAnswer,
    WixNotFound,
    WixRateLimited,
    WixUnauthorized,
    WixUnavailable,
    WixUnreachable,
    WixUnreadable,
)
from parcelhook.models import ShipmentItem
from parcelhook.sandbox import SandboxSettings, running
from parcelhook.wix import (
    ApiKey,
    NewFulfillment,
    OAuthCredentials,
    Patience,
    WebhookVerifier,
    WixClient,
)
from wix_wire import LINE_ITEM, RecordingGate, client_of, serving


@dataclass(frozen=True)
class Store:
    """A running sandbox, what it told when it was ready, and a way to its controls."""

    url: str
    ready: Mapping[str, object]
    http: httpx.Client


@contextmanager
def opened(settings: SandboxSettings) -> Iterator[Store]:
    """Run a store."""
    with running(settings) as sandbox, httpx.Client(base_url=f"{sandbox.url}/_sandbox/") as http:
        yield Store(sandbox.url, sandbox.ready, http)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Store]:
    """Run one store for all tests; each makes orders of its own."""
    with opened(SandboxSettings(rate_limit=0)) as store:
        yield store


@pytest.fixture
def gate() -> RecordingGate:
    """Remember what passed."""
    return RecordingGate()


@pytest.fixture
def client(sandbox: Store, gate: RecordingGate) -> Iterator[WixClient]:
    """Give a client of the store with an app's credentials."""
    control(sandbox, "DELETE", "faults")
    with client_of(sandbox.url, credentials=app_of(sandbox), gate=gate) as client:
        yield client


def app_of(sandbox: Store, **changes: str) -> OAuthCredentials:
    """Give the store's own credentials, but for changes."""
    names = ("app_id", "app_secret", "instance_id")
    return OAuthCredentials.model_validate({name: sandbox.ready[name] for name in names} | changes)


def control(sandbox: Store, method: str, path: str, body: object = None) -> dict[str, JsonValue]:
    """Work the sandbox's controls."""
    data: dict[str, JsonValue] = sandbox.http.request(method, path, json=body).raise_for_status().json()
    return data


def new_orders(sandbox: Store, count: int = 1, **order: JsonValue) -> list[str]:
    """Make orders of one line item of three."""
    body = {"count": count, "items": [{"quantity": 3}], "order": order}
    ids = control(sandbox, "POST", "orders", body)["order_ids"]
    assert isinstance(ids, list)
    return [str(each) for each in ids]


def fault(sandbox: Store, route: str, **settings: JsonValue) -> None:
    """Let a fault befall the next call of a route."""
    control(sandbox, "POST", "faults", {"route": route, **settings})


def fulfillments(sandbox: Store, order_id: str) -> list[JsonValue]:
    """Look into the store."""
    found = control(sandbox, "GET", "fulfillments")[order_id]
    assert isinstance(found, list)
    return found


def new(
    number: str | None = None, *, provider: str = "ups", quantity: int = 1, link: str | None = None
) -> NewFulfillment:
    """Give a fulfillment of the one line item there is."""
    items = (ShipmentItem(line_item_id=LINE_ITEM, quantity=quantity),)
    return NewFulfillment(
        line_items=items, tracking_number=number or uuid4().hex, shipping_provider=provider, tracking_link=link
    )


def test_standard_provider_gets_wixs_link(sandbox: Store, client: WixClient) -> None:
    """For a predefined provider the store answers with a link of its own."""
    (order_id,) = new_orders(sandbox)

    created = client.create_fulfillment(order_id, new("1Z999AA10123456784", provider="ups"))

    (made,) = created.order.fulfillments
    assert made.id == created.fulfillment_id
    assert made.tracking_info is not None
    assert made.tracking_info.link is not None
    assert "1Z999AA10123456784" in made.tracking_info.link
    assert made.line_items[0].quantity == 1


def test_custom_provider_keeps_our_link(sandbox: Store, client: WixClient) -> None:
    """A custom provider's link comes back as it was sent."""
    (order_id,) = new_orders(sandbox)
    link = "https://track.acme.example/parcel/A%2F1"

    created = client.create_fulfillment(order_id, new(provider="Acme", link=link))

    info = created.order.fulfillments[0].tracking_info
    assert info is not None
    assert (info.provider, info.link) == ("Acme", link)


def test_status_moves_and_everything_else_stays(sandbox: Store, client: WixClient) -> None:
    """An update of the status leaves number, provider, link and items alone."""
    (order_id,) = new_orders(sandbox)
    created = client.create_fulfillment(order_id, new())
    before = created.order.fulfillments[0]

    for status in ("Ready", "In_Delivery", "Fulfilled"):
        after = client.update_status(order_id, created.fulfillment_id, status).fulfillments[0]
        assert after == before.model_copy(update={"status": status})


def test_tracking_is_corrected(sandbox: Store, client: WixClient) -> None:
    """A new number of a predefined provider gets a new link."""
    (order_id,) = new_orders(sandbox)
    created = client.create_fulfillment(order_id, new("OLD-NUMBER"))

    (after,) = client.update_tracking(
        order_id, created.fulfillment_id, tracking_number="NEW-NUMBER", shipping_provider="fedex"
    ).fulfillments

    assert after.tracking_info is not None
    assert (after.tracking_info.number, after.tracking_info.provider) == ("NEW-NUMBER", "fedex")
    assert after.tracking_info.link is not None
    assert "NEW-NUMBER" in after.tracking_info.link


def test_delete_gives_what_remains(sandbox: Store, client: WixClient) -> None:
    """Each write answers with all fulfillments of the order."""
    (order_id,) = new_orders(sandbox)
    first = client.create_fulfillment(order_id, new())
    second = client.create_fulfillment(order_id, new())

    assert [each.id for each in second.order.fulfillments] == [first.fulfillment_id, second.fulfillment_id]
    assert [each.id for each in client.delete_fulfillment(order_id, first.fulfillment_id).fulfillments] == [
        second.fulfillment_id
    ]
    assert client.delete_fulfillment(order_id, second.fulfillment_id).fulfillments == ()


def test_lists_agree(sandbox: Store, client: WixClient) -> None:
    """One order's list and many orders' lists say the same; an unknown order is not in the latter."""
    one, two = new_orders(sandbox, 2)
    client.create_fulfillment(one, new())
    unknown = str(uuid4())

    many = client.list_fulfillments_by_ids([one, two, unknown])

    assert many == {one: client.list_fulfillments(one), two: client.list_fulfillments(two)}
    assert len(many[one].fulfillments) == 1
    assert many[two].fulfillments == ()


def test_bulk_create_tells_about_each_order(sandbox: Store, client: WixClient) -> None:
    """What failed is named by its index, and the rest is created."""
    orders = new_orders(sandbox, 3)
    client.create_fulfillment(orders[1], new("TAKEN"))

    result = client.bulk_create_fulfillments(
        [(orders[0], [new()]), (orders[1], [new("TAKEN")]), (orders[2], [new()]), (str(uuid4()), [new()])]
    )

    assert [item.success for item in result.items] == [True, False, True, False]
    assert [item.order_id for item in result.items][:3] == orders
    assert result.items[1].code == "TRACKING_NUMBER_ALREADY_EXISTS"
    assert result.items[0].fulfillments == client.list_fulfillments(orders[0])
    assert (result.missing, result.total_successes, result.total_failures) == ((), 2, 2)


def test_bulk_failures_without_details_are_missing(sandbox: Store, client: WixClient) -> None:
    """Beyond its threshold Wix only counts failures."""
    orders = new_orders(sandbox, 2)
    control(sandbox, "PATCH", "switches", {"bulk_detail_threshold": 1})
    try:
        result = client.bulk_create_fulfillments([(order_id, [new(quantity=9)]) for order_id in orders])
    finally:
        control(sandbox, "PATCH", "switches", {"bulk_detail_threshold": 100})

    assert [item.original_index for item in result.items] == [0]
    assert (result.missing, result.undetailed_failures) == ((1,), 1)


def test_full_bulk_of_100(sandbox: Store, client: WixClient) -> None:
    """One call takes a hundred orders."""
    orders = new_orders(sandbox, 100)

    result = client.bulk_create_fulfillments([(order_id, [new()]) for order_id in orders])

    assert all(item.success for item in result.items)
    assert len(result.items) == 100


def test_order_is_read_with_its_consignee(sandbox: Store, client: WixClient) -> None:
    """The sandbox's orders have Wix's shape, undocumented keys included."""
    (order_id,) = new_orders(sandbox)

    order = client.get_order(order_id)

    assert (order.id, order.status, order.payment_status) == (order_id, "APPROVED", "PAID")
    assert order.fulfillment_status == "NOT_FULFILLED"
    assert order.line_items[0].quantity == 3
    assert order.line_items[0].shippable
    assert order.consignee.country == "US"
    assert order.consignee.name
    assert order.created_date is not None
    assert order.created_date.utcoffset() is not None


def test_search_pages_through_what_the_filter_matches(sandbox: Store, client: WixClient, gate: RecordingGate) -> None:
    """Seven orders in pages of three are three calls, and none is missed or told twice."""
    orders = new_orders(sandbox, 7)
    new_orders(sandbox, 1, paymentStatus="NOT_PAID")

    found = client.search_orders({"id": {"$in": [*orders]}}, sort=[("createdDate", "ASC")], limit=3)

    assert [order.id for order in found] == orders
    assert [call[0] for call in gate.calls].count("search-orders") == 3


def test_refusals_are_told_apart(sandbox: Store, client: WixClient) -> None:
    """A known number, an unknown order, too much, and an order that is not approved each have their error."""
    one, two = new_orders(sandbox, 2)
    (canceled,) = new_orders(sandbox, status="CANCELED")
    client.create_fulfillment(one, new("KNOWN"))

    with pytest.raises(TrackingNumberExists):
        client.create_fulfillment(two, new("KNOWN"))
    with pytest.raises(WixNotFound) as unknown:
        client.get_order(str(uuid4()))
    with pytest.raises(WixInvalidRequest):
        client.create_fulfillment(two, new(quantity=4))
    with pytest.raises(WixInvalidRequest):
        client.create_fulfillment(canceled, new())
    with pytest.raises(WixNotFound):
        client.delete_fulfillment(one, str(uuid4()))
    assert unknown.value.code == "ORDER_NOT_FOUND"
    assert unknown.value.request_id


def test_validation_error_names_the_field(sandbox: Store, client: WixClient) -> None:
    """What the store refuses by its format is named."""
    (order_id,) = new_orders(sandbox)

    with pytest.raises(WixInvalidRequest) as caught:
        client.create_fulfillment(order_id, new(provider="Acme", link="no link at all"))

    assert any("trackingLink" in name for name in caught.value.fields)


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"effect": "none", "status": 500}, WixUnavailable),
        ({"effect": "none", "status": 503}, WixUnavailable),
        ({"effect": "none", "status": 403}, WixForbidden),
        ({"effect": "none", "status": 502, "body": "html"}, WixUnavailable),
        ({"effect": "none", "status": 400, "body": "truncated"}, WixInvalidRequest),
    ],
)
def test_refused_write_did_nothing(
    sandbox: Store, client: WixClient, settings: dict[str, JsonValue], kind: type[WixError]
) -> None:
    """A fault that refuses has its error and is not tried again."""
    (order_id,) = new_orders(sandbox)
    fault(sandbox, "create", **settings)

    with pytest.raises(kind):
        client.create_fulfillment(order_id, new())

    assert fulfillments(sandbox, order_id) == []


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, WixNoAnswer),
        ({"body": "html"}, WixUnreadable),
        ({"body": "truncated"}, WixUnreadable),
        ({"body": "empty"}, WixUnavailable),
    ],
)
def test_untold_write_is_ambiguous_and_happened_once(
    sandbox: Store, client: WixClient, settings: dict[str, JsonValue], kind: type[WixError]
) -> None:
    """A write whose answer is lost is not repeated here, and a look shows what became of it."""
    (order_id,) = new_orders(sandbox)
    fault(sandbox, "create", effect="untold", **settings)

    with pytest.raises(kind) as caught:
        client.create_fulfillment(order_id, new("UNTOLD-" + order_id))

    assert caught.value.ambiguous
    (made,) = client.list_fulfillments(order_id).fulfillments
    assert made.tracking_number == "UNTOLD-" + order_id


def test_late_write_is_ambiguous_and_shows_up_later(sandbox: Store, client: WixClient) -> None:
    """A write may happen after its connection broke, which is why one waits before sending again."""
    (order_id,) = new_orders(sandbox)
    fault(sandbox, "create", effect="late", delay=0.05)

    with pytest.raises(WixNoAnswer) as caught:
        client.create_fulfillment(order_id, new())

    assert caught.value.ambiguous
    wait_for(lambda: client.list_fulfillments(order_id).fulfillments)


def test_untold_bulk_is_ambiguous(sandbox: Store, client: WixClient) -> None:
    """All orders of a lost bulk answer are looked up at once."""
    orders = new_orders(sandbox, 2)
    fault(sandbox, "bulk-create", effect="untold")

    with pytest.raises(WixNoAnswer):
        client.bulk_create_fulfillments([(order_id, [new()]) for order_id in orders])

    listed = client.list_fulfillments_by_ids(orders)
    assert all(len(listed[order_id].fulfillments) == 1 for order_id in orders)


@pytest.mark.parametrize("route", ["list", "list-by-ids", "get-order", "search-orders"])
@pytest.mark.parametrize("settings", [{"effect": "untold"}, {"status": 503}, {"effect": "untold", "body": "truncated"}])
def test_read_gets_over_a_fault(sandbox: Store, client: WixClient, route: str, settings: dict[str, JsonValue]) -> None:
    """One fault in a read is not noticed."""
    (order_id,) = new_orders(sandbox)
    fault(sandbox, route, **settings)

    read: dict[str, Callable[[], object]] = {
        "list": lambda: client.list_fulfillments(order_id).order_id,
        "list-by-ids": lambda: next(iter(client.list_fulfillments_by_ids([order_id]))),
        "get-order": lambda: client.get_order(order_id).id,
        "search-orders": lambda: next(client.search_orders({"id": order_id})).id,
    }

    assert read[route]() == order_id


def test_throttled_write_goes_through_in_the_end(sandbox: Store, client: WixClient, gate: RecordingGate) -> None:
    """A 429 is waited out, with the seconds the store names."""
    (order_id,) = new_orders(sandbox)
    fault(sandbox, "create", status=429, retry_after=7)

    client.create_fulfillment(order_id, new())

    assert gate.throttles == [7.0]
    assert len(fulfillments(sandbox, order_id)) == 1


def test_sandboxs_own_limit_is_a_429() -> None:
    """The limit of calls a minute is met as Wix answers it."""
    with opened(SandboxSettings(rate_limit=2)) as store:
        (order_id,) = new_orders(store)
        with client_of(store.url, credentials=app_of(store), patience=Patience(throttle_waits=0)) as client:
            client.get_order(order_id)
            client.get_order(order_id)
            with pytest.raises(WixRateLimited) as caught:
                client.get_order(order_id)

    assert caught.value.retry_after == 60.0


def test_revoked_token_is_renewed(sandbox: Store, client: WixClient, gate: RecordingGate) -> None:
    """When the store forgets a token the client fetches another."""
    (order_id,) = new_orders(sandbox)
    client.get_order(order_id)
    control(sandbox, "POST", "tokens/revoke")
    client.get_order(order_id)

    assert [call[0] for call in gate.calls] == ["token", "get-order", "get-order", "token", "get-order"]


@pytest.mark.parametrize("wrong", ["app_id", "app_secret", "instance_id"])
def test_unknown_app_is_unauthorized(sandbox: Store, wrong: str) -> None:
    """Wrong credentials are told at the first call."""
    with (
        client_of(sandbox.url, credentials=app_of(sandbox, **{wrong: "wrong"})) as client,
        pytest.raises(WixUnauthorized) as caught,
    ):
        client.get_order(str(uuid4()))

    assert caught.value.operation == "token"


def test_token_fault_means_nothing_was_sent(sandbox: Store, client: WixClient) -> None:
    """A store that gives no token leaves nothing open."""
    (order_id,) = new_orders(sandbox)
    fault(sandbox, "token", status=503, times=3)

    with pytest.raises(WixUnreachable):
        client.create_fulfillment(order_id, new())

    assert fulfillments(sandbox, order_id) == []


def test_api_key_works_on_its_own_site_alone(sandbox: Store) -> None:
    """A key needs no token; a wrong site is forbidden, a wrong key unauthorized."""
    (order_id,) = new_orders(sandbox)
    key, site = sandbox.ready["api_key"], sandbox.ready["site_id"]
    good, wrong_site, wrong_key = (
        ApiKey.model_validate({"key": used, "site_id": at})
        for used, at in ((key, site), (key, "elsewhere"), ("wrong", site))
    )

    with client_of(sandbox.url, credentials=good) as client:
        assert client.get_order(order_id).id == order_id
    with client_of(sandbox.url, credentials=wrong_site) as client, pytest.raises(WixForbidden):
        client.get_order(order_id)
    with client_of(sandbox.url, credentials=wrong_key) as client, pytest.raises(WixUnauthorized):
        client.get_order(order_id)


def test_webhooks_of_the_sandbox_are_verified(sandbox: Store, client: WixClient) -> None:
    """What the store delivers is signed and nested as the verifier expects, for orders and fulfillments."""
    verifier = WebhookVerifier(Path(str(sandbox.ready["public_key_file"])).read_text(encoding="ascii"))
    with serving() as receiver:
        control(sandbox, "POST", "webhooks", {"url": f"{receiver.url}/hook"})
        (order_id,) = new_orders(sandbox)
        client.create_fulfillment(order_id, new())
        control(sandbox, "POST", f"orders/{order_id}/cancel")
        wanted = {f"wix.ecom.v1.{name}" for name in ("order_approved", "fulfillments_updated", "order_canceled")}
        wait_for(lambda: wanted <= {verifier.verify(call.body).event_type for call in list(receiver.received)})
        control(sandbox, "DELETE", "webhooks", {"url": f"{receiver.url}/hook"})
        events = {event.event_type: event for event in (verifier.verify(call.body) for call in receiver.received)}

    approved = events["wix.ecom.v1.order_approved"]
    updated = events["wix.ecom.v1.fulfillments_updated"]
    canceled = events["wix.ecom.v1.order_canceled"]
    assert approved.order is not None
    assert approved.order.id == approved.entity_id == order_id
    assert approved.instance_id == sandbox.ready["instance_id"]
    assert updated.fulfillments is not None
    assert len(updated.fulfillments.fulfillments) == 1
    assert (updated.identity_type, updated.app_id) == ("APP", sandbox.ready["app_id"])
    assert updated.sequence is not None
    assert canceled.restock_all_items
    assert canceled.order is not None
    assert canceled.order.status == "CANCELED"


def wait_for(happened: Callable[[], object]) -> None:
    """Poll until something has happened; fail when it does not in ten seconds."""
    end = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
