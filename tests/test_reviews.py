"""Whatever a person is asked about has its ways out, and each of them asks Wix first what it has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from history_check import history_of, violations
from parcelhook import BookedParcel, Booking, BookingRequest, Carrier, hookimpl
from parcelhook.errors import CarrierRefused, CarrierUnavailable, InputError, Undecided, WrongState
from parcelhook.fulfillment.booking import book
from parcelhook.fulfillment.reconcile import reconcile
from parcelhook.fulfillment.reviews import again, check_in_review, drop, in_review, keep, ways
from parcelhook.fulfillment.store import Outcome
from parcelhook.ledger import BookingState, ShipmentRow, State, moves
from parcelhook.models import Status
from parcelhook.settings import Rule
from parcelhook.tracking.push import push
from shops import ID, LINE, SETTLE, Shop, registry_of

pytest_plugins = ["stores"]


def breaches(shop: Shop, row: ShipmentRow, *, is_touched: bool = False) -> list[str]:
    """Judge all that happened to a shipment's order; one that others wrote to as well is touched."""
    its = [row.order_id]
    return violations(history_of(shop, shop.ledger, store=ID, orders=its), touched=its if is_touched else ())


def canceled_after(shop: Shop) -> ShipmentRow:
    """Give a shipment whose order was canceled after its fulfillment."""
    row = shop.created(shop.order())
    shop.cancel(row.order_id)
    shop.follow()
    assert shop.row(row).state is State.NEEDS_REVIEW
    return shop.row(row)


def unclear(shop: Shop, *, is_there: bool = False) -> ShipmentRow:
    """Give a shipment about which Wix was unclear twice; with ``is_there`` the order shows its number after all."""
    row = shop.take(shop.order())
    for _ in range(2):
        shop.fault("create", status=503)
        shop.send(row)
        shop.settle(row)
    if is_there:
        shop.fulfilled_by_hand(row.order_id, row.tracking_number)
    assert shop.row(row).state is State.NEEDS_REVIEW
    return shop.row(row)


def never_sent(shop: Shop) -> ShipmentRow:
    """Give a shipment that a person was asked about before anything was sent."""
    return shop.ledger.shipments.move(moves.needs_review(shop.take(shop.order()), reason="no link could be had"))


def test_nothing_in_review(shop: Shop) -> None:
    """What is created, waits or failed is no question for a person."""
    shop.created(shop.order())
    shop.take(shop.order())

    assert in_review(shop.ledger) == []


def test_each_review_says_since_when_why_and_what_may_be_done(shop: Shop) -> None:
    """The oldest comes first; the time is that of the question, whatever was noted since."""
    first = canceled_after(shop)
    asked_at = first.updated_at
    shop.clock.advance(60)
    shop.ledger.shipments.note_wix_status(first.id, wix_status="Ready")
    second, third = unclear(shop), never_sent(shop)

    reviews = in_review(shop.ledger, store=ID)

    assert [(review.row.id, review.ways) for review in reviews] == [
        (first.id, ("keep", "delete")),
        (second.id, ("keep", "delete", "again", "drop")),
        (third.id, ("again", "drop")),
    ]
    assert reviews[0].since == asked_at
    assert [review.why for review in reviews] == [
        "the order was canceled after its fulfillment",
        "Wix's answer was unclear twice, and it does not show the fulfillment",
        "no link could be had",
    ]
    assert in_review(shop.ledger, store="other") == []


def test_the_hints_are_commands(shop: Shop) -> None:
    """What is advised where a person is asked names the commands with the shipment's id."""
    canceled, sent = canceled_after(shop), unclear(shop)

    for row, offered in ((canceled, ("keep", "delete")), (sent, ("keep", "again"))):
        for way in offered:
            assert f"`parcelhook review resolve {row.id} --{way}`" in row.what_to_do


def test_what_is_not_in_review_is_not_resolved(shop: Shop) -> None:
    """A shipment nobody was asked about is refused, whatever the way."""
    row = shop.created(shop.order())

    for way in ("keep", "delete", "again", "drop"):
        with pytest.raises(WrongState, match="nobody was asked"):
            check_in_review(shop.store, row, way=way)


def test_what_another_process_holds_waits(shop: Shop) -> None:
    """A review that somebody is deciding is not decided twice."""
    row = canceled_after(shop)
    (held,) = shop.ledger.shipments.claim(ID, states={State.NEEDS_REVIEW}, owner="other", lease_seconds=6, ids=[row.id])

    with pytest.raises(Undecided):
        check_in_review(shop.store, held, way="keep")


