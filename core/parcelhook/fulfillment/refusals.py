"""What becomes of shipments when a call to Wix fails: sent again, undecided, or failed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from parcelhook.errors import WixError, WixForbidden, WixRateLimited, WixUnauthorized
from parcelhook.fulfillment.store import Outcome, Store
from parcelhook.ledger import moves
from parcelhook.ledger.moves import Move
from parcelhook.ledger.rows import ShipmentRow


def put_back(store: Store, rows: Sequence[ShipmentRow], error: WixError) -> dict[str, Outcome]:
    """Put shipments back that were not sent, for the order they are of could not be read."""
    outcome = put_back_outcome(error)
    moved = store.ledger.shipments.move_all([_put_back(store, row, error) for row in rows])
    return dict.fromkeys((row.id for row in moved), outcome)


def not_created(store: Store, row: ShipmentRow, error: WixError) -> tuple[Move, Outcome]:
    """Decide about a shipment whose create failed: an unclear answer leaves it open, a clear one decides."""
    if error.ambiguous:
        return undecided(store, row, error.message)
    if error.retryable or _is_about_us(error):
        return _put_back(store, row, error), put_back_outcome(error)
    return refused(row, error=error.message, what_to_do=error.what_to_do)


def undecided(store: Store, row: ShipmentRow, error: str) -> tuple[Move, Outcome]:
    """Leave open whether Wix has a fulfillment, until Wix must have settled and can be asked."""
    return moves.unsettled(row, due_at=store.clock() + store.settle, error=error), Outcome.UNDECIDED


def refused(row: ShipmentRow, *, error: str, what_to_do: str = "") -> tuple[Move, Outcome]:
    """Fail a shipment that Wix will never take as it is."""
    hint = what_to_do or "Correct what Wix names and send it again."
    return moves.failed(row, error=error, what_to_do=hint), Outcome.REFUSED


def _is_about_us(error: WixError) -> bool:
    return isinstance(error, WixUnauthorized | WixForbidden)


def _put_back(store: Store, row: ShipmentRow, error: WixError) -> Move:
    due_at = store.clock() + timedelta(seconds=error.retry_after or 30)
    hint = error.what_to_do or "It is sent again by itself."
    return moves.ready_again(row, reason=error.message, what_to_do=hint, due_at=due_at)


def put_back_outcome(error: WixError) -> Outcome:
    """Say what becomes of what a failed call left undone: it waits, for a while or as long as Wix says, or for us."""
    if _is_about_us(error):
        return Outcome.FORBIDDEN
    return Outcome.THROTTLED if isinstance(error, WixRateLimited) else Outcome.WAITING
