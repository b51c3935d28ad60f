"""Ask carriers to carry shipments: a row before the call, and after an interruption first the carrier is asked."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

from parcelhook.errors import (
    CarrierRefused,
    CarrierThrottled,
    CarrierUnauthorized,
    InvalidTrackingNumber,
    NotFulfillable,
    ParcelhookError,
    ShipmentChanged,
    WixError,
)
from parcelhook.fulfillment.orders import OrderNow, for_plugins, read_orders
from parcelhook.fulfillment.plan import check_order, remaining_quantities
from parcelhook.fulfillment.store import LEASE_SECONDS, Outcome, Store
from parcelhook.ledger import moves
from parcelhook.ledger.rows import BookingRow, NewParcel, ShipmentRow
from parcelhook.ledger.states import BookingState, State
from parcelhook.models import Booking, BookingRequest
from parcelhook.numbers import as_given

MOST: Final = 25
TRIES: Final = 8
WAIT_SECONDS: Final = 15
FIND: Final = "parcelhook_find_booking"
LOOK: Final = "Look at the carrier's own list of bookings."
IN_DOUBT: Final = frozenset({BookingState.BOOKING, BookingState.NEEDS_REVIEW})
"""The states of a booking that may have left something at the carrier."""


def book(store: Store, shipment_ids: Sequence[str] | None = None) -> dict[str, Outcome]:
    """Book up to 25 shipments that are due, or those named; give what became of each, by shipment id."""
    claimed = store.ledger.shipments.claim(
        store.id,
        states={State.WAITING_NUMBER},
        owner=store.owner,
        lease_seconds=LEASE_SECONDS,
        limit=MOST,
        ids=shipment_ids,
        is_timed=True,
    )
    outcomes: dict[str, Outcome] = {}
    with store.holding(claimed):
        if not claimed:
            return {}
        try:
            orders = read_orders(store.wix, [row.order_id for row in claimed])
        except WixError as error:
            return {row.id: _later(store, row, error) for row in claimed}
        for row in claimed:
            # What another process canceled meanwhile is its to finish.
            with suppress(ShipmentChanged):
                outcomes[row.id] = _book_one(store, row, orders.get(row.order_id))
    return outcomes


def _book_one(store: Store, row: ShipmentRow, now: OrderNow | None) -> Outcome:
    try:
        answer = _booked(store, row, now)
        parcels = tuple(
            NewParcel(number=as_given(parcel.tracking_number), tracking_url=parcel.tracking_url or "")
            for parcel in answer.parcels
        )
    except NotFulfillable as error:
        _close(store, row, error)
        store.ledger.shipments.move(moves.canceled(row, reason=error.message))
        return Outcome.NOT_FULFILLABLE
    except _AskAPerson as doubt:
        return _review(store, row, str(doubt), what_to_do=doubt.what_to_do)
    except InvalidTrackingNumber as error:
        return _review(store, row, f"the carrier gave an unusable number: {error}", what_to_do="Ask the carrier.")
    except CarrierRefused as error:
        return _refused(store, row, error)
    except ParcelhookError as error:
        return _later(store, row, error)
    store.ledger.shipments.move(moves.numbered(row, parcels=parcels))
    return Outcome.WAITING


def _refused(store: Store, row: ShipmentRow, error: CarrierRefused) -> Outcome:
    if isinstance(error, CarrierUnauthorized):
        # Which is the operator's to mend, and no fault of the order.
        return _later(store, row, error)
    _close(store, row, error)
    hint = error.what_to_do or "Correct the order, or ship it with another carrier by `parcelhook fulfill`."
    store.ledger.shipments.move(moves.failed(row, error=error.message, what_to_do=hint))
    return Outcome.REFUSED


class _AskAPerson(Exception):
    def __init__(self, message: str, *, what_to_do: str = LOOK) -> None:
        super().__init__(message)
        self.what_to_do = what_to_do


def _booked(store: Store, row: ShipmentRow, now: OrderNow | None) -> Booking:
    """Give the booking under the shipment's key: kept, found at the carrier, or made now."""
    kept = _kept(store, row)
    if kept is not None and kept.state is BookingState.BOOKED and kept.booking is not None:
        return kept.booking
    answer = _left_behind(store, row, kept) if kept is not None and kept.state in IN_DOUBT else None
    if answer is None:
        request = _request(store, row, now)
        if kept is None:
            store.ledger.bookings.begin(store.id, key=row.intent_key, shipment_id=row.id, carrier=row.carrier)
        else:
            store.ledger.bookings.again(store.id, key=row.intent_key)
        answer = _call(store, row, request)
    store.ledger.bookings.finish(store.id, answer=answer)
    return answer