def test_keep_leaves_what_is_at_wix(shop: Shop) -> None:
    """The shipment is created again, with the status Wix has now, and no call changes anything."""
    row = canceled_after(shop)
    shop.by_hand("PATCH", f"{row.fulfillment_id}/orders/{row.order_id}", {"fulfillment": {"status": "Ready"}})
    shop.calls()

    kept = keep(shop.store, row)

    assert shop.calls() == {"list": 1}
    assert (kept.state, kept.fulfillment_id, kept.error) == (State.CREATED, row.fulfillment_id, "")
    assert kept.wix_status == "Ready"
    assert breaches(shop, row, is_touched=True) == []


def test_what_was_kept_is_not_asked_about_again(shop: Shop) -> None:
    """Wix goes on to say that the order is canceled: the person has decided that."""
    row = canceled_after(shop)
    keep(shop.store, row)

    reconcile(shop.store)

    assert shop.row(row).state is State.CREATED


def test_another_question_is_asked_of_what_was_kept(shop: Shop) -> None:
    """An order that is canceled after another review was kept is a question of its own."""
    row = shop.created(shop.order())
    row = shop.ledger.shipments.move(moves.needs_review(row, reason="the parcel is returned"))
    keep(shop.store, row)
    shop.cancel(row.order_id)

    shop.follow()

    assert shop.row(row).state is State.NEEDS_REVIEW


def test_a_status_is_told_after_keep(shop: Shop) -> None:
    """What Wix was to be told when the person was asked is told once it is kept."""
    row = shop.created(shop.order())
    shop.ledger.shipments.set_status(row.id, status=Status.IN_TRANSIT, wanted_wix_status="In_Delivery")
    shop.cancel(row.order_id)
    shop.follow()

    keep(shop.store, shop.row(row))

    assert push(shop.store) == 1
    assert shop.fulfillments(row.order_id)[0]["status"] == "In_Delivery"


def test_keep_finds_what_is_gone(shop: Shop) -> None:
    """Where Wix has the fulfillment no more there is nothing to keep, and the other way out is named."""
    row = canceled_after(shop)
    shop.by_hand("DELETE", f"{row.fulfillment_id}/orders/{row.order_id}")

    with pytest.raises(WrongState, match=str(row.fulfillment_id)) as refused:
        keep(shop.store, row)

    assert "--delete" in refused.value.what_to_do
    assert shop.row(row) == row


def test_keep_names_no_other_fulfillment_of_a_known_one(shop: Shop) -> None:
    """A shipment whose fulfillment is known is not bound to another."""
    row = canceled_after(shop)

    with pytest.raises(InputError, match="not something-else"):
        keep(shop.store, row, fulfillment_id="something-else")


def test_keep_binds_the_fulfillment_with_the_number(shop: Shop) -> None:
    """What Wix shows after all is the shipment's, with the items it has there."""
    row = unclear(shop, is_there=True)

    kept = keep(shop.store, row)

    (fulfillment,) = shop.fulfillments(row.order_id)
    assert (kept.state, kept.fulfillment_id) == (State.CREATED, fulfillment["id"])
    assert [(item.line_item_id, item.quantity) for item in kept.items] == [(LINE, 1)]
    assert breaches(shop, row, is_touched=True) == []


def test_keep_binds_the_fulfillment_that_is_named(shop: Shop) -> None:
    """A person may know better than the number, which becomes the one Wix shows."""
    row, number = unclear(shop), shop.number()
    by_hand = shop.fulfilled_by_hand(row.order_id, number)
    tried = shop.take(row.order_id, number, key="tried")
    shop.ledger.shipments.move(moves.failed(tried, error="nothing is left to ship"))
    with pytest.raises(WrongState) as refused:
        keep(shop.store, row)

    kept = keep(shop.store, row, fulfillment_id=by_hand)

    assert f"{by_hand} ({number})" in refused.value.what_to_do
    assert (kept.state, kept.fulfillment_id, kept.tracking_number) == (State.CREATED, by_hand, number)
    assert shop.take(row.order_id, number).id == row.id
    assert shop.row(tried).state is State.CANCELED
    assert breaches(shop, row, is_touched=True) == []


def test_keep_binds_nothing_that_is_another_shipments(shop: Shop) -> None:
    """One fulfillment is one shipment's."""
    order_id = shop.order(quantity=2)
    other = shop.created(order_id, items={LINE: 1})
    row = shop.take(order_id, items={LINE: 1})
    row = shop.ledger.shipments.move(moves.needs_review(row, reason="because"))

    with pytest.raises(WrongState, match="another shipment"):
        keep(shop.store, row, fulfillment_id=other.fulfillment_id)

    assert shop.row(row) == row


