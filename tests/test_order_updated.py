"""What waits for its number follows the order: added, reduced, refunded and removed items; the rest is asked about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from arrivals import ORDER_UPDATED, arrived, outcome
from parcelhook import BookedParcel, Booking, BookingRequest, Carrier, Order, hookimpl
from parcelhook.errors import CarrierRefused
from parcelhook.fulfillment.booking import book
from parcelhook.fulfillment.deletion import delete
from parcelhook.fulfillment.events import take_events
from parcelhook.fulfillment.reviews import keep
from parcelhook.fulfillment.store import Outcome
from parcelhook.fulfillment.upkeep import AFTER_EDIT
from parcelhook.ledger import State
from parcelhook.models import ShipmentItem
from parcelhook.settings import Rule
from shops import ID, LINE, LINE_2, ProcessDied, Shop, registry_of

pytest_plugins = ["stores"]

BY_COURIER: dict[str, Any] = {"shippingInfo": {"title": "Local Courier"}}


class Wanting:
    """A carrier that wants one line item, and books what it is given."""

    @hookimpl
    def parcelhook_carriers(self) -> list[Carrier]:
        """Serve one carrier."""
        return [Carrier(id="wanting", name="Wanting", link="https://wanting.example/{number}")]

    @hookimpl
    def parcelhook_choose_carrier(self, order: Order) -> Mapping[str, str]:
        """Want the second line item."""
        return {item.id: "wanting" for item in order.line_items if item.id == LINE_2}

    @hookimpl
    async def parcelhook_book(self, request: BookingRequest) -> Booking:
        """Book one parcel."""
        return Booking(key=request.key, parcels=(BookedParcel(tracking_number=f"W{request.key[3:15]}"),))


@contextmanager
def wanted(shop: Shop) -> Iterator[None]:
    """Let the store have the plug-in."""
    with registry_of(shop.sandbox, wanting=Wanting()) as registry:
        shop.store = replace(shop.store, registry=registry)
        yield


def held(shop: Shop, order_id: str, *states: State) -> list[dict[str, int]]:
    """Give what an order's shipments hold."""
    return [{item.line_item_id: item.quantity for item in row.items} for row in shop.rows(order_id, *states)]


def waiting(shop: Shop, **order: Any) -> str:  # noqa: ANN401 - as the sandbox takes it
    """Give an order whose shipment waits for a number."""
    order_id = shop.order(**order)
    shop.follow()
    return order_id


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ({LINE: 3, LINE_2: 2}, {LINE: 3, LINE_2: 2}),
        ({LINE: 1, LINE_2: 2}, {LINE: 1, LINE_2: 2}),
        ({LINE: 5}, {LINE: 5}),
        ({LINE_2: 2}, {LINE_2: 2}),
    ],
    ids=["added", "reduced", "raised", "replaced"],
)
def test_what_waits_follows_an_edit(shop: Shop, lines: dict[str, int], expected: dict[str, int]) -> None:
    """One shipment waits for the number of all that the order holds, and its carrier stays the one that was chosen."""
    shop.store = replace(shop.store, rules=(Rule(carrier="ups"),))
    order_id = waiting(shop, quantity=3)
    shop.edit_lines(order_id, lines)

    shop.follow()

    assert held(shop, order_id, State.WAITING_NUMBER) == [expected]
    assert {row.carrier for row in shop.rows(order_id)} == {"ups"}


def test_the_carrier_that_was_chosen_is_kept(shop: Shop) -> None:
    """Routing is asked about what is new alone: rules that changed since move nothing that waits."""
    shop.store = replace(shop.store, rules=(Rule(carrier="ups"),))
    order_id = waiting(shop, quantity=3)
    shop.store = replace(shop.store, rules=(Rule(carrier="fedex"),))
    shop.edit_lines(order_id, {LINE: 4, LINE_2: 1})

    shop.follow()

    assert [(row.carrier, row.items[0].quantity) for row in shop.rows(order_id)] == [("ups", 4), ("fedex", 1)]


def test_what_is_refunded_is_not_waited_for(shop: Shop) -> None:
    """A refund reduces what waits, and what is refunded whole is canceled with the reason."""
    order_id = waiting(shop, quantity=3)
    shop.edit_lines(order_id, {LINE: 3}, refundQuantity=2)
    shop.follow()
    assert held(shop, order_id) == [{LINE: 1}]
    shop.edit_lines(order_id, {LINE: 3}, refundQuantity=3)

    outcomes = shop.follow()

    assert outcomes["order_updated"] == "its waiting shipment was canceled: nothing of it is left on the order"
    assert [row.state for row in shop.rows(order_id)] == [State.CANCELED]


