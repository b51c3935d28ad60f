"""The hooks a plug-in may implement: names, arguments, promises, and one running example each.

A plug-in implements a hook as a function of the same name, marked ``@hookimpl``, with the arguments it needs, by name.
A call about one carrier runs only the plug-in that serves it. Hooks shown as ``async def`` are async only; the others
are plain functions without side effects. Arguments may be added to a hook later, and are never removed within one API
version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pluggy

from parcelhook.carrier import Carrier
from parcelhook.context import CarrierContext
from parcelhook.models import (
    Booking,
    BookingRequest,
    CarrierAnswer,
    CarrierPush,
    Notice,
    Order,
    ParsedAnswer,
    Scan,
    Shipment,
    StatusChange,
    TrackingQuery,
    TrackingReport,
)

hookspec = pluggy.HookspecMarker("parcelhook")
hookimpl = pluggy.HookimplMarker("parcelhook")


@hookspec
def parcelhook_carriers() -> Sequence[Carrier]:  # type: ignore[empty-body]
    """Give the carriers this plug-in serves; asked once, when the plug-in is loaded.

    Example::

        carrier = Carrier.load(__package__)

        @hookimpl
        def parcelhook_carriers() -> list[Carrier]:
            return [carrier]
    """


@hookspec
async def parcelhook_resolve_tracking_url(shipment: Shipment, context: CarrierContext) -> str | None:
    """Give the complete tracking link of a shipment, or None to let the carrier's template build it.

    The link is https and leads to one of the carrier's hosts. An error is tried again and then shown to a person; it
    never falls back to the template.

    Example::

        @hookimpl
        async def parcelhook_resolve_tracking_url(shipment: Shipment, context: CarrierContext) -> str | None:
            answer = await context.http.get(f"/parcels/{shipment.tracking_number}")
            return answer.read(Page).tracking_page
    """


@hookspec
def parcelhook_map_status(scan: Scan) -> StatusChange | None:
    """Give the status of a scan that the carrier's table cannot decide alone, or None.

    Asked for codes without a row and for rows marked ``ask``; None leaves the row, or ``unknown``.

    Example::

        @hookimpl
        def parcelhook_map_status(scan: Scan) -> StatusChange | None:
            if scan.code == "30" and scan.extra.get("place") == "locker":
                return StatusChange(status=Status.AVAILABLE_FOR_PICKUP)
            return None
    """


@hookspec
async def parcelhook_track(  # type: ignore[empty-body]
    queries: Sequence[TrackingQuery], context: CarrierContext
) -> Sequence[TrackingReport]:
    """Ask the carrier about up to ``batch_size`` parcels and report on each, whether it was found or not.

    Example::

        @hookimpl
        async def parcelhook_track(queries: Sequence[TrackingQuery], context: CarrierContext) -> list[TrackingReport]:
            answer = await context.http.post("/status", json={"numbers": [query.number for query in queries]})
            return parse(answer.body)
    """


@hookspec
def parcelhook_parse(answer: CarrierAnswer) -> ParsedAnswer:  # type: ignore[empty-body]
    """Turn a raw answer of the carrier's tracking API into reports and errors, without asking anything further.

    Example::

        @hookimpl
        def parcelhook_parse(answer: CarrierAnswer) -> ParsedAnswer:
            page = StatusPage.model_validate_json(answer.body)
            return ParsedAnswer(reports=tuple(parcel.report() for parcel in page.parcels))
    """


@hookspec
def parcelhook_receive(push: CarrierPush, context: CarrierContext) -> Sequence[TrackingReport]:  # type: ignore[empty-body]
    """Check the signature of the carrier's own webhook and give its reports; raise CarrierRefused for a forged one.

    Example::

        @hookimpl
        def parcelhook_receive(push: CarrierPush, context: CarrierContext[AcmeSettings]) -> list[TrackingReport]:
            check_signature(push, key=context.settings.push_key)
            return parse(push.body)
    """


@hookspec
async def parcelhook_book(request: BookingRequest, context: CarrierContext) -> Booking:  # type: ignore[empty-body]
    """Book the parcels of a shipment under ``request.key``; the same key must never make a second booking.

    Example::

        @hookimpl
        async def parcelhook_book(request: BookingRequest, context: CarrierContext) -> Booking:
            answer = await context.http.post("/parcels", json={"reference": request.key})
            parcel = answer.read(Parcel)
            return Booking(key=request.key, parcels=(BookedParcel(tracking_number=parcel.number),))
    """


@hookspec
async def parcelhook_find_booking(key: str, context: CarrierContext) -> Booking | None:
    """Give the booking an interrupted ``parcelhook_book`` left behind under this key, or None where there is none.

    Without this hook an interrupted booking is shown to a person and never repeated.

    Example::

        @hookimpl
        async def parcelhook_find_booking(key: str, context: CarrierContext) -> Booking | None:
            found = (await context.http.get("/parcels", query={"reference": key})).read(Parcels).parcels
            return booking(key, found) if found else None
    """


@hookspec
async def parcelhook_cancel_booking(booking: Booking, context: CarrierContext) -> None:
    """Cancel a booking whose order was canceled; canceling it twice is no error.

    Example::

        @hookimpl
        async def parcelhook_cancel_booking(booking: Booking, context: CarrierContext) -> None:
            for parcel in booking.parcels:
                await context.http.delete(f"/parcels/{parcel.tracking_number}")
    """


@hookspec
def parcelhook_choose_carrier(order: Order) -> Mapping[str, str] | None:
    """Choose one of the plug-in's own carriers for line items of an order: line item id to carrier id.

    Every plug-in is asked, after the configured rules; two different answers for an item leave the order waiting.

    Example::

        @hookimpl
        def parcelhook_choose_carrier(order: Order) -> dict[str, str] | None:
            if order.consignee.country != "IL":
                return None
            return {item.id: "acme" for item in order.line_items}
    """


@hookspec
def parcelhook_notify(notice: Notice) -> None:
    """Be told what happened, at least once and never inline; cannot change it.

    Example::

        @hookimpl
        def parcelhook_notify(notice: Notice) -> None:
            if notice.kind == "delivered":
                print(notice.order_id)
    """
