"""A carrier is asked to carry an order once: what an interrupted booking left behind is found, never booked again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

import parcelhook_courier
from parcelhook import BookedParcel, Booking, BookingRequest, Carrier, CarrierRefused, hookimpl
from parcelhook.contexts import ContextFactory
from parcelhook.errors import CarrierThrottled, CarrierUnavailable, ParcelhookError
from parcelhook.fulfillment.booking import TRIES, book
from parcelhook.fulfillment.store import Outcome
from parcelhook.http import HttpLimits
from parcelhook.ledger import BookingRow, BookingState, ShipmentRow, State, moves
from parcelhook.registry import Registry
from parcelhook.settings import Rule
from shops import ID, LINE, ProcessDied, Shop, registry_of

pytest_plugins = ["stores"]


class Office:
    """A carrier's books, and a plug-in that asks it; ``failures`` befall the next calls, after they took effect."""

    def __init__(self, *failures: Exception | None, effect: bool = True, number: str = "OF1") -> None:
        self.failures, self.effect, self.number = list(failures), effect, number
        self.booked: dict[str, BookingRequest] = {}
        self.calls: list[str] = []

    @hookimpl
    def parcelhook_carriers(self) -> list[Carrier]:
        """Serve one carrier."""
        return [Carrier(id="office", name="Office", link="https://office.example/{number}")]

    @hookimpl
    async def parcelhook_book(self, request: BookingRequest) -> Booking:
        """Book, and perhaps fail to say so."""
        self.calls.append("book")
        failure = self.failures.pop(0) if self.failures else None
        if failure is None or self.effect:
            assert request.key not in self.booked, "booked twice"
            self.booked[request.key] = request
        if failure is not None:
            raise failure
        return self.booking(request.key)

    def booking(self, key: str) -> Booking:
        """Write down a booking."""
        return Booking(key=key, parcels=(BookedParcel(tracking_number=self.number + key[3:13]),))


class FindingOffice(Office):
    """An office whose plug-in can look into the books."""

    @hookimpl
    async def parcelhook_find_booking(self, key: str) -> Booking | None:
        """Look."""
        self.calls.append("find")
        return self.booking(key) if key in self.booked else None


@contextmanager
def carried_by(shop: Shop, office: Office) -> Iterator[None]:
    """Let every order of the store be carried by an office."""
    with registry_of(shop.sandbox, office=office) as registry:
        shop.store = replace(shop.store, registry=registry, rules=(Rule(carrier="office"),))
        yield


def approved(shop: Shop, **order: Any) -> ShipmentRow:  # noqa: ANN401 - fields of an order
    """Let an order be approved and give its shipment, which waits to be booked."""
    order_id = shop.order(**order)
    shop.follow()
    (row,) = shop.rows(order_id)
    return row


def booking_of(shop: Shop, row: ShipmentRow) -> BookingRow:
    """Read a shipment's booking."""
    return shop.ledger.bookings.get(ID, key=row.intent_key)


def with_courier(shop: Shop) -> None:
    """Let every order of the store be carried by the local courier."""
    shop.store = replace(shop.store, rules=(Rule(carrier="courier"),))


def parcels_at_the_courier(shop: Shop, row: ShipmentRow) -> list[str]:
    """Look into the courier's books."""
    return [parcel.number for parcel in shop.sandbox.sandbox.courier.find(row.intent_key)]


def test_a_booked_parcel_is_on_the_fulfillment(shop: Shop) -> None:
    """Number and link of the courier's booking are what the customer sees at Wix."""
    with_courier(shop)
    row = approved(shop, quantity=2)

    assert book(shop.store) == {row.id: Outcome.WAITING}
    assert shop.row(row).state is State.WAITING_LINK
    assert shop.send(row) is Outcome.CREATED

    (number,) = parcels_at_the_courier(shop, row)
    (fulfillment,) = shop.fulfillments(row.order_id)
    page = shop.sandbox.sandbox.courier.parcel(number).tracking_page
    assert fulfillment["trackingInfo"] == {
        "trackingNumber": number,
        "shippingProvider": "Local Courier",
        "trackingLink": page,
    }
    assert fulfillment["lineItems"] == [{"id": LINE, "quantity": 2}]
    assert shop.http.get(page).status_code == 200
    assert booking_of(shop, row).state is BookingState.BOOKED


