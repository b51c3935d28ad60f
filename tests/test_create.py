"""A shipment becomes one fulfillment at Wix: what is sent, what is not, and what a death in between leaves behind."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from parcelhook.fulfillment.create import send, ship
from parcelhook.fulfillment.intake import Wish
from parcelhook.fulfillment.settle import settle
from parcelhook.fulfillment.store import LEASE_SECONDS, Outcome
from parcelhook.ledger import State, moves
from shops import LINE, LINE_2, ProcessDied, Shop

pytest_plugins = ["stores"]

UPS = "1Z999AA10123456784"


def quantities(fulfillment: dict[str, Any]) -> dict[str, int]:
    """Give what a fulfillment at the store holds."""
    return {item["id"]: item["quantity"] for item in fulfillment["lineItems"]}


def test_a_standard_provider_gets_its_number_and_no_link(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wix builds the link of its own providers; it is asked for none, and the link it built is kept."""
    order_id, bodies = shop.order(quantity=2), sent_bodies(shop, monkeypatch)

    row = shop.created(order_id, UPS)

    (fulfillment,) = shop.fulfillments(order_id)
    assert bodies == [
        {
            "lineItems": [{"id": LINE, "quantity": 2}],
            "trackingInfo": {"trackingNumber": UPS, "shippingProvider": "ups"},
        }
    ]
    assert row.fulfillment_id == fulfillment["id"]
    assert row.tracking_url == fulfillment["trackingInfo"]["trackingLink"]
    assert UPS in row.tracking_url


@pytest.mark.parametrize(
    ("carrier", "provider"),
    [("fedex", "fedex"), ("ups", "ups"), ("usps", "usps"), ("dhl", "dhl"), ("canada-post", "canadaPost")],
)
def test_each_standard_carrier_has_wixs_own_name(shop: Shop, carrier: str, provider: str) -> None:
    """The five providers are spelt exactly as Wix spells them, and get a link."""
    order_id = shop.order()

    shop.created(order_id, carrier=carrier)

    info = shop.fulfillments(order_id)[0]["trackingInfo"]
    assert info["shippingProvider"] == provider
    assert info["trackingNumber"] in info["trackingLink"]


