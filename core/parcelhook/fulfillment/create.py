"""Turn shipments into fulfillments at Wix: link, plan, write down, call, and read the answer.

Every shipment is written down as SENDING before the call leaves. Wix has no idempotency key, so an answer that leaves
the outcome open is never followed by another create, but by ``settle``, which first asks Wix what it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from parcelhook.errors import (
    CarrierError,
    InputError,
    NotFulfillable,
    ParcelhookError,
    TrackingNumberExists,
    WixError,
    WixForbidden,
    WixUnauthorized,
)
from parcelhook.fulfillment.linking import tracking_info
from parcelhook.fulfillment.matching import bind, number_exists
from parcelhook.fulfillment.orders import OrderNow, read_orders
from parcelhook.fulfillment.plan import plan_items, remaining_quantities
from parcelhook.fulfillment.store import LEASE_SECONDS, SEND_WITHIN, Outcome, Store
from parcelhook.ledger import moves
from parcelhook.ledger.rows import ShipmentRow
from parcelhook.ledger.states import State
from parcelhook.models import Shipment, ShipmentItem
from parcelhook.statuses import wix_status
from parcelhook.wix.fulfillments import BulkItem, Fulfillment, NewFulfillment

MOST: Final = 100
LINK_TRIES: Final = 5
NUMBER_EXISTS: Final = "TRACKING_NUMBER_ALREADY_EXISTS"


@dataclass(frozen=True, slots=True)
class Planned:
    """A shipment that may be sent, its line items, and the order it belongs to."""

    row: ShipmentRow
    items: tuple[ShipmentItem, ...]
    now: OrderNow


def send(store: Store, shipment_ids: Sequence[str] | None = None) -> dict[str, Outcome]:
    """Send up to 100 shipments that are due, or those named; give what became of each, by shipment id."""
    claimed = store.ledger.shipments.claim(
        store.id,
        states={State.READY, State.WAITING_LINK},
        owner=store.owner,
        lease_seconds=LEASE_SECONDS,
        limit=MOST,
        ids=shipment_ids,
    )
    outcomes: dict[str, Outcome] = {}
    with store.holding(claimed):
        linked = [row for row in (_link(store, row, outcomes) for row in claimed) if row is not None]
        send_before = store.clock() + SEND_WITHIN
        planned = _written_down(store, _plan(store, linked, outcomes), send_before=send_before)
        with store.leaving_before(send_before):
            if len(planned) == 1:
                outcomes[planned[0].row.id] = _create_one(store, planned[0])
            elif planned:
                outcomes |= _create_many(store, planned)
    return outcomes


def _link(store: Store, row: ShipmentRow, outcomes: dict[str, Outcome]) -> ShipmentRow | None:
    """Give the row with provider and link, or None where it must wait for a valid link."""
    if row.state is State.READY:
        return row
    shipment = Shipment(
        carrier=row.carrier,
        tracking_number=row.tracking_number,
        store=row.store,
        order_id=row.order_id,
        order_number=row.order_number,
        items=row.items,
        postal_code=row.postal_code,
        country=row.country,
    )
    given = row.parcels[0].tracking_url
    try:
        info = tracking_info(store.registry, shipment, given_url=given, allow_loopback=store.wix.is_loopback)
    except (CarrierError, InputError) as error:
        outcomes[row.id] = _without_link(store, row, error)
        return None
    move = moves.ready(row, provider=info.provider, tracking_url=info.url, link_source=info.source)
    return store.ledger.shipments.move(replace(move, keeps_claim=True))


def _without_link(store: Store, row: ShipmentRow, error: ParcelhookError) -> Outcome:
    if error.retryable and row.attempts < LINK_TRIES:
        due_at = store.clock() + timedelta(seconds=5 * 4**row.attempts)
        store.ledger.shipments.move(moves.wait_for_link(row, reason=error.message, due_at=due_at))
        return Outcome.WAITING
    hint = error.what_to_do or "Give the complete link, or mend the plug-in and resolve the review."
    store.ledger.shipments.move(moves.needs_review(row, reason=error.message, what_to_do=hint))
    return Outcome.REVIEW


def _plan(store: Store, rows: Sequence[ShipmentRow], outcomes: dict[str, Outcome]) -> list[Planned]:
    """Give what may be sent of each shipment by the orders' present state; fail, bind or put back the others."""
    if not rows:
        return []
    tried = {row.order_id for row in rows if row.attempts}
    try:
        orders = read_orders(store.wix, [row.order_id for row in rows], already_tried=tried)
    except WixError as error:
        outcomes |= {row.id: _not_sent(store, row, error) for row in rows}
        return []
    planned: dict[str, Planned] = {}
    for row in rows:
        now = orders.get(row.order_id)
        if row.order_id in planned:
            # Whether one bulk call may hold an order twice is nowhere documented.
            store.ledger.shipments.move(moves.ready_again(row, reason="another shipment of the order goes first"))
            outcomes[row.id] = Outcome.WAITING
        elif now is not None and now.with_number(row.tracking_number) is not None:
            outcomes[row.id] = number_exists(store, row, now)
        else:
            try:
                planned[row.order_id] = _plan_one(store, row, now)
            except NotFulfillable as error:
                store.ledger.shipments.move(moves.failed(row, error=error.message, what_to_do=error.what_to_do))
                outcomes[row.id] = Outcome.NOT_FULFILLABLE
    return list(planned.values())


