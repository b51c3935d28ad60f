"""All that speaks Wix: the client, its authorisation, the wire models and the webhooks.

Nothing here knows the ledger; a CallGate connects the two.
"""

from __future__ import annotations

from parcelhook.wix.auth import ApiKey, OAuthCredentials
from parcelhook.wix.client import WIX_URL, WixClient
from parcelhook.wix.exchange import Patience
from parcelhook.wix.fulfillments import (
    PREDEFINED_PROVIDERS,
    WIX_STATUSES,
    BulkItem,
    BulkResult,
    CreatedFulfillment,
    Fulfillment,
    FulfillmentItem,
    NewFulfillment,
    OrderFulfillments,
    TrackingInfo,
)
from parcelhook.wix.gate import CallGate, OpenGate
from parcelhook.wix.orders import ChannelInfo, OrderLineItem, Recipient, ShippingInfo, WixOrder
from parcelhook.wix.webhooks import WebhookEvent, WebhookVerifier

__all__ = [
    "PREDEFINED_PROVIDERS",
    "WIX_STATUSES",
    "WIX_URL",
    "ApiKey",
    "BulkItem",
    "BulkResult",
    "CallGate",
    "ChannelInfo",
    "CreatedFulfillment",
    "Fulfillment",
    "FulfillmentItem",
    "NewFulfillment",
    "OAuthCredentials",
    "OpenGate",
    "OrderFulfillments",
    "OrderLineItem",
    "Patience",
    "Recipient",
    "ShippingInfo",
    "TrackingInfo",
    "WebhookEvent",
    "WebhookVerifier",
    "WixClient",
    "WixOrder",
]
