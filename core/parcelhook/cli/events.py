"""Answer ``parcelhook events``: the webhook events that came in, and what followed from each."""

from __future__ import annotations

import click

from parcelhook.cli.invocation import Command, Invocation, pass_invocation
from parcelhook.cli.output import write_json, write_table


@click.command(cls=Command)
@click.option("--order", metavar="ID", help="Only the events of this order.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="How many at most.")
@pass_invocation
def events(invocation: Invocation, *, order: str | None, limit: int) -> None:
    """Show the webhook events that came in, and what followed.

    The latest come first. An event without an outcome is still to be dealt with.
    """
    with invocation.installation() as installation:
        store = installation.settings.store_name(invocation.store) if invocation.store else None
        rows = installation.ledger.inbox.find(store=store, order_id=order, limit=limit)
    if invocation.as_json:
        write_json(
            [
                {
                    "id": row.id,
                    "store": row.store,
                    "type": row.event_type,
                    "order_id": row.order_id,
                    "received_at": row.received_at.isoformat(),
                    "attempts": row.attempts,
                    "finished_at": row.finished_at.isoformat() if row.finished_at else None,
                    "outcome": row.outcome or row.detail,
                }
                for row in rows
            ]
        )
        return
    write_table(
        ("received (UTC)", "event", "order", "outcome"),
        [
            (f"{row.received_at:%Y-%m-%d %H:%M:%S}", row.event_type, row.order_id, row.outcome or row.detail)
            for row in rows
        ],
        empty="No webhook has come in yet.",
    )
