"""The ledger as one object: opened once, passed to whatever reads or writes it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from parcelhook.ledger.bookings import Bookings
from parcelhook.ledger.budget import Budget
from parcelhook.ledger.calls import Calls
from parcelhook.ledger.database import DEFAULT_URL, Database
from parcelhook.ledger.history import history
from parcelhook.ledger.inbox import Inbox
from parcelhook.ledger.notices import Notices
from parcelhook.ledger.parcels import Parcels
from parcelhook.ledger.rows import HistoryEntry
from parcelhook.ledger.shipments import Shipments
from parcelhook.ledger.stores import Stores
from parcelhook.ledger.whereabouts import orders_numbered, stores_of_event, stores_of_order


def utc_now() -> datetime:
    """Give the present time, aware and UTC."""
    return datetime.now(UTC)


class Ledger:
    """All that is known about every order; safe to use from several threads, and beside other processes.

    Each method of its parts is one transaction, durable when it returns. Every one may raise LedgerError.
    """

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self.stores = Stores(database, clock=clock)
        self.inbox = Inbox(database, clock=clock)
        self.shipments = Shipments(database, clock=clock)
        self.parcels = Parcels(database, clock=clock)
        self.bookings = Bookings(database, clock=clock)
        self.budget = Budget(database, clock=clock)
        self.calls = Calls(database, self.budget, clock=clock)
        self.notices = Notices(database, clock=clock)

    @classmethod
    def open(cls, url: str = DEFAULT_URL, *, clock: Callable[[], datetime] = utc_now) -> Self:
        """Open the ledger at ``sqlite:///FILE`` or ``postgresql://...``, made or brought up to date where needed.

        Raise LedgerError, saying what to do, if it is of a newer version, cannot be written or cannot be reached.
        """
        database = Database(url)
        try:
            database.prepare()
        except BaseException:
            database.close()
            raise
        return cls(database, clock=clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the ledger's connections."""
        self._database.close()

    @property
    def url(self) -> str:
        """Give the database's URL, its password included: to connect with, never to be shown."""
        return self._database.url.render_as_string(hide_password=False)

    @property
    def is_postgres(self) -> bool:
        """Tell whether the ledger is kept in PostgreSQL."""
        return self._database.is_postgres

    def check(self) -> str:
        """Describe the ledger in one line; raise LedgerError if it is damaged or cannot be reached."""
        return self._database.check()

    def history(self, store: str, order_id: str) -> list[HistoryEntry]:
        """Read everything that happened to an order, in order of time; what is of one moment, causes first."""
        return history(self._database, store, order_id)

    def stores_of_order(self, order_id: str) -> list[str]:
        """Give the stores that anything is known of an order in."""
        return stores_of_order(self._database, order_id)

    def orders_numbered(self, number: str) -> list[tuple[str, str]]:
        """Give store and id of the orders that carry a number, as far as a shipment tells it."""
        return orders_numbered(self._database, number)

    def stores_of_event(self, event_id: str) -> list[str]:
        """Give the stores that an event came in for."""
        return stores_of_event(self._database, event_id)