def test_a_custom_provider_gets_its_link_before_the_create(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A carrier of the catalogue goes with its name and the complete link in the create itself."""
    order_id, bodies = shop.order(), sent_bodies(shop, monkeypatch)

    row = shop.created(order_id, "AB 1/2", carrier="royal-mail")

    (body,) = bodies
    info = body["trackingInfo"]
    assert info["shippingProvider"] == "Royal Mail"
    assert info["trackingLink"].startswith("https://www.royalmail.com/")
    assert "AB%201%2F2" in info["trackingLink"]
    assert shop.fulfillments(order_id)[0]["trackingInfo"] == info
    assert row.link_source == "carrier"
    assert shop.calls()["update"] == 0


def test_a_given_link_on_a_standard_carrier_goes_under_the_carriers_name(shop: Shop) -> None:
    """With our own link, a standard carrier is sent as a custom provider would be: Wix would replace the link."""
    order_id, url = shop.order(), "https://www.ups.com/track?tracknum=1Z1&requester=shop"

    row = shop.created(order_id, carrier="ups", url=url)

    info = shop.fulfillments(order_id)[0]["trackingInfo"]
    assert (info["shippingProvider"], info["trackingLink"]) == ("UPS", url)
    assert (row.tracking_url, row.link_source) == (url, "given")


def test_the_same_wish_again_finds_the_fulfillment(shop: Shop) -> None:
    """Whoever asks again is given the first fulfillment, without a call."""
    order_id = shop.order()
    first = shop.created(order_id)
    shop.calls()

    again = shop.take(order_id, first.tracking_number)

    assert (again.id, again.fulfillment_id) == (first.id, first.fulfillment_id)
    assert shop.send(again) is None
    assert not shop.calls()


def test_several_workers_make_one_fulfillment(shop: Shop, at_once: Callable[..., list[Any]]) -> None:
    """However many workers send at the same moment, one of them does."""
    order_id = shop.order()
    row = shop.take(order_id)

    outcomes = at_once(lambda: send(shop.store, [row.id]), times=6)

    assert [outcome for outcome in outcomes if outcome] == [{row.id: Outcome.CREATED}]
    assert len(shop.fulfillments(order_id)) == 1


def test_only_what_ships_is_sent(shop: Shop) -> None:
    """Digital items, gift cards, services, refunded quantities and other fulfillers' items stay out."""
    other = "11111111-1111-4111-8111-111111111111"
    order_id = shop.order(
        items=[
            {"quantity": 3, "refundQuantity": 1},
            {"itemType": {"preset": "DIGITAL"}},
            {"itemType": {"preset": "GIFT_CARD"}},
            {"itemType": {"preset": "SERVICE"}},
            {"fulfillerId": other},
            {"physicalProperties": {"shippable": False}},
        ]
    )

    shop.created(order_id)

    assert [quantities(each) for each in shop.fulfillments(order_id)] == [{LINE: 2}]


def test_the_rest_of_an_order_is_counted(shop: Shop) -> None:
    """What is in fulfillments already, ours or others', is not sent again; the quantity of the rest is explicit."""
    order_id = shop.order(items=[{"quantity": 4}, {"quantity": 1}])
    shop.fulfilled_by_hand(order_id, shop.number(), quantity=1)
    shop.created(order_id, items={LINE: 1})

    shop.created(order_id)

    assert quantities(shop.fulfillments(order_id)[-1]) == {LINE: 2, LINE_2: 1}


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ({"status": "CANCELED"}, "was canceled"),
        ({"status": "INITIALIZED"}, "is not approved"),
        ({"status": "PENDING"}, "is not approved"),
        ({"paymentStatus": "NOT_PAID"}, "is not paid"),
        ({"archived": True}, "is archived"),
        ({"imported": True}, "was imported"),
        ({"shippingInfo": {"logistics": {"pickupDetails": {"pickupMethod": "STORE_PICKUP"}}}}, "is picked up"),
    ],
)
def test_an_order_that_must_not_ship_is_not_sent(shop: Shop, order: dict[str, Any], reason: str) -> None:
    """The order's present state is read before the first effect, and what is in the way is named."""
    order_id = shop.order(**order)
    row = shop.take(order_id)

    assert shop.send(row) is Outcome.NOT_FULFILLABLE

    assert shop.row(row).state is State.FAILED
    assert reason in shop.row(row).error
    assert shop.row(row).what_to_do
    assert shop.calls()["create"] == 0


def test_an_unpaid_order_ships_where_the_operator_says_so(shop: Shop) -> None:
    """With ship_unpaid, an unpaid order is sent."""
    shop.store = replace(shop.store, ship_unpaid=True)

    assert shop.created(shop.order(paymentStatus="NOT_PAID")).state is State.CREATED


@pytest.mark.parametrize("status", [404, 400, 428])
def test_an_order_the_store_does_not_have_fails_alone(shop: Shop, status: int) -> None:
    """An unknown order fails, whichever status Wix says it with, and the others of the call are created."""
    shop.switch(unknown_order_status=status)
    known, unknown = shop.take(shop.order()), shop.take("11111111-1111-4111-8111-111111111111")

    outcomes = send(shop.store)

    assert outcomes == {known.id: Outcome.CREATED, unknown.id: Outcome.NOT_FULFILLABLE}
    assert "has no order" in shop.row(unknown).error


def test_more_than_remains_is_not_sent(shop: Shop) -> None:
    """A quantity beyond the order's fails with what remains, and no call is made."""
    order_id = shop.order(quantity=2)
    row = shop.take(order_id, items={LINE: 3})

    assert shop.send(row) is Outcome.NOT_FULFILLABLE

    assert "2 remain" in shop.row(row).error
    assert shop.calls()["create"] == 0


def test_a_number_on_this_order_with_the_same_items_is_found(shop: Shop) -> None:
    """What a merchant entered by hand before is this shipment's fulfillment, and no second one is made."""
    order_id, number = shop.order(), shop.number()
    fulfillment_id = shop.fulfilled_by_hand(order_id, number)
    row = shop.take(order_id, number)

    assert shop.send(row) is Outcome.EXISTING

    assert (shop.row(row).state, shop.row(row).fulfillment_id) == (State.CREATED, fulfillment_id)
    assert shop.calls()["create"] == 1, "only the merchant's own"


