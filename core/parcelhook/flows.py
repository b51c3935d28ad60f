"""The flows the durable engine runs, by name; each takes JSON values, and may be called again after a crash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from parcelhook.engine import Flow, Json
from parcelhook.fulfillment.booking import book
from parcelhook.fulfillment.create import Shipped, send, ship
from parcelhook.fulfillment.events import take_events
from parcelhook.fulfillment.intake import wish_from
from parcelhook.fulfillment.reconcile import reconcile
from parcelhook.fulfillment.settle import settle
from parcelhook.fulfillment.store import Outcome, Store
from parcelhook.tracking.progress import poll
from parcelhook.tracking.push import push

EVENTS_LEASE_SECONDS: Final = 60.0


class Flows:
    """All flows over the stores of this process, by the stores' ids."""

    def __init__(self, stores: Mapping[str, Store]) -> None:
        self._stores = stores

    def by_name(self) -> dict[str, Flow]:
        """Give the flows as the engine takes them."""
        return {
            "events": self.events,
            "book": self.book,
            "ship": self.ship,
            "send": self.send,
            "settle": self.settle,
            "poll": self.poll,
            "push": self.push,
            "reconcile": self.reconcile,
        }

    def events(self, store: str) -> Json:
        """Deal with webhook events of a store that came in; give how many."""
        its = self._stores[store]
        events = its.ledger.inbox.take(store, lease_seconds=EVENTS_LEASE_SECONDS)
        take_events(its, events)
        return len(events)

    def book(self, store: str, shipment_ids: list[str] | None = None) -> Json:
        """Ask carriers for numbers; give what became of each shipment."""
        return _words(book(self._stores[store], shipment_ids))

    def ship(self, store: str, wishes: list[dict[str, Json]]) -> Json:
        """Take in wishes and send them; give what became of each."""
        return [_told(each) for each in ship(self._stores[store], [wish_from(wish) for wish in wishes])]

    def send(self, store: str, shipment_ids: list[str] | None = None) -> Json:
        """Create fulfillments; give what became of each shipment."""
        return _words(send(self._stores[store], shipment_ids))

    def settle(self, store: str, shipment_ids: list[str] | None = None) -> Json:
        """Decide about creates whose outcome is open; give what became of each shipment."""
        return _words(settle(self._stores[store], shipment_ids))

    def poll(self, store: str) -> Json:
        """Ask carriers about parcels that are due."""
        progress = poll(self._stores[store])
        return {
            "polled": progress.polled,
            "changed": progress.changed,
            "unmapped": dict(progress.unmapped),
            "errors": list(progress.errors),
        }

    def push(self, store: str) -> Json:
        """Tell Wix statuses; give how many it took."""
        return push(self._stores[store])

    def reconcile(self, store: str) -> Json:
        """Look through the store for what no webhook told; give how many orders changed."""
        return reconcile(self._stores[store])


def _told(shipped: Shipped) -> Json:
    outcome = shipped.outcome and shipped.outcome.value
    return [shipped.shipment, outcome, shipped.error, shipped.what_to_do]


def _words(outcomes: Mapping[str, Outcome]) -> dict[str, Json]:
    return {shipment_id: outcome.value for shipment_id, outcome in outcomes.items()}