def test_an_order_refunded_whole_is_not_waited_for(shop: Shop) -> None:
    """Money given back for the whole order means that nothing of it is to be shipped."""
    order_id = waiting(shop)
    shop.edit(order_id, paymentStatus="FULLY_REFUNDED")

    shop.follow()

    assert [row.state for row in shop.rows(order_id)] == [State.CANCELED]


def test_what_was_removed_and_comes_back_is_shipped(shop: Shop) -> None:
    """A shipment that was canceled because nothing was left does not keep the order from being shipped later."""
    order_id = waiting(shop, items=2, **BY_COURIER)
    shop.edit_lines(order_id, {LINE: 1}, itemType={"preset": "DIGITAL"})
    shop.follow()
    assert [row.state for row in shop.rows(order_id)] == [State.CANCELED]
    shop.edit_lines(order_id, {LINE: 1, LINE_2: 1}, itemType={"preset": "PHYSICAL"})

    shop.follow()

    first, second = shop.rows(order_id)
    assert (second.state, second.carrier, second.due_at is not None) == (State.WAITING_NUMBER, "courier", True)
    assert first.intent_key != second.intent_key
    assert book(shop.store, [second.id]) == {second.id: Outcome.WAITING}


def test_what_a_person_dropped_stays_dropped(shop: Shop) -> None:
    """A waiting shipment that was deleted by hand does not come back with the next update of its order."""
    order_id = waiting(shop)
    (row,) = shop.rows(order_id)
    delete(shop.store, row)
    shop.edit(order_id, buyerNote="when does it come?")

    outcomes = shop.follow()

    assert outcomes["order_updated"] == "its shipment was canceled or deleted before"
    assert [each.id for each in shop.rows(order_id)] == [row.id]


def test_a_new_item_goes_with_the_carrier_that_wants_it(shop: Shop) -> None:
    """What is added is routed by itself, and what waits already stays as it is."""
    with wanted(shop):
        order_id = waiting(shop, quantity=2)
        (row,) = shop.rows(order_id)
        shop.edit_lines(order_id, {LINE: 2, LINE_2: 1})

        outcomes = shop.follow()

        assert outcomes["order_updated"] == "wanting is asked to carry it (its plug-in chose it)"
        before, new = shop.rows(order_id)
        assert before == row
        assert (new.carrier, new.items) == ("wanting", (ShipmentItem(line_item_id=LINE_2, quantity=1),))


def test_different_carriers_wait_each_for_a_number_of_their_own(shop: Shop) -> None:
    """Carriers that cannot book wait apart, a number goes to the one it is of, and another's takes all that remains."""
    with registry_of(shop.sandbox, one=Chooser("one", LINE), two=Chooser("two", LINE_2)) as registry:
        shop.store = replace(shop.store, registry=registry)
        order_id, other = waiting(shop, items=3), waiting(shop, items=3)
        assert {row.carrier: row.items[0].line_item_id[-1] for row in shop.rows(order_id)} == {
            "one": "1",
            "two": "2",
            "": "3",
        }

        two = shop.created(order_id, carrier="two")
        ups = shop.created(other, carrier="ups")

        assert held(shop, order_id, State.CREATED) == [{LINE_2: 1}]
        assert len(shop.rows(order_id, State.WAITING_NUMBER)) == 2
        assert [len(row.items) for row in (two, ups)] == [1, 3]
        assert {row.state for row in shop.rows(other)} == {State.CREATED, State.CANCELED}


class Chooser:
    """A carrier that wants one line item and cannot book."""

    def __init__(self, carrier_id: str, line_item_id: str) -> None:
        self.id, self.line_item_id = carrier_id, line_item_id

    @hookimpl
    def parcelhook_carriers(self) -> list[Carrier]:
        """Serve one carrier."""
        return [Carrier(id=self.id, name=self.id.title(), link=f"https://{self.id}.example/{{number}}")]

    @hookimpl
    def parcelhook_choose_carrier(self, order: Order) -> Mapping[str, str]:
        """Want its item."""
        return {item.id: self.id for item in order.line_items if item.id == self.line_item_id}


