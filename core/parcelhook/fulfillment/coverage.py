"""What an order's shipments cover of it: which of them must change to follow it, and what none covers. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from parcelhook.fulfillment.orders import OrderNow
from parcelhook.fulfillment.plan import remaining_quantities
from parcelhook.ledger.rows import ShipmentRow
from parcelhook.ledger.states import State
from parcelhook.models import ShipmentItem, Status
from parcelhook.numbers import normalise
from parcelhook.wix.orders import WixOrder

TO_BE_SENT: Final = frozenset({State.WAITING_LINK, State.READY, State.NEEDS_REVIEW})
"""The states of a shipment that may be sent, or may be at Wix, whatever becomes of its order."""

BEFORE_SENDING: Final = frozenset({State.WAITING_NUMBER, State.WAITING_LINK, State.READY})


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What is to be done so that an order's shipments follow it.

    ``waiting`` gives the items that shipments without a number are to have, by shipment id: none where nothing is left
    of them. ``unfit`` are shipments that are booked or being sent with more than is left, ``needless`` those of which
    nothing is left because others shipped it. ``excess`` are created ones with more than the order holds by now.
    ``uncovered`` is what no shipment covers, by line item id. ``is_refunded`` tells that something was refunded after
    it was shipped, which is no reason to change anything.
    """

    waiting: Mapping[str, tuple[ShipmentItem, ...]] = field(default_factory=dict)
    unfit: tuple[ShipmentRow, ...] = ()
    needless: tuple[ShipmentRow, ...] = ()
    excess: tuple[ShipmentRow, ...] = ()
    uncovered: Mapping[str, int] = field(default_factory=dict)
    is_refunded: bool = False

    @property
    def fits(self) -> bool:
        """Tell that no shipment is to be changed."""
        return not (self.waiting or self.unfit or self.needless or self.excess)


def cover(
    now: OrderNow,
    rows: Sequence[ShipmentRow],
    *,
    fixed: Collection[str] = (),
    dropped: Collection[str] = (),
    kept: Collection[str] = (),
) -> Coverage:
    """Compare an order and its fulfillments with the shipments known of it.

    ``fixed`` are the ids of shipments that cannot be changed: a carrier has booked them, or a process is at them.
    ``dropped`` are those a person dropped: what they held is not asked for again. ``kept`` are those a person let stand
    though the order does not hold as much.
    """
    if not now.order.line_items:
        # No order is without any: it was left out of what Wix sent.
        return Coverage()
    left = _Left(now)
    unlisted = [row for row in rows if not _is_listed(now, row)]
    for row in unlisted:
        if row.items and (_is_gone(row) or row.id in dropped):
            left.take(row)
    sending = [row for row in unlisted if row.state is State.SENDING]
    booked = [row for row in unlisted if row.state in BEFORE_SENDING and row.id in fixed]
    misfits = [*_misfits(left, sending), *_misfits(left, booked)]
    for row in unlisted:
        if row.state in TO_BE_SENT and row.id not in fixed and row.fulfillment_id is None:
            left.take(row)
    waiting = [row for row in rows if row.state is State.WAITING_NUMBER and row.id not in fixed]
    shares = _shares(left, waiting)
    return Coverage(
        waiting={row.id: shares[row.id] for row in waiting if shares[row.id] != row.items or not row.items},
        unfit=tuple(row for row, is_needless in misfits if not is_needless or row.state is State.SENDING),
        needless=tuple(row for row, is_needless in misfits if is_needless and row.state is not State.SENDING),
        excess=tuple(row for row in _excess(now, rows) if row.id not in kept),
        uncovered={id_: count for id_, count in left.quantities.items() if count},
        is_refunded=_is_refunded(now),
    )


class _Left:
    """What is left of an order while one shipment after the other takes its share."""

    def __init__(self, now: OrderNow) -> None:
        self.held = held(now.order)
        left = remaining_quantities(now.order, now.shipped)
        # Wix also calls an order fulfilled that a merchant marked so by hand, without any fulfillment.
        is_done = now.order.fulfillment_status == "FULFILLED" or not self.held
        self.quantities = dict.fromkeys(left, 0) if is_done else left

    def take(self, row: ShipmentRow) -> bool:
        """Take a shipment's items, or all that is left where it names none; tell whether there were as many."""
        wanted = _quantities(row)
        fits = all(self.quantities.get(id_, 0) >= count for id_, count in wanted.items())
        for id_, count in (wanted or dict(self.quantities)).items():
            self.quantities[id_] = max(0, self.quantities.get(id_, 0) - count)
        return fits

    def was_shipped_otherwise(self, row: ShipmentRow) -> bool:
        """Tell whether nothing is left of a shipment's items though the order holds them all."""
        wanted = _quantities(row)
        is_held = all(self.held.get(id_, 0) >= count for id_, count in wanted.items())
        return is_held and not any(self.quantities.get(id_) for id_ in wanted)


