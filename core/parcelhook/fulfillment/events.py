"""Follow what Wix tells by webhook: each event is dealt with once, and its outcome is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from pydantic import ValidationError

from parcelhook.errors import CarrierError, ParcelhookError, ShipmentChanged
from parcelhook.fulfillment.orders import OrderNow, read_orders
from parcelhook.fulfillment.routing import is_under_way, route
from parcelhook.fulfillment.store import Store
from parcelhook.ledger import moves
from parcelhook.ledger.rows import EventRow, ShipmentRow
from parcelhook.ledger.states import BookingState, State
from parcelhook.wix.fulfillments import OrderFulfillments

APPROVED: Final = "wix.ecom.v1.order_approved"
MAY_SHIP: Final = frozenset({APPROVED, "wix.ecom.v1.order_updated", "wix.ecom.v1.order_payment_status_updated"})
BEFORE_WIX: Final = frozenset({State.WAITING_NUMBER, State.WAITING_LINK, State.READY, State.FAILED})


def take_events(store: Store, events: Sequence[EventRow]) -> None:
    """Deal with events in the order they came; one that cannot be dealt with now comes again.

    The orders they may ship are read together, and only where nothing of them is under way yet, so that a flood of
    approvals, and the echoes of what we do ourselves, cost few calls.
    """
    may_ship = {event.order_id for event in events if event.event_type in MAY_SHIP}
    try:
        orders = read_orders(store.wix, sorted(id_ for id_ in may_ship if not is_under_way(store, id_)))
    except ParcelhookError as error:
        for event in events:
            _put_off(store, event, error)
        return
    for event in events:
        try:
            outcome = follow(store, event, orders)
        except ParcelhookError as error:
            _put_off(store, event, error)
        else:
            store.ledger.inbox.finish(event, outcome=outcome)


def follow(store: Store, event: EventRow, orders: Mapping[str, OrderNow]) -> str:
    """Deal with one event and give its outcome in one line; an event of no interest is ignored with the reason."""
    if store.ledger.inbox.is_stale(event):
        return "ignored: a later snapshot of it has arrived"
    if event.event_type in MAY_SHIP:
        if is_under_way(store, event.order_id):
            return "its shipment is known already"
        now = orders.get(event.order_id)
        approved_at = event.event_time if event.event_type == APPROVED else None
        return route(store, now, approved_at=approved_at) if now else "the store has no such order"
    if event.event_type == "wix.ecom.v1.order_canceled":
        return cancel_order(store, event.order_id)
    if event.event_type == "wix.ecom.v1.fulfillments_updated":
        return _fulfillments(store, event)
    return "ignored: nothing follows from this event"


def _put_off(store: Store, event: EventRow, error: ParcelhookError) -> None:
    wait = timedelta(seconds=min(600, 5 * 2 ** min(event.attempts, 7)))
    store.ledger.inbox.retry(event, due_at=store.clock() + wait, detail=error.message)


def cancel_order(store: Store, order_id: str) -> str:
    """Drop the shipments of a canceled order that Wix does not have, and ask a person about those it has."""
    told = [_cancel(store, row) for row in store.ledger.shipments.find(store=store.id, order_id=order_id)]
    return "; ".join(filter(None, told)) or "nothing of it was to be shipped"


def _cancel(store: Store, row: ShipmentRow) -> str:
    if row.state in BEFORE_WIX:
        store.ledger.shipments.move(moves.canceled(row, reason="the order was canceled"))
        return _cancel_booking(store, row)
    if row.state is State.SENDING:
        msg = "its fulfillment is being created at this moment"
        raise ShipmentChanged(msg)
    if row.state is State.CREATED:
        what_to_do = "Stop the parcel and delete the fulfillment, or leave it if the parcel is to arrive."
        store.ledger.shipments.move(
            moves.needs_review(row, reason="the order was canceled after its fulfillment", what_to_do=what_to_do)
        )
        return "its fulfillment exists already; a person is asked"
    return ""


def _cancel_booking(store: Store, row: ShipmentRow) -> str:
    booked = store.ledger.bookings.find(store=store.id, shipment_id=row.id, state=BookingState.BOOKED)
    kept = booked[0].booking if booked else None
    if kept is None:
        return "its shipment was canceled"
    if "parcelhook_cancel_booking" not in store.registry.hook_names(row.carrier):
        return f"its shipment was canceled; cancel the booking with {row.carrier} by hand"
    try:
        store.registry.cancel_booking(row.carrier, kept)
    except CarrierError as error:
        return f"its shipment was canceled; canceling the booking failed: {error.message}"
    store.ledger.bookings.cancel(store.id, key=kept.key)
    return f"its shipment and the booking with {row.carrier} were canceled"


def _fulfillments(store: Store, event: EventRow) -> str:
    """Learn what others changed: a status set by hand, a fulfillment deleted; our own echoes change nothing."""
    try:
        present = OrderFulfillments.model_validate(json.loads(event.payload))
    except ValidationError:
        return "ignored: it lists no fulfillments"
    at_wix = {fulfillment.id: fulfillment for fulfillment in present.fulfillments}
    ours = store.ledger.shipments.find(store=store.id, order_id=event.order_id, states={State.CREATED})
    if any(row.fulfillment_id not in at_wix for row in ours):
        # The event may be older than what we made since: whether one is gone, only Wix can tell.
        listed = store.wix.list_fulfillments(event.order_id).fulfillments
        at_wix = {fulfillment.id: fulfillment for fulfillment in listed}
    told = []
    for row in ours:
        fulfillment = at_wix.get(row.fulfillment_id or "")
        if fulfillment is None:
            store.ledger.shipments.move(moves.deleted(row, reason="it was deleted at Wix"))
            told.append(f"fulfillment {row.fulfillment_id} was deleted")
        elif fulfillment.status != row.wix_status:
            store.ledger.shipments.note_wix_status(row.id, wix_status=fulfillment.status)
            told.append(f"fulfillment {row.fulfillment_id} is {fulfillment.status}")
    return "; ".join(told) or "known already"