def _call(store: Store, row: ShipmentRow, request: BookingRequest) -> Booking:
    try:
        return store.registry.book(row.carrier, request)
    except (CarrierThrottled, CarrierUnauthorized) as error:
        # Turned away at the door: nothing was booked, and nothing has to be looked for.
        _close(store, row, error)
        raise


def _request(store: Store, row: ShipmentRow, now: OrderNow | None) -> BookingRequest:
    """Give what is asked of the carrier; raise NotFulfillable where nothing of it is to be shipped any more."""
    if now is None:
        msg = "the store has no such order any more"
        raise NotFulfillable(msg)
    check_order(now.order, ship_unpaid=store.ship_unpaid)
    left = remaining_quantities(now.order, now.shipped)
    if not any(left.get(item.line_item_id) for item in row.items):
        msg = "all of it was shipped otherwise, or refunded"
        raise NotFulfillable(msg)
    if any(left.get(item.line_item_id, 0) < item.quantity for item in row.items):
        msg = "a part of it was shipped otherwise, or refunded"
        raise _AskAPerson(msg, what_to_do="Ship the rest by `parcelhook fulfill`.")
    return BookingRequest(key=row.intent_key, order=for_plugins(now, store=store.id), items=row.items)


def _left_behind(store: Store, row: ShipmentRow, kept: BookingRow) -> Booking | None:
    """Give what an interrupted booking left at the carrier, or None where it is known to have left nothing."""
    if FIND not in store.registry.hook_names(row.carrier):
        if kept.state is BookingState.NEEDS_REVIEW:
            # A person looked, and wants it booked.
            return None
        msg = f"booking with {row.carrier} was interrupted, and its plug-in cannot look for what it left behind"
        store.ledger.bookings.needs_review(store.id, key=row.intent_key, error=msg)
        raise _AskAPerson(msg)
    try:
        found = store.registry.find_booking(row.carrier, row.intent_key)
    except CarrierRefused as error:
        if kept.state is BookingState.BOOKING:
            store.ledger.bookings.needs_review(store.id, key=row.intent_key, error=error.message)
        raise _AskAPerson(error.message, what_to_do=error.what_to_do or LOOK) from error
    if found is None and kept.attempts >= TRIES and kept.state is BookingState.BOOKING:
        msg = f"booking with {row.carrier} did not succeed in {TRIES} tries"
        store.ledger.bookings.needs_review(store.id, key=row.intent_key, error=msg)
        raise _AskAPerson(msg)
    return found


def _kept(store: Store, row: ShipmentRow) -> BookingRow | None:
    bookings = store.ledger.bookings.find(store=store.id, shipment_id=row.id)
    return next((booking for booking in bookings if booking.key == row.intent_key), None)


def _close(store: Store, row: ShipmentRow, error: ParcelhookError) -> None:
    """Note that the booking under way booked nothing."""
    kept = _kept(store, row)
    if kept is not None and kept.state in IN_DOUBT:
        store.ledger.bookings.fail(store.id, key=kept.key, error=error.message, what_to_do=error.what_to_do)


def _later(store: Store, row: ShipmentRow, error: ParcelhookError) -> Outcome:
    kept = _kept(store, row)
    wait = getattr(error, "retry_after", None) or WAIT_SECONDS * 2 ** min(kept.attempts if kept else 0, 6)
    due_at = store.clock() + timedelta(seconds=wait)
    store.ledger.shipments.move(moves.wait_for_number(row, reason=error.message, due_at=due_at))
    return Outcome.WAITING


def _review(store: Store, row: ShipmentRow, reason: str, *, what_to_do: str) -> Outcome:
    store.ledger.shipments.move(moves.needs_review(row, reason=reason, what_to_do=what_to_do))
    return Outcome.REVIEW
