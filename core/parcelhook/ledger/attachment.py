"""Shipments and their parcels and items, written and read many at once inside a transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias
from uuid import uuid4

import sqlalchemy as sa

from parcelhook.ledger.columns import among, some
from parcelhook.ledger.rows import NewParcel, ShipmentParcel, ShipmentRow
from parcelhook.ledger.schema import parcel, shipment, shipment_item, shipment_parcel
from parcelhook.ledger.writing import insert_all
from parcelhook.models import ShipmentItem, Status

REUSED_AFTER: Final = timedelta(days=120)
"""Carriers give a number again after some months: a parcel that ended and is older than this is another one."""

_ENDED: Final = frozenset({Status.DELIVERED, Status.RETURNED, Status.FAILURE, Status.CANCELLED})

_CHUNK: Final = 500
"""Rows a statement: SQLite takes 32,766 values in one."""

_Key: TypeAlias = tuple[str, str, str, str]


def attach(
    connection: sa.Connection,
    shipments: Sequence[tuple[ShipmentRow, Sequence[NewParcel]]],
    *,
    now: datetime,
) -> dict[str, tuple[ShipmentParcel, ...]]:
    """Tie parcels to shipments, in place of those they had, and give them by shipment id.

    A number that is known is the same parcel.
    """
    wanted = {_key(row, new): (row, new) for row, parcels in shipments for new in parcels}
    known = _made_known(connection, wanted, now=now)
    _clear(connection, shipment_parcel, [row for row, _ in shipments if row.parcels])
    tied = {row.id: _tied(row, parcels, known) for row, parcels in shipments}
    links = [
        {
            "store": each.store,
            "shipment_id": each.shipment_id,
            "parcel_id": each.id,
            "position": each.position,
            "tracking_url": each.tracking_url,
        }
        for parcels in tied.values()
        for each in parcels
    ]
    insert_all(connection, shipment_parcel, links)
    return tied


def put_items(connection: sa.Connection, shipments: Sequence[tuple[ShipmentRow, Sequence[ShipmentItem]]]) -> None:
    """Write the items of shipments, in place of those they had."""
    _clear(connection, shipment_item, [row for row, _ in shipments if row.items])
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
    insert_all(connection, shipment_item, rows)


def _clear(connection: sa.Connection, table: sa.Table, shipments: Sequence[ShipmentRow]) -> None:
    stores, ids = {row.store for row in shipments}, [row.id for row in shipments]
    for start in range(0, len(ids), _CHUNK):
        some = among(table.c.shipment_id, ids[start : start + _CHUNK])
        connection.execute(sa.delete(table).where(table.c.store.in_(stores), some))


def read_shipments(connection: sa.Connection, ids: Sequence[str]) -> list[ShipmentRow]:
    """Read shipments with items and parcels, in the order of their ids; unknown ids are left out."""
    found: dict[str, ShipmentRow] = {}
    for start in range(0, len(ids), _CHUNK):
        query = sa.select(shipment).where(among(shipment.c.id, ids[start : start + _CHUNK]))
        rows = {row["id"]: row for row in connection.execute(query).mappings()}
        stores = {row["store"] for row in rows.values()}
        items, parcels = _items(connection, stores, rows), _parcels(connection, stores, rows)
        for its, row in rows.items():
            found[its] = ShipmentRow(**row, items=tuple(items[its]), parcels=tuple(parcels[its]))
    return [found[each] for each in ids if each in found]


def _items(connection: sa.Connection, stores: Collection[str], ids: Collection[str]) -> dict[str, list[ShipmentItem]]:
    item = shipment_item.c
    query = (
        sa.select(item.shipment_id, item.line_item_id, item.quantity)
        .where(item.store.in_(stores), among(item.shipment_id, ids))
        .order_by(item.shipment_id, item.position)
    )
    items: dict[str, list[ShipmentItem]] = defaultdict(list)
    for shipment_id, line_item_id, quantity in connection.execute(query):
        items[shipment_id].append(ShipmentItem(line_item_id=line_item_id, quantity=quantity))
    return items


def _parcels(
    connection: sa.Connection, stores: Collection[str], ids: Collection[str]
) -> dict[str, list[ShipmentParcel]]:
    link = shipment_parcel.c
    query = (
        sa.select(parcel, link.shipment_id, link.position, link.tracking_url)
        .join(shipment_parcel, sa.and_(link.store == parcel.c.store, link.parcel_id == parcel.c.id))
        .where(link.store.in_(stores), among(link.shipment_id, ids))
        .order_by(link.shipment_id, link.position)
    )
    parcels: dict[str, list[ShipmentParcel]] = defaultdict(list)
    for row in connection.execute(query).mappings():
        parcels[row["shipment_id"]].append(ShipmentParcel(**row))
    return parcels


def _key(row: ShipmentRow, new: NewParcel) -> _Key:
    return (row.store, row.carrier, row.account, new.number_normalised)


def _tied(
    row: ShipmentRow, parcels: Sequence[NewParcel], known: Mapping[_Key, Mapping[str, Any]]
) -> tuple[ShipmentParcel, ...]:
    """Give a shipment's parcels in their order; a number that is there twice is one parcel."""
    first: dict[_Key, NewParcel] = {}
    for new in parcels:
        first.setdefault(_key(row, new), new)
    return tuple(
        ShipmentParcel(**known[key], shipment_id=row.id, position=position, tracking_url=new.tracking_url)
        for position, (key, new) in enumerate(first.items())
    )


