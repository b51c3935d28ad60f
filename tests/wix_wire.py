"""A server that answers with whatever bytes it is told to, and a gate that remembers what passed it."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from pydantic import JsonValue

from parcelhook.models import ShipmentItem
from parcelhook.wix import ApiKey, NewFulfillment, OAuthCredentials, Patience, WixClient

ORDER = "11111111-1111-4111-8111-111111111111"
OTHER_ORDER = "33333333-3333-4333-8333-333333333333"
FULFILLMENT = "22222222-2222-4222-8222-222222222222"
LINE_ITEM = "00000000-0000-0000-0000-000000000001"

OAUTH = OAuthCredentials.model_validate(
    {"app_id": "app-of-tests", "app_secret": "the-app-secret", "instance_id": "instance-of-tests"}
)
KEY = ApiKey.model_validate({"key": "the-api-key", "site_id": "site-of-tests"})
UPS = NewFulfillment(
    line_items=(ShipmentItem(line_item_id=LINE_ITEM, quantity=1),), tracking_number="TRK-1", shipping_provider="ups"
)

Reply: TypeAlias = "bytes | Callable[[socket.socket], None]"


@dataclass(frozen=True)
class Received:
    """A request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> JsonValue:
        """Give the body as JSON; None without one."""
        value: JsonValue = json.loads(self.body) if self.body else None
        return value


@dataclass
class Wire:
    """What a scripted server is told to answer, in turn, and what it received; token calls are kept apart."""

    url: str = ""
    replies: deque[Reply] = field(default_factory=deque)
    token_replies: deque[Reply] = field(default_factory=deque)
    received: list[Received] = field(default_factory=list)
    token_calls: list[Received] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def answer(self, request: Received) -> Reply:
        """Take the next reply; without one, a token or an empty list of fulfillments."""
        if request.path == "/oauth2/token":
            self.token_calls.append(request)
            return self.token_replies.popleft() if self.token_replies else token(f"token-{len(self.token_calls)}")
        self.received.append(request)
        return self.replies.popleft() if self.replies else reply(200, of_order())


def reply(status: int, body: JsonValue | bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """Spell an HTTP answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"content-type": "application/json", "x-wix-request-id": "request-7", **(headers or {})}
    lines = [f"HTTP/1.1 {status} Because", *(f"{name}: {value}" for name, value in named.items())]
    head = "\r\n".join([*lines, f"content-length: {len(content)}", "connection: close", "", ""])
    return head.encode() + content


def token(value: str, *, expires_in: float | None = 14_400) -> bytes:
    """Spell the answer of the token endpoint."""
    life: dict[str, JsonValue] = {} if expires_in is None else {"expires_in": expires_in}
    return reply(200, {"access_token": value, "token_type": "Bearer", **life})


def of_order(*fulfillments: JsonValue, order_id: str = ORDER) -> dict[str, JsonValue]:
    """Give the answer about one order."""
    return {"orderWithFulfillments": {"orderId": order_id, "fulfillments": [*fulfillments]}}


def application_error(code: str, description: str = "It is so.") -> dict[str, JsonValue]:
    """Give Wix's body of a business refusal."""
    return {
        "message": "refused",
        "details": {"applicationError": {"code": code, "description": description, "data": {}}},
    }


def break_connection(connection: socket.socket) -> None:
    """Close the connection without an answer."""
    connection.close()


@contextmanager
def serving(*, tls: ssl.SSLContext | None = None) -> Iterator[Wire]:
    """Run a scripted server on a free loopback port, with TLS where a context for it is given."""
    wire = Wire()
    listener = socket.create_server(("127.0.0.1", 0))
    if tls is not None:
        listener = tls.wrap_socket(listener, server_side=True)
    wire.url = f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
    threads: list[threading.Thread] = []

    def accept() -> None:
        while not wire.closing.is_set():
            try:
                connection, _ = listener.accept()
            except ssl.SSLError:
                continue  # the client does not trust our certificate
            except OSError:
                return
            threads.append(threading.Thread(target=_serve, args=(connection, wire)))
            threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield wire
    finally:
        wire.closing.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for thread in threads:
            thread.join()


def _serve(connection: socket.socket, wire: Wire) -> None:
    with connection:
        request = _receive(connection)
        if request is None:
            return
        answer = wire.answer(request)
        try:
            if callable(answer):
                answer(connection)
            else:
                connection.sendall(answer)
        except OSError:
            # the client has gone, which is what some tests are about
            return


def _receive(connection: socket.socket) -> Received | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65_536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += connection.recv(65_536)
    method, path, _ = first.split(" ")
    return Received(method, path, headers, body)


@dataclass
class RecordingGate:
    """A gate that lets everything pass and remembers it."""

    calls: list[tuple[str, str, str, tuple[str, ...]]] = field(default_factory=list)
    outcomes: list[tuple[int, int | None, str, str]] = field(default_factory=list)
    throttles: list[float] = field(default_factory=list)

    def before(self, operation: str, method: str, path: str, order_ids: Sequence[str]) -> int:
        """Remember the call and number it."""
        self.calls.append((operation, method, path, tuple(order_ids)))
        return len(self.calls)

    def after(self, call_id: int, *, status: int | None, request_id: str, outcome: str) -> None:
        """Remember how it ended."""
        self.outcomes.append((call_id, status, request_id, outcome))

    def throttled(self, retry_after: float) -> None:
        """Remember the wait."""
        self.throttles.append(retry_after)

    @property
    def ends(self) -> list[str]:
        """Give the outcomes of all calls, in order."""
        return [outcome for _, _, _, outcome in self.outcomes]


class Clock:
    """A monotonic clock that only moves when told to, by sleeping or by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        """Give the present time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Move on at once."""
        self.slept.append(seconds)
        self.now += seconds


@contextmanager
def client_of(
    url: str,
    *,
    credentials: OAuthCredentials | ApiKey = KEY,
    gate: RecordingGate | None = None,
    clock: Clock | None = None,
    timeout: float = 10.0,
    body_cap: int = 20_000_000,
    patience: Patience | None = None,
) -> Iterator[WixClient]:
    """Give a client of a loopback server that sleeps on a clock of its own."""
    clock = clock or Clock()
    with WixClient(
        base_url=url,
        credentials=credentials,
        gate=gate or RecordingGate(),
        timeout=timeout,
        body_cap=body_cap,
        patience=patience or Patience(),
        monotonic=clock,
        sleep=clock.sleep,
    ) as client:
        yield client
