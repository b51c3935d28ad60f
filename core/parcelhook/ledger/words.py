"""Words for what the ledger keeps as codes: calls to Wix, events, bookings, and who asked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from parcelhook.ledger.rows import NewShipment, ShipmentRow
from parcelhook.ledger.states import BookingState
from parcelhook.models import Scan

OPERATIONS: Final[Mapping[str, str]] = {
    "create": "create the fulfillment",
    "bulk-create": "create fulfillments, this order's among others",
    "update": "change the fulfillment",
    "delete": "delete the fulfillment",
    "list": "list the order's fulfillments",
    "list-by-ids": "list the fulfillments of this order and others",
    "get-order": "read the order",
}
"""What is asked of Wix; an operation without words is told by its name."""

OUTCOMES: Final[Mapping[str, str]] = {
    "WixUnauthorized": "the credentials were refused",
    "WixForbidden": "the app or key lacks a permission",
    "WixNotFound": "there is no such order or fulfillment",
    "WixInvalidRequest": "the request was refused as invalid",
    "WixConflict": "something in the store is in the way",
    "TrackingNumberExists": "the tracking number is on a fulfillment already",
    "WixRateLimited": "too many calls; nothing was done",
    "WixUnreachable": "no connection could be opened; nothing was sent",
    "WixNoAnswer": "the answer never came",
    "WixUnavailable": "a fault at Wix",
    "WixUnreadable": "an answer that cannot be read",
}
"""What a call came to, by the error it ended with."""

SOURCES: Final[Mapping[str, str]] = {
    "cli": "on the command line",
    "file": "by a file",
    "api": "by the API",
    "webhook": "by the approved order",
}
"""Who asked for a shipment."""

LINKS: Final[Mapping[str, str]] = {
    "given": "the link was given with the shipment",
    "carrier": "the link is the carrier's own",
    "wix": "Wix builds the link",
}
"""Where a shipment's link comes from."""

BOOKINGS: Final[Mapping[BookingState, str]] = {
    BookingState.BOOKING: "is asked, and has not answered yet",
    BookingState.BOOKED: "booked it",
    BookingState.FAILED: "booked nothing",
    BookingState.NEEDS_REVIEW: "may have booked it",
    BookingState.CANCELED: "has it no longer: the booking was canceled",
}
"""How a booking stands at its carrier."""

_WRITES: Final = frozenset({"create", "bulk-create", "update", "delete"})
_MAY_BE_DONE: Final = frozenset({"WixNoAnswer", "WixUnavailable", "WixUnreadable"})


def answered(operation: str, *, ended: bool, status: int | None, outcome: str) -> str:
    """Say what a call to Wix came to; one that never ended is told plainly."""
    if not ended:
        return "the answer never came: the call is under way, or its process died"
    said = f"{status or ''} {OUTCOMES.get(outcome, outcome)}".strip()
    is_open = outcome in _MAY_BE_DONE and operation in _WRITES
    return f"{said}; whether it was done was not known" if is_open else said


def waiting(attempts: int, due_at: datetime | None, reason: str) -> str:
    """Say how far an event is that is not finished; ``reason`` is why it was put off."""
    if not reason:
        return "it is being dealt with" if due_at else "it is still to be dealt with"
    tried = f"tried {attempts} times" if attempts > 1 else "tried once"
    again = f"; tried again at {clock(due_at)}" if due_at else ""
    return f"put off, {tried}: {reason}{again}"


def wanted(intent: NewShipment | ShipmentRow) -> tuple[str, str]:
    """Say what is asked for, and by whom."""
    number = intent.parcels[0].number if intent.parcels else ""
    parts = [intent.carrier or "no carrier yet", f"number {number}" if number else "no number yet"]
    parts += [f"{item.quantity} of {item.line_item_id}" for item in intent.items] or ["all that remains of the order"]
    return ", ".join(parts), f"asked for {SOURCES.get(intent.source, intent.source)}, under the key {intent.intent_key}"


def meant(scan: Scan) -> str:
    """Say which status a scan gave."""
    if scan.informational:
        return "says nothing about the status"
    if scan.status == "unknown":
        return "no status is known for this code"
    return str(scan.status.value).replace("_", " ") + (f" ({scan.reason.value})" if scan.reason else "")


def clock(moment: datetime) -> str:
    """Write a moment in UTC, to the second."""
    return f"{moment:%Y-%m-%d %H:%M:%S}"