def test_a_number_on_this_order_with_other_items_fails(shop: Shop) -> None:
    """A fulfillment with the number and other quantities is not taken for this shipment's."""
    order_id, number = shop.order(quantity=3), shop.number()
    shop.fulfilled_by_hand(order_id, number, quantity=1)
    row = shop.take(order_id, number, items={LINE: 2})

    assert shop.send(row) is Outcome.REFUSED

    assert shop.row(row).state is State.FAILED
    assert "other items or quantities" in shop.row(row).error
    assert len(shop.fulfillments(order_id)) == 1


def test_a_number_on_another_order_fails_with_its_name(shop: Shop) -> None:
    """Wix's refusal of a known number names the order that has it."""
    first, second = shop.orders(2)
    number = shop.created(first).tracking_number
    row = shop.take(second, number)

    assert shop.send(row) is Outcome.REFUSED

    assert shop.row(row).state is State.FAILED
    assert f"order {shop.rows(first)[0].order_number} already" in shop.row(row).error
    assert shop.fulfillments(second) == []


def test_a_number_that_another_shipment_of_the_order_has_fails(shop: Shop) -> None:
    """One fulfillment is never bound to two shipments."""
    order_id = shop.order(quantity=2)
    first = shop.created(order_id, items={LINE: 1})
    row = shop.take(order_id, first.tracking_number, items={LINE: 1}, key="another")

    assert shop.send(row) is Outcome.REFUSED

    assert "another shipment" in shop.row(row).error
    assert len(shop.fulfillments(order_id)) == 1


def test_a_refusal_fails_with_wixs_words(shop: Shop) -> None:
    """What Wix refuses for good is failed, with what it said and what to do."""
    shop.fault("create", status=400, code="SOME_RULE")
    row = shop.take(shop.order())

    assert shop.send(row) is Outcome.REFUSED

    assert "refused" in shop.row(row).error
    assert shop.row(row).what_to_do


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_permission_is_not_the_shipments_fault(shop: Shop, status: int) -> None:
    """A missing permission leaves the shipment ready, to be sent once it is there."""
    shop.fault("create", status=status, times=2)
    order_id = shop.order()
    row = shop.take(order_id)

    assert shop.send(row) is Outcome.FORBIDDEN
    shop.control("DELETE", "faults")
    shop.clock.advance(61)

    assert shop.send(row) is Outcome.CREATED
    assert len(shop.fulfillments(order_id)) == 1


def test_a_throttled_create_is_not_ambiguous(shop: Shop) -> None:
    """After 429 nothing happened: the shipment stays ready and is sent when Wix lets it."""
    shop.fault("create", status=429, times=4, retry_after=40)
    row = shop.take(shop.order())

    assert shop.send(row) is Outcome.THROTTLED
    assert (shop.row(row).state, shop.row(row).ambiguous) == (State.READY, 0)
    shop.control("DELETE", "faults")
    shop.clock.advance(61)

    assert shop.send(row) is Outcome.CREATED


