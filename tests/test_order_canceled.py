"""A canceled order ships nothing more: what Wix does not have is dropped, and the rest is asked about."""

from __future__ import annotations

from typing import Any

import pytest

from parcelhook.errors import CarrierRefused, CarrierUnavailable
from parcelhook.fulfillment.booking import book
from parcelhook.fulfillment.cancellation import AFTER_FULFILLMENT, cancel_order
from parcelhook.fulfillment.events import take_events
from parcelhook.fulfillment.orders import read_orders
from parcelhook.fulfillment.store import Outcome
from parcelhook.fulfillment.upkeep import follow_order
from parcelhook.ledger import ShipmentRow, State, moves
from parcelhook.ledger.inbox import APPROVED, CANCELED
from parcelhook.ledger.rows import Told
from parcelhook.ledger.states import BookingState
from parcelhook.models import BookingRequest
from shops import ID, LINE, ProcessDied, Shop

pytest_plugins = ["stores"]

BY_COURIER: dict[str, Any] = {"shippingInfo": {"title": "Local Courier, next day"}}


def booked(shop: Shop) -> ShipmentRow:
    """Give the shipment of an approved order that the courier was booked for."""
    order_id = shop.order(**BY_COURIER)
    shop.follow()
    (row,) = shop.rows(order_id)
    assert book(shop.store, [row.id]) == {row.id: Outcome.WAITING}
    return shop.row(row)


def at_courier(shop: Shop, row: ShipmentRow) -> bool:
    """Tell whether the courier's own record says that the parcel was canceled."""
    return shop.sandbox.sandbox.courier.parcel(row.tracking_number).cancelled


@pytest.mark.parametrize("reached", ["WAITING_NUMBER", "WAITING_LINK", "READY", "FAILED"])
def test_a_cancellation_before_wix_drops_the_shipment(shop: Shop, reached: str) -> None:
    """What Wix does not have is canceled, and not sent any more."""
    order_id = shop.order(quantity=2)
    if reached == "WAITING_NUMBER":
        shop.follow()
    elif reached == "FAILED":
        shop.send(shop.take(order_id, items={LINE: 3}))
    else:
        shop.fault("create", status=429, times=9)
        row = shop.take(order_id)
        assert reached == "WAITING_LINK" or shop.send(row) is Outcome.THROTTLED
    assert [row.state for row in shop.rows(order_id)] == [State(reached)]
    shop.deliver()
    shop.cancel(order_id)

    outcomes = shop.follow()

    assert outcomes["order_canceled"] == "its shipment was canceled"
    (row,) = shop.rows(order_id)
    assert (row.state, shop.send(row)) == (State.CANCELED, None)
    assert shop.fulfillments(order_id) == []


def test_a_cancellation_cancels_the_booking_too(shop: Shop) -> None:
    """The carrier is told as well, once."""
    row = booked(shop)
    shop.cancel(row.order_id)

    outcomes = shop.follow()

    assert outcomes["order_canceled"] == "its shipment was canceled; the booking with courier was canceled"
    assert at_courier(shop, row)
    assert shop.ledger.bookings.get(ID, key=row.intent_key).state is BookingState.CANCELED


