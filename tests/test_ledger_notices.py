"""The last notice of a kind about each shipment, and moves that note something and change nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from ledger_samples import NOON, FakeClock, wanted
from parcelhook.ledger import Ledger, State, moves

pytest_plugins = ["ledger_databases"]


def test_latest_notice_of_each_shipment(ledger: Ledger, clock: FakeClock) -> None:
    """Of several notices the last is given, by shipment; one without any is left out."""
    first, second, third = (ledger.shipments.add(wanted(f"order-{n}"))[0] for n in range(3))
    for reason in ("one", "two"):
        clock.advance(60)
        first = ledger.shipments.move(moves.needs_review(first, reason=reason))
    second = ledger.shipments.move(moves.needs_review(second, reason="three"))

    found = ledger.notices.latest([first, second, third], kind="needs_review")
    of_a_reason = ledger.notices.latest([first, second], kind="needs_review", reason="one")

    assert {id_: (entry.at, entry.reason) for id_, entry in found.items()} == {
        first.id: (NOON + timedelta(seconds=120), "two"),
        second.id: (NOON + timedelta(seconds=120), "three"),
    }
    assert {id_: entry.at for id_, entry in of_a_reason.items()} == {first.id: NOON + timedelta(seconds=60)}
    assert ledger.notices.latest([], kind="needs_review") == {}


def test_what_is_noted_changes_nothing_else(ledger: Ledger, clock: FakeClock) -> None:
    """State, error and moment stay as they were, but for the columns that are named."""
    row, _ = ledger.shipments.add(wanted(state=State.READY))
    due_at = clock() + timedelta(seconds=30)
    row = ledger.shipments.move(moves.ready_again(row, reason="busy", what_to_do="wait", due_at=due_at))

    noted = ledger.shipments.move(moves.noted(row, kind="looked_at", detail="twice"))
    changed = ledger.shipments.move(moves.noted(noted, kind="looked_at", changes={"error": "quiet"}))

    assert noted == replace(row, version=row.version + 1)
    assert (changed.state, changed.error, changed.what_to_do, changed.due_at) == (State.READY, "quiet", "wait", due_at)
    assert ledger.shipments.get(row.id) == changed
