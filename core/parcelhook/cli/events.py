"""Answer ``parcelhook events``: the webhook events that came in, and what followed from each."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

import click

from parcelhook.cli.invocation import Command, Invocation, pass_invocation
from parcelhook.cli.output import Json, write_json, write_table

if TYPE_CHECKING:
    from parcelhook.ledger import EventRow

IGNORED: Final = "ignored: "
"""What the outcome of an event begins with that nothing was done about; the reason follows."""


@click.command(cls=Command)
@click.option("--order", metavar="ID", help="Only the events of this order.")
@click.option("--pending", is_flag=True, help="Only the events that are still to be dealt with.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="How many at most.")
@pass_invocation
def events(invocation: Invocation, *, order: str | None, pending: bool, limit: int) -> None:
    """Show the webhook events that came in, and what followed.

    The latest come first. An event is pending until it is dealt with; one that could not be is put off, with the
    reason and the time of the next try (UTC). `parcelhook replay ID` deals with an event once more.
    """
    with invocation.installation() as installation:
        names = installation.settings.store_names(invocation.store)
        store = names[0] if invocation.store else None
        rows = installation.ledger.inbox.find(store=store, order_id=order, is_pending=pending, limit=limit)
    if invocation.as_json:
        write_json([_described(row) for row in rows])
        return
    write_table(
        ("store", "received (UTC)", "event", "id", "order", "state", "outcome"),
        [
            (
                row.store,
                _time(row.received_at),
                _name(row),
                row.id,
                row.order_id,
                _state(row).replace("_", " "),
                _told(row),
            )
            for row in rows
        ],
        empty="No webhook is still to be dealt with." if pending else "No webhook has come in yet.",
        leave_out=() if len(names) > 1 else ("store",),
    )


def _described(row: EventRow) -> Json:
    return {
        "id": row.id,
        "store": row.store,
        "type": row.event_type,
        "order_id": row.order_id,
        "received_at": row.received_at.isoformat(),
        "state": _state(row),
        "attempts": row.attempts,
        "due_at": row.due_at.isoformat() if row.due_at and row.finished_at is None else None,
        "finished_at": row.finished_at.isoformat() if row.finished_at else None,
        "outcome": row.outcome or row.detail,
    }


def _state(row: EventRow) -> str:
    """Tell whether an event is pending, put off, done or ignored."""
    if row.finished_at is None:
        return "put_off" if row.detail else "pending"
    return "ignored" if row.outcome.startswith(IGNORED) else "done"


def _told(row: EventRow) -> str:
    """Say what became of an event, or why it was put off and until when."""
    if row.finished_at is None and row.detail:
        again = f"; tried again {_time(row.due_at)}" if row.due_at else ""
        return f"{row.detail} (tries: {row.attempts}){again}"
    return (row.outcome or row.detail).removeprefix(IGNORED)


def _name(row: EventRow) -> str:
    """Give the last part of an event's type; what is before it is the same in all of them."""
    return row.event_type.rpartition(".")[2]


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
