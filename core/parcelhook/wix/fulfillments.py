"""Fulfillments as Wix sends and takes them, and the answer to a bulk call.

Source: Wix, "Order Fulfillments" (Create, Bulk Create, Update, List).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, get_args

from pydantic import Field, JsonValue, ValidationError, model_validator

from parcelhook.carrier import WixProvider
from parcelhook.errors import InputError, InvalidTrackingLink
from parcelhook.models import Model, ShipmentItem
from parcelhook.statuses import WIX_STATUSES
from parcelhook.wix.wire import JsonObject, UtcTime, Wire, checked_id

PREDEFINED_PROVIDERS: Final = frozenset(get_args(WixProvider))
"""The providers whose tracking link Wix builds itself; spelt exactly so."""


class FulfillmentItem(Wire):
    """A line item of the order and how many of it a fulfillment covers; ids repeat from order to order."""

    id: str
    quantity: int | None = None


class TrackingInfo(Wire):
    """Number, provider and link as the consignee sees them."""

    number: str | None = Field(default=None, alias="trackingNumber")
    provider: str | None = Field(default=None, alias="shippingProvider")
    link: str | None = Field(default=None, alias="trackingLink")


class Fulfillment(Wire):
    """One fulfillment; ``status`` is Wix's own word and None where Wix sent none."""

    id: str
    created_date: UtcTime | None = None
    line_items: tuple[FulfillmentItem, ...] = ()
    tracking_info: TrackingInfo | None = None
    status: str | None = None
    completed: bool | None = None

    @property
    def tracking_number(self) -> str | None:
        """Give the tracking number, or None without one."""
        return self.tracking_info.number if self.tracking_info else None


class OrderFulfillments(Wire):
    """All fulfillments of one order."""

    order_id: str
    fulfillments: tuple[Fulfillment, ...] = ()


class CreatedFulfillment(Model):
    """The answer to a create: the new fulfillment's id, and all fulfillments of the order."""

    fulfillment_id: str
    order: OrderFulfillments


class NewFulfillment(Model):
    """A fulfillment to be created.

    A number needs its provider; a provider that is not predefined needs a link, for Wix builds none. Raises
    InputError, or InvalidTrackingLink without that link.
    """

    line_items: Annotated[tuple[ShipmentItem, ...], Field(min_length=1, max_length=300)]
    tracking_number: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    shipping_provider: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    tracking_link: Annotated[str, Field(min_length=1, max_length=2048)] | None = None
    status: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> NewFulfillment:
        if self.tracking_number is not None:
            tracking_body(self.tracking_number, self.shipping_provider or "", self.tracking_link)
        if self.status is not None:
            checked_status(self.status)
        return self

    def body(self) -> JsonObject:
        """Give the ``fulfillment`` of a request: quantities always, tracking info only with a number."""
        items: list[JsonValue] = [{"id": item.line_item_id, "quantity": item.quantity} for item in self.line_items]
        body: JsonObject = {"lineItems": items}
        if self.tracking_number is not None:
            body["trackingInfo"] = tracking_body(self.tracking_number, self.shipping_provider or "", self.tracking_link)
        if self.status is not None:
            body["status"] = self.status
        return body


def tracking_body(number: str, provider: str, link: str | None) -> JsonObject:
    """Give the ``trackingInfo`` of a request; a predefined provider sends no link."""
    if not provider:
        msg = "a tracking number needs a shipping provider"
        raise InputError(msg, field="shipping_provider")
    if provider in PREDEFINED_PROVIDERS:
        return {"trackingNumber": number, "shippingProvider": provider}
    if not link:
        msg = f"the shipping provider {provider!r} needs a tracking link: Wix builds none for it"
        raise InvalidTrackingLink(msg, field="tracking_link")
    return {"trackingNumber": number, "shippingProvider": provider, "trackingLink": link}


def checked_status(status: str) -> str:
    """Give the status back; raise InputError for one that Wix would refuse."""
    if status not in WIX_STATUSES:
        msg = f"{status!r} is not a status Wix knows"
        raise InputError(msg, field="status", what_to_do=f"Use one of {', '.join(WIX_STATUSES)}, spelt exactly so.")
    return str(status)


class BulkItem(Model):
    """What became of one order of a bulk call; ``fulfillments`` are all of that order, where it succeeded."""

    original_index: int
    order_id: str
    success: bool
    code: str = ""
    description: str = ""
    fulfillments: OrderFulfillments | None = None


class BulkResult(Model):
    """What became of a bulk call, by the index each order had in the request.

    ``missing`` lists the indexes the answer does not decide (left out, named twice, or unreadable): those orders may
    have been fulfilled and are looked up first.
    """

    items: tuple[BulkItem, ...]
    missing: tuple[int, ...] = ()
    total_successes: int | None = None
    total_failures: int | None = None
    undetailed_failures: int = 0

    @classmethod
    def read(cls, results: Sequence[JsonValue], metadata: JsonObject, *, order_ids: Sequence[str]) -> BulkResult:
        """Read ``results`` by ``originalIndex``, never by their position, against the order ids that were sent."""
        read = [item for item in (_bulk_item(result, order_ids) for result in results) if item is not None]
        told = [item.original_index for item in read]
        items = {item.original_index: item for item in read if told.count(item.original_index) == 1}
        return cls(
            items=tuple(items[index] for index in sorted(items)),
            missing=tuple(index for index in range(len(order_ids)) if index not in items),
            total_successes=_count(metadata.get("totalSuccesses")),
            total_failures=_count(metadata.get("totalFailures")),
            undetailed_failures=_count(metadata.get("undetailedFailures")) or 0,
        )


class _BulkError(Wire):
    code: str = ""
    description: str = ""


class _ItemMetadata(Wire):
    id: str | None = None
    original_index: int | None = None
    success: bool | None = None
    error: _BulkError = _BulkError()


class _BulkEntry(Wire):
    item_metadata: _ItemMetadata
    # the plural name holds a single object
    order: OrderFulfillments | None = Field(default=None, alias="ordersWithFulfillments")


def _bulk_item(result: JsonValue, order_ids: Sequence[str]) -> BulkItem | None:
    """Read one result; None where it does not say beyond doubt which order it is about and what became of it."""
    try:
        entry = _BulkEntry.model_validate(result)
    except ValidationError:
        return None
    about, index = entry.item_metadata, entry.item_metadata.original_index
    if index is None or about.success is None or not 0 <= index < len(order_ids):
        return None
    named = {about.id, entry.order.order_id if entry.order else None} - {None}
    if named - {order_ids[index]}:
        return None
    return BulkItem(
        original_index=index,
        order_id=order_ids[index],
        success=about.success,
        code=about.error.code,
        description=about.error.description,
        fulfillments=entry.order,
    )


def _count(value: JsonValue) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def bulk_body(orders: Sequence[tuple[str, Sequence[NewFulfillment]]]) -> JsonObject:
    """Give the body of a bulk call: one entry for each order with its fulfillments, in the order given."""
    entries: list[JsonValue] = [
        {"orderId": checked_id(order_id, field="order_id"), "fulfillments": [new.body() for new in its]}
        for order_id, its in orders
    ]
    return {"ordersWithFulfillments": entries}
