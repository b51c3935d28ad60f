"""An approved order is routed: by rule, by a plug-in's choice, or to a person; or it is left alone with the reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from parcelhook import BookedParcel, Booking, BookingRequest, Carrier, Order, hookimpl
from parcelhook.fulfillment.orders import for_plugins, read_orders
from parcelhook.fulfillment.routing import WAITING_KEY, booking_key, choose
from parcelhook.ledger import State
from parcelhook.models import ShipmentItem
from parcelhook.settings import Rule
from shops import ID, LINE, LINE_2, Shop, registry_of

pytest_plugins = ["stores"]


class Chooser:
    """A carrier that wants the line items a test says."""

    def __init__(self, carrier_id: str, *line_item_ids: str) -> None:
        self.id, self.line_item_ids = carrier_id, line_item_ids

    @hookimpl
    def parcelhook_carriers(self) -> list[Carrier]:
        """Serve one carrier."""
        return [Carrier(id=self.id, name=self.id.title(), link=f"https://{self.id}.example/{{number}}")]

    @hookimpl
    def parcelhook_choose_carrier(self, order: Order) -> Mapping[str, str]:
        """Want what the order still has of them."""
        return {item.id: self.id for item in order.line_items if item.id in self.line_item_ids}


class Booker(Chooser):
    """A chooser that can be asked to carry something."""

    @hookimpl
    async def parcelhook_book(self, request: BookingRequest) -> Booking:
        """Book one parcel."""
        return Booking(key=request.key, parcels=(BookedParcel(tracking_number=f"B{request.key[3:15]}"),))


@contextmanager
def served_by(shop: Shop, *choosers: Chooser) -> Iterator[None]:
    """Let the store have some carriers' plug-ins."""
    with ExitStack() as stack:
        plugins = {f"plugin_{chooser.id}": chooser for chooser in choosers}
        registry = stack.enter_context(registry_of(shop.sandbox, **plugins))
        shop.store = replace(shop.store, registry=registry)
        yield


def approved(shop: Shop) -> str:
    """Let the webhooks arrive and give the outcome of the approval."""
    return shop.follow()["order_approved"]


def chosen(shop: Shop, order_id: str) -> dict[str, str]:
    """Give the carrier of each line item."""
    now = read_orders(shop.store.wix, [order_id])[order_id]
    return choose(shop.store, for_plugins(now, store=ID))[0]


def test_an_order_nobody_wants_waits_for_carrier_and_number(shop: Shop) -> None:
    """Without a rule and a choice, a person brings both, and the order is known to wait."""
    order_id = shop.order()

    assert approved(shop) == "waits for a carrier and a number"

    (row,) = shop.rows(order_id)
    assert (row.state, row.carrier, row.intent_key, row.due_at) == (State.WAITING_NUMBER, "", WAITING_KEY, None)
    assert row.order_number
    assert (row.country, bool(row.postal_code)) == ("US", True)


def test_a_rule_names_the_carrier(shop: Shop) -> None:
    """A rule's carrier that cannot book waits for its number."""
    shop.store = replace(shop.store, rules=(Rule(carrier="ups"),))
    order_id = shop.order()

    assert approved(shop) == "waits for a number of ups (by the rule for all orders)"
    assert [row.carrier for row in shop.rows(order_id)] == ["ups"]


def test_the_rule_that_chose_is_told(shop: Shop) -> None:
    """The outcome names the conditions of the rule that won, so that nobody has to guess which one it was."""
    rules = (Rule(carrier="ups", country=("CA",)), Rule(carrier="ups", country=("US",), max_weight_kg=500))
    shop.store = replace(shop.store, rules=rules)
    shop.order()

    assert approved(shop) == "waits for a number of ups (by the rule for country US and max_weight_kg 500.0)"


def test_a_rule_asks_a_carrier_that_books(shop: Shop) -> None:
    """A rule's carrier that can book is asked at once, for explicit quantities, under a key that stays the same."""
    shop.store = replace(shop.store, rules=(Rule(carrier="courier"),))
    order_id = shop.order(quantity=3)

    assert approved(shop) == "courier is asked to carry it (by the rule for all orders)"

    (row,) = shop.rows(order_id)
    items = (ShipmentItem(line_item_id=LINE, quantity=3),)
    assert (row.items, row.intent_key) == (items, booking_key(ID, order_id, items))
    assert row.due_at == shop.clock()


