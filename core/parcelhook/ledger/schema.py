"""The ledger's tables. The store's id leads every key, so that no row of one store can be tied to another's."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from parcelhook.ledger.columns import Names, UtcTime
from parcelhook.ledger.states import BookingState, State
from parcelhook.models import Reason, Status

VERSIONS: Final = ("0001",)
"""Every version of these tables, oldest first: the revisions under ``migrations/versions``."""

VERSION_TABLE: Final = sa.table("ledger_version", sa.column("version_num", sa.String))
"""Where alembic notes the version; named after us, for a PostgreSQL database may serve other applications too."""

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, default="")


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, default=0)


def _time(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, UtcTime, nullable=nullable)


def _store() -> sa.Column[str]:
    return sa.Column("store", sa.Text, sa.ForeignKey("store.id"), primary_key=True)


def _of(parent: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["store", f"{parent}_id"], [f"{parent}.store", f"{parent}.id"])


store = sa.Table(
    "store",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _text("site"),
    _text("wix_url"),
    _time("set_up_at", nullable=False),
    _time("reconciled_at"),
    _time("poll_cursor"),
    sa.Column("paused", sa.Boolean, nullable=False, default=False),
)

inbox = sa.Table(
    "inbox",
    metadata,
    _store(),
    sa.Column("id", sa.Text, primary_key=True),
    _text("event_type"),
    _text("slug"),
    _text("entity_fqdn"),
    _text("entity_id"),
    _text("order_id"),
    sa.Column("sequence", sa.BigInteger),
    _time("event_time"),
    sa.Column("payload", sa.Text, nullable=False),
    _time("received_at", nullable=False),
    _time("due_at"),
    _count("attempts"),
    _time("finished_at"),
    _text("outcome"),
    _text("detail"),
    sa.Index(None, "finished_at", "received_at"),
    sa.Index(None, "store", "order_id"),
    sa.Index(None, "store", "entity_fqdn", "entity_id", "sequence"),
)

shipment = sa.Table(
    "shipment",
    metadata,
    _store(),
    sa.Column("id", sa.Text, primary_key=True, unique=True),
    sa.Column("order_id", sa.Text, nullable=False),
    _text("order_number"),
    sa.Column("intent_key", sa.Text, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("carrier", sa.Text, nullable=False),
    _text("account"),
    _text("provider"),
    _text("tracking_url"),
    _text("link_source"),
    sa.Column("state", Names(State), nullable=False),
    sa.Column("fulfillment_id", sa.Text),
    sa.Column("wix_status", sa.Text),
    sa.Column("wanted_wix_status", sa.Text),
    _time("pushed_at"),
    sa.Column("status", Names(Status), nullable=False),
    sa.Column("reason", Names(Reason)),
    _time("send_before"),
    _time("sent_at"),
    sa.Column("claimed_by", sa.Text),
    _time("claimed_until"),
    _time("due_at"),
    _count("attempts"),
    _count("ambiguous"),
    _text("error"),
    _text("what_to_do"),
    _text("source"),
    sa.Column("body_hash", sa.Text, nullable=False),
    sa.Column("postal_code", sa.Text),
    sa.Column("country", sa.Text),
    _time("created_at", nullable=False),
    _time("updated_at", nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.UniqueConstraint("store", "order_id", "intent_key", "generation"),
    sa.UniqueConstraint("store", "order_id", "fulfillment_id"),
    sa.Index(None, "store", "state", "created_at"),
    sa.Index(None, "store", "wanted_wix_status"),
)

shipment_item = sa.Table(
    "shipment_item",
    metadata,
    _store(),
    sa.Column("shipment_id", sa.Text, primary_key=True),
    sa.Column("line_item_id", sa.Text, primary_key=True),
    sa.Column("quantity", sa.Integer, nullable=False),
    _count("position"),
    _of("shipment"),
)

parcel = sa.Table(
    "parcel",
    metadata,
    _store(),
    sa.Column("id", sa.Text, primary_key=True, unique=True),
    sa.Column("carrier", sa.Text, nullable=False),
    _text("account"),
    sa.Column("number", sa.Text, nullable=False),
    sa.Column("number_normalised", sa.Text, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("ship_date", sa.Date),
    sa.Column("postal_code", sa.Text),
    sa.Column("country", sa.Text),
    sa.Column("status", Names(Status), nullable=False),
    sa.Column("reason", Names(Reason)),
    sa.Column("found", sa.Boolean),
    _time("next_poll_at"),
    _time("last_polled_at"),
    _time("created_at", nullable=False),
    sa.UniqueConstraint("store", "carrier", "account", "number_normalised", "generation"),
    sa.Index(None, "next_poll_at"),
    sa.Index(None, "store", "carrier", "account", "next_poll_at"),
)

shipment_parcel = sa.Table(
    "shipment_parcel",
    metadata,
    _store(),
    sa.Column("shipment_id", sa.Text, primary_key=True),
    sa.Column("parcel_id", sa.Text, primary_key=True),
    _count("position"),
    _text("tracking_url"),
    _of("shipment"),
    _of("parcel"),
    sa.Index(None, "store", "parcel_id", "shipment_id"),
)

scan = sa.Table(
    "scan",
    metadata,
    _store(),
    sa.Column("parcel_id", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    _time("time", nullable=False),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("status", Names(Status), nullable=False),
    sa.Column("scan", sa.Text, nullable=False),
    _time("received_at", nullable=False),
    _of("parcel"),
)

booking = sa.Table(
    "booking",
    metadata,
    _store(),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("shipment_id", sa.Text, nullable=False),
    sa.Column("carrier", sa.Text, nullable=False),
    sa.Column("state", Names(BookingState), nullable=False),
    sa.Column("booking", sa.Text),
    _text("error"),
    _text("what_to_do"),
    _count("attempts"),
    _time("created_at", nullable=False),
    _time("updated_at", nullable=False),
    _of("shipment"),
    sa.Index(None, "store", "shipment_id"),
    sa.Index(None, "store", "state"),
)

wix_call = sa.Table(
    "wix_call",
    metadata,
    _store(),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("operation", sa.Text, nullable=False),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    _time("sent_at", nullable=False),
    _time("ended_at"),
    sa.Column("status", sa.Integer),
    _text("request_id"),
    _text("outcome"),
)

wix_call_order = sa.Table(
    "wix_call_order",
    metadata,
    _store(),
    sa.Column("order_id", sa.Text, primary_key=True),
    sa.Column("call_id", sa.Text, primary_key=True),
    sa.Column("shipment_id", sa.Text, primary_key=True),
    sa.ForeignKeyConstraint(["store", "call_id"], ["wix_call.store", "wix_call.id"]),
)

call_budget = sa.Table(
    "call_budget",
    metadata,
    sa.Column("site", sa.Text, primary_key=True),
    sa.Column("calls", sa.Text, nullable=False),
    _time("blocked_until"),
)

notice = sa.Table(
    "notice",
    metadata,
    _store(),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    _time("at", nullable=False),
    _text("order_id"),
    _text("shipment_id"),
    _text("carrier"),
    _text("tracking_number"),
    sa.Column("status", Names(Status)),
    _text("detail"),
    _text("reason"),
    sa.Column("told", sa.Boolean, nullable=False, default=False),
    sa.Index(None, "store", "order_id", "id"),
    sa.Index(None, "told", "id"),
)
