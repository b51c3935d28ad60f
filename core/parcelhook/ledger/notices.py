"""Notices: what happened and why, written with the change itself, told to plug-ins afterwards, kept for ``why``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from parcelhook.ledger.database import Database
from parcelhook.ledger.ids import ordered_id
from parcelhook.ledger.rows import HistoryEntry, ShipmentRow
from parcelhook.ledger.schema import notice
from parcelhook.ledger.writing import insert_all
from parcelhook.models import Notice, Status

_CHUNK: Final = 500


def new_notice(
    store: str,
    *,
    kind: str,
    at: datetime,
    order_id: str = "",
    shipment_id: str = "",
    carrier: str = "",
    tracking_number: str = "",
    status: Status | None = None,
    detail: str = "",
    reason: str = "",
) -> dict[str, object]:
    """Make the row of a notice, to be inserted in the transaction of what it tells."""
    return {
        "store": store,
        "id": ordered_id(),
        "kind": kind,
        "at": at,
        "order_id": order_id,
        "shipment_id": shipment_id,
        "carrier": carrier,
        "tracking_number": tracking_number,
        "status": status,
        "detail": detail,
        "reason": reason,
    }


def about(row: ShipmentRow, *, kind: str, at: datetime, detail: str = "", reason: str = "") -> dict[str, object]:
    """Make the row of a notice about a shipment."""
    return new_notice(
        row.store,
        kind=kind,
        at=at,
        order_id=row.order_id,
        shipment_id=row.id,
        carrier=row.carrier,
        tracking_number=row.tracking_number,
        status=row.status,
        detail=detail,
        reason=reason,
    )


def write(connection: sa.Connection, rows: Sequence[dict[str, object]]) -> None:
    """Insert notices; none is fine."""
    insert_all(connection, notice, rows)


class Notices:
    """Decisions worth keeping, and what plug-ins are still to be told."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def add(
        self, store: str, *, kind: str, order_id: str = "", shipment_id: str = "", detail: str = "", reason: str = ""
    ) -> None:
        """Keep a decision that moved no shipment, such as an order that is not shipped, and its reason."""
        row = new_notice(
            store,
            kind=kind,
            at=self._clock(),
            order_id=order_id,
            shipment_id=shipment_id,
            detail=detail,
            reason=reason,
        )
        with self._database.write() as connection:
            write(connection, [row])

    def latest(self, rows: Sequence[ShipmentRow], *, kind: str, reason: str | None = None) -> dict[str, HistoryEntry]:
        """Give the last notice of a kind, and with this reason, about each shipment that has one, by shipment id."""
        wanted = [notice.c.kind == kind] if reason is None else [notice.c.kind == kind, notice.c.reason == reason]
        found: dict[str, HistoryEntry] = {}
        for start in range(0, len(rows), _CHUNK):
            some = rows[start : start + _CHUNK]
            query = (
                sa.select(notice.c.at, notice.c.kind, notice.c.shipment_id, notice.c.detail, notice.c.reason)
                .where(
                    notice.c.store.in_({row.store for row in some}),
                    notice.c.order_id.in_({row.order_id for row in some}),
                    notice.c.shipment_id.in_({row.id for row in some}),
                    *wanted,
                )
                .order_by(notice.c.id)
            )
            with self._database.read() as connection:
                found |= {row["shipment_id"]: HistoryEntry(**row) for row in connection.execute(query).mappings()}
        return found

    def untold(self, *, limit: int = 100) -> list[Notice]:
        """Give the oldest notices that were not told yet; they come again until ``told``."""
        query = sa.select(notice).where(notice.c.told.is_(False)).order_by(notice.c.id).limit(limit)
        with self._database.read() as connection:
            rows = connection.execute(query).mappings().all()
        return [Notice.model_validate({name: row[name] for name in Notice.model_fields}) for row in rows]

    def told(self, notices: Iterable[Notice]) -> None:
        """Mark notices as told."""
        keys = [{"its_store": each.store, "its_id": each.id} for each in notices]
        if not keys:
            return
        change = (
            sa.update(notice)
            .where(notice.c.store == sa.bindparam("its_store"), notice.c.id == sa.bindparam("its_id"))
            .values(told=True)
        )
        with self._database.write() as connection:
            connection.execute(change, keys)
