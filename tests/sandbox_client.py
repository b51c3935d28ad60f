"""Talk to a sandbox with bare httpx, as any client of Wix's could, and listen for its webhooks."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import httpx
from joserfc import jws
from joserfc.jwk import RSAKey

from parcelhook.sandbox import Running, Switches

LINE = "00000000-0000-0000-0000-000000000001"
LINE_2 = "00000000-0000-0000-0000-000000000002"
FULFILLMENTS = "/ecom/v1/fulfillments"
GUID = "22222222-2222-4222-8222-222222222222"

Json = dict[str, Any]


class Wix:
    """Call a sandbox as an app does; leaving it undoes switches, faults, limits and webhooks."""

    def __init__(self, running: Running) -> None:
        self.ready = running.ready
        self.http = httpx.Client(base_url=running.url)
        self.http.headers["authorization"] = self.token().json()["access_token"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.control("PATCH", "switches", {switch.name: switch.default for switch in fields(Switches)})
        self.control("DELETE", "faults")
        self.control("POST", "rate-limit", {"per_minute": 0})
        for url in self.control("GET", "webhooks").json()["webhooks"]:
            self.control("DELETE", "webhooks", {"url": url})
        self.http.close()

    def token(self, **changes: object) -> httpx.Response:
        """Ask for a token."""
        body = {"grant_type": "client_credentials", "client_id": self.ready["app_id"]}
        body |= {"client_secret": self.ready["app_secret"], "instance_id": self.ready["instance_id"]}
        return self.http.post("/oauth2/token", json=body | changes)

    def control(self, method: str, path: str, body: Json | None = None) -> httpx.Response:
        """Use the sandbox's control."""
        return self.http.request(method, f"/_sandbox/{path}", json=body, timeout=30)

    def switch(self, **switches: object) -> None:
        """Set switches."""
        assert self.control("PATCH", "switches", switches).status_code == 200

    def order(self, *, quantity: int = 1, **order: object) -> str:
        """Make one order with one line item."""
        return self.orders(1, items=[{"quantity": quantity}], order=order)[0]

    def orders(self, count: int, **body: object) -> list[str]:
        """Make orders."""
        ids: list[str] = self.control("POST", "orders", {"count": count, **body}).json()["order_ids"]
        return ids

    def create(self, order_id: str, **fulfillment: object) -> httpx.Response:
        """Create a fulfillment of the first line item unless others are named."""
        body = {"fulfillment": {"lineItems": [{"id": LINE}]} | fulfillment}
        return self.http.post(f"{FULFILLMENTS}/orders/{order_id}/create-fulfillment", json=body)

    def created(self, order_id: str, **fulfillment: object) -> str:
        """Create a fulfillment and give its id."""
        fulfillment_id: str = ok(self.create(order_id, **fulfillment))["fulfillmentId"]
        return fulfillment_id

    def bulk(self, *items: object) -> httpx.Response:
        """Create fulfillments in bulk."""
        return self.http.post(f"{FULFILLMENTS}/orders/bulk/create-fulfillments", json={"ordersWithFulfillments": items})

    def update(self, order_id: str, fulfillment_id: str, **changes: object) -> httpx.Response:
        """Update a fulfillment."""
        return self.http.patch(f"{FULFILLMENTS}/{fulfillment_id}/orders/{order_id}", json={"fulfillment": changes})

    def delete(self, order_id: str, fulfillment_id: str) -> httpx.Response:
        """Delete a fulfillment."""
        return self.http.delete(f"{FULFILLMENTS}/{fulfillment_id}/orders/{order_id}")

    def list(self, order_id: str) -> list[Json]:
        """List an order's fulfillments."""
        answer = ok(self.http.get(f"{FULFILLMENTS}/orders/{order_id}"))
        fulfillments: list[Json] = answer["orderWithFulfillments"]["fulfillments"]
        return fulfillments

    def list_by_ids(self, order_ids: object) -> httpx.Response:
        """List the fulfillments of several orders."""
        return self.http.post(f"{FULFILLMENTS}/list-by-ids", json={"orderIds": order_ids})

    def get_order(self, order_id: str) -> Json:
        """Get an order."""
        order: Json = ok(self.http.get(f"/ecom/v1/orders/{order_id}"))["order"]
        return order

    def search(self, **search: object) -> httpx.Response:
        """Search orders."""
        return self.http.post("/ecom/v1/orders/search", json={"search": search})


def ok(answer: httpx.Response) -> Json:
    """Give the body of an answer that must be 200."""
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    return body


def violations(answer: httpx.Response) -> dict[str, str]:
    """Give the violated rule by field of an answer that must be a validation error."""
    assert answer.status_code == 400, answer.text
    error = answer.json()["details"]["validationError"]["fieldViolations"]
    assert all(entry["description"] for entry in error)
    return {entry["field"]: entry["violatedRule"] for entry in error}


def code_of(answer: httpx.Response) -> str:
    """Give the code of an answer that must be an application error."""
    error = answer.json()["details"]["applicationError"]
    assert set(error) == {"code", "description", "data"}
    assert error["description"]
    return str(error["code"])


def until(condition: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.005)


@dataclass
class Inbox:
    """What a receiver of webhooks was sent; ``answers`` are the statuses of the next answers, 200 after them."""

    url: str = ""
    bodies: list[str] = field(default_factory=list)
    content_types: list[str] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    hold: threading.Event | None = None

    def received(self, request: BaseHTTPRequestHandler) -> int:
        """Keep one request and say how it is answered."""
        self.content_types.append(request.headers["content-type"])
        self.bodies.append(request.rfile.read(int(request.headers["content-length"])).decode())
        if self.hold is not None:
            self.hold.wait(10)
        return self.answers.pop(0) if self.answers else 200


@contextmanager
def receiver() -> Iterator[Inbox]:
    """Listen for webhooks on loopback."""
    inbox = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status = inbox.received(self)
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing: the sender may hang up at its deadline."""

    with Server(("127.0.0.1", 0), Handler) as server:
        inbox.url = f"http://127.0.0.1:{server.server_port}/webhooks"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield inbox
        finally:
            if inbox.hold is not None:
                inbox.hold.set()
            server.shutdown()
            thread.join()


def opened(token: str, public_key_file: object) -> Json:
    """Check a token's signature and give its claims."""
    key = RSAKey.import_key(Path(str(public_key_file)).read_bytes())
    claims: Json = json.loads(jws.deserialize_compact(token, key, algorithms=["RS256"]).payload)
    return claims


def events_of(inbox: Inbox, ready: dict[str, object]) -> list[Json]:
    """Unfold what was received: the envelope, with ``data`` and ``identity`` read out of their strings."""
    unfolded = []
    for token in inbox.bodies:
        envelope = json.loads(opened(token, ready["public_key_file"])["data"])
        envelope |= {key: json.loads(envelope[key]) for key in ("data", "identity") if key in envelope}
        unfolded.append(envelope)
    return unfolded
