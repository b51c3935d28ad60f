"""Each webhook event is dealt with once, in whatever order it comes, and what cannot be now comes again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from arrivals import arrived, outcome
from parcelhook.fulfillment.events import take_events
from parcelhook.ledger import State
from parcelhook.ledger.inbox import APPROVED, CANCELED
from shops import ID, Shop

pytest_plugins = ["stores"]


def test_an_approved_order_waits_for_its_number(shop: Shop) -> None:
    """An approval makes one shipment, and says so."""
    order_id = shop.order()

    outcomes = shop.follow()

    assert outcomes["order_approved"] == "waits for a carrier and a number"
    assert [row.state for row in shop.rows(order_id)] == [State.WAITING_NUMBER]
    assert shop.ledger.inbox.pending([ID]) == []


def test_a_flood_of_approvals_costs_one_search(shop: Shop) -> None:
    """The orders of a batch of events are read together."""
    order_ids = shop.orders(40)
    shop.calls()

    shop.follow()

    assert shop.calls() == {"search-orders": 1}
    assert all(len(shop.rows(order_id)) == 1 for order_id in order_ids)


def test_the_same_event_again_does_nothing(shop: Shop) -> None:
    """Wix delivers at least once: what comes again was dealt with, and is not given again."""
    order_id = shop.order()
    shop.follow()
    (event,) = (each for each in shop.ledger.inbox.find(order_id=order_id) if each.event_type == APPROVED)
    shop.calls()

    shop.receive(event.id)

    assert shop.ledger.inbox.take(ID, lease_seconds=60) == []
    assert len(shop.rows(order_id)) == 1
    assert not shop.calls()


def test_an_order_under_way_costs_no_read(shop: Shop) -> None:
    """Another approval or update of an order whose shipment is known asks Wix nothing, nor does our own echo."""
    order_id = shop.order()
    shop.created(order_id)
    shop.calls()
    again = arrived(shop, APPROVED, order_id)

    shop.follow()
    take_events(shop.store, [again])

    assert outcome(shop, again).outcome == "its shipment is known already"
    assert not shop.calls()
    assert len(shop.rows(order_id)) == 1


def test_a_payment_ships_what_was_approved_before(shop: Shop) -> None:
    """An order that was approved unpaid is shipped once it is paid."""
    order_id = shop.order(paymentStatus="NOT_PAID")
    assert "is not paid" in shop.follow()["order_approved"]

    shop.edit(order_id, paymentStatus="PAID")
    shop.follow()

    assert [row.state for row in shop.rows(order_id)] == [State.WAITING_NUMBER]


def test_an_approval_read_after_the_cancellation_ships_nothing(shop: Shop) -> None:
    """The order's present state is read before its first effect, so the order of two events cannot matter."""
    order_id = shop.order()
    shop.cancel(order_id)
    shop.deliver()
    events = shop.ledger.inbox.take(ID, lease_seconds=60)

    take_events(shop.store, list(reversed(events)))

    assert all(row.state is State.CANCELED for row in shop.rows(order_id))
    assert "was canceled" in next(outcome(shop, each).outcome for each in events if each.event_type == APPROVED)


@pytest.mark.parametrize("status", [404, 400])
def test_an_order_the_store_does_not_have_is_told(shop: Shop, status: int) -> None:
    """An event about an unknown order is finished, and others of its batch are followed."""
    shop.switch(unknown_order_status=status)
    order_id = shop.order()
    event = arrived(shop, APPROVED, str(uuid4()))
    shop.deliver()

    take_events(shop.store, [event, *shop.ledger.inbox.take(ID, lease_seconds=60)])

    assert outcome(shop, event).outcome == "the store has no such order"
    assert len(shop.rows(order_id)) == 1


@pytest.mark.parametrize("event_type", [APPROVED, CANCELED])
def test_what_happened_is_never_stale(shop: Shop, event_type: str) -> None:
    """Approved and Canceled say what happened, and count also when a later snapshot arrived before them."""
    order_id = shop.order()
    if event_type == CANCELED:
        shop.take(order_id)
    fqdn = "wix.ecom.v1.order"
    arrived(shop, "wix.ecom.v1.order_updated", order_id, sequence=9, entity_fqdn=fqdn)
    event = arrived(shop, event_type, order_id, sequence=8, entity_fqdn=fqdn)

    take_events(shop.store, [event])

    expected = State.WAITING_NUMBER if event_type == APPROVED else State.CANCELED
    assert [row.state for row in shop.rows(order_id)] == [expected]


def test_an_event_of_no_interest_is_finished(shop: Shop) -> None:
    """Whatever else Wix tells is finished with the reason."""
    event = arrived(shop, "wix.ecom.v1.order_created", shop.order())

    take_events(shop.store, [event])

    assert outcome(shop, event).outcome == "ignored: nothing follows from this event"


def test_what_cannot_be_dealt_with_now_comes_again_ever_later(shop: Shop) -> None:
    """While Wix cannot be read an event waits, twice as long each time, and is followed in the end."""
    order_id = shop.order()
    shop.deliver()
    waits = []
    shop.fault("get-order", status=403, times=3)
    for _ in range(3):
        (event,) = (each for each in shop.ledger.inbox.take(ID, lease_seconds=60) if each.event_type == APPROVED)
        take_events(shop.store, [event])
        due_at = outcome(shop, event).due_at
        assert due_at is not None
        waits.append(due_at - shop.clock())
        assert outcome(shop, event).detail
        assert shop.ledger.inbox.take(ID, lease_seconds=60) == []
        shop.clock.advance(waits[-1].total_seconds())

    shop.follow()

    assert waits == [timedelta(seconds=10), timedelta(seconds=20), timedelta(seconds=40)]
    assert len(shop.rows(order_id)) == 1


def test_the_wait_ends_at_ten_minutes(shop: Shop) -> None:
    """However often an event could not be dealt with, it comes again within ten minutes."""
    event = arrived(shop, APPROVED, shop.order())
    shop.fault("get-order", status=403)

    take_events(shop.store, [replace(event, attempts=1000)])

    assert outcome(shop, event).due_at == shop.clock() + timedelta(minutes=10)


def test_events_that_need_no_order_do_not_wait_for_one(shop: Shop) -> None:
    """Where orders cannot be read, cancellations and what is known already are dealt with all the same."""
    unread, canceled = shop.orders(2)
    row = shop.take(canceled)
    shop.cancel(canceled)
    shop.deliver()
    shop.fault("get-order", status=403)

    shop.follow()

    assert shop.row(row).state is State.CANCELED
    assert {event.order_id for event in shop.ledger.inbox.pending([ID])} == {unread}


def test_several_workers_make_one_shipment(shop: Shop, at_once: Callable[..., list[Any]]) -> None:
    """However many deal with an approval at the same moment, there is one shipment."""
    order_id = shop.order()
    shop.deliver()
    events = shop.ledger.inbox.take(ID, lease_seconds=60)

    at_once(lambda: take_events(shop.store, events), times=4)

    assert len(shop.rows(order_id)) == 1