RULES = (
    Rule(carrier="canada-post", country=("CA", "GL")),
    Rule(carrier="dhl", shipping_method="*express*"),
    Rule(carrier="usps", max_weight_kg=1),
    Rule(carrier="fedex", country=("US",), shipping_method="Standard*", max_weight_kg=5),
)


@pytest.mark.parametrize(
    ("order", "carrier"),
    [
        ({"country": "CA"}, "canada-post"),
        ({"country": "GL", "shippingInfo": {"title": "Express"}}, "canada-post"),
        ({"shippingInfo": {"title": "Next-day EXPRESS, insured"}}, "dhl"),
        ({"weight": 0.5}, "usps"),
        ({"weight": 1.0}, "usps"),
        ({"weight": 1.01}, "fedex"),
        ({"weight": 2.2, "weightUnit": "LB"}, "usps"),
        ({"weight": 2.3, "weightUnit": "LB"}, "fedex"),
        ({"weight": 0.6, "quantity": 2}, "fedex"),
        ({"weight": 5.5}, ""),
        ({"weight": 0.1, "weightUnit": "UNSPECIFIED_WEIGHT_UNIT"}, ""),
        ({"weight": None}, ""),
        ({"weight": 3, "shippingInfo": {"title": "Economy"}}, ""),
    ],
)
def test_the_first_rule_that_matches_wins(shop: Shop, order: dict[str, Any], carrier: str) -> None:
    """Every condition of a rule must hold: country, shipping method in any case, weight in kilograms or pounds."""
    shop.store = replace(shop.store, rules=RULES)
    order = dict(order)
    line = {"quantity": order.pop("quantity", 1), "physicalProperties": {"weight": order.pop("weight", 3)}}
    order_id = shop.order(items=[line], **order)

    approved(shop)

    assert [row.carrier for row in shop.rows(order_id)] == [carrier]


def test_a_rule_goes_before_the_plugins(shop: Shop) -> None:
    """What the operator configured is not decided by a plug-in."""
    with served_by(shop, Chooser("alpha", LINE)):
        assert chosen(shop, shop.order()) == {LINE: "alpha"}
        shop.store = replace(shop.store, rules=(Rule(carrier="ups"),))
        assert chosen(shop, shop.order()) == {LINE: "ups"}


def test_a_rule_with_an_unknown_carrier_leaves_the_event_to_come_again(shop: Shop) -> None:
    """An order is not lost over a mistake in the configuration: it is routed once that is mended."""
    shop.store = replace(shop.store, rules=(Rule(carrier="upps"),))
    order_id = shop.order()

    assert approved(shop) == ""
    assert shop.rows(order_id) == []
    (event,) = shop.ledger.inbox.pending([ID])
    assert "upps" in event.detail

    shop.store = replace(shop.store, rules=(Rule(carrier="ups"),))
    shop.clock.advance(60)
    assert approved(shop) == "waits for a number of ups (by the rule for all orders)"


def test_two_carriers_that_want_the_same_item_leave_it_waiting(shop: Shop) -> None:
    """Nobody wins by chance: the order waits, and both names are told where it waits."""
    order_id = shop.order()
    with served_by(shop, Booker("beta", LINE), Chooser("alpha", LINE)):
        outcome = approved(shop)

    assert outcome == "waits for a decision: alpha and beta both want it"
    (row,) = shop.rows(order_id)
    assert (row.state, row.carrier, row.error, row.due_at) == (State.WAITING_NUMBER, "", outcome, None)
    assert outcome in shop.why(order_id)


def test_an_order_is_split_between_carriers(shop: Shop) -> None:
    """What a carrier books and what waits for a number are shipments of their own, each with its items."""
    order_id = shop.order(items=[{"quantity": 2}, {"quantity": 3}])
    with served_by(shop, Booker("beta", LINE)):
        assert approved(shop) == "beta is asked to carry it (its plug-in chose it); waits for a carrier and a number"

        booked, waiting = shop.rows(order_id)
        assert [(item.line_item_id, item.quantity) for item in booked.items] == [(LINE, 2)]
        assert [(item.line_item_id, item.quantity) for item in waiting.items] == [(LINE_2, 3)]
        row = shop.created(order_id, carrier="ups")

    assert row.id == waiting.id
    (fulfillment,) = shop.fulfillments(order_id)
    assert [(item["id"], item["quantity"]) for item in fulfillment["lineItems"]] == [(LINE_2, 3)]
    assert [each.state for each in shop.rows(order_id)] == [State.WAITING_NUMBER, State.CREATED]


