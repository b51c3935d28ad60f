"""What no webhook told is found by looking: every change once more rather than once too few, with no effect twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from parcelhook.fulfillment.reconcile import OVERLAP, reconcile
from parcelhook.fulfillment.store import Outcome
from parcelhook.ledger import State
from parcelhook.models import ShipmentItem
from parcelhook.registry import Registry
from parcelhook.sandbox import Running, SandboxSettings, running
from shops import ID, LINE, SETTLE, Shop, opened

pytest_plugins = ["stores"]


@pytest.fixture
def sandbox() -> Iterator[Running]:
    """Serve a store of its own for each test: a look finds everything that changed in it."""
    with running(SandboxSettings(rate_limit=0)) as served:
        yield served


@pytest.fixture
def registry() -> Iterator[Registry]:
    """Load the built-in carriers alone."""
    with Registry() as loaded:
        yield loaded


@pytest.fixture
def shop(sandbox: Running, registry: Registry, tmp_path: Path) -> Iterator[Shop]:
    """Give a store that is reached with an API key, and so is told nothing."""
    with opened(sandbox, registry, path=tmp_path / "ledger.sqlite", with_key=True) as made:
        yield made


def told(shop: Shop, *order_ids: str) -> list[str]:
    """Give what happened to orders, calls left out."""
    entries = [entry for id_ in order_ids for entry in shop.ledger.history(ID, id_)]
    return [entry.kind for entry in entries if entry.kind != "call"]


def wix_time(moment: datetime) -> str:
    """Write a moment as Wix does."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_approved_orders_are_found_without_webhooks(shop: Shop) -> None:
    """Every order that may be shipped waits for its number after a look, in one call for a hundred of them."""
    order_ids = shop.orders(3)
    shop.orders(2, paymentStatus="NOT_PAID")
    shop.calls()

    assert reconcile(shop.store) == 5

    rows = shop.ledger.shipments.find(store=ID)
    assert {(row.order_id, row.state) for row in rows} == {(id_, State.WAITING_NUMBER) for id_ in order_ids}
    assert shop.calls() == {"search-orders": 1}


def test_more_orders_than_a_page_holds_are_found(shop: Shop) -> None:
    """A look turns every page."""
    shop.orders(150, createdDate=wix_time(shop.clock() + timedelta(seconds=1)))
    shop.calls()

    assert reconcile(shop.store) == 150

    assert shop.ledger.shipments.count(store=ID) == {State.WAITING_NUMBER: 150}
    assert shop.calls() == {"search-orders": 2}


def test_looking_twice_changes_nothing(shop: Shop) -> None:
    """What was followed once stays as it is, whatever was done about it."""
    waiting, created, canceled, late = shop.orders(4)
    row = shop.created(created)
    reviewed = shop.created(late)
    reconcile(shop.store)
    shop.cancel(canceled)
    shop.cancel(late)
    reconcile(shop.store)
    rows = shop.ledger.shipments.find(store=ID)
    history = told(shop, waiting, created, canceled, late)

    reconcile(shop.store)

    assert shop.ledger.shipments.find(store=ID) == rows
    assert told(shop, waiting, created, canceled, late) == history
    assert shop.row(row).state is State.CREATED
    assert shop.row(reviewed).state is State.NEEDS_REVIEW


def test_canceled_orders_are_canceled(shop: Shop) -> None:
    """A cancellation is found as an approval is: what Wix does not have is dropped, the rest is for a person."""
    waiting, created = shop.orders(2)
    row = shop.created(created)
    reconcile(shop.store)
    for order_id in (waiting, created):
        shop.cancel(order_id)

    reconcile(shop.store)

    assert [each.state for each in shop.rows(waiting)] == [State.CANCELED]
    assert shop.row(row).state is State.NEEDS_REVIEW


