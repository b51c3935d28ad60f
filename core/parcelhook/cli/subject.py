"""The shipment that a command is about: found by its id, free to be worked on, and carried as far as it goes now."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from parcelhook.cli.output import printable

if TYPE_CHECKING:
    from parcelhook.cli.installation import Installation
    from parcelhook.cli.invocation import Invocation
    from parcelhook.fulfillment.store import Store
    from parcelhook.ledger import ShipmentRow


def subject(invocation: Invocation, installation: Installation, shipment_id: str) -> tuple[Store, ShipmentRow]:
    """Give a shipment and its store; raise InputError for one that does not exist, or not in the store that is meant.

    One that another process holds is waited for, for as long as a process that died could hold it.
    """
    named = installation.settings.store_name(invocation.store) if invocation.store else None
    row = installation.ledger.shipments.get(shipment_id, store=named)
    store = installation.store(row.store)
    return store, _free(store, row)


def _free(store: Store, row: ShipmentRow) -> ShipmentRow:
    from parcelhook.cli.pursuit import HELD, LOOK_AGAIN_AFTER
    from parcelhook.fulfillment.store import LEASE_SECONDS

    deadline, is_told = time.monotonic() + LEASE_SECONDS + 1, False
    while row.is_held(store.clock()) and time.monotonic() < deadline:
        if not is_told:
            click.echo(HELD, err=True)
            is_told = True
        time.sleep(LOOK_AGAIN_AFTER)
        row = store.ledger.shipments.get(row.id)
    return row


def carried_on(installation: Installation, store: Store, row: ShipmentRow) -> ShipmentRow:
    """Book and send a shipment as far as that goes now, and give it as it is then; a paused store sends nothing."""
    from parcelhook.cli.pursuit import FLOWS, pursue
    from parcelhook.ledger import State

    is_to_be_booked = row.state is State.WAITING_NUMBER and row.due_at is not None
    if not (is_to_be_booked or row.state in FLOWS) or store.ledger.stores.get(store.id).paused:
        return row
    with installation.engine([store]) as engine:
        if is_to_be_booked:
            engine.run("book", store.id, [row.id])
            row = store.ledger.shipments.get(row.id)
        return pursue(store, row, run=engine.run, tell=lambda text: click.echo(text, err=True)).row


def exit_code(row: ShipmentRow) -> int:
    """Say on stderr what is in the way of a shipment that was to be sent, and give the exit code for it."""
    from parcelhook.cli.steps import next_step
    from parcelhook.ledger import State

    if not row.error or row.fulfillment_id is not None or row.state in {State.CANCELED, State.DELETED}:
        return 0
    click.echo(printable(f"Error: {row.error}\n{next_step(row)}".rstrip()), err=True)
    is_carriers = row.state in {State.WAITING_NUMBER, State.WAITING_LINK} or row.sent_at is None
    return 5 if is_carriers and row.state is not State.FAILED else 4


def is_agreed(question: str, *, is_sure: bool, as_json: bool) -> bool:
    """Ask whoever sits at a terminal; without one, or where it was said already, nobody is asked."""
    if is_sure or as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    return click.confirm(question, err=True)
