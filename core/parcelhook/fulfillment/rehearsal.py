"""Rehearse the shipping of a file: everything is checked as it would be shipped, and nothing is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from parcelhook.errors import KeyReused, NotFulfillable
from parcelhook.fulfillment.bulk import recognise
from parcelhook.fulfillment.intake import new_shipment
from parcelhook.fulfillment.orders import OrderNow, read_orders, unknown_order
from parcelhook.fulfillment.plan import plan_items, rest_unknown
from parcelhook.fulfillment.spool import Spool, Spooled
from parcelhook.fulfillment.store import Store
from parcelhook.ledger.shipments import key_reused
from parcelhook.ledger.states import State
from parcelhook.models import ShipmentItem

VALID: Final = "VALID"
"""What a rehearsal calls a parcel that can be shipped; the ledger has no such state."""

ASKED_ANEW: Final = frozenset({State.FAILED, State.NEEDS_REVIEW, State.DELETED})
"""What may be asked for otherwise under the same key."""


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
        rehearsed = _Call(store, orders, _bodies(store, call))
        # What names its items goes before what takes all that remains, as when they are sent.
        for each in sorted(call, key=lambda each: not each.wish.items):
            try:
                rehearsed.add(each)
            except (KeyReused, NotFulfillable) as error:
                spool.fail(each.number, error=error.message, what_to_do=error.what_to_do)
            else:
                spool.mark(each.number, state=VALID)
        told(len(call))


def _bodies(store: Store, call: Sequence[Spooled]) -> dict[tuple[str, str], str]:
    """Give, by order and key, what was asked for already and can only be asked for again."""
    order_ids = {each.wish.order_id for each in call}
    rows = store.ledger.shipments.find(store=store.id, order_ids=order_ids, limit=100_000)
    return {(row.order_id, row.intent_key): row.body_hash for row in rows if row.state not in ASKED_ANEW}


class _Call:
    """What would go in one call, as far as it was looked at."""

    def __init__(self, store: Store, orders: Mapping[str, OrderNow], bodies: Mapping[tuple[str, str], str]) -> None:
        self._store = store
        self._orders = orders
        self._bodies = bodies
        self._taken: dict[str, list[ShipmentItem]] = defaultdict(list)
        self._impossible: set[str] = set()

    def add(self, each: Spooled) -> None:
        """Raise KeyReused or NotFulfillable for a parcel that could not be sent with those before it."""
        new = new_shipment(self._store, each.wish)
        if self._bodies.get((new.order_id, new.intent_key), new.body_hash) != new.body_hash:
            raise key_reused(new)
        try:
            items = self._items(each)
        except NotFulfillable:
            self._impossible.add(new.order_id)
            raise
        if not each.wish.items and new.order_id in self._impossible:
            raise rest_unknown()
        self._taken[new.order_id] += items

    def _items(self, each: Spooled) -> tuple[ShipmentItem, ...]:
        """Give what a parcel would take of its order; a number that Wix has on it already takes nothing more."""
        wish, now = each.wish, self._orders.get(each.wish.order_id)
        if now is None:
            raise unknown_order(wish.order_id)
        if now.with_number(wish.parcels[0][0]) is not None:
            return ()
        shipped = (*now.shipped, *self._taken[wish.order_id])
        return plan_items(now.order, shipped, wanted=wish.items, ship_unpaid=self._store.ship_unpaid)
