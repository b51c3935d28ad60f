"""Whereabouts: in which stores an order or an event is known, for whoever names it without its store."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from parcelhook.ledger.database import Database
from parcelhook.ledger.schema import inbox, notice, shipment, store, wix_call_order

_ABOUT_ORDERS: Final = (shipment, inbox, notice, wix_call_order)


def stores_of_order(database: Database, order_id: str) -> list[str]:
    """Give the stores that anything is known of an order in: a shipment, an event, a decision or a call."""
    found: set[str] = set()
    with database.read() as connection:
        for table in _ABOUT_ORDERS:
            query = sa.select(table.c.store).distinct().where(_of_any_store(table), table.c.order_id == order_id)
            found.update(connection.execute(query).scalars())
    return sorted(found)


def orders_numbered(database: Database, number: str) -> list[tuple[str, str]]:
    """Give store and id of the orders that carry a number, as far as a shipment tells it."""
    if not number:
        return []
    row = shipment.c
    query = sa.select(row.store, row.order_id).distinct().where(row.order_number == number)
    with database.read() as connection:
        return [(found.store, found.order_id) for found in connection.execute(query.order_by(row.store, row.order_id))]


def stores_of_event(database: Database, event_id: str) -> list[str]:
    """Give the stores that an event came in for."""
    query = sa.select(inbox.c.store).where(_of_any_store(inbox), inbox.c.id == event_id).order_by(inbox.c.store)
    with database.read() as connection:
        return list(connection.execute(query).scalars())


def _of_any_store(table: sa.Table) -> sa.ColumnElement[bool]:
    """Name all stores, for every key begins with one: without it the whole table would be read."""
    return table.c.store.in_(sa.select(store.c.id))
