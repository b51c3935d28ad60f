"""Bookings at carriers: a row under a stable key before the carrier is called, what it answered afterwards."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa

from parcelhook.errors import InputError, WrongState
from parcelhook.ledger.database import Database
from parcelhook.ledger.rows import BookingRow
from parcelhook.ledger.schema import booking
from parcelhook.ledger.states import BookingState
from parcelhook.models import Booking


class Bookings:
    """The bookings of every store; a key is booked at most once."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def begin(self, store: str, *, key: str, shipment_id: str, carrier: str) -> tuple[BookingRow, bool]:
        """Note a booking that is about to be made; give it and whether it is new.

        One that is not new and still BOOKING was interrupted: the carrier must be asked what it left behind before
        anything is booked under the key again.
        """
        now = self._clock()
        values = {
            "store": store,
            "key": key,
            "shipment_id": shipment_id,
            "carrier": carrier,
            "state": BookingState.BOOKING,
            "created_at": now,
            "updated_at": now,
        }
        insert = self._database.insert_new(booking).values(values).returning(booking.c.key)
        with self._database.write() as connection:
            is_new = connection.execute(insert).first() is not None
            return _read(connection, store, key), is_new

    def again(self, store: str, *, key: str) -> BookingRow:
        """Note another try under the same key, after the last one is known to have booked nothing."""
        allowed = {BookingState.BOOKING, BookingState.FAILED, BookingState.NEEDS_REVIEW}
        return self._move(store, key, BookingState.BOOKING, allowed=allowed, attempts=booking.c.attempts + 1)

    def finish(self, store: str, *, answer: Booking) -> BookingRow:
        """Keep what the carrier booked."""
        allowed = {BookingState.BOOKING, BookingState.NEEDS_REVIEW, BookingState.BOOKED}
        text = answer.model_dump_json(exclude_defaults=True)
        return self._move(store, answer.key, BookingState.BOOKED, allowed=allowed, booking=text)

    def fail(self, store: str, *, key: str, error: str, what_to_do: str = "") -> BookingRow:
        """Note that the carrier refused, and booked nothing."""
        allowed = {BookingState.BOOKING, BookingState.NEEDS_REVIEW}
        return self._move(store, key, BookingState.FAILED, allowed=allowed, error=error, what_to_do=what_to_do)

    def needs_review(self, store: str, *, key: str, error: str, what_to_do: str = "") -> BookingRow:
        """Ask a person, because nobody knows whether the carrier booked."""
        allowed = {BookingState.BOOKING, BookingState.BOOKED}
        return self._move(store, key, BookingState.NEEDS_REVIEW, allowed=allowed, error=error, what_to_do=what_to_do)

    def cancel(self, store: str, *, key: str) -> BookingRow:
        """Note that the booking was canceled at the carrier, or never came to be."""
        allowed = {BookingState.BOOKED, BookingState.FAILED, BookingState.NEEDS_REVIEW}
        return self._move(store, key, BookingState.CANCELED, allowed=allowed)

    def get(self, store: str, *, key: str) -> BookingRow:
        """Read a booking; raise InputError if there is none under this key."""
        with self._database.read() as connection:
            return _read(connection, store, key)

    def find(
        self, *, store: str | None = None, shipment_id: str | None = None, state: BookingState | None = None
    ) -> list[BookingRow]:
        """Read bookings, the oldest first."""
        query = sa.select(booking).order_by(booking.c.created_at, booking.c.key)
        for column, value in ((booking.c.store, store), (booking.c.shipment_id, shipment_id), (booking.c.state, state)):
            if value is not None:
                query = query.where(column == value)
        with self._database.read() as connection:
            return [_row(row) for row in connection.execute(query).mappings()]

    def _move(
        self, store: str, key: str, to: BookingState, *, allowed: set[BookingState], **values: object
    ) -> BookingRow:
        changes = {"error": "", "what_to_do": "", **values, "state": to, "updated_at": self._clock()}
        one = (booking.c.store == store, booking.c.key == key)
        with self._database.write() as connection:
            change = sa.update(booking).where(*one, booking.c.state.in_(allowed)).values(changes)
            is_done = connection.execute(change).rowcount == 1
            row = _read(connection, store, key)
        if not is_done:
            msg = f"booking {key} is {row.state} and cannot become {to}"
            raise WrongState(msg, field="state")
        return row


def _read(connection: sa.Connection, store: str, key: str) -> BookingRow:
    query = sa.select(booking).where(booking.c.store == store, booking.c.key == key)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        msg = f"no booking has the key {key}"
        raise InputError(msg, field="key")
    return _row(row)


def _row(row: sa.RowMapping) -> BookingRow:
    text = row["booking"]
    return BookingRow(**{**row, "booking": None if text is None else Booking.model_validate_json(text)})
