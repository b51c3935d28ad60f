"""Keep an order's shipments in line with the order: what is new is routed, what waits follows, the rest is asked about.

``judge`` tells from what webhooks told, without a call, whether anything is to be done at all; only then is the order
read, and followed as it is at that moment.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

from parcelhook.errors import NotFulfillable, ShipmentChanged
from parcelhook.fulfillment.cancellation import (
    DROPPED,
    cancel_booking,
    cancel_order,
    keep_or_delete,
)
from parcelhook.fulfillment.coverage import BEFORE_SENDING, Coverage, cover, holds
from parcelhook.fulfillment.orders import OrderNow
from parcelhook.fulfillment.plan import check_order
from parcelhook.fulfillment.routing import route
from parcelhook.fulfillment.store import Store
from parcelhook.ledger import moves
from parcelhook.ledger.inbox import APPROVED, CANCELED
from parcelhook.ledger.rows import ShipmentRow, Told
from parcelhook.ledger.states import BookingState, State
from parcelhook.models import ShipmentItem
from parcelhook.wix.fulfillments import OrderFulfillments
from parcelhook.wix.orders import WixOrder

ReadModel = TypeVar("ReadModel", bound=BaseModel)

OVER: Final = frozenset({State.CANCELED, State.DELETED})
STANDING: Final = frozenset({BookingState.BOOKING, BookingState.BOOKED, BookingState.NEEDS_REVIEW})
"""The states of a booking that the carrier may act upon."""

AFTER_EDIT: Final = "the order does not hold what its fulfillment does any more"
UNFIT: Final = "the order does not hold what was booked any more"
PARTLY_SHIPPED: Final = "a part of what was booked was shipped otherwise"
SHIPPED_OTHERWISE: Final = "everything of it was shipped otherwise"
REMOVED: Final = "nothing of it is left on the order"
"""Why shipments are canceled or asked about."""


@dataclass(frozen=True, slots=True)
class _Known:
    """The shipments known of an order, how far their bookings are, and what persons decided about some of them."""

    rows: tuple[ShipmentRow, ...]
    bookings: Mapping[str, frozenset[BookingState]]
    held: frozenset[str]
    dropped: frozenset[str]
    kept: frozenset[str]

    @property
    def is_over(self) -> bool:
        return all(row.state in OVER for row in self.rows)

    @property
    def left_booked(self) -> list[ShipmentRow]:
        """Give canceled shipments whose booking stands: a process died, or the carrier could not be reached."""
        canceled = [row for row in self.rows if row.state is State.CANCELED]
        return [row for row in canceled if BookingState.BOOKED in self.bookings[row.id]]

    def is_busy(self, row: ShipmentRow) -> bool:
        return row.state is State.SENDING or row.id in self.held or BookingState.BOOKING in self.bookings[row.id]

    def cover(self, now: OrderNow) -> Coverage:
        open_ = [row for row in self.rows if row.state in BEFORE_SENDING]
        fixed = {row.id for row in open_ if row.id in self.held or self.bookings[row.id] & STANDING}
        return cover(now, self.rows, fixed=fixed, dropped=self.dropped, kept=self.kept)


def judge(store: Store, order_id: str, told: Told, present: OrderFulfillments | None = None) -> str | None:
    """Give, without a call, the outcome of an event after which nothing is to be done, or None to read the order.

    ``present`` are the order's fulfillments where they are known better than by the latest webhook.
    """
    known, order = _known(store, order_id), latest_order(told)
    is_to_be_sent = any(row.state in BEFORE_SENDING for row in known.rows)
    if known.left_booked or (is_to_be_sent and CANCELED in told.happened):
        return None
    if CANCELED in told.happened:
        return f"order {order.number if order else order_id} was canceled"
    if order is None or not order.line_items or (order.status == "CANCELED" and not known.is_over):
        return None
    fulfillments = present or _read(OrderFulfillments, told.fulfillments)
    coverage = known.cover(OrderNow(order, fulfillments.fulfillments if fulfillments else ()))
    return _settled(store, known, order, coverage, told) if coverage.fits else None


def latest_order(told: Told) -> WixOrder | None:
    """Give an order as the latest webhook showed it."""
    return _read(WixOrder, told.order)


def is_older(order: WixOrder, told: Told) -> bool:
    """Tell whether an order that was read is older than a webhook showed it: Wix's search lags behind."""
    latest = latest_order(told)
    if latest is None or latest.updated_date is None or order.updated_date is None:
        return False
    return order.updated_date < latest.updated_date


def is_concerned(store: Store, order_id: str, told: Told) -> bool:
    """Tell whether another list of fulfillments can matter to an order: it waits, or webhooks told what it holds."""
    if told.order is not None:
        return True
    rows = store.ledger.shipments.find(store=store.id, order_id=order_id, states=BEFORE_SENDING | {State.DELETED})
    return bool(rows)


def may_have_fulfillments(store: Store, order_id: str, told: Told) -> bool:
    """Tell whether an order may have fulfillments, though Wix's search does not say so yet."""
    fulfillments = _read(OrderFulfillments, told.fulfillments)
    rows = store.ledger.shipments.find(store=store.id, order_id=order_id)
    return bool(fulfillments and fulfillments.fulfillments) or any(row.sent_at or row.fulfillment_id for row in rows)


@dataclass(frozen=True, slots=True)
class Followed:
    """What was done about an order, in one line, and why there was no more to do."""

    done: str
    settled: str = ""


