"""Find out who carries an approved order: configured rules first, then what the carriers' plug-ins choose."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Final

from parcelhook.errors import NotFulfillable
from parcelhook.fulfillment.orders import OrderNow, for_plugins
from parcelhook.fulfillment.plan import check_order
from parcelhook.fulfillment.store import Store
from parcelhook.ledger import moves
from parcelhook.ledger.rows import NewShipment, ShipmentRow
from parcelhook.ledger.states import State
from parcelhook.models import Order, ShipmentItem
from parcelhook.settings import Rule

BOOK: Final = "parcelhook_book"
WAITING_KEY: Final = "waiting for a number"
KILOGRAMS: Final[Mapping[str, float]] = {"KG": 1.0, "LB": 0.453_592_37}
OVER: Final = frozenset({State.FAILED, State.CANCELED, State.DELETED})


def route(store: Store, now: OrderNow, *, approved_at: datetime | None = None) -> str:
    """Write down how an approved order is shipped, and give in one line what was decided.

    A carrier that can book is asked for its number next; everything else waits for a number from a person. An order
    that is known already, must not be shipped, or was approved before this store was set up is left alone.
    """
    set_up_at = store.ledger.stores.get(store.id).set_up_at
    if (approved_at or now.order.created_date or set_up_at) < set_up_at:
        return "it was approved before this store was set up"
    try:
        check_order(now.order, ship_unpaid=store.ship_unpaid)
    except NotFulfillable as error:
        return error.message
    order = for_plugins(now, store=store.id)
    if not order.line_items:
        return "nothing of it is shipped by this store"
    if is_under_way(store, order.id):
        return "its shipment is known already"
    carriers, doubt = choose(store, order)
    added = store.ledger.shipments.add_all(_shipments(store, order, carriers))
    rows = [each.shipment for each in added if each.is_new]
    if doubt:
        waiting = [row for row in rows if row.due_at is None]
        store.ledger.shipments.move_all([moves.wait_for_number(row, reason=doubt) for row in waiting])
    why = _why(_rule(store, order))
    return doubt or "; ".join(_told(row, why) for row in rows) or "its shipment was canceled or deleted before"


def is_under_way(store: Store, order_id: str) -> bool:
    """Tell whether a shipment of the order is known that may still become, or is, a fulfillment."""
    return any(row.state not in OVER for row in store.ledger.shipments.find(store=store.id, order_id=order_id))


def choose(store: Store, order: Order) -> tuple[dict[str, str], str]:
    """Give the carrier of each line item that has one, and in words why others have none."""
    rule = _rule(store, order)
    if rule is not None:
        return dict.fromkeys((item.id for item in order.line_items), rule.carrier), ""
    chosen: dict[str, set[str]] = {}
    for choice in store.registry.choose_carrier(order).values():
        for line_item_id, carrier in choice.items():
            chosen.setdefault(line_item_id, set()).add(carrier)
    rivals = sorted({carrier for carriers in chosen.values() if len(carriers) > 1 for carrier in carriers})
    doubt = f"waits for a decision: {' and '.join(rivals)} both want it" if rivals else ""
    return {id_: carriers.pop() for id_, carriers in chosen.items() if len(carriers) == 1}, doubt


def _shipments(store: Store, order: Order, carriers: Mapping[str, str]) -> list[NewShipment]:
    """Give a shipment for each carrier that can book, and one that waits for a number for all the rest."""
    chosen = dict.fromkeys(carriers.get(item.id, "") for item in order.line_items)
    bookers = [carrier for carrier in chosen if carrier and BOOK in store.registry.hook_names(carrier)]
    rest = [carrier for carrier in chosen if carrier not in bookers]
    news = []
    for carrier in bookers:
        items = _items(order, carriers, {carrier})
        key = booking_key(store.id, order.id, items)
        news.append(_new(store, order, carrier, key=key, items=items, due_at=store.clock()))
    if rest:
        # Where nothing of the order is booked, its items are not fixed: whatever remains will be shipped.
        items = _items(order, carriers, set(rest)) if bookers else ()
        news.append(_new(store, order, rest[0] if len(rest) == 1 else "", key=WAITING_KEY, items=items))
    return news


def _items(order: Order, carriers: Mapping[str, str], of: Collection[str]) -> tuple[ShipmentItem, ...]:
    return tuple(
        ShipmentItem(line_item_id=item.id, quantity=item.remaining)
        for item in order.line_items
        if carriers.get(item.id, "") in of
    )


def booking_key(store_id: str, order_id: str, items: tuple[ShipmentItem, ...]) -> str:
    """Give the key a booking keeps however often it is tried; it says nothing about the consignee."""
    parts = "\n".join((store_id, order_id, *sorted(f"{item.line_item_id} {item.quantity}" for item in items)))
    return f"ph-{hashlib.sha256(parts.encode()).hexdigest()[:32]}"


def _new(
    store: Store,
    order: Order,
    carrier: str,
    *,
    key: str,
    items: tuple[ShipmentItem, ...],
    due_at: datetime | None = None,
) -> NewShipment:
    """Give a shipment that waits for a number: the carrier's, asked for at ``due_at``, or without that a person's."""
    return NewShipment(
        store=store.id,
        order_id=order.id,
        order_number=order.number,
        intent_key=key,
        carrier=carrier,
        state=State.WAITING_NUMBER,
        source="webhook",
        items=items,
        postal_code=order.consignee.postal_code or None,
        country=order.consignee.country or None,
        due_at=due_at,
    )


def _told(row: ShipmentRow, why: str) -> str:
    if row.due_at is not None:
        return f"{row.carrier} is asked to carry it ({why})"
    return f"waits for a number of {row.carrier} ({why})" if row.carrier else "waits for a carrier and a number"


def _why(rule: Rule | None) -> str:
    """Say who chose the carrier: a rule, by its conditions, or the carrier's plug-in."""
    if rule is None:
        return "its plug-in chose it"
    conditions = {
        "country": ", ".join(rule.country),
        "shipping_method": rule.shipping_method,
        "max_weight_kg": rule.max_weight_kg,
    }
    told = [f"{name} {value}" for name, value in conditions.items() if value]
    return f"by the rule for {' and '.join(told) or 'all orders'}"


def _rule(store: Store, order: Order) -> Rule | None:
    return next((rule for rule in store.rules if _matches(rule, order)), None)


def _matches(rule: Rule, order: Order) -> bool:
    if rule.country and order.consignee.country not in rule.country:
        return False
    if rule.shipping_method and not fnmatchcase(order.shipping_method.casefold(), rule.shipping_method.casefold()):
        return False
    return rule.max_weight_kg is None or _kilograms(order) <= rule.max_weight_kg


def _kilograms(order: Order) -> float:
    """Give the order's weight; one that is not known is too heavy for every limit."""
    unit = KILOGRAMS.get(order.weight_unit)
    if unit is None or any(item.weight is None for item in order.line_items):
        return float("inf")
    return sum((item.weight or 0.0) * item.remaining * unit for item in order.line_items)
