"""Decide what of an order ships: pure rules over the order and its fulfillments as Wix has them at this moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from parcelhook.errors import NotFulfillable
from parcelhook.models import ShipmentItem
from parcelhook.wix.orders import OrderLineItem, WixOrder

NEVER_SHIPPED: Final = frozenset({"DIGITAL", "GIFT_CARD", "SERVICE"})
PAID: Final = frozenset({"PAID", "PARTIALLY_REFUNDED"})


def remaining_quantities(order: WixOrder, shipped: Iterable[ShipmentItem]) -> dict[str, int]:
    """Give, by line item id, how many this store still has to ship.

    Digital items, gift cards and services, items another party fulfills and refunded quantities never ship; what is in
    ``shipped`` (the items of the order's fulfillments, and of shipments on their way to become one) has gone already.
    """
    gone: dict[str, int] = {}
    for item in shipped:
        gone[item.line_item_id] = gone.get(item.line_item_id, 0) + item.quantity
    return {
        line.id: max(0, line.quantity - line.refund_quantity - gone.get(line.id, 0))
        for line in order.line_items
        if _ships(line)
    }


def plan_items(
    order: WixOrder,
    shipped: Iterable[ShipmentItem],
    *,
    wanted: Mapping[str, int | None] | None = None,
    ship_unpaid: bool = False,
) -> tuple[ShipmentItem, ...]:
    """Give the line items and explicit quantities of a new shipment.

    ``wanted`` maps line item ids to a quantity, or to None for all that remains of it; without it, everything that
    remains ships. Raise NotFulfillable, naming what is in the way, where nothing may or can ship as asked.
    """
    check_order(order, ship_unpaid=ship_unpaid)
    left = remaining_quantities(order, shipped)
    if wanted:
        return tuple(_wanted_item(order, left, line_item_id, quantity) for line_item_id, quantity in wanted.items())
    items = tuple(ShipmentItem(line_item_id=id_, quantity=quantity) for id_, quantity in left.items() if quantity)
    if not items:
        msg = f"order {_called(order)} has nothing left to ship"
        raise NotFulfillable(msg, field="order", what_to_do=_why_nothing(left))
    return items


def check_order(order: WixOrder, *, ship_unpaid: bool) -> None:
    """Raise NotFulfillable where the order as a whole must not be shipped now."""
    in_the_way = (
        (order.status == "CANCELED", "was canceled", "Nothing is to be shipped."),
        (order.status != "APPROVED", f"is not approved ({_word(order.status)})", "Approve it in the store first."),
        (order.archived, "is archived", "Take it out of the archive first."),
        (order.imported, "was imported from another shop", "Only orders placed in this store are fulfilled."),
        (
            not ship_unpaid and order.payment_status not in PAID,
            f"is not paid ({_word(order.payment_status)})",
            "Mark it as paid, or set ship_unpaid = true for this store.",
        ),
        (
            order.shipping_info is not None and order.shipping_info.is_pickup,
            "is picked up by the customer",
            "It needs no tracking number.",
        ),
    )
    for applies, reason, what_to_do in in_the_way:
        if applies:
            msg = f"order {_called(order)} {reason}"
            raise NotFulfillable(msg, field="order", what_to_do=what_to_do)


def rest_unknown() -> NotFulfillable:
    """Give the error for what is to take all that remains, where something else of the order cannot be sent as asked.

    Were it sent, what the other one is corrected to could not be sent any more.
    """
    msg = "another line of the order cannot be used, so it is not known what remains for this parcel"
    return NotFulfillable(msg, field="order", what_to_do="Correct that line, and send both again.")


def _ships(line: OrderLineItem) -> bool:
    return line.preset not in NEVER_SHIPPED and line.shippable is not False and not line.fulfiller_id


def _wanted_item(order: WixOrder, left: Mapping[str, int], line_item_id: str, quantity: int | None) -> ShipmentItem:
    if line_item_id not in {line.id for line in order.line_items}:
        msg = f"order {_called(order)} has no line item {line_item_id}"
        known = ", ".join(line.id for line in order.line_items)
        raise NotFulfillable(msg, field="item", what_to_do=f"Its line items are: {known}.")
    if line_item_id not in left:
        msg = f"line item {line_item_id} of order {_called(order)} is not shipped by this store"
        what_to_do = "Digital items, gift cards, services and items of another fulfiller are left out."
        raise NotFulfillable(msg, field="item", what_to_do=what_to_do)
    remains = left[line_item_id]
    asked = remains if quantity is None else quantity
    if asked < 1 or asked > remains:
        msg = f"quantity {asked} of line item {line_item_id}: {remains} remain to be shipped"
        what_to_do = f"Give a quantity from 1 to {remains}." if remains else "All of it is in fulfillments already."
        raise NotFulfillable(msg, field="quantity", what_to_do=what_to_do)
    return ShipmentItem(line_item_id=line_item_id, quantity=asked)


def _why_nothing(left: Mapping[str, int]) -> str:
    if left:
        return (
            "All of it is in fulfillments already, or refunded. `parcelhook status ORDER` shows with which numbers; "
            "`parcelhook shipments correct` gives one another."
        )
    return "It holds only digital items, gift cards, services, or items of another fulfiller."


def _called(order: WixOrder) -> str:
    return f"{order.number} ({order.id})" if order.number else order.id


def _word(state: str | None) -> str:
    return state.lower().replace("_", " ") if state else "no status"
