"""Read what Wix answered to a create: which shipments are fulfillments now, which failed, and which are open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, TypeAlias

from parcelhook.errors import ShipmentChanged, WixError
from parcelhook.fulfillment.matching import bound, number_exists, watch
from parcelhook.fulfillment.orders import OrderNow
from parcelhook.fulfillment.plan import remaining_quantities
from parcelhook.fulfillment.planning import Planned
from parcelhook.fulfillment.refusals import not_created, refused, undecided
from parcelhook.fulfillment.store import Outcome, Store
from parcelhook.ledger import moves
from parcelhook.ledger.moves import Move
from parcelhook.ledger.states import State
from parcelhook.wix.fulfillments import BulkItem, CreatedFulfillment

NUMBER_EXISTS: Final = frozenset({"TRACKING_NUMBER_ALREADY_EXISTS", "ALREADY_EXISTS"})
"""How a bulk answer may say that a number is known: Wix publishes the code for single creates only."""

Decided: TypeAlias = tuple[Move, Outcome]


def after_create(store: Store, planned: Planned, created: CreatedFulfillment) -> dict[str, Outcome]:
    """Bind the one shipment that was sent to its fulfillment."""
    fulfillments = {each.id: each for each in created.order.fulfillments}
    move = bound(planned.row, created.fulfillment_id, fulfillments.get(created.fulfillment_id))
    return _write_down(store, [planned], [(move, Outcome.CREATED)])


def after_bulk(store: Store, orders: Sequence[Sequence[Planned]], items: Sequence[BulkItem]) -> dict[str, Outcome]:
    """Decide about every shipment of a bulk call: ``orders`` are the shipments of each order, as they were sent."""
    told = {item.original_index: item for item in items}
    decided, to_look_up = [], []
    for index, shipments in enumerate(orders):
        item = told.get(index)
        if item is not None and len(shipments) == 1 and not item.success and item.code in NUMBER_EXISTS:
            to_look_up.append(shipments[0])
        else:
            decided += _read_item(store, shipments, item)
    outcomes = _write_down(store, [each for shipments in orders for each in shipments], decided)
    for each in to_look_up:
        outcomes |= look_up_number(store, each)
    return outcomes


def after_failure(store: Store, planned: Sequence[Planned], error: WixError) -> dict[str, Outcome]:
    """Decide about shipments whose call failed as a whole."""
    return _write_down(store, planned, [not_created(store, each.row, error) for each in planned])


def look_up_number(store: Store, planned: Planned) -> dict[str, Outcome]:
    """Find out on which order the number is that Wix says exists already."""
    try:
        listed = store.wix.list_fulfillments(planned.row.order_id)
    except WixError as error:
        return _write_down(store, [planned], [undecided(store, planned.row, error.message)])
    with suppress(ShipmentChanged):
        return {planned.row.id: number_exists(store, planned.row, OrderNow(planned.now.order, listed.fulfillments))}
    return {}


def _read_item(store: Store, shipments: Sequence[Planned], item: BulkItem | None) -> list[Decided]:
    if item is None:
        return _open(store, shipments, "Wix's bulk answer says nothing about this order")
    if item.success:
        return [_read_success(store, each, item) for each in shipments]
    if len(shipments) > 1:
        return _open(store, shipments, f"Wix refused a fulfillment of this order, and not clearly which: {_why(item)}")
    if not item.code and not item.description:
        return _open(store, shipments, "Wix's bulk answer says that it failed, and not why")
    return [refused(shipments[0].row, error=f"Wix refused it: {_why(item)}")]


def _read_success(store: Store, planned: Planned, item: BulkItem) -> Decided:
    now = OrderNow(planned.now.order, item.fulfillments.fulfillments if item.fulfillments else ())
    fulfillment = now.with_number(planned.row.tracking_number)
    if fulfillment is None:
        return undecided(store, planned.row, "Wix says that it was created, and does not show it")
    return bound(planned.row, fulfillment.id, fulfillment), Outcome.CREATED


def _open(store: Store, shipments: Sequence[Planned], error: str) -> list[Decided]:
    return [undecided(store, each.row, error) for each in shipments]


def _why(item: BulkItem) -> str:
    return item.description or item.code or "no reason given"


def _write_down(store: Store, planned: Sequence[Planned], decided: Sequence[Decided]) -> dict[str, Outcome]:
    moved = store.ledger.shipments.move_all([move for move, _ in decided])
    ids = {row.id for row in moved}
    outcomes = {move.row.id: outcome for move, outcome in decided if move.row.id in ids}
    created = [row for row in moved if row.state is State.CREATED]
    watch(store, created)
    if created:
        _close_waiting(store, planned, outcomes)
    return outcomes


def _close_waiting(store: Store, planned: Sequence[Planned], outcomes: Mapping[str, Outcome]) -> None:
    """Drop the shipments that wait for a number of orders of which nothing is left."""
    created = [each for each in planned if outcomes.get(each.row.id) is Outcome.CREATED]
    shipped = {each.row.order_id: list(each.now.shipped) for each in created}
    for each in created:
        shipped[each.row.order_id] += each.items
    done = {
        each.row.order_id
        for each in created
        if not any(remaining_quantities(each.now.order, shipped[each.row.order_id]).values())
    }
    waiting = store.ledger.shipments.find(store=store.id, order_ids=done, states={State.WAITING_NUMBER})
    gone = [moves.canceled(row, reason="everything of the order has been shipped") for row in waiting]
    store.ledger.shipments.move_all(gone)
