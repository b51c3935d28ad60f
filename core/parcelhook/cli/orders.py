"""Answer ``parcelhook orders``: the store's orders as Wix has them, and what waits for a number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import click

from parcelhook.cli.invocation import Command, Invocation, pass_invocation
from parcelhook.cli.output import Json, Row, write_json, write_table

if TYPE_CHECKING:
    from parcelhook.fulfillment.store import Store
    from parcelhook.ledger import ShipmentRow
    from parcelhook.wix.orders import WixOrder
    from parcelhook.wix.wire import JsonObject


@click.command(cls=Command)
@click.option("--waiting", is_flag=True, help="Only orders that may be shipped and wait for a tracking number.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many at most.")
@pass_invocation
def orders(invocation: Invocation, *, waiting: bool, limit: int) -> None:
    """Show the store's orders, and which ones wait.

    The newest come first. What waits may be shipped and has no tracking number yet.
    """
    with invocation.installation() as installation:
        store = installation.store(invocation.store)
        found = list(islice(_found(store, waiting=waiting), limit))
    if invocation.as_json:
        write_json([_described(each) for each in found])
        return
    columns = ("order", "number", "status", "payment", "fulfillment", "waits", "line items", "shipments")
    empty = "No order waits for a number." if waiting else "The store has no orders yet."
    write_table(columns, [_row(each) for each in found], empty=empty)


@dataclass(frozen=True)
class _Found:
    order: WixOrder
    shipments: list[ShipmentRow]
    waits: bool


def _found(store: Store, *, waiting: bool) -> Iterator[_Found]:
    wanted: JsonObject = {"status": "APPROVED", "fulfillmentStatus": {"$ne": "FULFILLED"}} if waiting else {}
    for order in store.wix.search_orders(wanted):
        shipments = store.ledger.shipments.find(store=store.id, order_id=order.id)
        waits = _waits(order, shipments, ship_unpaid=store.ship_unpaid)
        if waits or not waiting:
            yield _Found(order, shipments, waits)


def _described(found: _Found) -> Json:
    order = found.order
    return {
        "order_id": order.id,
        "order_number": order.number,
        "status": order.status,
        "payment_status": order.payment_status,
        "fulfillment_status": order.fulfillment_status,
        "waiting": found.waits,
        "line_items": [
            {"line_item_id": line.id, "name": line.name, "quantity": line.quantity} for line in order.line_items
        ],
        "shipments": [
            {"shipment_id": row.id, "carrier": row.carrier, "state": row.state.value} for row in found.shipments
        ],
    }


def _row(found: _Found) -> Row:
    order = found.order
    return (
        order.id,
        order.number,
        order.status,
        order.payment_status,
        order.fulfillment_status,
        found.waits,
        [f"{line.id}:{line.quantity}" for line in order.line_items],
        [f"{row.carrier} {row.state.value}".strip() for row in found.shipments],
    )


def _waits(order: WixOrder, shipments: list[ShipmentRow], *, ship_unpaid: bool) -> bool:
    """Tell whether something of the order may be shipped and has no number yet."""
    from parcelhook.errors import NotFulfillable
    from parcelhook.fulfillment.plan import plan_items
    from parcelhook.ledger import State

    under_way = {State.WAITING_LINK, State.READY, State.SENDING, State.CREATED}
    if any(row.state in under_way and not row.items for row in shipments):
        return False
    shipped = [item for row in shipments if row.state in under_way for item in row.items]
    try:
        plan_items(order, shipped, ship_unpaid=ship_unpaid)
    except NotFulfillable:
        return False
    return True
