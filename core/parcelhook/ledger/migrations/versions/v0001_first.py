"""Make the ledger's first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

UTC_TIME = sa.Text().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    """Make every table, parents first."""
    _stores_and_events()
    _shipments()
    _parcels()
    _bookings_and_notices()
    _calls()


def _stores_and_events() -> None:
    op.create_table(
        "store",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("wix_url", sa.Text(), nullable=False),
        sa.Column("set_up_at", UTC_TIME, nullable=False),
        sa.Column("reconciled_at", UTC_TIME),
        sa.Column("poll_cursor", UTC_TIME),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_store"),
    )
    op.create_table(
        "inbox",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("entity_fqdn", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger()),
        sa.Column("event_time", UTC_TIME),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("received_at", UTC_TIME, nullable=False),
        sa.Column("due_at", UTC_TIME),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("finished_at", UTC_TIME),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["store"], ["store.id"], name="fk_inbox_store"),
        sa.PrimaryKeyConstraint("store", "id", name="pk_inbox"),
    )
    op.create_index("ix_inbox_finished_at_received_at", "inbox", ["finished_at", "received_at"])
    op.create_index(
        "ix_inbox_store_entity_fqdn_entity_id_sequence", "inbox", ["store", "entity_fqdn", "entity_id", "sequence"]
    )
    op.create_index("ix_inbox_store_order_id", "inbox", ["store", "order_id"])


def _shipments() -> None:
    op.create_table(
        "shipment",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("order_number", sa.Text(), nullable=False),
        sa.Column("intent_key", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("tracking_url", sa.Text(), nullable=False),
        sa.Column("link_source", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("fulfillment_id", sa.Text()),
        sa.Column("wix_status", sa.Text()),
        sa.Column("wanted_wix_status", sa.Text()),
        sa.Column("pushed_at", UTC_TIME),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("send_before", UTC_TIME),
        sa.Column("sent_at", UTC_TIME),
        sa.Column("claimed_by", sa.Text()),
        sa.Column("claimed_until", UTC_TIME),
        sa.Column("due_at", UTC_TIME),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("ambiguous", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("what_to_do", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.Text(), nullable=False),
        sa.Column("postal_code", sa.Text()),
        sa.Column("country", sa.Text()),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.Column("updated_at", UTC_TIME, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["store"], ["store.id"], name="fk_shipment_store"),
        sa.PrimaryKeyConstraint("store", "id", name="pk_shipment"),
        sa.UniqueConstraint("id", name="uq_shipment_id"),
        sa.UniqueConstraint("store", "order_id", "fulfillment_id", name="uq_shipment_store_order_id_fulfillment_id"),
        sa.UniqueConstraint(
            "store", "order_id", "intent_key", "generation", name="uq_shipment_store_order_id_intent_key_generation"
        ),
    )
    op.create_index("ix_shipment_store_state_created_at", "shipment", ["store", "state", "created_at"])
    op.create_index("ix_shipment_store_wanted_wix_status", "shipment", ["store", "wanted_wix_status"])
    op.create_table(
        "shipment_item",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("shipment_id", sa.Text(), nullable=False),
        sa.Column("line_item_id", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["store", "shipment_id"], ["shipment.store", "shipment.id"], name="fk_shipment_item_shipment"
        ),
        sa.ForeignKeyConstraint(["store"], ["store.id"], name="fk_shipment_item_store"),
        sa.PrimaryKeyConstraint("store", "shipment_id", "line_item_id", name="pk_shipment_item"),
    )


def _parcels() -> None:
    op.create_table(
        "parcel",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("number_normalised", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("ship_date", sa.Date()),
        sa.Column("postal_code", sa.Text()),
        sa.Column("country", sa.Text()),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("found", sa.Boolean()),
        sa.Column("next_poll_at", UTC_TIME),
        sa.Column("last_polled_at", UTC_TIME),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.ForeignKeyConstraint(["store"], ["store.id"], name="fk_parcel_store"),
        sa.PrimaryKeyConstraint("store", "id", name="pk_parcel"),
        sa.UniqueConstraint("id", name="uq_parcel_id"),
        sa.UniqueConstraint(
            "store",
            "carrier",
            "account",
            "number_normalised",
            "generation",
            name="uq_parcel_store_carrier_account_number_normalised_generation",
        ),
    )
    op.create_index("ix_parcel_next_poll_at", "parcel", ["next_poll_at"])
    op.create_index(
        "ix_parcel_store_carrier_account_next_poll_at", "parcel", ["store", "carrier", "account", "next_poll_at"]
    )
    op.create_table(
        "shipment_parcel",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("shipment_id", sa.Text(), nullable=False),
        sa.Column("parcel_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("tracking_url", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["store", "parcel_id"], ["parcel.store", "parcel.id"], name="fk_shipment_parcel_parcel"
        ),
        sa.ForeignKeyConstraint(
            ["store", "shipment_id"], ["shipment.store", "shipment.id"], name="fk_shipment_parcel_shipment"
        ),
        sa.ForeignKeyConstraint(["store"], ["store.id"], name="fk_shipment_parcel_store"),
        sa.PrimaryKeyConstraint("store", "shipment_id", "parcel_id", name="pk_shipment_parcel"),
    )
    op.create_index(
        "ix_shipment_parcel_store_parcel_id_shipment_id", "shipment_parcel", ["store", "parcel_id", "shipment_id"]
    )
    op.create_table(
        "scan",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("parcel_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("time", UTC_TIME, nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("scan", sa.Text(), nullable=False),
        sa.Column("received_at", UTC_TIME, nullable=False),
        sa.ForeignKeyConstraint(["store", "parcel_id"], ["parcel.store", "parcel.id"], name="fk_scan_parcel"),
        sa.ForeignKeyConstraint(["store"], ["store.id"], name="fk_scan_store"),
        sa.PrimaryKeyConstraint("store", "parcel_id", "key", name="pk_scan"),
    )


def _bookings_and_notices() -> None:
    op.create_table(
        "booking",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("shipment_id", sa.Text(), nullable=False),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("booking", sa.Text()),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("what_to_do", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.Column("updated_at", UTC_TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["store", "shipment_id"], ["shipment.store", "shipment.id"], name="fk_booking_shipment"
        ),
        sa.ForeignKeyConstraint(["store"], ["store.id"], name="fk_booking_store"),
        sa.PrimaryKeyConstraint("store", "key", name="pk_booking"),
    )
    op.create_index("ix_booking_store_shipment_id", "booking", ["store", "shipment_id"])
    op.create_index("ix_booking_store_state", "booking", ["store", "state"])
    op.create_table(
        "notice",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", UTC_TIME, nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("shipment_id", sa.Text(), nullable=False),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("tracking_number", sa.Text(), nullable=False),
        sa.Column("status", sa.Text()),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["store"], ["store.id"], name="fk_notice_store"),
        sa.PrimaryKeyConstraint("store", "id", name="pk_notice"),
    )
    op.create_index("ix_notice_store_order_id_id", "notice", ["store", "order_id", "id"])
    op.create_index("ix_notice_told_id", "notice", ["told", "id"])


def _calls() -> None:
    op.create_table(
        "wix_call",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sent_at", UTC_TIME, nullable=False),
        sa.Column("ended_at", UTC_TIME),
        sa.Column("status", sa.Integer()),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["store"], ["store.id"], name="fk_wix_call_store"),
        sa.PrimaryKeyConstraint("store", "id", name="pk_wix_call"),
    )
    op.create_table(
        "wix_call_order",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("shipment_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["store", "call_id"], ["wix_call.store", "wix_call.id"], name="fk_wix_call_order_wix_call"
        ),
        sa.ForeignKeyConstraint(["store"], ["store.id"], name="fk_wix_call_order_store"),
        sa.PrimaryKeyConstraint("store", "order_id", "call_id", "shipment_id", name="pk_wix_call_order"),
    )
    op.create_table(
        "call_budget",
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("calls", sa.Text(), nullable=False),
        sa.Column("blocked_until", UTC_TIME),
        sa.PrimaryKeyConstraint("site", name="pk_call_budget"),
    )
