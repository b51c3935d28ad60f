"""What parcelhook and its plug-ins hand to each other: frozen, validated, free of any wire format."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class Model(BaseModel):
    """Base of all models: immutable, and refusing fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Status(StrEnum):
    """Where a parcel is on its way to the consignee, in parcelhook's own terms."""

    UNKNOWN = "unknown"
    PRE_TRANSIT = "pre_transit"
    PICKED_UP = "picked_up"
    IN_TRANSIT = "in_transit"
    OUT_FOR_DELIVERY = "out_for_delivery"
    ATTEMPT_FAILED = "attempt_failed"
    AVAILABLE_FOR_PICKUP = "available_for_pickup"
    EXCEPTION = "exception"
    RETURN_TO_SENDER = "return_to_sender"
    RETURNED = "returned"
    DELIVERED = "delivered"
    FAILURE = "failure"
    CANCELLED = "cancelled"


class Reason(StrEnum):
    """Why a parcel has its status, where the carrier says so."""

    DELAY = "delay"
    HOLD = "hold"
    CUSTOMS = "customs"
    DAMAGE = "damage"
    ADDRESS = "address"
    WEATHER = "weather"
    MISSORT = "missort"
    REFUSED = "refused"
    RECIPIENT_ABSENT = "recipient_absent"
    PAYMENT = "payment"
    LOST = "lost"
    OTHER = "other"


class StatusChange(Model):
    """What one scan says about its parcel: a status and, where known, the reason."""

    status: Status
    reason: Reason | None = None


class Scan(Model):
    """One scan event as the carrier reported it.

    ``code`` and ``description`` are the carrier's own; further codes are in ``extra``. ``time`` is aware UTC and
    ``local_time`` the carrier's wall clock (naive when its offset is unknown). With ``zone_known`` false, ``time`` was
    reckoned in the carrier's home zone. ``informational`` scans are shown and never move the status.
    """

    code: str
    description: str = ""
    time: AwareDatetime
    local_time: datetime | None = None
    zone_known: bool = True
    location: str = ""
    status: Status = Status.UNKNOWN
    reason: Reason | None = None
    informational: bool = False
    extra: Mapping[str, str] = {}

    @property
    def key(self) -> str:
        """Give the identity of this scan: equal for two deliveries of one event, different for two events."""
        moment = self.time.astimezone(UTC).isoformat()
        further = sorted(f"{name}={value}" for name, value in self.extra.items())
        # A separator that no carrier's text holds, so that two events never share a key.
        return "\x1f".join((moment, self.code, self.description, self.location, *further))


class TrackingQuery(Model):
    """One parcel a carrier is asked about; the ship date tells re-used numbers apart."""

    number: str
    ship_date: date | None = None
    postal_code: str | None = None
    country: str | None = None


class TrackingReport(Model):
    """What a carrier knows of one parcel; ``found`` false is an answer of its own: not in its system (yet)."""

    number: str
    found: bool = True
    scans: tuple[Scan, ...] = ()
    summary: Scan | None = Field(default=None, description="the carrier's own summary, counted as one more scan")
    ship_date: date | None = None
    estimated_delivery: AwareDatetime | None = None


class CarrierFault(Model):
    """An error inside a carrier's answer that concerns one query, or (``number`` empty) the whole answer."""

    code: str
    message: str
    retryable: bool = False
    number: str = ""


class CarrierAnswer(Model):
    """A raw answer of a carrier's tracking API: HTTP status, lower-case headers, undecoded body, what was asked."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes
    queries: tuple[TrackingQuery, ...] = ()


class ParsedAnswer(Model):
    """What an answer holds: reports, and errors beside them; one bad item never hides the good ones."""

    reports: tuple[TrackingReport, ...] = ()
    errors: tuple[CarrierFault, ...] = ()


class CarrierPush(Model):
    """A request a carrier sent to us: lower-case headers and the undecoded body, whose signature is not checked yet."""

    headers: Mapping[str, str]
    body: bytes
    account: str = ""


class ShipmentItem(Model):
    """A line item and how many of it are in a shipment."""

    line_item_id: str
    quantity: Annotated[int, Field(ge=1, le=100_000)]


class Shipment(Model):
    """One shipment whose tracking link is wanted; everything but carrier and number may be unknown."""

    carrier: str
    tracking_number: str
    store: str = ""
    order_id: str = ""
    order_number: str = ""
    items: tuple[ShipmentItem, ...] = ()
    postal_code: str | None = None
    country: str | None = None
    locale: str | None = None


class Consignee(Model):
    """Who receives a parcel and where; personal data that never reaches a log, an error or a cassette."""

    name: str = ""
    company: str = ""
    address_line: str = ""
    address_line2: str = ""
    city: str = ""
    subdivision: str = ""
    postal_code: str = ""
    country: str = ""
    phone: str = ""
    email: str = ""


class LineItem(Model):
    """One line of an order: what was bought and how many; ``remaining`` counts what no fulfillment or refund covers."""

    id: str
    name: str = ""
    sku: str = ""
    quantity: int
    remaining: int
    weight: float | None = None
    shippable: bool = True


class Order(Model):
    """An approved order as a plug-in sees it; only items that remain to be shipped are listed."""

    id: str
    number: str = ""
    store: str = ""
    line_items: tuple[LineItem, ...] = ()
    shipping_method: str = ""
    consignee: Consignee = Consignee()
    weight_unit: str = ""
    currency: str = ""
    created_at: AwareDatetime | None = None


class BookingRequest(Model):
    """What a carrier is asked to carry, under a key that stays the same however often the booking is tried."""

    key: str
    order: Order
    items: tuple[ShipmentItem, ...]


class BookedParcel(Model):
    """One parcel of a booking; without ``tracking_url`` the carrier's link hook or template is used."""

    tracking_number: str
    tracking_url: str | None = None


class Booking(Model):
    """What a carrier booked: one or more parcels, and its own reference to cancel them by."""

    key: str
    parcels: tuple[BookedParcel, ...] = Field(min_length=1)
    reference: str = ""


class Notice(Model):
    """Something that happened, told to plug-ins out of the ledger at least once; ``id`` tells repetitions apart."""

    id: str
    kind: str
    store: str
    at: AwareDatetime
    order_id: str = ""
    shipment_id: str = ""
    carrier: str = ""
    tracking_number: str = ""
    status: Status | None = None
    detail: str = ""
