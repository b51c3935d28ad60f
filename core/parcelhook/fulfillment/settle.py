"""Decide about creates whose outcome is open: wait until Wix must have settled, list, match, and only then go on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from parcelhook.errors import WixError, WixNotFound
from parcelhook.fulfillment.matching import bind, match
from parcelhook.fulfillment.orders import OrderNow
from parcelhook.fulfillment.store import LEASE_SECONDS, Outcome, Store
from parcelhook.ledger import moves
from parcelhook.ledger.rows import ShipmentRow
from parcelhook.ledger.states import State
from parcelhook.wix.fulfillments import Fulfillment
from parcelhook.wix.orders import WixOrder

MOST: Final = 100
AMBIGUOUS_AT_MOST: Final = 2


def settle(store: Store, shipment_ids: Sequence[str] | None = None) -> dict[str, Outcome]:
    """Decide about up to 100 shipments whose settle time has passed, or those named; give what became of each.

    A shipment that is SENDING without a settle time was left behind by a worker that died: its settle time begins now.
    Found at Wix, a shipment is created. Absent, it is sent again, once; the second time a person is asked.
    """
    claimed = store.ledger.shipments.claim(
        store.id,
        states={State.SENDING},
        owner=store.owner,
        lease_seconds=LEASE_SECONDS,
        limit=MOST,
        ids=shipment_ids,
    )
    left_behind = [row for row in claimed if row.due_at is None]
    due_at = store.clock() + store.settle
    taken_over = [moves.unsettled(row, due_at=due_at, error="the worker stopped while sending") for row in left_behind]
    store.ledger.shipments.move_all(taken_over)
    outcomes = {row.id: Outcome.UNDECIDED for row in left_behind}
    due = [row for row in claimed if row.due_at is not None]
    with store.holding(due):
        return outcomes | _decide(store, due)


def _decide(store: Store, rows: Sequence[ShipmentRow]) -> dict[str, Outcome]:
    if not rows:
        return {}
    try:
        listed = _list(store, list(dict.fromkeys(row.order_id for row in rows)))
    except WixError as error:
        due_at = store.clock() + timedelta(seconds=error.retry_after or 30)
        store.ledger.shipments.move_all([moves.settle_later(row, due_at=due_at, error=error.message) for row in rows])
        return {row.id: Outcome.UNDECIDED for row in rows}
    return {row.id: _decide_one(store, row, listed.get(row.order_id, ())) for row in rows}


def _list(store: Store, order_ids: list[str]) -> dict[str, tuple[Fulfillment, ...]]:
    if len(order_ids) == 1:
        try:
            return {order_ids[0]: store.wix.list_fulfillments(order_ids[0]).fulfillments}
        except WixNotFound:
            return {}
    return {id_: order.fulfillments for id_, order in store.wix.list_fulfillments_by_ids(order_ids).items()}


def _decide_one(store: Store, row: ShipmentRow, fulfillments: Sequence[Fulfillment]) -> Outcome:
    found = match(store, row, OrderNow(WixOrder(id=row.order_id), tuple(fulfillments)))
    if found is not None:
        bind(store, row, found.id, found, reason="found at Wix after an unclear answer")
        return Outcome.CREATED
    if row.ambiguous >= AMBIGUOUS_AT_MOST:
        reason = "Wix's answer was unclear twice, and it does not show the fulfillment"
        resolve = f"parcelhook review resolve {row.id}"
        what_to_do = (
            f"Look at the order in the store. If the fulfillment is there: `{resolve} --keep`, or --delete; "
            f"if it is not: `{resolve} --again`, or --drop. Each asks Wix first."
        )
        store.ledger.shipments.move(moves.needs_review(row, reason=reason, what_to_do=what_to_do))
        return Outcome.REVIEW
    store.ledger.shipments.move(moves.ready_again(row, reason="Wix does not have it; it is sent again"))
    return Outcome.WAITING
