"""Read a request's body without ever holding more of it than is allowed."""

from __future__ import annotations

from typing import Final

from starlette.requests import ClientDisconnect, Request

HANG_UP: Final = {"connection": "close"}
"""The headers of an answer to a body that was not read: without them the server would read on to its end."""


class TooLarge(Exception):
    """Report a body over the cap; what was read of it is dropped."""


async def read_body(request: Request, *, cap: int) -> bytes:
    """Give the whole body; raise TooLarge as soon as it is over ``cap`` bytes, or says that it will be."""
    stated = request.headers.get("content-length", "")
    if stated.isdigit() and int(stated) > cap:
        raise TooLarge
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > cap:
                raise TooLarge
            parts.append(part)
    except ClientDisconnect:
        return b""
    return b"".join(parts)
