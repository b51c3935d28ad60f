"""Undo what was only begun: which shipments Wix cannot have yet, and the bookings of those that are dropped."""

from __future__ import annotations

from typing import Final

from parcelhook.errors import CarrierError, CarrierRefused
from parcelhook.fulfillment.store import Store
from parcelhook.ledger.rows import ShipmentRow
from parcelhook.ledger.states import BookingState, State

BEFORE_WIX: Final = frozenset({State.WAITING_NUMBER, State.WAITING_LINK, State.READY, State.FAILED})
AFTER_FULFILLMENT: Final = "the order was canceled after its fulfillment"
"""Why a person is asked about such a shipment."""

CANCEL: Final = "parcelhook_cancel_booking"


def is_busy(store: Store, row: ShipmentRow) -> bool:
    """Tell whether a fulfillment is being created, or a carrier asked to book and nobody knows yet what it did."""
    if row.state is not State.WAITING_NUMBER:
        return row.state is State.SENDING
    is_held = row.claimed_until is not None and row.claimed_until >= store.clock()
    return is_held or bool(store.ledger.bookings.find(store=store.id, shipment_id=row.id, state=BookingState.BOOKING))


def cancel_booking(store: Store, row: ShipmentRow) -> str:
    """Cancel what a carrier has booked for a shipment, and give in words what became of it; "" without a booking.

    Where the carrier refuses, a person is asked. Raise what it says where asking again may help.
    """
    booked = store.ledger.bookings.find(store=store.id, shipment_id=row.id, state=BookingState.BOOKED)
    kept = booked[0].booking if booked else None
    if kept is None:
        return ""
    # The shipment may have gone to another carrier since.
    carrier = booked[0].carrier
    try:
        if CANCEL not in store.registry.hook_names(carrier):
            msg = f"{carrier} takes no cancellation of its booking from here"
            raise CarrierRefused(msg, carrier=carrier)
        store.registry.cancel_booking(carrier, kept)
    except CarrierError as error:
        if error.retryable:
            raise
        hint = error.what_to_do or f"Cancel it with {carrier} by hand, or stop the parcel."
        store.ledger.bookings.needs_review(store.id, key=kept.key, error=error.message, what_to_do=hint)
        return f"its booking stands: {error.message}"
    store.ledger.bookings.cancel(store.id, key=kept.key)
    return f"the booking with {carrier} was canceled"
