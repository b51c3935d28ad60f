"""The judge of histories: silent about what went well, and loud about each planted breach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from history_check import History, history_of, violations
from parcelhook.fulfillment.create import send
from parcelhook.fulfillment.store import Outcome
from parcelhook.ledger import ShipmentRow
from parcelhook.ledger.states import State
from parcelhook.models import Status
from parcelhook.tracking.push import push
from shops import ID, LINE, Shop

pytest_plugins = ["stores"]


def judged(shop: Shop, *orders: str) -> History:
    """Read the history of a test's own orders."""
    return history_of(shop, shop.ledger, store=ID, orders=orders, skip_calls=shop.calls_before)


def changed(history: History, order_id: str, **fields: object) -> History:
    """Give a history in which the shipment of an order is another."""
    rows = [replace(row, **fields) if row.order_id == order_id else row for row in history.shipments]  # type: ignore[arg-type] # the caller names fields of ShipmentRow
    return replace(history, shipments=rows)


def at_wix(history: History, order_id: str, *fulfillments: dict[str, Any]) -> History:
    """Give a history in which an order has other fulfillments."""
    return replace(history, fulfillments={**history.fulfillments, order_id: fulfillments})


def only(found: Sequence[str]) -> str:
    """Give the one breach that was found."""
    assert len(found) == 1, found
    return found[0]


@pytest.fixture
def shipped_once(shop: Shop) -> tuple[History, ShipmentRow]:
    """Give the history of one order that was shipped and is on its way, and its shipment."""
    row = shop.created(shop.order())
    shop.ledger.shipments.set_status(row.id, status=Status.IN_TRANSIT, wanted_wix_status="In_Delivery")
    assert push(shop.store) == 1
    return judged(shop, row.order_id), shop.row(row)


def test_a_history_without_a_breach_is_silent(shop: Shop) -> None:
    """One by one, in bulk, settled after a lost answer, deleted and shipped anew: nothing is to be said of it."""
    single = shop.created(shop.order())
    orders = shop.orders(3)
    for order_id in orders:
        shop.take(order_id)
    assert set(send(shop.store).values()) == {Outcome.CREATED}
    lost = shop.take(shop.order())
    shop.fault("create", effect="untold")
    assert shop.send(lost) is Outcome.UNDECIDED
    assert shop.settle(lost) is Outcome.CREATED

    history = judged(shop, single.order_id, *orders, lost.order_id)

    assert violations(history) == []
    assert len(history.shipments) == 5
    assert len(history.calls) >= 4


def test_a_fulfillment_nobody_wanted_is_told(shipped_once: tuple[History, ShipmentRow]) -> None:
    """A fulfillment without an intent is a breach, unless others wrote on that order too."""
    history, row = shipped_once
    (ours,) = history.fulfillments[row.order_id]
    other = {**ours, "id": "another", "trackingInfo": {"trackingNumber": "1"}}

    planted = at_wix(history, row.order_id, ours, other)

    assert "no shipment is bound to fulfillment another" in only(violations(planted))
    assert violations(planted, touched=[row.order_id]) == []


def test_an_intent_fulfilled_twice_is_told(shipped_once: tuple[History, ShipmentRow]) -> None:
    """The same intent's second fulfillment is named with the shipment, and its number is told as there twice."""
    history, row = shipped_once
    (ours,) = history.fulfillments[row.order_id]

    found = violations(at_wix(history, row.order_id, ours, {**ours, "id": "again"}))

    assert [breach for breach in found if f"shipment {row.id} with its number is CREATED" in breach]
    assert [breach for breach in found if "is on 2 fulfillments" in breach]


def test_a_number_may_repeat_only_where_it_is_meant_to(shop: Shop) -> None:
    """A number on two orders is a breach, unless it is named as one that may."""
    first, second = shop.created(shop.order()), shop.created(shop.order())
    history = judged(shop, first.order_id, second.order_id)
    number = first.tracking_number
    (theirs,) = history.fulfillments[second.order_id]
    planted = at_wix(history, second.order_id, {**theirs, "trackingInfo": {"trackingNumber": f" {number.lower()}"}})
    planted = replace(
        planted,
        shipments=[replace(row, parcels=first.parcels) for row in history.shipments],
    )

    assert f"the number {number} is on 2 fulfillments" in only(violations(planted))
    assert violations(planted, may_repeat=[number]) == []


