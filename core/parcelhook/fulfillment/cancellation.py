"""Undo what was only begun: shipments Wix cannot have yet, their bookings, and all that is left of a canceled order."""

from __future__ import annotations

from typing import Final

from parcelhook.errors import CarrierError, CarrierRefused, ShipmentChanged
from parcelhook.fulfillment.store import Store
from parcelhook.ledger import moves
from parcelhook.ledger.rows import ShipmentRow
from parcelhook.ledger.states import BookingState, State

BEFORE_WIX: Final = frozenset({State.WAITING_NUMBER, State.WAITING_LINK, State.READY, State.FAILED})
AFTER_FULFILLMENT: Final = "the order was canceled after its fulfillment"
"""Why a person is asked about such a shipment."""

BY_HAND: Final = "it was deleted by hand"
NOTHING_TO_SHIP: Final = "nothing is to be shipped"
ORDER_CANCELED: Final = "the order was canceled"
DROPPED: Final = frozenset({BY_HAND, NOTHING_TO_SHIP, ORDER_CANCELED})
"""Why a shipment was canceled whose items are not to be shipped after all, though the order still has them."""

CANCEL: Final = "parcelhook_cancel_booking"


def is_busy(store: Store, row: ShipmentRow) -> bool:
    """Tell whether a fulfillment is being created, or a carrier asked to book and nobody knows yet what it did."""
    if row.state is not State.WAITING_NUMBER:
        return row.state is State.SENDING
    asked = store.ledger.bookings.find(store=store.id, shipment_id=row.id, state=BookingState.BOOKING)
    return row.is_held(store.clock()) or bool(asked)


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


def cancel_order(store: Store, order_id: str) -> str:
    """Drop the shipments of a canceled order that Wix does not have, and ask a person about those it has.

    Raise ShipmentChanged, or what the carrier says of a booking that could not be canceled, to be called again later.
    """
    rows = store.ledger.shipments.find(store=store.id, order_id=order_id)
    told = [_cancel(store, row) for row in sorted(rows, key=lambda row: is_busy(store, row))]
    # After all shipments, and also of those canceled before: a process may have died in between.
    told += [cancel_booking(store, row) for row in rows if _is_before_wix(row) or row.state is State.CANCELED]
    return "; ".join(filter(None, told)) or "nothing of it was to be shipped"


def _cancel(store: Store, row: ShipmentRow) -> str:
    if is_busy(store, row):
        msg = "its shipment is being dealt with at this moment"
        raise ShipmentChanged(msg)
    if _is_before_wix(row):
        store.ledger.shipments.move(moves.canceled(row, reason=ORDER_CANCELED))
        return "its shipment was canceled"
    is_asked = row.state is State.NEEDS_REVIEW and row.error == AFTER_FULFILLMENT
    if row.fulfillment_id is None or row.state is State.DELETED or is_asked or was_kept(store, row, AFTER_FULFILLMENT):
        return ""
    store.ledger.shipments.move(moves.needs_review(row, reason=AFTER_FULFILLMENT, what_to_do=keep_or_delete(row)))
    return "its fulfillment exists already; a person is asked"


def _is_before_wix(row: ShipmentRow) -> bool:
    """Tell whether Wix cannot have a shipment: it was not sent, or was refused."""
    is_unsent = row.state is State.NEEDS_REVIEW and row.sent_at is None and row.fulfillment_id is None
    return row.state in BEFORE_WIX or is_unsent


def was_kept(store: Store, row: ShipmentRow, reason: str) -> bool:
    """Tell whether a person who was asked for this reason let the fulfillment stand."""
    return bool(store.ledger.notices.latest([row], kind="kept", reason=reason))


def keep_or_delete(row: ShipmentRow) -> str:
    """Name both ways out where a parcel is under way that may not be wanted any more."""
    resolve = f"parcelhook review resolve {row.id}"
    return (
        f"Stop the parcel and delete the fulfillment (`{resolve} --delete`), "
        f"or leave it if the parcel is to arrive (`{resolve} --keep`)."
    )
