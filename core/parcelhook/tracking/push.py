"""Tell Wix how far fulfillments have come: the status field alone, forward only, and only on a change."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from parcelhook.errors import WixConflict, WixError, WixInvalidRequest, WixNotFound
from parcelhook.fulfillment.store import LEASE_SECONDS, Store
from parcelhook.ledger import moves
from parcelhook.ledger.moves import Move
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
        store.ledger.shipments.move_all([_dropped(row, wanted)])
        return False
    try:
        store.wix.update_status(row.order_id, row.fulfillment_id, wanted)
    except WixError as error:
        if _is_gone(store, row, error):
            store.ledger.shipments.move_all([moves.deleted(row, reason="Wix does not have the fulfillment any more")])
            return False
        due_at = store.clock() + timedelta(seconds=error.retry_after or min(3600, 15 * 2**row.attempts))
        store.ledger.shipments.move_all([moves.push_later(row, due_at=due_at, error=error.message)])
        return False
    if not store.ledger.shipments.move_all([moves.pushed(row, wix_status=wanted)]):
        # Another process moved the shipment meanwhile, to be reviewed say; Wix has the status all the same.
        store.ledger.shipments.note_wix_status(row.id, wix_status=wanted)
        _tell(store, row, kind="pushed", status=wanted, reason="the shipment was changed meanwhile")
    return True


def _is_gone(store: Store, row: ShipmentRow, error: WixError) -> bool:
    """Find out why Wix refused: the fulfillment was deleted, or it is further on than we knew, which is noted."""
    if not isinstance(error, WixInvalidRequest | WixConflict):
        return isinstance(error, WixNotFound)
    try:
        listed = store.wix.list_fulfillments(row.order_id).fulfillments
    except WixError:
        return False
    found = next((each for each in listed if each.id == row.fulfillment_id), None)
    if found is not None and found.status != row.wix_status:
        store.ledger.shipments.note_wix_status(row.id, wix_status=found.status)
        _tell(store, row, kind="status_seen", status=found.status or "none", reason="someone else set it at Wix")
    return found is None


def _tell(store: Store, row: ShipmentRow, *, kind: str, status: str, reason: str) -> None:
    """Keep the reason of a change that no move of the shipment tells."""
    store.ledger.notices.add(
        store.id, kind=kind, order_id=row.order_id, shipment_id=row.id, detail=status, reason=reason
    )


def _dropped(row: ShipmentRow, wanted: str) -> Move:
    """Want a status no longer that is no step forward from what Wix has, so that it is not tried for ever."""
    move = moves.pushed(row, wix_status=wanted)
    reason = f"Wix has {row.wix_status} already" if row.wix_status else "it has no fulfillment"
    changes = {**move.changes, "wix_status": row.wix_status, "wanted_wix_status": None}
    return replace(move, kind="push_dropped", reason=reason, changes=changes, stamps=())
