"""What goes into the ledger and what comes out of it: frozen, and free of any database."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any, Self

from parcelhook.ledger.states import BookingState, State
from parcelhook.models import Booking, Reason, ShipmentItem, Status
from parcelhook.numbers import normalise


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRow:
    """A store as the ledger knows it; orders approved before ``set_up_at`` are not shipped unasked."""

    id: str
    site: str
    wix_url: str
    set_up_at: datetime
    reconciled_at: datetime | None
    poll_cursor: datetime | None
    paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxEvent:
    """A webhook event as it arrived; ``payload`` is its JSON text, ``sequence`` Wix's ``entityEventSequence``."""

    store: str
    id: str
    event_type: str
    payload: str
    slug: str = ""
    entity_fqdn: str = ""
    entity_id: str = ""
    order_id: str = ""
    sequence: int | None = None
    event_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow(InboxEvent):
    """An event in the inbox; it is pending until ``finished_at`` is set."""

    received_at: datetime
    due_at: datetime | None
    attempts: int
    finished_at: datetime | None
    outcome: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What webhooks told of an order: the latest snapshots, as JSON text, of itself and of its fulfillments.

    ``happened`` are Approved and Canceled, as far as they came, with the earliest moment told, where one was.
    """

    order: str | None
    fulfillments: str | None
    happened: Mapping[str, datetime | None]


@dataclass(frozen=True, kw_only=True)
class NewParcel:
    """A parcel of a shipment: its number as given, and its link where one was given."""

    number: str
    tracking_url: str = ""
    ship_date: date | None = None

    @cached_property
    def number_normalised(self) -> str:
        """Give the form that tells whether two numbers are one."""
        return normalise(self.number)


@dataclass(frozen=True, kw_only=True)
class NewShipment:
    """A shipment that is wanted: the intent, before anything is done about it.

    ``intent_key`` is the caller's idempotency key, else the normalised number, else the booking's key. ``body`` is what
    was asked for, as text: the same key with another body is refused. Without it, carrier, account, parcels and items
    are compared. ``source`` says who asked: ``cli``, ``file``, ``api`` or ``webhook``.
    """

    store: str
    order_id: str
    intent_key: str
    carrier: str
    state: State
    source: str
    order_number: str = ""
    account: str = ""
    provider: str = ""
    tracking_url: str = ""
    link_source: str = ""
    items: tuple[ShipmentItem, ...] = ()
    parcels: tuple[NewParcel, ...] = ()
    body: str = ""
    postal_code: str | None = None
    country: str | None = None
    due_at: datetime | None = None

    @cached_property
    def body_hash(self) -> str:
        """Give what tells two bodies under one key apart."""
        parcels = sorted((parcel.number_normalised, parcel.tracking_url) for parcel in self.parcels)
        items = sorted((item.line_item_id, item.quantity) for item in self.items)
        body = self.body or json.dumps([self.carrier, self.account, parcels, items])
        return hashlib.sha256(body.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ParcelRow:
    """A parcel that a carrier is asked about; ``found`` is None until the carrier has answered."""

    store: str
    id: str
    carrier: str
    account: str
    number: str
    number_normalised: str
    generation: int
    ship_date: date | None
    postal_code: str | None
    country: str | None
    status: Status
    reason: Reason | None
    found: bool | None
    next_poll_at: datetime | None
    last_polled_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipmentParcel(ParcelRow):
    """A parcel as part of one shipment, with the link it has there."""

    shipment_id: str
    position: int
    tracking_url: str


@dataclass(frozen=True, kw_only=True)
class ShipmentRow:
    """A shipment with its items and parcels as they were when it was read.

    ``version`` rises with every claim and move: a move of a row that is not the present one does nothing.
    ``wanted_wix_status`` is what Wix is still to be told, or None. ``ambiguous`` counts the calls whose outcome was
    unclear since the shipment was last ready.
    """

    store: str
    id: str
    order_id: str
    order_number: str
    intent_key: str
    generation: int
    carrier: str
    account: str
    provider: str
    tracking_url: str
    link_source: str
    state: State
    fulfillment_id: str | None
    wix_status: str | None
    wanted_wix_status: str | None
    pushed_at: datetime | None
    status: Status
    reason: Reason | None
    send_before: datetime | None
    sent_at: datetime | None
    claimed_by: str | None
    claimed_until: datetime | None
    due_at: datetime | None
    attempts: int
    ambiguous: int
    error: str
    what_to_do: str
    source: str
    body_hash: str
    postal_code: str | None
    country: str | None
    created_at: datetime
    updated_at: datetime
    version: int
    items: tuple[ShipmentItem, ...] = ()
    parcels: tuple[ShipmentParcel, ...] = ()

    def changed(self, **changes: Any) -> Self:  # noqa: ANN401 - values of its fields
        """Give the row with changes; this is ``replace``, which takes twenty times as long with as many fields."""
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__, **changes)
        return new

    def is_held(self, at: datetime) -> bool:
        """Tell whether a process holds the shipment at a moment."""
        return self.claimed_until is not None and self.claimed_until >= at

    @property
    def tracking_number(self) -> str:
        """Give the number Wix is told, as it was given, or "" while there is none."""
        return self.parcels[0].number if self.parcels else ""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a shipment stands: what became of it, and when something may be done about it."""

    id: str
    state: State
    fulfillment_id: str | None
    error: str
    what_to_do: str
    due_at: datetime | None
    claimed_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What adding a shipment came to: the shipment under that key, and whether it is new or has another body."""

    shipment: ShipmentRow
    is_new: bool
    is_conflict: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingRow:
    """A booking at a carrier; ``booking`` is what the carrier answered, once it did."""

    store: str
    key: str
    shipment_id: str
    carrier: str
    state: BookingState
    booking: Booking | None
    error: str
    what_to_do: str
    attempts: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRow:
    """A call to Wix; ``ended_at`` None means that it is under way, or that its process died."""

    store: str
    id: str
    operation: str
    method: str
    path: str
    sent_at: datetime
    ended_at: datetime | None
    status: int | None
    request_id: str
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One thing that happened to an order: an event, a call to Wix, a booking, a scan, or a decision and its reason.

    ``request_id``, ``path`` and ``ended_at`` are a call's; one whose ``ended_at`` is None was never answered.
    """

    at: datetime
    kind: str
    shipment_id: str = ""
    detail: str = ""
    reason: str = ""
    request_id: str = ""
    path: str = ""
    ended_at: datetime | None = None
