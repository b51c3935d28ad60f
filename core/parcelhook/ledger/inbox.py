"""The inbox: every webhook event, durable before Wix is answered, finished once its effects are in the ledger."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from parcelhook.ledger.database import Database
from parcelhook.ledger.rows import EventRow, InboxEvent, Told
from parcelhook.ledger.schema import inbox

ORDER: Final = "wix.ecom.v1.order"
FULFILLMENTS: Final = "wix.ecom.v1.fulfillments"
APPROVED: Final = "wix.ecom.v1.order_approved"
CANCELED: Final = "wix.ecom.v1.order_canceled"

NEVER_STALE: Final = frozenset({APPROVED, CANCELED})
"""Events that say what happened, and not only how the entity looks now."""

STALE: Final = "ignored: a later snapshot of it has arrived"
"""The outcome of an event that is stale."""

_CHUNK: Final = 500


class Inbox:
    """The events of every store."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def receive(self, events: Sequence[InboxEvent]) -> list[bool]:
        """Keep a group of events in one durable write; give, for each, whether it is new."""
        now = self._clock()
        new: set[tuple[str, str]] = set()
        with self._database.write() as connection:
            for start in range(0, len(events), _CHUNK):
                rows = [asdict(event) | {"received_at": now} for event in events[start : start + _CHUNK]]
                insert = self._database.insert_new(inbox).values(rows).returning(inbox.c.store, inbox.c.id)
                new.update((row.store, row.id) for row in connection.execute(insert))
        answers = []
        for event in events:
            answers.append((event.store, event.id) in new)
            new.discard((event.store, event.id))
        return answers

    def pending(self, stores: Collection[str], *, limit: int = 1000) -> list[EventRow]:
        """Read the events of some stores that are not finished, the oldest first."""
        query = sa.select(inbox).where(*_unfinished(stores))
        with self._database.read() as connection:
            found = connection.execute(query.order_by(*_OLDEST).limit(limit))
            return [EventRow(**row) for row in found.mappings()]

    def due_stores(self, stores: Collection[str]) -> set[str]:
        """Give those of some stores that have an event to be dealt with now."""
        query = sa.select(inbox.c.store).distinct().where(*_unfinished(stores), _due(self._clock()))
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())

    def take(self, store: str, *, lease_seconds: float, limit: int = 100) -> list[EventRow]:
        """Take events of a store to be dealt with; those not finished within the lease come again.

        Nobody takes events of all stores: another service on this ledger may serve the others.
        """
        now = self._clock()
        chosen = (
            sa.select(inbox.c.store, inbox.c.id)
            .where(*_unfinished([store]), _due(now))
            .order_by(*_OLDEST)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("chosen")
        )
        change = (
            sa.update(inbox)
            .where(sa.tuple_(inbox.c.store, inbox.c.id).in_(sa.select(chosen.c.store, chosen.c.id)))
            .values(due_at=now + timedelta(seconds=lease_seconds), attempts=inbox.c.attempts + 1)
            .returning(inbox)
        )
        with self._database.write() as connection:
            taken = [EventRow(**row) for row in connection.execute(change).mappings()]
        return sorted(taken, key=lambda event: (event.received_at, event.id))

    def finish(self, event: InboxEvent, *, outcome: str, detail: str = "") -> None:
        """Note what an event came to; it is not given again."""
        self._change(event, finished_at=self._clock(), outcome=outcome, detail=detail)

    def retry(self, event: InboxEvent, *, due_at: datetime, detail: str) -> None:
        """Put an event off, with the reason."""
        self._change(event, due_at=due_at, detail=detail)

    def replay(self, store: str, event_id: str) -> bool:
        """Deal with an event once more; give whether there is such an event."""
        change = (
            sa.update(inbox)
            .where(inbox.c.store == store, inbox.c.id == event_id)
            .values(finished_at=None, due_at=None, outcome="", detail="")
        )
        with self._database.write() as connection:
            return connection.execute(change).rowcount == 1

    def find(
        self, *, store: str | None = None, order_id: str | None = None, is_pending: bool = False, limit: int = 100
    ) -> list[EventRow]:
        """Read events, the latest first; with ``is_pending`` only those that are not finished."""
        query = sa.select(inbox).order_by(inbox.c.received_at.desc(), inbox.c.id.desc()).limit(limit)
        if store is not None:
            query = query.where(inbox.c.store == store)
        if order_id is not None:
            query = query.where(inbox.c.order_id == order_id)
        if is_pending:
            query = query.where(inbox.c.finished_at.is_(None))
        with self._database.read() as connection:
            return [EventRow(**row) for row in connection.execute(query).mappings()]

    def is_stale(self, event: InboxEvent, *, kinds: Collection[str] = ()) -> bool:
        """Tell whether this snapshot must not be believed: a later one of the entity arrived, or it was dealt with.

        ``kinds`` are the types of events that count; none named means all. Approved and Canceled are never stale: they
        tell what happened, in whatever order they come. Of two with one number, the first that is finished stands.
        """
        if event.sequence is None or not event.entity_id or event.event_type in NEVER_STALE:
            return False
        other = inbox.c
        is_dealt_with = sa.or_(sa.and_(other.finished_at.is_not(None), other.outcome != STALE), other.id < event.id)
        is_same = sa.and_(other.event_type == event.event_type, other.id != event.id, is_dealt_with)
        wanted = [*_of_entity(event), sa.or_(other.sequence > event.sequence, is_same)]
        if kinds:
            wanted.append(other.event_type.in_(kinds))
        later = sa.exists().where(*wanted, other.sequence >= event.sequence)
        with self._database.read() as connection:
            return bool(connection.execute(sa.select(later)).scalar_one())

    def showed_before(self, event: InboxEvent, text: str) -> bool:
        """Tell whether an earlier snapshot of the same entity holds a text that this one may lack."""
        if event.sequence is None or not event.entity_id:
            return False
        earlier = sa.exists().where(
            *_of_entity(event), inbox.c.sequence < event.sequence, inbox.c.payload.contains(text, autoescape=True)
        )
        with self._database.read() as connection:
            return bool(connection.execute(sa.select(earlier)).scalar_one())

    def told(self, store: str, order_ids: Collection[str]) -> dict[str, Told]:
        """Give, by order, what webhooks told of it so far."""
        with self._database.read() as connection:
            return {
                id_: Told(
                    order=_latest(connection, store, ORDER, id_),
                    fulfillments=_latest(connection, store, FULFILLMENTS, id_),
                    happened=_happened(connection, store, id_),
                )
                for id_ in order_ids
            }

    def _change(self, event: InboxEvent, **values: object) -> None:
        change = sa.update(inbox).where(inbox.c.store == event.store, inbox.c.id == event.id).values(**values)
        with self._database.write() as connection:
            connection.execute(change)