def test_a_look_begins_ten_minutes_before_where_the_last_one_ended(shop: Shop) -> None:
    """Wix's search may lag behind, so each look goes over the last minutes once more."""
    order_id = shop.order()
    reconcile(shop.store)
    updated = shop.store.wix.get_order(order_id).updated_date
    assert updated is not None
    known = shop.ledger.stores.get(ID)
    assert known.poll_cursor == max(updated, known.set_up_at)
    assert known.reconciled_at == shop.clock()

    # As if it had come up in the search after the look that should have found it.
    shop.ledger.stores.note_reconciled(ID, at=shop.clock(), poll_cursor=updated + OVERLAP - timedelta(seconds=1))
    assert reconcile(shop.store) == 1
    shop.ledger.stores.note_reconciled(ID, at=shop.clock(), poll_cursor=updated + OVERLAP + timedelta(seconds=1))
    assert reconcile(shop.store) == 0


def test_a_look_that_finds_nothing_keeps_its_place(shop: Shop) -> None:
    """Without changes, the next look begins where this one did."""
    before = shop.ledger.stores.get(ID).set_up_at

    assert reconcile(shop.store) == 0

    assert shop.ledger.stores.get(ID).poll_cursor == before


def test_orders_from_before_the_store_was_set_up_are_left_alone(shop: Shop) -> None:
    """An order that is older than this store's connection is not shipped unasked, though it changes now."""
    order_id = shop.order(createdDate=wix_time(shop.clock() - timedelta(minutes=5)))
    shop.edit(order_id, buyerNote="please hurry")

    assert reconcile(shop.store) == 1

    assert shop.rows(order_id) == []


def test_the_rest_of_an_order_shipped_in_part_is_taken_over(shop: Shop) -> None:
    """What others began to ship waits for the number of its rest, in one call more for a hundred orders."""
    order_ids = shop.orders(3, items=[{"quantity": 2}])
    for order_id in order_ids:
        shop.fulfilled_by_hand(order_id, shop.number(), quantity=1)
    shop.calls()

    reconcile(shop.store)

    assert shop.calls() == {"search-orders": 1, "list-by-ids": 1}
    rows = [row for order_id in order_ids for row in shop.rows(order_id)]
    assert [(row.state, row.items) for row in rows] == [
        (State.WAITING_NUMBER, (ShipmentItem(line_item_id=LINE, quantity=1),))
    ] * 3


def test_the_rest_of_our_own_shipment_is_taken_over(shop: Shop) -> None:
    """Where a person ships a part of an order, the rest waits for its number from the next look on."""
    row = shop.created(shop.order(quantity=3), items={LINE: 2})

    reconcile(shop.store)

    first, rest = shop.rows(row.order_id)
    assert (first, rest.state) == (shop.row(row), State.WAITING_NUMBER)
    assert rest.items == (ShipmentItem(line_item_id=LINE, quantity=1),)


def test_the_rest_of_an_order_from_before_the_setup_is_left_alone(shop: Shop) -> None:
    """What was approved before this store was set up is not shipped unasked, in part or whole."""
    order_id = shop.order(quantity=2, createdDate=wix_time(shop.clock() - timedelta(minutes=5)))
    shop.fulfilled_by_hand(order_id, shop.number(), quantity=1)

    reconcile(shop.store)

    assert shop.rows(order_id) == []


@pytest.mark.parametrize("is_listed", [True, False])
def test_an_order_fulfilled_by_hand_closes_its_waiting_shipment(shop: Shop, *, is_listed: bool) -> None:
    """What a merchant ships, or just marks as fulfilled, waits for nobody any more."""
    order_id = shop.order()
    reconcile(shop.store)
    if is_listed:
        shop.fulfilled_by_hand(order_id, shop.number())
    else:
        shop.edit(order_id, fulfillmentStatus="FULFILLED")

    reconcile(shop.store)

    assert [row.state for row in shop.rows(order_id)] == [State.CANCELED]
    assert "everything of it was shipped otherwise" in shop.why(order_id)


