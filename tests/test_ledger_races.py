"""What another process writes in the very moment between a look and a write is found, and used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from ledger_samples import wanted
from parcelhook.ledger import Ledger, attachment, intents
from parcelhook.ledger.schema import parcel, shipment
from parcelhook.ledger.writing import insert_all

pytest_plugins = ["ledger_databases"]

THEIRS = "0" * 32


def overtaken(table: sa.Table) -> Callable[..., int]:
    """Insert as usual, but for one table only after another process has inserted the very same under its own id."""

    def insert(connection: sa.Connection, its: sa.Table, rows: Sequence[dict[str, Any]], **options: bool) -> int:
        if its is table:
            insert_all(connection, its, [{**row, "id": THEIRS} for row in rows])
        return insert_all(connection, its, rows, **options)

    return insert


def test_a_parcel_that_another_process_makes_first_is_the_parcel(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two shipments with one number have one parcel, whoever makes it."""
    monkeypatch.setattr(attachment, "insert_all", overtaken(parcel))

    row, is_new = ledger.shipments.add(wanted())

    assert is_new
    assert [each.id for each in row.parcels] == [THEIRS]
    assert ledger.shipments.get(row.id) == row


def test_an_intent_that_another_process_adds_first_is_not_new(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes that want the same at once get one shipment, and one of them is told that it is not new."""
    monkeypatch.setattr(intents, "insert_all", overtaken(shipment))

    row, is_new = ledger.shipments.add(wanted())

    assert not is_new
    assert row.id == THEIRS
    assert len(ledger.shipments.find()) == 1
