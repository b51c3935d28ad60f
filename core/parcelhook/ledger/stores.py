"""Stores: which site each one is, since when, and how far it was looked through."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa

from parcelhook.errors import InputError, LedgerError
from parcelhook.ledger.database import Database
from parcelhook.ledger.rows import StoreRow
from parcelhook.ledger.schema import store


class Stores:
    """The stores this ledger keeps."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def ensure(self, store_id: str, *, site: str, wix_url: str = "") -> StoreRow:
        """Note a store on first sight, as set up now; ``site`` is its app instance or site id at Wix.

        Raise LedgerError if the name belongs to another site, for its orders would be mixed with this one's.
        """
        fresh = {"id": store_id, "site": site, "wix_url": wix_url, "set_up_at": self._clock()}
        with self._database.write() as connection:
            connection.execute(self._database.insert_new(store).values(fresh))
            row = _read(connection, store_id)
            if row.site != site:
                msg = f"the ledger knows the store {store_id} as the site {row.site}, not {site}"
                what_to_do = "Give the other site a [stores.NAME] of its own, or name another database."
                raise LedgerError(msg, where=self._database.where, what_to_do=what_to_do)
            if row.wix_url != wix_url:
                connection.execute(sa.update(store).where(store.c.id == store_id).values(wix_url=wix_url))
            return _read(connection, store_id)

    def get(self, store_id: str) -> StoreRow:
        """Read a store; raise InputError if the ledger does not know it."""
        with self._database.read() as connection:
            return _read(connection, store_id)

    def all(self) -> list[StoreRow]:
        """Read every store, by name."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(store).order_by(store.c.id)).mappings()
            return [StoreRow(**row) for row in rows]

    def set_paused(self, store_id: str, *, paused: bool) -> None:
        """Stop the store's creations, or let them go on."""
        self._change(store_id, paused=paused)

    def note_reconciled(self, store_id: str, *, at: datetime, poll_cursor: datetime | None = None) -> None:
        """Note when the store was last looked through and, where given, up to which update of its orders."""
        self._change(store_id, reconciled_at=at, **({} if poll_cursor is None else {"poll_cursor": poll_cursor}))

    def _change(self, store_id: str, **values: object) -> None:
        with self._database.write() as connection:
            _read(connection, store_id)
            connection.execute(sa.update(store).where(store.c.id == store_id).values(**values))


def _read(connection: sa.Connection, store_id: str) -> StoreRow:
    row = connection.execute(sa.select(store).where(store.c.id == store_id)).mappings().one_or_none()
    if row is None:
        msg = f"the ledger knows no store {store_id}"
        raise InputError(msg, field="store", what_to_do="Check the names under [stores.NAME].")
    return StoreRow(**row)
