"""The history of an order: its events, the calls to Wix that concerned it, and each decision with its reason."""

from __future__ import annotations

import sqlalchemy as sa

from parcelhook.ledger.database import Database
from parcelhook.ledger.rows import HistoryEntry
from parcelhook.ledger.schema import inbox, notice, wix_call, wix_call_order


def history(database: Database, store: str, order_id: str) -> list[HistoryEntry]:
    """Read everything that happened to an order, in order of time."""
    with database.read() as connection:
        entries = [
            *_events(connection, store, order_id),
            *_calls(connection, store, order_id),
            *_notices(connection, store, order_id),
        ]
    return sorted(entries, key=lambda entry: entry.at)


def _events(connection: sa.Connection, store: str, order_id: str) -> list[HistoryEntry]:
    query = (
        sa.select(inbox)
        .where(inbox.c.store == store, inbox.c.order_id == order_id)
        .order_by(inbox.c.received_at, inbox.c.id)
    )
    entries = []
    for row in connection.execute(query).mappings():
        detail = f"{row['event_type']} {row['id']}"
        reason = row["detail"]
        entries.append(HistoryEntry(at=row["received_at"], kind="event", detail=detail))
        if row["finished_at"] is not None:
            outcome = f"{row['id']}: {row['outcome']}"
            entries.append(HistoryEntry(at=row["finished_at"], kind="event_done", detail=outcome, reason=reason))
    return entries


def _calls(connection: sa.Connection, store: str, order_id: str) -> list[HistoryEntry]:
    concerned = wix_call_order.c
    query = (
        sa.select(wix_call, concerned.shipment_id)
        .join(wix_call_order, sa.and_(concerned.store == wix_call.c.store, concerned.call_id == wix_call.c.id))
        .where(concerned.store == store, concerned.order_id == order_id)
        .order_by(wix_call.c.id, concerned.shipment_id)
    )
    return [
        HistoryEntry(
            at=row["sent_at"],
            kind="call",
            shipment_id=row["shipment_id"],
            detail=f"{row['operation']}: {row['method']} {row['path']}",
            reason=f"{row['status'] or 'no answer'} {row['outcome']}".rstrip(),
            request_id=row["request_id"],
        )
        for row in connection.execute(query).mappings()
    ]


def _notices(connection: sa.Connection, store: str, order_id: str) -> list[HistoryEntry]:
    query = sa.select(notice).where(notice.c.store == store, notice.c.order_id == order_id).order_by(notice.c.id)
    return [
        HistoryEntry(
            at=row["at"],
            kind=row["kind"],
            shipment_id=row["shipment_id"],
            detail=row["detail"],
            reason=row["reason"],
        )
        for row in connection.execute(query).mappings()
    ]
