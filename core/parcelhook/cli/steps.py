"""Steps: what is to be done about a shipment next, and by whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parcelhook.ledger import ShipmentRow


def next_step(row: ShipmentRow) -> str:
    """Say what is to be done about a shipment next, and by whom."""
    from parcelhook.ledger import State

    when = f"after {row.due_at:%Y-%m-%d %H:%M:%S}" if row.due_at else "at once"
    number = f"Give its number: parcelhook fulfill {row.order_id} --carrier {row.carrier or 'CARRIER'} --number NUMBER"
    sent = f"Nothing: a running service sends it {when}."
    told = f"Nothing: a running service tells Wix the status {when}."
    steps = {
        State.WAITING_NUMBER: f"Nothing: a running service asks the carrier {when}." if row.due_at else number,
        State.WAITING_LINK: sent,
        State.READY: sent,
        State.SENDING: f"Nothing: a running service looks up {when} what Wix did.",
        State.CREATED: told if row.wanted_wix_status else "",
        State.FAILED: "Correct what the error names, and give it again with parcelhook fulfill.",
        State.NEEDS_REVIEW: f"Decide what becomes of it: parcelhook review resolve {row.id} --help",
    }
    return row.what_to_do or steps.get(row.state, "")
