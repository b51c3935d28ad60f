"""Carry one shipment as far as it goes now: settle what is open, send what is ready, wait for whoever is at it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from parcelhook.fulfillment.store import Outcome, Store
from parcelhook.ledger import ShipmentRow, State

PATIENCE: Final = timedelta(seconds=30)
LOOK_AGAIN_AFTER: Final = 0.1
FLOWS: Final[Mapping[State, str]] = {State.SENDING: "settle", State.READY: "send", State.WAITING_LINK: "send"}
"""The states in which something is to be done about a shipment, and the flow that does it."""

HELD: Final = "Another process is at this shipment; waiting for it, or for its claim to end if it is no more."
LEFT_BEHIND: Final = "An earlier process left open whether Wix has this; waiting until Wix can be asked."


@dataclass(frozen=True, slots=True)
class Pursued:
    """A shipment as it is in the end, and what became of it here: ``outcome`` is None where another process did it.

    ``is_made_here`` tells that this very process created the fulfillment.
    """

    row: ShipmentRow
    outcome: Outcome | None = None
    is_made_here: bool = False


def pursue(store: Store, row: ShipmentRow, *, run: Callable[..., object], tell: Callable[[str], object]) -> Pursued:
    """Run the flows that a shipment needs until it is decided, or cannot be within half a minute.

    ``run`` runs a flow of the durable engine; ``tell`` is given, once each, the reasons to wait.
    """
    give_up_at = store.clock() + PATIENCE
    told: set[str] = set()
    while row.state in FLOWS and store.clock() < give_up_at:
        free_at, why = _free(store, row)
        if free_at is None:
            done = _step(store, row, run)
            if done.outcome is not None:
                return done
        elif free_at > give_up_at:
            break
        elif why not in told:
            tell(why)
            told.add(why)
        time.sleep(LOOK_AGAIN_AFTER)
        row = store.ledger.shipments.get(row.id)
    return Pursued(row)


def _step(store: Store, row: ShipmentRow, run: Callable[..., object]) -> Pursued:
    """Run one flow; its outcome is None where there is more to be done, or another process came first."""
    flow, is_left_behind = FLOWS[row.state], row.state is State.SENDING and row.due_at is None
    outcomes = run(flow, store.id, [row.id])
    now = store.ledger.shipments.get(row.id)
    outcome = outcomes.get(row.id) if isinstance(outcomes, Mapping) else None
    if outcome is None or is_left_behind or (flow == "settle" and outcome == Outcome.WAITING):
        return Pursued(now)
    return Pursued(now, Outcome(outcome), is_made_here=flow == "send" and outcome == Outcome.CREATED)


def _free(store: Store, row: ShipmentRow) -> tuple[datetime | None, str]:
    """Give when something can be done about a shipment and why not before; None means now."""
    now = store.clock()
    if row.claimed_until is not None and row.claimed_until >= now:
        return row.claimed_until, HELD
    if row.due_at is not None and row.due_at > now:
        return row.due_at, LEFT_BEHIND
    return None, ""
