"""Plan shipments by what their orders are at this moment: what may be sent, and with which items and quantities."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from parcelhook.errors import NotFulfillable, ShipmentChanged, WixError
from parcelhook.fulfillment.matching import number_exists
from parcelhook.fulfillment.orders import OrderNow, read_orders, unknown_order
from parcelhook.fulfillment.plan import plan_items, rest_unknown
from parcelhook.fulfillment.refusals import put_back
from parcelhook.fulfillment.store import Outcome, Store
from parcelhook.ledger import moves
from parcelhook.ledger.rows import ShipmentRow
from parcelhook.ledger.states import State
from parcelhook.models import ShipmentItem

RIVAL_WAIT: Final = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Planned:
    """A shipment that may be sent, its line items, and the order it belongs to."""

    row: ShipmentRow
    items: tuple[ShipmentItem, ...]
    now: OrderNow


def plan_all(store: Store, rows: Sequence[ShipmentRow], outcomes: dict[str, Outcome]) -> list[Planned]:
    """Give what may be sent of each shipment; fail, bind or put back the others, which ``outcomes`` receives.

    Several shipments of one order are planned together: what one takes is not there for the next.
    """
    if not rows:
        return []
    tried = {row.order_id for row in rows if row.attempts}
    try:
        orders = read_orders(store.wix, [row.order_id for row in rows], already_tried=tried)
    except WixError as error:
        # Which says nothing about the shipments.
        outcomes |= put_back(store, rows, error)
        return []
    planning = _Planning(store, _sending(store, rows))
    # What names its items goes before what takes all that remains.
    for row in sorted(rows, key=lambda row: not row.items):
        with suppress(ShipmentChanged):
            outcome = planning.add(row, orders.get(row.order_id))
            if outcome is not None:
                outcomes[row.id] = outcome
    return planning.planned


def _sending(store: Store, rows: Sequence[ShipmentRow]) -> dict[str, list[ShipmentRow]]:
    """Give, by order, the shipments on their way that were not seen at Wix yet."""
    on_their_way = store.ledger.shipments.find(
        store=store.id, order_ids={row.order_id for row in rows}, states={State.SENDING}
    )
    by_order: dict[str, list[ShipmentRow]] = defaultdict(list)
    for row in on_their_way:
        by_order[row.order_id].append(row)
    return by_order


class _Planning:
    """What is planned so far for one call."""

    def __init__(self, store: Store, sending: dict[str, list[ShipmentRow]]) -> None:
        self._store = store
        self._sending = sending
        self._by_order: dict[str, list[Planned]] = defaultdict(list)
        self._impossible: set[str] = set()

    @property
    def planned(self) -> list[Planned]:
        return [each for siblings in self._by_order.values() for each in siblings]

    def add(self, row: ShipmentRow, now: OrderNow | None) -> Outcome | None:
        """Plan a shipment, or give why it is not to be sent now."""
        if now is None:
            return self._failed(row, unknown_order(row.order_id))
        siblings = self._by_order[row.order_id]
        if siblings and (row.ambiguous or any(each.row.ambiguous for each in siblings)):
            # Were both refused together, nobody would know which of them was meant.
            return self._later(row, reason="another shipment of the order goes first")
        if now.with_number(row.tracking_number) is not None:
            return number_exists(self._store, row, now)
        rivals = [each for each in self._sending[row.order_id] if now.with_number(each.tracking_number) is None]
        taken = [*(item for each in rivals for item in each.items), *(item for each in siblings for item in each.items)]
        try:
            siblings.append(Planned(row, self._items(row, now, taken), now))
        except NotFulfillable as error:
            if not taken or not self._fits(row, now):
                return self._failed(row, error)
            wait = RIVAL_WAIT if rivals else None
            return self._later(row, reason="what another shipment of the order took is not decided yet", wait=wait)
        return None

    def _items(self, row: ShipmentRow, now: OrderNow, taken: Sequence[ShipmentItem]) -> tuple[ShipmentItem, ...]:
        wanted = {item.line_item_id: item.quantity for item in row.items}
        items = plan_items(now.order, (*now.shipped, *taken), wanted=wanted, ship_unpaid=self._store.ship_unpaid)
        if not wanted and row.source == "file" and row.order_id in self._impossible:
            raise rest_unknown()
        return items

    def _fits(self, row: ShipmentRow, now: OrderNow) -> bool:
        """Tell whether a shipment could go, were it not for what others of its order take."""
        try:
            self._items(row, now, ())
        except NotFulfillable:
            return False
        return True

    def _failed(self, row: ShipmentRow, error: NotFulfillable) -> Outcome:
        self._impossible.add(row.order_id)
        self._store.ledger.shipments.move(moves.failed(row, error=error.message, what_to_do=error.what_to_do))
        return Outcome.NOT_FULFILLABLE

    def _later(self, row: ShipmentRow, *, reason: str, wait: timedelta | None = None) -> Outcome:
        due_at = self._store.clock() + wait if wait else None
        self._store.ledger.shipments.move(moves.ready_again(row, reason=reason, due_at=due_at))
        return Outcome.WAITING
