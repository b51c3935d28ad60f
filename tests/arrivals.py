"""Webhooks as a test lets them arrive: whatever their fields hold, and what they came to."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from parcelhook.ledger import EventRow
from parcelhook.ledger.rows import InboxEvent
from shops import ID, Shop

UPDATED = "wix.ecom.v1.fulfillments_updated"
ORDER_UPDATED = "wix.ecom.v1.order_updated"


def arrived(shop: Shop, event_type: str, order_id: str, **event: Any) -> EventRow:  # noqa: ANN401 - fields of the event
    """Put an event into the inbox, and take it."""
    row = {"payload": "{}", "entity_fqdn": event_type.rpartition("_")[0], "entity_id": order_id, **event}
    shop.ledger.inbox.receive(
        [InboxEvent(store=ID, id=uuid4().hex, event_type=event_type, order_id=order_id, event_time=shop.clock(), **row)]
    )
    return shop.ledger.inbox.take(ID, lease_seconds=60)[-1]


def outcome(shop: Shop, event: EventRow) -> EventRow:
    """Read an event as it is kept now."""
    return next(each for each in shop.ledger.inbox.find(store=ID, limit=1000) if each.id == event.id)
