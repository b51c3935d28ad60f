"""Answer ``parcelhook orders``: the store's orders as Wix has them, and what waits for a number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

import click

from parcelhook.cli.invocation import Command, Invocation, pass_invocation
from parcelhook.cli.output import Json, Row, write_json, write_table

if TYPE_CHECKING:
    from parcelhook.fulfillment.store import Store
    from parcelhook.ledger import ShipmentRow
    from parcelhook.wix.fulfillments import Fulfillment
    from parcelhook.wix.orders import WixOrder
    from parcelhook.wix.wire import JsonObject

AT_ONCE: Final = 100
"""Of how many orders the fulfillments are asked for in one call."""


@click.command(cls=Command)
@click.option("--waiting", is_flag=True, help="Only approved, paid orders that wait for a tracking number.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many a store.")
@pass_invocation
def orders(invocation: Invocation, *, waiting: bool, limit: int) -> None:
    """Show the store's orders, and which ones wait.

    The newest come first, store by store. What waits is approved and paid (or approved alone, where the store has
    ship_unpaid), and has no tracking number yet. An order whose status is PENDING is not approved yet: it never counts
    as waiting, and Wix does not list it here until it is approved.
    """
    with invocation.installation() as installation:
        names = installation.settings.store_names(invocation.store) or [installation.settings.store_name()]
        each_store = (islice(_found(installation.store(name), waiting=waiting), limit) for name in names)
        found = [each for its in each_store for each in its]
    if invocation.as_json:
        write_json([_described(each) for each in found])
        return
    columns = ("store", "order", "number", "status", "payment", "fulfillment", "waits", "line items", "shipments")
    empty = "No order waits for a number." if waiting else "The store has no orders yet."
    leave_out = () if len(names) > 1 else ("store",)
    write_table(columns, [_row(each) for each in found], empty=empty, leave_out=leave_out)


@dataclass(frozen=True)
class _Found:
    store: str
    order: WixOrder
    shipments: list[ShipmentRow]
    waits: bool


def _found(store: Store, *, waiting: bool) -> Iterator[_Found]:
    wanted: JsonObject = {"status": "APPROVED", "fulfillmentStatus": {"$ne": "FULFILLED"}} if waiting else {}
    orders = store.wix.search_orders(wanted)
    while batch := list(islice(orders, AT_ONCE)):
        partly = [order.id for order in batch if order.fulfillment_status == "PARTIALLY_FULFILLED"]
        at_wix = store.wix.list_fulfillments_by_ids(partly) if partly else {}
        for order in batch:
            shipments = store.ledger.shipments.find(store=store.id, order_id=order.id)
            fulfillments = at_wix[order.id].fulfillments if order.id in at_wix else ()
            waits = _waits(order, fulfillments, shipments, ship_unpaid=store.ship_unpaid)
            if waits or not waiting:
                yield _Found(store.id, order, shipments, waits)


def _described(found: _Found) -> Json:
    order = found.order
    return {
        "store": found.store,
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
        found.store,
        order.id,
        order.number,
        order.status,
        order.payment_status,
        order.fulfillment_status,
        found.waits,
        [f"{line.id}:{line.quantity}" for line in order.line_items],
        [f"{row.carrier} {row.state.value}".strip() for row in found.shipments],
    )


def _waits(
    order: WixOrder, fulfillments: Sequence[Fulfillment], shipments: Sequence[ShipmentRow], *, ship_unpaid: bool
) -> bool:
    """Tell whether something of the order may be shipped, is not shipped by anyone, and has no number yet."""
    from parcelhook.errors import NotFulfillable
    from parcelhook.fulfillment.orders import OrderNow
    from parcelhook.fulfillment.plan import plan_items
    from parcelhook.ledger import State

    # A shipment that a person is to look at has its number: another one would ship it twice.
    numbered = {State.WAITING_LINK, State.READY, State.SENDING, State.CREATED, State.NEEDS_REVIEW}
    at_wix = {fulfillment.id for fulfillment in fulfillments}
    ours = [row for row in shipments if row.state in numbered and row.fulfillment_id not in at_wix]
    if order.fulfillment_status == "FULFILLED" or not all(row.items for row in ours):
        return False
    shipped = [*OrderNow(order, tuple(fulfillments)).shipped, *(item for row in ours for item in row.items)]
    try:
        plan_items(order, shipped, ship_unpaid=ship_unpaid)
    except NotFulfillable:
        return False
    return True
