"""Answer ``parcelhook fulfill``: one order's parcel becomes a fulfillment, once."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from parcelhook.cli.invocation import Command, Invocation, pass_invocation
from parcelhook.cli.output import warn, write_json, write_line
from parcelhook.errors import InputError

if TYPE_CHECKING:
    from parcelhook.cli.installation import Installation
    from parcelhook.fulfillment.store import Outcome, Store
    from parcelhook.ledger import ShipmentRow

ANOTHER_WORKER_SECONDS = 30.0


@click.command(cls=Command)
@click.argument("order", required=False)
@click.option("--carrier", metavar="C", help='A carrier\'s id, as "parcelhook carriers" shows them.')
@click.option("--number", metavar="N", help="The tracking number.")
@click.option("--url", metavar="U", help="The complete tracking link, where the carrier's own is not to be used.")
@click.option("--item", "items", multiple=True, metavar="ID[:QTY]", help="A line item; without any, all that remains.")
@click.option("--key", metavar="K", help="Your own key for this shipment; without one, it is the number.")
@click.option("--file", metavar="F", type=click.Path(path_type=Path), help="Ship what this CSV or JSONL file lists.")
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
) -> int:
    """Create the fulfillment of an order's parcel.

    ORDER is the order's id. The same command again finds the fulfillment instead of making another. Where Wix's answer
    is unclear it says so, and the same command, or the service, decides once Wix must have settled.

    With --file, many orders are shipped in full calls. A CSV file has the columns order_id, carrier, tracking_number
    and, as needed, tracking_url, line_item_id, quantity and key; a JSONL file has objects with these names.
    """
    if file is not None:
        if order or carrier or number or url or items or key:
            msg = "--file goes without an order and its options"
            raise click.UsageError(msg)
        from parcelhook.cli.bulk import fulfill_file

        return fulfill_file(invocation, file)
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
    from parcelhook.fulfillment.intake import Wish, take_in
    from parcelhook.ledger import State
    from parcelhook.numbers import matches

    wish = Wish(order_id=order, carrier=carrier, parcels=(parcel,), items=items, key=key)
    with invocation.installation() as installation:
        store = installation.store(invocation.store)
        row, is_new = take_in(store, wish)
        if not matches(store.registry.carrier(row.carrier), row.tracking_number):
            warn(f"{row.tracking_number} does not look like a number of {row.carrier}")
        existed, outcome = not is_new, None
        if row.state is not State.CREATED:
            row, outcome = _carry_out(installation, store, row)
            existed = outcome == "existing"
        _show(invocation, row, existed=existed)
        return _exit_code(row, outcome)


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


def _carry_out(installation: Installation, store: Store, row: ShipmentRow) -> tuple[ShipmentRow, Outcome | None]:
    """Settle what is open and send what is ready, or wait for the worker that is at it."""
    from parcelhook.fulfillment.store import Outcome
    from parcelhook.ledger import State, moves

    if row.state is State.READY and row.due_at is not None and row.claimed_by is None:
        row = store.ledger.shipments.move(moves.ready_again(row, reason="it was asked for again"))
    outcome = None
    with installation.engine([store]) as engine:
        if row.state is State.SENDING:
            outcome = _told(engine.run("settle", store.id, [row.id]), row)
            row = store.ledger.shipments.get(row.id)
        if row.state in {State.READY, State.WAITING_LINK}:
            outcome = _told(engine.run("send", store.id, [row.id]), row)
            row = store.ledger.shipments.get(row.id)
    deadline = time.monotonic() + ANOTHER_WORKER_SECONDS
    while outcome is None and row.claimed_by not in {None, store.owner} and time.monotonic() < deadline:
        time.sleep(0.1)
        row = store.ledger.shipments.get(row.id)
    return row, Outcome(outcome) if outcome else None


def _told(outcomes: object, row: ShipmentRow) -> str | None:
    return outcomes.get(row.id) if isinstance(outcomes, Mapping) else None


def _show(invocation: Invocation, row: ShipmentRow, *, existed: bool) -> None:
    from parcelhook.cli.shipments import describe

    if invocation.as_json:
        write_json({**describe(row), "already_existed": existed})
        return
    text = {
        "CREATED": f"Fulfillment {row.fulfillment_id} {'was there already' if existed else 'created'}.",
        "SENDING": "Undecided: Wix's answer left open whether the fulfillment was created.",
    }.get(row.state.value, f"The shipment is {row.state.value}.")
    write_line(text)
    if row.tracking_url:
        write_line(f"Tracking link: {row.tracking_url}")


def _exit_code(row: ShipmentRow, outcome: Outcome | None) -> int:
    from parcelhook.ledger import State

    if row.state is State.CREATED:
        return 0
    hint = row.what_to_do
    if row.state is State.SENDING:
        hint = "Run the same command again in a minute; it asks Wix first. A running service decides by itself."
    click.echo(f"Error: {row.error or 'not done yet'}\n{hint}".rstrip(), err=True)
    if outcome == "not_fulfillable":
        return 2
    return 5 if row.state is State.WAITING_LINK or (outcome == "review" and not row.sent_at) else 4
