"""``orders``: the store's orders, and which of them wait for a tracking number."""

from __future__ import annotations

from typing import Any

import pytest

from cli_runs import Shell
from parcelhook.ledger import NewShipment, State, moves
from shops import ID, LINE, LINE_2, Json, Shop

pytest_plugins = ["stores", "shop_shell"]


def told(shell: Shell, order_id: str, *options: str) -> Json | None:
    """Give what the command tells about one order, or None where it leaves it out."""
    orders: list[Json] = shell.json("orders", "--limit", "10000", *options)
    return next((order for order in orders if order["order_id"] == order_id), None)


def waits(shell: Shell, order_id: str) -> bool:
    """Tell whether an order waits, which both forms of the command say alike."""
    order, waiting = told(shell, order_id), told(shell, order_id, "--waiting")
    assert order is not None
    assert order["waiting"] is (waiting is not None)
    return waiting is not None


def test_an_order_is_told_with_its_line_items(shell: Shell, shop: Shop) -> None:
    """An order comes with ids, statuses and line items, and with nothing about whom it goes to."""
    order_id = shop.order(quantity=2)

    order = told(shell, order_id)

    assert order is not None
    assert [(line["line_item_id"], line["quantity"]) for line in order["line_items"]] == [(LINE, 2)]
    assert (order["status"], order["payment_status"]) == ("APPROVED", "PAID")
    assert (order["fulfillment_status"], order["waiting"], order["shipments"]) == ("NOT_FULFILLED", True, [])
    assert set(order) == {
        "store",
        "order_id",
        "order_number",
        "status",
        "payment_status",
        "fulfillment_status",
        "waiting",
        "line_items",
        "shipments",
    }


def test_the_newest_come_first(shell: Shell, shop: Shop) -> None:
    """With a limit, the latest orders are shown."""
    orders = shop.orders(3)

    assert [order["order_id"] for order in shell.json("orders", "--limit", "2")] == [orders[2], orders[1]]


def test_people_get_a_table(shell: Shell, shop: Shop) -> None:
    """The table has a line for each order."""
    order_id = shop.order()

    header, line = shell.run("orders", "--limit", "1").stdout.splitlines()

    assert header.split()[:2] == ["order", "number"]
    assert line.startswith(order_id)
    assert f"yes    {LINE}:1" in line


def test_an_order_that_waits_for_its_number_waits(shell: Shell, shop: Shop) -> None:
    """A shipment that was written down on approval and has no number leaves the order waiting."""
    order_id = shop.order()
    shop.ledger.shipments.add(
        NewShipment(
            store=ID,
            order_id=order_id,
            intent_key="waiting",
            carrier="ups",
            state=State.WAITING_NUMBER,
            source="webhook",
        )
    )

    assert waits(shell, order_id)


@pytest.mark.parametrize("is_sent", [False, True])
def test_an_order_with_a_number_does_not_wait(shell: Shell, shop: Shop, *, is_sent: bool) -> None:
    """A number is enough, whether or not Wix has it already; the shipment is told with the order."""
    order_id = shop.order()
    row = shop.created(order_id) if is_sent else shop.take(order_id)

    assert not waits(shell, order_id)
    order = told(shell, order_id)
    assert order is not None
    assert order["shipments"] == [{"shipment_id": row.id, "carrier": "ups", "state": row.state.value}]


@pytest.mark.parametrize(
    "order",
    [
        {"items": [{"itemType": {"preset": "DIGITAL"}, "physicalProperties": {"shippable": False}}]},
        {"paymentStatus": "NOT_PAID"},
        {"shippingInfo": {"logistics": {"pickupDetails": {"pickupMethod": "STORE_PICKUP"}}}},
        {"archived": True},
    ],
    ids=["digital", "unpaid", "pickup", "archived"],
)
def test_what_is_not_shipped_does_not_wait(shell: Shell, shop: Shop, order: dict[str, Any]) -> None:
    """Orders that need no number, or must not be shipped yet, are not among those that wait."""
    assert not waits(shell, shop.order(**order))


def test_a_canceled_order_does_not_wait(shell: Shell, shop: Shop) -> None:
    """Nothing is to be shipped of a canceled order."""
    order_id = shop.order()
    shop.cancel(order_id)

    assert not waits(shell, order_id)


def test_an_order_whose_second_item_has_no_number_waits(shell: Shell, shop: Shop) -> None:
    """Something remains until every line item has its number."""
    order_id = shop.order(items=2)
    shop.created(order_id, items={LINE: 1})
    assert waits(shell, order_id)

    shop.take(order_id, items={LINE_2: 1})

    assert not waits(shell, order_id)


def test_what_somebody_else_shipped_does_not_wait(shell: Shell, shop: Shop) -> None:
    """A fulfillment the merchant made counts as much as one of ours."""
    order_id = shop.order()
    shop.fulfilled_by_hand(order_id, shop.number())

    assert not waits(shell, order_id)


def test_what_two_ship_together_does_not_wait(shell: Shell, shop: Shop) -> None:
    """One item shipped by the merchant, the number of the other on its way: nothing waits."""
    order_id = shop.order(items=2)
    shop.fulfilled_by_hand(order_id, shop.number())
    assert waits(shell, order_id)

    shop.take(order_id, items={LINE_2: 1})

    assert not waits(shell, order_id)


def test_what_a_person_is_to_look_at_does_not_wait_for_a_number(shell: Shell, shop: Shop) -> None:
    """A shipment that needs review has its number; another number would ship it twice."""
    order_id = shop.order()
    row = shop.take(order_id)
    shop.ledger.shipments.move(moves.needs_review(row, reason="looked odd"))

    assert not waits(shell, order_id)


def test_where_nothing_waits(shell: Shell, shop: Shop) -> None:
    """An empty answer is an empty list for a program and a sentence for people."""
    for order in shell.json("orders", "--waiting", "--limit", "10000"):
        shop.cancel(order["order_id"])

    assert shell.json("orders", "--waiting") == []
    assert shell.run("orders", "--waiting").stdout == "No order waits for a number.\n"
