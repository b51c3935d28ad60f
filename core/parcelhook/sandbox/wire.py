"""The edge of the server: request ids, the record of calls, and answers that break instead of arriving."""

from __future__ import annotations

import logging
import socket
import struct
import time
from datetime import UTC, datetime
from uuid import uuid4

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from parcelhook.sandbox.refusals import EMPTY

_logger = logging.getLogger(__name__)

_OURS = ("/_sandbox/", "/courier/")
# What a server adds to the scope so that a connection can be broken.
BREAK = "parcelhook.break"


class Calls:
    """Record the calls of Wix's API; status 0 is a call whose connection was broken without an answer."""

    def __init__(self) -> None:
        self.made: list[dict[str, object]] = []

    def note(self, method: str, path: str, status: int) -> None:
        """Record one call."""
        at = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.made.append({"at": at, "method": method, "path": path, "status": status})


class WixEdge:
    """Give every answer of Wix's API its ``x-wix-request-id`` and record the call."""

    def __init__(self, app: ASGIApp, calls: Calls) -> None:
        self._app = app
        self._calls = calls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a call on and look at its answer."""
        if scope["type"] != "http" or scope["path"].startswith(_OURS):
            await self._app(scope, receive, send)
            return
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                request_id = f"{time.time():.3f}{uuid4().int % 10**12:012}"
                message["headers"] = [*message["headers"], (b"x-wix-request-id", request_id.encode())]
                # Noted before the client can read the answer, so that it can ask about its own call.
                self._calls.note(scope["method"], scope["path"], status)
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except Exception:
            if status:
                raise
            _logger.exception("the sandbox failed on %s %s", scope["method"], scope["path"])
            await JSONResponse(dict(EMPTY), status_code=500)(scope, receive, answer)
        if status == 0:
            self._calls.note(scope["method"], scope["path"], status)


class Broken(Response):
    """No answer: the connection is reset."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - nothing is sent
        """Reset the connection and wait until the server has noticed."""
        reset = scope.get("extensions", {}).get(BREAK)
        if reset is None:
            msg = "this server cannot break a connection: serve the sandbox with running() or serve()"
            raise RuntimeError(msg)
        reset()
        while (await receive())["type"] != "http.disconnect":
            pass


def reset_connection(sock: socket.socket) -> None:
    """Make closing this socket a reset instead of an orderly end; one that the client closed first is left alone."""
    if sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
