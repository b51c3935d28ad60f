"""Read orders as Wix has them now, in as few calls as can be: they are read before every first effect."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from parcelhook.errors import InputError, NotFulfillable, WixInvalidRequest, WixNotFound
from parcelhook.fulfillment.plan import remaining_quantities
from parcelhook.models import LineItem, Order, ShipmentItem
from parcelhook.wix.client import WixClient
from parcelhook.wix.fulfillments import Fulfillment
from parcelhook.wix.orders import WixOrder


@dataclass(frozen=True, slots=True)
class OrderNow:
    """An order and its fulfillments, as Wix had them a moment ago."""

    order: WixOrder
    fulfillments: tuple[Fulfillment, ...]

    @property
    def shipped(self) -> tuple[ShipmentItem, ...]:
        """Give the items of all its fulfillments; one without a stated quantity counts as one piece."""
        return tuple(
            ShipmentItem(line_item_id=item.id, quantity=item.quantity or 1)
            for fulfillment in self.fulfillments
            for item in fulfillment.line_items
        )

    def with_number(self, number: str) -> Fulfillment | None:
        """Give the fulfillment that carries this tracking number, or None."""
        return next((each for each in self.fulfillments if (each.tracking_number or "").strip() == number), None)


def read_orders(
    wix: WixClient, order_ids: Iterable[str], *, already_tried: Collection[str] = ()
) -> dict[str, OrderNow]:
    """Give orders by id, with their fulfillments; an order that does not exist is not in the answer.

    One order costs one call, up to a hundred cost one search. Fulfillments are listed only where there may be some:
    orders Wix calls fulfilled in part or whole, and those in ``already_tried``.
    """
    wanted = list(dict.fromkeys(order_ids))
    orders = _find(wix, wanted)
    listed = [
        id_ for id_, order in orders.items() if id_ in already_tried or order.fulfillment_status != "NOT_FULFILLED"
    ]
    if len(listed) == 1:
        fulfillments = {listed[0]: wix.list_fulfillments(listed[0])}
    else:
        fulfillments = wix.list_fulfillments_by_ids(listed) if listed else {}
    return {
        id_: OrderNow(order, fulfillments[id_].fulfillments if id_ in fulfillments else ())
        for id_, order in orders.items()
    }


def unknown_order(order_id: str) -> NotFulfillable:
    """Give the error for an order that the store does not have."""
    msg = f"the store has no order {order_id}"
    return NotFulfillable(msg, field="order", what_to_do="Take the order's id from `parcelhook orders`.")


def _find(wix: WixClient, order_ids: list[str]) -> dict[str, WixOrder]:
    found = {}
    if len(order_ids) > 1:
        found = {order.id: order for order in wix.search_orders({"id": {"$in": list(order_ids)}}, limit=100)}
    # A search leaves out orders that are not approved yet, and may lag behind.
    for id_ in order_ids:
        if id_ not in found:
            try:
                found[id_] = wix.get_order(id_)
            except (WixNotFound, WixInvalidRequest, InputError):
                # With which of them Wix answers for an id it does not know is not settled.
                continue
    return found


def for_plugins(now: OrderNow, *, store: str, left: Mapping[str, int] | None = None) -> Order:
    """Give the order as a plug-in sees it: only what this store still has to ship, or ``left`` of it."""
    order = now.order
    left = remaining_quantities(order, now.shipped) if left is None else left
    return Order(
        id=order.id,
        number=order.number,
        store=store,
        line_items=tuple(
            LineItem(
                id=line.id,
                name=line.name,
                sku=line.sku,
                quantity=line.quantity,
                remaining=left[line.id],
                weight=line.weight,
            )
            for line in order.line_items
            if left.get(line.id)
        ),
        shipping_method=order.shipping_info.title if order.shipping_info else "",
        consignee=order.consignee,
        weight_unit=order.weight_unit,
        currency=order.currency,
        created_at=order.created_date,
    )