def _misfits(left: _Left, rows: Sequence[ShipmentRow]) -> Iterator[tuple[ShipmentRow, bool]]:
    """Give shipments that hold more than is left, each with whether all of it was shipped otherwise."""
    for row in rows:
        is_needless = left.was_shipped_otherwise(row)
        if not left.take(row):
            yield row, is_needless


def _is_gone(row: ShipmentRow) -> bool:
    """Tell whether a shipment took its share: at Wix, whose list may be older, or refused, and a person's to mend."""
    is_at_wix = row.state in {State.CREATED, State.NEEDS_REVIEW} and row.fulfillment_id is not None
    return is_at_wix or (row.state is State.FAILED and not row.parcels)


def _is_listed(now: OrderNow, row: ShipmentRow) -> bool:
    """Tell whether a shipment's fulfillment is among those at Wix, by its id or, before it is known, its number."""
    if row.fulfillment_id is not None:
        return any(each.id == row.fulfillment_id for each in now.fulfillments)
    numbers = {normalise(each.tracking_number or "") for each in now.fulfillments}
    return any(parcel.number_normalised in numbers for parcel in row.parcels)


def _shares(left: _Left, waiting: Sequence[ShipmentRow]) -> dict[str, tuple[ShipmentItem, ...]]:
    """Give what each waiting shipment gets: what it had, as far as it is left, and what was added of the same items."""
    shares: dict[str, Counter[str]] = {}
    for row in waiting:
        had = _quantities(row) or dict(left.quantities)
        shares[row.id] = Counter({id_: min(count, left.quantities.get(id_, 0)) for id_, count in had.items()})
        for id_, count in shares[row.id].items():
            left.quantities[id_] = left.quantities.get(id_, 0) - count
    for row in waiting:
        for item in row.items:
            shares[row.id][item.line_item_id] += left.quantities.get(item.line_item_id, 0)
            left.quantities[item.line_item_id] = 0
    return {id_: _items(share) for id_, share in shares.items()}


def _excess(now: OrderNow, rows: Sequence[ShipmentRow]) -> Iterator[ShipmentRow]:
    """Give created shipments, not delivered yet, with a line item of which more is shipped than the order has."""
    ordered = {line.id: line.quantity for line in now.order.line_items}
    too_many = {id_ for id_, count in _shipped(now).items() if count > ordered.get(id_, 0)}
    for row in rows:
        is_on_its_way = row.state is State.CREATED and row.status is not Status.DELIVERED
        if is_on_its_way and _is_listed(now, row) and any(item.line_item_id in too_many for item in row.items):
            yield row


def _is_refunded(now: OrderNow) -> bool:
    shipped = _shipped(now)
    return any(
        line.refund_quantity and shipped[line.id] > line.quantity - line.refund_quantity
        for line in now.order.line_items
    )


def _shipped(now: OrderNow) -> Counter[str]:
    shipped: Counter[str] = Counter()
    for item in now.shipped:
        shipped[item.line_item_id] += item.quantity
    return shipped


def _quantities(row: ShipmentRow) -> dict[str, int]:
    return {item.line_item_id: item.quantity for item in row.items}


def _items(share: Mapping[str, int]) -> tuple[ShipmentItem, ...]:
    return tuple(ShipmentItem(line_item_id=id_, quantity=count) for id_, count in share.items() if count > 0)


def holds(order: WixOrder, items: Sequence[ShipmentItem]) -> bool:
    """Tell whether an order still holds some items, shipped or not."""
    its = held(order)
    return all(its.get(item.line_item_id, 0) >= item.quantity for item in items)


def held(order: WixOrder) -> dict[str, int]:
    """Give what this store ships of an order, whether it was shipped or not; nothing of one that is refunded whole."""
    return {} if order.payment_status == "FULLY_REFUNDED" else remaining_quantities(order, ())
