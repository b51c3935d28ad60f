"""Shipments: added once under their key, claimed by one owner at a time, moved by the table in ``states``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from parcelhook.errors import InputError, KeyReused, ShipmentChanged, WrongState
from parcelhook.ledger import intents, leases, movements, notices
from parcelhook.ledger.attachment import read_shipments
from parcelhook.ledger.columns import among, some
from parcelhook.ledger.database import Database
from parcelhook.ledger.moves import Move
from parcelhook.ledger.rows import Added, NewShipment, ShipmentRow, Standing
from parcelhook.ledger.schema import shipment
from parcelhook.ledger.states import FOLLOWERS, State
from parcelhook.models import Reason, Status
from parcelhook.statuses import WIX_STATUSES

_CHUNK: Final = 200


class Shipments:
    """The shipments of every store."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def add(self, new: NewShipment, *, again: bool = False) -> tuple[ShipmentRow, bool]:
        """Add one shipment, or find it under its key; give it and whether it is new.

        ``again`` starts the key's next generation if its fulfillment was seen deleted. Raise KeyReused if the key
        came before with another body.
        """
        added = self.add_all([new], again=again)[0]
        if added.is_conflict:
            raise key_reused(new)
        return added.shipment, added.is_new

    def add_all(
        self, news: Sequence[NewShipment], *, again: bool = False, owner: str = "", lease_seconds: float = 0.0
    ) -> list[Added]:
        """Add shipments as ``add`` does, a few hundred a transaction; a conflict is told, not raised.

        With ``owner``, what is new is claimed at once, as ``claim`` would.
        """
        added: list[Added] = []
        for start in range(0, len(news), _CHUNK):
            now = self._clock()
            claim = intents.Claim(owner, now + timedelta(seconds=lease_seconds)) if owner else None
            with self._database.write() as connection:
                chunk = news[start : start + _CHUNK]
                added += intents.add(connection, chunk, again=again, claim=claim, now=now)
        return added

    def get(self, shipment_id: str, *, store: str | None = None) -> ShipmentRow:
        """Read one shipment; raise InputError if there is none with this id, or none in the store that is meant."""
        with self._database.read() as connection:
            rows = read_shipments(connection, [shipment_id])
        if not rows or store not in {None, rows[0].store}:
            raise _unknown(shipment_id)
        return rows[0]

    def find(
        self,
        *,
        store: str | None = None,
        states: Collection[State] = (),
        order_id: str | None = None,
        order_ids: Collection[str] | None = None,
        latest_first: bool = False,
        limit: int = 1000,
        offset: int = 0,
    ) -> list[ShipmentRow]:
        """Read shipments, the oldest first unless ``latest_first``."""
        age = (shipment.c.created_at, shipment.c.id)
        order = [column.desc() for column in age] if latest_first else age
        query = sa.select(shipment.c.id).order_by(*order).limit(limit).offset(offset)
        if store is not None:
            query = query.where(shipment.c.store == store)
        if states:
            query = query.where(shipment.c.state.in_(states))
        if order_id is not None:
            query = query.where(shipment.c.order_id == order_id)
        if order_ids is not None:
            query = query.where(among(shipment.c.order_id, order_ids))
        with self._database.read() as connection:
            return read_shipments(connection, connection.execute(query).scalars().all())

    def standing(self, ids: Collection[str]) -> dict[str, Standing]:
        """Read of up to a few hundred shipments just what tells how they stand, by id."""
        with self._database.read() as connection:
            return {found.id: Standing(*found) for found in connection.execute(_STANDING, {"ids": ids})}

    def claim(
        self,
        store: str,
        *,
        states: Collection[State],
        owner: str,
        lease_seconds: float,
        limit: int = 100,
        ids: Collection[str] | None = None,
        is_timed: bool = False,
    ) -> list[ShipmentRow]:
        """Take shipments that are due and that nobody holds; no two owners ever get the same one.

        One without a moment set is due at any time, or, with ``is_timed``, never. An owner that does not ``extend`` in
        time loses what it holds: its moves then do nothing.
        """
        wanted: list[sa.ColumnElement[bool]] = [shipment.c.state.in_(states)]
        if ids is not None:
            wanted.append(among(shipment.c.id, ids))
        if is_timed:
            wanted.append(shipment.c.due_at.is_not(None))
        first = (shipment.c.created_at, shipment.c.id)
        return self._claim(store, wanted, first=first, owner=owner, lease_seconds=lease_seconds, limit=limit)

    def claim_pushes(self, store: str, *, owner: str, lease_seconds: float, limit: int = 100) -> list[ShipmentRow]:
        """Take created shipments whose status Wix is still to be told, ``Fulfilled`` first."""
        wanted = [shipment.c.state == State.CREATED, shipment.c.wanted_wix_status.is_not(None)]
        first = (shipment.c.wanted_wix_status != WIX_STATUSES[-1], shipment.c.updated_at, shipment.c.id)
        return self._claim(store, wanted, first=first, owner=owner, lease_seconds=lease_seconds, limit=limit)

    def due(self) -> dict[str, set[State]]:
        """Give, by store, the states that shipments are in which something is to be done about now, and nobody holds.

        CREATED means that Wix is to be told a status; WAITING_NUMBER, that a carrier is to be asked for a number.
        """
        with self._database.read() as connection:
            return leases.due(connection, now=self._clock())

    def extend(self, owner: str, ids: Collection[str], *, lease_seconds: float) -> set[str]:
        """Hold shipments for longer, from now on; give the ids the owner still holds."""
        now = self._clock()
        change = (
            sa.update(shipment)
            .where(shipment.c.id.in_(ids), shipment.c.claimed_by == owner, shipment.c.claimed_until >= now)
            .values(claimed_until=now + timedelta(seconds=lease_seconds))
            .returning(shipment.c.id)
        )
        with self._database.write() as connection:
            return set(connection.execute(change).scalars())

    def release(self, owner: str, ids: Collection[str]) -> None:
        """Let go of shipments that were claimed and not moved."""
        change = (
            sa.update(shipment)
            .where(shipment.c.id.in_(ids), shipment.c.claimed_by == owner)
            .values(claimed_by=None, claimed_until=None)
        )
        with self._database.write() as connection:
            connection.execute(change)

    def move(self, move: Move) -> ShipmentRow:
        """Carry out one move; raise WrongState if the states forbid it, ShipmentChanged if the row is outdated."""
        moved = self.move_all([move])
        if not moved:
            msg = f"another process changed shipment {move.row.id} in the meantime"
            raise ShipmentChanged(msg, what_to_do="Look at the shipment and try again.")
        return moved[0]

    def move_all(self, moves: Sequence[Move]) -> list[ShipmentRow]:
        """Carry out moves in one transaction and give the rows as they are now.

        A shipment that another process has taken over is left out: it is that process's to finish. Raise WrongState,
        with nothing moved, if the states forbid one of them.
        """
        for move in moves:
            if move.to not in FOLLOWERS[move.row.state]:
                msg = f"shipment {move.row.id} is {move.row.state} and cannot become {move.to}"
                raise WrongState(msg, field="state")
        if not moves:
            return []
        with self._database.write() as connection:
            # By id, so that two processes that move the same shipments never wait for each other in a circle.
            ordered = sorted(moves, key=lambda each: each.row.id)
            moved = movements.carry_out(connection, ordered, now=self._clock())
            done = [move for move in moves if move.row.id in moved]
            at = self._clock()
            notices.write(connection, [_notice(moved[move.row.id], move, at=at) for move in done])
        return [moved[move.row.id] for move in done]

    def set_status(
        self, shipment_id: str, *, status: Status, reason: Reason | None = None, wanted_wix_status: str | None = None
    ) -> bool:
        """Note how far the parcels have come and what Wix is to be told; give whether the status is another one.

        What Wix has, or had wanted for it, is never taken back: only a later status becomes wanted.
        """
        now = self._clock()
        with self._database.write() as connection:
            row = _locked(connection, shipment_id)
            wanted = _later(wanted_wix_status, than=(row.wix_status, row.wanted_wix_status)) or row.wanted_wix_status
            is_other = (status, reason) != (row.status, row.reason)
            if is_other or wanted != row.wanted_wix_status:
                values = {"status": status, "reason": reason, "wanted_wix_status": wanted, "updated_at": now}
                connection.execute(sa.update(shipment).where(shipment.c.id == row.id).values(values))
            if is_other:
                (changed,) = read_shipments(connection, [row.id])
                notices.write(connection, [notices.about(changed, kind=status, at=now, reason=reason or "")])
        return is_other

    def note_wix_status(self, shipment_id: str, *, wix_status: str | None) -> None:
        """Note the status a fulfillment was seen with at Wix, whoever set it; an earlier one is wanted no longer."""
        with self._database.write() as connection:
            row = _locked(connection, shipment_id)
            wanted = _later(row.wanted_wix_status, than=(wix_status,))
            values = {"wix_status": wix_status, "wanted_wix_status": wanted, "updated_at": self._clock()}
            connection.execute(sa.update(shipment).where(shipment.c.id == row.id).values(values))

    def bound_fulfillments(self, store: str, order_ids: Collection[str]) -> dict[str, set[str]]:
        """Give, for each order, the fulfillments that belong to a shipment of ours."""
        bound: dict[str, set[str]] = defaultdict(set)
        query = sa.select(shipment.c.order_id, shipment.c.fulfillment_id).where(
            shipment.c.store == store, shipment.c.order_id.in_(order_ids), shipment.c.fulfillment_id.is_not(None)
        )
        with self._database.read() as connection:
            for order_id, fulfillment_id in connection.execute(query):
                bound[order_id].add(fulfillment_id)
        return {order_id: bound[order_id] for order_id in order_ids}

    def count(self, *, store: str | None = None) -> dict[State, int]:
        """Count the shipments in each state."""
        query = sa.select(shipment.c.state, sa.func.count().label("total")).group_by(shipment.c.state)
        if store is not None:
            query = query.where(shipment.c.store == store)
        with self._database.read() as connection:
            return {row.state: row.total for row in connection.execute(query)}

    def _claim(
        self,
        store: str,
        wanted: Sequence[sa.ColumnElement[bool]],
        *,
        first: Sequence[sa.ColumnElement[Any]],
        owner: str,
        lease_seconds: float,
        limit: int,
    ) -> list[ShipmentRow]:
        now = self._clock()
        with self._database.write() as connection:
            return leases.take(
                connection,
                store,
                wanted,
                first=first,
                owner=owner,
                until=now + timedelta(seconds=lease_seconds),
                limit=limit,
                now=now,
            )


