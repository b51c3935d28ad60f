"""What a ledger does at its edges: damage, a server that refuses, rows that look alike."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from ledger_samples import NOON, wanted
from parcelhook.errors import LedgerError
from parcelhook.ledger import InboxEvent, Ledger, NewParcel, State, faults

pytest_plugins = ["ledger_databases"]

RECEIVED = InboxEvent(
    store="default", id="event-1", event_type="wix.ecom.v1.order_approved", payload="{}", order_id="order-1"
)


def test_damage_that_nobody_met_yet(tmp_path: Path) -> None:
    """A table that was overwritten is found by the check, though nothing has read it."""
    path = tmp_path / "ledger.sqlite"
    Ledger.open(f"sqlite:///{path}").close()
    connection = sqlite3.connect(path)
    (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'wix_call'").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)

    with Ledger.open(f"sqlite:///{path}") as ledger, pytest.raises(LedgerError, match="is damaged") as refused:
        ledger.check()
    assert "restore a backup" in refused.value.what_to_do


@pytest.mark.parametrize("name", ["link.sqlite", "x" * 300])
def test_file_that_cannot_be_made(tmp_path: Path, name: str) -> None:
    """A link that leads nowhere, or a name that is too long, is told with the system's reason."""
    (tmp_path / "link.sqlite").symlink_to(tmp_path / "missing" / "ledger.sqlite")

    with pytest.raises(LedgerError, match=r"cannot be created: (No such file|File name too long)"):
        Ledger.open(f"sqlite:///{tmp_path / name}")


@pytest.mark.postgres
def test_login_that_postgres_refuses(postgres_server: str) -> None:
    """A user the server does not know is told as a refused login."""
    url = sa.make_url(postgres_server).set(username="nobody_of_this_name").render_as_string(hide_password=False)

    with pytest.raises(LedgerError, match="refuses the login"):
        Ledger.open(url)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (sa.exc.TimeoutError("every connection is in use"), "is locked"),
        (sa.exc.OperationalError("SELECT 1", None, RuntimeError("never heard of")), "reports: never heard of"),
    ],
)
def test_errors_without_a_code(error: sa.exc.SQLAlchemyError, message: str) -> None:
    """An error that no database gave a code for is told by its kind, or in its own words."""
    assert message in faults.translate(error, where="postgresql://example").message


def test_value_that_no_column_takes(ledger: Ledger) -> None:
    """A time without a zone is the caller's mistake, and no fault of the ledger's."""
    with pytest.raises(ValueError, match="zone"):
        ledger.stores.note_reconciled("default", at=datetime(2026, 3, 2, 12))  # noqa: DTZ001 - the mistake itself


def test_parcels_added_together_are_told_apart_by_their_carrier(ledger: Ledger) -> None:
    """Two carriers that gave the same number have a parcel each, also where they are looked up at once."""
    known, _ = ledger.shipments.add(wanted("order-1", "N2"))
    pair = [wanted("order-2", "N1"), wanted("order-3", "N2", carrier="other", parcels=(NewParcel(number="N2"),))]

    first, second = [added.shipment for added in ledger.shipments.add_all(pair)]

    assert len({row.parcels[0].id for row in (known, first, second)}) == 3


def test_shipments_are_counted_by_store(ledger: Ledger) -> None:
    """Only the shipments of the named store are counted."""
    ledger.stores.ensure("shop", site="site-2")
    ledger.shipments.add(wanted())
    ledger.shipments.add(wanted(store="shop"))
    ledger.shipments.add(wanted("order-2", "AC2", store="shop"))

    assert ledger.shipments.count(store="shop") == {State.READY: 2}


def test_event_that_is_not_dealt_with_yet(ledger: Ledger) -> None:
    """The history of an order tells that an event came, before it tells what came of it."""
    ledger.inbox.receive([RECEIVED])

    assert [(entry.kind, entry.at) for entry in ledger.history("default", "order-1")] == [("event", NOON)]


def test_events_of_every_store(ledger: Ledger) -> None:
    """Without a store's name the events of all of them are found."""
    ledger.stores.ensure("shop", site="site-2")
    ledger.inbox.receive([RECEIVED, replace(RECEIVED, store="shop")])

    assert {row.store for row in ledger.inbox.find()} == {"default", "shop"}