def test_the_rest_of_an_order_shipped_in_part_waits(shop: Shop) -> None:
    """After a first shipment of a part the rest waits, and items that are added later do too."""
    row = shop.created(shop.order(quantity=3), items={LINE: 2})
    shop.follow()
    assert held(shop, row.order_id, State.WAITING_NUMBER) == [{LINE: 1}]
    shop.edit_lines(row.order_id, {LINE: 3, LINE_2: 1})

    shop.follow()

    assert held(shop, row.order_id, State.WAITING_NUMBER) == [{LINE: 1, LINE_2: 1}]
    assert shop.created(row.order_id).items == tuple(
        ShipmentItem(line_item_id=id_, quantity=1) for id_ in (LINE, LINE_2)
    )
    assert shop.row(row).state is State.CREATED


def test_a_number_takes_what_the_order_holds_by_then(shop: Shop) -> None:
    """An edit no webhook told of yet does not keep the number that comes from shipping what is left."""
    order_id = waiting(shop, quantity=3)
    shop.edit_lines(order_id, {LINE: 2, LINE_2: 4})

    row = shop.created(order_id)

    assert {item.line_item_id: item.quantity for item in row.items} == {LINE: 2, LINE_2: 4}


def test_a_booking_not_made_yet_follows_the_order(shop: Shop) -> None:
    """Before the carrier is asked, what is to be booked is what the order holds."""
    order_id = waiting(shop, quantity=3, **BY_COURIER)
    shop.edit_lines(order_id, {LINE: 1})
    shop.follow()

    (row,) = shop.rows(order_id)
    assert book(shop.store, [row.id]) == {row.id: Outcome.WAITING}
    assert held(shop, order_id) == [{LINE: 1}]


@pytest.mark.parametrize("reached", ["WAITING_LINK", "READY"])
def test_what_is_booked_is_never_changed_silently(shop: Shop, reached: str) -> None:
    """Where the order does not hold any more what was booked, a person is asked, and both ways out are named."""
    order_id = waiting(shop, quantity=2, **BY_COURIER)
    (row,) = shop.rows(order_id)
    book(shop.store, [row.id])
    if reached == "READY":
        shop.fault("create", status=429, times=9)
        assert shop.send(row) is Outcome.THROTTLED
        shop.control("DELETE", "faults")
    shop.edit_lines(order_id, {LINE: 1})

    outcomes = shop.follow()

    after = shop.row(row)
    assert outcomes["order_updated"] == "the order does not hold what was booked any more; a person is asked"
    assert (after.state, after.items) == (State.NEEDS_REVIEW, row.items)
    assert f"parcelhook review resolve {row.id} --drop" in after.what_to_do
    before = shop.row(row)
    shop.edit(order_id, buyerNote="thanks")
    shop.follow()
    assert shop.row(row) == before


def test_what_is_added_to_a_booked_order_is_booked_by_itself(shop: Shop) -> None:
    """The parcel that is booked stays as it is, and another one carries what was added."""
    order_id = waiting(shop, **BY_COURIER)
    (row,) = shop.rows(order_id)
    book(shop.store, [row.id])
    shop.edit_lines(order_id, {LINE: 1, LINE_2: 2})

    shop.follow()

    assert held(shop, order_id) == [{LINE: 1}, {LINE_2: 2}]
    assert [row.carrier for row in shop.rows(order_id)] == ["courier", "courier"]


def test_an_edit_while_sending_comes_again(shop: Shop) -> None:
    """Nothing is decided about a shipment whose create is open; afterwards a person is asked about it."""
    order_id = shop.order(quantity=2)
    shop.fault("create", effect="untold")
    row = shop.take(order_id)
    assert shop.send(row) is Outcome.UNDECIDED
    shop.edit_lines(order_id, {LINE: 1})
    shop.switch(list_lag_seconds=0)
    shop.follow()
    assert shop.row(row).state is State.SENDING
    assert shop.settle(row) is Outcome.CREATED

    shop.follow()
    shop.edit(order_id, buyerNote="x")
    shop.follow()

    assert (shop.row(row).state, shop.row(row).error) == (State.NEEDS_REVIEW, AFTER_EDIT)


def test_a_fulfillment_with_more_than_the_order_holds_is_asked_about_once(shop: Shop) -> None:
    """A parcel under way that holds what was taken off the order may be kept or deleted, and is asked about once."""
    row = shop.created(shop.order(quantity=2))
    shop.follow()
    shop.edit_lines(row.order_id, {LINE: 1})
    assert shop.follow()["order_updated"] == f"{AFTER_EDIT}; a person is asked"
    assert f"`parcelhook review resolve {row.id} --keep`" in shop.row(row).what_to_do
    keep(shop.store, shop.row(row))

    shop.edit(row.order_id, buyerNote="thanks")
    shop.calls()
    shop.follow()

    assert shop.row(row).state is State.CREATED
    assert not shop.calls()


