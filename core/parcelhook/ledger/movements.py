"""Moves carried out, many at once: the rows that are still the ones the moves start from, and nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from parcelhook.ledger.attachment import attach, put_items
from parcelhook.ledger.columns import among, some
from parcelhook.ledger.moves import Move
from parcelhook.ledger.rows import ShipmentRow
from parcelhook.ledger.schema import shipment
from parcelhook.ledger.writing import update_all


def carry_out(connection: sa.Connection, moves: Sequence[Move], *, now: datetime) -> dict[str, ShipmentRow]:
    """Move shipments and give them as they are now, by id; one that was changed since it was read is left out."""
    present = _present(connection, [move.row.id for move in moves])
    done = [move for move in moves if move.row.id in present and present[move.row.id].version == move.row.version]
    changes = {move.row.id: _changes(move, present[move.row.id].wanted_wix_status, now=now) for move in done}
    _update(connection, changes)
    put_items(connection, [(move.row, move.items) for move in done if move.items is not None])
    replaced = [move for move in done if move.parcels is not None]
    # A parcel belongs to its carrier, which may be another one now.
    tied = [(move.row.changed(**changes[move.row.id]), move.parcels or ()) for move in replaced]
    parcels = attach(connection, tied, now=now) if tied else {}
    for move in done:
        if move.items is not None:
            changes[move.row.id]["items"] = move.items
        if move.parcels is not None:
            changes[move.row.id]["parcels"] = parcels[move.row.id]
    return {move.row.id: move.row.changed(**changes[move.row.id]) for move in done}


def _present(connection: sa.Connection, ids: Sequence[str]) -> dict[str, sa.Row[*tuple[Any, ...]]]:
    return {found.id: found for found in connection.execute(_PRESENT, {"ids": ids})}


_PRESENT: Final = (
    sa.select(shipment.c.id, shipment.c.version, shipment.c.wanted_wix_status)
    .where(among(shipment.c.id, some("ids")))
    .order_by(shipment.c.id)
    .with_for_update()
)


def _changes(move: Move, wanted_wix_status: str | None, *, now: datetime) -> dict[str, Any]:
    """Give the columns that a move changes; a status that Wix has is wanted no longer."""
    values: dict[str, Any] = {
        "send_before": None,
        "due_at": None,
        "error": "",
        "what_to_do": "",
        **move.changes,
        **dict.fromkeys(move.stamps, now),
        "state": move.to,
        "updated_at": now,
        "version": move.row.version + 1,
    }
    if not move.keeps_claim:
        values |= {"claimed_by": None, "claimed_until": None}
    if "wix_status" in values:
        # A move that drops what was wanted means the status its row had: one that is wanted since then stays.
        told = move.row.wanted_wix_status if "wanted_wix_status" in move.changes else values["wix_status"]
        values["wanted_wix_status"] = None if wanted_wix_status == told else wanted_wix_status
    return values


def _update(connection: sa.Connection, changes: dict[str, dict[str, Any]]) -> None:
    """Write the changes, all that concern the same columns in one statement."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for its, values in changes.items():
        alike[tuple(values)].append({**values, "id": its})
    for rows in alike.values():
        update_all(connection, shipment, rows, key="id")