def test_again_sends_it_anew(shop: Shop) -> None:
    """Where Wix, asked now, does not have it, it is sent once more, and once."""
    row = unclear(shop)
    shop.calls()

    ready = again(shop.store, row)

    assert shop.calls() == {"list": 1}
    assert (ready.state, ready.ambiguous) == (State.WAITING_LINK, 0)
    assert shop.send(ready) is Outcome.CREATED
    assert len(shop.fulfillments(row.order_id)) == 1


@pytest.mark.parametrize("resolve", [again, drop])
def test_what_wix_has_is_neither_sent_again_nor_dropped(shop: Shop, resolve: Any) -> None:  # noqa: ANN401 - either
    """Where Wix has it after all, nothing is changed, and the two ways that fit are named."""
    for row in (unclear(shop, is_there=True), canceled_after(shop)):
        with pytest.raises(WrongState, match="Wix has it") as refused:
            resolve(shop.store, row)

        assert f"parcelhook review resolve {row.id} --keep, or --delete" in refused.value.what_to_do
        assert shop.row(row) == row


def test_again_of_what_was_deleted_makes_another_shipment(shop: Shop) -> None:
    """A fulfillment that is gone is noted as deleted, and the same wish is taken in anew."""
    row = shop.created(shop.order(), items={LINE: 1})
    row = shop.ledger.shipments.move(moves.needs_review(row, reason="the parcel is lost"))
    shop.by_hand("DELETE", f"{row.fulfillment_id}/orders/{row.order_id}")
    with pytest.raises(Undecided, match="may not show"):
        again(shop.store, row)
    shop.clock.advance(SETTLE.total_seconds() + 1)

    anew = again(shop.store, row)

    assert shop.row(row).state is State.DELETED
    assert (anew.generation, anew.tracking_number, anew.items) == (2, row.tracking_number, row.items)
    assert shop.send(anew) is Outcome.CREATED
    assert shop.take(row.order_id, row.tracking_number, items={LINE: 1}).id == anew.id
    assert breaches(shop, row, is_touched=True) == []


def test_again_sends_no_number_that_another_shipment_has(shop: Shop) -> None:
    """What another shipment of the order has is not sent twice."""
    order_id, number = shop.order(quantity=2), shop.number()
    shop.created(order_id, number, items={LINE: 1})
    row = shop.take(order_id, number, items={LINE: 1}, key="another")
    row = shop.ledger.shipments.move(moves.needs_review(row, reason="because"))

    with pytest.raises(WrongState, match="another shipment"):
        again(shop.store, row)
    assert drop(shop.store, row).state is State.CANCELED


def test_drop_ships_nothing(shop: Shop) -> None:
    """What Wix does not have is canceled, and sent no more."""
    for row in (unclear(shop), never_sent(shop)):
        dropped = drop(shop.store, row)

        assert (dropped.state, shop.send(dropped)) == (State.CANCELED, None)
        assert "nothing is to be shipped" in shop.why(row.order_id)


def test_drop_of_what_was_deleted_says_so(shop: Shop) -> None:
    """A fulfillment that is gone from Wix was deleted, and not canceled."""
    row = canceled_after(shop)
    shop.by_hand("DELETE", f"{row.fulfillment_id}/orders/{row.order_id}")
    shop.clock.advance(SETTLE.total_seconds() + 1)

    assert drop(shop.store, row).state is State.DELETED


class Office:
    """A carrier that books, and whose next call is told nobody; ``booked`` are the keys in its books."""

    def __init__(self) -> None:
        self.booked: list[str] = []
        self.canceled: list[str] = []
        self.fails: Exception | None = CarrierUnavailable("no answer", carrier="office")

    @hookimpl
    def parcelhook_carriers(self) -> list[Carrier]:
        """Serve one carrier."""
        return [Carrier(id="office", name="Office", link="https://office.example/{number}")]

    @hookimpl
    async def parcelhook_book(self, request: BookingRequest) -> Booking:
        """Book, and perhaps fail to say so."""
        self.booked.append(request.key)
        if self.fails is not None:
            failure, self.fails = self.fails, None
            raise failure
        return self.booking(request.key)

    @hookimpl
    async def parcelhook_cancel_booking(self, booking: Booking) -> None:
        """Cancel."""
        self.canceled.append(booking.key)

    @staticmethod
    def booking(key: str) -> Booking:
        """Write down a booking."""
        return Booking(key=key, parcels=(BookedParcel(tracking_number=f"OF{key[3:13]}"),))