def test_a_connection_never_opened_is_not_ambiguous(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Wix cannot be reached, nothing happened: the shipment stays ready."""
    row = shop.take(shop.order())
    # The token and the order are read, then nobody listens any more.
    planned = shop.store.wix.create_fulfillment

    def unreachable(*arguments: Any, **keywords: Any) -> object:  # noqa: ANN401 - passed on
        monkeypatch.setattr(shop.store.wix._exchange._line._http, "_base_url", nobody())
        return planned(*arguments, **keywords)

    monkeypatch.setattr(shop.store.wix, "create_fulfillment", unreachable)

    assert shop.send(row) is Outcome.WAITING

    monkeypatch.undo()
    assert (shop.row(row).state, shop.row(row).ambiguous) == (State.READY, 0)
    shop.clock.advance(31)
    assert shop.send(row) is Outcome.CREATED


@pytest.mark.parametrize("status", [400, 403, 503])
def test_orders_that_cannot_be_read_fail_nothing(shop: Shop, status: int) -> None:
    """Where orders cannot be read, their shipments wait: that says nothing about them."""
    shop.fault("search-orders", status=status, code="SOME_RULE", times=3)
    rows = [shop.take(order_id) for order_id in shop.orders(2)]

    told = Outcome.FORBIDDEN if status == 403 else Outcome.WAITING
    assert send(shop.store) == {row.id: told for row in rows}
    shop.control("DELETE", "faults")
    shop.clock.advance(31)

    assert send(shop.store) == {row.id: Outcome.CREATED for row in rows}


def test_a_death_before_the_row_leaves_the_shipment_to_be_sent(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that died while it read the order made nothing; the next worker sends."""
    order_id = shop.order()
    row = shop.take(order_id)
    shop.dying(monkeypatch, "get_order", after=True)
    with pytest.raises(ProcessDied):
        shop.send(row)
    assert shop.row(row).state is State.WAITING_LINK
    assert shop.fulfillments(order_id) == []

    assert shop.next_worker().send(row) is Outcome.CREATED
    assert len(shop.fulfillments(order_id)) == 1


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "before its answer was recorded"])
def test_a_death_in_the_call_makes_one_fulfillment(shop: Shop, monkeypatch: pytest.MonkeyPatch, *, after: bool) -> None:
    """A shipment left SENDING is taken over, looked for at Wix after the settle time, and sent only where absent."""
    order_id = shop.order()
    row = shop.take(order_id)
    shop.dying(monkeypatch, "create_fulfillment", after=after)
    with pytest.raises(ProcessDied):
        shop.send(row)
    assert shop.row(row).state is State.SENDING
    assert len(shop.fulfillments(order_id)) == int(after)

    # While the dead worker's lease lasts nobody touches it; then the settle time begins.
    assert settle(shop.store) == {}
    assert shop.send(row) is None
    heir = shop.next_worker()
    assert settle(heir.store) == {row.id: Outcome.UNDECIDED}
    assert settle(heir.store) == {}
    outcome = heir.settle(row)

    assert outcome is (Outcome.CREATED if after else Outcome.WAITING)
    assert heir.send(row) is (None if after else Outcome.CREATED)
    (fulfillment,) = shop.fulfillments(order_id)
    assert (heir.row(row).state, heir.row(row).fulfillment_id) == (State.CREATED, fulfillment["id"])


