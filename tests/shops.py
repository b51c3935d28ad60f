"""A store as a test works with it: a sandbox on loopback, a ledger on SQLite, real plug-ins, and a clock to be set."""

from __future__ import annotations

import json
import ssl
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

import parcelhook_courier
from parcelhook.contexts import ContextFactory
from parcelhook.fulfillment.create import send
from parcelhook.fulfillment.events import take_events
from parcelhook.fulfillment.gate import LedgerGate
from parcelhook.fulfillment.intake import Wish, take_in
from parcelhook.fulfillment.settle import settle
from parcelhook.fulfillment.store import LEASE_SECONDS, Outcome, Store
from parcelhook.http import HttpLimits
from parcelhook.ledger import EventRow, InboxEvent, Ledger, ShipmentRow
from parcelhook.ledger.database import Database
from parcelhook.ledger.states import State
from parcelhook.registry import Registry
from parcelhook.sandbox import Running
from parcelhook.wix import ApiKey, OAuthCredentials, Patience, WebhookVerifier, WixClient

LINE = "00000000-0000-0000-0000-000000000001"
LINE_2 = "00000000-0000-0000-0000-000000000002"
ID = "main"
SETTLE = timedelta(seconds=60)
FULFILLMENTS = "/ecom/v1/fulfillments"

Json = dict[str, Any]


class ProcessDied(BaseException):
    """What a test raises where the process is to end: nothing of ours may catch it."""


class SetClock:
    """A clock that a test moves; it starts at the present, which is the sandbox's."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC) - timedelta(milliseconds=50)

    def __call__(self) -> datetime:
        """Give the time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