class FindingOffice(Office):
    """An office whose plug-in can look into the books, but for the first time it is asked."""

    is_shut = True

    @hookimpl
    async def parcelhook_find_booking(self, key: str) -> Booking | None:
        """Look."""
        if self.is_shut:
            self.is_shut = False
            msg = "not today"
            raise CarrierRefused(msg, carrier="office")
        return self.booking(key) if key in self.booked else None


class OtherOffice:
    """The same carrier, of which nothing can be booked any more."""

    @hookimpl
    def parcelhook_carriers(self) -> list[Carrier]:
        """Serve one carrier."""
        return [Carrier(id="office", name="Office", link="https://office.example/{number}")]


@contextmanager
def in_doubt(shop: Shop, office: Office) -> Iterator[ShipmentRow]:
    """Give a shipment whose booking a person was asked about."""
    with registry_of(shop.sandbox, office=office) as registry:
        shop.store = replace(shop.store, registry=registry, rules=(Rule(carrier="office"),))
        order_id = shop.order()
        shop.follow()
        (row,) = shop.rows(order_id)
        while shop.row(row).state is State.WAITING_NUMBER:
            book(shop.store)
            shop.clock.advance(900)
        assert shop.row(row).state is State.NEEDS_REVIEW
        yield shop.row(row)


def test_a_booking_in_review_is_booked_again(shop: Shop) -> None:
    """A person looked, and the carrier has none: it is asked once more under the same key."""
    office = Office()
    with in_doubt(shop, office) as row:
        office.booked.clear()
        waits = again(shop.store, row)

        assert (ways(row), waits.state, waits.due_at is not None) == (("again", "drop"), State.WAITING_NUMBER, True)
        assert book(shop.store) == {row.id: Outcome.WAITING}
        assert shop.send(row) is Outcome.CREATED
        assert office.booked == [row.intent_key]


def test_what_was_booked_unseen_is_canceled_with_the_drop(shop: Shop) -> None:
    """Where the plug-in can look, what it finds is canceled at the carrier."""
    office = FindingOffice()
    with in_doubt(shop, office) as row:
        dropped = drop(shop.store, row)

        assert dropped.state is State.CANCELED
        assert office.canceled == [row.intent_key]
        assert shop.ledger.bookings.get(ID, key=row.intent_key).state is BookingState.CANCELED
        assert in_review(shop.ledger) == []


@pytest.mark.parametrize("office", [Office(), FindingOffice()], ids=["cannot look", "has none"])
def test_a_booking_that_never_was_is_closed_with_the_drop(shop: Shop, office: Office) -> None:
    """Where the carrier has none, or only a person can know, the person's word closes it."""
    with in_doubt(shop, office) as row:
        office.booked.clear()
        drop(shop.store, row)

        assert office.canceled == []
        assert shop.ledger.bookings.get(ID, key=row.intent_key).state is BookingState.CANCELED
        assert in_review(shop.ledger) == []


def test_a_booking_that_stands_alone_is_shown_and_closed(shop: Shop) -> None:
    """A booking the carrier would not cancel is a question though its shipment is over; only a drop closes it."""
    with in_doubt(shop, Office()) as asked:
        row = shop.ledger.shipments.move(moves.canceled(asked, reason="the order was canceled"))
        (review,) = in_review(shop.ledger, store=ID)
        with pytest.raises(WrongState, match="its booking"):
            check_in_review(shop.store, row, way="again")

        check_in_review(shop.store, row, way="drop")
        dropped = drop(shop.store, row)

        assert (review.row.id, review.ways) == (row.id, ("drop",))
        assert "its booking with office may stand" in review.why
        assert dropped.state is State.CANCELED
        assert in_review(shop.ledger) == []


def test_a_booking_in_review_is_bound_to_what_was_made_by_hand(shop: Shop) -> None:
    """A merchant may have shipped it meanwhile: the number Wix shows becomes the shipment's first."""
    with in_doubt(shop, Office()) as row:
        by_hand = shop.fulfilled_by_hand(row.order_id, "BYHAND1")

        kept = keep(shop.store, row, fulfillment_id=by_hand)

        assert (kept.state, kept.tracking_number, kept.intent_key) == (State.CREATED, "BYHAND1", row.intent_key)
        assert breaches(shop, row, is_touched=True) == []


def test_without_a_carrier_that_books_it_waits_for_a_number(shop: Shop) -> None:
    """Where the carrier books no more, a person gives the number."""
    with in_doubt(shop, Office()) as row:
        pass
    with registry_of(shop.sandbox, office=OtherOffice()) as registry:
        waits = again(replace(shop.store, registry=registry), row)

    assert (waits.state, waits.due_at) == (State.WAITING_NUMBER, None)
