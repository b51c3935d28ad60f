"""What someone wants shipped is written down once, under its key, before anything is done about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from parcelhook.errors import (
    InputError,
    InvalidTrackingLink,
    InvalidTrackingNumber,
    KeyReused,
    NotFulfillable,
    UnknownCarrier,
)
from parcelhook.fulfillment.intake import Wish, take_in
from parcelhook.fulfillment.store import Outcome
from parcelhook.ledger import State, moves
from shops import LINE, LINE_2, Shop

pytest_plugins = ["stores"]


def test_a_wish_waits_to_be_sent(shop: Shop) -> None:
    """A wish becomes a shipment with its number, and nothing is asked of Wix for it."""
    order_id, number = shop.order(), shop.number()
    shop.calls()

    row, is_new = take_in(shop.store, Wish(order_id=order_id, carrier="ups", parcels=((number, None),)))

    assert is_new
    assert (row.state, row.tracking_number, row.carrier) == (State.WAITING_LINK, number, "ups")
    assert not shop.calls()


def test_the_same_wish_again_finds_the_first(shop: Shop) -> None:
    """The number is the key where none is given, in whatever way it is typed."""
    order_id = shop.order()
    first, _ = take_in(shop.store, Wish(order_id=order_id, carrier="ups", parcels=(("AB 12-34", None),)))

    second, is_new = take_in(shop.store, Wish(order_id=order_id, carrier="ups", parcels=(("ab1234", None),)))

    assert (second.id, is_new) == (first.id, False)


def test_a_key_makes_one_shipment_of_two_wishes(shop: Shop) -> None:
    """The caller's key identifies a shipment."""
    order_id, number = shop.order(), shop.number()

    rows = [shop.take(order_id, number, key="ours-1") for _ in range(2)]

    assert rows[0].id == rows[1].id
    assert rows[0].intent_key == "ours-1"


@pytest.mark.parametrize(
    "other",
    [{"number": "OTHER1"}, {"carrier": "fedex"}, {"items": {LINE: 1}}, {"url": "https://www.ups.com/track?n=1"}],
    ids=lambda other: next(iter(other)),
)
def test_a_key_with_another_body_is_refused(shop: Shop, other: dict[str, Any]) -> None:
    """A key that comes again with another number, carrier, item or link raises KeyReused."""
    order_id = shop.order(quantity=2)
    shop.take(order_id, "FIRST1", key="ours-1")

    with pytest.raises(KeyReused) as caught:
        shop.take(order_id, **{"number": "FIRST1", "key": "ours-1", **other})

    assert caught.value.field == "key"
    assert len(shop.rows(order_id)) == 1


def test_one_key_on_two_orders_is_two_shipments(shop: Shop) -> None:
    """A key is unique within an order."""
    rows = [shop.take(order_id, key="ours-1") for order_id in shop.orders(2)]

    assert rows[0].id != rows[1].id


def test_a_shipment_asked_about_before_it_was_sent_is_tried_anew(shop: Shop) -> None:
    """What went to a person with nothing sent is taken again, and takes another link under the same key."""
    order_id, number = shop.order(), shop.number()
    row = shop.take(order_id, number)
    shop.store.ledger.shipments.move(moves.needs_review(row, reason="the carrier gave no link"))

    same = shop.take(order_id, number)
    shop.store.ledger.shipments.move(moves.needs_review(same, reason="the carrier gave no link"))
    other = shop.take(order_id, number, url="https://www.ups.com/track?n=1")

    assert same.id == other.id == row.id
    assert (same.state, other.state) == (State.WAITING_LINK, State.WAITING_LINK)
    assert other.parcels[0].tracking_url == "https://www.ups.com/track?n=1"


@pytest.mark.parametrize("url", ["", " "])
def test_an_empty_link_is_not_taken_for_none(shop: Shop, url: str) -> None:
    """A link that is given and empty is an error, as an unset variable makes one."""
    with pytest.raises(InvalidTrackingLink):
        shop.take(shop.order(), url=url)


def test_a_refused_shipment_may_be_asked_for_otherwise(shop: Shop) -> None:
    """What Wix refused takes another body under the same key, and is sent then."""
    order_id = shop.order(quantity=2)
    first = shop.take(order_id, "WRONG1", key="ours-1", items={LINE: 3})
    assert shop.send(first) is Outcome.NOT_FULFILLABLE

    second = shop.take(order_id, "RIGHT" + shop.number(), key="ours-1", items={LINE: 2})

    assert second.id == first.id
    assert shop.send(second) is Outcome.CREATED
    assert len(shop.fulfillments(order_id)) == 1


def test_a_refused_shipment_is_asked_for_again_unchanged(shop: Shop) -> None:
    """The same wish after a refusal is sent anew: what was in the way may be gone."""
    order_id, number = shop.order(paymentStatus="NOT_PAID"), shop.number()
    assert shop.send(shop.take(order_id, number)) is Outcome.NOT_FULFILLABLE
    shop.edit(order_id, paymentStatus="PAID")

    assert shop.send(shop.take(order_id, number)) is Outcome.CREATED


