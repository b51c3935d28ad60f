"""Answer ``parcelhook shipments``: what parcelhook ships, and how far each shipment is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from parcelhook.cli.invocation import Group, Invocation, pass_invocation
from parcelhook.cli.output import Json, write_json, write_line, write_table

if TYPE_CHECKING:
    from parcelhook.ledger import ShipmentParcel, ShipmentRow, State
    from parcelhook.models import Scan


def describe(row: ShipmentRow) -> dict[str, Json]:
    """Give a shipment as every command prints it."""
    return {
        "shipment_id": row.id,
        "store": row.store,
        "order_id": row.order_id,
        "order_number": row.order_number,
        "state": row.state.value,
        "carrier": row.carrier,
        "fulfillment_id": row.fulfillment_id,
        "shipping_provider": row.provider,
        "tracking_number": row.tracking_number,
        "tracking_url": row.tracking_url,
        "status": row.status.value,
        "wix_status": row.wix_status,
        "error": row.error,
        "what_to_do": row.what_to_do,
    }


@click.group(cls=Group, invoke_without_command=True)
@click.option("--state", metavar="S", help="Show the shipments in this state alone, such as READY or NEEDS_REVIEW.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1000, show_default=True, help="How many at most.")
@click.pass_context
@pass_invocation
def shipments(invocation: Invocation, ctx: click.Context, *, state: str | None, limit: int) -> None:
    """Show what is shipped, and how far each shipment is.

    The latest come first.
    """
    if ctx.invoked_subcommand is not None:
        return
    with invocation.installation() as installation:
        names = installation.settings.store_names(invocation.store)
        store = names[0] if invocation.store else None
        states = () if state is None else {_state(state)}
        rows = installation.ledger.shipments.find(store=store, states=states, limit=limit, latest_first=True)
    if invocation.as_json:
        write_json([describe(row) for row in rows])
        return
    write_table(
        ("store", "shipment", "order", "carrier", "number", "state", "status", "at Wix", "error"),
        [
            (
                row.store,
                row.id,
                row.order_number or row.order_id,
                row.carrier,
                row.tracking_number,
                row.state.value,
                row.status.value,
                row.wix_status,
                row.error,
            )
            for row in rows
        ],
        empty="No shipments yet.",
        leave_out=() if len(names) > 1 else ("store",),
    )


@shipments.command()
@click.argument("shipment_id", metavar="ID")
@pass_invocation
def show(invocation: Invocation, *, shipment_id: str) -> None:
    """Show all that is known of one shipment."""
    with invocation.installation() as installation:
        store = installation.settings.store_name(invocation.store) if invocation.store else None
        row = installation.ledger.shipments.get(shipment_id, store=store)
        journeys = [(parcel, installation.ledger.parcels.scans(parcel.id)) for parcel in row.parcels]
    detail = {**describe(row), "items": _items(row), "parcels": [_parcel(*journey) for journey in journeys]}
    if invocation.as_json:
        write_json(detail)
        return
    for name, value in detail.items():
        if value and isinstance(value, str):
            write_line(f"{name.replace('_', ' '):18} {value}")
    write_line()
    write_table(("line item", "quantity"), [(item.line_item_id, item.quantity) for item in row.items])
    for parcel, scans in journeys:
        write_line(f"\nParcel {parcel.number}: {parcel.status.value}")
        columns = ("time (UTC)", "status", "what the carrier says", "place")
        rows = [(f"{scan.time:%Y-%m-%d %H:%M}", scan.status.value, scan.description, scan.location) for scan in scans]
        write_table(columns, rows, empty="The carrier has told nothing yet.")


def _items(row: ShipmentRow) -> Json:
    return [{"line_item_id": item.line_item_id, "quantity": item.quantity} for item in row.items]


def _parcel(parcel: ShipmentParcel, scans: Sequence[Scan]) -> Json:
    return {
        "tracking_number": parcel.number,
        "status": parcel.status.value,
        "reason": parcel.reason.value if parcel.reason else None,
        "found": parcel.found,
        "next_poll_at": parcel.next_poll_at.isoformat() if parcel.next_poll_at else None,
        "scans": [
            {
                "time": scan.time.isoformat(),
                "code": scan.code,
                "description": scan.description,
                "location": scan.location,
                "status": scan.status.value,
                "reason": scan.reason.value if scan.reason else None,
            }
            for scan in scans
        ],
    }


def _state(text: str) -> State:
    from parcelhook.errors import InputError
    from parcelhook.ledger import State

    name = text.strip().upper()
    if name not in State.__members__:
        msg = f"--state {text}: is no state of a shipment"
        raise InputError(msg, field="--state", what_to_do=f"Known are: {', '.join(State.__members__)}.")
    return State[name]
