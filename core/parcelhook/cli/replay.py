"""Answer ``parcelhook replay``: a webhook event is dealt with once more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from parcelhook.cli.invocation import Command, Invocation, pass_invocation
from parcelhook.cli.output import write_json, write_line
from parcelhook.errors import InputError

if TYPE_CHECKING:
    from parcelhook.cli.installation import Installation


@click.command(cls=Command)
@click.argument("event_id")
@pass_invocation
def replay(invocation: Invocation, *, event_id: str) -> None:
    """Deal with a webhook event once more.

    EVENT_ID is shown by `parcelhook events`. A running service (`parcelhook serve`) deals with it at once; without one
    it waits until a service runs. What was done already is not done twice.
    """
    with invocation.installation() as installation:
        store = _store_of(installation, invocation.store, event_id)
        installation.ledger.inbox.replay(store, event_id)
    if invocation.as_json:
        write_json({"event_id": event_id, "store": store, "state": "pending"})
        return
    write_line(f"Event {event_id} of store {store} is to be dealt with once more.")
    write_line("A running service (parcelhook serve) does so at once; see parcelhook events for what comes of it.")


def _store_of(installation: Installation, name: str | None, event_id: str) -> str:
    """Give the store of an event; raise InputError where none, or more than one, has it."""
    only = installation.settings.store_name(name) if name else None
    stores = installation.ledger.stores_of_event(event_id)
    meant = [store for store in stores if only in {None, store}]
    if len(meant) == 1:
        return meant[0]
    if meant:
        msg = f"the event {event_id} came in for several stores: {', '.join(meant)}"
        raise InputError(msg, field="--store", what_to_do="Add --store with the one that is meant.")
    elsewhere = f" in the store {only}; it came in for {', '.join(stores)}" if only and stores else ""
    msg = f"no webhook event has the id {event_id}{elsewhere}"
    raise InputError(msg, field="EVENT_ID", what_to_do="Take the event's id from `parcelhook events`.")
