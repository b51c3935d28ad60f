"""Local Courier: books parcels, follows them, and asks for their links, which no template could build."""

from __future__ import annotations

from collections.abc import Sequence

from parcelhook import (
    Booking,
    BookingRequest,
    Carrier,
    CarrierAnswer,
    CarrierContext,
    Order,
    ParsedAnswer,
    Shipment,
    TrackingQuery,
    TrackingReport,
    hookimpl,
)
from parcelhook_courier import api, parsing
from parcelhook_courier.api import CourierSettings

carrier = Carrier.load(__package__, settings=CourierSettings)


@hookimpl
def parcelhook_carriers() -> list[Carrier]:
    """Serve Local Courier."""
    return [carrier]


@hookimpl
def parcelhook_choose_carrier(order: Order) -> dict[str, str] | None:
    """Take the orders whose shipping method names the courier."""
    if carrier.name.casefold() not in order.shipping_method.casefold():
        return None
    return {item.id: carrier.id for item in order.line_items if item.shippable}


@hookimpl
async def parcelhook_book(request: BookingRequest, context: CarrierContext[CourierSettings]) -> Booking:
    """Book one parcel with the key as its reference, under which the courier books only once."""
    return await api.book(context, request)


@hookimpl
async def parcelhook_find_booking(key: str, context: CarrierContext[CourierSettings]) -> Booking | None:
    """Look for the parcel by its reference."""
    return await api.find_booking(context, key)


@hookimpl
async def parcelhook_cancel_booking(booking: Booking, context: CarrierContext[CourierSettings]) -> None:
    """Cancel every parcel of the booking."""
    for parcel in booking.parcels:
        await api.cancel(context, parcel.tracking_number)


@hookimpl
async def parcelhook_resolve_tracking_url(shipment: Shipment, context: CarrierContext[CourierSettings]) -> str:
    """Ask the courier for the parcel's page."""
    return await api.tracking_page(context, shipment.tracking_number)


@hookimpl
async def parcelhook_track(
    queries: Sequence[TrackingQuery], context: CarrierContext[CourierSettings]
) -> list[TrackingReport]:
    """Ask where up to 25 parcels are; a parcel whose data cannot be read is logged and left out."""
    parsed = parsing.parse(await api.statuses(context, [query.number for query in queries]))
    for fault in parsed.errors:
        context.log.warning("unreadable parcel", number=fault.number, problem=fault.message)
    return list(parsed.reports)


@hookimpl
def parcelhook_parse(answer: CarrierAnswer) -> ParsedAnswer:
    """Read an answer of the courier's status call."""
    return parsing.parse(answer)
