"""What happened in the store: domain events, numbered by entity, in the envelope Wix signs (About Webhooks)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

from parcelhook.sandbox.orders import now
from parcelhook.sandbox.settings import Panel
from parcelhook.sandbox.validation import Json

ORDER = "wix.ecom.v1.order"
FULFILLMENTS = "wix.ecom.v1.fulfillments"

_EVENT_TYPES = {ORDER: "wix.ecom.v1.order_{slug}", FULFILLMENTS: "wix.ecom.v1.fulfillments_{slug}"}


@dataclass
class Delivery:
    """Follow one event on its way to one URL; status 0 is an attempt without an answer in time."""

    url: str
    statuses: list[int] = field(default_factory=list)
    delivered: bool = False
    given_up: bool = False


@dataclass
class Event:
    """One event as it was when it happened: entities are replaced and never changed, so it is not refreshed."""

    id: str
    event_type: str
    entity_id: str
    sequence: str
    time: str
    domain_event: Json
    envelope: Json
    deliveries: list[Delivery] = field(default_factory=list)

    def written(self) -> str:
        """Write the envelope with the domain event in it as a string, as it is signed."""
        return json.dumps(self.envelope | {"data": json.dumps(self.domain_event)})

    def summary(self) -> Json:
        """Write the event as the control API lists it."""
        return {
            "id": self.id,
            "eventType": self.event_type,
            "entityId": self.entity_id,
            "entityEventSequence": self.sequence,
            "eventTime": self.time,
            "deliveries": [vars(delivery) for delivery in self.deliveries],
        }


class Events:
    """Write events and hand each to the sender."""

    def __init__(self, panel: Panel, *, instance_id: str, account: Json, send: Callable[[Event], None]) -> None:
        self._panel = panel
        self._instance_id = instance_id
        self._account = account
        self._send = send
        self._sequences: Counter[tuple[str, str]] = Counter()
        self.log: dict[str, Event] = {}

    def created(self, fqdn: str, entity_id: str, entity: Json, *, identity: Json) -> None:
        """Tell that an entity was created."""
        self._tell(fqdn, "created", entity_id, {"createdEvent": {"entity": entity}}, identity=identity)

    def updated(self, fqdn: str, entity_id: str, entity: Json, *, identity: Json) -> None:
        """Tell that an entity was updated, with what it is now."""
        self._tell(fqdn, "updated", entity_id, {"updatedEvent": {"currentEntity": entity}}, identity=identity)

    def action(self, fqdn: str, slug: str, entity_id: str, body: Json, *, identity: Json) -> None:
        """Tell that something was done to an entity."""
        self._tell(fqdn, slug, entity_id, {"actionEvent": {"body": body}}, identity=identity)

    def _tell(self, fqdn: str, slug: str, entity_id: str, what: Json, *, identity: Json) -> None:
        self._sequences[fqdn, entity_id] += 1
        domain_event: Json = {
            "id": str(uuid4()),
            "entityFqdn": fqdn,
            "slug": slug,
            "entityId": entity_id,
            "eventTime": now().isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "triggeredByAnonymizeRequest": False,
            "originatedFrom": "",
            "entityEventSequence": str(self._sequences[fqdn, entity_id]),
        }
        event_type = _EVENT_TYPES[fqdn].format(slug=slug)
        envelope: Json = {"eventType": event_type, "instanceId": self._instance_id, "accountInfo": self._account}
        if self._panel.now.event_identity == "present":
            envelope["identity"] = json.dumps(identity)
        event = Event(
            id=domain_event["id"],
            event_type=event_type,
            entity_id=entity_id,
            sequence=domain_event["entityEventSequence"],
            time=domain_event["eventTime"],
            domain_event=domain_event | what,
            envelope=envelope,
        )
        self.log[event.id] = event
        self._send(event)
