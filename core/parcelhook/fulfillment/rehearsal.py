"""Rehearse the shipping of a file: everything is checked as it would be shipped, and nothing is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Final

from parcelhook.errors import NotFulfillable
from parcelhook.fulfillment.bulk import recognise
from parcelhook.fulfillment.orders import OrderNow, read_orders, unknown_order
from parcelhook.fulfillment.plan import plan_items, rest_unknown
from parcelhook.fulfillment.spool import Spool, Spooled
from parcelhook.fulfillment.store import Store
from parcelhook.models import ShipmentItem

VALID: Final = "VALID"
"""What a rehearsal calls a parcel that can be shipped; the ledger has no such state."""


def rehearse(
    store: Store,
    spool: Spool,
    *,
    told: Callable[[int], object] = lambda _: None,
    warn: Callable[[int, str], object] = lambda *_: None,
) -> None:
    """Check every parcel against the orders as Wix has them now; raise WixError where they cannot be read.

    A carrier is asked for no link, for that is done when a parcel is shipped.
    """
    recognise(store, spool, warn=warn)
    told(spool.dealt_with())
    for call in spool.calls():
        orders = read_orders(store.wix, [each.wish.order_id for each in call])
        rehearsed = _Call(store, orders)
        # What names its items goes before what takes all that remains, as when they are sent.
        for each in sorted(call, key=lambda each: not each.wish.items):
            try:
                rehearsed.add(each)
            except NotFulfillable as error:
                spool.fail(each.number, error=error.message, what_to_do=error.what_to_do)
            else:
                spool.mark(each.number, state=VALID)
        told(len(call))


class _Call:
    """What would go in one call, as far as it was looked at."""

    def __init__(self, store: Store, orders: Mapping[str, OrderNow]) -> None:
        self._store = store
        self._orders = orders
        self._taken: dict[str, list[ShipmentItem]] = defaultdict(list)
        self._impossible: set[str] = set()

    def add(self, each: Spooled) -> None:
        """Raise NotFulfillable for a parcel that could not be sent with those before it."""
        order_id = each.wish.order_id
        try:
            items = self._items(each)
        except NotFulfillable:
            self._impossible.add(order_id)
            raise
        if not each.wish.items and order_id in self._impossible:
            raise rest_unknown()
        self._taken[order_id] += items

    def _items(self, each: Spooled) -> tuple[ShipmentItem, ...]:
        """Give what a parcel would take of its order; a number that Wix has on it already takes nothing more."""
        wish, now = each.wish, self._orders.get(each.wish.order_id)
        if now is None:
            raise unknown_order(wish.order_id)
        if now.with_number(wish.parcels[0][0]) is not None:
            return ()
        shipped = (*now.shipped, *self._taken[wish.order_id])
        return plan_items(now.order, shipped, wanted=wish.items, ship_unpaid=self._store.ship_unpaid)
