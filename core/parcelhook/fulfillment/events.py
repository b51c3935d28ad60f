"""Follow what Wix tells by webhook: each event is dealt with once, and its outcome is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from pydantic import ValidationError

from parcelhook.errors import ParcelhookError, ShipmentChanged
from parcelhook.fulfillment.cancellation import AFTER_FULFILLMENT, BEFORE_WIX, cancel_booking, is_busy
from parcelhook.fulfillment.orders import OrderNow, read_orders
from parcelhook.fulfillment.routing import is_under_way, route
from parcelhook.fulfillment.store import Store
from parcelhook.ledger import moves
from parcelhook.ledger.rows import EventRow, ShipmentRow
from parcelhook.ledger.states import State
from parcelhook.statuses import forward
from parcelhook.wix.fulfillments import OrderFulfillments

APPROVED: Final = "wix.ecom.v1.order_approved"
MAY_SHIP: Final = frozenset({APPROVED, "wix.ecom.v1.order_updated", "wix.ecom.v1.order_payment_status_updated"})


def take_events(store: Store, events: Sequence[EventRow]) -> None:
    """Deal with events in the order they came; one that cannot be dealt with now comes again.

    The orders they may ship are read together, and only where nothing of them is under way yet, so that a flood of
    approvals, and the echoes of what we do ourselves, cost few calls. Where they cannot be read, events that need no
    order are dealt with all the same.
    """
    may_ship = {event.order_id for event in events if event.event_type in MAY_SHIP}
    unknown = {id_ for id_ in may_ship if not is_under_way(store, id_)}
    orders: dict[str, OrderNow] = {}
    unread: ParcelhookError | None = None
    try:
        orders = read_orders(store.wix, sorted(unknown))
    except ParcelhookError as error:
        unread = error
    for event in events:
        if unread is not None and event.event_type in MAY_SHIP and event.order_id in unknown:
            _put_off(store, event, unread)
            continue
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
    """Drop the shipments of a canceled order that Wix does not have, and ask a person about those it has.

    Raise ShipmentChanged, or what the carrier says of a booking that could not be canceled, to be called again later.
    """
    rows = store.ledger.shipments.find(store=store.id, order_id=order_id)
    told = [_cancel(store, row) for row in sorted(rows, key=lambda row: is_busy(store, row))]
    # After all shipments, and also of those canceled before: a process may have died in between.
    told += [cancel_booking(store, row) for row in rows if row.state in {*BEFORE_WIX, State.CANCELED}]
    return "; ".join(filter(None, told)) or "nothing of it was to be shipped"


def _cancel(store: Store, row: ShipmentRow) -> str:
    if is_busy(store, row):
        msg = "its shipment is being dealt with at this moment"
        raise ShipmentChanged(msg)
    if row.state in BEFORE_WIX:
        store.ledger.shipments.move(moves.canceled(row, reason="the order was canceled"))
        return "its shipment was canceled"
    if row.state is State.CREATED and not store.ledger.notices.latest([row], kind="kept", reason=AFTER_FULFILLMENT):
        resolve = f"parcelhook review resolve {row.id}"
        what_to_do = (
            f"Stop the parcel and delete the fulfillment (`{resolve} --delete`), "
            f"or leave it if the parcel is to arrive (`{resolve} --keep`)."
        )
        store.ledger.shipments.move(moves.needs_review(row, reason=AFTER_FULFILLMENT, what_to_do=what_to_do))
        return "its fulfillment exists already; a person is asked"
    return ""


def _fulfillments(store: Store, event: EventRow) -> str:
    try:
        present = OrderFulfillments.model_validate_json(event.payload)
    except ValidationError:
        return "ignored: it lists no fulfillments"
    ours = bound_shipments(store, event.order_id)
    statuses = {fulfillment.id: fulfillment.status for fulfillment in present.fulfillments}
    if any(_is_behind(row, statuses) for row in ours):
        # The event may be older than what we did since: whether one is gone, or was set back, only Wix can tell.
        present = store.wix.list_fulfillments(event.order_id)
    return "; ".join(learn(store, ours, present)) or "known already"


def _is_behind(row: ShipmentRow, statuses: Mapping[str, str | None]) -> bool:
    """Tell whether statuses by fulfillment id lack the shipment's, or have one that does not follow on ours."""
    seen = statuses.get(row.fulfillment_id or "")
    return row.fulfillment_id not in statuses or not (seen == row.wix_status or forward(row.wix_status, seen))


def bound_shipments(store: Store, order_id: str) -> list[ShipmentRow]:
    """Give the shipments of an order that have a fulfillment at Wix, also those a person is asked about."""
    states = {State.CREATED, State.NEEDS_REVIEW}
    rows = store.ledger.shipments.find(store=store.id, order_id=order_id, states=states)
    return [row for row in rows if row.fulfillment_id is not None]


def learn(store: Store, ours: Sequence[ShipmentRow], present: OrderFulfillments) -> list[str]:
    """Learn what others changed: a status set by hand, a fulfillment deleted; our own echoes change nothing."""
    at_wix = {fulfillment.id: fulfillment for fulfillment in present.fulfillments}
    told = []
    for row in ours:
        fulfillment = at_wix.get(row.fulfillment_id or "")
        if fulfillment is None:
            store.ledger.shipments.move(moves.deleted(row, reason="it was deleted at Wix"))
            told.append(f"fulfillment {row.fulfillment_id} was deleted")
        elif fulfillment.status != row.wix_status:
            store.ledger.shipments.note_wix_status(row.id, wix_status=fulfillment.status)
            told.append(f"fulfillment {row.fulfillment_id} is {fulfillment.status}")
    return told
