"""A carrier's API on loopback that answers as a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn


@dataclass(frozen=True)
class Reply:
    """What the server answers; with ``breaks`` the connection ends in the middle of the body."""

    status: int = 200
    body: bytes | Sequence[bytes] = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    breaks: bool = False


@dataclass(frozen=True)
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class CarrierServer:
    """Answers each path with its replies in turn, the last one for ever, and 404 elsewhere."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self.replies: dict[str, list[Reply]] = {}

    def reply(self, path: str, *replies: Reply) -> None:
        """Set what a path answers."""
        self.replies[path] = list(replies)

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's shape
        """Answer one request."""
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        self.asked.append(Asked(scope["method"], scope["path"], scope["query_string"].decode(), headers, body))
        known = self.replies.get(scope["path"], [Reply(404)])
        reply = known.pop(0) if len(known) > 1 else known[0]
        await asyncio.sleep(reply.delay)
        headers_out = [(name.encode(), value.encode()) for name, value in reply.headers.items()]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers_out})
        for chunk in [reply.body] if isinstance(reply.body, bytes) else reply.body:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if not reply.breaks:
            await send({"type": "http.response.body", "body": b""})


@contextmanager
def carrier_server() -> Iterator[CarrierServer]:
    """Run a server on a free port until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        app = CarrierServer(f"http://127.0.0.1:{listener.getsockname()[1]}")
        config = uvicorn.Config(app, log_level="critical", lifespan="off", ws="none", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield app
        finally:
            server.should_exit = True
            thread.join(5)
