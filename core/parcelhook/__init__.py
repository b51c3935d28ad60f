"""Connect any carrier to a Wix store.

These names are what a plug-in author imports; they are loaded when they are first used, so that importing parcelhook
costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parcelhook.carrier import Capability as Capability
    from parcelhook.carrier import Carrier as Carrier
    from parcelhook.carrier import CheckDigit as CheckDigit
    from parcelhook.carrier import NumberFormat as NumberFormat
    from parcelhook.carrier import Quota as Quota
    from parcelhook.carrier import RankOverride as RankOverride
    from parcelhook.carrier import StatusRow as StatusRow
    from parcelhook.carrier import TextRule as TextRule
    from parcelhook.context import CarrierClient as CarrierClient
    from parcelhook.context import CarrierContext as CarrierContext
    from parcelhook.context import CarrierResponse as CarrierResponse
    from parcelhook.errors import CarrierError as CarrierError
    from parcelhook.errors import CarrierRefused as CarrierRefused
    from parcelhook.errors import CarrierThrottled as CarrierThrottled
    from parcelhook.errors import CarrierUnauthorized as CarrierUnauthorized
    from parcelhook.errors import CarrierUnavailable as CarrierUnavailable
    from parcelhook.errors import CarrierUnreadable as CarrierUnreadable
    from parcelhook.errors import ConfigurationError as ConfigurationError
    from parcelhook.errors import InputError as InputError
    from parcelhook.errors import InvalidCarrier as InvalidCarrier
    from parcelhook.errors import InvalidTrackingLink as InvalidTrackingLink
    from parcelhook.errors import InvalidTrackingNumber as InvalidTrackingNumber
    from parcelhook.errors import ParcelhookError as ParcelhookError
    from parcelhook.errors import UnknownCarrier as UnknownCarrier
    from parcelhook.hookspecs import hookimpl as hookimpl
    from parcelhook.models import BookedParcel as BookedParcel
    from parcelhook.models import Booking as Booking
    from parcelhook.models import BookingRequest as BookingRequest
    from parcelhook.models import CarrierAnswer as CarrierAnswer
    from parcelhook.models import CarrierFault as CarrierFault
    from parcelhook.models import CarrierPush as CarrierPush
    from parcelhook.models import Consignee as Consignee
    from parcelhook.models import LineItem as LineItem
    from parcelhook.models import Notice as Notice
    from parcelhook.models import Order as Order
    from parcelhook.models import ParsedAnswer as ParsedAnswer
    from parcelhook.models import Reason as Reason
    from parcelhook.models import Scan as Scan
    from parcelhook.models import Shipment as Shipment
    from parcelhook.models import ShipmentItem as ShipmentItem
    from parcelhook.models import Status as Status
    from parcelhook.models import StatusChange as StatusChange
    from parcelhook.models import TrackingQuery as TrackingQuery
    from parcelhook.models import TrackingReport as TrackingReport

__version__ = "0.1.0"

_HOMES = {
    "carrier": (
        "Capability",
        "Carrier",
        "CheckDigit",
        "NumberFormat",
        "Quota",
        "RankOverride",
        "StatusRow",
        "TextRule",
    ),
    "context": ("CarrierClient", "CarrierContext", "CarrierResponse"),
    "errors": (
        "CarrierError",
        "CarrierRefused",
        "CarrierThrottled",
        "CarrierUnauthorized",
        "CarrierUnavailable",
        "CarrierUnreadable",
        "ConfigurationError",
        "InputError",
        "InvalidCarrier",
        "InvalidTrackingLink",
        "InvalidTrackingNumber",
        "ParcelhookError",
        "UnknownCarrier",
    ),
    "hookspecs": ("hookimpl",),
    "models": (
        "BookedParcel",
        "Booking",
        "BookingRequest",
        "CarrierAnswer",
        "CarrierFault",
        "CarrierPush",
        "Consignee",
        "LineItem",
        "Notice",
        "Order",
        "ParsedAnswer",
        "Reason",
        "Scan",
        "Shipment",
        "ShipmentItem",
        "Status",
        "StatusChange",
        "TrackingQuery",
        "TrackingReport",
    ),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(["__version__", *_HOME_OF])  # noqa: PLE0605 - one table says where each name lives


def __getattr__(name: str) -> object:
    """Load a public name from its module on first use."""
    if name not in _HOME_OF:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
