"""Change a fulfillment that Wix has: what is meant is written down, and the shipment held, before the call leaves.

What Wix answers may be lost, or this process may die. Each of these calls may be made again and comes to the same, so
the same command once more finishes what was begun.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final, TypeVar

from parcelhook.errors import ShipmentChanged, Undecided, WixConflict, WixError, WixInvalidRequest, WixNotFound
from parcelhook.fulfillment.cancellation import is_busy
from parcelhook.fulfillment.matching import bind, match
from parcelhook.fulfillment.orders import OrderNow
from parcelhook.fulfillment.store import LEASE_SECONDS, Store
from parcelhook.ledger import moves
from parcelhook.ledger.moves import Move
from parcelhook.ledger.rows import ShipmentRow
from parcelhook.ledger.states import State
from parcelhook.wix.fulfillments import Fulfillment
from parcelhook.wix.orders import WixOrder

ResultT = TypeVar("ResultT")

BEGUN: Final = "begun and not finished"
"""How the error of a shipment starts while Wix's answer about it is not known."""


def check_decided(store: Store, row: ShipmentRow) -> None:
    """Raise Undecided where nobody knows yet what Wix, or a carrier, has of a shipment, or another process is at it."""
    if row.state is State.SENDING:
        when = f"after {row.due_at:%H:%M:%S} UTC" if row.due_at else "in a minute"
        msg = f"it is not decided yet whether Wix has shipment {row.id}"
        hint = f"Send it again as before, {when}, or let a running service: Wix is asked. Then run this command again."
        raise Undecided(msg, what_to_do=hint)
    is_held = row.is_held(store.clock()) and row.claimed_by != store.owner
    if is_held or is_busy(store, row):
        raise _busy(row)


def undertake(
    store: Store, row: ShipmentRow, call: Callable[[], ResultT], *, kind: str, detail: str, command: str
) -> tuple[ShipmentRow, ResultT]:
    """Make a call about a shipment's fulfillment; give the answer, and the shipment, which is held until it is moved.

    ``command`` finishes it where it is interrupted. Raise Undecided where Wix's answer leaves open whether it happened,
    or the WixError, with the shipment as it was before.
    """
    try:
        held = store.ledger.shipments.move(_meant(store, row, kind=kind, detail=detail, command=command))
    except ShipmentChanged as error:
        raise _busy(row) from error
    with store.holding([held]):
        try:
            return held, call()
        except WixError as error:
            if error.ambiguous:
                store.ledger.shipments.release(store.owner, [row.id])
                msg = f"Wix's answer leaves open whether it happened: {error.message}"
                raise Undecided(msg, what_to_do=f"Run the same command again: {command}") from error
            as_before = moves.noted(row, kind=f"not_{kind}", detail=detail, reason=error.message)
            store.ledger.shipments.move_all([replace(as_before, row=held)])
            raise


def _busy(row: ShipmentRow) -> Undecided:
    msg = f"shipment {row.id} is being dealt with at this moment"
    return Undecided(msg, what_to_do="Run the same command again in a moment.")


def _meant(store: Store, row: ShipmentRow, *, kind: str, detail: str, command: str) -> Move:
    changes: dict[str, object] = {
        "claimed_by": store.owner,
        "claimed_until": store.clock() + timedelta(seconds=LEASE_SECONDS),
    }
    if row.state is not State.NEEDS_REVIEW:
        # There, the question a person was asked goes before what is tried about it.
        changes |= {"error": f"{BEGUN}: {kind} {detail}".rstrip(), "what_to_do": command}
    return replace(moves.noted(row, kind=kind, detail=detail, changes=changes), keeps_claim=True)


def note(store: Store, row: ShipmentRow, make: Callable[[ShipmentRow], Move]) -> ShipmentRow:
    """Note what Wix did, also where another process moved the shipment meanwhile: it happened all the same."""
    moved = store.ledger.shipments.move_all([make(row)])
    return moved[0] if moved else store.ledger.shipments.move(make(store.ledger.shipments.get(row.id)))


def is_gone(store: Store, row: ShipmentRow, error: WixError) -> bool:
    """Find out whether Wix refused because it does not have the fulfillment any more."""
    if not isinstance(error, WixInvalidRequest | WixConflict):
        return isinstance(error, WixNotFound)
    return all(each.id != row.fulfillment_id for each in listed(store, row.order_id))


def listed(store: Store, order_id: str) -> tuple[Fulfillment, ...]:
    """Give the fulfillments of an order as Wix has them now; an order that is gone has none."""
    try:
        return store.wix.list_fulfillments(order_id).fulfillments
    except WixNotFound:
        return ()


def found_after_all(store: Store, row: ShipmentRow) -> ShipmentRow:
    """Give a shipment bound to the fulfillment that its create made unseen, where it was sent and Wix has one."""
    if row.fulfillment_id is not None or row.sent_at is None or not row.parcels:
        return row
    found = match(store, row, OrderNow(WixOrder(id=row.order_id), listed(store, row.order_id)))
    if found is None:
        return row
    reason = "found at Wix after all"
    if row.state not in {State.READY, State.NEEDS_REVIEW}:
        row = store.ledger.shipments.move(moves.needs_review(row, reason=reason))
    bind(store, row, found.id, found, reason=reason)
    return store.ledger.shipments.get(row.id)