def test_the_row_is_there_before_the_call(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the carrier is called, the ledger knows of the booking already."""
    with_courier(shop)
    row = approved(shop)
    seen: list[BookingState] = []
    original = shop.store.registry.book

    def looking(carrier_id: str, request: BookingRequest) -> Booking:
        seen.append(booking_of(shop, row).state)
        return original(carrier_id, request)

    monkeypatch.setattr(shop.store.registry, "book", looking)
    book(shop.store)

    assert seen == [BookingState.BOOKING]


def test_only_what_is_due_is_booked(shop: Shop) -> None:
    """A shipment that waits for a person's number is nobody's to book."""
    row = approved(shop)

    assert book(shop.store) == {}
    assert shop.row(row).state is State.WAITING_NUMBER


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "before its answer was recorded"])
def test_a_death_while_booking_books_once(shop: Shop, monkeypatch: pytest.MonkeyPatch, *, after: bool) -> None:
    """The next worker first asks the courier what the dead one left behind, and books only where that is nothing."""
    with_courier(shop)
    row = approved(shop)
    registry, original = shop.store.registry, shop.store.registry.book

    def die(carrier_id: str, request: BookingRequest) -> Booking:
        monkeypatch.undo()
        if after:
            original(carrier_id, request)
        raise ProcessDied

    monkeypatch.setattr(registry, "book", die)
    with pytest.raises(ProcessDied):
        book(shop.store)
    assert booking_of(shop, row).state is BookingState.BOOKING
    before = parcels_at_the_courier(shop, row)

    heir = shop.next_worker()
    assert book(heir.store) == {row.id: Outcome.WAITING}

    after_all = parcels_at_the_courier(shop, row)
    assert (len(before), len(after_all)) == (int(after), 1)
    assert heir.row(row).tracking_number == after_all[0]
    assert booking_of(shop, row).state is BookingState.BOOKED


class Interrupted:
    """The courier's own plug-in, but that its first booking raises after the courier has booked."""

    def __init__(self) -> None:
        self.was_interrupted = False

    parcelhook_find_booking = staticmethod(parcelhook_courier.parcelhook_find_booking)
    parcelhook_resolve_tracking_url = staticmethod(parcelhook_courier.parcelhook_resolve_tracking_url)

    @hookimpl
    def parcelhook_carriers(self) -> list[Carrier]:
        """Serve the courier without the abilities this plug-in lacks."""
        return [parcelhook_courier.carrier.model_copy(update={"capabilities": frozenset({"book", "link"})})]

    @hookimpl
    async def parcelhook_book(self, request: BookingRequest, context: Any) -> Booking:  # noqa: ANN401 - passed on
        """Book at the courier, and fall over the first time."""
        booked: Booking = await parcelhook_courier.parcelhook_book(request, context)
        if not self.was_interrupted:
            self.was_interrupted = True
            msg = "after the courier booked"
            raise RuntimeError(msg)
        return booked


def test_a_plugin_that_fell_over_after_booking_is_found_out(shop: Shop) -> None:
    """A plug-in that raised after the courier had booked leaves one parcel, which is found by its key."""
    ready = shop.sandbox.ready
    settings = {"courier": {"host": f"{shop.sandbox.url}/courier", "key": ready["courier_key"]}}
    contexts = ContextFactory(settings, limits=HttpLimits(backoff=0.001))
    with Registry(entry_points=(), extra={"courier": Interrupted()}, contexts=contexts) as registry:
        shop.store = replace(shop.store, registry=registry, rules=(Rule(carrier="courier"),))
        row = approved(shop)
        assert book(shop.store) == {row.id: Outcome.WAITING}
        assert (shop.row(row).state, "RuntimeError" in shop.row(row).error) == (State.WAITING_NUMBER, True)
        (number,) = parcels_at_the_courier(shop, row)
        shop.clock.advance(60)

        assert book(shop.store) == {row.id: Outcome.WAITING}
        assert shop.send(row) is Outcome.CREATED

    assert registry.stats()["courier", "parcelhook_book"].calls == 1
    assert parcels_at_the_courier(shop, row) == [number]
    assert shop.fulfillments(row.order_id)[0]["trackingInfo"]["trackingNumber"] == number


@pytest.mark.parametrize(
    "failure",
    [RuntimeError("it fell over"), CarrierUnavailable("no answer", carrier="office")],
    ids=["fell over", "no answer"],
)
def test_without_a_way_to_look_a_person_is_asked(shop: Shop, failure: Exception) -> None:
    """An interrupted booking that cannot be looked for needs review, shipment and booking both; it is not repeated."""
    office = Office(failure)
    with carried_by(shop, office):
        row = approved(shop)
        assert book(shop.store) == {row.id: Outcome.WAITING}
        shop.clock.advance(60)

        assert book(shop.store) == {row.id: Outcome.REVIEW}
        shop.clock.advance(3600)
        assert book(shop.store) == {}

        assert office.calls == ["book"]
        assert (shop.row(row).state, bool(shop.row(row).what_to_do)) == (State.NEEDS_REVIEW, True)
        assert booking_of(shop, row).state is BookingState.NEEDS_REVIEW


def test_what_a_person_wants_booked_after_a_look_is_booked(shop: Shop) -> None:
    """Where a person found that nothing was left behind, the shipment is booked when it waits again."""
    office = Office(RuntimeError(), effect=False)
    with carried_by(shop, office):
        row = approved(shop)
        for _ in range(2):
            book(shop.store)
            shop.clock.advance(60)
        reviewed = shop.row(row)
        assert reviewed.state is State.NEEDS_REVIEW
        shop.ledger.shipments.move(moves.wait_for_number(reviewed, reason="looked", due_at=shop.clock()))

        assert book(shop.store) == {row.id: Outcome.WAITING}
        assert shop.send(row) is Outcome.CREATED

    assert len(office.booked) == 1


def test_what_is_found_after_a_failure_is_taken(shop: Shop) -> None:
    """A booking that took effect untold is found at the next try, and no second one made."""
    office = FindingOffice(CarrierUnavailable("no answer", carrier="office"))
    with carried_by(shop, office):
        row = approved(shop)
        book(shop.store)
        shop.clock.advance(60)
        book(shop.store)

    assert office.calls == ["book", "find"]
    assert shop.row(row).state is State.WAITING_LINK


def test_a_booking_that_never_succeeds_asks_a_person(shop: Shop) -> None:
    """A booking known to have left nothing is tried again, ever later and not for ever; each time it is looked for."""
    office = FindingOffice(*[CarrierUnavailable("no answer", carrier="office")] * 20, effect=False)
    with carried_by(shop, office):
        row = approved(shop)
        waits = []
        while book(shop.store) == {row.id: Outcome.WAITING}:
            due_at = shop.row(row).due_at
            assert due_at is not None
            waits.append((due_at - shop.clock()).total_seconds())
            shop.clock.advance(waits[-1])

    assert waits == sorted(waits)
    assert office.calls.count("book") == TRIES + 1
    assert office.calls[-1] == "find"
    assert "did not succeed" in shop.row(row).error
    assert booking_of(shop, row).state is BookingState.NEEDS_REVIEW


def test_a_refusal_fails_the_shipment(shop: Shop) -> None:
    """What the carrier refuses is failed with its reason, and the booking with it."""
    refusal = CarrierRefused("no service to this address", carrier="office", what_to_do="Use another carrier.")
    with carried_by(shop, Office(refusal, effect=False)):
        row = approved(shop)

        assert book(shop.store) == {row.id: Outcome.REFUSED}

    found = shop.row(row)
    assert (found.state, found.error, found.what_to_do) == (
        State.FAILED,
        "no service to this address",
        "Use another carrier.",
    )
    assert booking_of(shop, row).state is BookingState.FAILED


def test_an_order_without_an_address_is_refused_by_the_courier(shop: Shop) -> None:
    """The courier's plug-in refuses what it cannot deliver, and nothing is booked."""
    with_courier(shop)
    address = {"addressLine": "", "streetAddress": {"name": "", "number": ""}}
    destination = {"logistics": {"shippingDestination": {"address": address}}}
    row = approved(shop, shippingInfo=destination)

    assert book(shop.store) == {row.id: Outcome.REFUSED}
    assert parcels_at_the_courier(shop, row) == []
    assert "address" in shop.row(row).error


@pytest.mark.parametrize("finds", [False, True])
def test_a_throttled_booking_is_simply_made_later(shop: Shop, *, finds: bool) -> None:
    """Too many calls leave nothing behind: nobody is asked, and the booking is made when the carrier says."""
    throttled = CarrierThrottled("too many calls", carrier="office", retry_after=40)
    office = (FindingOffice if finds else Office)(throttled, effect=False)
    with carried_by(shop, office):
        row = approved(shop)
        assert book(shop.store) == {row.id: Outcome.WAITING}
        shop.clock.advance(39)
        assert book(shop.store) == {}
        shop.clock.advance(2)

        assert book(shop.store) == {row.id: Outcome.WAITING}

    assert office.calls == ["book", "book"]
    assert shop.row(row).state is State.WAITING_LINK


def test_wrong_credentials_leave_the_order_waiting(shop: Shop) -> None:
    """A key the courier refuses is the operator's to mend: the orders wait, and are booked with the right one."""
    with_courier(shop)
    row = approved(shop)
    states = []
    for key in ("wrong", str(shop.sandbox.ready["courier_key"])):
        settings = {"courier": {"host": f"{shop.sandbox.url}/courier", "key": key}}
        with Registry(extra={"courier": parcelhook_courier}, contexts=ContextFactory(settings)) as registry:
            assert book(replace(shop.store, registry=registry)) == {row.id: Outcome.WAITING}
        states.append(shop.row(row).state)
        shop.clock.advance(120)

    assert states == [State.WAITING_NUMBER, State.WAITING_LINK]


def test_a_plugin_without_settings_holds_up_no_other(shop: Shop) -> None:
    """A carrier that is not configured leaves its orders waiting with the reason, and others' are booked."""
    office = Office()
    with Registry(extra={"courier": parcelhook_courier, "office": office}) as registry:
        shop.store = replace(shop.store, registry=registry, rules=(Rule(carrier="courier"),))
        waiting = approved(shop)
        shop.store = replace(shop.store, rules=(Rule(carrier="office"),))
        sound = approved(shop)

        assert book(shop.store) == {waiting.id: Outcome.WAITING, sound.id: Outcome.WAITING}

    assert (shop.row(waiting).state, shop.row(sound).state) == (State.WAITING_NUMBER, State.WAITING_LINK)
    assert "key" in shop.row(waiting).error


@pytest.mark.parametrize("number", ["", "N\u202e1", "N" * 101])
def test_an_unusable_number_asks_a_person(shop: Shop, number: str) -> None:
    """A number that Wix or a link cannot take is not used, and the booking is kept."""

    class Scribbler(Office):
        def booking(self, key: str) -> Booking:
            return Booking(key=key, parcels=(BookedParcel(tracking_number=number),))

    with carried_by(shop, Scribbler()):
        row = approved(shop)
        assert book(shop.store) == {row.id: Outcome.REVIEW}

    assert "unusable number" in shop.row(row).error
    assert booking_of(shop, row).state is BookingState.BOOKED


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"paymentStatus": "NOT_PAID"}, "is not paid"), ({"archived": True}, "is archived")],
)
def test_the_order_is_looked_at_before_it_is_booked(shop: Shop, change: dict[str, Any], reason: str) -> None:
    """An order that must not ship any more is not booked, and leaves no booking open."""
    office = Office()
    with carried_by(shop, office):
        row = approved(shop)
        shop.edit(row.order_id, **change)

        assert book(shop.store) == {row.id: Outcome.NOT_FULFILLABLE}

    assert office.calls == []
    assert shop.row(row).state is State.CANCELED
    assert any(reason in told for told in shop.why(row.order_id))
    assert shop.ledger.bookings.find(store=ID) == []


