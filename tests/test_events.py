"""Each webhook event is dealt with once, in whatever order it comes, and what cannot be now comes again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from parcelhook.errors import CarrierRefused, CarrierUnavailable
from parcelhook.fulfillment.booking import book
from parcelhook.fulfillment.events import APPROVED, take_events
from parcelhook.fulfillment.store import Outcome
from parcelhook.ledger import EventRow, ShipmentRow, State
from parcelhook.ledger.rows import InboxEvent
from parcelhook.ledger.states import BookingState
from parcelhook.models import BookingRequest, Status
from parcelhook.tracking.push import push
from shops import ID, LINE, ProcessDied, Shop

pytest_plugins = ["stores"]

CANCELED = "wix.ecom.v1.order_canceled"
UPDATED = "wix.ecom.v1.fulfillments_updated"
BY_COURIER: dict[str, Any] = {"shippingInfo": {"title": "Local Courier, next day"}}


def arrived(shop: Shop, event_type: str, order_id: str, **event: Any) -> EventRow:  # noqa: ANN401 - fields of the event
    """Put an event into the inbox, and take it."""
    row = {"payload": "{}", "entity_fqdn": event_type.rpartition("_")[0], "entity_id": order_id, **event}
    shop.ledger.inbox.receive(
        [InboxEvent(store=ID, id=uuid4().hex, event_type=event_type, order_id=order_id, event_time=shop.clock(), **row)]
    )
    return shop.ledger.inbox.take(ID, lease_seconds=60)[-1]


def outcome(shop: Shop, event: EventRow) -> EventRow:
    """Read an event as it is kept now."""
    return next(each for each in shop.ledger.inbox.find(store=ID, limit=1000) if each.id == event.id)


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
        assert reached == "WAITING_LINK" or shop.send(row) is Outcome.WAITING
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
    assert "delete the fulfillment" in after.what_to_do
    assert "leave it" in after.what_to_do


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


def test_a_status_set_by_hand_is_noted(shop: Shop) -> None:
    """What a merchant sets at Wix is known here, and nothing earlier is told to Wix any more."""
    row = shop.created(shop.order())
    shop.follow()
    shop.by_hand("PATCH", f"{row.fulfillment_id}/orders/{row.order_id}", {"fulfillment": {"status": "In_Delivery"}})

    outcomes = shop.follow()

    assert outcomes["fulfillments_updated"] == f"fulfillment {row.fulfillment_id} is In_Delivery"
    assert shop.row(row).wix_status == "In_Delivery"


def test_our_own_echo_changes_nothing(shop: Shop) -> None:
    """The event about what we did ourselves finds it known, and asks Wix nothing."""
    row = shop.created(shop.order())
    shop.calls()

    outcomes = shop.follow()

    assert outcomes["fulfillments_updated"] == "known already"
    assert shop.row(row) == row
    assert not shop.calls()


def test_an_echo_older_than_the_latest_status_sets_nothing_back(shop: Shop) -> None:
    """An event with an earlier status than the one we told since is checked against Wix itself."""
    row = shop.created(shop.order())
    shop.deliver()
    shop.ledger.shipments.set_status(row.id, status=Status.IN_TRANSIT, wanted_wix_status="In_Delivery")
    assert push(shop.store) == 1
    take_events(shop.store, shop.ledger.inbox.take(ID, lease_seconds=60))

    assert shop.row(row).wix_status == "In_Delivery"


def test_a_status_set_back_by_hand_is_noted(shop: Shop) -> None:
    """What a merchant sets back at Wix is known here too, where the store lets them."""
    shop.switch(status_sequence="free")
    row = shop.created(shop.order())
    for status in ("Fulfilled", "Ready"):
        shop.by_hand("PATCH", f"{row.fulfillment_id}/orders/{row.order_id}", {"fulfillment": {"status": status}})
        shop.follow()
        assert shop.row(row).wix_status == status


def test_an_echo_older_than_the_latest_shipment_deletes_nothing(shop: Shop) -> None:
    """An event that does not list what was made since is checked against Wix itself."""
    order_id = shop.order(quantity=2)
    first = shop.created(order_id, items={LINE: 1})
    shop.deliver()
    second = shop.created(order_id, items={LINE: 1})
    take_events(shop.store, shop.ledger.inbox.take(ID, lease_seconds=60))

    assert [shop.row(row).state for row in (first, second)] == [State.CREATED, State.CREATED]
    assert shop.follow()["fulfillments_updated"] == "known already"


def test_only_a_deleted_fulfillment_is_sent_anew(shop: Shop) -> None:
    """The same wish makes a second fulfillment only after the first was seen deleted."""
    order_id, number = shop.order(), shop.number()
    first = shop.created(order_id, number)
    shop.follow()
    assert shop.send(shop.take(order_id, number)) is None
    shop.by_hand("DELETE", f"{first.fulfillment_id}/orders/{order_id}")

    outcomes = shop.follow()

    assert outcomes["fulfillments_updated"] == f"fulfillment {first.fulfillment_id} was deleted"
    assert shop.row(first).state is State.DELETED
    second = shop.created(order_id, number)
    assert (second.generation, second.id != first.id) == (2, True)
    assert [each["id"] for each in shop.fulfillments(order_id)] == [second.fulfillment_id]


def test_a_fulfillment_made_by_hand_changes_nothing_of_ours(shop: Shop) -> None:
    """What others create is not taken for ours."""
    row = shop.created(shop.order(quantity=2), items={LINE: 1})
    shop.follow()
    shop.fulfilled_by_hand(row.order_id, shop.number())

    assert shop.follow()["fulfillments_updated"] == "known already"
    assert shop.row(row) == row


@pytest.mark.parametrize("payload", ["{}", "[]", '{"orderId": 7, "fulfillments": "none"}', "null", "{not json"])
def test_a_payload_that_cannot_be_read_is_ignored(shop: Shop, payload: str) -> None:
    """An event that does not hold what it should is finished, and nothing is deleted for it."""
    row = shop.created(shop.order())
    event = arrived(shop, UPDATED, row.order_id, payload=payload)

    take_events(shop.store, [event])

    assert outcome(shop, event).finished_at is not None
    assert shop.row(row).state is State.CREATED


def test_a_stale_snapshot_is_ignored(shop: Shop) -> None:
    """Of two snapshots only the later is believed, in whatever order they arrive."""
    row = shop.created(shop.order())
    listed = shop.store.wix.list_fulfillments(row.order_id).model_copy(update={"fulfillments": ()})
    arrived(shop, UPDATED, row.order_id, sequence=100, payload="{}")
    stale = arrived(shop, UPDATED, row.order_id, sequence=99, payload=listed.model_dump_json(by_alias=True))

    take_events(shop.store, [stale])

    assert outcome(shop, stale).outcome == "ignored: a later snapshot of it has arrived"
    assert shop.row(row).state is State.CREATED


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
