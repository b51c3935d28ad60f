"""Take in what someone wants shipped, and write it down as an intent: from the command line, a file, or the API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from parcelhook.errors import InputError, InvalidTrackingLink, KeyReused, NotFulfillable, ShipmentChanged
from parcelhook.fulfillment.linking import can_link
from parcelhook.fulfillment.orders import read_orders
from parcelhook.fulfillment.plan import remaining_quantities
from parcelhook.fulfillment.store import Store
from parcelhook.ledger import moves
from parcelhook.ledger.rows import NewParcel, NewShipment, ShipmentRow
from parcelhook.ledger.states import State
from parcelhook.links import checked_link
from parcelhook.models import ShipmentItem
from parcelhook.numbers import as_given
from parcelhook.wix.wire import checked_id

KEY_LENGTH: Final = 200
QUANTITY_AT_MOST: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What someone wants shipped.

    ``parcels`` are numbers with, or without, their complete link. ``items`` maps line item ids to a quantity, or to
    None for all that remains of it; none at all means everything that remains. ``key`` is the caller's idempotency key.
    """

    order_id: str
    carrier: str
    parcels: tuple[tuple[str, str | None], ...]
    items: Mapping[str, int | None] = field(default_factory=dict)
    key: str | None = None
    source: str = "cli"


def take_in(store: Store, wish: Wish) -> tuple[ShipmentRow, bool]:
    """Write a wish down as a shipment that waits to be sent, or find it; give it and whether it is new.

    The same key (without one, the same number) with another body raises KeyReused, unless nothing came of the first:
    what Wix refused, or what a person was asked about before anything was sent, may be asked for otherwise, and is
    tried anew. An order that waited for its number gets it.
    """
    new = _shipment(store, wish)
    waiting = None if new.items else _waiting_for_number(store, new)
    if waiting is not None:
        # Where another process gave it a number first, that may be this very wish: ``add`` finds out.
        with suppress(ShipmentChanged):
            return store.ledger.shipments.move(moves.revised(waiting, replace(new, items=waiting.items))), True
    try:
        row, is_new = store.ledger.shipments.add(new, again=True)
    except KeyReused:
        rows = store.ledger.shipments.find(store=new.store, order_id=new.order_id)
        earlier = next((row for row in rows if row.intent_key == new.intent_key and _nothing_came_of(row)), None)
        if earlier is None:
            raise
        return store.ledger.shipments.move(moves.revised(earlier, new)), True
    if _nothing_came_of(row):
        row = store.ledger.shipments.move(moves.revised(row, new))
    return row, is_new


def _shipment(store: Store, wish: Wish) -> NewShipment:
    carrier = store.registry.carrier(wish.carrier)
    if not wish.parcels:
        msg = "a shipment needs at least one tracking number"
        raise InputError(msg, field="number", what_to_do="Give the number the carrier gave the parcel.")
    if wish.parcels[0][1] is None and not can_link(store.registry, carrier):
        msg = f"{carrier.name} has no tracking page that parcelhook knows, and Wix needs a link for it"
        raise InvalidTrackingLink(msg, field="url", what_to_do="Give the complete link with the number.")
    parcels, local = [], store.wix.is_loopback
    for number, url in wish.parcels:
        given = as_given(number)
        link = "" if url is None else checked_link(url, carrier=carrier, allow_loopback=local, field="url")
        parcels.append(NewParcel(number=given, tracking_url=link))
    return NewShipment(
        store=store.id,
        order_id=checked_id(wish.order_id, field="order"),
        intent_key=_key(wish.key) if wish.key is not None else parcels[0].number_normalised,
        carrier=carrier.id,
        state=State.WAITING_LINK,
        source=wish.source,
        items=_items(store, wish),
        parcels=tuple(parcels),
        body=_body(wish, carrier.id, parcels),
    )


def _body(wish: Wish, carrier_id: str, parcels: list[NewParcel]) -> str:
    return json.dumps(
        [
            carrier_id,
            [[parcel.number_normalised, parcel.tracking_url] for parcel in parcels],
            sorted(wish.items.items()),
        ]
    )


def _key(key: str) -> str:
    if not 1 <= len(key) <= KEY_LENGTH or not key.isprintable():
        msg = f"the key is not 1 to {KEY_LENGTH} printable characters"
        raise InputError(msg, field="key", what_to_do="Use something like the id of your own record.")
    return key


def _items(store: Store, wish: Wish) -> tuple[ShipmentItem, ...]:
    """Give the wanted items with explicit quantities; only "all of it" needs a look at the order."""
    for line_item_id, quantity in wish.items.items():
        if quantity is not None and not 1 <= quantity <= QUANTITY_AT_MOST:
            msg = f"quantity {quantity} of line item {line_item_id} is not between 1 and {QUANTITY_AT_MOST}"
            raise InputError(msg, field="quantity", what_to_do="Leave an item out that is not to be shipped.")
    if None not in wish.items.values():
        return tuple(ShipmentItem(line_item_id=id_, quantity=quantity or 1) for id_, quantity in wish.items.items())
    left = _left(store, wish.order_id)
    items = []
    for line_item_id, quantity in wish.items.items():
        counted = left.get(line_item_id, 0) if quantity is None else quantity
        if counted < 1:
            msg = f"nothing of line item {line_item_id} remains to be shipped"
            what_to_do = f"To be shipped are: {', '.join(id_ for id_, count in left.items() if count) or 'none'}."
            raise NotFulfillable(msg, field="item", what_to_do=what_to_do)
        items.append(ShipmentItem(line_item_id=line_item_id, quantity=counted))
    return tuple(items)


def _left(store: Store, order_id: str) -> dict[str, int]:
    now = read_orders(store.wix, [order_id], already_tried={order_id}).get(order_id)
    if now is None:
        msg = f"the store has no order {order_id}"
        raise NotFulfillable(msg, field="order", what_to_do="Take the order's id from `parcelhook orders`.")
    return remaining_quantities(now.order, now.shipped)


def _waiting_for_number(store: Store, new: NewShipment) -> ShipmentRow | None:
    """Give the order's shipment that waits for a number from us, unless the wish's key has a shipment of its own.

    One that a carrier is being asked about is not for us.
    """
    rows = store.ledger.shipments.find(store=new.store, order_id=new.order_id)
    if any(row.intent_key == new.intent_key for row in rows):
        return None
    waiting = (row for row in rows if row.state is State.WAITING_NUMBER)
    return next((row for row in waiting if row.due_at is None and row.claimed_by is None), None)


def _nothing_came_of(row: ShipmentRow) -> bool:
    """Tell whether Wix refused a shipment, or a person was asked about it before anything was sent."""
    return row.state is State.FAILED or (row.state is State.NEEDS_REVIEW and row.sent_at is None)
