"""Intents: shipments are added under their key, once, however often and from wherever they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias

import sqlalchemy as sa

from parcelhook.ledger import notices
from parcelhook.ledger.attachment import attach, put_items, read_shipments
from parcelhook.ledger.database import Database
from parcelhook.ledger.ids import ordered_id
from parcelhook.ledger.rows import Added, NewShipment, ShipmentRow
from parcelhook.ledger.schema import shipment
from parcelhook.ledger.states import State
from parcelhook.models import Status

_Identity: TypeAlias = tuple[str, str, str]


def add(
    connection: sa.Connection, database: Database, news: Sequence[NewShipment], *, again: bool, now: datetime
) -> list[Added]:
    """Add shipments, or find them under their keys; ``again`` starts a new generation after a deletion."""
    known = _latest(connection, news)
    fresh: dict[_Identity, tuple[NewShipment, int]] = {}
    for new in news:
        latest = known.get(_identity(new))
        if latest is None:
            fresh.setdefault(_identity(new), (new, 1))
        elif again and latest.state is State.DELETED:
            fresh.setdefault(_identity(new), (new, latest.generation + 1))
    made = _insert(connection, database, list(fresh.values()), now=now)
    if fresh:
        # Read again: another process may have added the same intent a moment earlier.
        known = _latest(connection, news)
    rows = {row.id: row for row in read_shipments(connection, [row.id for row in known.values()])}
    notices.write(connection, [notices.about(rows[its], kind="added", at=now) for its in made])
    return _answers(news, {identity: rows[row.id] for identity, row in known.items()}, made=made)


def _answers(news: Sequence[NewShipment], rows: dict[_Identity, ShipmentRow], *, made: Sequence[str]) -> list[Added]:
    """Tell each request what it came to; only the first for a key can have made it."""
    unclaimed = set(made)
    answers = []
    for new in news:
        row = rows[_identity(new)]
        is_new = row.id in unclaimed
        unclaimed.discard(row.id)
        answers.append(Added(shipment=row, is_new=is_new, is_conflict=row.body_hash != new.body_hash))
    return answers


def _insert(
    connection: sa.Connection, database: Database, fresh: Sequence[tuple[NewShipment, int]], *, now: datetime
) -> list[str]:
    """Insert shipments with their items and parcels; give the ids of those nobody else added first."""
    if not fresh:
        return []
    values = [_values(new, generation=generation, now=now) for new, generation in fresh]
    # In the order of their keys, so that two processes never wait for each other in a circle.
    ordered = sorted(values, key=lambda row: (row["store"], row["order_id"], row["intent_key"]))
    insert = database.insert_new(shipment).values(ordered).returning(shipment.c.id)
    inserted = set(connection.execute(insert).scalars())
    mine = [(row["id"], new) for row, (new, _) in zip(values, fresh, strict=True) if row["id"] in inserted]
    made = [its for its, _ in mine]
    rows = read_shipments(connection, made)
    put_items(connection, [(row, new.items) for row, (_, new) in zip(rows, mine, strict=True)])
    attach(connection, database, [(row, new.parcels) for row, (_, new) in zip(rows, mine, strict=True)], now=now)
    return made


def _identity(new: NewShipment) -> _Identity:
    return (new.store, new.order_id, new.intent_key)


def _latest(connection: sa.Connection, news: Sequence[NewShipment]) -> dict[_Identity, sa.Row[*tuple[Any, ...]]]:
    row = shipment.c
    identities = {_identity(new) for new in news}
    query = (
        sa.select(row.store, row.order_id, row.intent_key, row.generation, row.id, row.state)
        # A few rows too many, told apart below: SQLite reads the whole table for a list of whole keys.
        .where(row.store.in_({new.store for new in news}), row.order_id.in_({new.order_id for new in news}))
        .order_by(row.generation)
    )
    latest = {(found.store, found.order_id, found.intent_key): found for found in connection.execute(query)}
    return {identity: found for identity, found in latest.items() if identity in identities}


def _values(new: NewShipment, *, generation: int, now: datetime) -> dict[str, Any]:
    return {
        "store": new.store,
        "id": ordered_id(),
        "order_id": new.order_id,
        "order_number": new.order_number,
        "intent_key": new.intent_key,
        "generation": generation,
        "carrier": new.carrier,
        "account": new.account,
        "provider": new.provider,
        "tracking_url": new.tracking_url,
        "link_source": new.link_source,
        "state": new.state,
        "status": Status.UNKNOWN,
        "source": new.source,
        "due_at": new.due_at,
        "body_hash": new.body_hash,
        "postal_code": new.postal_code,
        "country": new.country,
        "created_at": now,
        "updated_at": now,
        "version": 1,
    }