@dataclass
class Shop:
    """One store with all that a test does to it: as its merchant, as Wix, and as parcelhook."""

    store: Store
    sandbox: Running
    clock: SetClock
    http: httpx.Client
    calls_before: int
    told: set[str] = field(default_factory=set)

    # The store, from outside

    def control(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - whatever JSON it is
        """Work the sandbox's controls."""
        return self.http.request(method, f"/_sandbox/{path}", json=body).raise_for_status().json()

    def order(self, *, quantity: int = 1, items: int | Sequence[Json] | None = None, **order: object) -> str:
        """Make one order, of one line item unless ``items`` says otherwise."""
        return self.orders(1, items=items or [{"quantity": quantity}], **order)[0]

    def orders(self, count: int, *, items: int | Sequence[Json] | None = None, **order: object) -> list[str]:
        """Make orders."""
        ids: list[str] = self.control("POST", "orders", {"count": count, "items": items, "order": order})["order_ids"]
        return ids

    def edit(self, order_id: str, **changes: object) -> None:
        """Change an order as a merchant does."""
        self.control("PATCH", f"orders/{order_id}", changes)

    def edit_lines(self, order_id: str, quantities: Mapping[str, int], **line: object) -> None:
        """Let an order hold these quantities, by line item id, and nothing else; ``line`` is changed in each."""
        present = {each["id"]: each for each in self.sandbox.sandbox.store.orders[order_id].entity.value["lineItems"]}
        pattern = next(iter(present.values()))
        lines = [
            {**present.get(id_, pattern), "id": id_, "quantity": count, **line} for id_, count in quantities.items()
        ]
        self.edit(order_id, lineItems=lines)

    def cancel(self, order_id: str) -> None:
        """Cancel an order as a merchant does."""
        self.control("POST", f"orders/{order_id}/cancel")

    def fault(self, route: str, **settings: object) -> None:
        """Let a fault befall the next calls of a route."""
        self.control("POST", "faults", {"route": route, **settings})

    def switch(self, **switches: object) -> None:
        """Set what Wix's contract leaves open."""
        self.control("PATCH", "switches", switches)

    def fulfillments(self, order_id: str) -> list[Json]:
        """Look at an order's fulfillments in the store itself."""
        found: list[Json] = self.control("GET", "fulfillments")[order_id]
        return found

    def calls(self) -> Counter[str]:
        """Count what reached the store since the last count, by operation; tokens are left out."""
        made = self.sandbox.sandbox.calls.made
        new, self.calls_before = made[self.calls_before :], len(made)
        paths = [(str(call["method"]), str(call["path"])) for call in new]
        return Counter(_operation(method, path) for method, path in paths if path != "/oauth2/token")

    def by_hand(self, method: str, path: str, body: object = None) -> Json:
        """Do something to the store as another app would."""
        ready = self.sandbox.ready
        headers = {"authorization": str(ready["api_key"]), "wix-site-id": str(ready["site_id"])}
        answer = self.http.request(method, f"{FULFILLMENTS}/{path}", json=body, headers=headers)
        result: Json = answer.raise_for_status().json()
        return result

    def fulfilled_by_hand(self, order_id: str, number: str, *, quantity: int = 1) -> str:
        """Create a fulfillment of the first line item as a merchant does, and give its id."""
        info = {"trackingNumber": number, "shippingProvider": "ups"}
        body = {"fulfillment": {"lineItems": [{"id": LINE, "quantity": quantity}], "trackingInfo": info}}
        return str(self.by_hand("POST", f"orders/{order_id}/create-fulfillment", body)["fulfillmentId"])

    def deliver(self) -> list[EventRow]:
        """Let the webhooks of everything that happened arrive, each signed, and give those now in the inbox."""
        log = self.sandbox.sandbox.events.log
        for event in [event for event in log.values() if event.id not in self.told]:
            self.told.add(event.id)
            self.receive(event.id)
        return self.store.ledger.inbox.pending([ID])

    def receive(self, event_id: str) -> None:
        """Let one webhook arrive, once more if it did before."""
        sandbox = self.sandbox.sandbox
        token = sandbox.signer.sign(sandbox.events.log[event_id].written(), lifetime=300_000)
        event = WebhookVerifier(sandbox.signer.public_pem().decode()).verify(token.encode())
        self.ledger.inbox.receive(
            [
                InboxEvent(
                    store=ID,
                    id=event.event_id,
                    event_type=event.event_type,
                    payload=json.dumps(event.payload),
                    slug=event.slug,
                    entity_fqdn=event.entity_fqdn,
                    entity_id=event.entity_id,
                    order_id=event.entity_id,
                    sequence=event.sequence,
                    event_time=event.event_time,
                )
            ]
        )

    def follow(self) -> dict[str, str]:
        """Deal with every webhook there is; give the outcome of each by the end of its event type."""
        self.deliver()
        events = self.store.ledger.inbox.take(ID, lease_seconds=60)
        take_events(self.store, events)
        kept = {event.id: event for event in self.store.ledger.inbox.find(store=ID, limit=1000)}
        return {event.event_type.rpartition(".")[2]: kept[event.id].outcome for event in events}

    # parcelhook

    @property
    def ledger(self) -> Ledger:
        """Give the ledger."""
        return self.store.ledger

    def number(self) -> str:
        """Give a tracking number nobody had before."""
        return f"N{uuid4().hex[:12].upper()}"

    def take(
        self,
        order_id: str,
        number: str | None = None,
        *,
        carrier: str = "ups",
        url: str | None = None,
        items: dict[str, int | None] | None = None,
        key: str | None = None,
    ) -> ShipmentRow:
        """Take a wish in and give its shipment."""
        parcels = ((self.number() if number is None else number, url),)
        wish = Wish(order_id=order_id, carrier=carrier, parcels=parcels, items=items or {}, key=key)
        return take_in(self.store, wish)[0]

    def send(self, row: ShipmentRow) -> Outcome | None:
        """Send a shipment, and give what became of it; None where it was not to be sent now."""
        return send(self.store, [row.id]).get(row.id)

    def settle(self, row: ShipmentRow) -> Outcome | None:
        """Let the settle time pass and decide about a shipment."""
        self.clock.advance(SETTLE.total_seconds() + 1)
        return settle(self.store, [row.id]).get(row.id)

    def created(self, order_id: str, number: str | None = None, **wish: Any) -> ShipmentRow:  # noqa: ANN401 - as take
        """Take a wish in, send it, and give its shipment."""
        row = self.take(order_id, number, **wish)
        assert self.send(row) is Outcome.CREATED
        return self.row(row)

    def row(self, row: ShipmentRow) -> ShipmentRow:
        """Read a shipment as it is now."""
        return self.ledger.shipments.get(row.id)

    def rows(self, order_id: str, *states: State) -> list[ShipmentRow]:
        """Read an order's shipments."""
        return self.ledger.shipments.find(store=ID, order_id=order_id, states=states)

    def why(self, order_id: str) -> list[str]:
        """Give the reasons kept about an order."""
        return [entry.reason for entry in self.ledger.history(ID, order_id) if entry.reason]

    def next_worker(self) -> Shop:
        """Give the shop as another worker has it, after the leases of one that died have ended."""
        self.clock.advance(LEASE_SECONDS + 1)
        return replace(self, store=replace(self.store, owner=f"worker-{uuid4().hex[:6]}"))

    def dying(self, monkeypatch: pytest.MonkeyPatch, call: str, *, after: bool) -> None:
        """Let the process die at its next call of the client's method, before it leaves or after its answer."""
        client, original = self.store.wix, getattr(self.store.wix, call)

        def die(*arguments: object, **keywords: object) -> None:
            monkeypatch.setattr(client, call, original)
            if after:
                original(*arguments, **keywords)
            raise ProcessDied

        monkeypatch.setattr(client, call, die)


def _operation(method: str, path: str) -> str:
    if path.endswith(("create-fulfillment", "create-fulfillments")):
        return "bulk-create" if "/bulk/" in path else "create"
    if path.endswith("list-by-ids"):
        return "list-by-ids"
    if path.startswith(FULFILLMENTS):
        return {"GET": "list", "PATCH": "update"}.get(method, "delete")
    return "search-orders" if path.endswith("search") else "get-order"


def registry_of(sandbox: Running, **plugins: object) -> Registry:
    """Load the built-in carriers, the courier of a sandbox unless it is replaced, and further plug-ins."""
    ready = sandbox.ready
    carriers = ready["carriers"]
    assert isinstance(carriers, dict)
    settings = {"courier": {"host": carriers["courier"], "key": ready["courier_key"]}}
    contexts = ContextFactory(settings, limits=HttpLimits(backoff=0.001))
    return Registry(extra={"courier": parcelhook_courier, **plugins}, contexts=contexts)


@contextmanager
def opened(
    sandbox: Running, registry: Registry, *, path: Path, with_key: bool = False, **changes: object
) -> Iterator[Shop]:
    """Open a store over a ledger's file, as an app or with an API key; ``changes`` are to the Store."""
    Ledger.open(f"sqlite:///{path}").close()
    with (
        closing(Database(f"sqlite:///{path}")) as database,
        opened_on(database, sandbox, registry, with_key=with_key, **changes) as shop,
    ):
        yield shop


@contextmanager
def opened_on(
    database: Database, sandbox: Running, registry: Registry, *, with_key: bool = False, **changes: object
) -> Iterator[Shop]:
    """Open a store over a ledger's database, which stays open."""
    clock, ready = SetClock(), {name: str(value) for name, value in sandbox.ready.items()}
    site = ready["site_id" if with_key else "instance_id"]
    credentials: ApiKey | OAuthCredentials = (
        ApiKey.model_validate({"key": ready["api_key"], "site_id": site})
        if with_key
        else OAuthCredentials.model_validate({name: ready[name] for name in ("app_id", "app_secret", "instance_id")})
    )
    ledger = Ledger(database, clock=clock)
    # Certificates take long to load, and nothing on loopback has one.
    with httpx.Client(base_url=sandbox.url, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)) as http:
        ledger.stores.ensure(ID, site=site, wix_url=sandbox.url)
        gate = LedgerGate(ledger, store=ID, site=site, per_minute=10_000, clock=clock, sleep=clock.advance)
        sleep: Callable[[float], object] = clock.advance
        with WixClient(
            credentials=credentials, gate=gate, base_url=sandbox.url, timeout=5, patience=Patience(), sleep=sleep
        ) as wix:
            store = Store(
                id=ID,
                wix=wix,
                ledger=ledger,
                registry=registry,
                clock=clock,
                owner="worker",
                settle=SETTLE,
                leaving_before=gate.leaving_before,
            )
            before = sandbox.sandbox
            yield Shop(
                store=replace(store, **changes),  # type: ignore[arg-type] # the caller names fields of Store
                sandbox=sandbox,
                clock=clock,
                http=http,
                calls_before=len(before.calls.made),
                told=set(before.events.log),
            )