def test_a_carrier_that_cannot_be_reached_is_told_of_the_cancellation_later(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shipment is dropped at once, and the event comes again until the booking is canceled."""
    row = booked(shop)
    shop.cancel(row.order_id)

    def failing(*_: object) -> None:
        msg = "the courier is away"
        raise CarrierUnavailable(msg, carrier="courier")

    with monkeypatch.context() as patched:
        patched.setattr(shop.store.registry, "cancel_booking", failing)
        shop.follow()
    assert shop.row(row).state is State.CANCELED
    assert [event.detail for event in shop.ledger.inbox.pending([ID])] == ["the courier is away"]
    shop.clock.advance(60)

    shop.follow()

    assert at_courier(shop, row)
    assert shop.ledger.inbox.pending([ID]) == []


def test_a_booking_that_cannot_be_canceled_is_for_a_person(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the carrier refuses, the booking says so and what to do, and the carrier is not asked again."""
    row = booked(shop)
    shop.cancel(row.order_id)

    def refusing(*_: object) -> None:
        msg = "the parcel was collected already"
        raise CarrierRefused(msg, carrier="courier")

    monkeypatch.setattr(shop.store.registry, "cancel_booking", refusing)

    outcomes = shop.follow()

    assert outcomes["order_canceled"].endswith("its booking stands: the parcel was collected already")
    kept = shop.ledger.bookings.get(ID, key=row.intent_key)
    assert (kept.state, bool(kept.what_to_do)) == (BookingState.NEEDS_REVIEW, True)
    assert shop.row(row).state is State.CANCELED


def test_a_death_between_shipment_and_booking_cancels_the_booking_later(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that died after the shipment was dropped leaves no booking behind."""
    row = booked(shop)
    shop.cancel(row.order_id)

    def die(*_: object) -> None:
        raise ProcessDied

    with monkeypatch.context() as patched:
        patched.setattr(shop.store.registry, "cancel_booking", die)
        with pytest.raises(ProcessDied):
            shop.follow()
    assert shop.row(row).state is State.CANCELED
    shop.clock.advance(61)

    shop.follow()

    assert at_courier(shop, row)


@pytest.mark.parametrize("is_booked", [False, True])
def test_a_cancellation_waits_for_what_an_interrupted_booking_left(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, *, is_booked: bool
) -> None:
    """Where a process died while it booked, the courier is asked first, and what it has is canceled."""
    order_id = shop.order(**BY_COURIER)
    shop.follow()
    (row,) = shop.rows(order_id)
    original = shop.store.registry.book

    def die(carrier_id: str, request: BookingRequest) -> None:
        if is_booked:
            original(carrier_id, request)
        raise ProcessDied

    with monkeypatch.context() as patched:
        patched.setattr(shop.store.registry, "book", die)
        with pytest.raises(ProcessDied):
            book(shop.store)
    shop.cancel(order_id)
    heir = shop.next_worker()
    heir.follow()
    assert heir.row(row).state is State.WAITING_NUMBER

    outcomes = book(heir.store)
    shop.clock.advance(60)
    heir.follow()

    assert outcomes == {row.id: Outcome.WAITING if is_booked else Outcome.NOT_FULFILLABLE}
    assert heir.row(row).state is State.CANCELED
    assert [parcel.cancelled for parcel in shop.sandbox.sandbox.courier.find(row.intent_key)] == [True] * is_booked
    assert not [each for each in shop.ledger.bookings.find(store=ID) if each.state is BookingState.BOOKING]


def test_a_cancellation_while_the_carrier_is_asked_comes_again(shop: Shop) -> None:
    """A booking that is being made is canceled once it is known."""
    order_id = shop.order(**BY_COURIER)
    shop.follow()
    claimed = shop.ledger.shipments.claim(ID, states={State.WAITING_NUMBER}, owner="other", lease_seconds=6)
    assert [row.order_id for row in claimed] == [order_id]
    shop.cancel(order_id)

    shop.follow()

    assert shop.row(claimed[0]).state is State.WAITING_NUMBER
    shop.clock.advance(60)
    shop.follow()
    assert shop.row(claimed[0]).state is State.CANCELED


def test_a_cancellation_while_sending_comes_again(shop: Shop) -> None:
    """Nothing is decided about a shipment whose create is open; afterwards a person is asked."""
    order_id = shop.order()
    shop.fault("create", effect="untold")
    row = shop.take(order_id)
    assert shop.send(row) is Outcome.UNDECIDED
    shop.cancel(order_id)

    shop.follow()

    assert shop.row(row).state is State.SENDING
    assert [event.event_type for event in shop.ledger.inbox.pending([ID])] == [CANCELED]
    assert shop.settle(row) is Outcome.CREATED
    shop.follow()
    assert shop.row(row).state is State.NEEDS_REVIEW
    assert shop.ledger.inbox.pending([ID]) == []


def test_a_cancellation_after_the_fulfillment_names_both_ways_out(shop: Shop) -> None:
    """A parcel under way is a person's to decide about: stop it and delete the fulfillment, or let it arrive."""
    row = shop.created(shop.order())
    shop.cancel(row.order_id)

    outcomes = shop.follow()

    assert outcomes["order_canceled"] == "its fulfillment exists already; a person is asked"
    after = shop.row(row)
    assert after.state is State.NEEDS_REVIEW
    assert "canceled after its fulfillment" in after.error
    assert f"`parcelhook review resolve {row.id} --delete`" in after.what_to_do
    assert f"`parcelhook review resolve {row.id} --keep`" in after.what_to_do


def test_a_review_of_something_else_becomes_one_of_the_cancellation(shop: Shop) -> None:
    """Who is asked about a parcel that came back is told that its order is canceled too, once."""
    row = shop.created(shop.order())
    shop.ledger.shipments.move(moves.needs_review(row, reason="the parcel is returned"))
    shop.cancel(row.order_id)

    shop.follow()

    assert shop.row(row).error == AFTER_FULFILLMENT
    after = shop.row(row)
    assert cancel_order(shop.store, row.order_id) == "nothing of it was to be shipped"
    assert shop.row(row) == after


def test_a_cancellation_drops_what_a_person_was_asked_about_before_anything_was_sent(shop: Shop) -> None:
    """A question about a shipment that Wix cannot have is answered by the cancellation."""
    row = shop.take(shop.order())
    shop.ledger.shipments.move(moves.needs_review(row, reason="which carrier?"))
    shop.cancel(row.order_id)

    assert shop.follow()["order_canceled"] == "its shipment was canceled"
    assert shop.row(row).state is State.CANCELED


def test_a_cancellation_that_comes_before_the_approval_ships_nothing(shop: Shop) -> None:
    """Also where Wix's search still shows the order as approved, nothing waits, is booked or is sent."""
    shop.switch(search_lag_seconds=3600)
    order_ids = [shop.order(**BY_COURIER), shop.order(**BY_COURIER)]
    for order_id in order_ids:
        shop.cancel(order_id)
    canceled = [event for event in shop.deliver() if event.event_type == CANCELED]

    take_events(shop.store, canceled)
    shop.follow()

    assert [shop.rows(order_id) for order_id in order_ids] == [[], []]


def test_what_another_worker_added_meanwhile_is_dropped_by_the_next_event(shop: Shop) -> None:
    """A shipment that was written down just after the cancellation was dealt with does not wait for ever."""
    order_id = shop.order()
    before = read_orders(shop.store.wix, [order_id])[order_id]
    shop.cancel(order_id)
    approved, *rest = sorted(shop.deliver(), key=lambda event: event.event_type)
    assert approved.event_type == APPROVED
    take_events(shop.store, rest)
    follow_order(shop.store, before, told=Told(order=None, fulfillments=None, happened={}))
    assert [row.state for row in shop.rows(order_id)] == [State.WAITING_NUMBER]

    take_events(shop.store, [approved])

    assert [row.state for row in shop.rows(order_id)] == [State.CANCELED]


def test_a_lost_cancellation_is_seen_in_a_later_update(shop: Shop) -> None:
    """Where the cancellation itself never came, any later webhook that shows the order as canceled cancels it."""
    order_id = shop.order()
    shop.follow()
    shop.edit(order_id, status="CANCELED")

    outcomes = shop.follow()

    assert "was canceled; its shipment was canceled" in outcomes["order_updated"]
    assert [row.state for row in shop.rows(order_id)] == [State.CANCELED]


def test_a_fulfillment_deleted_after_a_review_is_noted(shop: Shop) -> None:
    """The first of the two ways out is seen when it is taken."""
    row = shop.created(shop.order())
    shop.cancel(row.order_id)
    shop.follow()
    shop.by_hand("DELETE", f"{row.fulfillment_id}/orders/{row.order_id}")

    shop.follow()

    assert shop.row(row).state is State.DELETED


def test_the_cancellation_of_an_order_that_is_not_ours_does_nothing(shop: Shop) -> None:
    """An order of which nothing was to be shipped is told to be so."""
    order_id = shop.order()
    shop.deliver()
    shop.ledger.inbox.take(ID, lease_seconds=600)
    shop.cancel(order_id)

    assert shop.follow()["order_canceled"] == "nothing of it was to be shipped"