def test_all_that_remains_of_an_item_is_counted_at_once(shop: Shop) -> None:
    """An item without a quantity gets what remains of it now, and the body stays the same later."""
    order_id = shop.order(items=[{"quantity": 3}, {"quantity": 2}])
    shop.fulfilled_by_hand(order_id, shop.number(), quantity=1)

    row = shop.take(order_id, items={LINE: None, LINE_2: 1})

    assert {item.line_item_id: item.quantity for item in row.items} == {LINE: 2, LINE_2: 1}
    assert shop.take(order_id, row.tracking_number, items={LINE: None, LINE_2: 1}).id == row.id


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        ({"carrier": "no-such-carrier"}, UnknownCarrier),
        ({"number": "   "}, InvalidTrackingNumber),
        ({"number": "12\u202e34"}, InvalidTrackingNumber),
        ({"url": "https://elsewhere.example/1"}, InvalidTrackingLink),
        ({"url": "not a link"}, InvalidTrackingLink),
        ({"key": ""}, InputError),
        ({"key": "k" * 201}, InputError),
        ({"key": "a\nb"}, InputError),
        ({"items": {LINE: 0}}, InputError),
        ({"items": {LINE: 100_001}}, InputError),
        ({"items": {"no-such-item": None}}, NotFulfillable),
    ],
)
def test_a_wish_that_cannot_be_is_refused(shop: Shop, wish: dict[str, Any], error: type[InputError]) -> None:
    """What is wrong with a wish is told at once, and no shipment is made."""
    order_id = shop.order()

    with pytest.raises(error) as caught:
        shop.take(order_id, **wish)

    assert caught.value.what_to_do or isinstance(caught.value, UnknownCarrier)
    assert shop.rows(order_id) == []


def test_a_wish_without_a_number_is_refused(shop: Shop) -> None:
    """A shipment has at least one parcel."""
    with pytest.raises(InputError, match="at least one"):
        take_in(shop.store, Wish(order_id=shop.order(), carrier="ups", parcels=()))


def test_an_order_that_waited_for_its_number_gets_it(shop: Shop) -> None:
    """The shipment that an approved order waits with takes the number a person brings, and is no second one."""
    order_id = shop.order()
    shop.follow()
    (waiting,) = shop.rows(order_id, State.WAITING_NUMBER)

    row = shop.take(order_id)

    assert row.id == waiting.id
    assert shop.send(row) is Outcome.CREATED
    assert len(shop.rows(order_id)) == 1


def test_a_wish_for_some_items_leaves_the_waiting_rest(shop: Shop) -> None:
    """A shipment of a part stands beside the one that waits, which goes once everything was shipped."""
    order_id = shop.order(quantity=2)
    shop.follow()

    shop.created(order_id, items={LINE: 1})
    assert len(shop.rows(order_id, State.WAITING_NUMBER)) == 1
    shop.created(order_id, items={LINE: 1})

    assert shop.rows(order_id, State.WAITING_NUMBER) == []


def test_a_deleted_fulfillment_may_be_sent_anew(shop: Shop) -> None:
    """Only after the fulfillment was seen deleted does the same wish make another one, as the next generation."""
    order_id, number = shop.order(), shop.number()
    first = shop.created(order_id, number)
    assert shop.take(order_id, number).id == first.id
    shop.ledger.shipments.move(moves.deleted(first, reason="it was deleted at Wix"))
    shop.by_hand("DELETE", f"{first.fulfillment_id}/orders/{order_id}")

    second = shop.created(order_id, number)

    assert (second.generation, second.intent_key) == (2, first.intent_key)
    assert [each["id"] for each in shop.fulfillments(order_id)] == [second.fulfillment_id]


def test_a_key_used_before_is_not_given_to_a_waiting_shipment(shop: Shop) -> None:
    """Where the key's own shipment is known, a waiting one beside it stays as it is."""
    order_id = shop.order(quantity=2)
    shop.follow()
    first = shop.created(order_id, "N1" + shop.number(), key="ours-1", items={LINE: 1})

    with pytest.raises(KeyReused):
        shop.take(order_id, first.tracking_number, key="ours-1")

    assert [row.intent_key for row in shop.rows(order_id, State.WAITING_NUMBER)] == ["waiting for a number"]


def test_two_takers_of_one_wish_make_one_shipment(shop: Shop, at_once: Callable[..., list[Any]]) -> None:
    """However many ask at the same moment, there is one shipment."""
    order_id, number = shop.order(), shop.number()

    rows = at_once(lambda: shop.take(order_id, number), times=8)

    assert len({row.id for row in rows}) == 1
    assert len(shop.rows(order_id)) == 1


def test_several_takers_of_a_waiting_order_give_it_one_number(shop: Shop, at_once: Callable[..., list[Any]]) -> None:
    """The shipment an order waits with is given its number once, and found by everyone else."""
    order_id, number = shop.order(), shop.number()
    shop.follow()

    rows = at_once(lambda: shop.take(order_id, number), times=6)

    assert len({row.id for row in rows}) == 1
    assert len(shop.rows(order_id)) == 1
