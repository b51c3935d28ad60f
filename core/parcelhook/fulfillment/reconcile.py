"""Look through a store for what no webhook told: a store reached with an API key gets none at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from parcelhook.errors import ParcelhookError, ShipmentChanged
from parcelhook.fulfillment.echoes import bound_shipments, learn, may_lag
from parcelhook.fulfillment.orders import OrderNow
from parcelhook.fulfillment.store import Store
from parcelhook.fulfillment.upkeep import follow_order, is_older
from parcelhook.ledger.rows import ShipmentRow
from parcelhook.wix.client import BATCH
from parcelhook.wix.fulfillments import OrderFulfillments
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
    look = _Look(store, began=store.clock(), latest=since + OVERLAP)
    orders = store.wix.search_orders(
        {"updatedDate": {"$gte": _wix_time(since)}}, sort=(("updatedDate", "ASC"),), limit=BATCH
    )
    while batch := list(islice(orders, BATCH)):
        look.follow(batch)
    store.ledger.stores.note_reconciled(store.id, at=look.began, poll_cursor=look.latest)
    return look.seen


@dataclass
class _Look:
    """One look through a store: how many orders it has seen, and where the next one begins."""

    store: Store
    began: datetime
    latest: datetime
    seen: int = 0
    is_held_up: bool = False

    def follow(self, orders: Sequence[WixOrder]) -> None:
        """Follow a hundred orders, whose fulfillments are listed in one call."""
        # Read before the call: what is made during it must not look deleted.
        bound = {order.id: bound_shipments(self.store, order.id) for order in orders}
        told = self.store.ledger.inbox.told(self.store.id, bound)
        wanted = [order.id for order in orders if bound[order.id] or _may_matter(order)]
        listed = self.store.wix.list_fulfillments_by_ids(wanted) if wanted else {}
        for order in orders:
            self.seen += 1
            try:
                present = listed.get(order.id)
                if present is not None:
                    self._learn(bound[order.id], present)
                if not is_older(order, told[order.id]):
                    # An older one is what Wix's search still shows, and a webhook has told better.
                    now = OrderNow(order, present.fulfillments if present else ())
                    follow_order(self.store, now, told=told[order.id])
            except ParcelhookError as error:
                self.is_held_up = True
                reason = error.message
                self.store.ledger.notices.add(self.store.id, kind="reconcile_later", order_id=order.id, reason=reason)
            if not self.is_held_up:
                self.latest = max(self.latest, order.updated_date or self.latest)

    def _learn(self, ours: Sequence[ShipmentRow], present: OrderFulfillments) -> None:
        """Learn what others did to our fulfillments; what was just made may not be shown yet, and comes again."""
        at_wix = {fulfillment.id for fulfillment in present.fulfillments}
        late = [row for row in ours if row.fulfillment_id not in at_wix and may_lag(self.store, row)]
        learn(self.store, [row for row in ours if row not in late], present)
        if late:
            msg = f"Wix may not show fulfillment {late[0].fulfillment_id} yet"
            raise ShipmentChanged(msg)


def _may_matter(order: WixOrder) -> bool:
    """Tell whether an order's fulfillments say what is left of it."""
    return order.status == "APPROVED" and order.fulfillment_status != "NOT_FULFILLED"


def _wix_time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