def test_what_was_shipped_by_hand_is_not_booked(shop: Shop) -> None:
    """An order whose items are in fulfillments already is left alone; of a part, a person is asked."""
    office = Office()
    with carried_by(shop, office):
        whole, part = approved(shop), approved(shop, quantity=2)
        for row in (whole, part):
            shop.fulfilled_by_hand(row.order_id, shop.number())

        assert book(shop.store) == {whole.id: Outcome.NOT_FULFILLABLE, part.id: Outcome.REVIEW}

    assert office.calls == []
    assert (shop.row(whole).state, shop.row(part).state) == (State.CANCELED, State.NEEDS_REVIEW)


def test_orders_that_cannot_be_read_are_booked_later(shop: Shop) -> None:
    """Without the order's present state nothing is booked."""
    office = Office()
    with carried_by(shop, office):
        row = approved(shop)
        shop.fault("get-order", status=503, times=3)
        assert book(shop.store) == {row.id: Outcome.WAITING}
        assert office.calls == []
        shop.clock.advance(60)

        assert book(shop.store) == {row.id: Outcome.WAITING}
    assert office.calls == ["book"]


def test_a_shipment_canceled_while_it_was_booked_does_not_hold_up_others(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another process moved meanwhile is left to it, and the next shipment is booked."""
    office = Office()
    with carried_by(shop, office):
        rows = [approved(shop), approved(shop)]
        original = shop.store.registry.book

        def meddling(carrier_id: str, request: BookingRequest) -> Booking:
            if request.order.id == rows[0].order_id:
                shop.ledger.shipments.move(moves.canceled(shop.row(rows[0]), reason="the order was canceled"))
            return original(carrier_id, request)

        monkeypatch.setattr(shop.store.registry, "book", meddling)

        assert book(shop.store) == {rows[1].id: Outcome.WAITING}

    assert booking_of(shop, rows[0]).state is BookingState.BOOKED, "so that it can be canceled"


def test_a_booking_of_several_parcels_is_one_fulfillment(shop: Shop) -> None:
    """All parcels are followed, and the first one's number is what Wix gets."""

    class Splitter(Office):
        def booking(self, key: str) -> Booking:
            parcels = [BookedParcel(tracking_number=f"{part}{key[3:13]}") for part in ("P1", "P2")]
            return Booking(key=key, parcels=tuple(parcels))

    with carried_by(shop, Splitter()):
        row = approved(shop)
        book(shop.store)
        assert shop.send(row) is Outcome.CREATED

    numbers = [parcel.number for parcel in shop.row(row).parcels]
    assert [number[:2] for number in numbers] == ["P1", "P2"]
    assert [each["trackingInfo"]["trackingNumber"] for each in shop.fulfillments(row.order_id)] == numbers[:1]


def test_errors_of_ours_are_not_swallowed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that fails is told to whoever runs the flow."""
    with_courier(shop)
    approved(shop)
    failure = ParcelhookError("the ledger is gone")

    def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(shop.ledger.shipments, "move", fail)
    with pytest.raises(ParcelhookError, match="the ledger is gone"):
        book(shop.store)
