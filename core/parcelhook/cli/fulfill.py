"""Answer ``parcelhook fulfill``: one order's parcel becomes a fulfillment, once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from parcelhook.cli.invocation import Command, Invocation, pass_invocation
from parcelhook.cli.output import printable, warn, write_json, write_line
from parcelhook.errors import InputError

if TYPE_CHECKING:
    from parcelhook.cli.pursuit import Pursued
    from parcelhook.ledger import ShipmentRow


@click.command(cls=Command)
@click.argument("order", required=False)
@click.option("--carrier", metavar="C", help='A carrier\'s id, as "parcelhook carriers" shows them.')
@click.option("--number", metavar="N", help="The tracking number.")
@click.option("--url", metavar="U", help="The complete tracking link, where the carrier's own is not to be used.")
@click.option("--item", "items", multiple=True, metavar="ID[:QTY]", help="A line item; without any, all that remains.")
@click.option("--key", metavar="K", help="Your own key for this shipment; without one, it is the number.")
@click.option("--file", metavar="F", type=click.Path(path_type=Path), help="Ship what this CSV or JSONL file lists.")
@click.option("--dry-run", is_flag=True, help="With --file: check everything, and ship nothing.")
@click.option("--failed-to", metavar="G", type=click.Path(path_type=Path), help="With --file: where failed lines go.")
@pass_invocation
def fulfill(
    invocation: Invocation,
    *,
    order: str | None,
    carrier: str | None,
    number: str | None,
    url: str | None,
    items: tuple[str, ...],
    key: str | None,
    file: Path | None,
    dry_run: bool,
    failed_to: Path | None,
) -> int:
    """Create the fulfillment of an order's parcel.

    ORDER is the order's id. The same command again finds the fulfillment instead of making another. Where Wix's answer
    is unclear it says so, and the same command, or the service, decides once Wix must have settled.

    With --file, many orders are shipped in full calls. A CSV file has the columns order_id, carrier, tracking_number
    and, as needed, tracking_url, line_item_id, quantity and key; a JSONL file has objects with these names. Lines that
    name one order and number are one parcel, as are lines with one key. Lines that failed go to the file --failed-to
    names, with the columns error and what_to_do; corrected, it can be given to --file as it is.
    """
    if file is not None:
        if order or carrier or number or url or items or key:
            msg = "--file goes without an order and its options"
            raise click.UsageError(msg)
        from parcelhook.cli import bulk

        return bulk.fulfill_file(invocation, bulk.Order(file, is_rehearsal=dry_run, failed_to=failed_to))
    if dry_run or failed_to:
        msg = "--dry-run and --failed-to go with --file"
        raise click.UsageError(msg)
    if order is None or carrier is None or number is None:
        msg = "give an order with --carrier and --number, or a --file"
        raise click.UsageError(msg)
    return _fulfill(invocation, order, carrier=carrier, parcel=(number, url), items=_items(items), key=key)


def _fulfill(
    invocation: Invocation,
    order: str,
    *,
    carrier: str,
    parcel: tuple[str, str | None],
    items: Mapping[str, int | None],
    key: str | None,
) -> int:
    from parcelhook.cli.pursuit import FLOWS, Pursued, pursue
    from parcelhook.fulfillment.intake import Wish, take_in
    from parcelhook.numbers import matches

    wish = Wish(order_id=order, carrier=carrier, parcels=(parcel,), items=items, key=key)
    with invocation.installation() as installation:
        store = installation.store(invocation.store)
        row, is_new = take_in(store, wish)
        if not matches(store.registry.carrier(row.carrier), row.tracking_number):
            warn(f"{row.tracking_number} does not look like a number of {row.carrier}")
        if row.state in FLOWS:
            with installation.engine([store]) as engine:
                pursued = pursue(store, row, run=engine.run, tell=lambda text: click.echo(text, err=True))
        else:
            pursued = Pursued(row)
        hint = _what_to_do(pursued.row)
        _show(invocation, pursued, hint, is_new=is_new)
        return _exit_code(pursued, hint)


def _items(items: tuple[str, ...]) -> dict[str, int | None]:
    wanted: dict[str, int | None] = {}
    for item in items:
        id_, colon, quantity = item.partition(":")
        if not id_ or (colon and not (quantity.isascii() and quantity.isdigit())):
            msg = f"--item {item}: is not a line item's id, or id and quantity like ID:2"
            raise InputError(msg, field="--item", what_to_do="Take the ids from `parcelhook orders`.")
        if id_ in wanted:
            msg = f"--item {id_}: is given twice"
            raise InputError(msg, field="--item", what_to_do="Give it once, with the quantity in all.")
        wanted[id_] = int(quantity) if colon else None
    return wanted


def _what_to_do(row: ShipmentRow) -> str:
    """Say what helps with a shipment that is not created."""
    from parcelhook.cli.pursuit import FLOWS

    if row.state not in FLOWS or row.what_to_do:
        return row.what_to_do
    if row.due_at is None:
        return "Another process is at it: run the same command again to see how it ended."
    when = f"{row.due_at:%H:%M:%S} UTC"
    if row.state.value == "SENDING":
        return f"Run the same command again after {when}: it asks Wix first. A running service does so by itself."
    return f"Run the same command again to try at once. A running service tries after {when}."


def _show(invocation: Invocation, pursued: Pursued, hint: str, *, is_new: bool) -> None:
    from parcelhook.cli.shipments import describe

    row = pursued.row
    # A running service may have been first with what this command wrote down.
    is_made = pursued.is_made_here or (is_new and pursued.outcome is None)
    existed = row.state.value == "CREATED" and not is_made
    if invocation.as_json:
        write_json({**describe(row), "what_to_do": hint, "already_existed": existed})
        return
    text = {
        "CREATED": f"Fulfillment {row.fulfillment_id} {'was there already' if existed else 'created'}.",
        "SENDING": "Undecided: it is open whether Wix has the fulfillment.",
    }.get(row.state.value, f"The shipment is {row.state.value}.")
    write_line(text)
    if row.tracking_url:
        write_line(f"Tracking link: {row.tracking_url}")


def _exit_code(pursued: Pursued, hint: str) -> int:
    row, outcome = pursued.row, pursued.outcome
    if row.state.value == "CREATED":
        return 0
    error = row.error or f"the shipment is {row.state.value}"
    click.echo(printable(f"Error: {error}\n{hint}".rstrip()), err=True)
    is_unsent = row.state.value == "FAILED" and row.sent_at is None
    if outcome == "not_fulfillable" or (is_unsent and outcome is None):
        return 2
    return 5 if row.state.value == "WAITING_LINK" or (outcome == "review" and not row.sent_at) else 4
