"""All that speaks Wix: the client, its authorisation, the wire models and the webhooks.

Nothing here knows the ledger; a CallGate connects the two. Names are loaded when they are first used: a receiver of
webhooks needs no HTTP client, and a client no signatures.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parcelhook.wix.auth import ApiKey as ApiKey
    from parcelhook.wix.auth import OAuthCredentials as OAuthCredentials
    from parcelhook.wix.client import WIX_URL as WIX_URL
    from parcelhook.wix.client import WixClient as WixClient
    from parcelhook.wix.exchange import Patience as Patience
    from parcelhook.wix.fulfillments import PREDEFINED_PROVIDERS as PREDEFINED_PROVIDERS
    from parcelhook.wix.fulfillments import BulkItem as BulkItem
    from parcelhook.wix.fulfillments import BulkResult as BulkResult
    from parcelhook.wix.fulfillments import CreatedFulfillment as CreatedFulfillment
    from parcelhook.wix.fulfillments import Fulfillment as Fulfillment
    from parcelhook.wix.fulfillments import FulfillmentItem as FulfillmentItem
    from parcelhook.wix.fulfillments import NewFulfillment as NewFulfillment
    from parcelhook.wix.fulfillments import OrderFulfillments as OrderFulfillments
    from parcelhook.wix.fulfillments import TrackingInfo as TrackingInfo
    from parcelhook.wix.gate import CallGate as CallGate
    from parcelhook.wix.gate import OpenGate as OpenGate
    from parcelhook.wix.orders import ChannelInfo as ChannelInfo
    from parcelhook.wix.orders import OrderLineItem as OrderLineItem
    from parcelhook.wix.orders import Recipient as Recipient
    from parcelhook.wix.orders import ShippingInfo as ShippingInfo
    from parcelhook.wix.orders import WixOrder as WixOrder
    from parcelhook.wix.webhooks import WebhookEvent as WebhookEvent
    from parcelhook.wix.webhooks import WebhookVerifier as WebhookVerifier

_HOMES = {
    "auth": ("ApiKey", "OAuthCredentials"),
    "client": ("WIX_URL", "WixClient"),
    "exchange": ("Patience",),
    "fulfillments": (
        "PREDEFINED_PROVIDERS",
        "BulkItem",
        "BulkResult",
        "CreatedFulfillment",
        "Fulfillment",
        "FulfillmentItem",
        "NewFulfillment",
        "OrderFulfillments",
        "TrackingInfo",
    ),
    "gate": ("CallGate", "OpenGate"),
    "orders": ("ChannelInfo", "OrderLineItem", "Recipient", "ShippingInfo", "WixOrder"),
    "webhooks": ("WebhookEvent", "WebhookVerifier"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)  # noqa: PLE0605 - one table says where each name lives


def __getattr__(name: str) -> object:
    """Load a name from its module on first use."""
    if name not in _HOME_OF:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value
