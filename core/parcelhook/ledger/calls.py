"""Calls to Wix: a row before each call leaves, its outcome afterwards."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from parcelhook.ledger.budget import Budget
from parcelhook.ledger.database import Database
from parcelhook.ledger.ids import ordered_id
from parcelhook.ledger.rows import CallRow, ShipmentRow
from parcelhook.ledger.schema import wix_call, wix_call_order
from parcelhook.ledger.writing import insert_all


class Calls:
    """Every call to Wix, and the orders it concerned."""

    def __init__(self, database: Database, budget: Budget, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._budget = budget
        self._clock = clock

    def admit(
        self,
        store: str,
        *,
        site: str,
        per_minute: int,
        operation: str,
        method: str,
        path: str,
        order_ids: Collection[str] = (),
    ) -> str | float:
        """Note a call that may leave now by its site's budget, and give its id; else the seconds to wait."""
        with self._database.note() as connection:
            wait = self._budget.acquire_in(connection, site, per_minute=per_minute)
            if wait > 0:
                return wait
            about = {(order_id, "") for order_id in order_ids}
            return self._begin(connection, store, about=about, operation=operation, method=method, path=path)

    def begin(
        self,
        store: str,
        *,
        operation: str,
        method: str,
        path: str,
        order_ids: Collection[str] = (),
        shipments: Sequence[ShipmentRow] = (),
    ) -> str:
        """Note a call that is about to leave, and give its id; it concerns the shipments' orders and ``order_ids``."""
        about = {(row.order_id, row.id) for row in shipments} | {(order_id, "") for order_id in order_ids}
        with self._database.note() as connection:
            return self._begin(connection, store, about=about, operation=operation, method=method, path=path)

    def _begin(self, connection: sa.Connection, store: str, *, about: Collection[tuple[str, str]], **call: str) -> str:
        call_id = ordered_id()
        insert_all(connection, wix_call, [{"store": store, "id": call_id, **call, "sent_at": self._clock()}])
        orders = [
            {"store": store, "call_id": call_id, "order_id": order_id, "shipment_id": shipment_id}
            for order_id, shipment_id in sorted(about)
        ]
        insert_all(connection, wix_call_order, orders)
        return call_id

    def end(self, store: str, call_id: str, *, status: int | None, request_id: str = "", outcome: str = "") -> None:
        """Note the answer's HTTP status (None without an answer), Wix's request id, and what it came to."""
        ended = {"ended_at": self._clock(), "status": status, "request_id": request_id, "outcome": outcome}
        with self._database.note() as connection:
            connection.execute(_END, {"its_store": store, "its_id": call_id, **ended})

    def find(self, store: str, *, order_id: str | None = None, limit: int = 1000) -> list[CallRow]:
        """Read calls, the oldest first; with ``order_id``, those that concerned the order."""
        query = sa.select(wix_call).where(wix_call.c.store == store).order_by(wix_call.c.id).limit(limit)
        if order_id is not None:
            concerned = sa.select(wix_call_order.c.call_id).where(
                wix_call_order.c.store == store, wix_call_order.c.order_id == order_id
            )
            query = query.where(wix_call.c.id.in_(concerned))
        with self._database.read() as connection:
            return [CallRow(**row) for row in connection.execute(query).mappings()]


_END: Final = (
    sa.update(wix_call)
    .where(wix_call.c.store == sa.bindparam("its_store"), wix_call.c.id == sa.bindparam("its_id"))
    .values({name: sa.bindparam(name) for name in ("ended_at", "status", "request_id", "outcome")})
)
