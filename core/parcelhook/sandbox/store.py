"""The orders of the store, their fulfillments, and the rules for writing them (Order Fulfillments introduction)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

from parcelhook.sandbox.events import FULFILLMENTS, ORDER, Events
from parcelhook.sandbox.history import History
from parcelhook.sandbox.orders import merge, normalised, now, stamp
from parcelhook.sandbox.quantities import allocate, derive_status
from parcelhook.sandbox.refusals import Business, Refusal, unpublished
from parcelhook.sandbox.settings import Panel, Switches
from parcelhook.sandbox.tracking import changed, new_info
from parcelhook.sandbox.validation import Json

KNOWN_NUMBER = "TRACKING_NUMBER_ALREADY_EXISTS"
Fulfillments = tuple[Json, ...]


@dataclass(frozen=True)
class StoredOrder:
    """One order and its fulfillments; both are replaced, never changed in place."""

    position: int
    entity: History[Json]
    fulfillments: History[Fulfillments]

    def with_fulfillments(self) -> Json:
        """Write the order's present fulfillments as writes answer them."""
        return {"orderId": self.entity.value["id"], "fulfillments": list(self.fulfillments.value)}


class Store:
    """Hold the orders and apply writes: a refused write changes nothing, an applied one is told to the webhooks."""

    def __init__(self, panel: Panel, events: Events) -> None:
        self._panel = panel
        self._events = events
        self._numbers: dict[str, dict[str, str]] = {}
        self._next_number = 10_001
        self.orders: dict[str, StoredOrder] = {}
        self.changes = 0

    @property
    def next_number(self) -> int:
        """Give the number that the next order gets."""
        return self._next_number

    def add(self, orders: Sequence[Json], *, identity: Json) -> list[str]:
        """Add new orders and give their ids."""
        for made in orders:
            order = made if made.get("shippingInfo") else made | {"fulfillmentStatus": "FULFILLED"}
            self.orders[order["id"]] = StoredOrder(
                self.changes, History(order, lag=self._panel.now.search_lag_seconds), History(())
            )
            self._next_number += 1
            self.changes += 1
            self._events.created(ORDER, order["id"], order, identity=identity)
            if order["status"] == "APPROVED":
                self._events.action(ORDER, "approved", order["id"], {"order": order}, identity=identity)
        return [order["id"] for order in orders]

    def find(self, order_id: str) -> StoredOrder:
        """Give an order, or refuse because there is none."""
        if order_id not in self.orders:
            switches = self._panel.now
            raise unpublished(f"order {order_id} was not found", switches.unknown_order_status, switches)
        return self.orders[order_id]

    def edit(self, order_id: str, changes: Json, *, identity: Json) -> Json:
        """Change an order as a merchant does, and tell that it was updated."""
        stored = self.find(order_id)
        before = stored.entity.value
        entity = normalised(merge(before, changes) | {"id": order_id})
        if "fulfillmentStatus" not in changes and not {"lineItems", "shippingInfo"}.isdisjoint(changes):
            entity["fulfillmentStatus"] = derive_status(entity, stored.fulfillments.value)
        entity = self._replace(stored, entity)
        self._events.updated(ORDER, order_id, entity, identity=identity)
        self._tell_changes(before, entity, identity=identity)
        return entity

    def cancel(self, order_id: str, *, identity: Json) -> Json:
        """Cancel an order and tell so."""
        stored = self.find(order_id)
        if stored.entity.value["status"] == "CANCELED":
            return stored.entity.value
        entity = self._replace(stored, dict(stored.entity.value) | {"status": "CANCELED"})
        body = {"order": entity, "restockAllItems": True, "sendOrderCanceledEmail": False, "customMessage": ""}
        self._events.action(ORDER, "canceled", order_id, body, identity=identity)
        return entity

    def create(self, order_id: str, draft: Json, *, identity: Json) -> str:
        """Create one fulfillment and give its id."""
        stored = self.find(order_id)
        fulfillment = self._plan(stored, stored.fulfillments.value, draft)
        self._write(stored, (*stored.fulfillments.value, fulfillment), identity=identity)
        return str(fulfillment["id"])

    def create_several(self, order_id: str, drafts: Sequence[Json], *, identity: Json) -> None:
        """Create several fulfillments of one order, together or, by switch, as far as they go."""
        stored = self.find(order_id)
        fulfillments = stored.fulfillments.value
        refused: Refusal | None = None
        for draft in drafts:
            try:
                fulfillment = self._plan(stored, fulfillments, draft, bulk=True)
            except Refusal as refusal:
                refused = refusal
                if self._panel.now.bulk_item == "atomic":
                    raise
                continue
            fulfillments = (*fulfillments, fulfillment)
        if fulfillments != stored.fulfillments.value:
            self._write(stored, fulfillments, identity=identity)
        if refused is not None:
            raise refused

    def update(self, order_id: str, fulfillment_id: str, changes: Json, *, identity: Json) -> StoredOrder:
        """Update one fulfillment."""
        stored = self.find(order_id)
        present = self._fulfillment(stored, fulfillment_id)
        switches = self._panel.now
        result = changed(present, changes, switches)
        number = _number(result)
        if number is not None and number != _number(present):
            others = [other for other in stored.fulfillments.value if other is not present]
            self._refuse_known(order_id, result, others, status=switches.duplicate_update_status, switches=switches)
        replaced = tuple(result if other is present else other for other in stored.fulfillments.value)
        self._write(stored, replaced, identity=identity)
        return stored

    def delete(self, order_id: str, fulfillment_id: str, *, identity: Json) -> StoredOrder:
        """Delete one fulfillment."""
        stored = self.find(order_id)
        present = self._fulfillment(stored, fulfillment_id)
        remaining = tuple(other for other in stored.fulfillments.value if other is not present)
        self._write(stored, remaining, identity=identity)
        return stored

    def _fulfillment(self, stored: StoredOrder, fulfillment_id: str) -> Json:
        for fulfillment in stored.fulfillments.value:
            if fulfillment["id"] == fulfillment_id:
                return fulfillment
        switches = self._panel.now
        text = f"fulfillment {fulfillment_id} was not found in the order"
        raise unpublished(text, switches.unknown_fulfillment_status, switches)

    def _plan(self, stored: StoredOrder, fulfillments: Fulfillments, draft: Json, *, bulk: bool = False) -> Json:
        switches = self._panel.now
        order = stored.entity.value
        if order["status"] != "APPROVED":
            text = f"the order is {order['status']}, only an APPROVED order can be fulfilled"
            raise unpublished(text, switches.order_not_approved_status, switches)
        line_items = allocate(order, fulfillments, draft["lineItems"], switches)
        fulfillment = {"id": str(uuid4()), "createdDate": stamp(now()), "lineItems": line_items}
        fulfillment |= new_info(draft, switches)
        if not (bulk and switches.bulk_duplicate == "accepted"):
            self._refuse_known(order["id"], fulfillment, fulfillments, status=409, switches=switches)
        return fulfillment

    def _refuse_known(
        self, order_id: str, fulfillment: Json, others: Sequence[Json], *, status: int, switches: Switches
    ) -> None:
        number = _number(fulfillment)
        if number is None or switches.duplicate_scope == "off":
            return
        known = {other["id"]: order_id for other in others if _number(other) == number}
        if switches.duplicate_scope != "order":
            known = self._numbers.get(number, {}) | known
        for other_id, other_order in known.items():
            if other_id == fulfillment["id"]:
                continue
            if switches.duplicate_scope == "provider" and not self._same_provider(other_order, other_id, fulfillment):
                continue
            data = {"orderId": other_order, "fulfillmentId": other_id, "trackingNumber": number}
            text = "the tracking number is on a fulfillment already"
            raise Business(status, text, code=KNOWN_NUMBER, data=data if switches.duplicate_data else None)

    def _same_provider(self, order_id: str, fulfillment_id: str, fulfillment: Json) -> bool:
        for other in self.orders[order_id].fulfillments.value:
            if other["id"] == fulfillment_id:
                return _provider(other) == _provider(fulfillment)
        # Planned in the same call and not written yet.
        return True

    def _write(self, stored: StoredOrder, fulfillments: Fulfillments, *, identity: Json) -> None:
        order_id = stored.entity.value["id"]
        for fulfillment in stored.fulfillments.value:
            self._forget(fulfillment)
        for fulfillment in fulfillments:
            if (number := _number(fulfillment)) is not None:
                self._numbers.setdefault(number, {})[fulfillment["id"]] = order_id
        stored.fulfillments.set(fulfillments, lag=self._panel.now.list_lag_seconds)
        self.changes += 1
        self._events.updated(FULFILLMENTS, order_id, stored.with_fulfillments(), identity=identity)
        self._derive(stored, identity=identity)

    def _forget(self, fulfillment: Json) -> None:
        number = _number(fulfillment)
        if number is not None and number in self._numbers:
            self._numbers[number].pop(fulfillment["id"], None)
            if not self._numbers[number]:
                del self._numbers[number]

    def _derive(self, stored: StoredOrder, *, identity: Json) -> None:
        entity = stored.entity.value
        before = entity["fulfillmentStatus"]
        after = derive_status(entity, stored.fulfillments.value)
        touched = self._panel.now.order_updated_by_fulfillment
        tell = touched == "always" or (touched == "status" and after != before)
        if tell:
            entity = self._replace(stored, dict(entity) | {"fulfillmentStatus": after})
        elif after != before:
            stored.entity.set(dict(entity) | {"fulfillmentStatus": after}, lag=self._panel.now.search_lag_seconds)
        if tell:
            self._events.updated(ORDER, entity["id"], entity, identity=identity)
        self._tell_changes({**entity, "fulfillmentStatus": before}, stored.entity.value, identity=identity)

    def _tell_changes(self, before: Json, after: Json, *, identity: Json) -> None:
        """Fire the events of their own that some changes of an order have."""
        order_id = after["id"]
        if after["status"] == "APPROVED" != before["status"]:
            self._events.action(ORDER, "approved", order_id, {"order": after}, identity=identity)
        old, new = before["fulfillmentStatus"], after["fulfillmentStatus"]
        if new != old:
            body = {"order": after, "previousFulfillmentStatus": old, "newFulfillmentStatus": new}
            self._events.action(ORDER, "fulfilled", order_id, body | {"action": _action(old, new)}, identity=identity)
        paid = before["paymentStatus"]
        if after["paymentStatus"] != paid:
            body = {"order": after, "previousPaymentStatus": paid}
            self._events.action(ORDER, "payment_status_updated", order_id, body, identity=identity)

    def _replace(self, stored: StoredOrder, entity: Json) -> Json:
        entity = dict(entity) | {"updatedDate": stamp(now())}
        stored.entity.set(entity, lag=self._panel.now.search_lag_seconds)
        self.changes += 1
        return entity


def _action(before: str, after: str) -> str:
    if after == "NOT_FULFILLED" or before == "FULFILLED":
        return "ITEMS_UNFULFILLED"
    return "ORDER_FULFILLED" if after == "FULFILLED" else "ITEMS_FULFILLED"


def _number(fulfillment: Json) -> str | None:
    return (fulfillment.get("trackingInfo") or {}).get("trackingNumber")


def _provider(fulfillment: Json) -> str | None:
    return (fulfillment.get("trackingInfo") or {}).get("shippingProvider")
