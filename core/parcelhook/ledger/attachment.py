"""Shipments and their parcels and items, written and read many at once inside a transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias
from uuid import uuid4

import sqlalchemy as sa

from parcelhook.ledger.database import Database
from parcelhook.ledger.rows import NewParcel, ShipmentParcel, ShipmentRow
from parcelhook.ledger.schema import parcel, shipment, shipment_item, shipment_parcel
from parcelhook.models import ShipmentItem, Status

REUSED_AFTER: Final = timedelta(days=120)
"""Carriers give a number again after some months: a parcel that ended and is older than this is another one."""

_ENDED: Final = frozenset({Status.DELIVERED, Status.RETURNED, Status.FAILURE, Status.CANCELLED})

_CHUNK: Final = 500
"""Rows a statement: SQLite takes 32,766 values in one."""

_Key: TypeAlias = tuple[str, str, str, str]


def attach(
    connection: sa.Connection, database: Database, shipments: Sequence[tuple[ShipmentRow, Sequence[NewParcel]]]
) -> None:
    """Tie parcels to shipments, in place of those they had; a number that is known is the same parcel."""
    now = max((row.updated_at for row, _ in shipments), default=None)
    wanted = {_key(row, new): (row, new) for row, parcels in shipments for new in parcels}
    if now is None:
        return
    ids = _parcel_ids(connection, database, wanted, now=now)
    _clear(connection, shipment_parcel, [row for row, _ in shipments])
    links = [
        {
            "store": row.store,
            "shipment_id": row.id,
            "parcel_id": ids[_key(row, new)],
            "position": position,
            "tracking_url": new.tracking_url,
        }
        for row, parcels in shipments
        for position, new in enumerate(parcels)
    ]
    if links:
        connection.execute(database.insert_new(shipment_parcel), links)


def put_items(connection: sa.Connection, shipments: Sequence[tuple[ShipmentRow, Sequence[ShipmentItem]]]) -> None:
    """Write the items of shipments, in place of those they had."""
    _clear(connection, shipment_item, [row for row, _ in shipments])
    rows = [
        {
            "store": row.store,
            "shipment_id": row.id,
            "line_item_id": each.line_item_id,
            "quantity": each.quantity,
            "position": position,
        }
        for row, items in shipments
        for position, each in enumerate(items)
    ]
    if rows:
        connection.execute(sa.insert(shipment_item), rows)


def _clear(connection: sa.Connection, table: sa.Table, shipments: Sequence[ShipmentRow]) -> None:
    for start in range(0, len(shipments), _CHUNK):
        keys = [(row.store, row.id) for row in shipments[start : start + _CHUNK]]
        connection.execute(sa.delete(table).where(sa.tuple_(table.c.store, table.c.shipment_id).in_(keys)))


def read_shipments(connection: sa.Connection, ids: Sequence[str]) -> list[ShipmentRow]:
    """Read shipments with items and parcels, in the order of their ids; unknown ids are left out."""
    found: dict[str, ShipmentRow] = {}
    for start in range(0, len(ids), _CHUNK):
        chosen = shipment.c.id.in_(ids[start : start + _CHUNK])
        items, parcels = _items(connection, chosen), _parcels(connection, chosen)
        for row in connection.execute(sa.select(shipment).where(chosen)).mappings():
            its = row["id"]
            found[its] = ShipmentRow(**row, items=tuple(items[its]), parcels=tuple(parcels[its]))
    return [found[each] for each in ids if each in found]


def _items(connection: sa.Connection, chosen: sa.ColumnElement[bool]) -> dict[str, list[ShipmentItem]]:
    item = shipment_item.c
    query = (
        sa.select(item.shipment_id, item.line_item_id, item.quantity)
        .join(shipment, sa.and_(shipment.c.store == item.store, shipment.c.id == item.shipment_id))
        .where(chosen)
        .order_by(item.shipment_id, item.position)
    )
    items: dict[str, list[ShipmentItem]] = defaultdict(list)
    for shipment_id, line_item_id, quantity in connection.execute(query):
        items[shipment_id].append(ShipmentItem(line_item_id=line_item_id, quantity=quantity))
    return items


def _parcels(connection: sa.Connection, chosen: sa.ColumnElement[bool]) -> dict[str, list[ShipmentParcel]]:
    link = shipment_parcel.c
    query = (
        sa.select(parcel, link.shipment_id, link.position, link.tracking_url)
        .join(shipment_parcel, sa.and_(link.store == parcel.c.store, link.parcel_id == parcel.c.id))
        .join(shipment, sa.and_(shipment.c.store == link.store, shipment.c.id == link.shipment_id))
        .where(chosen)
        .order_by(link.shipment_id, link.position)
    )
    parcels: dict[str, list[ShipmentParcel]] = defaultdict(list)
    for row in connection.execute(query).mappings():
        parcels[row["shipment_id"]].append(ShipmentParcel(**row))
    return parcels


def _key(row: ShipmentRow, new: NewParcel) -> _Key:
    return (row.store, row.carrier, row.account, new.number_normalised)


def _parcel_ids(
    connection: sa.Connection, database: Database, wanted: dict[_Key, tuple[ShipmentRow, NewParcel]], *, now: datetime
) -> dict[_Key, str]:
    """Find or make the parcel of each number, and give its id."""
    known = _latest(connection, wanted)
    fresh = []
    for key, (row, new) in sorted(wanted.items(), key=lambda entry: entry[0]):
        latest = known.get(key)
        if latest and not (latest.status in _ENDED and latest.created_at < now - REUSED_AFTER):
            continue
        fresh.append(
            {
                "store": row.store,
                "id": uuid4().hex,
                "carrier": row.carrier,
                "account": row.account,
                "number": new.number,
                "number_normalised": new.number_normalised,
                "generation": latest.generation + 1 if latest else 1,
                "ship_date": new.ship_date,
                "postal_code": row.postal_code,
                "country": row.country,
                "status": Status.UNKNOWN,
                "created_at": now,
            }
        )
    if fresh:
        connection.execute(database.insert_new(parcel), fresh)
        # Read again: another process may have made the same parcel a moment earlier.
        known = _latest(connection, wanted)
    return {key: latest.id for key, latest in known.items()}


def _latest(connection: sa.Connection, keys: Iterable[_Key]) -> dict[_Key, sa.Row[*tuple[Any, ...]]]:
    column = parcel.c
    columns = (column.store, column.carrier, column.account, column.number_normalised)
    keys = list(keys)
    latest: dict[_Key, sa.Row[*tuple[Any, ...]]] = {}
    for start in range(0, len(keys), _CHUNK):
        query = (
            sa.select(*columns, column.generation, column.id, column.status, column.created_at)
            .where(sa.tuple_(*columns).in_(keys[start : start + _CHUNK]))
            .order_by(column.generation)
        )
        for row in connection.execute(query):
            latest[row.store, row.carrier, row.account, row.number_normalised] = row
    return latest
