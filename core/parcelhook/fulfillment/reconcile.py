"""Look through a store for what no webhook told: a store reached with an API key gets none at all."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from parcelhook.fulfillment.events import cancel_order
from parcelhook.fulfillment.orders import OrderNow
from parcelhook.fulfillment.routing import route
from parcelhook.fulfillment.store import Store
from parcelhook.wix.orders import WixOrder

OVERLAP: Final = timedelta(minutes=10)
"""How far back a look begins before where the last one ended: Wix's search may lag behind."""


def reconcile(store: Store) -> int:
    """Follow every order that changed since the last look; give how many there were."""
    known = store.ledger.stores.get(store.id)
    since = (known.poll_cursor or known.set_up_at) - OVERLAP
    began = store.clock()
    changed = 0
    latest = since
    for order in store.wix.search_orders(
        {"updatedDate": {"$gte": _wix_time(since)}}, sort=(("updatedDate", "ASC"),), limit=100
    ):
        changed += 1
        latest = max(latest, order.updated_date or latest)
        _follow(store, order)
    store.ledger.stores.note_reconciled(store.id, at=began, poll_cursor=latest if changed else since + OVERLAP)
    return changed


def _follow(store: Store, order: WixOrder) -> None:
    if order.status == "CANCELED":
        cancel_order(store, order.id)
    elif order.status == "APPROVED" and order.fulfillment_status == "NOT_FULFILLED":
        route(store, OrderNow(order, ()))


def _wix_time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
