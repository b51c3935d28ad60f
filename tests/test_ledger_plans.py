"""How the ledger is read: by an index, so that it stays as quick with a million orders as with ten."""

from __future__ import annotations

import re
import shutil
import sqlite3
from pathlib import Path

import sqlalchemy as sa

from ledger_samples import ITEMS, NOON, wanted
from parcelhook.ledger import InboxEvent, Judgement, Ledger, State, moves
from parcelhook.ledger.schema import metadata
from parcelhook.models import Scan, Status

pytest_plugins = ["ledger_databases"]

EVENT = InboxEvent(
    store="default", id="event-1", event_type="updated", payload="{}", order_id="order-1", entity_id="1", sequence=1
)
UNBOUNDED = re.compile(rf"SCAN ({'|'.join(metadata.tables.keys() - {'store'})})\b|SEARCH .*\(store=\?\)")
"""A step that reads a table from end to end, or all of a store's part of it; stores themselves are few."""


def use(ledger: Ledger) -> None:
    """Do what the flows do all day."""
    ledger.inbox.receive([EVENT])
    ledger.inbox.is_stale(EVENT)
    ledger.inbox.showed_before(EVENT, "id")
    ledger.inbox.told("default", ["order-1"])
    ledger.inbox.pending(["default"])
    ledger.inbox.due_stores(["default"])
    for event in ledger.inbox.take("default", lease_seconds=60):
        ledger.inbox.finish(event, outcome="done")
    ledger.shipments.add_all([wanted("order-1"), wanted("order-2", "AC2")])
    ledger.shipments.due()
    rows = ledger.shipments.claim("default", states={State.READY, State.SENDING}, owner="one", lease_seconds=60)
    rows = ledger.shipments.move_all([moves.sending(row, send_before=NOON, items=ITEMS) for row in rows])
    ledger.shipments.bound_fulfillments("default", ["order-1", "order-2"])
    ledger.calls.begin("default", operation="create", method="POST", path="/f", shipments=rows)
    ledger.shipments.move_all([moves.created(row, fulfillment_id=row.order_id, wix_status=None) for row in rows])
    parcel = rows[0].parcels[0]
    ledger.parcels.poll_at([parcel.id], NOON)
    ledger.parcels.due()
    ledger.parcels.take_due(store="default", carrier="acme")
    scan = Scan(code="1", time=NOON)
    ledger.parcels.record(parcel.id, [scan], found=True, judge=lambda _: Judgement(status=Status.DELIVERED))
    for row in ledger.parcels.shipments_of(parcel.id):
        ledger.shipments.set_status(row.id, status=Status.DELIVERED, wanted_wix_status="Fulfilled")
    ledger.shipments.claim_pushes("default", owner="one", lease_seconds=60)
    ledger.shipments.extend("one", [row.id for row in rows], lease_seconds=60)
    ledger.shipments.find(store="default", order_id="order-1")
    ledger.inbox.find(store="default", order_id="order-1")
    ledger.history("default", "order-1")
    ledger.notices.told(ledger.notices.untold())
    ledger.budget.acquire("site-1")


def test_no_statement_reads_a_whole_table(sqlite_template: Path, tmp_path: Path) -> None:
    """Every statement of the flows finds its rows by an index, whatever the ledger holds."""
    path = tmp_path / "ledger.sqlite"
    shutil.copyfile(sqlite_template, path)
    statements: list[str] = []
    with Ledger.open(f"sqlite:///{path}") as ledger:
        ledger.stores.ensure("default", site="site-1")

        @sa.event.listens_for(ledger._database._engine, "before_cursor_execute")
        def note(connection: object, cursor: object, statement: str, *_: object) -> None:
            if statement.startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
                statements.append(statement)

        use(ledger)

    with sqlite3.connect(path) as connection:
        plans = {
            statement: [
                step[3] for step in connection.execute(f"EXPLAIN QUERY PLAN {statement}", [None] * statement.count("?"))
            ]
            for statement in statements
        }
    connection.close()

    assert len(plans) > 25
    assert {text: plan for text, plan in plans.items() if any(UNBOUNDED.match(step) for step in plan)} == {}
