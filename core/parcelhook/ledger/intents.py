"""Intents: shipments are added under their key, once, however often and from wherever they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

import sqlalchemy as sa

from parcelhook.ledger import notices, words
from parcelhook.ledger.attachment import attach, put_items, read_shipments
from parcelhook.ledger.columns import among, some
from parcelhook.ledger.ids import ordered_id
from parcelhook.ledger.rows import Added, NewShipment, ShipmentRow
from parcelhook.ledger.schema import shipment
from parcelhook.ledger.states import State
from parcelhook.ledger.writing import insert_all
from parcelhook.models import Status

_Identity: TypeAlias = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Claim:
    """Who holds what is added, and until when."""

    owner: str
    until: datetime


def add(
    connection: sa.Connection,
    news: Sequence[NewShipment],
    *,
    again: bool,
    claim: Claim | None = None,
    now: datetime,
) -> list[Added]:
    """Add shipments, or find them under their keys; ``again`` starts a new generation after a deletion.

    What is new is held by ``claim`` from its first moment, so that no other worker takes a part of what belongs
    together.
    """
    known = _latest(connection, news)
    fresh: dict[_Identity, tuple[NewShipment, int]] = {}
    for new in news:
        latest = known.get(_identity(new))
        if latest is None:
            fresh.setdefault(_identity(new), (new, 1))
        elif again and latest.state is State.DELETED:
            fresh.setdefault(_identity(new), (new, latest.generation + 1))
    made = _insert(connection, list(fresh.values()), claim=claim, now=now)
    if len(made) < len(fresh):
        # Another process added the same intent a moment earlier.
        known = _latest(connection, news)
    its = {_identity_of(row): row for row in made}
    found = read_shipments(connection, [row.id for identity, row in known.items() if identity not in its])
    its |= {_identity_of(row): row for row in found}
    notices.write(connection, [_added(row, now=now) for row in made])
    return _answers(news, its, made={row.id for row in made})


def _answers(news: Sequence[NewShipment], rows: dict[_Identity, ShipmentRow], *, made: set[str]) -> list[Added]:
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
    connection: sa.Connection,
    fresh: Sequence[tuple[NewShipment, int]],
    *,
    claim: Claim | None,
    now: datetime,
) -> list[ShipmentRow]:
    """Insert shipments with their items and parcels; give those that nobody else added first."""
    if not fresh:
        return []
    rows = [(_row(new, generation=generation, claim=claim, now=now), new) for new, generation in fresh]
    # In the order of their keys, so that two processes never wait for each other in a circle.
    rows.sort(key=lambda each: _identity_of(each[0]))
    inserted = insert_all(connection, shipment, [_columns(row) for row, _ in rows], leaves_existing=True)
    mine = rows
    if inserted != len(rows):
        # Another process has added some of them in this very moment.
        present = set(_present(connection, [row.id for row, _ in rows]))
        mine = [(row, new) for row, new in rows if row.id in present]
    put_items(connection, [(row, new.items) for row, new in mine])
    parcels = attach(connection, [(row, new.parcels) for row, new in mine], now=now)
    return [row.changed(items=new.items, parcels=parcels[row.id]) for row, new in mine]


def _present(connection: sa.Connection, ids: Sequence[str]) -> Sequence[str]:
    return connection.execute(sa.select(shipment.c.id).where(among(shipment.c.id, ids))).scalars().all()


def _columns(row: ShipmentRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _COLUMNS}


_COLUMNS: Final = tuple(column.name for column in shipment.c)


def _added(row: ShipmentRow, *, now: datetime) -> dict[str, object]:
    detail, reason = words.wanted(row)
    return notices.about(row, kind="added", at=now, detail=detail, reason=reason)


def _identity_of(row: ShipmentRow) -> _Identity:
    return (row.store, row.order_id, row.intent_key)


def _identity(new: NewShipment) -> _Identity:
    return (new.store, new.order_id, new.intent_key)


def _latest(connection: sa.Connection, news: Sequence[NewShipment]) -> dict[_Identity, sa.Row[*tuple[Any, ...]]]:
    identities = {_identity(new) for new in news}
    its = {"stores": {new.store for new in news}, "orders": {new.order_id for new in news}}
    latest = {(found.store, found.order_id, found.intent_key): found for found in connection.execute(_LATEST, its)}
    return {identity: found for identity, found in latest.items() if identity in identities}


_LATEST: Final = (
    sa.select(*(shipment.c[name] for name in ("store", "order_id", "intent_key", "generation", "id", "state")))
    # A few rows too many, told apart above: SQLite reads the whole table for a list of whole keys.
    .where(among(shipment.c.store, some("stores")), among(shipment.c.order_id, some("orders")))
    .order_by(shipment.c.generation)
)


def _row(new: NewShipment, *, generation: int, claim: Claim | None, now: datetime) -> ShipmentRow:
    return ShipmentRow(
        store=new.store,
        id=ordered_id(),
        order_id=new.order_id,
        order_number=new.order_number,
        intent_key=new.intent_key,
        generation=generation,
        carrier=new.carrier,
        account=new.account,
        provider=new.provider,
        tracking_url=new.tracking_url,
        link_source=new.link_source,
        state=new.state,
        fulfillment_id=None,
        wix_status=None,
        wanted_wix_status=None,
        pushed_at=None,
        status=Status.UNKNOWN,
        reason=None,
        send_before=None,
        sent_at=None,
        claimed_by=claim.owner if claim else None,
        claimed_until=claim.until if claim else None,
        due_at=new.due_at,
        attempts=0,
        ambiguous=0,
        error="",
        what_to_do="",
        source=new.source,
        body_hash=new.body_hash,
        postal_code=new.postal_code,
        country=new.country,
        created_at=now,
        updated_at=now,
        version=1,
    )