def test_a_shipment_stuck_in_sending_is_told(shipped_once: tuple[History, ShipmentRow]) -> None:
    """At rest nothing is being sent."""
    history, row = shipped_once

    assert "is stuck in SENDING" in only(violations(changed(history, row.order_id, state=State.SENDING)))


def test_a_created_shipment_without_its_fulfillment_is_told(shipped_once: tuple[History, ShipmentRow]) -> None:
    """A shipment bound to what Wix does not have is a breach, though the creates still match the intents."""
    history, row = shipped_once

    assert "Wix has no fulfillment" in only(violations(at_wix(history, row.order_id)))


def test_a_deleted_shipment_whose_fulfillment_is_there_is_told(shipped_once: tuple[History, ShipmentRow]) -> None:
    """A shipment is deleted only where Wix does not have it."""
    history, row = shipped_once

    assert "Wix still has its fulfillment" in only(violations(changed(history, row.order_id, state=State.DELETED)))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"status": "Fulfilled"}, "the status of"),
        ({"trackingInfo": {"trackingNumber": "ANOTHER"}}, "the number of"),
        ({"lineItems": [{"id": LINE, "quantity": 7}]}, "the items of"),
    ],
    ids=["status", "number", "items"],
)
def test_a_fulfillment_unlike_its_shipment_is_told(
    shipped_once: tuple[History, ShipmentRow], change: dict[str, object], what: str
) -> None:
    """Status, number and items at Wix are what the ledger says."""
    history, row = shipped_once
    (ours,) = history.fulfillments[row.order_id]

    assert what in only(violations(at_wix(history, row.order_id, {**ours, **change})))


def test_a_status_still_to_be_told_is_told(shipped_once: tuple[History, ShipmentRow]) -> None:
    """At rest Wix has heard everything."""
    history, row = shipped_once

    found = violations(changed(history, row.order_id, wanted_wix_status="Fulfilled"))

    assert "is still to be told as Fulfilled" in only(found)


def test_two_shipments_of_one_fulfillment_are_told(shipped_once: tuple[History, ShipmentRow]) -> None:
    """A fulfillment belongs to one shipment, and an intent is there once."""
    history, row = shipped_once

    found = violations(replace(history, shipments=[row, replace(row, id="another")]))

    assert [breach for breach in found if "2 shipments are bound" in breach]
    assert [breach for breach in found if f"the intent {row.intent_key} is there 2 times" in breach]


def test_a_write_without_a_row_is_told(shipped_once: tuple[History, ShipmentRow]) -> None:
    """What reached Wix was written down before, each time."""
    history, row = shipped_once
    update = next(call for call in history.calls if call["method"] == "PATCH")

    found = violations(replace(history, calls=[*history.calls, update]))

    assert only(found) == f"PATCH {update['path']} reached Wix 2 times, and the ledger has 1 rows of it"
    assert violations(replace(history, calls=[*history.calls, update]), touched=[row.order_id]) == []


def test_a_bulk_call_without_a_row_is_told(shipped_once: tuple[History, ShipmentRow]) -> None:
    """A bulk call names no order in its path and is counted all the same; reads are not."""
    history, _ = shipped_once
    path = "/ecom/v1/fulfillments/orders/bulk/create-fulfillments"
    read = {"method": "POST", "path": "/ecom/v1/fulfillments/list-by-ids", "status": 200}

    found = violations(replace(history, calls=[*history.calls, read, {"method": "POST", "path": path, "status": 0}]))

    assert only(found) == f"POST {path} reached Wix 1 times, and the ledger has 0 rows of it"


def test_more_creates_than_intents_are_told(shipped_once: tuple[History, ShipmentRow]) -> None:
    """A second create that Wix accepted is a breach, also where its fulfillment was deleted since."""
    history, row = shipped_once
    create = next(call for call in history.calls if str(call["path"]).endswith("create-fulfillment"))
    written = next(each for each in history.rows if each.path == create["path"])

    found = violations(replace(history, calls=[*history.calls, create], rows=[*history.rows, written]))

    assert only(found) == f"order {row.order_id}: Wix accepted 2 creates for 1 intents"


def test_what_others_do_in_the_same_sandbox_is_not_judged(
    shipped_once: tuple[History, ShipmentRow], shop: Shop
) -> None:
    """Only the orders named are judged; without names all of the store are."""
    _, row = shipped_once
    other = shop.order()
    shop.fulfilled_by_hand(other, shop.number())

    assert violations(judged(shop, row.order_id)) == []
    everything = history_of(shop, shop.ledger, store=ID, skip_calls=shop.calls_before)
    assert [breach for breach in violations(everything) if other in breach]
