"""Parcels: who is due to be asked about, what the carrier said, and the status that follows from all of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from parcelhook.errors import InputError
from parcelhook.ledger.attachment import read_shipments
from parcelhook.ledger.database import Database
from parcelhook.ledger.rows import ParcelRow, ShipmentRow
from parcelhook.ledger.schema import parcel, scan, shipment_parcel
from parcelhook.models import Reason, Scan, Status

_MOST_DUE: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What all scans of a parcel come to, and when to ask about it again (None: never)."""

    status: Status
    reason: Reason | None = None
    next_poll_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What a report changed: how many scans were new, and whether the parcel's status or reason is another one."""

    parcel: ParcelRow
    new_scans: int
    has_changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DueGroup:
    """How many parcels of one carrier account are due."""

    store: str
    carrier: str
    account: str
    count: int


class Parcels:
    """The parcels of every store; one that several shipments share is asked about once."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def due(self) -> list[DueGroup]:
        """Count the parcels that are due, by store, carrier and account, 100,000 at most."""
        # Limited inside, which also keeps SQLite from reading every parcel in the order of the groups.
        waiting = sa.select(parcel).where(parcel.c.next_poll_at <= self._clock()).limit(_MOST_DUE).subquery()
        group = (waiting.c.store, waiting.c.carrier, waiting.c.account)
        query = sa.select(*group, sa.func.count().label("count")).group_by(*group).order_by(*group)
        with self._database.read() as connection:
            return [DueGroup(**row) for row in connection.execute(query).mappings()]

    def take_due(
        self, *, store: str, carrier: str, account: str = "", lease_seconds: float = 300, limit: int = 100
    ) -> list[ParcelRow]:
        """Take the parcels of a carrier account that waited longest.

        Those that no report comes for within the lease are due again.
        """
        now = self._clock()
        chosen = (
            sa.select(parcel.c.id)
            .where(
                parcel.c.next_poll_at <= now,
                parcel.c.store == store,
                parcel.c.carrier == carrier,
                parcel.c.account == account,
            )
            .order_by(parcel.c.next_poll_at, parcel.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("chosen")
        )
        change = (
            sa.update(parcel)
            .where(parcel.c.id.in_(sa.select(chosen.c.id)))
            .values(next_poll_at=now + timedelta(seconds=lease_seconds))
            .returning(parcel)
        )
        with self._database.write() as connection:
            taken = [ParcelRow(**row) for row in connection.execute(change).mappings()]
        return sorted(taken, key=lambda row: (row.last_polled_at is not None, row.last_polled_at or now, row.id))

    def poll_at(self, parcel_ids: Sequence[str], at: datetime | None) -> None:
        """Ask about parcels at a moment, or (None) no more."""
        with self._database.write() as connection:
            connection.execute(sa.update(parcel).where(parcel.c.id.in_(parcel_ids)).values(next_poll_at=at))

    def record(
        self, parcel_id: str, scans: Sequence[Scan], *, found: bool, judge: Callable[[tuple[Scan, ...]], Judgement]
    ) -> Recorded:
        """Keep a report's scans, each once, and let ``judge`` say what all the parcel's scans come to.

        It is given every scan, in order of time, while nobody else can add one: in whatever order reports come, and
        from however many processes, the parcel ends with the same status.
        """
        now = self._clock()
        with self._database.write() as connection:
            before = _read(connection, parcel_id, is_locked=True)
            rows = [_scan_row(before.store, parcel_id, each, at=now) for each in scans]
            new_scans = 0
            if rows:
                insert = self._database.insert_new(scan).values(rows).returning(scan.c.key)
                new_scans = len(connection.execute(insert).all())
            judgement = judge(_scans(connection, before))
            values = {
                "status": judgement.status,
                "reason": judgement.reason,
                "next_poll_at": judgement.next_poll_at,
                "found": found,
                "last_polled_at": now,
            }
            change = sa.update(parcel).where(parcel.c.id == parcel_id).values(values).returning(parcel)
            after = ParcelRow(**connection.execute(change).mappings().one())
        has_changed = (before.status, before.reason) != (after.status, after.reason)
        return Recorded(parcel=after, new_scans=new_scans, has_changed=has_changed)

    def get(self, parcel_id: str) -> ParcelRow:
        """Read one parcel; raise InputError if there is none with this id."""
        with self._database.read() as connection:
            return _read(connection, parcel_id)

    def numbered(self, store: str, *, carrier: str, number_normalised: str) -> list[ParcelRow]:
        """Read the parcels of a carrier with a number, whatever the account, the latest generation first."""
        query = (
            sa.select(parcel)
            .where(
                parcel.c.store == store,
                parcel.c.carrier == carrier,
                parcel.c.number_normalised == number_normalised,
            )
            .order_by(parcel.c.generation.desc(), parcel.c.account)
        )
        with self._database.read() as connection:
            return [ParcelRow(**row) for row in connection.execute(query).mappings()]

    def scans(self, parcel_id: str) -> tuple[Scan, ...]:
        """Read a parcel's scans in order of time."""
        with self._database.read() as connection:
            return _scans(connection, _read(connection, parcel_id))

    def shipments_of(self, parcel_id: str) -> list[ShipmentRow]:
        """Read every shipment the parcel is part of."""
        with self._database.read() as connection:
            row = _read(connection, parcel_id)
            query = sa.select(shipment_parcel.c.shipment_id).where(
                shipment_parcel.c.store == row.store, shipment_parcel.c.parcel_id == parcel_id
            )
            return read_shipments(connection, sorted(connection.execute(query).scalars()))


def _read(connection: sa.Connection, parcel_id: str, *, is_locked: bool = False) -> ParcelRow:
    query = sa.select(parcel).where(parcel.c.id == parcel_id)
    row = connection.execute(query.with_for_update() if is_locked else query).mappings().one_or_none()
    if row is None:
        msg = f"no parcel has the id {parcel_id}"
        raise InputError(msg, field="id")
    return ParcelRow(**row)


def _scans(connection: sa.Connection, row: ParcelRow) -> tuple[Scan, ...]:
    query = (
        sa.select(scan.c.scan)
        .where(scan.c.store == row.store, scan.c.parcel_id == row.id)
        .order_by(scan.c.time, scan.c.key)
    )
    return tuple(Scan.model_validate_json(text) for text in connection.execute(query).scalars())


def _scan_row(store: str, parcel_id: str, its: Scan, *, at: datetime) -> dict[str, object]:
    return {
        "store": store,
        "parcel_id": parcel_id,
        # A scan's key holds the carrier's text, which may be longer than PostgreSQL's index takes.
        "key": hashlib.sha256(its.key.encode()).hexdigest(),
        "time": its.time,
        "code": its.code,
        "status": its.status,
        "scan": its.model_dump_json(exclude_defaults=True),
        "received_at": at,
    }