def follow_order(store: Store, now: OrderNow, *, told: Told) -> Followed:
    """Bring an order's shipments in line with it.

    Each step is one change in the ledger, and all of them together may be taken again. Raise ShipmentChanged where a
    shipment is being dealt with, and what a carrier says of a booking that could not be canceled, to be called again.
    """
    order = now.order
    if order.status == "CANCELED" or CANCELED in told.happened:
        # Wix's search may lag behind, and nobody takes a cancellation back.
        return Followed(f"order {order.number or order.id} was canceled; {cancel_order(store, order.id)}")
    known = _known(store, order.id)
    coverage = known.cover(now)
    if any(known.is_busy(row) for row in (*coverage.unfit, *coverage.needless)):
        msg = "its shipment is being dealt with at this moment"
        raise ShipmentChanged(msg)
    done = [cancel_booking(store, row) for row in known.left_booked]
    done += [_follow(store, row, coverage.waiting[row.id], order) for row in known.rows if row.id in coverage.waiting]
    done += [_drop(store, row) for row in coverage.needless]
    done += [_ask_about_booking(store, row, order) for row in coverage.unfit]
    done += [_ask_about_fulfillment(store, row) for row in coverage.excess]
    settled = _settled(store, known, order, coverage, told)
    if settled is None:
        done.append(route(store, now, coverage.uncovered))
    return Followed("; ".join(filter(None, done)), settled or "")


def _settled(store: Store, known: _Known, order: WixOrder, coverage: Coverage, told: Told) -> str | None:
    """Say why nothing of an order is to be shipped unasked beyond what is known; None where something is."""
    reason = _left_alone(store, order, approved_at=told.happened.get(APPROVED))
    if coverage.uncovered or (reason and not known.rows):
        return reason or None
    if coverage.is_refunded:
        return "what was refunded is shipped already, and is left as it is"
    if known.rows:
        return "its shipment was canceled or deleted before" if known.is_over else "its shipment is known already"
    if order.fulfillment_status == "FULFILLED":
        return "everything of it is fulfilled already"
    return "nothing of it is shipped by this store"


def _left_alone(store: Store, order: WixOrder, *, approved_at: datetime | None) -> str:
    """Give why nothing of an order is shipped unasked, or ""."""
    set_up_at = store.ledger.stores.get(store.id).set_up_at
    if (approved_at or order.created_date or set_up_at) < set_up_at:
        return "it was approved before this store was set up"
    try:
        check_order(order, ship_unpaid=store.ship_unpaid)
    except NotFulfillable as error:
        return error.message
    return ""


def _known(store: Store, order_id: str) -> _Known:
    rows, now, notices = (
        store.ledger.shipments.find(store=store.id, order_id=order_id),
        store.clock(),
        store.ledger.notices,
    )
    canceled = [row for row in rows if row.state is State.CANCELED and row.source == "webhook"]
    why = notices.latest(canceled, kind="canceled")
    created = [row for row in rows if row.state is State.CREATED]
    return _Known(
        rows=tuple(rows),
        bookings={row.id: _bookings(store, row) for row in rows},
        held=frozenset(row.id for row in rows if row.is_held(now)),
        dropped=frozenset(id_ for id_, notice in why.items() if notice.reason in DROPPED),
        kept=frozenset(notices.latest(created, kind="kept", reason=AFTER_EDIT)),
    )


def _bookings(store: Store, row: ShipmentRow) -> frozenset[BookingState]:
    if row.state not in BEFORE_SENDING | {State.CANCELED}:
        return frozenset()
    return frozenset(each.state for each in store.ledger.bookings.find(store=store.id, shipment_id=row.id))


def _follow(store: Store, row: ShipmentRow, items: tuple[ShipmentItem, ...], order: WixOrder) -> str:
    """Let a shipment that waits for its number hold what is left for it."""
    if not items:
        reason = SHIPPED_OTHERWISE if holds(order, row.items) else REMOVED
        store.ledger.shipments.move(moves.canceled(row, reason=reason))
        return f"its waiting shipment was canceled: {reason}"
    move = moves.adjusted(row, items=items, reason="the order, or what is shipped of it, changed")
    store.ledger.shipments.move(move)
    return f"its waiting shipment now holds {move.detail}"


def _drop(store: Store, row: ShipmentRow) -> str:
    moved = store.ledger.shipments.move(moves.canceled(row, reason=SHIPPED_OTHERWISE))
    booking = cancel_booking(store, moved)
    return "; ".join(filter(None, (f"its shipment was canceled: {SHIPPED_OTHERWISE}", booking)))


def _ask_about_booking(store: Store, row: ShipmentRow, order: WixOrder) -> str:
    reason = PARTLY_SHIPPED if holds(order, row.items) else UNFIT
    resolve = f"parcelhook review resolve {row.id}"
    what_to_do = (
        f"Cancel what was booked (`{resolve} --drop`) and ship what remains by `parcelhook fulfill {row.order_id}`, "
        f"or correct the order and send it as booked (`{resolve} --again`)."
    )
    store.ledger.shipments.move(moves.needs_review(row, reason=reason, what_to_do=what_to_do))
    return f"{reason}; a person is asked"


def _ask_about_fulfillment(store: Store, row: ShipmentRow) -> str:
    store.ledger.shipments.move(moves.needs_review(row, reason=AFTER_EDIT, what_to_do=keep_or_delete(row)))
    return f"{AFTER_EDIT}; a person is asked"


def _read(model: type[ReadModel], text: str | None) -> ReadModel | None:
    """Read a webhook's body; None where it holds nothing of the kind."""
    try:
        body = json.loads(text or "{}")
        return model.model_validate(body.get("order", body) if isinstance(body, dict) else body)
    except (ValueError, ValidationError):
        return None
