"""A shipment is taken back: at Wix where Wix has it, at the carrier where it was booked, and once however often."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from history_check import history_of, violations
from parcelhook.errors import CarrierRefused, CarrierUnavailable, Undecided, WixUnauthorized
from parcelhook.fulfillment.booking import book
from parcelhook.fulfillment.deletion import delete
from parcelhook.fulfillment.store import Outcome
from parcelhook.ledger import BookingState, ShipmentRow, State, moves
from parcelhook.models import BookingRequest, Status
from parcelhook.tracking.push import push
from shops import ID, Json, ProcessDied, Shop

pytest_plugins = ["stores"]

BY_COURIER: dict[str, Any] = {"shippingInfo": {"title": "Local Courier, next day"}}


def breaches(shop: Shop, row: ShipmentRow, *, is_touched: bool = False) -> list[str]:
    """Judge all that happened to a shipment's order; one that others wrote to as well is touched."""
    its = [row.order_id]
    return violations(history_of(shop, shop.ledger, store=ID, orders=its), touched=its if is_touched else ())


def booked(shop: Shop) -> ShipmentRow:
    """Give the shipment of an approved order that the courier was booked for."""
    order_id = shop.order(**BY_COURIER)
    shop.follow()
    (row,) = shop.rows(order_id)
    assert book(shop.store, [row.id]) == {row.id: Outcome.WAITING}
    return shop.row(row)


def at_courier(shop: Shop, row: ShipmentRow) -> list[bool]:
    """Tell of each parcel the courier has for a shipment whether it is canceled."""
    return [parcel.cancelled for parcel in shop.sandbox.sandbox.courier.find(row.intent_key)]


def test_the_fulfillment_is_deleted_at_wix(shop: Shop) -> None:
    """One call deletes it, and the shipment says so with the reason."""
    row = shop.created(shop.order())
    shop.calls()

    done = delete(shop.store, row)

    assert shop.calls() == {"delete": 1}
    assert shop.fulfillments(row.order_id) == []
    assert (done.row.state, done.row.error) == (State.DELETED, "")
    assert done.told == f"Fulfillment {row.fulfillment_id} was deleted."
    assert "it was deleted by hand" in shop.why(row.order_id)
    assert breaches(shop, row) == []


def test_again_is_harmless(shop: Shop) -> None:
    """What is deleted costs no call, and stays so when Wix's own webhook comes."""
    row = delete(shop.store, shop.created(shop.order())).row
    shop.calls()

    done = delete(shop.store, row)
    calls = shop.calls()
    shop.follow()

    assert (done.row, done.told) == (row, "It was DELETED before.")
    assert not calls
    assert shop.row(row).state is State.DELETED


def test_what_was_deleted_may_be_shipped_anew(shop: Shop) -> None:
    """The same wish makes another fulfillment after the deletion."""
    order_id, number = shop.order(), shop.number()
    first = delete(shop.store, shop.created(order_id, number)).row

    second = shop.created(order_id, number)

    assert (second.generation, second.state) == (first.generation + 1, State.CREATED)
    assert len(shop.fulfillments(order_id)) == 1


@pytest.mark.parametrize("status", [404, 400])
def test_a_fulfillment_that_is_gone_counts_as_deleted(shop: Shop, status: int) -> None:
    """Where somebody else deleted it, that is what was wanted."""
    shop.switch(unknown_fulfillment_status=status)
    row = shop.created(shop.order())
    shop.by_hand("DELETE", f"{row.fulfillment_id}/orders/{row.order_id}")

    done = delete(shop.store, row)

    assert done.row.state is State.DELETED
    assert "gone from Wix already" in done.told