_STANDING: Final = sa.select(*(shipment.c[field.name] for field in fields(Standing))).where(
    among(shipment.c.id, some("ids"))
)


def _locked(connection: sa.Connection, shipment_id: str) -> sa.Row[*tuple[Any, ...]]:
    query = sa.select(shipment).where(shipment.c.id == shipment_id).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        raise _unknown(shipment_id)
    return row


def key_reused(new: NewShipment) -> KeyReused:
    """Give the error for a key that came before with another body."""
    if new.parcels and new.intent_key == new.parcels[0].number_normalised:
        msg = (
            f"the number {new.parcels[0].number} was given for order {new.order_id} with another carrier, link or items"
        )
        what_to_do = "Give the very same again, or correct the shipment there is by `parcelhook shipments correct`."
        return KeyReused(msg, field="number", what_to_do=what_to_do)
    msg = f"the key {new.intent_key} was used for a shipment of order {new.order_id} with other contents"
    what_to_do = "Give the very same carrier, number, link and items again, or another key."
    return KeyReused(msg, field="key", what_to_do=what_to_do)


def _unknown(shipment_id: str) -> InputError:
    msg = f"no shipment has the id {shipment_id}"
    return InputError(msg, field="id", what_to_do="See parcelhook shipments.")


def _notice(row: ShipmentRow, move: Move, *, at: datetime) -> dict[str, object]:
    return notices.about(row, kind=move.kind, at=at, detail=move.detail, reason=move.reason)


def _later(status: str | None, *, than: Sequence[str | None]) -> str | None:
    """Give the status if Wix would move forward to it from each of the others, else None."""
    rank = {name: place for place, name in enumerate(WIX_STATUSES)}
    return status if status and rank[status] > max(rank.get(other or "", -1) for other in than) else None
