"""Turn shipments into fulfillments at Wix: link, plan, write down, call, and read the answer.

Every shipment is written down as SENDING before the call leaves. Wix has no idempotency key, so an answer that leaves
the outcome open is never followed by another create, but by ``settle``, which first asks Wix what it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from parcelhook.errors import (
    CarrierRefused,
    NotFulfillable,
    ParcelhookError,
    ShipmentChanged,
    TrackingNumberExists,
    UnknownCarrier,
    WixError,
    WixForbidden,
    WixUnauthorized,
)
from parcelhook.fulfillment.linking import LINK, tracking_info
from parcelhook.fulfillment.matching import bind, number_exists
from parcelhook.fulfillment.orders import OrderNow, read_orders
from parcelhook.fulfillment.plan import plan_items, remaining_quantities
from parcelhook.fulfillment.store import LEASE_SECONDS, Outcome, Store
from parcelhook.ledger import moves
from parcelhook.ledger.rows import ShipmentRow
from parcelhook.ledger.states import State
from parcelhook.models import Shipment, ShipmentItem
from parcelhook.statuses import wix_status
from parcelhook.wix.fulfillments import BulkItem, Fulfillment, NewFulfillment

MOST: Final = 100
LINK_TRIES: Final = 5
RIVAL_WAIT: Final = timedelta(seconds=15)
NUMBER_EXISTS: Final = frozenset({"TRACKING_NUMBER_ALREADY_EXISTS", "ALREADY_EXISTS"})
"""How a bulk answer may say that a number is known: Wix publishes the code for single creates only."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A shipment that may be sent, its line items, and the order it belongs to."""

    row: ShipmentRow
    items: tuple[ShipmentItem, ...]
    now: OrderNow


def send(store: Store, shipment_ids: Sequence[str] | None = None) -> dict[str, Outcome]:
    """Send up to 100 shipments that are due, or those named; give what became of each, by shipment id.

    What another process took over or canceled meanwhile is not in the answer.
    """
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
        planned = _plan(store, linked, outcomes)
        send_before = store.clock() + store.send_within
        planned = _written_down(store, planned, send_before=send_before)
        with store.leaving_before(send_before), suppress(ShipmentChanged):
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
    except ParcelhookError as error:
        with suppress(ShipmentChanged):
            outcomes[row.id] = _without_link(store, row, error)
        return None
    move = moves.ready(row, provider=info.provider, tracking_url=info.url, link_source=info.source)
    with suppress(ShipmentChanged):
        return store.ledger.shipments.move(replace(move, keeps_claim=True))
    return None


def _without_link(store: Store, row: ShipmentRow, error: ParcelhookError) -> Outcome:
    """Ask the hook again a few times, whatever was wrong with its answer, then a person."""
    is_final = isinstance(error, CarrierRefused | UnknownCarrier) or LINK not in store.registry.hook_names(row.carrier)
    if not is_final and row.attempts < LINK_TRIES:
        wait = getattr(error, "retry_after", None) or 5 * 4**row.attempts
        due_at = store.clock() + timedelta(seconds=wait)
        store.ledger.shipments.move(moves.wait_for_link(row, reason=error.message, due_at=due_at))
        return Outcome.WAITING
    hint = error.what_to_do or "Give the complete link with --url, or mend the plug-in, and run the same command again."
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
        # Which says nothing about the shipments.
        outcomes |= {row.id: _put_back(store, row, error) for row in rows}
        return []
    planned: dict[str, Planned] = {}
    for row in rows:
        with suppress(ShipmentChanged):
            outcome = _plan_one(store, row, orders.get(row.order_id), planned)
            if outcome is not None:
                outcomes[row.id] = outcome
    return list(planned.values())


def _plan_one(store: Store, row: ShipmentRow, now: OrderNow | None, planned: dict[str, Planned]) -> Outcome | None:
    """Plan a shipment, or give why it is not to be sent now."""
    if row.order_id in planned:
        # Whether one bulk call may hold an order twice is nowhere documented.
        store.ledger.shipments.move(moves.ready_again(row, reason="another shipment of the order goes first"))
        return Outcome.WAITING
    if now is not None and now.with_number(row.tracking_number) is not None:
        return number_exists(store, row, now)
    try:
        planned[row.order_id] = _planned(store, row, now)
    except _RivalUndecided:
        reason = "what another shipment of the order took is not decided yet"
        due_at = store.clock() + RIVAL_WAIT
        store.ledger.shipments.move(moves.ready_again(row, reason=reason, due_at=due_at))
        return Outcome.WAITING
    except NotFulfillable as error:
        store.ledger.shipments.move(moves.failed(row, error=error.message, what_to_do=error.what_to_do))
        return Outcome.NOT_FULFILLABLE
    return None


class _RivalUndecided(Exception):
    pass


def _planned(store: Store, row: ShipmentRow, now: OrderNow | None) -> Planned:
    if now is None:
        msg = f"the store has no order {row.order_id}"
        raise NotFulfillable(msg, field="order", what_to_do="Take the order's id from `parcelhook orders`.")
    wanted = {item.line_item_id: item.quantity for item in row.items}
    sending = store.ledger.shipments.find(store=store.id, order_id=row.order_id, states={State.SENDING})
    rivals = [other for other in sending if other.id != row.id and now.with_number(other.tracking_number) is None]
    on_their_way = [item for rival in rivals for item in rival.items]
    try:
        items = plan_items(now.order, (*now.shipped, *on_their_way), wanted=wanted, ship_unpaid=store.ship_unpaid)
    except NotFulfillable:
        if not rivals:
            raise
        plan_items(now.order, now.shipped, wanted=wanted, ship_unpaid=store.ship_unpaid)
        raise _RivalUndecided from None
    return Planned(row, items, now)


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
    failure, told = None, {}
    try:
        result = store.wix.bulk_create_fulfillments([(each.row.order_id, _new_fulfillment(each)) for each in planned])
        told = {item.original_index: item for item in result.items}
    except WixError as error:
        failure = error
    outcomes = {}
    for index, each in enumerate(planned):
        with suppress(ShipmentChanged):
            outcomes[each.row.id] = (
                _not_created(store, each.row, failure) if failure else _read_item(store, each, told.get(index))
            )
    return outcomes


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
    if item.code in NUMBER_EXISTS:
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
    if error.retryable or isinstance(error, WixUnauthorized | WixForbidden):
        return _put_back(store, row, error)
    what_to_do = error.what_to_do or "Correct what Wix names and send it again."
    store.ledger.shipments.move(moves.failed(row, error=error.message, what_to_do=what_to_do))
    return Outcome.REFUSED


def _put_back(store: Store, row: ShipmentRow, error: WixError) -> Outcome:
    due_at = store.clock() + timedelta(seconds=error.retry_after or 30)
    hint = error.what_to_do or "It is sent again by itself."
    with suppress(ShipmentChanged):
        store.ledger.shipments.move(moves.ready_again(row, reason=error.message, what_to_do=hint, due_at=due_at))
    return Outcome.WAITING
