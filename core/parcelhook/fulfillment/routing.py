"""Find out who carries an approved order: configured rules first, then what the carriers' plug-ins choose."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial
from itertools import count
from typing import Final

from parcelhook.fulfillment.orders import OrderNow, for_plugins
from parcelhook.fulfillment.store import Store
from parcelhook.ledger import moves
from parcelhook.ledger.rows import NewShipment, ShipmentRow
from parcelhook.ledger.states import State
from parcelhook.models import Order, ShipmentItem
from parcelhook.settings import Rule

BOOK: Final = "parcelhook_book"
WAITING_KEY: Final = "waiting for a number"
KILOGRAMS: Final[Mapping[str, float]] = {"KG": 1.0, "LB": 0.453_592_37}


def route(store: Store, now: OrderNow, uncovered: Mapping[str, int]) -> str:
    """Write down who carries what no shipment of an order covers, by line item id; give in one line what was decided.

    A carrier that can book is asked for its number next; everything else waits for a number from a person, carrier by
    carrier: with what waits for a number of that carrier already, where there is such a shipment.
    """
    order = for_plugins(now, store=store.id, left=uncovered)
    rows = store.ledger.shipments.find(store=store.id, order_id=order.id)
    carriers, doubt = choose(store, order)
    why = _why(_rule(store, order))
    told = []
    for new in _shipments(store, order, carriers, rows):
        waiting = None if new.due_at else _waiting_for(new.carrier, rows)
        row = _added(store, new) if waiting is None else _extended(store, waiting, new.items)
        if doubt and not row.carrier:
            store.ledger.shipments.move(moves.wait_for_number(row, reason=doubt))
        told.append(doubt if doubt and not row.carrier else _told(row, why))
    return "; ".join(told)


def _added(store: Store, new: NewShipment) -> ShipmentRow:
    return store.ledger.shipments.add_all([new])[0].shipment


def _extended(store: Store, row: ShipmentRow, items: Sequence[ShipmentItem]) -> ShipmentRow:
    reason = "the order has further items"
    return store.ledger.shipments.move(moves.adjusted(row, items=(*row.items, *items), reason=reason))


def _waiting_for(carrier: str, rows: Sequence[ShipmentRow]) -> ShipmentRow | None:
    """Give the shipment that waits for a person to bring a number of the carrier."""
    waiting = (row for row in rows if row.state is State.WAITING_NUMBER and row.due_at is None)
    return next((row for row in waiting if row.carrier == carrier and row.claimed_by is None), None)


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


def _shipments(
    store: Store, order: Order, carriers: Mapping[str, str], rows: Sequence[ShipmentRow]
) -> list[NewShipment]:
    """Give a shipment for each carrier that can book, and one that waits for a number for each of the others."""
    deleted = {item.line_item_id for row in rows if row.state is State.DELETED for item in row.items}
    keys = {row.intent_key for row in rows}
    news = []
    for carrier in dict.fromkeys(carriers.get(item.id, "") for item in order.line_items):
        items = _items(order, carriers, carrier)
        # What was deleted once is not booked anew unasked: its parcel may be under way.
        can_book = carrier and BOOK in store.registry.hook_names(carrier)
        booked = tuple(item for item in items if can_book and item.line_item_id not in deleted)
        if booked:
            key = _free(partial(booking_key, store.id, order.id, booked), keys)
            news.append(_new(store, order, carrier, key=key, items=booked, due_at=store.clock()))
        rest = tuple(item for item in items if item not in booked)
        if rest:
            news.append(_new(store, order, carrier, key=_free(waiting_key, keys), items=rest))
    return news


def _free(key: Callable[[int], str], taken: set[str]) -> str:
    """Give the first key of its kind that no shipment of the order has, and take it."""
    found = next(each for each in map(key, count(1)) if each not in taken)
    taken.add(found)
    return found


def waiting_key(nth: int) -> str:
    """Give the key of a shipment that waits for a number from a person, until it goes by that number."""
    return WAITING_KEY if nth == 1 else f"{WAITING_KEY} ({nth})"


def _items(order: Order, carriers: Mapping[str, str], carrier: str) -> tuple[ShipmentItem, ...]:
    return tuple(
        ShipmentItem(line_item_id=item.id, quantity=item.remaining)
        for item in order.line_items
        if carriers.get(item.id, "") == carrier
    )


def booking_key(store_id: str, order_id: str, items: tuple[ShipmentItem, ...], nth: int = 1) -> str:
    """Give the key a booking keeps however often it is tried; it says nothing about the consignee.

    ``nth`` tells apart what is booked anew from what was canceled before.
    """
    parts = [store_id, order_id, *sorted(f"{item.line_item_id} {item.quantity}" for item in items)]
    text = "\n".join(parts if nth == 1 else [*parts, str(nth)])
    return f"ph-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


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
