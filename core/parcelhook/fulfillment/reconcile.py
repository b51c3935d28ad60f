"""Look through a store for what no webhook told: a store reached with an API key gets none at all."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from parcelhook.errors import ParcelhookError
from parcelhook.fulfillment.events import bound_shipments, cancel_order, learn
from parcelhook.fulfillment.orders import OrderNow
from parcelhook.fulfillment.routing import route
from parcelhook.fulfillment.store import Store
from parcelhook.wix.client import BATCH
from parcelhook.wix.orders import WixOrder

OVERLAP: Final = timedelta(minutes=10)
"""How far back a look begins before where the last one ended: Wix's search may lag behind."""


def reconcile(store: Store) -> int:
    """Follow every order that changed since the last look; give how many there were.

    An order that cannot be followed now, because it is being sent for one, holds up no other: the next look begins
    with it.
    """
    known = store.ledger.stores.get(store.id)
    since = (known.poll_cursor or known.set_up_at) - OVERLAP
    began = store.clock()
    changed: list[str] = []
    latest, is_held_up = since + OVERLAP, False
    for order in store.wix.search_orders(
        {"updatedDate": {"$gte": _wix_time(since)}}, sort=(("updatedDate", "ASC"),), limit=BATCH
    ):
        changed.append(order.id)
        try:
            _follow(store, order)
        except ParcelhookError as error:
            is_held_up = True
            store.ledger.notices.add(store.id, kind="reconcile_later", order_id=order.id, reason=error.message)
        if not is_held_up:
            latest = max(latest, order.updated_date or latest)
    _learn(store, changed)
    store.ledger.stores.note_reconciled(store.id, at=began, poll_cursor=latest)
    return len(changed)


def _follow(store: Store, order: WixOrder) -> None:
    if order.status == "CANCELED":
        cancel_order(store, order.id)
    elif order.status == "APPROVED" and order.fulfillment_status == "NOT_FULFILLED":
        route(store, OrderNow(order, ()))


def _learn(store: Store, order_ids: list[str]) -> None:
    """Learn what others did to our fulfillments of these orders, a hundred orders a call."""
    # Read before the calls: what is made during them must not look deleted.
    bound = {id_: ours for id_ in order_ids if (ours := bound_shipments(store, id_))}
    for start in range(0, len(bound), BATCH):
        batch = [*bound][start : start + BATCH]
        listed = store.wix.list_fulfillments_by_ids(batch)
        for order_id in batch:
            if order_id in listed:
                learn(store, bound[order_id], listed[order_id])


def _wix_time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