@pytest.mark.parametrize(
    "fault",
    [{"effect": "untold"}, {"status": 503}, {"effect": "untold", "body": "html"}],
    ids=["lost answer", "fault at Wix", "unreadable"],
)
def test_an_unclear_answer_is_decided_by_the_same_command(shop: Shop, fault: Json) -> None:
    """Whether it is gone is open: nothing is noted, and the same again decides."""
    row = shop.created(shop.order())
    shop.fault("delete", **fault)

    with pytest.raises(Undecided) as undecided:
        delete(shop.store, row)
    left = shop.row(row)
    done = delete(shop.store, left)

    assert (undecided.value.exit_code, left.state) == (4, State.CREATED)
    assert f"parcelhook shipments delete {row.id}" in undecided.value.what_to_do
    assert left.what_to_do == f"parcelhook shipments delete {row.id}"
    assert done.row.state is State.DELETED
    assert shop.fulfillments(row.order_id) == []
    assert breaches(shop, row) == []


@pytest.mark.parametrize("is_told", [False, True], ids=["before the call", "after the answer"])
def test_a_death_is_finished_by_the_same_command(shop: Shop, monkeypatch: pytest.MonkeyPatch, *, is_told: bool) -> None:
    """A process that dies between row and call, or before it noted the answer, leaves what the next one finishes."""
    row = shop.created(shop.order())
    shop.dying(monkeypatch, "delete_fulfillment", after=is_told)
    with pytest.raises(ProcessDied):
        delete(shop.store, row)
    assert shop.row(row).error.startswith("begun and not finished: deleting")
    with pytest.raises(Undecided):
        delete(replace(shop.store, owner="other"), shop.row(row))

    heir = shop.next_worker()
    done = delete(heir.store, heir.row(row))

    assert done.row.state is State.DELETED
    assert shop.fulfillments(row.order_id) == []
    assert breaches(shop, row) == []


