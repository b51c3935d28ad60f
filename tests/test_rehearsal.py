"""A rehearsal says what a run would say, and leaves nothing behind: no shipment, no fulfillment, no create."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bulk_runs import TWO_ITEMS, line, listed, shipped
from parcelhook.errors import WixError
from parcelhook.fulfillment.files import BadLine, Line
from parcelhook.fulfillment.rehearsal import rehearse
from parcelhook.fulfillment.spool import Result, spooled
from parcelhook.ledger import State
from shops import ID, LINE, LINE_2, Shop

pytest_plugins = ["stores"]

CREATES = {"create", "bulk-create", "update", "delete"}


def rehearsed(shop: Shop, lines: Sequence[Line | BadLine]) -> list[Result]:
    """Rehearse the shipping of lines, see that nothing came of it, and give what would become of each parcel."""
    before = shop.ledger.shipments.find(store=ID)
    shop.calls()
    with spooled() as spool:
        spool.take(lines)
        rehearse(shop.store, spool)
        results = list(spool.results())
    assert not CREATES & set(shop.calls())
    assert shop.ledger.shipments.find(store=ID) == before
    return results


def test_what_can_be_shipped_is_valid(shop: Shop) -> None:
    """A hundred orders cost one read."""
    lines = listed(shop, shop.orders(120))

    assert {each.state for each in rehearsed(shop, lines)} == {"VALID"}

    with spooled() as spool:
        spool.take(lines)
        told: list[int] = []
        rehearse(shop.store, spool, told=told.append)
    assert shop.calls() == {"search-orders": 2}
    assert told == [0, 100, 20]


def test_a_rehearsal_fails_what_a_run_would_fail(shop: Shop) -> None:
    """The same lines, with the same words."""
    orders = shop.orders(9, items=TWO_ITEMS)
    shop.cancel(orders[0])
    unpaid = shop.order(paymentStatus="NOT_PAID")
    used = shop.number()
    shop.created(orders[8], used, items={LINE: 1})
    lines: list[Line | BadLine] = [
        line(2, orders[0], shop.number()),
        line(3, unpaid, shop.number()),
        line(4, "99999999-9999-4999-8999-999999999999", shop.number()),
        line(5, orders[1], shop.number(), line_item_id=LINE, quantity="3"),
        line(6, orders[1], shop.number()),
        line(7, orders[2], shop.number(), line_item_id="99999999-9999-4999-8999-999999999999", quantity="1"),
        line(8, orders[3], shop.number(), carrier="upss"),
        line(9, orders[4], "98259791905", carrier="fedex"),
        line(10, orders[5], shop.number()),
        line(11, orders[5], shop.number()),
        line(12, orders[6], shop.number(), line_item_id=LINE, quantity="1"),
        line(13, orders[6], shop.number(), line_item_id=LINE, quantity="2"),
        line(14, orders[7], shop.number()),
        line(15, orders[8], used, line_item_id=LINE, quantity="2"),
        BadLine(16, "", "it is bad", "Mend it."),
    ]

    rehearsal = rehearsed(shop, lines)
    run = shipped(shop, lines)

    failed = {2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 15, 16}
    assert {each.line for each in run if each.state == "FAILED"} == failed
    assert {each.line for each in rehearsal if each.state == "FAILED"} == failed
    assert [(each.line, each.error, each.what_to_do) for each in rehearsal if each.state == "FAILED"] == [
        (each.line, each.error, each.what_to_do) for each in run if each.state == "FAILED"
    ]
    assert {each.line for each in rehearsal if each.state == "VALID"} == {10, 12, 14}


def test_what_is_shipped_already_is_told_apart(shop: Shop) -> None:
    """Known to the ledger it is existing; a number Wix has on the order already can be shipped, and takes nothing."""
    known, by_hand = shop.orders(2, items=TWO_ITEMS)
    lines = [line(2, known, shop.number())]
    shipped(shop, lines)
    number = shop.number()
    shop.fulfilled_by_hand(by_hand, number, quantity=2)
    lines += [line(3, by_hand, number, line_item_id=LINE), line(4, by_hand, shop.number(), line_item_id=LINE_2)]

    results = rehearsed(shop, lines)

    assert [(each.state, each.existed) for each in results] == [("CREATED", True), ("VALID", False), ("VALID", False)]


def test_what_failed_before_can_be_asked_for_otherwise(shop: Shop) -> None:
    """A corrected line under the same number is valid, as it is in a run."""
    order_id, number = shop.order(items=TWO_ITEMS), shop.number()
    shipped(shop, [line(2, order_id, number, line_item_id=LINE, quantity="3")])
    assert len(shop.rows(order_id, State.FAILED)) == 1

    (result,) = rehearsed(shop, [line(2, order_id, number, line_item_id=LINE, quantity="2")])

    assert result.state == "VALID"


def test_orders_that_cannot_be_read_are_told(shop: Shop) -> None:
    """A rehearsal that could look at nothing says nothing about the lines."""
    lines = listed(shop, shop.orders(2))
    shop.fault("search-orders", status=403, times=9)

    with spooled() as spool:
        spool.take(lines)
        with pytest.raises(WixError):
            rehearse(shop.store, spool)