def _plan_one(store: Store, row: ShipmentRow, now: OrderNow | None) -> Planned:
    if now is None:
        msg = f"the store has no order {row.order_id}"
        raise NotFulfillable(msg, field="order", what_to_do="Take the order's id from `parcelhook orders`.")
    others = store.ledger.shipments.find(store=store.id, order_id=row.order_id, states={State.SENDING})
    on_their_way = (item for other in others if other.id != row.id for item in other.items)
    wanted = {item.line_item_id: item.quantity for item in row.items}
    shipped = (*now.shipped, *on_their_way)
    return Planned(row, plan_items(now.order, shipped, wanted=wanted, ship_unpaid=store.ship_unpaid), now)


def _written_down(store: Store, planned: Sequence[Planned], *, send_before: datetime) -> list[Planned]:
    """Write down that these are about to be sent; from here on only Wix can say whether they were."""
    sending = [
        moves.sending(each.row, send_before=send_before, items=each.items, order_number=each.now.order.number)
        for each in planned
    ]
    rows = {row.id: row for row in store.ledger.shipments.move_all(sending)}
    # What another worker has taken over in the meantime is not in the answer, and that worker's to send.
    return [replace(each, row=rows[each.row.id]) for each in planned if each.row.id in rows]


def _new_fulfillment(planned: Planned) -> NewFulfillment:
    status = wix_status(planned.row.status)
    return NewFulfillment(
        line_items=planned.items,
        tracking_number=planned.row.tracking_number,
        shipping_provider=planned.row.provider,
        tracking_link=planned.row.tracking_url or None,
        status=status.value if status else None,
    )


def _create_one(store: Store, planned: Planned) -> Outcome:
    row = planned.row
    try:
        created = store.wix.create_fulfillment(row.order_id, _new_fulfillment(planned))
    except TrackingNumberExists:
        return _look_up_number(store, planned)
    except WixError as error:
        return _not_created(store, row, error)
    fulfillments = {each.id: each for each in created.order.fulfillments}
    return _created(store, planned, created.fulfillment_id, fulfillments.get(created.fulfillment_id))


def _create_many(store: Store, planned: Sequence[Planned]) -> dict[str, Outcome]:
    try:
        result = store.wix.bulk_create_fulfillments([(each.row.order_id, _new_fulfillment(each)) for each in planned])
    except WixError as error:
        return {each.row.id: _not_created(store, each.row, error) for each in planned}
    told = {item.original_index: item for item in result.items}
    return {each.row.id: _read_item(store, each, told.get(index)) for index, each in enumerate(planned)}


def _read_item(store: Store, planned: Planned, item: BulkItem | None) -> Outcome:
    row = planned.row
    if item is None:
        return _undecided(store, row, "Wix's bulk answer says nothing about this order")
    if item.success:
        now = OrderNow(planned.now.order, item.fulfillments.fulfillments if item.fulfillments else ())
        fulfillment = now.with_number(row.tracking_number)
        if fulfillment is None:
            return _undecided(store, row, "Wix says that it was created, and does not show it")
        return _created(store, planned, fulfillment.id, fulfillment)
    if item.code == NUMBER_EXISTS:
        return _look_up_number(store, planned)
    error = f"Wix refused it: {item.description or item.code or 'no reason given'}"
    store.ledger.shipments.move(moves.failed(row, error=error, what_to_do="Correct what Wix names and send it again."))
    return Outcome.REFUSED


def _created(store: Store, planned: Planned, fulfillment_id: str, fulfillment: Fulfillment | None) -> Outcome:
    bind(store, planned.row, fulfillment_id, fulfillment)
    left = remaining_quantities(planned.now.order, (*planned.now.shipped, *planned.items))
    if not any(left.values()):
        order_id = planned.row.order_id
        waiting = store.ledger.shipments.find(store=store.id, order_id=order_id, states={State.WAITING_NUMBER})
        gone = [moves.canceled(row, reason="everything of the order has been shipped") for row in waiting]
        store.ledger.shipments.move_all(gone)
    return Outcome.CREATED


def _look_up_number(store: Store, planned: Planned) -> Outcome:
    """Find out on which order the number is that Wix says exists already."""
    try:
        listed = store.wix.list_fulfillments(planned.row.order_id)
    except WixError as error:
        return _undecided(store, planned.row, error.message)
    return number_exists(store, planned.row, OrderNow(planned.now.order, listed.fulfillments))


def _not_created(store: Store, row: ShipmentRow, error: WixError) -> Outcome:
    return _undecided(store, row, error.message) if error.ambiguous else _not_sent(store, row, error)


def _undecided(store: Store, row: ShipmentRow, error: str) -> Outcome:
    store.ledger.shipments.move(moves.unsettled(row, due_at=store.clock() + store.settle, error=error))
    return Outcome.UNDECIDED


def _not_sent(store: Store, row: ShipmentRow, error: WixError) -> Outcome:
    """Put a shipment back that Wix has certainly not taken: to be sent again, or failed where that cannot help."""
    if error.retryable or error.ambiguous or isinstance(error, WixUnauthorized | WixForbidden):
        due_at = store.clock() + timedelta(seconds=error.retry_after or 30)
        hint = error.what_to_do or "It is sent again by itself."
        store.ledger.shipments.move(moves.ready_again(row, reason=error.message, what_to_do=hint, due_at=due_at))
        return Outcome.WAITING
    what_to_do = error.what_to_do or "Correct what Wix names and send it again."
    store.ledger.shipments.move(moves.failed(row, error=error.message, what_to_do=what_to_do))
    return Outcome.REFUSED