_OLDEST: Final = (inbox.c.received_at, inbox.c.id)


def _due(now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(inbox.c.due_at.is_(None), inbox.c.due_at <= now)


def _unfinished(stores: Collection[str]) -> tuple[sa.ColumnElement[bool], ...]:
    # With the bare column, SQLite reads every event that a store ever had, and not the few that are unfinished.
    return (inbox.c.finished_at.is_(None), inbox.c.store.concat("").in_(stores))


def _of_entity(event: InboxEvent) -> tuple[sa.ColumnElement[bool], ...]:
    row = inbox.c
    return (row.store == event.store, row.entity_fqdn == event.entity_fqdn, row.entity_id == event.entity_id)


def _latest(connection: sa.Connection, store: str, entity_fqdn: str, entity_id: str) -> str | None:
    row = inbox.c
    query = (
        sa.select(row.payload)
        .where(
            row.store == store, row.entity_fqdn == entity_fqdn, row.entity_id == entity_id, row.sequence.is_not(None)
        )
        .order_by(row.sequence.desc())
        .limit(1)
    )
    return connection.execute(query).scalar_one_or_none()


def _happened(connection: sa.Connection, store: str, order_id: str) -> dict[str, datetime | None]:
    row = inbox.c
    query = (
        sa.select(row.event_type, sa.func.min(row.event_time).label("at"))
        .where(row.store == store, row.order_id == order_id, row.event_type.in_(NEVER_STALE))
        .group_by(row.event_type)
    )
    return {row.event_type: row.at for row in connection.execute(query)}