def test_a_webhook_that_comes_first_is_no_error(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wix's webhook about the deletion may be dealt with before the answer is noted."""
    row = shop.created(shop.order())
    shop.follow()
    original = shop.store.wix.delete_fulfillment

    def and_follow(*arguments: Any) -> object:  # noqa: ANN401 - passed on
        answer = original(*arguments)
        shop.follow()
        return answer

    monkeypatch.setattr(shop.store.wix, "delete_fulfillment", and_follow)

    assert delete(shop.store, shop.row(row)).row.state is State.DELETED


def test_a_clear_refusal_leaves_everything_as_it_was(shop: Shop) -> None:
    """Where Wix refuses the credentials, nothing is deleted here either."""
    row = shop.created(shop.order())
    shop.fault("delete", status=401, times=9)

    with pytest.raises(WixUnauthorized):
        delete(shop.store, row)

    after = shop.row(row)
    assert (after.state, after.error, after.what_to_do, after.claimed_by) == (State.CREATED, "", "", None)
    assert len(shop.fulfillments(row.order_id)) == 1


def test_no_status_is_told_any_more(shop: Shop) -> None:
    """What Wix was still to be told of a deleted fulfillment is told to nobody."""
    row = shop.created(shop.order())
    shop.ledger.shipments.set_status(row.id, status=Status.DELIVERED, wanted_wix_status="Fulfilled")

    delete(shop.store, shop.row(row))

    assert push(shop.store) == 0


@pytest.mark.parametrize("state", ["WAITING_NUMBER", "WAITING_LINK", "FAILED", "NEEDS_REVIEW"])
def test_what_was_never_sent_is_canceled(shop: Shop, state: str) -> None:
    """A shipment Wix never had is dropped without a call, and sent no more."""
    order_id = shop.order()
    if state == "WAITING_NUMBER":
        shop.follow()
        (row,) = shop.rows(order_id)
    else:
        row = shop.take(order_id)
    if state == "FAILED":
        row = shop.ledger.shipments.move(moves.failed(row, error="refused"))
    if state == "NEEDS_REVIEW":
        row = shop.ledger.shipments.move(moves.needs_review(row, reason="no link"))
    assert row.state is State(state)
    shop.calls()

    done = delete(shop.store, row)

    assert (done.row.state, shop.send(done.row)) == (State.CANCELED, None)
    assert not shop.calls()


def test_while_sending_nothing_is_deleted(shop: Shop) -> None:
    """An open outcome is decided first; then the same command deletes what there is."""
    row = shop.take(shop.order())
    shop.fault("create", effect="untold")
    assert shop.send(row) is Outcome.UNDECIDED

    with pytest.raises(Undecided, match="not decided yet"):
        delete(shop.store, shop.row(row))
    assert shop.settle(row) is Outcome.CREATED
    delete(shop.store, shop.row(row))

    assert shop.fulfillments(row.order_id) == []


def test_what_was_sent_unseen_is_deleted_where_it_is(shop: Shop) -> None:
    """A person was asked because Wix did not show it; where Wix has it after all, it is deleted there."""
    row = shop.take(shop.order())
    for _ in range(2):
        shop.fault("create", status=503)
        shop.send(row)
        shop.settle(row)
    assert shop.row(row).state is State.NEEDS_REVIEW
    shop.fulfilled_by_hand(row.order_id, row.tracking_number)

    done = delete(shop.store, shop.row(row))

    assert done.row.state is State.DELETED
    assert shop.fulfillments(row.order_id) == []


def test_what_failed_and_is_at_wix_all_the_same_is_deleted_there(shop: Shop) -> None:
    """A refusal may follow on a call that did happen: Wix is asked before it is said that it never had it."""
    row = shop.take(shop.order())
    shop.fault("create", status=400)
    assert shop.send(row) is Outcome.REFUSED
    shop.fulfilled_by_hand(row.order_id, row.tracking_number)

    done = delete(shop.store, shop.row(row))

    assert done.row.state is State.DELETED
    assert shop.fulfillments(row.order_id) == []


def test_its_booking_is_canceled(shop: Shop) -> None:
    """The courier that was booked for a fulfillment is told as well."""
    row = booked(shop)
    assert shop.send(row) is Outcome.CREATED

    done = delete(shop.store, shop.row(row))

    assert done.told == f"Fulfillment {done.row.fulfillment_id} was deleted. The booking with courier was canceled."
    assert at_courier(shop, row) == [True]
    assert shop.fulfillments(row.order_id) == []


def test_a_booking_of_what_was_never_sent_is_canceled(shop: Shop) -> None:
    """So is that of a shipment Wix never had."""
    row = booked(shop)

    done = delete(shop.store, row)

    assert done.row.state is State.CANCELED
    assert at_courier(shop, row) == [True]


def test_a_carrier_that_is_away_is_told_by_the_same_command(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipment is gone at once; the booking is canceled when the command is run again."""
    row = booked(shop)

    def away(*_: object) -> None:
        msg = "the courier is away"
        raise CarrierUnavailable(msg, carrier="courier")

    with monkeypatch.context() as patched:
        patched.setattr(shop.store.registry, "cancel_booking", away)
        with pytest.raises(CarrierUnavailable) as error:
            delete(shop.store, row)
    left = shop.row(row)
    delete(shop.store, left)

    assert left.state is State.CANCELED
    assert "run the same command again" in error.value.what_to_do
    assert at_courier(shop, row) == [True]


def test_a_booking_that_stands_is_told(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the carrier refuses, that is told, and the booking waits for a person."""
    row = booked(shop)

    def refusing(*_: object) -> None:
        msg = "the parcel was collected already"
        raise CarrierRefused(msg, carrier="courier")

    monkeypatch.setattr(shop.store.registry, "cancel_booking", refusing)

    done = delete(shop.store, row)

    assert done.told.endswith("Its booking stands: the parcel was collected already.")
    assert shop.ledger.bookings.get(ID, key=row.intent_key).state is BookingState.NEEDS_REVIEW


def test_a_booking_that_is_open_is_decided_first(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a process died while it booked, nobody knows what is to be canceled: not yet."""
    order_id = shop.order(**BY_COURIER)
    shop.follow()
    (row,) = shop.rows(order_id)
    original = shop.store.registry.book

    def die(carrier_id: str, request: BookingRequest) -> None:
        original(carrier_id, request)
        raise ProcessDied

    with monkeypatch.context() as patched:
        patched.setattr(shop.store.registry, "book", die)
        with pytest.raises(ProcessDied):
            book(shop.store)
    heir = shop.next_worker()

    with pytest.raises(Undecided):
        delete(heir.store, heir.row(row))
    book(heir.store)
    delete(heir.store, heir.row(row))

    assert at_courier(shop, row) == [True]