def test_a_number_changed_by_hand_is_learned(shop: Shop) -> None:
    """A look finds a number that was corrected at Wix, and the ledger knows it from then on."""
    row = shop.created(shop.order())
    number = shop.number()
    body = {"fulfillment": {"trackingInfo": {"trackingNumber": number, "shippingProvider": "ups"}}}
    shop.by_hand("PATCH", f"{row.fulfillment_id}/orders/{row.order_id}", body)

    reconcile(shop.store)

    assert shop.row(row).tracking_number == number
    assert "changed at Wix" in shop.why(row.order_id)


def test_an_order_edited_since_is_followed(shop: Shop) -> None:
    """What waits for a number holds what the order does, also where nobody told of the change."""
    order_id = shop.order(items=2)
    reconcile(shop.store)
    shop.edit_lines(order_id, {LINE: 4})

    reconcile(shop.store)

    (row,) = shop.rows(order_id)
    assert row.items == (ShipmentItem(line_item_id=LINE, quantity=4),)


def test_a_list_that_lags_behind_deletes_nothing(shop: Shop) -> None:
    """A fulfillment that Wix does not show at once is not taken for deleted, and is looked at again."""
    row = shop.created(shop.order())
    place = shop.ledger.stores.get(ID).set_up_at
    shop.by_hand("DELETE", f"{row.fulfillment_id}/orders/{row.order_id}")

    reconcile(shop.store)

    assert shop.row(row).state is State.CREATED
    assert shop.ledger.stores.get(ID).poll_cursor == place
    assert any("may not show" in reason for reason in shop.why(row.order_id))
    shop.clock.advance(SETTLE.total_seconds() + 1)
    reconcile(shop.store)
    assert shop.row(row).state is State.DELETED


def test_an_order_that_is_busy_holds_up_no_other(shop: Shop) -> None:
    """An order canceled while its fulfillment is being created is seen to later; those after it now."""
    busy = shop.order()
    shop.fault("create", effect="untold")
    row = shop.take(busy)
    assert shop.send(row) is Outcome.UNDECIDED
    shop.cancel(busy)
    later = shop.order()

    reconcile(shop.store)

    assert shop.row(row).state is State.SENDING
    assert [each.state for each in shop.rows(later)] == [State.WAITING_NUMBER]
    assert "its shipment is being dealt with at this moment" in shop.why(busy)
    assert shop.settle(row) is Outcome.CREATED
    reconcile(shop.store)
    assert shop.row(row).state is State.NEEDS_REVIEW


def test_what_others_did_to_our_fulfillments_is_learned(shop: Shop) -> None:
    """A fulfillment deleted, or moved on, by hand is known after a look, in one call for a hundred orders."""
    gone, moved, same = (shop.created(order_id) for order_id in shop.orders(3))
    shop.by_hand("DELETE", f"{gone.fulfillment_id}/orders/{gone.order_id}")
    shop.by_hand("PATCH", f"{moved.fulfillment_id}/orders/{moved.order_id}", {"fulfillment": {"status": "Ready"}})
    shop.clock.advance(SETTLE.total_seconds() + 1)
    shop.calls()

    reconcile(shop.store)

    assert [shop.row(row).state for row in (gone, moved, same)] == [State.DELETED, State.CREATED, State.CREATED]
    assert [shop.row(row).wix_status for row in (moved, same)] == ["Ready", None]
    assert shop.calls() == {"search-orders": 1, "list-by-ids": 1}


def test_a_look_that_broke_off_is_made_again(shop: Shop) -> None:
    """Where Wix fails on the way, the place is kept, and the next look finds everything."""
    shop.orders(20)
    shop.created(shop.order(), items={LINE: 1})
    shop.fault("list-by-ids", status=400)
    place = shop.ledger.stores.get(ID).poll_cursor

    with pytest.raises(Exception, match="400"):
        reconcile(shop.store)

    assert shop.ledger.stores.get(ID).poll_cursor == place
    assert reconcile(shop.store) == 21
