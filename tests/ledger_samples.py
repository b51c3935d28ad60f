"""What the ledger's tests put into it, and the time at which they do."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from parcelhook.ledger import NewParcel, NewShipment, State
from parcelhook.models import ShipmentItem

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ITEMS = (ShipmentItem(line_item_id="item-1", quantity=2),)


class FakeClock:
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        """Give the time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


def wanted(order_id: str = "order-1", number: str = "AC100", **fields: object) -> NewShipment:
    """Give a shipment of one parcel, ready to be sent."""
    plain = NewShipment(
        store="default",
        order_id=order_id,
        intent_key=number,
        carrier="acme",
        state=State.READY,
        source="cli",
        items=ITEMS,
        parcels=(NewParcel(number=number),),
    )
    return replace(plain, **fields)  # type: ignore[arg-type] # the test names fields of NewShipment


def execute(url: str, statement: str) -> None:
    """Run a statement behind the ledger's back."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        connection = sqlite3.connect(parsed.database or "")
        with connection:
            connection.execute(statement)
        connection.close()
        return
    engine = sa.create_engine(parsed.set(drivername="postgresql+psycopg"))
    with engine.begin() as opened:
        opened.execute(sa.text(statement))
    engine.dispose()
