"""What was asked for, told from the shipment that came of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace

from parcelhook.errors import ParcelhookError
from parcelhook.fulfillment.intake import Wish, new_shipment
from parcelhook.fulfillment.store import Store
from parcelhook.ledger.rows import ShipmentRow


def is_keyed(row: ShipmentRow) -> bool:
    """Tell whether a shipment goes by a key of its own, the caller's or a booking's, and not by its number."""
    return not row.parcels or row.intent_key != row.parcels[0].number_normalised


def wish_of(store: Store, row: ShipmentRow) -> Wish:
    """Give the wish that a shipment came of; the items that were named for it, only its hash still tells."""
    wish = Wish(
        order_id=row.order_id,
        carrier=row.carrier,
        parcels=tuple((parcel.number, parcel.tracking_url or None) for parcel in row.parcels),
        key=row.intent_key if is_keyed(row) else None,
        source=row.source,
    )
    named: dict[str, int | None] = {item.line_item_id: item.quantity for item in row.items}
    none_named: Mapping[str, int | None] = {}
    readings = (replace(wish, items=items) for items in (none_named, named, dict.fromkeys(named)))
    try:
        return next((each for each in readings if new_shipment(store, each).body_hash == row.body_hash), wish)
    except ParcelhookError:
        # The carrier is served no more, say, so that the same would not be taken in again.
        return wish


def command_for(row: ShipmentRow) -> str:
    """Give the command that ships the shipment's order anew."""
    number = quoted(row.tracking_number) if row.parcels else "NUMBER"
    return f"parcelhook fulfill {row.order_id} --carrier {row.carrier or 'CARRIER'} --number {number}"


def quoted(text: str) -> str:
    """Give a text as a shell takes it for one word."""
    return shlex.quote(text)
