"""Answer ``parcelhook shipments``: what parcelhook ships, and how far each shipment is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from parcelhook.cli.invocation import Group, Invocation, pass_invocation
from parcelhook.cli.output import Json, printable, warn, write_json, write_line, write_table

if TYPE_CHECKING:
    from parcelhook.cli.installation import Installation
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
        empty="No shipment is in that state." if states else "No shipments yet.",
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


@shipments.command()
@click.argument("shipment_id", metavar="ID")
@click.option("--number", metavar="N", required=True, help="The right tracking number.")
@click.option("--carrier", metavar="C", help="The carrier, where that was wrong too.")
@click.option("--url", metavar="U", help="The complete tracking link, where the carrier's own is not to be used.")
@pass_invocation
def correct(invocation: Invocation, *, shipment_id: str, number: str, carrier: str | None, url: str | None) -> int:
    """Give a shipment the right number, at Wix too.

    The parcel is followed under its right number from then on; what Wix was told of its status is not taken back. A
    shipment that Wix does not have yet is sent with the right number. The same command again finishes what was
    interrupted.
    """
    from parcelhook.cli.subject import carried_on, exit_code, subject
    from parcelhook.fulfillment.corrections import Correction
    from parcelhook.fulfillment.corrections import correct as correct_shipment
    from parcelhook.numbers import matches

    with invocation.installation() as installation:
        store, row = subject(invocation, installation, shipment_id)
        done = correct_shipment(store, row, Correction(number=number, carrier=carrier, url=url))
        if not matches(store.registry.carrier(done.row.carrier), done.row.tracking_number):
            warn(f"{done.row.tracking_number} does not look like a number of {done.row.carrier}")
        row = carried_on(installation, store, done.row) if done.is_changed else done.row
    if invocation.as_json:
        write_json({**describe(row), "changed": done.is_changed})
    else:
        _tell_correction(row, is_changed=done.is_changed)
    return exit_code(row) if done.is_changed else 0


def _tell_correction(row: ShipmentRow, *, is_changed: bool) -> None:
    if not is_changed:
        write_line(f"Nothing was changed: {row.tracking_number} is the number of shipment {row.id} already.")
        return
    at_wix = ", at Wix too" if row.fulfillment_id else f"; it is {row.state.value}"
    write_line(f"Shipment {row.id} has the number {row.tracking_number} now{at_wix}.")
    if row.tracking_url:
        write_line(f"Tracking link: {row.tracking_url}")
    if row.wix_status and row.fulfillment_id:
        write_line(f"At Wix its status is {row.wix_status}, and stays so until the right parcel is further on.")


@shipments.command()
@click.argument("shipment_id", metavar="ID")
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
@pass_invocation
def delete(invocation: Invocation, *, shipment_id: str, is_sure: bool) -> int:
    """Delete a shipment, at Wix too.

    What Wix never had is canceled, and so is what a carrier booked for it. The same command again finishes what was
    interrupted, and otherwise does nothing. On a terminal you are asked first.
    """
    with invocation.installation() as installation:
        return delete_shipment(invocation, installation, shipment_id, is_sure=is_sure)


def delete_shipment(invocation: Invocation, installation: Installation, shipment_id: str, *, is_sure: bool) -> int:
    """Delete a shipment once that is agreed, and show what became of it."""
    from parcelhook.cli.subject import is_agreed, subject
    from parcelhook.fulfillment.deletion import delete

    store, row = subject(invocation, installation, shipment_id)
    its = f"fulfillment {row.fulfillment_id}" if row.fulfillment_id else f"shipment {row.id}"
    question = printable(f"Delete {its} of order {row.order_number or row.order_id}, number {row.tracking_number}?")
    if not is_agreed(question, is_sure=is_sure, as_json=invocation.as_json):
        write_line("Nothing was deleted.")
        raise click.Abort
    done = delete(store, row)
    if invocation.as_json:
        write_json({**describe(done.row), "done": done.told})
    else:
        write_line(done.told)
    return 0


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