def test_a_worker_that_lost_its_lease_does_not_move_what_another_took(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker whose call took longer than its lease leaves the outcome to whoever took over."""
    rows = [shop.take(order_id) for order_id in shop.orders(3)]
    original = shop.store.wix.bulk_create_fulfillments

    def slow(*arguments: Any, **keywords: Any) -> object:  # noqa: ANN401 - passed on
        answer = original(*arguments, **keywords)
        shop.clock.advance(LEASE_SECONDS + 1)
        settle(replace(shop.store, owner="other"), [rows[1].id])
        return answer

    monkeypatch.setattr(shop.store.wix, "bulk_create_fulfillments", slow)

    outcomes = send(shop.store, [row.id for row in rows])

    assert outcomes == {rows[0].id: Outcome.CREATED, rows[2].id: Outcome.CREATED}
    assert shop.settle(rows[1]) is Outcome.CREATED
    assert [len(shop.fulfillments(row.order_id)) for row in rows] == [1, 1, 1]


def test_a_shipment_canceled_meanwhile_does_not_hold_up_the_others(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shipment that another process moved while links were made is left out, and the rest is sent."""
    rows = [shop.take(order_id) for order_id in shop.orders(3)]
    original = shop.store.registry.carrier

    def meddling(carrier_id: str) -> object:
        latest = shop.row(rows[0])
        if latest.state is State.WAITING_LINK:
            shop.ledger.shipments.move(moves.canceled(latest, reason="the order was canceled"))
        return original(carrier_id)

    monkeypatch.setattr(shop.store.registry, "carrier", meddling)

    outcomes = send(shop.store)

    assert outcomes == {rows[1].id: Outcome.CREATED, rows[2].id: Outcome.CREATED}
    assert shop.fulfillments(rows[0].order_id) == []


def test_a_create_leaves_in_time_or_not_at_all(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that was stopped after its row was written sends nothing when it wakes too late."""
    order_id = shop.order()
    row = shop.take(order_id)
    original = shop.store.wix.create_fulfillment

    def asleep(*arguments: Any, **keywords: Any) -> object:  # noqa: ANN401 - passed on
        shop.clock.advance(31)
        return original(*arguments, **keywords)

    monkeypatch.setattr(shop.store.wix, "create_fulfillment", asleep)

    assert shop.send(row) is Outcome.THROTTLED
    assert shop.fulfillments(order_id) == []


def test_with_a_short_settle_time_a_create_leaves_earlier_or_not_at_all(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time a create may leave in is within the settle time, however short that is set."""
    shop.store = replace(shop.store, settle=timedelta(seconds=10))
    row = shop.take(shop.order())
    original = shop.store.wix.create_fulfillment

    def asleep(*arguments: Any, **keywords: Any) -> object:  # noqa: ANN401 - passed on
        shop.clock.advance(9)
        return original(*arguments, **keywords)

    monkeypatch.setattr(shop.store.wix, "create_fulfillment", asleep)

    assert shop.send(row) is Outcome.THROTTLED
    assert shop.fulfillments(row.order_id) == []


def test_a_shipment_waits_where_another_of_its_order_is_undecided(shop: Shop) -> None:
    """What an undecided shipment may have taken is not sent a second time, and its rival does not fail for it."""
    order_id = shop.order()
    shop.fault("create", status=500)
    first, second = shop.take(order_id), shop.take(order_id)
    assert shop.send(first) is Outcome.UNDECIDED

    assert shop.send(second) is Outcome.WAITING
    assert shop.settle(first) is Outcome.WAITING
    assert shop.send(first) is Outcome.CREATED
    shop.clock.advance(61)

    assert shop.send(second) is Outcome.NOT_FULFILLABLE
    assert len(shop.fulfillments(order_id)) == 1


def test_an_untold_fulfillment_is_not_counted_twice(shop: Shop) -> None:
    """What an undecided shipment did create is in the store's list already, and leaves room for the rest."""
    order_id = shop.order(quantity=2)
    shop.fault("create", effect="untold")
    first, second = shop.take(order_id, items={LINE: 1}), shop.take(order_id, items={LINE: 1})
    assert shop.send(first) is Outcome.UNDECIDED

    assert shop.send(second) is Outcome.CREATED
    assert shop.settle(first) is Outcome.CREATED
    assert len(shop.fulfillments(order_id)) == 2


def test_creating_begins_to_follow_the_parcel(shop: Shop) -> None:
    """A carrier that can be asked is asked from the creation on; of others, nobody is asked."""
    shop.created(shop.order(), carrier="royal-mail")
    assert shop.ledger.parcels.due() == []


@pytest.mark.parametrize("after", [False, True])
def test_what_this_worker_left_open_is_not_sent_again_with_the_same_wish(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    """A shipment that is on its way is only settled, also for the worker that still holds it."""
    order_id = shop.order()
    wish = Wish(order_id=order_id, carrier="ups", parcels=((shop.number(), None),), source="file")
    with monkeypatch.context() as dying:
        shop.dying(dying, "create_fulfillment", after=after)
        with pytest.raises(ProcessDied):
            ship(shop.store, [wish])
    (row,) = shop.rows(order_id)
    assert row.is_held(shop.clock())
    shop.calls()

    (shipped,) = ship(shop.store, [wish])

    assert (shipped.shipment, shipped.outcome) == (row.id, None)
    assert shop.row(row).state is State.SENDING
    assert not shop.calls()
    assert len(shop.fulfillments(order_id)) == after


def sent_bodies(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Write down the bodies that creates send."""
    bodies: list[Any] = []
    line = shop.store.wix._exchange._line
    original = line.send

    def noting(operation: str, method: str, path: str, **given: Any) -> object:  # noqa: ANN401 - passed on
        if operation == "create":
            bodies.append(given["json"]["fulfillment"])
        return original(operation, method, path, **given)

    monkeypatch.setattr(line, "send", noting)
    return bodies


def nobody() -> httpx.URL:
    """Give the URL of a port nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    return httpx.URL(f"http://127.0.0.1:{port}/")
