"""What of an order ships, and what never does."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelhook.errors import NotFulfillable
from parcelhook.fulfillment.plan import plan_items, remaining_quantities
from parcelhook.models import ShipmentItem
from parcelhook.wix.orders import WixOrder


def order_of(*lines: Mapping[str, Any], **fields: object) -> WixOrder:
    """Make an approved and paid order of the given line items."""
    plain = {"id": "order-1", "number": "1001", "status": "APPROVED", "paymentStatus": "PAID"}
    return WixOrder.model_validate({**plain, "lineItems": list(lines), **fields})


def line(id_: str, quantity: int = 1, **fields: object) -> dict[str, object]:
    """Make a physical line item."""
    return {"id": id_, "quantity": quantity, "itemType": {"preset": "PHYSICAL"}, **fields}


def test_everything_that_remains_ships_with_explicit_quantities() -> None:
    """Without a wish, each line item ships in the quantity no fulfillment covers."""
    order = order_of(line("a", 3), line("b", 2))

    items = plan_items(order, [ShipmentItem(line_item_id="a", quantity=1)])

    assert items == (ShipmentItem(line_item_id="a", quantity=2), ShipmentItem(line_item_id="b", quantity=2))


@pytest.mark.parametrize(
    "left_out",
    [
        {"itemType": {"preset": "DIGITAL"}},
        {"itemType": {"preset": "GIFT_CARD"}},
        {"itemType": {"preset": "SERVICE"}},
        {"physicalProperties": {"shippable": False}},
        {"fulfillerId": "11111111-1111-4111-8111-111111111111"},
        {"refundQuantity": 2},
    ],
)
def test_what_does_not_ship_is_left_out(left_out: dict[str, object]) -> None:
    """Digital, unshippable, refunded and other fulfillers' items are not sent."""
    order = order_of(line("a"), {**line("b", 2), **left_out})

    assert plan_items(order, []) == (ShipmentItem(line_item_id="a", quantity=1),)


def test_a_partly_refunded_item_ships_what_was_not_refunded() -> None:
    """Refunded pieces are taken off the quantity."""
    assert plan_items(order_of(line("a", 5, refundQuantity=2)), [])[0].quantity == 3


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"status": "PENDING"}, "not approved"),
        ({"status": "CANCELED"}, "canceled"),
        ({"status": None}, "not approved"),
        ({"paymentStatus": "NOT_PAID"}, "not paid"),
        ({"paymentStatus": "FULLY_REFUNDED"}, "not paid"),
        ({"archived": True}, "archived"),
        ({"imported": True}, "imported"),
        ({"shippingInfo": {"logistics": {"pickupDetails": {"pickupMethod": "STORE_PICKUP"}}}}, "picked up"),
    ],
)
def test_an_order_that_must_not_ship_is_refused_with_the_reason(fields: dict[str, object], reason: str) -> None:
    """The refusal names what is in the way and what to do."""
    with pytest.raises(NotFulfillable, match=reason) as caught:
        plan_items(order_of(line("a"), **fields), [])

    assert caught.value.what_to_do


def test_an_unpaid_order_ships_where_the_store_says_so() -> None:
    """ship_unpaid lets an approved offline order ship."""
    assert plan_items(order_of(line("a"), paymentStatus="NOT_PAID"), [], ship_unpaid=True)


def test_an_order_of_digital_items_has_nothing_to_ship() -> None:
    """Nothing shippable is an error, not an empty fulfillment."""
    with pytest.raises(NotFulfillable, match="nothing left") as caught:
        plan_items(order_of(line("a", itemType={"preset": "DIGITAL"})), [])

    assert "digital" in caught.value.what_to_do


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"x": 1}, "item"),
        ({"digital": 1}, "item"),
        ({"a": 0}, "quantity"),
        ({"a": 4}, "quantity"),
        ({"gone": None}, "quantity"),
    ],
)
def test_an_impossible_wish_names_its_field(wanted: dict[str, int | None], field: str) -> None:
    """Unknown items, items that do not ship, and quantities out of range are refused."""
    order = order_of(line("a", 3), line("gone", 1), line("digital", 1, itemType={"preset": "DIGITAL"}))

    with pytest.raises(NotFulfillable) as caught:
        plan_items(order, [ShipmentItem(line_item_id="gone", quantity=1)], wanted=wanted)

    assert caught.value.field == field
    assert caught.value.what_to_do


quantities = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 20), min_size=1)


@given(ordered=quantities, refunded=quantities, asked=st.lists(quantities, max_size=6))
def test_never_more_ships_than_was_ordered(
    ordered: dict[str, int], refunded: dict[str, int], asked: list[dict[str, int]]
) -> None:
    """However often shipments are planned one after the other, their sum stays within what was ordered and kept."""
    order = order_of(*(line(id_, quantity, refundQuantity=refunded.get(id_, 0)) for id_, quantity in ordered.items()))
    shipped: list[ShipmentItem] = []
    for wish in asked:
        try:
            shipped += plan_items(order, shipped, wanted=dict(wish))
        except NotFulfillable:
            continue
    with contextlib.suppress(NotFulfillable):
        shipped += plan_items(order, shipped)

    for id_, quantity in ordered.items():
        total = sum(item.quantity for item in shipped if item.line_item_id == id_)
        assert total == max(0, quantity - refunded.get(id_, 0))
    assert not any(remaining_quantities(order, shipped).values())