def test_an_order_of_two_bookers_is_booked_with_both(shop: Shop) -> None:
    """Each carrier is asked for what it chose."""
    order_id = shop.order(items=2)
    with served_by(shop, Booker("beta", LINE), Booker("gamma", LINE_2)):
        outcome = approved(shop)

    assert (
        outcome == "beta is asked to carry it (its plug-in chose it); gamma is asked to carry it (its plug-in chose it)"
    )

    assert {row.carrier: row.items[0].line_item_id for row in shop.rows(order_id)} == {"beta": LINE, "gamma": LINE_2}


def test_the_courier_takes_orders_that_name_it(shop: Shop) -> None:
    """The local courier chooses itself by the shipping method."""
    named = shop.order(shippingInfo={"title": "Local courier, evening"})
    other = shop.order()

    shop.follow()

    assert [row.carrier for row in shop.rows(named)] == ["courier"]
    assert [row.carrier for row in shop.rows(other)] == [""]


@pytest.mark.parametrize(
    ("items", "order", "reason"),
    [
        (None, {"paymentStatus": "NOT_PAID"}, "is not paid (not paid)"),
        (None, {"archived": True}, "is archived"),
        (None, {"imported": True}, "was imported"),
        (None, {"shippingInfo": {"logistics": {"pickupDetails": {"pickupMethod": "STORE_PICKUP"}}}}, "is picked up"),
        ([{"itemType": {"preset": "DIGITAL"}}], {}, "nothing of it is shipped by this store"),
        ([{"fulfillerId": "11111111-1111-4111-8111-111111111111"}], {}, "nothing of it is shipped by this store"),
        ([{"quantity": 2, "refundQuantity": 2}], {}, "nothing of it is shipped by this store"),
    ],
)
def test_an_order_that_must_not_ship_is_left_alone(
    shop: Shop, items: list[dict[str, Any]] | None, order: dict[str, Any], reason: str
) -> None:
    """The outcome of the approval says what was in the way, and no shipment is made."""
    order_id = shop.order(items=items, **order)

    assert reason in approved(shop)
    assert shop.rows(order_id) == []


def test_an_order_canceled_since_is_left_alone(shop: Shop) -> None:
    """The order's present state counts, not the state in the webhook."""
    order_id = shop.order()
    shop.cancel(order_id)

    assert "was canceled" in approved(shop)
    assert shop.rows(order_id) == []


def test_an_order_of_before_the_setup_is_left_alone(shop: Shop) -> None:
    """Orders approved before this store was set up were shipped otherwise."""
    earlier = (shop.clock() - timedelta(days=1)).isoformat()
    order_id = shop.order(createdDate=earlier)
    shop.deliver()
    (event,) = [event for event in shop.ledger.inbox.pending([ID]) if event.event_type.endswith("order_approved")]
    assert event.event_time is not None
    assert event.event_time >= shop.ledger.stores.get(ID).set_up_at

    # Approved now, though placed before.
    assert approved(shop) == "waits for a carrier and a number"
    assert len(shop.rows(order_id)) == 1


def test_an_order_paid_later_is_shipped_then(shop: Shop) -> None:
    """An order that was left alone as unpaid is routed once it is paid."""
    order_id = shop.order(paymentStatus="NOT_PAID")
    assert "not paid" in approved(shop)
    shop.edit(order_id, paymentStatus="PAID")

    assert "waits for a carrier and a number" in shop.follow().values()
    assert len(shop.rows(order_id)) == 1


def test_a_part_shipped_by_hand_is_not_asked_for(shop: Shop) -> None:
    """Only what remains is given to carriers to choose from and to book."""
    shop.store = replace(shop.store, rules=(Rule(carrier="courier"),))
    order_id = shop.order(quantity=3)
    shop.fulfilled_by_hand(order_id, shop.number(), quantity=1)

    approved(shop)

    assert [row.items for row in shop.rows(order_id)] == [(ShipmentItem(line_item_id=LINE, quantity=2),)]