def test_a_booking_that_was_refused_is_not_asked_for_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a carrier refused is a person's to ship, however often the order is updated; what is added is asked for."""
    order_id = waiting(shop, **BY_COURIER)
    (row,) = shop.rows(order_id)

    def refusing(*_: object) -> None:
        msg = "not to this address"
        raise CarrierRefused(msg, carrier="courier")

    with monkeypatch.context() as patched:
        patched.setattr(shop.store.registry, "book", refusing)
        book(shop.store, [row.id])
    shop.edit_lines(order_id, {LINE: 1, LINE_2: 1})

    shop.follow()

    refused, added = shop.rows(order_id)
    assert (refused.id, refused.state, refused.items[0].line_item_id) == (row.id, State.FAILED, LINE)
    assert [item.line_item_id for item in added.items] == [LINE_2]
    assert shop.created(order_id, items={LINE: None}).items == (ShipmentItem(line_item_id=LINE, quantity=1),)


def test_a_refund_of_what_is_shipped_changes_nothing(shop: Shop) -> None:
    """Goods that come back are refunded every day: the fulfillment stays, and the outcome says so."""
    row = shop.created(shop.order(quantity=2))
    shop.follow()
    shop.edit_lines(row.order_id, {LINE: 2}, refundQuantity=1)
    shop.calls()

    outcomes = shop.follow()

    assert outcomes["order_updated"] == "what was refunded is shipped already, and is left as it is"
    assert shop.row(row).state is State.CREATED
    assert not shop.calls()


def test_a_burst_of_updates_costs_one_look(shop: Shop) -> None:
    """However often an order is edited, what changes is looked up once, and what changes nothing not at all."""
    order_ids = shop.orders(20, items=[{"quantity": 1}])
    shop.follow()
    for order_id in order_ids:
        for number in range(4):
            shop.edit(order_id, buyerNote=f"note {number}")
    shop.calls()
    shop.follow()
    assert not shop.calls()
    for order_id in order_ids:
        for count in (2, 3, 4):
            shop.edit_lines(order_id, {LINE: count})
    shop.calls()

    shop.follow()

    assert shop.calls() == {"search-orders": 1}
    assert [held(shop, order_id) for order_id in order_ids] == [[{LINE: 4}]] * 20


def test_our_own_fulfillments_cost_no_look(shop: Shop) -> None:
    """The updates that our own creates cause find everything known."""
    rows = [shop.created(order_id) for order_id in shop.orders(5)]
    shop.calls()

    shop.follow()

    assert not shop.calls()
    assert [shop.row(row) for row in rows] == rows


def test_a_search_that_lags_behind_is_not_believed(shop: Shop) -> None:
    """An order that a webhook showed as it was later is read once more by itself."""
    shop.switch(search_lag_seconds=3600)
    one, two = shop.orders(2, items=[{"quantity": 1}])
    shop.follow()
    for order_id in (one, two):
        shop.edit_lines(order_id, {LINE: 7})

    shop.follow()

    assert held(shop, one) == held(shop, two) == [{LINE: 7}]


def test_an_order_without_its_line_items_cancels_nothing(shop: Shop) -> None:
    """Fields that are left out of a webhook say nothing: no order is without line items."""
    order_id = waiting(shop)
    (row,) = shop.rows(order_id)
    event = arrived(shop, ORDER_UPDATED, order_id, sequence=50, entity_fqdn="wix.ecom.v1.order", payload="{}")

    take_events(shop.store, [event])

    assert shop.row(row) == row
    assert outcome(shop, event).outcome == "its shipment is known already"


def test_a_death_between_two_steps_is_made_up_for(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies after what waits was changed and before what is new is routed leaves nothing out."""
    order_id = waiting(shop, quantity=2)
    shop.edit_lines(order_id, {LINE: 1, LINE_2: 3})

    def die(*_: object, **__: object) -> None:
        raise ProcessDied

    with monkeypatch.context() as patched:
        patched.setattr(shop.store.registry, "choose_carrier", die)
        with pytest.raises(ProcessDied):
            shop.follow()
    assert held(shop, order_id) == [{LINE: 1}]
    shop.clock.advance(61)

    shop.follow()

    assert held(shop, order_id) == [{LINE: 1, LINE_2: 3}]
    assert shop.ledger.inbox.pending([ID]) == []
