"""Tell Wix how far fulfillments have come: the status field alone, forward only, and only on a change."""

from __future__ import annotations

from datetime import timedelta

from parcelhook.errors import WixError, WixNotFound
from parcelhook.fulfillment.store import LEASE_SECONDS, Store
from parcelhook.ledger import moves
from parcelhook.ledger.rows import ShipmentRow
from parcelhook.statuses import forward


def push(store: Store) -> int:
    """Tell Wix up to 100 statuses that are wanted, ``Fulfilled`` first; give how many it took."""
    rows = store.ledger.shipments.claim_pushes(store.id, owner=store.owner, lease_seconds=LEASE_SECONDS)
    with store.holding(rows):
        return sum(_push(store, row) for row in rows)


def _push(store: Store, row: ShipmentRow) -> bool:
    wanted = row.wanted_wix_status or ""
    if row.fulfillment_id is None or not forward(row.wix_status, wanted):
        store.ledger.shipments.move(moves.pushed(row, wix_status=row.wix_status or wanted))
        return False
    try:
        store.wix.update_status(row.order_id, row.fulfillment_id, wanted)
    except WixNotFound:
        store.ledger.shipments.move(moves.deleted(row, reason="Wix does not have the fulfillment any more"))
        return False
    except WixError as error:
        due_at = store.clock() + timedelta(seconds=error.retry_after or min(3600, 15 * 2**row.attempts))
        store.ledger.shipments.move(moves.push_later(row, due_at=due_at, error=error.message))
        return False
    store.ledger.shipments.move(moves.pushed(row, wix_status=wanted))
    return True
