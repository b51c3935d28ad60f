"""The sandbox's bulk creation keeps to the contract."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from parcelhook.sandbox import Running, SandboxSettings, running
from sandbox_client import LINE, LINE_2, Json, Wix, ok, violations

PLAIN: Json = {"lineItems": [{"id": LINE}]}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    """Serve one sandbox for this file."""
    with running(SandboxSettings(rate_limit=0)) as sandbox:
        yield sandbox


@pytest.fixture
def wix(sandbox: Running) -> Iterator[Wix]:
    """Call it."""
    with Wix(sandbox) as wix:
        yield wix


def test_each_order_gets_its_result(wix: Wix) -> None:
    """A bulk call answers 200 with one result an order: index, success, all its fulfillments, and no fulfillmentId."""
    one, other = wix.orders(2)

    answer = ok(wix.bulk({"orderId": one, "fulfillments": [PLAIN]}, {"orderId": other, "fulfillments": [PLAIN]}))

    assert [result["itemMetadata"] for result in answer["results"]] == [
        {"id": one, "originalIndex": 0, "success": True},
        {"id": other, "originalIndex": 1, "success": True},
    ]
    assert [result["ordersWithFulfillments"]["orderId"] for result in answer["results"]] == [one, other]
    assert answer["results"][0]["ordersWithFulfillments"]["fulfillments"] == wix.list(one)
    assert set(answer["results"][0]) == {"itemMetadata", "ordersWithFulfillments"}
    assert answer["bulkActionMetadata"] == {"totalSuccesses": 2, "totalFailures": 0, "undetailedFailures": 0}


def test_failures_stand_beside_successes(wix: Wix) -> None:
    """What fails carries an error, what succeeds is applied, and the counts say how many of each."""
    known, fresh = wix.orders(2)
    wix.created(known, trackingInfo={"trackingNumber": "BULK-1"})
    again = PLAIN | {"trackingInfo": {"trackingNumber": "BULK-1"}}

    answer = ok(
        wix.bulk(
            {"orderId": "unknown", "fulfillments": [PLAIN]},
            {"orderId": fresh, "fulfillments": [again]},
            {"orderId": fresh, "fulfillments": [PLAIN]},
        )
    )

    results = [result["itemMetadata"] for result in answer["results"]]
    assert [result["success"] for result in results] == [False, False, True]
    assert [result["error"]["code"] for result in results[:2]] == ["NOT_FOUND", "TRACKING_NUMBER_ALREADY_EXISTS"]
    assert set(results[1]["error"]) == {"code", "description", "data"}
    assert answer["bulkActionMetadata"] == {"totalSuccesses": 1, "totalFailures": 2, "undetailedFailures": 0}
    assert len(wix.list(fresh)) == 1


def test_a_result_shows_what_was_there_before(wix: Wix) -> None:
    """The fulfillments of a result include those that were there already."""
    order = wix.order(quantity=2)
    before = wix.created(order, lineItems=[{"id": LINE, "quantity": 1}])

    answer = ok(wix.bulk({"orderId": order, "fulfillments": [PLAIN]}))

    shown = answer["results"][0]["ordersWithFulfillments"]["fulfillments"]
    assert shown[0]["id"] == before
    assert len(shown) == 2


def test_several_fulfillments_of_one_order_go_together(wix: Wix) -> None:
    """Several fulfillments in one item are all created, or none of them."""
    whole, broken = wix.orders(2, items=[{"quantity": 1}, {"quantity": 1}])
    second = {"lineItems": [{"id": LINE_2}]}

    answer = ok(
        wix.bulk(
            {"orderId": whole, "fulfillments": [PLAIN, second]},
            {"orderId": broken, "fulfillments": [PLAIN, PLAIN]},
        )
    )

    assert [result["itemMetadata"]["success"] for result in answer["results"]] == [True, False]
    assert len(wix.list(whole)) == 2
    assert wix.list(broken) == []
    assert wix.get_order(broken)["fulfillmentStatus"] == "NOT_FULFILLED"


def test_a_hundred_orders_are_not_too_many(wix: Wix) -> None:
    """A call takes a hundred orders, and a hundred and one are refused whole."""
    orders = wix.orders(101)
    items = [{"orderId": order, "fulfillments": [PLAIN]} for order in orders]

    refused = wix.bulk(*items)
    listed = ok(wix.list_by_ids(orders[:100]))["ordersWithFulfillments"]
    taken = ok(wix.bulk(*items[:100]))

    assert violations(refused) == {"ordersWithFulfillments": "MAX"}
    assert all(entry["fulfillments"] == [] for entry in listed)
    assert taken["bulkActionMetadata"]["totalSuccesses"] == 100


@pytest.mark.parametrize(
    ("item", "field", "rule"),
    [
        ("x", "ordersWithFulfillments[1]", "FORMAT"),
        ({"fulfillments": [PLAIN]}, "ordersWithFulfillments[1].orderId", "CUSTOM"),
        ({"orderId": "x" * 101, "fulfillments": [PLAIN]}, "ordersWithFulfillments[1].orderId", "MAX"),
        ({"orderId": "x"}, "ordersWithFulfillments[1].fulfillments", "CUSTOM"),
        ({"orderId": "x", "fulfillments": []}, "ordersWithFulfillments[1].fulfillments", "CUSTOM"),
        ({"orderId": "x", "fulfillments": [{}]}, "ordersWithFulfillments[1].fulfillments[0].lineItems", "CUSTOM"),
        (
            {"orderId": "x", "fulfillments": [PLAIN | {"status": "x"}]},
            "ordersWithFulfillments[1].fulfillments[0].status",
            "FORMAT",
        ),
    ],
)
def test_a_malformed_item_refuses_the_whole_call(wix: Wix, item: object, field: str, rule: str) -> None:
    """One malformed item is a validation error for the call, and nothing is applied."""
    order = wix.order()

    answer = wix.bulk({"orderId": order, "fulfillments": [PLAIN]}, item)

    assert violations(answer) == {field: rule}
    assert wix.list(order) == []


def test_an_empty_bulk_is_refused(wix: Wix) -> None:
    """A call needs at least one order."""
    assert violations(wix.bulk()) == {"ordersWithFulfillments": "CUSTOM"}


def test_the_same_order_may_come_twice(wix: Wix) -> None:
    """The same order in two items gives two results, told apart by their index alone."""
    order = wix.order(quantity=2)
    one = {"orderId": order, "fulfillments": [{"lineItems": [{"id": LINE, "quantity": 1}]}]}

    answer = ok(wix.bulk(one, one))

    assert [result["itemMetadata"]["originalIndex"] for result in answer["results"]] == [0, 1]
    assert [len(result["ordersWithFulfillments"]["fulfillments"]) for result in answer["results"]] == [1, 2]


def test_a_custom_provider_without_link_fails_alone(wix: Wix) -> None:
    """What the schema allows and the introduction forbids fails its own item."""
    one, other = wix.orders(2)
    without = PLAIN | {"trackingInfo": {"trackingNumber": "BULK-L", "shippingProvider": "Acme"}}

    answer = ok(wix.bulk({"orderId": one, "fulfillments": [without]}, {"orderId": other, "fulfillments": [PLAIN]}))

    assert [result["itemMetadata"]["success"] for result in answer["results"]] == [False, True]
    assert answer["results"][0]["itemMetadata"]["error"]["code"] == "INVALID_ARGUMENT"
