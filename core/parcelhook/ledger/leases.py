"""Leases on shipments: one owner at a time works on one, and loses it when it does not come back in time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from parcelhook.ledger.attachment import read_shipments
from parcelhook.ledger.rows import ShipmentRow
from parcelhook.ledger.schema import shipment
from parcelhook.ledger.schema import store as stores
from parcelhook.ledger.states import State

_OPEN = (State.WAITING_NUMBER, State.WAITING_LINK, State.READY, State.SENDING, State.CREATED)


def take(
    connection: sa.Connection,
    store: str,
    wanted: Sequence[sa.ColumnElement[bool]],
    *,
    first: Sequence[sa.ColumnElement[Any]],
    owner: str,
    until: datetime,
    limit: int,
    now: datetime,
) -> list[ShipmentRow]:
    """Give the owner shipments that are due and that nobody holds, in one statement; ``first`` orders them."""
    column = shipment.c
    chosen = (
        sa.select(column.id)
        .where(column.store == store, *wanted, *_free(now))
        .order_by(*first)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("chosen")  # PostgreSQL runs it once, so that it locks no more rows than it gives
    )
    change = (
        sa.update(shipment)
        .where(column.id.in_(sa.select(chosen.c.id)))
        .values(claimed_by=owner, claimed_until=until, version=column.version + 1)
        .returning(column.id)
    )
    taken = connection.execute(change).scalars().all()
    order = sa.select(column.id).where(column.id.in_(taken)).order_by(*first)
    return read_shipments(connection, connection.execute(order).scalars().all())


def due(connection: sa.Connection, *, now: datetime) -> dict[str, set[State]]:
    """Give, by store, the states of shipments that are due and that nobody holds."""
    column = shipment.c
    further = {State.CREATED: column.wanted_wix_status.is_not(None), State.WAITING_NUMBER: column.due_at.is_not(None)}
    # Store by store and state by state, for each is found by an index; all at once reads every shipment there ever was.
    is_due = [
        sa.exists().where(
            column.store == stores.c.id, column.state == state, further.get(state, sa.true()), *_free(now)
        )
        for state in _OPEN
    ]
    answers = {id_: answers for id_, *answers in connection.execute(sa.select(stores.c.id, *is_due))}
    return {id_: {state for state, is_so in zip(_OPEN, its, strict=True) if is_so} for id_, its in answers.items()}


def _free(now: datetime) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    column = shipment.c
    return (
        sa.or_(column.claimed_until.is_(None), column.claimed_until < now),
        sa.or_(column.due_at.is_(None), column.due_at <= now),
    )
