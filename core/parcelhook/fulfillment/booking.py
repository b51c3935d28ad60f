"""Ask carriers to carry shipments: a row before the call, and after an interruption first the carrier is asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from parcelhook.errors import CarrierError, CarrierRefused, InvalidTrackingNumber, NotFulfillable, WixError
from parcelhook.fulfillment.orders import OrderNow, for_plugins, read_orders
from parcelhook.fulfillment.plan import check_order
from parcelhook.fulfillment.store import LEASE_SECONDS, Outcome, Store
from parcelhook.ledger import moves
from parcelhook.ledger.rows import BookingRow, NewParcel, ShipmentRow
from parcelhook.ledger.states import BookingState, State
from parcelhook.models import Booking, BookingRequest
from parcelhook.numbers import as_given

MOST: Final = 25
TRIES: Final = 8
FIND: Final = "parcelhook_find_booking"


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
    with store.holding(claimed):
        if not claimed:
            return {}
        try:
            orders = read_orders(store.wix, [row.order_id for row in claimed])
        except WixError as error:
            return {row.id: _later(store, row, error.message, retry_after=error.retry_after) for row in claimed}
        return {row.id: _book_one(store, row, orders.get(row.order_id)) for row in claimed}


def _book_one(store: Store, row: ShipmentRow, now: OrderNow | None) -> Outcome:
    try:
        answer = _booked(store, row, now)
        parcels = tuple(
            NewParcel(number=as_given(parcel.tracking_number), tracking_url=parcel.tracking_url or "")
            for parcel in answer.parcels
        )
    except NotFulfillable as error:
        store.ledger.shipments.move(moves.canceled(row, reason=error.message))
        return Outcome.NOT_FULFILLABLE
    except _AskAPerson as doubt:
        return _review(store, row, str(doubt), what_to_do="Look at the carrier's own list of bookings.")
    except InvalidTrackingNumber as error:
        return _review(store, row, f"the carrier gave an unusable number: {error}", what_to_do="Ask the carrier.")
    except CarrierRefused as error:
        store.ledger.bookings.fail(store.id, key=row.intent_key, error=error.message, what_to_do=error.what_to_do)
        hint = error.what_to_do or "Correct the order, or ship it with another carrier by `parcelhook fulfill`."
        store.ledger.shipments.move(moves.failed(row, error=error.message, what_to_do=hint))
        return Outcome.REFUSED
    except CarrierError as error:
        return _later(store, row, error.message, retry_after=error.retry_after)
    store.ledger.shipments.move(moves.numbered(row, parcels=parcels))
    return Outcome.WAITING


class _AskAPerson(Exception):
    pass


def _booked(store: Store, row: ShipmentRow, now: OrderNow | None) -> Booking:
    """Give the booking under the shipment's key: kept, found at the carrier, or made now."""
    kept, is_new = store.ledger.bookings.begin(store.id, key=row.intent_key, shipment_id=row.id, carrier=row.carrier)
    if kept.state is BookingState.BOOKED and kept.booking is not None:
        return kept.booking
    answer = None if is_new else _left_behind(store, row, kept)
    if answer is None:
        if now is None:
            msg = "the store has no such order any more"
            raise NotFulfillable(msg)
        check_order(now.order, ship_unpaid=store.ship_unpaid)
        order = for_plugins(now, store=store.id)
        answer = store.registry.book(row.carrier, BookingRequest(key=row.intent_key, order=order, items=row.items))
    store.ledger.bookings.finish(store.id, answer=answer)
    return answer


def _left_behind(store: Store, row: ShipmentRow, kept: BookingRow) -> Booking | None:
    """Give what an interrupted booking left at the carrier, or None where it is known to have left nothing."""
    if FIND not in store.registry.hook_names(row.carrier):
        msg = f"booking with {row.carrier} was interrupted, and its plug-in cannot look for what it left behind"
        store.ledger.bookings.needs_review(store.id, key=row.intent_key, error=msg)
        raise _AskAPerson(msg)
    if kept.attempts >= TRIES:
        msg = f"booking with {row.carrier} did not succeed in {TRIES} tries"
        store.ledger.bookings.needs_review(store.id, key=row.intent_key, error=msg)
        raise _AskAPerson(msg)
    found = store.registry.find_booking(row.carrier, row.intent_key)
    if found is None:
        store.ledger.bookings.again(store.id, key=row.intent_key)
    return found


def _later(store: Store, row: ShipmentRow, error: str, *, retry_after: float | None) -> Outcome:
    due_at = store.clock() + timedelta(seconds=retry_after or 15)
    store.ledger.shipments.move(moves.wait_for_number(row, reason=error, due_at=due_at))
    return Outcome.WAITING


def _review(store: Store, row: ShipmentRow, reason: str, *, what_to_do: str) -> Outcome:
    store.ledger.shipments.move(moves.needs_review(row, reason=reason, what_to_do=what_to_do))
    return Outcome.REVIEW
