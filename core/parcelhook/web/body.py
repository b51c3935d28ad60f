"""Read a request's body without ever holding more of it than is allowed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

LINGER_SECONDS: Final = 1.0
LINGER_BYTES: Final = 20_000_000
BODY_SECONDS: Final = 10.0
"""How long a body may take to arrive, from its first byte to its last."""


class TooLarge(Exception):
    """Report a body over the cap; what was read of it is dropped."""


class TooSlow(Exception):
    """Report a body that did not arrive in time; what was read of it is dropped."""


async def read_body(request: Request, *, cap: int) -> bytes:
    """Give the whole body; raise TooLarge as soon as it is over ``cap`` bytes, or says that it will be.

    Raise TooSlow where it does not arrive in time.
    """
    stated = request.headers.get("content-length", "")
    if stated.isdigit() and int(stated) > cap:
        raise TooLarge
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > cap:
                    raise TooLarge
                parts.append(part)
    except ClientDisconnect:
        return b""
    except TimeoutError:
        raise TooSlow from None
    return b"".join(parts)


class HangUp(JSONResponse):
    """An answer to a body that is not read, after which the connection is closed.

    What is still on its way is dropped for a moment: to close at once would reset the connection, and a client that is
    still sending would never see the answer.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as ASGI has it
        """Answer, drop a bounded part of the rest, and end."""
        headers = [*self.raw_headers, (b"connection", b"close")]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                await _drop(receive)
        await send({"type": "http.response.body", "body": b""})


async def _drop(receive: Receive) -> None:
    dropped = 0
    while dropped < LINGER_BYTES:
        message = await receive()
        if not message.get("more_body"):
            return
        dropped += len(message["body"])
