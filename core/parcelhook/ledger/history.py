"""The history of an order: its events, intents, calls, bookings and scans, and each decision with its reason."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import sqlalchemy as sa

from parcelhook.ledger import words
from parcelhook.ledger.attachment import read_shipments
from parcelhook.ledger.database import Database
from parcelhook.ledger.rows import HistoryEntry, ShipmentRow
from parcelhook.ledger.schema import booking, inbox, notice, scan, shipment, wix_call, wix_call_order
from parcelhook.ledger.states import BookingState
from parcelhook.models import Scan, Status

_AFTER_SCANS: Final = frozenset(status.value for status in Status)
_AFTER_BOOKINGS: Final = frozenset({"waiting_number", "numbered", "needs_review", "failed", "canceled"})
_LAST: Final = "~"


class _Placed(NamedTuple):
    """An entry, and its place among those of the same moment: what led to something comes before it.

    Events come first and their outcomes last (``phase``). Decisions and calls have ids that sort as they were made.
    Scans and bookings have none: each comes before the first decision it can have led to, by its ``rank``.
    """

    entry: HistoryEntry
    phase: int = 1
    place: str = ""
    rank: int = 2


def history(database: Database, store: str, order_id: str) -> list[HistoryEntry]:
    """Read everything that happened to an order, in order of time; what is of one moment, causes first."""
    ids = sa.select(shipment.c.id).where(shipment.c.store == store, shipment.c.order_id == order_id)
    with database.read() as connection:
        rows = read_shipments(connection, connection.execute(ids).scalars().all())
        decisions = _decisions(connection, store, order_id)
        placed = [
            *_events(connection, store, order_id),
            *decisions,
            *_calls(connection, store, order_id),
            *_bookings(connection, store, rows, _first(decisions, _AFTER_BOOKINGS)),
            *_scans(connection, store, rows, _first(decisions, _AFTER_SCANS)),
        ]
    placed.sort(key=lambda each: (each.entry.at, each.phase, each.place, each.rank))
    return [each.entry for each in placed]


def _events(connection: sa.Connection, store: str, order_id: str) -> Iterator[_Placed]:
    row = inbox.c
    # Never the payload: it holds names and addresses.
    columns = (row.id, row.event_type, row.received_at, row.due_at, row.attempts, row.finished_at, row.outcome)
    query = (
        sa.select(*columns, row.detail)
        .where(row.store == store, row.order_id == order_id)
        .order_by(row.received_at, row.id)
    )
    for event in connection.execute(query):
        is_open = event.finished_at is None
        came = HistoryEntry(
            at=event.received_at,
            kind="event",
            detail=f"{event.event_type} {event.id}",
            reason=words.waiting(event.attempts, event.due_at, event.detail) if is_open else "",
        )
        yield _Placed(came, phase=0)
        if not is_open:
            tries = f"after {event.attempts} tries" if event.attempts > 1 else ""
            done = HistoryEntry(
                at=event.finished_at,
                kind="event_done",
                detail=f"{event.id}: {event.outcome}",
                reason="; ".join(filter(None, (event.detail, tries))),
            )
            yield _Placed(done, phase=2)


def _decisions(connection: sa.Connection, store: str, order_id: str) -> list[_Placed]:
    query = sa.select(notice).where(notice.c.store == store, notice.c.order_id == order_id).order_by(notice.c.id)
    found = connection.execute(query).all()
    placed = []
    for each in found:
        entry = HistoryEntry(
            at=each.at, kind=each.kind, shipment_id=each.shipment_id, detail=each.detail, reason=each.reason
        )
        placed.append(_Placed(entry, place=each.id))
    return placed


def _first(decisions: Sequence[_Placed], kinds: Collection[str]) -> Mapping[datetime, str]:
    """Give, for each moment, the place of the first decision of some kinds."""
    return {each.entry.at: each.place for each in reversed(decisions) if each.entry.kind in kinds}


def _calls(connection: sa.Connection, store: str, order_id: str) -> Iterator[_Placed]:
    concerned = wix_call_order.c
    query = (
        sa.select(wix_call, concerned.shipment_id)
        .join(wix_call_order, sa.and_(concerned.store == wix_call.c.store, concerned.call_id == wix_call.c.id))
        .where(concerned.store == store, concerned.order_id == order_id)
        .order_by(wix_call.c.id, concerned.shipment_id)
    )
    for call in connection.execute(query):
        is_ended = call.ended_at is not None
        entry = HistoryEntry(
            at=call.sent_at,
            kind="call",
            shipment_id=call.shipment_id,
            detail=words.OPERATIONS.get(call.operation, call.operation),
            reason=words.answered(call.operation, ended=is_ended, status=call.status, outcome=call.outcome),
            request_id=call.request_id,
            path=f"{call.method} {call.path}",
            ended_at=call.ended_at,
        )
        yield _Placed(entry, place=call.id)


def _bookings(
    connection: sa.Connection, store: str, rows: Sequence[ShipmentRow], first: Mapping[datetime, str]
) -> Iterator[_Placed]:
    ids = [row.id for row in rows]
    query = sa.select(booking).where(booking.c.store == store, booking.c.shipment_id.in_(ids))
    for each in connection.execute(query.order_by(booking.c.created_at, booking.c.key)):
        asked = HistoryEntry(
            at=each.created_at,
            kind="booking",
            shipment_id=each.shipment_id,
            detail=f"{each.carrier} is asked to carry it",
            reason=f"under the key {each.key}",
        )
        yield _Placed(asked, place=first.get(each.created_at, _LAST), rank=0)
        tries = f"asked {each.attempts + 1} times" if each.attempts else ""
        if each.state is BookingState.BOOKING and not tries:
            continue
        stands = HistoryEntry(
            at=each.updated_at,
            kind="booking_done",
            shipment_id=each.shipment_id,
            detail=f"{each.carrier} {words.BOOKINGS[each.state]}",
            reason="; ".join(filter(None, (each.error, each.what_to_do, tries))),
        )
        # Which follows from the decision to cancel the shipment, and leads to none.
        place = _LAST if each.state is BookingState.CANCELED else first.get(each.updated_at, _LAST)
        yield _Placed(stands, place=place, rank=1)


def _scans(
    connection: sa.Connection, store: str, rows: Sequence[ShipmentRow], first: Mapping[datetime, str]
) -> Iterator[_Placed]:
    """Give what carriers said of the order's parcels, at the moment it became known.

    Their texts and places are left out: some carriers put the name of whoever signed there.
    """
    parcels = {parcel.id: (row.id, parcel) for row in rows for parcel in row.parcels}
    query = (
        sa.select(scan.c.parcel_id, scan.c.received_at, scan.c.scan)
        .where(scan.c.store == store, scan.c.parcel_id.in_(parcels))
        .order_by(scan.c.received_at, scan.c.time, scan.c.key)
    )
    for each in connection.execute(query):
        shipment_id, parcel = parcels[each.parcel_id]
        its = Scan.model_validate_json(each.scan)
        entry = HistoryEntry(
            at=each.received_at,
            kind="scan",
            shipment_id=shipment_id,
            detail=f"{parcel.carrier} {parcel.number}: code {its.code} of {words.clock(its.time)}",
            reason=words.meant(its),
        )
        yield _Placed(entry, place=first.get(each.received_at, _LAST), rank=0)
