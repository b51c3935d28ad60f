"""The inbox: every webhook event, durable before Wix is answered, finished once its effects are in the ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from parcelhook.ledger.database import Database
from parcelhook.ledger.rows import EventRow, InboxEvent
from parcelhook.ledger.schema import inbox

NEVER_STALE: Final = frozenset({"wix.ecom.v1.order_approved", "wix.ecom.v1.order_canceled"})
"""Events that say what happened, and not only how the entity looks now."""

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

    def pending(self, *, limit: int = 1000) -> list[EventRow]:
        """Read events that are not finished, the oldest first."""
        query = sa.select(inbox).where(inbox.c.finished_at.is_(None)).order_by(*_OLDEST).limit(limit)
        with self._database.read() as connection:
            return [EventRow(**row) for row in connection.execute(query).mappings()]

    def due_stores(self) -> set[str]:
        """Give the stores that have an event to be dealt with now."""
        query = sa.select(inbox.c.store).distinct().where(inbox.c.finished_at.is_(None), _due(self._clock()))
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())

    def take(self, *, store: str | None = None, lease_seconds: float, limit: int = 100) -> list[EventRow]:
        """Take events to be dealt with, of one store or of all; those not finished within the lease come again."""
        now = self._clock()
        mine = sa.true() if store is None else inbox.c.store == store
        chosen = (
            sa.select(inbox.c.store, inbox.c.id)
            .where(inbox.c.finished_at.is_(None), _due(now), mine)
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

    def is_stale(self, event: InboxEvent) -> bool:
        """Tell whether a later snapshot of the same entity arrived, so that this one must not be believed.

        Approved and Canceled are never stale: they tell what happened, in whatever order they come.
        """
        if event.sequence is None or event.event_type in NEVER_STALE:
            return False
        later = sa.exists().where(
            inbox.c.store == event.store,
            inbox.c.entity_fqdn == event.entity_fqdn,
            inbox.c.entity_id == event.entity_id,
            inbox.c.sequence > event.sequence,
        )
        with self._database.read() as connection:
            return bool(connection.execute(sa.select(later)).scalar_one())

    def _change(self, event: InboxEvent, **values: object) -> None:
        change = sa.update(inbox).where(inbox.c.store == event.store, inbox.c.id == event.id).values(**values)
        with self._database.write() as connection:
            connection.execute(change)


_OLDEST: Final = (inbox.c.received_at, inbox.c.id)


def _due(now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(inbox.c.due_at.is_(None), inbox.c.due_at <= now)
