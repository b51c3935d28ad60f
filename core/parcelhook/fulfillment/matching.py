"""Tell which fulfillment at Wix is which shipment of ours, and bind the two."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from parcelhook.fulfillment.orders import OrderNow
from parcelhook.fulfillment.store import Outcome, Store
from parcelhook.ledger import moves
from parcelhook.ledger.moves import Move
from parcelhook.ledger.rows import ShipmentRow
from parcelhook.wix.fulfillments import Fulfillment

TRACK: Final = "parcelhook_track"
CLOCK_SKEW: Final = timedelta(minutes=2)
"""How far Wix's clock and ours may be apart when it is told whether a fulfillment was there before the intent."""


def match(store: Store, row: ShipmentRow, now: OrderNow) -> Fulfillment | None:
    """Give the fulfillment that this shipment's own create made, or None where there is none.

    It carries the shipment's number, is bound to no other shipment, and was not there before the shipment was wanted.
    """
    found = now.with_number(row.tracking_number)
    if found is None or is_bound(store, row, found):
        return None
    if found.created_date is not None and found.created_date < row.created_at - CLOCK_SKEW:
        return None
    return found


def number_exists(store: Store, row: ShipmentRow, now: OrderNow) -> Outcome:
    """Decide about a number Wix has already: on this order with the same items, it is this shipment's fulfillment."""
    found = now.with_number(row.tracking_number)
    if found is None:
        error = f"the tracking number is on {_other_order(store, row)} already"
        what_to_do = "Check the number; one number can be on one order only."
    elif is_bound(store, row, found):
        error = "the tracking number is on another shipment of this order already"
        what_to_do = "Nothing is to be done, unless the number was typed wrongly."
    elif row.items and _items_of(found) != {item.line_item_id: item.quantity for item in row.items}:
        error = "the tracking number is on a fulfillment of this order already, with other items or quantities"
        what_to_do = "Delete that fulfillment in the store first, or use another number."
    else:
        bind(store, row, found.id, found, reason="it was at Wix already")
        return Outcome.EXISTING
    store.ledger.shipments.move(moves.failed(row, error=error, what_to_do=what_to_do))
    return Outcome.REFUSED


def bind(
    store: Store, row: ShipmentRow, fulfillment_id: str, fulfillment: Fulfillment | None, *, reason: str = ""
) -> None:
    """Bind a shipment to its fulfillment, and begin to follow its parcels."""
    watch(store, [store.ledger.shipments.move(bound(row, fulfillment_id, fulfillment, reason=reason))])


def bound(row: ShipmentRow, fulfillment_id: str, fulfillment: Fulfillment | None, *, reason: str = "") -> Move:
    """Give the move that binds a shipment to its fulfillment, with the link and status Wix shows."""
    info = fulfillment.tracking_info if fulfillment else None
    return moves.created(
        row,
        fulfillment_id=fulfillment_id,
        wix_status=fulfillment.status if fulfillment else None,
        tracking_url=(info.link or "") if info else "",
        reason=reason,
    )


def watch(store: Store, rows: Sequence[ShipmentRow]) -> None:
    """Begin to follow the parcels of shipments, where their carriers can be asked."""
    tracked = [row for row in rows if TRACK in store.registry.hook_names(row.carrier)]
    if tracked:
        store.ledger.parcels.poll_at([parcel.id for row in tracked for parcel in row.parcels], store.clock())


def _other_order(store: Store, row: ShipmentRow) -> str:
    parcels = store.ledger.parcels.numbered(
        row.store, carrier=row.carrier, number_normalised=row.parcels[0].number_normalised
    )
    others = (other for parcel in parcels for other in store.ledger.parcels.shipments_of(parcel.id))
    has_it = (other for other in others if other.order_id != row.order_id and other.fulfillment_id)
    names = sorted({other.order_number or other.order_id for other in has_it})
    return f"order {', '.join(names)}" if names else "another order of the store"


def is_bound(store: Store, row: ShipmentRow, fulfillment: Fulfillment) -> bool:
    """Tell whether a fulfillment is that of another shipment."""
    bound = store.ledger.shipments.bound_fulfillments(row.store, [row.order_id])[row.order_id]
    return fulfillment.id in bound - {row.fulfillment_id}


def _items_of(fulfillment: Fulfillment) -> dict[str, int]:
    return {item.id: item.quantity or 1 for item in fulfillment.line_items}