def _made_known(
    connection: sa.Connection, wanted: dict[_Key, tuple[ShipmentRow, NewParcel]], *, now: datetime
) -> dict[_Key, dict[str, Any]]:
    """Find or make the parcel of each number, and give it."""
    known = _latest(connection, wanted)
    fresh = []
    for key, (row, new) in sorted(wanted.items(), key=lambda entry: entry[0]):
        latest = known.get(key)
        if latest and not (latest["status"] in _ENDED and latest["created_at"] < now - REUSED_AFTER):
            continue
        fresh.append(
            {
                "store": row.store,
                "id": uuid4().hex,
                "carrier": row.carrier,
                "account": row.account,
                "number": new.number,
                "number_normalised": new.number_normalised,
                "generation": latest["generation"] + 1 if latest else 1,
                "ship_date": new.ship_date,
                "postal_code": row.postal_code,
                "country": row.country,
                "status": Status.UNKNOWN,
                "created_at": now,
            }
        )
    if not fresh:
        return known
    if insert_all(connection, parcel, fresh, leaves_existing=True) != len(fresh):
        # Another process has made one of them in this very moment.
        return _latest(connection, wanted)
    return known | {_key_of(row): _NEW | row for row in fresh}


def _latest(connection: sa.Connection, keys: Collection[_Key]) -> dict[_Key, dict[str, Any]]:
    if not keys:
        return {}
    parts = {name: {key[place] for key in keys} for place, name in enumerate(_KEY)}
    latest = {}
    for row in map(dict, connection.execute(_LATEST, parts).mappings()):
        key = _key_of(row)
        if key in keys:
            latest[key] = row
    return latest


def _key_of(row: Mapping[str, Any]) -> _Key:
    return (row["store"], row["carrier"], row["account"], row["number_normalised"])


_KEY: Final = ("store", "carrier", "account", "number_normalised")
_LATEST: Final = (
    sa.select(parcel)
    # A few rows too many, told apart above: SQLite reads the whole table for a list of whole keys.
    .where(*(among(parcel.c[name], some(name)) for name in _KEY))
    .order_by(parcel.c.generation)
)
_NEW: Final = {"reason": None, "found": None, "next_poll_at": None, "last_polled_at": None}
"""What a parcel is that no carrier was asked about yet."""
