"""Rehearse the shipping of a file: everything is checked as it would be shipped, and nothing is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

from parcelhook.errors import NotFulfillable
from parcelhook.fulfillment.bulk import recognise
from parcelhook.fulfillment.orders import OrderNow, read_orders, unknown_order
from parcelhook.fulfillment.plan import plan_items
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
        taken: dict[str, list[ShipmentItem]] = defaultdict(list)
        # What names its items goes before what takes all that remains, as when they are sent.
        for each in sorted(call, key=lambda each: not each.wish.items):
            _check(store, spool, each, orders.get(each.wish.order_id), taken[each.wish.order_id])
        told(len(call))


def _check(store: Store, spool: Spool, each: Spooled, now: OrderNow | None, taken: list[ShipmentItem]) -> None:
    try:
        taken += _items(store, each, now, taken)
    except NotFulfillable as error:
        spool.fail(each.number, error=error.message, what_to_do=error.what_to_do)
    else:
        spool.mark(each.number, state=VALID)


def _items(
    store: Store, each: Spooled, now: OrderNow | None, taken: Sequence[ShipmentItem]
) -> tuple[ShipmentItem, ...]:
    """Give what a parcel would take of its order; a number that Wix has on it already takes nothing more."""
    if now is None:
        raise unknown_order(each.wish.order_id)
    if now.with_number(each.wish.parcels[0][0]) is not None:
        return ()
    return plan_items(now.order, (*now.shipped, *taken), wanted=each.wish.items, ship_unpaid=store.ship_unpaid)
